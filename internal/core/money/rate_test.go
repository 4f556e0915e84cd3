package money

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

var allRoundings = []Rounding{Floor, Ceil, HalfUp, HalfEven}

// exactRound rounds a rational by the written rule, without the package.
func exactRound(x *big.Rat, r Rounding) *big.Int {
	floor := new(big.Int).Div(x.Num(), x.Denom())
	if x.IsInt() {
		return floor
	}
	ceil := new(big.Int).Add(floor, big.NewInt(1))
	toFloor := new(big.Rat).Sub(x, new(big.Rat).SetInt(floor))
	half := toFloor.Cmp(big.NewRat(1, 2))
	up := false
	switch r {
	case Floor:
	case Ceil:
		up = true
	case HalfUp:
		up = half > 0 || half == 0 && x.Sign() > 0
	case HalfEven:
		up = half > 0 || half == 0 && floor.Bit(0) == 1
	}
	if up {
		return ceil
	}
	return floor
}

func checkExact(t *rapid.T, got Amount, err error, exact *big.Int) {
	t.Helper()
	if !exact.IsInt64() {
		if !errors.Is(err, ErrRange) {
			t.Errorf("got %+v, %v; want %v, as the exact result is %v", got, err, ErrRange, exact)
		}
		return
	}
	if err != nil || got.Minor != exact.Int64() {
		t.Errorf("got %+v, %v; want %v", got, err, exact)
	}
}

// The documented examples of each rounding.
func TestRounding(t *testing.T) {
	for _, row := range []struct {
		numerator, denominator int64
		floor, ceil, up, even  int64
	}{
		{5, 2, 2, 3, 3, 2}, {-5, 2, -3, -2, -3, -2}, {7, 2, 3, 4, 4, 4}, {-7, 2, -4, -3, -4, -4},
		{1, 2, 0, 1, 1, 0}, {-1, 2, -1, 0, -1, 0}, {6, 2, 3, 3, 3, 3}, {0, 2, 0, 0, 0, 0},
		{7, 3, 2, 3, 2, 2}, {-7, 3, -3, -2, -2, -2}, {8, 3, 2, 3, 3, 3}, {-8, 3, -3, -2, -3, -3}, {10, 3, 3, 4, 3, 3},
	} {
		for i, want := range []int64{row.floor, row.ceil, row.up, row.even} {
			a := New(row.numerator, USD)
			got, err := a.Share(1, row.denominator, allRoundings[i])
			large, largeErr := a.scaleBig(big.NewInt(1), big.NewInt(row.denominator), allRoundings[i])
			if err != nil || got != New(want, USD) || largeErr != nil || large != got {
				t.Errorf("%d/%d %v = %+v, %v; with big integers %+v, %v; want %d",
					row.numerator, row.denominator, allRoundings[i], got, err, large, largeErr, want)
			}
		}
	}
	for _, r := range []Rounding{0, HalfEven + 1} {
		_, share := New(1, USD).Share(1, 2, r)
		_, convert := Rate{1, 1}.Convert(New(1, USD), EUR, r)
		if !errors.Is(share, ErrRounding) || !errors.Is(convert, ErrRounding) {
			t.Errorf("%v: %v, %v", r, share, convert)
		}
	}
}

// Satoshis for cents, by the published formula and its published numbers.
func TestSatoshis(t *testing.T) {
	price := New(6585000, USD)
	rate, err := PriceRate(price)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rate.Convert(New(5500, USD), BTC, Floor)
	if err != nil || got != New(83523, BTC) {
		t.Errorf("55.00 USD at %v = %+v, %v; want 83523", price, got, err)
	}
	back, err := rate.Inverse().Convert(New(100_000_000, BTC), USD, Floor)
	if err != nil || back != price {
		t.Errorf("one bitcoin = %+v, %v; want %v", back, err, price)
	}
	rapid.Check(t, func(t *rapid.T) {
		cents := rapid.Int64Range(0, 1e12).Draw(t, "cents")
		priceCents := rapid.Int64Range(1, 1e12).Draw(t, "price")
		rate, err := PriceRate(New(priceCents, USD))
		if err != nil {
			t.Fatal(err)
		}
		exact := new(big.Int).Mul(big.NewInt(cents), big.NewInt(1e8))
		exact.Quo(exact, big.NewInt(priceCents))
		got, err := rate.Convert(New(cents, USD), BTC, Floor)
		checkExact(t, got, err, exact)
	})
}

