package office

import (
	"context"

	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/judge"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/fraud/study"
)

// Comparison is what another model makes of the events of its kind that are kept.
type Comparison struct {
	// Events is how many there are with the numbers that were seen, Higher and Lower how
	// many scores of the model alone are that now.
	Events, Higher, Lower int
	Frauds, Genuine       int
	// Then and Now are what either does among the labelled ones.
	Then, Now study.Measures
}

// Replay scores the decisions that are kept again, the newest mostHistory of them at most.
// progress, when not nil, is told how many.
func (s *Service) Replay(ctx context.Context, m *estimator.Model, progress func(done int)) (Comparison, error) {
	var c Comparison
	var then, now []study.Scored
	err := s.history(ctx, mostHistory, func(d *Decision, row *sense.Row) {
		if row == nil || d.Event.Kind != m.Kind {
			return
		}
		if c.Events++; progress != nil && c.Events%historyPage == 0 {
			progress(c.Events)
		}
		says := judge.Says(m, row)
		switch {
		case says > d.Model:
			c.Higher++
		case says < d.Model:
			c.Lower++
		}
		if d.Label == Unknown {
			return
		}
		isFraud := d.Label == Fraud
		if isFraud {
			c.Frauds++
		} else {
			c.Genuine++
		}
		then = append(then, study.Scored{Score: float64(d.Model), Fraud: isFraud})
		now = append(now, study.Scored{Score: float64(says), Fraud: isFraud})
	})
	c.Then, c.Now = study.Measure(then), study.Measure(now)
	return c, err
}
