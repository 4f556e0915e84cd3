package account

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) key() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "API keys: make, list, rotate, revoke"}
	cmd.AddCommand(p.createKey(), p.listKeys(), p.rotateKey(), p.revokeKey())
	return cmd
}

func (p *program) createKey() *cobra.Command {
	var owner shell.Owner
	var name string
	var scopes, networks []string
	cmd := &cobra.Command{
		Use: "create", Short: "Make an API key and show it this once", Args: cobra.NoArgs,
		Long: `Create makes a key that may do what its scopes say: ` + strings.Join(account.NewScopes(account.AllScopes()...).Names(), ", ") + `.
The scope * is everything.`,
		Example: "  scrip key create --customer cus_01… --realm live --name till-1 --scope giftcard:read --scope giftcard:redeem",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) (err error) {
				settings := account.KeySettings{Name: name}
				if settings.Scopes, err = account.ParseScopes(scopes); err != nil {
					return err
				}
				if settings.Networks, err = account.ParseNetworks(networks); err != nil {
					return err
				}
				issued, err := app.Accounts.CreateKey(ctx, shell.Actor(), account.NewKey{Book: book, KeySettings: settings})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"key_id", issued.ID}, {"secret", issued.Secret.Reveal()}, {"scopes", issued.Scopes.Names()}})
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&name, "name", "", "what the key is for")
	cmd.Flags().StringSliceVar(&scopes, "scope", []string{"*"}, "what it may do, see above; may stand several times")
	cmd.Flags().StringSliceVar(&networks, "from", nil, "addresses or networks it may be used from; none: any")
	shell.Must(cmd.MarkFlagRequired("name"))
	return cmd
}

func (p *program) listKeys() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's keys, newest first", Args: cobra.NoArgs,
		Example: `  scrip key list --customer cus_01… --realm live`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				found, err := all(ctx, func(ctx context.Context, page account.Page) (account.List[account.Key], error) {
					return app.Accounts.ListKeys(ctx, book, page)
				})
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"key_id", "name", "last4", "scopes", "state", "last_used_at"}}
				for _, k := range found {
					l.Add(k.ID, k.Name, k.Last4, k.Scopes.Names(), k.State(app.Clocks.Now(realm.Live)), k.LastUsedAt)
				}
				return p.Print(cmd, l)
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) rotateKey() *cobra.Command {
	var owner shell.Owner
	var grace time.Duration
	cmd := &cobra.Command{
		Use: "rotate KEY", Short: "Make the key's successor; the old one works until the grace ends", Args: cobra.ExactArgs(1),
		Example: "  scrip key rotate key_01… --customer cus_01… --realm live --grace 24h",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				issued, err := app.Accounts.RotateKey(ctx, shell.Actor(), account.KeyRef{Book: book, ID: account.KeyID(args[0])}, account.KeyRotation{Grace: grace})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"key_id", issued.ID}, {"secret", issued.Secret.Reveal()}})
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "how long the old key goes on working")
	return cmd
}

func (p *program) revokeKey() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "revoke KEY", Short: "End a key at once", Args: cobra.ExactArgs(1),
		Example: `  scrip key revoke key_01… --customer cus_01… --realm live`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				if err := app.Accounts.RevokeKey(ctx, shell.Actor(), account.KeyRef{Book: book, ID: account.KeyID(args[0])}); err != nil {
					return err
				}
				cmd.Println("revoked", args[0])
				return nil
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}
