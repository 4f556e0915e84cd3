package ping

import (
	"context"
	"errors"
	"fmt"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/lane"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Timer returns what makes one check within tx, everything but the commit, and tells what
// came of it and how long it took.
func (s *Service) Timer() func(context.Context, *storage.Tx, Check) (Result, int64, error) {
	remembered := newSeen()
	return func(ctx context.Context, tx *storage.Tx, c Check) (Result, int64, error) {
		watch := clock.Start()
		a, err := s.begin(ctx, &c)
		if err != nil {
			return Result{}, 0, err
		}
		a.result.Score = s.score(a)
		if err := s.ask(ctx, a); err != nil {
			return Result{}, 0, err
		}
		t := &lane.Task[work]{Work: work{a: a}}
		if err := newBatch(s, remembered, []*lane.Task[work]{t}).run(ctx, tx); err != nil {
			return Result{}, 0, err
		}
		if t.Err == nil {
			s.learn(a, t.Work.result)
		}
		return t.Work.result.told(), watch.Elapsed().Nanoseconds(), t.Err
	}
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
	t := &lane.Task[work]{Work: work{a: a}}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return newBatch(s, newSeen(), []*lane.Task[work]{t}).run(ctx, tx)
	})
	return errors.Join(err, t.Err)
}

// AddCallers writes n callers of an hour that is over, as many checks by visitors leave them.
func (s *Service) AddCallers(ctx context.Context, n int) error {
	hour := s.now().Add(-2 * forgetAfter)
	const atOnce = 1000
	for from := 0; from < n; from += atOnce {
		rows := make([][]any, 0, atOnce)
		for i := from; i < min(n, from+atOnce); i++ {
			c := caller{key: callerKey{"bk_desk", fmt.Sprintf("portal_1/%d", i)}, realm: realm.Live, hour: hour, state: callerFree, changed: storage.Time(0)}
			rows = append(rows, c.row())
		}
		if err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return tx.ExecRows(ctx, writeCaller, rows) }); err != nil {
			return err
		}
	}
	return nil
}
