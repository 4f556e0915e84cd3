package fraud

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
)

// The simulation is two days of a platform: honest callers of every sort and
// thieves of every sort, on one engine, told apart by nothing but what they do.

// city is where cards are: of every hundred numbers a few exist.
type city struct {
	random *rand.Rand
	cards  []uint64 // that exist
	exist  map[uint64]bool
	fresh  uint64 // a batch of numbers one after the other that all exist
}

const (
	cityFirst = 6_000_000_000
	cityCards = 20_000
	cityPer   = 40 // numbers for each card
	batchSize = 300
)

func newCity(seed uint64) *city {
	c := &city{random: rand.New(rand.NewPCG(seed, 1)), exist: map[uint64]bool{}, fresh: 7_000_000_000}
	for range cityCards {
		n := cityFirst + c.random.Uint64N(cityCards*cityPer)
		c.cards = append(c.cards, n)
		c.exist[n] = true
	}
	for i := range uint64(batchSize) {
		c.exist[c.fresh+i] = true
	}
	return c
}

func (c *city) one() uint64 { return c.cards[c.random.IntN(len(c.cards))] }

// mistype changes one digit, or swaps two.
func (c *city) mistype(n uint64) uint64 {
	digits := []byte(fmt.Sprint(n))
	i := 1 + c.random.IntN(len(digits)-2)
	if c.random.IntN(3) == 0 {
		digits[i], digits[i+1] = digits[i+1], digits[i]
	} else {
		digits[i+c.random.IntN(2)] = byte('0' + c.random.IntN(10))
	}
	var wrong uint64
	_, _ = fmt.Sscan(string(digits), &wrong)
	return wrong
}

// try is one ask that somebody makes: a number, whether with the right PIN, from where.
type try struct {
	n    uint64
	pin  bool
	from netip.Addr
}

// actor is somebody who asks at intervals.
type actor struct {
	name   string
	caller string
	public bool
	from   netip.Addr
	// every is the mean pause; the actor begins at start and makes so many asks.
	start, every time.Duration
	asks         int
	// From ask number warmup on, so many in a thousand scores must be 80 or more.
	warmup, seen int
	next         func(c *city, i int) try

	at     time.Duration
	done   int
	scores []int
}

// queue orders actors by when they ask next.
type queue []*actor

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*actor)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// play lets all actors ask in the order of their times, and keeps every score.
func (c *city) play(e *Engine, actors []*actor) {
	q := queue{}
	for _, a := range actors {
		a.at = a.start
		q = append(q, a)
	}
	heap.Init(&q)
	for len(q) > 0 {
		a := q[0]
		c.turn(e, a)
		if a.done++; a.done >= a.asks {
			heap.Pop(&q)
			continue
		}
		a.at += time.Duration(c.random.ExpFloat64() * float64(a.every))
		heap.Fix(&q, 0)
	}
}

func (c *city) turn(e *Engine, a *actor) {
	try := a.next(c, a.done)
	event := about(try.n)
	event.At, event.Realm, event.Book, event.Caller, event.Public, event.Address = noon.Add(a.at), realm.Live, "book_1", a.caller, a.public, a.from
	if try.from.IsValid() {
		event.Address = try.from
	}
	a.scores = append(a.scores, e.Score(event).Hundredths)
	e.Learn(event, Outcome{Found: c.exist[try.n] && try.pin, WrongPIN: c.exist[try.n] && !try.pin})
}

// known asks for cards that exist, with some mistyped numbers and wrong PINs in a hundred.
func known(mistyped, wrongPIN int) func(*city, int) try {
	var again uint64
	return func(c *city, _ int) try {
		n := c.one()
		if again != 0 {
			n, again = again, 0
		}
		switch dice := c.random.IntN(100); {
		case dice < mistyped:
			again = n // who mistyped asks again
			return try{n: c.mistype(n), pin: true}
		case dice < mistyped+wrongPIN:
			again = n
			return try{n: n}
		}
		return try{n: n, pin: true}
	}
}

func ip(a, b, c, d int) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a), byte(b), byte(c), byte(d)})
}

// honest are a call centre, shops, a buyer who checks a fresh batch, and a portal's consumers.
func honest(c *city) []*actor {
	actors := []*actor{
		{name: "support desk", caller: "key_desk", from: ip(192, 0, 2, 10), every: 3 * time.Second, asks: 12_000, next: known(8, 5)},
		{name: "shop gateway", caller: "key_gate", from: ip(192, 0, 2, 20), every: 20 * time.Second, asks: 4000, next: known(12, 6)},
		{name: "bulk buyer", caller: "key_bulk", from: ip(192, 0, 2, 30), start: 9 * time.Hour, every: 2 * time.Second, asks: batchSize,
			next: func(c *city, i int) try { return try{n: c.fresh + uint64(i), pin: true} }},
		{name: "small shop", caller: "key_small", from: ip(192, 0, 2, 40), every: 10 * time.Minute, asks: 200, next: known(10, 5)},
	}
	for i := range 3000 {
		n := c.one()
		actors = append(actors, &actor{name: "consumer", caller: "portal_1", public: true, from: ip(100, 64+i/250, i%250, c.random.IntN(256)),
			start: time.Duration(c.random.Int64N(int64(44 * time.Hour))), every: time.Minute, asks: 1 + c.random.IntN(4),
			next: func(c *city, _ int) try {
				switch dice := c.random.IntN(100); {
				case dice < 12:
					return try{n: c.mistype(n), pin: true}
				case dice < 22:
					return try{n: n}
				}
				return try{n: n, pin: true}
			}})
	}
	return actors
}

