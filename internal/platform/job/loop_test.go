package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/storage/flush"
	"github.com/scripcards/scrip/internal/testkit"
)

// patience bounds what a test waits for.
const patience = 30 * time.Second

func wait[T any](t testing.TB, signal <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-signal:
	case <-time.After(patience):
		t.Fatal("waited in vain")
	}
	return got
}

// Several processes share the work: each job runs once, some fail once, none stays, and no kind exceeds its bound.
func TestProcessesShareWork(t *testing.T) {
	const jobs = 240
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		c := clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
		stopped := beside(t, db, c)
		t.Cleanup(func() { // called after the queues' own: what they settled at the end counts
			stopped.wantCount(stateRunning, 0)
			stopped.wantCount(statePending, 0)
		})
		var mu sync.Mutex
		runs := map[string]int{}
		all := make(chan struct{})
		for range 3 {
			f := beside(t, db, c)
			var now atomic.Int32
			f.Handle("note", Options{Concurrency: 5}, func(_ context.Context, j Job) error {
				if n := now.Add(1); n > 5 {
					t.Errorf("%d handlers at once", n)
				}
				defer now.Add(-1)
				mu.Lock()
				defer mu.Unlock()
				runs[string(j.Payload)]++
				if runs[string(j.Payload)] == 1 && j.Payload[0]%4 == 0 {
					return &failure{cause: errors.New("once"), after: time.Nanosecond} // due again at once: microseconds
				}
				if runs[string(j.Payload)] = -1; len(runs) == jobs {
					for _, n := range runs {
						if n != -1 {
							return nil
						}
					}
					close(all)
				}
				return nil
			})
			start(t, f)
			for i := range jobs / 3 {
				f.enqueue(Request{Kind: "note", Payload: fmt.Appendf(nil, "%c%s%d", 'a'+i%7, f.owner, i)})
				f.Wake()
			}
		}
		wait(t, all)
	})
}

// Stop waits for what runs and gives back what was only claimed, with no attempt counted.
func TestStop(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		began, proceed := make(chan string, 10), make(chan struct{})
		f.Handle("slow", Options{Concurrency: 1}, func(_ context.Context, j Job) error {
			began <- string(j.Payload)
			<-proceed
			return nil
		})
		f.kinds["slow"].typical = time.Millisecond // so that it claims ahead
		for i := range 3 {
			f.enqueue(Request{Kind: "slow", Payload: fmt.Append(nil, i), RunAt: f.clock.Now().Add(time.Duration(i-9) * time.Second)})
		}
		start(t, f)
		if got := wait(t, began); got != "0" {
			t.Fatalf("began with %s", got)
		}
		f.wantCount(stateRunning, 3)
		stopped := make(chan error)
		go func() { stopped <- f.Stop(context.Background()) }()
		waitFor(t, f, func() bool { return f.phase == phaseStopping })
		close(proceed)
		if err := wait(t, stopped); err != nil {
			t.Fatal(err)
		}
		f.wantCount(statePending, 2)
		f.wantCount(stateRunning, 0)
		next, r := beside(t, db, f.clock), &record{}
		next.Handle("slow", Options{}, r.handle)
		next.drain()
		r.want(t, "/1#1 /2#1")
	})
}

// waitFor polls what has no signal of its own; it yields, it does not sleep.
func waitFor(t *testing.T, f *fixture, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		f.mu.Lock()
		ok := holds()
		f.mu.Unlock()
		if ok {
			return
		}
		if clock.Wait(ctx, time.Millisecond) != nil {
			t.Fatal("waited in vain")
		}
	}
}

// A Stop that may not wait ends the handlers' contexts and returns its own error.
func TestStopAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		began, ended := make(chan struct{}), make(chan error)
		f.Handle("endless", Options{Timeout: time.Hour}, func(ctx context.Context, _ Job) error {
			close(began)
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		})
		f.enqueue(Request{Kind: "endless"})
		if err := f.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		wait(t, began)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := f.Stop(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("stop = %v", err)
		}
		if err := wait(t, ended); !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context: %v", err)
		}
		f.wantCount(stateRunning, 1)
		f.clock.Advance(leaseFor + time.Second)
		next, r := beside(t, db, f.clock), &record{}
		next.Handle("endless", Options{}, r.handle)
		next.drain()
		r.want(t, "/#2")
	})
}

