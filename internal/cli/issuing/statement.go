package issuing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/statement"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) statement() *cobra.Command {
	cmd := &cobra.Command{Use: "statement", Short: "Months of cards and wallets: as a table, CSV or PDF"}
	cmd.AddCommand(p.statementOf("card CARD", "Show a month of a card", cobra.ExactArgs(1)), p.statementOf("wallet", "Show a month of a wallet", cobra.NoArgs), p.months())
	return cmd
}

// subjectOf is whose statement the arguments name: a card's, or a wallet's in a currency.
func subjectOf(args []string, currency string) (statement.Subject, error) {
	if len(args) > 0 {
		return statement.Subject{Card: issuing.CardID(args[0])}, nil
	}
	known, err := money.Parse(currency)
	if err != nil {
		return statement.Subject{}, fmt.Errorf("currency %q: %w", currency, err)
	}
	return statement.Subject{Wallet: known}, nil
}

// statementFlags say which month, and in which form.
type statementFlags struct{ month, currency, format, out string }

func (p *program) statementOf(use, short string, arguments cobra.PositionalArgs) *cobra.Command {
	var owner shell.Owner
	var f statementFlags
	verb, _, _ := strings.Cut(use, " ")
	cmd := &cobra.Command{
		Use: use, Short: short, Args: arguments,
		Long: `The statement of a month: what was there at its beginning, everything that moved, and
what was there at its end. A CSV has any number of movements, a PDF 5,000 at most.`,
		Example: strings.ReplaceAll("  scrip statement USE --customer cus_01… --realm live --month 2026-11\n"+
			"  scrip statement USE --customer cus_01… --realm live --month 2026-11 --format pdf --out november.pdf", "USE", strings.Replace(use, "CARD", "card_01…", 1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			month, err := statement.ParseMonth(f.month)
			if err != nil {
				return err
			}
			of, err := subjectOf(args, f.currency)
			if err != nil {
				return err
			}
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				st, err := app.Statements.Get(ctx, h, of, month)
				if err != nil {
					return err
				}
				return p.write(cmd, app, &st, &f)
			})
		},
	}
	owner.Flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.month, "month", "", "the month of UTC, such as 2026-11")
	flags.StringVar(&f.format, "format", shell.Table, "table, csv or pdf")
	flags.StringVar(&f.out, "out", "-", "the file to write; - is standard output")
	if verb == "wallet" {
		flags.StringVar(&f.currency, "currency", "USD", "ISO 4217 code of the wallet's currency")
	}
	shell.Must(cmd.MarkFlagRequired("month"))
	return cmd
}

// write shows a statement in the form that was asked for.
func (p *program) write(cmd *cobra.Command, app *server.App, st *statement.Statement, f *statementFlags) (err error) {
	var to func(context.Context, io.Writer, *statement.Statement) error
	switch f.format {
	case shell.Table:
		if f.out != "-" {
			return errors.New("--out is for --format csv and pdf")
		}
		return p.table(cmd, app, st)
	case shell.CSV:
		to = app.Statements.WriteCSV
	case "pdf":
		if err := st.Fits(statement.MaxPDF); err != nil { // before a file is emptied for it
			return err
		}
		to = app.Statements.WritePDF
	default:
		return fmt.Errorf("format %q: want table, csv or pdf", f.format)
	}
	if f.out == "-" {
		return to(cmd.Context(), cmd.OutOrStdout(), st)
	}
	file, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return to(cmd.Context(), file, st)
}

// maxTable bounds the movements that a table shows.
const maxTable = 10_000

func (p *program) table(cmd *cobra.Command, app *server.App, st *statement.Statement) error {
	if err := st.Fits(maxTable); err != nil {
		return err
	}
	l := shell.Listing{Columns: []string{"number", "at", "kind", "amount", "held", "balance", "about"}}
	l.Add(nil, st.Month.From(), "opening", nil, st.Opening.Held, st.Opening.Posted, st.Currency)
	for after := int64(0); after < st.Count; {
		part, err := app.Statements.Movements(cmd.Context(), st, after, statement.MaxPage)
		if err != nil {
			return err
		}
		for i := range part {
			v := &part[i]
			l.Add(v.Number, v.At, v.Kind, v.Amount, v.Held, v.After.Posted, about(v))
		}
		after += int64(len(part))
	}
	for _, t := range st.Totals {
		l.Add(t.Count, nil, "total "+string(t.Kind), t.Amount, t.Held, nil, nil)
	}
	l.Add(nil, st.At, "closing", nil, st.Closing.Held, st.Closing.Posted, "final "+strconv.FormatBool(st.Final))
	return p.Print(cmd, l)
}

// about is who was paid, or the card or reference that a movement is about.
func about(v *statement.Movement) string {
	switch {
	case v.Merchant.Name != "":
		return v.Merchant.Name
	case v.Card != "":
		return string(v.Card)
	}
	return v.Reference
}

func (p *program) months() *cobra.Command {
	var owner shell.Owner
	var currency string
	var page statement.Page
	cmd := &cobra.Command{
		Use: "months [CARD]", Short: "List the months of a card, or of a wallet", Args: cobra.MaximumNArgs(1),
		Example: "  scrip statement months card_01… --customer cus_01… --realm live\n  scrip statement months --customer cus_01… --currency EUR",
		RunE: func(cmd *cobra.Command, args []string) error {
			of, err := subjectOf(args, currency)
			if err != nil {
				return err
			}
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				found, _, err := app.Statements.Months(ctx, h, of, page)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"month", "opening", "closing", "held", "currency", "movements", "final"}}
				for i := range found {
					st := &found[i]
					l.Add(st.Month, st.Opening.Posted, st.Closing.Posted, st.Closing.Held, st.Currency, st.Count, st.Final)
				}
				return p.Print(cmd, l)
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&currency, "currency", "USD", "ISO 4217 code of the wallet's currency")
	cmd.Flags().IntVar(&page.Limit, "limit", 12, "how many, 100 at most")
	cmd.Flags().IntVar(&page.Skip, "skip", 0, "how many of the newest to leave out")
	return cmd
}
