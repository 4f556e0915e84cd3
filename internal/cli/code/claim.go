package code

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) claim() *cobra.Command {
	cmd := &cobra.Command{Use: "claim", Short: "What buyers say is dead: list, show, replace, refund, reject, give-up, deny"}
	cmd.AddCommand(p.listClaims(), p.showClaim(),
		p.decideClaim(claim.Replace, &cobra.Command{
			Use: "replace BOOK CLAIM", Short: "Give other codes of the item for codes of a claim",
			Long: `Replace puts as many codes of the item in the places of the dead ones in the order, all
or none. They come from whoever supplies the item: stock, gift cards that are made, or an
upstream, asked in the order in which orders ask them. The buyer pays nothing for them, and
you pay what their supplier asks: one that wants more than the buyer paid is passed over,
unless its route has --below-cost.

While an upstream is at it the codes are "replacing": a server goes on with that. When
nobody delivers they are open again, for you to refund them, or to replace them later.
Replacing again changes nothing.

A dead code that is a gift card of this installation, made when it was sold, is voided once
another one has its place. Look at "claim show" first: a card that was used is not replaced
unless you add --accept-used, and when one is used while an upstream is at it, the codes are
open again. Codes from stock and upstreams cannot be voided.`,
			Example: "  scrip claim replace bk_01… claim_01…\n  scrip claim replace bk_01… claim_01… --codes 2,3\n  scrip claim replace bk_01… claim_01… --codes 4 --accept-used",
		}),
		p.decideClaim(claim.Refund, &cobra.Command{
			Use: "refund BOOK CLAIM", Short: "Pay back what was charged for codes of a claim",
			Long: `Refund pays back to the buyer's wallet what was charged for the codes. An order all of
whose codes are refunded becomes refunded. Refunding again changes nothing.

A code that is a gift card of this installation, made when it was sold, is voided with it,
for what is left on it. One that was used is not refunded unless you add --accept-used.`,
			Example: "  scrip claim refund bk_01… claim_01… --reason 'the shop confirmed it'",
		}),
		p.decideClaim(claim.Reject, &cobra.Command{
			Use: "reject BOOK CLAIM", Short: "Leave codes of a claim as they are, and tell the buyer why",
			Example: "  scrip claim reject bk_01… claim_01… --reason 'redeemed by your customer on 21 November'",
		}),
		p.interveneClaim(&cobra.Command{
			Use: "give-up BOOK CLAIM", Short: "Ask nobody else for replacements of a claim, and their supplier to cancel",
			Long: `Give-up has nobody else asked for codes of a claim that are being replaced. Their supplier
is asked to cancel: the codes are open again, for you to refund them say, unless the
supplier delivers all the same.`,
			Example: "  scrip claim give-up bk_01… claim_01… --reason 'the buyer wants the money'",
		}, (*claim.Service).GiveUp),
		p.interveneClaim(&cobra.Command{
			Use: "deny BOOK CLAIM", Short: "Say that a supplier will never deliver replacements of a claim",
			Long: `Deny is for codes that are being replaced by a supplier that does not say what became of
them. Ask the supplier's people first: if it delivers after all, what it sends is bought
for nobody. The next supplier is asked then, or the codes are open again.`,
			Example: "  scrip claim deny bk_01… claim_01… --reason 'Acme, ticket 4711: never arrived'",
		}, (*claim.Service).Deny))
	return cmd
}

func (p *program) listClaims() *cobra.Command {
	var name, state string
	cmd := &cobra.Command{
		Use: "list", Short: "List claims of all customers, newest first", Args: cobra.NoArgs,
		Example: "  scrip claim list --realm live\n  scrip claim list --realm live --state rejected",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := realm.Parse(name)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				return p.runListClaims(ctx, cmd, app, claim.Filter{Realm: r, State: claim.State(state), Limit: claim.MaxPage})
			})
		},
	}
	shell.RealmFlag(cmd, &name, realm.Test)
	cmd.Flags().StringVar(&state, "state", string(claim.Open), "open, processing, accepted, rejected, or empty for all")
	return cmd
}

