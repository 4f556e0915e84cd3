package issuing

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) card() *cobra.Command {
	cmd := &cobra.Command{Use: "card", Short: "Virtual cards: issue, fund, list, show, freeze, replace, terminate"}
	cmd.AddCommand(p.issueCard(), p.fundCard(), p.listCards(), p.showCard(), p.replaceCard(), p.terminateCard(),
		p.step("freeze", "Keep a card from new payments; its holder cannot undo it", func(app *server.App) stepping { return app.Issuing.Freeze }),
		p.step("unfreeze", "Let a frozen card pay again, whoever froze it", func(app *server.App) stepping { return app.Issuing.Unfreeze }))
	return cmd
}

func (p *program) issueCard() *cobra.Command {
	var owner shell.Owner
	var n issuing.NewCard
	var amount, currency, limit, person string
	var within map[string]string
	var times map[string]int64
	cmd := &cobra.Command{
		Use: "issue", Short: "Issue a card from a customer's wallet", Args: cobra.NoArgs,
		Long: `Issue makes an active card and has the customer's wallet pay what is on it at first.
Its number is not shown: the customer reads it over the API. New cards need the setting
"issuing" as the server has it, in the file or as SCRIP_ISSUING=true.`,
		Example: `  scrip card issue --customer cus_01… --realm live --bin 491653 --amount 500 --label 'Ad spend'
  scrip card issue --customer cus_01… --bin 531993 --amount 50 --limit 200 --category software --category 5734 --single-use
  scrip card issue --customer cus_01… --bin 531993 --amount 50 --within payment=20,day=40 --times day=3 --merchant 000123456789 --country US`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if n.Amount, err = shell.ParseAmount(amount, currency); err != nil {
				return err
			}
			if limit != "" {
				if n.SpendingLimit, err = shell.ParseAmount(limit, currency); err != nil {
					return err
				}
			}
			if n.Controls.Limits, err = limits(within, times, currency); err != nil {
				return err
			}
			n.Cardholder = cardholder.ID(person)
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				card, err := app.Issuing.Issue(ctx, h, n)
				if fault.CodeOf(err) == fault.FeatureDisabled {
					err = fmt.Errorf("%w: give the command the setting issuing that the server has", err)
				}
				if err != nil {
					return err
				}
				return p.Show(cmd, describe(&card))
			})
		},
	}
	owner.Flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&n.BIN, "bin", "", "the BIN, as scrip bin list has it")
	flags.StringVar(&amount, "amount", "", "what is on it at first, such as 50.00")
	flags.StringVar(&currency, "currency", "USD", "ISO 4217 code")
	flags.StringVar(&n.Label, "label", "", "what its holder calls it")
	flags.StringVar(&limit, "limit", "", "the most that it may spend in a month; empty: the BIN's")
	flags.StringSliceVar(&n.Categories, "category", nil, "allow merchants of a category, such as software or 7372; may be repeated")
	flags.StringVar(&person, "cardholder", "", "for whom it is; empty: nobody in particular")
	flags.BoolVar(&n.Controls.SingleUse, "single-use", false, "its first captured payment is its last")
	flags.StringToStringVar(&within, "within", nil, "the most that it may spend in a payment, day, week, month, year or its life, such as day=200")
	flags.StringToInt64Var(&times, "times", nil, "how often it may pay in a day, week, month, year or its life, such as day=3")
	flags.StringSliceVar(&n.Controls.Countries, "country", nil, "allow merchants of a country alone, ISO 3166-1; may be repeated")
	flags.StringVar(&n.Controls.Merchant, "merchant", "", "the only merchant that may charge it, by the acquirer's merchant id")
	flags.StringVar(&n.Key, "key", "", "makes the command repeatable")
	for _, name := range []string{"bin", "amount"} {
		shell.Must(cmd.MarkFlagRequired(name))
	}
	return cmd
}

// limits reads what may be spent, and how often, within windows.
func limits(within map[string]string, times map[string]int64, currency string) ([]spending.Limit, error) {
	var all []spending.Limit
	for window, text := range within {
		amount, err := shell.ParseAmount(text, currency)
		if err != nil {
			return nil, err
		}
		all = append(all, spending.Limit{Window: spending.Window(window), Amount: amount, Count: times[window]})
	}
	for window, count := range times {
		if _, both := within[window]; !both {
			all = append(all, spending.Limit{Window: spending.Window(window), Count: count})
		}
	}
	return all, nil
}

func (p *program) fundCard() *cobra.Command {
	var owner shell.Owner
	var amount, currency, key string
	cmd := &cobra.Command{
		Use: "fund CARD", Short: "Put money of the wallet on a card", Args: cobra.ExactArgs(1),
		Example: "  scrip card fund card_01… --customer cus_01… --realm live --amount 200 --key july",
		RunE: func(cmd *cobra.Command, args []string) error {
			parsed, err := shell.ParseAmount(amount, currency)
			if err != nil {
				return err
			}
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				m, err := app.Issuing.Fund(ctx, h, issuing.Transfer{Card: issuing.CardID(args[0]), Amount: parsed, Key: key})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"card_id", args[0]}, {"previous", m.Previous}, {"balance", m.New},
					{"repaid", m.Repaid}, {"wallet", m.Wallet}, {"transaction_id", m.Transaction}})
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&amount, "amount", "", "how much, such as 200.00")
	cmd.Flags().StringVar(&currency, "currency", "USD", "ISO 4217 code")
	cmd.Flags().StringVar(&key, "key", "", "makes the command repeatable")
	shell.Must(cmd.MarkFlagRequired("amount"))
	return cmd
}

