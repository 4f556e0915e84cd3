// Package train makes models of balance checks and of payments from what package traffic
// and package till make up, and measures what they, or the rules alone, make of attacks.
//
// It promises the same file for the same configuration, bit for bit, on machines of one
// architecture. It must never train or choose on the families that are kept out.
package train

import (
	"context"
	"fmt"
	"math"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/boost"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/fraud/traffic"
	"github.com/scripcards/scrip/internal/fraud/traffic/till"
)

// Config says what to train on, and how.
type Config struct {
	// Kind is the kind of events that the model is for.
	Kind fraud.Kind
	Name string
	// Seed is that of the traffic trained on; the traffic of calibration has the next one.
	Seed uint64
	// Days, Campaigns and Size are those of the traffic.
	Days, Campaigns int
	Size            float64
	// Trees is how many the full part has at most, QuietTrees the quiet one of a model of
	// balance checks.
	Trees, QuietTrees int
}

// Shipped is how the model of a kind of events that is in the program was trained.
func Shipped(kind fraud.Kind) Config {
	if kind == fraud.Authorization {
		return Config{Kind: kind, Name: "builtin-payment-1", Seed: 1, Days: 21, Campaigns: 10, Size: 0.6, Trees: 140}
	}
	return Config{Kind: kind, Name: "builtin-1", Seed: 1, Days: 8, Campaigns: 16, Size: 1, Trees: 300, QuietTrees: 200}
}

// warmup is how many days are honest at first.
const warmup = 1

// calm is how many days of payments are honest at first: it takes longer to know a card.
func (c *Config) calm() int { return max(c.Days/4, 1) }

// seen makes traffic up and has it pass through the engine.
func (c *Config) seen(ctx context.Context, seed uint64, stage string, progress Progress) (*seen, error) {
	if c.Kind == fraud.Authorization {
		return replayTill(ctx, till.Generate(till.Config{Seed: seed, Days: c.Days, Warmup: c.calm(), Families: till.Known(), Campaigns: c.Campaigns, Size: c.Size}),
			stage, progress)
	}
	return replay(ctx, traffic.Generate(traffic.Config{Seed: seed, Days: c.Days, Warmup: warmup, Families: traffic.Known(), Campaigns: c.Campaigns, Size: c.Size}),
		stage, progress)
}

// families are how many are trained on, and what events are called.
func (c *Config) families() (known []string, events string) {
	events = "balance checks"
	for _, f := range traffic.Known() {
		known = append(known, string(f))
	}
	if c.Kind == fraud.Authorization {
		known, events = nil, "payments"
		for _, f := range till.Known() {
			known = append(known, string(f))
		}
	}
	return known, events
}

// params were chosen on the traffic of calibration.
func (c *Config) params(trees int) boost.Params {
	p := boost.Default()
	p.Trees, p.Leaves, p.Columns, p.Rate, p.Bins, p.Seed = trees, 24, 0.3, 0.06, 1024, c.Seed
	p.Monotone = make([]int8, sense.WidthOf(c.Kind))
	for i, column := range sense.Columns(c.Kind) {
		p.Monotone[i] = column.Rising
	}
	return p
}

// Train makes a model.
func Train(ctx context.Context, c Config, progress Progress) (*estimator.Model, error) {
	learn, err := c.seen(ctx, c.Seed, "replaying traffic to learn from", progress)
	if err != nil {
		return nil, err
	}
	check, err := c.seen(ctx, c.Seed+1, "replaying traffic to calibrate on", progress)
	if err != nil {
		return nil, err
	}
	t := &trainer{config: &c, learn: learn, check: check, progress: progress}
	known, events := c.families()
	m := &estimator.Model{Kind: c.Kind, Info: estimator.Info{Name: c.Name, Seed: c.Seed, Rows: len(learn.rules), Metrics: map[string]float64{},
		Data: fmt.Sprintf("simulated %s: %d days, %d attacks of each of %d families", events, c.Days, c.Campaigns, len(known))}}
	for _, attack := range learn.labels {
		if attack {
			m.Info.Attacks++
		}
	}
	if m.Full, err = t.part(ctx, view{"the full part", c.Trees, func(*sense.Column) bool { return true }}); err != nil {
		return nil, err
	}
	if c.Kind == fraud.Authorization {
		for name, x := range check.paid("", check.scores(&m.Full)).metrics() {
			m.Info.Metrics[name] = rounded(x)
		}
		_, err = m.Bytes() // for its sum
		return m, err
	}
	if m.Quiet, err = t.part(ctx, view{"the quiet part", c.QuietTrees, func(column *sense.Column) bool { return !column.Telling }}); err != nil {
		return nil, err
	}
	for name, p := range map[string]*estimator.Part{"": &m.Full, "quiet_": &m.Quiet} {
		e := measure("", check.stream, check.scores(p))
		m.Info.Metrics[name+"recall_known"], m.Info.Metrics[name+"revealed"] = rounded(e.Known), rounded(e.Revealed)
	}
	_, err = m.Bytes() // for its sum
	return m, err
}

