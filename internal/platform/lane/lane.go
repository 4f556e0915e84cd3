// Package lane folds what waits into shared transactions: while one is made, callers queue
// up, and all of them share the next. It never waits for more, so that a lone caller pays
// one commit, and while the disk works on one transaction the next is made. Who shares it is
// settled as late as can be: once the disk has room for it.
//
// A task that is refused leaves no trace and costs the others nothing. If a write of a
// group fails, each half is tried by itself, down to the task whose write it was. A group
// that may have been committed is not tried again, nor one that found no database, nor what
// somebody else's lock held up, but for parts of it, and these briefly. Once accepted, a task
// is done even if its caller leaves, and nobody is answered before it is on disk.
package lane

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Limits of a lane.
const (
	// Length bounds the tasks that wait; more are refused as overloaded.
	Length = 8192
	// Group bounds the tasks that share one transaction.
	Group = 512
)

// Task is what one caller wants done. Its maker keeps what came of it in Work.
type Task[W any] struct {
	Work W
	// Err refuses the task alone. Run sets it, anew each time it is called.
	Err error

	ctx  context.Context
	done chan struct{}
}

// Config says what a lane does.
type Config[W any] struct {
	DB *storage.DB
	// Name is who is busy or closing, in messages: "the ledger".
	Name string
	// Run decides the tasks in their order and writes what came of them within tx. Its error
	// undoes everything. It may be called again, for the same tasks or a part of them.
	Run func(ctx context.Context, tx *storage.Tx, tasks []*Task[W]) error
	// Committed, when set, is told that what Run did last is committed, before it is called
	// again and before any caller is answered.
	Committed func(tasks []*Task[W])
	// Again, when set, is asked after a write that failed whether all of it is to be tried
	// once more: Run will not do what it did. Where no database was found, or somebody else's
	// lock was waited for, it is not, whatever the answer.
	Again func() bool
	// Whose, when set, names what others may have locked for long: where a group is held up, each
	// name's tasks are tried by themselves, and where they are held up, parts of them. Names that
	// were are kept apart.
	Whose func(W) string
	// Observe, when set, is told of every group that is on disk.
	Observe func(tasks int, took time.Duration)
}

// Lane takes tasks, in order. It is safe for concurrent use.
type Lane[W any] struct {
	config  Config[W]
	queue   chan *Task[W]
	flushes sync.WaitGroup // groups that are committed and not on disk yet
	ended   chan struct{}
	held    map[string]*held // by whose it is, what somebody else's lock held up
	vain    map[string]bool  // the names that waited in vain for one in this turn
	waits   []error          // those in vain, in this turn, of what is done by itself
	parts   [][]*Task[W]     // what is still to be done so
	count   int              // of all waits in vain of one name

	closing sync.RWMutex
	closed  bool
}

// New starts a lane. Close stops it.
func New[W any](config Config[W]) *Lane[W] {
	l := &Lane[W]{config: config, queue: make(chan *Task[W], Length), ended: make(chan struct{}),
		held: map[string]*held{}, vain: map[string]bool{}}
	go l.run()
	return l
}

// Do has work done and returns it as it was left, or why it was not done: the task's own
// refusal, overloaded, unavailable, or timeout if ctx ended before its turn.
func (l *Lane[W]) Do(ctx context.Context, work W) (W, error) {
	t := &Task[W]{Work: work, ctx: ctx, done: make(chan struct{})}
	if err := l.enqueue(t); err != nil {
		return t.Work, err
	}
	<-t.done // once accepted it is decided by the lane alone, so that the answer is never a guess
	return t.Work, t.Err
}

func (l *Lane[W]) enqueue(t *Task[W]) error {
	l.closing.RLock()
	defer l.closing.RUnlock()
	if l.closed {
		return fault.New(fault.Unavailable, "%s is shutting down", l.config.Name)
	}
	select {
	case l.queue <- t:
		return nil
	default:
		return fault.New(fault.Overloaded, "%s has %d waiting", l.config.Name, Length).After(time.Second)
	}
}

// Waiting returns how many tasks wait for their turn.
func (l *Lane[W]) Waiting() int { return len(l.queue) }

// Close does what was accepted, waits until it is on disk, and refuses what comes later.
func (l *Lane[W]) Close() {
	l.closing.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.closing.Unlock()
	<-l.ended
}

