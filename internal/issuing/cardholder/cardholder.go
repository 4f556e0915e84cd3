// Package cardholder is the persons for whom virtual cards are: who they are, how well
// they are known, and what that lets them spend.
//
// A customer names cardholders; an operator verifies them and puts them into a tier.
// Tiers are data: what the program ships can be changed, and others added, without a
// new one. Whoever is not verified, and cards for nobody in particular, have the tier
// Anonymous. What is remembered here is at most seconds old.
//
// It must never count what is spent: the ledger's guards do.
package cardholder

import (
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/country"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// ID names a cardholder ("chd_…").
type ID string

const idPrefix = "chd"

// State says what an operator found out about a cardholder.
type State string

// The states. A new cardholder is pending; of a suspended one no card may be used.
const (
	Pending   State = "pending"
	Verified  State = "verified"
	Rejected  State = "rejected"
	Suspended State = "suspended"
)

// States returns the closed list in its documented order.
func States() []State { return []State{Pending, Verified, Rejected, Suspended} }

// next is the transition table. What was found out can be said again: who is verified, for
// another tier; who is not, to finish what an interruption left.
var next = map[State][]State{
	Pending:   {Verified, Rejected},
	Verified:  {Verified, Suspended},
	Rejected:  {Verified, Rejected},
	Suspended: {Verified, Rejected, Suspended},
}

// CanBecome reports whether a cardholder that is s may become to.
func (s State) CanBecome(to State) bool { return slices.Contains(next[s], to) }

// MayHold reports whether cards may be made for a cardholder in this state.
func (s State) MayHold() bool { return s == Pending || s == Verified }

// Address is where bills go to.
type Address struct {
	Line1   string
	City    string
	State   string // or province; may be empty
	Zip     string // may be empty
	Country string // ISO 3166-1 alpha-2
}

// Cardholder is a person for whom there are cards.
type Cardholder struct {
	Book  ledger.BookID
	ID    ID
	Name  string
	Email string // may be empty
	// Reference is the customer's own name for the person; may be empty.
	Reference string
	Address   Address
	// Tier is what an operator verified the person for; empty before.
	Tier  string
	State State
	// Reason is what the operator wrote; may be empty.
	Reason    string
	CreatedAt time.Time
	ChangedAt time.Time
}

// TierName is the tier whose limits hold for the cardholder.
func (c *Cardholder) TierName() string {
	if c.State == Verified {
		return c.Tier
	}
	return Anonymous
}

// Owner is on whose behalf a call is made: one customer in one realm.
type Owner struct {
	Book  ledger.BookID
	Realm realm.Realm
	Actor string
}

// Deps is what a Service stands on.
type Deps struct {
	DB     *storage.DB
	Audit  *audit.Log
	Clocks *clock.Realms
}

// Service is the cardholders and tiers of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	persons *memo.Memo[Cardholder]
	tiers   *memo.Memo[[]Tier]
}

// What is remembered, and for how long until it is looked up again.
const (
	recentPersons = 16_384
	fresh         = time.Second
	life          = 30 * time.Second
)

// New returns the service.
func New(d Deps) *Service {
	return &Service{Deps: d,
		persons: memo.New[Cardholder](memo.Config{Present: recentPersons, Absent: 16, Fresh: fresh, Life: life}),
		tiers:   memo.New[[]Tier](memo.Config{Present: 16, Absent: 16, Fresh: fresh, Life: life})}
}

// Bounds of what is written about a person, in characters.
const (
	maxName      = 100
	maxReference = 64
	maxLine      = 100
	maxZip       = 16
	maxReason    = 200
)

// Check returns what is wrong with an address: invalid_request at the member.
func (a *Address) Check() error {
	for _, t := range []struct {
		field, text string
		least, most int
	}{{"line1", a.Line1, 1, maxLine}, {"city", a.City, 1, maxLine}, {"state", a.State, 0, maxLine}, {"zip", a.Zip, 0, maxZip}} {
		if err := checkText(t.field, t.text, t.least, t.most); err != nil {
			return err
		}
	}
	if !country.IsValid(a.Country) {
		return fault.New(fault.InvalidRequest, "country must be a code of ISO 3166-1 with two letters").At("country")
	}
	return nil
}

// checkText bounds a text of one line, in characters.
func checkText(field, text string, least, most int) error {
	if strings.TrimSpace(text) != text || !plain.Line(text, least, most) {
		return fault.New(fault.InvalidRequest, "%s must have %d to %d characters of plain text", field, least, most).At(field)
	}
	return nil
}
