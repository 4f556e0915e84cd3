package authorization_test

import (
	"time"

	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
)

// ghost is a card as the oracle sees it: it knows in memory, by the rules alone, what
// every message must answer and leave.
type ghost struct {
	card
	posted    int64
	lent      int64 // in all
	settled   int64
	spent     int64
	frozen    bool
	threshold int64 // freezes below; 0: never
	limit     int64 // of a month; 0: none
	months    map[string]int64
	payments  []*spectre
	lines     int // of its history
}

// spectre is a payment as the oracle sees it.
type spectre struct {
	id         authorization.ID
	key        string // of the authorization
	at         authorization.Merchant
	began      time.Time
	expires    time.Time
	state      authorization.State
	authorized int64 // as placed and increased
	released   int64
	captured   int64 // from the hold
	over       int64 // beyond it, or without one
	refunded   int64
	single     int64 // of a purchase in one message
	undone     int64 // of it
	lent       int64 // for it, less what its refunds repaid
}

// verdict is what a message must answer.
type verdict struct {
	reason  authorization.Reason
	amount  int64
	balance int64
}

func (s *spectre) left() int64 {
	if s.state != authorization.StateOpen {
		return 0
	}
	return s.authorized - s.released - s.captured
}

func (g *ghost) held() (sum int64) {
	for _, s := range g.payments {
		sum += s.left()
	}
	return sum
}

func (g *ghost) available() int64 { return g.posted - g.held() }

// no is the verdict of a decline or refusal; a decline is a line of the history.
func (g *ghost) no(reason authorization.Reason, line bool) verdict {
	if line {
		g.lines++
	}
	return verdict{reason: reason, balance: g.available()}
}

// yes is the verdict of a message that did something.
func (g *ghost) yes(amount int64, line bool) verdict {
	if line {
		g.lines++
	}
	return verdict{amount: amount, balance: g.available()}
}

// pays freezes the card if its owner paid and too little is left.
func (g *ghost) pays() {
	if g.threshold > 0 && g.available() < g.threshold {
		g.frozen = true
	}
}

func month(at time.Time) string { return at.Format("2006-01") }

// ask is an authorization.
type ask struct {
	key     string
	at      authorization.Merchant
	amount  int64
	partial bool
	single  bool // in a single message
	now     time.Time
}

func (g *ghost) authorize(a ask) (verdict, *spectre) {
	switch {
	case g.frozen:
		return g.no(authorization.ReasonCardFrozen, true), nil
	case a.amount > 500_000:
		return g.no(authorization.ReasonMaxTransaction, true), nil
	}
	if room := g.limit - g.months[month(a.now)]; a.partial && g.passes(a.now, a.amount) && room > 0 {
		a.amount = room
	}
	if a.partial && a.amount > g.available() && g.available() > 0 && !g.passes(a.now, a.amount) {
		a.amount = g.available()
	}
	switch {
	case g.passes(a.now, a.amount):
		return g.no(authorization.ReasonSpendingLimit, true), nil
	case a.amount > g.available():
		return g.no(authorization.ReasonFunds, true), nil
	}
	long := 7 * day
	if a.at == inn {
		long = 30 * day
	}
	s := &spectre{key: a.key, at: a.at, began: a.now, expires: a.now.Add(long), state: authorization.StateOpen, authorized: a.amount}
	g.payments = append(g.payments, s)
	g.months[month(a.now)] += a.amount
	g.spent += a.amount
	if a.single {
		s.state, s.authorized, s.over, s.single = authorization.StateSettled, 0, a.amount, a.amount
		g.posted -= a.amount
		g.settled += a.amount
	}
	g.pays()
	return g.yes(a.amount, true), s
}

// passes reports whether an amount more would pass the month's limit.
func (g *ghost) passes(at time.Time, amount int64) bool {
	return g.limit > 0 && g.months[month(at)]+amount > g.limit
}

func (s *spectre) open(now time.Time) bool {
	return s.state == authorization.StateOpen && now.Before(s.expires)
}

func (g *ghost) increment(s *spectre, amount int64, now time.Time) verdict {
	switch {
	case !s.open(now):
		return g.no(authorization.ReasonEnded, false)
	case g.frozen:
		return g.no(authorization.ReasonCardFrozen, true)
	case g.passes(s.began, amount):
		return g.no(authorization.ReasonSpendingLimit, true)
	case amount > g.available():
		return g.no(authorization.ReasonFunds, true)
	}
	s.authorized += amount
	g.months[month(s.began)] += amount
	g.spent += amount
	g.pays()
	return g.yes(amount, true)
}

