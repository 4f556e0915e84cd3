// Package line is the guard around one counterparty, such as a network or a supplier,
// that answers from outside: a bound on time and on calls under way, a few repetitions,
// a circuit breaker and a state to publish.
//
// A counterparty that hangs, resets, floods or panics holds at most its own calls:
// callers beyond them are refused at once, and while the breaker is open nothing is sent.
// A call that does not heed its context is abandoned; its place stays taken until it
// returns. What must not be asked twice is asked with one attempt. What fails because of
// what one caller asks about does not close the line to others.
//
// It must never keep or repeat what was asked, nor the text of a counterparty's error:
// either may hold a card number. What an adapter says in words of its own (Because) stands
// behind what is told, for the log.
package line

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
)

// State is what is published of a counterparty.
type State string

// The states. Degraded is one that answers, but not always or not all.
const (
	Operational State = "operational"
	Degraded    State = "degraded"
	Down        State = "down"
)

// Config bounds a line. The zero value of each field means its default.
type Config struct {
	// Name is what faults call the counterparty, such as "the network", which is the default.
	Name string
	// Answer returns what is told of an error that is the counterparty's word on what was
	// asked, and nil for one that is its failing. A nil Answer takes every error for a failing.
	Answer func(error) error
	// Timeout bounds a call, its repetitions and its wait for a place included; 5 s.
	Timeout time.Duration
	// Attempts is how often a call is made at most; 2.
	Attempts int
	// Pause is between two attempts; 50 ms, and none if it is negative.
	Pause time.Duration
	// Concurrency bounds the calls under way; 64. As many again may wait for a place.
	Concurrency int
	// Failures in a row open the breaker; 5.
	Failures int
	// Cool is how long it stays open before one call is let through; 5 s, doubled
	// with every such call that fails, up to a minute or Cool, whichever is more.
	Cool time.Duration
}

// The defaults of Config, and the most that Cool grows to by itself.
const (
	DefaultTimeout     = 5 * time.Second
	DefaultAttempts    = 2
	DefaultConcurrency = 64
	defaultName        = "the network"
	defaultPause       = 50 * time.Millisecond
	defaultFailures    = 5
	defaultCool        = 5 * time.Second
	longestCool        = time.Minute
)

func (c Config) withDefaults() Config {
	c.Timeout = positive(c.Timeout, DefaultTimeout)
	c.Attempts = positive(c.Attempts, DefaultAttempts)
	c.Concurrency = positive(c.Concurrency, DefaultConcurrency)
	c.Failures = positive(c.Failures, defaultFailures)
	c.Cool = positive(c.Cool, defaultCool)
	if c.Pause == 0 {
		c.Pause = defaultPause
	}
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.Answer == nil {
		c.Answer = func(error) error { return nil }
	}
	return c
}

func positive[T int | time.Duration](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

// Line guards one counterparty. It is safe for concurrent use.
type Line struct {
	config  Config
	clock   clock.Clock
	places  chan struct{} // a token per call under way
	waiting chan struct{} // a token per caller who waits for a place
	mu      sync.Mutex
	seed    maphash.Seed
	breaker breaker
	recent  recent
	failed  subjects
	callers callers
	said    sayings
	silent  int // failures in a row, whosever: the line is down for all anybody knows
}

// New returns a line whose breaker is closed. c is the machine's clock.
func New(config Config, c clock.Clock) *Line {
	config = config.withDefaults()
	return &Line{config: config, clock: c, places: make(chan struct{}, config.Concurrency), waiting: make(chan struct{}, config.Concurrency),
		breaker: breaker{failures: config.Failures, cool: config.Cool}, seed: maphash.MakeSeed(), callers: callers{}, said: sayings{}}
}

// hash names a text by what means nothing outside of the process.
func (l *Line) hash(text string) uint64 { return maphash.String(l.seed, text) }

// State returns what is to be published now.
func (l *Line) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	switch {
	case l.breaker.phase != closed || l.silent >= l.config.Failures:
		return Down
	case l.recent.poor(now) || len(l.places) == cap(l.places):
		return Degraded
	}
	return Operational
}

