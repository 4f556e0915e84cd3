package ping

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	// laneLength bounds the checks that wait to be recorded; more are refused as overloaded.
	laneLength = 8192
	// batchSize bounds the checks that share one transaction.
	batchSize = 512
)

// lane takes the checks that wait to be recorded, in order, and makes one database
// transaction of them. It never waits for more: a lone caller pays one commit.
type lane struct {
	service *Service
	queue   chan *pending
	seen    seen

	closing sync.RWMutex
	closed  bool
}

// pending is a check that waits to be recorded.
type pending struct {
	ctx    context.Context
	a      *attempt
	result Result
	err    error
	done   chan struct{}
}

func newLane(s *Service) *lane {
	return &lane{service: s, queue: make(chan *pending, laneLength), seen: seen{callers: map[callerKey]*seenCards{}}}
}

// record makes a check durable and returns its result, which is not the network's if the
// card is locked. A book always has the same lane.
func (s *Service) record(ctx context.Context, a *attempt) (Result, error) {
	l := s.lanes[maphash.String(s.seed, string(a.caller.book))%uint64(len(s.lanes))]
	p := &pending{ctx: ctx, a: a, done: make(chan struct{})}
	if err := l.enqueue(p); err != nil {
		return Result{}, err
	}
	<-p.done // once accepted it is decided by the lane alone, so that the answer is never a guess
	return p.result, p.err
}

func (l *lane) enqueue(p *pending) error {
	l.closing.RLock()
	defer l.closing.RUnlock()
	if l.closed {
		return fault.New(fault.Unavailable, "balance checks are shutting down")
	}
	select {
	case l.queue <- p:
		return nil
	default:
		return fault.New(fault.Overloaded, "%d balance checks wait to be recorded", laneLength).After(time.Second)
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
		group := l.gather(first)
		l.write(group)
		for _, p := range group {
			close(p.done)
		}
	}
}

// gather takes what waits.
func (l *lane) gather(first *pending) []*pending {
	group := []*pending{first}
	for len(group) < batchSize {
		select {
		case p, ok := <-l.queue:
			if !ok {
				return group
			}
			group = append(group, p)
		default:
			return group
		}
	}
	return group
}

// write records a group in one transaction. If a write of it fails, each half gets its
// own, down to the one whose write it was. A group that may have been committed is not
// tried again.
func (l *lane) write(group []*pending) {
	live := l.waiting(group)
	if len(live) == 0 {
		return
	}
	b, err := l.commit(live)
	switch {
	case err == nil:
		b.settle()
	case len(live) == 1 || errors.Is(err, storage.ErrUnknownCommit):
		for _, p := range live {
			p.result, p.err = Result{}, asFault(err)
		}
	default:
		l.write(live[:len(live)/2])
		l.write(live[len(live)/2:])
	}
}

// waiting returns those whose callers are still there and tells the others.
func (l *lane) waiting(group []*pending) []*pending {
	live := make([]*pending, 0, len(group))
	for _, p := range group {
		if err := p.ctx.Err(); err != nil {
			p.result, p.err = Result{}, fault.Wrap(err, fault.Timeout, "the caller left before the check was recorded")
			continue
		}
		live = append(live, p)
	}
	return live
}

func (l *lane) commit(group []*pending) (*batch, error) {
	var b *batch
	// One caller's deadline must not undo the others' work.
	ctx := context.WithoutCancel(group[0].ctx)
	err := l.service.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		b = newBatch(l, group)
		return b.run(ctx, tx)
	})
	return b, err
}

// asFault says what a failed write means for who asked for it. A key that exists already
// stays as it is: the caller knows whose it was.
func asFault(err error) error {
	switch {
	case errors.Is(err, storage.ErrUnknownCommit):
		return fault.Wrap(err, fault.Unavailable, "it is not known whether the check was recorded: repeat it under the same key")
	case errors.Is(err, storage.ErrStale):
		return fault.Wrap(err, fault.InvalidState, "the state changed meanwhile")
	}
	return err
}
