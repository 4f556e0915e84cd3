package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/wallet"
)

func (p *program) customer() *cobra.Command {
	cmd := &cobra.Command{Use: "customer", Short: "Customers: make, list, show, load their wallets"}
	var name, email, search string
	create := &cobra.Command{
		Use: "create", Short: "Make a customer, with a live and a test book", Args: cobra.NoArgs,
		Example: `  scrip customer create --name "Corner Bakery" --email owner@bakery.example`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				c, err := app.Accounts.CreateCustomer(ctx, actor(), account.NewCustomer{Name: name, Email: email})
				if err != nil {
					return err
				}
				return p.show(cmd, customerFields(c))
			})
		},
	}
	create.Flags().StringVar(&name, "name", "", "the customer's name")
	create.Flags().StringVar(&email, "email", "", "e-mail address")
	must(create.MarkFlagRequired("name"))
	list := &cobra.Command{
		Use: "list", Short: "List customers, newest first, or find them", Args: cobra.NoArgs,
		Long:    "List shows all customers, or with --search those whose name, from any word on, or email address begins so.",
		Example: "  scrip customer list\n  scrip customer list --search bakery",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error { return p.listCustomers(ctx, cmd, app, search) })
		},
	}
	list.Flags().StringVar(&search, "search", "", "how the name, one of its words or the email address begins")
	show := &cobra.Command{
		Use: "show CUSTOMER", Short: "Show a customer", Args: cobra.ExactArgs(1), Example: "  scrip customer show cus_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				c, err := app.Accounts.FindCustomer(ctx, account.CustomerID(args[0]))
				if err != nil {
					return err
				}
				return p.show(cmd, customerFields(c))
			})
		},
	}
	cmd.AddCommand(create, list, show, p.loadWallet())
	return cmd
}

func (p *program) listCustomers(ctx context.Context, cmd *cobra.Command, app *server.App, search string) error {
	l := listing{columns: []string{"CUSTOMER", "NAME", "EMAIL", "STATE", "CREATED"}}
	find := app.Accounts.ListCustomers
	if search != "" {
		find = func(ctx context.Context, page account.Page) (account.List[account.Customer], error) {
			return app.Accounts.SearchCustomers(ctx, search, page)
		}
	}
	page := account.Page{Limit: 200}
	for {
		found, err := find(ctx, page)
		if err != nil {
			return err
		}
		for _, c := range found.Items {
			l.add(string(c.ID), c.Name, c.Email, string(c.State), moment(c.CreatedAt))
		}
		if page.After = found.Next; page.After == "" {
			return p.print(cmd, l)
		}
	}
}

func customerFields(c account.Customer) []field {
	return []field{{"customer", string(c.ID)}, {"name", c.Name}, {"email", c.Email}, {"state", string(c.State)},
		{"live book", string(c.Live)}, {"test book", string(c.Test)}, {"created", moment(c.CreatedAt)}}
}

func (p *program) loadWallet() *cobra.Command {
	var owner owned
	var amount, currency, reference string
	cmd := &cobra.Command{
		Use: "load", Short: "Record a bank transfer and credit the customer's wallet", Args: cobra.NoArgs,
		Long:    "Load posts a transfer once: a second load under the same reference answers as the first.",
		Example: "  scrip customer load --customer cus_01… --realm live --amount 250.00 --currency EUR --reference 'SEPA 2026-11-21 4711'",
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
				o, err := app.Wallets.Load(ctx, wallet.Load{Book: book, Realm: r, Amount: parsed, Reference: reference, Actor: actor()})
				if err != nil {
					return err
				}
				after, _ := o.Balance(wallet.Account(parsed.Currency).ID)
				return p.show(cmd, []field{{"transaction", string(o.Transaction)}, {"balance", after.Available.String()}, {"currency", currency}})
			})
		},
	}
	owner.flags(cmd)
	cmd.Flags().StringVar(&amount, "amount", "", "amount, such as 250.00")
	cmd.Flags().StringVar(&currency, "currency", "USD", "ISO 4217 code")
	cmd.Flags().StringVar(&reference, "reference", "", "the transfer's own reference")
	must(cmd.MarkFlagRequired("amount"))
	must(cmd.MarkFlagRequired("reference"))
	return cmd
}

