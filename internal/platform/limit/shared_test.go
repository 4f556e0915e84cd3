package limit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// processes are several limiters that share a database, as on several machines.
func processes(t *testing.T, db *storage.DB, c clock.Clock, n int) []*Limiter {
	t.Helper()
	all := make([]*Limiter, n)
	for i := range all {
		all[i] = newLimiter(db, c, true)
		t.Cleanup(all[i].Close)
	}
	return all
}

var sumWindows = storage.SQL("test.sum_windows", "SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM limit_windows WHERE subject = $1 AND period_us = $2")

// Processes together allow no more than the limit in a window, hardly less, and ask
// the database for few of the requests.
func TestProcessesShareLimit(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		const limit, crowd = 1000, 4
		c := noon()
		all := processes(t, db, c, 3)
		minute := Window{Limit: limit, Per: time.Minute}
		for window := range 2 {
			var allowed atomic.Int64
			var group sync.WaitGroup
			for _, l := range all {
				for range crowd {
					group.Go(func() {
						for range limit {
							if take(t, l, "s", 1, minute, Window{Limit: 100_000, Per: time.Hour}).Allowed {
								allowed.Add(1)
							}
						}
					})
				}
			}
			group.Wait()
			least := int64(limit - 3*(limit/20+1))
			if got := allowed.Load(); got > limit || got < least {
				t.Errorf("window %d: %d allowed, want %d to %d", window, got, least, limit)
			}
			for _, l := range all {
				if d := take(t, l, "s", 1, minute); d.Allowed || d.RetryAfter != time.Minute || !d.ResetAt.Equal(c.Now().Add(time.Minute)) {
					t.Errorf("window %d is used up: %+v", window, d)
				}
			}
			c.Advance(time.Minute)
		}
		var leases int64
		for _, l := range all {
			l.Close()
			leases += l.leases.Load()
		}
		if leases > 2*limit/3 {
			t.Errorf("%d leases for %d requests", leases, 2*3*crowd*limit)
		}
		used, _, err := storage.One(context.Background(), db, storage.Scalar[int64], sumWindows, "s", time.Minute.Microseconds())
		if err != nil || used != 2*limit {
			t.Errorf("%d of %d leased, %v", used, 2*limit, err)
		}
	})
}

// One process alone gets the whole limit, whatever it takes at a time.
func TestWholeLimit(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		c := noon()
		l := processes(t, db, c, 1)[0]
		for _, n := range []int{1, 7} {
			allowed, subject := 0, fmt.Sprint("s", n)
			for range 300 {
				if take(t, l, subject, n, Window{Limit: 210, Per: time.Hour}).Allowed {
					allowed += n
				}
			}
			if allowed != 210 {
				t.Errorf("%d at a time: %d allowed, want 210", n, allowed)
			}
			if d := take(t, l, subject, n, Window{Limit: 210, Per: time.Hour}); d.RetryAfter != time.Hour {
				t.Errorf("%d at a time: again after %s, want when the window ends", n, d.RetryAfter)
			}
		}
	})
}

// Random takes of several processes never pass the limit in any aligned window.
func TestSharedNeverExceeds(t *testing.T) {
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		c, subject := noon(), fmt.Sprint("s", run)
		all := []*Limiter{newLimiter(db, c, true), newLimiter(db, c, true), newLimiter(db, c, true)}
		w := Window{Limit: rapid.IntRange(1, 60).Draw(t, "limit"), Per: time.Minute}
		counts := map[time.Time]int{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			c.Advance(time.Duration(rapid.IntRange(0, 30).Draw(t, "forward")) * time.Second)
			n := rapid.IntRange(1, w.Limit).Draw(t, "n")
			d, err := all[rapid.IntRange(0, 2).Draw(t, "process")].Take(context.Background(), subject, []Window{w}, n)
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed {
				counts[c.Now().Truncate(w.Per)] += n
			}
		}
		for at, n := range counts {
			if n > w.Limit {
				t.Errorf("%d of %d in the minute of %s", n, w.Limit, at)
			}
		}
		for _, l := range all {
			l.Close()
		}
	})
}

// A database that does not answer is an error, not an allowance; a caller who leaves is let go.
func TestLeaseFails(t *testing.T) {
	db, err := storage.Open(context.Background(), testkit.Empty(t, "sqlite")) // not migrated
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	l := newLimiter(db, noon(), true)
	defer l.Close()
	w := []Window{{Limit: 5, Per: time.Minute}}
	if d, err := l.Take(context.Background(), "s", w, 1); err == nil {
		t.Errorf("no table: %+v", d)
	}
	for range leaseWorkers {
		l.workers <- struct{}{} // so that nothing goes on
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Take(ctx, "s", w, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("left: %v", err)
	}
	for range leaseWorkers {
		<-l.workers
	}
}

// A block holds until its end, reaches other processes, survives a restart and can be lifted.
func TestBlock(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, c := context.Background(), noon()
		all := processes(t, db, c, 2)
		first, second := all[0], all[1]
		blocked := func(l *Limiter, subject string) bool {
			t.Helper()
			l.Blocked(ctx, subject) // may start reading what others wrote
			l.Close()
			until, blocked := l.Blocked(ctx, subject)
			if blocked != until.After(c.Now()) {
				t.Errorf("%s: blocked %v until %s", subject, blocked, until)
			}
			return blocked
		}
		if blocked(first, "s") || blocked(second, "s") {
			t.Fatal("blocked from the start")
		}
		if err := first.Block(ctx, "s", c.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, now := first.Blocked(ctx, "s"); !now {
			t.Error("not blocked at once")
		}
		c.Advance(3 * time.Second)
		if !blocked(second, "s") || blocked(second, "other") {
			t.Error("the other process does not know")
		}
		if restarted := newLimiter(db, c, false); !blocked(restarted, "s") {
			t.Error("forgotten by a restart")
		}
		if err := second.Block(ctx, "s", time.Time{}); err != nil {
			t.Fatal(err)
		}
		c.Advance(3 * time.Second)
		if blocked(second, "s") || blocked(first, "s") {
			t.Error("not lifted")
		}
		if err := first.Block(ctx, "s", c.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Minute)
		if blocked(first, "s") {
			t.Error("blocked after its end")
		}
		if first.Block(ctx, "", c.Now()) == nil {
			t.Error("nobody was blocked")
		}
	})
}

