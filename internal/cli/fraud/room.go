// Package fraud has the commands about the fraud engine: measuring it, training models and
// putting them in use, and rules of the operator's own.
package fraud

import (
	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
)

// program is the shell with the commands of this room.
type program struct{ *shell.Shell }

// share is one, or another number from 0 to 1, as it is shown.
func share(x float64) shell.Cell { return shell.Decimal(x, 4) }

// Commands returns the room's commands.
func Commands(s *shell.Shell) []*cobra.Command {
	p := &program{s}
	cmd := &cobra.Command{Use: "fraud", Short: "The fraud engine: measure it, train and replace models, write rules"}
	cmd.AddCommand(p.eval(), p.train(), p.replay(), p.backtest(), p.model(), p.rule())
	return []*cobra.Command{cmd}
}
