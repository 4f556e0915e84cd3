package supply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/line"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Configured is a supplier that an operator configured. What it is configured with is
// sealed and never shown.
type Configured struct {
	Realm realm.Realm
	ID    string
	Name  string
	// Kind is that of its adapter, or KindGiftcard.
	Kind string
	// Timeout bounds a call about a submission, and Concurrency how many are under way;
	// zero means the default.
	Timeout     time.Duration
	Concurrency int
	// Active suppliers are asked for codes. One that is not still answers for what was
	// submitted to it before.
	Active bool
	// State is what this process sees of it.
	State                line.State
	CreatedAt, ChangedAt time.Time
}

// Setup is what a supplier is to be. Its realm and id name it; State and times are ignored.
type Setup struct {
	Configured
	// Config is the adapter's, a JSON object of at most MaxConfig bytes; of a KindGiftcard
	// {"customer":"cus_…"}, who issues the cards. Empty, in a change, keeps what there is.
	Config []byte
	// SameAccount says, in a change, that other credentials are of the account that it had.
	SameAccount bool
	// Edit, in a change, makes of what the supplier is what it is to be, but for its realm and
	// id, which name it. It is asked again where somebody else changed that meanwhile, and
	// must have no effects of its own. nil: it is to be Configured.
	Edit  func(*Configured)
	Actor string
	Also  storage.Also[Configured]
}

// Removal names a supplier that is to go, and who has it go.
type Removal struct {
	Realm realm.Realm
	ID    string
	Actor string
	Also  storage.Also[Configured]
}

// Bounds of a supplier.
const (
	MaxConfig      = 64 << 10
	maxSuppliers   = 500
	maxName        = 100
	longestTimeout = 5 * time.Minute
	mostConcurrent = 1024
)

// purposeConfig is what configurations are sealed for.
const purposeConfig = "supply.config"

var supplierID = regexp.MustCompile(`^[a-z][a-z0-9_]{1,31}$`)

func invalidAt(field, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At(field)
}

func unknownSupplier() error { return fault.New(fault.NotFound, "no such supplier") }

// Add adds a supplier, in all processes within two seconds and in this one at once. It
// returns invalid_request for what cannot be one, already_exists for an id that is taken
// or was, and quota_exceeded when there are too many.
func (s *Service) Add(ctx context.Context, setup Setup) (Configured, error) {
	if len(setup.Config) == 0 {
		return Configured{}, invalidAt("config", "a configuration is required")
	}
	return s.configure(ctx, setup, "supplier.add", func(ctx context.Context, tx *storage.Tx, old *supplierRow) error {
		if old != nil {
			return fault.New(fault.AlreadyExists, "there is or was a supplier of this id").At("id")
		}
		count, _, err := storage.One(ctx, tx, storage.Scalar[int], countSuppliers)
		if err == nil && count >= maxSuppliers {
			err = fault.New(fault.QuotaExceeded, "there are %d suppliers, the most is %d", count, maxSuppliers)
		}
		return err
	})
}

// changeTries bounds how often a change begins anew.
const changeTries = 16

// Change changes what a supplier is, with the faults of Add, not_found, or invalid_state where
// something is open and it would be elsewhere than it is, or nobody can tell where it is, or it
// would have other credentials and nobody says that they are of the same account. Of changes of
// different parts at once all are kept.
func (s *Service) Change(ctx context.Context, setup Setup) (Configured, error) {
	for try := 1; ; try++ {
		changed, err := s.changeOnce(ctx, setup)
		switch {
		case !errors.Is(err, storage.ErrStale):
			return changed, err
		case try == changeTries:
			return Configured{}, fault.Wrap(err, fault.Unavailable, "the supplier is being changed by others: try again").After(time.Second)
		}
	}
}

// changeOnce is one try, storage.ErrStale where somebody else was faster.
func (s *Service) changeOnce(ctx context.Context, setup Setup) (Configured, error) {
	was, found, err := storage.One(ctx, s.DB, scanSupplier, findSupplier, string(setup.Realm), setup.ID)
	if err == nil && (!found || was.state == supplierRemoved) {
		err = unknownSupplier()
	}
	if err != nil {
		return Configured{}, err
	}
	if setup.Edit != nil {
		to := was.Configured
		setup.Edit(&to)
		to.Realm, to.ID = setup.Realm, setup.ID
		setup.Configured = to
	}
	moved := s.moved(was, &setup)
	return s.configure(ctx, setup, "supplier.change", func(ctx context.Context, tx *storage.Tx, old *supplierRow) error {
		switch {
		case old == nil || old.version != was.version:
			return storage.ErrStale
		case old.Kind != setup.Kind:
			return invalidAt("kind", "a supplier keeps its kind: add another one")
		case moved == nil:
			return nil
		}
		open, _, err := storage.One(ctx, tx, storage.Scalar[int], countOpen, string(old.Realm), old.ID)
		if err != nil || open == 0 {
			return err
		}
		return moved
	})
}

