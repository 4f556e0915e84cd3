package fraud

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/builtin"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/server"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// kindFlag adds the flag that names a kind of events.
func kindFlag(cmd *cobra.Command, kind *string) {
	cmd.Flags().StringVar(kind, "kind", string(fraud.Ping), "kind of events that the model is for: ping (balance checks) or authorization (payments)")
}

// kindOf reads it.
func kindOf(text string) (fraud.Kind, error) {
	if kind := fraud.Kind(text); slices.Contains(fraud.Kinds(), kind) {
		return kind, nil
	}
	return "", fmt.Errorf("kind %q: want %s or %s", text, fraud.Ping, fraud.Authorization)
}

// readModel reads a model's file; without one it is the model in the program for a kind of
// events.
func readModel(path, kind string) (*estimator.Model, error) {
	if path == "" {
		k, err := kindOf(kind)
		if err != nil {
			return nil, err
		}
		return builtin.Model(k)
	}
	file, err := shell.ReadBounded(path, estimator.MaxSize)
	if err != nil {
		return nil, err
	}
	m, err := estimator.Read(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func (p *program) model() *cobra.Command {
	cmd := &cobra.Command{Use: "model", Short: "Models of balance checks and of payments: list, inspect, import, promote, roll back",
		Long: `An installation scores balance checks with one model and payments with another, each
the champion of its kind. A challenger may score beside it: its scores are kept with
each decision and change nothing. The models in the program are the champions until
others are promoted. Servers that run take up a change within seconds, without a
restart.`}
	cmd.AddCommand(p.listModels(), p.inspectModel(), p.importModel(), p.promoteModel(), p.rollbackModel())
	return cmd
}

func storedListing(all []office.Stored) shell.Listing {
	l := shell.Listing{Columns: []string{"model_id", "kind", "name", "state", "sha256", "created_at"}}
	for _, m := range all {
		l.Add(m.ID, m.Kind, m.Info.Name, m.State, m.Sum, m.CreatedAt)
	}
	return l
}

func (p *program) listModels() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the models that are kept, and which is used for what", Args: cobra.NoArgs,
		Example: "  scrip fraud model list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				all, err := app.Fraud.Models(ctx)
				if err != nil {
					return err
				}
				return p.Print(cmd, storedListing(all))
			})
		}}
}

func (p *program) inspectModel() *cobra.Command {
	var kind string
	cmd := &cobra.Command{Use: "inspect [FILE]", Short: "Show what a model file was trained on and how it did", Args: cobra.MaximumNArgs(1),
		Long:    "Inspect reads a model file, or the model in the program when none is named, and says what it is. A file that is damaged, or made for other numbers than this version's, is refused.",
		Example: "  scrip fraud model inspect\n  scrip fraud model inspect --kind authorization\n  scrip fraud model inspect spring.model -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) > 0 {
				path = args[0]
			}
			m, err := readModel(path, kind)
			if err != nil {
				return err
			}
			return p.Show(cmd, fieldsOf(m))
		}}
	kindFlag(cmd, &kind)
	return cmd
}

func (p *program) importModel() *cobra.Command {
	return &cobra.Command{Use: "import FILE", Short: "Keep a model file in the installation, not yet in use", Args: cobra.ExactArgs(1),
		Example: "  scrip fraud model import spring.model",
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := shell.ReadBounded(args[0], estimator.MaxSize)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				m, err := app.Fraud.Import(ctx, file, shell.Actor())
				if err != nil {
					return err
				}
				return p.Print(cmd, storedListing([]office.Stored{m}))
			})
		}}
}

func (p *program) promoteModel() *cobra.Command {
	as := string(office.Champion)
	cmd := &cobra.Command{Use: "promote MODEL", Short: "Put a model in use as champion or challenger", Args: cobra.ExactArgs(1),
		Example: `  scrip fraud model promote mdl_01… --as challenger
  scrip fraud model promote mdl_01…
  scrip fraud model promote builtin
  scrip fraud model promote builtin_payment`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				m, err := app.Fraud.Promote(ctx, office.Promotion{Model: office.ModelID(args[0]), As: office.ModelState(as), Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Print(cmd, storedListing([]office.Stored{m}))
			})
		}}
	cmd.Flags().StringVar(&as, "as", as, "champion, challenger, or kept: no challenger any more")
	return cmd
}

func (p *program) rollbackModel() *cobra.Command {
	var text string
	cmd := &cobra.Command{Use: "rollback", Short: "Put the champion of before back in use", Args: cobra.NoArgs,
		Example: "  scrip fraud model rollback\n  scrip fraud model rollback --kind authorization",
		RunE: func(cmd *cobra.Command, _ []string) error {
			kind, err := kindOf(text)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				m, err := app.Fraud.Rollback(ctx, office.Return{Kind: kind, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Print(cmd, storedListing([]office.Stored{m}))
			})
		}}
	kindFlag(cmd, &text)
	return cmd
}

func (p *program) replay() *cobra.Command {
	var path, kind string
	cmd := &cobra.Command{Use: "replay", Short: "Score the decisions that are kept again, with another model", Args: cobra.NoArgs,
		Long: `Replay has the decisions that are kept of a model's kind of events, among the newest
200,000, scored by it, from the numbers that were seen at the time, and compares it with
what was said then: how many scores rose and fell, and, where decisions were labelled,
how well either does.`,
		Example: `  scrip fraud replay --model spring.model
  scrip fraud replay --kind authorization -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := readModel(path, kind)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				bar := &stages{cmd: cmd}
				defer bar.end()
				c, err := app.Fraud.Replay(ctx, m, func(done int) { bar.show("replaying decisions", done, -1) })
				if err != nil {
					return err
				}
				bar.end()
				return p.Show(cmd, []shell.Field{{"decisions", c.Events}, {"higher", c.Higher}, {"lower", c.Lower},
					{"labelled fraud", c.Frauds}, {"labelled genuine", c.Genuine},
					{"average precision then", share(c.Then.AveragePrecision)}, {"average precision now", share(c.Now.AveragePrecision)}})
			})
		}}
	cmd.Flags().StringVar(&path, "model", "", "model file; empty: the model in the program")
	kindFlag(cmd, &kind)
	return cmd
}
