package estimator

import "math"

// Calibrate finds the slope and the offset that make log-odds of margins: those under which
// the outcomes are likeliest (Platt's method, by Newton's steps). Targets are pulled a
// little away from certainty, as if each kind had been seen once more.
func Calibrate(margins []float64, attack []bool) (slope, offset float64) {
	positives := 0.0
	for _, is := range attack {
		if is {
			positives++
		}
	}
	negatives := float64(len(attack)) - positives
	high, low := (positives+1)/(positives+2), 1/(negatives+2)
	slope = 1
	for range 50 {
		var g0, g1, h00, h01, h11 float64
		for i, m := range margins {
			want := low
			if attack[i] {
				want = high
			}
			p := 1 / (1 + math.Exp(-(slope*m + offset)))
			d, w := p-want, max(p*(1-p), 1e-12)
			g0, g1 = g0+d, g1+d*m
			h00, h01, h11 = h00+w, h01+w*m, h11+w*m*m
		}
		det := h00*h11 - h01*h01
		if !(math.Abs(det) > 1e-12) {
			break
		}
		stepOffset, stepSlope := (h11*g0-h01*g1)/det, (h00*g1-h01*g0)/det
		slope, offset = max(slope-stepSlope, 1e-3), offset-stepOffset
		if math.Abs(stepOffset)+math.Abs(stepSlope) < 1e-9 {
			break
		}
	}
	return slope, offset
}
