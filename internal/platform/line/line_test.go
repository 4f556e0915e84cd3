package line_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/line"
)

var epoch = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// errReset is what a network's end of a connection says, with a number in it.
var errReset = errors.New("GET /balance/6006491300000011: connection reset")

// bench is a line on a clock that stands.
type bench struct {
	*line.Line
	t     *testing.T
	clock *clock.Manual
	calls atomic.Int64
}

// setup returns a line that makes one attempt and does not pause, unless c says otherwise.
func setup(t *testing.T, c line.Config) *bench {
	t.Helper()
	if c.Attempts == 0 {
		c.Attempts = 1
	}
	c.Pause = -1
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	c.Answer = func(err error) error {
		if fault.CodeOf(err) != fault.CardInvalid {
			return nil
		}
		return fault.New(fault.CardInvalid, "the network does not take this number")
	}
	b := &bench{t: t, clock: clock.NewManual(epoch)}
	b.Line = line.New(c, b.clock)
	return b
}

// ask makes a call that returns err.
func (b *bench) ask(err error) error { return b.about("", err) }

// about makes a call about a subject that returns err.
func (b *bench) about(subject string, err error) error {
	return b.by("", subject, err)
}

// by makes a call of a caller's about a subject that returns err.
func (b *bench) by(caller, subject string, err error) error {
	_, got := line.AskAbout(context.Background(), b.Line, line.About{Subject: subject, Caller: caller}, func(context.Context) (int, error) {
		b.calls.Add(1)
		return 1, err
	})
	return got
}

func (b *bench) wantCode(what string, err error, want fault.Code) {
	b.t.Helper()
	if got := fault.CodeOf(err); got != want {
		b.t.Errorf("%s: %q (%v), want %q", what, got, err, want)
	}
}

func (b *bench) wantWait(what string, err error, want time.Duration) {
	b.t.Helper()
	if got := fault.From(err).RetryAfter; got != want {
		b.t.Errorf("%s: come again after %s, want %s", what, got, want)
	}
}

