// Package plot draws what scores did as SVG: precision over recall, calibration, and
// scores over time. The same scores make the same bytes.
package plot

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/scripcards/scrip/internal/fraud/study"
)

const (
	width, height = 640.0, 420.0
	left, right   = 56.0, 16.0
	top, bottom   = 36.0, 44.0
)

// chart is one plot while it is drawn.
type chart struct {
	out  bytes.Buffer
	maxX float64
}

func newChart(title, x, y string, maxX float64) *chart {
	c := &chart{maxX: maxX}
	c.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12" role="img" aria-label="%s">`, width, height, title)
	c.add(`<rect width="%g" height="%g" fill="#ffffff"/>`, width, height)
	c.add(`<text x="%g" y="22" font-size="15">%s</text>`, left, title)
	for i := range 6 {
		share := float64(i) / 5
		px, py := c.at(share*maxX, share)
		c.add(`<path d="M%.1f %.1fV%.1fM%.1f %.1fH%.1f" stroke="#dddddd" fill="none"/>`, px, top, height-bottom, left, py, width-right)
		c.add(`<text x="%.1f" y="%.1f" text-anchor="middle">%.3g</text>`, px, height-bottom+16, share*maxX)
		c.add(`<text x="%.1f" y="%.1f" text-anchor="end">%.3g</text>`, left-6, py+4, share)
	}
	c.add(`<text x="%g" y="%g" text-anchor="middle">%s</text>`, width/2, height-8, x)
	c.add(`<text transform="translate(14 %g) rotate(-90)" text-anchor="middle">%s</text>`, height/2, y)
	return c
}

func (c *chart) add(format string, args ...any) {
	fmt.Fprintf(&c.out, format+"\n", args...)
}

// at is where a point is on the page; y runs from 0 to 1.
func (c *chart) at(x, y float64) (px, py float64) {
	return left + x/c.maxX*(width-left-right), height - bottom - y*(height-top-bottom)
}

// line draws points one after the other.
func (c *chart) line(points [][2]float64, colour string) {
	var d bytes.Buffer
	for i, p := range points {
		x, y := c.at(p[0], p[1])
		fmt.Fprintf(&d, "%c%.1f %.1f", "ML"[min(i, 1)], x, y)
	}
	c.add(`<path d="%s" stroke="%s" stroke-width="2" fill="none"/>`, d.String(), colour)
}

func (c *chart) end() []byte {
	c.add("</svg>")
	return c.out.Bytes()
}

const (
	blue   = "#1b5e9b"
	red    = "#b3261e"
	grey   = "#888888"
	points = 400 // at most in a line
)

// PrecisionRecall draws precision over recall.
func PrecisionRecall(scored []study.Scored) []byte {
	sorted := slices.Clone(scored)
	slices.SortStableFunc(sorted, func(a, b study.Scored) int { return cmp.Compare(b.Score, a.Score) })
	frauds := 0.0
	for _, s := range sorted {
		if s.Fraud {
			frauds++
		}
	}
	c := newChart("Precision over recall", "recall", "precision", 1)
	var curve [][2]float64
	found := 0.0
	step := max(len(sorted)/points, 1)
	for i, s := range sorted {
		if s.Fraud {
			found++
		}
		if i%step == step-1 || i == len(sorted)-1 {
			curve = append(curve, [2]float64{found / max(frauds, 1), found / float64(i+1)})
		}
	}
	c.line(curve, blue)
	return c.end()
}

// bands is how many a calibration plot has.
const bands = 10

// Calibration draws how many events of each band of scores are fraud. Scores are
// probabilities.
func Calibration(scored []study.Scored) []byte {
	var all, frauds, sum [bands]float64
	for _, s := range scored {
		i := min(int(s.Score*bands), bands-1)
		all[i]++
		sum[i] += s.Score
		if s.Fraud {
			frauds[i]++
		}
	}
	c := newChart("Calibration", "score", "share of attacks", 1)
	c.line([][2]float64{{0, 0}, {1, 1}}, grey)
	var curve [][2]float64
	for i := range bands {
		if all[i] == 0 {
			continue
		}
		p := [2]float64{sum[i] / all[i], frauds[i] / all[i]}
		curve = append(curve, p)
		x, y := c.at(p[0], p[1])
		c.add(`<circle cx="%.1f" cy="%.1f" r="4" fill="%s"><title>%.0f events</title></circle>`, x, y, blue, all[i])
	}
	c.line(curve, blue)
	return c.end()
}

// mostDots bounds a plot over time: every so many'th event is drawn.
const mostDots = 2000

// OverTime draws scores at their hours: attacks red, others blue.
func OverTime(scored []study.Scored, at []float64) []byte {
	c := newChart("Score over time", "hours", "score", max(slices.Max(append(at[:len(at):len(at)], 1)), 1))
	step := max(len(scored)/mostDots, 1)
	var honest, frauds []byte // paths of dots, which are shorter than a circle for each
	for i := 0; i < len(scored); i += step {
		path := &honest
		if scored[i].Fraud {
			path = &frauds
		}
		x, y := c.at(at[i], scored[i].Score)
		*path = fmt.Appendf(*path, "M%.0f %.1fh0", x, y)
	}
	for _, dots := range []struct {
		colour string
		path   []byte
	}{{blue, honest}, {red, frauds}} {
		c.add(`<path d="%s" stroke="%s" stroke-width="3" stroke-linecap="round" stroke-opacity="0.5"/>`, dots.path, dots.colour)
	}
	return c.end()
}