// A wake-up is enough: jobs run without waiting for the next poll, also those a handler enqueues.
func TestWake(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		done := make(chan int)
		f.Handle("chain", Options{}, func(_ context.Context, j Job) error {
			n := int(j.Payload[0])
			if n < 20 {
				f.enqueue(Request{Kind: "chain", Payload: []byte{byte(n + 1)}})
				f.Wake()
				return nil
			}
			done <- n
			return nil
		})
		start(t, f)
		f.enqueue(Request{Kind: "chain", Payload: []byte{0}})
		f.Wake()
		wait(t, done)
	})
}

// The pause doubles from base to its bound and is at least half of that.
func TestBackoff(t *testing.T) {
	o := Options{Backoff: time.Second, MaxBackoff: 10 * time.Second}
	for attempt, full := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 1000: 10 * time.Second} {
		differ := map[time.Duration]bool{}
		for range 50 {
			got := backoff(o, attempt)
			if got < full/2 || got > full {
				t.Fatalf("attempt %d: %s, want %s to %s", attempt, got, full/2, full)
			}
			differ[got] = true
		}
		if len(differ) < 2 {
			t.Errorf("attempt %d: always %v", attempt, differ)
		}
	}
}

// Quick kinds claim ahead, slow ones only what can begin.
func TestWindow(t *testing.T) {
	k, err := newKind("k", Options{Concurrency: 4}, func(context.Context, Job) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		took time.Duration
		want int
	}{{time.Minute, 4}, {100 * time.Microsecond, mostHeld}, {25 * time.Millisecond, 40}} {
		k.typical = c.took
		if got := k.window(); got != c.want {
			t.Errorf("handlers of %s: window %d, want %d", c.took, got, c.want)
		}
	}
	k.typical = time.Minute
	for range 200 {
		k.measure(time.Microsecond)
	}
	if got := k.window(); got != mostHeld {
		t.Errorf("after many quick ones: window %d", got)
	}
}

// BenchmarkNoop measures whole jobs that do nothing: claimed, run and settled.
func BenchmarkNoop(b *testing.B) {
	for _, engine := range testkit.Engines() {
		b.Run(engine, func(b *testing.B) {
			db := testkit.Open(b, testkit.Database(b, engine))
			q := New(db, clock.NewRealms(clock.System()), discard())
			var ran atomic.Int64
			all := make(chan struct{})
			q.Handle("noop", Options{}, func(context.Context, Job) error {
				if ran.Add(1) == int64(b.N) {
					close(all)
				}
				return nil
			})
			for left := b.N; left > 0; left -= 1000 {
				var effects []storage.Effect
				for range min(left, 1000) {
					effects = append(effects, Enqueue(Request{Kind: "noop", Payload: []byte(`{"n":1}`)}))
				}
				if err := db.Apply(b.Context(), effects); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			if err := q.Start(b.Context()); err != nil {
				b.Fatal(err)
			}
			wait(b, all)
			if err := q.Stop(context.WithoutCancel(b.Context())); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// While the database is away every round fails: that is said once a minute, and what else fails
// each time.
func TestAwayIsToldSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		q, away := &Queue{logger: slog.New(slog.NewTextHandler(&out, nil))}, clock.Seldom{}
		for range 240 { // two minutes
			q.tell(t.Context(), fmt.Errorf("settle and claim: %w", flush.ErrMoved), &away)
			q.tell(t.Context(), clock.Wait(t.Context(), pollEvery), &away)
		}
		for range 3 {
			q.tell(t.Context(), errors.New("other"), &away)
		}
		if n := strings.Count(out.String(), "run jobs"); n != 5 {
			t.Errorf("it is said %d times, want 5:\n%s", n, out.String())
		}
	})
}
