package account

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) seed() *cobra.Command {
	cmd := &cobra.Command{
		Use: "seed", Short: "Seeds of holders of virtual cards: make, list, rotate, revoke",
		Long: "A seed such as c4f4-6e88-036c-761c opens a customer's cards and wallet in one realm: clients send it as X-Seed.\n" +
			"It is shown once. Who has none yet gets one, with a customer of its own, from GET /v1/api/.",
	}
	cmd.AddCommand(p.createSeed(), p.listSeeds(), p.rotateSeed(), p.revokeSeed())
	return cmd
}

func (p *program) createSeed() *cobra.Command {
	var owner shell.Owner
	var name string
	cmd := &cobra.Command{
		Use: "create", Short: "Make a seed and show it this once", Args: cobra.NoArgs,
		Example: "  scrip seed create --customer cus_01… --realm live --name 'Ad team'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, r, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
				who, err := app.Accounts.FindOwner(ctx, book)
				if err != nil {
					return err
				}
				made, err := app.Accounts.CreateSeed(ctx, shell.Actor(), account.NewSeed{Customer: who.Customer, Realm: r, Name: name})
				if err != nil {
					return err
				}
				return p.Show(cmd, issuedSeed(made))
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&name, "name", "", "what the seed is for")
	shell.Must(cmd.MarkFlagRequired("name"))
	return cmd
}

func issuedSeed(s account.IssuedSeed) []shell.Field {
	return []shell.Field{{"seed_id", s.ID}, {"seed", s.Secret.Reveal()}, {"realm", s.Realm}}
}

func (p *program) listSeeds() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's seeds, newest first", Args: cobra.NoArgs, Example: "  scrip seed list --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				found, err := all(ctx, func(ctx context.Context, page account.Page) (account.List[account.Seed], error) {
					return app.Accounts.ListSeeds(ctx, book, page)
				})
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"seed_id", "name", "state", "created_at", "last_used_at"}}
				for _, s := range found {
					l.Add(s.ID, s.Name, s.State(app.Clocks.Now(realm.Live)), s.CreatedAt, s.LastUsedAt)
				}
				return p.Print(cmd, l)
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) rotateSeed() *cobra.Command {
	var owner shell.Owner
	var grace time.Duration
	cmd := &cobra.Command{
		Use: "rotate ID", Short: "Make the seed's successor; the old one works until the grace ends", Args: cobra.ExactArgs(1),
		Example: "  scrip seed rotate seed_01… --customer cus_01… --realm live --grace 24h",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				made, err := app.Accounts.RotateSeed(ctx, shell.Actor(), account.SeedRef{Book: book, ID: account.SeedID(args[0])}, account.SeedRotation{Grace: grace})
				if err != nil {
					return err
				}
				return p.Show(cmd, issuedSeed(made))
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "how long the old seed goes on working")
	return cmd
}

func (p *program) revokeSeed() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "End a seed at once; cards and wallet stay the customer's", Args: cobra.ExactArgs(1),
		Example: "  scrip seed revoke seed_01… --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				if err := app.Accounts.RevokeSeed(ctx, shell.Actor(), account.SeedRef{Book: book, ID: account.SeedID(args[0])}); err != nil {
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
