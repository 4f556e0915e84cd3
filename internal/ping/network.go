package ping

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/line"
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
	// Public says that anybody could be asking: the caller is not the owner of its book's cards.
	Public bool
}

// Balance is a network's answer.
type Balance struct {
	Status Status
	// Amount is what can be spent; in another currency than the inquiry's when the card is.
	Amount money.Amount
	// Expiry is the month in which the card ends, as "2027-03"; empty when unknown.
	Expiry string
	PIN    PINCheck
	// AsOf is when the network knew this, by the machine's clock; zero means now.
	AsOf time.Time
	// Owner is whose card it is, where this installation issued it; they are told of probes.
	Owner ledger.BookID
	// Card is the owner's name for the card ("gc_…"), beside Owner.
	Card string
	// Staged is set by the networks of the test realm alone, for their documented numbers.
	Staged *Staged
}

// Staged is what a documented number of the test realm answers beside its balance.
type Staged struct {
	Score   fraud.Score
	Latency time.Duration
}

// Network answers balance inquiries. An adapter does one attempt, bounded by ctx; it
// returns the fault card_invalid for a number, or at "pin" for a PIN, that cannot be this
// network's by its form, and unavailable for everything that is the network's failing, as a line.Outage where that has
// nothing to do with the card. Timeouts, repetition and the circuit breaker are put around
// it by this package.
type Network interface {
	Inquire(ctx context.Context, inquiry Inquiry) (Balance, error)
}

// Adapter opens a network of one kind ("http", "iso8583") from its configuration, a JSON
// object. A network that is an io.Closer too is closed when it is replaced or removed.
type Adapter func(config []byte) (Network, error)

// Type says whose cards a network has.
type Type string

// The types: cards for all who take a brand's cards, and cards of one merchant.
const (
	OpenLoop   Type = "open_loop"
	ClosedLoop Type = "closed_loop"
)

// State is what is published of a network.
type State = line.State

// The states of a network.
const (
	Operational = line.Operational
	Degraded    = line.Degraded
	Down        = line.Down
)

// NetworkInfo is a network as callers see it.
type NetworkInfo struct {
	ID    string
	Name  string
	Type  Type
	Rules Rules
	State State
}

// VisitorsNeedPIN reports whether a portal's visitors see no card of the network without
// its PIN: where the network asks for one, and always on that of this installation, whose
// cards their owner alone sees without.
func (n NetworkInfo) VisitorsNeedPIN() bool { return n.Rules.PINRequired || n.ID == scripID }

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
	// form, where there is one, says more of a number than these can.
	form func(number string) bool
}

// maxPIN is the longest PIN, in bytes.
const maxPIN = 64

// read reads a check's number and PIN as the network's, or says what is wrong: that is
// card_invalid at the number or the PIN, or invalid_request at the currency. It says
// nothing of whether there is such a card.
func (r *Rules) read(c *Check) (pan.Number, error) {
	number, err := r.number(c.Number)
	switch {
	case err != nil:
		return pan.Number{}, err
	case r.PINRequired && c.PIN.IsZero():
		return pan.Number{}, fault.New(fault.CardInvalid, "the network needs a PIN").At("pin")
	case len(c.PIN.Reveal()) > maxPIN:
		return pan.Number{}, fault.New(fault.CardInvalid, "a PIN has at most %d characters", maxPIN).At("pin")
	case len(r.Currencies) > 0 && !slices.Contains(r.Currencies, c.Currency):
		return pan.Number{}, fault.New(fault.InvalidRequest, "the network has no cards in %s", c.Currency).At("currency")
	}
	return number, nil
}

// number reads a number, or returns card_invalid.
func (r *Rules) number(text pan.Secret) (pan.Number, error) {
	parse := pan.Parse
	if r.Letters {
		parse = pan.ParseAlnum
	}
	number, err := parse(pan.Plain(text.Reveal()))
	if err != nil || !r.fits(number.Reveal()) {
		return pan.Number{}, fault.New(fault.CardInvalid, "the number cannot be one of this network's").At("number")
	}
	return number, nil
}

func (r *Rules) fits(number string) bool {
	if len(r.Lengths) > 0 && !slices.Contains(r.Lengths, len(number)) || r.form != nil && !r.form(number) {
		return false
	}
	return len(r.Prefixes) == 0 || slices.ContainsFunc(r.Prefixes, func(prefix string) bool { return strings.HasPrefix(number, prefix) })
}
