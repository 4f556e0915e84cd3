// Package boost is gradient-boosted decision trees for a yes-or-no question: training
// on a table of numbers, and scoring a row of them.
//
// Trees grow leaf by leaf on histograms, for the logistic loss, from margin 0. Training
// is deterministic: the same table and parameters make the same model, bit for bit, on
// however many processors. Scoring allocates nothing. A missing number is NaN, which
// counts as below every other.
//
// It must never know what a column means.
package boost

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// Table is what a model learns from, column by column.
type Table struct {
	Columns [][]float32
	// Positive says which rows are examples of what is looked for.
	Positive []bool
	// Weights are the rows' weights; nil: each is 1.
	Weights []float32
}

// Params says how to train. Default has sensible ones.
type Params struct {
	Trees int // how many, at most
	// Leaves bounds a tree's leaves, MinRows the rows of a leaf, MinHessian its certainty.
	Leaves     int
	MinRows    int
	MinHessian float64
	// Rate is how much of each tree is believed.
	Rate float64
	// L2 pulls leaves towards zero; MinGain is what a split must be worth.
	L2      float64
	MinGain float64
	// Rows and Columns are the shares that each tree sees, above 0 and at most 1.
	Rows, Columns float64
	// PositiveWeight multiplies the weight of positive rows.
	PositiveWeight float64
	// Bins is how many intervals a column is cut into at most.
	Bins int
	// Monotone is, by column, +1 where the score may only rise with it, -1 where it may
	// only fall; nil or 0: as it likes.
	Monotone []int8
	Seed     uint64
}

// Default returns parameters that do well on tables of some ten thousand rows.
func Default() Params {
	return Params{Trees: 300, Leaves: 31, MinRows: 20, MinHessian: 1, Rate: 0.05, L2: 1, Rows: 0.8, Columns: 0.5,
		PositiveWeight: 1, Bins: 1024, Seed: 1}
}

// Bounds of what can be trained.
const (
	MaxColumns = 4096
	MaxBins    = 4096
	maxRows    = math.MaxInt32
	maxLeaves  = 4096
)

var errTable = errors.New("boost: every column must have one number a row, and there must be rows of both kinds")

func (t *Table) check() error {
	positives := 0
	for _, positive := range t.Positive {
		if positive {
			positives++
		}
	}
	if len(t.Columns) == 0 || len(t.Columns) > MaxColumns || len(t.Positive) > maxRows || positives == 0 || positives == len(t.Positive) {
		return errTable
	}
	for _, column := range t.Columns {
		if len(column) != len(t.Positive) {
			return errTable
		}
	}
	if t.Weights != nil && len(t.Weights) != len(t.Positive) {
		return errTable
	}
	return nil
}

func (p *Params) check(columns int) error {
	share := func(x float64) bool { return x > 0 && x <= 1 }
	switch {
	case p.Trees < 1 || p.Leaves < 2 || p.Leaves > maxLeaves || p.MinRows < 1:
		return fmt.Errorf("boost: want at least one tree, 2 to %d leaves and a row a leaf", maxLeaves)
	case !share(p.Rate) || !share(p.Rows) || !share(p.Columns):
		return errors.New("boost: rate, rows and columns are above 0 and at most 1")
	case p.L2 < 0 || p.MinGain < 0 || p.MinHessian < 0 || p.PositiveWeight <= 0:
		return errors.New("boost: no parameter is negative, and the positive weight is above 0")
	case p.Bins < 2 || p.Bins > MaxBins:
		return fmt.Errorf("boost: want 2 to %d bins", MaxBins)
	case p.Monotone != nil && len(p.Monotone) != columns:
		return errors.New("boost: want one monotone direction a column")
	}
	return nil
}

// Train learns a model. progress, when not nil, is told how many trees there are. It
// returns ctx's error if that ends first.
func Train(ctx context.Context, t Table, p Params, progress func(trees int)) (*Model, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if err := p.check(len(t.Columns)); err != nil {
		return nil, err
	}
	b := newBuilder(&t, &p)
	for i := range p.Trees {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !b.grow() {
			break // nothing is left to learn
		}
		if progress != nil {
			progress(i + 1)
		}
	}
	return newModel(b.cuts, b.trees), nil
}

// sigmoid is the probability that a margin stands for.
func sigmoid(margin float64) float64 { return 1 / (1 + math.Exp(-margin)) }

// random is a generator of numbers for sampling: SplitMix64.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below reports whether the next draw of [0, 1) is below share.
func (r *random) below(share float64) bool { return float64(r.next()>>11)/(1<<53) < share }
