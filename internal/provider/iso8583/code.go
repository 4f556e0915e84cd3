package iso8583

import (
	"github.com/scripcards/scrip/internal/provider/call"

	"maps"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ping"
)

// outcome is what a response code means.
type outcome string

const (
	cardActive    outcome = "active"
	cardInactive  outcome = "inactive"
	cardExpired   outcome = "expired"
	cardUnknown   outcome = "invalid"
	pinWrong      outcome = "wrong_pin" // shown as invalid
	numberInvalid outcome = "card_invalid"
	hostAway      outcome = "unavailable"
)

// usualCodes are what DE39 means where the configuration says nothing else. What is
// not here is the host failing: it is never guessed that a card is good.
var usualCodes = map[string]outcome{
	"00": cardActive,    // approved
	"04": cardInactive,  // pick up
	"05": cardInactive,  // do not honour
	"07": cardInactive,  // pick up, special condition
	"14": cardUnknown,   // no such card number
	"15": numberInvalid, // no such issuer
	"25": cardUnknown,   // no such record
	"33": cardExpired,   // expired, pick up
	"34": cardInactive,  // suspected fraud, pick up
	"36": cardInactive,  // restricted, pick up
	"38": pinWrong,      // PIN tried too often, pick up
	"41": cardInactive,  // lost
	"43": cardInactive,  // stolen
	"46": cardInactive,  // closed
	"54": cardExpired,   // expired
	"55": pinWrong,      // incorrect PIN
	"56": cardUnknown,   // no card record
	"57": cardInactive,  // not permitted to the cardholder
	"59": cardInactive,  // suspected fraud
	"62": cardInactive,  // restricted
	"75": pinWrong,      // PIN tried too often
	"78": cardInactive,  // not yet activated
	"06": hostAway,      // error
	"12": hostAway,      // invalid transaction
	"19": hostAway,      // enter again
	"22": hostAway,      // suspected malfunction
	"30": hostAway,      // format error
	"40": hostAway,      // function not supported
	"58": hostAway,      // not permitted to the terminal
	"63": hostAway,      // security violation
	"68": hostAway,      // response received too late
	"81": hostAway,      // PIN cryptography
	"88": hostAway,      // cryptography
	"90": hostAway,      // cutover
	"91": hostAway,      // issuer or switch inoperative
	"92": hostAway,      // no route
	"94": hostAway,      // duplicate transmission
	"96": hostAway,      // system malfunction
}

// codesWith returns the usual codes with an operator's own in place of them.
func codesWith(own map[string]outcome) (map[string]outcome, error) {
	codes := maps.Clone(usualCodes)
	for code, means := range own {
		key := "response_codes." + code
		if len(code) != 2 || !printable(code) {
			return nil, call.Refuse(key, "a response code has two characters")
		}
		switch means {
		case cardActive, cardInactive, cardExpired, cardUnknown, pinWrong, numberInvalid, hostAway:
		default:
			return nil, call.Refuse(key, "a response code means active, inactive, expired, invalid, wrong_pin, card_invalid or unavailable")
		}
		codes[code] = means
	}
	return codes, nil
}

// balance returns what an answer says. It returns the fault unavailable for one that
// is the host failing or malformed, and card_invalid where the host says so.
func (h *host) balance(answer message, inquiry ping.Inquiry) (ping.Balance, error) {
	means, ok := h.codes[answer[39]]
	if !ok {
		return ping.Balance{}, unavailable("the host answered with a response code that is not known")
	}
	b := ping.Balance{Amount: money.New(0, inquiry.Currency)}
	switch means {
	case cardActive:
		b.Status = ping.Active
		if h.sendsPIN(inquiry) {
			b.PIN = ping.PINRight
		}
	case cardInactive:
		b.Status = ping.Inactive
	case cardExpired:
		b.Status = ping.Expired
	case cardUnknown:
		b.Status = ping.Invalid
		return b, nil
	case pinWrong:
		b.Status = ping.Invalid
		if h.sendsPIN(inquiry) {
			b.PIN = ping.PINWrong
		}
		return b, nil
	case numberInvalid:
		return ping.Balance{}, fault.New(fault.CardInvalid, "the host says that the number cannot be this network's")
	default:
		return ping.Balance{}, unavailable("the host says that it cannot answer")
	}
	return h.complete(b, answer)
}

// complete adds the amount and the expiry. Only an active card must have an amount.
func (h *host) complete(b ping.Balance, answer message) (ping.Balance, error) {
	amounts, err := parseAmounts(answer[54])
	if err != nil {
		return ping.Balance{}, err
	}
	amount, ok := choose(amounts, h.amountTypes, b.Amount.Currency)
	switch {
	case ok && len(h.currencies) > 0 && !h.currencies[amount.Currency]:
		return ping.Balance{}, unavailable("the host answered in a currency that is not one of the network's")
	case ok && amount.IsNegative():
		b.Amount = money.New(0, amount.Currency) // overdrawn: there is nothing to spend
	case ok:
		b.Amount = amount
	case b.Status == ping.Active:
		return ping.Balance{}, unavailable("the host answered without a balance")
	}
	b.Expiry, err = parseExpiry(answer[14])
	if err != nil {
		return ping.Balance{}, err
	}
	return b, nil
}
