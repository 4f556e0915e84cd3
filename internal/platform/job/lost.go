package job

import (
	"context"
	"errors"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/job/alive"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// enter notes that this queue lives, before it claims anything. Without the note its jobs
// wait for their leases when the process dies, as they do for another machine's.
func (q *Queue) enter(ctx context.Context) {
	if q.Workers == "" {
		return
	}
	mark, err := q.Workers.Enter(q.owner)
	if err != nil && !errors.Is(err, alive.ErrUnknown) {
		q.logger.WarnContext(ctx, "jobs wait for their leases if this process dies", "error", err)
	}
	q.mark = mark
}

// leave takes the note back: nothing is held any more, and no handler runs.
func (q *Queue) leave() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	mark := q.mark
	q.mark = nil
	if mark == nil {
		return nil
	}
	return mark.Leave()
}

// reclaim makes jobs pending again whose workers are lost: those that are dead for sure,
// and those whose lease ran out.
func (q *Queue) reclaim(ctx context.Context) error {
	return errors.Join(q.reclaimDead(ctx), q.reclaimLost(ctx))
}

func (q *Queue) reclaimDead(ctx context.Context) error {
	if q.Workers == "" {
		return nil
	}
	dead, err := q.Workers.Dead()
	if err != nil {
		return err
	}
	now := storage.Micros(q.clocks.Now(realm.Live))
	for _, owner := range dead {
		err := q.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
			_, err := tx.Exec(ctx, delayDead, owner, mostLost, now, lostPause.Microseconds())
			return err
		})
		if err != nil {
			return err
		}
		if _, err := q.free(ctx, reclaimDead, owner, mostLost, errLost.Error()); err != nil {
			return err
		}
		q.Workers.Forget(owner)
	}
	return nil
}

func (q *Queue) reclaimLost(ctx context.Context) error {
	now := storage.Micros(q.clocks.Now(realm.Live))
	for {
		_, lost, err := storage.One(ctx, q.db, storage.Scalar[string], findLost, now)
		if err != nil || !lost {
			return err
		}
		if n, err := q.free(ctx, reclaimLost, now, mostHeld, errLost.Error()); err != nil || n == 0 {
			return err
		}
	}
}

// free makes jobs of lost workers pending again, and returns how many.
func (q *Queue) free(ctx context.Context, statement *storage.Statement, args ...any) (n int64, err error) {
	err = q.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		n, err = tx.Exec(ctx, statement, args...)
		return err
	})
	if err != nil || n == 0 {
		return 0, err
	}
	q.logger.WarnContext(ctx, "jobs of a lost worker are due again", "jobs", n)
	q.Wake()
	return n, nil
}
