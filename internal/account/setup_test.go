package account_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
)

const actor = "opr_test"

var (
	somewhere = netip.MustParseAddr("198.51.100.7")
	began     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// bundle is one process over a database.
type bundle struct {
	*account.Service
	db     *storage.DB
	vault  *vault.Vault
	audit  *audit.Log
	clock  *clock.Manual
	clocks *clock.Realms
}

// setup returns a process over an empty database, with a clock that stands still.
func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	master, _, err := vault.LoadMasterKey(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := vault.Open(t.Context(), db, master)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{db: db, vault: opened, audit: audit.New(db), clock: clock.NewManual(began)}
	return b.another()
}

// another returns a second process over the same database and clock. On SQLite it
// stands for the same one after a restart.
func (b *bundle) another() *bundle {
	other := *b
	other.clocks = clock.NewRealms(b.clock)
	other.Service = account.New(account.Deps{DB: b.db, Vault: b.vault, Audit: b.audit, Clocks: other.clocks})
	return &other
}

// each runs test once per engine.
func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

func (b *bundle) customer(t testing.TB, name string) account.Customer {
	t.Helper()
	return must(b.CreateCustomer(t.Context(), actor, account.NewCustomer{Name: name}))(t)
}

// key makes a key that may do everything.
func (b *bundle) key(t testing.TB, book ledger.BookID) account.IssuedKey {
	t.Helper()
	return must(b.CreateKey(t.Context(), actor, account.NewKey{Book: book, KeySettings: everything()}))(t)
}

func everything() account.KeySettings {
	return account.KeySettings{Name: "Everything", Scopes: account.NewScopes(account.ScopeAll)}
}

// to is the edit that makes a thing what is given, whatever it is.
func to[T any](value T) account.Edit[T] { return func(T) (T, error) { return value, nil } }

func (b *bundle) merchant(t testing.TB, book ledger.BookID) account.IssuedMerchant {
	t.Helper()
	return must(b.CreateMerchant(t.Context(), actor, account.NewMerchant{Book: book, Name: "Shop"}))(t)
}

func (b *bundle) operator(t testing.TB, role account.Role) account.Operator {
	t.Helper()
	return must(b.CreateOperator(t.Context(), actor, account.NewOperator{Name: "Olga", Role: role}))(t)
}

// actions returns the actions of the audit log about a subject, oldest first.
func (b *bundle) actions(t testing.TB, book ledger.BookID, subject string) []string {
	t.Helper()
	entries := must(b.audit.List(t.Context(), audit.Filter{Book: string(book), Subject: subject}))(t)
	var actions []string
	for _, e := range entries {
		if e.Actor != actor {
			t.Errorf("%s was done by %q", e.Action, e.Actor)
		}
		actions = append([]string{e.Action}, actions...)
	}
	return actions
}

// cannotRead is a context with which no query works.
func cannotRead(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// must returns a function that gives the value of a call, or ends the test on its error.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func wantCode(t testing.TB, err error, want fault.Code) {
	t.Helper()
	if got := fault.CodeOf(err); got != want {
		t.Errorf("error %v has code %q, want %q", err, got, want)
	}
}
