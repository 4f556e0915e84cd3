// Package clock is the only place that reads the time. Services take a Clock;
// what belongs to a realm asks Realms, whose test realm can be moved forward and
// never back, so that expiry, holds, codes and retries can be tried out in an
// instant. Times are UTC and rounded to microseconds, which is what is stored.
package clock

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
)

// Clock tells the time.
type Clock interface {
	Now() time.Time
}

type system struct{}

func (system) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// System returns the machine's clock.
func System() Clock { return system{} }

// Manual is a clock that stands still until it is told to move. It is safe for concurrent use.
type Manual struct{ micros atomic.Int64 }

// NewManual returns a clock that stands at start.
func NewManual(start time.Time) *Manual {
	m := &Manual{}
	m.micros.Store(start.UnixMicro())
	return m
}

// Now returns where the clock stands.
func (m *Manual) Now() time.Time { return time.UnixMicro(m.micros.Load()).UTC() }

// Advance moves the clock by d, backwards too: machines' clocks do jump.
func (m *Manual) Advance(d time.Duration) { m.micros.Add(d.Microseconds()) }

// Realms holds the clock of each realm: live is the machine's, test is the
// machine's plus an offset.
type Realms struct {
	base   Clock
	offset atomic.Int64
}

// MaxOffset bounds how far the test realm can be moved ahead.
const MaxOffset = 50 * 365 * 24 * time.Hour

// NewRealms returns the clocks of both realms over base.
func NewRealms(base Clock) *Realms { return &Realms{base: base} }

// Now returns the time in r.
func (c *Realms) Now(r realm.Realm) time.Time {
	now := c.base.Now()
	if r == realm.Test {
		now = now.Add(c.Offset())
	}
	return now
}

// Of returns the clock of r.
func (c *Realms) Of(r realm.Realm) Clock { return ofRealm{c, r} }

// Offset returns how far the test realm is ahead.
func (c *Realms) Offset() time.Duration { return time.Duration(c.offset.Load()) }

// SetOffset moves the test realm to offset ahead of the machine's clock. It refuses to go back.
func (c *Realms) SetOffset(offset time.Duration) error {
	if offset > MaxOffset {
		return fmt.Errorf("set test clock: %s is more than %s ahead", offset, MaxOffset)
	}
	for {
		current := c.offset.Load()
		if int64(offset) < current {
			return fmt.Errorf("set test clock: %s ahead is before the current %s", offset, time.Duration(current))
		}
		if c.offset.CompareAndSwap(current, int64(offset)) {
			return nil
		}
	}
}

type ofRealm struct {
	realms *Realms
	realm  realm.Realm
}

func (c ofRealm) Now() time.Time { return c.realms.Now(c.realm) }

// Wait returns after d of the machine's time, or earlier with ctx's error when ctx ends.
func Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Stopwatch measures elapsed time of the machine's monotonic clock.
type Stopwatch struct{ start time.Time }

// Start returns a running stopwatch.
func Start() Stopwatch { return Stopwatch{time.Now()} }

// Elapsed returns the time since Start.
func (s Stopwatch) Elapsed() time.Duration { return time.Since(s.start) }

// Seldom bounds how often something is said. The zero value has said nothing yet. It is for one
// goroutine at a time.
type Seldom struct{ said time.Time }

// Due reports whether it may be said: not again before every has passed since it was last due.
func (s *Seldom) Due(every time.Duration) bool {
	if !s.said.IsZero() && time.Since(s.said) < every {
		return false
	}
	s.said = time.Now()
	return true
}