// A conversion is the exact rational product rounded once, whatever the sizes
// and the minor units.
func TestConvertIsExact(t *testing.T) {
	positive := rapid.OneOf(rapid.Int64Range(1, math.MaxInt64), rapid.Int64Range(1, 1e6),
		rapid.Int64Range(math.MaxInt64-3, math.MaxInt64))
	rapid.Check(t, func(t *rapid.T) {
		a := New(edgy.Draw(t, "minor"), anyCurrency.Draw(t, "from"))
		target := anyCurrency.Draw(t, "to")
		num, den := positive.Draw(t, "num"), positive.Draw(t, "den")
		rounding := rapid.SampledFrom(allRoundings).Draw(t, "rounding")
		rate, err := NewRate(num, den)
		if err != nil {
			t.Fatal(err)
		}
		exact := big.NewRat(num, den)
		exact.Mul(exact, new(big.Rat).SetInt64(a.Minor))
		exact.Mul(exact, new(big.Rat).SetUint64(powersOfTen[target.Digits()]))
		exact.Quo(exact, new(big.Rat).SetUint64(powersOfTen[a.Currency.Digits()]))
		got, err := rate.Convert(a, target, rounding)
		checkExact(t, got, err, exactRound(exact, rounding))
		if err == nil && got.Currency != target {
			t.Errorf("converted to %s, want %s", got.Currency, target)
		}
	})
}

// A rate whose product with the minor units takes more than 64 bits is exact all the same.
func TestConvertBeyond64Bits(t *testing.T) {
	const half = 1 << 62
	for _, row := range []struct {
		num, den int64
		from, to Amount // to: rounded down
	}{
		{half + 1, half - 1, New(3, JPY), New(300_000_000, BTC)},
		{half + 1, half - 1, New(300_000_000, BTC), New(3, JPY)},
		{half - 1, half + 1, New(3, JPY), New(299_999_999, BTC)},
		{half - 1, half + 1, New(300_000_000, BTC), New(2, JPY)},
	} {
		rate, err := NewRate(row.num, row.den)
		if err != nil {
			t.Fatal(err)
		}
		down, err := rate.Convert(row.from, row.to.Currency, Floor)
		up, upErr := rate.Convert(row.from, row.to.Currency, Ceil)
		if err != nil || upErr != nil || down != row.to || up.Minor != row.to.Minor+1 {
			t.Errorf("%v at %v is %v or %v, %v %v; want %v", row.from, rate, down, up, err, upErr, row.to)
		}
	}
}

// Both ways of computing a product agree where both apply.
func TestScaleBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := New(edgy.Draw(t, "minor"), USD)
		num, den := rapid.Uint64().Draw(t, "num"), rapid.Uint64Min(1).Draw(t, "den")
		rounding := rapid.SampledFrom(allRoundings).Draw(t, "rounding")
		small, smallErr := a.scale(num, den, rounding)
		large, largeErr := a.scaleBig(product(num, 1), product(den, 1), rounding)
		if small != large || !errors.Is(smallErr, largeErr) {
			t.Errorf("%+v, %v; with big integers %+v, %v", small, smallErr, large, largeErr)
		}
	})
}

// A share is the exact product rounded once.
func TestShareIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := New(edgy.Draw(t, "minor"), USD)
		bps := rapid.Int64Range(0, 1e6).Draw(t, "bps")
		rounding := rapid.SampledFrom(allRoundings).Draw(t, "rounding")
		exact := big.NewRat(bps, 10_000)
		exact.Mul(exact, new(big.Rat).SetInt64(a.Minor))
		got, err := a.BasisPoints(bps, rounding)
		checkExact(t, got, err, exactRound(exact, rounding))
	})
}

// Fees as they appear on a price list.
func TestFees(t *testing.T) {
	for _, row := range []struct {
		percent  string
		bps      int64
		amount   int64
		rounding Rounding
		fee      int64
	}{
		{"2.9", 290, 10000, Floor, 290},
		{"2.9", 290, 1050, Floor, 30},
		{"2.9", 290, 1050, Ceil, 31},
		{"2.9", 290, 1050, HalfUp, 30},
		{"0.5", 50, 100, HalfUp, 1},
		{"0.5", 50, 100, HalfEven, 0},
		{"0", 0, 999, Ceil, 0},
		{"100", 10000, 999, Ceil, 999},
		{"0.01", 1, 10000, Floor, 1},
	} {
		bps, err := ParsePercent(row.percent)
		if err != nil || bps != row.bps {
			t.Errorf("ParsePercent(%q) = %d, %v", row.percent, bps, err)
		}
		fee, err := New(row.amount, USD).BasisPoints(bps, row.rounding)
		if err != nil || fee != New(row.fee, USD) {
			t.Errorf("%s %% of %d %v = %+v, %v; want %d", row.percent, row.amount, row.rounding, fee, err, row.fee)
		}
	}
	for text, want := range map[string]error{
		"": ErrSyntax, "2.9%": ErrSyntax, "-1": ErrSyntax, "0.005": ErrPercent, "92233720368547758.08": ErrRange,
	} {
		if _, err := ParsePercent(text); !errors.Is(err, want) {
			t.Errorf("ParsePercent(%q): %v, want %v", text, err, want)
		}
	}
	for _, ratio := range [][2]int64{{-1, 1}, {-1, 2}, {1, 0}, {1, -1}} {
		if _, err := New(1, USD).Share(ratio[0], ratio[1], Floor); !errors.Is(err, ErrRange) {
			t.Errorf("share %v: %v", ratio, err)
		}
	}
	// Half a unit less than 2^64: rounding up must not begin again at zero.
	almost, num := New(145_295_143_558_111, USD), int64(253_921)
	_, small := almost.Share(num, 2, Ceil)
	_, large := almost.scaleBig(big.NewInt(num), big.NewInt(2), Ceil)
	if !errors.Is(small, ErrRange) || !errors.Is(large, ErrRange) {
		t.Errorf("a share that rounds up to 2^64: %v, %v", small, large)
	}
}

