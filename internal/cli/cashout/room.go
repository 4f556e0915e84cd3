// Package cashout has the commands about prepaid cards that become bitcoin: the queue of
// orders that wait for a reviewer, decisions, the switch that stops payouts, and what the
// nodes' own lists say.
package cashout

import (
	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
)

// program is the shell with the commands of this room.
type program struct{ *shell.Shell }

// Commands returns the room's commands.
func Commands(s *shell.Shell) []*cobra.Command {
	p := &program{s}
	cmd := &cobra.Command{Use: "cashout", Short: "Orders that turn prepaid cards into bitcoin: queue, show, claim, approve, reject, refuse, clear, pay; and payouts: payout, stop, resume, cancel, reconcile, adopt"}
	cmd.AddCommand(p.queue(), p.list(), p.show(), p.claim(), p.release(), p.approve(), p.reject(), p.refuse(), p.clear(), p.payAgain(), p.stop(), p.resume(), p.payout(), p.cancel(), p.reconcile(), p.adopt())
	for _, below := range cmd.Commands() {
		for _, setting := range []string{"cashout", "payouts"} { // decisions need what the server has, and so do those who ask its nodes
			shell.SettingFlag(below, setting)
		}
	}
	return []*cobra.Command{cmd}
}
