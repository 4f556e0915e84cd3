// Package issuing is virtual cards: BINs, cards with their controls, cardholders, and
// what a customer does with a card but pay: fund, withdraw, freeze, replace, terminate.
//
// A card's money is its account in the customer's book; this package keeps no balance.
// Every call that moves money is one ledger operation. A card's number is sealed at
// rest and found by keyed hash; its CVV is derived and never stored; both leave only
// through Details, which is audited. Payments with cards are package authorization's.
//
// It must never tell an unknown card from another customer's.
package issuing

import (
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/notice"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/gather"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/sweep"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/webhook"
)

// CardID names a card ("card_…"). It is not a secret.
type CardID string

const idPrefix = "card"

// Status is where a card is in its life.
type Status string

// The statuses. A card that waits for its first funding becomes active with it;
// terminated is final.
const (
	PendingTopUp Status = "pending_top_up"
	Active       Status = "active"
	Frozen       Status = "frozen"
	Terminated   Status = "terminated"
)

// Statuses returns the closed list in its documented order.
func Statuses() []Status { return []Status{PendingTopUp, Active, Frozen, Terminated} }

// next is the transition table.
var next = map[Status][]Status{
	PendingTopUp: {Active, Terminated},
	Active:       {Frozen, Terminated},
	Frozen:       {Active, Terminated},
}

// become is how a status changes: by the table, or not at all.
func (s *Status) become(to Status) error {
	if !slices.Contains(next[*s], to) {
		return fmt.Errorf("a card that is %s cannot become %s", *s, to)
	}
	*s = to
	return nil
}

// Why a card was frozen, terminated or its number replaced.
const (
	ReasonCustomer   = "customer"    // its holder asked for it
	ReasonOperator   = "operator"    // whoever runs the installation did
	ReasonFraud      = "fraud"       // an operator suspects theft
	ReasonCardholder = "cardholder"  // the cardholder was rejected or suspended
	ReasonAutoFreeze = "auto_freeze" // its balance fell below the holder's threshold
	ReasonExpired    = "expired"
	ReasonUsedUp     = "used_up" // a card for one payment had it
	ReasonLost       = "lost"
	ReasonStolen     = "stolen"
	ReasonDamaged    = "damaged"
	ReasonExpiring   = "expiring"
)

// Holder is on whose behalf a call is made: one customer in one realm.
type Holder struct {
	Book  ledger.BookID
	Realm realm.Realm
	// Actor is the credential, for the audit log.
	Actor string
	// Operator says that an operator acts, or the program itself: what an operator froze,
	// only an operator lets go.
	Operator bool
}

// BIN is a range of card numbers with what its cards can do.
type BIN struct {
	ID            string // the leading digits: "491653"
	Network       pan.Network
	Type          string // "advertising", "everyday"
	IssuerCountry string // ISO 3166-1 alpha-2
	Currency      money.Currency
	ThreeDS       bool
	ApplePay      bool
	GooglePay     bool
	// MaxTransaction and MaxMonthly bound one payment and a card's month.
	MaxTransaction money.Amount
	MaxMonthly     money.Amount
	// AcceptanceTenths is the share of payments that merchants take, in tenths of a percent.
	AcceptanceTenths int
	BestFor          []string
	Active           bool
}

// Address is where bills go to.
type Address = cardholder.Address

// Controls are what a customer or operator allows a card.
type Controls struct {
	// Limits holds one limit a window at the most. The monthly one is the customer's spending limit.
	Limits []spending.Limit
	// Categories are the allowed categories, by name or MCC; empty: all.
	Categories []string
	// Countries are where it may pay, ISO 3166-1 alpha-2; empty: anywhere.
	Countries []string
	// Currencies are in which merchants may charge it; empty: any.
	Currencies []money.Currency
	// Merchant is the only merchant that may charge it, by acquirer's merchant id; empty: any.
	Merchant string
	// SingleUse terminates the card after its first captured payment.
	SingleUse bool
	// AutoFreezeAt freezes the card when, after a payment, its balance is below; zero: never.
	AutoFreezeAt money.Amount
}

// Card is a card as it stands now.
type Card struct {
	Book      ledger.BookID
	Realm     realm.Realm
	ID        CardID
	BIN       BIN
	Number    pan.Number // masked wherever it prints
	Last4     string
	Status    Status
	Balance   money.Amount // what can be spent now
	Held      money.Amount // what authorizations hold
	Label     string
	Metadata  map[string]string
	Controls  Controls
	Holder    string // the cardholder's id; empty: the programme's anonymous one
	ExpiresAt time.Time
	CreatedAt time.Time
	FrozenAt  time.Time // zero unless frozen
	EndedAt   time.Time // zero unless terminated
	// Reason is why it was frozen or terminated, in a word of the closed list.
	Reason string

	// Tier is what its cardholder may spend with all cards together.
	Tier cardholder.Tier
	// Spent is what payments took less what came back, Transactions how many there were.
	Spent        money.Amount
	Transactions int64
	LastUsedAt   time.Time // zero: never
	// Version rises whenever what the card is or may do changes. Used refuses to be
	// written with an older one.
	Version int64

	sealed []byte // its number
	hash   []byte // by which its number is found
}

// accountPrefix and a card's id are the name of its account.
const accountPrefix = "card/"

// Account returns the ledger account that holds the card's money.
func (c *Card) Account() ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID(accountPrefix + string(c.ID)), Currency: c.BIN.Currency, Side: ledger.Credit}
}

