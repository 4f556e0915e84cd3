package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/job/alive"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	// leaseFor is how long a claim lasts without being renewed, by the live clock.
	leaseFor = time.Minute
	// renewEvery and pollEvery follow the machine's time.
	renewEvery = leaseFor / 4
	pollEvery  = 500 * time.Millisecond
	// sayAway is how often it is said that the database is away.
	sayAway = time.Minute
	// farewell bounds the last write of a queue that was told not to wait.
	farewell = 2 * time.Second
	// mostLost is how often a job may be lost and taken back without waiting: what ends
	// processes is not to end one after another. Lost once more it waits for lostPause, then
	// for four, nine, sixteen of them, until its lease is over before.
	mostLost  = 2
	lostPause = 2 * time.Second
)

// Queue runs the jobs of the kinds it was given handlers for. It is safe for concurrent use.
type Queue struct {
	db     *storage.DB
	clocks *clock.Realms
	logger *slog.Logger
	// Observe, when set before Start, is told how each attempt ended: "done", "retried" or "dead".
	Observe func(kind, outcome string, took time.Duration)
	// Workers, when set before Start, is where the queues of this machine note that they live.
	// What one held that is known to be dead is due at once.
	Workers alive.Folder

	owner string      // this queue's name in leases
	mark  *alive.Mark // nil: nobody can know when this process is dead

	signal chan struct{} // one token: there is something to do
	look   atomic.Bool   // …namely to look for due jobs
	done   chan struct{} // closed when the loop has ended
	base   context.Context
	cancel context.CancelFunc // ends handlers and the loop

	mu       sync.Mutex
	phase    phase
	kinds    map[string]*kind
	problems []error
	outcomes []outcome // to be settled
}

type phase int

const (
	phaseNew phase = iota
	phaseRunning
	phaseStopping
	phaseStopped
)

// New returns a queue without handlers. It does nothing until Start or Drain.
func New(db *storage.DB, clocks *clock.Realms, logger *slog.Logger) *Queue {
	return &Queue{
		db: db, clocks: clocks, logger: logger, owner: id.New("worker"),
		signal: make(chan struct{}, 1), done: make(chan struct{}), kinds: map[string]*kind{},
	}
}

// Handle names the function that does jobs of a kind. It is called before Start,
// which returns what is wrong with it.
func (q *Queue) Handle(name string, o Options, fn func(context.Context, Job) error) {
	k, err := newKind(name, o, fn)
	q.add(k, errors.Join(checkReserved(name), err))
}

// Every has fn run once in each interval, in one process of all: the first time at
// once, then an interval after the last run began. What fails waits for the next
// interval. It follows the live clock and is called before Start, which returns
// what is wrong with it. A run has ten minutes.
func (q *Queue) Every(name string, interval time.Duration, fn func(context.Context) error) {
	q.add(newPeriod(name, interval, fn))
}

func (q *Queue) add(k *kind, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case err != nil:
	case q.phase != phaseNew:
		err = fmt.Errorf("job %s: the queue has started", k.name)
	case q.kinds[k.name] != nil:
		err = fmt.Errorf("job %s: two handlers", k.name)
	default:
		q.kinds[k.name] = k
		return
	}
	q.problems = append(q.problems, err)
}

// Start begins to run jobs. The values of ctx reach the handlers; its end does not:
// only Stop ends the queue.
func (q *Queue) Start(ctx context.Context) error {
	if err := q.prepare(ctx); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase != phaseNew {
		return errors.New("start jobs: the queue was started before")
	}
	q.phase = phaseRunning
	q.enter(ctx)
	q.base, q.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go q.run(q.base)
	go q.keepPolling(q.base)
	go q.keepLeases(q.base)
	q.Wake()
	return nil
}