// configure writes a supplier unless allowed refuses what there was.
func (s *Service) configure(ctx context.Context, setup Setup, action string, allowed func(context.Context, *storage.Tx, *supplierRow) error) (Configured, error) {
	if err := s.check(ctx, &setup); err != nil {
		return Configured{}, err
	}
	row := &supplierRow{Configured: setup.Configured, state: supplierDisabled}
	if setup.Active {
		row.state = supplierActive
	}
	if len(setup.Config) > 0 {
		var err error
		if row.config, err = s.Vault.Seal(purposeConfig, row.sealedAs(), setup.Config); err != nil {
			return Configured{}, err
		}
	}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		version, old, err := lockSupplier(ctx, tx, key{setup.Realm, setup.ID})
		if err != nil {
			return err
		}
		if err := allowed(ctx, tx, old); err != nil {
			return err
		}
		now := *row // the closure may run again
		now.version, now.CreatedAt, now.ChangedAt = version, s.now(), s.now()
		if old != nil {
			now.CreatedAt = old.CreatedAt
			if now.config == nil {
				now.config = old.config
			}
		}
		if err := s.write(ctx, tx, &now, audit.Record{Actor: setup.Actor, Action: action}); err != nil {
			return err
		}
		return setup.Also.Apply(ctx, tx, now.begun())
	})
	if err != nil {
		return Configured{}, err
	}
	if err := s.Refresh(ctx); err != nil {
		return Configured{}, err
	}
	return s.Find(ctx, setup.Realm, setup.ID)
}

// lockSupplier begins a change: it bumps the version, which keeps other changes waiting,
// and reads the supplier, nil if there never was one.
func lockSupplier(ctx context.Context, tx *storage.Tx, k key) (int64, *supplierRow, error) {
	version, _, err := storage.One(ctx, tx, storage.Scalar[int64], bumpVersion)
	if err != nil {
		return 0, nil, err
	}
	old, found, err := storage.One(ctx, tx, scanSupplier, findSupplier, string(k.realm), k.id)
	if !found {
		old = nil
	}
	return version, old, err
}

// begun is a supplier as a change leaves it: one that is active has not failed yet.
func (r *supplierRow) begun() Configured {
	c := r.Configured
	c.State = line.Down
	if c.Active {
		c.State = line.Operational
	}
	return c
}

func (r *supplierRow) sealedAs() string { return string(r.Realm) + "/" + r.ID }

func (s *Service) write(ctx context.Context, tx *storage.Tx, row *supplierRow, r audit.Record) error {
	if err := tx.ExecRows(ctx, writeSupplier, [][]any{row.values()}); err != nil {
		return err
	}
	r.Subject, r.At = row.sealedAs(), s.now()
	r.Detail = map[string]string{"kind": row.Kind, "state": row.state}
	return s.Audit.Append(ctx, tx, r)
}

// Remove removes a supplier with its configuration, for good; its id is not used again. It
// returns not_found, or invalid_state while something that was submitted to it is open:
// make it inactive and wait then.
func (s *Service) Remove(ctx context.Context, r Removal) error {
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		version, row, err := lockSupplier(ctx, tx, key{r.Realm, r.ID})
		if err != nil {
			return err
		}
		if row == nil || row.state == supplierRemoved {
			return unknownSupplier()
		}
		open, _, err := storage.One(ctx, tx, storage.Scalar[int], countOpen, string(r.Realm), r.ID)
		if err != nil {
			return err
		}
		if open > 0 || row.Active {
			return fault.New(fault.InvalidState, "the supplier is active or has orders under way: make it inactive and wait for them")
		}
		row.state, row.Active, row.config, row.version, row.ChangedAt = supplierRemoved, false, []byte{}, version, s.now()
		if err := s.write(ctx, tx, row, audit.Record{Actor: r.Actor, Action: "supplier.remove"}); err != nil {
			return err
		}
		return r.Also.Apply(ctx, tx, row.Configured)
	})
	if err != nil {
		return err
	}
	return s.Refresh(ctx)
}

// Find returns a configured supplier, or not_found.
func (s *Service) Find(ctx context.Context, r realm.Realm, id string) (Configured, error) {
	row, found, err := storage.One(ctx, s.DB, scanSupplier, findSupplier, string(r), id)
	if err == nil && (!found || row.state == supplierRemoved) {
		err = unknownSupplier()
	}
	if err != nil {
		return Configured{}, err
	}
	return s.withState(row), nil
}

// List returns every configured supplier of a realm, by id.
func (s *Service) List(ctx context.Context, r realm.Realm) ([]Configured, error) {
	rows, err := storage.All(ctx, s.DB, scanSupplier, listSuppliers, string(r), maxSuppliers)
	var all []Configured
	for _, row := range rows {
		all = append(all, s.withState(row))
	}
	return all, err
}

