package issuing

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A verification value takes the decimal digits first, from the left, then the others
// less ten.
func TestDecimalize(t *testing.T) {
	for hash, want := range map[string]string{
		"123456": "123", "a1b2c3": "123", "abc12f": "120", "abcdef": "012", "a0": "0", "fedcba9": "954",
	} {
		if got := decimalize(hash, min(3, len(want))); got != want {
			t.Errorf("%s gives %s, want %s", hash, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "hash")
		got := decimalize(hash, cvcDigits)
		decimal := strings.Trim(hash, "abcdef")
		if len(got) != cvcDigits || strings.Trim(got, "0123456789") != "" {
			t.Fatalf("%q of %s", got, hash)
		}
		if decimal != "" && got[0] != decimal[0] && strings.IndexAny(hash, "0123456789") >= 0 {
			t.Fatalf("%q of %s does not begin with its first decimal digit", got, hash)
		}
	})
}
