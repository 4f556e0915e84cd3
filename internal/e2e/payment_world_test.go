package e2e

import (
	"fmt"
	"strconv"

	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/provider/simulator/acquirer"
)

// ghost is a card as the oracle of payments sees it: it knows by the rules alone what
// every message must be answered with, and what it leaves. Its rider alone uses it.
type ghost struct {
	id       issuing.CardID
	card     acquirer.Card
	posted   int64 // cents
	frozen   bool
	asked    int // often enough, and the card would look stolen
	payments []*payment
}

// payment is a payment as the oracle sees it.
type payment struct {
	first                                    *acquirer.Message
	purchase, open                           bool
	authorized, released, captured, refunded int64
	undone                                   int64 // of a purchase
	begun, back                              int64 // what was authorized first, and what partial reversals let go of that
	increments                               []*increment
}

// increment is what was added to a payment.
type increment struct {
	m              *acquirer.Message
	amount, undone int64
}

func (p *payment) left() int64 {
	if !p.open {
		return 0
	}
	return p.authorized - p.released - p.captured
}

func (g *ghost) held() (sum int64) {
	for _, p := range g.payments {
		sum += p.left()
	}
	return sum
}

func (g *ghost) available() int64 { return g.posted - g.held() }

// maxAsked keeps a card below what the fraud scores find remarkable.
const maxAsked = 9

// step does one thing with a card.
func (r *rider) step(g *ghost) {
	amount := int64(1 + r.random.IntN(3_000))
	switch dice := r.random.IntN(30); {
	case len(g.payments) == 0 || dice < 8:
		if g.asked++; g.asked <= maxAsked {
			r.authorize(g, amount, dice%3 == 0)
		}
	case dice < 22:
		r.about(g, g.payments[r.random.IntN(len(g.payments))], amount)
	case dice < 24:
		r.alone(g, amount)
	case dice < 26:
		r.reverseFirst(g, amount)
	case dice < 28:
		if answer := r.send("inquire", r.at.Inquire(g.card), map[bool]string{false: "00", true: "62"}[g.frozen]); !g.frozen && answer[54] != fmt.Sprintf("0002840C%012d", g.available()) && r.ctx.Err() == nil {
			r.t.Errorf("an inquiry finds %s, want %d", answer[54], g.available())
		}
	default:
		r.toggle(g)
	}
}

// plain is how a card is presented that is not used online, where a score asks for more.
func plain(m *acquirer.Message) *acquirer.Message { return m.With(22, "051").With(25, "00") }

func (r *rider) authorize(g *ghost, amount int64, purchase bool) {
	if r.random.IntN(12) == 0 {
		amount = g.available() + 1 + amount
	}
	what, m := "authorize", r.at.Authorize(g.card, amount)
	if purchase {
		what, m = "purchase", r.at.Purchase(g.card, amount)
	}
	m = plain(m)
	p := &payment{first: m, purchase: purchase, open: !purchase, authorized: amount}
	code := "00"
	switch available := g.available(); {
	case g.frozen:
		code = "62"
	case amount > 500_000:
		code = "61"
	case amount > available && available > 0 && r.random.IntN(2) == 0:
		p.first = m.With(48, m.Element(48)+acquirer.Tag("61", "1"))
		p.authorized, code = available, "10"
	case amount > available:
		code = "51"
	}
	answer := r.send(what, p.first, code)
	if code != "00" && code != "10" {
		if r.random.IntN(2) == 0 {
			r.send("reverse declined", r.at.Reverse(p.first), "00")
		}
		return
	}
	if code == "10" && answer[4] != fmt.Sprintf("%012d", p.authorized) && r.ctx.Err() == nil {
		r.t.Errorf("a part of %s, want %d", answer[4], p.authorized)
	}
	p.begun = p.authorized
	if purchase {
		p.captured, g.posted = p.authorized, g.posted-p.authorized
	}
	g.payments = append(g.payments, p)
}

// about sends a message about a payment.
func (r *rider) about(g *ghost, p *payment, amount int64) {
	switch dice := r.random.IntN(12); {
	case p.purchase && dice < 4:
		r.undo(g, p)
	case dice < 3:
		r.reverse(g, p, 0)
	case dice < 4:
		r.reverse(g, p, amount)
	case dice < 6 && !p.purchase:
		r.increment(g, p, amount)
	case dice < 7 && len(p.increments) > 0:
		r.unadd(p, p.increments[r.random.IntN(len(p.increments))])
	case dice < 10:
		r.complete(g, p, amount)
	default:
		r.refund(g, p, amount)
	}
}

