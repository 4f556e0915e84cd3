package money

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// The table is in code order without gaps or doubles, so that Parse can halve
// it, and every row is well formed.
func TestCurrencyTable(t *testing.T) {
	if len(currencies) > 256 {
		t.Fatalf("%d rows do not fit in a Currency", len(currencies))
	}
	numbers := map[string]Currency{}
	for _, c := range List() {
		if previous := c - 1; c.String() <= previous.String() {
			t.Errorf("%q follows %q", c, previous)
		}
		if c.Name() == "" || strings.TrimSpace(c.Name()) != c.Name() {
			t.Errorf("%s: name %q", c, c.Name())
		}
		if c.Digits() >= len(powersOfTen) {
			t.Errorf("%s: %d digits", c, c.Digits())
		}
		for _, letter := range c.String() {
			if letter < 'A' || letter > 'Z' || len(c.String()) != 3 {
				t.Errorf("malformed code %q", c)
			}
		}
		if parsed, err := Parse(c.String()); err != nil || parsed != c {
			t.Errorf("Parse(%q) = %v, %v", c, parsed, err)
		}
		number := c.Numeric()
		if number == "" {
			if c != BTC {
				t.Errorf("%s has no number", c)
			}
			continue
		}
		if other, taken := numbers[number]; taken {
			t.Errorf("%s and %s share the number %s", c, other, number)
		}
		numbers[number] = c
		if found, err := ByNumeric(number); err != nil || found != c {
			t.Errorf("ByNumeric(%q) = %v, %v", number, found, err)
		}
	}
	if len(List()) != 166 {
		t.Errorf("the list has %d currencies; ISO 4217 to amendment 180 and BTC make 166", len(List()))
	}
}

// Every currency whose minor unit is not a hundredth is known as such.
func TestDigits(t *testing.T) {
	odd := map[int][]Currency{
		0: {BIF, CLP, DJF, GNF, ISK, JPY, KMF, KRW, PYG, RWF, UGX, UYI, VND, VUV, XAF, XOF, XPF},
		3: {BHD, IQD, JOD, KWD, LYD, OMR, TND},
		4: {CLF, UYW},
		8: {BTC},
	}
	for _, c := range List() {
		want := 2
		for digits, list := range odd {
			if slices.Contains(list, c) {
				want = digits
			}
		}
		if c.Digits() != want {
			t.Errorf("%s has %d digits, want %d", c, c.Digits(), want)
		}
	}
}

// Facts that a shifted table would get wrong.
func TestCurrencyFacts(t *testing.T) {
	for _, row := range []struct {
		currency   Currency
		code, name string
		numeric    string
	}{
		{AED, "AED", "UAE Dirham", "784"},
		{ALL, "ALL", "Lek", "008"},
		{AUD, "AUD", "Australian Dollar", "036"},
		{BTC, "BTC", "Bitcoin", ""},
		{EUR, "EUR", "Euro", "978"},
		{GBP, "GBP", "Pound Sterling", "826"},
		{USD, "USD", "US Dollar", "840"},
		{XCG, "XCG", "Caribbean Guilder", "532"},
		{ZWG, "ZWG", "Zimbabwe Gold", "924"},
		{NoCurrency, "", "", ""},
		{Currency(len(currencies)), "", "", ""},
		{Currency(255), "", "", ""},
	} {
		got := []string{row.currency.String(), row.currency.Name(), row.currency.Numeric()}
		if want := []string{row.code, row.name, row.numeric}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Codes without a minor unit, withdrawn codes and malformed ones are refused.
func TestUnknownCurrencies(t *testing.T) {
	for _, code := range []string{
		"", "U", "US", "usd", "USDT", "USD ", " USD", "XAU", "XAG", "XXX", "XTS", "XDR", "XSU",
		"XUA", "XBA", "XPT", "XPD", "BGN", "HRK", "ANG", "ZWL", "SLL", "CUC", "AAA", "ZZZ", "\xff\xff\xff",
	} {
		if got, err := Parse(code); !errors.Is(err, ErrCurrency) || got != NoCurrency {
			t.Errorf("Parse(%q) = %v, %v", code, got, err)
		}
	}
	for _, number := range []string{"", "0", "000", "999", "959", "84", "0840", "84x", "83:", "-84", "８4"} {
		if got, err := ByNumeric(number); !errors.Is(err, ErrCurrency) || got != NoCurrency {
			t.Errorf("ByNumeric(%q) = %v, %v", number, got, err)
		}
	}
}

// A currency leaves the process as its code, never as its number, and comes
// back the same; an absent one does not leave at all.
func TestCurrencyEncodings(t *testing.T) {
	text, err := json.Marshal(map[Currency]Currency{USD: BTC})
	if err != nil || string(text) != `{"USD":"BTC"}` {
		t.Errorf("json: %s, %v", text, err)
	}
	var decoded map[Currency]Currency
	if err := json.Unmarshal(text, &decoded); err != nil || decoded[USD] != BTC {
		t.Errorf("json back: %v, %v", decoded, err)
	}
	if _, err := json.Marshal(NoCurrency); !errors.Is(err, ErrCurrency) {
		t.Errorf("marshal nothing: %v", err)
	}
	if value, err := EUR.Value(); err != nil || value != "EUR" {
		t.Errorf("value: %v, %v", value, err)
	}
	if _, err := NoCurrency.Value(); !errors.Is(err, ErrCurrency) {
		t.Errorf("store nothing: %v", err)
	}
	for _, column := range []any{"EUR", []byte("EUR")} {
		var c Currency
		if err := c.Scan(column); err != nil || c != EUR {
			t.Errorf("scan %T: %v, %v", column, c, err)
		}
	}
	for _, column := range []any{nil, int64(1), "eur", []byte{}} {
		c := USD
		if err := c.Scan(column); !errors.Is(err, ErrCurrency) || c != USD {
			t.Errorf("scan %T: %v, %v", column, c, err)
		}
	}
}

// FuzzParse: a code is either refused or exactly the code of what it became.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"USD", "BTC", "xau", "", "840", "000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := Parse(text); (err == nil) != c.IsValid() || err == nil && c.String() != text {
			t.Errorf("Parse(%q) = %v, %v", text, c, err)
		}
		if c, err := ByNumeric(text); (err == nil) != c.IsValid() || err == nil && c.Numeric() != text {
			t.Errorf("ByNumeric(%q) = %v, %v", text, c, err)
		}
	})
}
