package landmark

import (
	"math"
	"slices"
)

const (
	// maxWords bounds the marks by whose words a photo is found, the strongest ones.
	maxWords = 160
	// maxProbed bounds those of a view whose words are looked for.
	maxProbed = 320
	// doubted is how many bits of a word are in doubt.
	doubted = 5
	// exhausted is the share of a view's marks that a thing takes for there to be nothing
	// else to see, in thousandths; closer is how many times larger a view shows a thing that
	// is worth marking again.
	exhausted = 150
	closer    = 1.5
)

// word is a few bits of a mark's description, which are often all the same in another
// photo but those in doubt.
func (k *mark) word() uint32 { return uint32(k.around[0]) }

// Words returns what a photo is found by among many: those of its strongest marks, each
// once, of 32 bits; at most 160.
func (m *Marks) Words() []uint32 {
	var words []uint32
	for i := range m.marks[:min(len(m.marks), maxWords)] {
		words = append(words, m.marks[i].word())
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// Probes returns the words by which photos are looked for that may show the same as the
// view: its own, with the bits that are in doubt both ways; at most 10240.
func (v *View) Probes() []uint32 {
	var words []uint32
	for i, weak := range v.weak {
		for turned := range 1 << doubted {
			w := v.marks[i].word()
			for n, bit := range weak {
				w ^= uint32(turned>>n&1) << bit
			}
			words = append(words, w)
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// Exhausts reports whether a thing that was found in the view is most of what there is to
// see, and not much larger than in the photo where it was marked: there is little reason
// to mark the view too.
func (v *View) Exhausts(s *Sight) bool {
	var corners []point
	for _, c := range s.outline {
		corners = append(corners, s.Pose.to(c))
	}
	corners = hull(corners)
	count, middle := 0, point{}
	for i := range v.marks {
		if inside(corners, v.marks[i].at(), 0) {
			count++
		}
	}
	for _, c := range s.outline {
		middle.x, middle.y = middle.x+c.x/float64(len(s.outline)), middle.y+c.y/float64(len(s.outline))
	}
	return count*1000 >= exhausted*len(v.marks) && math.Abs(s.Pose.growth(middle)) <= closer
}