// guess draws numbers where cards are, in some order.
func guess(number func(c *city, i int) uint64) func(*city, int) try {
	return func(c *city, i int) try { return try{n: number(c, i), pin: true} }
}

// spread makes each ask come from another address.
func spread(next func(*city, int) try, from func(i int) netip.Addr) func(*city, int) try {
	return func(c *city, i int) try {
		t := next(c, i)
		t.from = from(i)
		return t
	}
}

// thieves are the attacks that the rules are meant to see.
func thieves(c *city) []*actor {
	sequence := guess(func(_ *city, i int) uint64 { return cityFirst + 100_000 + uint64(i) })
	anywhere := guess(func(c *city, _ int) uint64 { return cityFirst + c.random.Uint64N(cityCards*cityPer) })
	victim := uint64(cityFirst - 5000) // nobody else asks for it
	c.exist[victim] = true
	hours := func(n int) time.Duration { return time.Duration(n) * time.Hour }
	return []*actor{
		{name: "sequence", caller: "key_t1", from: ip(203, 0, 1, 1), start: hours(5), every: 5 * time.Second, asks: 600, warmup: 40, seen: 940, next: sequence},
		{name: "anywhere", caller: "key_t2", from: ip(203, 0, 2, 1), start: hours(6), every: 5 * time.Second, asks: 600, warmup: 40, seen: 940, next: anywhere},
		{name: "slow", caller: "key_t3", from: ip(203, 0, 3, 1), every: 15 * time.Minute, asks: 180, warmup: 40, seen: 940, next: anywhere},
		{name: "stride", caller: "key_t4", from: ip(203, 0, 4, 1), start: hours(7), every: 10 * time.Second, asks: 400, warmup: 40, seen: 940,
			next: guess(func(_ *city, i int) uint64 { return cityFirst + 300_000 + 7*uint64(i) })},
		{name: "many addresses, one key", caller: "key_t5", start: hours(8), every: 5 * time.Second, asks: 600, warmup: 40, seen: 940,
			next: spread(anywhere, func(i int) netip.Addr { return ip(198, 18+i%2, i%250, i%199) })},
		{name: "one network, on a portal", caller: "portal_1", public: true, start: hours(9), every: 30 * time.Second, asks: 600, warmup: 40, seen: 940,
			next: spread(anywhere, func(i int) netip.Addr { return ip(203, 0, 9, i%200) })},
		{name: "one address, on a portal", caller: "portal_1", public: true, from: ip(203, 0, 10, 1), start: hours(10), every: 20 * time.Second, asks: 400, warmup: 40, seen: 940, next: anywhere},
		{name: "a sequence from everywhere, on a portal", caller: "portal_1", public: true, start: hours(12), every: 5 * time.Second, asks: 600, warmup: 40, seen: 600, // the first of each hundred pass
			next: spread(guess(func(_ *city, i int) uint64 { return cityFirst + 500_000 + uint64(i*37%100) + 100*uint64(i/100) }), func(i int) netip.Addr { return ip(11, i%250, i/250, 7) })},
		{name: "PINs of one card, from everywhere", caller: "portal_1", public: true, start: hours(14), every: time.Minute, asks: 400, warmup: 40, seen: 940,
			next: spread(func(*city, int) try { return try{n: victim} }, func(i int) netip.Addr { return ip(12, i%250, i/250, 7) })},
		{name: "one PIN for many cards", caller: "key_t6", from: ip(203, 0, 12, 1), start: hours(15), every: 10 * time.Second, asks: 400, warmup: 40, seen: 940,
			next: func(c *city, _ int) try { return try{n: c.one(), pin: c.random.IntN(50) == 0} }},
		{name: "half good cards", caller: "key_t7", from: ip(203, 0, 13, 1), start: hours(16), every: 10 * time.Second, asks: 800, warmup: 300, seen: 800,
			next: func(c *city, i int) try {
				if i%2 == 0 {
					return try{n: c.cards[i%20], pin: true} // the same ten, over and over
				}
				return anywhere(c, i)
			}},
	}
}

// Thieves of every sort reach 0.80 within a few asks and stay there, while a busy support desk, shops and a bulk buyer stay below 0.30.
func TestThievesAndHonestCallers(t *testing.T) {
	for seed := range uint64(3) {
		c := newCity(seed)
		good, bad := honest(c), thieves(c)
		c.play(New(Config{}), append(append([]*actor{}, good...), bad...))
		consumers := []int{}
		for _, a := range good {
			if a.public {
				consumers = append(consumers, a.scores...)
				continue
			}
			if _, most := share(a.scores, 30); most >= 30 {
				t.Errorf("seed %d: %s reached %d", seed, a.name, most)
			}
		}
		// Consumers whose cards are among the numbers that thieves try are seen with them.
		if over, _ := share(consumers, 30); over > 10 {
			t.Errorf("seed %d: %d in a thousand consumers' scores are 30 or more", seed, over)
		}
		if over, _ := share(consumers, 80); over > 3 {
			t.Errorf("seed %d: %d in a thousand consumers' scores are 80 or more", seed, over)
		}
		for _, a := range bad {
			if over, _ := share(a.scores[a.warmup:], 80); over < a.seen {
				t.Errorf("seed %d: %s: %d in a thousand scores are 80 or more, want %d; the first are %v", seed, a.name, over, a.seen, a.scores[:a.warmup])
			}
		}
	}
}

// share returns how many in a thousand scores are at least so much, and the most.
func share(scores []int, least int) (perMille, most int) {
	n := 0
	for _, s := range scores {
		most = max(most, s)
		if s >= least {
			n++
		}
	}
	return 1000 * n / len(scores), most
}
