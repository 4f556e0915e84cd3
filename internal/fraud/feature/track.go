package feature

import (
	"math"
	"math/bits"
)

// track is what is known of one key.
type track struct {
	last   seconds // of the newest event
	events count
	missed count
	wrong  count
	fraud  count // labels, as they arrived
	good   count
	spread [2]sketch // of other keys, see partner

	gap      float32 // mean of the logarithms of the gaps between events
	gapVar   float32
	amount   float32 // mean of the logarithms of amounts
	amountSq float32
	amounts  float32 // how many, fading by number
}

// memory is the weight of the newest in means that fade by number.
const memory = 1.0 / 32

// see counts an event. f is the fading since the newest before, partner is whose distinct
// ones are counted.
func (t *track) see(at seconds, f *fades, amount float32, partner Key) {
	if t.last != 0 && at > t.last {
		g := float32(math.Log2(1 + float64(at-t.last)))
		d := g - t.gap
		t.gap += d * memory
		t.gapVar += (d*d - t.gapVar) * memory
	}
	t.fadeAll(f)
	t.last = max(t.last, at)
	t.events.add(1)
	if partner != 0 {
		t.spread[0].add(at, hour, partner)
		t.spread[1].add(at, day, partner)
	}
	if amount > 0 {
		weight := max(1/(t.amounts+1), memory)
		t.amount += (amount - t.amount) * weight
		t.amountSq += (amount*amount - t.amountSq) * weight
		t.amounts++
	}
}

func (t *track) fadeAll(f *fades) {
	t.events.fade(f)
	t.missed.fade(f)
	t.wrong.fade(f)
	t.fraud.fade(f)
	t.good.fade(f)
}

// learn counts an outcome.
func (t *track) learn(at seconds, o Outcome) {
	f := fadesOver(at - t.last)
	t.fadeAll(&f)
	t.last = max(t.last, at)
	if o.Missed {
		t.missed.add(1)
	}
	if o.WrongSecret {
		t.wrong.add(1)
	}
}

// label counts a label that arrives.
func (t *track) label(at seconds, fraud bool) {
	f := fadesOver(at - t.last)
	t.fadeAll(&f)
	t.last = max(t.last, at)
	if fraud {
		t.fraud.add(1)
	} else {
		t.good.add(1)
	}
}

// sketch counts distinct keys within about one stretch of time: two bitmaps by turns.
type sketch struct {
	turn    uint32
	current [4]uint64
	before  [4]uint64
}

const sketchBits = 4 * 64

func (s *sketch) add(at, length seconds, k Key) {
	turn := uint32(at / length)
	switch {
	case turn == s.turn+1:
		s.before, s.current, s.turn = s.current, [4]uint64{}, turn
	case turn > s.turn:
		*s = sketch{turn: turn}
	}
	mixed := (uint64(k) ^ uint64(k)>>32) * 0x9e3779b97f4a7c15
	bit := (mixed ^ mixed>>29) * 0xbf58476d1ce4e5b9 >> 56
	s.current[bit/64] |= 1 << (bit % 64)
}

// estimate returns about how many distinct keys there were in this turn and the last.
func (s *sketch) estimate(at, length seconds) float32 {
	turn := uint32(at / length)
	zero := 0
	for i := range s.current {
		set := s.current[i] | s.before[i]
		switch {
		case turn == s.turn+1:
			set = s.current[i]
		case turn > s.turn:
			set = 0
		}
		zero += 64 - bits.OnesCount64(set)
	}
	return float32(sketchBits * math.Log(sketchBits/max(float64(zero), 0.5)))
}
