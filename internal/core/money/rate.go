package money

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// maxRateDigits is the number of decimals a rate's text may have.
const maxRateDigits = 18

// Rate is an exact exchange rate: how many major units of the target one major
// unit of the source buys. It is a positive ratio of integers in lowest terms,
// comparable with ==. The zero value is not a rate and is refused.
type Rate struct{ num, den uint64 }

// NewRate returns the rate numerator/denominator. It returns ErrRange unless
// both are positive.
func NewRate(numerator, denominator int64) (Rate, error) {
	if numerator <= 0 || denominator <= 0 {
		return Rate{}, ErrRange
	}
	return reduced(uint64(numerator), uint64(denominator)), nil
}

// ParseRate reads a rate from decimal text such as "1.0845", in the form of
// ParseAmount with at most 18 decimals. It returns ErrSyntax, ErrPrecision, or
// ErrRange for zero and for what exceeds 63 bits without its point.
func ParseRate(text string) (Rate, error) {
	digits := 0
	if point := strings.IndexByte(text, '.'); point >= 0 {
		digits = min(len(strings.TrimRight(text[point+1:], "0")), maxRateDigits)
	}
	size, err := parseDecimal(text, digits)
	if err != nil {
		return Rate{}, err
	}
	if size == 0 || size > math.MaxInt64 {
		return Rate{}, ErrRange
	}
	return reduced(size, powersOfTen[digits]), nil
}

// PriceRate returns the rate at which price's currency buys a thing whose major
// unit costs price. With 65850.00 USD for one bitcoin, converting 55.00 USD to
// BTC with Floor gives floor(5500 × 10^8 / 6585000) = 83523 satoshis. It returns
// ErrRange unless price is positive.
func PriceRate(price Amount) (Rate, error) {
	if !price.Currency.IsValid() {
		return Rate{}, ErrCurrency
	}
	if price.Minor <= 0 {
		return Rate{}, ErrRange
	}
	return reduced(powersOfTen[price.Currency.Digits()], uint64(price.Minor)), nil
}

func reduced(num, den uint64) Rate {
	divisor := gcd(num, den)
	return Rate{num: num / divisor, den: den / divisor}
}

// IsZero reports whether r is the zero value, which is not a rate.
func (r Rate) IsZero() bool { return r.den == 0 }

// Ratio returns the numerator and the denominator in lowest terms: what to
// store, and what NewRate takes. Both are zero for the zero value.
func (r Rate) Ratio() (numerator, denominator int64) {
	return int64(r.num), int64(r.den)
}

// Inverse returns the rate of the opposite direction, exactly.
func (r Rate) Inverse() Rate { return Rate{num: r.den, den: r.num} }

// String returns the ratio in lowest terms: "2169/2000".
func (r Rate) String() string {
	return strconv.FormatUint(r.num, 10) + "/" + strconv.FormatUint(r.den, 10)
}

// Convert returns what a is worth in the target currency: the exact product,
// rounded once to target's minor unit. It returns ErrCurrency, ErrRounding, or
// ErrRange, also when r is the zero value.
func (r Rate) Convert(a Amount, target Currency, rounding Rounding) (Amount, error) {
	switch {
	case !a.Currency.IsValid() || !target.IsValid():
		return Amount{}, ErrCurrency
	case !rounding.IsValid():
		return Amount{}, ErrRounding
	case r.IsZero():
		return Amount{}, ErrRange
	}
	up, down := uint64(1), uint64(1)
	if shift := target.Digits() - a.Currency.Digits(); shift >= 0 {
		up = powersOfTen[shift]
	} else {
		down = powersOfTen[-shift]
	}
	in := Amount{Minor: a.Minor, Currency: target}
	// Cancelling first keeps nearly every real rate within 64 bits.
	shared, other := gcd(up, r.den), gcd(down, r.num)
	numHigh, num := bits.Mul64(r.num/other, up/shared)
	denHigh, den := bits.Mul64(r.den/shared, down/other)
	if numHigh == 0 && denHigh == 0 {
		return in.scale(num, den, rounding)
	}
	return in.scaleBig(product(r.num, up), product(r.den, down), rounding)
}

func product(a, b uint64) *big.Int {
	left := new(big.Int).SetUint64(a)
	return left.Mul(left, new(big.Int).SetUint64(b))
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
