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
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/testkit"
)

// late is a supplier that has every order under way until it is told how they end.
type late struct {
	ends  supply.State
	cents int64
	sold  int
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
			_, err := b.supply.Add(t.Context(), supply.Setup{Config: []byte(`{}`), Actor: seeder,
				Configured: supply.Configured{Realm: realm.Test, ID: "late", Name: "Late", Kind: "late", Active: true}})
			b.must(err)
			route := supply.Route{Realm: realm.Test, Item: item, Supplier: "late", BelowCost: true}
			b.must(b.supply.PutRoute(t.Context(), route, seeder))
			begin := func(n int) {
				placed, err := b.orders.Place(t.Context(), b.buyer, order.Purchase{Item: item, Quantity: n})
				b.must(err)
				if placed.Status != order.Processing {
					t.Fatalf("it is %s", placed.Status)
				}
			}
			later := func(ends supply.State) {
				b.late.ends = ends
				b.clock.Advance(10 * time.Minute)
				b.must(b.queue.Drain(t.Context()))
			}
			first := report.DayOf(b.clock.Now())
			begin(2)
			later(supply.Delivered)
			begin(1)
			later(supply.Refused)
			begin(3)
			b.clock.Advance(24 * time.Hour)
			second := report.DayOf(b.clock.Now())
			b.late.cents = 500 // more than is paid for them
			later(supply.Delivered)
			b.clock.Advance(24 * time.Hour)
			for day, codes := range map[report.Day]int64{first: 2, second: 3} {
				made, err := b.Make(t.Context(), realm.Test, day)
				b.must(err)
				if diff := cmp.Diff([]report.Difference(nil), made.Differences); diff != "" {
					t.Errorf("%s: %s", day, diff)
				}
				if len(made.Rows) != 1 || made.Rows[0].Orders != 1 || made.Rows[0].Codes != codes || made.Rows[0].CodesSold != codes ||
					made.Rows[0].WalletPaid != money.New(codes*price, money.USD) {
					t.Errorf("%s: %+v", day, made.Rows)
				}
			}
		})
	}
}
