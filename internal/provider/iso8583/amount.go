package iso8583

import (
	"strconv"

	"github.com/scripcards/scrip/internal/core/money"
)

// The shape of DE54: each amount has 2 digits of account type, 2 of amount type, 3 of
// currency, C or D, and 12 digits of minor units.
const (
	amountLen  = 20
	maxAmounts = 6
)

// additional is one of the additional amounts.
type additional struct {
	kind   string // "01" ledger balance, "02" available
	amount money.Amount
}

// parseAmounts reads DE54. A debit is negative. It returns the fault unavailable for
// anything that is not exactly in its form.
func parseAmounts(text string) ([]additional, error) {
	if len(text)%amountLen != 0 || len(text) > maxAmounts*amountLen {
		return nil, unavailable("the host's additional amounts have a wrong length")
	}
	var amounts []additional
	for ; text != ""; text = text[amountLen:] {
		a, ok := parseAdditional(text[:amountLen])
		if !ok {
			return nil, unavailable("the host's additional amounts are malformed")
		}
		amounts = append(amounts, a)
	}
	return amounts, nil
}

func parseAdditional(text string) (additional, bool) {
	account, kind, code, sign, digits := text[:2], text[2:4], text[4:7], text[7], text[8:]
	currency, err := money.ByNumeric(code)
	if err != nil || !allDigits(account) || !allDigits(kind) || !allDigits(digits) || (sign != 'C' && sign != 'D') {
		return additional{}, false
	}
	minor, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return additional{}, false
	}
	if sign == 'D' {
		minor = -minor
	}
	return additional{kind: kind, amount: money.New(minor, currency)}, true
}

// choose returns the amount of the first of kinds that there is; among several of a
// kind the one in the currency that was asked for, else the first.
func choose(amounts []additional, kinds []string, asked money.Currency) (money.Amount, bool) {
	for _, kind := range kinds {
		var chosen money.Amount
		found := false
		for _, a := range amounts {
			if a.kind != kind || (found && (chosen.Currency == asked || a.amount.Currency != asked)) {
				continue
			}
			chosen, found = a.amount, true
		}
		if found {
			return chosen, true
		}
	}
	return money.Amount{}, false
}

// parseExpiry reads DE14, YYMM in this century, as "2027-03"; "" and "0000" are none.
func parseExpiry(text string) (string, error) {
	if text == "" || text == "0000" {
		return "", nil
	}
	if len(text) != 4 || !allDigits(text) || text[2:] < "01" || text[2:] > "12" {
		return "", unavailable("the host's expiry is no month")
	}
	return "20" + text[:2] + "-" + text[2:], nil
}
