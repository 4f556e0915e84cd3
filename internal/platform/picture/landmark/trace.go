package landmark

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// spot is a place of a photo at which it is compared with others, in pixels of the
// working size.
type spot struct{ x, y uint16 }

const (
	// blockSide is the side of the blocks that have perBlock spots each, in pixels.
	blockSide, perBlock = 40, 3
	// spotStep is how far spots are from each other at least.
	spotStep = 8
	// across are the samples of a spot both ways, gap pixels apart.
	across, gap = 4, 5
	tests       = 2 * across * (across - 1)
	// leastTexture is what a spot needs to be one: the sum of how much samples differ.
	leastTexture = tests * 4
)

// findSpots returns the places with the most to see, a few of each block.
func (v *View) findSpots() []spot {
	type candidate struct {
		spot
		texture, rank int
	}
	var all []candidate
	base := &v.levels[0].smooth
	const margin = gap * across
	for by := margin; by < base.h-margin; by += blockSide {
		for bx := margin; bx < base.w-margin; bx += blockSide {
			var block []candidate
			for y := by; y < min(by+blockSide, base.h-margin); y += spotStep {
				for x := bx; x < min(bx+blockSide, base.w-margin); x += spotStep {
					s := spot{uint16(x), uint16(y)}
					if t := v.texture(s); t >= leastTexture {
						block = append(block, candidate{spot: s, texture: t})
					}
				}
			}
			slices.SortStableFunc(block, func(a, b candidate) int { return cmp.Compare(b.texture, a.texture) })
			for i := range block[:min(len(block), perBlock)] {
				block[i].rank = i
				all = append(all, block[i])
			}
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.texture, a.texture))
	})
	spots := make([]spot, 0, min(len(all), MaxSpots))
	for _, c := range all[:min(len(all), MaxSpots)] {
		spots = append(spots, c.spot)
	}
	return spots
}

func (v *View) texture(s spot) int {
	still := unmoved()
	values := v.sample(&still, s, point{})
	sum := 0
	for _, d := range differences(&values) {
		sum += max(d, -d)
	}
	return sum / 16
}

// sample returns the brightness around a spot, times 16, where the pose has it.
func (v *View) sample(p *Pose, s spot, off point) (values [across * across]int) {
	middle := point{float64(s.x), float64(s.y)}
	l := v.levelFor(p.growth(middle))
	for i := range values {
		at := p.to(point{middle.x + gap*(float64(i%across)-(across-1)/2.0), middle.y + gap*(float64(i/across)-(across-1)/2.0)})
		values[i] = l.smooth.at((at.x+off.x+0.5)/l.scale-0.5, (at.y+off.y+0.5)/l.scale-0.5)
	}
	return values
}

// levelFor returns the size of the view in which things that are so many times larger are
// as large as before.
func (v *View) levelFor(growth float64) *level {
	best := 0
	for i := range v.levels {
		if math.Abs(math.Log(v.levels[i].scale/growth)) < math.Abs(math.Log(v.levels[best].scale/growth)) {
			best = i
		}
	}
	return &v.levels[best]
}

// differences are those of neighbours, across and down.
func differences(values *[across * across]int) (d [tests]int) {
	n := 0
	for y := range across {
		for x := range across - 1 {
			d[n] = values[y*across+x] - values[y*across+x+1]
			d[n+1] = values[x*across+y] - values[(x+1)*across+y]
			n += 2
		}
	}
	return d
}

// look is what a view shows at a spot: which of the neighbours are clearly brighter.
type look struct {
	spot        uint16
	more, fewer uint32
}

// Trace is a marked thing as a view shows it.
type Trace struct {
	pose  Pose
	looks []look
}