// reverse says that so much less stands of an authorization than was asked for, of which
// less may have been approved, or undone before; it lets go of all when it is zero.
func (r *rider) reverse(g *ghost, p *payment, amount int64) {
	if p.purchase {
		r.undo(g, p)
		return
	}
	asked, err := strconv.ParseInt(p.first.Element(4), 10, 64)
	if err != nil {
		r.t.Error(err)
	}
	m, partial := r.at.Reverse(p.first), amount > 0 && amount < asked
	if partial {
		m = r.at.ReverseTo(p.first, asked-amount)
		amount = max(0, p.begun-p.back-(asked-amount))
	} else {
		amount = p.left()
	}
	code := "00"
	switch {
	case !p.open && p.captured > 0 && (amount > 0 || !partial): // what was undone before is undone by doing nothing
		code = "21"
	case p.open && amount > p.left():
		code = "13"
	}
	r.send("reverse", m, code)
	if p.open && code == "00" {
		if partial {
			p.back += amount
		}
		p.let(amount)
	}
}

// let releases an amount, and ends a payment that has nothing left.
func (p *payment) let(amount int64) {
	p.released += amount
	p.open = p.left() > 0
}

// undo reverses a purchase.
func (r *rider) undo(g *ghost, p *payment) {
	r.send("undo", r.at.Reverse(p.first), "00")
	back := max(0, min(p.authorized-p.undone, p.captured-p.refunded))
	p.undone, p.refunded, g.posted = p.undone+back, p.refunded+back, g.posted+back
}

func (r *rider) increment(g *ghost, p *payment, amount int64) {
	m, code := plain(r.at.Increment(p.first, amount)), "00"
	switch {
	case !p.open:
		code = "21"
	case g.frozen:
		code = "62"
	case amount > g.available():
		code = "51"
	}
	r.send("increment", m, code)
	if code == "00" {
		p.authorized += amount
		p.increments = append(p.increments, &increment{m: m, amount: amount})
	}
}

// unadd reverses an increment.
func (r *rider) unadd(p *payment, of *increment) {
	code := "00"
	if !p.open && p.captured > 0 && of.undone < of.amount {
		code = "21"
	}
	r.send("unadd", r.at.Reverse(of.m), code)
	if back := min(of.amount-of.undone, p.left()); back > 0 {
		of.undone += back
		p.let(back)
	}
}

// complete takes an amount of a payment, or posts what goes beyond it.
func (r *rider) complete(g *ghost, p *payment, amount int64) {
	if left := p.left(); left > 0 && r.random.IntN(2) == 0 {
		amount = 1 + r.random.Int64N(left)
	}
	more := r.random.IntN(2) == 0
	r.send("complete", r.at.Complete(p.first, amount, more), "00")
	held := min(amount, p.left())
	p.captured += held
	g.posted -= held
	if !more || amount > held {
		p.released += p.left()
	}
	p.open = p.left() > 0
	g.take(amount - held)
}

// take posts what no hold gives; what the card lacks is lent to it.
func (g *ghost) take(amount int64) { g.posted += max(0, amount-g.available()) - amount }

func (r *rider) refund(g *ghost, p *payment, amount int64) {
	code, left := "00", p.captured-p.refunded
	if left > 0 && r.random.IntN(2) == 0 {
		amount = 1 + r.random.Int64N(left)
	}
	if amount > left {
		code = "13"
	}
	r.send("refund", r.at.Refund(p.first, amount), code)
	if code == "00" {
		p.refunded, g.posted = p.refunded+amount, g.posted+amount
	}
}

// alone takes or gives an amount without a payment.
func (r *rider) alone(g *ghost, amount int64) {
	if r.random.IntN(2) == 0 {
		r.send("credit", r.at.Credit(g.card, amount), "00")
		g.posted += amount
		return
	}
	r.send("force", r.at.Force(g.card, amount), "00")
	g.take(amount)
}

// reverseFirst sends a reversal before what it reverses.
func (r *rider) reverseFirst(g *ghost, amount int64) {
	late := plain(r.at.Authorize(g.card, amount))
	if amount%2 == 0 {
		late = plain(r.at.Purchase(g.card, amount))
	}
	r.send("reverse first", r.at.Reverse(late), "00")
	r.send("late", late, "12")
}
