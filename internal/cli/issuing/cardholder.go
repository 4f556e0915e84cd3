package issuing

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) cardholder() *cobra.Command {
	cmd := &cobra.Command{Use: "cardholder", Short: "Persons for whom there are cards, and what they may spend"}
	cmd.AddCommand(p.addPerson(), p.listPersons(), p.verifyPerson(),
		p.judge("reject", "Allow a person no cards, and freeze those that there are", cardholder.Rejected),
		p.judge("suspend", "Freeze the cards of a person who was verified", cardholder.Suspended),
		p.listTiers(), p.putTier())
	return cmd
}

func (p *program) addPerson() *cobra.Command {
	var owner shell.Owner
	var n cardholder.NewPerson
	cmd := &cobra.Command{
		Use: "add", Short: "Add a person, pending until somebody verifies them", Args: cobra.NoArgs,
		Example: "  scrip cardholder add --customer cus_01… --realm live --name 'Ada Byron' --line1 '1 Main St' --city London --zip 'SW1A 1AA' --country GB",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				made, err := app.Issuing.Cardholders.Create(ctx, cardholder.Owner{Book: h.Book, Realm: h.Realm, Actor: h.Actor}, n)
				if err != nil {
					return err
				}
				return p.Show(cmd, describePerson(&made))
			})
		},
	}
	owner.Flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&n.Name, "name", "", "what is on the cards")
	flags.StringVar(&n.Email, "email", "", "an address")
	flags.StringVar(&n.Reference, "reference", "", "the customer's own name for the person")
	flags.StringVar(&n.Address.Line1, "line1", "", "street and number")
	flags.StringVar(&n.Address.City, "city", "", "the town")
	flags.StringVar(&n.Address.State, "state", "", "the state or province")
	flags.StringVar(&n.Address.Zip, "zip", "", "the postal code")
	flags.StringVar(&n.Address.Country, "country", "", "ISO 3166-1 code of two letters")
	for _, name := range []string{"name", "line1", "city", "country"} {
		shell.Must(cmd.MarkFlagRequired(name))
	}
	return cmd
}

func describePerson(c *cardholder.Cardholder) []shell.Field {
	return []shell.Field{{"cardholder_id", c.ID}, {"name", c.Name}, {"country", c.Address.Country}, {"state", c.State},
		{"tier", c.TierName()}, {"reason", c.Reason}, {"created_at", c.CreatedAt}}
}

func (p *program) listPersons() *cobra.Command {
	var owner shell.Owner
	var before string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's cardholders, newest first", Args: cobra.NoArgs,
		Example: "  scrip cardholder list --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				found, err := app.Issuing.Cardholders.List(ctx, h.Book, cardholder.ID(before), limit)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"cardholder_id", "name", "country", "state", "tier", "created_at"}}
				for _, c := range found {
					l.Add(c.ID, c.Name, c.Address.Country, c.State, c.TierName(), c.CreatedAt)
				}
				return p.Print(cmd, l)
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&before, "before", "", "the last cardholder of the page before")
	cmd.Flags().IntVar(&limit, "limit", cardholder.MaxPage, "how many, at most 1000")
	return cmd
}

func (p *program) verifyPerson() *cobra.Command {
	cmd := p.judge("verify", "Put a person into a tier", cardholder.Verified)
	cmd.Example = "  scrip cardholder verify chd_01… --customer cus_01… --realm live --tier basic --reason 'passport seen'"
	return cmd
}

func (p *program) judge(verb, short string, state cardholder.State) *cobra.Command {
	var owner shell.Owner
	j := cardholder.Judgement{State: state}
	cmd := &cobra.Command{
		Use: verb + " CARDHOLDER", Short: short, Args: cobra.ExactArgs(1),
		Example: "  scrip cardholder " + verb + " chd_01… --customer cus_01… --realm live --reason 'forged passport'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				j.ID = cardholder.ID(args[0])
				judged, err := app.Issuing.JudgeCardholder(ctx, h, j)
				if err != nil {
					return err
				}
				return p.Show(cmd, describePerson(&judged))
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&j.Reason, "reason", "", "why; it is kept with the person")
	if state == cardholder.Verified {
		cmd.Flags().StringVar(&j.Tier, "tier", "basic", "the spending tier")
	}
	return cmd
}

func (p *program) listTiers() *cobra.Command {
	return &cobra.Command{
		Use: "tiers", Short: "List the spending tiers", Args: cobra.NoArgs, Example: "  scrip cardholder tiers",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				all, err := app.Issuing.Cardholders.Tiers(ctx)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"tier", "currency", "limits", "max_cards"}}
				for _, t := range all {
					l.Add(tierRow(&t)...)
				}
				return p.Print(cmd, l)
			})
		},
	}
}

// tierRow is a tier as it is listed: limits as the flag has them.
func tierRow(t *cardholder.Tier) []any {
	var cards any = shell.Cell{Text: "any"}
	if t.MaxCards > 0 {
		cards = t.MaxCards
	}
	return []any{t.Name, t.Currency, t.Limits, cards}
}

func (p *program) putTier() *cobra.Command {
	var currency string
	var limits []string
	var cards int64
	cmd := &cobra.Command{
		Use: "tier NAME", Short: "Add a spending tier, or change the one of this name", Args: cobra.ExactArgs(1),
		Long: `Tier adds a spending tier, or replaces the one of this name. A --limit is a window, an
amount and, after a slash, how many payments there may be; either may be 0 for any
number. A tier without limits bounds nothing. Cards of the tier in another currency than its
limits pay nothing.`,
		Example: `  scrip cardholder tier gold --limit month=50000 --limit day=5000/20 --cards 5
  scrip cardholder tier anonymous --limit month=1000 --limit life=5000`,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := readTier(args[0], currency, limits)
			if err != nil {
				return err
			}
			t.MaxCards = cards
			return p.With(cmd, func(ctx context.Context, app *server.App) error {
				put, err := app.Issuing.Cardholders.PutTier(ctx, cardholder.TierChange{Tier: t, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				row := tierRow(&put)
				return p.Show(cmd, []shell.Field{{"tier", row[0]}, {"currency", row[1]}, {"limits", row[2]}, {"max_cards", row[3]}})
			})
		},
	}
	cmd.Flags().StringVar(&currency, "currency", "USD", "ISO 4217 code of the limits")
	cmd.Flags().StringArrayVar(&limits, "limit", nil, "WINDOW=AMOUNT or WINDOW=AMOUNT/COUNT; may be repeated")
	cmd.Flags().Int64Var(&cards, "cards", 0, "how many cards a person may have; 0: any number")
	return cmd
}

func readTier(name, code string, limits []string) (cardholder.Tier, error) {
	currency, err := money.Parse(code)
	if err != nil {
		return cardholder.Tier{}, fmt.Errorf("currency %q: %w", code, err)
	}
	t := cardholder.Tier{Name: name, Currency: currency}
	for _, text := range limits {
		window, bound, _ := strings.Cut(text, "=")
		amount, count, counted := strings.Cut(bound, "/")
		l := spending.Limit{Window: spending.Window(window)}
		if l.Amount, err = shell.ParseAmount(amount, code); err != nil {
			return t, fmt.Errorf("limit %q: %w", text, err)
		}
		if counted {
			if l.Count, err = strconv.ParseInt(count, 10, 64); err != nil {
				return t, fmt.Errorf("limit %q: want a whole number after the slash", text)
			}
		}
		t.Limits = append(t.Limits, l)
	}
	return t, nil
}
