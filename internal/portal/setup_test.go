package portal_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/nameserver"
)

const actor = "key/k1"

var began = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// bundle is one process over a database, with two customers.
type bundle struct {
	*portal.Service
	t        *testing.T
	accounts *account.Service
	clock    *clock.Manual
	customer account.Customer
	book     ledger.BookID // of customer, live
	other    ledger.BookID // of somebody else, live
	dns      *nameserver.Server
}

func each(t *testing.T, config portal.Config, test func(t *testing.T, b *bundle)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db, config)) })
}

func setup(t *testing.T, db *storage.DB, config portal.Config) *bundle {
	t.Helper()
	sealed, err := vault.Open(t.Context(), db, vault.NewMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, clock: clock.NewManual(began)}
	clocks, log := clock.NewRealms(b.clock), audit.New(db)
	b.accounts = account.New(account.Deps{DB: db, Vault: sealed, Audit: log, Clocks: clocks})
	b.dns = nameserver.Start(t)
	b.Service = portal.New(portal.Deps{DB: db, Audit: log, Accounts: b.accounts, Clocks: clocks, Jobs: job.New(db, clocks, slog.New(slog.DiscardHandler)),
		Resolver: b.dns.Resolver(), Config: config})
	b.customer, b.book = b.newBook("Shop")
	_, b.other = b.newBook("Other")
	return b
}

func (b *bundle) newBook(name string) (account.Customer, ledger.BookID) {
	b.t.Helper()
	c, err := b.accounts.CreateCustomer(b.t.Context(), "opr_test", account.NewCustomer{Name: name})
	if err != nil {
		b.t.Fatal(err)
	}
	return c, c.Live
}

// another is a second process over the same database and clock.
func (b *bundle) another() *portal.Service {
	deps := b.Deps
	deps.Jobs = job.New(b.DB, b.Clocks, slog.New(slog.DiscardHandler))
	return portal.New(deps)
}

// prove publishes the record of a portal's domain and has it seen.
func (b *bundle) prove(p portal.Portal) portal.Portal {
	b.t.Helper()
	b.dns.Set(p.Record())
	return b.look(p)
}

// look has DNS asked about a portal's domain.
func (b *bundle) look(p portal.Portal) portal.Portal {
	b.t.Helper()
	after, err := b.VerifyDomain(b.t.Context(), portal.Change{Book: p.Book, Portal: p.ID, Actor: actor})
	if err != nil {
		b.t.Fatal(err)
	}
	return after
}

// pass lets time go by and does the jobs that are due.
func (b *bundle) pass(d time.Duration) {
	b.t.Helper()
	b.clock.Advance(d)
	if err := b.Jobs.Drain(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) find(p portal.Portal) portal.Portal {
	b.t.Helper()
	found, err := b.Find(b.t.Context(), p.Book, p.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

func (b *bundle) ask(change func(*portal.NewPortal)) portal.NewPortal {
	n := portal.NewPortal{Book: b.book, Realm: realm.Live, Name: "Cards of Example", Slug: "example", Actor: actor}
	if change != nil {
		change(&n)
	}
	return n
}

func (b *bundle) create(change func(*portal.NewPortal)) portal.Portal {
	b.t.Helper()
	p, err := b.Create(b.t.Context(), b.ask(change))
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bundle) change(p portal.Portal, edit func(*portal.Change)) (portal.Portal, error) {
	b.t.Helper()
	c := portal.Change{Book: p.Book, Portal: p.ID, Actor: actor}
	edit(&c)
	return b.Change(b.t.Context(), c)
}

func at[T any](value T) *T { return &value }
