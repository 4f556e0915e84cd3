package code

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) report() *cobra.Command {
	cmd := &cobra.Command{Use: "report", Short: "Daily reports: codes"}
	cmd.AddCommand(p.reportCodes())
	return cmd
}

func (p *program) reportCodes() *cobra.Command {
	var name, day string
	var again bool
	cmd := &cobra.Command{
		Use: "codes", Short: "Hold a day's orders, codes and postings against one another", Args: cobra.NoArgs,
		Long: `Codes shows what was sold, replaced and refunded on a day, by the orders, the stock, the
claims and the books, and lists where these differ: then it ends with status 1. A running
server makes the report of each day soon after its end; one that is missing, or that
--again asks for, is made now.`,
		Example: "  scrip report codes --day 2026-11-27 --realm live\n  scrip report codes --day 2026-11-27 --realm live --again -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := realm.Parse(name)
			if err != nil {
				return err
			}
			d, err := report.ParseDay(day)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				found, err := app.Reports.Find(ctx, r, d)
				if again || fault.CodeOf(err) == fault.NotFound {
					found, err = app.Reports.Make(ctx, r, d)
				}
				if err != nil {
					return err
				}
				return p.printReport(cmd, &found)
			})
		},
	}
	cmd.Flags().StringVar(&day, "day", "", "the day in UTC, such as 2026-11-27")
	shell.RealmFlag(cmd, &name, realm.Test)
	cmd.Flags().BoolVar(&again, "again", false, "make the report anew")
	shell.Must(cmd.MarkFlagRequired("day"))
	return cmd
}

// printReport shows the figures and then, if there are any, the differences.
func (p *program) printReport(cmd *cobra.Command, r *report.Report) error {
	figures := shell.Listing{Columns: []string{"currency", "orders", "codes", "charged", "codes_replaced", "codes_refunded", "refunded", "codes_sold", "wallet_paid", "wallet_refunded", "revenue", "other"}}
	for i := range r.Rows {
		row := &r.Rows[i]
		figures.Add(row.Currency, row.Orders, row.Codes, row.Charged, row.CodesReplaced, row.CodesRefunded,
			row.Refunded, row.CodesSold, row.WalletPaid, row.WalletRefunded, row.Revenue, row.Other)
	}
	differences := shell.Listing{Columns: []string{"kind", "book_id", "order_id", "subject", "want", "got"}}
	for _, d := range r.Differences {
		var number any
		if d.Order != 0 {
			number = d.Order
		}
		differences.Add(d.Kind, d.Book, number, d.Subject, d.Want, d.Got)
	}
	if err := p.printBoth(cmd, figures, differences); err != nil || r.Found == 0 {
		return err
	}
	return fmt.Errorf("%s on %s in the %s realm", plain.Count(r.Found, "difference", "differences"), r.Day, r.Realm)
}

func (p *program) printBoth(cmd *cobra.Command, figures, differences shell.Listing) error {
	if p.Output == shell.JSON {
		return shell.WriteJSON(cmd.OutOrStdout(), struct {
			Figures     []shell.Object `json:"figures"`
			Differences []shell.Object `json:"differences"`
		}{figures.Objects(), differences.Objects()})
	}
	if err := p.Print(cmd, figures); err != nil || len(differences.Rows) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout()); err != nil {
		return err
	}
	return p.Print(cmd, differences)
}
