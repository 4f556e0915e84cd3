package fraud

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) rule() *cobra.Command {
	cmd := &cobra.Command{Use: "rule", Short: "Rules of your own: write, try on history, enable",
		Long: `A rule is a condition over what the engine counts, with an action and a score that an
event has at least when it holds. A rule raises a score and never lowers it. It is a
draft until it was tried on the decisions that are kept and enabled; a change is a new
draft. Servers that run take it up within seconds.`}
	cmd.AddCommand(p.listRules(), p.writeRule(), p.testRule(), p.switchRule("enable", true), p.switchRule("disable", false), p.ruleNames())
	return cmd
}

func ruleListing(all ...office.Rule) shell.Listing {
	l := shell.Listing{Columns: []string{"rule_id", "version", "name", "state", "action", "at least", "when"}}
	for _, r := range all {
		l.Add(r.ID, r.Version, r.Name, r.State, r.Action, json.Number(fmt.Sprintf("0.%02d", r.AtLeast)), r.When)
	}
	return l
}

func (p *program) listRules() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List your rules", Args: cobra.NoArgs, Example: "  scrip fraud rule list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				all, err := app.Fraud.Rules(ctx)
				if err != nil {
					return err
				}
				return p.Print(cmd, ruleListing(all...))
			})
		}}
}

// ruleFlags are those of a rule that is written.
func ruleFlags(cmd *cobra.Command, w *rulebook.Rule) {
	flags := cmd.Flags()
	flags.StringVar((*string)(&w.Action), "action", string(rulebook.Review), "allow, review, slow, challenge or block")
	flags.IntVar(&w.AtLeast, "at-least", 0, "score in hundredths that an event has at least; 0: as it is")
}

func (p *program) writeRule() *cobra.Command {
	var w office.Writing
	var which string
	cmd := &cobra.Command{Use: "write CONDITION", Short: "Keep a rule as a draft", Args: cobra.ExactArgs(1),
		Example: `  scrip fraud rule write 'address.missed_1h >= 10 and address.missed_share_1d > 0.6' --name misses --action block --at-least 85
  scrip fraud rule write 'kind == "authorization" and amount > 50000' --name "large payments" --id frl_01…`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				w.When, w.ID, w.Actor = args[0], office.RuleID(which), shell.Actor()
				r, err := app.Fraud.WriteRule(ctx, w)
				if err != nil {
					return err
				}
				return p.Print(cmd, ruleListing(r))
			})
		}}
	ruleFlags(cmd, &w.Rule)
	cmd.Flags().StringVar(&w.Name, "name", "", "what the rule is for")
	cmd.Flags().StringVar(&which, "id", "", "the rule of which it is the next version; empty: a new rule")
	return cmd
}

func backtestFields(b *office.Backtest) []shell.Field {
	return []shell.Field{{"decisions", b.Events}, {"flagged", b.Flagged}, {"labelled fraud", b.Frauds},
		{"labelled genuine", b.Genuine}, {"precision", share(b.Precision)}, {"recall", share(b.Recall)}, {"credentials hurt", b.Hurt}}
}

func (p *program) testRule() *cobra.Command {
	return &cobra.Command{Use: "test RULE", Short: "Try a rule on history, which allows it to be enabled", Args: cobra.ExactArgs(1),
		Example: "  scrip fraud rule test frl_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				r, err := app.Fraud.TestRule(ctx, office.RuleID(args[0]))
				if err != nil {
					return err
				}
				return p.Show(cmd, backtestFields(r.Tested))
			})
		}}
}

func (p *program) switchRule(verb string, on bool) *cobra.Command {
	return &cobra.Command{Use: verb + " RULE", Short: map[bool]string{true: "Put a rule in use", false: "Take a rule out of use"}[on], Args: cobra.ExactArgs(1),
		Example: "  scrip fraud rule " + verb + " frl_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				r, err := app.Fraud.SwitchRule(ctx, office.Switching{Rule: office.RuleID(args[0]), On: on, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Print(cmd, ruleListing(r))
			})
		}}
}

func (p *program) ruleNames() *cobra.Command {
	return &cobra.Command{Use: "names", Short: "List the words that conditions may use", Args: cobra.NoArgs, Example: "  scrip fraud rule names",
		RunE: func(cmd *cobra.Command, _ []string) error {
			l := shell.Listing{Columns: []string{"name", "type"}}
			for _, n := range rulebook.Names() {
				l.Add(n.Name, map[bool]string{true: "text", false: "number"}[n.Text])
			}
			return p.Print(cmd, l)
		}}
}

func (p *program) backtest() *cobra.Command {
	r := rulebook.Rule{Name: "try"}
	cmd := &cobra.Command{Use: "backtest CONDITION", Short: "Try a condition on the decisions that are kept, without keeping it", Args: cobra.ExactArgs(1),
		Long: `Backtest says for how many of the decisions that are kept, the newest 200,000 of
them, a condition holds: among those that were labelled, how many are fraud (precision)
and how many of the frauds those are (recall); and how many credentials would be hurt
that did no known fraud.`,
		Example: "  scrip fraud backtest 'address.missed_1h >= 10 and score < 0.8'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				r.When = args[0]
				b, err := app.Fraud.Try(ctx, r)
				if err != nil {
					return err
				}
				return p.Show(cmd, backtestFields(&b))
			})
		}}
	ruleFlags(cmd, &r)
	return cmd
}
