package money

import (
	"errors"
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var anyCurrency = rapid.SampledFrom(List())

// Texts, the amounts they mean, and both canonical forms of those amounts.
func TestParseAmount(t *testing.T) {
	for _, row := range []struct {
		text     string
		currency Currency
		minor    int64
		canon    string
		shortest string
	}{
		{"47.50", USD, 4750, "47.50", "47.5"},
		{"47.5", USD, 4750, "47.50", "47.5"},
		{"100", USD, 10000, "100.00", "100"},
		{"0", USD, 0, "0.00", "0"},
		{"0.01", USD, 1, "0.01", "0.01"},
		{"99.500000", USD, 9950, "99.50", "99.5"},
		{"000007.10", USD, 710, "7.10", "7.1"},
		{"1200", JPY, 1200, "1200", "1200"},
		{"1200.000", JPY, 1200, "1200", "1200"},
		{"0.001", KWD, 1, "0.001", "0.001"},
		{"10.0300", CLF, 100300, "10.0300", "10.03"},
		{"0.00083523", BTC, 83523, "0.00083523", "0.00083523"},
		{"21000000", BTC, 2_100_000_000_000_000, "21000000.00000000", "21000000"},
		{"92233720368547758.07", USD, math.MaxInt64, "92233720368547758.07", "92233720368547758.07"},
		{"9223372036854775807", JPY, math.MaxInt64, "9223372036854775807", "9223372036854775807"},
		{strings.Repeat("0", MaxText-1) + "1", JPY, 1, "1", "1"},
		{"1." + strings.Repeat("0", MaxText-2), USD, 100, "1.00", "1"},
	} {
		got, err := ParseAmount(row.text, row.currency)
		if want := New(row.minor, row.currency); err != nil || got != want {
			t.Errorf("ParseAmount(%q, %s) = %+v, %v; want %d", row.text, row.currency, got, err, row.minor)
			continue
		}
		if got.String() != row.canon || got.Decimal() != row.shortest {
			t.Errorf("%q prints as %q and %q, want %q and %q", row.text, got, got.Decimal(), row.canon, row.shortest)
		}
	}
}

// Each way in which a text can be wrong has its own error.
func TestParseAmountErrors(t *testing.T) {
	for _, row := range []struct {
		text     string
		currency Currency
		want     error
	}{
		{"", USD, ErrSyntax}, {".", USD, ErrSyntax}, {".5", USD, ErrSyntax}, {"5.", USD, ErrSyntax},
		{"+1", USD, ErrSyntax}, {"-1", USD, ErrSyntax}, {" 1", USD, ErrSyntax}, {"1 ", USD, ErrSyntax},
		{"1e3", USD, ErrSyntax}, {"1,000", USD, ErrSyntax}, {"1_000", USD, ErrSyntax}, {"0x10", USD, ErrSyntax},
		{"1:", USD, ErrSyntax}, {"1.2.3", USD, ErrSyntax}, {"1..2", USD, ErrSyntax}, {"NaN", USD, ErrSyntax}, {"Inf", USD, ErrSyntax},
		{"１", USD, ErrSyntax}, {"1\x00", USD, ErrSyntax}, {"99999999999999999999x", USD, ErrSyntax},
		{"0.001x", USD, ErrSyntax}, {strings.Repeat("0", MaxText) + "1", USD, ErrSyntax},
		{"0.001", USD, ErrPrecision}, {"1.005", USD, ErrPrecision}, {"0.5", JPY, ErrPrecision},
		{"0.000000001", BTC, ErrPrecision}, {"99999999999999999999.001", USD, ErrPrecision},
		{"92233720368547758.08", USD, ErrRange}, {"92233720368547758.09", USD, ErrRange},
		{"92233720368547758.1", USD, ErrRange}, {"92233720368547759", USD, ErrRange},
		{"9223372036854775808", JPY, ErrRange}, {"9223372036854775810", JPY, ErrRange},
		{"18446744073709551616", JPY, ErrRange}, {"92233720369", BTC, ErrRange},
		{strings.Repeat("9", MaxText), USD, ErrRange},
		{"1", NoCurrency, ErrCurrency}, {"1", Currency(len(currencies)), ErrCurrency}, {"x", Currency(255), ErrCurrency},
	} {
		if got, err := ParseAmount(row.text, row.currency); !errors.Is(err, row.want) || got != (Amount{}) {
			t.Errorf("ParseAmount(%q, %s) = %+v, %v; want %v", row.text, row.currency, got, err, row.want)
		}
	}
}

// ParseSigned adds a leading minus and nothing else, down to the least int64.
func TestParseSigned(t *testing.T) {
	for _, row := range []struct {
		text  string
		minor int64
		want  error
	}{
		{"-12.50", -1250, nil}, {"12.50", 1250, nil}, {"-0.05", -5, nil}, {"-0", 0, nil},
		{"-92233720368547758.08", math.MinInt64, nil}, {"-92233720368547758.09", 0, ErrRange},
		{"92233720368547758.08", 0, ErrRange},
		{"-", 0, ErrSyntax}, {"--1", 0, ErrSyntax}, {"+1", 0, ErrSyntax}, {"- 1", 0, ErrSyntax}, {"", 0, ErrSyntax},
		{"-" + strings.Repeat("0", MaxText-2) + "1", -100, nil}, {"-" + strings.Repeat("0", MaxText), 0, ErrSyntax},
	} {
		got, err := ParseSigned(row.text, USD)
		if !errors.Is(err, row.want) || got.Minor != row.minor {
			t.Errorf("ParseSigned(%q) = %+v, %v; want %d, %v", row.text, got, err, row.minor, row.want)
		}
	}
	for minor, want := range map[int64]string{-5: "-0.05", -1250: "-12.50", math.MinInt64: "-92233720368547758.08"} {
		if got := New(minor, USD).String(); got != want {
			t.Errorf("%d prints as %q, want %q", minor, got, want)
		}
	}
}

// Every amount survives both of its texts, which mean the same exact number.
func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := New(rapid.Int64().Draw(t, "minor"), anyCurrency.Draw(t, "currency"))
		for _, text := range []string{a.String(), a.Decimal()} {
			if back, err := ParseSigned(text, a.Currency); err != nil || back != a {
				t.Fatalf("%q came back as %+v, %v; was %+v", text, back, err, a)
			}
		}
		if shortest := a.Decimal(); strings.Contains(shortest, ".") && strings.HasSuffix(shortest, "0") {
			t.Fatalf("%q has a trailing zero", shortest)
		}
	})
}

