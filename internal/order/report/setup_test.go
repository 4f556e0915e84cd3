package report_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

var (
	began  = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	master = vault.NewMasterKey()
)

const (
	seeder   = "setup"
	operator = "op_ada"
	item     = catalog.ItemCode("GOOGLE-5USD-KOXx")
	price    = 490 // cents, of one code
)

// bundle is one process over a database, with a product and two buyers who have 500.00 each.
type bundle struct {
	*report.Service
	t       testing.TB
	clock   *clock.Manual
	log     *bytes.Buffer
	books   *ledger.Ledger
	wallets *wallet.Service
	orders  *order.Service
	supply  *supply.Service
	late    late
	queue   *job.Queue
	claims  *claim.Service
	stock   *stock.Stock
	buyer   order.Buyer
	rival   order.Buyer
}

func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	b := build(t, db, clock.NewManual(began))
	face := catalog.NewFace(500, money.USD)
	items := b.orders.Catalog
	_, _, err := items.Put(t.Context(), catalog.Product{Code: item, Name: "Google Play 5 USD", Brand: "Google Play", Category: "Apps", Face: face, FaceMax: face,
		Region: "global", Delivery: catalog.Digital, State: catalog.Active}, seeder)
	b.must(err)
	_, err = items.PutPrice(t.Context(), catalog.Rule{Item: item, Basis: catalog.Fixed, Amount: catalog.NewCharged(price, money.USD)}, seeder)
	b.must(err)
	accounts := account.New(account.Deps{DB: db, Vault: b.stock.Vault, Audit: b.Audit, Clocks: b.Clocks, Logger: b.Logger})
	b.buyer, b.rival = b.customer(accounts, "Acme"), b.customer(accounts, "Rival")
	return b
}

func build(t testing.TB, db *storage.DB, at *clock.Manual) *bundle {
	t.Helper()
	b := &bundle{t: t, clock: at, log: &bytes.Buffer{}}
	keys, err := vault.Open(t.Context(), db, master)
	b.must(err)
	logger, log, clocks := slog.New(slog.NewTextHandler(b.log, nil)), audit.New(db), clock.NewRealms(at)
	b.queue = job.New(db, clocks, logger)
	hooks := webhook.New(webhook.Deps{DB: db, Clocks: clocks, Vault: keys, Queue: b.queue, Audit: log, Logger: logger})
	b.must(hooks.Refresh(t.Context()))
	b.books = ledger.New(db, clocks, ledger.Config{})
	t.Cleanup(b.books.Close)
	items := catalog.New(catalog.Deps{DB: db, Audit: log, Clocks: clocks, Logger: logger})
	b.must(items.Refresh(t.Context()))
	b.stock = stock.New(stock.Deps{DB: db, Vault: keys, Audit: log, Outbox: hooks.Outbox, Clocks: clocks, Catalog: items, Logger: logger})
	b.wallets = wallet.New(b.books, hooks.Outbox, clocks)
	b.supply = supply.New(supply.Deps{DB: db, Vault: keys, Audit: log, Clocks: clocks, Catalog: items, Logger: logger,
		Adapters: map[string]supply.Adapter{"late": func([]byte) (supply.Supplier, error) { return &b.late, nil }}})
	b.orders = order.New(order.Deps{DB: db, Books: b.books, Catalog: items, Stock: b.stock, Supply: b.supply, Outbox: hooks.Outbox, Queue: b.queue, Audit: log,
		Clocks: clocks, Logger: logger, Patience: time.Minute})
	t.Cleanup(b.orders.Close)
	b.claims = claim.New(claim.Deps{DB: db, Orders: b.orders, Stock: b.stock, Outbox: hooks.Outbox, Audit: log, Clocks: clocks})
	b.Service = report.New(report.Deps{DB: db, Audit: log, Outbox: hooks.Outbox, Clocks: clocks, Logger: logger})
	return b
}

func (b *bundle) customer(accounts *account.Service, name string) order.Buyer {
	made, err := accounts.CreateCustomer(b.t.Context(), seeder, account.NewCustomer{Name: name})
	b.must(err)
	_, err = b.wallets.Load(b.t.Context(), wallet.Load{Book: made.Test, Realm: realm.Test, Amount: money.New(50_000, money.USD), Reference: "transfer", Actor: seeder})
	b.must(err)
	return order.Buyer{Customer: made.ID, Book: made.Test, Realm: realm.Test, Credential: "key_" + strings.ToLower(name)}
}

func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

func (b *bundle) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// fill puts n codes, prefix-0001 and so on, into the stock.
func (b *bundle) fill(prefix string, n int) {
	b.t.Helper()
	var file strings.Builder
	file.WriteString("code\n")
	for i := range n {
		fmt.Fprintf(&file, "%s-%04d\n", prefix, i+1)
	}
	_, err := b.stock.Import(b.t.Context(), strings.NewReader(file.String()), stock.Options{Realm: realm.Test, Item: item, Supplier: "house", Batch: prefix, Actor: seeder})
	b.must(err)
}

func (b *bundle) place(buyer order.Buyer, n int) order.Number {
	b.t.Helper()
	placed, err := b.orders.Place(b.t.Context(), buyer, order.Purchase{Item: item, Quantity: n})
	b.must(err)
	return placed.Number
}

// decide has codes of an order of a buyer's decided about.
func (b *bundle) decide(buyer order.Buyer, number order.Number, v claim.Verdict, places ...int) {
	b.t.Helper()
	c, err := b.claims.Create(b.t.Context(), buyer, claim.Report{Order: number, Places: places, Reason: claim.Used})
	b.must(err)
	_, err = b.claims.Decide(b.t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: v, Reason: "checked", Actor: operator})
	b.must(err)
}

// made is the report of a day in the test realm.
func (b *bundle) made(day report.Day) report.Report {
	b.t.Helper()
	r, err := b.Make(b.t.Context(), realm.Test, day)
	b.must(err)
	return r
}

// texts are the differences of a report, with names for the books.
func (b *bundle) texts(r report.Report) (all []string) {
	names := strings.NewReplacer(string(b.buyer.Book), "acme", string(b.rival.Book), "rival")
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
