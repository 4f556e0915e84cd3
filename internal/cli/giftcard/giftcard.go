package giftcard

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) giftcard() *cobra.Command {
	cmd := &cobra.Command{Use: "giftcard", Short: "Gift cards: create, import, show"}
	cmd.AddCommand(p.createCard(), p.importCards(), p.showCard())
	return cmd
}

func (p *program) importCards() *cobra.Command {
	var owner shell.Owner
	var report string
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Make the gift cards that a CSV file lists, all or none; their numbers and keys are shown this once", Args: cobra.ExactArgs(1),
		Long: `Import reads a CSV file whose first line names the columns title, templateId,
currency, amount and perhaps reference, in any order; "-" is standard input. When a
row is wrong no card is made, and everything that is wrong is listed on standard
error. Rows with references can be sent again: they answer with the cards of the
first time.

All cards are written in one transaction, a second or so for each 10,000. Meanwhile
whatever else changes the embedded database waits, payments too, and on PostgreSQL what
changes this customer's books, of which what waits for ten seconds is refused as
unavailable: on a busy server cut a long file into several.

The result is CSV: line, cardId, cardNumber, key. It is secret: --report writes it to
a new file that only its owner can read.`,
		Example: `  scrip giftcard import cards.csv --customer cus_01… --realm live --report made.csv
  scrip giftcard import - --customer cus_01… --realm live < cards.csv`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, r, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
				return p.runImport(ctx, cmd, importing{app: app, merchant: giftcard.Merchant{Book: book, Realm: r, Actor: shell.Actor()}, list: args[0], report: report})
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&report, "report", "", "new file for the numbers and keys; empty: standard output")
	return cmd
}

// importing is one import: of which file, for whom, with the result where.
type importing struct {
	app          *server.App
	merchant     giftcard.Merchant
	list, report string
}

func (p *program) runImport(ctx context.Context, cmd *cobra.Command, i importing) (err error) {
	list, err := shell.Open(cmd, i.list)
	if err != nil {
		return err
	}
	defer func() { _ = list.Close() }() // only read
	if i.report != "" {
		// Before any card is made: keys that cannot be written are lost.
		file, err := os.OpenFile(i.report, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		cmd.SetOut(file)
	}
	bar := shell.NewBar(cmd, "import")
	result, err := i.app.Cards.Import(ctx, i.merchant, list, func(done int) { bar.Set(int64(done)) })
	bar.End()
	if err != nil {
		if i.report != "" {
			err = errors.Join(err, os.Remove(i.report)) // there is nothing in it
		}
		if len(result.Bad) > 0 {
			err = errors.Join(result.WriteBad(cmd.ErrOrStderr()), err)
		}
		return err
	}
	if err := p.reportMade(cmd, result); err != nil {
		return fmt.Errorf("the cards were made, but writing the report: %w", err)
	}
	cmd.PrintErrln("made", plain.Count(len(result.Made), "gift card", "gift cards"))
	return nil
}

// reportMade writes the cards as CSV, or as JSON where that was asked for.
func (p *program) reportMade(cmd *cobra.Command, result giftcard.Report) error {
	if p.Output != "json" {
		return result.WriteMade(cmd.OutOrStdout())
	}
	l := shell.Listing{Columns: []string{"line", "card_id", "number", "key"}}
	for _, made := range result.Made {
		l.Add(made.Line, made.Card.ID, made.Card.Number.Reveal(), made.Key.Reveal())
	}
	return p.Print(cmd, l)
}

func (p *program) createCard() *cobra.Command {
	var owner shell.Owner
	var title, template, amount, currency, reference string
	cmd := &cobra.Command{
		Use: "create", Short: "Make a gift card; its number and key are shown this once", Args: cobra.NoArgs,
		Example: "  scrip giftcard create --customer cus_01… --realm live --title 'Thank you' --template holiday-2026 --amount 50.00 --currency EUR",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, r, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
				parsed, err := shell.ParseAmount(amount, currency)
				if err != nil {
					return err
				}
				issue := giftcard.Issue{Title: title, TemplateID: template, Amount: parsed, AmountText: amount, Reference: reference}
				issued, err := app.Cards.CreateNoted(ctx, giftcard.Merchant{Book: book, Realm: r, Actor: shell.Actor()}, issue)
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"card_id", issued.Card.ID}, {"number", issued.Card.Number.Reveal()}, {"key", issued.Key.Reveal()},
					{"status", issued.Card.Status}, {"expires_at", issued.Card.ExpiresAt}})
			})
		},
	}
	owner.Flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&title, "title", "", "what is printed on it")
	flags.StringVar(&template, "template", "", "cover template")
	flags.StringVar(&amount, "amount", "", "amount, such as 50.00")
	flags.StringVar(&currency, "currency", "USD", "ISO 4217 code")
	flags.StringVar(&reference, "reference", "", "makes the command repeatable")
	for _, name := range []string{"title", "template", "amount"} {
		shell.Must(cmd.MarkFlagRequired(name))
	}
	return cmd
}

func (p *program) showCard() *cobra.Command {
	return &cobra.Command{
		Use: "show NUMBER", Short: "Show a card with its newest 200 transactions, by its number", Args: cobra.ExactArgs(1),
		Example: "  scrip giftcard show GC1234567890123456",
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := pan.ParseAlnum(args[0])
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				card, err := app.Cards.FindAnywhere(ctx, number)
				if err != nil {
					return err
				}
				return p.describeCard(ctx, cmd, app, card)
			})
		},
	}
}

// cardLines bounds the transactions shown of one card, the newest ones.
const cardLines = 200

func (p *program) describeCard(ctx context.Context, cmd *cobra.Command, app *server.App, card *giftcard.Card) error {
	lines, err := app.Cards.History(ctx, card, 0, cardLines)
	if err != nil {
		return err
	}
	fields := []shell.Field{{"card_id", card.ID}, {"number", card.Number.String()}, {"title", card.Title}, {"status", card.Status},
		{"amount", card.Amount}, {"balance", card.Balance}, {"held", card.Held},
		{"currency", card.Amount.Currency}, {"blocked", card.Blocked}, {"expires_at", card.ExpiresAt}}
	history := shell.Listing{Columns: []string{"at", "type", "amount", "balance", "reference", "transaction_id"}}
	for _, line := range lines {
		history.Add(line.At, line.Type, line.Amount, line.Balance, line.Reference, line.Transaction)
	}
	if p.Output == "json" {
		return shell.WriteJSON(cmd.OutOrStdout(), struct {
			Card    shell.Object   `json:"card"`
			History []shell.Object `json:"history"`
		}{fields, history.Objects()})
	}
	if err := p.Show(cmd, fields); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout()); err != nil {
		return err
	}
	return p.Print(cmd, history)
}
