package stock_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/webhook"
)

var (
	epoch     = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	masterKey = vault.NewMasterKey()
)

const (
	ada          = "operator/ada"
	play         = catalog.ItemCode("GOOGLE-5USD-KOXx")
	other        = catalog.ItemCode("OTHER-1")
	buyer, rival = ledger.BookID("bk_buyer"), ledger.BookID("bk_rival")
	batch        = "first"
	sale         = "ord_1"
)

// process is one running program with a stock on a database that others may share.
type process struct {
	*stock.Stock
	t      testing.TB
	clocks *clock.Realms
	log    *strings.Builder
}

// setup returns a process on an empty database with two items.
func setup(t testing.TB, db *storage.DB) *process {
	t.Helper()
	clocks, log := clock.NewRealms(clock.NewManual(epoch)), &strings.Builder{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	items := catalog.New(catalog.Deps{DB: db, Audit: audit.New(db), Clocks: clocks, Logger: logger})
	for _, code := range []catalog.ItemCode{play, other} {
		_, _, err := items.Put(context.Background(), catalog.Product{Code: code, Name: "Card", Brand: "Brand", Face: catalog.NewFace(500, money.USD), LowStock: 3}, ada)
		check.OK(t, err)
	}
	p := join(t, db, items)
	p.log = log
	return p
}

// join returns one more process on a database that is set up.
func join(t testing.TB, db *storage.DB, items *catalog.Service) *process {
	t.Helper()
	keys, err := vault.Open(context.Background(), db, masterKey)
	check.OK(t, err)
	outbox := webhook.NewOutbox(webhook.Deps{DB: db, Clocks: items.Clocks, Vault: keys, Logger: items.Logger})
	return &process{stock.New(stock.Deps{DB: db, Vault: keys, Audit: audit.New(db), Outbox: outbox, Clocks: items.Clocks, Catalog: items, Logger: items.Logger}), t, items.Clocks, nil}
}

func eachEngine(t *testing.T, test func(t *testing.T, p *process)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

// upload imports a file for the test realm's Google Play card.
func (p *process) upload(text, name string) (stock.Report, error) {
	return p.Import(p.t.Context(), strings.NewReader(text), stock.Options{Realm: realm.Test, Item: play, Batch: name, Supplier: "Acme", Actor: ada})
}

// stocked uploads codes into a batch.
func (p *process) stocked(name string, codes ...string) {
	p.t.Helper()
	report, err := p.upload("code\n"+strings.Join(codes, "\n"), name)
	check.OK(p.t, err)
	if report.Added != len(codes) {
		p.t.Fatalf("%+v", report)
	}
}

func (p *process) count(want int) {
	p.t.Helper()
	got, err := p.Count(p.t.Context(), realm.Test, play)
	if err != nil || got != want {
		p.t.Errorf("%d codes, want %d (%v)", got, want, err)
	}
}

func (p *process) pick(n, skip int) []stock.Sealed {
	p.t.Helper()
	picked, err := p.Pick(p.t.Context(), stock.Wanted{Realm: realm.Test, Item: play, N: n, Skip: skip})
	check.OK(p.t, err)
	return picked
}

// sell sells codes to an order of a book.
func (p *process) sell(picked []stock.Sealed, order string, book ledger.BookID) error {
	return p.DB.Write(p.t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return tx.Apply(ctx, stock.Take(picked, order, book, p.clocks.Now(realm.Test)))
	})
}

// texts returns codes as "text/pin".
func texts(codes []stock.Code) (all []string) {
	for _, c := range codes {
		text := c.Text.Reveal()
		if !c.PIN.IsZero() {
			text += "/" + c.PIN.Reveal()
		}
		all = append(all, text)
	}
	return all
}

func (p *process) picked(n, skip int) []string {
	p.t.Helper()
	codes, err := p.Open(p.pick(n, skip))
	check.OK(p.t, err)
	return texts(codes)
}

func bad(rows []stock.BadRow) (all []string) {
	for _, b := range rows {
		all = append(all, fmt.Sprintf("%d %s: %s", b.Line, b.Field, b.Reason))
	}
	return all
}

func (p *process) audited() []string {
	p.t.Helper()
	entries, err := p.Audit.List(context.Background(), audit.Filter{})
	check.OK(p.t, err)
	var actions []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Action, "catalog.") {
			actions = append([]string{e.Actor + " " + e.Action}, actions...)
		}
	}
	return actions
}
