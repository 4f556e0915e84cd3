package iso8583

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/country"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/platform/iso"
)

// malformed is the fault of an element that is missing or cannot be read. It names the
// element, never what is in it.
func malformed(element string) error {
	return fault.New(fault.InvalidRequest, "element %s is missing or malformed", element).At(element)
}

func digits(text string, length int) bool {
	return len(text) == length && strings.Trim(text, "0123456789") == ""
}

// bare is an institution's id without the zeros before it, by which it is compared.
func bare(institution string) string { return strings.TrimLeft(institution, "0") }

// naming is what names a message and the payment that it is about.
type naming struct {
	acquirer, reference string
	key                 string
	original            string // the key of the message that DE90 names; empty without one
	at                  time.Time
}

// keyOf names a message. Its class is the second digit of its type, so that the request
// and the advice of one thing, and their repetitions, have one name.
func keyOf(class byte, acquirer, reference, trace string) string {
	return strings.Join([]string{"iso8583", string(class), acquirer, reference, trace}, "/")
}

// nameOf reads what names a message (DE7, 11, 32, 37) and the one before it (DE90).
func nameOf(m iso.Message) (naming, error) {
	n := naming{acquirer: bare(m[32]), reference: strings.TrimSpace(m[37])}
	switch {
	case !digits(m[11], 6):
		return n, malformed("11")
	case n.acquirer == "" || !digits(m[32], len(m[32])):
		return n, malformed("32")
	case n.reference == "" || strings.ContainsAny(n.reference, "/\x00"):
		return n, malformed("37")
	}
	var err error
	if n.at, err = instant(m[7], clock.System().Now()); err != nil {
		return n, err
	}
	n.key = keyOf(m[0][1], n.acquirer, n.reference, m[11])
	if strings.Trim(m[90], "0") == "" && len(m[90])%originalLen == 0 {
		return n, nil // it names none
	}
	if !digits(m[90], originalLen) {
		return n, malformed("90")
	}
	if before := bare(m[90][20:31]); before != "" && before != n.acquirer {
		return n, fault.New(fault.NotFound, "the original is another acquirer's")
	}
	n.original = keyOf(m[90][1], n.acquirer, n.reference, m[90][4:10])
	return n, nil
}

// originalLen is the length of DE90: type 4, trace 6, transmission 10, acquirer 11, forwarder 11.
const originalLen = 42

// instant reads DE7, MMDDhhmmss in UTC, in the year that brings it closest to now.
func instant(text string, now time.Time) (time.Time, error) {
	if !digits(text, 10) {
		return time.Time{}, malformed("7")
	}
	var closest time.Time
	for _, year := range []int{now.Year() - 1, now.Year(), now.Year() + 1} {
		at, err := time.Parse("20060102150405", strconv.Itoa(year)+text)
		if err == nil && (closest.IsZero() || at.Sub(now).Abs() < closest.Sub(now).Abs()) {
			closest = at
		}
	}
	if closest.IsZero() {
		return closest, malformed("7")
	}
	return closest, nil
}

// sums are the amounts of a message.
type sums struct {
	billed  money.Amount // in the card's currency: DE6 and 51, or DE4 and 49
	charged money.Amount // what the merchant charged, when in another currency
}

// hasZero reports whether one of the amounts is nothing.
func (s sums) hasZero() bool {
	return s.billed.IsZero() || s.charged.Currency.IsValid() && s.charged.IsZero()
}

func amounts(m iso.Message) (sums, error) {
	charged, err := amount(m[4], m[49], "4")
	if err != nil || m[51] == "" || m[51] == m[49] {
		return sums{billed: charged}, err
	}
	billed, err := amount(m[6], m[51], "6")
	return sums{billed: billed, charged: charged}, err
}

func amount(minor, currency, element string) (money.Amount, error) {
	if !digits(minor, 12) {
		return money.Amount{}, malformed(element)
	}
	in, err := money.ByNumeric(currency)
	if err != nil {
		return money.Amount{}, fault.New(fault.UnknownCurrency, "there is no such currency").At(element)
	}
	n, err := strconv.ParseInt(minor, 10, 64)
	if err != nil {
		return money.Amount{}, malformed(element)
	}
	return money.New(n, in), nil
}

// replacementLen is the length of DE95: what stands after a partial reversal, in the
// transaction's currency 12, in that of settlement 12, in the cardholder's 12, and 6 zeros.
const replacementLen = 42

