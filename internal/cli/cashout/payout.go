package cashout

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) reconcile() *cobra.Command {
	var day string
	var again bool
	cmd := p.inRealm(&cobra.Command{Use: "reconcile", Short: "Show where a day's payouts and the nodes' own lists of payments differ",
		Long: `Reconcile lists the differences of a day: payments that no payout asked for (unknown),
payouts that no node knows (missing), amounts, fees and states. Where there are any it ends
with status 1. A running server does this for each day soon after its end; a day that is
missing, or that --again asks for, is held against the nodes now. A day is over at midnight
in UTC, by the realm's clock.`,
		Example: "  scrip cashout reconcile --realm live --day 2026-11-27\n  scrip cashout reconcile --realm live --day 2026-11-27 --again -o json"},
		func(ctx context.Context, cmd *cobra.Command, app *server.App, r realm.Realm) error {
			found, err := app.Cashout.Payouts.FindReconciliation(ctx, r, day)
			if again || fault.CodeOf(err) == fault.NotFound {
				found, err = app.Cashout.Payouts.Reconcile(ctx, r, day)
			}
			if err != nil {
				return err
			}
			return p.printDay(cmd, &found)
		})
	cmd.Flags().StringVar(&day, "day", "", "the day in UTC, such as 2026-11-27")
	cmd.Flags().BoolVar(&again, "again", false, "ask the nodes anew")
	shell.Must(cmd.MarkFlagRequired("day"))
	return cmd
}

func (p *program) printDay(cmd *cobra.Command, r *payout.Reconciliation) error {
	l := shell.Listing{Columns: []string{"KIND", "SUBJECT", "WANT", "GOT"}}
	for _, d := range r.Differences {
		l.Add(string(d.Kind), d.Subject, d.Want, d.Got)
	}
	if err := p.Print(cmd, l); err != nil || r.Found == 0 {
		return err
	}
	return fmt.Errorf("%d differences on %s in the %s realm", r.Found, r.Day, r.Realm)
}

func (p *program) cancel() *cobra.Command {
	return &cobra.Command{Use: "cancel BOOK PAYOUT", Short: "Call a payout back of which nothing was sent; its order can be paid once more", Args: cobra.ExactArgs(2),
		Example: "  scrip cashout cancel bk_01… pay_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				done, err := app.Cashout.Payouts.Cancel(ctx, payout.Cancellation{Actor: shell.Actor(), Book: ledger.BookID(args[0]), Payout: payout.ID(args[1])})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"payout", string(done.ID)}, {"status", string(done.State)}, {"reason", string(done.Reason)},
					{"amount", done.Amount.String()}, {"destination", done.To.Text}})
			})
		},
	}
}
