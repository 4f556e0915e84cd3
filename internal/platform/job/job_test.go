package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// fixture is a queue over an empty database and a clock that stands still.
type fixture struct {
	*Queue
	t     *testing.T
	clock *clock.Manual
}

func setup(t *testing.T, db *storage.DB) *fixture {
	return beside(t, db, clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)))
}

// beside is another process's queue over the same database and clock.
func beside(t *testing.T, db *storage.DB, c *clock.Manual) *fixture {
	t.Helper()
	return &fixture{Queue: New(db, clock.NewRealms(c), discard()), t: t, clock: c}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (f *fixture) enqueue(requests ...Request) {
	f.t.Helper()
	var effects []storage.Effect
	for _, r := range requests {
		effects = append(effects, Enqueue(r))
	}
	err := f.db.Apply(context.Background(), effects)
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) drain() {
	f.t.Helper()
	if err := f.Drain(context.Background()); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) write(fn func(context.Context, *storage.Tx) error) error {
	return f.db.Write(context.Background(), fn)
}

// lose claims what is due of a kind, like a process that dies right after, or to which the
// connection breaks that was to say what it got.
func (f *fixture) lose(name string) []*claimed {
	f.t.Helper()
	claims := []claim{{kind: f.kinds[name], realm: realm.Live, n: 10}}
	if err := f.write(func(ctx context.Context, tx *storage.Tx) error { return f.claim(ctx, tx, claims) }); err != nil {
		f.t.Fatal(err)
	}
	return claims[0].got
}

// take claims what is due of a kind, and holds it.
func (f *fixture) take(name string) {
	f.t.Helper()
	for _, c := range f.lose(name) {
		f.kinds[name].held[c] = true
	}
}

var countJobs = storage.SQL("test.count_jobs", "SELECT COUNT(*) FROM jobs WHERE state = $1")

func (f *fixture) wantCount(state string, want int) {
	f.t.Helper()
	n, _, err := storage.One(context.Background(), f.db, scanCount, countJobs, state)
	if err != nil || n != want {
		f.t.Fatalf("%d %s jobs, %v; want %d", n, state, err, want)
	}
}

func scanCount(r storage.Row) (n int, err error) {
	err = r.Scan(&n)
	return n, err
}

// record is a handler that notes what it gets.
type record struct {
	mu   sync.Mutex
	jobs []Job
	fail error
}

func (r *record) handle(_ context.Context, j Job) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs = append(r.jobs, j)
	return r.fail
}

func (r *record) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, j := range r.jobs {
		lines = append(lines, fmt.Sprintf("%s/%s#%d", j.Book, j.Payload, j.Attempt))
	}
	return strings.Join(lines, " ")
}

func (r *record) want(t *testing.T, want string) {
	t.Helper()
	if got := r.text(); got != want {
		t.Fatalf("ran %q, want %q", got, want)
	}
}

// A job exists with its transaction, runs when due in order of time, and is gone when done.
func TestDrain(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f, r := setup(t, db), &record{}
		f.Handle("note", Options{}, r.handle)
		now := f.clock.Now()
		f.enqueue(
			Request{Kind: "note", Book: "b1", Payload: []byte("third"), RunAt: now},
			Request{Kind: "note", Book: "b2", Payload: []byte("second"), RunAt: now.Add(-time.Second)},
			Request{Kind: "note", Payload: []byte("first")},
			Request{Kind: "note", Payload: []byte("later"), RunAt: now.Add(time.Microsecond)},
			Request{Kind: "nobody's"},
		)
		refused := errors.New("refused")
		err := f.write(func(ctx context.Context, tx *storage.Tx) error {
			if err := tx.Apply(ctx, []storage.Effect{Enqueue(Request{Kind: "note"})}); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		f.drain()
		r.want(t, "/first#1 b2/second#1 b1/third#1")
		f.clock.Advance(time.Microsecond)
		f.drain()
		r.want(t, "/first#1 b2/second#1 b1/third#1 /later#1")
		f.wantCount(statePending, 1)
	})
}

