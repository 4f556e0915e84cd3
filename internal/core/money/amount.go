package money

import (
	"cmp"
	"math"
	"math/bits"
)

// Amount is a count of minor units of one currency: 4750 and USD are $47.50.
// It is comparable with == and may be negative. The zero value has no currency
// and every operation on it returns ErrCurrency.
type Amount struct {
	Minor    int64
	Currency Currency
}

// New returns the amount of the given minor units.
func New(minor int64, currency Currency) Amount {
	return Amount{Minor: minor, Currency: currency}
}

// Add returns a + b. It returns ErrMismatch or ErrRange.
func (a Amount) Add(b Amount) (Amount, error) {
	if err := a.match(b); err != nil {
		return Amount{}, err
	}
	sum := a.Minor + b.Minor
	if (sum > a.Minor) != (b.Minor > 0) {
		return Amount{}, ErrRange
	}
	return Amount{Minor: sum, Currency: a.Currency}, nil
}

// Mul returns a × n, such as a price times a quantity. It returns ErrRange.
func (a Amount) Mul(n int64) (Amount, error) {
	if !a.Currency.IsValid() {
		return Amount{}, ErrCurrency
	}
	high, low := bits.Mul64(magnitude(a.Minor), magnitude(n))
	if high != 0 {
		return Amount{}, ErrRange
	}
	return a.with(low, (a.Minor < 0) != (n < 0))
}

// CmpNumber returns −1, 0 or +1 as the number that a shows is less than, equal to or greater
// than that of b, in whatever currencies they are.
func (a Amount) CmpNumber(b Amount) int {
	wholeA, restA := a.number()
	wholeB, restB := b.number()
	return cmp.Or(cmp.Compare(wholeA, wholeB), cmp.Compare(restA, restB))
}

// number returns the whole part of what a shows, and the rest in units of the finest currency.
func (a Amount) number() (whole, rest int64) {
	unit := int64(powersOfTen[a.Currency.Digits()])
	return a.Minor / unit, a.Minor % unit * (finest / unit)
}

// finest is how many units of the finest currency are one.
const finest = 100_000_000

// IsZero reports whether a is nothing, in whatever currency.
func (a Amount) IsZero() bool { return a.Minor == 0 }

// IsPositive reports whether a is more than nothing.
func (a Amount) IsPositive() bool { return a.Minor > 0 }

// IsNegative reports whether a is less than nothing.
func (a Amount) IsNegative() bool { return a.Minor < 0 }

func (a Amount) match(b Amount) error {
	if !a.Currency.IsValid() || !b.Currency.IsValid() {
		return ErrCurrency
	}
	if a.Currency != b.Currency {
		return ErrMismatch
	}
	return nil
}

// with returns the amount of the given size and sign in a's currency.
func (a Amount) with(size uint64, negative bool) (Amount, error) {
	minor, err := signed(size, negative)
	if err != nil {
		return Amount{}, err
	}
	return Amount{Minor: minor, Currency: a.Currency}, nil
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func signed(size uint64, negative bool) (int64, error) {
	switch {
	case negative && size <= 1<<63:
		return -int64(size), nil
	case !negative && size <= math.MaxInt64:
		return int64(size), nil
	}
	return 0, ErrRange
}