// Texts of rates and their lowest terms.
func TestParseRate(t *testing.T) {
	for text, want := range map[string]string{
		"1": "1/1", "1.0": "1/1", "1.95583": "195583/100000", "0.5": "1/2", "65850.00": "65850/1",
		"0.000000000000000001":              "1/1000000000000000000",
		"0.5000000000000000000000000000000": "1/2",
		"9223372036854775807":               "9223372036854775807/1",
	} {
		rate, err := ParseRate(text)
		if err != nil || rate.String() != want {
			t.Errorf("ParseRate(%q) = %v, %v; want %s", text, rate, err, want)
		}
		if again, err := NewRate(rate.Ratio()); err != nil || again != rate {
			t.Errorf("%v stored and read is %v, %v", rate, again, err)
		}
	}
	for text, want := range map[string]error{
		"": ErrSyntax, ".": ErrSyntax, "1.": ErrSyntax, "-1": ErrSyntax, "1e5": ErrSyntax, "1/2": ErrSyntax,
		"0": ErrRange, "0.00": ErrRange, "9223372036854775808": ErrRange, "10.000000000000000001": ErrRange,
		"0.0000000000000000001": ErrPrecision,
	} {
		if rate, err := ParseRate(text); !errors.Is(err, want) || !rate.IsZero() {
			t.Errorf("ParseRate(%q) = %v, %v; want %v", text, rate, err, want)
		}
	}
}

// Nothing that is not a positive ratio becomes a rate or converts.
func TestBadRates(t *testing.T) {
	for _, ratio := range [][2]int64{{0, 1}, {1, 0}, {-1, 1}, {1, -1}, {-1, -1}} {
		if _, err := NewRate(ratio[0], ratio[1]); !errors.Is(err, ErrRange) {
			t.Errorf("NewRate(%v): %v", ratio, err)
		}
	}
	for _, price := range []Amount{New(0, USD), New(-1, USD)} {
		if _, err := PriceRate(price); !errors.Is(err, ErrRange) {
			t.Errorf("PriceRate(%v): %v", price, err)
		}
	}
	if _, err := PriceRate(New(1, NoCurrency)); !errors.Is(err, ErrCurrency) {
		t.Errorf("PriceRate without currency: %v", err)
	}
	for _, zero := range []Rate{{}, Rate{}.Inverse()} {
		if _, err := zero.Convert(New(1, USD), EUR, Floor); !errors.Is(err, ErrRange) {
			t.Errorf("convert by the zero rate: %v", err)
		}
	}
	one := Rate{1, 1}
	for _, pair := range [][2]Currency{{USD, NoCurrency}, {NoCurrency, USD}} {
		if _, err := one.Convert(New(1, pair[0]), pair[1], Floor); !errors.Is(err, ErrCurrency) {
			t.Errorf("convert %v: %v", pair, err)
		}
	}
}

// FuzzParseRate: a rate means exactly the number in its text.
func FuzzParseRate(f *testing.F) {
	for _, seed := range []string{"1.95583", "0", "1.", "0.000000000000000001", "1/2", "10.000000000000000001"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := ParseRate(text)
		if err != nil {
			if !rate.IsZero() {
				t.Errorf("%q: %v beside %v", text, rate, err)
			}
			return
		}
		want, ok := new(big.Rat).SetString(text)
		if num, den := rate.Ratio(); !ok || !plainDecimal.MatchString(text) || big.NewRat(num, den).Cmp(want) != 0 {
			t.Errorf("%q became %v, want %v", text, rate, want)
		}
	})
}

// FuzzParsePercent: a percentage is exactly its basis points.
func FuzzParsePercent(f *testing.F) {
	for _, seed := range []string{"2.9", "0.005", "100", "-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParsePercent(text)
		want, wantErr := parseByRat(text, 2)
		if errors.Is(wantErr, ErrPrecision) {
			wantErr = ErrPercent
		}
		if got != want || !errors.Is(err, wantErr) {
			t.Errorf("ParsePercent(%q) = %d, %v; want %d, %v", text, got, err, want, wantErr)
		}
	})
}

func BenchmarkConvert(b *testing.B) {
	rate, err := PriceRate(New(6585000, USD))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rate.Convert(New(5500, USD), BTC, Floor); err != nil {
			b.Fatal(err)
		}
	}
}
