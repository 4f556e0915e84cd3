package iso8583

import (
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/issuing/authorization"
)

// The codes of DE39 that are not for a reason.
const (
	codeApproved  = "00"
	codePart      = "10" // approved for a part of the amount
	codeCard      = "14" // no such card
	codeSupported = "40" // function not supported
	codeAway      = "91" // signed off, or not able to answer now
	codeBroken    = "96" // a mistake of ours
)

// codes are what DE39 says of each reason. docs/iso8583.md has the same table.
var codes = map[authorization.Reason]string{
	authorization.ReasonNone:            codeApproved,
	authorization.ReasonCardUnknown:     codeCard,
	authorization.ReasonCardInactive:    "78", // not yet activated
	authorization.ReasonCardFrozen:      "62", // restricted
	authorization.ReasonCardTerminated:  "46", // closed
	authorization.ReasonCardExpired:     "54", // expired, or the expiry is wrong
	authorization.ReasonExpiryWrong:     "54",
	authorization.ReasonCVCWrong:        "N7", // the security code is wrong
	authorization.ReasonAddressWrong:    "05", // do not honour; DE44 tells of the address
	authorization.ReasonMaxTransaction:  "61", // exceeds an amount limit
	authorization.ReasonMaxMonthly:      "61",
	authorization.ReasonSpendingLimit:   "61",
	authorization.ReasonTierLimit:       "61",
	authorization.ReasonCountLimit:      "65", // exceeds a count limit
	authorization.ReasonUsed:            "65",
	authorization.ReasonCategory:        "57", // not permitted to the cardholder
	authorization.ReasonCountry:         "57",
	authorization.ReasonCurrency:        "57",
	authorization.ReasonMerchant:        "57",
	authorization.ReasonFunds:           "51", // not sufficient funds
	authorization.ReasonWallet:          "51",
	authorization.ReasonFraud:           "59", // suspected fraud
	authorization.ReasonChallenge:       "1A", // authentication required
	authorization.ReasonDecisionWebhook: "05",
	authorization.ReasonStandIn:         "05", // and not 91, at which networks approve in the issuer's stead
	authorization.ReasonReversed:        "12", // invalid transaction
	authorization.ReasonCaptured:        "21", // no action taken
	authorization.ReasonEnded:           "21",
	authorization.ReasonOverCapture:     "13", // invalid amount
	authorization.ReasonOverReversal:    "13",
	authorization.ReasonOverRefund:      "13",
}

// faults are what DE39 says of each fault; those that are missing are mistakes of ours.
var faults = map[fault.Code]string{
	fault.InvalidRequest:      "30", // format error
	fault.MalformedBody:       "30",
	fault.BodyTooLarge:        "30",
	fault.InvalidAmount:       "13",
	fault.UnknownCurrency:     "12",
	fault.CurrencyMismatch:    "12",
	fault.NotFound:            "25", // no record of it; of a card: 14
	fault.PermissionDenied:    "58", // not permitted to the acquirer
	fault.FeatureDisabled:     codeSupported,
	fault.IdempotencyConflict: "94", // duplicate transmission
	fault.RateLimited:         codeAway,
	fault.QuotaExceeded:       codeAway,
	fault.Unavailable:         codeAway,
	fault.Overloaded:          codeAway,
	fault.Timeout:             codeAway,
}

// codeOf returns what DE39 says of an error.
func codeOf(err error) string {
	if code, ok := faults[fault.CodeOf(err)]; ok {
		return code
	}
	return codeBroken
}

// said returns what DE39 says of a decision on an amount that was asked for.
func said(d *authorization.Decision, asked int64) string {
	code, ok := codes[d.Reason]
	switch {
	case !ok:
		return codeBroken
	case code == codeApproved && d.Amount.Minor < asked:
		return codePart
	}
	return code
}