func (b *bench) wantState(what string, want line.State) {
	b.t.Helper()
	if got := b.State(); got != want {
		b.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// Failures in a row open the breaker; nothing is called while it is open; after its pause
// one call may try, and a failure of that makes the next pause longer.
func TestBreaker(t *testing.T) {
	b := setup(t, line.Config{Failures: 3, Cool: 10 * time.Second})
	b.wantState("new", line.Operational)
	b.wantCode("first", b.ask(errReset), fault.Unavailable)
	b.wantState("one failed", line.Degraded)
	b.wantCode("an answer between", b.ask(nil), "")
	for range 3 {
		b.wantCode("in a row", b.ask(errReset), fault.Unavailable)
	}
	b.wantState("open", line.Down)
	calls := b.calls.Load()
	b.wantCode("while it is open", b.ask(nil), fault.Unavailable)
	b.wantWait("while it is open", b.ask(nil), 10*time.Second)
	b.clock.Advance(9 * time.Second)
	if b.Ready() {
		t.Error("it is ready while it cools")
	}
	b.wantCode("still", b.ask(nil), fault.Unavailable)
	if b.calls.Load() != calls {
		t.Error("the network was asked while the breaker was open")
	}
	if err := b.ask(nil); !line.NotAsked(err) || line.NotAsked(fault.New(fault.Unavailable, "else")) {
		t.Errorf("that nothing was asked does not show: %v", err)
	}
	b.clock.Advance(time.Second)
	if ready := b.Ready(); !ready || !b.Ready() {
		t.Error("it is not ready for a try, or looking used it up")
	}
	b.wantCode("the one that tries", b.ask(errReset), fault.Unavailable)
	if b.calls.Load() != calls+1 {
		t.Error("nobody tried")
	}
	b.clock.Advance(19 * time.Second)
	b.wantCode("the pause has doubled", b.ask(nil), fault.Unavailable)
	b.wantWait("the pause has doubled", b.ask(nil), time.Second)
	b.clock.Advance(time.Second)
	b.wantCode("tries again", b.ask(nil), "")
	b.wantState("closed, with failures behind it", line.Degraded)
	b.clock.Advance(6 * time.Minute)
	b.wantState("long after", line.Operational)
}

// Of many who ask while the breaker is half open one is let through.
func TestOneTries(t *testing.T) {
	b := setup(t, line.Config{Failures: 1, Cool: time.Second})
	b.wantCode("fails", b.ask(errReset), fault.Unavailable)
	b.clock.Advance(time.Second)
	inside, let := make(chan struct{}), make(chan struct{})
	tried := make(chan error)
	go func() {
		_, err := line.Ask(context.Background(), b.Line, func(context.Context) (int, error) {
			close(inside)
			<-let
			return 1, nil
		})
		tried <- err
	}()
	<-inside
	b.wantState("half open", line.Down)
	for range 20 {
		b.wantCode("beside it", b.ask(nil), fault.Unavailable)
	}
	close(let)
	b.wantCode("the one", <-tried, "")
	b.wantCode("then all", b.ask(nil), "")
}

// A caller who leaves while it is the one that tries leaves the try to the next.
func TestTryIsTakenBack(t *testing.T) {
	b := setup(t, line.Config{Failures: 1, Cool: time.Second})
	b.wantCode("fails", b.ask(errReset), fault.Unavailable)
	b.clock.Advance(time.Second)
	ctx, leave := context.WithCancel(t.Context())
	_, err := line.Ask(ctx, b.Line, func(ctx context.Context) (int, error) {
		leave()
		<-ctx.Done()
		return 0, ctx.Err()
	})
	b.wantCode("left", err, fault.Timeout)
	b.wantCode("the next", b.ask(nil), "")
}

// Failures about one thing count once in ten minutes, however often it is asked about and
// whatever else was answered meanwhile; as many things as calls may fail in a row open the
// breaker.
func TestOneSubjectFailsOnce(t *testing.T) {
	b := setup(t, line.Config{Failures: 3, Cool: 10 * time.Second})
	fail := func(subjects ...string) {
		for _, subject := range subjects {
			b.wantCode(subject, b.about(subject, errReset), fault.Unavailable)
		}
	}
	for range 20 {
		fail("card 1", "card 2")
		b.wantCode("another", b.about("card 0", nil), "")
	}
	fail("card 1", "card 2", "card 1", "card 2", "card 3")
	if !b.Ready() {
		t.Error("two cards closed the line")
	}
	fail("card 4", "card 5")
	b.wantState("three new ones in a row", line.Down)
	b.clock.Advance(10 * time.Second)
	fail("card 5")
	if !b.Ready() {
		t.Error("a card that failed before was taken for the one that tries")
	}
	b.wantCode("the next", b.about("card 0", nil), "")
	b.clock.Advance(10 * time.Minute)
	fail("card 1", "card 2", "card 3")
	b.wantState("ten minutes later", line.Down)
}

// What is the counterparty's failing whatever it is asked counts every time.
func TestOutageCountsEveryTime(t *testing.T) {
	b := setup(t, line.Config{Failures: 3})
	for range 3 {
		if !b.Ready() {
			t.Error("closed too early")
		}
		if err := b.about("card 1", line.Outage(errReset)); fault.CodeOf(err) != fault.Unavailable || strings.Contains(err.Error(), "6006") {
			t.Error(err)
		}
	}
	b.wantState("after three", line.Down)
}

// Answers that are none close the line to the caller who got too many of them in a row, and
// to nobody else; that no answer came in time counts for all.
func TestOneCallerClosesNoLine(t *testing.T) {
	b := setup(t, line.Config{Failures: 3, Cool: 10 * time.Second})
	fail := func(caller string, from, n int) {
		for i := range n {
			b.wantCode(caller, b.by(caller, fmt.Sprintf("card %d", from+i), errReset), fault.Unavailable)
		}
	}
	fail("thief", 0, 2)
	b.wantCode("an answer between", b.by("thief", "card", nil), "")
	fail("thief", 10, 3)
	b.wantState("nobody was answered", line.Down)
	calls := b.calls.Load()
	if err := b.by("thief", "card", nil); !line.NotAsked(err) || b.calls.Load() != calls || !strings.Contains(err.Error(), "this caller") {
		t.Errorf("the thief is answered, or not told why not: %v", err)
	}
	b.wantWait("the thief", b.by("thief", "card", nil), 10*time.Second)
	fail("desk", 20, 2)
	b.wantCode("the desk", b.by("desk", "card", nil), "")
	b.wantState("others are answered", line.Degraded)

	b.clock.Advance(10 * time.Second)
	fail("thief", 30, 1)
	b.clock.Advance(19 * time.Second)
	if err := b.by("thief", "card", nil); !line.NotAsked(err) {
		t.Errorf("the thief's pause has not doubled: %v", err)
	}
	b.clock.Advance(time.Second)
	b.wantCode("the thief tries", b.by("thief", "card", nil), "")
	fail("thief", 40, 2)
	b.wantCode("with nothing held against it", b.by("thief", "card", nil), "")

	for i := range 3 {
		b.wantCode("late", b.by("thief", fmt.Sprintf("late %d", i), context.DeadlineExceeded), fault.Unavailable)
	}
	if err := b.by("desk", "card", nil); !line.NotAsked(err) {
		t.Errorf("a counterparty that hangs is asked: %v", err)
	}
	b.wantState("after three that were late", line.Down)
	b.clock.Advance(10 * time.Second)
	fail("thief", 50, 1)
	b.wantCode("what the thief tried says nothing", b.by("desk", "card", nil), "")
}

// One thing that fails leaves the published state alone once it has counted.
func TestOneSubjectIsNoState(t *testing.T) {
	b := setup(t, line.Config{})
	for range 10 {
		b.wantCode("fails", b.about("card 1", errReset), fault.Unavailable)
	}
	for range 5 {
		b.wantCode("answers", b.about("card 0", nil), "")
	}
	b.wantState("one of six", line.Operational)
}

// A word on the card is an answer: it is not asked again and says nothing against the network.
func TestCardInvalidIsAnAnswer(t *testing.T) {
	b := setup(t, line.Config{Failures: 1, Attempts: 3})
	err := b.ask(fault.New(fault.CardInvalid, "6006491300000011 is none of ours"))
	b.wantCode("refused", err, fault.CardInvalid)
	if b.calls.Load() != 1 || strings.Contains(err.Error(), "6006") {
		t.Errorf("%d calls, %v", b.calls.Load(), err)
	}
	b.wantState("after it", line.Operational)
}

// What fails is tried again, so often and no more; the answer of a later attempt counts.
func TestAttempts(t *testing.T) {
	b := setup(t, line.Config{Attempts: 3})
	b.wantCode("fails", b.ask(errReset), fault.Unavailable)
	if b.calls.Load() != 3 {
		t.Errorf("%d calls, want 3", b.calls.Load())
	}
	n := 0
	got, err := line.Ask(t.Context(), b.Line, func(context.Context) (int, error) {
		if n++; n < 3 {
			return 0, errReset
		}
		return 42, nil
	})
	if got != 42 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
}

// No error of a line holds what the network's error said, nor does a panic's.
func TestErrorsSayNothing(t *testing.T) {
	b := setup(t, line.Config{})
	_, panicked := line.Ask(t.Context(), b.Line, func(context.Context) (int, error) { panic(errReset) })
	for _, err := range []error{b.ask(errReset), panicked, b.ask(fault.Wrap(errReset, fault.Internal, "6006491300000011"))} {
		b.wantCode("fails", err, fault.Unavailable)
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), "6006") {
				t.Errorf("%v", e)
			}
		}
	}
}

