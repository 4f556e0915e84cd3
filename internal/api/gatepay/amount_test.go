package gatepay

import (
	"math/big"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// An amount is accepted exactly when it is written as the contract says, lies from
// 0.0001 to 5,000,000 and is a whole number of minor units; and it is then that number.
func FuzzAmount(f *testing.F) {
	for _, text := range []string{"100", "0.0001", "5000000", "5000000.000001", "1.005", "0", "00.10", "1.", ".1", "-1", "1e3", "1\n", "٣", "0.000001", strings.Repeat("9", 70), strings.Repeat("0", 70)} {
		for _, code := range []string{"USD", "JPY", "KWD", "CLF", "BTC", "usd", "", "XAU"} {
			f.Add(text, code)
		}
	}
	f.Fuzz(func(t *testing.T, text, code string) {
		got, err := amountOf(text, code)
		minor, ok := expected(text, code)
		switch {
		case ok != (err == nil):
			t.Errorf("amountOf(%q, %q) = %v, accepted should be %t", text, code, err, ok)
		case ok && (got.Minor != minor || got.Currency.String() != code):
			t.Errorf("amountOf(%q, %q) = %s %s, want %d", text, code, got, got.Currency, minor)
		case !ok && fault.CodeOf(err) != fault.InvalidAmount && fault.CodeOf(err) != fault.UnknownCurrency:
			t.Errorf("amountOf(%q, %q): %v", text, code, err)
		}
	})
}

// expected is the contract's rule on unlimited fractions, for texts of at most 64 bytes.
func expected(text, code string) (minor int64, ok bool) {
	currency, err := money.Parse(code)
	if err != nil || len(text) > money.MaxText || text == "" {
		return 0, false
	}
	whole, decimals, point := strings.Cut(text, ".")
	if whole == "" || strings.Trim(whole+decimals, "0123456789") != "" || point && (decimals == "" || len(decimals) > 6) {
		return 0, false
	}
	value, ok := new(big.Rat).SetString(text)
	if !ok || value.Cmp(big.NewRat(1, 10_000)) < 0 || value.Cmp(big.NewRat(5_000_000, 1)) > 0 {
		return 0, false
	}
	units := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(currency.Digits())), nil)
	value.Mul(value, new(big.Rat).SetInt(units))
	return value.Num().Int64(), value.IsInt()
}

// A number is found with small letters, too: none has any.
func TestSmallLetters(t *testing.T) {
	for _, text := range []string{"GC1234567890123456", "gc1234567890123456", "gC1234-5678-9012-3456"} {
		if secret, err := secretOf(text, ""); err != nil || secret.Number.Reveal() != "GC1234567890123456" {
			t.Errorf("%s: %v", text, err)
		}
	}
}
