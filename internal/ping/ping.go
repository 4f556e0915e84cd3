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
	"strings"
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

const idPrefix = "ping"

// Caller is who asks, and from where.
type Caller struct {
	Book  ledger.BookID
	Realm realm.Realm
	// Credential names the key ("key_…") or the portal ("portal_…") for limits and scores.
	// Behind a portal is anybody: its visitors are told apart by their addresses, and
	// none of them sees a card without its PIN.
	Credential string
	Address    netip.Addr
	// Agent is what the caller's program calls itself, its user agent, and Device all that
	// it says of itself; without a Device neither is known. They are counted and not
	// believed, and all that is kept of them is keyed hashes.
	Agent, Device string
}

// public says whether anybody could be asking.
func (c *Caller) public() bool { return strings.HasPrefix(c.Credential, "portal_") }

// name is whom limits and suspensions concern.
func (c *Caller) name() string {
	if c.public() {
		return c.Credential + "/" + c.place()
	}
	return c.Credential
}

// place is the address for limits: of IPv6 the /64, which is one customer's.
func (c *Caller) place() string {
	address := c.Address.Unmap()
	if !address.IsValid() {
		return ""
	}
	if address.Is6() {
		if prefix, err := address.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return address.String()
}

// from is the address as it is stored; empty when it is not known.
func (c *Caller) from() string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.Unmap().WithZone("").String()
}

// Check asks for the balance of a card.
type Check struct {
	Caller  Caller
	Network string
	// Number is as the caller wrote it, dashes and spaces of any kind included.
	Number   pan.Secret
	PIN      pan.Secret     // spaces around it are none of it; empty: none
	Currency money.Currency // none: USD
	Also     storage.Also[*Result]
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
