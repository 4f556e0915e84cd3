package cashout

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/review"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) claim() *cobra.Command {
	return p.onOrder(&cobra.Command{Use: "claim BOOK ORDER", Short: "Take an order in hand, so that nobody else decides about it",
		Example: "  scrip cashout claim bk_01… cash_01…"}, func(ctx context.Context, app *server.App, r review.Ref) (review.Case, error) {
		return app.Cashout.Reviews.Claim(ctx, r)
	})
}

func (p *program) release() *cobra.Command {
	return p.onOrder(&cobra.Command{Use: "release BOOK ORDER", Short: "Give an order back that was taken in hand",
		Example: "  scrip cashout release bk_01… cash_01…"}, func(ctx context.Context, app *server.App, r review.Ref) (review.Case, error) {
		return app.Cashout.Reviews.Release(ctx, r)
	})
}

func (p *program) approve() *cobra.Command {
	return p.onOrder(&cobra.Command{Use: "approve BOOK ORDER", Short: "Accept all images of an order that is in hand, and have it paid",
		Long: `Approve accepts every image of the order. It is paid then; above an amount, once a second
person has approved it, too.`,
		Example: "  scrip cashout approve bk_01… cash_01…"}, func(ctx context.Context, app *server.App, r review.Ref) (review.Case, error) {
		return decide(ctx, app, r, nil)
	})
}

func (p *program) reject() *cobra.Command {
	var bad []string
	var note string
	cmd := p.onOrder(&cobra.Command{Use: "reject BOOK ORDER", Short: "Send an order in hand back to its customer, for the images that are bad",
		Long: `Reject names the images that are bad, each with a reason: blurred, cut_off, wrong_picture,
mismatch, no_value, edited, seen_before, expired, face_mismatch or other. The others are
accepted. The customer is told the reasons and the note.`,
		Example: "  scrip cashout reject bk_01… cash_01… --image Image2=cut_off\n  scrip cashout reject bk_01… cash_01… --image Image1=other --note 'Uncover the whole card.'"},
		func(ctx context.Context, app *server.App, r review.Ref) (review.Case, error) {
			judged, err := judgements(bad, note)
			if err != nil {
				return review.Case{}, err
			}
			return decide(ctx, app, r, judged)
		})
	cmd.Flags().StringSliceVar(&bad, "image", nil, "an image that is bad and why, TYPE=REASON; may be repeated")
	cmd.Flags().StringVar(&note, "note", "", "words for the customer")
	shell.Must(cmd.MarkFlagRequired("image"))
	return cmd
}

// judgements reads TYPE=REASON.
func judgements(bad []string, note string) ([]review.Judgement, error) {
	var all []review.Judgement
	for _, text := range bad {
		kind, reason, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("image %q: want TYPE=REASON, such as Image2=cut_off", text)
		}
		all = append(all, review.Judgement{Kind: cashout.Kind(kind), Reason: cashout.Reason(reason), Note: note})
	}
	return all, nil
}

// decide accepts every image that is not judged.
func decide(ctx context.Context, app *server.App, r review.Ref, judged []review.Judgement) (review.Case, error) {
	c, err := app.Cashout.Reviews.Find(ctx, r.Book, r.Order)
	if err != nil {
		return review.Case{}, err
	}
	d := review.Decision{Ref: r, Judgements: judged}
	for _, kind := range c.Needs() {
		known := false
		for i := range judged {
			known = known || judged[i].Kind == kind
		}
		if !known {
			d.Judgements = append(d.Judgements, review.Judgement{Kind: kind, Accept: true})
		}
	}
	return app.Cashout.Reviews.Decide(ctx, d)
}

func (p *program) refuse() *cobra.Command {
	var reason string
	cmd := p.onOrder(&cobra.Command{Use: "refuse BOOK ORDER", Short: "Cancel an order for good; its customer is told that there is none",
		Example: "  scrip cashout refuse bk_01… cash_01… --reason 'the card was reported stolen'"},
		func(ctx context.Context, app *server.App, r review.Ref) (review.Case, error) {
			return app.Cashout.Reviews.Refuse(ctx, r, reason)
		})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	shell.Must(cmd.MarkFlagRequired("reason"))
	return cmd
}