// A job of the test realm follows the test realm's clock.
func TestRealmClock(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f, r := setup(t, db), &record{}
		f.Handle("note", Options{}, r.handle)
		at := f.clock.Now().Add(24 * time.Hour)
		f.enqueue(Request{Kind: "note", Realm: realm.Test, Payload: []byte("test"), RunAt: at}, Request{Kind: "note", Realm: realm.Live, RunAt: at})
		f.drain()
		r.want(t, "")
		if err := f.clocks.SetOffset(24 * time.Hour); err != nil {
			t.Fatal(err)
		}
		f.drain()
		r.want(t, "/test#1")
		if r.jobs[0].Realm != realm.Test {
			t.Errorf("realm %s", r.jobs[0].Realm)
		}
	})
}

// A failing job is tried again after its backoff, keeps its id, and ends among the dead letters.
func TestRetryAndDeath(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f, r := setup(t, db), &record{fail: errors.New("no\x00 good \xff")}
		f.Handle("note", Options{MaxAttempts: 3, Backoff: time.Minute, MaxBackoff: 2 * time.Minute}, r.handle)
		f.enqueue(Request{Kind: "note", Book: "b", Payload: []byte("x"), Unique: "u"})
		f.drain()
		f.drain()
		r.want(t, "b/x#1")
		f.clock.Advance(time.Minute)
		f.drain()
		f.clock.Advance(2 * time.Minute)
		f.drain()
		f.clock.Advance(time.Hour)
		f.drain()
		r.want(t, "b/x#1 b/x#2 b/x#3")
		if r.jobs[0].ID != r.jobs[2].ID || r.jobs[2].MaxAttempts != 3 {
			t.Errorf("attempts are not of one job: %+v", r.jobs)
		}
		dead, err := ListDead(context.Background(), db, Key{}, 10)
		if err != nil || len(dead) != 1 {
			t.Fatal(dead, err)
		}
		d := dead[0]
		if d.ID != r.jobs[0].ID || d.Attempts != 3 || d.LastError != "no? good ?" || d.Unique != "u" || !d.DiedAt.Equal(f.clock.Now().Add(-time.Hour)) {
			t.Errorf("dead letter %+v", d)
		}
		if after, err := ListDead(context.Background(), db, d.Key, 10); err != nil || len(after) != 0 {
			t.Error(after, err)
		}
	})
}

// What a handler's error wraps decides when and whether the job runs again; a panic is a failure.
func TestFates(t *testing.T) {
	for name, c := range map[string]struct {
		handle func(context.Context, Job) error
		state  string
		next   time.Duration // when it is due again
		count  int           // the attempt it then is
	}{
		"postpone": {func(context.Context, Job) error { return fmt.Errorf("x: %w", Postpone(time.Hour)) }, statePending, time.Hour, 1},
		"panic":    {func(context.Context, Job) error { panic("broken") }, statePending, 5 * time.Second, 2},
		"timeout":  {func(ctx context.Context, _ Job) error { <-ctx.Done(); return ctx.Err() }, statePending, 5 * time.Second, 2},
		"discard":  {func(context.Context, Job) error { return Discard(nil) }, stateDead, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
				f := setup(t, db)
				var last Job
				f.Handle("note", Options{Timeout: 5 * time.Millisecond}, func(ctx context.Context, j Job) error {
					last = j
					return c.handle(ctx, j)
				})
				f.enqueue(Request{Kind: "note"})
				f.drain()
				f.wantCount(c.state, 1)
				if c.next > 0 {
					f.clock.Advance(c.next/2 - time.Millisecond)
					f.drain()
					if last.Attempt != 1 {
						t.Fatalf("ran again too early")
					}
					last = Job{}
					f.clock.Advance(c.next/2 + time.Millisecond)
					f.drain()
				}
				if c.count != 0 && last.Attempt != c.count {
					t.Errorf("attempt %d, want %d", last.Attempt, c.count)
				}
			})
		})
	}
}

