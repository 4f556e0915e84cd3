package account

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) merchant() *cobra.Command {
	cmd := &cobra.Command{Use: "merchant", Short: "Signing credentials of gift card merchants: make, list, rotate, disable, enable"}
	cmd.AddCommand(p.createMerchant(), p.listMerchants(), p.rotateMerchant(),
		p.merchantState("disable", "End a credential at once", account.MerchantDisabled),
		p.merchantState("enable", "Let a credential that was disabled sign again", account.MerchantActive))
	return cmd
}

func (p *program) merchantState(use, short string, to account.MerchantState) *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: use + " CLIENT-ID", Short: short, Args: cobra.ExactArgs(1),
		Example: "  scrip merchant " + use + " mch_01… --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				m, err := app.Accounts.SetMerchantState(ctx, shell.Actor(), account.MerchantRef{Book: book, ClientID: account.ClientID(args[0])}, to)
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"client id", m.ClientID}, {"name", m.Name}, {"state", m.State}})
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) createMerchant() *cobra.Command {
	var owner shell.Owner
	var name, client string
	cmd := &cobra.Command{
		Use: "create", Short: "Make a client id and its secret, shown this once", Args: cobra.NoArgs,
		Example: "  scrip merchant create --customer cus_01… --realm live --name 'Web shop'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				issued, err := app.Accounts.CreateMerchant(ctx, shell.Actor(), account.NewMerchant{Book: book, Name: name, ClientID: account.ClientID(client)})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"client id", issued.ClientID}, {"secret", issued.Secret.Reveal()}})
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&name, "name", "", "what the credential is for")
	cmd.Flags().StringVar(&client, "client-id", "", "a client id of your choice; empty: one is made")
	shell.Must(cmd.MarkFlagRequired("name"))
	return cmd
}

func (p *program) listMerchants() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's client ids", Args: cobra.NoArgs,
		Example: `  scrip merchant list --customer cus_01… --realm live`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				found, err := app.Accounts.ListMerchants(ctx, book)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"client id", "name", "state", "created_at"}}
				for _, m := range found {
					l.Add(m.ClientID, m.Name, m.State, m.CreatedAt)
				}
				return p.Print(cmd, l)
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) rotateMerchant() *cobra.Command {
	var owner shell.Owner
	var grace time.Duration
	cmd := &cobra.Command{
		Use: "rotate CLIENT-ID", Short: "Make a new secret; the old one signs until the grace ends", Args: cobra.ExactArgs(1),
		Example: `  scrip merchant rotate mch_01… --customer cus_01… --realm live
  scrip merchant rotate mch_01… --customer cus_01… --realm live --grace 0     # the old secret was stolen`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				issued, err := app.Accounts.RotateMerchant(ctx, shell.Actor(), account.MerchantRef{Book: book, ClientID: account.ClientID(args[0])}, account.MerchantRotation{Grace: grace})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"client id", issued.ClientID}, {"secret", issued.Secret.Reveal()}})
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "how long the old secret goes on signing")
	return cmd
}
