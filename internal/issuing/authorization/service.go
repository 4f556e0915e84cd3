package authorization

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/webhook"
)

// Scorer says how much a payment looks like theft. An error, and no answer within
// Policy.ScoreWithin, means that it is down.
type Scorer interface {
	Score(ctx context.Context, payment fraud.Event) (fraud.Score, error)
	// Learn is told what came of a payment that was scored.
	Learn(payment fraud.Event, outcome fraud.Outcome)
}

// Engine is the scorer in this process.
func Engine(e Immediate) Scorer { return engine{e} }

// Immediate is a scorer that waits for nothing.
type Immediate interface {
	Score(payment fraud.Event) fraud.Score
	Learn(payment fraud.Event, outcome fraud.Outcome)
}

type engine struct{ Immediate }

func (e engine) Score(_ context.Context, payment fraud.Event) (fraud.Score, error) {
	return e.Immediate.Score(payment), nil
}

// Decider asks whoever a book wants asked about payments that the rules allow.
type Decider interface {
	// Decide returns within the deadline that the book set.
	Decide(ctx context.Context, q Question) Verdict
}

// Disputes are what is contested about payments.
type Disputes interface {
	// GiveWay makes room for a refund of a payment that is contested, and returns how much.
	GiveWay(ctx context.Context, book ledger.BookID, payment ID, needed money.Amount) (money.Amount, error)
}

// Question is a payment that the built-in rules allow.
type Question struct {
	Book     ledger.BookID
	Realm    realm.Realm
	Payment  ID
	Card     issuing.CardID
	Last4    string
	Amount   money.Amount
	Held     money.Amount // what the payment holds already, to which Amount is added; zero of a new one
	Original money.Amount // zero unless in another currency
	Merchant Merchant
	Category string
	Entry    Entry
	Score    int // hundredths
	At       time.Time
}

// Verdict is what a Decider says. It can only tighten: Allow is leave to go on.
type Verdict string

// The verdicts.
const (
	Allow Verdict = "allow"
	// Deny declines.
	Deny Verdict = "deny"
	// Absent means that there was no answer in time, and the stand-in rules decide.
	Absent Verdict = "absent"
)

// Deps is what a Service stands on.
type Deps struct {
	DB     *storage.DB
	Books  *ledger.Ledger
	Cards  *issuing.Service
	Vault  *vault.Vault
	Outbox *webhook.Outbox
	Clocks *clock.Realms
	// Fraud may be nil: nothing is scored.
	Fraud Scorer
	// Decider may be nil: nobody is asked.
	Decider Decider
	// Disputes may be nil: nothing is contested.
	Disputes Disputes
	Policy   Policy
	Logger   *slog.Logger
	// Random is the source of approval codes and one-time codes; crypto/rand unless set.
	Random io.Reader
}

// Service decides payments. It is safe for concurrent use.
type Service struct {
	Deps
}

// New returns the service.
func New(d Deps) *Service {
	if d.Random == nil {
		d.Random = rand.Reader
	}
	return &Service{Deps: d}
}

// The kinds of the ledger's transactions. Their key is the message's, after keyPrefix.
const (
	kindAuthorize = "authorization.authorize"
	kindPurchase  = "authorization.purchase"
	kindIncrement = "authorization.increment"
	kindCapture   = "authorization.capture"
	kindPost      = "authorization.post"
	kindStandIn   = "authorization.stand_in"
	kindReverse   = "authorization.reverse"
	kindExpire    = "authorization.expire"
	kindRefund    = "authorization.refund"

	keyPrefix = "authorization/"
	// actor stands in the books for whoever sends payments.
	actor = "card-network"
)

// The types of events.
const (
	eventAuthorized = "transaction.authorized"
	eventSettled    = "transaction.settled"
	eventDeclined   = "transaction.declined"
	eventRefunded   = "transaction.refunded"
	eventChallenge  = "3ds.challenge"
)

// EventTypes returns the types of this package's events.
func EventTypes() []string {
	return []string{eventAuthorized, eventSettled, eventDeclined, eventRefunded, eventChallenge}
}

const (
	// maxTries bounds how often a call is worked out anew because the books moved under it.
	maxTries = 16
	// approvalDigits and otpDigits are the lengths of codes.
	approvalDigits = 6
	otpDigits      = 6
)

// draw returns n random decimal digits.
func (s *Service) draw(n int) (string, error) {
	digits := make([]byte, 0, n)
	var room [16]byte
	for len(digits) < n {
		if _, err := io.ReadFull(s.Random, room[:]); err != nil {
			return "", err
		}
		for _, b := range room {
			if b < 250 && len(digits) < n { // 250 is a multiple of ten: every digit is as likely
				digits = append(digits, '0'+b%10)
			}
		}
	}
	return string(digits), nil
}