// What is kept of an error, and of a panic, has no secret that a counterparty said or a program
// printed by mistake: dead letters are listed, and in backups.
func TestErrorsAreKeptWithoutSecrets(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		for kind, handle := range map[string]func(context.Context, Job) error{
			"fails": func(context.Context, Job) error {
				return errors.New("no to 4111 1111 1111 1111 at https://ada:hush@bank.example")
			},
			"panics": func(context.Context, Job) error { panic("no to 4111111111111111 at https://ada:hush@bank.example") },
		} {
			f := setup(t, db)
			f.Handle(kind, Options{MaxAttempts: 1}, handle)
			f.enqueue(Request{Kind: kind, Book: "a"})
			f.drain()
			dead, err := ListDead(context.Background(), db, Key{}, 10)
			if err != nil || len(dead) != 1 || !strings.HasSuffix(dead[0].LastError, "no to [redacted] at https://ada:[redacted]@bank.example") {
				t.Errorf("%s: %+v, %v", kind, dead, err)
			}
			if err := f.write(func(ctx context.Context, tx *storage.Tx) error { return DeleteDead(ctx, tx, dead[0].Key) }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A dead letter can be retried with all attempts before it, or deleted, or purged by age.
func TestDeadLetters(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f, r := setup(t, db), &record{fail: Discard(errors.New("bad"))}
		f.Handle("note", Options{}, r.handle)
		f.enqueue(Request{Kind: "note", Book: "a", Payload: []byte("1"), Unique: "u"}, Request{Kind: "note", Book: "b", Payload: []byte("2")}, Request{Kind: "note", Book: "c", Payload: []byte("3")})
		f.drain()
		dead, err := ListDead(context.Background(), db, Key{}, 2)
		if err != nil || len(dead) != 2 || dead[0].Book != "a" || dead[1].Book != "b" {
			t.Fatal(dead, err)
		}
		retry := func(key Key) error {
			return f.write(func(ctx context.Context, tx *storage.Tx) error { return RetryDead(ctx, tx, key) })
		}
		remove := func(key Key) error {
			return f.write(func(ctx context.Context, tx *storage.Tx) error { return DeleteDead(ctx, tx, key) })
		}
		if err := errors.Join(retry(dead[0].Key), remove(dead[1].Key)); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{retry(dead[0].Key), remove(dead[1].Key), retry(dead[1].Key)} {
			if fault.CodeOf(err) != fault.NotFound {
				t.Errorf("second time: %v", err)
			}
		}
		f.drain()
		if last := r.jobs[len(r.jobs)-1]; len(r.jobs) != 4 || last.Attempt != 1 || last.Book != "a" {
			t.Errorf("after the retry: %s", r.text())
		}
		f.enqueue(Request{Kind: "note", Book: "a", Unique: "u"})
		if err := retry(dead[0].Key); fault.CodeOf(err) != fault.AlreadyExists {
			t.Errorf("retry beside its twin: %v", err)
		}
		f.clock.Advance(time.Hour)
		if n, err := f.PurgeDead(context.Background(), 2*time.Hour); n != 0 || err != nil {
			t.Error(n, err)
		}
		if n, err := f.PurgeDead(context.Background(), time.Minute); n != 2 || err != nil {
			t.Error(n, err)
		}
	})
}

// A job whose worker died runs again after its lease, and the late worker can no longer end it.
func TestLostWorker(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		first, r := setup(t, db), &record{}
		second := beside(t, db, first.clock)
		first.Handle("note", Options{}, r.handle)
		second.Handle("note", Options{}, r.handle)
		first.enqueue(Request{Kind: "note", Payload: []byte("x")})
		claims := []claim{{kind: first.kinds["note"], realm: realm.Live, n: 10}}
		if err := first.write(func(ctx context.Context, tx *storage.Tx) error { return first.claim(ctx, tx, claims) }); err != nil {
			t.Fatal(err)
		}
		second.clock.Advance(leaseFor)
		second.drain()
		r.want(t, "")
		second.clock.Advance(time.Microsecond)
		if err := second.reclaim(context.Background()); err != nil {
			t.Fatal(err)
		}
		late := []outcome{{job: claims[0].got[0], kind: first.kinds["note"]}}
		if err := first.write(func(ctx context.Context, tx *storage.Tx) error { return settle(ctx, tx, first.owner, late) }); err != nil {
			t.Fatal(err)
		}
		second.drain()
		r.want(t, "/x#2")
		second.wantCount(statePending, 0)
		second.wantCount(stateRunning, 0)
	})
}

// A job that takes its worker with it every time ends among the dead letters too.
func TestPoison(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f, r := setup(t, db), &record{}
		f.Handle("note", Options{MaxAttempts: 2}, r.handle)
		f.enqueue(Request{Kind: "note"})
		for range 2 {
			if got := f.lose("note"); len(got) != 1 {
				t.Fatalf("claimed %d", len(got))
			}
			f.clock.Advance(leaseFor + time.Second)
			if err := f.reclaim(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		f.drain()
		r.want(t, "")
		f.wantCount(stateDead, 1)
	})
}

