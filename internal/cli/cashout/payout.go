package cashout

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
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
	l := shell.Listing{Columns: []string{"kind", "subject", "want", "got"}}
	for _, d := range r.Differences {
		l.Add(d.Kind, d.Subject, d.Want, d.Got)
	}
	if err := p.Print(cmd, l); err != nil || r.Found == 0 {
		return err
	}
	return fmt.Errorf("%s on %s in the %s realm", plain.Count(r.Found, "difference", "differences"), r.Day, r.Realm)
}

func (p *program) adopt() *cobra.Command {
	var since string
	var partly bool
	cmd := p.inRealm(&cobra.Command{Use: "adopt", Short: "Find what left after a backup that was restored, and settle the payouts that it paid",
		Long: `Adopt asks the nodes what they have paid since a backup was made, and lists what no payout
knows. A transaction that pays payouts which wait, and nobody else, becomes theirs: it is
looked after like any other and settles them, so that they are not paid once more when
payouts resume. With --partly so does one that pays others besides.

What is left is "partly" (it pays others too: orders that wait for a reviewer, perhaps;
approve those and adopt again) or "unknown". Where there is any, adopt ends with status 1.
A payment over Lightning does not say whom it paid; an invoice is never paid twice, but a
payout to a Lightning Address is: cancel one that waits and has the amount of one that is
listed. Payouts of the realm must be stopped, as restore leaves them.`,
		Example: "  scrip cashout adopt --realm live --since 2026-11-21T10:17:39Z"},
		func(ctx context.Context, cmd *cobra.Command, app *server.App, r realm.Realm) error {
			at, err := time.Parse(time.RFC3339, since)
			if err != nil {
				return fmt.Errorf("since %q: want a time such as 2026-11-21T10:17:39Z", since)
			}
			left, err := app.Cashout.Payouts.Adopt(ctx, payout.Adoption{Actor: shell.Actor(), Realm: r, Since: at, Partly: partly})
			if err != nil {
				return err
			}
			return p.printDepartures(cmd, left)
		})
	cmd.Flags().StringVar(&since, "since", "", "when the backup was made, as restore shows it")
	cmd.Flags().BoolVar(&partly, "partly", false, "adopt transactions, too, that pay others besides")
	shell.Must(cmd.MarkFlagRequired("since"))
	return cmd
}

func (p *program) printDepartures(cmd *cobra.Command, left []payout.Departure) error {
	l := shell.Listing{Columns: []string{"payment", "over", "at", "amount", "payouts", "status"}}
	open := 0
	for i := range left {
		d := &left[i]
		over, status, paid := "chain", "unknown", make([]payout.ID, len(d.Pays))
		if d.Lightning {
			over = "lightning"
		}
		for i := range d.Pays {
			paid[i] = d.Pays[i].ID
		}
		switch {
		case d.Adopted:
			status = "adopted"
		case len(d.Pays) > 0:
			status = "partly"
		}
		if !d.Adopted {
			open++
		}
		l.Add(d.ID, over, d.At, money.New(d.Satoshi, money.BTC), paid, status)
	}
	if err := p.Print(cmd, l); err != nil || open == 0 {
		return err
	}
	return fmt.Errorf("%s before payouts resume", plain.Count(open, "payment is no payout's: see what it is", "payments are no payout's: see what they are"))
}

func (p *program) payout() *cobra.Command {
	return &cobra.Command{Use: "payout BOOK PAYOUT", Short: "Show a payout: where it goes, how that stands, and what proves it", Args: cobra.ExactArgs(2),
		Long: `Payout shows a payout, which "scrip cashout list" names beside its order. One that is held can
be called back; one that is sending or sent is on its way, and nobody must pay it by hand.`,
		Example: "  scrip cashout payout bk_01… pay_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				found, err := app.Cashout.Payouts.Find(ctx, ledger.BookID(args[0]), payout.ID(args[1]))
				if err != nil {
					return err
				}
				return p.Show(cmd, append(fieldsOf(&found), shell.Field{"reference", found.Reference}, shell.Field{"fee", found.Fee},
					shell.Field{"txid", found.TxID}, shell.Field{"payment hash", found.Hash}, shell.Field{"preimage", found.Preimage},
					shell.Field{"created_at", found.CreatedAt}, shell.Field{"changed_at", found.ChangedAt}, shell.Field{"ended_at", found.EndedAt}))
			})
		},
	}
}

func fieldsOf(p *payout.Payout) []shell.Field {
	return []shell.Field{{"payout_id", p.ID}, {"status", p.State}, {"reason", p.Reason}, {"amount", p.Amount}, {"destination", p.To.Text}}
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
				return p.Show(cmd, fieldsOf(&done))
			})
		},
	}
}
