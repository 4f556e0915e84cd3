// Package authorization is payments with virtual cards, as an issuer decides them:
// authorizations that hold money, captures, reversals, refunds, forced posts, balance
// inquiries, and the 3-D Secure challenges before them.
//
// A decline is a result, not an error: it has a reason, a sentence and what to do. A
// message that is repeated under its key is answered with the first answer. Whether it
// came over ISO 8583 or HTTP, the code path is one.
//
// It must never keep a balance, and never see a card's number longer than it takes to
// find the card.
package authorization

import (
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
)

// ID names a payment, from its authorization to its refunds ("auth_…").
type ID string

// TransactionID names one line of a card's history ("txn_…").
type TransactionID string

// Merchant is who is paid.
type Merchant struct {
	ID       string // the acquirer's merchant id
	Name     string
	MCC      string // ISO 18245, four digits
	City     string
	Country  string // ISO 3166-1 alpha-2
	Terminal string
	Acquirer string
}

// Entry is how the card was presented.
type Entry string

// The ways.
const (
	Online      Entry = "ecommerce"
	Chip        Entry = "chip"
	Contactless Entry = "contactless"
	Stripe      Entry = "magnetic_stripe"
	Manual      Entry = "manual"
	Stored      Entry = "stored" // a recurring or merchant-initiated payment
)

// Presented is what a merchant sent along to prove the card; zero parts were not sent.
type Presented struct {
	Entry    Entry
	CVC      pan.Secret
	Expiry   string // YYMM
	Postcode string // for address verification
	Address  string
}

// Request asks for money of a card. The card is named by its number or by its id.
type Request struct {
	Realm  realm.Realm // of messages that name a card by its number
	Number pan.Number
	Book   ledger.BookID
	Card   issuing.CardID
	// Key names the message at whoever sends it; the same key is answered the same.
	Key      string
	Amount   money.Amount // in the card's currency
	Original money.Amount // what the merchant charged, when in another currency
	Merchant Merchant
	Presented
	// PartialAllowed says that the merchant takes less than Amount.
	PartialAllowed bool
	// Challenge is the 3-D Secure challenge that was completed for it; may be empty.
	Challenge ChallengeID
	// At is when the message says that the payment was made; zero: now.
	At time.Time
}

// Reason is why a payment was declined.
type Reason string

// The reasons. The order of checks is the contract's: what comes first is told.
const (
	ReasonNone            Reason = ""
	ReasonCardUnknown     Reason = "card_unknown"
	ReasonCardInactive    Reason = "card_inactive" // not funded yet
	ReasonCardFrozen      Reason = "card_frozen"
	ReasonCardTerminated  Reason = "card_terminated"
	ReasonCardExpired     Reason = "card_expired"
	ReasonExpiryWrong     Reason = "expiry_wrong"
	ReasonCVCWrong        Reason = "cvc_wrong"
	ReasonAddressWrong    Reason = "address_wrong"
	ReasonMaxTransaction  Reason = "bin_max_transaction"
	ReasonMaxMonthly      Reason = "bin_max_monthly"
	ReasonSpendingLimit   Reason = "spending_limit"
	ReasonCountLimit      Reason = "count_limit"
	ReasonCategory        Reason = "category_not_allowed"
	ReasonCountry         Reason = "country_not_allowed"
	ReasonCurrency        Reason = "currency_not_allowed"
	ReasonMerchant        Reason = "merchant_not_allowed"
	ReasonTierLimit       Reason = "tier_limit"
	ReasonFunds           Reason = "insufficient_funds"
	ReasonFraud           Reason = "suspected_fraud"
	ReasonChallenge       Reason = "3ds_required"
	ReasonDecisionWebhook Reason = "declined_by_webhook"
)

// Decision is the answer to a Request.
type Decision struct {
	ID          ID
	Transaction TransactionID
	Book        ledger.BookID
	Card        issuing.CardID
	Approved    bool
	// Amount is what was approved: the whole, a part, or zero.
	Amount money.Amount
	// Code is the approval's six digits; empty for a decline.
	Code string
	// Reason says why not; ReasonNone when approved. Sentence and Advice say it in words.
	Reason   Reason
	Sentence string
	Advice   string
	// Balance is what can be spent afterwards.
	Balance money.Amount
	// Score is the fraud score in hundredths.
	Score int
	// Repeated says that this is the first answer to the same message.
	Repeated bool
	At       time.Time
}

// Advice is a message about a payment that was authorized before, or should have been.
// The payment is named by its id, or by the key of its authorization.
type Advice struct {
	Realm    realm.Realm
	Number   pan.Number // to find the card of a forced post
	Book     ledger.BookID
	Payment  ID
	Original string // the key of the authorization's message
	Key      string
	// Amount is how much; zero: all of it.
	Amount   money.Amount
	Merchant Merchant
	// Final ends the payment: what was not captured is released.
	Final bool
	At    time.Time
}

// ChallengeID names a 3-D Secure challenge ("3ds_…").
type ChallengeID string
