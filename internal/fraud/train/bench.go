package train

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/study"
	"github.com/scripcards/scrip/internal/fraud/traffic"
)

// What a threshold may cost honest callers: of all their asks, and of those of each group
// that asks much.
const (
	overallCost = 0.001
	groupCost   = 0.01
)

// FamilyResult is what was found of one family.
type FamilyResult struct {
	Family traffic.Family
	Unseen bool
	Asks   int
	Recall float64
}

// GroupResult is what a threshold cost one group of honest callers.
type GroupResult struct {
	Group traffic.Group
	Asks  int
	Cost  float64
}

// DressResult is what was found of the attacks that say one thing of themselves.
type DressResult struct {
	Dress  traffic.Dress
	Asks   int
	Recall float64
}

// Enumeration is what scores make of a stream with attacks.
type Enumeration struct {
	Name      string
	Threshold float64
	Families  []FamilyResult
	Dresses   []DressResult
	Groups    []GroupResult
	// Known and Unseen are the mean recalls of the families of each kind, Revealed the
	// share of cards that attackers asked for and were told of.
	Known, Unseen, Revealed float64
	// Honest and Attacks are how many asks there were.
	Honest, Attacks int
}

// measure finds the lowest threshold that costs honest callers no more than it may, and
// says what it finds.
func measure(name string, s *traffic.Stream, scores []float64) Enumeration {
	e := Enumeration{Name: name, Threshold: threshold(s, scores)}
	groups, families, dresses := map[traffic.Group]*tally{}, map[traffic.Family]*tally{}, map[traffic.Dress]*tally{}
	revealed, wanted := map[uint64]bool{}, map[uint64]bool{}
	for i := range s.Asks {
		who, flagged := &s.Actors[s.Asks[i].Actor], scores[i] >= e.Threshold
		if who.Group != traffic.Attack {
			e.Honest++
			of(groups, who.Group).add(flagged)
			continue
		}
		e.Attacks++
		of(families, who.Family).add(flagged)
		of(dresses, who.Dress).add(flagged)
		if s.Asks[i].Exists && s.Asks[i].PIN {
			wanted[s.Card(i)] = true
			revealed[s.Card(i)] = revealed[s.Card(i)] || !flagged
		}
	}
	for _, told := range revealed {
		if told {
			e.Revealed += 1 / float64(len(wanted))
		}
	}
	e.Known = e.families(families, traffic.Known(), false)
	e.Unseen = e.families(families, traffic.Unseen(), true)
	for _, d := range traffic.Dresses() {
		if t := dresses[d]; t != nil {
			e.Dresses = append(e.Dresses, DressResult{d, t.all, t.share()})
		}
	}
	for _, g := range append(traffic.HeavyGroups(), traffic.SupportDesk, traffic.Cardholder, traffic.Newcomer) {
		if t := groups[g]; t != nil {
			e.Groups = append(e.Groups, GroupResult{g, t.all, t.share()})
		}
	}
	return e
}

type tally struct{ all, flagged int }

func (t *tally) add(flagged bool) {
	t.all++
	if flagged {
		t.flagged++
	}
}

func (t *tally) share() float64 { return float64(t.flagged) / float64(max(t.all, 1)) }

func of[K comparable](all map[K]*tally, k K) *tally {
	if all[k] == nil {
		all[k] = &tally{}
	}
	return all[k]
}