// A lease that is renewed does not run out.
func TestRenew(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		f.Handle("note", Options{}, (&record{}).handle)
		f.enqueue(Request{Kind: "note"})
		f.take("note")
		f.clock.Advance(leaseFor - time.Second)
		if err := f.renew(context.Background()); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(leaseFor - time.Second)
		if err := f.reclaim(context.Background()); err != nil {
			t.Fatal(err)
		}
		f.wantCount(stateRunning, 1)
		f.clock.Advance(2 * time.Second)
		if err := f.reclaim(context.Background()); err != nil {
			t.Fatal(err)
		}
		f.wantCount(statePending, 1)
	})
}

// What a queue claimed by a commit whose answer was lost is due again when its lease is over,
// though the queue lives, and goes on holding other work.
func TestAnswerToClaimLost(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		f.Handle("note", Options{}, (&record{}).handle)
		f.enqueue(Request{Kind: "note"})
		f.take("note")
		f.enqueue(Request{Kind: "note"})
		f.lose("note")
		for range 2 {
			f.clock.Advance(leaseFor - time.Second)
			if err := f.renew(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		f.wantAfterReclaim(1)
		f.wantCount(statePending, 1)
	})
}

// Of two jobs with one unique key one exists; asked for while it runs, it runs once more.
func TestUnique(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		r := &record{}
		asked := 0
		f.Handle("scan", Options{}, func(ctx context.Context, j Job) error {
			if asked++; asked <= 1 {
				f.enqueue(Request{Kind: "scan", Book: "b", Unique: "u", Payload: []byte("again")}, Request{Kind: "scan", Book: "b", Unique: "u"})
			}
			return r.handle(ctx, j)
		})
		later := f.clock.Now().Add(time.Hour)
		f.enqueue(Request{Kind: "scan", Book: "b", Unique: "u", Payload: []byte("x"), RunAt: later})
		f.enqueue(Request{Kind: "scan", Book: "b", Unique: "u", Payload: []byte("y"), RunAt: f.clock.Now()}) // the earlier time counts
		f.enqueue(Request{Kind: "scan", Book: "b", Unique: "u", Payload: []byte("z"), RunAt: later})
		f.enqueue(Request{Kind: "scan", Book: "c", Unique: "u", Payload: []byte("other"), RunAt: later})
		f.wantCount(statePending, 2)
		f.drain()
		r.want(t, "b/x#1 b/x#1")
		f.wantCount(statePending, 1)
		f.clock.Advance(time.Hour)
		f.drain()
		r.want(t, "b/x#1 b/x#1 c/other#1")
	})
}

// A unique job that dies although it was asked for again starts afresh.
func TestUniqueDeath(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		r := &record{fail: Discard(errors.New("bad"))}
		f.Handle("scan", Options{}, func(ctx context.Context, j Job) error {
			if len(r.jobs) == 0 {
				f.enqueue(Request{Kind: "scan", Unique: "u"})
			}
			return r.handle(ctx, j)
		})
		f.enqueue(Request{Kind: "scan", Unique: "u", Payload: []byte("x")})
		f.drain()
		r.want(t, "/x#1 /x#1")
		f.wantCount(stateDead, 1)
	})
}

// A job that postpones itself comes sooner when it was asked for meanwhile; one that fails keeps its pause.
func TestUniqueAgainWhileWaiting(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{"postponed": {Postpone(time.Hour), "/x#1 /x#1"}, "failed": {errors.New("bad"), "/x#1"}} {
		t.Run(name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
				f := setup(t, db)
				r := &record{fail: c.err}
				f.Handle("scan", Options{Backoff: 2 * time.Hour}, func(ctx context.Context, j Job) error {
					if len(r.jobs) == 0 {
						f.enqueue(Request{Kind: "scan", Unique: "u", RunAt: f.clock.Now().Add(time.Minute)})
					}
					return r.handle(ctx, j)
				})
				f.enqueue(Request{Kind: "scan", Unique: "u", Payload: []byte("x")})
				f.drain()
				f.clock.Advance(time.Minute)
				f.drain()
				r.want(t, c.want)
				f.wantCount(statePending, 1)
			})
		})
	}
}