var plainDecimal = regexp.MustCompile(`^\d+(\.\d+)?$`)

// parseByRat is ParseAmount written with a pattern and unlimited rationals.
func parseByRat(text string, digits int) (int64, error) {
	if len(text) > MaxText || !plainDecimal.MatchString(text) {
		return 0, ErrSyntax
	}
	value, _ := new(big.Rat).SetString(text)
	value.Mul(value, new(big.Rat).SetUint64(powersOfTen[digits]))
	switch {
	case !value.IsInt():
		return 0, ErrPrecision
	case !value.Num().IsInt64():
		return 0, ErrRange
	}
	return value.Num().Int64(), nil
}

func checkAgainstRat(t interface{ Errorf(string, ...any) }, text string, c Currency) {
	got, err := ParseAmount(text, c)
	minor, want := parseByRat(text, c.Digits())
	if !errors.Is(err, want) || (err == nil) != (want == nil) || got.Minor != minor {
		t.Errorf("ParseAmount(%q, %s) = %+v, %v; want %d, %v", text, c, got, err, minor, want)
	}
}

// On texts that look like numbers the parser agrees with unlimited arithmetic.
func TestParseAgainstRat(t *testing.T) {
	texts := rapid.StringMatching(`0{0,3}[0-9]{0,21}\.?[0-9]{0,9}0{0,5}`)
	rapid.Check(t, func(t *rapid.T) {
		checkAgainstRat(t, texts.Draw(t, "text"), anyCurrency.Draw(t, "currency"))
	})
}

// FuzzParseAmount: what is read is not negative and prints as a text that is read the same.
func FuzzParseAmount(f *testing.F) {
	for _, seed := range []string{"47.50", "0.00083523", "92233720368547758.08", "1e3", "-1", "00.000", "."} {
		f.Add(seed, byte(USD))
		f.Add(seed, byte(JPY))
		f.Add(seed, byte(BTC))
	}
	f.Fuzz(func(t *testing.T, text string, currency byte) {
		c := Currency(currency)
		if !c.IsValid() {
			c = USD
		}
		checkAgainstRat(t, text, c)
	})
}

// FuzzParseSigned: what is read prints as a text that is read the same, and a
// text without its minus reads as the opposite.
func FuzzParseSigned(f *testing.F) {
	for _, seed := range []string{"-47.50", "47.50", "-0", "--1", "-92233720368547758.08"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseSigned(text, USD)
		if err != nil {
			if a != (Amount{}) {
				t.Errorf("%q: %+v beside %v", text, a, err)
			}
			return
		}
		if back, err := ParseSigned(a.String(), USD); err != nil || back != a {
			t.Errorf("%q: %+v came back as %+v, %v", text, a, back, err)
		}
		plain, err := ParseAmount(strings.TrimPrefix(text, "-"), USD)
		if err == nil && magnitude(a.Minor) != magnitude(plain.Minor) {
			t.Errorf("%q: %+v, without its sign %+v", text, a, plain)
		}
	})
}

// Parsing, appending and arithmetic allocate nothing, refusals included.
func TestNoAllocations(t *testing.T) {
	buffer := make([]byte, 0, 64)
	a, b := New(4750, USD), New(1, USD)
	for name, run := range map[string]func(){
		"parse":         func() { _, _ = ParseAmount("47.50", USD) },
		"parse refused": func() { _, _ = ParseAmount("47.505", USD) },
		"append":        func() { _ = a.Append(buffer) },
		"currency":      func() { _, _ = Parse("USD") },
		"add":           func() { _, _ = a.Add(b) },
		"fee":           func() { _, _ = a.BasisPoints(290, HalfEven) },
	} {
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkParseAmount(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseAmount("47.50", USD); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	buffer := make([]byte, 0, 64)
	a := New(123456, USD)
	b.ReportAllocs()
	for b.Loop() {
		buffer = a.Append(buffer[:0])
	}
}

func BenchmarkParseCurrency(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("USD"); err != nil {
			b.Fatal(err)
		}
	}
}
