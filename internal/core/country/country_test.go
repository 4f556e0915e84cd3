package country

import (
	"slices"
	"strings"
	"testing"
)

// The list has the 249 assigned codes, sorted, each once.
func TestList(t *testing.T) {
	all := strings.Fields(codes)
	if len(all) != 249 || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != 249 {
		t.Errorf("%d codes: %v", len(all), all)
	}
}

// Of all texts of two letters, those of the list are codes; nothing else is one.
func TestIsValid(t *testing.T) {
	all, valid := strings.Fields(codes), 0
	for a := byte(0); a < 128; a++ {
		for b := byte(0); b < 128; b++ {
			code := string([]byte{a, b})
			if IsValid(code) != slices.Contains(all, code) {
				t.Errorf("%q is valid: %t", code, IsValid(code))
			}
			if IsValid(code) {
				valid++
			}
		}
	}
	if valid != len(all) {
		t.Errorf("%d valid codes", valid)
	}
	for _, code := range []string{"", "U", "USA", "us", "D A", "XX", "EU", "UK"} {
		if IsValid(code) {
			t.Errorf("%q is valid", code)
		}
	}
}
