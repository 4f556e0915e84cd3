// Package ground is what every product stands on, for tests: a vault, an audit log, jobs,
// webhooks and a ledger over a database of the test's, under clocks of the test's.
package ground

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/webhook"
)

// Ground is one running program without its products.
type Ground struct {
	DB     *storage.DB
	Clocks *clock.Realms
	Vault  *vault.Vault
	Audit  *audit.Log
	Jobs   *job.Queue
	Hooks  *webhook.Service
	Books  *ledger.Ledger
	Logger *slog.Logger
	Log    *bytes.Buffer // what Logger was told
}

// masterKey is that of every installation: grounds over one database are its processes.
const masterKey = "c2NyaXAgY2FyZHMgZm9yIHRlc3RzIGFuZCBubyBvbmU="

// Lay returns the ground over a database. What webhooks stand on may be changed. The books
// are closed with the test.
func Lay(t testing.TB, db *storage.DB, clocks *clock.Realms, change ...func(*webhook.Deps)) *Ground {
	t.Helper()
	g := &Ground{DB: db, Clocks: clocks, Audit: audit.New(db), Log: &bytes.Buffer{}}
	key, err := vault.ParseMasterKey(masterKey)
	check.OK(t, err)
	g.Vault, err = vault.Open(context.Background(), db, key)
	check.OK(t, err)
	g.Logger = slog.New(slog.NewTextHandler(g.Log, nil))
	g.Jobs = job.New(db, clocks, g.Logger)
	hooks := webhook.Deps{DB: db, Clocks: clocks, Vault: g.Vault, Queue: g.Jobs, Audit: g.Audit, Logger: g.Logger}
	for _, c := range change {
		c(&hooks)
	}
	g.Hooks = webhook.New(hooks)
	check.OK(t, g.Hooks.Refresh(context.Background()))
	g.Books = ledger.New(db, clocks, ledger.Config{})
	t.Cleanup(g.Books.Close)
	return g
}