// Ready reports whether the breaker would let a call through now.
func (l *Line) Ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.breaker.ready(l.clock.Now())
}

// Ask makes a call through l. It returns what Config.Answer makes of an error that is the
// counterparty's word, and otherwise the fault unavailable for whatever it did wrong, or
// timeout when the caller left or its time was over; NotAsked tells those of a call that was
// never made. What ask returned beside its error is returned, too. ask may be called again
// after it failed, up to Config.Attempts.
func Ask[T any](ctx context.Context, l *Line, ask func(context.Context) (T, error)) (T, error) {
	return AskAbout(ctx, l, About{}, ask)
}

// About is what may be why a call fails, beside the counterparty: the one thing among many
// that it is about, such as a card, and who asks. Either may be empty.
type About struct{ Subject, Caller string }

// AskAbout is Ask for a call that may fail because of what it is about. Failures about the
// same subject count once in ten minutes. An answer that is none counts against its caller:
// too many in a row close the line to that caller alone, so that nobody who makes up cards
// closes a network to others. That no answer came in time counts for all callers, and an
// Outage does every time. Of the subject l remembers, for ten minutes, a hash under a key
// that is in memory alone.
func AskAbout[T any](ctx context.Context, l *Line, about About, ask func(context.Context) (T, error)) (T, error) {
	var zero T
	inner, cancel := context.WithTimeout(ctx, l.config.Timeout)
	defer cancel()
	if err := l.enter(inner, about.Caller); err != nil {
		return zero, l.blame(ctx, err)
	}
	results, once, watch := make(chan result[T], 1), sync.Once{}, clock.Start()
	conclude := func(err error) { once.Do(func() { l.conclude(ctx, about, err, watch.Elapsed()) }) }
	// The place is freed by the calls, which may outlast this caller, and not before the
	// breaker knows how they ended.
	go func() {
		defer func() { <-l.places }()
		r := attempts(inner, l, ask)
		conclude(r.err)
		results <- r
	}()
	select {
	case r := <-results:
		return r.value, l.blame(ctx, r.err)
	case <-inner.Done():
		conclude(inner.Err())
		return zero, l.blame(ctx, inner.Err())
	}
}

// result is what one call came to.
type result[T any] struct {
	value T
	err   error
}

// attempts calls until an answer or too many tries.
func attempts[T any](ctx context.Context, l *Line, ask func(context.Context) (T, error)) (r result[T]) {
	for try := 1; ; try++ {
		r = protected(ctx, ask)
		if r.err == nil || l.config.Answer(r.err) != nil || try == l.config.Attempts || ctx.Err() != nil {
			return r
		}
		if l.config.Pause > 0 && clock.Wait(ctx, l.config.Pause) != nil {
			return r
		}
	}
}

// protected turns a panic of an adapter into an error that says nothing of what it held.
func protected[T any](ctx context.Context, ask func(context.Context) (T, error)) (r result[T]) {
	defer func() {
		if p := recover(); p != nil {
			r = result[T]{err: fmt.Errorf("the adapter panicked with a %T", p)}
		}
	}()
	value, err := ask(ctx)
	return result[T]{value, err}
}

// These refuse a call that was never made.
var (
	errCrowded = errors.New("line: too many calls under way")
	errOpen    = errors.New("line: the breaker is open")
	errShut    = errors.New("line: the breaker of the caller is open")
)

// notYet is errOpen or errShut, with after how long a call may try.
type notYet struct {
	error
	wait time.Duration
}

// Unwrap returns which of the two it is.
func (n notYet) Unwrap() error { return n.error }