func (l *Lane[W]) run() {
	defer close(l.ended)
	for first := range l.queue {
		l.config.DB.Room()
		l.waits = nil
		tasks, apart := l.aside(l.gather(first))
		l.turn(tasks, false)
		l.apart(apart)
	}
	l.flushes.Wait()
}

// gather takes what waits. Whoever can run now, such as those whom the group before has
// just answered, runs first: it costs a lone caller nothing, and many share a commit
// that would otherwise begin with the first of them alone.
func (l *Lane[W]) gather(first *Task[W]) []*Task[W] {
	runtime.Gosched()
	tasks := []*Task[W]{first}
	for len(tasks) < Group {
		select {
		case t, ok := <-l.queue:
			if !ok {
				return tasks
			}
			tasks = append(tasks, t)
		default:
			return tasks
		}
	}
	return tasks
}

// turn does the tasks in one transaction or, where that fails, in several. Briefly, none waits
// for somebody else's lock for long.
func (l *Lane[W]) turn(tasks []*Task[W], briefly bool) {
	if tasks = present(tasks); len(tasks) == 0 {
		return
	}
	var names []string
	if briefly {
		names = l.names(tasks)
	}
	err := l.commit(tasks, briefly)
	if err != nil && !errors.Is(err, storage.ErrUnknownCommit) && l.config.Again != nil && l.config.Again() && !isHopeless(err) {
		err = l.commit(tasks, briefly)
	}
	switch {
	case err == nil:
		l.passed(names)
	case storage.IsHeldUp(err) && !errors.Is(err, storage.ErrUnknownCommit):
		l.heldUp(tasks, err, briefly)
	case len(tasks) == 1 || errors.Is(err, storage.ErrUnknownCommit) || storage.IsUnreached(err):
		for _, t := range tasks {
			t.refuse(Fault(err))
		}
	default:
		half := len(tasks) / 2
		l.turn(tasks[:half:half], briefly)
		l.turn(tasks[half:], briefly)
	}
}

// commit makes one transaction and has its callers answered once it is on disk and what
// remembers it knows of it. Its error means that nothing was written and nobody was answered.
func (l *Lane[W]) commit(tasks []*Task[W], briefly bool) error {
	watch := clock.Start()
	ctx := context.WithoutCancel(tasks[0].ctx) // one caller's deadline must not undo the others' work
	var (
		before  atomic.Int32 // of the two things that must be before an answer, how many are left
		flushed error
	)
	answer := func() {
		if before.Add(-1) > 0 {
			return
		}
		for _, t := range tasks {
			if flushed != nil {
				t.Err = Fault(flushed)
			}
			close(t.done)
		}
		l.flushes.Done()
	}
	before.Store(2)
	l.flushes.Add(1)
	err := l.config.DB.Commit(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if briefly {
			if err := tx.WaitBriefly(ctx); err != nil {
				return err
			}
		}
		return l.config.Run(ctx, tx, tasks)
	}, func(err error) {
		if l.config.Observe != nil {
			l.config.Observe(len(tasks), watch.Elapsed())
		}
		flushed = err
		answer()
	})
	if err != nil {
		l.flushes.Done()
		return err
	}
	if l.config.Committed != nil {
		l.config.Committed(tasks)
	}
	answer()
	return nil
}

// present tells those whose callers left, and returns the others.
func present[W any](tasks []*Task[W]) []*Task[W] {
	return slices.DeleteFunc(tasks, func(t *Task[W]) bool {
		err := t.ctx.Err()
		if err != nil {
			t.refuse(fault.Wrap(err, fault.Timeout, "the caller left before its turn"))
		}
		return err != nil
	})
}

// refuse answers that nothing was done.
func (t *Task[W]) refuse(err error) {
	t.Err = err
	close(t.done)
}

// Fault says what a failed write means for who asked for it.
func Fault(err error) error {
	switch {
	case errors.Is(err, storage.ErrUnknownCommit):
		return fault.Wrap(err, fault.Unavailable, "it is not known whether this was done: repeat it under the same key")
	case errors.Is(err, storage.ErrStale):
		return fault.Wrap(err, fault.InvalidState, "the state changed meanwhile")
	}
	return err
}
