package issuing

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) dispute() *cobra.Command {
	cmd := &cobra.Command{Use: "dispute", Short: "Contested payments: list, open, show, add evidence, decide"}
	cmd.AddCommand(p.listDisputes(), p.openDispute(), p.showDispute(), p.addEvidence(),
		p.moveDispute("review", dispute.UnderReview, "Send a dispute to the merchant's side"),
		p.moveDispute("represent", dispute.Represented, "Say that the merchant contests it"),
		p.moveDispute("win", dispute.Won, "Decide for the cardholder: what was credited stays"),
		p.moveDispute("lose", dispute.Lost, "Decide for the merchant: what was credited is taken back"),
		p.moveDispute("withdraw", dispute.Withdrawn, "Take a dispute back for the cardholder"))
	return cmd
}

func (p *program) listDisputes() *cobra.Command {
	var where, state string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List disputes of all customers, newest first", Args: cobra.NoArgs, Example: "  scrip dispute list --realm live --state opened",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := realm.Parse(where)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				f := dispute.Filter{Realm: r, State: dispute.State(state)}
				found, err := shell.Pages(limit, dispute.MaxPage, func(limit int, last *dispute.Dispute) ([]dispute.Dispute, error) {
					if f.Limit = limit; last != nil {
						f.Before = last.ID
					}
					return app.Disputes.List(ctx, f)
				})
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"dispute_id", "book_id", "authorization_id", "reason", "state", "amount", "currency", "due_at"}}
				for _, d := range found {
					l.Add(d.ID, d.Book, d.Payment, d.Reason, d.State, d.Amount, d.Amount.Currency, d.DueAt)
				}
				return p.Print(cmd, l)
			})
		},
	}
	shell.RealmFlag(cmd, &where, realm.Test)
	cmd.Flags().StringVar(&state, "state", "", "opened, under_review, represented, won, lost or withdrawn; empty: all")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at the most")
	return cmd
}

// describeDispute is a dispute as it is shown.
func describeDispute(d *dispute.Dispute) []shell.Field {
	return []shell.Field{{"dispute_id", d.ID}, {"authorization_id", d.Payment}, {"card_id", d.Card}, {"reason", d.Reason}, {"note", d.Note},
		{"state", d.State}, {"amount", d.Amount}, {"refunded", d.Refunded}, {"currency", d.Amount.Currency},
		{"credited", d.Credited}, {"evidence", d.Evidence}, {"decision", d.Decision}, {"due_at", d.DueAt}, {"created_at", d.CreatedAt}}
}

func (p *program) openDispute() *cobra.Command {
	var owner shell.Owner
	var o dispute.Opening
	var amount, currency, reason string
	cmd := &cobra.Command{
		Use: "open PAYMENT", Short: "Contest a payment for its cardholder", Args: cobra.ExactArgs(1),
		Long: `Open contests what a payment captured and did not give back, or a part of it, and credits
that until it is decided. Reasons are fraud, duplicate, not_received, not_as_described,
cancelled, credit_not_processed, wrong_amount and other.`,
		Example: "  scrip dispute open auth_01… --customer cus_01… --realm live --reason not_received --text 'ordered on 3 November'",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o.Payment, o.Reason = authorization.ID(args[0]), dispute.Reason(reason)
			if amount != "" {
				if o.Amount, err = shell.ParseAmount(amount, currency); err != nil {
					return err
				}
			}
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				o.Holder = h
				opened, err := app.Disputes.Open(ctx, o)
				if err != nil {
					return err
				}
				return p.Show(cmd, describeDispute(&opened))
			})
		},
	}
	owner.Flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&reason, "reason", "", "why, in a word")
	flags.StringVar(&o.Note, "note", "", "why, in the cardholder's words")
	flags.StringVar(&amount, "amount", "", "how much; all that is left unless stated")
	flags.StringVar(&currency, "currency", "USD", "ISO 4217 code of the amount")
	flags.StringVar(&o.Text, "text", "", "the first piece of evidence; it is kept sealed")
	shell.Must(cmd.MarkFlagRequired("reason"))
	return cmd
}

func (p *program) showDispute() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "show DISPUTE", Short: "Show where a dispute stands", Args: cobra.ExactArgs(1), Example: "  scrip dispute show dsp_01… --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				found, err := app.Disputes.Find(ctx, h.Book, dispute.ID(args[0]))
				if err != nil {
					return err
				}
				return p.Show(cmd, describeDispute(&found))
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) addEvidence() *cobra.Command {
	var owner shell.Owner
	var media string
	cmd := &cobra.Command{
		Use: "evidence DISPUTE FILE", Short: "Keep a text, PDF or picture with a dispute, sealed", Args: cobra.ExactArgs(2),
		Example: "  scrip dispute evidence dsp_01… receipt.pdf --customer cus_01… --realm live --type application/pdf",
		RunE: func(cmd *cobra.Command, args []string) error {
			content, err := shell.ReadBounded(args[1], dispute.MaxFile)
			if err != nil {
				return err
			}
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				added, err := app.Disputes.Add(ctx, dispute.Addition{Book: h.Book, Dispute: dispute.ID(args[0]), Actor: h.Actor,
					Evidence: dispute.Evidence{MediaType: media, Content: content}})
				if err != nil {
					return err
				}
				return p.Show(cmd, describeDispute(&added))
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&media, "type", "text/plain", "text/plain, application/pdf, image/jpeg or image/png")
	return cmd
}

func (p *program) moveDispute(verb string, to dispute.State, short string) *cobra.Command {
	var owner shell.Owner
	var words string
	cmd := &cobra.Command{
		Use: verb + " DISPUTE", Short: short, Args: cobra.ExactArgs(1),
		Example: "  scrip dispute " + verb + " dsp_01… --customer cus_01… --realm live --reason 'as the network decided'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				done, err := app.Disputes.Move(ctx, dispute.Step{Book: h.Book, Dispute: dispute.ID(args[0]), To: to, Words: words, Actor: h.Actor})
				if err != nil {
					return err
				}
				return p.Show(cmd, describeDispute(&done))
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&words, "reason", "", "why, which the cardholder is told; required to lose one")
	return cmd
}
