// Package account has the commands about who uses an installation: customers with
// their wallets, API keys, seeds, signing credentials and public keys, balance alerts, and
// operators.
package account

import (
	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
)

// program is the shell with the commands of this room.
type program struct{ *shell.Shell }

// Commands returns the room's commands.
func Commands(s *shell.Shell) []*cobra.Command {
	p := &program{s}
	return []*cobra.Command{p.customer(), p.key(), p.seed(), p.merchant(), p.signer(), p.alert(), p.operator()}
}
