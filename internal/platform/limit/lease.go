package limit

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/platform/storage"
)

// lease is what this process may still spend of a window's shared budget. Windows
// are aligned to the clock; what is left of a lease ends with its window.
type lease struct {
	start   int64 // ns since 1970
	tokens  int64
	left    int64 // of the budget, not leased by anybody, when last heard
	size    int64 // of the last lease
	full    bool  // the budget has no more
	pending *call
}

// call is a lease that is being asked for.
type call struct {
	done chan struct{}
	err  error // read after done
}

func (c *call) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	smallestShare = 128 // a first lease is this part of the limit
	largestShare  = 32  // no lease is more than this part of what is left
	leaseTimeout  = 3 * time.Second
)

// count adds what the shared budget says to a window's view.
func (v *view) count(l *lease, r *request) {
	per := int64(v.window.Per)
	start := r.now - r.now%per
	if l.start != start {
		*l = lease{start: start, left: int64(v.window.Limit), size: l.size / 2, pending: l.pending}
	}
	v.leased = l
	if left := l.left + l.tokens; left < v.left {
		v.left, v.ends, v.then = left, start+per, start+per
	}
	if l.full && l.tokens < r.n {
		v.wait, v.left, v.ends, v.then = max(v.wait, start+per-r.now), l.tokens, start+per, start+per
	}
}

// fill is what a lease adds to its entry's: what is pending must stay, what could
// still be spent should.
func (l *lease) fill(now, per int64) int64 {
	switch {
	case l.pending != nil:
		return hot
	case now < l.start+per && (l.tokens > 0 || l.full):
		return 1
	}
	return idle
}

// leaseNeed is a request and what its windows say.
type leaseNeed struct {
	request *request
	views   []view
}

// secure sees to it that every window has tokens for the request. It returns what to
// wait for where it has not, and asks ahead of need where few are left.
// The caller holds the shard's lock.
func (l *Limiter) secure(ctx context.Context, s *shard, e *entry, need leaseNeed) *call {
	var awaited *call
	for i := range need.views {
		v := &need.views[i]
		short := v.leased.tokens < need.request.n
		low := v.leased.tokens-need.request.n < v.leased.size/2 && !v.leased.full
		if (short || low) && v.leased.pending == nil {
			l.ask(ctx, s, e, grant{lease: v.leased, start: v.leased.start, window: *v.window, n: need.request.n})
		}
		if short {
			awaited = v.leased.pending
		}
	}
	return awaited
}

// grant is one lease to be asked for.
type grant struct {
	lease  *lease
	start  int64
	window Window
	n      int64
	size   int64
}

// ask asks the database in the background for as much as the demand suggests: leases
// double while they are used up, and shrink with what is left.
func (l *Limiter) ask(ctx context.Context, s *shard, e *entry, g grant) {
	limit := int64(g.window.Limit)
	g.size = min(max(2*g.lease.size, limit/smallestShare, 1), max(g.lease.left/largestShare, 1))
	asked := min(max(g.size, g.n-g.lease.tokens), limit)
	c := &call{done: make(chan struct{})}
	g.lease.pending = c
	subject := e.subject
	l.tasks.Add(1)
	l.leases.Add(1)
	ctx = context.WithoutCancel(ctx) // others may wait for it too
	go func() {
		defer l.tasks.Done()
		defer close(c.done)
		granted, used, err := l.fetch(ctx, subject, g, asked)
		s.mu.Lock()
		defer s.mu.Unlock()
		c.err = err
		g.lease.pending = nil
		if err != nil || g.lease.start != g.start {
			return // the next request asks again
		}
		g.lease.tokens += granted
		g.lease.left = max(0, limit-used)
		g.lease.size = g.size
		g.lease.full = granted < asked || g.lease.left == 0
	}()
}

// fetch leases up to asked units of a window's budget, and returns how many it got
// and how many of the window are leased altogether.
func (l *Limiter) fetch(ctx context.Context, subject string, g grant, asked int64) (granted, used int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	select {
	case l.workers <- struct{}{}:
		defer func() { <-l.workers }()
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	start := g.start / 1000
	end := (g.start + int64(g.window.Per)) / 1000
	err = l.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		row, found, err := storage.One(ctx, tx, scanGrant, leaseWindow, subject, g.window.Per.Microseconds(), start, end, asked, g.window.Limit)
		if err == nil && !found {
			err = fmt.Errorf("lease window of %s: no answer", subject)
		}
		granted, used = row.granted, row.used
		return err
	})
	return granted, used, err
}
