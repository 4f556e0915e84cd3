package limit

import (
	"context"
	"fmt"
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

// A burst at once, then the steady rate; the figures for headers follow.
func TestTake(t *testing.T) {
	c := noon()
	l, w := alone(c), Window{Limit: 6, Per: time.Minute, Burst: 3}
	start := c.Now()
	for i, step := range []struct {
		forward time.Duration
		n       int
		want    Decision
	}{
		{0, 0, Decision{Allowed: true, Limit: 6, Remaining: 3, ResetAt: start}},
		{0, 1, Decision{Allowed: true, Limit: 6, Remaining: 2, ResetAt: start.Add(10 * time.Second)}},
		{0, 2, Decision{Allowed: true, Limit: 6, Remaining: 0, ResetAt: start.Add(30 * time.Second)}},
		{0, 1, Decision{Limit: 6, ResetAt: start.Add(30 * time.Second), RetryAfter: 10 * time.Second}},
		{5 * time.Second, 2, Decision{Limit: 6, ResetAt: start.Add(30 * time.Second), RetryAfter: 15 * time.Second}},
		{5 * time.Second, 1, Decision{Allowed: true, Limit: 6, ResetAt: start.Add(40 * time.Second)}},
		{0, 1, Decision{Limit: 6, ResetAt: start.Add(40 * time.Second), RetryAfter: 10 * time.Second}},
		{-time.Hour, 1, Decision{Limit: 6, ResetAt: start.Add(40*time.Second - time.Hour), RetryAfter: 10 * time.Second}}, // a clock that is set back
		{10 * time.Second, 1, Decision{Allowed: true, Limit: 6, ResetAt: start.Add(50*time.Second - time.Hour)}},
		{24 * time.Hour, 3, Decision{Allowed: true, Limit: 6, ResetAt: start.Add(23*time.Hour + 50*time.Second)}},
	} {
		c.Advance(step.forward)
		if got := take(t, l, "s", step.n, w); got != step.want {
			t.Fatalf("step %d:\n got %+v\nwant %+v", i, got, step.want)
		}
	}
	if got := take(t, l, "other", 3, w); !got.Allowed {
		t.Error("subjects share a count")
	}
}

// A clock that is set back takes nothing from anybody: of every window there is as much left as
// there was, and it comes back at the same rate.
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
	c.Advance(4*time.Hour - time.Minute)
	if d := take(t, l, "s", 0, day); d.Remaining != 24 {
		t.Errorf("four hours later: %+v", d)
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
	if d := take(t, l, "s", 1, minute, hour); d.Allowed || d.Limit != 5 || d.RetryAfter != 12*time.Second {
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
		{"s", []Window{{Limit: 0, Per: time.Minute}}, 1}, {"s", []Window{{Limit: 5}}, 1}, {"s", []Window{{Limit: 5, Per: time.Minute, Burst: 6}}, 1},
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

// oracle is a leaky bucket: another way to say the same.
type oracle struct {
	level, last int64
}

func (o *oracle) fits(w Window, now int64, n int) bool {
	step := (w.Per.Nanoseconds() + int64(w.Limit) - 1) / int64(w.Limit)
	o.level = max(0, o.level-(now-o.last))
	o.last = now
	return o.level+int64(n)*step <= int64(w.burst())*step
}

// GCRA agrees with a leaky bucket, over any windows and steps; no stretch of time lets
// more through than its burst and rate, and a refusal that is waited out becomes an answer.
func TestAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := noon()
		l := alone(c)
		windows := make([]Window, rapid.IntRange(1, MaxWindows).Draw(t, "windows"))
		oracles := make([]oracle, len(windows))
		for i := range windows {
			limit := rapid.IntRange(1, 50).Draw(t, "limit")
			windows[i] = Window{Limit: limit, Burst: rapid.IntRange(1, limit).Draw(t, "burst"),
				Per: time.Duration(rapid.IntRange(1, 1000).Draw(t, "per"))*time.Second + time.Duration(i)*time.Millisecond}
		}
		most := windows[0].burst()
		for i := range windows {
			most = min(most, windows[i].burst())
		}
		type taken struct{ at, n int64 }
		var past []taken
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c.Advance(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "forward")))
			n, now := rapid.IntRange(1, most).Draw(t, "n"), c.Now().UnixNano()
			want := true
			for i := range windows {
				want = oracles[i].fits(windows[i], now, n) && want
			}
			d, err := l.Take(context.Background(), "s", windows, n)
			if err != nil || d.Allowed != want {
				t.Fatalf("take %d: %+v, %v; want %v", n, d, err, want)
			}
			if d.Allowed == (d.RetryAfter > 0) {
				t.Fatalf("retry after %s with allowed %v", d.RetryAfter, d.Allowed)
			}
			if !d.Allowed {
				continue
			}
			past = append(past, taken{now, int64(n)})
			for i, w := range windows {
				oracles[i].level += int64(n) * w.step()
				sum := int64(0)
				for k := len(past) - 1; k >= 0; k-- {
					if sum += past[k].n; sum > int64(w.burst())+(now-past[k].at)/w.step() {
						t.Fatalf("%d in %d ns of %+v", sum, now-past[k].at, w)
					}
				}
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
