package check

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) check() *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Balance checks that were made: list, label"}
	cmd.AddCommand(p.listChecks(), p.labelCheck())
	return cmd
}

// mostChecks bounds a list of checks.
const mostChecks = 10_000

func (p *program) listChecks() *cobra.Command {
	var owner shell.Owner
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's balance checks, newest first, with their whole scores", Args: cobra.NoArgs,
		Example: "  scrip check list --customer cus_01… --realm live --limit 20",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > mostChecks {
				return fmt.Errorf("limit %d: want 1 to %d", limit, mostChecks)
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"CHECK", "TIME", "NETWORK", "CARD", "STATUS", "BALANCE", "CURRENCY", "SCORE", "SIGNALS", "CREDENTIAL", "ADDRESS", "LABEL"}}
				for before := ping.ID(""); len(l.Rows) < limit; {
					found, err := app.Pings.List(ctx, book, before, min(limit-len(l.Rows), ping.MaxLimit))
					if err != nil {
						return err
					}
					if len(found) == 0 {
						break
					}
					for i := range found {
						l.Add(checkRow(&found[i])...)
					}
					before = found[len(found)-1].ID
				}
				return p.Print(cmd, l)
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", ping.DefaultLimit, "how many at the most")
	return cmd
}

func checkRow(r *ping.Record) []string {
	var signals []string
	for _, s := range r.Score.Signals {
		signals = append(signals, s.Name)
	}
	return []string{string(r.ID), shell.Moment(r.At), r.Network, r.Card, string(r.Status), r.Balance.String(), r.Balance.Currency.String(),
		fmt.Sprintf("%d.%02d", r.Score.Hundredths/100, r.Score.Hundredths%100), strings.Join(signals, " "), r.Credential, r.Address, string(r.Label)}
}

func (p *program) labelCheck() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "label CHECK fraud|genuine", Short: "Note what a check turned out to be", Args: cobra.ExactArgs(2),
		Long: `Label notes whether a check was fraud or genuine, for those who judge scores. A second
label replaces the first. A running server learns from labels that it is told
itself, over the operator API.`,
		Example: "  scrip check label ping_01… fraud --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] == "" { // the product would take a label back
				return fmt.Errorf("label %q: want fraud or genuine", args[1])
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
				if err := app.Pings.Label(ctx, ping.LabelRequest{Book: book, Ping: ping.ID(args[0]), Label: ping.Label(args[1]), Actor: shell.Actor()}); err != nil {
					return err
				}
				cmd.Println("labelled", args[0], args[1])
				return nil
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}
