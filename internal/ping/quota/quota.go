// Package quota is how many balance checks a customer may make in a calendar month (UTC):
// the installation's figure, or one of the customer's own that an operator set.
//
// Every process knows all figures of customers' own, its own changes at once and those of
// others when it is told to look. It counts nothing: what was spent is in platform/limit,
// written with the checks.
package quota

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Name is what the quota of checks is called where it is counted.
const Name = "ping"

// Max is the largest figure that can be set.
const Max = 1_000_000_000_000

// Deps is what a Service stands on.
type Deps struct {
	DB     *storage.DB
	Audit  *audit.Log
	Clocks *clock.Realms
	// Standard is the installation's figure; 0: any number.
	Standard int64
}

// Service is the quotas of an installation. It is safe for concurrent use.
type Service struct {
	Deps
	mu  sync.RWMutex
	own map[ledger.BookID]int64
}

// New returns the service, which knows no customer's own figure until Refresh.
func New(d Deps) *Service { return &Service{Deps: d, own: map[ledger.BookID]int64{}} }

// Of returns how many checks a book of the live realm may make in a month, from memory.
// It is not bounded where there may be any number.
func (s *Service) Of(book ledger.BookID) (checks int64, bounded bool) {
	s.mu.RLock()
	own, found := s.own[book]
	s.mu.RUnlock()
	if found {
		return own, true
	}
	return s.Standard, s.Standard > 0
}

// Quota is a book's figure with what was spent of it this month.
type Quota struct {
	Book ledger.BookID
	// Checks is how many there may be in a month; without a bound 0.
	Checks  int64
	Bounded bool
	// Own says that the figure was set for the customer.
	Own bool
	// Period is the month, such as "2026-11"; it ends at EndsAt.
	Period string
	EndsAt time.Time
	Used   int64
}

// Find returns the quota of a book as it is stored.
func (s *Service) Find(ctx context.Context, book ledger.BookID) (Quota, error) {
	return s.find(ctx, s.DB, book)
}

func (s *Service) find(ctx context.Context, q storage.Queryer, book ledger.BookID) (Quota, error) {
	own, _, err := storage.One(ctx, q, scanOwn, findOwn, string(book))
	if err != nil {
		return Quota{}, fmt.Errorf("find quota: %w", err)
	}
	now := s.Clocks.Now(realm.Live)
	found := Quota{Book: book, Checks: s.Standard, Bounded: s.Standard > 0, Period: limit.Month(now), EndsAt: limit.MonthEnd(now)}
	if own.set {
		found.Checks, found.Bounded, found.Own = own.checks, true, true
	}
	found.Used, err = limit.Used(ctx, q, limit.Quota{Book: string(book), Name: Name, Period: found.Period})
	return found, err
}

// Change sets the figure of a book of the live realm.
type Change struct {
	Book ledger.BookID
	// Checks is 0, which allows none, to Max; nil: the installation's figure.
	Checks *int64
	// Actor is named in the audit log.
	Actor string
	Also  storage.Also[Quota]
}

// Change sets a figure, which counts for what was spent this month too, and returns the
// quota after it; the same figure again changes nothing. It returns invalid_request for a
// figure beyond its bounds.
func (s *Service) Change(ctx context.Context, c Change) (Quota, error) {
	if c.Checks != nil && (*c.Checks < 0 || *c.Checks > Max) {
		return Quota{}, fault.New(fault.InvalidRequest, "want 0 to %d checks a month", int64(Max)).At("checks_per_month")
	}
	var after Quota
	changed := false
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
		if after, err = s.find(ctx, tx, c.Book); err != nil {
			return err
		}
		if changed = after.Own != (c.Checks != nil) || c.Checks != nil && *c.Checks != after.Checks; !changed {
			return c.Also.Apply(ctx, tx, after)
		}
		now := s.Clocks.Now(realm.Live)
		figure := "standard"
		if c.Checks != nil {
			figure = strconv.FormatInt(*c.Checks, 10)
		}
		// The log locks the book's chain: two changes wait for each other.
		entry := audit.Record{Actor: c.Actor, Action: "ping.quota", Subject: string(c.Book), Book: string(c.Book), At: now,
			Detail: map[string]string{"checks_per_month": figure}}
		if err := s.Audit.Append(ctx, tx, entry); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, putOwn, string(c.Book), c.Checks, storage.Micros(now)); err != nil {
			return err
		}
		if after, err = s.find(ctx, tx, c.Book); err != nil {
			return err
		}
		return c.Also.Apply(ctx, tx, after)
	})
	if err != nil {
		return Quota{}, err
	}
	if changed {
		s.keep(own{book: c.Book, checks: after.Checks, set: after.Own})
	}
	return after, nil
}

// Refresh reads the figures that changed since then, in microseconds, in any process.
func (s *Service) Refresh(ctx context.Context, since int64) error {
	return storage.Each(ctx, s.DB, scanOwn, func(o own) error {
		s.keep(o)
		return nil
	}, changedOwn, since)
}

// keep takes a figure into memory.
func (s *Service) keep(o own) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.set {
		s.own[o.book] = o.checks
	} else {
		delete(s.own, o.book)
	}
}
