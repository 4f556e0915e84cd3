package fraud

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/fraud/builtin"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/train"
)

// training is what the flags of a training say.
type training struct {
	config train.Config
	out    string
	check  bool
}

func (p *program) train() *cobra.Command {
	t := training{config: train.Shipped()}
	t.config.Name = ""
	cmd := &cobra.Command{
		Use: "train", Short: "Train a model of balance checks on simulated traffic",
		Long: `Train makes up honest callers and attacks, has them pass through the engine, learns
from what it sees, and writes one file: trees, calibration, what it was trained on,
what was measured, and a SHA-256. The same flags make the same bytes on machines of
one architecture. It takes some minutes; --size and --trees make it shorter.

--check trains the model that is in the program again and compares it, byte for byte.`,
		Example: `  scrip fraud train --name spring --seed 7 --out spring.model
  scrip fraud train --name quick --size 0.2 --trees 40 --out quick.model
  scrip fraud train --check`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runTrain(cmd, &t) },
	}
	flags := cmd.Flags()
	flags.StringVar(&t.config.Name, "name", "", "what the model is called")
	flags.StringVar(&t.out, "out", "", "new file for the model")
	flags.Uint64Var(&t.config.Seed, "seed", t.config.Seed, "seed of the traffic and of the sampling")
	flags.IntVar(&t.config.Days, "days", t.config.Days, "how many days of traffic")
	flags.IntVar(&t.config.Campaigns, "attacks", t.config.Campaigns, "how many attacks of each family")
	flags.Float64Var(&t.config.Size, "size", t.config.Size, "how much honest traffic; 1 is some ten thousand checks a day")
	flags.IntVar(&t.config.Trees, "trees", t.config.Trees, "how many trees at most")
	flags.BoolVar(&t.check, "check", false, "train the model in the program again and compare")
	return cmd
}

const modelMode = 0o644

func (p *program) runTrain(cmd *cobra.Command, t *training) error {
	switch {
	case t.check:
		t.config = train.Shipped()
	case t.out == "" || t.config.Name == "":
		return errors.New("name the model with --name and its file with --out")
	case t.config.Days < 2 || t.config.Campaigns < 1 || t.config.Size <= 0:
		return errors.New("want two days, one attack a family and some honest traffic at least")
	}
	if !t.check {
		t.config.QuietTrees = max(t.config.Trees*2/3, 1)
	}
	bar := &stages{cmd: cmd}
	defer bar.end()
	m, err := train.Train(cmd.Context(), t.config, bar.show)
	if err != nil {
		return err
	}
	bar.end()
	if t.check {
		return compare(cmd, m)
	}
	file, err := m.Bytes()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(t.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, modelMode)
	if err != nil {
		return err
	}
	_, err = out.Write(file)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return p.Show(cmd, fieldsOf(m))
}

// compare says whether a training made the model in the program.
func compare(cmd *cobra.Command, m *estimator.Model) error {
	own, err := builtin.Model()
	if err != nil {
		return err
	}
	if own.Sum != m.Sum {
		return fmt.Errorf("the training made %s, the program has %s", m.Sum, own.Sum)
	}
	cmd.Println("the same:", own.Sum)
	return nil
}

func fieldsOf(m *estimator.Model) []shell.Field {
	fields := []shell.Field{{"name", m.Info.Name}, {"sha256", m.Sum}, {"data", m.Info.Data},
		{"seed", fmt.Sprint(m.Info.Seed)}, {"rows", fmt.Sprint(m.Info.Rows)}, {"attacks", fmt.Sprint(m.Info.Attacks)},
		{"trees", fmt.Sprint(m.Full.Trees.Trees())}, {"quiet trees", fmt.Sprint(m.Quiet.Trees.Trees())}}
	for _, name := range sortedKeys(m.Info.Metrics) {
		fields = append(fields, shell.Field{name, fmt.Sprint(m.Info.Metrics[name])})
	}
	return fields
}
