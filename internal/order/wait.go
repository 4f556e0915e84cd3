package order

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// waiter is a buyer who waits for an order's end. Whoever ends the order holds mu while it
// does, so that a buyer either gets that end or has left before it. nil waits for nothing.
type waiter struct {
	also storage.Also[*Placed]

	mu     sync.Mutex
	left   bool
	ended  bool
	placed Placed
	err    error
}

// enter keeps the buyer until exit, and reports whether it still waits.
func (w *waiter) enter() bool {
	if w == nil {
		return false
	}
	w.mu.Lock()
	return !w.left
}

func (w *waiter) exit() {
	if w != nil {
		w.mu.Unlock()
	}
}

// write returns what the buyer has written with the order's end. It is called between
// enter, when that said that somebody waits, and exit.
func (w *waiter) write(p *Placed) ([]storage.Effect, error) {
	return w.also.With(nil, p)
}

// tell is how the order ended, for the buyer. It is called between enter and exit.
func (w *waiter) tell(p Placed, err error) {
	if w != nil {
		w.ended, w.placed, w.err = true, p, err
	}
}

// leave returns how the order ended or, if it did not, what it is now; nobody waits any more then.
func (w *waiter) leave(now Placed) (Placed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended && w.err != nil {
		return Placed{}, w.err
	}
	if w.ended {
		return w.placed, nil
	}
	w.left = true
	return now, nil
}

// crew is who goes on with orders whose buyers may have left.
type crew struct {
	mu     sync.Mutex
	closed bool
	group  sync.WaitGroup
	gone   chan struct{} // closed when the service stops
}

func (c *crew) setup() { c.gone = make(chan struct{}) }

// run has do done even if ctx ends, until the service stops. over is closed after it.
func (c *crew) run(ctx context.Context, do func(context.Context)) (over <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	done := make(chan struct{})
	if c.closed { // the job goes on with it
		close(done)
		return done
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.group.Go(func() {
		defer close(done)
		defer cancel()
		do(ctx)
	})
	go func() {
		select {
		case <-c.gone:
			cancel()
		case <-done:
		}
	}()
	return done
}

func (c *crew) close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.gone)
	}
	c.mu.Unlock()
	c.group.Wait()
}

// start has a supplier asked for what was just accepted, and goes on from there.
func (s *Service) start(ctx context.Context, st *standing, w *waiter) {
	if _, err := s.begin(ctx, st, w); err != nil && ctx.Err() == nil {
		s.Logger.WarnContext(ctx, "order is left to its job", "order", st.order.Name(), "book", string(st.order.Book), "remedy", st.what.Remedy, "error", err)
	}
}

// wait waits until something is over, but not for long.
func (s *Service) wait(ctx context.Context, over <-chan struct{}) {
	patience, enough := context.WithCancel(ctx)
	go func() {
		<-over
		enough()
	}()
	_ = clock.Wait(patience, s.Patience) // what ended it is told by others
	enough()
}

// Rest returns when nobody goes on with an order in this process any more.
func (s *Service) Rest() { s.crew.group.Wait() }

// await accepts an order, has a supplier asked for it, and waits for its end for a while.
func (s *Service) await(ctx context.Context, d deal, from *supply.Offer) (Placed, error) {
	st, err := s.accept(ctx, d, from)
	if err != nil {
		return Placed{}, err
	}
	w := &waiter{also: d.also}
	over := s.crew.run(ctx, func(ctx context.Context) {
		s.start(ctx, &st, w)
	})
	s.wait(ctx, over)
	return w.leave(Placed{Order: st.order})
}

// byID sorts codes as they are read again.
func byID(codes []stock.Code) {
	slices.SortFunc(codes, func(a, b stock.Code) int { return strings.Compare(string(a.ID), string(b.ID)) })
}
