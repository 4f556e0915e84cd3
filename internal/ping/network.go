package ping

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
)

// Status is what a network says of a card.
type Status string

// The statuses. Invalid is a number that does not exist, a wrong PIN and a locked card alike.
const (
	Active   Status = "active"
	Inactive Status = "inactive"
	Expired  Status = "expired"
	Invalid  Status = "invalid"
)

// PINCheck says what a network made of the PIN.
type PINCheck uint8

// The results of a PIN check.
const (
	PINUnchecked PINCheck = iota // none was given, or the network does not check
	PINRight
	PINWrong
)

// Inquiry is one question to a network.
type Inquiry struct {
	// Book and Realm are the caller's.
	Book     ledger.BookID
	Realm    realm.Realm
	Number   pan.Number
	PIN      pan.Secret // empty: none
	Currency money.Currency
}

// Balance is a network's answer.
type Balance struct {
	Status Status
	// Amount is what can be spent; in another currency than the inquiry's when the card is.
	Amount money.Amount
	// Expiry is the month in which the card ends, as "2027-03"; empty when unknown.
	Expiry string
	PIN    PINCheck
	// AsOf is when the network knew this; zero means now.
	AsOf time.Time
	// Owner is whose card it is, where this installation issued it; they are told of probes.
	Owner ledger.BookID
	// Card is the owner's name for the card ("gc_…"), beside Owner.
	Card string
}

// Network answers balance inquiries. An adapter does one attempt, bounded by ctx; it
// returns the fault card_invalid for a number that cannot be this network's, and
// unavailable for everything that is the network's failing. Timeouts,
// repetition and the circuit breaker are put around it by this package.
type Network interface {
	Inquire(ctx context.Context, inquiry Inquiry) (Balance, error)
}

// Rules are what can be said of a number without asking the network.
type Rules struct {
	// Lengths are the allowed lengths; Prefixes, if any, how a number must begin.
	Lengths  []int
	Prefixes []string
	// Letters allows A–Z beside digits.
	Letters     bool
	PINRequired bool
	// Currencies the network knows; empty means all.
	Currencies []money.Currency
}
