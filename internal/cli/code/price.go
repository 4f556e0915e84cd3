package code

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
		Example: `  scrip catalog prices`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				l := shell.Listing{Columns: []string{"rule_id", "customer_id", "tier", "item_code", "brand", "basis", "percent", "amount", "currency", "priority", "from", "until"}}
				for _, r := range app.Catalog.Prices(ctx) {
					l.Add(ruleRow(&r)...)
				}
				return p.Print(cmd, l)
			})
		},
	}
}

// ruleRow is a price rule as it is listed.
func ruleRow(r *catalog.Rule) []any {
	var percent, amount, currency any
	if r.Basis != catalog.Fixed {
		percent = json.Number(fmt.Sprintf("%d.%02d", r.Percent/100, r.Percent%100))
	} else {
		amount, currency = r.Amount, r.Amount.Currency
	}
	return []any{r.ID, r.Customer, r.Tier, r.Item, r.Brand, r.Basis, percent, amount, currency, r.Priority, r.From, r.Until}
}

// priceFlags are what a price rule is described with.
type priceFlags struct {
	rule                                   catalog.Rule
	percent, amount, currency, from, until string
}

func (f *priceFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar((*string)(&f.rule.ID), "rule", "", "the rule to change; empty: a new one")
	flags.StringVar((*string)(&f.rule.Customer), "customer", "", "for this customer")
	flags.StringVar(&f.rule.Tier, "tier", "", "for customers of this tier")
	flags.StringVar((*string)(&f.rule.Item), "item", "", "for this item")
	flags.StringVar(&f.rule.Brand, "brand", "", "for items of this brand")
	flags.StringVar((*string)(&f.rule.Basis), "basis", string(catalog.OfFace), "face, cost or fixed")
	flags.StringVar(&f.percent, "percent", "", "of the face value or the cost, such as 98 or 97.5")
	flags.StringVar(&f.amount, "amount", "", "the fixed price")
	flags.StringVar(&f.currency, "currency", "USD", "ISO 4217 code of the fixed price")
	flags.IntVar(&f.rule.Priority, "priority", 0, "before others that are as near")
	flags.StringVar(&f.from, "from", "", "from when on it holds (RFC 3339)")
	flags.StringVar(&f.until, "until", "", "until when it holds (RFC 3339)")
}

// parse reads the flags that are more than texts.
func (f *priceFlags) parse() (err error) {
	if f.percent != "" {
		if f.rule.Percent, err = money.ParsePercent(f.percent); err != nil {
			return fmt.Errorf("percent %q: %w", f.percent, err)
		}
	}
	if f.amount != "" {
		parsed, err := shell.ParseAmount(f.amount, f.currency)
		if err != nil {
			return err
		}
		f.rule.Amount = catalog.Charged{Amount: parsed}
	}
	f.rule.From, f.rule.Until, err = parseSpan(f.from, f.until)
	return err
}

// changed returns an old rule with what the flags name put into it. A rule that gets another
// basis loses the percentage or the amount of the one before.
func (f *priceFlags) changed(cmd *cobra.Command, old catalog.Rule) catalog.Rule {
	r := f.rule
	for name, keep := range map[string]func(){
		"customer": func() { r.Customer = old.Customer }, "tier": func() { r.Tier = old.Tier },
		"item": func() { r.Item = old.Item }, "brand": func() { r.Brand = old.Brand }, "basis": func() { r.Basis = old.Basis },
		"priority": func() { r.Priority = old.Priority }, "from": func() { r.From = old.From }, "until": func() { r.Until = old.Until },
	} {
		if !cmd.Flags().Changed(name) {
			keep()
		}
	}
	fixed := r.Basis == catalog.Fixed
	if !cmd.Flags().Changed("percent") && !fixed {
		r.Percent = old.Percent
	}
	if !cmd.Flags().Changed("amount") && fixed {
		r.Amount = old.Amount
	}
	return r
}

func (p *program) setPrice() *cobra.Command {
	var f priceFlags
	cmd := &cobra.Command{
		Use: "price", Short: "Add a price rule, or change what the flags name of the one that --rule names", Args: cobra.NoArgs,
		Long: `Price adds a rule for what is charged: a percentage of the face value or of the cost,
or a fixed amount for one item. A rule for a customer comes before one for a tier before
one for all; among these one for an item before one for a brand before one for all; then
the higher priority. Without any rule the face value is charged. An item to which the
nearest rule gives no price, such as one without a cost, cannot be bought.

With --rule, what no flag names stays as it is; an empty flag, such as --until '', takes
something away.`,
		Example: `  scrip catalog price --percent 98
  scrip catalog price --tier gold --brand 'Google Play' --percent 95.5 --until 2027-01-01T00:00:00Z
  scrip catalog price --item GOOGLE-5USD-KOXx --basis fixed --amount 4.75
  scrip catalog price --basis cost --percent 105
  scrip catalog price --rule rule_01… --percent 97`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("currency") && f.amount == "" {
				return errors.New("--currency is that of --amount")
			}
			if f.rule.ID != "" {
				return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error { return p.changePrice(ctx, cmd, app, &f) })
			}
			if err := f.parse(); err != nil {
				return err
			}
			return p.With(cmd, func(ctx context.Context, app *server.App) error { return p.putPrice(ctx, cmd, app, f.rule) })
		},
	}
	f.flags(cmd)
	return cmd
}

// known returns not_found for a customer that is named and does not exist.
func known(ctx context.Context, app *server.App, customer account.CustomerID) error {
	if customer == "" {
		return nil
	}
	_, err := app.Accounts.FindCustomer(ctx, customer)
	return err
}

func (p *program) changePrice(ctx context.Context, cmd *cobra.Command, app *server.App, f *priceFlags) error {
	old, err := app.Catalog.FindPrice(ctx, f.rule.ID)
	if err != nil {
		return err
	}
	if old.Basis == catalog.Fixed && !cmd.Flags().Changed("currency") {
		f.currency = old.Amount.Currency.String()
	}
	if err := f.parse(); err != nil {
		return err
	}
	return p.putPrice(ctx, cmd, app, f.changed(cmd, old))
}

func (p *program) putPrice(ctx context.Context, cmd *cobra.Command, app *server.App, r catalog.Rule) error {
	if err := known(ctx, app, r.Customer); err != nil {
		return err
	}
	made, err := app.Catalog.PutPrice(ctx, r, shell.Actor())
	if err != nil {
		return err
	}
	return p.Show(cmd, []shell.Field{{"rule_id", made.ID}, {"revision", made.Revision}})
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
		Example: `  scrip catalog remove-price rule_01…`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				if err := app.Catalog.RemovePrice(ctx, catalog.RuleID(args[0]), shell.Actor()); err != nil {
					return err
				}
				cmd.Println("removed", args[0])
				return nil
			})
		},
	}
}

func (p *program) setTier() *cobra.Command {
	return &cobra.Command{
		Use: "tier CUSTOMER [TIER]", Short: "Have a customer pay a tier's prices, or no tier's", Args: cobra.RangeArgs(1, 2),
		Example: `  scrip catalog tier cus_01… gold
  scrip catalog tier cus_01…              # no tier any more`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				c, err := app.Accounts.FindCustomer(ctx, account.CustomerID(args[0]))
				if err != nil {
					return err
				}
				tier := strings.Join(args[1:], "")
				if err := app.Catalog.SetTier(ctx, c.ID, tier, shell.Actor()); err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"customer_id", c.ID}, {"tier", tier}})
			})
		},
	}
}
