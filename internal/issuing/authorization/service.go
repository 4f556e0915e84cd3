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
	"github.com/scripcards/scrip/internal/platform/gather"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/sweep"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/webhook"
)

// Scorer says how much a payment looks like theft, without I/O.
type Scorer interface {
	Score(payment fraud.Event) fraud.Score
	// Learn is told what came of a payment that was scored.
	Learn(payment fraud.Event, outcome fraud.Outcome)
}

// Decider asks whoever a book wants asked about payments that the rules allow.
type Decider interface {
	// Decide returns within the deadline that the book set.
	Decide(ctx context.Context, q Question) Verdict
}

// Disputes are what is contested about payments.
type Disputes interface {
	// GiveWay makes room for a refund of a payment that is contested.
	GiveWay(ctx context.Context, r Room) error
}

// Room is what a refund needs of what is contested of its payment.
type Room struct {
	Book    ledger.BookID
	Payment ID
	Amount  money.Amount
	// Whole says that less is of no use: where less is contested, nothing gives way.
	Whole bool
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
	expiry sweep.Sweep[*payment]
	keyed  *gather.Gather[messageName, gather.Row[line]]
}

// longestLook is when a database that does not answer is not waited for any longer.
const longestLook = 10 * time.Second

// New returns the service.
func New(d Deps) *Service {
	if d.Random == nil {
		d.Random = rand.Reader
	}
	s := &Service{Deps: d}
	s.keyed = gather.Rows(longestLook, s.underKeys, func(l *line) messageName { return messageName{l.payment.Book, l.key} })
	s.expiry = sweep.Sweep[*payment]{Page: sweepPage, AtOnce: sweepAtOnce, Due: s.due, End: s.expire}
	return s
}

// The kinds of the ledger's transactions. Their key is the message's, after keyPrefix; those
// that begin a payment have none, since its first line has it.
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

// SecretEventTypes returns those of them whose data is a secret.
func SecretEventTypes() []string { return []string{eventChallenge} }

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

// Policy is the operator's rules for payments; DefaultPolicy has the usual ones.
type Policy struct {
	// HoldFor is how long an authorization holds money that is not captured, unless
	// Trades says otherwise.
	HoldFor time.Duration
	// Trades are the merchants whose payments have rules of their own; the first that
	// has an MCC counts.
	Trades []Trade
	// DeclineAt and ChallengeAt are the fraud scores, in hundredths, from which a payment
	// is declined, and from which one made online needs a 3-D Secure challenge. Zero: never.
	DeclineAt, ChallengeAt int
	// DeclinePostcode declines when a postcode was presented and is not the cardholder's.
	DeclinePostcode bool
	// StandIn answers while a decision webhook does not.
	StandIn StandIn
}

// Trade is a range of merchant category codes with rules of their own.
type Trade struct {
	// From and To are ISO 18245 codes, both included.
	From, To string
	// HoldFor replaces Policy.HoldFor; zero: it does not.
	HoldFor time.Duration
	// OverPercent is how much more than was authorized may be captured: tips, minibars.
	OverPercent int64
}

// StandIn is what is approved while a part of what decides is down. What is above is declined.
type StandIn struct {
	// MaxMajor bounds one payment and MaxDayMajor those of a card and day of UTC, in major
	// units of the card's currency. Zero: nothing is approved.
	MaxMajor, MaxDayMajor int64
}

const day = 24 * time.Hour

// DefaultPolicy holds for seven days and longer where guests stay, lets tips be added,
// declines scores of 0.85 and challenges those of 0.60, and stands in for up to 50 a
// payment and 200 a day.
func DefaultPolicy() Policy {
	return Policy{
		HoldFor: 7 * day,
		Trades: []Trade{
			{From: "3351", To: "3441", HoldFor: 30 * day, OverPercent: 15}, // car rental, by company
			{From: "3501", To: "3999", HoldFor: 30 * day, OverPercent: 15}, // lodging, by company
			{From: "4111", To: "4111", OverPercent: 20},                    // local transport
			{From: "4121", To: "4121", OverPercent: 20},                    // taxis
			{From: "4411", To: "4411", HoldFor: 30 * day, OverPercent: 15}, // cruises
			{From: "5812", To: "5814", OverPercent: 20},                    // restaurants, bars, fast food
			{From: "7011", To: "7011", HoldFor: 30 * day, OverPercent: 15}, // hotels
			{From: "7033", To: "7033", HoldFor: 30 * day, OverPercent: 15}, // camps
			{From: "7230", To: "7230", OverPercent: 20},                    // hairdressers
			{From: "7297", To: "7298", OverPercent: 20},                    // massage and beauty
			{From: "7512", To: "7513", HoldFor: 30 * day, OverPercent: 15}, // car and truck rental
			{From: "7519", To: "7519", HoldFor: 30 * day, OverPercent: 15}, // motor homes
		},
		DeclineAt: 85, ChallengeAt: 60, DeclinePostcode: true,
		StandIn: StandIn{MaxMajor: 50, MaxDayMajor: 200},
	}
}

// trade returns the rules for a merchant category code.
func (p *Policy) trade(mcc string) Trade {
	found := Trade{HoldFor: p.HoldFor}
	for _, t := range p.Trades {
		if len(mcc) == len(t.From) && t.From <= mcc && mcc <= t.To {
			found.OverPercent = t.OverPercent
			if t.HoldFor > 0 {
				found.HoldFor = t.HoldFor
			}
			break
		}
	}
	return found
}

// ceiling is the most that may be captured of what was authorized, rounded down.
func (t Trade) ceiling(authorized money.Amount) money.Amount {
	over, err := authorized.Share(max(t.OverPercent, 0), 100, money.Floor)
	if err != nil {
		return authorized
	}
	sum, err := authorized.Add(over)
	if err != nil {
		return authorized
	}
	return sum
}

// minorUnits converts whole major units, bounded where they overflow.
func minorUnits(major int64, currency money.Currency) int64 {
	const most = int64(1) << 60
	for range currency.Digits() {
		if major > most/10 {
			return most
		}
		major *= 10
	}
	return major
}