func (s *Service) withState(row *supplierRow) Configured {
	c := row.Configured
	c.State = line.Down
	if known := s.find(key{c.Realm, c.ID}); known != nil && c.Active {
		c.State = known.health()
	}
	return c
}

// connect readies a stored supplier, so that it answers for what was submitted even when it
// is not active. One that cannot be opened here, for want of a secret's file say, is down
// once it was tried. Its error is that nothing is known of it now: nobody asks a second time
// for what was taken over.
func (s *Service) connect(ctx context.Context, row *supplierRow) (*connection, error) {
	c := &connection{Configured: row.Configured}
	if row.state == supplierRemoved {
		return c, nil
	}
	tell := func(err error) {
		if err != nil {
			s.Logger.ErrorContext(ctx, "open supplier", "realm", string(row.Realm), "supplier", row.ID, "error", err)
		}
	}
	config, err := s.Vault.Unseal(purposeConfig, row.sealedAs(), row.config)
	if err == nil && row.Kind == KindGiftcard {
		if c.issuer, err = s.issuer(ctx, row.Realm, config); err != nil && fault.CodeOf(err) != fault.InvalidRequest {
			return nil, err
		}
		tell(err)
		return c, nil
	}
	machine := s.Clocks.Of(realm.Live)
	c.quote = line.New(line.Config{Name: "the supplier", Timeout: quoteTimeout, Attempts: 1, Concurrency: row.Concurrency}, machine)
	c.deal = line.New(line.Config{Name: "the supplier", Timeout: row.timeout(), Attempts: 1, Concurrency: row.Concurrency}, machine)
	c.open = func() (supplier Supplier, failed error) {
		if failed = err; err == nil {
			supplier, failed = s.open(row.Kind, config)
		}
		tell(failed)
		return supplier, failed
	}
	return c, nil
}

func (c *Configured) timeout() time.Duration {
	if c.Timeout == 0 {
		return DefaultTimeout
	}
	return c.Timeout
}

// open opens the adapter of a kind.
func (s *Service) open(kind string, config []byte) (Supplier, error) {
	adapter := s.Adapters[kind]
	if adapter == nil {
		return nil, fmt.Errorf("open supplier: this version has no adapter of the kind %s", kind)
	}
	return adapter(config)
}

// issuer returns the book of the customer that a configuration names.
func (s *Service) issuer(ctx context.Context, r realm.Realm, config []byte) (ledger.BookID, error) {
	var c map[string]string
	if err := json.Unmarshal(config, &c); err != nil || len(c) != 1 || c["customer"] == "" {
		return "", invalidAt("customer", `want {"customer":"cus_…"}, who issues the gift cards`)
	}
	found, err := s.Accounts.FindCustomer(ctx, account.CustomerID(c["customer"]))
	if fault.CodeOf(err) == fault.NotFound {
		return "", invalidAt("customer", "there is no such customer")
	}
	return found.Book(r), err
}

// check refuses what cannot be a supplier, and tries its configuration.
func (s *Service) check(ctx context.Context, setup *Setup) error {
	if _, err := realm.Parse(string(setup.Realm)); err != nil {
		return invalidAt("realm", "want live or test")
	}
	switch {
	case !supplierID.MatchString(setup.ID) || setup.ID == Stock:
		return invalidAt("id", "want 2 to 32 of a-z, 0-9 and _, beginning with a letter, and not %s", Stock)
	case !plain.LineBytes(setup.Name, 1, maxName):
		return invalidAt("name", "want 1 to %d bytes of plain text", maxName)
	case setup.Kind != KindGiftcard && s.Adapters[setup.Kind] == nil:
		return invalidAt("kind", "there is no such kind of supplier")
	case len(setup.Config) > MaxConfig:
		return invalidAt("config", "want a JSON object of at most %d bytes", MaxConfig)
	case setup.Timeout < 0 || setup.Timeout > longestTimeout:
		return invalidAt("timeout", "want at most %s", longestTimeout)
	case setup.Concurrency < 0 || setup.Concurrency > mostConcurrent:
		return invalidAt("concurrency", "want at most %d", mostConcurrent)
	}
	if len(setup.Config) == 0 {
		return nil
	}
	return s.tryConfig(ctx, setup)
}

// tryConfig opens a supplier to see whether its configuration is one.
func (s *Service) tryConfig(ctx context.Context, setup *Setup) error {
	var err error
	if setup.Kind == KindGiftcard {
		_, err = s.issuer(ctx, setup.Realm, setup.Config)
	} else {
		var supplier Supplier
		supplier, err = s.open(setup.Kind, setup.Config)
		if closer, ok := supplier.(io.Closer); ok && err == nil {
			_ = closer.Close() // it was opened to be looked at
		}
	}
	if err == nil {
		return nil
	}
	f := fault.From(err)
	if f.Code == fault.Internal { // the adapter's own words on what is wrong
		f = fault.Wrap(err, fault.InvalidRequest, "the configuration does not open: %s", err)
	}
	return f.At(strings.TrimSuffix("config."+f.Field, "."))
}
