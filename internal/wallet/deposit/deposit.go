// Package deposit is what customers pay to their wallets' addresses in assets: seen on a
// chain, confirmed as often as the policy wants, credited once in dollars less a fee, and
// taken back by an entry of its own when the chain gives it up.
//
// A credit is one ledger operation with the deposit's row and its event. Every sighting
// may come twice, late, out of order or from several processes; what counts is the row's
// version. Nothing is credited without a rate, and nothing is ever forgotten: an address
// is watched for ever, and a payment that was gone may come back.
//
// It must never ask a chain or a source of rates within a transaction.
package deposit

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/webhook"
)

// ID names a deposit ("dep_…").
type ID string

// Status is where a deposit is.
type Status string

// The statuses. A payment that is gone can come back, and one that was confirmed can go.
const (
	Pending   Status = "pending"   // seen, not credited
	Confirmed Status = "confirmed" // credited
	Expired   Status = "expired"   // not credited, or not any more
)

// Statuses returns the closed list in its documented order.
func Statuses() []Status { return []Status{Pending, Confirmed, Expired} }

// next is the transition table.
var next = map[Status][]Status{
	Pending:   {Confirmed, Expired},
	Confirmed: {Pending, Expired},
	Expired:   {Pending},
}

// become is how a status changes: by the table, or not at all.
func (s *Status) become(to Status) error {
	if !slices.Contains(next[*s], to) {
		return fmt.Errorf("a deposit that is %s cannot become %s", *s, to)
	}
	*s = to
	return nil
}

// Reason says more of a status.
type Reason string

// The reasons.
const (
	None         Reason = ""
	BelowMinimum Reason = "below_minimum" // too little to be credited
	Replaced     Reason = "replaced"      // another payment with the same money took its place
	Dropped      Reason = "dropped"       // it was never in a block, and the chain forgot it
	Reorganised  Reason = "reorganised"   // it was in a block that the chain gave up
	NoRate       Reason = "no_rate"       // it waits for a rate
	TooLarge     Reason = "too_large"     // it is worth more than the books hold: somebody has to look
)

// Deposit is one payment as it stands.
type Deposit struct {
	Book  ledger.BookID
	ID    ID
	Realm realm.Realm
	Payment
	Address string
	Amount  asset.Amount
	Status  Status
	Reason  Reason
	// Confirmations are how many blocks bury it, as of the last look; it is credited with
	// Required, and if it is Final when the chain will not give up its block any more.
	Confirmations int64
	Required      int64
	Final         bool
	// Value is what it is worth, Fee the part that is kept, Credited what the wallet gets. Of
	// a pending one they are as things stand; of an expired one they are zero.
	Value    money.Amount
	Fee      money.Amount
	Credited money.Amount
	// Rate is what Value was made with, and Sources who said so, at RatedAt; zero: none was known.
	Rate    money.Rate
	Sources []string
	RatedAt time.Time
	// Credit and Reversal are the last transactions of either kind; empty: there was none.
	Credit     ledger.TransactionID
	Reversal   ledger.TransactionID
	ReplacedBy string // the transaction on the chain that took its place, if that is known
	SeenAt     time.Time
	// ConfirmedAt is when it was credited; zero unless it is confirmed.
	ConfirmedAt time.Time
	ChangedAt   time.Time

	credits int64 // how often it was credited
	rest    int64 // the height of its block, where it was worked out as a rest
	watched bool
	version int64
}

// Deps are what a Service needs.
type Deps struct {
	DB          *storage.DB
	Books       *ledger.Ledger
	Outbox      *webhook.Outbox
	Clocks      *clock.Realms
	AddressBook *address.Service
	// Chains are who watches what; an asset whose chain nobody watches cannot be deposited.
	Chains map[address.Place]Chain
	Rates  map[realm.Realm]*rate.Service
	Policy Policy
	Logger *slog.Logger
}

// Service is the deposits of one installation. It is safe for concurrent use.
type Service struct{ Deps }

// New returns the service. The policy must have passed its check.
func New(d Deps) *Service { return &Service{d} }

// currency is what deposits are credited in.
const currency = money.USD
