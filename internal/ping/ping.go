// Package ping checks the balances of cards on networks, with a fraud score.
//
// It owns the networks of an installation, the record of every check, the rules that
// keep a check from being a thief's tool, and the feedback on scores. A number that
// does not exist, a wrong PIN and a locked card are one answer. A check, its events
// and the stored answer to it are one transaction.
//
// It must never keep, log or send on a card number or a PIN other than to the network
// that is asked: what it stores are keyed hashes.
package ping

import (
	"net/netip"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// ID names a ping ("ping_…").
type ID string

// Caller is who asks, and from where.
type Caller struct {
	Book  ledger.BookID
	Realm realm.Realm
	// Credential names the key ("key_…") or the portal ("portal_…") for limits and scores.
	Credential string
	Address    netip.Addr
}

// Check asks for the balance of a card.
type Check struct {
	Caller  Caller
	Network string
	// Number is as the caller wrote it, dashes and spaces included.
	Number   pan.Secret
	PIN      pan.Secret     // empty: none
	Currency money.Currency // none: USD
	// Also is what to write with the ping, such as the stored answer; it may be nil.
	Also func(*Result) ([]storage.Effect, error)
}

// Result is what a check found. It holds no number, no PIN and no name of the card.
type Result struct {
	ID      ID
	Network string
	Status  Status
	Balance money.Amount
	Expiry  string // "2027-03"; empty when unknown
	Score   fraud.Score
	Latency time.Duration // of the network's answer
	AsOf    time.Time     // when the network knew the balance
	At      time.Time
}
