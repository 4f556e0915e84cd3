package server

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/server/cashdesk"
)

// Check returns what is wrong with the files that the settings of an installation name, as
// far as it can be told without a database. It calls nobody. roots is the file of the ACME
// directory's own.
func Check(o Options, roots string) error {
	noDeposits := checkDeposits(o)
	_, noProxies := readProxies(o.ProxyList)
	_, noCaptcha := o.Captcha.open()
	_, noRoots := readRoots(roots)
	return errors.Join(checkDatabase(o.Database), checkSecrets(o.Secrets), noDeposits, cashdesk.Check(cashdesk.Options{File: o.Cashout, Payouts: o.Payouts}), noProxies, noCaptcha, noRoots)
}

// checkDatabase returns why a URL of PostgreSQL cannot be used; none is none. What is no such
// URL is the settings' to refuse.
func checkDatabase(text string) error {
	if u, err := url.Parse(text); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil
	}
	if err := storage.CheckURL(text); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return nil
}

// checkSecrets returns why folder cannot be that of secrets; none is none.
func checkSecrets(folder string) error {
	if folder == "" {
		return nil
	}
	info, err := os.Stat(folder)
	switch {
	case err != nil:
		return fmt.Errorf("secrets: %w", err)
	case !info.IsDir():
		return fmt.Errorf("secrets: %s is no folder", folder)
	}
	return nil
}

// Verify proves the books and the audit log in one consistent state of the database.
// progress, when not nil, is told after every book.
func (a *App) Verify(ctx context.Context, progress func(ledger.Report)) (books ledger.Report, log audit.Report, err error) {
	err = a.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		if books, err = ledger.Verify(ctx, q, progress); err != nil {
			return fmt.Errorf("verify books: %w", err)
		}
		if err = account.EachBooks(ctx, q, func(some []ledger.BookID) error { return books.Expect(ctx, q, some) }); err != nil {
			return fmt.Errorf("verify books of customers: %w", err)
		}
		if log, err = audit.Verify(ctx, q); err != nil {
			return fmt.Errorf("verify audit log: %w", err)
		}
		return nil
	})
	return books, log, err
}

// Record returns what appends to the installation's audit log what a command does where no
// product does, to be written with it.
func (a *App) Record(actor, action string) func(context.Context, *storage.Tx) error {
	r := audit.Record{Actor: actor, Action: action, At: a.Clocks.Now(realm.Live)}
	return func(ctx context.Context, tx *storage.Tx) error { return a.Audit.Append(ctx, tx, r) }
}
