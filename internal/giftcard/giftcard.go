// Package giftcard is merchants' branded gift cards: cover templates, issue,
// redemption, holds, refunds, reload, expiry and cancellation.
//
// A card's money is its account in the merchant's book; this package keeps no
// balance. Every call that moves money is one ledger operation, repeatable under
// the merchant's own reference. The card's number and key are sealed at rest and
// found by keyed hash; they leave only through Issued, Find by the same secret,
// and Reveal, which is audited.
//
// It must never tell an unknown card from another merchant's card.
package giftcard

import (
	"crypto/rand"
	"io"
	"math"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/gather"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/sweep"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/webhook"
)

// ID names a gift card ("gc_…"). It is not a secret.
type ID string

const idPrefix = "gc"

// Status is where a card is in its life.
type Status string

// The statuses. A card that was redeemed in part is still created.
const (
	Created   Status = "created"
	Redeemed  Status = "redeemed"
	Expired   Status = "expired"
	Cancelled Status = "cancelled"
)

// Rules are the operator's rules for gift cards.
type Rules struct {
	// Validity is how long a card can be spent after it is made.
	Validity time.Duration
	// HoldFor is how long a hold lasts unless the merchant asks for less.
	HoldFor time.Duration
	// MaxMajor bounds what a card is made or reloaded with, in major units of its currency.
	// What was spent before may be refunded beyond it.
	MaxMajor int64
}

// DefaultRules are five years, seven days, five million.
func DefaultRules() Rules {
	const day = 24 * time.Hour
	// Five years have two leap days at most: a card is never short of five years by the calendar.
	return Rules{Validity: (5*365 + 2) * day, HoldFor: 7 * day, MaxMajor: 5_000_000}
}

// Deps is what a Service stands on.
type Deps struct {
	DB     *storage.DB
	Books  *ledger.Ledger
	Vault  *vault.Vault
	Outbox *webhook.Outbox
	Audit  *audit.Log
	Clocks *clock.Realms
	Rules  Rules
	// Random is the source of numbers and keys; crypto/rand unless set.
	Random io.Reader
}

// Service is the gift cards of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	recent *memo.Memo[*record]
	expiry sweep.Sweep[*record]
	realms realms
	probes *gather.Gather[probing, Probe]
}

// New returns the service.
func New(deps Deps) *Service {
	if deps.Random == nil {
		deps.Random = rand.Reader
	}
	// What a remembered card says of its end or its block is never the last word: the ledger knows.
	recent := memo.New[*record](memo.Config{Present: recentCards, Absent: 16, Fresh: time.Hour, Life: 2 * time.Hour})
	s := &Service{Deps: deps, recent: recent}
	s.probes = gather.New(longestProbe, s.probe)
	s.expiry = sweep.Sweep[*record]{Page: sweepPage, AtOnce: sweepAtOnce, Due: s.due, End: s.expire}
	return s
}

// Bounds of a sweep of cards that expired.
const (
	sweepPage   = 500
	sweepAtOnce = 64 // they share the ledger's batches
)

// longestProbe is when a database that does not answer is not waited for any longer.
const longestProbe = 10 * time.Second

// recentCards bounds the cards that are remembered for spending.
const recentCards = 65_536

// Merchant is on whose behalf a call is made: one customer in one realm.
type Merchant struct {
	Book  ledger.BookID
	Realm realm.Realm
	// Actor is the credential, for the audit log.
	Actor string
}

// Card is a gift card as it stands now.
type Card struct {
	Book       ledger.BookID
	ID         ID
	Number     pan.Number
	Last4      string
	Title      string
	TemplateID string
	Amount     money.Amount // when it was made
	AmountText string       // Amount, as the merchant wrote it
	Balance    money.Amount // what can be spent now; zero once the card has ended
	Held       money.Amount
	Status     Status
	Blocked    bool
	Reason     string // why it was blocked or cancelled
	CreatedAt  time.Time
	ExpiresAt  time.Time
	EndedAt    time.Time // cancelled or swept after expiry; zero otherwise
}

// Account returns the card's account in its book.
func (c *Card) Account() ledger.AccountID { return accountOf(c.ID) }

// accountPrefix and a card's id are the name of its account.
const accountPrefix = "giftcard/"

func accountOf(id ID) ledger.AccountID { return ledger.AccountID(accountPrefix + string(id)) }

// The contra accounts of a book, one of each per currency.
const (
	funding  = "giftcard.funding"  // what merchants were paid for the cards they issued
	redeemed = "giftcard.redeemed" // what was bought with cards
	breakage = "giftcard.breakage" // what expired unspent
)

func contra(name string, currency money.Currency) ledger.NewAccount {
	side := ledger.Credit
	if name == funding {
		side = ledger.Debit
	}
	return ledger.NewAccount{ID: ledger.AccountID(name + "/" + currency.String()), Currency: currency, Side: side, Unbounded: true}
}

// decimals is how many those who spend cards can write: what is finer would stay on a card.
const decimals = 6

// bounded refuses amounts above what the operator lets a card have, or finer than it can be spent.
func (s *Service) bounded(amount money.Amount) error {
	most := s.most(amount.Currency)
	if !amount.IsPositive() || amount.Minor > most.Minor {
		return fault.New(fault.InvalidAmount, "the amount must be above zero and at most %s", most).At("amount")
	}
	smallest := int64(1)
	for range amount.Currency.Digits() - decimals {
		smallest *= 10
	}
	if amount.Minor%smallest != 0 {
		return fault.New(fault.InvalidAmount, "the amount of a gift card has at most %d decimals", decimals).At("amount")
	}
	return nil
}

// fits refuses a reload that leaves a card with more than the operator lets it have.
func (s *Service) fits(balance money.Amount) error {
	if most := s.most(balance.Currency); balance.Minor > most.Minor {
		return fault.New(fault.InvalidAmount, "the amount must leave the gift card with at most %s %s", most, most.Currency).At("amount")
	}
	return nil
}

// most is what the operator lets one card have.
func (s *Service) most(currency money.Currency) money.Amount {
	limit := s.Rules.MaxMajor
	for range currency.Digits() {
		if limit > math.MaxInt64/10 {
			limit = math.MaxInt64
			break
		}
		limit *= 10
	}
	return money.New(limit, currency)
}
