package phone

import (
	"fmt"
	"log/slog"

	"github.com/nyaruka/phonenumbers"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Number is a telephone number in the form of E.164, such as +14155550123. It prints its
// country's prefix and its last two digits alone.
type Number struct{ text string }

// maxText bounds what is read as a number, in bytes.
const maxText = 32

// Parse reads a number that begins with + and its country's prefix. Strict takes only those
// that are given out somewhere; otherwise it is enough that they have the right length. It
// returns invalid_request.
func Parse(text string, strict bool) (Number, error) {
	wrong := fault.New(fault.InvalidRequest, "the phone number must be in the form +14155550123").At("phone_number")
	if len(text) == 0 || len(text) > maxText || text[0] != '+' {
		return Number{}, wrong
	}
	parsed, err := phonenumbers.Parse(text, "ZZ")
	switch {
	case err != nil || parsed.GetExtension() != "" || !phonenumbers.IsPossibleNumber(parsed):
		return Number{}, wrong
	case strict && !phonenumbers.IsValidNumber(parsed):
		return Number{}, wrong
	case strict && isCostly(parsed):
		return Number{}, fault.New(fault.InvalidRequest, "no code can be sent to this kind of number").At("phone_number")
	}
	return Number{phonenumbers.Format(parsed, phonenumbers.E164)}, nil
}

// isCostly says of a number that calling it pays whoever has it, or nobody answers, or that it
// is of no country: those of satellites and of networks between countries cost most.
func isCostly(n *phonenumbers.PhoneNumber) bool {
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST, phonenumbers.UAN, phonenumbers.VOICEMAIL, phonenumbers.PAGER,
		phonenumbers.TOLL_FREE, phonenumbers.PERSONAL_NUMBER:
		return true
	default:
		return phonenumbers.GetRegionCodeForNumber(n) == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY
	}
}

// restored is a number that was parsed before it was stored.
func restored(text string) Number { return Number{text} }

// E164 returns the number itself.
func (n Number) E164() string { return n.text }

// IsZero reports whether there is no number.
func (n Number) IsZero() bool { return n.text == "" }

// Country returns the ISO 3166 code of the number's country, or of the first one with its
// prefix; ZZ where there is none.
func (n Number) Country() string {
	parsed, err := phonenumbers.Parse(n.text, "ZZ")
	if err != nil {
		return "ZZ"
	}
	if region := phonenumbers.GetRegionCodeForNumber(parsed); region != "" && region != "ZZ" {
		return region
	}
	return phonenumbers.GetRegionCodeForCountryCode(int(parsed.GetCountryCode()))
}

// block is the range that a number is in: all but its last four digits. Numbers that are
// rented for pumping come in such ranges.
func (n Number) block() string { return n.text[:max(2, len(n.text)-4)] }

// String hides the digits between the first two and the last two.
func (n Number) String() string {
	if len(n.text) < 6 {
		return "+…"
	}
	return n.text[:3] + "…" + n.text[len(n.text)-2:]
}

// GoString is String.
func (n Number) GoString() string { return n.String() }

// Format writes String for every verb.
func (n Number) Format(state fmt.State, _ rune) {
	_, _ = state.Write([]byte(n.String())) // fmt reports what a writer refuses
}

// LogValue is String.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.String()) }
