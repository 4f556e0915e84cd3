package landmark

import (
	"math"
	"slices"
)

// Pose is where a flat thing lies in a view: it takes the places of the photo in which it
// was marked to those of the view (a homography, in rows).
type Pose struct{ m [9]float64 }

// unmoved takes each place to itself.
func unmoved() Pose { return Pose{[9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}} }

// to returns where a place lies; far away where it would be behind the camera.
func (p *Pose) to(q point) point {
	w := p.m[6]*q.x + p.m[7]*q.y + p.m[8]
	if w < 1e-6 {
		return point{math.Inf(1), math.Inf(1)}
	}
	return point{(p.m[0]*q.x + p.m[1]*q.y + p.m[2]) / w, (p.m[3]*q.x + p.m[4]*q.y + p.m[5]) / w}
}

// growth is how many times larger things are in the view at a place, by length; negative
// where they are mirrored.
func (p *Pose) growth(q point) float64 {
	const step = 4
	o, a, b := p.to(q), p.to(point{q.x + step, q.y}), p.to(point{q.x, q.y + step})
	area := ((a.x-o.x)*(b.y-o.y) - (a.y-o.y)*(b.x-o.x)) / (step * step)
	if area <= 0 || math.IsNaN(area) || math.IsInf(area, 0) {
		return -1
	}
	return math.Sqrt(area)
}

// couple are two places that are to lie on each other.
type couple struct{ from, to point }

// shift is what makes the coordinates of points small numbers about their middle.
type shift struct{ x, y, scale float64 }

func shiftOf(n int, at func(i int) point) shift {
	var s shift
	for i := range n {
		s.x, s.y = s.x+at(i).x, s.y+at(i).y
	}
	s.x, s.y = s.x/float64(n), s.y/float64(n)
	spread := 0.0
	for i := range n {
		spread += math.Hypot(at(i).x-s.x, at(i).y-s.y)
	}
	s.scale = math.Sqrt2 * float64(n) / max(spread, 1e-9)
	return s
}

func (s shift) of(p point) point { return point{(p.x - s.x) * s.scale, (p.y - s.y) * s.scale} }

// fit returns the pose that brings the couples together best by least squares: an affine
// one, or with perspective. It reports false for places that lie on one line.
func fit(couples []couple, perspective bool) (Pose, bool) {
	unknowns := 6
	if perspective {
		unknowns = 8
	}
	if 2*len(couples) < unknowns {
		return Pose{}, false
	}
	from := shiftOf(len(couples), func(i int) point { return couples[i].from })
	to := shiftOf(len(couples), func(i int) point { return couples[i].to })
	var sums [8][9]float64
	for _, c := range couples {
		p, q := from.of(c.from), to.of(c.to)
		for _, row := range [2][9]float64{
			{p.x, p.y, 1, 0, 0, 0, -q.x * p.x, -q.x * p.y, q.x},
			{0, 0, 0, p.x, p.y, 1, -q.y * p.x, -q.y * p.y, q.y},
		} {
			for i := range unknowns {
				for j := range unknowns {
					sums[i][j] += row[i] * row[j]
				}
				sums[i][8] += row[i] * row[8]
			}
		}
	}
	found, ok := solve(&sums, unknowns)
	if !ok {
		return Pose{}, false
	}
	// to⁻¹ · found · from
	inner := Pose{[9]float64{found[0], found[1], found[2], found[3], found[4], found[5], found[6], found[7], 1}}
	before := Pose{[9]float64{from.scale, 0, -from.scale * from.x, 0, from.scale, -from.scale * from.y, 0, 0, 1}}
	after := Pose{[9]float64{1 / to.scale, 0, to.x, 0, 1 / to.scale, to.y, 0, 0, 1}}
	p := after.times(inner.times(before))
	if p.m[8] == 0 {
		return Pose{}, false
	}
	scale := 1 / p.m[8]
	for i := range p.m {
		p.m[i] *= scale
	}
	return p, true
}

// times returns the pose that does b first.
func (p Pose) times(b Pose) (out Pose) {
	for i := range 3 {
		for j := range 3 {
			for k := range 3 {
				out.m[3*i+j] += p.m[3*i+k] * b.m[3*k+j]
			}
		}
	}
	return out
}

// solve solves the first n equations with n unknowns, by elimination with pivots.
func solve(a *[8][9]float64, n int) (x [8]float64, ok bool) {
	for col := range n {
		best := col
		for row := col + 1; row < n; row++ {
			if math.Abs(a[row][col]) > math.Abs(a[best][col]) {
				best = row
			}
		}
		if math.Abs(a[best][col]) < 1e-9 {
			return x, false
		}
		a[col], a[best] = a[best], a[col]
		for row := range n {
			if row == col {
				continue
			}
			factor := a[row][col] / a[col][col]
			for k := col; k < n; k++ {
				a[row][k] -= factor * a[col][k]
			}
			a[row][8] -= factor * a[col][8]
		}
	}
	for i := range n {
		x[i] = a[i][8] / a[i][i]
	}
	return x, true
}

// hull returns the corners of the smallest area without dents that holds all points,
// counter-clockwise as y grows upwards (Andrew's monotone chain).
func hull(points []point) []point {
	points = slices.Clone(points)
	slices.SortFunc(points, func(a, b point) int {
		if a.x != b.x {
			return compare(a.x, b.x)
		}
		return compare(a.y, b.y)
	})
	chain := func(points []point) []point {
		var c []point
		for _, p := range points {
			for len(c) >= 2 && side(c[len(c)-2], c[len(c)-1], p) <= 0 {
				c = c[:len(c)-1]
			}
			c = append(c, p)
		}
		return c[:max(0, len(c)-1)]
	}
	lower := chain(points)
	slices.Reverse(points)
	return append(lower, chain(points)...)
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// side is positive where c lies to the left of the way from a to b.
func side(a, b, c point) float64 { return (b.x-a.x)*(c.y-a.y) - (b.y-a.y)*(c.x-a.x) }

// inside reports whether a point lies in a hull, or outside by less than so many pixels.
func inside(corners []point, p point, slack float64) bool {
	for i := range corners {
		a, b := corners[i], corners[(i+1)%len(corners)]
		if side(a, b, p) < -slack*math.Hypot(b.x-a.x, b.y-a.y) {
			return false
		}
	}
	return len(corners) >= 3
}

// area returns that of a hull.
func area(corners []point) float64 {
	sum := 0.0
	for i := range corners {
		a, b := corners[i], corners[(i+1)%len(corners)]
		sum += a.x*b.y - a.y*b.x
	}
	return sum / 2
}
