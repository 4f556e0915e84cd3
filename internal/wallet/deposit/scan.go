package deposit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet/address"
)

// The bounds of one scan.
const (
	maxPages = 64 // of one chain's news
	parallel = 8  // deposits that are looked after at once; news are told in their order
)

// Scan looks at every chain of a realm: first at what is new since the last time, then at
// the deposits that are not settled. A chain that does not answer keeps no other from
// being looked at. It returns the errors of all, joined. It is run from time to time, by
// any number of processes; where one dies, the next goes on.
func (s *Service) Scan(ctx context.Context, r realm.Realm) error {
	var failed error
	for _, chain := range asset.Chains() {
		p := address.Place{Realm: r, Chain: chain}
		if s.Chains[p] == nil {
			continue
		}
		if err := s.scan(ctx, p); err != nil {
			failed = errors.Join(failed, fmt.Errorf("scan %s: %w", chain, err))
		}
	}
	return failed
}

// scan looks at one chain, and notes whether it could.
func (s *Service) scan(ctx context.Context, p address.Place) error {
	failed := errors.Join(s.news(ctx, p), s.watch(ctx, p))
	before, _, err := storage.One(ctx, s.DB, scanState, findState, string(p.Realm), string(p.Chain))
	if err != nil {
		return errors.Join(failed, err)
	}
	now, note := s.Clocks.Now(p.Realm), saveLooked
	if failed != nil {
		note = saveFailing
	}
	if failed != nil && !before.FailingSince.IsZero() || failed == nil && before.FailingSince.IsZero() && now.Sub(before.LookedAt) < noteEvery {
		return failed // it is known
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.Exec(ctx, note, string(p.Realm), string(p.Chain), storage.Micros(now))
		return err
	})
	return errors.Join(failed, err)
}

// news takes account of what the chain has to tell since the last time. The place is
// written down behind the sightings: what was not finished is told again.
func (s *Service) news(ctx context.Context, p address.Place) error {
	place, _, err := storage.One(ctx, s.DB, storage.Scalar[string], findCursor, string(p.Realm), string(p.Chain))
	if err != nil {
		return err
	}
	for range maxPages {
		page, err := s.Chains[p].Seen(ctx, place)
		if err != nil {
			return err
		}
		if err := s.observeAll(ctx, p, page.Sightings, 1); err != nil {
			return err
		}
		if err := s.compared(ctx, p, &page); err != nil {
			return err
		}
		moved, err := s.move(ctx, p, place, page.Next)
		if err != nil || !moved || !page.More {
			return err
		}
		place = page.Next
	}
	return nil
}

// move writes down how far a chain was read, unless somebody else went on from there, or
// went back.
func (s *Service) move(ctx context.Context, p address.Place, from, to string) (moved bool, err error) {
	if from == to {
		return true, nil
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		n, err := tx.Exec(ctx, saveCursor, string(p.Realm), string(p.Chain), to, from)
		moved = n == 1
		return err
	})
	return moved, err
}

// watch looks at the deposits that are not settled: whether they are confirmed by now, or
// gone without a word.
func (s *Service) watch(ctx context.Context, p address.Place) error {
	book, last := "", ""
	var failed error
	for {
		some, err := storage.All(ctx, s.DB, scanDeposit, listWatched, string(p.Realm), string(p.Chain), book, last, maxWatched)
		if err != nil || len(some) == 0 {
			return errors.Join(failed, err)
		}
		payments := make([]Payment, len(some))
		for i := range some {
			payments[i] = some[i].Payment
		}
		seen, err := s.Chains[p].Look(ctx, payments)
		failed = errors.Join(failed, err, s.observeAll(ctx, p, seen, parallel))
		if err != nil && len(seen) == 0 {
			return failed
		}
		book, last = string(some[len(some)-1].Book), string(some[len(some)-1].ID)
	}
}

// observeAll takes account of different payments, so many at a time, each by itself. What
// can never be is logged and left behind: it must not keep others from being seen.
func (s *Service) observeAll(ctx context.Context, p address.Place, all []Sighting, atOnce int) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	errs := make([]error, len(all))
	for i := range all {
		group.Go(func() error {
			_, errs[i] = s.Observe(ctx, p.Realm, all[i])
			if code := fault.CodeOf(errs[i]); code == fault.InvalidRequest || code == fault.IdempotencyConflict {
				s.Logger.ErrorContext(ctx, "a payment cannot be as its chain tells it", "chain", string(p.Chain), "realm", string(p.Realm), "error", errs[i])
				errs[i] = nil
			}
			return nil
		})
	}
	_ = group.Wait() // nobody returns an error
	return errors.Join(errs...)
}

// The bounds of what counts as recently used.
const (
	recently  = 365 * 24 * time.Hour
	maxRecent = 50_000
)

// Recent returns the addresses of a place that were given or paid within a year, or of which
// something may have been missed: these first, and then those that were used last. It says
// in the log when there are more than it returns.
func (s *Service) Recent(ctx context.Context, p address.Place) ([]string, error) {
	since := storage.Micros(s.Clocks.Now(p.Realm).Add(-recently))
	all, err := storage.All(ctx, s.DB, storage.Scalar[string], listRecent, string(p.Realm), string(p.Chain), since, maxRecent+1, int64(math.MaxInt64))
	if len(all) > maxRecent {
		s.Logger.WarnContext(ctx, "more addresses were used within a year than are compared: those that were used last are", "chain", string(p.Chain), "realm", string(p.Realm), "compared", maxRecent)
		all = all[:maxRecent]
	}
	return all, err
}

// noteEvery is how often it is written down that a chain answers.
const noteEvery = time.Minute

// State is how far a chain was looked at.
type State struct {
	address.Place
	// At is the place in its history where the next look begins.
	At string
	// LookedAt is when it last answered, to the minute; zero: never. FailingSince is zero while it does.
	LookedAt, FailingSince time.Time
}

// States returns the states of all chains that were ever looked at.
func (s *Service) States(ctx context.Context) ([]State, error) {
	return storage.All(ctx, s.DB, scanState, listCursors)
}

func scanState(r storage.Row) (c State, err error) {
	var looked, failing sql.NullInt64
	err = r.Scan((*string)(&c.Realm), (*string)(&c.Chain), &c.At, &looked, &failing)
	c.LookedAt, c.FailingSince = storage.NullTime(looked), storage.NullTime(failing)
	return c, err
}
