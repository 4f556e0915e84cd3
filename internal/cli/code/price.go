package code

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) listPrices() *cobra.Command {
	return &cobra.Command{
		Use: "prices", Short: "List the price rules", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				l := shell.Listing{Columns: []string{"RULE", "CUSTOMER", "TIER", "ITEM", "BRAND", "BASIS", "PERCENT", "AMOUNT", "PRIORITY", "FROM", "UNTIL"}}
				for _, r := range app.Catalog.Prices(ctx) {
					l.Add(ruleRow(&r)...)
				}
				return p.Print(cmd, l)
			})
		},
	}
}

// ruleRow is a price rule as it is listed.
func ruleRow(r *catalog.Rule) []string {
	percent, amount := fmt.Sprintf("%d.%02d", r.Percent/100, r.Percent%100), ""
	if r.Basis == catalog.Fixed {
		percent, amount = "", r.Amount.String()+" "+r.Amount.Currency.String()
	}
	return []string{string(r.ID), string(r.Customer), r.Tier, string(r.Item), r.Brand, string(r.Basis), percent, amount,
		strconv.Itoa(r.Priority), shell.Moment(r.From), shell.Moment(r.Until)}
}

func (p *program) setPrice() *cobra.Command {
	var r catalog.Rule
	var percent, amount, currency, from, until string
	cmd := &cobra.Command{
		Use: "price", Short: "Add a price rule, or change the one that --rule names", Args: cobra.NoArgs,
		Long: `Price adds a rule for what is charged: a percentage of the face value or of the cost,
or a fixed amount for one item. A rule for a customer comes before one for a tier before
one for all; among these one for an item before one for a brand before one for all; then
the higher priority. Without any rule the face value is charged.`,
		Example: `  scrip catalog price --percent 98
  scrip catalog price --tier gold --brand 'Google Play' --percent 95.5 --until 2027-01-01T00:00:00Z
  scrip catalog price --item GOOGLE-5USD-KOXx --basis fixed --amount 4.75
  scrip catalog price --basis cost --percent 105`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if percent != "" {
				if r.Percent, err = money.ParsePercent(percent); err != nil {
					return fmt.Errorf("percent %q: %w", percent, err)
				}
			}
			if amount != "" {
				parsed, err := shell.ParseAmount(amount, currency)
				if err != nil {
					return err
				}
				r.Amount = catalog.Charged{Amount: parsed}
			}
			if r.From, r.Until, err = parseSpan(from, until); err != nil {
				return err
			}
			return p.With(cmd, func(ctx context.Context, app *server.App) error {
				made, err := app.Catalog.PutPrice(ctx, r, shell.Actor())
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"rule", string(made.ID)}, {"revision", strconv.FormatInt(made.Revision, 10)}})
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&r.ID), "rule", "", "the rule to change; empty: a new one")
	flags.StringVar((*string)(&r.Customer), "customer", "", "for this customer")
	flags.StringVar(&r.Tier, "tier", "", "for customers of this tier")
	flags.StringVar((*string)(&r.Item), "item", "", "for this item")
	flags.StringVar(&r.Brand, "brand", "", "for items of this brand")
	flags.StringVar((*string)(&r.Basis), "basis", string(catalog.OfFace), "face, cost or fixed")
	flags.StringVar(&percent, "percent", "", "of the face value or the cost, such as 98 or 97.5")
	flags.StringVar(&amount, "amount", "", "the fixed price")
	flags.StringVar(&currency, "currency", "USD", "ISO 4217 code of the fixed price")
	flags.IntVar(&r.Priority, "priority", 0, "before others that are as near")
	flags.StringVar(&from, "from", "", "from when on it holds (RFC 3339)")
	flags.StringVar(&until, "until", "", "until when it holds (RFC 3339)")
	return cmd
}

// parseSpan reads two times, each of which may be empty.
func parseSpan(from, until string) (start, end time.Time, err error) {
	for text, target := range map[*string]*time.Time{&from: &start, &until: &end} {
		if *text == "" {
			continue
		}
		if *target, err = time.Parse(time.RFC3339, *text); err != nil {
			return start, end, fmt.Errorf("time %q: want the form 2027-01-01T00:00:00Z", *text)
		}
	}
	return start, end, nil
}

func (p *program) removePrice() *cobra.Command {
	return &cobra.Command{
		Use: "remove-price RULE", Short: "Remove a price rule", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				return app.Catalog.RemovePrice(ctx, catalog.RuleID(args[0]), shell.Actor())
			})
		},
	}
}

func (p *program) setTier() *cobra.Command {
	return &cobra.Command{
		Use: "tier CUSTOMER [TIER]", Short: "Have a customer pay a tier's prices, or no tier's", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				c, err := app.Accounts.FindCustomer(ctx, account.CustomerID(args[0]))
				if err != nil {
					return err
				}
				return app.Catalog.SetTier(ctx, c.ID, strings.Join(args[1:], ""), shell.Actor())
			})
		},
	}
}
