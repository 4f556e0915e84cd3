package check

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) suspension() *cobra.Command {
	cmd := &cobra.Command{Use: "suspension", Short: "Callers suspended for searching cards: list, lift"}
	list := &cobra.Command{
		Use: "list", Short: "List suspended callers of all customers", Args: cobra.NoArgs,
		Example: `  scrip suspension list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error { return p.listSuspensions(ctx, cmd, app) })
		},
	}
	var owner shell.Owner
	var reason string
	lift := &cobra.Command{
		Use: "lift CALLER", Short: "Let a suspended caller back, with nothing held against it", Args: cobra.ExactArgs(1),
		Example: "  scrip suspension lift key_01… --customer cus_01… --realm live --reason 'a test of their own'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				if err := app.Pings.Lift(ctx, ping.LiftRequest{Book: book, Caller: args[0], Reason: reason, Actor: shell.Actor()}); err != nil {
					return err
				}
				cmd.Println("lifted", args[0])
				return nil
			})
		},
	}
	owner.Flags(lift)
	lift.Flags().StringVar(&reason, "reason", "", "why; it is kept in the audit log")
	shell.Must(lift.MarkFlagRequired("reason"))
	cmd.AddCommand(list, lift)
	return cmd
}

func (p *program) listSuspensions(ctx context.Context, cmd *cobra.Command, app *server.App) error {
	l := shell.Listing{Columns: []string{"caller", "realm", "customer_id", "reason", "cards", "found", "suspended_at"}}
	for after := (ping.Suspension{}); ; {
		found, err := app.Pings.Suspensions(ctx, after, ping.MaxLimit)
		if err != nil {
			return err
		}
		for _, s := range found {
			owner, err := app.Accounts.FindOwner(ctx, s.Book)
			if err != nil {
				return err
			}
			l.Add(s.Caller, s.Realm, owner.Customer, s.Reason, s.Cards, s.Found, s.At)
		}
		if len(found) < ping.MaxLimit {
			return p.Print(cmd, l)
		}
		after = found[len(found)-1]
	}
}
