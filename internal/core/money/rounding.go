package money

import (
	"errors"
	"math/big"
	"math/bits"
)

// Rounding says what becomes of a fraction of a minor unit. The zero value is
// no rounding and is refused with ErrRounding: every caller states its own.
type Rounding uint8

// The roundings, with what they make of 2.5 and −2.5.
const (
	// Floor rounds toward minus infinity: 2 and −3.
	Floor Rounding = iota + 1
	// Ceil rounds toward plus infinity: 3 and −2.
	Ceil
	// HalfUp rounds to the nearest, halves away from zero: 3 and −3.
	HalfUp
	// HalfEven rounds to the nearest, halves to the even one: 2 and −2.
	HalfEven
)

// IsValid reports whether r is one of the stated roundings.
func (r Rounding) IsValid() bool { return r >= Floor && r <= HalfEven }

// String returns the name of the rounding.
func (r Rounding) String() string {
	switch r {
	case Floor:
		return "floor"
	case Ceil:
		return "ceil"
	case HalfUp:
		return "half up"
	case HalfEven:
		return "half even"
	}
	return "unknown rounding"
}

// Share returns a × numerator / denominator in a's currency: the exact product,
// rounded once. It returns ErrRange unless numerator ≥ 0 and denominator > 0.
func (a Amount) Share(numerator, denominator int64, r Rounding) (Amount, error) {
	switch {
	case !a.Currency.IsValid():
		return Amount{}, ErrCurrency
	case !r.IsValid():
		return Amount{}, ErrRounding
	case numerator < 0 || denominator <= 0:
		return Amount{}, ErrRange
	}
	return a.scale(uint64(numerator), uint64(denominator), r)
}

// BasisPoints returns bps ten-thousandths of a, such as a fee: 290 is 2.90 %.
// It returns ErrRange when bps is negative.
func (a Amount) BasisPoints(bps int64, r Rounding) (Amount, error) {
	return a.Share(bps, 10_000, r)
}

// ParsePercent reads a percentage such as "2.9" as basis points, 290. The text
// is as for ParseAmount with at most two decimals, and it returns the same
// errors, of more decimals ErrPercent.
func ParsePercent(text string) (bps int64, err error) {
	size, err := parseDecimal(text, 2)
	switch {
	case errors.Is(err, ErrPrecision):
		return 0, ErrPercent
	case err != nil:
		return 0, err
	}
	return signed(size, false)
}

// scale returns a × num / den with a product of 128 bits.
func (a Amount) scale(num, den uint64, r Rounding) (Amount, error) {
	negative := a.Minor < 0
	high, low := bits.Mul64(magnitude(a.Minor), num)
	if high >= den {
		return Amount{}, ErrRange
	}
	quotient, remainder := bits.Div64(high, low, den)
	half := 0
	switch rest := den - remainder; {
	case remainder < rest:
		half = -1
	case remainder > rest:
		half = 1
	}
	if remainder != 0 && r.grows(negative, half, quotient&1 == 1) {
		if quotient++; quotient == 0 {
			return Amount{}, ErrRange
		}
	}
	return a.with(quotient, negative)
}

// scaleBig is scale for factors that do not fit in 64 bits.
func (a Amount) scaleBig(num, den *big.Int, r Rounding) (Amount, error) {
	negative := a.Minor < 0
	product := new(big.Int).SetUint64(magnitude(a.Minor))
	product.Mul(product, num)
	quotient, remainder := product.QuoRem(product, den, new(big.Int))
	if !quotient.IsUint64() {
		return Amount{}, ErrRange
	}
	size := quotient.Uint64()
	if remainder.Sign() != 0 {
		half := remainder.Lsh(remainder, 1).Cmp(den)
		if r.grows(negative, half, size&1 == 1) {
			if size++; size == 0 {
				return Amount{}, ErrRange
			}
		}
	}
	return a.with(size, negative)
}

// grows reports whether a size with a fraction is rounded away from zero. Half
// compares the fraction with one half.
func (r Rounding) grows(negative bool, half int, odd bool) bool {
	switch r {
	case Floor:
		return negative
	case Ceil:
		return !negative
	case HalfUp:
		return half >= 0
	case HalfEven:
		return half > 0 || half == 0 && odd
	}
	return false
}
