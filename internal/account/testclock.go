package account

import (
	"context"
	"errors"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// LoadTestClock moves the test realm's clock to where the database says it is. It
// is called once at the start, before anything happens in that realm, and then by Run.
func (s *Service) LoadTestClock(ctx context.Context) error {
	micros, ok, err := storage.One(ctx, s.db, storage.Scalar[int64], readOffset, string(realm.Test))
	if err != nil || !ok {
		return err
	}
	return s.applyOffset(fromMicros(micros))
}

// AdvanceTestClock moves the test realm by d, more than zero, and returns its new
// time; also is told how far it is ahead of the machine's then. Every process follows within seconds. It returns fault.InvalidRequest
// when the realm would be more than clock.MaxOffset ahead.
func (s *Service) AdvanceTestClock(ctx context.Context, actor string, d time.Duration, also Also[time.Duration]) (time.Time, error) {
	if d < time.Microsecond || d > clock.MaxOffset {
		return time.Time{}, invalid("advance", "want more than nothing and at most %s", clock.MaxOffset)
	}
	var offset time.Duration
	err := s.write(ctx, actor, func(ctx context.Context, c *change) error {
		var err error
		if offset, err = c.advance(ctx, d); err != nil {
			return err
		}
		return also.apply(ctx, c, offset)
	})
	if err != nil {
		return time.Time{}, err
	}
	if err := s.applyOffset(offset); err != nil {
		return time.Time{}, err
	}
	return s.clocks.Now(realm.Test), nil
}

// advance adds d to the stored offset and returns the sum.
func (c *change) advance(ctx context.Context, d time.Duration) (time.Duration, error) {
	if _, err := c.Exec(ctx, beginOffset, string(realm.Test), storage.Micros(c.at)); err != nil {
		return 0, err
	}
	micros, ok, err := storage.One(ctx, c, storage.Scalar[int64], lockOffset, string(realm.Test))
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, errors.New("advance test clock: its row is gone")
	}
	offset := fromMicros(micros) + d.Truncate(time.Microsecond)
	if offset > clock.MaxOffset {
		return 0, invalid("advance", "the test realm may be at most %s ahead", clock.MaxOffset)
	}
	write := updateOffset.With(string(realm.Test), offset.Microseconds(), storage.Micros(c.at))
	if err := c.Apply(ctx, []storage.Effect{write.Exactly(1)}); err != nil {
		return 0, err
	}
	return offset, c.record(ctx, note{action: "test_clock.advance", subject: string(realm.Test),
		detail: map[string]string{"by": d.String(), "offset": offset.String()}})
}

// applyOffset moves this process's clock, unless a later move came first.
func (s *Service) applyOffset(offset time.Duration) error {
	if err := s.clocks.SetOffset(offset); err != nil && offset > s.clocks.Offset() {
		return err
	}
	return nil
}

func fromMicros(micros int64) time.Duration { return time.Duration(micros) * time.Microsecond }