// families adds some, and returns their mean recall.
func (e *Enumeration) families(all map[traffic.Family]*tally, which []traffic.Family, unseen bool) float64 {
	sum, n := 0.0, 0
	for _, f := range which {
		if t := all[f]; t != nil {
			e.Families = append(e.Families, FamilyResult{f, unseen, t.all, t.share()})
			sum += t.share()
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// threshold is the lowest score at which no honest group is flagged more than it may be.
func threshold(s *traffic.Stream, scores []float64) float64 {
	byGroup := map[traffic.Group][]float64{}
	var all []float64
	for i := range s.Asks {
		if g := s.Actors[s.Asks[i].Actor].Group; g != traffic.Attack {
			byGroup[g] = append(byGroup[g], scores[i])
			all = append(all, scores[i])
		}
	}
	least := above(all, overallCost)
	for _, g := range traffic.HeavyGroups() {
		least = max(least, above(byGroup[g], groupCost))
	}
	return least
}

// above is the lowest of the scores that no more than a share of them reach.
func above(scores []float64, share float64) float64 {
	slices.SortFunc(scores, func(a, b float64) int { return cmp.Compare(b, a) })
	n := int(share * float64(len(scores)))
	if n >= len(scores) {
		return 0
	}
	// Of equal scores none is flagged where not all may be.
	return math.Nextafter(scores[n], math.Inf(1))
}

// BenchConfig says on which traffic models are measured.
type BenchConfig struct {
	// Seeds is how many streams there are; the first has the seed First.
	First, Seeds uint64
	// Days, Campaigns and Size are those of the traffic.
	Days, Campaigns int
	Size            float64
}

// Bench is the traffic of the published figures: no model was trained on these seeds.
func Bench() BenchConfig {
	return BenchConfig{First: 1001, Seeds: 4, Days: 7, Campaigns: 3, Size: 1}
}

// fresh returns an error where a model learned from the traffic of a bench, or was
// calibrated on it.
func (c *BenchConfig) fresh(m *estimator.Model) error {
	for _, seed := range [...]uint64{m.Info.Seed, m.Info.Seed + 1} {
		if seed >= c.First && seed-c.First < c.Seeds {
			return fmt.Errorf("%s was trained with seed %d, on traffic that it would be measured on: train it with a seed below %d or above %d", m.Info.Name, m.Info.Seed,
				c.First-1, c.First+c.Seeds-1)
		}
	}
	return nil
}

// Run measures the rules alone and a model's parts on streams with all families, known
// and unseen, and returns the means over the streams. Scores are those of the last one,
// for plots.
func Run(ctx context.Context, m *estimator.Model, c BenchConfig, progress Progress) ([]Enumeration, *Curve, error) {
	if err := c.fresh(m); err != nil {
		return nil, nil, err
	}
	names := [...]string{"rules alone", "model", "model without rarity", "quiet part"}
	plain := m.Full
	plain.Weight = 0
	var all [len(names)][]Enumeration
	var curve *Curve
	for seed := range c.Seeds {
		stream := traffic.Generate(traffic.Config{Seed: c.First + seed, Days: c.Days, Warmup: warmup, Families: append(traffic.Known(), traffic.Unseen()...),
			Campaigns: c.Campaigns, Size: c.Size})
		s, err := replay(ctx, stream, fmt.Sprintf("replaying traffic %d of %d", seed+1, c.Seeds), progress)
		if err != nil {
			return nil, nil, err
		}
		full := s.scores(&m.Full)
		for i, scores := range [...][]float64{s.ruleScores(), full, s.scores(&plain), s.scores(&m.Quiet)} {
			all[i] = append(all[i], measure(names[i], stream, scores))
		}
		curve = newCurve(s, full)
	}
	means := make([]Enumeration, len(all))
	for i := range all {
		means[i] = meanOf(all[i])
	}
	return means, curve, nil
}

func (s *seen) ruleScores() []float64 {
	scores := make([]float64, len(s.rules))
	for i, n := range s.rules {
		scores[i] = float64(n)
	}
	return scores
}

// meanOf is the mean of measures of the same families and groups; counts add up.
func meanOf(all []Enumeration) Enumeration {
	n := float64(len(all))
	m := Enumeration{Name: all[0].Name, Families: slices.Clone(all[0].Families), Groups: slices.Clone(all[0].Groups), Dresses: dressesOf(all)}
	for i := range m.Families {
		m.Families[i].Asks, m.Families[i].Recall = 0, 0
	}
	for i := range m.Groups {
		m.Groups[i].Asks, m.Groups[i].Cost = 0, 0
	}
	for _, e := range all {
		m.Threshold += e.Threshold / n
		m.Known += e.Known / n
		m.Unseen += e.Unseen / n
		m.Revealed += e.Revealed / n
		m.Honest += e.Honest
		m.Attacks += e.Attacks
		for i := range min(len(m.Families), len(e.Families)) {
			m.Families[i].Asks += e.Families[i].Asks
			m.Families[i].Recall += e.Families[i].Recall / n
		}
		for i := range min(len(m.Groups), len(e.Groups)) {
			m.Groups[i].Asks += e.Groups[i].Asks
			m.Groups[i].Cost += e.Groups[i].Cost / n
		}
	}
	return m
}

// dressesOf is what was found of each dress in all: some streams have few attacks of one,
// and each ask counts alike.
func dressesOf(all []Enumeration) (found []DressResult) {
	for _, dress := range traffic.Dresses() {
		r := DressResult{Dress: dress}
		for _, e := range all {
			for _, d := range e.Dresses {
				if d.Dress == dress {
					r.Recall += d.Recall * float64(d.Asks)
					r.Asks += d.Asks
				}
			}
		}
		if r.Asks > 0 {
			r.Recall /= float64(r.Asks)
			found = append(found, r)
		}
	}
	return found
}

func probability(logOdds float64) float64 { return 1 / (1 + math.Exp(-logOdds)) }

// Curve is the scored events of one stream, for plots.
type Curve struct {
	Scored []study.Scored // Score is a probability
	// At is when each was, in hours since the first.
	At []float64
}

func newCurve(s *seen, logOdds []float64) *Curve {
	c := &Curve{}
	for i, x := range logOdds {
		ask := &s.stream.Asks[i]
		hours := float64(ask.At-s.stream.Asks[0].At) / 3.6e9
		c.Scored = append(c.Scored, study.Scored{Score: probability(x), Fraud: s.stream.Attack(i), Card: s.stream.Card(i), Day: int(hours / 24)})
		c.At = append(c.At, hours)
	}
	return c
}