// A periodic job runs once an interval whatever the number of processes, and its errors do not end it.
func TestEvery(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		first := setup(t, db)
		second := beside(t, db, first.clock)
		runs := 0
		for _, f := range []*fixture{first, second} {
			f.Every("sweep", time.Hour, func(context.Context) error { runs++; return errors.New("always") })
		}
		for i, step := range []struct {
			forward time.Duration
			want    int
		}{{0, 1}, {0, 1}, {time.Hour - 1000, 1}, {time.Second, 2}, {10 * time.Hour, 3}, {0, 3}} {
			first.clock.Advance(step.forward)
			second.drain()
			first.drain()
			if runs != step.want {
				t.Fatalf("step %d: %d runs, want %d", i, runs, step.want)
			}
		}
		sooner := beside(t, db, first.clock)
		sooner.Every("sweep", time.Minute, func(context.Context) error { runs++; return nil })
		sooner.drain()
		first.clock.Advance(time.Minute)
		sooner.drain()
		if runs != 4 {
			t.Errorf("%d runs after the interval was shortened, want 4", runs)
		}
		first.wantCount(stateDead, 0)
	})
}

// A periodic job comes within its interval after the machine's clock was set back, whether it
// waited or ran at that moment. Other jobs wait for their time.
func TestClockSetBack(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f, r, runs, back := setup(t, db), &record{}, 0, time.Duration(0)
		f.Handle("note", Options{}, r.handle)
		f.Every("sweep", time.Minute, func(context.Context) error {
			f.clock.Advance(-back)
			runs++
			return nil
		})
		f.drain()
		f.enqueue(Request{Kind: "note", RunAt: f.clock.Now().Add(time.Second)})
		f.clock.Advance(-365 * 24 * time.Hour)
		for want := 2; want < 5; want++ {
			if err := f.recall(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.clock.Advance(time.Minute)
			if _, err := f.drainOnce(t.Context()); err != nil || runs != want {
				t.Fatalf("%d runs, %v; want %d", runs, err, want)
			}
			back = time.Hour // from then on while it runs
		}
		r.want(t, "")
	})
}

// What is wrong with handlers is told by Start and Drain, and running queues are not drained.
func TestRefusals(t *testing.T) {
	handle := func(context.Context, Job) error { return nil }
	for name, add := range map[string]func(*Queue){
		"twice":       func(q *Queue) { q.Handle("a", Options{}, handle); q.Handle("a", Options{}, handle) },
		"no handler":  func(q *Queue) { q.Handle("a", Options{}, nil) },
		"no name":     func(q *Queue) { q.Handle("", Options{}, handle) },
		"long name":   func(q *Queue) { q.Handle(strings.Repeat("a", MaxKind+1), Options{}, handle) },
		"reserved":    func(q *Queue) { q.Handle("every:a", Options{}, handle) },
		"attempts":    func(q *Queue) { q.Handle("a", Options{MaxAttempts: -1}, handle) },
		"concurrency": func(q *Queue) { q.Handle("a", Options{Concurrency: 1000}, handle) },
		"timeout":     func(q *Queue) { q.Handle("a", Options{Timeout: -1}, handle) },
		"backoff":     func(q *Queue) { q.Handle("a", Options{Backoff: time.Hour, MaxBackoff: time.Minute}, handle) },
		"interval":    func(q *Queue) { q.Every("a", time.Millisecond, func(context.Context) error { return nil }) },
		"no function": func(q *Queue) { q.Every("a", time.Hour, nil) },
	} {
		q := New(nil, nil, nil)
		add(q)
		if q.Start(context.Background()) == nil || q.Drain(context.Background()) == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	for _, r := range []Request{{}, {Kind: strings.Repeat("k", 71)}, {Kind: "k", Unique: strings.Repeat("u", MaxUnique+1)}, {Kind: "k", Payload: make([]byte, MaxPayload+1)}, {Kind: "k", Realm: "mars"}} {
		err := f.write(func(ctx context.Context, tx *storage.Tx) error { return tx.Apply(ctx, []storage.Effect{Enqueue(r)}) })
		if err == nil {
			t.Errorf("request %.40q was accepted", r.Kind)
		}
	}
	if err := f.Stop(context.Background()); err != nil {
		t.Errorf("stop what never started: %v", err)
	}
	start(t, f)
	f.Handle("late", Options{}, handle)
	if f.Drain(context.Background()) == nil || f.Start(context.Background()) == nil {
		t.Error("a running queue was drained or started again")
	}
}

func start(t *testing.T, f *fixture) {
	t.Helper()
	if err := f.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := f.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}
