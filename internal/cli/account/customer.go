package account

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/ping/quota"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/wallet"
)

func (p *program) customer() *cobra.Command {
	cmd := &cobra.Command{Use: "customer", Short: "Customers: make, list, show, load their wallets, set their quotas"}
	var name, email, search string
	create := &cobra.Command{
		Use: "create", Short: "Make a customer, with a live and a test book", Args: cobra.NoArgs,
		Example: `  scrip customer create --name "Corner Bakery" --email owner@bakery.example`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.With(cmd, func(ctx context.Context, app *server.App) error {
				c, err := app.Accounts.CreateCustomer(ctx, shell.Actor(), account.NewCustomer{Name: name, Email: email})
				if err != nil {
					return err
				}
				return p.Show(cmd, customerFields(c))
			})
		},
	}
	create.Flags().StringVar(&name, "name", "", "the customer's name")
	create.Flags().StringVar(&email, "email", "", "e-mail address")
	shell.Must(create.MarkFlagRequired("name"))
	list := &cobra.Command{
		Use: "list", Short: "List customers, newest first, or find them", Args: cobra.NoArgs,
		Long:    "List shows all customers, or with --search those whose name, from any word on, or email address begins so.",
		Example: "  scrip customer list\n  scrip customer list --search bakery",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error { return p.listCustomers(ctx, cmd, app, search) })
		},
	}
	list.Flags().StringVar(&search, "search", "", "how the name, one of its words or the email address begins")
	show := &cobra.Command{
		Use: "show CUSTOMER", Short: "Show a customer", Args: cobra.ExactArgs(1), Example: "  scrip customer show cus_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				c, err := app.Accounts.FindCustomer(ctx, account.CustomerID(args[0]))
				if err != nil {
					return err
				}
				return p.Show(cmd, customerFields(c))
			})
		},
	}
	cmd.AddCommand(create, list, show, p.loadWallet(), p.customerQuota())
	return cmd
}

func (p *program) listCustomers(ctx context.Context, cmd *cobra.Command, app *server.App, search string) error {
	l := shell.Listing{Columns: []string{"customer_id", "name", "email", "state", "created_at"}}
	find := app.Accounts.ListCustomers
	if search != "" {
		find = func(ctx context.Context, page account.Page) (account.List[account.Customer], error) {
			return app.Accounts.SearchCustomers(ctx, search, page)
		}
	}
	found, err := all(ctx, find)
	if err != nil {
		return err
	}
	for _, c := range found {
		l.Add(c.ID, c.Name, c.Email, c.State, c.CreatedAt)
	}
	return p.Print(cmd, l)
}

func customerFields(c account.Customer) []shell.Field {
	return []shell.Field{{"customer_id", c.ID}, {"name", c.Name}, {"email", c.Email}, {"state", c.State},
		{"live_book_id", c.Live}, {"test_book_id", c.Test}, {"created_at", c.CreatedAt}}
}

func (p *program) loadWallet() *cobra.Command {
	var owner shell.Owner
	var amount, currency, reference string
	cmd := &cobra.Command{
		Use: "load", Short: "Record a bank transfer and credit the customer's wallet", Args: cobra.NoArgs,
		Long:    "Load posts a transfer once: a second load under the same reference answers as the first.",
		Example: "  scrip customer load --customer cus_01… --realm live --amount 250.00 --currency EUR --reference 'SEPA 2026-11-21 4711'",
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
				load := wallet.Load{Book: book, Realm: r, Amount: parsed, Reference: reference, Actor: shell.Actor()}
				if err := record(ctx, app, load); err != nil {
					return err
				}
				o, err := app.Wallets.Load(ctx, load)
				if err != nil {
					return err
				}
				after, _ := o.Balance(wallet.Account(parsed.Currency).ID)
				return p.Show(cmd, []shell.Field{{"transaction_id", o.Transaction}, {"balance", after.Available}, {"currency", currency}})
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&amount, "amount", "", "amount, such as 250.00")
	cmd.Flags().StringVar(&currency, "currency", "USD", "ISO 4217 code")
	cmd.Flags().StringVar(&reference, "reference", "", "the transfer's own reference")
	shell.Must(cmd.MarkFlagRequired("amount"))
	shell.Must(cmd.MarkFlagRequired("reference"))
	return cmd
}

// record tells the audit log of a load before it is made, as the operator API does.
func record(ctx context.Context, app *server.App, l wallet.Load) error {
	owner, err := app.Accounts.FindOwner(ctx, l.Book)
	if err != nil {
		return err
	}
	r := audit.Record{Actor: l.Actor, Action: "wallet.load", Subject: string(owner.Customer), Book: string(l.Book), At: app.Clocks.Now(l.Realm),
		Detail: map[string]string{"amount": l.Amount.String(), "currency": l.Amount.Currency.String(), "reference": audit.Clean(l.Reference)}}
	return app.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return app.Audit.Append(ctx, tx, r) })
}

func (p *program) customerQuota() *cobra.Command {
	var checks int64
	var standard bool
	cmd := &cobra.Command{
		Use: "quota CUSTOMER", Short: "Show, or set, how many balance checks a customer may make in a month", Args: cobra.ExactArgs(1),
		Long: `Quota shows how many balance checks a customer may make in a calendar month (UTC) of the
live realm, and how many were made in this one. --checks sets a figure of the
customer's own, which counts for what was made this month too; 0 allows none.
--standard takes it back. Running servers follow within seconds. The test realm has no
quota.`,
		Example: "  scrip customer quota cus_01…\n  scrip customer quota cus_01… --checks 5000\n  scrip customer quota cus_01… --standard",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				c, err := app.Accounts.FindCustomer(ctx, account.CustomerID(args[0]))
				if err != nil {
					return err
				}
				change := quota.Change{Book: c.Live, Actor: shell.Actor()}
				if cmd.Flags().Changed("checks") {
					change.Checks = &checks
				}
				var q quota.Quota
				if change.Checks != nil || standard {
					q, err = app.Pings.Quotas.Change(ctx, change)
				} else {
					q, err = app.Pings.Quotas.Find(ctx, c.Live)
				}
				if err != nil {
					return err
				}
				return p.Show(cmd, quotaFields(c.ID, q))
			})
		},
	}
	cmd.Flags().Int64Var(&checks, "checks", 0, "the customer's own figure")
	cmd.Flags().BoolVar(&standard, "standard", false, "the installation's figure from now on")
	cmd.MarkFlagsMutuallyExclusive("checks", "standard")
	return cmd
}

func quotaFields(customer account.CustomerID, q quota.Quota) []shell.Field {
	var figure any = shell.Cell{Text: "any number"}
	if q.Bounded {
		figure = q.Checks
	}
	whose := "standard"
	if q.Own {
		whose = "own"
	}
	return []shell.Field{{"customer_id", customer}, {"checks per month", figure}, {"figure", whose}, {"period", q.Period}, {"used", q.Used}, {"ends_at", q.EndsAt}}
}