func (g *ghost) capture(s *spectre, amount int64, final bool, now time.Time) verdict {
	if !s.open(now) {
		return g.no(authorization.ReasonEnded, false)
	}
	left := s.left()
	if amount == 0 {
		amount = left
	}
	percent := map[authorization.Merchant]int64{diner: 20, inn: 15}[s.at]
	if amount > left && s.captured+amount > (s.authorized-s.released)*(100+percent)/100 {
		return g.no(authorization.ReasonOverCapture, false)
	}
	from := min(amount, left)
	s.captured += from
	g.posted -= from
	g.settled += amount
	switch {
	case amount > left:
		s.state = authorization.StateSettled
		s.over += amount - left
		g.count(s, amount-left)
		g.take(s, amount-left)
	case final || s.left() == 0:
		g.count(s, -s.left())
		s.state = authorization.StateSettled
	}
	return g.yes(amount, true)
}

// count adds to what the card spent, in the month in which a payment began.
func (g *ghost) count(s *spectre, amount int64) {
	g.months[month(s.began)] += amount
	g.spent += amount
}

// take posts what no hold gives, and lends what lacks.
func (g *ghost) take(s *spectre, amount int64) {
	lend := max(0, amount-g.available())
	g.lent += lend
	s.lent += lend
	g.posted += lend - amount
	g.pays()
}

func (g *ghost) reverse(s *spectre, amount int64) verdict {
	switch s.state {
	case authorization.StateSettled:
		return g.no(authorization.ReasonCaptured, false)
	case authorization.StateRefunded:
		return g.no(authorization.ReasonEnded, false)
	case authorization.StateOpen:
	default:
		return g.yes(0, false)
	}
	if amount > s.left() {
		return g.no(authorization.ReasonOverReversal, false)
	}
	if amount == 0 {
		amount = s.left()
	}
	g.release(s, amount, authorization.StateReversed)
	return g.yes(amount, false)
}

// undo is a reversal that names the message of a purchase.
func (g *ghost) undo(s *spectre, amount int64) verdict {
	left := min(s.single-s.undone, s.captured+s.over-s.refunded)
	switch {
	case amount > max(left, 0):
		return g.no(authorization.ReasonOverRefund, false)
	case left <= 0:
		return g.yes(0, false)
	case amount == 0:
		amount = left
	}
	s.refunded += amount
	s.undone += amount
	g.give(amount)
	g.months[month(s.began)] -= amount
	return g.yes(amount, true)
}

// complete is a capture whose rest is posted; the payment that was made of the rest, if any.
func (g *ghost) complete(s *spectre, amount int64, now time.Time) (verdict, *spectre) {
	v, rest := g.capture(s, amount, false, now), amount
	if v.reason == "" {
		return v, nil
	}
	if v.reason == authorization.ReasonOverCapture {
		rest -= s.left()
		g.capture(s, 0, true, now)
	}
	v, made := g.post(rest, diner, now)
	v.amount = amount
	return v, made
}

func (g *ghost) release(s *spectre, amount int64, as authorization.State) {
	s.released += amount
	g.count(s, -amount)
	if s.left() > 0 {
		return
	}
	s.state = as
	if s.captured > 0 {
		s.state = authorization.StateSettled
	}
}

func (g *ghost) refund(s *spectre, amount int64) verdict {
	left := s.captured + s.over - s.refunded
	if s.state == authorization.StateRefunded || left <= 0 || amount > left {
		return g.no(authorization.ReasonOverRefund, false)
	}
	if amount == 0 {
		amount = left
	}
	s.refunded += amount
	g.give(amount)
	return g.yes(amount, true)
}

func (g *ghost) give(amount int64) {
	g.posted += amount
	g.settled -= amount
	g.spent -= amount
}

func (g *ghost) refundAlone(amount int64) (verdict, *spectre) {
	s := &spectre{state: authorization.StateRefunded}
	g.payments = append(g.payments, s)
	g.give(amount)
	return g.yes(amount, true), s
}

func (g *ghost) post(amount int64, at authorization.Merchant, now time.Time) (verdict, *spectre) {
	s := &spectre{at: at, began: now, state: authorization.StateSettled, over: amount}
	g.payments = append(g.payments, s)
	g.count(s, amount)
	g.settled += amount
	g.take(s, amount)
	return g.yes(amount, true), s
}

// expire ends what is due and returns how many payments that were.
func (g *ghost) expire(now time.Time) (n int) {
	for _, s := range g.payments {
		if s.state == authorization.StateOpen && !now.Before(s.expires) {
			g.release(s, s.left(), authorization.StateExpired)
			n++
		}
	}
	return n
}

func (g *ghost) status() issuing.Status {
	if g.frozen {
		return issuing.Frozen
	}
	return issuing.Active
}
