// Package claim is what buyers of codes report about dead ones, and what the operator
// decides: other codes for them, their price back, or neither.
//
// A claim records when each of its codes was first revealed, and to whom. A decision is
// one database transaction with what it does to the order, its codes and the books; where a
// supplier has to deliver other codes, the end of that is another one, and until then the
// codes are being replaced. What was a gift card of this installation is voided with its end. A code is replaced or refunded once, whatever is repeated or
// decided by two at a time; what was replaced or refunded stays so, and what was rejected can
// be claimed again.
//
// It must never hold a code in the clear, nor move money but through package order.
package claim

import (
	"fmt"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/minted"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// ID names a claim ("claim_…").
type ID string

// Prefix begins every claim's id.
const Prefix = "claim"

// Reason is what is wrong with the codes.
type Reason string

// The reasons.
const (
	Invalid     Reason = "invalid" // the shop does not know it
	Used        Reason = "used"    // somebody else had redeemed it
	Expired     Reason = "expired"
	WrongValue  Reason = "wrong_value"
	WrongRegion Reason = "wrong_region"
	Other       Reason = "other" // the note says what
)

// Reasons returns the closed list in its documented order.
func Reasons() []Reason {
	return []Reason{Invalid, Used, Expired, WrongValue, WrongRegion, Other}
}

// State is where a claim is in its life.
type State string

// The states. A claim is open as long as one of its codes is, processing while others are on
// their way and nothing is left to decide, and accepted when one of its codes was replaced or
// refunded.
const (
	Open       State = "open"
	Processing State = "processing"
	Accepted   State = "accepted"
	Rejected   State = "rejected"
)

// States returns the closed list in its documented order.
func States() []State { return []State{Open, Processing, Accepted, Rejected} }

// Verdict is what was decided about one code.
type Verdict string

// The verdicts. Pending is none yet; what is Replacing is to be replaced, by codes that a
// supplier is asked for.
const (
	Pending   Verdict = "open"
	Replacing Verdict = "replacing"
	Replace   Verdict = "replaced"
	Refund    Verdict = "refunded"
	Reject    Verdict = "rejected"
)

// maxTries bounds how often a claim is read again because somebody else decided meanwhile.
const maxTries = 8

// next is the transition table: a decision is final, but for a replacement that nobody
// delivers.
var next = map[Verdict][]Verdict{Pending: {Replacing, Replace, Refund, Reject}, Replacing: {Replace, Pending}}

// become is how a verdict changes: by the table, or not at all.
func (v *Verdict) become(to Verdict) error {
	if !slices.Contains(next[*v], to) {
		return fmt.Errorf("a code of a claim that is %s cannot become %s", *v, to)
	}
	*v = to
	return nil
}

// Line is one code of a claim.
type Line struct {
	// Place is which of its order's codes it is, from 1.
	Place  int
	Code   stock.CodeID
	SoldAt time.Time
	// FirstLook is when the code was first revealed, and the credential that looked.
	FirstLook stock.Look
	// Card is the gift card of this installation that the code is, made when it was sold, as
	// it stands; nil: it is none.
	Card    *minted.Card
	Charged catalog.Charged
	Verdict Verdict
	// Replacement is the code that has its place; empty unless it was replaced.
	Replacement stock.CodeID
	// Transaction is what the books did; empty unless it was replaced or refunded.
	Transaction ledger.TransactionID
	// Decision is the operator's words or, where nobody delivered a replacement, why it is
	// open again.
	Decision  string
	Actor     string // who decided; empty: nobody yet
	DecidedAt time.Time
}

// Voiding says whether whoever has a code can be kept from using it.
type Voiding string

// The answers. Codes that were uploaded or that an upstream delivered are other people's.
const (
	Impossible Voiding = "impossible" // it is not known here what the code is worth
	Possible   Voiding = "possible"   // it is a gift card, which is voided when it is replaced or refunded
	Needless   Voiding = "needless"   // it is a gift card that had expired or was cancelled
	Voided     Voiding = "voided"     // it was a gift card: nobody can use it any more
)

// Voiding is what holds for the line's code.
func (l *Line) Voiding() Voiding {
	switch {
	case l.Card == nil:
		return Impossible
	case l.Card.Void != nil:
		return Voided
	case l.Card.Ended():
		return Needless
	}
	return Possible
}

// Claim is one report of dead codes of one order.
type Claim struct {
	Book      ledger.BookID
	Realm     realm.Realm
	ID        ID
	Order     order.Number
	OrderedAt time.Time
	Reason    Reason
	Note      string // the buyer's words; may be empty
	// Credential is who claimed.
	Credential           string
	State                State
	Revision             int64 // rises with every decision
	CreatedAt, ChangedAt time.Time
	Lines                []Line // by place
}

// Limits of a claim.
const (
	// Window is how long after it was delivered a code can be claimed.
	Window  = 30 * 24 * time.Hour
	MaxNote = 500 // bytes
	// MaxPerOrder bounds the claims of one order, rejected ones among them.
	MaxPerOrder = 200
	MaxPage     = 200
)

// Deps is what a Service stands on.
type Deps struct {
	DB     *storage.DB
	Orders *order.Service
	Stock  *stock.Stock
	Outbox *webhook.Outbox
	Audit  *audit.Log
	Clocks *clock.Realms
}

// Service is the claims of one installation. It is safe for concurrent use.
type Service struct{ Deps }

// New returns the service, and has d.Orders tell it what becomes of replacements.
func New(d Deps) *Service {
	s := &Service{d}
	d.Orders.OnReplacement(s.ending)
	return s
}

// The types of the events.
const (
	eventCreated   = "claim.created"
	eventReplacing = "claim.replacing"
	eventReplaced  = "claim.replaced"
	eventReopened  = "claim.reopened"
	eventRefunded  = "claim.refunded"
	eventRejected  = "claim.rejected"
)

// EventTypes returns the types of this package's events.
func EventTypes() []string {
	return []string{eventCreated, eventReplacing, eventReplaced, eventReopened, eventRefunded, eventRejected}
}

// state is that of a claim with the given codes.
func state(lines []Line) State {
	has := map[Verdict]bool{}
	for i := range lines {
		has[lines[i].Verdict] = true
	}
	switch {
	case has[Pending]:
		return Open
	case has[Replacing]:
		return Processing
	case has[Replace], has[Refund]:
		return Accepted
	}
	return Rejected
}

// places are the places of lines, as text: "1,3".
func places(lines []Line) string {
	var text []byte
	for i := range lines {
		text = appendPlace(text, lines[i].Place)
	}
	return string(text)
}

// voided are the places of those lines whose gift cards were voided.
func voided(lines []Line) string {
	return places(slices.DeleteFunc(slices.Clone(lines), func(l Line) bool { return l.Voiding() != Voided }))
}