func (p *program) clear() *cobra.Command {
	var reason string
	var confirm, decline bool
	cmd := p.onOrder(&cobra.Command{Use: "clear BOOK ORDER", Short: "Ask to clear the match that blocks an order, or decide about it as somebody else",
		Long: `Clear asks another person to find that the match with a list which blocks the order is false,
and says why. That other person has it cleared with --confirm: then the order is paid, unless
another match blocks it, and the same match counts no more for this order alone. With
--decline the order stays blocked, and nobody asks any more.`,
		Example: "  scrip cashout clear bk_01… cash_01… --reason 'another date of birth than on the list'\n  scrip cashout clear bk_01… cash_01… --confirm --reason 'compared with the document'"},
		func(ctx context.Context, app *server.App, r review.Ref) (review.Case, error) {
			if confirm || decline {
				return app.Cashout.Reviews.Clear(ctx, review.Clearance{Ref: r, Accept: confirm, Reason: reason})
			}
			return app.Cashout.Reviews.AskToClear(ctx, r, reason)
		})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.Flags().BoolVar(&confirm, "confirm", false, "the match is false: pay the order that somebody else asked for")
	cmd.Flags().BoolVar(&decline, "decline", false, "the match stands: keep the order blocked")
	cmd.MarkFlagsMutuallyExclusive("confirm", "decline")
	shell.Must(cmd.MarkFlagRequired("reason"))
	return cmd
}

func (p *program) payAgain() *cobra.Command {
	var to string
	cmd := p.onOrder(&cobra.Command{Use: "pay BOOK ORDER", Short: "Pay an order whose payout failed, where it said or elsewhere",
		Long: `Pay makes the payout once more. Of an order above the amount that two people approve, its
customer alone says another place.`,
		Example: "  scrip cashout pay bk_01… cash_01…\n  scrip cashout pay bk_01… cash_01… --to ada@example.com"},
		func(ctx context.Context, app *server.App, r review.Ref) (review.Case, error) {
			return app.Cashout.Reviews.PayAgain(ctx, r, to)
		})
	cmd.Flags().StringVar(&to, "to", "", "an address, an invoice or a Lightning Address; where the order said unless given")
	return cmd
}

func (p *program) stop() *cobra.Command {
	return p.inRealm(&cobra.Command{Use: "stop", Short: "Stop payouts: no new payment leaves, what is on its way goes on",
		Example: "  scrip cashout stop --realm live"}, func(ctx context.Context, cmd *cobra.Command, app *server.App, r realm.Realm) error {
		if err := app.Cashout.Payouts.Stop(ctx, shell.Actor(), r); err != nil {
			return err
		}
		return p.printSwitch(cmd, r, "stopped")
	})
}

func (p *program) resume() *cobra.Command {
	return p.inRealm(&cobra.Command{Use: "resume", Short: "Let payouts leave again",
		Long: `Resume ends what stop, or the restore of a backup, began.

After a restore, first find what left since the backup with "scrip cashout adopt --since
TIME": it settles the payouts that were paid. Refuse orders that wait for a reviewer and
cancel payouts that wait, where what it lists as unknown has paid them, or they are paid
once more.`,
		Example: "  scrip cashout resume --realm live"}, func(ctx context.Context, cmd *cobra.Command, app *server.App, r realm.Realm) error {
		if err := app.Cashout.Payouts.Resume(ctx, shell.Actor(), r); err != nil {
			return err
		}
		return p.printSwitch(cmd, r, "running")
	})
}

func (p *program) printSwitch(cmd *cobra.Command, r realm.Realm, state string) error {
	l := shell.Listing{Columns: []string{"realm", "payouts"}}
	l.Add(r, state)
	return p.Print(cmd, l)
}