// enter takes a place, and the leave of the breaker and of the caller's own.
func (l *Line) enter(ctx context.Context, caller string) error {
	if err := l.place(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now, own := l.clock.Now(), l.callers[caller]
	switch {
	case own != nil && !own.ready(now):
		<-l.places
		return notYet{errShut, own.wait(now)}
	case !l.breaker.admit(now):
		<-l.places
		return notYet{errOpen, l.breaker.wait(now)}
	}
	if own != nil {
		own.admit(now)
	}
	return nil
}

func (l *Line) place(ctx context.Context) error {
	select {
	case l.places <- struct{}{}:
		return nil
	default:
	}
	select {
	case l.waiting <- struct{}{}:
		defer func() { <-l.waiting }()
	default:
		return errCrowded
	}
	select {
	case l.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errCrowded
	}
}

// conclude tells the breakers how a call ended after it lasted so long. A caller who left says
// nothing about the counterparty, and nor does a subject that failed before.
func (l *Line) conclude(ctx context.Context, about About, err error, lasted time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	switch {
	case err == nil || l.config.Answer(err) != nil:
		l.breaker.succeed()
		delete(l.callers, about.Caller)
		l.silent = 0
		l.recent.note(now, true)
		return
	case l.left(ctx, lasted) || about.Subject != "" && !IsOutage(err) && l.failed.again(l.hash(about.Subject), now):
		l.breaker.forget()
		l.callers.forget(about.Caller)
		return
	case about.Caller != "" && !IsOutage(err) && !errors.Is(err, context.DeadlineExceeded):
		l.breaker.forget()
		l.callers.of(about.Caller, l.config).fail(now)
	default:
		l.breaker.fail(now)
		l.callers.forget(about.Caller)
	}
	l.silent++
	l.recent.note(now, false)
}

// left reports whether a caller left before a call had its time. Whose own time was over after
// as long as a call has by default did wait for an answer.
func (l *Line) left(ctx context.Context, lasted time.Duration) bool {
	return errors.Is(ctx.Err(), context.Canceled) || ctx.Err() != nil && lasted < min(l.config.Timeout, DefaultTimeout)
}

// Outage marks an error that is the counterparty's whatever it was asked: it could not be
// reached, or said itself that it serves nobody.
func Outage(err error) error { return outage{err} }

type outage struct{ error }

func (o outage) Unwrap() error { return o.error }

// Because returns the fault unavailable with a reason in an adapter's own words. They hold
// nothing of what was asked, and of what came at most a figure.
func Because(format string, args ...any) error {
	return because{fault.New(fault.Unavailable, format, args...)}
}

type because struct{ fault *fault.Error }

func (b because) Error() string { return b.fault.Error() }
func (b because) Unwrap() error { return b.fault }

// IsOutage reports whether an error is marked so.
func IsOutage(err error) bool { return errors.As(err, new(outage)) }

// NotAsked reports whether an error of Ask is that of a call that was never made.
func NotAsked(err error) bool {
	return errors.Is(err, errCrowded) || errors.Is(err, errOpen) || errors.Is(err, errShut)
}

// blame says whose failing err is, and keeps an adapter's reason for the log. Nothing of a
// counterparty's own text is kept.
func (l *Line) blame(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if answer := l.config.Answer(err); answer != nil {
		return answer
	}
	name, shut := l.config.Name, notYet{}
	errors.As(err, &shut)
	switch {
	case errors.Is(err, errCrowded):
		return fault.Wrap(errCrowded, l.orLeft(ctx), "%s has too many calls waiting", name).After(time.Second)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fault.New(fault.Timeout, "there was no time left for %s to answer", name)
	case ctx.Err() != nil:
		return fault.New(fault.Timeout, "the caller left before %s answered", name)
	case errors.Is(err, errOpen):
		return fault.Wrap(errOpen, fault.Unavailable, "%s is down", name).After(shut.wait)
	case errors.Is(err, errShut):
		return fault.Wrap(errShut, fault.Unavailable, "%s did not answer this caller as it should too often in a row", name).After(shut.wait)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Unavailable, "%s did not answer in time", name)
	}
	told := fault.New(fault.Unavailable, "%s did not answer as it should", name)
	if why := (because{}); errors.As(err, &why) {
		return fault.Wrap(errors.New(why.fault.Message), told.Code, "%s", told.Message)
	}
	return told
}

// orLeft is unavailable, or timeout where the caller left while it waited for a place.
func (l *Line) orLeft(ctx context.Context) fault.Code {
	if ctx.Err() != nil {
		return fault.Timeout
	}
	return fault.Unavailable
}
