package office

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage/flush"
)

// While the database is away that is said once a minute, however often it is met; what else
// fails is said each time, and events that are lost are counted until they are told of.
func TestWarnings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := warnings{Service: &Service{Deps: Deps{Logger: slog.New(slog.NewTextHandler(&out, nil))}}}
		away := fmt.Errorf("write: %w", flush.ErrMoved)
		for range 1200 { // two minutes
			w.say(t.Context(), "write fraud log", away)
			w.lost.Add(1)
			w.sayLost(t.Context())
			w.say(t.Context(), "follow fraud log", clock.Wait(t.Context(), flushEvery))
		}
		w.say(t.Context(), "follow fraud log", errors.New("other"))
		w.say(t.Context(), "follow fraud log", errors.New("other"))
		for text, want := range map[string]int{"write fraud log": 2, "follow fraud log": 2, "events=1\n": 1, "events=600\n": 1} {
			if n := strings.Count(out.String(), text); n != want {
				t.Errorf("%q is said %d times, want %d:\n%s", text, n, want, out.String())
			}
		}
	})
}
