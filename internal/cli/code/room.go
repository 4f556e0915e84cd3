// Package code has the commands about what resellers buy: the catalog with its prices, the
// stock of codes, orders, claims about dead codes, and the daily reports.
package code

import (
	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
)

// program is the shell with the commands of this room.
type program struct{ *shell.Shell }

// Commands returns the room's commands.
func Commands(s *shell.Shell) []*cobra.Command {
	p := &program{s}
	return []*cobra.Command{p.catalog(), p.stock(), p.order(), p.claim(), p.report()}
}
