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

// Spent reports whether a challenge was answered, in whichever process.
func (s *Service) Spent(ctx context.Context, c Challenge) (bool, error) {
	_, spent, err := storage.One(ctx, s.DB, storage.Scalar[int64], findChallenge, string(c.Book), string(c.Portal), c.Name)
	if err != nil {
		return false, fmt.Errorf("look for challenge: %w", err)
	}
	return spent, nil
}

// Purge forgets challenges that have expired.
func (s *Service) Purge(ctx context.Context) error {
	if _, err := s.DB.Purge(ctx, purgeChallenges, storage.Micros(s.Clocks.Now(realm.Live))); err != nil {
		return fmt.Errorf("purge challenges: %w", err)
	}
	return nil
}
