// Package wallet has the commands about wallets' crypto deposits: addresses, deposits,
// the chains that are watched, and rates.
package wallet

import (
	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/platform/config"
)

// program is the shell with the commands of this room.
type program struct{ *shell.Shell }

// Commands returns the room's commands.
func Commands(s *shell.Shell) []*cobra.Command {
	p := &program{s}
	return []*cobra.Command{p.wallet(), p.deposit(), p.rail(), p.rate()}
}

// depositsFlag offers the setting that a command needs beside the shared ones.
func depositsFlag(cmd *cobra.Command) {
	for _, s := range config.Default().Describe(nil) {
		if s.Name == "deposits" {
			cmd.Flags().String("deposits", s.Default, s.About)
		}
	}
}
