package ping

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
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

// AddCallers writes callers of the desk whose hour is over.
func (s *Service) AddCallers(ctx context.Context, names ...string) error {
	for some := range slices.Chunk(names, 1000) {
		rows := make([][]any, 0, len(some))
		for _, name := range some {
			c := caller{key: callerKey{"bk_desk", name}, realm: realm.Live, hour: s.now().Add(-2 * forgetAfter), state: callerFree, changed: storage.Time(0)}
			rows = append(rows, c.row())
		}
		if err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return tx.ExecRows(ctx, writeCaller, rows) }); err != nil {
			return err
		}
	}
	return nil
}

// AddProbes writes checks of one of the shop's cards by the desk, a millisecond after one
// another, up to now.
func (s *Service) AddProbes(ctx context.Context, n int) error {
	check := &Check{Caller: Caller{Book: "bk_desk", Realm: realm.Live, Credential: "key_desk"}}
	a := &attempt{check: check, balance: Balance{Owner: "bk_shop", Card: "gc_crowd"}}
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		var rows []storage.Effect
		for i := range n {
			at := s.now().Add(time.Duration(i-n) * time.Millisecond)
			rows = append(rows, pingRow(a, &Result{ID: ID(id.New(idPrefix)), Network: scripID, Status: Invalid, Balance: money.New(0, money.USD), AsOf: at, At: at}))
		}
		return tx.Apply(ctx, rows)
	})
}
