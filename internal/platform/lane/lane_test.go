package lane_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/lane"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/faultproxy"
)

var errRefused = errors.New("refused")

var addSpent = storage.SQL("lanetest.add", `INSERT INTO limit_quotas (book_id, name, period, used) VALUES ($1, $2, 'p', 1)`)

// bench is a lane whose tasks add rows by their names: "refused" is refused by itself, a
// name that was added before fails the write of whoever shares its transaction.
type bench struct {
	*lane.Lane[string]
	db     *storage.DB
	groups [][]string // as Run saw them
	sizes  []int      // of those on disk
	one    sync.Mutex
	tries  int  // how often Run was called
	doubt  bool // what Again answers
	gate   chan struct{}
	begun  chan struct{}
}

func open(t *testing.T, db *storage.DB) *bench { return openOf(t, db, nil) }

// openOf is a lane whose tasks are those of whoever whose names.
func openOf(t *testing.T, db *storage.DB, whose func(string) string) *bench {
	b := &bench{db: db, gate: make(chan struct{}), begun: make(chan struct{})}
	var first sync.Once
	b.Lane = lane.New(lane.Config[string]{DB: db, Name: "the bench", Observe: func(n int, _ time.Duration) { b.sizes = append(b.sizes, n) },
		Again: func() bool { return b.doubt }, Whose: whose,
		Run: func(ctx context.Context, tx *storage.Tx, tasks []*lane.Task[string]) error {
			b.tries++
			first.Do(func() {
				close(b.begun)
				<-b.gate
			})
			var names []string
			for _, task := range tasks {
				name := strings.TrimSuffix(task.Work, " done") // of a try before
				names = append(names, name)
				if task.Err = nil; name == "refused" {
					task.Err = errRefused
					continue
				}
				if _, err := tx.Exec(ctx, addSpent, "bk", rowOf(name)); err != nil {
					return err
				}
				task.Work = name + " done"
			}
			b.groups = append(b.groups, names)
			return nil
		}})
	t.Cleanup(b.Close)
	return b
}

// rowOf is the row that a task adds: that of "x/held" is "held".
func rowOf(name string) string {
	if strings.HasSuffix(name, "/held") {
		return "held"
	}
	return name
}

// What waits shares a transaction; a refusal is one caller's, a failed write is its own
// task's alone, and everybody hears of their own.
func TestTasksAreTheirOwn(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := open(t, db)
		answers := map[string]string{}
		var group sync.WaitGroup
		ask := func(ctx context.Context, key, name string) {
			group.Go(func() {
				got, err := b.Do(ctx, name)
				b.one.Lock()
				defer b.one.Unlock()
				if answers[key] = got; err != nil {
					answers[key] = string(fault.CodeOf(err)) + fmt.Sprint(storage.IsUnique(err), errors.Is(err, errRefused))
				}
			})
		}
		ask(t.Context(), "first", "first")
		<-b.begun
		left, leave := context.WithCancel(t.Context())
		for i, name := range []string{"a", "refused", "b", "first", "c", "left", "d"} {
			ctx := t.Context()
			if name == "left" {
				ctx = left
			}
			ask(ctx, name+"2", name)
			for b.Waiting() != i+1 {
				runtime.Gosched()
			}
		}
		leave()
		close(b.gate)
		group.Wait()
		want := map[string]string{"first": "first done", "a2": "a done", "refused2": "internalfalse true", "b2": "b done",
			"first2": "internaltrue false", "c2": "c done", "left2": "timeoutfalse false", "d2": "d done"}
		if fmt.Sprint(answers) != fmt.Sprint(want) {
			t.Errorf("answers %v, want %v", answers, want)
		}
	})
}

// Many callers at once are all done, each once; who comes after the end is refused.
func TestManyCallers(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := open(t, db)
		close(b.gate)
		var group sync.WaitGroup
		var failed atomic.Int64
		for i := range 500 {
			group.Go(func() {
				if got, err := b.Do(t.Context(), fmt.Sprint(i)); err != nil || got != fmt.Sprint(i)+" done" {
					failed.Add(1)
				}
			})
		}
		group.Wait()
		b.Close()
		seen, onDisk := 0, 0
		for _, names := range b.groups {
			seen += len(names)
		}
		for _, n := range b.sizes {
			onDisk += n
		}
		if failed.Load() != 0 || seen != 500 || onDisk != 500 {
			t.Errorf("%d failed, %d decided, %d on disk; want 0, 500, 500", failed.Load(), seen, onDisk)
		}
		if _, err := b.Do(t.Context(), "late"); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("after the end: %v", err)
		}
	})
}

// Closing waits until what was accepted is on disk. What waited while the first was done is done
// together.
func TestClose(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := open(t, db)
		var group sync.WaitGroup
		do := func(name string) {
			group.Go(func() {
				if _, err := b.Do(t.Context(), name); err != nil {
					t.Error(err)
				}
			})
		}
		do("first")
		<-b.begun
		for i, name := range []string{"a", "b", "c"} {
			do(name)
			for b.Waiting() != i+1 {
				runtime.Gosched()
			}
		}
		time.AfterFunc(10*time.Millisecond, func() { close(b.gate) })
		b.Close()
		if !slices.Equal(b.sizes, []int{1, 3}) {
			t.Errorf("closed with groups of %v on disk, want one of 1 and one of 3", b.sizes)
		}
		group.Wait()
	})
}

