// Package issuing has the commands about virtual cards: BINs, cards, cardholders and
// what these may spend, whom customers want asked about payments, statements and disputes.
package issuing

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/server"
)

// program is the shell with the commands of this room.
type program struct{ *shell.Shell }

// Commands returns the room's commands.
func Commands(s *shell.Shell) []*cobra.Command {
	p := &program{s}
	return []*cobra.Command{p.bin(), p.card(), p.cardholder(), p.decider(), p.statement(), p.dispute()}
}

// held runs a command on a customer's book, as an operator.
func (p *program) held(cmd *cobra.Command, owner *shell.Owner, do func(ctx context.Context, app *server.App, h issuing.Holder) error) error {
	return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
		book, r, err := owner.Book(ctx, app)
		if err != nil {
			return err
		}
		return do(ctx, app, issuing.Holder{Book: book, Realm: r, Actor: shell.Actor(), Operator: true})
	})
}
