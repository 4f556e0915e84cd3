package landmark

import (
	"image"
	"math"
)

// Inherit returns marks of what was found in the view that can take the place of m: corners
// as the view shows them, where they lie in the photo that m was made of, and those of m's
// places that the view shows. Traces that were made with m compare with them, too. There are
// none of Len where the view shows too little.
func (v *View) Inherit(m *Marks, s *Sight) *Marks {
	out := &Marks{w: m.w, h: m.h, spots: make([]spot, len(m.spots))}
	back, ok := s.Pose.inverse()
	if !ok {
		return out
	}
	for i, place := range m.spots { // those that are left out keep their number
		if inside(s.outline, point{float64(place.x), float64(place.y)}, rim) {
			out.spots[i] = place
		}
	}
	for i := range v.marks {
		if k, ok := v.marks[i].moved(&back, s); ok && int(k.x) < m.w && int(k.y) < m.h {
			out.marks = append(out.marks, k)
		}
		if len(out.marks) == MaxMarks {
			break
		}
	}
	return out
}

// moved is a mark of a view as it would be in the photo in which the thing was marked that
// was found there, and false where that lies outside of the thing.
func (k mark) moved(back *Pose, s *Sight) (mark, bool) {
	at := back.to(k.at())
	if !inside(s.outline, at, rim) {
		return k, false
	}
	off := s.off(at)
	at = back.to(point{float64(k.x) - off.x, float64(k.y) - off.y})
	growth, turn := s.Pose.growth(at), s.Pose.turn(at)
	if growth < smallest || growth > largest || at.x < 0 || at.y < 0 {
		return k, false
	}
	k.x, k.y = kept(at.x), kept(at.y)
	k.level -= int8(math.Round(math.Log(growth) / math.Log(levelStep)))
	k.angle = uint8((int(k.angle) - turn + turns) % turns)
	return k, true
}

// inverse returns the pose that takes places of the view back; false where there is none.
func (p *Pose) inverse() (out Pose, ok bool) {
	for i := range 3 {
		for j := range 3 {
			a, b, c, d := (j+1)%3, (j+2)%3, (i+1)%3, (i+2)%3
			out.m[3*i+j] = p.m[3*a+c]*p.m[3*b+d] - p.m[3*a+d]*p.m[3*b+c]
		}
	}
	det := p.m[0]*out.m[0] + p.m[1]*out.m[3] + p.m[2]*out.m[6]
	if math.IsNaN(det) || math.Abs(det) < 1e-12 {
		return Pose{}, false
	}
	for i := range out.m {
		out.m[i] /= det
	}
	return out, true
}

// turn is by how much things are turned in the view at a place, in turns of 1/turns.
func (p *Pose) turn(q point) int {
	const step = 4
	o, a, b := p.to(q), p.to(point{q.x + step, q.y}), p.to(point{q.x, q.y + step})
	angle := math.Atan2((a.y-o.y)-(b.x-o.x), (a.x-o.x)+(b.y-o.y))
	if math.IsNaN(angle) {
		return 0
	}
	return (int(math.Round(angle/(2*math.Pi)*turns)) + turns) % turns
}

// frame is an area of a photo, in pixels of the working size.
type frame struct{ left, top, right, bottom float64 }

// frameOf returns an area of a photo of the given size.
func frameOf(area image.Rectangle, size image.Point) frame {
	w, h := size.X, size.Y
	if longer := max(w, h); longer > workingSide {
		w, h = w*workingSide/longer, h*workingSide/longer
	}
	fx, fy := float64(w)/float64(max(size.X, 1)), float64(h)/float64(max(size.Y, 1))
	return frame{float64(area.Min.X) * fx, float64(area.Min.Y) * fy, float64(area.Max.X) * fx, float64(area.Max.Y) * fy}
}

// touches reports whether what lies at a place of the thing, and reaches so far, is in the
// area of the photo that shows the thing so.
func (f *frame) touches(p *Pose, place point, reach float64) bool {
	at := p.to(place)
	reach *= max(p.growth(place), 0)
	return at.x >= f.left-reach && at.y >= f.top-reach && at.x <= f.right+reach && at.y <= f.bottom+reach
}

// halo is how far around a place its description looks, in pixels of the working size:
// a mark of the smallest size more than that of the largest.
const halo = gap*across/2 + 4

// Forget removes what tells of an area of a photo, of the given size, from marks that are of
// that photo. The trace is the photo's, made with these marks or with those before them.
func (m *Marks) Forget(t *Trace, area image.Rectangle, size image.Point) {
	f := frameOf(area, size)
	kept := m.marks[:0]
	for _, k := range m.marks {
		if !f.touches(&t.pose, k.at(), float64(radius+4)*math.Pow(levelStep, float64(k.level))) {
			kept = append(kept, k)
		}
	}
	clear(m.marks[len(kept):])
	m.marks = kept
	m.ForgetPlaces(t, area, size)
}

// ForgetPlaces removes the places that an area of a photo shows, of the given size.
func (m *Marks) ForgetPlaces(t *Trace, area image.Rectangle, size image.Point) {
	f := frameOf(area, size)
	for i, s := range m.spots { // later ones keep their number
		if f.touches(&t.pose, point{float64(s.x), float64(s.y)}, halo*math.Sqrt2) {
			m.spots[i] = spot{}
		}
	}
}

// Forget removes what tells of an area of the photo that the trace is of, of the given
// size. The trace was made with m.
func (t *Trace) Forget(m *Marks, area image.Rectangle, size image.Point) {
	f := frameOf(area, size)
	kept := t.looks[:0]
	for _, l := range t.looks {
		if int(l.spot) >= len(m.spots) {
			continue
		}
		if s := m.spots[l.spot]; s != (spot{}) && !f.touches(&t.pose, point{float64(s.x), float64(s.y)}, halo*math.Sqrt2) {
			kept = append(kept, l)
		}
	}
	t.looks = kept
}
