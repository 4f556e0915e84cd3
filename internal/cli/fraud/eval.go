package fraud

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/fraud/study"
)

// The data that eval knows; benches are all of them.
const (
	benchHandbook  = "fdh"
	benchSFFSD     = "s-ffsd"
	benchGenerated = "generated"
	benchEnumerate = "enumeration"
	benchPayments  = "payments"
)

func benches() []string {
	return []string{benchHandbook, benchSFFSD, benchGenerated, benchEnumerate, benchPayments}
}

// evaluation is what eval is asked for.
type evaluation struct {
	bench, data string
	validation  bool
	fifteen     bool
	// plots is the folder that they are drawn to, model the file that enumeration and payments measure.
	plots, model string
}

func (p *program) eval() *cobra.Command {
	var e evaluation
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Measure the engine on published data, by published protocols",
		Long: `Eval replays the events of a data set through the engine's own code, with labels that
arrive late, trains on some days and scores later ones.

fdh is the Fraud Detection Handbook's simulated payments (TX_TIME_SECONDS,CUSTOMER_ID,
TERMINAL_ID,AMOUNT_CENTS,TX_FRAUD_SCENARIO): seven days to learn from, seven until
their labels are in, seven of test, in four folds; customers whose fraud is known are
in no test. s-ffsd is the S-FFSD data set: a fifth of the labelled rows, drawn at
random, in five draws. generated makes payments up by the Handbook's rules, for those
who have neither.

enumeration is searches for cards, made up: what a model, or the one in the program,
and the rules alone find of attacks of families that were trained on and of others
that were not, when one in a thousand honest checks is flagged at most, and one in a
hundred of those of each group that asks much.

payments is card payments, made up likewise, with frauds of families that were trained
on and of others that were not: average precision, AUC, and what is found when one in
a thousand honest payments is flagged.

Files may be packed with zstd or xz. Nothing is chosen on the tests: --validation
shows the folds that parameters were chosen on.`,
		Example: `  scrip fraud eval --bench fdh --data fdh_raw.csv.zst
  scrip fraud eval --bench s-ffsd --data S-FFSD.csv.xz -o json
  scrip fraud eval --bench generated
  scrip fraud eval --bench enumeration --plots plots
  scrip fraud eval --bench payments`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runEval(cmd, e) },
	}
	flags := cmd.Flags()
	flags.StringVar(&e.bench, "bench", benchHandbook, "fdh, s-ffsd, generated, enumeration or payments")
	flags.StringVar(&e.data, "data", "", "file of the data; none for generated, enumeration and payments")
	flags.BoolVar(&e.validation, "validation", false, "the folds for choosing instead of those for telling (fdh, generated)")
	flags.BoolVar(&e.fifteen, "fifteen", true, "also what the same trees make of the Handbook's fifteen numbers (fdh, generated)")
	flags.StringVar(&e.plots, "plots", "", "folder for plots as SVG: precision over recall, calibration, scores over time")
	flags.StringVar(&e.model, "model", "", "model file to measure (enumeration, payments); empty: the model in the program")
	return cmd
}

func (p *program) runEval(cmd *cobra.Command, e evaluation) error {
	bar := &stages{cmd: cmd}
	defer bar.end()
	if all := benches(); !slices.Contains(all, e.bench) {
		return fmt.Errorf("bench %q: want one of %s", e.bench, strings.Join(all, ", "))
	}
	if (e.data == "") != (e.bench == benchGenerated || e.bench == benchEnumerate || e.bench == benchPayments) {
		return errors.New("name the file with --data; generated data, enumeration and payments need none")
	}
	switch e.bench {
	case benchEnumerate:
		return enumeration().measure(p, cmd, e)
	case benchPayments:
		return payments().measure(p, cmd, e)
	}
	var (
		results []study.Result
		sum     string
		err     error
	)
	if e.bench == benchSFFSD {
		results, sum, err = e.transfers(cmd.Context(), bar.show)
	} else {
		results, sum, err = e.payments(cmd.Context(), bar.show)
	}
	if err != nil {
		return err
	}
	bar.end()
	if sum != "" {
		cmd.PrintErrln("SHA-256 of the data:", sum)
	}
	if e.plots != "" {
		if err := drawFolds(e.plots, &results[0]); err != nil {
			return err
		}
	}
	return p.Print(cmd, listingOf(results, p.Output))
}

// generated is as large as what it takes the place of.
func generated() []study.Payment {
	return study.Generate(study.Generated{Customers: 5000, Terminals: 10_000, Days: 183, Seed: 1})
}

func (e *evaluation) payments(ctx context.Context, progress study.Progress) ([]study.Result, string, error) {
	var (
		payments []study.Payment
		sum      string
		err      error
	)
	if e.bench == benchGenerated {
		payments = generated()
	} else if payments, sum, err = study.ReadHandbook(e.data); err != nil {
		return nil, "", err
	}
	folds := study.TestFolds()
	if e.validation {
		folds = study.ValidationFolds()
	}
	engine, err := study.Engine(ctx, payments, folds, progress)
	if err != nil || !e.fifteen {
		return []study.Result{engine}, sum, err
	}
	fifteen, err := study.Fifteen(ctx, payments, folds, progress)
	return []study.Result{engine, fifteen}, sum, err
}

func (e *evaluation) transfers(ctx context.Context, progress study.Progress) ([]study.Result, string, error) {
	transfers, sum, err := study.ReadSFFSD(e.data)
	if err != nil {
		return nil, "", err
	}
	result, err := study.SFFSD(ctx, transfers, progress)
	return []study.Result{result}, sum, err
}

// stages shows the progress of one stage after the other.
type stages struct {
	cmd  *cobra.Command
	what string
	bar  *shell.Bar
}

func (s *stages) show(what string, done, of int) {
	if s.what != what {
		s.end()
		s.what, s.bar = what, shell.NewBarOf(s.cmd, what, int64(of))
	}
	s.bar.Set(int64(done))
}

func (s *stages) end() {
	if s.bar != nil {
		s.bar.End()
	}
	s.what, s.bar = "", nil
}

func listingOf(results []study.Result, form string) shell.Listing {
	l := shell.Listing{Columns: []string{"numbers", "fold", "events", "frauds", "ap", "auc", "cp@100", "recall@0.1%"}}
	if form == shell.JSON {
		l.Columns = append(l.Columns[:6], "card_precision", "recall")
	}
	for _, r := range results {
		name := r.Name + " (" + strconv.Itoa(r.Width) + ")"
		for i, f := range r.Folds {
			fold := f.Start.Format(time.DateOnly)
			if f.CardPrecision == 0 { // draws have no days
				fold = "draw " + strconv.Itoa(i+1)
			}
			l.Add(measured(name, fold, f.Measures)...)
		}
		l.Add(measured(name, "mean", r.Mean)...)
	}
	return l
}

func measured(name, fold string, m study.Measures) []any {
	return []any{name, fold, m.Events, m.Frauds, share(m.AveragePrecision), share(m.AUC), share(m.CardPrecision), share(m.Recall)}
}
