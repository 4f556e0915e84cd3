package wallet

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

func (p *program) deposit() *cobra.Command {
	cmd := &cobra.Command{Use: "deposit", Short: "Crypto deposits: list, simulate"}
	cmd.AddCommand(p.listDeposits(), p.simulate())
	return cmd
}

func (p *program) listDeposits() *cobra.Command {
	var owner shell.Owner
	var status, of string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's deposits, newest first", Args: cobra.NoArgs,
		Long: `List shows what a customer paid to the addresses of their wallet: pending deposits
are not credited yet, confirmed ones are, and expired ones are not or not any more.`,
		Example: "  scrip deposit list --customer cus_01… --realm live --status pending\n  scrip deposit list --customer cus_01… --asset BTC --limit 20",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f := deposit.Filter{Status: deposit.Status(status)}
			if of != "" {
				a, err := asset.Parse(of)
				if err != nil {
					return err
				}
				f.Asset = a
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) (err error) {
				if f.Book, _, err = owner.Book(ctx, app); err != nil {
					return err
				}
				found, err := shell.Pages(limit, deposit.MaxLimit, func(limit int, last *deposit.Deposit) ([]deposit.Deposit, error) {
					if f.Limit = limit; last != nil {
						f.Before = last.ID
					}
					page, err := app.Deposits.List(ctx, f)
					return page.Deposits, err
				})
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"deposit", "seen", "asset", "amount", "usd", "fee", "credited", "status", "reason", "confirmations", "transaction", "rate", "sources"}}
				for i := range found {
					l.Add(depositRow(&found[i])...)
				}
				return p.Print(cmd, l)
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&status, "status", "", "pending, confirmed or expired")
	cmd.Flags().StringVar(&of, "asset", "", "such as BTC or USDT-ERC20")
	cmd.Flags().IntVar(&limit, "limit", deposit.DefaultLimit, "how many at the most")
	return cmd
}

func depositRow(d *deposit.Deposit) []any {
	var rate any
	if !d.Rate.IsZero() {
		rate = d.Rate
	}
	return []any{d.ID, d.SeenAt, d.Amount.Asset, d.Amount, d.Value, d.Fee, d.Credited,
		d.Status, d.Reason, strconv.FormatInt(d.Confirmations, 10) + "/" + strconv.FormatInt(d.Required, 10),
		d.TxID + ":" + strconv.FormatInt(d.Index, 10), rate, d.Sources}
}

func (p *program) simulate() *cobra.Command {
	var customer string
	var confirmations int64
	cmd := &cobra.Command{
		Use: "simulate AMOUNT ASSET", Short: "Pay to a customer's wallet in the sandbox", Args: cobra.ExactArgs(2),
		Long: `Simulate pays to the address of a customer's wallet in the test realm, on a chain that
exists in this installation alone, and has so many blocks confirm it.`,
		Example: "  scrip deposit simulate 0.0075 BTC --customer cus_01… --confirmations 6",
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := asset.Parse(args[1])
			if err != nil {
				return err
			}
			amount, err := asset.ParseAmount(args[0], a)
			if err != nil {
				return fmt.Errorf("amount %q: %w", args[0], err)
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				c, err := app.Accounts.FindCustomer(ctx, account.CustomerID(customer))
				if err != nil {
					return err
				}
				d, err := app.Sandbox.Deposit(ctx, address.Wallet{Book: c.Test, Realm: realm.Test}, amount, confirmations)
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"deposit", d.ID}, {"status", d.Status}, {"reason", d.Reason},
					{"confirmations", fmt.Sprintf("%d/%d", d.Confirmations, d.Required)}, {"usd", d.Value}, {"fee", d.Fee},
					{"credited", d.Credited}, {"transaction", d.TxID}})
			})
		},
	}
	cmd.Flags().StringVar(&customer, "customer", "", "the customer's id")
	cmd.Flags().Int64Var(&confirmations, "confirmations", 0, "how many blocks follow")
	shell.Must(cmd.MarkFlagRequired("customer"))
	return cmd
}

func (p *program) rate() *cobra.Command {
	cmd := &cobra.Command{Use: "rate", Short: "What assets are worth: show"}
	cmd.AddCommand(p.showRate())
	return cmd
}

func (p *program) showRate() *cobra.Command {
	var in, code string
	cmd := &cobra.Command{
		Use: "show ASSET", Short: "Ask the sources of rates, and show what each says and what comes of it", Args: cobra.ExactArgs(1),
		Long: `Show asks every configured source what an asset costs and shows each answer, or why it
does not count. The line "rate" is what deposits would be credited at: the median of
those that count. Without a rate, the command fails.`,
		Example: "  scrip rate show BTC\n  scrip rate show USDT-ERC20 --realm test",
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := asset.Parse(args[0])
			if err != nil {
				return err
			}
			currency, err := money.Parse(code)
			if err != nil {
				return fmt.Errorf("currency %q: %w", code, err)
			}
			r, err := realm.Parse(in)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				quote, all, failed := app.Rates[r].Look(ctx, a, currency)
				l := shell.Listing{Columns: []string{"source", "price", "at", "problem"}}
				for _, o := range all {
					var price any
					if !o.Rate.IsZero() {
						price = o.Rate
					}
					l.Add(o.Source, price, o.At, o.Problem)
				}
				if failed == nil {
					l.Add("rate", quote.Rate, quote.At, "")
				}
				if err := p.Print(cmd, l); err != nil {
					return err
				}
				return failed
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Live)
	cmd.Flags().StringVar(&code, "currency", money.USD.String(), "ISO 4217 code")
	shell.SettingFlag(cmd, "deposits")
	return cmd
}
