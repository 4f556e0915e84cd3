package job

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Key names one job.
type Key struct {
	Book string
	ID   string
}

// Dead is a dead letter: a job that will not be tried again by itself.
type Dead struct {
	Key
	Kind      string
	Realm     realm.Realm
	Unique    string
	Payload   []byte
	Attempts  int
	DiedAt    time.Time // by its realm's clock
	LastError string
}

// MaxPage bounds one page of dead letters; whoever asks whether there are more may ask for one more.
const MaxPage = 200

// ListDead returns at most limit dead letters of all books that come after the
// given key, in the order of their keys. The zero Key is before the first.
func ListDead(ctx context.Context, q storage.Queryer, after Key, limit int) ([]Dead, error) {
	dead, err := storage.All(ctx, q, scanDead, listDead, after.Book, after.ID, min(max(limit, 1), MaxPage+1))
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return dead, nil
}

// EachDead calls fn for every dead letter, in the order of their keys, until it returns false.
func EachDead(ctx context.Context, q storage.Queryer, fn func(Dead) bool) error {
	for after := (Key{}); ; {
		page, err := ListDead(ctx, q, after, MaxPage)
		if err != nil {
			return err
		}
		for _, d := range page {
			if !fn(d) {
				return nil
			}
		}
		if len(page) < MaxPage {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

// FindDead returns the dead letter with an id, whosever it is, or a fault: NotFound.
func FindDead(ctx context.Context, q storage.Queryer, id string) (Dead, error) {
	found, ok, err := storage.One(ctx, q, scanDead, findDead, id)
	switch {
	case err != nil:
		return Dead{}, fmt.Errorf("find dead letter %s: %w", id, err)
	case !ok:
		return Dead{}, fault.New(fault.NotFound, "no such work was given up")
	}
	return found, nil
}

// RetryDead makes a dead letter due at once, with all its attempts before it. It
// returns a fault: NotFound, or AlreadyExists when a job with the same unique key
// waits or runs. Call Queue.Wake after the commit.
func RetryDead(ctx context.Context, tx *storage.Tx, key Key) error {
	n, err := tx.Exec(ctx, retryDead, key.Book, key.ID)
	switch {
	case storage.IsUnique(err):
		return fault.Wrap(err, fault.AlreadyExists, "the same work is waiting already as another job")
	case err != nil:
		return fmt.Errorf("retry dead letter %s: %w", key.ID, err)
	case n == 0:
		return fault.New(fault.NotFound, "no dead letter %s", key.ID)
	}
	return nil
}

// DeleteDead removes a dead letter. It returns a fault, NotFound, when there is none.
func DeleteDead(ctx context.Context, tx *storage.Tx, key Key) error {
	n, err := tx.Exec(ctx, deleteDead, key.Book, key.ID)
	if err != nil {
		return fmt.Errorf("delete dead letter %s: %w", key.ID, err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "no dead letter %s", key.ID)
	}
	return nil
}

// PurgeDead deletes dead letters that are older than age by their realm's clock, and
// returns how many. It is meant for Every.
func (q *Queue) PurgeDead(ctx context.Context, age time.Duration) (int64, error) {
	var total int64
	for _, r := range realm.All() {
		n, err := q.db.Purge(ctx, purgeDead, string(r), storage.Micros(q.clocks.Now(r).Add(-age)))
		total += n
		if err != nil {
			return total, fmt.Errorf("purge dead letters: %w", err)
		}
	}
	return total, nil
}
