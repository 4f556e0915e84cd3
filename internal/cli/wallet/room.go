// Package wallet has the commands about wallets' crypto deposits: addresses, deposits,
// the chains that are watched, and rates.
package wallet

import (
	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
)

// program is the shell with the commands of this room.
type program struct{ *shell.Shell }

// Commands returns the room's commands.
func Commands(s *shell.Shell) []*cobra.Command {
	p := &program{s}
	return []*cobra.Command{p.wallet(), p.deposit(), p.rail(), p.rate()}
}
