package report_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
)

const operator = "op_ada"

// bundle is one process over a database: the reports of a shop, with claims and a supplier.
type bundle struct {
	*report.Service
	*shop.Shop
	t      testing.TB
	late   late
	claims *claim.Service
}

func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	b := &bundle{t: t}
	b.Shop = shop.Open(t, db, map[string]supply.Adapter{"late": func([]byte) (supply.Supplier, error) { return &b.late, nil }})
	d := b.Stock.Deps
	b.claims = claim.New(claim.Deps{DB: db, Orders: b.Orders, Stock: b.Stock, Outbox: d.Outbox, Audit: d.Audit, Clocks: d.Clocks})
	b.Service = report.New(report.Deps{DB: db, Audit: d.Audit, Outbox: d.Outbox, Clocks: d.Clocks, Logger: d.Logger})
	return b
}

func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

func (b *bundle) place(buyer order.Buyer, n int) order.Number {
	b.t.Helper()
	placed, err := b.Orders.Place(b.t.Context(), buyer, order.Purchase{Item: shop.Item, Quantity: n})
	check.OK(b.t, err)
	return placed.Number
}

// decide has codes of an order of a buyer's decided about.
func (b *bundle) decide(buyer order.Buyer, number order.Number, v claim.Verdict, places ...int) {
	b.t.Helper()
	c, err := b.claims.Create(b.t.Context(), buyer, claim.Report{Order: number, Places: places, Reason: claim.Used})
	check.OK(b.t, err)
	_, err = b.claims.Decide(b.t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: v, Reason: "checked", Actor: operator})
	check.OK(b.t, err)
}

// made is the report of a day in the test realm.
func (b *bundle) made(day report.Day) report.Report {
	b.t.Helper()
	r, err := b.Make(b.t.Context(), realm.Test, day)
	check.OK(b.t, err)
	return r
}

// texts are the differences of a report, with names for the books.
func (b *bundle) texts(r report.Report) (all []string) {
	names := strings.NewReplacer(string(b.Buyer.Book), "acme", string(b.Rival.Book), "rival")
	for _, d := range r.Differences {
		all = append(all, names.Replace(d.String()))
	}
	return all
}

func rows(r report.Report) (all []string) {
	for _, row := range r.Rows {
		all = append(all, fmt.Sprintf("%s orders %d codes %d charged %s replaced %d refunded %d %s sold %d paid %s back %s revenue %s other %s", row.Currency, row.Orders, row.Codes,
			row.Charged, row.CodesReplaced, row.CodesRefunded, row.Refunded, row.CodesSold, row.WalletPaid, row.WalletRefunded, row.Revenue, row.Other))
	}
	return all
}