// SpendingLimit returns the most that the card may spend in a month: its own monthly
// limit, or its BIN's.
func (c *Card) SpendingLimit() money.Amount {
	if own, ok := spending.Of(c.Controls.Limits, spending.PerMonth); ok && !own.Amount.IsZero() {
		return own.Amount
	}
	return c.BIN.MaxMonthly
}

// Expiry returns the month in which the card expires, as YYMM.
func (c *Card) Expiry() string { return c.ExpiresAt.Format("0601") }

// Spender names whose spending the tier's limits bound, within the book: the
// cardholder's, or that of all cards for nobody in particular.
func (c *Card) Spender() string {
	if c.Holder == "" {
		return cardholder.Anonymous
	}
	return c.Holder
}

// Settlement returns the account of a book that holds what card networks are owed for
// payments in a currency.
func Settlement(currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID("card.settlement/" + currency.String()), Currency: currency, Side: ledger.Credit, Unbounded: true}
}

// Receivable returns the account of a book that holds what the customer owes: what card
// networks took beyond what was on a card. It has a floor, so that no more is ever
// repaid than is owed; the next funding repays it first.
func Receivable(currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID(receivables + currency.String()), Currency: currency, Side: ledger.Debit}
}

// receivables begins the ids of those accounts.
const receivables = "card.receivable/"

// Disputed returns the account of a book that holds what was credited for disputes that
// are not decided.
func Disputed(currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID("card.disputed/" + currency.String()), Currency: currency, Side: ledger.Debit}
}

// Programme is the operator's rules for virtual cards.
type Programme struct {
	// HolderName and Billing are on cards for nobody in particular.
	HolderName string
	Billing    Address
	// ValidityYears is how long a card can be used after it is made.
	ValidityYears int
	// IssuingOn allows new cards; those that exist work without it, too.
	IssuingOn bool
	// MinMajor and MaxMajor bound one funding, in major units of the card's currency.
	MinMajor, MaxMajor int64
	// MaxCards bounds the cards of a book that are not terminated.
	MaxCards int64
	// RequireCardholder allows cards for verified cardholders alone.
	RequireCardholder bool
}

// DefaultProgramme is three years, 1 to 5,000 at once, 10,000 cards, for anybody.
func DefaultProgramme() Programme {
	return Programme{HolderName: "ANONYMOUS", Billing: Address{Line1: "123 Privacy Street", City: "Wilmington", State: "DE", Zip: "19801", Country: "US"},
		ValidityYears: 3, IssuingOn: true, MinMajor: 1, MaxMajor: 5_000, MaxCards: 10_000}
}

// Deps is what a Service stands on.
type Deps struct {
	DB        *storage.DB
	Books     *ledger.Ledger
	Vault     *vault.Vault
	Outbox    *webhook.Outbox
	Audit     *audit.Log
	Clocks    *clock.Realms
	Programme Programme
	// Random is the source of numbers; crypto/rand unless set.
	Random io.Reader
}

// Service is the virtual cards of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	// Cardholders are the persons for whom there are cards, and their tiers.
	Cardholders *cardholder.Service
	bins        *memo.Memo[[]BIN]
	owners      *memo.Memo[owner]
	recent      *memo.Memo[*record]
	rows        *gather.Gather[cardName, gather.Row[record]]
	expiry      sweep.Sweep[*record]
	drawing     sync.Mutex // numbers are drawn one at a time: Random need not be safe for many
}

// What is remembered, and for how long until it is looked up again. What a remembered
// card says is never the last word: its version is checked where money moves.
const (
	recentCards = 65_536
	fresh       = time.Second
	life        = time.Minute
	forGood     = time.Hour
	// longestLook is when a database that does not answer is not waited for any longer.
	longestLook = 10 * time.Second
)

// New returns the service.
func New(d Deps) *Service {
	if d.Random == nil {
		d.Random = rand.Reader
	}
	s := &Service{Deps: d,
		Cardholders: cardholder.New(cardholder.Deps{DB: d.DB, Audit: d.Audit, Clocks: d.Clocks}),
		bins:        memo.New[[]BIN](memo.Config{Present: 16, Absent: 16, Fresh: fresh, Life: life}),
		owners:      memo.New[owner](memo.Config{Present: recentCards, Absent: 16, Fresh: forGood, Life: 2 * forGood}),
		recent:      memo.New[*record](memo.Config{Present: recentCards, Absent: 16, Fresh: fresh, Life: life})}
	s.rows = gather.Rows(longestLook, s.read, func(c *record) cardName { return cardName{c.Book, c.ID} })
	s.expiry = sweep.Sweep[*record]{Page: sweepPage, AtOnce: sweepAtOnce, Due: s.due, End: s.endDue}
	return s
}

// Bounds of a sweep of cards that are due.
const (
	sweepPage   = 500
	sweepAtOnce = 64 // they share the ledger's batches
)

// Alias is what the fraud engine calls the card where it pays.
func (c *Card) Alias() fraud.Hash { return fraud.HashOf(string(c.Book), string(c.ID)) }

// noticed is the card, whose number is known, as the fraud engine hears of it.
func (c *Card) noticed() notice.Card {
	return notice.Card{Book: c.Book, Realm: c.Realm, Number: c.Number, Payer: c.Alias()}
}
