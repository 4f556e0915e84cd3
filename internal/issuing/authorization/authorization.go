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
	"maps"
	"slices"
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

// remote reports whether the card was not there.
func (e Entry) remote() bool { return e == Online || e == Manual || e == Stored }

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
	// Key names the message at whoever sends it; the same key is answered the same. Empty: it
	// is sent once, and a payment that begins with it is named by its own id alone.
	Key      string
	Amount   money.Amount // in the card's currency
	Original money.Amount // what the merchant charged, when in another currency
	Merchant Merchant
	Presented
	// PartialAllowed says that the merchant takes less than Amount.
	PartialAllowed bool
	// Captured takes the money at once: a purchase in a single message, without a hold.
	Captured bool
	// Challenge is the 3-D Secure challenge that was completed for it; may be empty.
	Challenge ChallengeID
	// At is when the message says that the payment was made; zero: now.
	At time.Time
}

// AVS is what comparing an address that was presented with the cardholder's found.
type AVS string

// The results. Of an address only the house number counts, as merchants write the rest in many ways.
const (
	AVSNotSent  AVS = ""
	AVSMatch    AVS = "match"
	AVSPostcode AVS = "postcode_only" // the postcode matches, the address does not
	AVSAddress  AVS = "address_only"  // the address matches, the postcode does not
	AVSNone     AVS = "no_match"
)

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
	ReasonWallet          Reason = "wallet_below_zero" // a deposit that was spent was undone
	ReasonFraud           Reason = "suspected_fraud"
	ReasonChallenge       Reason = "3ds_required"
	ReasonDecisionWebhook Reason = "declined_by_webhook"
	ReasonUsed            Reason = "single_use_spent"
	ReasonStandIn         Reason = "stand_in_limit" // what decides was down, and it was above what is approved meanwhile
	ReasonReversed        Reason = "reversed_before"
)

// The reasons for which a message about a payment is refused; the payment stays as it is.
const (
	ReasonCaptured     Reason = "already_captured"
	ReasonEnded        Reason = "payment_ended"
	ReasonOverCapture  Reason = "exceeds_authorization"
	ReasonOverReversal Reason = "exceeds_hold"
	ReasonOverRefund   Reason = "exceeds_captured"
)

// text is a reason in words: what happened, and what to do about it.
type text struct{ sentence, advice string }

// texts has every reason. Whoever gets a decline reads the sentence; whoever can do
// something about it, the advice.
var texts = map[Reason]text{
	ReasonCardUnknown:     {"There is no such card.", "Check the number and try again."},
	ReasonCardInactive:    {"The card has not been funded yet.", "Fund the card; it becomes active with that."},
	ReasonCardFrozen:      {"The card is frozen.", "Unfreeze the card and try again; if the operator froze it, ask support."},
	ReasonCardTerminated:  {"The card has been terminated.", "Use another card."},
	ReasonCardExpired:     {"The card has expired.", "Use another card."},
	ReasonExpiryWrong:     {"The expiry date is not the card's.", "Enter the expiry date of the card again."},
	ReasonCVCWrong:        {"The security code is not the card's.", "Enter the three digits of the card again."},
	ReasonAddressWrong:    {"The postcode is not the cardholder's.", "Enter the billing address of the card."},
	ReasonMaxTransaction:  {"The amount is above what one payment with such a card may be.", "Pay in parts, or use a card of another BIN."},
	ReasonMaxMonthly:      {"The payment would pass what such a card may spend in a month.", "Wait for the next month, or use another card."},
	ReasonSpendingLimit:   {"The payment would pass the card's spending limit.", "Raise the limit, wait for the next period, or use another card."},
	ReasonCountLimit:      {"The card has made as many payments as it may in this period.", "Wait for the next period, or use another card."},
	ReasonCategory:        {"The card may not pay merchants of this category.", "Allow the category, or use another card."},
	ReasonCountry:         {"The card may not pay in this country.", "Allow the country, or use another card."},
	ReasonCurrency:        {"The card may not be charged in this currency.", "Allow the currency, or have it charged in another."},
	ReasonMerchant:        {"The card pays one merchant alone, and this is another.", "Use another card."},
	ReasonTierLimit:       {"The cardholder's limits do not allow the payment.", "Ask support to change them, or wait for the next period."},
	ReasonFunds:           {"The card's balance is too low.", "Fund the card and try again."},
	ReasonWallet:          {"The wallet is below zero, because a deposit was undone.", "Pay in what is missing and try again."},
	ReasonFraud:           {"The payment looks like fraud.", "If it is yours, wait an hour and try again, or ask support."},
	ReasonChallenge:       {"The payment needs a 3-D Secure challenge that was completed for it.", "Complete a challenge for this card, merchant and amount, and send the payment with it."},
	ReasonDecisionWebhook: {"Whoever decides for the card's owner declined the payment.", "Ask them why, or use another card."},
	ReasonUsed:            {"The card is for a single payment, which was made.", "Use another card."},
	ReasonStandIn:         {"The payment could not be decided, and is above what is approved meanwhile.", "Try again in a few minutes."},
	ReasonReversed:        {"The payment was reversed before it came.", "Send it again as a new one if it is still wanted."},
	ReasonCaptured:        {"The payment was captured, so it cannot be reversed.", "Send a refund of what was captured."},
	ReasonEnded:           {"The payment has ended.", "Post what is still owed as a payment of its own, without authorization."},
	ReasonOverCapture:     {"The amount is above what was authorized and what may be added to it.", "Capture less, and post the rest as a payment of its own."},
	ReasonOverReversal:    {"The amount is above what the payment still holds.", "Reverse what is left, and refund what was captured."},
	ReasonOverRefund:      {"The amount is above what was captured and not refunded yet.", "Refund what is left, or send the rest as a refund of its own."},
}

