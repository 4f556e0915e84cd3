package balance

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/provider/call"
)

// The forms of a balance.
const (
	formDecimal = "decimal" // major units: 47.50 or "47.50"
	formMinor   = "minor"   // minor units: 4750 or "4750"
)

// The forms of a time.
const (
	formRFC3339   = "rfc3339"
	formUnix      = "unix"
	formUnixMilli = "unix_ms"
)

const (
	maxDigits = 19 // of an integer
	maxWord   = 128
	maxUnix   = 253402300800 // the year 10000, in seconds
)

// expiryForms are the ways to write the month in which a card ends.
var expiryForms = map[string]string{
	"YYYY-MM":    "2006-01",
	"YYYY-MM-DD": "2006-01-02",
	"YYYYMM":     "200601",
	"MM/YYYY":    "01/2006",
	"MM/YY":      "01/06",
	"MMYY":       "0106",
	"YYMM":       "0601",
	"RFC3339":    time.RFC3339,
}

// answer is how a partner's JSON becomes a balance. Paths that are nil are not used.
type answer struct {
	status       call.Path
	words        map[string]outcome
	amount       call.Path
	amountForm   string
	negativeZero bool
	currency     call.Path
	currencies   map[money.Currency]bool // empty: all
	fixed        money.Currency          // the currency where the answer has none; NoCurrency: the inquiry's
	expiry       call.Path
	expiryForm   string // a layout of package time
	asOf         call.Path
	asOfForm     string
	checksPIN    bool
}

// read returns the balance that an answer states. It returns the fault unavailable
// for an answer that is not as described, or card_invalid where a word says so.
func (a *answer) read(body []byte, inquiry ping.Inquiry, now time.Time) (ping.Balance, error) {
	document := jsontext.Value(body)
	if !document.IsValid() {
		return ping.Balance{}, unavailable("the answer is no JSON, or holds a name twice")
	}
	state, err := a.state(document)
	if err != nil {
		return ping.Balance{}, err
	}
	var status ping.Status
	switch state {
	case cardActive:
		status = ping.Active
	case cardInactive:
		status = ping.Inactive
	case cardExpired:
		status = ping.Expired
	default:
		return state.balance(inquiry)
	}
	b := ping.Balance{Status: status}
	if b.Amount, err = a.balance(document, inquiry, state == cardActive); err != nil {
		return ping.Balance{}, err
	}
	if b.Expiry, err = a.month(document); err != nil {
		return ping.Balance{}, err
	}
	if b.AsOf, err = a.known(document, now); err != nil {
		return ping.Balance{}, err
	}
	if a.checksPIN && !inquiry.PIN.IsZero() && state == cardActive {
		b.PIN = ping.PINRight
	}
	return b, nil
}

// state returns what the partner's word means.
func (a *answer) state(document jsontext.Value) (outcome, error) {
	if a.status == nil {
		return cardActive, nil
	}
	value, ok := a.status.Find(document)
	if !ok {
		return "", unavailable("the answer has no status")
	}
	word, ok := call.Text(value)
	if !ok || len(word) > maxWord {
		return "", unavailable("the answer's status is no word")
	}
	state, ok := a.words[word]
	if !ok {
		return "", unavailable("the answer's status is a word that the configuration does not know")
	}
	return state, nil
}

// balance returns the amount. An active card must have one; others count as empty without.
func (a *answer) balance(document jsontext.Value, inquiry ping.Inquiry, mandatory bool) (money.Amount, error) {
	value, ok := a.amount.Find(document)
	if !ok && mandatory {
		return money.Amount{}, unavailable("the answer has no balance")
	}
	if !ok {
		return money.New(0, inquiry.Currency), nil
	}
	currency, err := a.currencyOf(document, inquiry.Currency)
	if err != nil {
		return money.Amount{}, err
	}
	text, ok := call.Text(value)
	if kind := value.Kind(); !ok || (kind != '"' && kind != '0') {
		return money.Amount{}, unavailable("the answer's balance is no number")
	}
	amount, err := parseAmount(text, a.amountForm, currency)
	switch {
	case err != nil:
		return money.Amount{}, unavailable("the answer's balance is no exact amount of its currency")
	case amount.IsNegative() && a.negativeZero:
		return money.New(0, currency), nil
	case amount.IsNegative():
		return money.Amount{}, unavailable("the answer's balance is negative")
	}
	return amount, nil
}

func parseAmount(text, form string, currency money.Currency) (money.Amount, error) {
	if form == formDecimal {
		return money.ParseSigned(text, currency)
	}
	minor, err := parseInteger(text)
	return money.New(minor, currency), err
}

// parseInteger reads digits, with a minus before them at most.
func parseInteger(text string) (int64, error) {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || len(digits) > maxDigits || strings.Trim(digits, "0123456789") != "" {
		return 0, money.ErrSyntax
	}
	return strconv.ParseInt(text, 10, 64)
}

func (a *answer) currencyOf(document jsontext.Value, asked money.Currency) (money.Currency, error) {
	currency := asked
	switch {
	case a.currency != nil:
		value, _ := a.currency.Find(document)
		code, _ := call.Text(value)
		parsed, err := money.Parse(strings.ToUpper(code))
		if err != nil {
			return money.NoCurrency, unavailable("the answer has no currency, or one that is not known")
		}
		currency = parsed
	case a.fixed.IsValid():
		currency = a.fixed
	}
	if len(a.currencies) > 0 && !a.currencies[currency] {
		return money.NoCurrency, unavailable("the answer's currency is not one of the network's")
	}
	return currency, nil
}

// month returns the expiry as "2027-03", empty without one.
func (a *answer) month(document jsontext.Value) (string, error) {
	if a.expiry == nil {
		return "", nil
	}
	value, ok := a.expiry.Find(document)
	if !ok {
		return "", nil
	}
	text, _ := call.Text(value)
	if text == "" && value.Kind() == '"' {
		return "", nil
	}
	month, err := time.Parse(a.expiryForm, text)
	// Of two digits, package time takes 69 to 99 for the last century.
	if strings.Contains(a.expiryForm, "06") && !strings.Contains(a.expiryForm, "2006") && month.Year() < 2000 {
		month = month.AddDate(100, 0, 0)
	}
	if err != nil || month.Year() < 1970 || month.Year() > 9999 {
		return "", unavailable("the answer's expiry is not in the form of the configuration")
	}
	return month.Format("2006-01"), nil
}

// known returns when the partner knew the balance; zero, which means now, without.
func (a *answer) known(document jsontext.Value, now time.Time) (time.Time, error) {
	if a.asOf == nil {
		return time.Time{}, nil
	}
	value, ok := a.asOf.Find(document)
	if !ok {
		return time.Time{}, nil
	}
	text, _ := call.Text(value)
	known, err := parseTime(text, a.asOfForm)
	if err != nil || known.Year() < 1970 {
		return time.Time{}, unavailable("the answer's time is not in the form of the configuration")
	}
	if known.After(now) {
		return time.Time{}, nil // their clock is ahead of ours
	}
	return known.UTC().Truncate(time.Microsecond), nil
}

func parseTime(text, form string) (time.Time, error) {
	if form == formRFC3339 {
		return time.Parse(time.RFC3339, text)
	}
	n, err := parseInteger(text)
	switch {
	case err != nil || n < 0:
		return time.Time{}, money.ErrSyntax
	case form == formUnixMilli && n < maxUnix*1000:
		return time.UnixMilli(n), nil
	case form == formUnix && n < maxUnix:
		return time.Unix(n, 0), nil
	}
	return time.Time{}, money.ErrRange
}
