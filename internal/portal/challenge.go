package portal

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Challenge names a challenge that a visitor of a portal answered.
type Challenge struct {
	Book   ledger.BookID
	Portal ID
	// Name has 1 to 64 bytes and is never given twice.
	Name []byte
	// ExpiresAt is when an answer to it stops to count anyway, by the machine's clock.
	ExpiresAt time.Time
}

// Spend notes that a challenge was answered. It reports whether this was the first
// time, in whichever process.
func (s *Service) Spend(ctx context.Context, c Challenge) (bool, error) {
	first := false
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		n, err := tx.Exec(ctx, spendChallenge, string(c.Book), string(c.Portal), c.Name, storage.Micros(c.ExpiresAt))
		first = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("spend challenge: %w", err)
	}
	return first, nil
}

// Purging goes in batches, so that nothing waits long for it; a run has room for more than
// visitors answer in the hour between two.
const (
	purgeBatch  = 1000
	purgeRounds = 10_000
)

// Purge forgets challenges that have expired. A run is bounded; the next goes on.
func (s *Service) Purge(ctx context.Context) error {
	now := storage.Micros(s.Clocks.Now(realm.Live))
	for range purgeRounds {
		gone := int64(0)
		err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
			gone, err = tx.Exec(ctx, purgeChallenges, now, purgeBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("purge challenges: %w", err)
		}
		if gone < purgeBatch {
			return nil
		}
	}
	return nil
}
