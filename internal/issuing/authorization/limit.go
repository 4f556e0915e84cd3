package authorization

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
)

// Counters are the ledger's. One counts amounts unless its name has one of these parts.
const (
	countPayments = "/paid/"
	countUses     = "/uses"
)

// spentIn names the counter of what a card spent in a period of a window.
func spentIn(card issuing.CardID, w spending.Window, at time.Time) string {
	return "card/" + string(card) + "/spent/" + w.Period(at)
}

// bounds are the guards of one payment, and what passing each of them means.
type bounds struct {
	guards  []ledger.Guard
	reasons []Reason // of each guard
}

func (b *bounds) add(g ledger.Guard, reason Reason) {
	b.guards, b.reasons = append(b.guards, g), append(b.reasons, reason)
}

// monthly is the guard of a card's month. It has two limits: the BIN's is told first.
func monthly(c *issuing.Card, at time.Time) ledger.Guard {
	limit := int64(math.MaxInt64)
	if c.BIN.MaxMonthly.IsPositive() {
		limit = c.BIN.MaxMonthly.Minor
	}
	if own, ok := spending.Of(c.Controls.Limits, spending.PerMonth); ok && own.Amount.IsPositive() {
		limit = min(limit, own.Amount.Minor)
	}
	return ledger.Guard{Counter: spentIn(c.ID, spending.PerMonth, at), Limit: limit}
}

// boundsOf returns the guards of a payment, each with an amount or a count to be added. The month's is the first.
func boundsOf(c *issuing.Card, at time.Time, amount int64) bounds {
	var b bounds
	month := monthly(c, at)
	month.Add = amount
	b.add(month, ReasonSpendingLimit)
	prefix := "card/" + string(c.ID)
	for _, l := range c.Controls.Limits {
		if l.Window == spending.PerPayment {
			continue
		}
		if l.Amount.IsPositive() && l.Window != spending.PerMonth {
			b.add(ledger.Guard{Counter: spentIn(c.ID, l.Window, at), Add: amount, Limit: l.Amount.Minor}, ReasonSpendingLimit)
		}
		if l.Count > 0 {
			b.add(ledger.Guard{Counter: prefix + countPayments + l.Window.Period(at), Add: 1, Limit: l.Count}, ReasonCountLimit)
		}
	}
	if c.Tier.Currency == c.BIN.Currency {
		b.tier(c, at, amount)
	}
	if c.Controls.SingleUse {
		b.add(ledger.Guard{Counter: prefix + countUses, Add: 1, Limit: 1}, ReasonUsed)
	}
	return b
}

// tier adds what a cardholder may spend with all cards together.
func (b *bounds) tier(c *issuing.Card, at time.Time, amount int64) {
	prefix := "cardholder/" + c.Spender()
	for _, l := range c.Tier.Limits {
		if l.Window == spending.PerPayment {
			continue
		}
		if l.Amount.IsPositive() {
			b.add(ledger.Guard{Counter: prefix + "/spent/" + l.Window.Period(at), Add: amount, Limit: l.Amount.Minor}, ReasonTierLimit)
		}
		if l.Count > 0 {
			b.add(ledger.Guard{Counter: prefix + countPayments + l.Window.Period(at), Add: 1, Limit: l.Count}, ReasonTierLimit)
		}
	}
}

// counted names the counters beside the month's, to give back what was added.
func (b *bounds) counted() string {
	var names []string
	for _, g := range b.guards[1:] {
		names = append(names, g.Counter)
	}
	return strings.Join(names, " ")
}

// passed says what it means that a guard refused a payment.
func (b *bounds) passed(err error, c *issuing.Card) (Reason, int) {
	refusal := fault.From(err)
	for i, g := range b.guards {
		if refusal.Details["counter"] != g.Counter {
			continue
		}
		used, _ := strconv.ParseInt(refusal.Details["used"], 10, 64) // the ledger wrote it
		if most := c.BIN.MaxMonthly; i == 0 && most.IsPositive() && used+g.Add > most.Minor {
			return ReasonMaxMonthly, i
		}
		return b.reasons[i], i
	}
	return ReasonSpendingLimit, 0
}

// left returns how much the guard that refused a payment still lets through; nothing where
// it counts payments.
func (b *bounds) left(err error, place int) int64 {
	g, refusal := &b.guards[place], fault.From(err)
	used, unknown := strconv.ParseInt(refusal.Details["used"], 10, 64)
	if unknown != nil || refusal.Details["counter"] != g.Counter || isCount(g.Counter) {
		return 0
	}
	return g.Limit - used
}

// again returns guards that add more to a payment's counters, in the periods in which it
// began: a payment counts where it began. Where the card has no limit any more it counts
// on without one, since what is let go of the payment is given back there.
func (p *payment) again(c *issuing.Card, amount int64) bounds {
	all := boundsOf(c, p.CreatedAt, amount)
	var b bounds
	b.add(all.guards[0], all.reasons[0])
	for name := range strings.FieldsSeq(p.counted) {
		if isCount(name) {
			continue
		}
		g, reason := ledger.Guard{Counter: name, Add: amount, Limit: math.MaxInt64}, ReasonSpendingLimit
		if i := slices.IndexFunc(all.guards, func(g ledger.Guard) bool { return g.Counter == name }); i >= 0 {
			g, reason = all.guards[i], all.reasons[i]
		}
		b.add(g, reason)
	}
	return b
}

// undoneOf names the counter of what reversals undid of all that a payment captured. A
// payment of which nothing is left does not count as one.
func undoneOf(payment ID) string { return kindReverse + "/" + string(payment) }

// counters returns guards that add an amount to everything that the payment counted in,
// without limits. A negative one gives back; whole says that the payment itself is undone,
// so that it does not count as one either.
func (p *payment) counters(amount int64, whole bool) []ledger.Guard {
	guards := []ledger.Guard{{Counter: spentIn(p.Card, spending.PerMonth, p.CreatedAt), Add: amount, Limit: math.MaxInt64}}
	for name := range strings.FieldsSeq(p.counted) {
		switch {
		case !isCount(name):
			guards = append(guards, ledger.Guard{Counter: name, Add: amount, Limit: math.MaxInt64})
		case whole:
			guards = append(guards, ledger.Guard{Counter: name, Add: -1, Limit: math.MaxInt64})
		}
	}
	return guards
}

func isCount(counter string) bool {
	return strings.Contains(counter, countPayments) || strings.HasSuffix(counter, countUses)
}
