package account_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
)

// The test realm moves ahead, stays there across a restart, and other processes follow; the live realm stands.
func TestAdvanceTestClock(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, other := t.Context(), b.another()
		if err := b.LoadTestClock(ctx); err != nil || b.clocks.Offset() != 0 {
			t.Fatalf("a new installation is %s ahead, %v", b.clocks.Offset(), err)
		}
		must(b.AdvanceTestClock(ctx, actor, 36*time.Hour, nil))(t)
		now := must(b.AdvanceTestClock(ctx, actor, time.Hour, nil))(t)
		want := began.Add(37 * time.Hour)
		if !now.Equal(want) || !b.clocks.Now(realm.Test).Equal(want) || !b.clocks.Now(realm.Live).Equal(began) {
			t.Errorf("test realm at %s, want %s", now, want)
		}
		for _, process := range []*bundle{other, b.another()} {
			for range 2 {
				if err := process.LoadTestClock(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if got := process.clocks.Now(realm.Test); !got.Equal(want) {
				t.Errorf("another process is at %s, want %s", got, want)
			}
		}
		entries := must(b.audit.List(ctx, audit.Filter{Action: "test_clock.advance"}))(t)
		if len(entries) != 2 || entries[0].Detail["offset"] != "37h0m0s" || entries[0].Actor != actor {
			t.Errorf("audit: %+v", entries)
		}
	})
}

// It never goes back and never beyond its limit.
func TestTestClockRefusals(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		for _, d := range []time.Duration{0, -time.Second, time.Nanosecond, clock.MaxOffset + time.Second} {
			_, err := b.AdvanceTestClock(t.Context(), actor, d, nil)
			wantCode(t, err, fault.InvalidRequest)
		}
		must(b.AdvanceTestClock(t.Context(), actor, clock.MaxOffset, nil))(t)
		_, err := b.AdvanceTestClock(t.Context(), actor, time.Microsecond, nil)
		wantCode(t, err, fault.InvalidRequest)
		if got := b.clocks.Offset(); got != clock.MaxOffset {
			t.Errorf("offset %s after refusals", got)
		}
	})
}

// A move to an instant ends there, though others moved the clock since this process looked, and
// though several ask for it at once.
func TestMoveTestClock(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, other := t.Context(), b.another()
		must(b.AdvanceTestClock(ctx, actor, 24*time.Hour, nil))(t)
		to := began.Add(36 * time.Hour)
		if now := must(other.MoveTestClock(ctx, actor, to, nil))(t); !now.Equal(to) {
			t.Errorf("moved to %s, want %s", now, to)
		}
		for _, past := range []time.Time{to, began, {}} {
			_, err := b.MoveTestClock(ctx, actor, past, nil)
			wantCode(t, err, fault.InvalidRequest)
		}
		_, err := b.MoveTestClock(ctx, actor, began.Add(clock.MaxOffset+time.Second), nil)
		wantCode(t, err, fault.InvalidRequest)
		to = to.Add(time.Hour)
		var group sync.WaitGroup
		var moved atomic.Int64
		for range 8 {
			group.Go(func() {
				if _, err := b.MoveTestClock(ctx, actor, to, nil); err == nil {
					moved.Add(1)
				} else {
					wantCode(t, err, fault.InvalidRequest)
				}
			})
		}
		group.Wait()
		if got := b.clocks.Now(realm.Test); moved.Load() != 1 || !got.Equal(to) {
			t.Errorf("%d moved the realm to %s, want one to %s", moved.Load(), got, to)
		}
	})
}

// Moves at once, by several processes, add up.
func TestAdvanceTestClockConcurrently(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		processes := []*bundle{b, b.another(), b.another()}
		var group sync.WaitGroup
		for i := range 24 {
			process := processes[i%len(processes)]
			group.Go(func() {
				if _, err := process.AdvanceTestClock(t.Context(), actor, time.Hour, nil); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for i, process := range processes {
			if err := process.LoadTestClock(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := process.clocks.Offset(); got != 24*time.Hour {
				t.Errorf("process %d is %s ahead", i, got)
			}
		}
	})
}