func rounded(x float64) float64 { return math.Round(x*1e4) / 1e4 }

// trainer makes the parts of a model.
type trainer struct {
	config       *Config
	learn, check *seen
	progress     Progress
}

// view is a part of a model to be: which columns it may use.
type view struct {
	name  string
	trees int
	use   func(*sense.Column) bool
}

// sees reports whether a part looks at a column.
func (v *view) sees(column *sense.Column) bool { return !column.Spare && v.use(column) }

// part trains a part.
func (t *trainer) part(ctx context.Context, v view) (p estimator.Part, err error) {
	p.Kind = t.config.Kind
	var honest []int
	for i, attack := range t.learn.labels {
		if !attack {
			honest = append(honest, i)
		}
	}
	p.Rare = estimator.Rare(p.Kind, t.learn.columns, honest, v.sees)
	if p.Weight, err = t.weight(ctx, v, p.Rare); err != nil {
		return p, err
	}
	if p.Trees, err = t.fit(ctx, v, func(string) bool { return true }); err != nil {
		return p, err
	}
	p.Trees = p.Trees.Slim()
	p.Slope = 1
	p.Slope, p.Offset = estimator.Calibrate(t.check.scores(&p), t.check.labels)
	if t.config.Kind == fraud.Authorization {
		p.Offset += priorOdds - logOdds(t.check.labels)
	}
	return p, nil
}

// priorOdds are the log-odds of fraud for which payments' probabilities are: one in a
// hundred. There is far more of it in what is trained on.
const priorOdds = -4.59512

// logOdds is how much fraud there is.
func logOdds(labels []bool) float64 {
	frauds := 0.0
	for _, fraud := range labels {
		if fraud {
			frauds++
		}
	}
	return math.Log(frauds / (float64(len(labels)) - frauds))
}

// fit trains trees on honest asks and the attacks of some families. What may not be
// used is unknown to them.
func (t *trainer) fit(ctx context.Context, v view, family func(string) bool) (*boost.Model, error) {
	p := t.config.params(v.trees)
	var rows []int
	for i := range t.learn.rules {
		if !t.learn.labels[i] || family(t.learn.family[i]) {
			rows = append(rows, i)
		}
	}
	table := boost.Table{Columns: make([][]float32, len(t.learn.columns)), Positive: make([]bool, len(rows))}
	for i, row := range rows {
		table.Positive[i] = t.learn.labels[row]
	}
	for k, column := range sense.Columns(t.config.Kind) {
		picked := make([]float32, len(rows))
		for i, row := range rows {
			picked[i] = float32(math.NaN())
			if v.sees(&column) {
				picked[i] = t.learn.columns[k][row]
			}
		}
		table.Columns[k] = picked
	}
	return boost.Train(ctx, table, p, func(trees int) { t.progress.tell("training "+v.name, trees, p.Trees) })
}

// weight is what rarity is worth: what finds most of families that the trees were not
// trained on. Every second family is left out of one training, the others out of another.
func (t *trainer) weight(ctx context.Context, v view, rare estimator.Rarity) (float64, error) {
	v.name, v.trees = v.name+" without some families", max(v.trees/3, 1)
	weights := [...]float64{0, 0.05, 0.1, 0.2, 0.4}
	var recall [len(weights)]float64
	known, _ := t.config.families()
	for half := range 2 {
		inside := map[string]bool{}
		for i, f := range known {
			inside[f] = i%2 == half
		}
		trees, err := t.fit(ctx, v, func(f string) bool { return inside[f] })
		if err != nil {
			return 0, err
		}
		for k, weight := range weights {
			p := estimator.Part{Kind: t.config.Kind, Trees: trees, Rare: rare, Weight: weight, Slope: 1}
			for f, found := range t.check.recalls(t.check.scores(&p)) {
				if !inside[f] {
					recall[k] += found
				}
			}
		}
	}
	best := 0
	for k := range weights {
		if recall[k] > recall[best] {
			best = k
		}
	}
	return weights[best], nil
}

// recalls is what is found of each family.
func (s *seen) recalls(scores []float64) map[string]float64 {
	found := map[string]float64{}
	if s.kind == fraud.Authorization {
		for _, f := range s.paid("", scores).Families {
			found[string(f.Family)] = f.Recall
		}
		return found
	}
	for _, f := range measure("", s.stream, scores).Families {
		found[string(f.Family)] = f.Recall
	}
	return found
}

// scores are the log-odds of all events.
func (s *seen) scores(p *estimator.Part) []float64 {
	scores := make([]float64, len(s.rules))
	var row sense.Row
	for i := range scores {
		s.row(i, row[:])
		scores[i] = p.LogOdds(&row)
	}
	return scores
}
