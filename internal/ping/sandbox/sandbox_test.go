package sandbox_test

import (
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ping/sandbox"
)

// Every magic number of every network fits its network, is a magic one, and is unlike all
// others; every currency is one.
func TestTables(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range sandbox.Networks() {
		for _, c := range sandbox.Cards() {
			number := n.Number(c)
			if len(number) != n.Length || !strings.HasPrefix(number, n.Prefix) || seen[number] {
				t.Errorf("%s %s: %q", n.ID, c.Ending, number)
			}
			seen[number] = true
			if _, err := pan.ParseAlnum(number); err != nil {
				t.Errorf("%s: %v", number, err)
			}
			if a, magic := n.Ask(number, sandbox.PIN); !magic || a.PINWrong != c.PINWrong || a.Status != c.Status {
				t.Errorf("%s: %+v, %t", number, a, magic)
			}
		}
		for _, code := range n.Currencies {
			if _, err := money.Parse(code); err != nil {
				t.Errorf("%s: %v", n.ID, err)
			}
		}
	}
}

// The numbers that are listed cannot be changed by who lists them.
func TestListsAreCopies(t *testing.T) {
	sandbox.Networks()[0].ID = "x"
	sandbox.Cards()[0].Ending = "x"
	if sandbox.Networks()[0].ID != "visa_gift" || sandbox.Cards()[0].Ending != "0011" {
		t.Error("a list is not a copy")
	}
}

// A number without a documented outcome follows the rule.
func TestRule(t *testing.T) {
	n := sandbox.Networks()[0]
	for _, c := range []struct {
		number, pin, status string
		minor               int64
	}{
		{"4111111111114750", "", "active", 4750},
		{"4111111111114750", "9999", "active", 4750},
		{"4111111111114750", sandbox.WrongPIN, "invalid", 0},
		{"4111111111110000", "", "active", 0},
		{"4111111111111199", "", "invalid", 0},
		{"NGABCDEFGHIJKLMN", "", "invalid", 0},
	} {
		a, magic := n.Ask(c.number, c.pin)
		if a.Status != c.status || a.Minor != c.minor || magic {
			t.Errorf("%s with %q: %+v, %t", c.number, c.pin, a, magic)
		}
	}
}
