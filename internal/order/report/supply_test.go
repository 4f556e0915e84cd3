package report_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
)

// late is a supplier that has every order under way until it is told how they end.
type late struct {
	ends  supply.State
	cents int64
	sold  int
}

// supplied has the late supplier deliver the item instead of the stock.
func (b *bundle) supplied(priority int) {
	b.t.Helper()
	_, err := b.Supply.Add(b.t.Context(), supply.Setup{Config: []byte(`{}`), Actor: shop.Seeder,
		Configured: supply.Configured{Realm: realm.Test, ID: "late", Name: "Late", Kind: "late", Active: true}})
	check.OK(b.t, err)
	route := supply.Route{Realm: realm.Test, Item: shop.Item, Supplier: "late", Priority: priority, BelowCost: true}
	check.OK(b.t, b.Supply.PutRoute(b.t.Context(), route, shop.Seeder))
}

// Quote implements supply.Supplier.
func (l *late) Quote(context.Context, supply.Wanted) (supply.Quote, error) {
	return supply.Quote{Cost: catalog.NewCost(l.cents, money.USD), Available: true}, nil
}

// Submit implements supply.Supplier.
func (l *late) Submit(context.Context, supply.Submission) (supply.Answer, error) {
	return supply.Answer{State: supply.Working, Reference: "1"}, nil
}

// Query implements supply.Supplier.
func (l *late) Query(_ context.Context, s supply.Submission) (supply.Answer, error) {
	a := supply.Answer{State: l.ends}
	for i := 0; l.ends == supply.Delivered && i < s.Quantity; i++ {
		l.sold++
		a.Codes = append(a.Codes, stock.Delivered{Text: pan.NewSecret(fmt.Sprint("LATE-", l.sold)), Cost: catalog.NewCost(l.cents, money.USD)})
	}
	return a, nil
}

// Cancel implements supply.Supplier.
func (l *late) Cancel(ctx context.Context, s supply.Submission) (supply.Answer, error) {
	return l.Query(ctx, s)
}

// Orders that a supplier delivers count on the day on which they are paid, whatever they
// cost; those under way and those that fail count nowhere, and nothing of them differs.
func TestSuppliedOrders(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			b := setup(t, testkit.Open(t, testkit.Database(t, engine)))
			b.late = late{ends: supply.Working, cents: 400}
			b.supplied(0)
			begin := func(n int) {
				placed, err := b.Orders.Place(t.Context(), b.Buyer, order.Purchase{Item: shop.Item, Quantity: n})
				check.OK(b.t, err)
				if placed.Status != order.Processing {
					t.Fatalf("it is %s", placed.Status)
				}
			}
			later := func(ends supply.State) {
				b.late.ends = ends
				b.Clock.Advance(10 * time.Minute)
				check.OK(b.t, b.Jobs.Drain(t.Context()))
			}
			first := report.DayOf(b.Clock.Now())
			begin(2)
			later(supply.Delivered)
			begin(1)
			later(supply.Refused)
			begin(3)
			b.Clock.Advance(24 * time.Hour)
			second := report.DayOf(b.Clock.Now())
			b.late.cents = 500 // more than is paid for them
			later(supply.Delivered)
			b.Clock.Advance(24 * time.Hour)
			for day, codes := range map[report.Day]int64{first: 2, second: 3} {
				made, err := b.Make(t.Context(), realm.Test, day)
				check.OK(b.t, err)
				if diff := cmp.Diff([]report.Difference(nil), made.Differences); diff != "" {
					t.Errorf("%s: %s", day, diff)
				}
				if len(made.Rows) != 1 || made.Rows[0].Orders != 1 || made.Rows[0].Codes != codes || made.Rows[0].CodesSold != codes ||
					made.Rows[0].WalletPaid != money.New(codes*shop.Price, money.USD) {
					t.Errorf("%s: %+v", day, made.Rows)
				}
			}
		})
	}
}