func parseAmount(text, code string) (money.Amount, error) {
	currency, err := money.Parse(code)
	if err != nil {
		return money.Amount{}, fmt.Errorf("currency %q: %w", code, err)
	}
	amount, err := money.ParseAmount(text, currency)
	if err != nil {
		return money.Amount{}, fmt.Errorf("amount %q: %w", text, err)
	}
	return amount, nil
}

// owned is a customer in a realm, as flags name it.
type owned struct{ customer, realm string }

func (o *owned) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.customer, "customer", "", "the customer's id")
	cmd.Flags().StringVar(&o.realm, "realm", string(realm.Test), "live or test")
	must(cmd.MarkFlagRequired("customer"))
}

func (o *owned) book(ctx context.Context, app *server.App) (ledger.BookID, realm.Realm, error) {
	r, err := realm.Parse(o.realm)
	if err != nil {
		return "", "", err
	}
	c, err := app.Accounts.FindCustomer(ctx, account.CustomerID(o.customer))
	return c.Book(r), r, err
}

func (p *program) key() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "API keys: make, list, rotate, revoke"}
	cmd.AddCommand(p.createKey(), p.listKeys(), p.rotateKey(), p.revokeKey())
	return cmd
}

func (p *program) createKey() *cobra.Command {
	var owner owned
	var name string
	var scopes, networks []string
	cmd := &cobra.Command{
		Use: "create", Short: "Make an API key and show it this once", Args: cobra.NoArgs,
		Example: "  scrip key create --customer cus_01… --realm live --name till-1 --scope giftcard:read --scope giftcard:redeem",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				settings := account.KeySettings{Name: name}
				if settings.Scopes, err = account.ParseScopes(scopes); err != nil {
					return err
				}
				if settings.Networks, err = account.ParseNetworks(networks); err != nil {
					return err
				}
				issued, err := app.Accounts.CreateKey(ctx, actor(), account.NewKey{Book: book, KeySettings: settings})
				if err != nil {
					return err
				}
				return p.show(cmd, []field{{"key", string(issued.ID)}, {"secret", issued.Secret.Reveal()}, {"scopes", issued.Scopes.String()}})
			})
		},
	}
	owner.flags(cmd)
	cmd.Flags().StringVar(&name, "name", "", "what the key is for")
	cmd.Flags().StringSliceVar(&scopes, "scope", []string{"*"}, "what it may do; may stand several times")
	cmd.Flags().StringSliceVar(&networks, "from", nil, "addresses or networks it may be used from; none: any")
	must(cmd.MarkFlagRequired("name"))
	return cmd
}

func (p *program) listKeys() *cobra.Command {
	var owner owned
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's keys, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				found, err := app.Accounts.ListKeys(ctx, book, account.Page{Limit: 200})
				if err != nil {
					return err
				}
				l := listing{columns: []string{"KEY", "NAME", "LAST4", "SCOPES", "STATE", "LAST USED"}}
				for _, k := range found.Items {
					l.add(string(k.ID), k.Name, k.Last4, k.Scopes.String(), string(k.State(app.Clocks.Now(realm.Live))), moment(k.LastUsedAt))
				}
				return p.print(cmd, l)
			})
		},
	}
	owner.flags(cmd)
	return cmd
}

func (p *program) rotateKey() *cobra.Command {
	var owner owned
	var grace time.Duration
	cmd := &cobra.Command{
		Use: "rotate KEY", Short: "Make the key's successor; the old one works until the grace ends", Args: cobra.ExactArgs(1),
		Example: "  scrip key rotate key_01… --customer cus_01… --realm live --grace 24h",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				issued, err := app.Accounts.RotateKey(ctx, actor(), account.KeyRef{Book: book, ID: account.KeyID(args[0])}, account.KeyRotation{Grace: grace})
				if err != nil {
					return err
				}
				return p.show(cmd, []field{{"key", string(issued.ID)}, {"secret", issued.Secret.Reveal()}})
			})
		},
	}
	owner.flags(cmd)
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "how long the old key goes on working")
	return cmd
}

