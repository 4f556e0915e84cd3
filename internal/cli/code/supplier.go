package code

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) supplier() *cobra.Command {
	cmd := &cobra.Command{Use: "supplier", Short: "Who delivers codes beyond the stock: add, change, route, look after orders"}
	cmd.AddCommand(p.addSupplier(), p.changeSupplier(), p.listSuppliers(), p.showSupplier(), p.removeSupplier(),
		p.route(), p.unroute(), p.listRoutes(), p.listOpen(), p.giveUp(), p.deny())
	return cmd
}

// supplierFlags are what a supplier is described with.
type supplierFlags struct {
	realm, name, kind, file string
	timeout                 time.Duration
	concurrency             int
	inactive                bool
}

func (f *supplierFlags) flags(cmd *cobra.Command) {
	shell.RealmFlag(cmd, &f.realm, realm.Test)
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "what operators are shown")
	flags.StringVar(&f.file, "file", "", "its configuration, a JSON file; - is standard input")
	flags.DurationVar(&f.timeout, "timeout", 0, "longest time of a call about an order; 0: the default")
	flags.IntVar(&f.concurrency, "concurrency", 0, "calls of one process at once; 0: the default")
	flags.BoolVar(&f.inactive, "inactive", false, "do not ask it for codes")
	shell.SettingFlag(cmd, "secrets")
}

// apply puts the flags that were set into what a supplier is.
func (f *supplierFlags) apply(cmd *cobra.Command, to *supply.Configured) {
	for name, change := range map[string]func(){
		"name": func() { to.Name = f.name }, "timeout": func() { to.Timeout = f.timeout },
		"concurrency": func() { to.Concurrency = f.concurrency }, "inactive": func() { to.Active = !f.inactive },
	} {
		if cmd.Flags().Changed(name) {
			change()
		}
	}
}

// description reads the configuration; none is empty.
func (f *supplierFlags) description(cmd *cobra.Command) ([]byte, error) {
	if f.file == "" {
		return nil, nil
	}
	return shell.ReadInput(cmd, f.file, supply.MaxConfig)
}

