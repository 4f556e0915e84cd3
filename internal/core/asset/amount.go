package asset

import (
	"cmp"
	"math/big"
	"strings"

	"github.com/scripcards/scrip/internal/core/money"
)

// MaxText bounds the decimal text of an amount, in bytes.
const MaxText = 64

// maxDigits are the digits of the largest amount, 2^128 − 1 units.
const maxDigits = 39

// Amount is a count of the smallest units of one asset, never negative, up to 2^128 − 1.
// It is comparable with ==. The zero value has no asset.
type Amount struct {
	Asset    Asset
	high, lo uint64
}

// New returns the amount of so many units.
func New(units uint64, a Asset) Amount { return Amount{Asset: a, lo: units} }

// FromBig returns the amount of so many units. It returns money.ErrCurrency for none of
// the assets, and money.ErrRange for what is negative or too large.
func FromBig(units *big.Int, a Asset) (Amount, error) {
	switch {
	case !a.IsValid():
		return Amount{}, money.ErrCurrency
	case units.Sign() < 0 || units.BitLen() > 128:
		return Amount{}, money.ErrRange
	}
	high := new(big.Int).Rsh(units, 64)
	low := new(big.Int).Sub(units, new(big.Int).Lsh(high, 64))
	return Amount{Asset: a, high: high.Uint64(), lo: low.Uint64()}, nil
}

// ParseUnits reads a count of units: digits alone. It returns money.ErrSyntax,
// money.ErrRange or money.ErrCurrency.
func ParseUnits(text string, a Asset) (Amount, error) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return Amount{}, money.ErrSyntax
	}
	if len(text) > maxDigits {
		return Amount{}, money.ErrRange
	}
	units, _ := new(big.Int).SetString(text, 10) // digits are a number
	return FromBig(units, a)
}

// ParseAmount reads an amount in whole assets, such as "0.0075": digits, then optionally a
// point and more digits, at most MaxText bytes. Decimals beyond the smallest unit must
// be zeros. It returns money.ErrSyntax, money.ErrPrecision, money.ErrRange or money.ErrCurrency.
func ParseAmount(text string, a Asset) (Amount, error) {
	if !a.IsValid() {
		return Amount{}, money.ErrCurrency
	}
	whole, part, point := strings.Cut(text, ".")
	if len(text) > MaxText || whole == "" || (point && part == "") || strings.Trim(whole+part, "0123456789") != "" {
		return Amount{}, money.ErrSyntax
	}
	part = strings.TrimRight(part, "0")
	if len(part) > a.Digits() {
		return Amount{}, money.ErrPrecision
	}
	digits := strings.TrimLeft(whole+part+strings.Repeat("0", a.Digits()-len(part)), "0")
	if digits == "" {
		digits = "0"
	}
	return ParseUnits(digits, a)
}

// Big returns the count of units, as a number of the caller's own.
func (m Amount) Big() *big.Int {
	units := new(big.Int).SetUint64(m.high)
	return units.Lsh(units, 64).Or(units, new(big.Int).SetUint64(m.lo))
}

// Units returns the count of units in digits: what to store.
func (m Amount) Units() string { return m.Big().String() }

// String returns the shortest text in whole assets, without its name: "0.0075", "12".
func (m Amount) String() string {
	digits := m.Asset.Digits()
	text := m.Units()
	if short := digits + 1 - len(text); short > 0 {
		text = strings.Repeat("0", short) + text
	}
	whole, part := text[:len(text)-digits], strings.TrimRight(text[len(text)-digits:], "0")
	if part == "" {
		return whole
	}
	return whole + "." + part
}

// IsZero reports whether m is nothing, of whatever asset.
func (m Amount) IsZero() bool { return m.high == 0 && m.lo == 0 }

// Less reports whether m is less than other, which must be of the same asset: amounts of
// two assets are never less than each other.
func (m Amount) Less(other Amount) bool {
	return m.Asset == other.Asset && cmp.Or(cmp.Compare(m.high, other.high), cmp.Compare(m.lo, other.lo)) < 0
}
