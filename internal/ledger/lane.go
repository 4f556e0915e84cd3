package ledger

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	// laneLength bounds the operations that wait in a lane; more are refused as overloaded.
	laneLength = 8192
	// batchSize bounds the operations that share one transaction.
	batchSize = 512
)

// lane takes the operations that wait, in order, and makes one database
// transaction of them. It never waits for more: a lone caller pays one commit. While
// the disk works on one batch, the next is decided and committed.
type lane struct {
	db      *storage.DB
	observe func(int, time.Duration)
	queue   chan *pending
	memory  memory
	flushes sync.WaitGroup // batches that are committed and not on disk yet

	closing sync.RWMutex
	closed  bool
}

type pending struct {
	ctx     context.Context
	op      *Operation
	outcome Outcome
	err     error
	done    chan struct{}
}

func newLane(db *storage.DB, observe func(int, time.Duration)) *lane {
	return &lane{db: db, observe: observe, queue: make(chan *pending, laneLength),
		memory: memory{books: map[BookID]*rememberedBook{}}}
}

func (l *lane) submit(ctx context.Context, op *Operation) (Outcome, error) {
	p := &pending{ctx: ctx, op: op, done: make(chan struct{})}
	if err := l.enqueue(p); err != nil {
		return Outcome{}, err
	}
	<-p.done // once accepted it is decided by the lane alone, so that the answer is never a guess
	return p.outcome, p.err
}

func (l *lane) enqueue(p *pending) error {
	l.closing.RLock()
	defer l.closing.RUnlock()
	if l.closed {
		return fault.New(fault.Unavailable, "the ledger is shutting down")
	}
	select {
	case l.queue <- p:
		return nil
	default:
		return fault.New(fault.Overloaded, "the ledger has %d operations waiting", laneLength).After(time.Second)
	}
}

func (l *lane) close() {
	l.closing.Lock()
	defer l.closing.Unlock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
}

func (l *lane) run() {
	for first := range l.queue {
		l.runBatch(l.gather(first))
	}
	l.flushes.Wait()
}

// gather takes what waits. Whoever can run now, such as those whom the batch before has
// just answered, runs first: it costs a lone caller nothing, and many share a commit
// that would otherwise begin with the first of them alone.
func (l *lane) gather(first *pending) []*pending {
	runtime.Gosched()
	batch := []*pending{first}
	for len(batch) < batchSize {
		select {
		case p, ok := <-l.queue:
			if !ok {
				return batch
			}
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
}

// runBatch writes the batch in one transaction; if a write of it fails, each operation
// gets its own. A batch that may have been committed is not tried again.
func (l *lane) runBatch(batch []*pending) {
	batch = present(batch)
	if len(batch) == 0 {
		return
	}
	err := l.write(batch)
	if err == nil {
		return
	}
	unknown := errors.Is(err, storage.ErrUnknownCommit) // kept as the fault's cause
	for _, p := range batch {
		alone := []*pending{p}
		if len(batch) > 1 && !unknown {
			if alone = present(alone); len(alone) == 0 {
				continue
			}
			if err = l.write(alone); err == nil {
				continue
			}
		}
		p.refuse(err)
	}
}

// write commits the batch and has its callers answered once it is on disk. Its error
// means that nothing was written and nobody was answered.
func (l *lane) write(batch []*pending) error {
	watch := clock.Start()
	ops := make([]*Operation, len(batch))
	for i, p := range batch {
		ops[i] = p.op
	}
	l.flushes.Add(1)
	ctx := context.Background() // one caller's deadline must not undo the others' work
	err := l.db.Commit(ctx, func(ctx context.Context, tx *storage.Tx) error {
		state, err := load(ctx, tx, ops, &l.memory)
		if err != nil {
			return err
		}
		for _, p := range batch {
			p.outcome, p.err = state.decide(p.op)
		}
		return state.write(ctx, tx)
	}, func(err error) {
		defer l.flushes.Done()
		for _, p := range batch {
			if err != nil {
				p.outcome, p.err = Outcome{}, asFault(err)
			}
			close(p.done)
		}
		if l.observe != nil {
			l.observe(len(batch), watch.Elapsed())
		}
	})
	if err != nil {
		l.flushes.Done()
	}
	return asFault(err)
}

// present refuses the operations whose callers left, and returns the others.
func present(batch []*pending) []*pending {
	return slices.DeleteFunc(batch, func(p *pending) bool {
		err := p.ctx.Err()
		if err != nil {
			p.refuse(fault.Wrap(err, fault.Timeout, "the caller left before %s had its turn", p.op.Kind))
		}
		return err != nil
	})
}

// refuse answers that nothing was done.
func (p *pending) refuse(err error) {
	p.outcome, p.err = Outcome{}, err
	close(p.done)
}

// asFault says what a failed write means for who asked for it.
func asFault(err error) error {
	switch {
	case errors.Is(err, storage.ErrUnknownCommit):
		return fault.Wrap(err, fault.Unavailable, "it is not known whether this was done: repeat it under the same key")
	case errors.Is(err, storage.ErrStale):
		return fault.Wrap(err, fault.InvalidState, "the state changed meanwhile")
	}
	return err
}
