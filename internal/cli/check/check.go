package check

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) check() *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Balance checks that were made: list, show, label; and cards that they locked: unlock"}
	cmd.AddCommand(p.listChecks(), p.showCheck(), p.labelCheck(), p.unlockCard())
	return cmd
}

func (p *program) listChecks() *cobra.Command {
	var owner shell.Owner
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's balance checks, newest first, with their whole scores", Args: cobra.NoArgs,
		Example: "  scrip check list --customer cus_01… --realm live --limit 20",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				found, err := shell.Pages(limit, ping.MaxLimit, func(limit int, last *ping.Record) ([]ping.Record, error) {
					var before ping.ID
					if last != nil {
						before = last.ID
					}
					return app.Pings.List(ctx, book, before, limit)
				})
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: checkColumns()}
				for i := range found {
					l.Add(checkRow(&found[i])...)
				}
				return p.Print(cmd, l)
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", ping.DefaultLimit, "how many at the most")
	return cmd
}

func checkColumns() []string {
	return []string{"check_id", "at", "network_id", "card_id", "status", "balance", "currency", "fraud_score", "fraud_signals", "credential", "address", "label"}
}

func checkRow(r *ping.Record) []any {
	var signals []string
	for _, s := range r.Score.Signals {
		signals = append(signals, s.Name)
	}
	return []any{r.ID, r.At, r.Network, r.Card, r.Status, r.Balance, r.Balance.Currency, hundredths(r.Score.Hundredths), signals, r.Credential, r.Address, r.Label}
}

func (p *program) showCheck() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "show CHECK", Short: "Show a balance check and what explains its score", Args: cobra.ExactArgs(1),
		Long: `Show shows a check and the signals of its score: what was counted, of whom, within which
time, from where on it gives points, and how many it gave. Signals that are withheld
are not told to callers whose answer is invalid. The card's number is not kept.`,
		Example: "  scrip check show ping_01… --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				found, err := app.Pings.Find(ctx, book, ping.ID(args[0]))
				if err != nil {
					return err
				}
				return p.describeCheck(cmd, &found)
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) describeCheck(cmd *cobra.Command, r *ping.Record) error {
	row := checkRow(r)
	fields := make([]shell.Field, len(row))
	for i, name := range checkColumns() {
		fields[i] = shell.Field{name, row[i]}
	}
	fields = append(fields, shell.Field{"expiry", r.Expiry}, shell.Field{"known_at", r.AsOf}, shell.Field{"model", r.Score.Model},
		shell.Field{"latency ms", r.Latency.Milliseconds()})
	why := shell.Listing{Columns: []string{"signal", "of", "value", "threshold", "window", "points", "withheld"}}
	for _, s := range r.Score.Signals {
		why.Add(s.Name, s.Of, s.Value, s.Threshold, s.Window, hundredths(s.Points), s.Telling)
	}
	if p.Output == shell.JSON {
		return shell.WriteJSON(cmd.OutOrStdout(), struct {
			Check       shell.Object   `json:"check"`
			Explanation []shell.Object `json:"explanation"`
		}{fields, why.Objects()})
	}
	if err := p.Show(cmd, fields); err != nil || len(why.Rows) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout()); err != nil {
		return err
	}
	return p.Print(cmd, why)
}

func hundredths(n int) json.Number { return json.Number(fmt.Sprintf("%d.%02d", n/100, n%100)) }

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
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
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
