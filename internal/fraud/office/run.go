package office

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	// flushEvery bounds what a killed process loses.
	flushEvery = 100 * time.Millisecond
	// Others' events and changes are seen at every followEach'th flush, and at every
	// dueEach'th it is asked whether a snapshot is due.
	followEach = 10
	dueEach    = 600
	stopWithin = 30 * time.Second
)

// Run keeps the engine until ctx ends, then writes what waits.
func (s *Service) Run(ctx context.Context) {
	told := int64(0)
	for turn := 1; clock.Wait(ctx, flushEvery) == nil; turn++ {
		s.warn(ctx, "write fraud log", s.Flush(ctx))
		if turn%followEach == 0 {
			s.warn(ctx, "hear of cards", s.Hear(ctx))
			s.warn(ctx, "load models and rules of fraud", s.Refresh(ctx))
			s.warn(ctx, "follow fraud log", s.Follow(ctx))
			told = s.tellLost(ctx, told)
		}
		if turn%dueEach == 0 {
			s.warn(ctx, "save fraud counts", s.snapshotDue(ctx))
		}
	}
	s.stop(ctx)
}

func (s *Service) stop(ctx context.Context) {
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	s.warn(ending, "fraud log", s.Flush(ending))
}

func (s *Service) warn(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.Logger.WarnContext(ctx, what, "error", err)
	}
}

// tellLost says in the log that more events than before were scored and not logged, and
// returns how many.
func (s *Service) tellLost(ctx context.Context, before int64) int64 {
	lost := s.Lost()
	if lost > before {
		s.Logger.ErrorContext(ctx, "the database does not take events of fraud in time: they are scored and not logged", "events", lost-before)
	}
	return lost
}

func (s *Service) snapshotDue(ctx context.Context) error {
	s.writing.Lock()
	due, err := s.journal.Due(ctx, s.now())
	s.writing.Unlock()
	if err != nil || !due {
		return err
	}
	return s.Snapshot(ctx)
}

// Purge deletes decisions that are older than they are kept.
func (s *Service) Purge(ctx context.Context) error {
	for _, r := range realm.All() {
		if _, err := s.DB.Purge(ctx, purgeDecisions, string(r), storage.Micros(s.Clocks.Now(r).Add(-s.Retention))); err != nil {
			return err
		}
	}
	return nil
}
