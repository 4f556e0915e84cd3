package fraud

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// hash stands for a number, or for a block of a hundred.
func hash(kind byte, n uint64) Hash {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte{kind}, n))
}

// about is the part of an event that a number decides.
func about(n uint64) Event {
	return Event{Kind: Ping, Realm: realm.Live, Card: hash('n', n), Before: hash('n', n-1), After: hash('n', n+1), Block: hash('b', n/100)}
}

var (
	right   = Outcome{Found: true}
	unknown = Outcome{}
	badPIN  = Outcome{WrongPIN: true}
)

// Score counts an event and says how much it looks like theft.
func (e *Engine) Score(event Event) Score {
	if event.Kind == Authorization {
		return e.MeasurePayment(&event, new(PaymentRow), nil)
	}
	return e.Measure(&event, new(Row), nil)
}

// teller asks an engine, and remembers what it said last.
type teller struct {
	*Engine
	t    testing.TB
	now  time.Time
	last Score
}

func newTeller(t testing.TB) *teller {
	return &teller{t: t, now: noon, Engine: New(Config{Memory: 32 << 20, Proxies: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})}
}

// who asks, and from where.
type who struct {
	key, from string
	public    bool
}

var (
	shop     = who{key: "key_shop", from: "192.0.2.1"}
	stranger = who{key: "key_other", from: "203.0.113.9"}
	visiting = who{key: "portal_1", from: "192.0.2.77", public: true}
)

// asks is one ask with what came of it, after which time passes.
func (c *teller) asks(w who, n uint64, o Outcome, then time.Duration) {
	c.t.Helper()
	e := c.event(w, n)
	c.last = c.Score(e)
	checkScore(c.t, c.last)
	c.Learn(e, o)
	c.now = c.now.Add(then)
}

func (c *teller) event(w who, n uint64) Event {
	e := about(n)
	e.At, e.Book, e.Caller, e.Public = c.now, "book_1", w.key, w.public
	if w.from != "" {
		e.Address = netip.MustParseAddr(w.from)
	}
	return e
}

// signal returns what the last score says under a name.
func (c *teller) signal(name string) Signal {
	for _, s := range c.last.Signals {
		if s.Name == name {
			return s
		}
	}
	return Signal{}
}
