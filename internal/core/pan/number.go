// Package pan holds card numbers and other secrets of a card in values that
// mask themselves wherever they are printed.
//
// It owns Number (a primary account number or a closed-loop gift card number),
// Secret (PIN, CVV, redemption code, key, seed), the Luhn check digit, the
// generation of numbers and the recognition of card networks. It promises that
// no fmt verb, JSON, slog handler, template or error of this package shows more
// than the first six and last four characters of a number, or anything of a
// secret: Reveal is the only way out. It must never refuse a number for its
// check digit, repeat its input in an error, or use randomness not given to it.
package pan

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of the numbers that are read, in characters. MaxText bounds the text
// with its spaces and dashes. MaxDigits is ISO/IEC 7812-1's longest number.
const (
	MinLength = 8
	MaxDigits = 19
	MaxAlnum  = 32
	MaxText   = 64
)

// A mask keeps the first shownFirst and last shownLast characters of numbers of
// at least minShown, which hides five or more. PCI DSS 3.4.1 allows no more.
const (
	shownFirst = 6
	shownLast  = 4
	minShown   = 15
)

// Error is the reason why this package refused something. It is a constant
// text and never holds any part of the input.
type Error string

// The reasons for which this package refuses its input.
const (
	// ErrLength: the number is too short or too long.
	ErrLength Error = "card number has a wrong length"
	// ErrCharacter: the number has a character outside its alphabet.
	ErrCharacter Error = "card number has a character that is not allowed"
	// ErrPrefix: the prefix of a number to generate does not fit.
	ErrPrefix Error = "card number prefix does not fit"
	// ErrSecretLength: a secret exceeds MaxSecret.
	ErrSecretLength Error = "secret has a wrong length"
	// ErrRandom: the source of randomness is not random.
	ErrRandom Error = "random source gives no usable bytes"
)

// Error returns the reason in words.
func (e Error) Error() string { return string(e) }

// Number is a card number of 8 to 32 characters. It prints, marshals and logs
// as its mask, such as "411111******1111"; Reveal is the only way to the
// characters. Compare numbers with Equal: == does not compile. The zero value
// is no number and prints as "".
type Number struct {
	_ [0]func()
	// The pointer hides the text where fmt reads a struct by reflection:
	// in unexported fields and under a verb that it reports as wrong.
	text *string
}

// Plain writes a number that somebody pasted as Parse takes it: every kind of space and of
// dash as ' ' and '-', without the marks that nobody sees.
func Plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r > ' ' && r < utf8.RuneSelf:
			return r
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.Pd, r), r == minus:
			return '-'
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
}

const minus = '\u2212' // of mathematics, which some take for a dash

// Parse reads a number of 8 to 19 digits, which may be grouped by spaces and
// dashes. It does not look at the check digit. It returns ErrLength or
// ErrCharacter.
func Parse(text string) (Number, error) {
	return parse(text, MaxDigits, digit)
}

// ParseAlnum reads a closed-loop number such as "GC" and sixteen digits: 8 to
// 32 characters of A–Z, which may be written small, and 0–9, grouped as for Parse.
// It returns ErrLength or ErrCharacter.
func ParseAlnum(text string) (Number, error) {
	return parse(text, MaxAlnum, alnum)
}

// parse reads a number of the characters that read gives for what is written; it gives 0
// for what is not allowed.
func parse(text string, maxLength int, read func(byte) byte) (Number, error) {
	if len(text) > MaxText {
		return Number{}, ErrLength
	}
	var buffer [MaxText]byte
	length := 0
	for _, char := range []byte(text) {
		if char == ' ' || char == '-' {
			continue
		}
		if char = read(char); char == 0 {
			return Number{}, ErrCharacter
		}
		buffer[length] = char
		length++
	}
	if length < MinLength || length > maxLength {
		return Number{}, ErrLength
	}
	return newNumber(string(buffer[:length])), nil
}

func newNumber(text string) Number { return Number{text: &text} }

// Reveal returns the number itself, without separators. It is the only method
// that does: use it to seal, to hash with a key, to send to a card network or
// to show to the card's owner, and for nothing else.
func (n Number) Reveal() string {
	if n.text == nil {
		return ""
	}
	return *n.text
}

// IsZero reports whether n is no number.
func (n Number) IsZero() bool { return n.text == nil }

// Equal reports whether n and other are the same number, in a time that depends
// on their lengths alone.
func (n Number) Equal(other Number) bool { return sameText(n.Reveal(), other.Reveal()) }

// Last4 returns the last four characters, or "" for the zero value.
func (n Number) Last4() string {
	text := n.Reveal()
	return text[max(0, len(text)-shownLast):]
}

// Mask returns the number with its middle replaced by stars, or all stars when
// it has less than 15 characters. The mask is as long as the number.
func (n Number) Mask() string {
	text := n.Reveal()
	if len(text) < minShown {
		return strings.Repeat("*", len(text))
	}
	hidden := len(text) - shownFirst - shownLast
	return text[:shownFirst] + strings.Repeat("*", hidden) + text[len(text)-shownLast:]
}

// String returns the mask.
func (n Number) String() string { return n.Mask() }

// GoString returns the mask.
func (n Number) GoString() string { return n.Mask() }

// Format writes the mask for every verb and flag.
func (n Number) Format(state fmt.State, _ rune) { write(state, n.Mask()) }

// MarshalText returns the mask.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.Mask()), nil }

// MarshalJSON returns the mask as a JSON string.
func (n Number) MarshalJSON() ([]byte, error) { return []byte(`"` + n.Mask() + `"`), nil }

// LogValue returns the mask.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Mask()) }

func isDigit(char byte) bool { return char >= '0' && char <= '9' }

func isUpper(char byte) bool { return char >= 'A' && char <= 'Z' }

func digit(char byte) byte {
	if isDigit(char) {
		return char
	}
	return 0
}

func alnum(char byte) byte {
	switch {
	case isDigit(char), isUpper(char):
		return char
	case char >= 'a' && char <= 'z':
		return char - 'a' + 'A'
	}
	return 0
}

func sameText(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// write sends text to a fmt.State, whose errors fmt itself reports.
func write(state fmt.State, text string) { _, _ = io.WriteString(state, text) }
