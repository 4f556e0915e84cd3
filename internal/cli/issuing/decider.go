package issuing

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization/decision"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) decider() *cobra.Command {
	cmd := &cobra.Command{Use: "decider", Short: "The server that a customer wants asked about payments: set, show, remove"}
	cmd.AddCommand(p.setDecider(), p.showDecider(), p.removeDecider())
	return cmd
}

// maxSecretFile bounds a file with a secret, in bytes.
const maxSecretFile = 1024

func (p *program) setDecider() *cobra.Command {
	var owner shell.Owner
	var file, otherwise string
	var deadline time.Duration
	cmd := &cobra.Command{
		Use: "set URL", Short: "Have a server asked about each payment that the rules allow", Args: cobra.ExactArgs(1),
		Long: `Set names the HTTPS address that is asked about each payment of a customer's cards that
the rules allow, and about each increment. It can only decline. The secret that signs the
questions is shown once; without --secret-file the one there is stays, or one is made.`,
		Example: "  scrip decider set https://decide.example/payments --customer cus_01… --realm live --deadline 800ms --otherwise decline",
		RunE: func(cmd *cobra.Command, args []string) error {
			put := decision.Put{Actor: shell.Actor(), Decider: decision.Decider{URL: args[0], Deadline: deadline, Otherwise: decision.Otherwise(otherwise)}}
			if file != "" {
				text, err := shell.ReadBounded(file, maxSecretFile)
				if err != nil {
					return err
				}
				put.Secret = pan.NewSecret(strings.TrimSpace(string(text)))
				if put.Secret.IsZero() {
					return errors.New(file + " is empty")
				}
			}
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				put.Book = h.Book
				saved, err := app.Decisions.Put(ctx, put)
				if err != nil {
					return err
				}
				fields := describeDecider(&saved.Decider)
				if !saved.Secret.IsZero() {
					fields = append(fields, shell.Field{"secret", saved.Secret.Reveal()})
				}
				return p.Show(cmd, fields)
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().DurationVar(&deadline, "deadline", decision.DefaultDeadline, "how long it may take, 50ms to 5s")
	cmd.Flags().StringVar(&otherwise, "otherwise", string(decision.StandIn), "what happens without an answer: approve, decline or stand_in")
	cmd.Flags().StringVar(&file, "secret-file", "", "a file with a secret of 16 to 256 bytes")
	return cmd
}

// describeDecider is a decider as it is shown.
func describeDecider(d *decision.Decider) []shell.Field {
	return []shell.Field{{"url", d.URL}, {"deadline", d.Deadline}, {"otherwise", d.Otherwise}, {"changed_at", d.ChangedAt}}
}

func (p *program) showDecider() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "show", Short: "Show which server is asked", Args: cobra.NoArgs, Example: "  scrip decider show --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				found, err := app.Decisions.Find(ctx, h.Book)
				if err != nil {
					return err
				}
				return p.Show(cmd, describeDecider(&found))
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) removeDecider() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "remove", Short: "Have nobody asked any more", Args: cobra.NoArgs, Example: "  scrip decider remove --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				if err := app.Decisions.Delete(ctx, h.Book, shell.Actor()); err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"decider", "removed"}})
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}
