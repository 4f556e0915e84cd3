package pan

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Numbers that are known to be valid or not.
func TestLuhn(t *testing.T) {
	for digits, want := range map[string]bool{
		"4111111111111111": true, "5555555555554444": true, "378282246310005": true, "6011111111111117": true,
		"30569309025904": true, "3530111333300000": true, "79927398713": true, "0": true, "00": true, "18": true,
		"4111111111111112": false, "6006491300000011": false, "79927398710": false, "1": false,
		"": false, " ": false, "4111 1111 1111 1111": false, "GC18": false, "１８": false,
	} {
		if got := Luhn(digits); got != want {
			t.Errorf("Luhn(%q) = %v", digits, got)
		}
	}
	for _, row := range []struct {
		payload string
		want    byte
		err     error
	}{
		{"7992739871", '3', nil}, {"411111111111111", '1', nil}, {"0", '0', nil}, {"1", '8', nil},
		{"", 0, ErrLength}, {"12a", 0, ErrCharacter}, {"-1", 0, ErrCharacter},
	} {
		if got, err := CheckDigit(row.payload); got != row.want || !errors.Is(err, row.err) {
			t.Errorf("CheckDigit(%q) = %q, %v; want %q, %v", row.payload, got, err, row.want, row.err)
		}
	}
}

// The formula finds every wrong digit, and every exchange of two neighbours but
// 09 and 90.
func TestLuhnFindsErrors(t *testing.T) {
	payloads := rapid.StringMatching(`[0-9]{1,30}`)
	rapid.Check(t, func(t *rapid.T) {
		payload := payloads.Draw(t, "payload")
		check, err := CheckDigit(payload)
		if err != nil {
			t.Fatal(err)
		}
		digits := payload + string(check)
		if !Luhn(digits) {
			t.Fatalf("%s is not valid", digits)
		}
		i := rapid.IntRange(0, len(digits)-1).Draw(t, "position")
		wrong := []byte(digits)
		wrong[i] = '0' + (wrong[i]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "change")))%10
		if Luhn(string(wrong)) {
			t.Errorf("%s is valid beside %s", wrong, digits)
		}
		if i+1 == len(digits) {
			return
		}
		swapped := []byte(digits)
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		pair := digits[i : i+2]
		if silent := pair[0] == pair[1] || pair == "09" || pair == "90"; Luhn(string(swapped)) != silent {
			t.Errorf("%s beside %s", swapped, digits)
		}
	})
}

// FuzzLuhn: among the ten digits that can follow a text of digits exactly one
// is right, and it is the check digit; other texts have none.
func FuzzLuhn(f *testing.F) {
	for _, seed := range []string{"7992739871", "", "12a", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		check, err := CheckDigit(payload)
		if (err == nil) != (payload != "" && strings.Trim(payload, "0123456789") == "") {
			t.Fatalf("CheckDigit(%q): %v", payload, err)
		}
		if payload == "" {
			return
		}
		for digit := byte('0'); digit <= '9'; digit++ {
			if want := err == nil && digit == check; Luhn(payload+string(digit)) != want {
				t.Errorf("%q followed by %q: valid is %v", payload, digit, !want)
			}
		}
	})
}