// A write that failed is tried once more where that is another one, and not more often.
func TestTriedAgain(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := open(t, db)
		close(b.gate)
		if _, err := b.Do(t.Context(), "taken"); err != nil {
			t.Fatal(err)
		}
		for again, want := range map[bool]int{false: 1, true: 2} {
			b.doubt, b.tries = again, 0
			if _, err := b.Do(t.Context(), "taken"); !storage.IsUnique(err) || b.tries != want {
				t.Errorf("again %t: tried %d times, %v; want %d", again, b.tries, err, want)
			}
		}
	})
}

// Where the database cannot be reached, all who wait hear of it at once: it is not tried for
// each half of them, which where its machine has vanished takes as long each time.
func TestUnreached(t *testing.T) {
	if !slices.Contains(testkit.Engines(), "postgres") {
		t.Skip("no PostgreSQL is at hand")
	}
	config := testkit.Database(t, "postgres")
	u, err := url.Parse(config.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := faultproxy.New(t, u.Host)
	u.Host = proxy.Addr()
	config.URL = u.String()
	failed, begun, gate, first := 0, make(chan struct{}), make(chan struct{}), sync.Once{}
	l := lane.New(lane.Config[string]{DB: testkit.Open(t, config), Name: "the bench",
		Run: func(ctx context.Context, tx *storage.Tx, tasks []*lane.Task[string]) error {
			first.Do(func() { close(begun) })
			<-gate
			_, err := tx.Exec(ctx, addSpent, "bk", tasks[0].Work)
			return err
		},
		Again: func() bool {
			failed++
			return false
		}})
	t.Cleanup(l.Close)
	var group sync.WaitGroup
	ask := func(name string) {
		group.Go(func() {
			if _, err := l.Do(t.Context(), name); !storage.IsAway(err) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	ask("first")
	<-begun
	for i := range 64 {
		ask(fmt.Sprint(i))
	}
	for l.Waiting() != 64 {
		runtime.Gosched()
	}
	proxy.Cut()
	close(gate)
	group.Wait()
	if failed != 2 {
		t.Errorf("%d transactions failed, want that of the first and that of those who waited", failed)
	}
}

// lock has somebody else hold the row "held" of a database, and returns its configuration for
// one who waits for a lock that long, and what ends that.
func lock(t *testing.T, setting, milliseconds string) (config storage.Config, release func()) {
	t.Helper()
	if !slices.Contains(testkit.Engines(), "postgres") {
		t.Skip("no PostgreSQL")
	}
	config = testkit.Database(t, "postgres")
	holder := testkit.Open(t, config)
	u, err := url.Parse(config.URL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set(setting, milliseconds)
	u.RawQuery = query.Encode()
	config.URL = u.String()
	held, end := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		gone := errors.New("gone")
		err := holder.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			_, err := tx.Exec(ctx, addSpent, "bk", "held")
			close(held)
			<-end
			return errors.Join(err, gone)
		})
		if !errors.Is(err, gone) {
			t.Error(err)
		}
	})
	<-held
	return config, func() {
		close(end)
		group.Wait()
	}
}

// A lane that somebody else's lock holds up refuses all who wait, once, and nothing of theirs
// is done; the next are served when the lock has gone.
func TestHeldUp(t *testing.T) {
	config, release := lock(t, "lock_timeout", "50")
	b := open(t, testkit.Open(t, config))
	b.doubt = true
	var group sync.WaitGroup
	ask := func(name string) {
		group.Go(func() {
			if _, err := b.Do(t.Context(), name); !storage.IsHeldUp(err) || !storage.IsAway(err) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	ask("held")
	<-b.begun
	for i, name := range []string{"a", "held", "b"} {
		ask(name)
		for b.Waiting() != i+1 {
			runtime.Gosched()
		}
	}
	close(b.gate)
	if _, err := b.Do(t.Context(), "held"); !storage.IsHeldUp(err) { // behind them
		t.Errorf("the last: %v", err)
	}
	if b.tries > 3 {
		t.Errorf("%d transactions waited, want that of the first, that of those behind and at most one of the last", b.tries)
	}
	release()
	group.Wait()
	for _, name := range []string{"held", "a", "b"} {
		if got, err := b.Do(t.Context(), name); err != nil || got != name+" done" {
			t.Errorf("after that: %q, %v", got, err)
		}
	}
}

// Where it is known whose the tasks are, the lock is in the way of one of them: the others are
// done. Those of that one are refused without waiting, and do not keep the others waiting, until
// the lock has gone. A server that bounds statements, and not only waits for locks, is no other.
func TestHeldUpApart(t *testing.T) {
	for _, setting := range []string{"lock_timeout", "statement_timeout"} {
		t.Run(setting, func(t *testing.T) { heldUpApart(t, setting) })
	}
}

func heldUpApart(t *testing.T, setting string) {
	config, release := lock(t, setting, "500")
	b := openOf(t, testkit.Open(t, config), func(work string) string { return strings.TrimSuffix(work, " done") })
	var group sync.WaitGroup
	ask := func(name string) {
		group.Go(func() {
			if got, err := b.Do(t.Context(), name); (name == "held") != storage.IsHeldUp(err) || err == nil && got != name+" done" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		})
	}
	ask("first")
	<-b.begun
	for i, name := range []string{"a", "held", "b", "held"} {
		ask(name)
		for b.Waiting() != i+1 {
			runtime.Gosched()
		}
	}
	close(b.gate)
	group.Wait()
	before := b.tries
	for range 100 {
		ask("held")
	}
	group.Wait()
	if n := b.tries - before; n > 4 { // none, unless that took a second
		t.Errorf("what is held up was tried %d times more", n)
	}
	for i := range 5 {
		ask("held")
		ask(fmt.Sprint(i))
	}
	group.Wait()
	release()
	_, err := b.Do(t.Context(), "held")
	for storage.IsHeldUp(err) && clock.Wait(t.Context(), 50*time.Millisecond) == nil {
		_, err = b.Do(t.Context(), "held")
	}
	if err != nil {
		t.Errorf("after that: %v", err)
	}
}

// queued has tasks wait behind the lane's first one, then lets it go on and waits for them.
func (b *bench) queued(t *testing.T, works []string, see func(work string, err error)) {
	t.Helper()
	var group sync.WaitGroup
	ask := func(work string) {
		group.Go(func() {
			_, err := b.Do(t.Context(), work)
			b.one.Lock()
			defer b.one.Unlock()
			see(work, err)
		})
	}
	ask("first/1")
	<-b.begun
	for i, work := range works {
		ask(work)
		for b.Waiting() != i+1 {
			runtime.Gosched()
		}
	}
	close(b.gate)
	group.Wait()
}

// The lock is in the way of one task of a name's: the others are done with it and after it, though
// it is tried again and again.
func TestHeldUpAlone(t *testing.T) {
	config, release := lock(t, "lock_timeout", "500")
	defer release()
	b := openOf(t, testkit.Open(t, config), func(string) string { return "all" })
	var refused []string
	see := func(work string, err error) {
		if err != nil {
			refused = append(refused, work)
		}
	}
	b.queued(t, []string{"a", "b", "c", "d", "held", "e", "f", "g"}, see)
	for i := range 8 {
		for _, work := range []string{fmt.Sprint("after/", i), "held"} {
			_, err := b.Do(t.Context(), work)
			see(work, err)
		}
	}
	if want := strings.Repeat(" held", 9); " "+strings.Join(refused, " ") != want {
		t.Errorf("refused were %v", refused)
	}
}

// What was not tried, as others waited in vain before it, is done the next time, at once.
func TestUntriedIsNotHeld(t *testing.T) {
	config, release := lock(t, "lock_timeout", "500")
	defer release()
	whose := func(work string) string {
		name, _, _ := strings.Cut(work, "/")
		return name
	}
	b := openOf(t, testkit.Open(t, config), whose)
	untried := false
	works := []string{"w/held", "x/held", "y/held", "z/held", "free/1"}
	b.queued(t, works, func(work string, err error) { untried = untried || work == "free/1" && storage.IsHeldUp(err) })
	if _, err := b.Do(t.Context(), "free/2"); err != nil || !untried {
		t.Errorf("refused at first %v, then %v", untried, err)
	}
}

// A name that was held up stays apart, also when something of it was done since: others would wait
// for it as long again.
func TestHeldUpIsRemembered(t *testing.T) {
	config, release := lock(t, "lock_timeout", "5000")
	defer release()
	b := openOf(t, testkit.Open(t, config), func(string) string { return "all" })
	close(b.gate)
	if _, err := b.Do(t.Context(), "held"); !storage.IsHeldUp(err) {
		t.Fatal(err)
	}
	_, err := b.Do(t.Context(), "free")
	for storage.IsHeldUp(err) && clock.Wait(t.Context(), 50*time.Millisecond) == nil {
		_, err = b.Do(t.Context(), "free")
	}
	watch := clock.Start()
	if _, err := b.Do(t.Context(), "held"); !storage.IsHeldUp(err) || watch.Elapsed() > 4*time.Second {
		t.Errorf("%v after %s", err, watch.Elapsed())
	}
}

// Whoever is answered finds what the lane remembers of it.
func TestAnsweredAfterRemembered(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		var remembered atomic.Bool
		l := lane.New(lane.Config[string]{DB: db, Name: "the bench",
			Run: func(ctx context.Context, tx *storage.Tx, tasks []*lane.Task[string]) error {
				_, err := tx.Exec(ctx, addSpent, "bk", tasks[0].Work)
				return err
			},
			Committed: func([]*lane.Task[string]) {
				for range 1000 { // so that an answer before it would come first
					runtime.Gosched()
				}
				remembered.Store(true)
			}})
		t.Cleanup(l.Close)
		if _, err := l.Do(t.Context(), "one"); err != nil || !remembered.Load() {
			t.Errorf("answered %v before the lane knew of it", err)
		}
	})
}