// stands returns what a partial reversal leaves; zero for one of all.
func (s sums) stands(m iso.Message) (money.Amount, error) {
	none := money.New(0, s.billed.Currency)
	if m[95] == "" {
		return none, nil
	}
	if !digits(m[95], replacementLen) {
		return none, malformed("95")
	}
	text := m[95][:12]
	if s.charged.Currency.IsValid() {
		text = m[95][24:36]
	}
	stands, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return none, malformed("95")
	case stands > 0 && stands >= s.billed.Minor:
		return none, fault.New(fault.InvalidAmount, "nothing is reversed").At("95")
	}
	return money.New(stands, s.billed.Currency), nil
}

// The tags of DE48: two digits, then two digits of length, then the value.
const (
	tagSupport   = "61" // "1": the terminal takes a part of the amount
	tagMore      = "62" // "1": further completions of the payment follow
	tagChallenge = "43" // the 3-D Secure challenge that was completed
	tagPostcode  = "82"
	tagAddress   = "83"
	tagCode      = "92" // the security code
)

// tagged reads DE48. Tags that are not known are left alone.
func tagged(text string) (map[string]string, error) {
	tags := map[string]string{}
	for text != "" {
		if len(text) < 4 || !digits(text[:4], 4) {
			return nil, malformed("48")
		}
		length, err := strconv.Atoi(text[2:4])
		if err != nil || len(text) < 4+length {
			return nil, malformed("48")
		}
		tags[text[:2]] = text[4 : 4+length]
		text = text[4+length:]
	}
	return tags, nil
}

// plastic is the card as it was presented: its number and expiry, from DE2 and 14, or
// track 2. A number that none can have is zero.
func plastic(m iso.Message) (number pan.Number, expiry string, err error) {
	text, expiry := m[2], m[14]
	if m[35] != "" {
		track, rest, ok := strings.Cut(strings.Replace(m[35], "D", "=", 1), "=")
		if !ok || len(rest) < 4 || text != "" && text != track {
			return pan.Number{}, "", malformed("35")
		}
		text = track
		if expiry == "" {
			expiry = rest[:4]
		}
	}
	switch {
	case text == "" || !digits(text, len(text)):
		return pan.Number{}, "", malformed("2")
	case expiry != "" && !digits(expiry, 4):
		return pan.Number{}, "", malformed("14")
	}
	if number, err = pan.Parse(text); err != nil {
		return pan.Number{}, expiry, nil
	}
	return number, expiry, nil
}

// The parts of DE43: name, city and country.
const (
	nameTo    = 25
	countryAt = 38
)

// merchant reads DE18, 32, 41, 42 and 43.
func merchant(m iso.Message, acquirer string) authorization.Merchant {
	who := authorization.Merchant{ID: strings.TrimSpace(m[42]), MCC: m[18], Terminal: strings.TrimSpace(m[41]), Acquirer: acquirer}
	who.Name = who.ID
	if where := m[43]; len(where) == countryAt+2 {
		who.Name, who.City = strings.TrimSpace(readable(where[:nameTo])), strings.TrimSpace(readable(where[nameTo:countryAt]))
		if in := where[countryAt:]; country.IsValid(in) {
			who.Country = in
		}
	}
	return who
}

// readable is a text as Unicode. What is not that already, but for a last character that was cut
// within beside others beyond ASCII, is ISO 8859-1: a character a byte.
func readable(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	if whole := uncut(text); utf8.ValidString(whole) && utf8.RuneCountInString(whole) < len(whole) {
		return whole
	}
	characters := make([]rune, len(text))
	for i := range characters {
		characters[i] = rune(text[i])
	}
	return string(characters)
}

// uncut is a text without a last character of UTF-8 that is not all there.
func uncut(text string) string {
	for at := len(text) - 1; at >= max(0, len(text)-utf8.UTFMax); at-- {
		if utf8.RuneStart(text[at]) {
			if !utf8.FullRuneInString(text[at:]) {
				return text[:at]
			}
			break
		}
	}
	return text
}

// entry reads how the card was presented from DE22 and 25.
func entry(m iso.Message) authorization.Entry {
	if m[25] == "59" { // electronic commerce
		return authorization.Online
	}
	if len(m[22]) < 2 {
		return ""
	}
	switch m[22][:2] {
	case "01", "79":
		return authorization.Manual
	case "02", "80", "90":
		return authorization.Stripe
	case "05", "95":
		return authorization.Chip
	case "07", "91":
		return authorization.Contactless
	case "10":
		return authorization.Stored
	case "81":
		return authorization.Online
	}
	return ""
}