// The penalty box is bounded, and those who stay longest are kept.
func TestBlocksBounded(t *testing.T) {
	b := blocks{until: map[string]block{}}
	b.put(block{subject: "worst", until: math.MaxInt64})
	for i := range 2 * maxBlocks {
		b.put(block{subject: fmt.Sprint(i), until: int64(1000 + i)})
	}
	if len(b.until) != maxBlocks || b.until["worst"].until == 0 {
		t.Errorf("%d blocks, the worst until %d", len(b.until), b.until["worst"].until)
	}
	b.put(block{subject: "worst", until: 5, written: -1})
	if b.until["worst"].until != math.MaxInt64 {
		t.Error("an older row replaced a newer one")
	}
}

// What is over is deleted, what counts stays.
func TestPurge(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, c := context.Background(), noon()
		l := processes(t, db, c, 1)[0]
		take(t, l, "s", 1, Window{Limit: 200, Per: time.Minute}, Window{Limit: 200, Per: time.Hour})
		l.Close()
		if err := l.Block(ctx, "short", c.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := l.Block(ctx, "long", c.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		c.Advance(20 * time.Minute)
		if err := l.Purge(ctx); err != nil {
			t.Fatal(err)
		}
		for per, want := range map[time.Duration]bool{time.Minute: false, time.Hour: true} {
			used, _, err := storage.One(ctx, db, storage.Scalar[int64], sumWindows, "s", per.Microseconds())
			if err != nil || (used > 0) != want {
				t.Errorf("window of %s: %d, %v", per, used, err)
			}
		}
		left, err := storage.All(ctx, db, scanBlock, listBlocks, 0, "", 10)
		if err != nil || len(left) != 1 || left[0].subject != "long" {
			t.Errorf("blocks %+v, %v", left, err)
		}
	})
}

// A quota is spent with its transaction, never beyond its limit, by however many at once.
func TestQuota(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		quota := Quota{Book: "bk_1", Name: "ping.checks", Period: "2026-03", Limit: 100}
		spend := func(q Quota, n int64) (used int64, err error) {
			err = db.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
				used, err = Spend(ctx, tx, q, n)
				return err
			})
			return used, err
		}
		var refused atomic.Int64
		var group sync.WaitGroup
		for range 60 {
			group.Go(func() {
				if _, err := spend(quota, 2); fault.CodeOf(err) == fault.QuotaExceeded {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		used, err := Used(ctx, db, quota)
		if err != nil || used != 100 || refused.Load() != 10 {
			t.Errorf("%d used, %d refused, %v", used, refused.Load(), err)
		}
		_, err = spend(quota, 1)
		if f := fault.From(err); f.Code != fault.QuotaExceeded || f.Details["used"] != "100" || f.Details["limit"] != "100" {
			t.Errorf("beyond: %v", err)
		}
		other := Quota{Book: "bk_2", Name: "ping.checks", Period: "2026-03", Limit: 5}
		if _, err := spend(other, 6); fault.CodeOf(err) != fault.QuotaExceeded {
			t.Errorf("too much at first: %v", err)
		}
		unlimited := Quota{Book: "bk_2", Name: "all", Period: "2026", Limit: math.MaxInt64}
		if used, err := spend(unlimited, 3); used != 3 || err != nil {
			t.Error(used, err)
		}
		if used, err := spend(unlimited, math.MaxInt64-3); used != math.MaxInt64 || err != nil {
			t.Error(used, err)
		}
		if _, err := spend(unlimited, 1); fault.CodeOf(err) != fault.QuotaExceeded {
			t.Error(err)
		}
		if _, err := spend(other, 0); err == nil {
			t.Error("nothing was spent")
		}
	})
}

// What is left of a locked quota can be shared out: of many who look and then take what
// is left of their wish, none takes more than there is.
func TestQuotaLock(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		quota := Quota{Book: "bk_1", Name: "ping.checks", Period: "2026-03", Limit: 100}
		var taken atomic.Int64
		var group sync.WaitGroup
		for range 40 {
			group.Go(func() {
				took := int64(0)
				err := db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
					used, err := Lock(ctx, tx, quota)
					if took = min(3, quota.Limit-used); err != nil || took == 0 {
						return err
					}
					_, err = Spend(ctx, tx, quota, took)
					return err
				})
				if err != nil {
					t.Error(err)
				}
				taken.Add(took)
			})
		}
		group.Wait()
		if used, err := Used(ctx, db, quota); used != 100 || taken.Load() != 100 || err != nil {
			t.Errorf("%d used, %d taken, %v", used, taken.Load(), err)
		}
	})
}

// Periods are those of UTC.
func TestPeriods(t *testing.T) {
	at := time.Date(2026, 12, 31, 23, 30, 0, 0, time.FixedZone("west", -3600))
	if Month(at) != "2027-01" || Day(at) != "2027-01-01" {
		t.Error(Month(at), Day(at))
	}
	if end := MonthEnd(time.Date(2026, 12, 5, 1, 2, 3, 4, time.UTC)); !end.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Error(end)
	}
}
