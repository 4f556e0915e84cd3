package statement_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/statement"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// history is a random life of a wallet and its cards.
type history struct {
	*process
	dice   *rand.Rand
	cards  []issuing.CardID
	paid   []authorization.Decision
	taken  []string          // the keys of purchases
	finals map[string]string // what final statements were, by subject and month
}

// At every point of a long random history of several months: a month begins with what the
// one before ended with, and its movements lead from there to its end, for what is posted
// and for what is held; totals are the sums of their movements; pages of any size are the
// same movements; all cards and the wallet together are what the rest of the book is; and
// what was final does not change by a byte.
func TestIdentities(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		seed := uint64(20261128)
		if !testing.Short() {
			seed = rand.Uint64()
		}
		t.Logf("seed %d", seed)
		h := &history{process: p, dice: rand.New(rand.NewPCG(seed, 1)), finals: map[string]string{}}
		h.load(50_000_000)
		for range 4 {
			h.cards = append(h.cards, h.issue(50_000))
		}
		for range 5 {
			for range 40 {
				h.step()
			}
			h.compare()
			if t.Failed() {
				return
			}
		}
		for _, one := range h.cards { // once more, with everything that is final by then
			h.check(of(one))
		}
		h.check(purse)
	})
}

// refusable are the faults that a step may end with: the history does not look before it leaps.
func (h *history) refusable(err error) {
	h.t.Helper()
	switch fault.CodeOf(err) {
	case "", fault.InvalidState, fault.InsufficientFunds, fault.InvalidAmount, fault.NotFound:
	default:
		check.OK(h.t, err)
	}
}

func (h *history) step() {
	h.t.Helper()
	ctx, amount := h.t.Context(), int64(1+h.dice.IntN(20_000))
	at := h.dice.IntN(len(h.cards))
	card, merchant := h.cards[at], []authorization.Merchant{ads, diner}[h.dice.IntN(2)]
	var some authorization.Advice
	if len(h.paid) > 0 {
		some = authorization.Advice{Payment: h.paid[h.dice.IntN(len(h.paid))].ID, Final: h.dice.IntN(3) == 0}
		if h.dice.IntN(2) == 0 {
			some.Amount = usd(1 + amount/4)
		}
	}
	switch h.dice.IntN(17) {
	case 0:
		h.load(amount)
	case 1:
		h.deposit(amount, amount/50+1, h.dice.IntN(4) == 0)
	case 2, 3, 4:
		if d := h.pay(card, amount, merchant); d.Approved {
			h.paid = append(h.paid, d)
		}
	case 5, 6:
		h.about(h.Payments.Capture, some)
	case 7:
		h.about(h.Payments.Refund, some)
	case 8:
		h.about(h.Payments.Reverse, some)
	case 9:
		h.about(h.Payments.Post, authorization.Advice{Card: card, Amount: usd(amount * 2), Merchant: merchant})
	case 10:
		_, err := h.Cards.Fund(ctx, ann, issuing.Transfer{Card: card, Amount: usd(amount + 100)})
		h.refusable(err)
	case 11:
		_, err := h.Cards.Withdraw(ctx, ann, issuing.Transfer{Card: card, Amount: usd(amount)})
		h.refusable(err)
	case 12:
		if h.dice.IntN(6) == 0 {
			_, err := h.Cards.Terminate(ctx, ann, issuing.Ending{Card: card})
			h.refusable(err)
			h.cards = append(h.cards, h.issue(10_000))
		}
	case 13:
		d, err := h.Payments.StandIn(ctx, authorization.Advice{Book: ann.Book, Card: card, Amount: usd(amount * 2), Merchant: merchant, Key: h.key()})
		check.OK(h.t, err)
		h.paid = append(h.paid, d)
	case 15:
		h.purchase(card, amount, merchant)
	case 16:
		if len(h.taken) > 0 {
			h.about(h.Payments.Reverse, authorization.Advice{Card: card, Original: h.taken[h.dice.IntN(len(h.taken))], Amount: some.Amount})
		}
	case 14:
		h.clock.Advance(time.Duration(h.dice.Int64N(int64(12 * day))))
		_, err := h.Payments.Expire(ctx)
		check.OK(h.t, err)
		_, err = h.Cards.Expire(ctx)
		check.OK(h.t, err)
	}
}

func (h *history) purchase(card issuing.CardID, minor int64, m authorization.Merchant) {
	h.t.Helper()
	key := h.key()
	d, err := h.Payments.Authorize(h.t.Context(), authorization.Request{Book: ann.Book, Card: card, Key: key, Amount: usd(minor), Merchant: m, Captured: true})
	check.OK(h.t, err)
	if d.Approved {
		h.paid, h.taken = append(h.paid, d), append(h.taken, key)
	}
}

func (h *history) about(do sender, a authorization.Advice) {
	h.t.Helper()
	if a.Payment == "" && a.Card == "" {
		return
	}
	a.Book, a.Key = ann.Book, h.key()
	_, err := do(h.t.Context(), a)
	h.refusable(err)
}

