package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// load is one round of one scenario.
type load struct {
	scenario *Scenario
	target   *target       // nil in process
	next     *atomic.Int64 // the scenario's requests so far, over all rounds
	workers  int
	rate     int
	duration time.Duration
	count    int64 // 0: unbounded

	watch clock.Stopwatch
	taken atomic.Int64 // requests of this round
}

// result is what a round was like.
type result struct {
	*recorder
	took time.Duration
}

func (r *result) perSecond() float64 { return float64(r.right) / max(r.took.Seconds(), 1e-9) }

// run puts the load on and returns what all workers saw. An error means that the round
// could not be finished: ctx ended, or the server is gone.
func (l *load) run(ctx context.Context) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := make([]*worker, l.workers)
	for i := range all {
		all[i] = &worker{load: l, number: i, recorder: newRecorder()}
		defer all[i].hangUp()
		if err := all[i].connect(ctx); err != nil {
			return result{}, err
		}
	}
	errs := make([]error, l.workers)
	var group sync.WaitGroup
	l.watch = clock.Start()
	for i, w := range all {
		group.Go(func() {
			if errs[i] = w.run(ctx); errs[i] != nil {
				cancel() // the others cannot do better
			}
		})
	}
	group.Wait()
	sum := result{newRecorder(), l.watch.Elapsed()}
	for _, w := range all {
		sum.merge(w.recorder)
	}
	l.skipRest(sum.recorder)
	return sum, firstCause(errs)
}

// firstCause prefers the error that made the others stop.
func firstCause(errs []error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(errs...)
}

// arrivals returns how many requests are due in an open round.
func (l *load) arrivals() int64 {
	return Options{Rate: l.rate, Count: l.count}.arrivals(l.duration)
}

func (l *load) due(i int64) time.Duration {
	return time.Duration(i * int64(time.Second) / int64(l.rate))
}

// skipRest records what was due and not sent when the time was up, with the time it had
// waited by then: leaving it out would make a slow server look fast.
func (l *load) skipRest(r *recorder) {
	if l.rate == 0 {
		return
	}
	for i := min(l.taken.Load(), l.arrivals()); i < l.arrivals(); i++ {
		r.skip(l.duration - l.due(i))
	}
}

// worker is one caller with one connection.
type worker struct {
	load     *load
	number   int
	conn     caller
	recorder *recorder
}

func (w *worker) connect(ctx context.Context) error {
	if w.load.target == nil || w.conn != nil {
		return nil
	}
	var err error
	w.conn, err = w.load.target.dial(ctx)
	return err
}

func (w *worker) hangUp() {
	if w.conn != nil {
		_ = w.conn.close() // nothing is read from it any more
		w.conn = nil
	}
}

func (w *worker) run(ctx context.Context) error {
	if w.load.rate > 0 {
		return w.runOpen(ctx)
	}
	return w.runClosed(ctx)
}

// runClosed sends the next request when the last one is answered.
func (w *worker) runClosed(ctx context.Context) error {
	l := w.load
	for l.watch.Elapsed() < l.duration {
		if taken := l.taken.Add(1); l.count > 0 && taken > l.count {
			return nil
		}
		if err := w.once(ctx, -1); err != nil {
			return err
		}
	}
	return nil
}

// timerSlack is how late a timer may wake a worker that waited. That is the generator's own
// doing and not counted; anything beyond it is, as the machine may be short of time for both.
const timerSlack = 1500 * time.Microsecond

// runOpen sends each request when it is due, or as soon as a worker is free after that.
func (w *worker) runOpen(ctx context.Context) error {
	l := w.load
	total := l.arrivals()
	for {
		if l.watch.Elapsed() >= l.duration {
			return nil
		}
		i := l.taken.Add(1) - 1
		if i >= total {
			return nil
		}
		due := l.due(i)
		if early := due - l.watch.Elapsed(); early > 0 {
			if err := clock.Wait(ctx, early); err != nil {
				return err
			}
			if now := l.watch.Elapsed(); now-due <= timerSlack {
				due = now
			}
		}
		if err := w.once(ctx, due); err != nil {
			return err
		}
	}
}

// once does one request and records it. Its time counts from when it was due, from now
// if that is negative. The error means that no further request makes sense.
func (w *worker) once(ctx context.Context, due time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l := w.load
	n := l.next.Add(1)
	if l.scenario.Do != nil {
		if due < 0 {
			due = l.watch.Elapsed()
		}
		err := l.scenario.Do(ctx, w.number, n)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.recorder.add(l.watch.Elapsed()-due, 0, err)
		return nil
	}
	if err := w.connect(ctx); err != nil {
		return fmt.Errorf("the server is gone: %w", err)
	}
	request := l.scenario.Make(w.number, n)
	if due < 0 {
		due = l.watch.Elapsed()
	}
	got, err := w.conn.do(&request)
	took := l.watch.Elapsed() - due
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		if got.Closed {
			w.hangUp()
		}
		w.recorder.add(took, got.Status, l.scenario.Expect.compare(&got))
		return nil
	}
	w.hangUp()
	w.recorder.add(took, 0, err)
	return nil
}

// maxShown bounds how much of a wrong answer is told.
const maxShown = 200

func (e *Expect) compare(got *answer) error {
	right := got.Status == e.Status || e.Status == 0 && got.Status >= 200 && got.Status < 300
	if right && bytes.Contains(got.Body, []byte(e.Contains)) && (e.Lacks == "" || !bytes.Contains(got.Body, []byte(e.Lacks))) {
		return nil
	}
	return fmt.Errorf("answer %d: %s", got.Status, bytes.TrimSpace(got.Body[:min(len(got.Body), maxShown)]))
}
