package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
)

// dice draws a number from 0 up to n, n left out. Simulations throw seeded ones, property
// tests those that shrink.
type dice func(n int) int

func pick[T any](d dice, from ...T) T { return from[d(len(from))] }

// generator makes operations that suit a model: mostly sensible, often refused.
type generator struct {
	dice  dice
	names int // of keys and holds
}

var eur = func() money.Currency {
	c, err := money.Parse("EUR")
	if err != nil {
		panic(err)
	}
	return c
}()

// chart opens the accounts that generated operations use: few, so that they meet.
func chart(at time.Time) ledger.Operation {
	op := ledger.Operation{Kind: "chart", Key: "chart", At: at, Open: []ledger.NewAccount{
		{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true},
		{ID: "custody", Currency: usd, Side: ledger.Debit},
		{ID: "payable", Currency: usd, Side: ledger.Credit, Unbounded: true},
		{ID: "euros", Currency: eur, Side: ledger.Credit}}}
	for i := range 4 {
		op.Open = append(op.Open, ledger.NewAccount{ID: wallet(i), Currency: usd, Side: ledger.Credit})
		op.Postings = append(op.Postings, ledger.Posting{Debit: "cash", Credit: wallet(i), Amount: money.New(100, usd)})
	}
	return op
}

func wallet(i int) ledger.AccountID { return ledger.AccountID(fmt.Sprintf("wallet/%d", i)) }

func (g *generator) fresh(prefix string) string {
	g.names++
	return fmt.Sprintf("%s-%d", prefix, g.names)
}

// operation makes the next one, with a key of its own.
func (g *generator) operation(m *model, at time.Time) ledger.Operation {
	op := ledger.Operation{Kind: pick(g.dice, "pay", "load"), Key: g.fresh("key"), At: at}
	parts := pick(g.dice, 1, 1, 1, 2, 3)
	for range parts {
		g.part(&op, m)
	}
	return op
}

func (g *generator) part(op *ledger.Operation, m *model) {
	switch g.dice(16) {
	case 0, 1, 2:
		op.Postings = append(op.Postings, ledger.Posting{Debit: "cash", Credit: g.spender(), Amount: g.amount()})
	case 3, 4, 5:
		op.Postings = append(op.Postings, g.payment())
	case 6, 7, 8:
		op.Holds = append(op.Holds, g.hold(op.At))
	case 9, 10, 11:
		op.Holds = append(op.Holds, g.holdChange(m))
	case 12:
		op.Guards = append(op.Guards, ledger.Guard{Counter: pick(g.dice, "day", "week"), Add: int64(g.dice(60) - 20), Limit: 100})
		op.Postings = append(op.Postings, g.payment())
	case 13:
		if op.Reverses = "txn_unknown"; len(m.log) > 0 {
			op.Reverses = m.log[g.dice(len(m.log))].id
		}
	case 14:
		op.States = append(op.States, ledger.StateChange{Account: g.spender(), To: pick(g.dice, ledger.Open, ledger.Open, ledger.Frozen, ledger.Closed)})
	case 15:
		id := pick(g.dice, wallet(g.dice(4)), ledger.AccountID(fmt.Sprintf("extra/%d", g.dice(8))))
		op.Open = append(op.Open, ledger.NewAccount{ID: id, Currency: pick(g.dice, usd, usd, usd, eur), Side: ledger.Credit})
	}
}

func (g *generator) amount() money.Amount {
	return money.New(int64(1+g.dice(60)), pick(g.dice, usd, usd, usd, usd, usd, usd, usd, usd, usd, eur))
}

// spender is an account with a floor; one of them is hot.
func (g *generator) spender() ledger.AccountID {
	return pick(g.dice, wallet(0), wallet(0), wallet(1), wallet(2), wallet(3), "custody")
}

func (g *generator) payment() ledger.Posting {
	p := ledger.Posting{Debit: g.spender(), Credit: pick[ledger.AccountID](g.dice, "payable", "custody", "cash", "euros", "wallet/1", "nobody")}
	if p.Debit == p.Credit {
		p.Credit = "cash"
	}
	if p.All = g.dice(8) == 0; !p.All {
		p.Amount = g.amount()
	}
	return p
}

func (g *generator) hold(at time.Time) ledger.HoldChange {
	h := ledger.HoldChange{Action: ledger.Place, ID: ledger.HoldID(g.fresh("hold")), Debit: g.spender(), Credit: pick[ledger.AccountID](g.dice, "payable", "cash"), Amount: g.amount()}
	if minutes := g.dice(30); minutes > 10 {
		h.ExpiresAt = at.Add(time.Duration(minutes-11) * time.Minute)
	}
	return h
}

func (g *generator) holdChange(m *model) ledger.HoldChange {
	h := ledger.HoldChange{ID: "hold-unknown", Final: g.dice(3) == 0, Action: pick(g.dice, ledger.Capture, ledger.Capture, ledger.Release, ledger.Increase, ledger.Expire)}
	var known []ledger.HoldID
	for id, hold := range m.holds {
		if hold.state == ledger.HoldPending || g.names%7 == 0 {
			known = append(known, id)
		}
	}
	if slices.Sort(known); len(known) > 0 {
		h.ID = known[g.dice(len(known))]
	}
	if h.Action == ledger.Increase || g.dice(2) == 0 {
		h.Amount = g.amount()
	}
	return h
}

// describe says what op asks for, in one line.
func describe(op ledger.Operation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s key=%q at=%s", op.Book, op.Kind, op.Key, op.At.Format(time.TimeOnly))
	for _, o := range op.Open {
		fmt.Fprintf(&b, " open(%s %s %s)", o.ID, o.Side, o.Currency)
	}
	for _, h := range op.Holds {
		fmt.Fprintf(&b, " %s(%s %s->%s %s %s final=%t)", h.Action, h.ID, h.Debit, h.Credit, h.Amount, h.Amount.Currency, h.Final)
	}
	for _, p := range op.Postings {
		fmt.Fprintf(&b, " post(%s->%s %s %s all=%t)", p.Debit, p.Credit, p.Amount, p.Amount.Currency, p.All)
	}
	for _, g := range op.Guards {
		fmt.Fprintf(&b, " count(%s %d/%d)", g.Counter, g.Add, g.Limit)
	}
	for _, s := range op.States {
		fmt.Fprintf(&b, " state(%s %s)", s.Account, s.To)
	}
	if op.Reverses != "" {
		fmt.Fprintf(&b, " reverse(%s)", op.Reverses)
	}
	return b.String()
}

// minor is an amount as an account shows it.
func minor(n int64, a modelAccount) money.Amount { return money.New(n, a.currency) }
