package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
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

// Exists reports whether there is a database where o says; one on a server is taken to be there.
func Exists(o Options) bool {
	if o.Database != "" {
		return true
	}
	_, err := os.Stat(filepath.Join(o.Data, databaseFile))
	return err == nil
}

// HasMasterKey reports whether there is a master key where o says, and why it cannot be used.
func HasMasterKey(o Options) (bool, error) {
	if o.MasterKey == "" {
		if _, err := os.Stat(filepath.Join(o.Data, vault.MasterFile)); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
	}
	_, _, err := vault.LoadMasterKey(o.Data, o.MasterKey)
	return true, err
}

// CheckMasterKey returns vault.ErrMasterKey when o's master key does not open what q sees.
func CheckMasterKey(ctx context.Context, q storage.Queryer, o Options) error {
	master, _, err := vault.LoadMasterKey(o.Data, o.MasterKey)
	if err != nil {
		return err
	}
	return vault.Check(ctx, q, master)
}

// StopPayouts has no payment leave from what is brought back, where there are orders that are
// paid, before somebody has looked at what left since. It returns the realms.
func StopPayouts(ctx context.Context, tx *storage.Tx, log *audit.Log, actor string) ([]realm.Realm, error) {
	offset, err := account.Offset(ctx, tx)
	if err != nil {
		return nil, err
	}
	clocks := clock.NewRealms(clock.System())
	if err := clocks.SetOffset(offset); err != nil {
		return nil, err
	}
	var stopped []realm.Realm
	for _, r := range realm.All() {
		some, err := cashout.HasOrders(ctx, tx, r)
		if err != nil {
			return nil, err
		}
		if !some {
			continue
		}
		w := payout.Switch{Realm: r, Stopped: true, Actor: actor, At: clocks.Now(r)}
		if err := w.Turn(ctx, tx, log); err != nil {
			return nil, err
		}
		stopped = append(stopped, r)
	}
	return stopped, nil
}

// OpenDatabase opens an installation's database alone, without migrating it.
func OpenDatabase(ctx context.Context, o Options) (*storage.DB, error) {
	config := storage.Config{URL: o.Database, Path: filepath.Join(o.Data, databaseFile), MaxConns: o.DatabaseConnections, CutDamagedLog: o.CutDamagedLog}
	if o.Metrics != nil {
		config.Observe = o.Metrics.Commit
	}
	return storage.Open(ctx, config)
}

// openVault opens the vault. Where the master key is missing, none is left in its place that
// would only be taken for it.
func openVault(ctx context.Context, db *storage.DB, o Options) (*vault.Vault, error) {
	master, made, err := vault.LoadMasterKey(o.Data, o.MasterKey)
	if err != nil {
		return nil, err
	}
	keys, err := vault.Open(ctx, db, master)
	if made && errors.Is(err, vault.ErrMasterKey) {
		err = errors.Join(err, os.Remove(filepath.Join(o.Data, vault.MasterFile)))
	}
	if err != nil {
		return nil, err
	}
	if file := keys.Interrupted(); file != "" {
		o.Logger.WarnContext(ctx, "the master key in use is not in its place: a rotation was interrupted, and scrip vault rotate-master ends it with a new key", "file", file)
	}
	return keys, nil
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
