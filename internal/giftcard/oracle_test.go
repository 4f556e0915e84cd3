package giftcard_test

import (
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
)

// oracle knows in memory, by the rules alone, what every call must answer.
type oracle struct {
	rules giftcard.Rules
	cards []*ghost
	last  map[ledger.BookID]time.Time // the time of a book's last transaction: it never goes back
}

// ghost is a card as the oracle sees it.
type ghost struct {
	held    *held
	posted  int64
	blocked bool
	ended   giftcard.Status
	expires time.Time
	holds   []*reserved
	takes   []*take
	// cancelled is what was on it then.
	cancelled int64
}

type reserved struct {
	id      ledger.HoldID
	left    int64
	expires time.Time
}

// take is a redemption or capture that can be refunded.
type take struct {
	reference string
	left      int64
}

// verdict is what a call must answer.
type verdict struct {
	code    fault.Code
	amount  int64
	balance int64
	status  giftcard.Status
}

func (o *oracle) made(c *held, now time.Time) {
	g := &ghost{held: c, posted: c.Card.Amount.Minor, expires: now.Add(o.rules.Validity)}
	o.cards = append(o.cards, g)
	o.at(g, now)
}

// at moves a book's time to now and returns it.
func (o *oracle) at(g *ghost, now time.Time) time.Time {
	o.last[g.held.m.Book] = o.peek(g, now)
	return o.last[g.held.m.Book]
}

// peek is the time that a transaction would have.
func (o *oracle) peek(g *ghost, now time.Time) time.Time {
	if last := o.last[g.held.m.Book]; last.After(now) {
		return last
	}
	return now
}

func (g *ghost) reservedNow() (sum int64) {
	for _, h := range g.holds {
		sum += h.left
	}
	return sum
}

// overdue is what is still reserved by holds whose time is over.
func (g *ghost) overdue(now time.Time) (sum int64) {
	for _, h := range g.holds {
		if !now.Before(h.expires) {
			sum += h.left
		}
	}
	return sum
}

func (g *ghost) available() int64 { return g.posted - g.reservedNow() }

func (g *ghost) status(now time.Time) (giftcard.Status, int64) {
	switch {
	case g.ended != "":
		return g.ended, 0
	case g.posted == 0:
		return giftcard.Redeemed, 0
	case !now.Before(g.expires):
		return giftcard.Expired, 0
	}
	return giftcard.Created, g.available()
}

// over says why the card has ended, if it has.
func (g *ghost) over(now time.Time) fault.Code {
	switch {
	case g.ended == giftcard.Cancelled:
		return fault.CardCancelled
	case g.ended != "" || !now.Before(g.expires):
		return fault.CardExpired
	}
	return ""
}

func (g *ghost) spendable(now time.Time) fault.Code {
	if code := g.over(now); code != "" {
		return code
	}
	if g.blocked {
		return fault.CardBlocked
	}
	return ""
}

// moved is the verdict on a call that succeeded.
func (o *oracle) moved(g *ghost, amount int64, now time.Time) verdict {
	v := verdict{amount: amount}
	v.status, v.balance = g.status(o.at(g, now))
	return v
}

func (o *oracle) redeem(g *ghost, reference string, amount int64, now time.Time) verdict {
	if code := g.spendable(now); code != "" {
		return verdict{code: code}
	}
	if amount > g.available() {
		o.free(g, now)
	}
	if amount > g.available() {
		return verdict{code: fault.InsufficientFunds}
	}
	g.posted -= amount
	g.takes = append(g.takes, &take{reference, amount})
	return o.moved(g, amount, now)
}

func (o *oracle) reload(g *ghost, amount int64, now time.Time) verdict {
	if code := g.spendable(now); code != "" {
		return verdict{code: code}
	}
	g.posted += amount
	return o.moved(g, amount, now)
}

func (o *oracle) refund(g *ghost, t *take, amount int64, now time.Time) verdict {
	if code := g.over(now); code != "" {
		return verdict{code: code}
	}
	if amount > t.left {
		return verdict{code: fault.GuardExceeded}
	}
	t.left -= amount
	g.posted += amount
	return o.moved(g, amount, now)
}

type reserve struct {
	amount int64
	long   time.Duration
	now    time.Time
}

func (o *oracle) hold(g *ghost, r reserve) (verdict, *reserved) {
	if code := g.spendable(r.now); code != "" {
		return verdict{code: code}, nil
	}
	long := o.rules.HoldFor
	if r.long > 0 {
		long = min(long, r.long)
	}
	expires := r.now.Add(long)
	if expires.After(g.expires) {
		expires = g.expires
	}
	if !expires.After(o.peek(g, r.now)) { // the machine's clock went back behind the book's time
		return verdict{code: fault.InvalidRequest}, nil
	}
	if r.amount > g.available() {
		o.free(g, r.now)
	}
	if r.amount > g.available() {
		return verdict{code: fault.InsufficientFunds}, nil
	}
	h := &reserved{left: r.amount, expires: expires}
	g.holds = append(g.holds, h)
	return o.moved(g, r.amount, r.now), h
}

type ending struct {
	giftcard.End
	capture bool
	now     time.Time
}

func (o *oracle) end(g *ghost, h *reserved, e ending) verdict {
	amount := e.Amount.Minor
	if amount == 0 {
		amount = h.left
	}
	overdue := !o.peek(g, e.now).Before(h.expires)
	switch {
	case h.left == 0 || overdue:
		return verdict{code: fault.HoldEnded}
	case amount > h.left:
		return verdict{code: fault.HoldExceeded}
	}
	h.left -= amount
	if e.capture {
		g.posted -= amount
		g.takes = append(g.takes, &take{e.Reference, amount})
		if e.Final {
			h.left = 0
		}
	}
	return o.moved(g, amount, e.now)
}

func (o *oracle) cancel(g *ghost, now time.Time) verdict {
	switch {
	case g.ended == giftcard.Cancelled:
		return verdict{amount: g.cancelled}
	case g.over(now) != "":
		return verdict{code: g.over(now)}
	}
	if o.free(g, now); g.reservedNow() > 0 {
		return verdict{code: fault.InvalidState}
	}
	g.cancelled, g.posted, g.ended = g.posted, 0, giftcard.Cancelled
	o.at(g, now)
	return verdict{amount: g.cancelled}
}

// expireHolds ends the holds that are due and returns how many there were.
func (o *oracle) expireHolds(now time.Time) (n int) {
	for _, g := range o.cards {
		n += o.free(g, now)
	}
	return n
}

// free ends the holds of a card that are due and returns how many there were.
func (o *oracle) free(g *ghost, now time.Time) (n int) {
	for _, h := range g.holds {
		if h.left > 0 && !now.Before(h.expires) {
			h.left = 0
			o.at(g, now)
			n++
		}
	}
	return n
}

// expire ends the cards that are due and have no holds, and returns how many there were.
func (o *oracle) expire(now time.Time) (n int) {
	for _, g := range o.cards {
		if g.ended != "" || now.Before(g.expires) || g.reservedNow() > 0 {
			continue
		}
		g.ended = giftcard.Expired
		if g.posted == 0 {
			g.ended = giftcard.Redeemed
		}
		g.posted = 0
		o.at(g, now)
		n++
	}
	return n
}