// prepare reports what is wrong with the handlers and sees to the rows of periodic jobs.
func (q *Queue) prepare(ctx context.Context) error {
	q.mu.Lock()
	err := errors.Join(q.problems...)
	kinds := q.sorted()
	q.mu.Unlock()
	if err != nil {
		return err
	}
	err = q.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		now := storage.Micros(q.clocks.Now(realm.Live))
		for _, k := range kinds {
			if k.every == 0 {
				continue
			}
			if _, err := tx.Exec(ctx, insertPeriod, k.name, []byte{}, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = q.recall(ctx)
	}
	if err != nil {
		return fmt.Errorf("prepare jobs: %w", err)
	}
	return nil
}

// recall has periodic jobs come within their interval that are planned for later: the
// interval was made shorter, or the machine's clock was set back since.
func (q *Queue) recall(ctx context.Context) error {
	q.mu.Lock()
	kinds := q.sorted()
	q.mu.Unlock()
	now := q.clocks.Now(realm.Live)
	var latest [][]any
	for _, k := range kinds {
		if k.every > 0 {
			latest = append(latest, []any{k.name, storage.Micros(now.Add(k.every))})
		}
	}
	late, err := storage.AllOf(ctx, q.db, storage.Scalar[string], findLate, latest)
	if err != nil || len(late) == 0 {
		return err
	}
	return q.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return tx.ExecRows(ctx, recallLate, latest) })
}

// sorted returns the kinds by name. The caller holds the mutex.
func (q *Queue) sorted() []*kind {
	kinds := make([]*kind, 0, len(q.kinds))
	for _, k := range q.kinds {
		kinds = append(kinds, k)
	}
	sort.Slice(kinds, func(i, j int) bool { return kinds[i].name < kinds[j].name })
	return kinds
}

// Wake tells the queue that jobs were enqueued or a clock was moved. It never
// blocks. Without it they are found within half a second.
func (q *Queue) Wake() {
	q.look.Store(true)
	q.nudge()
}

func (q *Queue) nudge() {
	select {
	case q.signal <- struct{}{}:
	default: // the token that is there does
	}
}

// Stop ends the queue: it claims nothing more, gives back what nobody has begun and
// waits for what runs. When ctx ends first, handlers' contexts end, Stop returns
// ctx's error, and what still runs is run again after its lease.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	started := q.phase != phaseNew
	if q.phase == phaseRunning {
		q.phase = phaseStopping
	}
	q.mu.Unlock()
	if !started {
		return nil
	}
	q.nudge()
	select {
	case <-q.done:
		return q.leave()
	case <-ctx.Done():
		q.cancel()
		<-q.done
		return fmt.Errorf("stop jobs: %w", ctx.Err())
	}
}

func (q *Queue) keepPolling(ctx context.Context) {
	for clock.Wait(ctx, pollEvery) == nil {
		q.Wake()
	}
}

// keepLeases renews what this queue holds, frees what lost workers held, and has periodic jobs
// follow a clock that was set back.
func (q *Queue) keepLeases(ctx context.Context) {
	var over int64 // when the last lease was over that was not waited out
	for {
		if err := q.reclaim(ctx); err != nil && ctx.Err() == nil {
			q.logger.ErrorContext(ctx, "reclaim jobs of lost workers", "error", err)
		}
		var err error
		if over, err = q.pause(ctx, over); err != nil {
			return
		}
		if err := q.renew(ctx); err != nil && ctx.Err() == nil {
			q.logger.ErrorContext(ctx, "renew leases of jobs", "error", err)
		}
		if err := q.recall(ctx); err != nil && ctx.Err() == nil {
			q.logger.ErrorContext(ctx, "recall periodic jobs", "error", err)
		}
	}
}

// pause waits until leases are to be renewed, or until one is over before that, and returns when
// that one was. It does so once for each: what is over at over cannot be taken back just now.
func (q *Queue) pause(ctx context.Context, over int64) (int64, error) {
	first, found, err := storage.One(ctx, q.db, storage.Scalar[int64], findLease, over)
	if err != nil && ctx.Err() == nil {
		q.logger.ErrorContext(ctx, "look for the next lease of a job", "error", err)
	}
	for range renewEvery / pollEvery {
		if err := clock.Wait(ctx, pollEvery); err != nil {
			return over, err
		}
		if found && storage.Micros(q.clocks.Now(realm.Live)) > first {
			return first, nil
		}
	}
	return over, nil
}

// renew prolongs the leases of what this queue holds. What it claimed by a commit whose answer
// was lost it does not know of: that is lost when its lease is over.
func (q *Queue) renew(ctx context.Context) error {
	q.mu.Lock()
	var held [][]any
	for _, k := range q.kinds {
		for c := range k.held {
			held = append(held, c.key())
		}
	}
	q.mu.Unlock()
	if len(held) == 0 {
		return nil
	}
	return q.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return tx.ExecRows(ctx, renewLeases, held, q.owner, q.leaseEnd())
	})
}

func (q *Queue) leaseEnd() int64 { return storage.Micros(q.clocks.Now(realm.Live).Add(leaseFor)) }
