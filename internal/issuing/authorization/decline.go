package authorization

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// decline keeps a decline as the answer to its message, or returns the answer that
// somebody else kept first.
func (s *Service) decline(ctx context.Context, a *attempt, reason Reason) (Decision, error) {
	l := a.line(TypeDecline, a.request.Amount, a.at)
	l.Reason, l.payment.State, l.payment.EndedAt, l.payment.counted = reason, StateDeclined, a.at, ""
	return s.keep(ctx, a, &l)
}

// verified keeps that a card was found to be in order: an authorization of nothing.
func (s *Service) verified(ctx context.Context, a *attempt) (Decision, error) {
	l := a.line(TypeAuthorization, a.request.Amount, a.at)
	var err error
	if l.Code, err = s.draw(approvalDigits); err != nil {
		return Decision{}, err
	}
	l.payment.State, l.payment.EndedAt = StateReversed, a.at
	return s.keep(ctx, a, &l)
}

// keep writes down a line that moves nothing.
func (s *Service) keep(ctx context.Context, a *attempt, l *line) (Decision, error) {
	var err error
	if l.Balance, err = s.available(ctx, a.card); err != nil {
		return Decision{}, err
	}
	effects := s.rows(l)
	if !l.declined() {
		effects = append(effects, s.linked(l)...)
	}
	err = s.DB.Apply(ctx, effects)
	if storage.IsUnique(err) {
		return s.other(ctx, a)
	}
	return l.begins(), err
}

// see declines a payment that was reversed before it came.
func (s *Service) see(ctx context.Context, a *attempt, unseen *line) (Decision, error) {
	l := a.line(TypeDecline, a.request.Amount, a.at)
	l.ID, l.payment.ID, l.Reason = unseen.ID, unseen.payment.ID, ReasonReversed
	var err error
	if l.Balance, err = s.available(ctx, a.card); err != nil {
		return Decision{}, err
	}
	m, p := &l.payment.Merchant, &l.payment
	effects := []storage.Effect{
		seePayment.With(string(p.Book), string(p.ID), m.ID, m.Name, searchable(m.Name), m.MCC, m.City, m.Country, m.Terminal, m.Acquirer,
			string(p.Entry), string(p.Challenge)).Exactly(1),
		seeLine.With(string(p.Book), string(l.ID), l.print[:], l.amount.Minor, l.Balance.Minor, l.Original.Currency.String(), l.Original.Minor,
			string(l.Reason), storage.NullMicros(l.PresentedAt), storage.Micros(l.At)).Exactly(1),
	}
	effects = append(effects, s.events(&l)...)
	err = s.DB.Apply(ctx, effects)
	if errors.Is(err, storage.ErrStale) { // it came twice at once
		return s.other(ctx, a)
	}
	return l.decision(), err
}

// neverSeen keeps a reversal whose payment did not come, and under the payment's key that
// it is to be declined when it comes. It reports whether the payment came meanwhile.
func (s *Service) neverSeen(ctx context.Context, a *Advice, m message, c *issuing.Card) (Decision, bool, error) {
	at, none := s.Clocks.Now(c.Realm), money.New(0, c.BIN.Currency)
	theirs := unseen(c, a.Original, at)
	own := line{message: m, payment: theirs.payment, ID: TransactionID(id.New(transactionPrefix)), Type: StepReversal, amount: none, PresentedAt: a.At, At: at}
	var err error
	if own.Balance, err = s.available(ctx, c); err != nil {
		return Decision{}, false, err
	}
	err = s.DB.Apply(ctx, append(s.rows(theirs), insertLine.Row(own.row()...)))
	if storage.IsUnique(err) {
		return Decision{}, true, nil
	}
	return own.decision(), false, err
}

// unseen is what stands under the key of a message that was reversed before it came.
func unseen(c *issuing.Card, key string, at time.Time) *line {
	none := money.New(0, c.BIN.Currency)
	p := payment{Book: c.Book, ID: ID(id.New(paymentPrefix)), Realm: c.Realm, Card: c.ID, State: stateUnseen, CreatedAt: at, EndedAt: at, revision: 1}
	return &line{message: message{key: key}, payment: p, ID: TransactionID(id.New(transactionPrefix)), Type: stepUnseen, amount: none, Balance: none, At: at}
}

// refusal says in a payment's words why the books refused, or changes the shape of what
// is asked of them next.
func (s *Service) refusal(ctx context.Context, a *attempt, sh *shape, err error) (Reason, error) {
	var no *refused
	switch {
	case errors.As(err, &no):
		return no.reason, nil
	case errors.Is(err, errShape):
		sh.freeze = !sh.freeze
		return ReasonNone, nil
	case errors.Is(err, storage.ErrStale):
		return ReasonNone, err
	case errors.Is(err, ledger.ErrOverdrawn):
		return ReasonWallet, nil
	}
	if wants(err) {
		if ended, failed := s.endDue(ctx, a.card, &a.ended); ended || failed != nil {
			return ReasonNone, failed
		}
	}
	switch fault.CodeOf(err) {
	case fault.AccountFrozen:
		return ReasonCardFrozen, nil
	case fault.AccountClosed:
		return ReasonCardTerminated, nil
	case fault.NotFound:
		return ReasonCardInactive, nil
	case fault.InsufficientFunds:
		available, err := s.available(ctx, a.card)
		switch {
		case err != nil:
			return ReasonNone, err
		case available.Minor >= sh.amount: // funded meanwhile
			return ReasonNone, nil
		case !a.request.PartialAllowed || !available.IsPositive():
			return ReasonFunds, nil
		}
		sh.amount = available.Minor
		return ReasonNone, nil
	case fault.GuardExceeded:
		return s.bounded(ctx, a, sh, err)
	default:
		return ReasonNone, err
	}
}

// bounded says which limit a payment would pass, or asks for as much as that limit leaves
// where the merchant takes a part. Those but the month's are told only when the balance
// would do.
func (s *Service) bounded(ctx context.Context, a *attempt, sh *shape, err error) (Reason, error) {
	b := s.bounds(a, sh.amount)
	reason, place := b.passed(err, a.card)
	if left := b.left(err, place); a.request.PartialAllowed && reason != ReasonStandIn && left > 0 {
		sh.amount = left
		return ReasonNone, nil
	}
	if place == 0 {
		return reason, nil
	}
	available, err := s.available(ctx, a.card)
	if err == nil && available.Minor < sh.amount && (!a.request.PartialAllowed || !available.IsPositive()) {
		reason = ReasonFunds
	}
	return reason, err
}

// available returns what a card can spend now; zero for one that has no account any more, or yet.
func (s *Service) available(ctx context.Context, c *issuing.Card) (money.Amount, error) {
	account, err := s.Books.FindAccount(ctx, c.Book, c.Account().ID)
	if fault.CodeOf(err) == fault.NotFound {
		return money.New(0, c.BIN.Currency), nil
	}
	if err != nil {
		return money.Amount{}, err
	}
	return account.Available(), nil
}

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
	if !otherMoney(c) {
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
