package job

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/telemetry"
)

// outcome is what became of one attempt.
type outcome struct {
	job  *claimed
	kind *kind
	// state the job goes to; empty when it is done.
	state     string
	counted   int // attempts that count
	runAt     int64
	lastError string
}

var (
	errLost     = errors.New("the worker was lost during the last attempt")
	errTimeout  = errors.New("the handler ran out of time")
	errStopping = errors.New("the queue is stopping")
)

// maxErrorText bounds what is kept of a handler's error, in bytes.
const maxErrorText = 500

// attempt runs one job once, says what becomes of it and has it counted.
func (q *Queue) attempt(ctx context.Context, k *kind, c *claimed) outcome {
	watch := clock.Start()
	o := q.try(ctx, k, c)
	if q.Observe != nil {
		q.Observe(k.name, o.word(), watch.Elapsed())
	}
	return o
}

// word is the outcome for a counter. A periodic job's next turn is no retry.
func (o *outcome) word() string {
	switch {
	case o.state == stateDead:
		return "dead"
	case o.lastError != "":
		return "retried"
	}
	return "done"
}

func (q *Queue) try(ctx context.Context, k *kind, c *claimed) outcome {
	started := q.clocks.Now(c.Realm)
	if c.Attempt > k.options.MaxAttempts && k.every == 0 {
		return q.failed(ctx, k, c, &failure{cause: errLost, fate: fateDiscard})
	}
	limited, cancel := context.WithTimeoutCause(ctx, k.options.Timeout, errTimeout)
	defer cancel()
	watch := clock.Start()
	err := q.call(limited, k, c.Job)
	q.mu.Lock()
	k.measure(watch.Elapsed())
	q.mu.Unlock()
	switch {
	case err != nil && context.Cause(ctx) != nil:
		return outcome{job: c, kind: k, state: statePending, counted: c.Attempt - 1, runAt: storage.Micros(started), lastError: errStopping.Error()}
	case k.every > 0:
		if err != nil {
			q.logger.ErrorContext(ctx, "periodic job not done", "kind", k.name, "error", errorText(err))
		}
		return nextPeriod(k, c, started, err)
	case err != nil:
		if errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(limited), errTimeout) {
			err = fmt.Errorf("%w after %s: %w", errTimeout, k.options.Timeout, err)
		}
		return q.failed(ctx, k, c, err)
	}
	return outcome{job: c, kind: k}
}

// call runs the handler; its panic is an error like others.
func (q *Queue) call(ctx context.Context, k *kind, j Job) (err error) {
	defer func() {
		if r := recover(); r != nil {
			q.logger.ErrorContext(ctx, "job panicked", "kind", j.Kind, "job", j.ID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return k.handle(ctx, j)
}

// failed decides between another attempt and the dead letters.
func (q *Queue) failed(ctx context.Context, k *kind, c *claimed, err error) outcome {
	now := q.clocks.Now(c.Realm)
	o := outcome{job: c, kind: k, state: statePending, counted: c.Attempt, lastError: errorText(err)}
	delay := backoff(k.options, c.Attempt)
	fate := fateRetry
	var f *failure
	if errors.As(err, &f) {
		fate = f.fate
		if f.after > 0 {
			delay = min(f.after, maxDelay)
		}
	}
	level := slog.LevelWarn
	switch {
	case fate == fatePostpone:
		o.counted, level = c.Attempt-1, slog.LevelDebug
	case fate == fateDiscard || c.Attempt >= k.options.MaxAttempts:
		o.state, delay, level = stateDead, 0, slog.LevelError
	}
	o.runAt = storage.Micros(now.Add(delay))
	q.logger.Log(ctx, level, "job not done", "kind", c.Kind, "job", c.ID, "attempt", c.Attempt, "becomes", o.state, "delay", delay, "error", o.lastError)
	return o
}

// nextPeriod plans the next run: an interval after this one began.
func nextPeriod(k *kind, c *claimed, started time.Time, err error) outcome {
	o := outcome{job: c, kind: k, state: statePending, runAt: storage.Micros(started.Add(k.every))}
	if err != nil {
		o.lastError = errorText(err)
	}
	return o
}

// backoff is the pause after the given attempt: between a half and the whole of the
// doubled base, so that what broke together does not come back together.
func backoff(o Options, attempt int) time.Duration {
	full := o.Backoff
	for range attempt - 1 {
		if full >= o.MaxBackoff/2 {
			full = o.MaxBackoff
			break
		}
		full *= 2
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	half := full / 2
	return full - half + time.Duration(binary.BigEndian.Uint64(b[:])%uint64(half+1))
}

// errorText is what is kept of an error: bounded, a text that both engines accept, and without
// what looks like a secret, since it is listed and in backups.
func errorText(err error) string {
	text := telemetry.Redact(strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "?"), "\x00", "?"))
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	return text
}
