// Package issuer is an issuer of virtual cards for tests: wallets, cards and payments with
// them on a database of the test's, with clocks of the test's and nobody outside.
package issuer

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// Config says what an issuer stands on.
type Config struct {
	Clocks *clock.Realms
	// Books are closed by whoever brings them; nil: the issuer's own.
	Books *ledger.Ledger
	// Key is the installation's: another issuer on the database has the same.
	Key vault.MasterKey
	// Random makes card numbers; nil: as in production.
	Random io.Reader
	// Logger may be nil.
	Logger *slog.Logger
}

// Issuer is one running program.
type Issuer struct {
	T        testing.TB
	DB       *storage.DB
	Clocks   *clock.Realms
	Books    *ledger.Ledger
	Vault    *vault.Vault
	Audit    *audit.Log
	Outbox   *webhook.Outbox
	Cards    *issuing.Service
	Payments *authorization.Service
	Wallets  *wallet.Service
}

// Open returns an issuer on a database, which others may use too.
func Open(t testing.TB, db *storage.DB, c Config) *Issuer {
	t.Helper()
	i := &Issuer{T: t, DB: db, Clocks: c.Clocks, Books: c.Books, Audit: audit.New(db)}
	if i.Books == nil {
		i.Books = ledger.New(db, c.Clocks, ledger.Config{})
		t.Cleanup(i.Books.Close)
	}
	var err error
	if i.Vault, err = vault.Open(context.Background(), db, c.Key); err != nil {
		t.Fatal(err)
	}
	logger := cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	hooks := webhook.New(webhook.Deps{DB: db, Clocks: c.Clocks, Vault: i.Vault, Queue: job.New(db, c.Clocks, logger), Audit: i.Audit, Logger: logger})
	if err := hooks.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	i.Outbox = hooks.Outbox
	i.Cards = issuing.New(issuing.Deps{DB: db, Books: i.Books, Vault: i.Vault, Outbox: i.Outbox, Audit: i.Audit, Clocks: c.Clocks,
		Programme: issuing.DefaultProgramme(), Random: c.Random})
	i.Payments = authorization.New(authorization.Deps{DB: db, Books: i.Books, Cards: i.Cards, Vault: i.Vault, Outbox: i.Outbox, Clocks: c.Clocks,
		Policy: authorization.DefaultPolicy(), Logger: logger})
	i.Wallets = wallet.New(i.Books, i.Outbox, c.Clocks)
	return i
}

// Customer opens the books of a customer who has so many cents in the wallet.
func (i *Issuer) Customer(h issuing.Holder, minor int64) {
	i.T.Helper()
	err := i.DB.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
		return ledger.OpenBook(ctx, tx, ledger.Book{ID: h.Book, Realm: h.Realm, OpenedAt: i.Clocks.Now(h.Realm)})
	})
	if err != nil {
		i.T.Fatal(err)
	}
	if minor == 0 {
		return
	}
	_, err = i.Wallets.Load(context.Background(), wallet.Load{Book: h.Book, Realm: h.Realm, Amount: money.New(minor, money.USD), Reference: "first", Actor: "op/1"})
	if err != nil {
		i.T.Fatal(err)
	}
}