func (p *program) listCards() *cobra.Command {
	var owner shell.Owner
	var f issuing.Filter
	var status, sort string
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's cards", Args: cobra.NoArgs,
		Example: `  scrip card list --customer cus_01… --realm live
  scrip card list --customer cus_01… --status frozen --sort balance -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.Limit > issuing.MaxPerPage {
				return fmt.Errorf("--limit: want 1 to %d", issuing.MaxPerPage)
			}
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				f.Holder, f.Status, f.Sort = h, issuing.Status(status), issuing.Sort(sort)
				found, err := app.Issuing.List(ctx, f)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"card_id", "bin_id", "last4", "status", "balance", "currency", "label", "created_at"}}
				for _, c := range found.Cards {
					l.Add(c.ID, c.BIN.ID, c.Last4, c.Status, c.Balance, c.BIN.Currency, c.Label, c.CreatedAt)
				}
				return p.Print(cmd, l)
			})
		},
	}
	owner.Flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&status, "status", "", "pending_top_up, active, frozen or terminated; empty: all")
	flags.StringVar(&f.Label, "label", "", "a part of the label")
	flags.StringVar(&sort, "sort", string(issuing.ByCreated), "created_at, balance or last_used, the greatest first")
	flags.IntVar(&f.Limit, "limit", issuing.MaxPerPage, "how many, at most 100")
	flags.IntVar(&f.Offset, "offset", 0, "how many to leave out")
	return cmd
}

func (p *program) showCard() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "show CARD", Short: "Show a card without its number", Args: cobra.ExactArgs(1),
		Example: "  scrip card show card_01… --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				card, err := app.Issuing.Get(ctx, h, issuing.CardID(args[0]))
				if err != nil {
					return err
				}
				return p.Show(cmd, describe(&card))
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

// describe is a card as it is shown.
func describe(c *issuing.Card) []shell.Field {
	return []shell.Field{{"card_id", c.ID}, {"bin_id", c.BIN.ID}, {"network", c.BIN.Network}, {"last4", c.Last4}, {"status", c.Status},
		{"reason", c.Reason}, {"balance", c.Balance}, {"held", c.Held}, {"spent", c.Spent}, {"currency", c.BIN.Currency},
		{"transactions", c.Transactions}, {"label", c.Label}, {"month", c.SpendingLimit()},
		{"categories", c.Controls.Categories}, {"cardholder_id", c.Holder}, {"tier", c.Tier.Name}, {"created_at", c.CreatedAt}, {"expires_at", c.ExpiresAt}}
}

// stepping is a change of a card's status.
type stepping func(ctx context.Context, h issuing.Holder, st issuing.Step) (issuing.Card, error)

func (p *program) step(verb, short string, of func(*server.App) stepping) *cobra.Command {
	var owner shell.Owner
	var st issuing.Step
	cmd := &cobra.Command{
		Use: verb + " CARD", Short: short, Args: cobra.ExactArgs(1),
		Example: "  scrip card " + verb + " card_01… --customer cus_01… --realm live --reason fraud --note 'called the cardholder'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				st.Card = issuing.CardID(args[0])
				card, err := of(app)(ctx, h, st)
				if err != nil {
					return err
				}
				return p.Show(cmd, describe(&card))
			})
		},
	}
	owner.Flags(cmd)
	reasons(cmd, &st.Reason, &st.Note)
	return cmd
}

// reasons offers the flags that say why.
func reasons(cmd *cobra.Command, reason, note *string) {
	cmd.Flags().StringVar(reason, "reason", issuing.ReasonOperator, "operator, fraud or cardholder")
	cmd.Flags().StringVar(note, "note", "", "what else to know, for the audit log")
}

func (p *program) replaceCard() *cobra.Command {
	var owner shell.Owner
	var reason string
	cmd := &cobra.Command{
		Use: "replace CARD", Short: "Give a card a new number; the old one is dead", Args: cobra.ExactArgs(1),
		Example: "  scrip card replace card_01… --customer cus_01… --realm live --reason stolen",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				issued, err := app.Issuing.Replace(ctx, h, issuing.Replacement{Card: issuing.CardID(args[0]), Reason: reason})
				if err != nil {
					return err
				}
				return p.Show(cmd, describe(&issued.Card))
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "lost, stolen, damaged or expiring")
	shell.Must(cmd.MarkFlagRequired("reason"))
	return cmd
}

func (p *program) terminateCard() *cobra.Command {
	var owner shell.Owner
	var e issuing.Ending
	cmd := &cobra.Command{
		Use: "terminate CARD", Short: "End a card for good; what is on it goes back to the wallet", Args: cobra.ExactArgs(1),
		Example: "  scrip card terminate card_01… --customer cus_01… --realm live --note 'asked by phone'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.held(cmd, &owner, func(ctx context.Context, app *server.App, h issuing.Holder) error {
				e.Card = issuing.CardID(args[0])
				ended, err := app.Issuing.Terminate(ctx, h, e)
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"card_id", args[0]}, {"status", ended.Card.Status}, {"refunded", ended.Refunded},
					{"held", ended.Card.Held}, {"wallet", ended.Wallet}})
			})
		},
	}
	owner.Flags(cmd)
	reasons(cmd, &e.Reason, &e.Note)
	return cmd
}
