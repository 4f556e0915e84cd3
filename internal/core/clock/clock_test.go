package clock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
)

// Only the test realm moves, and only forward.
func TestRealms(t *testing.T) {
	base := NewManual(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC))
	clocks := NewRealms(base)
	if err := clocks.SetOffset(48 * time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := clocks.Of(realm.Live).Now(); !got.Equal(base.Now()) {
		t.Errorf("live = %s, want %s", got, base.Now())
	}
	if got, want := clocks.Of(realm.Test).Now(), base.Now().Add(48*time.Hour); !got.Equal(want) {
		t.Errorf("test = %s, want %s", got, want)
	}
	for _, bad := range []time.Duration{47 * time.Hour, MaxOffset + 1} {
		if err := clocks.SetOffset(bad); err == nil {
			t.Errorf("SetOffset(%s) was accepted", bad)
		}
	}
	if got := clocks.Offset(); got != 48*time.Hour {
		t.Errorf("offset = %s after refusals", got)
	}
	for _, good := range []time.Duration{48 * time.Hour, MaxOffset, MaxOffset} { // where it stands it may stay
		if err := clocks.SetOffset(good); err != nil {
			t.Errorf("SetOffset(%s): %v", good, err)
		}
	}
}

// Wait gives up with its context.
func TestWait(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v", err)
	}
	if err := Wait(context.Background(), time.Microsecond); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

// The system clock is UTC, in whole microseconds.
func TestSystem(t *testing.T) {
	now := System().Now()
	if now.Location() != time.UTC || now.Nanosecond()%1000 != 0 {
		t.Errorf("now = %v", now)
	}
}

// What is seldom is due at first, and again once its time has passed.
func TestSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Seldom
		for i, c := range []struct {
			after time.Duration
			due   bool
		}{{0, true}, {0, false}, {time.Minute - 1, false}, {1, true}, {time.Second, false}, {time.Hour, true}} {
			if err := Wait(t.Context(), c.after); err != nil || s.Due(time.Minute) != c.due {
				t.Errorf("%d: due is not %v, %v", i, c.due, err)
			}
		}
	})
}
