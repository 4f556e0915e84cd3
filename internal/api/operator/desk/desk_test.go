package desk_test

import (
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/core/fault"
)

// What operators write is bounded in characters of any script, and is refused for what is
// wrong with it.
func TestWritten(t *testing.T) {
	for text, want := range map[string]string{
		"  lost ":                     "",
		strings.Repeat("\u7406", 500): "",
		strings.Repeat("\u7406", 501): "reason must have 1 to 500 characters of plain text",
		" \n":                         "reason must have 1 to 500 characters of plain text",
		strings.Repeat("\u7406", 200) + " 4111 1111 1111 1111": "reason looks like it holds a card number or another secret",
	} {
		got, err := desk.Written("reason", text)
		switch f := fault.From(err); {
		case want == "" && (err != nil || got != strings.TrimSpace(text)):
			t.Errorf("%.20q: %q, %v", text, got, err)
		case want != "" && (err == nil || f.Message != want || f.Field != "reason"):
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}
