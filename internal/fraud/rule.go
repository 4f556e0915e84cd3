package fraud

import (
	"slices"
	"time"
)

// signal is a name with the rules that speak in it. The one with the most points is
// heard, so that what two of them see counts once.
type signal struct {
	name string
	// telling: it depends on whether the card exists, or on what strangers did with it.
	telling bool
	rules   []rule
}

// audience is whose events a rule is about.
type audience uint8

const (
	everyone audience = iota
	keys              // callers with a key of their own
	pages             // pages that anybody can use
)

// rule gives points for what was counted of a subject in a window.
type rule struct {
	of   subject
	from audience
	// unproven: silent about who has a clean record.
	unproven bool
	// count is compared with the threshold: as it is, or as a percentage of itself and
	// among together, once these are at least least.
	count, among quantity
	least        int64
	window       window
	// Points grow in a straight line from low at the threshold to high at full.
	threshold, full int64
	low, high       int
}

// maxScore is the most that rules give: certainty is not theirs.
const maxScore = 99

// value returns what the rule looks at.
func (r *rule) value(f *facts) int64 {
	n := f[r.of][r.count][r.window]
	if r.among == nothing {
		return n
	}
	all := n + f[r.of][r.among][r.window]
	if all < r.least || all == 0 {
		return 0
	}
	return 100 * n / all
}

// points returns what a value is worth.
func (r *rule) points(value int64) int {
	switch {
	case value < r.threshold:
		return 0
	case value >= r.full:
		return r.high
	}
	return r.low + int(int64(r.high-r.low)*(value-r.threshold)/(r.full-r.threshold))
}

// asker is who a rule may be about.
type asker struct {
	public, proven bool
	// blind: rules that are elsewhere are silent.
	blind bool
}

// applies says whether the rule is about such an asker.
func (r *rule) applies(a asker) bool {
	return (r.from == everyone || (r.from == pages) == a.public) && !(r.unproven && a.proven) && !(a.blind && r.elsewhere())
}

// elsewhere says whether what the rule looks at depends on which numbers exist that a party
// asked for before: only existing cards have wrong PINs.
func (r *rule) elsewhere() bool { return r.of < parties && r.count == wrong }

// elsewhere says whether such a rule made the signal.
func (s *Signal) elsewhere() bool {
	return s.Telling && slices.Contains(subjectNames[:parties], s.Of)
}

// strongest returns the signal as its strongest rule gives it; without points where
// none speaks.
func (s *signal) strongest(f *facts, a asker) Signal {
	var best Signal
	for i := range s.rules {
		r := &s.rules[i]
		if !r.applies(a) {
			continue
		}
		value := r.value(f)
		if points := r.points(value); points > best.Points {
			best = Signal{
				Name: s.name, Of: subjectNames[r.of], Value: value, Threshold: r.threshold,
				Window: time.Duration(lengths[r.window]) * time.Second, Points: points, Telling: s.telling,
			}
		}
	}
	return best
}

// MostSignals is as many as rules make of one event.
const MostSignals = 16

// Room is memory for what rules make of one event: it is there until it is used again.
type Room struct {
	all, shown [MostSignals]Signal
	told       Told
}

// judge scores a balance check. The signals are made in room, if there is some.
func judge(f *facts, public bool, room *Room) Score {
	return judgeBy(signals[:], f, asker{public: public, proven: f.proven(public)}, room)
}

// judgeBy adds up what speaks. Without room for the signals it makes some, of their number.
func judgeBy(table []signal, f *facts, a asker, room *Room) Score {
	var spoke []Signal
	if room != nil {
		spoke = speaking(table, f, a, room.all[:0])
	} else {
		var own [MostSignals]Signal
		spoke = slices.Clone(speaking(table, f, a, own[:0]))
	}
	if len(spoke) == 0 {
		return Score{}
	}
	score := Score{Hundredths: total(spoke), Signals: spoke}
	for i := range spoke {
		if !spoke[i].elsewhere() {
			continue
		}
		if room == nil {
			room = new(Room)
		}
		a.blind = true
		shown := speaking(table, f, a, room.shown[:0])
		room.told = Told{Hundredths: total(shown), Signals: shown}
		score.Shown = &room.told
		break
	}
	return score
}

// speaking appends what speaks, the strongest first; of equals, in the order of the table.
func speaking(table []signal, f *facts, a asker, spoke []Signal) []Signal {
	for i := range table {
		one := table[i].strongest(f, a)
		if one.Points == 0 {
			continue
		}
		at := len(spoke)
		spoke = append(spoke, one)
		for ; at > 0 && spoke[at-1].Points < one.Points; at-- {
			spoke[at] = spoke[at-1]
		}
		spoke[at] = one
	}
	return spoke
}

// total is the sum of the points: one signal more never makes it less.
func total(signals []Signal) int {
	sum := 0
	for i := range signals {
		sum += signals[i].Points
	}
	return min(sum, maxScore)
}
