package fraud

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/plot"
	"github.com/scripcards/scrip/internal/fraud/study"
	"github.com/scripcards/scrip/internal/fraud/train"
)

// bench is a measure of models of one kind of events on traffic that is made up.
type bench[R any] struct {
	kind fraud.Kind
	run  func(ctx context.Context, m *estimator.Model, c train.BenchConfig, progress train.Progress) ([]R, *train.Curve, error)
	of   train.BenchConfig
	list func(results []R) shell.Listing
}

// enumeration measures on searches for cards, payments on payments.
func enumeration() bench[train.Enumeration] {
	return bench[train.Enumeration]{fraud.Ping, train.Run, train.Bench(), enumerationListing}
}

func payments() bench[train.Paid] {
	return bench[train.Paid]{fraud.Authorization, train.RunPaid, train.PaidBench(), paidListing}
}

func (b bench[R]) measure(p *program, cmd *cobra.Command, e evaluation) error {
	m, err := modelOf(e.model, b.kind)
	if err != nil {
		return err
	}
	bar := &stages{cmd: cmd}
	defer bar.end()
	results, curve, err := b.run(cmd.Context(), m, b.of, bar.show)
	if err != nil {
		return err
	}
	bar.end()
	if e.plots != "" {
		if err := drawTo(e.plots, curve); err != nil {
			return err
		}
	}
	return p.Print(cmd, b.list(results))
}

// modelOf reads the model that a bench measures: of one kind of events.
func modelOf(path string, kind fraud.Kind) (*estimator.Model, error) {
	m, err := readModel(path, string(kind))
	if err == nil && m.Kind != kind {
		err = fmt.Errorf("%s: the model is for %s, not %s", path, m.Kind, kind)
	}
	return m, err
}

func paidListing(results []train.Paid) shell.Listing {
	l := shell.Listing{Columns: []string{"of", "kind", "payments"}}
	for _, r := range results {
		l.Columns = append(l.Columns, r.Name)
	}
	row := func(of, kind string, n int, value func(*train.Paid) float64) {
		cells := []any{of, kind, n}
		for i := range results {
			cells = append(cells, share(value(&results[i])))
		}
		l.Add(cells...)
	}
	for i, f := range results[0].Families {
		kind := "recall, known"
		if f.Unseen {
			kind = "recall, unseen"
		}
		row(string(f.Family), kind, f.Payments, func(r *train.Paid) float64 { return r.Families[i].Recall })
	}
	for i, g := range results[0].Groups {
		row(string(g.Group), "false positives", g.Payments, func(r *train.Paid) float64 { return r.Groups[i].Cost })
	}
	all := results[0].Events
	row("all", "average precision", all, func(r *train.Paid) float64 { return r.AveragePrecision })
	row("all", "AUC", all, func(r *train.Paid) float64 { return r.AUC })
	row("all", "recall at 0.1 %", all, func(r *train.Paid) float64 { return r.Recall })
	row("known families", "mean recall", all, func(r *train.Paid) float64 { return r.Known })
	row("unseen families", "mean recall", all, func(r *train.Paid) float64 { return r.Unseen })
	return l
}

func enumerationListing(results []train.Enumeration) shell.Listing {
	l := shell.Listing{Columns: []string{"of", "kind"}}
	for _, r := range results {
		l.Columns = append(l.Columns, r.Name)
	}
	row := func(of, kind string, value func(*train.Enumeration) float64) {
		cells := []any{of, kind}
		for i := range results {
			cells = append(cells, share(value(&results[i])))
		}
		l.Add(cells...)
	}
	for i, f := range results[0].Families {
		kind := "recall, known"
		if f.Unseen {
			kind = "recall, unseen"
		}
		row(string(f.Family), kind, func(e *train.Enumeration) float64 { return e.Families[i].Recall })
	}
	for i, d := range results[0].Dresses {
		row(string(d.Dress), "recall, dressed", func(e *train.Enumeration) float64 { return e.Dresses[i].Recall })
	}
	for i, g := range results[0].Groups {
		row(string(g.Group), "false positives", func(e *train.Enumeration) float64 { return e.Groups[i].Cost })
	}
	row("known families", "mean recall", func(e *train.Enumeration) float64 { return e.Known })
	row("unseen families", "mean recall", func(e *train.Enumeration) float64 { return e.Unseen })
	row("cards", "revealed", func(e *train.Enumeration) float64 { return e.Revealed })
	return l
}

const (
	folderMode = 0o755
	plotMode   = 0o644
)

// drawTo writes the plots of a curve into a folder.
func drawTo(folder string, c *train.Curve) error {
	return write(folder, map[string][]byte{"precision-recall.svg": plot.PrecisionRecall(c.Scored), "calibration.svg": plot.Calibration(c.Scored),
		"score-over-time.svg": plot.OverTime(c.Scored, c.At)})
}

// drawFolds writes the plots of what was measured in folds. Their scores are log-odds.
func drawFolds(folder string, r *study.Result) error {
	var scored []study.Scored
	for _, fold := range r.Scored() {
		for _, s := range fold {
			s.Score = 1 / (1 + math.Exp(-s.Score))
			scored = append(scored, s)
		}
	}
	return write(folder, map[string][]byte{"precision-recall.svg": plot.PrecisionRecall(scored), "calibration.svg": plot.Calibration(scored)})
}

func write(folder string, plots map[string][]byte) error {
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return err
	}
	for name, svg := range plots {
		if err := os.WriteFile(filepath.Join(folder, name), svg, plotMode); err != nil {
			return fmt.Errorf("write plot: %w", err)
		}
	}
	return nil
}
