package claim_test

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
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
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

// bundle is one process over a database, with a product and a buyer who has 500.00.
type bundle struct {
	*claim.Service
	t       testing.TB
	clock   *clock.Manual
	books   *ledger.Ledger
	wallets *wallet.Service
	hooks   *webhook.Service
	buyer   order.Buyer
	rival   order.Buyer
}

func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	b := join(t, db, clock.NewManual(began))
	face := catalog.NewFace(500, money.USD)
	items := b.Orders.Catalog
	_, _, err := items.Put(t.Context(), catalog.Product{Code: item, Name: "Google Play 5 USD", Brand: "Google Play", Category: "Apps", Face: face, FaceMax: face,
		Region: "global", Delivery: catalog.Digital, State: catalog.Active}, seeder)
	b.must(err)
	_, err = items.PutPrice(t.Context(), catalog.Rule{Item: item, Basis: catalog.Fixed, Amount: catalog.NewCharged(price, money.USD)}, seeder)
	b.must(err)
	accounts := account.New(account.Deps{DB: db, Vault: b.Stock.Vault, Audit: b.Audit, Clocks: b.Clocks, Logger: b.Stock.Logger})
	b.buyer, b.rival = b.customer(accounts, "Acme"), b.customer(accounts, "Rival")
	return b
}

// join returns a process over a database that others may share.
func join(t testing.TB, db *storage.DB, at *clock.Manual) *bundle {
	t.Helper()
	b := &bundle{t: t, clock: at}
	keys, err := vault.Open(t.Context(), db, master)
	b.must(err)
	logger, log, clocks := slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil)), audit.New(db), clock.NewRealms(at)
	queue := job.New(db, clocks, logger)
	b.hooks = webhook.New(webhook.Deps{DB: db, Clocks: clocks, Vault: keys, Queue: queue, Audit: log, Logger: logger})
	b.must(b.hooks.Refresh(t.Context()))
	b.books = ledger.New(db, clocks, ledger.Config{})
	t.Cleanup(b.books.Close)
	items := catalog.New(catalog.Deps{DB: db, Audit: log, Clocks: clocks, Logger: logger})
	b.must(items.Refresh(t.Context()))
	codes := stock.New(stock.Deps{DB: db, Vault: keys, Audit: log, Outbox: b.hooks.Outbox, Clocks: clocks, Catalog: items, Logger: logger})
	b.wallets = wallet.New(b.books, b.hooks.Outbox, clocks)
	suppliers := supply.New(supply.Deps{DB: db, Vault: keys, Audit: log, Clocks: clocks, Catalog: items, Logger: logger})
	orders := order.New(order.Deps{DB: db, Books: b.books, Catalog: items, Stock: codes, Supply: suppliers, Outbox: b.hooks.Outbox, Queue: queue, Audit: log,
		Clocks: clocks, Logger: logger})
	b.Service = claim.New(claim.Deps{DB: db, Orders: orders, Stock: codes, Outbox: b.hooks.Outbox, Audit: log, Clocks: clocks})
	return b
}

// another returns a second process over the same database and clock.
func (b *bundle) another() *bundle {
	other := join(b.t, b.DB, b.clock)
	other.buyer, other.rival = b.buyer, b.rival
	return other
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

func (b *bundle) wantCode(what string, err error, want fault.Code) {
	b.t.Helper()
	if got := fault.CodeOf(err); got != want {
		b.t.Errorf("%s: %q (%v), want %q", what, got, err, want)
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
	_, err := b.Stock.Import(b.t.Context(), strings.NewReader(file.String()), stock.Options{Realm: realm.Test, Item: item, Supplier: "house", Batch: prefix, Actor: seeder})
	b.must(err)
}

// bought fills the stock with n codes, places an order for them, and lets a minute pass.
func (b *bundle) bought(prefix string, n int) order.Number {
	b.t.Helper()
	b.fill(prefix, n)
	placed, err := b.Orders.Place(b.t.Context(), b.buyer, order.Purchase{Item: item, Quantity: n})
	b.must(err)
	b.clock.Advance(time.Minute)
	return placed.Number
}

// claimed files a claim about codes of an order.
func (b *bundle) claimed(number order.Number, places ...int) claim.Claim {
	b.t.Helper()
	c, err := b.Create(b.t.Context(), b.buyer, claim.Report{Order: number, Places: places, Reason: claim.Used})
	b.must(err)
	return c
}

func (b *bundle) decide(c claim.Claim, v claim.Verdict, places ...int) (claim.Claim, error) {
	return b.Decide(b.t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: v, Places: places, Reason: "checked with the shop", Actor: operator})
}

// decided makes a decision that goes through.
func (b *bundle) decided(c claim.Claim, v claim.Verdict, places ...int) claim.Claim {
	b.t.Helper()
	after, err := b.decide(c, v, places...)
	b.must(err)
	return after
}

func (b *bundle) balance() int64 {
	b.t.Helper()
	amount, err := b.wallets.Balance(b.t.Context(), b.buyer.Book, money.USD)
	b.must(err)
	return amount.Minor
}

// codes are what the buyer sees of an order, each with its state.
func (b *bundle) codes(number order.Number) (all []string) {
	b.t.Helper()
	found, err := b.Orders.Reveal(b.t.Context(), b.buyer, number)
	b.must(err)
	for _, c := range found.Codes {
		all = append(all, c.Text.Reveal()+" "+string(c.State))
	}
	return all
}

// events are the types and data of the book's events about claims, the first first.
func (b *bundle) events() (all []string) {
	b.t.Helper()
	found, err := b.hooks.Outbox.List(b.t.Context(), webhook.EventFilter{Book: b.buyer.Book, Limit: webhook.MaxLimit})
	b.must(err)
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
	found, err := b.Audit.List(b.t.Context(), audit.Filter{Book: string(b.buyer.Book), Limit: audit.MaxLimit})
	b.must(err)
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
	b.must(err)
	if len(report.Problems) > 0 {
		b.t.Errorf("the books: %v", report.Problems)
	}
}
