package landmark

import (
	"math"
	"math/bits"
	"slices"
	"sync"
)

// pair are two places around a mark of which the description says which is brighter
// (BRIEF: Calonder and others, 2010; turned with the mark as in ORB: Rublee and others, 2011).
type pair struct{ ax, ay, bx, by int8 }

const (
	pairs = 256
	// wordBits is how many of the first pairs make a mark's word.
	wordBits = 32
	// reach is how far from a mark the places are at most, in pixels.
	reach = 14
)

// patterns are the pairs for each direction of a mark. What is kept of photos depends on
// them: they never change.
var patterns = sync.OnceValue(func() *[turns][pairs]pair {
	var all [turns][pairs]pair
	state := uint64(0x5eed)
	for i := range pairs {
		ax, ay, bx, by := drawPair(&state, 4)
		for turn := range turns {
			sin, cos := math.Sincos(2 * math.Pi * float64(turn) / turns)
			all[turn][i] = pair{
				int8(math.Round(float64(ax*cos) - float64(ay*sin))), int8(math.Round(float64(ax*sin) + float64(ay*cos))),
				int8(math.Round(float64(bx*cos) - float64(by*sin))), int8(math.Round(float64(bx*sin) + float64(by*cos))),
			}
		}
	}
	return &all
})

// drawPair draws two places, near the middle more often, at least so far from each other.
func drawPair(state *uint64, least float64) (ax, ay, bx, by float64) {
	for {
		ax, ay, bx, by = drawPlace(state), drawPlace(state), drawPlace(state), drawPlace(state)
		if math.Hypot(ax, ay) <= reach && math.Hypot(bx, by) <= reach && math.Hypot(ax-bx, ay-by) >= least {
			return ax, ay, bx, by
		}
	}
}

// drawPlace returns a number about 0, the sum of four draws.
func drawPlace(state *uint64) float64 {
	sum := 0.0
	for range 4 {
		*state += 0x9e3779b97f4a7c15 // splitmix64
		z := *state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		sum += float64((z^z>>31)>>11)/(1<<53) - 0.5
	}
	return math.Round(sum * 12)
}

// describe returns the description of what is around a pixel.
func describe(p *plane, x, y int, angle uint8) (d [4]uint64) {
	middle := y*p.w + x
	pattern := &patterns()[angle]
	for i := range pattern {
		q := &pattern[i]
		if p.pix[middle+int(q.ay)*p.w+int(q.ax)] < p.pix[middle+int(q.by)*p.w+int(q.bx)] {
			d[i/64] |= 1 << (i % 64)
		}
	}
	return d
}

// doubts returns the bits of a mark's word that another photo may turn over first: those of
// places that are about as bright as each other.
func doubts(p *plane, x, y int, angle uint8) (weak [doubted]uint8) {
	var by [wordBits]int
	middle := y*p.w + x
	for i := range by {
		q := &patterns()[angle][i]
		d := int(p.pix[middle+int(q.ay)*p.w+int(q.ax)]) - int(p.pix[middle+int(q.by)*p.w+int(q.bx)])
		by[i] = max(d, -d)*wordBits + i
	}
	slices.Sort(by[:])
	for i := range weak {
		weak[i] = uint8(by[i] % wordBits)
	}
	return weak
}

// differ returns in how many of 256 bits two descriptions differ.
func differ(a, b *[4]uint64) int {
	return bits.OnesCount64(a[0]^b[0]) + bits.OnesCount64(a[1]^b[1]) + bits.OnesCount64(a[2]^b[2]) + bits.OnesCount64(a[3]^b[3])
}
