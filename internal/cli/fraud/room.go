// Package fraud has the commands about the fraud engine.
package fraud

import (
	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
)

// program is the shell with the commands of this room.
type program struct{ *shell.Shell }

// Commands returns the room's commands.
func Commands(s *shell.Shell) []*cobra.Command {
	p := &program{s}
	cmd := &cobra.Command{Use: "fraud", Short: "Measure the fraud engine"}
	cmd.AddCommand(p.eval())
	return []*cobra.Command{cmd}
}
