package ping

import (
	"context"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Timed makes one check within tx, everything but the commit, and returns what came of it
// and how long it took.
func (s *Service) Timed(ctx context.Context, tx *storage.Tx, c Check) (Result, int64, error) {
	watch := clock.Start()
	a, err := s.begin(ctx, &c)
	if err != nil {
		return Result{}, 0, err
	}
	a.result.Score = s.score(a)
	if err := s.ask(ctx, a); err != nil {
		return Result{}, 0, err
	}
	p := &pending{ctx: ctx, a: a}
	if err := newBatch(s.lanes[0], []*pending{p}).run(ctx, tx); err != nil {
		return Result{}, 0, err
	}
	if p.err == nil {
		s.learn(a, p.result)
	}
	return p.result.told(), watch.Elapsed().Nanoseconds(), p.err
}

// RecordAlone records a check in a transaction of its own, beside the lanes: what they
// are measured against.
func (s *Service) RecordAlone(ctx context.Context, c Check) error {
	a, err := s.begin(ctx, &c)
	if err != nil {
		return err
	}
	if err := s.ask(ctx, a); err != nil {
		return err
	}
	l := newLane(s)
	p := &pending{ctx: ctx, a: a}
	l.write([]*pending{p})
	return p.err
}
