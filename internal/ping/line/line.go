// Package line is the guard around one network that answers from outside: a bound on
// time and on calls under way, a few repetitions, a circuit breaker and a state to
// publish.
//
// A network that hangs, resets, floods or panics holds at most its own calls: callers
// beyond them are refused at once, and while the breaker is open nothing is sent. A
// call that does not heed its context is abandoned; its place stays taken until it
// returns. What is asked must be safe to ask twice.
//
// It must never keep or repeat what was asked, nor the text of a network's error:
// either may hold a card number.
package line

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
)

// State is what is published of a network.
type State string

// The states. Degraded is one that answers, but not always or not all.
const (
	Operational State = "operational"
	Degraded    State = "degraded"
	Down        State = "down"
)

// Config bounds a line. The zero value of each field means its default.
type Config struct {
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
	return c
}

func positive[T int | time.Duration](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

// Line guards one network. It is safe for concurrent use.
type Line struct {
	config  Config
	clock   clock.Clock
	places  chan struct{} // a token per call under way
	waiting chan struct{} // a token per caller who waits for a place
	mu      sync.Mutex
	breaker breaker
	recent  recent
}

// New returns a line whose breaker is closed. c is the machine's clock.
func New(config Config, c clock.Clock) *Line {
	config = config.withDefaults()
	return &Line{config: config, clock: c, places: make(chan struct{}, config.Concurrency), waiting: make(chan struct{}, config.Concurrency),
		breaker: breaker{failures: config.Failures, cool: config.Cool}}
}

// State returns what is to be published now.
func (l *Line) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	switch {
	case l.breaker.phase != closed:
		return Down
	case l.recent.poor(now) || len(l.places) == cap(l.places):
		return Degraded
	}
	return Operational
}

// Ask makes a call through l. It returns the call's own fault where the card is to
// blame (card_invalid), and otherwise the fault unavailable for whatever the network
// did wrong, or timeout when the caller left. ask may be called again after it failed.
func Ask[T any](ctx context.Context, l *Line, ask func(context.Context) (T, error)) (T, error) {
	var zero T
	inner, cancel := context.WithTimeout(ctx, l.config.Timeout)
	defer cancel()
	if err := l.enter(inner); err != nil {
		return zero, blame(ctx, err)
	}
	results, once := make(chan result[T], 1), sync.Once{}
	conclude := func(err error) { once.Do(func() { l.conclude(ctx, err) }) }
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
		return r.value, blame(ctx, r.err)
	case <-inner.Done():
		conclude(inner.Err())
		return zero, blame(ctx, inner.Err())
	}
}

// result is what one call came to.
type result[T any] struct {
	value T
	err   error
}

// attempts calls until an answer, a fault of the card, or too many tries.
func attempts[T any](ctx context.Context, l *Line, ask func(context.Context) (T, error)) (r result[T]) {
	for try := 1; ; try++ {
		r = protected(ctx, ask)
		if r.err == nil || isAnswer(r.err) || try == l.config.Attempts || ctx.Err() != nil {
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

// errCrowded and errOpen refuse a call that was never made.
var (
	errCrowded = errors.New("line: too many calls under way")
	errOpen    = errors.New("line: the breaker is open")
)

// enter takes a place, and the breaker's leave.
func (l *Line) enter(ctx context.Context) error {
	if err := l.place(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.breaker.admit(l.clock.Now()) {
		<-l.places
		return errOpen
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

// conclude tells the breaker how a call ended. A caller who left says nothing about the
// network.
func (l *Line) conclude(ctx context.Context, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	switch {
	case err == nil || isAnswer(err):
		l.breaker.succeed()
		l.recent.note(now, true)
	case ctx.Err() != nil:
		l.breaker.forget()
	default:
		l.breaker.fail(now)
		l.recent.note(now, false)
	}
}

// isAnswer says whether an error is the network's word on the card.
func isAnswer(err error) bool { return fault.CodeOf(err) == fault.CardInvalid }

// blame says whose failing err is. Nothing of a network's own text is kept.
func blame(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case isAnswer(err):
		return fault.New(fault.CardInvalid, "the network does not take this number").At("number")
	case ctx.Err() != nil:
		return fault.New(fault.Timeout, "the caller left before the network answered")
	case errors.Is(err, errCrowded):
		return fault.New(fault.Unavailable, "the network has too many calls waiting").After(time.Second)
	case errors.Is(err, errOpen):
		return fault.New(fault.Unavailable, "the network is down").After(time.Second)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Unavailable, "the network did not answer in time")
	}
	return fault.New(fault.Unavailable, "the network did not answer as it should")
}
