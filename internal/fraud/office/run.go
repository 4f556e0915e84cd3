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
	sayAgain   = time.Minute
)

// Run keeps the engine until ctx ends, then writes what waits.
func (s *Service) Run(ctx context.Context) {
	w := warnings{Service: s}
	for turn := 1; clock.Wait(ctx, flushEvery) == nil; turn++ {
		w.say(ctx, "write fraud log", s.Flush(ctx))
		if turn%followEach == 0 {
			w.say(ctx, "hear of cards", s.Hear(ctx))
			w.say(ctx, "load models and rules of fraud", s.Refresh(ctx))
			w.say(ctx, "follow fraud log", s.Follow(ctx))
			w.sayLost(ctx)
		}
		if turn%dueEach == 0 {
			w.say(ctx, "save fraud counts", s.snapshotDue(ctx))
		}
	}
	s.stop(ctx, w.told)
}

// stop writes what waits, and says what was lost of it beside what was told before.
func (s *Service) stop(ctx context.Context, told int64) {
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	w := warnings{Service: s, told: told}
	w.say(ending, "fraud log", s.Flush(ending))
	w.sayLost(ending)
}

// warnings says what fails. That the database is away comes with every turn: each minute is
// enough.
type warnings struct {
	*Service
	away, losing clock.Seldom
	told         int64 // events that are lost, as it has said
}

func (w *warnings) say(ctx context.Context, what string, err error) {
	if err == nil || ctx.Err() != nil || storage.IsAway(err) && !w.away.Due(sayAgain) {
		return
	}
	w.Logger.WarnContext(ctx, what, "error", err)
}

// sayLost says that more events than before were scored and not logged.
func (w *warnings) sayLost(ctx context.Context) {
	lost := w.Lost()
	if lost == w.told || !w.losing.Due(sayAgain) {
		return
	}
	w.Logger.ErrorContext(ctx, "the database does not take events of fraud in time: they are scored and not logged", "events", lost-w.told)
	w.told = lost
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
