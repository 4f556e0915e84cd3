package cashout

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/review"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
)

// inRealm makes a command about a realm.
func (p *program) inRealm(cmd *cobra.Command, do func(ctx context.Context, cmd *cobra.Command, app *server.App, r realm.Realm) error) *cobra.Command {
	var name string
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r, err := realm.Parse(name)
		if err != nil {
			return err
		}
		return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error { return without(app, do(ctx, cmd, app, r)) })
	}
	shell.RealmFlag(cmd, &name, realm.Test)
	return cmd
}

// without adds to a refusal that a command lacks the settings which the server has.
func without(app *server.App, err error) error {
	code := fault.CodeOf(err)
	if app.Cashout.File != "" || code != fault.Unavailable && code != fault.FeatureDisabled {
		return err
	}
	return fmt.Errorf("%w: give the command the settings cashout and payouts that the server has", err)
}

// onOrder makes a command about one order of a book.
func (p *program) onOrder(cmd *cobra.Command, do func(ctx context.Context, app *server.App, r review.Ref) (review.Case, error)) *cobra.Command {
	cmd.Args = cobra.ExactArgs(2)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
			c, err := do(ctx, app, review.Ref{Book: ledger.BookID(args[0]), Order: cashout.ID(args[1]), Actor: shell.Actor()})
			if err != nil {
				return without(app, err)
			}
			return p.printCases(cmd, []review.Case{c})
		})
	}
	return cmd
}

func (p *program) queue() *cobra.Command {
	return p.inRealm(&cobra.Command{Use: "queue", Short: "List the orders that wait for a reviewer, the 200 that waited longest",
		Example: "  scrip cashout queue --realm live"}, func(ctx context.Context, cmd *cobra.Command, app *server.App, r realm.Realm) error {
		found, err := app.Cashout.Reviews.Queue(ctx, r, review.MaxQueue)
		if err != nil {
			return err
		}
		return p.printCases(cmd, found)
	})
}

func (p *program) list() *cobra.Command {
	var status string
	var limit int
	cmd := p.inRealm(&cobra.Command{Use: "list", Short: "List orders, newest first", Example: "  scrip cashout list --realm live\n  scrip cashout list --realm live --status blocked --limit 1000"},
		func(ctx context.Context, cmd *cobra.Command, app *server.App, r realm.Realm) error {
			f := cashout.Filter{Realm: r, Status: cashout.Status(status)}
			found, err := shell.Pages(limit, cashout.MaxPage, func(limit int, last *review.Case) ([]review.Case, error) {
				if f.Limit = limit; last != nil {
					f.Before = last.ID
				}
				return app.Cashout.Reviews.List(ctx, f)
			})
			if err != nil {
				return err
			}
			return p.printCases(cmd, found)
		})
	cmd.Flags().StringVar(&status, "status", "", "one status; empty: all")
	cmd.Flags().IntVar(&limit, "limit", cashout.MaxPage, "how many at the most")
	return cmd
}

func (p *program) printCases(cmd *cobra.Command, cases []review.Case) error {
	l := shell.Listing{Columns: []string{"order_id", "book_id", "status", "amount", "currency", "bitcoin", "method", "submitted_at", "reviewer", "first_reviewer", "rejections", "payout_id", "reason"}}
	for i := range cases {
		c := &cases[i]
		l.Add(c.ID, c.Book, c.Status, c.Amount, c.Amount.Currency, c.Bitcoin, c.To.Method,
			c.SubmittedAt, c.Reviewer, c.First, c.Round, c.Payout, reasonOf(c))
	}
	return p.Print(cmd, l)
}

// reasonOf is why an order is as it is, and who asks to clear the match that blocks it.
func reasonOf(c *review.Case) string {
	if c.Match == nil || c.Match.Asked.By == "" {
		return c.Reason
	}
	return c.Reason + "; " + c.Match.Asked.By + " asks to clear it: " + c.Match.Asked.Why
}

func (p *program) show() *cobra.Command {
	return &cobra.Command{
		Use: "show BOOK ORDER", Short: "Show the images of an order, what was said about them, and those of other orders that look alike", Args: cobra.ExactArgs(2),
		Example: "  scrip cashout show bk_01… cash_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				o, err := app.Cashout.Orders.Get(ctx, ledger.BookID(args[0]), cashout.ID(args[1]))
				if err != nil {
					return err
				}
				verdicts, err := app.Cashout.Orders.Verdicts(ctx, &o)
				if err != nil {
					return err
				}
				pictures, err := app.Cashout.Orders.Pictures(ctx, &o)
				if err != nil {
					return err
				}
				return p.printImages(cmd, &o, verdicts, pictures)
			})
		},
	}
}

// countTwins says how many pictures look like one of an order, and in which way, the closest
// first; of those of other orders and of its own each.
func countTwins(o *cashout.Order, twins []cashout.Twin) string {
	var text []string
	for _, own := range []bool{true, false} {
		counts := map[string]int{}
		for _, twin := range twins {
			if (twin.Order == o.ID) == own {
				counts[twin.Resemblance]++
			}
		}
		for _, way := range []string{"same_photo", "same_card", "same_design"} {
			if n := counts[way]; n > 0 && own {
				text = append(text, strconv.Itoa(n)+" "+way+" of this order")
			} else if n > 0 {
				text = append(text, strconv.Itoa(n)+" "+way)
			}
		}
	}
	return strings.Join(text, ", ")
}

func (p *program) printImages(cmd *cobra.Command, o *cashout.Order, verdicts []cashout.Verdict, pictures []cashout.Image) error {
	l := shell.Listing{Columns: []string{"image_type", "image_id", "uploaded_at", "size", "twins", "verdict", "reason", "note", "by"}}
	for _, kind := range o.Needs() {
		row := []any{kind, nil, nil, nil, nil, nil, nil, nil, nil}
		for i := range pictures {
			if m := &pictures[i]; m.Kind == kind {
				row[1], row[2], row[3], row[4] = m.ID, m.UploadedAt, strconv.Itoa(m.Width)+"x"+strconv.Itoa(m.Height), countTwins(o, m.Twins)
			}
		}
		for i := range verdicts {
			if v := &verdicts[i]; v.Kind == kind {
				row[5], row[6], row[7], row[8] = "rejected", v.Reason, v.Note, v.Actor
				if v.Accepted {
					row[5] = "accepted"
				}
			}
		}
		l.Add(row...)
	}
	return p.Print(cmd, l)
}
