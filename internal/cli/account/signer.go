package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
)

// maxKeyFile bounds the file of a public key, in bytes.
const maxKeyFile = 16 << 10

func (p *program) signer() *cobra.Command {
	cmd := &cobra.Command{Use: "signer", Short: "Public keys of customers whose requests for codes must be signed: set, show, remove"}
	cmd.AddCommand(p.setSigner(), p.showSigner(), p.removeSigner())
	return cmd
}

func (p *program) setSigner() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "set FILE", Short: "Demand signatures by an RSA key from now on, or by another one", Args: cobra.ExactArgs(1),
		Long: "Set reads a public key in PEM, as openssl rsa -pubout writes it; - is the standard input. From then on the customer's\n" +
			"calls of the reseller API (cardpluspay) need a challenge and its signature.",
		Example: "  scrip signer set acme.pem --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := shell.ReadInput(cmd, args[0], maxKeyFile)
			if err != nil {
				return fmt.Errorf("read public key: %w", err)
			}
			if len(text) == 0 { // the product would demand no signatures any more
				return errors.New("the file of the public key is empty")
			}
			return p.changeSigner(cmd, &owner, string(text))
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) changeSigner(cmd *cobra.Command, owner *shell.Owner, key string) error {
	return p.WithBook(cmd, owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
		made, err := app.Accounts.SetSigner(ctx, shell.Actor(), book, key)
		if err != nil {
			return err
		}
		return p.Show(cmd, signerFields(made, key != ""))
	})
}

func (p *program) showSigner() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "show", Short: "Show whether a customer's requests must be signed", Args: cobra.NoArgs,
		Example: `  scrip signer show --customer cus_01… --realm live`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				found, signs, err := app.Accounts.FindSigner(ctx, book)
				if err != nil {
					return err
				}
				return p.Show(cmd, signerFields(found, signs))
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) removeSigner() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "remove", Short: "Demand no signatures any more", Args: cobra.NoArgs,
		Example: `  scrip signer remove --customer cus_01… --realm live`,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.changeSigner(cmd, &owner, "") },
	}
	owner.Flags(cmd)
	return cmd
}

func signerFields(s account.Signer, signs bool) []shell.Field {
	if !signs {
		return []shell.Field{{"signed requests", shell.Cell{Text: "no", Value: false}}}
	}
	return []shell.Field{{"signed requests", shell.Cell{Text: "yes", Value: true}}, {"sha256", s.Fingerprint}, {"since", s.ChangedAt}}
}