// Reasons returns the closed list, in the order of their names.
func Reasons() []Reason { return slices.Sorted(maps.Keys(texts)) }

// words returns the reason as a sentence and what to do about it; nothing for none.
func (r Reason) words() (sentence, advice string) { return texts[r].sentence, texts[r].advice }

// ofCard reports whether a reason, or one that is told before it, comes from what is stored
// of a card, which may have changed since it was found.
func (r Reason) ofCard() bool {
	switch r {
	case ReasonCardInactive, ReasonCardFrozen, ReasonCardTerminated, ReasonCardExpired, ReasonExpiryWrong, ReasonCVCWrong, ReasonAddressWrong,
		ReasonMaxTransaction, ReasonMaxMonthly, ReasonSpendingLimit, ReasonCountLimit, ReasonCategory, ReasonCountry, ReasonCurrency, ReasonMerchant, ReasonTierLimit, ReasonUsed:
		return true
	case ReasonNone, ReasonCardUnknown, ReasonFunds, ReasonWallet, ReasonFraud, ReasonChallenge, ReasonDecisionWebhook, ReasonStandIn,
		ReasonReversed, ReasonCaptured, ReasonEnded, ReasonOverCapture, ReasonOverReversal, ReasonOverRefund:
	}
	return false
}

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
	// AVS is what became of an address that was presented.
	AVS AVS
	// Score is the fraud score in hundredths.
	Score int
	// StoodIn says that a part of what decides was down, and the stand-in rules answered.
	StoodIn bool
	// Repeated says that this is the first answer to the same message.
	Repeated bool
	At       time.Time

	begun *line // what a payment began with that this decision made
}

// Advice is a message about a payment that was authorized before, or should have been.
// The payment is named by its id, or by the key of its authorization.
type Advice struct {
	Realm    realm.Realm
	Number   pan.Number // to find the book, and the card of a forced post or a refund by itself
	Book     ledger.BookID
	Card     issuing.CardID // instead of Number
	Payment  ID
	Original string // the key of the authorization's message
	Key      string
	// Amount is how much; zero: all of it.
	Amount money.Amount
	// Stands is what a reversal that names a message by Original leaves of what that did,
	// instead of Amount; zero: Amount counts.
	Stands money.Amount
	// Charged is what the merchant charged, when in another currency.
	Charged  money.Amount
	Merchant Merchant
	// Final ends the payment: what was not captured is released.
	Final bool
	At    time.Time
	// beside is the payment of a request under the same key that was approved in part: what is
	// left of the advice is done only while that payment is as it was.
	beside *payment
}

// ChallengeID names a 3-D Secure challenge ("3ds_…").
type ChallengeID string
