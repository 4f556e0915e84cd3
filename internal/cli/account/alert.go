package account

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/wallet"
)

func (p *program) alert() *cobra.Command {
	cmd := &cobra.Command{Use: "alert", Short: "Below which balance of its wallet a customer is told: set, list"}
	cmd.AddCommand(p.setAlert(), p.listAlerts())
	return cmd
}

func (p *program) setAlert() *cobra.Command {
	var owner shell.Owner
	var currency string
	cmd := &cobra.Command{
		Use: "set THRESHOLD", Short: "Send wallet.low_balance when the balance falls below a threshold; 0 for no more", Args: cobra.ExactArgs(1),
		Long: `Set has the customer's webhooks told once when what the wallet has available falls
below the threshold, until it was at the threshold again. It replaces what the customer
set. A running server follows within two seconds.`,
		Example: "  scrip alert set 25.00 --customer cus_01… --realm live --currency EUR\n  scrip alert set 0 --customer cus_01… --realm live --currency EUR",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, r, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
				threshold, err := shell.ParseAmount(args[0], currency)
				if err != nil {
					return err
				}
				set, err := app.Alerts.SetAlert(ctx, wallet.Alert{Book: book, Realm: r, Threshold: threshold, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"book_id", book}, {"threshold", set.Threshold}, {"currency", currency}})
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&currency, "currency", "USD", "ISO 4217 code")
	return cmd
}

func (p *program) listAlerts() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's alerts", Args: cobra.NoArgs,
		Example: `  scrip alert list --customer cus_01… --realm live`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				found, err := app.Alerts.List(ctx, book)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"currency", "threshold", "actor", "changed_at"}}
				for _, alert := range found {
					l.Add(alert.Threshold.Currency, alert.Threshold, alert.Actor, alert.ChangedAt)
				}
				return p.Print(cmd, l)
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}
