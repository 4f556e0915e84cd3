package cli

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command that does something teaches by example, and its examples call it with
// flags that it has.
func TestExamples(t *testing.T) {
	flag := regexp.MustCompile(`(?:^| )--([a-z0-9-]+)`)
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			visit(below)
		}
		if cmd.HasSubCommands() {
			return
		}
		if !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: no example of it", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			_, call, found := strings.Cut(line, cmd.CommandPath())
			if !found {
				continue // another command that goes with it
			}
			for _, m := range flag.FindAllStringSubmatch(call, -1) {
				if cmd.Flags().Lookup(m[1]) == nil && cmd.InheritedFlags().Lookup(m[1]) == nil {
					t.Errorf("%s: its example has --%s", cmd.CommandPath(), m[1])
				}
			}
		}
	}
	visit(New())
}
