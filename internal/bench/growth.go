package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/scripcards/scrip/internal/core/clock"
)

// Growth says how to measure what a scenario costs as there is more and more data.
type Growth struct {
	// From and To are the first and last size: From, ten times that, and so on up to To.
	// 0 means a thousand and a million.
	From, To int64
	// Load makes what is missing: the things numbered from (which exist when it is above 0)
	// up to to, exclusively.
	Load func(ctx context.Context, from, to int64) error
	// Scenario returns the load at a size. Requests go on counting from one size to the next.
	Scenario func(size int64) Scenario
}

const (
	decade   = 10
	maxSize  = 1_000_000_000
	stdFrom  = 1_000
	stdUntil = 1_000_000
)

// sizes returns the sizes, smallest first.
func (g *Growth) sizes() ([]int64, error) {
	if g.Load == nil || g.Scenario == nil {
		return nil, errors.New("growth: want Load and Scenario")
	}
	setDefault(&g.From, stdFrom)
	setDefault(&g.To, stdUntil)
	if g.From < 1 || g.To < g.From || g.To > maxSize {
		return nil, fmt.Errorf("growth from %d to %d: want 1 to %d, rising", g.From, g.To, maxSize)
	}
	var all []int64
	for size := g.From; size <= g.To; size *= decade {
		all = append(all, size)
	}
	return all, nil
}

// Grow loads up to each size, measures there, and reports a row for each. When ctx ends,
// the report has the sizes that were finished, and the error is ctx's.
func (r *Runner) Grow(ctx context.Context, g Growth, o Options) (Report, error) {
	sizes, err := g.sizes()
	if err != nil {
		return Report{}, fmt.Errorf("bench: %w", err)
	}
	scenarios := make([]Scenario, len(sizes))
	for i, size := range sizes {
		scenarios[i] = g.Scenario(size)
	}
	s, err := r.begin(ctx, scenarios, o)
	if err != nil {
		return Report{}, fmt.Errorf("bench: %w", err)
	}
	defer s.bar.end()
	have := int64(0)
	for i, size := range sizes {
		watch := clock.Start()
		if err := g.Load(ctx, have, size); err != nil {
			return s.report, fmt.Errorf("bench: load up to %d: %w", size, err)
		}
		took := watch.Elapsed()
		row, err := s.measure(ctx, &scenarios[i])
		if err != nil {
			return s.report, fmt.Errorf("bench %s at %d: %w", scenarios[i].Name, size, err)
		}
		row.Scenario = fmt.Sprintf("%s @%d", row.Scenario, size)
		row.Size, row.Loaded, row.LoadMillis = size, size-have, took.Milliseconds()
		s.report.Rows = append(s.report.Rows, row)
		have = size
	}
	return s.report, nil
}
