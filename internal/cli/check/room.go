// Package check has the commands about balance checks: making them on a running
// server, reading and labelling those that were made, the networks that are asked, the
// public pages on which cardholders ask, and what keeps thieves out. Card numbers and PINs
// are never shown.
package check

import (
	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
)

// program is the shell with the commands of this room.
type program struct{ *shell.Shell }

// Commands returns the room's commands.
func Commands(s *shell.Shell) []*cobra.Command {
	p := &program{s}
	return []*cobra.Command{p.ping(), p.check(), p.network(), p.portal(), p.honey(), p.suspension()}
}
