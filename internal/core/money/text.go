package money

import (
	"math/bits"
	"strconv"
	"strings"
)

// MaxText is the longest decimal text that is read, in bytes. It bounds the
// leading and trailing zeros, which are otherwise accepted.
const MaxText = 64

var powersOfTen = [...]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
}

// ParseAmount reads an amount in major units: digits, then optionally a point
// and more digits (^\d+(\.\d+)?$, at most MaxText bytes). There is no sign,
// exponent, space or thousands mark. Decimals beyond the minor unit must be
// zeros. It returns ErrSyntax, ErrPrecision, ErrRange or ErrCurrency, in that
// order where several apply, ErrCurrency first.
func ParseAmount(text string, currency Currency) (Amount, error) {
	return parseAmount(text, currency, false)
}

// ParseSigned is ParseAmount with an optional leading minus.
func ParseSigned(text string, currency Currency) (Amount, error) {
	if len(text) > 0 && len(text) <= MaxText && text[0] == '-' {
		return parseAmount(text[1:], currency, true)
	}
	return parseAmount(text, currency, false)
}

func parseAmount(text string, currency Currency, negative bool) (Amount, error) {
	if !currency.IsValid() {
		return Amount{}, ErrCurrency
	}
	size, err := parseDecimal(text, currency.Digits())
	if err != nil {
		return Amount{}, err
	}
	return Amount{Currency: currency}.with(size, negative)
}

// parseDecimal returns the number in text times ten to the power of digits.
// The result may exceed an int64 by a little: the caller checks.
func parseDecimal(text string, digits int) (uint64, error) {
	if len(text) == 0 || len(text) > MaxText || text[0] == '.' || text[len(text)-1] == '.' {
		return 0, ErrSyntax
	}
	const cutoff = 1 << 63 / 10
	var value uint64
	var point, tooBig, tooFine bool
	for _, char := range []byte(text) {
		digit := char - '0'
		switch {
		case digit > 9:
			if char != '.' || point {
				return 0, ErrSyntax
			}
			point = true
			continue
		case point && digits == 0:
			tooFine = tooFine || digit != 0
			continue
		case point:
			digits--
		}
		tooBig = tooBig || value > cutoff
		value = value*10 + uint64(digit)
	}
	high, value := bits.Mul64(value, powersOfTen[digits])
	switch {
	case tooFine:
		return 0, ErrPrecision
	case tooBig || high != 0:
		return 0, ErrRange
	}
	return value, nil
}

// String returns the amount in major units with exactly the currency's
// decimals and without its code: "47.50", "-0.05", "1200" for yen.
func (a Amount) String() string {
	var buffer [24]byte
	return string(a.Append(buffer[:0]))
}

// Append appends String's text to dst without allocating. The text is also a
// valid JSON number.
func (a Amount) Append(dst []byte) []byte {
	digits := a.Currency.Digits()
	size := magnitude(a.Minor)
	if a.Minor < 0 {
		dst = append(dst, '-')
	}
	dst = strconv.AppendUint(dst, size/powersOfTen[digits], 10)
	if digits == 0 {
		return dst
	}
	dst = append(dst, '.')
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, '0'+byte(size/powersOfTen[i]%10))
	}
	return dst
}

// Decimal returns the shortest text of the amount in major units, without
// trailing zeros: "100", "99.5". It has never more decimals than the currency.
func (a Amount) Decimal() string {
	text := a.String()
	if a.Currency.Digits() == 0 {
		return text
	}
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}