func (p *program) addSupplier() *cobra.Command {
	var f supplierFlags
	cmd := &cobra.Command{
		Use: "add SUPPLIER", Short: "Configure a supplier; routes say which items it delivers", Args: cobra.ExactArgs(1),
		Long: `Add configures a supplier under an id of 2 to 32 letters, digits and underscores. Of the
kind cardpluspay it is an upstream that speaks this installation's own API for codes; of
the kind giftcard it makes gift cards of a customer as they are sold. What the
configuration looks like is told by docs/operate/suppliers.md; it is opened once before
it is stored, sealed, and never shown again. Files with secrets that it names must be in
the folder that the setting "secrets" names.`,
		Example: `  scrip supplier add acme --realm live --name 'Acme Codes' --file acme.json --secrets /etc/scrip/secrets
  echo '{"customer":"cus_01…"}' | scrip supplier add house --realm live --name 'Our own cards' --kind giftcard --file -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := realm.Parse(f.realm)
			if err != nil {
				return err
			}
			text, err := f.description(cmd)
			if err != nil {
				return err
			}
			to := supply.Configured{Realm: r, ID: args[0], Kind: f.kind, Active: true}
			f.apply(cmd, &to)
			return p.With(cmd, func(ctx context.Context, app *server.App) error {
				made, err := app.Supply.Add(ctx, supply.Setup{Configured: to, Config: text, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Show(cmd, supplierFields(made))
			})
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&f.kind, "kind", "cardpluspay", "cardpluspay or giftcard")
	shell.Must(cmd.MarkFlagRequired("name"))
	shell.Must(cmd.MarkFlagRequired("file"))
	return cmd
}

func (p *program) changeSupplier() *cobra.Command {
	var f supplierFlags
	var same bool
	cmd := &cobra.Command{
		Use: "change SUPPLIER", Short: "Change what the flags name; orders under way go on with it", Args: cobra.ExactArgs(1),
		Example: `  scrip supplier change acme --realm live --inactive
  scrip supplier change acme --realm live --inactive=false --file acme.json --secrets /etc/scrip/secrets`,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := f.description(cmd)
			if err != nil {
				return err
			}
			return p.inRealm(cmd, f.realm, func(ctx context.Context, app *server.App, r realm.Realm) error {
				changed, err := app.Supply.Change(ctx, supply.Setup{Configured: supply.Configured{Realm: r, ID: args[0]},
					Edit: func(to *supply.Configured) { f.apply(cmd, to) }, Config: text, SameAccount: same, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Show(cmd, supplierFields(changed))
			})
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&same, "same-account", false, "other credentials are of the account that it had: orders under way are asked for with them")
	return cmd
}

// inRealm opens an installation that exists for a command about a realm.
func (p *program) inRealm(cmd *cobra.Command, name string, do func(context.Context, *server.App, realm.Realm) error) error {
	r, err := realm.Parse(name)
	if err != nil {
		return err
	}
	return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error { return do(ctx, app, r) })
}

// supplierFields leaves out the state, which is that of the process that asks.
func supplierFields(c supply.Configured) []shell.Field {
	return []shell.Field{{"supplier_id", c.ID}, {"realm", c.Realm}, {"name", c.Name}, {"kind", c.Kind}, {"active", c.Active},
		{"timeout", shell.OrDefault(c.Timeout)}, {"concurrency", shell.OrDefault(c.Concurrency)}, {"created_at", c.CreatedAt}, {"changed_at", c.ChangedAt}}
}

func (p *program) listSuppliers() *cobra.Command {
	var in string
	cmd := &cobra.Command{
		Use: "list", Short: "List the suppliers of a realm", Args: cobra.NoArgs, Example: "  scrip supplier list --realm live",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.inRealm(cmd, in, func(ctx context.Context, app *server.App, r realm.Realm) error {
				found, err := app.Supply.List(ctx, r)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"supplier_id", "name", "kind", "active", "changed_at"}}
				for _, c := range found {
					l.Add(c.ID, c.Name, c.Kind, c.Active, c.ChangedAt)
				}
				return p.Print(cmd, l)
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
	return cmd
}

func (p *program) showSupplier() *cobra.Command {
	var in string
	cmd := &cobra.Command{
		Use: "show SUPPLIER", Short: "Show a supplier without its configuration", Args: cobra.ExactArgs(1), Example: "  scrip supplier show acme --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.inRealm(cmd, in, func(ctx context.Context, app *server.App, r realm.Realm) error {
				found, err := app.Supply.Find(ctx, r, args[0])
				if err != nil {
					return err
				}
				return p.Show(cmd, supplierFields(found))
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
	return cmd
}

func (p *program) removeSupplier() *cobra.Command {
	var in string
	cmd := &cobra.Command{
		Use: "remove SUPPLIER", Short: "Remove an inactive supplier that has no order under way", Args: cobra.ExactArgs(1), Example: "  scrip supplier remove acme --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.inRealm(cmd, in, func(ctx context.Context, app *server.App, r realm.Realm) error {
				if err := app.Supply.Remove(ctx, supply.Removal{Realm: r, ID: args[0], Actor: shell.Actor()}); err != nil {
					return err
				}
				cmd.Println("removed", args[0])
				return nil
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
	return cmd
}

func (p *program) listOpen() *cobra.Command {
	var in string
	cmd := &cobra.Command{
		Use: "open", Short: "List what suppliers were asked for and did not answer to the end", Args: cobra.NoArgs,
		Long: `Open lists, oldest first, the orders under way of a realm with the supplier that has to
deliver them: how often it was asked, and what is known. An order whose state is sent may
be delivered or not: it is asked again until the supplier says so. Where codes of a claim
are to be replaced, the claim is named.`,
		Example: "  scrip supplier open --realm live",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.inRealm(cmd, in, func(ctx context.Context, app *server.App, r realm.Realm) error {
				found, err := app.Supply.OpenSubmissions(ctx, r)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"book_id", "order_id", "claim_id", "supplier_id", "codes", "state", "reference", "asked", "sent_at", "reason"}}
				for _, s := range found {
					state := string(s.State)
					if s.State == supply.Unknown {
						state = "sent"
					}
					l.Add(s.Book, s.Order, claim.OfKey(s.Remedy), s.Supplier, s.Quantity, state, s.Reference, s.Asked, s.SentAt, s.Reason)
				}
				return p.Print(cmd, l)
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
	return cmd
}

func (p *program) giveUp() *cobra.Command {
	cmd := &cobra.Command{
		Use: "give-up BOOK ORDER", Short: "Ask nobody else for an order, and its supplier to cancel",
		Long: `Give-up has nobody else asked for an order under way. Its supplier is asked to cancel:
the order is cancelled and its money is free, unless the supplier delivers all the same.`,
		Example: "  scrip supplier give-up bk_01… 17 --reason 'the buyer called it off'",
	}
	return p.intervention(cmd, func(ctx context.Context, app *server.App, i order.Intervention) error {
		return app.Orders.GiveUp(ctx, i)
	})
}

func (p *program) deny() *cobra.Command {
	cmd := &cobra.Command{
		Use: "deny BOOK ORDER", Short: "Say that a supplier will never deliver an order",
		Long: `Deny is for an order whose supplier does not say what became of it. Ask the supplier's
people first: if it delivers after all, what it sends is bought for nobody. The next
supplier is asked then, or the order fails.`,
		Example: "  scrip supplier deny bk_01… 17 --reason 'Acme, ticket 4711: never arrived'",
	}
	return p.intervention(cmd, func(ctx context.Context, app *server.App, i order.Intervention) error { return app.Orders.Deny(ctx, i) })
}

// intervention completes a command about an order under way, which a server then goes on with.
func (p *program) intervention(cmd *cobra.Command, do func(context.Context, *server.App, order.Intervention) error) *cobra.Command {
	var reason string
	cmd.Args = cobra.ExactArgs(2)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		number, err := orderNumber(args[1])
		if err != nil {
			return err
		}
		return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
			i := order.Intervention{Book: ledger.BookID(args[0]), Number: number, Reason: reason, Actor: shell.Actor()}
			if err := do(ctx, app, i); err != nil {
				return err
			}
			cmd.Println("a server goes on with order", args[1])
			return nil
		})
	}
	cmd.Flags().StringVar(&reason, "reason", "", "for the audit log")
	shell.Must(cmd.MarkFlagRequired("reason"))
	return cmd
}
