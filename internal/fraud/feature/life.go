package feature

import (
	"math"
	"unsafe"

	"github.com/scripcards/scrip/internal/fraud/keep"
)

// Lives is what is known of cards since they were activated: when that was, when money was
// put on them, how often they were asked for since, and how many of the numbers around
// were activated lately. Only an activation or a reload makes an entry, so that asking for
// numbers, however many, pushes no card out. It is safe for concurrent use.
//
// It promises that being told the same activation or reload again changes nothing, and
// that one which is told late counts as of when it was.
type Lives struct {
	cards *keep.Table[life]
	hoods *keep.Table[hood]
}

// life is what is known of one card.
type life struct {
	activated, reloaded seconds // 0: never heard of
	asks                uint32  // since the newest of both
}

// hood is what is known of some numbers around a card.
type hood struct {
	last  seconds
	fresh float64 // activations, half of which fade with each day
}

// hoodRoles are the neighbourhoods that are counted.
var hoodRoles = [...]Role{Ten, Hundred, Range}

// LifeWidth is how many numbers of a card's life there are, and of the numbers around it.
const LifeWidth = cardLife + len(hoodRoles)

// Places of the numbers of a card's life.
const (
	lifeActivated = iota
	lifeAge
	lifeReload
	lifeAsks
	cardLife
)

// LifeVector is those numbers of one event, in the order of LifeNames. NaN is unknown.
type LifeVector [LifeWidth]float32

// LifeNames returns the names of the numbers, with whose they are: activated is 1 of a
// card of which that was heard, and 0 else; hours are since then; asks are events since
// the newest activation or reload; activations_1d fade, half of them in a day.
func LifeNames() (names [LifeWidth]string, roles [LifeWidth]Role) {
	for i, name := range [cardLife]string{"activated", "hours_since_activation", "hours_since_reload", "asks_since"} {
		names[i], roles[i] = name, Card
	}
	for i, role := range hoodRoles {
		names[cardLife+i], roles[cardLife+i] = "activations_1d", role
	}
	return names, roles
}

// What an activation and an event of a card are worth when there is no room for all.
const (
	newsHeat = 4
	cardPart = 70 // hundredths of the memory that cards have
)

// NewLives returns lives of nobody, of at most so many bytes.
func NewLives(memory int64) *Lives {
	one := memory / 100
	return &Lives{cards: keep.New[life](cardPart*one/int64(unsafe.Sizeof(life{})+overhead), longLife),
		hoods: keep.New[hood]((100-cardPart)*one/int64(unsafe.Sizeof(hood{})+overhead), shortLife)}
}

// Hear takes in that a card was activated or reloaded.
func (l *Lives) Hear(e *Event) {
	k, at := keep.Key(e.Keys[Card]), secondsOf(e.At)
	if k == 0 {
		return
	}
	shard := l.cards.Open(k)
	first := l.cards.Touch(shard, keep.Touch{Key: k, Now: second(at), Heat: newsHeat}).hear(at, e.Kind)
	shard.Close()
	if !first {
		return
	}
	for _, role := range hoodRoles {
		if k := keep.Key(e.Keys[role]); k != 0 {
			shard := l.hoods.Open(k)
			l.hoods.Touch(shard, keep.Touch{Key: k, Now: second(at), Heat: newsHeat}).add(at)
			shard.Close()
		}
	}
}

// hear reports whether a card was activated that was not before.
func (c *life) hear(at seconds, kind Kind) (first bool) {
	switch {
	case kind == Activation && c.activated == 0:
		first = true
		c.activated = at
	case kind == Reload && at > c.reloaded:
		c.reloaded = at
	default:
		return false
	}
	c.asks = 0
	return first
}

// add counts an activation, faded where it is told late.
func (h *hood) add(at seconds) {
	if at < h.last {
		h.fresh += fading(h.last - at)
		return
	}
	h.fresh = h.fresh*fading(at-h.last) + 1
	h.last = at
}

// fading is what is left of one after a time.
func fading(passed seconds) float64 { return math.Exp2(-max(0, float64(passed/day))) }

// See writes what is known of an event's card and the numbers around into v, and counts
// the event.
func (l *Lives) See(e *Event, v *LifeVector) {
	*v = LifeVector{lifeAge: unknown, lifeReload: unknown, lifeAsks: unknown}
	at := secondsOf(e.At)
	if k := keep.Key(e.Keys[Card]); k != 0 {
		shard := l.cards.Open(k)
		if c := shard.Find(k); c != nil {
			c.read(at, v)
			l.cards.Touch(shard, keep.Touch{Key: k, Now: second(at), Heat: seeHeat})
			c.asks++
		}
		shard.Close()
	}
	for i, role := range hoodRoles {
		k := keep.Key(e.Keys[role])
		if k == 0 {
			continue
		}
		shard := l.hoods.Open(k)
		if h := shard.Find(k); h != nil {
			v[cardLife+i] = float32(h.fresh * fading(at-h.last))
		}
		shard.Close()
	}
}

func (c *life) read(at seconds, v *LifeVector) {
	v[lifeAsks] = float32(c.asks)
	if c.activated != 0 {
		v[lifeActivated], v[lifeAge] = 1, hoursSince(at, c.activated)
	}
	if c.reloaded != 0 {
		v[lifeReload] = hoursSince(at, c.reloaded)
	}
}

func hoursSince(at, then seconds) float32 { return float32(max(0, at-then) / hour) }

// Append appends all that is known. Nobody uses the lives meanwhile.
func (l *Lives) Append(to []byte) []byte { return l.hoods.Append(l.cards.Append(to)) }

// Load fills lives of nobody with what Append wrote, and returns what follows it.
func (l *Lives) Load(from []byte) ([]byte, error) {
	left, err := l.cards.Load(from)
	if err != nil {
		return nil, err
	}
	return l.hoods.Load(left)
}
