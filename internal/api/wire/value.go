package wire

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/money"
)

// maxNumber bounds the text of a number, in bytes.
const maxNumber = 32

var errValue = errors.New("value not accepted")

// Number is the exact text of a JSON number: 47.50 stays 47.50. Decoding takes
// only a JSON number in plain decimal form, at most 32 bytes; empty means absent.
type Number string

// WireType implements Typed.
func (Number) WireType() string { return "number" }

// WireHint implements Hinter.
func (Number) WireHint() string { return "must be a plain number" }

// MarshalJSONTo writes the text as it is; an empty Number is 0.
func (n Number) MarshalJSONTo(enc *jsontext.Encoder) error {
	if n == "" {
		n = "0"
	}
	return enc.WriteValue(append(enc.AvailableBuffer(), n...))
}

// UnmarshalJSONFrom reads a JSON number.
func (n *Number) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch {
	case value.Kind() == jsontext.KindNull:
		*n = ""
	case value.Kind() == jsontext.KindNumber && isPlainNumber(string(value)):
		*n = Number(value)
	default:
		return errValue
	}
	return nil
}

// UnmarshalText reads a number from the query.
func (n *Number) UnmarshalText(text []byte) error {
	if !isPlainNumber(string(text)) {
		return errValue
	}
	*n = Number(text)
	return nil
}

// isPlainNumber accepts -?\d+(\.\d+)? of at most maxNumber bytes.
func isPlainNumber(text string) bool {
	if len(text) > maxNumber {
		return false
	}
	digits, point := 0, false
	for i := range len(text) {
		switch char := text[i]; {
		case char >= '0' && char <= '9':
			digits++
		case char == '-' && i == 0:
		case char == '.' && digits > 0 && !point && i < len(text)-1:
			point = true
		default:
			return false
		}
	}
	return digits > 0
}

// Major is an amount as a JSON number in major units with all its currency's
// decimals, such as 47.50.
type Major money.Amount

// WireType implements Typed.
func (Major) WireType() string { return "number" }

// MarshalJSONTo writes the number.
func (m Major) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteValue(money.Amount(m).Append(enc.AvailableBuffer()))
}

// LooseNumber is Number that also takes the same text as a JSON string.
type LooseNumber string

// WireType implements Typed.
func (LooseNumber) WireType() string { return "number|string" }

// MarshalJSONTo writes a JSON number.
func (n LooseNumber) MarshalJSONTo(enc *jsontext.Encoder) error { return Number(n).MarshalJSONTo(enc) }

// UnmarshalJSONFrom reads a JSON number or a string that holds one; an empty string is absent.
func (n *LooseNumber) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	text, err := looseText(dec)
	if err == nil && text != "" && !isPlainNumber(text) {
		err = errValue
	}
	*n = LooseNumber(text)
	return err
}

// LooseInt is an integer that may also be sent as a string: 50018 or "50018".
type LooseInt int64

// WireType implements Typed.
func (LooseInt) WireType() string { return "integer|string" }

// UnmarshalJSONFrom reads a JSON integer or a string that holds one; an empty string is 0.
func (n *LooseInt) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	text, err := looseText(dec)
	if err != nil || text == "" {
		*n = 0
		return err
	}
	return n.UnmarshalText([]byte(text))
}

// UnmarshalText reads an integer from the query.
func (n *LooseInt) UnmarshalText(text []byte) error {
	value, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || text[0] == '+' {
		return errValue
	}
	*n = LooseInt(value)
	return nil
}

// MarshalJSONTo writes a JSON integer.
func (n LooseInt) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteToken(jsontext.Int(int64(n)))
}

// LooseBool is a truth value that may also be sent as a string: true or "true".
type LooseBool bool

// WireType implements Typed.
func (LooseBool) WireType() string { return "boolean|string" }

// UnmarshalJSONFrom reads true, false, "true" or "false"; an empty string is false.
func (b *LooseBool) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch string(value) {
	case `true`, `"true"`:
		*b = true
	case `false`, `"false"`, `""`, `null`:
		*b = false
	default:
		return errValue
	}
	return nil
}

