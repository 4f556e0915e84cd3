package server_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/webhook"
)

// The document of events lists those that there are, and no other.
func TestEventsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Types\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\|").FindAllStringSubmatch(section, -1) {
		listed = append(listed, m[1])
	}
	types := append(server.EventTypes(), webhook.TypeTest)
	for _, name := range types {
		if !slices.Contains(listed, name) {
			t.Errorf("%s is not documented", name)
		}
	}
	for _, name := range listed {
		if !slices.Contains(types, name) {
			t.Errorf("%s is documented and does not exist", name)
		}
	}
}