func seeded(t *rapid.T) io.Reader {
	var seed [32]byte
	copy(seed[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
	return rand.NewChaCha8(seed)
}

// Generated numbers have their length and prefix, pass Luhn, read back, and
// come from the given randomness alone.
func TestGenerate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(MinLength, MaxDigits).Draw(t, "length")
		bin := rapid.StringMatching(`[0-9]{0,14}`).Draw(t, "bin")
		bin = bin[:min(len(bin), length-5)]
		number, err := Generate(seeded(t), bin, length)
		if err != nil {
			t.Fatal(err)
		}
		text := number.Reveal()
		if len(text) != length || !strings.HasPrefix(text, bin) || !Luhn(text) {
			t.Errorf("%q of %d digits after %q", text, length, bin)
		}
		if back, err := Parse(text); err != nil || !back.Equal(number) {
			t.Errorf("%q does not read back: %v", text, err)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.IntRange(MinLength, MaxDigits).Draw(t, "digits")
		letters := rapid.StringMatching(`[A-Z]{0,13}`).Draw(t, "letters")
		number, err := GenerateAlnum(seeded(t), letters, digits)
		if err != nil {
			t.Fatal(err)
		}
		text := number.Reveal()
		if tail, ok := strings.CutPrefix(text, letters); !ok || len(tail) != digits || !Luhn(tail) {
			t.Errorf("%q of %d digits after %q", text, digits, letters)
		}
		if back, err := ParseAlnum(text); err != nil || !back.Equal(number) {
			t.Errorf("%q does not read back: %v", text, err)
		}
	})
	same := bytes.Repeat([]byte{7, 250, 18, 255, 29}, 10)
	got, err := Generate(bytes.NewReader(same), "411111", 16)
	if err != nil || got.Reveal()[:15] != "411111789789789" {
		t.Errorf("from known bytes %q, %v", got.Reveal(), err)
	}
}

// What cannot be generated.
func TestGenerateErrors(t *testing.T) {
	random := func() io.Reader { return rand.NewChaCha8([32]byte{}) }
	for _, row := range []struct {
		bin    string
		length int
		want   error
	}{
		{"411111", 7, ErrLength}, {"411111", 20, ErrLength}, {"411111", -1, ErrLength},
		{"411111111111", 16, ErrPrefix}, {"41111x", 16, ErrPrefix}, {"GC", 16, ErrPrefix},
	} {
		if number, err := Generate(random(), row.bin, row.length); !errors.Is(err, row.want) || !number.IsZero() {
			t.Errorf("Generate(%q, %d): %v, want %v", row.bin, row.length, err, row.want)
		}
	}
	for _, row := range []struct {
		letters string
		digits  int
		want    error
	}{
		{"GC", 7, ErrLength}, {"GC", 20, ErrLength}, {strings.Repeat("G", 17), 16, ErrLength},
		{"gc", 16, ErrPrefix}, {"G1", 16, ErrPrefix}, {"G ", 16, ErrPrefix},
	} {
		if number, err := GenerateAlnum(random(), row.letters, row.digits); !errors.Is(err, row.want) || !number.IsZero() {
			t.Errorf("GenerateAlnum(%q, %d): %v, want %v", row.letters, row.digits, err, row.want)
		}
	}
	if _, err := Generate(strings.NewReader("short"), "4", 16); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a source that ends: %v", err)
	}
	if _, err := Generate(bytes.NewReader(bytes.Repeat([]byte{255}, 4096)), "4", 16); !errors.Is(err, ErrRandom) {
		t.Errorf("a stuck source: %v", err)
	}
}

// counter yields 0 to 255 over and over.
type counter struct{ next byte }

func (c *counter) Read(buffer []byte) (int, error) {
	for i := range buffer {
		buffer[i] = c.next
		c.next++
	}
	return len(buffer), nil
}

// From a source in which every byte is equally frequent every digit is too,
// exactly.
func TestRandomDigitsAreUnbiased(t *testing.T) {
	source := &counter{}
	var seen [10]int
	const rounds = 250 // as many bytes of 256 make a digit
	for range rounds {
		digits, err := appendRandom(source, nil, MaxDigits)
		if err != nil {
			t.Fatal(err)
		}
		if len(digits) != MaxDigits {
			t.Fatalf("%d digits", len(digits))
		}
		for _, digit := range digits {
			seen[digit-'0']++
		}
	}
	for digit, count := range seen {
		if count != rounds*MaxDigits/10 {
			t.Errorf("%d came %d times of %d", digit, count, rounds*MaxDigits)
		}
	}
}
