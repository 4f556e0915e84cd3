package plot_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/fraud/plot"
	"github.com/scripcards/scrip/internal/fraud/study"
)

func scored() ([]study.Scored, []float64) {
	var all []study.Scored
	var at []float64
	for i := range 1000 {
		all = append(all, study.Scored{Score: float64(i) / 1000, Fraud: i%1000 >= 900 || i%97 == 0})
		at = append(at, float64(i)/10)
	}
	return all, at
}

// Plots are well-formed, the same for the same scores, and show what was scored.
func TestPlots(t *testing.T) {
	all, at := scored()
	for name, draw := range map[string]func() []byte{
		"precision": func() []byte { return plot.PrecisionRecall(all) }, "calibration": func() []byte { return plot.Calibration(all) },
		"time": func() []byte { return plot.OverTime(all, at) }, "nothing": func() []byte { return plot.OverTime(nil, nil) },
		"no frauds": func() []byte { return plot.PrecisionRecall(all[1:50]) },
	} {
		svg := draw()
		if !bytes.Equal(svg, draw()) {
			t.Errorf("%s: two drawings differ", name)
		}
		for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
			t.Errorf("%s has what is no number", name)
		}
	}
	if n := strings.Count(string(plot.Calibration(all)), "<circle"); n != 10 {
		t.Errorf("%d bands, want 10", n)
	}
	before, _, _ := strings.Cut(string(plot.OverTime(all, at)), `" stroke="#b3261e"`)
	if n := strings.Count(before[strings.LastIndex(before, `"`):], "h0"); n != 110 {
		t.Errorf("%d attacks are drawn, want 110", n)
	}
}
