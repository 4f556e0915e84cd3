package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	drainBatch  = 64
	drainRounds = 10_000
)

// Drain runs all jobs that are due, periodic ones and those enqueued meanwhile
// included, one after another in the caller's goroutine, until none is left that
// nobody else holds. It is for queues that are not started: tests and one-off
// commands. Handlers' errors go to the log and the jobs; Drain returns only its own.
func (q *Queue) Drain(ctx context.Context) error {
	q.mu.Lock()
	running := q.phase == phaseRunning || q.phase == phaseStopping
	q.mu.Unlock()
	if running {
		return errors.New("drain jobs: the queue is running")
	}
	if err := q.prepare(ctx); err != nil {
		return err
	}
	for range drainRounds {
		if err := q.reclaim(ctx); err != nil {
			return fmt.Errorf("drain jobs: %w", err)
		}
		n, err := q.drainOnce(ctx)
		if err != nil {
			return fmt.Errorf("drain jobs: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
	return fmt.Errorf("drain jobs: still some due after %d rounds", drainRounds)
}

// drainOnce runs one batch and returns how many jobs that were.
func (q *Queue) drainOnce(ctx context.Context) (int, error) {
	q.mu.Lock()
	kinds := q.sorted()
	q.mu.Unlock()
	due, err := q.due(ctx, kinds)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	claims := q.drainClaims(due)
	err = q.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return q.claim(ctx, tx, claims) })
	if err != nil {
		return 0, err
	}
	var jobs []*claimed
	for i := range claims {
		jobs = append(jobs, claims[i].got...)
	}
	sortByDue(jobs)
	outcomes := make([]outcome, 0, len(jobs))
	for _, c := range jobs {
		outcomes = append(outcomes, q.attempt(ctx, q.kinds[c.Kind], c))
	}
	err = q.db.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx *storage.Tx) error {
		return settle(ctx, tx, q.owner, outcomes)
	})
	return len(jobs), errors.Join(err, ctx.Err())
}

// drainClaims asks for a batch of everything due, once each.
func (q *Queue) drainClaims(due []queueOf) []claim {
	slices.SortFunc(due, func(a, b queueOf) int {
		return strings.Compare(a.kind+"\x00"+string(a.realm), b.kind+"\x00"+string(b.realm))
	})
	var claims []claim
	for _, d := range slices.Compact(due) {
		claims = append(claims, claim{kind: q.kinds[d.kind], realm: realm.Realm(d.realm), n: drainBatch})
	}
	return claims
}

// sortByDue puts jobs in the order in which they became due, then were enqueued.
func sortByDue(jobs []*claimed) {
	slices.SortFunc(jobs, func(a, b *claimed) int {
		switch {
		case a.runAt != b.runAt && a.runAt < b.runAt:
			return -1
		case a.runAt != b.runAt:
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
}
