package fraud

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/builtin"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/fraud/train"
)

// training is what the flags of a training say.
type training struct {
	config train.Config
	kind   string
	out    string
	check  bool
}

func (p *program) train() *cobra.Command {
	var t training
	cmd := &cobra.Command{
		Use: "train", Short: "Train a model of balance checks or of payments on simulated traffic",
		Long: `Train makes up honest callers, or payments, and attacks, has them pass through the
engine, learns from what it sees, and writes one file: trees, calibration, what it was
trained on, what was measured, and a SHA-256. The same flags make the same bytes on
machines of one architecture. It takes some minutes; --size and --trees make it shorter.

--check trains the models that are in the program again and compares them, byte for
byte.`,
		Example: `  scrip fraud train --name spring --seed 7 --out spring.model
  scrip fraud train --kind authorization --name shops --out shops.model
  scrip fraud train --name quick --size 0.2 --trees 40 --out quick.model
  scrip fraud train --check`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runTrain(cmd, &t) },
	}
	kindFlag(cmd, &t.kind)
	flags := cmd.Flags()
	flags.StringVar(&t.config.Name, "name", "", "what the model is called")
	flags.StringVar(&t.out, "out", "", "new file for the model")
	flags.Uint64Var(&t.config.Seed, "seed", 1, "seed of the traffic and of the sampling; eval measures on 1001 to 1004, and payments on 2001 and 2002")
	flags.IntVar(&t.config.Days, "days", 0, "how many days of traffic; 0: as many as for the model in the program")
	flags.IntVar(&t.config.Campaigns, "attacks", 0, "how many attacks of each family; 0: likewise")
	flags.Float64Var(&t.config.Size, "size", 1, "how much honest traffic; 1 is some ten thousand checks a day, or four thousand payments")
	flags.IntVar(&t.config.Trees, "trees", 0, "how many trees at most; 0: as many as for the model in the program")
	flags.BoolVar(&t.check, "check", false, "train the models in the program again and compare")
	return cmd
}

const modelMode = 0o644

func (p *program) runTrain(cmd *cobra.Command, t *training) error {
	kind, err := kindOf(t.kind)
	if err != nil {
		return err
	}
	shipped := train.Shipped(kind)
	t.config.Kind, t.config.Days, t.config.Campaigns, t.config.Trees = kind, cmp.Or(t.config.Days, shipped.Days),
		cmp.Or(t.config.Campaigns, shipped.Campaigns), cmp.Or(t.config.Trees, shipped.Trees)
	switch {
	case t.check:
		return checkShipped(cmd)
	case t.out == "" || t.config.Name == "":
		return errors.New("name the model with --name and its file with --out")
	case office.ModelName(t.config.Name) != nil:
		return office.ModelName(t.config.Name)
	case t.config.Days < 2 || t.config.Campaigns < 1 || t.config.Size <= 0:
		return errors.New("want two days, one attack a family and some honest traffic at least")
	}
	t.config.QuietTrees = max(t.config.Trees*2/3, 1)
	out, err := os.OpenFile(t.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, modelMode) // before it takes minutes
	if err != nil {
		return err
	}
	m, err := trainTo(cmd, t, out)
	if err != nil {
		return errors.Join(err, os.Remove(t.out))
	}
	return p.Show(cmd, fieldsOf(m))
}

// trainTo trains a model, writes it to a file and closes that.
func trainTo(cmd *cobra.Command, t *training, out *os.File) (m *estimator.Model, err error) {
	defer func() { err = errors.Join(err, out.Close()) }()
	bar := &stages{cmd: cmd}
	defer bar.end()
	if m, err = train.Train(cmd.Context(), t.config, bar.show); err != nil {
		return nil, err
	}
	file, err := m.Bytes()
	if err != nil {
		return nil, err
	}
	_, err = out.Write(file)
	return m, err
}

// checkShipped trains the models in the program again, and says whether they are the same.
func checkShipped(cmd *cobra.Command) error {
	for _, kind := range fraud.Kinds() {
		own, err := builtin.Model(kind)
		if err != nil {
			return err
		}
		bar := &stages{cmd: cmd}
		m, err := train.Train(cmd.Context(), train.Shipped(kind), bar.show)
		bar.end()
		if err != nil {
			return err
		}
		if own.Sum != m.Sum {
			return fmt.Errorf("%s: the training made %s, the program has %s", own.Info.Name, m.Sum, own.Sum)
		}
		cmd.Println("the same:", own.Info.Name, own.Sum)
	}
	return nil
}

func fieldsOf(m *estimator.Model) []shell.Field {
	fields := []shell.Field{{"name", m.Info.Name}, {"kind", m.Kind}, {"sha256", m.Sum}, {"data", m.Info.Data},
		{"seed", m.Info.Seed}, {"rows", m.Info.Rows}, {"attacks", m.Info.Attacks}, {"trees", m.Full.Trees.Trees()}}
	if m.Quiet.Trees != nil {
		fields = append(fields, shell.Field{"quiet trees", m.Quiet.Trees.Trees()})
	}
	for _, name := range sortedKeys(m.Info.Metrics) {
		fields = append(fields, shell.Field{name, m.Info.Metrics[name]})
	}
	return fields
}
