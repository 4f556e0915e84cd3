package line

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// Of callers whose calls fail no more are remembered than there is room for.
func TestCallersAreBounded(t *testing.T) {
	known := callers{}
	for i := range 2 * mostCallers {
		known.of(fmt.Sprint(i), Config{Failures: 1}.withDefaults()).fail(time.Unix(0, 0))
	}
	if len(known) != mostCallers || known[fmt.Sprint(2*mostCallers-1)] == nil {
		t.Errorf("%d callers, the last one too: %t", len(known), known[fmt.Sprint(2*mostCallers-1)] != nil)
	}
}

// A line remembers nothing of what errors say beyond whether it said the same of late.
func TestDueKeepsNoText(t *testing.T) {
	l := New(Config{}, clock.NewManual(time.Unix(0, 0)))
	if _, due := l.Due(Because("no such card 6006491300000011")); !due {
		t.Error("it is not to be logged")
	}
	if held := fmt.Sprintf("%+v", l.said); len(l.said) != 1 || strings.Contains(held, "6006491300000011") {
		t.Errorf("the line holds %s", held)
	}
}

// A counterparty that may take longer than its callers have has failed where it said nothing
// for as long as a call has by default, and not where somebody left or had but a moment.
func TestTimeOfCallers(t *testing.T) {
	over, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	left, leave := context.WithCancel(t.Context())
	leave()
	for _, c := range []struct {
		about  string
		ctx    context.Context
		lasted time.Duration
		want   State
	}{{"a moment", over, DefaultTimeout - 1, Operational}, {"long enough", over, DefaultTimeout, Down}, {"left", left, time.Minute, Operational}} {
		l := New(Config{Timeout: time.Minute, Failures: 1}, clock.NewManual(time.Unix(0, 0)))
		l.conclude(c.ctx, About{}, c.ctx.Err(), c.lasted)
		if got := l.State(); got != c.want {
			t.Errorf("%s: %s, want %s", c.about, got, c.want)
		}
	}
}
