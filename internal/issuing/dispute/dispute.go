// Package dispute is what cardholders contest about payments with virtual cards: why, what
// speaks for it, where it stands, and the money meanwhile.
//
// What is contested is credited until it is decided: for good when the dispute is won, and
// taken back when it is lost or withdrawn. Together with refunds it is never more than the
// payment captured; a refund that comes meanwhile takes the place of the credit. Each
// change is one ledger operation or transaction with its event.
//
// It must never keep a balance, nor what speaks for a dispute in the clear.
package dispute

import (
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/sweep"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/webhook"
)

// ID names a dispute ("dsp_…").
type ID string

// Prefix begins every dispute's id.
const Prefix = "dsp"

// Reason is why a payment is contested.
type Reason string

// The reasons.
const (
	Fraud              Reason = "fraud" // the cardholder did not pay
	Duplicate          Reason = "duplicate"
	NotReceived        Reason = "not_received"
	NotAsDescribed     Reason = "not_as_described"
	Cancelled          Reason = "cancelled"
	CreditNotProcessed Reason = "credit_not_processed" // a refund was promised
	WrongAmount        Reason = "wrong_amount"
	Other              Reason = "other" // the note says what
)

// Reasons returns the closed list in its documented order.
func Reasons() []Reason {
	return []Reason{Fraud, Duplicate, NotReceived, NotAsDescribed, Cancelled, CreditNotProcessed, WrongAmount, Other}
}

// State is where a dispute is in its life.
type State string

// The states. The last three are final.
const (
	Opened      State = "opened"       // evidence is gathered
	UnderReview State = "under_review" // the merchant's side has it
	Represented State = "represented"  // the merchant contests it
	Won         State = "won"
	Lost        State = "lost"
	Withdrawn   State = "withdrawn"
)

// States returns the closed list in its documented order.
func States() []State { return []State{Opened, UnderReview, Represented, Won, Lost, Withdrawn} }

// next is the transition table.
var next = map[State][]State{
	Opened:      {UnderReview, Won, Lost, Withdrawn},
	UnderReview: {Represented, Won, Lost, Withdrawn},
	Represented: {UnderReview, Won, Lost, Withdrawn},
}

// CanBecome reports whether a dispute that is s may become to.
func (s State) CanBecome(to State) bool { return slices.Contains(next[s], to) }

// Open reports whether a dispute that is s is still undecided.
func (s State) Open() bool { return len(next[s]) > 0 }

// Dispute is one contested payment.
type Dispute struct {
	Book    ledger.BookID
	Realm   realm.Realm
	ID      ID
	Payment authorization.ID
	Card    issuing.CardID
	Reason  Reason
	Note    string
	// Amount is what was contested, Refunded how much of it the merchant gave back since.
	Amount, Refunded money.Amount
	// Credited says that what is left of Amount was given to the cardholder when it was opened.
	Credited bool
	State    State
	Revision int64 // rises with every change
	OpenedBy string
	// Decision is the words of whoever changed the state last, DecidedBy who that was.
	Decision, DecidedBy string
	// Evidence is how many pieces there are.
	Evidence int
	// DueAt is when the time of the state is over; zero once it is decided.
	DueAt                time.Time
	CreatedAt, ChangedAt time.Time
}

// Left is what is still contested or, once it is decided, was.
func (d *Dispute) Left() money.Amount {
	return money.New(d.Amount.Minor-d.Refunded.Minor, d.Amount.Currency)
}

// Policy is the operator's rules for disputes.
type Policy struct {
	// Within is how long after its last capture a payment can be contested.
	Within time.Duration
	// Gather, Answer and Reply are how long a dispute may be opened, under review and
	// represented. Then it is under review, won and lost.
	Gather, Answer, Reply time.Duration
	// Provisional credits what is contested when a dispute is opened; otherwise it is
	// credited when it is won.
	Provisional bool
}

const day = 24 * time.Hour

// DefaultPolicy is 120 days to contest, 30 to gather evidence, 45 for the merchant's answer
// and 30 for a reply to it, with a credit at once.
func DefaultPolicy() Policy {
	return Policy{Within: 120 * day, Gather: 30 * day, Answer: 45 * day, Reply: 30 * day, Provisional: true}
}

// due is when the time of a state that begins now is over, and what comes then.
func (p *Policy) due(s State, now time.Time) (time.Time, State) {
	switch s {
	case Opened:
		return now.Add(p.Gather), UnderReview
	case UnderReview:
		return now.Add(p.Answer), Won
	case Represented:
		return now.Add(p.Reply), Lost
	case Won, Lost, Withdrawn:
	}
	return time.Time{}, s
}

// Bounds of a dispute.
const (
	MaxNote     = 500 // bytes
	MaxText     = 4_000
	MaxFile     = 512 << 10 // bytes
	MaxEvidence = 10
	MaxPage     = 200
	maxTries    = 8
)

// Deps is what a Service stands on.
type Deps struct {
	DB       *storage.DB
	Books    *ledger.Ledger
	Payments *authorization.Service
	Vault    *vault.Vault
	Outbox   *webhook.Outbox
	Audit    *audit.Log
	Clocks   *clock.Realms
	Policy   Policy
}

// Service is the disputes of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	expiry sweep.Sweep[Dispute]
}

// New returns the service.
func New(d Deps) *Service {
	s := &Service{Deps: d}
	s.expiry = sweep.Sweep[Dispute]{Page: sweepPage, AtOnce: 1, Due: s.due, End: s.lapse}
	return s
}

// The kinds of the ledger's transactions.
const (
	kindCredit  = "dispute.credit"
	kindWin     = "dispute.win"
	kindReverse = "dispute.reverse"
	kindRefund  = "dispute.refund"
)

// The types of the events; events has those of changes of state.
const (
	eventOpened      = "dispute.opened"
	eventReview      = "dispute.under_review"
	eventRepresented = "dispute.represented"
	eventWon         = "dispute.won"
	eventLost        = "dispute.lost"
	eventWithdrawn   = "dispute.withdrawn"
	eventRefunded    = "dispute.refunded"
)

var events = map[State]string{Opened: eventOpened, UnderReview: eventReview, Represented: eventRepresented, Won: eventWon, Lost: eventLost, Withdrawn: eventWithdrawn}

// EventTypes returns the types of this package's events.
func EventTypes() []string {
	return []string{eventOpened, eventReview, eventRepresented, eventWon, eventLost, eventWithdrawn, eventRefunded}
}

// event is the row that tells of a dispute as it is. There is nothing of its evidence in it.
func (s *Service) event(kind string, d *Dispute, transaction ledger.TransactionID) []storage.Effect {
	data := (&webhook.Data{}).Text("dispute_id", string(d.ID)).Text("authorization_id", string(d.Payment)).Text("card_id", string(d.Card)).
		Text("reason", string(d.Reason)).Text("status", string(d.State)).Text("amount", d.Amount.String()).Text("refunded", d.Refunded.String()).
		Text("currency", d.Amount.Currency.String()).Text("decision", d.Decision).Text("transaction_id", string(transaction))
	return s.Outbox.Effects(webhook.Event{Book: d.Book, Realm: d.Realm, Type: kind, Data: data.JSON(), At: d.ChangedAt})
}
