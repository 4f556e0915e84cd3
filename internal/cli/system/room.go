// Package system has the commands that run an installation and keep it: serve, migrate,
// verify, backup and restore, the keys of its secrets, its configuration, dead letters, bench.
package system

import (
	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
)

// program is the shell with the commands of this room.
type program struct{ *shell.Shell }

// Commands returns the room's commands.
func Commands(s *shell.Shell) []*cobra.Command {
	p := &program{s}
	return []*cobra.Command{p.serve(), p.migrate(), p.verify(), p.bench(), p.backup(), p.restore(), p.vault(), p.config(), p.job(), p.version()}
}