// Trace describes what was found in the view, for comparison with other views of it.
func (v *View) Trace(m *Marks, s *Sight) *Trace {
	if len(v.levels) == 0 {
		return &Trace{pose: s.Pose}
	}
	type seen struct {
		spot int
		d    [tests]int
	}
	var all []seen
	var sizes []int
	w, h := float64(v.levels[0].sharp.w), float64(v.levels[0].sharp.h)
	for i, place := range m.spots {
		at := point{float64(place.x), float64(place.y)}
		if s.outline != nil && !inside(s.outline, at, rim) {
			continue
		}
		if to := s.Pose.to(at); !(to.x > 0 && to.y > 0 && to.x < w && to.y < h) {
			continue
		}
		values := v.sample(&s.Pose, place, s.off(at))
		one := seen{i, differences(&values)}
		all = append(all, one)
		for _, d := range one.d {
			sizes = append(sizes, max(d, -d))
		}
	}
	if len(all) == 0 {
		return &Trace{pose: s.Pose}
	}
	slices.Sort(sizes)
	clear := max(sizes[len(sizes)/2]*clearPercent/100, 16*leastClear)
	t := &Trace{pose: s.Pose, looks: make([]look, 0, len(all))}
	for _, one := range all {
		l := look{spot: uint16(one.spot)}
		for n, d := range one.d {
			if d > clear {
				l.more |= 1 << n
			} else if d < -clear {
				l.fewer |= 1 << n
			}
		}
		t.looks = append(t.looks, l)
	}
	return t
}

const (
	// rim is how far outside of the marks that agree things are compared, in pixels: numbers
	// stand at the edges of cards, too.
	rim = 12
	// clearPercent of the middle difference makes one clear, and never less than leastClear shades.
	clearPercent = 60
	leastClear   = 3
)

// Own is the trace of the marked photo itself.
func (v *View) Own() *Trace {
	s := Sight{Pose: unmoved()}
	return v.Trace(v.Marks(), &s)
}

const (
	// windowSide is the side of the areas in which traces are compared, in pixels; they
	// overlap by half.
	windowSide = 60
	// leastCompared is how much must be comparable in an area.
	leastCompared = 24
	// differing is the share of what was compared that is opposite in an area that differs,
	// in thousandths; unrelated that in all areas together of things that are not the same.
	differing, unrelated = 250, 160
	// leastWindows is how many areas must be comparable, mostDiffering how many of them may
	// differ where two photos are said to be of one card. A reflection makes some: rather the
	// same card is taken for another of its design than the other way round.
	leastWindows, mostDiffering = 40, 0
)

// Likeness is how two traces of one thing compare.
type Likeness struct {
	// Same and Opposite count the neighbours that are clearly different in both.
	Same, Opposite int
	// Windows are the areas with enough to compare, Differ those in which much is opposite.
	Windows, Differ int
}

// Thousandths is how many of a thousand comparisons differ.
func (l Likeness) Thousandths() int { return l.Opposite * 1000 / max(l.Same+l.Opposite, 1) }

// Related reports whether both are of the same thing, or of two that are much alike.
func (l Likeness) Related() bool { return l.Windows >= leastWindows && l.Thousandths() < unrelated }

// Alike reports whether there is no place where they differ.
func (l Likeness) Alike() bool { return l.Related() && l.Differ <= mostDiffering }

// count is what was compared in an area.
type count struct{ same, opposite int }

// Compare compares two traces of what m marks.
func (m *Marks) Compare(a, b *Trace) (l Likeness) {
	for _, w := range m.windows(a, b) {
		l.Same, l.Opposite = l.Same+w.same, l.Opposite+w.opposite
		if all := w.same + w.opposite; all >= leastCompared {
			l.Windows++
			if w.opposite*1000 >= differing*all {
				l.Differ++
			}
		}
	}
	return l
}

// windows compares two traces in areas that overlap.
func (m *Marks) windows(a, b *Trace) []count {
	const half, line = windowSide / 2, workingSide/(windowSide/2) + 2
	windows := make([]count, line*line)
	at := make([]*look, len(m.spots))
	for i := range a.looks {
		if n := int(a.looks[i].spot); n < len(at) {
			at[n] = &a.looks[i]
		}
	}
	for i := range b.looks {
		one := &b.looks[i]
		if int(one.spot) >= len(at) || at[one.spot] == nil || m.spots[one.spot] == (spot{}) {
			continue
		}
		other, s := at[one.spot], m.spots[one.spot]
		same := bits.OnesCount32(one.more&other.more | one.fewer&other.fewer)
		opposite := bits.OnesCount32(one.more&other.fewer | one.fewer&other.more)
		for n := range 4 {
			w := &windows[(int(s.y)/half+n/2)*line+int(s.x)/half+n%2]
			w.same, w.opposite = w.same+same, w.opposite+opposite
		}
	}
	return windows
}
