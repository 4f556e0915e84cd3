// Package stock is the codes that the operator sells: uploaded in batches, sealed at rest,
// found by keyed hash, sold once, the ones that expire first before the others.
//
// A code is sold by the effects of Take within the buyer's ledger operation: two buyers
// cannot have the same. One that was dead is replaced or refunded once, by effects, too.
// What a supplier delivers for an order is sealed by Receive. Codes leave in the clear
// through Open and Reveal alone, and every Reveal is recorded with its buyer's book.
//
// It must never sell a code from stock that is expired or in a quarantined batch, and never
// log one.
package stock

import (
	"log/slog"
	"math"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/webhook"
)

// CodeID names a code ("code_…"). It is not a secret.
type CodeID string

// BatchID names an upload ("batch_…").
type BatchID string

const (
	codePrefix   = "code"
	batchPrefix  = "batch"
	revealPrefix = "reveal"
	// repeatPrefix begins the names of looks at an answer that was given before.
	repeatPrefix = "repeat"
)

// State is what can be done with a code.
type State string

// The states of a code.
const (
	Available   State = "available"
	Quarantined State = "quarantined"
	Reserved    State = "reserved" // delivered for an order that is not complete yet
	Sold        State = "sold"
	// Replacing codes are dead, and others are on their way. Replaced ones were dead: others
	// took their places. Refunded ones were dead, too.
	Replacing State = "replacing"
	Replaced  State = "replaced"
	Refunded  State = "refunded"
)

// Code is a code in the clear.
type Code struct {
	ID    CodeID
	Item  catalog.ItemCode
	Text  pan.Secret
	PIN   pan.Secret // empty: it has none
	State State
	// Cost is what it cost the operator; zero where it is unknown.
	Cost      catalog.Cost
	ExpiresAt time.Time // zero: never
	SoldAt    time.Time // zero: it is not sold
	// Place is which of its order's codes it is, from 1, as Reveal found it.
	Place int
}

// Deps is what a Stock stands on.
type Deps struct {
	DB      *storage.DB
	Vault   *vault.Vault
	Audit   *audit.Log
	Clocks  *clock.Realms
	Catalog *catalog.Service
	Outbox  *webhook.Outbox
	Logger  *slog.Logger
}

// Stock is the codes of one installation. It is safe for concurrent use.
type Stock struct{ Deps }

// New returns the stock. From then on the catalog keeps the values of what is for sale or
// may come to be.
func New(d Deps) *Stock {
	s := &Stock{d}
	if d.Catalog != nil {
		d.Catalog.KeepValues(s.valued)
	}
	return s
}

// What codes are sealed and hashed for.
const (
	purposeSeal = "stock.code"
	purposeHash = "stock.code"
)

// never is when a code expires that does not.
const never = math.MaxInt64

// expiry is how the end of a code is stored, so that the earliest sorts first.
func expiry(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return storage.Micros(t)
}

func expiresAt(micros int64) time.Time {
	if micros == never {
		return time.Time{}
	}
	return storage.Time(micros)
}

func invalidAt(field, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At(field)
}
