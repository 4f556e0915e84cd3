package limit

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/testkit"
)

func noon() *clock.Manual { return clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) }

// alone is a limiter that asks no database.
func alone(c clock.Clock) *Limiter { return newLimiter(nil, c, false) }

func take(t testing.TB, l *Limiter, subject string, n int, windows ...Window) Decision {
	t.Helper()
	d, err := l.Take(context.Background(), subject, windows, n)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// As much as the limit in any window, and what was taken is free again when the window has
// passed since; the figures for headers follow.
func TestTake(t *testing.T) {
	c := noon()
	l, w := alone(c), Window{Limit: 6, Per: time.Minute}
	start := c.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	for i, step := range []struct {
		forward time.Duration
		n       int
		want    Decision
	}{
		{0, 0, Decision{Allowed: true, Limit: 6, Remaining: 6, ResetAt: start}},
		{0, 1, Decision{Allowed: true, Limit: 6, Remaining: 5, ResetAt: at(60)}},
		{3 * time.Second, 1, Decision{Allowed: true, Limit: 6, Remaining: 4, ResetAt: at(63)}},
		{time.Second, 2, Decision{Allowed: true, Limit: 6, Remaining: 2, ResetAt: at(64)}},
		{6 * time.Second, 2, Decision{Allowed: true, Limit: 6, Remaining: 0, ResetAt: at(70)}},
		{0, 1, Decision{Limit: 6, ResetAt: at(70), RetryAfter: 50 * time.Second}},
		{5 * time.Second, 3, Decision{Limit: 6, ResetAt: at(70), RetryAfter: 49 * time.Second}},
		{-time.Hour, 1, Decision{Limit: 6, ResetAt: at(70 - 3600), RetryAfter: 45 * time.Second}}, // a clock that is set back
		{45 * time.Second, 1, Decision{Allowed: true, Limit: 6, Remaining: 0, ResetAt: at(120 - 3600)}},
		{0, 2, Decision{Limit: 6, Remaining: 0, ResetAt: at(120 - 3600), RetryAfter: 4 * time.Second}},
		{24 * time.Hour, 6, Decision{Allowed: true, Limit: 6, ResetAt: at(120 + 23*3600)}},
	} {
		c.Advance(step.forward)
		if got := take(t, l, "s", step.n, w); got != step.want {
			t.Fatalf("step %d:\n got %+v\nwant %+v", i, got, step.want)
		}
	}
	if got := take(t, l, "other", 6, w); !got.Allowed {
		t.Error("subjects share a count")
	}
}

// A small limit is exact: what came a while after the first is not free with it. Nor has it more
// runs than a large one had, should it have been lowered.
func TestSmallLimit(t *testing.T) {
	c := noon()
	l, w := alone(c), Window{Limit: steps, Per: time.Hour}
	take(t, l, "s", 1, w)
	c.Advance(time.Hour/steps - time.Second)
	take(t, l, "s", steps-1, w)
	c.Advance(time.Hour - time.Hour/steps + time.Second)
	if d := take(t, l, "s", 2, w); d.Allowed || d.Remaining != 1 || d.RetryAfter != time.Hour/steps-time.Second {
		t.Errorf("an hour after the first of %d: %+v", steps, d)
	}
	large := Window{Limit: 1000, Per: time.Hour}
	for range 2 {
		if d := take(t, l, "large", 1, large); !d.ResetAt.Equal(noon().Now().Add(2 * time.Hour)) {
			t.Errorf("as if it had come with the one before: %+v", d)
		}
		c.Advance(time.Second)
	}
	for i := range 10_000 {
		take(t, l, "lowered", 1, []Window{large, w}[i%2])
		c.Advance(time.Second)
	}
	shard := &l.shards[maphash.String(l.seed, "lowered")%shardCount]
	if runs := len(shard.find("lowered", c.Now().UnixNano()).slots[0].runs); runs > 2*steps {
		t.Errorf("%d runs", runs)
	}
}

// A clock that is set back takes nothing from anybody: of every window there is as much left as
// there was, and it comes back as late.
func TestSetBack(t *testing.T) {
	c := noon()
	l, minute, day := alone(c), Window{Limit: 6, Per: time.Minute}, Window{Limit: 24, Per: 24 * time.Hour}
	for range 4 {
		take(t, l, "s", 1, minute, day)
	}
	take(t, l, "idle", 1, minute)
	c.Advance(time.Minute)
	take(t, l, "s", 0, minute)
	take(t, l, "idle", 0, minute)
	for _, back := range []time.Duration{time.Hour, 24 * time.Hour, 365 * 24 * time.Hour} {
		c.Advance(-back)
		if d := take(t, l, "s", 0, minute); d.Remaining != 6 {
			t.Errorf("back by %s: %+v", back, d)
		}
		if d := take(t, l, "s", 0, day); d.Remaining != 20 {
			t.Errorf("back by %s: %+v", back, d)
		}
	}
	if d := take(t, l, "idle", 6, minute); !d.Allowed {
		t.Errorf("who had taken nothing for a minute: %+v", d)
	}
	c.Advance(24*time.Hour - 2*time.Minute)
	if d := take(t, l, "s", 0, day); d.Remaining != 20 {
		t.Errorf("before the day is over: %+v", d)
	}
	c.Advance(time.Minute)
	if d := take(t, l, "s", 0, day); d.Remaining != 24 {
		t.Errorf("a day later: %+v", d)
	}
}

// Of several windows all must allow; the one that refuses longest is named, and nothing is taken.
func TestWindows(t *testing.T) {
	c := noon()
	l := alone(c)
	minute, hour := Window{Limit: 5, Per: time.Minute}, Window{Limit: 6, Per: time.Hour}
	for range 5 {
		if d := take(t, l, "s", 1, minute, hour); !d.Allowed {
			t.Fatal(d)
		}
	}
	if d := take(t, l, "s", 1, minute, hour); d.Allowed || d.Limit != 5 || d.RetryAfter != time.Minute {
		t.Errorf("minute used up: %+v", d)
	}
	c.Advance(time.Minute)
	if d := take(t, l, "s", 0, hour); d.Remaining != 1 {
		t.Errorf("a refusal took from the hour: %+v", d)
	}
	if d := take(t, l, "s", 2, minute, hour); d.Allowed || d.Limit != 6 {
		t.Errorf("hour would pass: %+v", d)
	}
	if d := take(t, l, "s", 0, minute); d.Remaining != 5 {
		t.Errorf("a refusal took from the minute: %+v", d)
	}
}

// What can never be right is an error.
func TestTakeRefusals(t *testing.T) {
	l, w := alone(noon()), Window{Limit: 5, Per: time.Minute}
	long := string(make([]byte, MaxSubject+1))
	for i, c := range []struct {
		subject string
		windows []Window
		n       int
	}{
		{"", []Window{w}, 1}, {long, []Window{w}, 1}, {"s", nil, 1}, {"s", []Window{w, w, w, w, w}, 1}, {"s", []Window{w, w}, 1}, {"s", []Window{w}, 6}, {"s", []Window{w}, -1},
		{"s", []Window{{Limit: 0, Per: time.Minute}}, 1}, {"s", []Window{{Limit: 5}}, 1},
	} {
		if d, err := l.Take(context.Background(), c.subject, c.windows, c.n); err == nil {
			t.Errorf("case %d: %+v", i, d)
		}
	}
	for i := range MaxWindows {
		take(t, l, "many", 1, Window{Limit: 5, Per: time.Duration(i+1) * time.Minute})
	}
	if _, err := l.Take(context.Background(), "many", []Window{{Limit: 5, Per: time.Hour}}, 1); err == nil {
		t.Error("a fifth window was accepted")
	}
}

// oracle knows everything that was taken, and when.
type oracle []run

// since is how much was taken in the time up to now.
func (o oracle) since(now int64, in time.Duration) (n int) {
	for _, taken := range o {
		if taken.at > now-int64(in) {
			n += int(taken.n)
		}
	}
	return n
}

// Whatever windows allow is let through, never more than a limit in a window but for the
// sixteenth that a large one is exact to, and who waits as a refusal says is not refused once more.
func TestAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := noon()
		l := alone(c)
		windows := make([]Window, rapid.IntRange(1, MaxWindows).Draw(t, "windows"))
		most := 50
		for i := range windows {
			windows[i] = Window{Limit: rapid.IntRange(1, 50).Draw(t, "limit"),
				Per: time.Duration(rapid.IntRange(1, 1000).Draw(t, "per"))*time.Second + time.Duration(i)*time.Millisecond}
			most = min(most, windows[i].Limit)
		}
		var past oracle
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c.Advance(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "forward")))
			n, now := rapid.IntRange(1, most).Draw(t, "n"), c.Now().UnixNano()
			fits, exceeds := true, false
			for _, w := range windows {
				fits = fits && past.since(now, w.Per)+n <= w.Limit
				per := w.Per
				if w.Limit > steps {
					per -= w.Per / steps
				}
				exceeds = exceeds || past.since(now, per)+n > w.Limit
			}
			d, err := l.Take(context.Background(), "s", windows, n)
			if err != nil || fits && !d.Allowed || exceeds && d.Allowed {
				t.Fatalf("take %d: %+v, %v; it fits: %v, it exceeds: %v", n, d, err, fits, exceeds)
			}
			if d.Allowed == (d.RetryAfter > 0) {
				t.Fatalf("retry after %s with allowed %v", d.RetryAfter, d.Allowed)
			}
			if d.Allowed {
				past = append(past, run{at: now, n: int64(n)})
			}
		}
		n := rapid.IntRange(1, most).Draw(t, "last n")
		if d, _ := l.Take(context.Background(), "s", windows, n); !d.Allowed {
			c.Advance(d.RetryAfter + time.Microsecond) // the clock stands on whole microseconds
			if again, _ := l.Take(context.Background(), "s", windows, n); !again.Allowed {
				t.Fatalf("after waiting %s: %+v", d.RetryAfter, again)
			}
		}
	})
}

