// Package sweep ends what is due: a page of rows at a time, in each realm, several at once.
// A row that cannot be ended does not keep the others from it, and rows that cannot end yet
// do not keep the later ones waiting.
package sweep

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/scripcards/scrip/internal/core/realm"
)

// pages bounds one run, in each realm.
const pages = 20

// Sweep is how a product ends rows of one kind.
type Sweep[R any] struct {
	Page   int // rows that are read at a time
	AtOnce int // rows that are ended at once
	// Due reads up to so many rows that are due, those after one in their order; the zero
	// row is before all.
	Due func(ctx context.Context, r realm.Realm, after R, most int) ([]R, error)
	// End ends a row and reports whether this call did.
	End func(ctx context.Context, r realm.Realm, row R) (bool, error)

	mu sync.Mutex
	// after is by realm the last row of an unfinished run.
	after map[realm.Realm]R
}

// Run ends what is due, where the last run stopped, and returns how many rows it ended.
// Runs take turns.
func (s *Sweep[R]) Run(ctx context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.after == nil {
		s.after = map[realm.Realm]R{}
	}
	done, errs := 0, []error(nil)
	for _, r := range realm.All() {
		n, err := s.run(ctx, r)
		done, errs = done+n, append(errs, err)
	}
	return done, errors.Join(errs...)
}

func (s *Sweep[R]) run(ctx context.Context, r realm.Realm) (int, error) {
	done, errs := 0, error(nil)
	for range pages {
		due, err := s.Due(ctx, r, s.after[r], s.Page)
		if err != nil {
			return done, errors.Join(errs, err)
		}
		n, err := s.end(ctx, r, due)
		done, errs = done+n, errors.Join(errs, err)
		if len(due) < s.Page {
			delete(s.after, r)
			break
		}
		s.after[r] = due[len(due)-1]
	}
	return done, errs
}

// end ends every row that can be ended and returns the first error.
func (s *Sweep[R]) end(ctx context.Context, r realm.Realm, due []R) (int, error) {
	var (
		group errgroup.Group
		done  atomic.Int64
	)
	group.SetLimit(s.AtOnce)
	for _, row := range due {
		group.Go(func() error {
			ended, err := s.End(ctx, r, row)
			if ended {
				done.Add(1)
			}
			return err
		})
	}
	err := group.Wait()
	return int(done.Load()), err
}
