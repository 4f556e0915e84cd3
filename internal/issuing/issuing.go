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
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
)

// CardID names a card ("card_…"). It is not a secret.
type CardID string

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

// Holder is on whose behalf a call is made: one customer in one realm.
type Holder struct {
	Book  ledger.BookID
	Realm realm.Realm
	// Actor is the credential, for the audit log.
	Actor string
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

// Window is how long a spending limit counts.
type Window string

// The windows. A day, week, month and year are those of UTC; a week begins on Monday.
const (
	PerPayment Window = "payment"
	PerDay     Window = "day"
	PerWeek    Window = "week"
	PerMonth   Window = "month"
	PerYear    Window = "year"
	ForLife    Window = "life"
)

// Limit bounds what a card spends, or how often, within a window.
type Limit struct {
	Window Window
	// Amount is the most that may be spent; zero: any.
	Amount money.Amount
	// Count is how many payments there may be; 0: any.
	Count int64
}

// Controls are what a customer or operator allows a card.
type Controls struct {
	// Limits holds one limit a window at the most. The monthly one is the customer's spending limit.
	Limits []Limit
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
}

// accountPrefix and a card's id are the name of its account.
const accountPrefix = "card/"

// Account returns the ledger account that holds the card's money.
func (c *Card) Account() ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID(accountPrefix + string(c.ID)), Currency: c.BIN.Currency, Side: ledger.Credit}
}

// Settlement returns the account of a book that holds what card networks are owed for
// payments in a currency.
func Settlement(currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID("card.settlement/" + currency.String()), Currency: currency, Side: ledger.Credit, Unbounded: true}
}