// Whatever the crowd, exactly the limit goes through.
func TestCrowd(t *testing.T) {
	l := alone(noon())
	var allowed atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 500 {
				if take(t, l, "s", 1, Window{Limit: 1000, Per: time.Minute}).Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	group.Wait()
	if got := allowed.Load(); got != 1000 {
		t.Errorf("%d allowed, want 1000", got)
	}
}

// small makes a limiter with room for few subjects.
func small(c clock.Clock, most int) *Limiter {
	l := alone(c)
	for i := range l.shards {
		l.shards[i].most = most
	}
	return l
}

func (l *Limiter) subjects() (n int) {
	for i := range l.shards {
		if len(l.shards[i].entries) != len(l.shards[i].index) {
			return -1
		}
		n += len(l.shards[i].entries)
	}
	return n
}

// A flood of newcomers neither grows the table nor frees those who used up their budget.
func TestFlood(t *testing.T) {
	c := noon()
	l, w := small(c, 16), Window{Limit: 10, Per: time.Hour}
	for i := range 100 {
		for range 10 {
			take(t, l, fmt.Sprint("attacker", i), 1, w)
		}
	}
	for i := range 50_000 {
		take(t, l, fmt.Sprint("flood", i), 1, w)
		if n := l.subjects(); i%1000 == 0 && (n < 0 || n > 16*shardCount) {
			t.Fatalf("%d subjects", n)
		}
	}
	for i := range 100 {
		if d := take(t, l, fmt.Sprint("attacker", i), 1, w); d.Allowed {
			t.Fatalf("attacker %d was forgotten", i)
		}
	}
}

// Where everybody is hot, newcomers share one budget.
func TestOverflow(t *testing.T) {
	c := noon()
	l, w := small(c, 4), Window{Limit: 10, Per: time.Hour}
	allowed := 0
	for i := range 100_000 {
		if take(t, l, fmt.Sprint("s", i), 6, w).Allowed {
			allowed++
		}
	}
	if most := shardCount * (4 + 1); allowed > most {
		t.Errorf("%d allowed, want at most %d", allowed, most)
	}
	c.Advance(time.Hour)
	for i := range 1000 {
		take(t, l, fmt.Sprint("later", i), 1, w)
	}
	if !take(t, l, "newcomer", 1, w).Allowed {
		t.Error("a newcomer is refused although everybody else is idle")
	}
}

// Newcomers without room have windows of every kind between them, more than one subject may have.
func TestOverflowWindows(t *testing.T) {
	c := noon()
	l := small(c, 1)
	for i := range 1000 {
		take(t, l, fmt.Sprint("s", i), 6, Window{Limit: 10, Per: 24 * time.Hour})
	}
	for i := range 3 * MaxWindows {
		w := Window{Limit: 1, Per: time.Duration(i+1) * time.Minute}
		for k := range 1000 {
			take(t, l, fmt.Sprint("newcomer", k), 1, w)
		}
		if take(t, l, "newcomer", 1, w).Allowed {
			t.Errorf("another window of %s is counted elsewhere", w.Per)
		}
	}
}

// Idle subjects are forgotten as others come.
func TestSweep(t *testing.T) {
	c := noon()
	l, w := alone(c), Window{Limit: 10, Per: time.Second}
	for i := range 50_000 {
		take(t, l, fmt.Sprint("s", i), 1, w)
		c.Advance(100 * time.Millisecond)
	}
	if n := l.subjects(); n < 600 || n > 5000 {
		t.Errorf("%d subjects are remembered, of which 600 were seen in the last minute", n)
	}
}

// The hot path does not allocate, with one process or with several.
func TestTakeAllocates(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector allocates; -short comes with it")
	}
	windows := []Window{{Limit: 1_000_000_000, Per: time.Minute}, {Limit: 1_000_000_000, Per: time.Hour}}
	for _, shared := range []bool{false, true} {
		l := newLimiter(testkit.Open(t, testkit.Database(t, "sqlite")), noon(), shared)
		ctx := context.Background()
		for range 20 {
			take(t, l, "s", 1, windows...)
			l.Close()
		}
		allocs := testing.AllocsPerRun(1000, func() {
			if d, err := l.Take(ctx, "s", windows, 1); err != nil || !d.Allowed {
				t.Error(d, err)
			}
		})
		if allocs != 0 {
			t.Errorf("shared %v: %v allocations", shared, allocs)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	windows := []Window{{Limit: 1_000_000_000, Per: time.Minute}, {Limit: 1_000_000_000, Per: time.Hour}}
	l := alone(clock.System())
	subjects := make([]string, 10_000)
	for i := range subjects {
		subjects[i] = fmt.Sprint("api:key_", i)
	}
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := l.Take(ctx, subjects[i%len(subjects)], windows, 1); err != nil {
				b.Error(err)
			}
		}
	})
}

// A local limiter counts like any other and needs no database.
func TestLocal(t *testing.T) {
	l := NewLocal(noon())
	defer l.Close()
	for i := range 5 {
		if d := take(t, l, "card:1", 1, Window{Limit: 3, Per: time.Minute}); d.Allowed != (i < 3) {
			t.Errorf("%d: %+v", i, d)
		}
	}
}

// Of each no more are under way at once than may be, however many try, and whoever left makes room.
func TestUnderWay(t *testing.T) {
	var c Crowd[string]
	var entered atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if c.Enter("a", 3) {
				entered.Add(1)
			}
		})
	}
	all.Wait()
	if n := entered.Load(); n != 3 || !c.Enter("b", 1) || c.Enter("b", 1) {
		t.Errorf("%d of a entered", n)
	}
	c.Leave("a")
	c.Leave("b")
	if !c.Enter("a", 3) || c.Enter("a", 3) || !c.Enter("b", 1) {
		t.Error("who left made no room, or too much")
	}
}
