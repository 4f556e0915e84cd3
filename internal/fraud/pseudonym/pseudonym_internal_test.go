package pseudonym

import (
	"testing"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Who counts up meets the neighbours: of a number with a check digit those that have one.
func TestNeighbours(t *testing.T) {
	for _, c := range []struct{ number, before, after, block, hundred, span string }{
		{"6006491300000011", "6006491300000010", "6006491300000012", "60064913000000", "6006491300000", "600649130000"},
		{"4111111111111111", "4111111111111103", "4111111111111129", "41111111111111", "4111111111111", "411111111110"},
		{"GC0000000000000009", "GC0000000000000008", "GC0000000000000010", "GC00000000000000", "GC0000000000000", "GC000000000000"},
		{"99999998", "99999997", "99999999", "999999", "99999", "9995"},
		{"ABCDEFGH", "ABCDEFGH", "ABCDEFGH", "ABCDEF", "ABCDE", "ABC5"},
		{"AB1", "AB0", "AB2", "A", "", ""},
	} {
		before, after := nextTo(c.number)
		if got := aroundOf(c.number); got != (around{c.block, c.hundred, c.span}) || before != c.before || after != c.after {
			t.Errorf("%s: %+v between %s and %s", c.number, got, before, after)
		}
	}
	for _, digits := range []string{"0000", "9999", "0999", "1000"} {
		if got := step(step(digits, true), false); got != digits {
			t.Errorf("%s up and down: %s", digits, got)
		}
	}
	if before, after := nextTo("4111111111111111"); !pan.Luhn(before) || !pan.Luhn(after) {
		t.Errorf("%s or %s has no check digit", before, after)
	}
}
