package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// claim is a wish for n jobs of a kind in a realm.
type claim struct {
	kind  *kind
	realm realm.Realm
	n     int
	got   []*claimed
}

// plan is what one transaction of the loop does.
type plan struct {
	outcomes []outcome
	claims   []claim
}

// run is the loop: one goroutine that settles and claims, so that one commit serves
// all that happened during the last. It ends when the queue stops and nothing is
// held any more, or when ctx ends.
func (q *Queue) run(ctx context.Context) {
	defer q.end(ctx)
	var away clock.Seldom
	for !q.idle() {
		select {
		case <-ctx.Done():
			return
		case <-q.signal:
		}
		q.tell(ctx, q.round(ctx), &away)
	}
}

// tell says why a round failed. That the database is away comes with every round: each minute
// is enough.
func (q *Queue) tell(ctx context.Context, err error, away *clock.Seldom) {
	if err == nil || ctx.Err() != nil || storage.IsAway(err) && !away.Due(sayAway) {
		return
	}
	q.logger.ErrorContext(ctx, "run jobs", "error", err)
}

// idle reports whether the loop has nothing left to do, ever.
func (q *Queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase != phaseStopping {
		return false
	}
	for _, k := range q.kinds {
		if len(k.held) > 0 {
			return false
		}
	}
	return true
}

// end settles what came back before the queue was told not to wait any longer.
func (q *Queue) end(ctx context.Context) {
	defer close(q.done)
	q.mu.Lock()
	q.phase = phaseStopped
	q.giveBack()
	last := q.outcomes
	q.outcomes = nil
	q.mu.Unlock()
	q.cancel()
	if len(last) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	err := q.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return settle(ctx, tx, q.owner, last) })
	if err != nil {
		q.logger.ErrorContext(ctx, "settle jobs at the end", "error", err)
	}
}

// giveBack turns what is claimed and not begun into outcomes. The caller holds the mutex.
func (q *Queue) giveBack() {
	for _, k := range q.kinds {
		for c := k.take(); c != nil; c = k.take() {
			q.outcomes = append(q.outcomes, outcome{job: c, kind: k, state: statePending, counted: c.Attempt - 1, runAt: c.runAt})
		}
	}
}

// round settles what is finished and claims what there is room for, in one transaction.
func (q *Queue) round(ctx context.Context) error {
	if err := q.findDue(ctx); err != nil {
		return fmt.Errorf("find due jobs: %w", err)
	}
	p := q.plan()
	if len(p.outcomes)+len(p.claims) == 0 {
		return nil
	}
	if err := q.commit(ctx, p); err != nil {
		q.postpone(p.outcomes, errors.Is(err, storage.ErrUnknownCommit))
		return fmt.Errorf("settle and claim: %w", err)
	}
	q.dispatch(ctx, p)
	return nil
}

func (q *Queue) commit(ctx context.Context, p *plan) error {
	return q.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if err := settle(ctx, tx, q.owner, p.outcomes); err != nil {
			return err
		}
		return q.claim(ctx, tx, p.claims)
	})
}

// postpone keeps outcomes that were not settled for the next poll. In doubt, work that may be
// asked for again while it runs is let go instead: what has its name by now may have been
// claimed by the same commit, and would be settled unseen. Its lease ends, and it runs again.
func (q *Queue) postpone(outcomes []outcome, doubt bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	kept := outcomes[:0]
	for _, o := range outcomes {
		if doubt && o.job.Unique != "" {
			delete(o.kind.held, o.job)
			continue
		}
		kept = append(kept, o)
	}
	q.outcomes = append(kept, q.outcomes...)
}

// findDue looks which kinds have due jobs, if it was asked to and there is room for any.
func (q *Queue) findDue(ctx context.Context) error {
	q.mu.Lock()
	room := false
	for _, k := range q.kinds {
		room = room || k.wanted(0) > 0
	}
	kinds := q.sorted()
	q.mu.Unlock()
	if !room || !q.look.Swap(false) {
		return nil
	}
	due, err := q.due(ctx, kinds)
	if err != nil {
		q.look.Store(true)
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range due {
		q.kinds[d.kind].more[realmIndex(d.realm)] = true
	}
	return nil
}

// due returns which kinds have due jobs, each realm by its own clock.
func (q *Queue) due(ctx context.Context, kinds []*kind) ([]queueOf, error) {
	var rows [][]any
	for _, r := range realm.All() {
		now := storage.Micros(q.clocks.Now(r))
		for _, k := range kinds {
			rows = append(rows, []any{k.name, string(r), now})
		}
	}
	return storage.AllOf(ctx, q.db, scanQueue, findDue, rows)
}

// plan takes the outcomes and decides what to claim.
func (q *Queue) plan() *plan {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase != phaseRunning {
		q.giveBack()
	}
	p := &plan{outcomes: q.outcomes}
	q.outcomes = nil
	if q.phase != phaseRunning {
		return p
	}
	settled := map[*kind]int{}
	for i := range p.outcomes {
		settled[p.outcomes[i].kind]++
	}
	for _, k := range q.sorted() {
		want := k.wanted(settled[k])
		for range k.more {
			r := realm.All()[k.turn]
			k.turn = (k.turn + 1) % len(k.more)
			if k.more[realmIndex(r)] && want > 0 {
				p.claims = append(p.claims, claim{kind: k, realm: r, n: want})
				break // the other realm's turn comes with the next round
			}
		}
	}
	return p
}

// claim leases due jobs for this queue.
func (q *Queue) claim(ctx context.Context, tx *storage.Tx, claims []claim) error {
	until := q.leaseEnd()
	for i := range claims {
		c := &claims[i]
		now := storage.Micros(q.clocks.Now(c.realm))
		got, err := storage.All(ctx, tx, scanClaimed, claimDue, q.owner, until, c.kind.name, string(c.realm), now, c.n)
		if err != nil {
			return err
		}
		for _, j := range got {
			j.Kind, j.Realm, j.MaxAttempts = c.kind.name, c.realm, c.kind.options.MaxAttempts
		}
		sortByDue(got)
		c.got = got
	}
	return nil
}

// dispatch takes account of a commit and starts workers.
func (q *Queue) dispatch(ctx context.Context, p *plan) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range p.outcomes {
		delete(p.outcomes[i].kind.held, p.outcomes[i].job)
	}
	again := false
	for i := range p.claims {
		c := &p.claims[i]
		c.kind.more[realmIndex(c.realm)] = len(c.got) == c.n
		c.kind.buffer = append(c.kind.buffer, c.got...)
		for _, j := range c.got {
			c.kind.held[j] = true
		}
	}
	for _, k := range q.kinds {
		for k.running < k.options.Concurrency && len(k.buffer) > 0 && q.phase == phaseRunning {
			k.running++
			go q.work(ctx, k, k.take())
		}
		again = again || ((k.more[0] || k.more[1]) && k.wanted(0) > 0)
	}
	if again {
		q.nudge()
	}
}

// work runs one job after another until none is left in the buffer.
func (q *Queue) work(ctx context.Context, k *kind, c *claimed) {
	for c != nil {
		o := q.attempt(ctx, k, c)
		q.mu.Lock()
		q.outcomes = append(q.outcomes, o)
		c = nil
		if q.phase == phaseRunning {
			c = k.take()
		}
		if c == nil {
			k.running--
		}
		q.mu.Unlock()
		q.nudge()
	}
}
