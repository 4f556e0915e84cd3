package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
)

// Options are how one kind of job is run. Zero values mean the defaults.
type Options struct {
	// MaxAttempts is how often a job is tried before it is a dead letter; 12, at most 100.
	MaxAttempts int
	// Concurrency is how many handlers of the kind run at once in this process; 8, at most 256.
	Concurrency int
	// Timeout is when a handler's context ends; one minute, at most a day.
	Timeout time.Duration
	// Backoff is the pause after the first attempt, about; it doubles with each. Five seconds.
	Backoff time.Duration
	// MaxBackoff bounds the pause; one hour.
	MaxBackoff time.Duration
}

const (
	mostAttempts    = 100
	mostConcurrency = 256
	maxDelay        = 366 * 24 * time.Hour
	periodPrefix    = "every:"
	periodTimeout   = 10 * time.Minute
	minInterval     = time.Second

	// claimAhead is how much work a kind may claim that nobody has begun, measured in time…
	claimAhead = 250 * time.Millisecond
	// …and in jobs, those that run included.
	mostHeld = 256
)

func (o Options) withDefaults() Options {
	return Options{
		MaxAttempts: orDefault(o.MaxAttempts, 12),
		Concurrency: orDefault(o.Concurrency, 8),
		Timeout:     orDefault(o.Timeout, time.Minute),
		Backoff:     orDefault(o.Backoff, 5*time.Second),
		MaxBackoff:  orDefault(o.MaxBackoff, max(time.Hour, o.Backoff)),
	}
}

func orDefault[T int | time.Duration](value, fallback T) T {
	if value == 0 {
		return fallback
	}
	return value
}

func (o Options) validate() error {
	switch {
	case o.MaxAttempts < 1 || o.MaxAttempts > mostAttempts:
		return fmt.Errorf("want 1 to %d attempts, not %d", mostAttempts, o.MaxAttempts)
	case o.Concurrency < 1 || o.Concurrency > mostConcurrency:
		return fmt.Errorf("want 1 to %d handlers at once, not %d", mostConcurrency, o.Concurrency)
	case o.Timeout < time.Millisecond || o.Timeout > 24*time.Hour:
		return fmt.Errorf("want a timeout of 1 ms to 24 h, not %s", o.Timeout)
	case o.Backoff < time.Millisecond || o.MaxBackoff < o.Backoff || o.MaxBackoff > maxDelay:
		return fmt.Errorf("want a backoff of at least 1 ms and below %s, not %s to %s", maxDelay, o.Backoff, o.MaxBackoff)
	}
	return nil
}

// kind is one kind of job and what this process has in hand of it. The queue's mutex guards the rest.
type kind struct {
	name    string
	options Options
	handle  func(context.Context, Job) error
	every   time.Duration // above 0: periodic

	buffer  []*claimed        // claimed and not begun
	running int               // workers
	held    map[*claimed]bool // claimed and not settled
	typical time.Duration     // moving average of what a handler takes
	more    [2]bool           // by realm: there may be due jobs that nobody holds
	turn    int               // the realm that may claim next
}

func newKind(name string, o Options, handle func(context.Context, Job) error) (*kind, error) {
	k := &kind{name: name, options: o.withDefaults(), handle: handle, held: map[*claimed]bool{}}
	k.typical = claimAhead
	if handle == nil {
		return nil, fmt.Errorf("job %s: no handler", name)
	}
	if name == "" || len(name) > MaxKind {
		return nil, fmt.Errorf("job %q: want a kind of 1 to %d bytes", name, MaxKind)
	}
	if err := k.options.validate(); err != nil {
		return nil, fmt.Errorf("job %s: %w", name, err)
	}
	return k, nil
}

// newPeriod makes the kind whose one job is done again and again. It is never a dead letter.
func newPeriod(name string, interval time.Duration, fn func(context.Context) error) (*kind, error) {
	if fn == nil || interval < minInterval || interval > maxDelay {
		return nil, fmt.Errorf("every %s: want a function and an interval of %s to %s, not %s", name, minInterval, maxDelay, interval)
	}
	o := Options{MaxAttempts: mostAttempts, Concurrency: 1, Timeout: periodTimeout}
	k, err := newKind(name, o, func(ctx context.Context, _ Job) error { return fn(ctx) })
	if err != nil {
		return nil, err
	}
	k.name = periodPrefix + name
	k.every = interval
	return k, nil
}

// window is how many jobs may be held at once: quick ones are claimed ahead, so that
// one commit serves many; slow ones only as many as can begin, so that other
// processes get their share.
func (k *kind) window() int {
	ahead := int(claimAhead / max(k.typical, time.Microsecond))
	return min(max(k.options.Concurrency, k.options.Concurrency*ahead), mostHeld)
}

// measure takes account of how long a handler took.
func (k *kind) measure(took time.Duration) {
	k.typical = (7*k.typical + took) / 8
}

// wanted is how many more jobs to claim, when so many of those that are held are about to be
// settled. Above half a buffer it is not worth a statement.
func (k *kind) wanted(leaving int) int {
	window := k.window()
	if 2*len(k.buffer) > window {
		return 0
	}
	return max(0, window+leaving-len(k.held))
}

// take hands out the job that was claimed first.
func (k *kind) take() *claimed {
	if len(k.buffer) == 0 {
		return nil
	}
	c := k.buffer[0]
	k.buffer[0] = nil
	k.buffer = k.buffer[1:]
	return c
}

// realmIndex is where a realm's flag stands.
func realmIndex(r realm.Realm) int {
	if r == realm.Test {
		return 1
	}
	return 0
}

var errReserved = errors.New("the prefix " + periodPrefix + " is reserved")

func checkReserved(name string) error {
	if strings.HasPrefix(name, periodPrefix) {
		return fmt.Errorf("job %s: %w", name, errReserved)
	}
	return nil
}
