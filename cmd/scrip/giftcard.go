package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) template() *cobra.Command {
	cmd := &cobra.Command{Use: "template", Short: "Cover templates of gift cards: add, list"}
	var id, name, cover string
	add := &cobra.Command{
		Use: "add", Short: "Add a template with its cover image (png or jpeg)", Args: cobra.NoArgs,
		Example: "  scrip template add --id holiday-2026 --name 'Holiday 2026' --cover holiday.png",
		RunE: func(cmd *cobra.Command, _ []string) error {
			image, err := readBounded(cover, giftcard.MaxCoverBytes)
			if err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				t, err := app.Cards.AddTemplate(ctx, giftcard.NewTemplate{ID: id, Name: name, Image: image, Actor: actor()})
				if err != nil {
					return err
				}
				return p.show(cmd, []field{{"template", t.ID}, {"name", t.Name}, {"cover", t.CoverType}})
			})
		},
	}
	add.Flags().StringVar(&id, "id", "", "the template's id; empty: one is made")
	add.Flags().StringVar(&name, "name", "", "the template's name")
	add.Flags().StringVar(&cover, "cover", "", "image file")
	must(add.MarkFlagRequired("name"))
	must(add.MarkFlagRequired("cover"))
	list := &cobra.Command{
		Use: "list", Short: "List templates", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				found, err := app.Cards.Templates(ctx)
				if err != nil {
					return err
				}
				l := listing{columns: []string{"TEMPLATE", "NAME", "ACTIVE", "COVER", "CREATED"}}
				for _, t := range found {
					l.add(t.ID, t.Name, fmt.Sprint(t.Active), t.CoverType, moment(t.CreatedAt))
				}
				return p.print(cmd, l)
			})
		},
	}
	cmd.AddCommand(add, list)
	return cmd
}

// readBounded reads a file that must not be longer than most bytes.
func readBounded(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s has %d bytes, the most is %d", path, info.Size(), most)
	}
	return os.ReadFile(path)
}

func (p *program) giftcard() *cobra.Command {
	cmd := &cobra.Command{Use: "giftcard", Short: "Gift cards: create, import, show"}
	cmd.AddCommand(p.createCard(), p.showCard())
	return cmd
}

func (p *program) createCard() *cobra.Command {
	var owner owned
	var title, template, amount, currency, reference string
	cmd := &cobra.Command{
		Use: "create", Short: "Make a gift card; its number and key are shown this once", Args: cobra.NoArgs,
		Example: "  scrip giftcard create --customer cus_01… --realm live --title 'Thank you' --template holiday-2026 --amount 50.00 --currency EUR",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				book, r, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				parsed, err := parseAmount(amount, currency)
				if err != nil {
					return err
				}
				issue := giftcard.Issue{Title: title, TemplateID: template, Amount: parsed, AmountText: amount, Reference: reference}
				issued, err := app.Cards.Create(ctx, giftcard.Merchant{Book: book, Realm: r, Actor: actor()}, issue)
				if err != nil {
					return err
				}
				return p.show(cmd, []field{{"card", string(issued.Card.ID)}, {"number", issued.Card.Number.Reveal()}, {"key", issued.Key.Reveal()},
					{"status", string(issued.Card.Status)}, {"expires", moment(issued.Card.ExpiresAt)}})
			})
		},
	}
	owner.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&title, "title", "", "what is printed on it")
	flags.StringVar(&template, "template", "", "cover template")
	flags.StringVar(&amount, "amount", "", "amount, such as 50.00")
	flags.StringVar(&currency, "currency", "USD", "ISO 4217 code")
	flags.StringVar(&reference, "reference", "", "makes the command repeatable")
	for _, name := range []string{"title", "template", "amount"} {
		must(cmd.MarkFlagRequired(name))
	}
	return cmd
}

func (p *program) showCard() *cobra.Command {
	return &cobra.Command{
		Use: "show NUMBER", Short: "Show a card with its history, by its number", Args: cobra.ExactArgs(1),
		Example: "  scrip giftcard show GC1234567890123456",
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := pan.ParseAlnum(args[0])
			if err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				card, err := app.Cards.FindAnywhere(ctx, number)
				if err != nil {
					return err
				}
				return p.describeCard(ctx, cmd, app, card)
			})
		},
	}
}

func (p *program) describeCard(ctx context.Context, cmd *cobra.Command, app *server.App, card *giftcard.Card) error {
	if p.output == "table" {
		err := p.show(cmd, []field{{"card", string(card.ID)}, {"number", card.Number.String()}, {"title", card.Title}, {"status", string(card.Status)},
			{"amount", card.Amount.String()}, {"balance", card.Balance.String()}, {"held", card.Held.String()},
			{"currency", card.Amount.Currency.String()}, {"blocked", fmt.Sprint(card.Blocked)}, {"expires", moment(card.ExpiresAt)}})
		if err != nil {
			return err
		}
		cmd.Println()
	}
	lines, err := app.Cards.History(ctx, card, 0, 200)
	if err != nil {
		return err
	}
	l := listing{columns: []string{"TIME", "TYPE", "AMOUNT", "BALANCE", "REFERENCE", "TRANSACTION"}}
	for _, line := range lines {
		l.add(moment(line.At), line.Type, line.Amount.String(), line.Balance.String(), line.Reference, string(line.Transaction))
	}
	return p.print(cmd, l)
}