func (p *program) runListClaims(ctx context.Context, cmd *cobra.Command, app *server.App, f claim.Filter) error {
	l := shell.Listing{Columns: []string{"claim_id", "book_id", "order_id", "codes", "reason", "state", "created_at"}}
	for {
		found, err := app.Claims.List(ctx, f)
		if err != nil {
			return err
		}
		for i := range found {
			c := &found[i]
			places := make([]any, len(c.Lines))
			for j := range c.Lines {
				places[j] = c.Lines[j].Place
			}
			l.Add(c.ID, c.Book, c.Order, shell.Cell{Text: strings.Join(shell.Texts(places), ","), Value: places}, c.Reason, c.State, c.CreatedAt)
			f.Before = c.ID
		}
		if len(found) < f.Limit {
			return p.Print(cmd, l)
		}
	}
}

func (p *program) showClaim() *cobra.Command {
	return &cobra.Command{
		Use: "show BOOK CLAIM", Short: "Show the codes of a claim: who saw each first, the gift cards that they are, and what was decided", Args: cobra.ExactArgs(2),
		Example: "  scrip claim show bk_01… claim_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				found, err := app.Claims.Find(ctx, ledger.BookID(args[0]), claim.ID(args[1]))
				if err != nil {
					return err
				}
				return p.printClaim(cmd, &found)
			})
		},
	}
}

// printClaim shows the codes of a claim, each with what belongs to the whole.
func (p *program) printClaim(cmd *cobra.Command, c *claim.Claim) error {
	l := shell.Listing{Columns: []string{"order_id", "ordered_at", "number", "first_revealed_at", "first_revealed_to", "charged", "currency", "reason", "note", "card_status", "card_balance",
		"card_currency", "first_used_at", "voiding", "state", "decision",
		"decided_by", "decided_at", "transaction_id"}}
	for i := range c.Lines {
		line := &c.Lines[i]
		var status, left, in, used any
		if card := line.Card; card != nil {
			status, left, in, used = card.Status, card.Balance, card.Balance.Currency, card.FirstAt
		}
		l.Add(c.Order, c.OrderedAt, line.Place, line.FirstLook.At, line.FirstLook.Actor,
			line.Charged, line.Charged.Currency, c.Reason, c.Note, status, left, in, used, line.Voiding(), line.Verdict, line.Decision, line.Actor,
			line.DecidedAt, line.Transaction)
	}
	return p.Print(cmd, l)
}

// decideClaim makes the command of a verdict of one that explains itself.
func (p *program) decideClaim(v claim.Verdict, cmd *cobra.Command) *cobra.Command {
	var places []int
	var reason string
	var acceptUsed bool
	cmd.Args = cobra.ExactArgs(2)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
			decided, err := app.Claims.Decide(ctx, claim.Decision{Book: ledger.BookID(args[0]), Claim: claim.ID(args[1]), Verdict: v, Places: places,
				Reason: reason, Actor: shell.Actor(), AcceptUsed: acceptUsed, Patience: true})
			if err != nil {
				return err
			}
			return p.printClaim(cmd, &decided)
		})
	}
	cmd.Flags().IntSliceVar(&places, "codes", nil, "numbers of codes in the order; all that are open unless given")
	cmd.Flags().StringVar(&reason, "reason", "", "what the buyer is told")
	if v == claim.Reject {
		shell.Must(cmd.MarkFlagRequired("reason"))
	} else {
		cmd.Flags().BoolVar(&acceptUsed, "accept-used", false, "even codes whose gift cards were used")
	}
	if v == claim.Replace {
		shell.SettingFlag(cmd, "secrets") // suppliers are asked
	}
	return cmd
}

// interveneClaim completes a command about replacements of a claim that are under way.
func (p *program) interveneClaim(cmd *cobra.Command, do func(*claim.Service, context.Context, claim.Intervention) (claim.Claim, error)) *cobra.Command {
	var reason string
	cmd.Args = cobra.ExactArgs(2)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
			now, err := do(app.Claims, ctx, claim.Intervention{Book: ledger.BookID(args[0]), Claim: claim.ID(args[1]), Reason: reason, Actor: shell.Actor()})
			if err != nil {
				return err
			}
			return p.printClaim(cmd, &now)
		})
	}
	cmd.Flags().StringVar(&reason, "reason", "", "for the audit log")
	shell.Must(cmd.MarkFlagRequired("reason"))
	return cmd
}
