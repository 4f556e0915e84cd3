package claim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
	"github.com/scripcards/scrip/internal/webhook"
)

const operator = "op_ada"

// bundle is one process over a database: the claims of a shop.
type bundle struct {
	*claim.Service
	*shop.Shop
	t testing.TB
}

func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	return over(t, shop.Open(t, db, nil))
}

func over(t testing.TB, s *shop.Shop) *bundle {
	d := s.Stock.Deps
	return &bundle{t: t, Shop: s, Service: claim.New(claim.Deps{DB: d.DB, Orders: s.Orders, Stock: s.Stock, Outbox: d.Outbox, Audit: d.Audit, Clocks: d.Clocks})}
}

// another returns a second process over the same database and clock.
func (b *bundle) another() *bundle { return over(b.t, b.Another()) }

func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

// bought fills the stock with n codes, places an order for them, and lets a minute pass.
func (b *bundle) bought(prefix string, n int) order.Number {
	b.t.Helper()
	b.Fill(prefix, n)
	placed, err := b.Orders.Place(b.t.Context(), b.Buyer, order.Purchase{Item: shop.Item, Quantity: n})
	check.OK(b.t, err)
	b.Clock.Advance(time.Minute)
	return placed.Number
}

// claimed files a claim about codes of an order.
func (b *bundle) claimed(number order.Number, places ...int) claim.Claim {
	b.t.Helper()
	c, err := b.Create(b.t.Context(), b.Buyer, claim.Report{Order: number, Places: places, Reason: claim.Used})
	check.OK(b.t, err)
	return c
}

func (b *bundle) decide(c claim.Claim, v claim.Verdict, places ...int) (claim.Claim, error) {
	return b.Decide(b.t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: v, Places: places, Reason: "checked with the shop", Actor: operator})
}

// decided makes a decision that goes through.
func (b *bundle) decided(c claim.Claim, v claim.Verdict, places ...int) claim.Claim {
	b.t.Helper()
	after, err := b.decide(c, v, places...)
	check.OK(b.t, err)
	return after
}

func (b *bundle) balance() int64 {
	b.t.Helper()
	amount, err := b.Wallets.Balance(b.t.Context(), b.Buyer.Book, money.USD)
	check.OK(b.t, err)
	return amount.Minor
}

// codes are what the buyer sees of an order, each with its state.
func (b *bundle) codes(number order.Number) (all []string) {
	b.t.Helper()
	found, err := b.Orders.Reveal(b.t.Context(), b.Buyer, number)
	check.OK(b.t, err)
	for _, c := range found.Codes {
		all = append(all, c.Text.Reveal()+" "+string(c.State))
	}
	return all
}

// events are the types and data of the book's events about claims, the first first.
func (b *bundle) events() (all []string) {
	b.t.Helper()
	found, err := b.Hooks.Outbox.List(b.t.Context(), webhook.EventFilter{Book: b.Buyer.Book, Limit: webhook.MaxLimit})
	check.OK(b.t, err)
	for i := range found {
		if e := found[len(found)-1-i]; strings.HasPrefix(e.Type, "claim.") {
			all = append(all, e.Type)
		}
	}
	return all
}

// audited are the actions of the book's audit log about claims, the first first.
func (b *bundle) audited() (all []string) {
	b.t.Helper()
	found, err := b.Audit.List(b.t.Context(), audit.Filter{Book: string(b.Buyer.Book), Limit: audit.MaxLimit})
	check.OK(b.t, err)
	for i := range found {
		if e := found[len(found)-1-i]; strings.HasPrefix(e.Action, "claim.") {
			all = append(all, e.Actor+" "+e.Action+" "+e.Detail["codes"])
		}
	}
	return all
}

// verified fails when the books do not add up.
func (b *bundle) verified() {
	b.t.Helper()
	report, err := ledger.Verify(b.t.Context(), b.DB, nil)
	check.OK(b.t, err)
	if len(report.Problems) > 0 {
		b.t.Errorf("the books: %v", report.Problems)
	}
}
