package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// long is a round's length that no test is meant to reach: the count ends it.
const long = time.Hour

func loadOn(t *testing.T, base string, s Scenario) *load {
	t.Helper()
	target, err := newTarget(context.Background(), base, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return &load{scenario: &s, target: target, next: new(atomic.Int64), workers: 4, duration: long}
}

// Closed load makes as many requests as were asked for, each number once, and tells right from wrong.
func TestClosedLoad(t *testing.T) {
	var seen sync.Map
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, twice := seen.LoadOrStore(r.URL.Path, true); twice {
			t.Errorf("%s came twice", r.URL.Path)
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "7"):
			http.Error(w, "seven", http.StatusTeapot)
		case strings.HasSuffix(r.URL.Path, "8"):
			fmt.Fprint(w, "something else")
		case strings.HasSuffix(r.URL.Path, "9"):
			panic(http.ErrAbortHandler) // the connection ends without an answer
		default:
			fmt.Fprint(w, "all right")
		}
	})
	l := loadOn(t, base, Scenario{Name: "s", Expect: Expect{Contains: "right"}, Make: func(worker int, n int64) Request {
		if worker < 0 || worker > 3 {
			t.Errorf("worker %d", worker)
		}
		return Request{Method: "GET", Path: fmt.Sprintf("/%d", n)}
	}})
	l.count = 1000
	l.next.Store(5000) // counted on from an earlier round
	got, err := l.run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got.right != 700 || got.errors != 300 || got.done() != 1000 || got.unsent != 0 || got.latency.TotalCount() != 1000 {
		t.Errorf("%d right, %d wrong, %d unsent, %d timed", got.right, got.errors, got.unsent, got.latency.TotalCount())
	}
	if got.statuses[200] != 800 || got.statuses[418] != 100 || got.statuses[0] != 100 || len(got.statuses) != 3 {
		t.Errorf("statuses %v", got.statuses)
	}
	slices.Sort(got.reasons)
	if want := []string{"answer 200: something else", "answer 418: seven", "unexpected EOF"}; !slices.Equal(got.reasons, want) {
		t.Errorf("reasons %q", got.reasons)
	}
	for n := 5001; n <= 6000; n++ {
		if _, ok := seen.Load(fmt.Sprintf("/%d", n)); !ok {
			t.Fatalf("request %d is missing", n)
		}
	}
}

// Time ends a round: the callers stop when it is over, having done what they began.
func TestClosedLoadEnds(t *testing.T) {
	calls := new(atomic.Int64)
	l := &load{scenario: &Scenario{Do: func(context.Context, int, int64) error { calls.Add(1); return nil }}, next: new(atomic.Int64), workers: 2, duration: time.Millisecond}
	got, err := l.run(context.Background())
	if err != nil || got.took < l.duration || got.right != calls.Load() || got.right == 0 {
		t.Errorf("%d of %d calls in %s, %v", got.right, calls.Load(), got.took, err)
	}
}

// Open load counts a request from when it was due. While the one caller is held up all
// others wait, and those never sent are counted with the time they had waited.
func TestOpenLoadHidesNoStall(t *testing.T) {
	l := &load{next: new(atomic.Int64), workers: 1, rate: 1000, duration: 20 * time.Millisecond}
	l.scenario = &Scenario{Do: func(ctx context.Context, _ int, n int64) error {
		for l.watch.Elapsed() < l.duration {
			if err := clock.Wait(ctx, time.Millisecond); err != nil {
				return err
			}
		}
		return nil
	}}
	got, err := l.run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got.done() != 1 || got.unsent != 19 || got.latency.TotalCount() != 20 {
		t.Errorf("%d done, %d unsent, %d timed; want 1, 19, 20", got.done(), got.unsent, got.latency.TotalCount())
	}
	// The first was due at once and waited for all 20 ms, the last for one.
	if got.max < l.duration || got.quantile(50) < 9*time.Millisecond {
		t.Errorf("median %s, longest %s", got.quantile(50), got.max)
	}
}

// Open load sends what is due and no more, never before it is due.
func TestOpenLoadKeepsTime(t *testing.T) {
	l := &load{next: new(atomic.Int64), workers: 8, rate: 2000, duration: long, count: 50}
	l.scenario = &Scenario{Do: func(_ context.Context, _ int, n int64) error {
		if l.watch.Elapsed() < l.due(n-1) { // the nth to go is not one of the first n-1
			return fmt.Errorf("%d came before it was due", n)
		}
		return nil
	}}
	got, err := l.run(context.Background())
	if err != nil || got.right != 50 || got.unsent != 0 || got.took < l.due(49) {
		t.Errorf("%d right, %d unsent in %s, %v, %v", got.right, got.unsent, got.took, got.reasons, err)
	}
}

