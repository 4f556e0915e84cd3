// Package stock is the codes that the operator sells: uploaded in batches, sealed at rest,
// found by keyed hash, sold once, the ones that expire first before the others.
//
// A code is sold by the effects of Take within the buyer's ledger operation: two buyers
// cannot have the same. Codes leave in the clear through Open and Reveal alone, and every
// Reveal is recorded with its buyer's book.
//
// It must never sell a code that is expired or in a quarantined batch, and never log one.
package stock

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// CodeID names a code ("code_…"). It is not a secret.
type CodeID string

// Code is a code in the clear.
type Code struct {
	ID   CodeID
	Item catalog.ItemCode
	Text pan.Secret
	PIN  pan.Secret // empty: it has none
	// Cost is what it cost the operator; zero where it is unknown.
	Cost      catalog.Cost
	ExpiresAt time.Time // zero: never
	// RevealedAt is when its buyer first saw it; zero: not yet.
	RevealedAt time.Time
}

// Deps is what a Stock stands on.
type Deps struct {
	DB      *storage.DB
	Vault   *vault.Vault
	Audit   *audit.Log
	Clocks  *clock.Realms
	Catalog *catalog.Service
	Logger  *slog.Logger
}

// Stock is the codes of one installation. It is safe for concurrent use.
type Stock struct{ Deps }

// New returns the stock.
func New(d Deps) *Stock { return &Stock{d} }

// MaxCount is the most that Count counts to.
const MaxCount = 10_000

// Count returns how many codes of an item can be sold now, MaxCount at most.
func (s *Stock) Count(context.Context, realm.Realm, catalog.ItemCode) (int, error) { return 0, nil }

// InStock returns which of some items have a code that can be sold now.
func (s *Stock) InStock(context.Context, realm.Realm, []catalog.ItemCode) (map[catalog.ItemCode]bool, error) {
	return nil, nil
}

// Wanted says which codes to pick: N of an item, after Skip others.
type Wanted struct {
	Realm   realm.Realm
	Item    catalog.ItemCode
	N, Skip int
}

// Pick returns at most N codes of an item that can be sold now, the ones that expire first
// first. It reserves nothing: Take decides.
func (s *Stock) Pick(ctx context.Context, w Wanted) ([]CodeID, error) {
	return nil, nil
}

// Take returns the effects of selling codes to an order of a book. Each fails with
// storage.ErrStale if its code is not for sale any more: pick others then.
func Take(ids []CodeID, order string, book ledger.BookID, at time.Time) []storage.Effect { return nil }

// Open returns codes in the clear, in the order of ids, whatever their state and without a
// record: for whoever writes Revealed with what sells them. It returns not_found for an
// unknown id.
func (s *Stock) Open(ctx context.Context, ids []CodeID) ([]Code, error) { return nil, nil }

// Reveal is one look at the codes of an order.
type Reveal struct {
	Book  ledger.BookID
	Realm realm.Realm
	Order string
	Actor string // the credential that looks
}

// Revealed returns the effect of recording a look at the codes of an order that are sold
// by the same transaction.
func Revealed(r Reveal, at time.Time) []storage.Effect { return nil }

// Reveal returns the codes of a book's order in the clear, by id, once the look is
// recorded. It returns none for another book's order.
func (s *Stock) Reveal(ctx context.Context, r Reveal) ([]Code, error) { return nil, nil }

// Options of an upload.
type Options struct {
	Realm    realm.Realm
	Item     catalog.ItemCode
	Supplier string
	// Batch names the upload within its item. A file may be sent again under the same
	// name: rows that are in stock from the first time are counted as known.
	Batch string
	// Cost is that of codes whose row has none.
	Cost     catalog.Cost
	DryRun   bool
	Actor    string
	Progress func(rows int) // may be nil
	// Rejected is told of every bad row as it is read; may be nil.
	Rejected func(BadRow)
}

// BadRow is why a row was refused.
type BadRow struct {
	Line   int // from 1, the header's
	Field  string
	Reason string
}

// MaxBad bounds Report.Bad.
const MaxBad = 1000

// Report is what an upload did.
type Report struct {
	Rows  int // besides the header and empty lines
	Added int // or would be, in a dry run
	Known int // in stock from the same row of the same batch
	Wrong int // rows refused
	Bad   []BadRow
}

// Import adds the codes that a CSV file lists.
func (s *Stock) Import(ctx context.Context, r io.Reader, o Options) (Report, error) {
	return Report{}, nil
}
