package iso8583

import (
	"fmt"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/platform/iso"
)

// repeated are the elements that an answer has from its message.
var repeated = [...]int{2, 3, 4, 6, 7, 11, 12, 13, 32, 33, 37, 41, 42, 49, 51, 70, 90}

// The kinds of additional amounts, DE54.
const (
	kindAvailable = "02"
	kindAsked     = "57" // what was asked for, where a part was approved
)

// reply makes the answer to a message.
func reply(m iso.Message, r result) iso.Message {
	answer := iso.Message{0: answerTo(m[0]), 39: r.code}
	for _, n := range repeated {
		if m[n] != "" {
			answer[n] = m[n]
		}
	}
	d := r.decision
	if d == nil {
		return answer
	}
	answer[38], answer[44] = d.Code, checks(d, r.cvc)
	switch {
	case r.inquiry && d.Approved:
		answer[54] = additional(kindAvailable, d.Balance)
	case r.part:
		answer[54] = additional(kindAvailable, d.Balance) + "00" + kindAsked + m[49] + "C" + m[4]
		answer[4] = fmt.Sprintf("%012d", d.Amount.Minor)
	}
	return answer
}

// additional is one of the additional amounts: account type, amount type, currency, sign
// and twelve digits; nothing for one that does not fit.
func additional(kind string, a money.Amount) string {
	sign, minor := "C", a.Minor
	if minor < 0 {
		sign, minor = "D", -minor
	}
	if minor > maxMinor || minor < 0 || a.Currency.Numeric() == "" {
		return ""
	}
	return "00" + kind + a.Currency.Numeric() + sign + fmt.Sprintf("%012d", minor)
}

const maxMinor = 999_999_999_999

// checks is DE44: what the address and the security code came to, a letter each; nothing
// when neither was presented.
func checks(d *authorization.Decision, cvc bool) string {
	address := " "
	switch d.AVS {
	case authorization.AVSMatch:
		address = "Y"
	case authorization.AVSPostcode:
		address = "Z"
	case authorization.AVSAddress:
		address = "A"
	case authorization.AVSNone:
		address = "N"
	case authorization.AVSNotSent:
	}
	code := " "
	switch {
	case !cvc:
	case d.Reason == authorization.ReasonCVCWrong:
		code = "N"
	case d.Approved:
		code = "M"
	default:
		code = "P" // what else speaks against the payment was told first
	}
	if address+code == "  " {
		return ""
	}
	return address + code
}
