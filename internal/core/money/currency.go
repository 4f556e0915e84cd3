// Package money holds amounts of money: an integer count of minor units with
// its currency, exact in every operation.
//
// It owns the currency table (ISO 4217 and BTC), the decimal text form,
// checked arithmetic, allocation without loss, exchange rates and rounding. It
// promises that no operation loses a unit, wraps around or mixes currencies
// silently: each returns one of the Err constants instead. It must never use a
// float, guess a rounding or do I/O.
//
// Use ParseAmount for text from outside, Add, Sub and Mul for sums, Allocate
// and Split to divide, BasisPoints for fees, Rate for conversions.
package money

import (
	"database/sql/driver"
	"fmt"
)

// Error is the reason why an operation of this package was refused. The values
// are constants: compare with errors.Is.
type Error string

// The reasons for which this package refuses an operation.
const (
	// ErrSyntax: the text is not a plain decimal number, or too long.
	ErrSyntax Error = "not a plain decimal number"
	// ErrPrecision: the text has more decimals than the unit has.
	ErrPrecision Error = "more decimals than the minor unit"
	// ErrPercent: the text is a percentage with more than two decimals.
	ErrPercent Error = "a percentage has at most two decimals"
	// ErrRange: the result or an argument is outside the accepted range.
	ErrRange Error = "number out of range"
	// ErrCurrency: the code is unknown or has no minor unit.
	ErrCurrency Error = "unknown currency"
	// ErrMismatch: two amounts of different currencies met.
	ErrMismatch Error = "currencies differ"
	// ErrRounding: the rounding is not one of the stated ones.
	ErrRounding Error = "rounding not stated"
)

// Error returns the reason in words.
func (e Error) Error() string { return string(e) }

// Currency is a currency with a minor unit. It is one byte, comparable, and
// prints, marshals and stores itself as its code. The zero value is NoCurrency.
type Currency uint8

// Parse returns the currency with the given upper-case alphabetic code, such
// as "USD". It returns ErrCurrency for every other text, including the ISO 4217
// codes without a minor unit (XAU, XXX).
func Parse(code string) (Currency, error) {
	low, high := 1, len(currencies)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if currencies[middle].code < code {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == len(currencies) || currencies[low].code != code {
		return NoCurrency, ErrCurrency
	}
	return Currency(low), nil
}

// ByNumeric returns the currency with the given three-digit ISO 4217 number,
// such as "840", the form of ISO 8583 fields 49 to 51. It returns ErrCurrency
// when there is none.
func ByNumeric(number string) (Currency, error) {
	if len(number) != 3 {
		return NoCurrency, ErrCurrency
	}
	var wanted uint16
	for i := range 3 {
		digit := number[i] - '0'
		if digit > 9 {
			return NoCurrency, ErrCurrency
		}
		wanted = wanted*10 + uint16(digit)
	}
	if wanted == 0 {
		return NoCurrency, ErrCurrency
	}
	for i := range currencies {
		if currencies[i].numeric == wanted {
			return Currency(i), nil
		}
	}
	return NoCurrency, ErrCurrency
}

// List returns every supported currency in code order, in a new slice.
func List() []Currency {
	list := make([]Currency, 0, len(currencies)-1)
	for i := 1; i < len(currencies); i++ {
		list = append(list, Currency(i))
	}
	return list
}

func (c Currency) entry() *entry {
	if int(c) >= len(currencies) {
		c = NoCurrency
	}
	return &currencies[c]
}

// IsValid reports whether c is a supported currency.
func (c Currency) IsValid() bool { return c != NoCurrency && int(c) < len(currencies) }

// String returns the alphabetic code, or "" for NoCurrency.
func (c Currency) String() string { return c.entry().code }

// Name returns the English name, as ISO 4217 writes it.
func (c Currency) Name() string { return c.entry().name }

// Digits returns the exponent of the minor unit: 2 where a hundred minor units
// make one major unit, 0 where there is no smaller unit.
func (c Currency) Digits() int { return int(c.entry().digits) }

// Numeric returns the three-digit ISO 4217 number, such as "036", or "" where
// none is assigned.
func (c Currency) Numeric() string {
	number := c.entry().numeric
	if number == 0 {
		return ""
	}
	return string([]byte{'0' + byte(number/100), '0' + byte(number/10%10), '0' + byte(number%10)})
}

// MarshalText returns the code. It returns ErrCurrency for NoCurrency, so that
// a forgotten currency cannot leave the process unseen.
func (c Currency) MarshalText() ([]byte, error) {
	if !c.IsValid() {
		return nil, ErrCurrency
	}
	return []byte(c.String()), nil
}

// UnmarshalText sets c from its code and returns ErrCurrency when it is unknown.
func (c *Currency) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}

// Value returns the code for a database column, or ErrCurrency for NoCurrency.
func (c Currency) Value() (driver.Value, error) {
	if !c.IsValid() {
		return nil, ErrCurrency
	}
	return c.String(), nil
}

// Scan sets c from the code in a database column and returns ErrCurrency for
// anything else.
func (c *Currency) Scan(column any) error {
	switch code := column.(type) {
	case string:
		return c.UnmarshalText([]byte(code))
	case []byte:
		return c.UnmarshalText(code)
	}
	return fmt.Errorf("scan currency from %T: %w", column, ErrCurrency)
}
