package office

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

func newService(t *testing.T, db *storage.DB) *Service {
	t.Helper()
	s, err := New(Deps{DB: db, Audit: audit.New(db), Clocks: clock.NewRealms(clock.System()), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Config: sense.Config{Memory: fraud.MinMemory, Rules: fraud.Config{Memory: fraud.MinMemory, PaymentMemory: fraud.MinMemory}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decide scores so many checks and returns what their decisions are called.
func (s *Service) decide(n int) (names []DecisionID) {
	for i := range n {
		score := s.Score(fraud.Event{Kind: fraud.Ping, At: time.Unix(int64(1_750_000_000+i), 0), Realm: realm.Live, Book: "bk_1", Caller: "key_1", Network: "scrip"})
		names = append(names, DecisionID(score.Decision))
	}
	return names
}

// Of more decisions than are looked at the newest are.
func TestHistoryIsTheNewest(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		s := newService(t, db)
		names := s.decide(7)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for most, want := range [][]DecisionID{1: {names[6]}, 3: {names[6], names[5], names[4]}, 7: {names[6], names[5], names[4], names[3], names[2], names[1], names[0]}} {
			var got []DecisionID
			err := s.history(t.Context(), most, func(d *Decision, row *sense.Row) { got = append(got, d.ID) })
			if diff := cmp.Diff(want, got); want != nil && (diff != "" || err != nil) {
				t.Errorf("of the newest %d (-want +got):\n%s%v", most, diff, err)
			}
		}
	})
}

// Decisions that were kept without anybody hearing of it are kept again without harm, and those behind them too.
func TestKeptUnheard(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, s := t.Context(), newService(t, db)
		s.decide(30)
		unheard := s.pending.take()
		if err := s.keep(ctx, unheard.decisions[:7]); err != nil {
			t.Fatal(err)
		}
		s.pending.giveBack(&unheard)
		s.decide(30)
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		kept := 0
		if err := s.history(ctx, 100, func(*Decision, *sense.Row) { kept++ }); err != nil || kept != 60 {
			t.Errorf("%d decisions are kept: %v", kept, err)
		}
	})
}