// compare holds statements against one another, and against the rest of the book.
func (h *history) compare() {
	h.t.Helper()
	ends := map[string]int64{}
	for _, subject := range h.subjects() {
		h.check(subject)
		months, _, err := h.Months(h.t.Context(), ann, subject, statement.Page{Skip: 0, Limit: statement.MaxMonths})
		check.OK(h.t, err)
		for _, st := range months {
			ends[st.Month.String()] += st.Closing.Posted.Minor
		}
	}
	for month, sum := range ends {
		m, err := statement.ParseMonth(month)
		check.OK(h.t, err)
		check.Equal(h.t, "the rest of the book at the end of "+month, h.rest(m), sum)
	}
}

func (h *history) subjects() []statement.Subject {
	all := []statement.Subject{purse}
	for _, card := range h.cards {
		all = append(all, of(card))
	}
	return all
}

// rest is what the accounts that have no statements say is on those that have: what was
// paid in and is owed by the customer, less what was kept and is owed to others.
func (h *history) rest(m statement.Month) (sum int64) {
	h.t.Helper()
	for _, prefix := range []string{"wallet.", "card."} {
		found, err := h.Books.ListAccounts(h.t.Context(), ann.Book, prefix, "", ledger.MaxPage)
		check.OK(h.t, err)
		for _, a := range found {
			then, err := h.Books.PositionAt(h.t.Context(), a, m.Until().Add(-time.Microsecond))
			check.OK(h.t, err)
			if a.Side == ledger.Debit {
				sum += then.Posted.Minor
			} else {
				sum -= then.Posted.Minor
			}
		}
	}
	return sum
}

// check holds all statements of an account against their own arithmetic and against what
// they were before.
func (h *history) check(subject statement.Subject) {
	h.t.Helper()
	months, total, err := h.Months(h.t.Context(), ann, subject, statement.Page{Skip: 0, Limit: statement.MaxMonths})
	check.OK(h.t, err)
	check.Equal(h.t, "months", len(months), total)
	before := statement.Money{Posted: usd(0), Held: usd(0)}
	for i := range months {
		m := months[len(months)-1-i].Month
		st, err := h.Get(h.t.Context(), ann, subject, m)
		check.OK(h.t, err)
		name := fmt.Sprint(subject, " ", m)
		check.Equal(h.t, name+": begins with", st.Opening, before)
		all := h.movements(&st, 1+h.dice.IntN(40))
		check.Equal(h.t, name+": movements", int64(len(all)), st.Count)
		before = h.follow(name, &st, all)
		check.Equal(h.t, name+": ends with", st.Closing, before)
		if diff := cmp.Diff(all, h.movements(&st, statement.MaxPage)); diff != "" {
			h.t.Errorf("%s: pages of another size are other movements:\n%s", name, diff)
		}
		h.keep(name, &st)
	}
}

// follow walks a statement's movements and returns what they lead to.
func (h *history) follow(name string, st *statement.Statement, all []statement.Movement) statement.Money {
	h.t.Helper()
	now, totals, kept := st.Opening, map[statement.Kind]statement.Total{}, int64(0)
	for i, v := range all {
		now.Posted.Minor += v.Amount.Minor
		now.Held.Minor += v.Held.Minor
		kept += v.Fee.Minor
		t, known := totals[v.Kind]
		if !known {
			t = statement.Total{Kind: v.Kind, Amount: usd(0), Held: usd(0)}
		}
		t.Count++
		t.Amount.Minor += v.Amount.Minor
		t.Held.Minor += v.Held.Minor
		totals[v.Kind] = t
		switch {
		case v.After != now:
			h.t.Fatalf("%s, movement %d: after it %v, want %v", name, v.Number, v.After, now)
		case v.Number != int64(i+1) || v.At.Before(st.Month.From()) || !v.At.Before(st.Month.Until()):
			h.t.Fatalf("%s: movement %d is number %d of %s", name, i+1, v.Number, v.At)
		case v.Kind == statement.Other || (v.Payment != "") != (v.Merchant.Name != ""):
			h.t.Fatalf("%s: movement %+v", name, v)
		case v.Kind == statement.Release && !v.Amount.IsZero():
			h.t.Fatalf("%s: a release that moves money: %+v", name, v)
		case (v.Fee.Minor != 0) != (v.Kind == statement.Deposit || v.Kind == statement.DepositUndone):
			h.t.Fatalf("%s: a %s with a fee of %s", name, v.Kind, v.Fee)
		}
	}
	check.Equal(h.t, name+": kinds with totals", len(st.Totals), len(totals))
	for _, t := range st.Totals {
		check.Equal(h.t, name+": total", t, totals[t.Kind])
	}
	check.Equal(h.t, name+": fees", st.Fees, usd(kept))
	return now
}

// keep compares a statement that is final with what it was before.
func (h *history) keep(name string, st *statement.Statement) {
	h.t.Helper()
	if !st.Final {
		return
	}
	var sheet, paper bytes.Buffer
	check.OK(h.t, h.WriteCSV(h.t.Context(), &sheet, st))
	check.OK(h.t, h.WritePDF(h.t.Context(), &paper, st))
	if now := sheet.String() + paper.String(); h.finals[name] == "" {
		h.finals[name] = now
	} else if h.finals[name] != now {
		h.t.Errorf("%s was final and has changed:\n%s", name, cmp.Diff(h.finals[name], now))
	}
}