// A server that goes away ends the round with the reason, and so does the caller.
func TestLoadAborts(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &load{scenario: &Scenario{Do: func(_ context.Context, _ int, n int64) error {
		if n == 100 {
			cancel()
		}
		return nil
	}}, next: new(atomic.Int64), workers: 3, duration: long}
	if _, err := l.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	base := answers(t, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	gone := loadOn(t, base, noop())
	gone.count = 40
	if got, err := gone.run(context.Background()); err != nil || got.right != 40 {
		t.Errorf("a server that closes every connection: %d right, %v", got.right, err)
	}
	gone.target.addr = "127.0.0.1:1"
	if _, err := gone.run(context.Background()); err == nil {
		t.Error("load on a port without a server")
	}
}

// round is what is heard of the round under way, nil without one.
func (o *Own) round() *recorder {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.heard
}

// awaitEnd returns when what is told of a round late is waited for, or that of another round
// is listened to.
func (o *Own) awaitEnd(ctx context.Context, round *recorder) {
	for ctx.Err() == nil {
		o.mu.Lock()
		over := o.heard != nil && (o.all != nil || o.heard != round)
		o.mu.Unlock()
		if over {
			return
		}
		runtime.Gosched()
	}
}

// What the server tells is heard while a round lasts and, of its requests, after it; before
// and later it is not. What is never told holds up no run that is stopped.
func TestOwn(t *testing.T) {
	own := new(Own)
	own.Answered(time.Hour)
	own.listen()
	own.Answered(time.Hour)
	own.listen() // the round before was broken off
	own.Answered(time.Millisecond)
	own.Answered(-time.Millisecond) // a clock's doing
	round := own.round()
	go func() {
		own.awaitEnd(t.Context(), round)
		own.Answered(3 * time.Millisecond)
	}()
	got := own.hearOut(t.Context(), 3)
	own.Answered(time.Hour)
	if got.latency.TotalCount() != 3 || got.max != 3*time.Millisecond || got.quantile(50)/time.Microsecond != 1000 {
		t.Errorf("heard of %d, the median %s, the longest %s", got.latency.TotalCount(), got.quantile(50), got.max)
	}
	for _, requests := range []int64{0, 1, 2, 3} {
		ctx, cancel := context.WithCancel(t.Context())
		own.listen()
		own.Answered(time.Second)
		own.Answered(time.Second)
		if requests > 2 {
			cancel()
		}
		if got := own.hearOut(ctx, requests); got.latency.TotalCount() != 2 {
			t.Errorf("heard of %d, of %d requests", got.latency.TotalCount(), requests)
		}
		cancel()
	}
}

// What workers saw is added up.
func TestMerge(t *testing.T) {
	sum := newRecorder()
	for i := range 3 {
		one := newRecorder()
		for j := range 100 {
			one.add(time.Duration(j+1)*time.Millisecond, 200, nil)
		}
		one.add(time.Duration(i)*time.Second, 500, fmt.Errorf("reason %d", i))
		one.add(2*time.Hour, 0, errors.New("same"))
		one.skip(-time.Second)
		sum.merge(one)
	}
	if sum.right != 300 || sum.errors != 6 || sum.unsent != 3 || sum.max != 2*time.Hour || sum.latency.TotalCount() != 309 {
		t.Errorf("%+v", sum)
	}
	if len(sum.reasons) != 4 || sum.statuses[200] != 300 || sum.statuses[500] != 3 || sum.statuses[0] != 3 {
		t.Errorf("reasons %v, statuses %v", sum.reasons, sum.statuses)
	}
	if p := sum.quantile(50); p < 49*time.Millisecond || p > 52*time.Millisecond {
		t.Errorf("median %s", p)
	}
}

// An answer is right when it has what it must have, and not what it must not.
func TestExpect(t *testing.T) {
	expect := Expect{Contains: `"SUCCESS"`, Lacks: `"FAIL"`}
	for text, right := range map[string]bool{`["SUCCESS","SUCCESS"]`: true, `["SUCCESS","FAIL"]`: false, `["FAIL"]`: false, ``: false} {
		if err := expect.compare(&answer{Status: 200, Body: []byte(text)}); (err == nil) != right {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := expect.compare(&answer{Status: 500, Body: []byte(`"SUCCESS"`)}); err == nil {
		t.Error("a failure is right")
	}
	anything := Expect{}
	if err := anything.compare(&answer{Status: 204}); err != nil {
		t.Error(err)
	}
}
