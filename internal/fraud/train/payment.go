package train

import (
	"context"
	"fmt"

	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/study"
	"github.com/scripcards/scrip/internal/fraud/traffic/till"
)

// PaidFamily is what was found of one family of frauds.
type PaidFamily struct {
	Family   till.Family
	Unseen   bool
	Payments int
	Recall   float64
}

// PaidGroup is what a threshold cost one group of honest payments.
type PaidGroup struct {
	Group    till.Group
	Payments int
	Cost     float64
}

// Paid is what scores make of payments, when one in a thousand honest ones is flagged.
type Paid struct {
	Name      string
	Threshold float64
	study.Measures
	Families []PaidFamily
	Groups   []PaidGroup
	// Known and Unseen are the mean recalls of the families of each kind.
	Known, Unseen float64
}

// metrics are those that a model's file has.
func (p *Paid) metrics() map[string]float64 {
	return map[string]float64{"average_precision": p.AveragePrecision, "auc": p.AUC, "recall": p.Recall, "recall_known": p.Known}
}

// paid measures scores of a stream of payments.
func (s *seen) paid(name string, scores []float64) *Paid {
	p := &Paid{Name: name}
	var honest []float64
	scored := make([]study.Scored, len(scores))
	for i, x := range scores {
		pay := &s.till.Payments[i]
		scored[i] = study.Scored{Score: x, Fraud: s.labels[i], Card: uint64(pay.Card), Day: int(pay.At / dayMicros)}
		if !s.labels[i] {
			honest = append(honest, x)
		}
	}
	p.Measures, p.Threshold = study.Measure(scored), above(honest, overallCost)
	families, groups := map[till.Family]*tally{}, map[till.Group]*tally{}
	for i, x := range scores {
		if pay := &s.till.Payments[i]; s.labels[i] {
			of(families, pay.Family).add(x >= p.Threshold)
		} else {
			of(groups, pay.Group).add(x >= p.Threshold)
		}
	}
	p.Known = p.add(families, till.Known(), false)
	p.Unseen = p.add(families, till.Unseen(), true)
	for _, g := range till.Groups() {
		if t := groups[g]; t != nil {
			p.Groups = append(p.Groups, PaidGroup{g, t.all, t.share()})
		}
	}
	return p
}

const dayMicros = 86_400_000_000

func (p *Paid) add(all map[till.Family]*tally, which []till.Family, unseen bool) float64 {
	sum, n := 0.0, 0
	for _, f := range which {
		if t := all[f]; t != nil {
			p.Families = append(p.Families, PaidFamily{Family: f, Unseen: unseen, Payments: t.all, Recall: t.share()})
			sum += t.share()
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// PaidBench is the payments of the published figures: no model was trained on these seeds.
func PaidBench() BenchConfig {
	return BenchConfig{First: 2001, Seeds: 2, Days: 21, Campaigns: 4, Size: 0.6}
}

// RunPaid measures the rules alone and a model on payments with frauds of all families,
// known and unseen, and returns the means over the streams. Scores are those of the last
// one, for plots.
func RunPaid(ctx context.Context, m *estimator.Model, c BenchConfig, progress Progress) ([]Paid, *Curve, error) {
	if err := c.fresh(m); err != nil {
		return nil, nil, err
	}
	config := Config{Days: c.Days}
	var rules, model []*Paid
	var curve *Curve
	for seed := range c.Seeds {
		stream := till.Generate(till.Config{Seed: c.First + seed, Days: c.Days, Warmup: config.calm(), Families: append(till.Known(), till.Unseen()...),
			Campaigns: c.Campaigns, Size: c.Size})
		s, err := replayTill(ctx, stream, fmt.Sprintf("replaying payments %d of %d", seed+1, c.Seeds), progress)
		if err != nil {
			return nil, nil, err
		}
		scores := s.scores(&m.Full)
		rules, model = append(rules, s.paid("rules alone", s.ruleScores())), append(model, s.paid("model", scores))
		curve = s.paidCurve(scores)
	}
	return []Paid{meanPaid(rules), meanPaid(model)}, curve, nil
}

// meanPaid is the mean of measures; counts add up.
func meanPaid(all []*Paid) Paid {
	n := float64(len(all))
	m := Paid{Name: all[0].Name}
	families, groups := map[till.Family]*PaidFamily{}, map[till.Group]*PaidGroup{}
	var measures []study.Measures
	for _, p := range all {
		measures = append(measures, p.Measures)
		m.Threshold += p.Threshold / n
		m.Known += p.Known / n
		m.Unseen += p.Unseen / n
		for _, f := range p.Families {
			if families[f.Family] == nil {
				families[f.Family] = &PaidFamily{Family: f.Family, Unseen: f.Unseen}
			}
			families[f.Family].Payments += f.Payments
			families[f.Family].Recall += f.Recall / n
		}
		for _, g := range p.Groups {
			if groups[g.Group] == nil {
				groups[g.Group] = &PaidGroup{Group: g.Group}
			}
			groups[g.Group].Payments += g.Payments
			groups[g.Group].Cost += g.Cost / n
		}
	}
	m.Measures = study.Mean(measures)
	for _, f := range append(till.Known(), till.Unseen()...) {
		if families[f] != nil {
			m.Families = append(m.Families, *families[f])
		}
	}
	for _, g := range till.Groups() {
		if groups[g] != nil {
			m.Groups = append(m.Groups, *groups[g])
		}
	}
	return m
}

func (s *seen) paidCurve(logOdds []float64) *Curve {
	c := &Curve{}
	for i, x := range logOdds {
		hours := float64(s.till.Payments[i].At-s.till.Payments[0].At) / 3.6e9
		c.Scored = append(c.Scored, study.Scored{Score: probability(x), Fraud: s.labels[i], Card: uint64(s.till.Payments[i].Card), Day: int(hours / 24)})
		c.At = append(c.At, hours)
	}
	return c
}