func (p *program) revokeKey() *cobra.Command {
	var owner owned
	cmd := &cobra.Command{
		Use: "revoke KEY", Short: "End a key at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				if err := app.Accounts.RevokeKey(ctx, actor(), account.KeyRef{Book: book, ID: account.KeyID(args[0])}); err != nil {
					return err
				}
				cmd.Println("revoked", args[0])
				return nil
			})
		},
	}
	owner.flags(cmd)
	return cmd
}

func (p *program) merchant() *cobra.Command {
	cmd := &cobra.Command{Use: "merchant", Short: "Signing credentials of gift card merchants: make, list, rotate"}
	cmd.AddCommand(p.createMerchant(), p.listMerchants(), p.rotateMerchant())
	return cmd
}

func (p *program) createMerchant() *cobra.Command {
	var owner owned
	var name, client string
	cmd := &cobra.Command{
		Use: "create", Short: "Make a client id and its secret, shown this once", Args: cobra.NoArgs,
		Example: "  scrip merchant create --customer cus_01… --realm live --name 'Web shop'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				issued, err := app.Accounts.CreateMerchant(ctx, actor(), account.NewMerchant{Book: book, Name: name, ClientID: account.ClientID(client)})
				if err != nil {
					return err
				}
				return p.show(cmd, []field{{"client id", string(issued.ClientID)}, {"secret", issued.Secret.Reveal()}})
			})
		},
	}
	owner.flags(cmd)
	cmd.Flags().StringVar(&name, "name", "", "what the credential is for")
	cmd.Flags().StringVar(&client, "client-id", "", "a client id of your choice; empty: one is made")
	must(cmd.MarkFlagRequired("name"))
	return cmd
}

func (p *program) listMerchants() *cobra.Command {
	var owner owned
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's client ids", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				found, err := app.Accounts.ListMerchants(ctx, book)
				if err != nil {
					return err
				}
				l := listing{columns: []string{"CLIENT ID", "NAME", "STATE", "CREATED"}}
				for _, m := range found {
					l.add(string(m.ClientID), m.Name, string(m.State), moment(m.CreatedAt))
				}
				return p.print(cmd, l)
			})
		},
	}
	owner.flags(cmd)
	return cmd
}

func (p *program) rotateMerchant() *cobra.Command {
	var owner owned
	var grace time.Duration
	cmd := &cobra.Command{
		Use: "rotate CLIENT-ID", Short: "Make a new secret; the old one signs until the grace ends", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				issued, err := app.Accounts.RotateMerchant(ctx, actor(), account.MerchantRef{Book: book, ClientID: account.ClientID(args[0])}, account.MerchantRotation{Grace: grace})
				if err != nil {
					return err
				}
				return p.show(cmd, []field{{"client id", string(issued.ClientID)}, {"secret", issued.Secret.Reveal()}})
			})
		},
	}
	owner.flags(cmd)
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "how long the old secret goes on signing")
	return cmd
}

