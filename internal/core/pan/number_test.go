package pan

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustParse(t *testing.T, text string) Number {
	t.Helper()
	number, err := ParseAlnum(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return number
}

// Which texts are numbers, and which characters remain. Numbers that fail Luhn
// are numbers.
func TestParse(t *testing.T) {
	for _, row := range []struct {
		text, want  string
		plain, alnu error
	}{
		{"4111111111111111", "4111111111111111", nil, nil},
		{"4111 1111 1111 1111", "4111111111111111", nil, nil},
		{"6006-4913-0000-0011", "6006491300000011", nil, nil},
		{" 4111--1111 11111112- ", "4111111111111112", nil, nil},
		{"12345678", "12345678", nil, nil},
		{"1234567890123456789", "1234567890123456789", nil, nil},
		{"12345678901234567890", "12345678901234567890", ErrLength, nil},
		{"1234567", "", ErrLength, ErrLength},
		{"", "", ErrLength, ErrLength},
		{"- - -", "", ErrLength, ErrLength},
		{"GC1234567890123456", "GC1234567890123456", ErrCharacter, nil},
		{"GC-1234-5678-9012-3456", "GC1234567890123456", ErrCharacter, nil},
		{"gc-1234567890123456", "GC1234567890123456", ErrCharacter, nil},
		{"ſK1234567890123456", "", ErrCharacter, ErrCharacter},
		{"4111111111111111\n", "", ErrCharacter, ErrCharacter},
		{"4111\t1111\t1111\t1111", "", ErrCharacter, ErrCharacter},
		{"４111111111111111", "", ErrCharacter, ErrCharacter},
		{"4111–1111–1111–1111", "", ErrCharacter, ErrCharacter},
		{"4111.1111", "", ErrCharacter, ErrCharacter},
		{strings.Repeat("A", MaxAlnum), strings.Repeat("A", MaxAlnum), ErrCharacter, nil},
		{strings.Repeat("A", MaxAlnum+1), "", ErrCharacter, ErrLength},
		{"4111111111111111" + strings.Repeat(" ", MaxText-16), "4111111111111111", nil, nil},
		{"4111111111111111" + strings.Repeat(" ", MaxText-15), "", ErrLength, ErrLength},
	} {
		for name, got := range map[string]struct {
			parse func(string) (Number, error)
			err   error
		}{"Parse": {Parse, row.plain}, "ParseAlnum": {ParseAlnum, row.alnu}} {
			want := row.want
			if got.err != nil {
				want = ""
			}
			number, err := got.parse(row.text)
			if !errors.Is(err, got.err) || number.Reveal() != want {
				t.Errorf("%s(%q) = %q, %v; want %q, %v", name, row.text, number.Reveal(), err, want, got.err)
			}
		}
	}
}

// What may be seen of numbers of each length.
func TestMaskAndParts(t *testing.T) {
	for _, row := range []struct{ text, mask, last4 string }{
		{"4111111111111111", "411111******1111", "1111"},
		{"378282246310005", "378282*****0005", "0005"},
		{"6304000000000000000", "630400*********0000", "0000"},
		{"30569309025904", "**************", "5904"},
		{"4222222222225", "*************", "2225"},
		{"123456789012", "************", "9012"},
		{"12345678", "********", "5678"},
		{"GC12345678901234", "GC1234******1234", "1234"},
	} {
		number := mustParse(t, row.text)
		if got, want := [2]string{number.Mask(), number.Last4()}, [2]string{row.mask, row.last4}; got != want {
			t.Errorf("%s shows %q, want %q", row.text, got, want)
		}
	}
}

// A mask has the number's length, shows at most its first six and last four
// characters, and hides five or all.
func TestMaskHidesEnough(t *testing.T) {
	texts := rapid.StringMatching(`[A-Z0-9]{8,32}`)
	rapid.Check(t, func(t *rapid.T) {
		text := texts.Draw(t, "text")
		number, err := ParseAlnum(text)
		if err != nil {
			t.Fatal(err)
		}
		mask := number.Mask()
		stars := strings.Count(mask, "*")
		if len(mask) != len(text) || stars < min(5, len(text)) || len(text)-stars > 10 {
			t.Fatalf("mask %q of %q", mask, text)
		}
		if stars != len(text) && (mask[:6] != text[:6] || mask[len(text)-4:] != text[len(text)-4:]) {
			t.Fatalf("mask %q of %q shows the wrong ends", mask, text)
		}
	})
}

// The zero number is nothing, and nothing of it panics.
func TestZeroNumber(t *testing.T) {
	var zero Number
	if !zero.IsZero() || zero.Reveal()+zero.String()+zero.Last4() != "" {
		t.Errorf("the zero number shows %q", zero.Reveal())
	}
	if text, err := json.Marshal(zero); err != nil || string(text) != `""` {
		t.Errorf("json %s, %v", text, err)
	}
}

// Equality is of the characters, not of the pointers.
func TestEqual(t *testing.T) {
	a, b, c := mustParse(t, "4111 1111 1111 1111"), mustParse(t, "4111-1111-1111-1111"), mustParse(t, "4111111111111112")
	if !a.Equal(b) || a.Equal(c) || a.Equal(Number{}) || !(Number{}).Equal(Number{}) {
		t.Error("numbers compare wrongly")
	}
	x, y, z := NewSecret("1234"), NewSecret("1234"), NewSecret("12345")
	if !x.Equal(y) || x.Equal(z) || x.Equal(Secret{}) || !NewSecret("").Equal(Secret{}) {
		t.Error("secrets compare wrongly")
	}
}

// A secret keeps its text, decodes from JSON, and has a limit.
func TestSecret(t *testing.T) {
	var body struct{ Pin, Code, Missing Secret }
	if err := json.Unmarshal([]byte(`{"Pin":"0012","Code":"A\u00e9 ","Other":1}`), &body); err != nil {
		t.Fatal(err)
	}
	if body.Pin.Reveal() != "0012" || body.Code.Reveal() != "Aé " || !body.Missing.IsZero() {
		t.Errorf("decoded %q, %q, %q", body.Pin.Reveal(), body.Code.Reveal(), body.Missing.Reveal())
	}
	if !NewSecret("").IsZero() || NewSecret("x").IsZero() || (Secret{}).Reveal() != "" {
		t.Error("the empty secret is not the zero value")
	}
	full := strings.Repeat("x", MaxSecret)
	var secret Secret
	if err := secret.UnmarshalText([]byte(full)); err != nil || secret.Reveal() != full {
		t.Errorf("%d bytes: %v", len(full), err)
	}
	if err := secret.UnmarshalText([]byte(full + "x")); !errors.Is(err, ErrSecretLength) || secret.Reveal() != full {
		t.Errorf("%d bytes: %v", len(full)+1, err)
	}
}

// Spaces and dashes of every kind become plain ones, marks that nobody sees go, and
// everything else stays to be judged.
func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "6006-4913 0000": "6006-4913 0000", "gc12": "gc12", "6006\t4913\n": "6006 4913 ",
		"6006\u20114913\u20130000\u22120011": "6006-4913-0000-0011", // non-breaking hyphen, en dash, minus
		"6006\u00a04913\u202f0000\u30000011": "6006 4913 0000 0011", // no-break spaces, ideographic
		"\ufeff6006\u200b4913\u200e":         "60064913",            // marks that nobody sees
		"\uff16006":                          "\uff16006",           // a digit of another width stays one
		"\u0000\xff":                         "\u0000\ufffd",
	} {
		if got := Plain(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// FuzzParse: what is read is the text without spaces and dashes, within the
// limits; the rest is refused.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"4111 1111 1111 1111", "6006-4913-0000-0011", "GC1234567890123456", "", "- -", "\xff"} {
		f.Add(seed)
	}
	strip := strings.NewReplacer(" ", "", "-", "")
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []struct {
			parse    func(string) (Number, error)
			alphabet string
			longest  int
		}{
			{Parse, "0123456789", MaxDigits},
			{ParseAlnum, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", MaxAlnum},
		} {
			number, err := kind.parse(text)
			bare := strip.Replace(text)
			valid := len(text) <= MaxText && len(bare) >= 8 && len(bare) <= kind.longest &&
				strings.Trim(bare, kind.alphabet) == ""
			if (err == nil) != valid || err != nil && !number.IsZero() || valid && number.Reveal() != bare {
				t.Errorf("%q became %q, %v", text, number.Reveal(), err)
			}
			if again, err := kind.parse(number.Reveal()); valid && (err != nil || !again.Equal(number)) {
				t.Errorf("%q read again is %q, %v", number.Reveal(), again.Reveal(), err)
			}
		}
	})
}

// FuzzSecret: a secret decodes to exactly its text and prints none of it.
func FuzzSecret(f *testing.F) {
	f.Add("1234")
	f.Add("")
	f.Add("[redacted]")
	f.Fuzz(func(t *testing.T, text string) {
		var secret Secret
		err := secret.UnmarshalText([]byte(text))
		if len(text) > MaxSecret != (err != nil) {
			t.Fatalf("%d bytes: %v", len(text), err)
		}
		if err == nil && (secret.Reveal() != text || secret.IsZero() != (text == "")) {
			t.Errorf("%q became %q", text, secret.Reveal())
		}
		if secret.String() != "[redacted]" {
			t.Errorf("%q prints as %q", text, secret)
		}
	})
}
