package feature

import "math"

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