func (p *program) operator() *cobra.Command {
	cmd := &cobra.Command{Use: "operator", Short: "Operators of this installation and their keys"}
	var name, role string
	create := &cobra.Command{
		Use: "create", Short: "Make an operator and a first key, shown this once", Args: cobra.NoArgs,
		Example: "  scrip operator create --name Ada\n  scrip operator create --name 'Night shift' --role support",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				o, err := app.Accounts.CreateOperator(ctx, actor(), account.NewOperator{Name: name, Role: account.Role(role)})
				if err != nil {
					return err
				}
				issued, err := app.Accounts.CreateOperatorKey(ctx, actor(), account.NewOperatorKey{Operator: o.ID, Name: "first key"})
				if err != nil {
					return err
				}
				return p.show(cmd, []field{{"operator", string(o.ID)}, {"role", string(o.Role)}, {"secret", issued.Secret.Reveal()}})
			})
		},
	}
	create.Flags().StringVar(&name, "name", "", "the operator's name")
	create.Flags().StringVar(&role, "role", string(account.RoleAdmin), "admin, support or auditor")
	must(create.MarkFlagRequired("name"))
	list := &cobra.Command{
		Use: "list", Short: "List operators", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				found, err := app.Accounts.ListOperators(ctx, account.Page{Limit: 200})
				if err != nil {
					return err
				}
				l := listing{columns: []string{"OPERATOR", "NAME", "ROLE", "STATE"}}
				for _, o := range found.Items {
					l.add(string(o.ID), o.Name, strings.ToLower(string(o.Role)), string(o.State))
				}
				return p.print(cmd, l)
			})
		},
	}
	cmd.AddCommand(create, list)
	return cmd
}

// maxKeyFile bounds the file of a public key, in bytes.
const maxKeyFile = 16 << 10

func (p *program) signer() *cobra.Command {
	cmd := &cobra.Command{Use: "signer", Short: "Public keys of customers whose requests for codes must be signed: set, show, remove"}
	cmd.AddCommand(p.setSigner(), p.showSigner(), p.removeSigner())
	return cmd
}

func (p *program) setSigner() *cobra.Command {
	var owner owned
	cmd := &cobra.Command{
		Use: "set FILE", Short: "Demand signatures by an RSA key from now on, or by another one", Args: cobra.ExactArgs(1),
		Long: "Set reads a public key in PEM, as openssl rsa -pubout writes it; - is the standard input. From then on the customer's\n" +
			"calls of the reseller API (cardpluspay) need a challenge and its signature.",
		Example: "  scrip signer set acme.pem --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readKey(cmd, args[0])
			if err != nil {
				return err
			}
			return p.changeSigner(cmd, &owner, text)
		},
	}
	owner.flags(cmd)
	return cmd
}

// readKey reads a file of bounded size.
func readKey(cmd *cobra.Command, name string) (string, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", fmt.Errorf("read public key: %w", err)
		}
		defer func() { _ = file.Close() }() // only read
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxKeyFile))
	if err != nil {
		return "", fmt.Errorf("read public key: %w", err)
	}
	if len(text) == 0 {
		return "", fault.New(fault.InvalidRequest, "the file of the public key is empty")
	}
	return string(text), nil
}

func (p *program) changeSigner(cmd *cobra.Command, owner *owned, key string) error {
	return p.with(cmd, func(ctx context.Context, app *server.App) error {
		book, _, err := owner.book(ctx, app)
		if err != nil {
			return err
		}
		made, err := app.Accounts.SetSigner(ctx, actor(), book, key)
		if err != nil {
			return err
		}
		return p.show(cmd, signerFields(made, key != ""))
	})
}

func (p *program) showSigner() *cobra.Command {
	var owner owned
	cmd := &cobra.Command{
		Use: "show", Short: "Show whether a customer's requests must be signed", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				found, signs, err := app.Accounts.FindSigner(ctx, book)
				if err != nil {
					return err
				}
				return p.show(cmd, signerFields(found, signs))
			})
		},
	}
	owner.flags(cmd)
	return cmd
}

func (p *program) removeSigner() *cobra.Command {
	var owner owned
	cmd := &cobra.Command{
		Use: "remove", Short: "Demand no signatures any more", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.changeSigner(cmd, &owner, "") },
	}
	owner.flags(cmd)
	return cmd
}

func signerFields(s account.Signer, signs bool) []field {
	if !signs {
		return []field{{"signed requests", "no"}}
	}
	return []field{{"signed requests", "yes"}, {"sha256", s.Fingerprint}, {"since", moment(s.ChangedAt)}}
}

// must is for what only a mistake in this program can break.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