// Whose time was over, as that of a batch may be, is not told to have left.
func TestNoTimeLeft(t *testing.T) {
	b := setup(t, line.Config{})
	left, leave := context.WithCancel(t.Context())
	leave()
	over, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for want, ctx := range map[string]context.Context{"the caller left before the network answered": left, "there was no time left for the network to answer": over} {
		_, err := line.Ask(ctx, b.Line, func(ctx context.Context) (int, error) { return 0, ctx.Err() })
		b.wantCode(want, err, fault.Timeout)
		if got := fault.From(err).Message; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Why a network failed stands in the log where an adapter says it in words of its own; it
// is not told.
func TestBecause(t *testing.T) {
	b := setup(t, line.Config{})
	for _, err := range []error{line.Because("the HTTP status is %d", 404), line.Outage(line.Because("the HTTP status is %d", 404))} {
		told := b.ask(err)
		b.wantCode("fails", told, fault.Unavailable)
		if f := fault.From(told); f.Message != "the network did not answer as it should" || !strings.HasSuffix(told.Error(), ": the HTTP status is 404") {
			t.Errorf("%q, in the log %q", f.Message, told)
		}
	}
}

// Of failures alike one a minute is to be logged, with how many were not; others are not kept
// back by them, and of however many reasons no more are remembered than there is room for.
func TestDue(t *testing.T) {
	b := setup(t, line.Config{})
	want := func(err error, want string) {
		t.Helper()
		unsaid, due := b.Due(err)
		if got := fmt.Sprint(due, " ", unsaid); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
	gone, busy := line.Because("the HTTP status is %d", 404), line.Because("the HTTP status is %d", 503)
	want(gone, "true 0")
	for range 3 {
		want(gone, "false 0")
	}
	want(busy, "true 0")
	b.clock.Advance(time.Minute)
	want(gone, "true 3")
	want(gone, "false 0")
	want(busy, "true 0")
	b.clock.Advance(-time.Hour)
	want(gone, "true 1")
	for i := range 1000 {
		want(line.Because("the HTTP status is %d", 1000+i), "true 0")
	}
}

// A network that ignores its context holds as many calls as it may and no more: callers
// beyond that and those who may wait are refused at once, and the places come back when
// it wakes.
func TestHangingNetwork(t *testing.T) {
	b := setup(t, line.Config{Concurrency: 4, Failures: 100})
	wake, inside := make(chan struct{}), make(chan struct{}, 100)
	ctx, leave := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			_, err := line.Ask(ctx, b.Line, func(context.Context) (int, error) {
				inside <- struct{}{}
				<-wake
				return 1, nil
			})
			b.wantCode("hung", err, fault.Timeout)
		})
	}
	for range 4 {
		<-inside
	}
	b.wantState("all places taken", line.Degraded)
	left, gone := context.WithCancel(t.Context())
	refused := make(chan error, 10)
	for range 10 { // four may wait, the others may not
		go func() {
			_, err := line.Ask(left, b.Line, func(context.Context) (int, error) { return 1, nil })
			refused <- err
		}()
	}
	for range 6 {
		b.wantCode("beyond", <-refused, fault.Unavailable)
	}
	gone()
	for range 4 {
		b.wantCode("waited and left", <-refused, fault.Timeout)
	}
	leave()
	callers.Wait() // the callers are free though the network still hangs
	close(wake)
	for range 20 {
		_, err := line.Ask(t.Context(), b.Line, func(context.Context) (int, error) { return 1, nil })
		b.wantCode("awake", err, "")
	}
}

// A network that does not answer in time has failed, and its callers are told so.
func TestTimeout(t *testing.T) {
	b := setup(t, line.Config{Timeout: time.Millisecond, Failures: 1})
	_, err := line.Ask(t.Context(), b.Line, func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	b.wantCode("late", err, fault.Unavailable)
	b.wantState("late", line.Down)
}

// One line's crowd of failing calls at once opens its breaker once and holds nobody.
func TestCrowd(t *testing.T) {
	b := setup(t, line.Config{Concurrency: 8, Failures: 5})
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() { b.wantCode("crowd", b.ask(errReset), fault.Unavailable) })
	}
	group.Wait()
	if n := b.calls.Load(); n > 5+8 {
		t.Errorf("%d calls reached a network that fails", n)
	}
}