// Codes that a supplier replaces count on the day on which they are, with what is owed for
// them taken from the revenue; those under way and those that nobody replaces count nowhere,
// and nothing of them differs.
func TestSuppliedReplacements(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.late = late{ends: supply.Working, cents: 500} // more than was paid
		b.Fill("GPLAY", 4)
		b.place(b.Buyer, 4)
		b.supplied(1)
		b.decide(b.Buyer, 1, claim.Replace, 1, 2)
		b.Orders.Rest()
		b.Clock.Advance(24 * time.Hour)
		b.late.ends = supply.Delivered
		check.OK(t, b.Jobs.Drain(t.Context()))
		b.late.ends = supply.Refused
		b.decide(b.Buyer, 1, claim.Replace, 3)
		b.Orders.Rest()
		b.Later()
		b.decide(b.Buyer, 1, claim.Refund, 4)
		b.Clock.Advance(24 * time.Hour)
		for day, want := range map[report.Day]string{
			first:  "USD orders 1 codes 4 charged 19.60 replaced 0 refunded 0 0.00 sold 4 paid 19.60 back 0.00 revenue 19.60 other 0.00",
			second: "USD orders 0 codes 0 charged 0.00 replaced 2 refunded 1 4.90 sold 2 paid 0.00 back 4.90 revenue -14.90 other 10.00",
		} {
			made := b.made(day)
			if diff := cmp.Diff([]string{want}, rows(made)); diff != "" || made.Found != 0 {
				t.Errorf("%s: %s%v", day, diff, b.texts(made))
			}
		}
	})
}

// Gift cards that are voided because their codes were dead are their issuer's affair: what is
// made for them, paid back and spent before leaves no difference.
func TestVoidedCards(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		issuer := b.Mint(shop.Item, 500) // at a cost of 4.00
		number := b.place(b.Buyer, 3)
		found, err := b.Orders.Reveal(t.Context(), b.Buyer, number)
		check.OK(t, err)
		_, err = b.Cards.Redeem(t.Context(), issuer, giftcard.Transfer{Secret: shop.CardOf(found.Codes[2]), Amount: money.New(100, money.USD), Reference: "R-1"})
		check.OK(t, err)
		b.decide(b.Buyer, number, claim.Replace, 1)
		b.decide(b.Buyer, number, claim.Refund, 2)
		c, err := b.claims.Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{3}, Reason: claim.Used})
		check.OK(t, err)
		_, err = b.claims.Decide(t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: claim.Refund, AcceptUsed: true, Actor: operator})
		check.OK(t, err)
		b.Clock.Advance(24 * time.Hour)
		want := "USD orders 1 codes 3 charged 14.70 replaced 1 refunded 2 9.80 sold 4 paid 14.70 back 9.80 revenue -11.10 other 16.00"
		if made := b.made(first); made.Found != 0 {
			t.Errorf("%v", b.texts(made))
		} else if diff := cmp.Diff([]string{want}, rows(made)); diff != "" {
			t.Error(diff)
		}
	})
}

// An order that failed has a transaction too, which let go of the buyer's money: a report names
// the order where the books have lost that.
func TestLostRelease(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.late = late{ends: supply.Refused, cents: 400}
		b.supplied(0)
		number := b.place(b.Buyer, 1)
		b.Clock.Advance(10 * time.Minute)
		check.OK(t, b.Jobs.Drain(t.Context()))
		b.Clock.Advance(24 * time.Hour)
		check.List(t, "differences", b.texts(b.made(first)))
		failed, err := b.Orders.Find(t.Context(), b.Buyer.Book, number)
		check.OK(t, err)
		b.corrupt(lose)
		check.List(t, "differences", b.texts(b.made(first)), "missing of acme/1, "+string(failed.Transaction))
	})
}

var lose = storage.SQL("report_test.lose", `DELETE FROM ledger_transactions WHERE book_id = $1 AND $2 <> ''
	AND transaction_id = (SELECT o.transaction_id FROM orders o WHERE o.book_id = $1 AND o.order_id = 1)`)
