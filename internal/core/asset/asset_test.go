package asset_test

import (
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/money"
)

// Every asset has a name that reads back, a symbol, a chain that lists it, and decimals.
func TestAssets(t *testing.T) {
	for _, a := range asset.All() {
		got, err := asset.Parse(string(a))
		if err != nil || got != a || a.Symbol() == "" || a.Digits() < 6 || !slices.Contains(a.Chain().On(), a) {
			t.Errorf("%s: read as %q, %v; symbol %q, %d digits, chain %q", a, got, err, a.Symbol(), a.Digits(), a.Chain())
		}
		if chain, err := asset.ParseChain(string(a.Chain())); err != nil || chain != a.Chain() {
			t.Errorf("chain %q: %q, %v", a.Chain(), chain, err)
		}
	}
	for _, text := range []string{"", "btc", "USDT", "DOGE"} {
		if a, err := asset.Parse(text); err == nil {
			t.Errorf("%q was read as %q", text, a)
		}
		if c, err := asset.ParseChain(text); err == nil {
			t.Errorf("%q was read as the chain %q", text, c)
		}
	}
	if _, err := asset.ParseChain("doge"); err == nil || err.Error() != `chain "doge": want one of bitcoin, ethereum, solana, monero` {
		t.Error(err)
	}
	var listed []asset.Asset
	for _, c := range asset.Chains() {
		listed = append(listed, c.On()...)
	}
	if len(listed) != len(asset.All()) {
		t.Errorf("the chains have %v: want each asset on one", listed)
	}
	if asset.USDTERC20.Symbol() != asset.USDTSOL.Symbol() || asset.USDTERC20.Chain() == asset.USDTSOL.Chain() {
		t.Error("USDT is not one symbol on two chains")
	}
}

// Text becomes exactly the units that it says, and comes back in its shortest form.
func TestText(t *testing.T) {
	for _, c := range []struct {
		text  string
		asset asset.Asset
		units string
		short string
	}{
		{"0.00083523", asset.BTC, "83523", "0.00083523"},
		{"0.0075", asset.BTC, "750000", "0.0075"},
		{"21000000", asset.BTC, "2100000000000000", "21000000"},
		{"0", asset.BTC, "0", "0"},
		{"00.10", asset.BTC, "10000000", "0.1"},
		{strings.Repeat("0", asset.MaxText), asset.BTC, "0", "0"},
		{"0.000000000000000001", asset.ETH, "1", "0.000000000000000001"},
		{"120000000.5", asset.ETH, "120000000500000000000000000", "120000000.5"},
		{"5.00", asset.USDTERC20, "5000000", "5"},
		{"0.100000000000", asset.SOL, "100000000", "0.1"},
		{"340282366920938463463374607431768.211455", asset.USDTSOL, "340282366920938463463374607431768211455", "340282366920938463463374607431768.211455"},
	} {
		got, err := asset.ParseAmount(c.text, c.asset)
		if err != nil || got.Units() != c.units || got.String() != c.short {
			t.Errorf("%s %s: %s units, %q, %v; want %s, %q", c.text, c.asset, got.Units(), got, err, c.units, c.short)
		}
	}
}

// What is no exact amount is refused, and says why.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		text  string
		asset asset.Asset
		want  error
	}{
		{"", asset.BTC, money.ErrSyntax}, {".5", asset.BTC, money.ErrSyntax}, {"5.", asset.BTC, money.ErrSyntax},
		{"-1", asset.BTC, money.ErrSyntax}, {"1e3", asset.BTC, money.ErrSyntax}, {"1 ", asset.BTC, money.ErrSyntax},
		{"1.2.3", asset.BTC, money.ErrSyntax}, {"1,5", asset.BTC, money.ErrSyntax}, {strings.Repeat("0", asset.MaxText+1), asset.BTC, money.ErrSyntax},
		{"0.000000001", asset.BTC, money.ErrPrecision}, {"0.0000001", asset.USDTSOL, money.ErrPrecision},
		{"340282366920938463463374607431768.211456", asset.USDTSOL, money.ErrRange},
		{"9999999999999999999999999999999999999999", asset.BTC, money.ErrRange},
		{"1", "DOGE", money.ErrCurrency}, {"0.5", "DOGE", money.ErrCurrency},
	} {
		if got, err := asset.ParseAmount(c.text, c.asset); !errors.Is(err, c.want) || got != (asset.Amount{}) {
			t.Errorf("%q %s: %v, %v; want %v", c.text, c.asset, got, err, c.want)
		}
	}
	for text, want := range map[string]error{"": money.ErrSyntax, "-1": money.ErrSyntax, "1.0": money.ErrSyntax,
		strings.Repeat("0", 40): money.ErrRange, "340282366920938463463374607431768211456": money.ErrRange} {
		if got, err := asset.ParseUnits(text, asset.ETH); !errors.Is(err, want) {
			t.Errorf("units %q: %v, %v; want %v", text, got, err, want)
		}
	}
	if _, err := asset.FromBig(big.NewInt(-1), asset.BTC); !errors.Is(err, money.ErrRange) {
		t.Errorf("minus one unit: %v", err)
	}
}

// Units, text and number of any amount say the same, and order as numbers do.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (asset.Amount, *big.Int) {
			units := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(t, name))
			amount, err := asset.FromBig(units, asset.ETH)
			if err != nil {
				t.Fatal(err)
			}
			return amount, units
		}
		a, x := draw("a")
		b, y := draw("b")
		back, err := asset.ParseAmount(a.String(), asset.ETH)
		if err != nil || back != a {
			t.Errorf("%s came back as %s, %v", a, back, err)
		}
		back, err = asset.ParseUnits(a.Units(), asset.ETH)
		if err != nil || back != a || a.Big().Cmp(x) != 0 || a.IsZero() != (x.Sign() == 0) {
			t.Errorf("%s units came back as %s, %v", a.Units(), back.Units(), err)
		}
		if a.Less(b) != (x.Cmp(y) < 0) || (a == b) != (x.Cmp(y) == 0) {
			t.Errorf("%s and %s order wrongly", a, b)
		}
	})
	if asset.New(1, asset.BTC).Less(asset.New(2, asset.SOL)) {
		t.Error("amounts of two assets have an order")
	}
}

// No text makes the parser panic, and what it takes reads back the same.
func FuzzParseAmount(f *testing.F) {
	for _, seed := range []string{"0.0075", "1", "", ".", "00", "340282366920938463463374607431768211455"} {
		f.Add(seed, byte(1))
	}
	f.Fuzz(func(t *testing.T, text string, pick byte) {
		a := asset.All()[int(pick)%len(asset.All())]
		got, err := asset.ParseAmount(text, a)
		if err != nil {
			return
		}
		if back, err := asset.ParseAmount(got.String(), a); err != nil || back != got {
			t.Errorf("%q became %s and came back as %s, %v", text, got, back, err)
		}
	})
}
