// Package estimator is what was learned about a kind of events, as one file: boosted trees, a
// measure of how unusual an event is among honest ones, the calibration that makes a
// probability of both, and a description of what it was trained on and how it did.
//
// It promises that a model only ever sees the numbers that it was trained on: a file of
// another schema is refused, and so is a damaged one. There are two parts: the full one,
// and for balance checks the quiet one, which never looks at what tells whether a card exists.
package estimator

import (
	"math"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/boost"
	"github.com/scripcards/scrip/internal/fraud/sense"
)

// Info describes a model.
type Info struct {
	// Name is "builtin-1", or what whoever trained it says.
	Name string
	// Data says what it was trained on, Seed and Rows how much of it there was.
	Data string
	Seed uint64
	Rows int
	// Attacks is how many of the rows were attacks.
	Attacks int
	// Metrics are what was measured, by name, on data that it was not trained on.
	Metrics map[string]float64
}

// Model scores events of one kind. It is safe for concurrent use.
type Model struct {
	Kind fraud.Kind
	Info Info
	Full Part
	// Quiet is of models of balance checks.
	Quiet Part
	// Sum is the SHA-256 of the file, in hexadecimal digits; empty before it has one.
	Sum string
}

// parts are those that a model has.
func (m *Model) parts() []*Part {
	if m.Kind == fraud.Authorization {
		return []*Part{&m.Full}
	}
	return []*Part{&m.Full, &m.Quiet}
}

// Part is one way of looking at an event.
type Part struct {
	Kind  fraud.Kind
	Trees *boost.Model
	// Rare is how unusual values are among honest events.
	Rare Rarity
	// Weight is what one unit of rarity adds to the trees' margin.
	Weight float64
	// Slope and Offset make log-odds of the sum.
	Slope, Offset float64
}

// LogOdds returns the score of an event as calibrated log-odds; where too little is known
// of it, unsuspicious.
func (p *Part) LogOdds(row *sense.Row) float64 {
	if sense.Stranger(p.Kind, row) {
		return unsuspicious
	}
	margin := p.Trees.Margin(row[:])
	if p.Weight != 0 {
		margin += p.Weight * p.Rare.Of(row)
	}
	return p.Slope*margin + p.Offset
}

// unsuspicious is what a model says of events that it says nothing of.
const unsuspicious = -20

// Probability returns the score of an event: how likely it is an attack, in traffic such
// as the model was calibrated on.
func (p *Part) Probability(row *sense.Row) float64 { return probability(p.LogOdds(row)) }

func probability(logOdds float64) float64 { return 1 / (1 + math.Exp(-logOdds)) }

// Top is how many reasons an explanation has at most.
const Top = 5

// Reason is what one number did to a score.
type Reason struct {
	// Column is its place among sense.Columns of the model's kind.
	Column int
	Value  float32
	// Share is its part of the log-odds.
	Share float64
}

// Reasons are the strongest, those that raised the score most first.
type Reasons struct {
	List [Top]Reason
	N    int
}

// Explain is Probability that also says what raised an event's score most. It allocates
// nothing.
func (p *Part) Explain(row *sense.Row) (float64, Reasons) {
	if sense.Stranger(p.Kind, row) {
		return probability(unsuspicious), Reasons{}
	}
	var parts [sense.Width]float64
	margin := p.Trees.Explain(row[:], parts[:])
	if p.Weight != 0 {
		margin += p.Weight * p.Rare.explain(row, p.Weight, parts[:])
	}
	var r Reasons
	for i, part := range parts {
		if part *= p.Slope; part > 0 {
			r.add(Reason{i, row[i], part})
		}
	}
	return probability(p.Slope*margin + p.Offset), r
}

// add puts a reason in its place, if it has one.
func (r *Reasons) add(one Reason) {
	at := r.N
	for at > 0 && r.List[at-1].Share < one.Share {
		at--
	}
	if at == Top {
		return
	}
	r.N = min(r.N+1, Top)
	copy(r.List[at+1:r.N], r.List[at:r.N-1])
	r.List[at] = one
}