// MarshalJSONTo writes a JSON truth value.
func (b LooseBool) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteToken(jsontext.Bool(bool(b)))
}

// looseText reads the text of a number or a string; null is empty.
func looseText(dec *jsontext.Decoder) (string, error) {
	value, err := dec.ReadValue()
	if err != nil {
		return "", err
	}
	switch value.Kind() {
	case jsontext.KindNull:
		return "", nil
	case jsontext.KindNumber:
		if len(value) > maxNumber {
			return "", errValue
		}
		return string(value), nil
	case jsontext.KindString:
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil || len(text) > maxNumber {
			return "", errValue
		}
		return string(text), nil
	}
	return "", errValue
}

// Layouts of times on the wire.
const (
	layoutMillis = "2006-01-02T15:04:05.000Z"
	layoutSecond = "2006-01-02T15:04:05Z"
	layoutOffset = "2006-01-02T15:04:05-07:00"
)

// TimeMillis is a time in UTC with milliseconds: 2021-04-28T23:35:50.977Z.
type TimeMillis time.Time

// WireType implements Typed.
func (TimeMillis) WireType() string { return "string" }

// IsZero reports whether there is no time, for omitzero.
func (t TimeMillis) IsZero() bool { return time.Time(t).IsZero() }

// MarshalJSONTo writes the text.
func (t TimeMillis) MarshalJSONTo(enc *jsontext.Encoder) error {
	return writeTime(enc, time.Time(t).UTC(), layoutMillis)
}

// TimeSecond is a time in UTC without a fraction: 2026-04-15T12:00:00Z.
type TimeSecond time.Time

// WireType implements Typed.
func (TimeSecond) WireType() string { return "string" }

// IsZero reports whether there is no time, for omitzero.
func (t TimeSecond) IsZero() bool { return time.Time(t).IsZero() }

// MarshalJSONTo writes the text.
func (t TimeSecond) MarshalJSONTo(enc *jsontext.Encoder) error {
	return writeTime(enc, time.Time(t).UTC(), layoutSecond)
}

// TimeOffset is a time with its offset from UTC: 2026-05-22T17:57:34+00:00.
type TimeOffset time.Time

// WireType implements Typed.
func (TimeOffset) WireType() string { return "string" }

// IsZero reports whether there is no time, for omitzero.
func (t TimeOffset) IsZero() bool { return time.Time(t).IsZero() }

// MarshalJSONTo writes the text.
func (t TimeOffset) MarshalJSONTo(enc *jsontext.Encoder) error {
	return writeTime(enc, time.Time(t), layoutOffset)
}

func writeTime(enc *jsontext.Encoder, t time.Time, layout string) error {
	buf := append(enc.AvailableBuffer(), '"')
	return enc.WriteValue(append(t.AppendFormat(buf, layout), '"'))
}

// Since is a time that a request gives: RFC 3339, or a day alone, which is its
// first instant in UTC.
type Since time.Time

// WireType implements Typed.
func (Since) WireType() string { return "string" }

// WireHint implements Hinter.
func (Since) WireHint() string {
	return "must be a day or a time of RFC 3339, such as 2026-11-21 or 2026-11-21T09:00:00Z"
}

// Time returns the time in UTC, rounded down to microseconds; zero when absent.
func (t Since) Time() time.Time { return time.Time(t) }

// UnmarshalText reads the time, which is in UTC where it has no offset. It accepts the
// years 1970 to 9999, and the offset of a query that was not escaped, whose plus is a space.
func (t *Since) UnmarshalText(text []byte) error {
	if at := bytes.LastIndexByte(text, ' '); at >= len(layoutSecond)-1 {
		text = slices.Concat(text[:at], []byte("+"), text[at+1:])
	}
	parsed, err := time.Parse(time.RFC3339, string(text))
	for _, layout := range [...]string{time.DateOnly, "2006-01-02T15:04:05"} {
		if err != nil {
			parsed, err = time.Parse(layout, string(text))
		}
	}
	if parsed = parsed.UTC(); err != nil || parsed.Year() < 1970 || parsed.Year() > 9999 {
		return errValue
	}
	*t = Since(parsed.Truncate(time.Microsecond))
	return nil
}
