package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// That a database takes no writes is said every minute while it lasts, and that it takes some
// again. A disk that takes some and others not does not fill the log.
func TestWatchWrites(t *testing.T) {
	full := errors.New("full")
	for name, c := range map[string]struct {
		fails       func(second int) bool
		none, again int // in five minutes
	}{
		"sound":                {func(int) bool { return false }, 0, 0},
		"full":                 {func(int) bool { return true }, 5, 0},
		"a while":              {func(second int) bool { return second > 10 && second < 20 }, 1, 1},
		"by turns":             {func(second int) bool { return second%2 == 0 }, 5, 5},
		"by turns, then sound": {func(second int) bool { return second%2 == 0 && second < 70 }, 2, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute-time.Millisecond)
			defer stop()
			second := 0
			watchWrites(ctx, func() error {
				if second++; c.fails(second) {
					return full
				}
				return nil
			}, slog.New(slog.NewTextHandler(&out, nil)))
			none, again := strings.Count(out.String(), "takes no writes"), strings.Count(out.String(), "takes writes again")
			if none != c.none || again != c.again {
				t.Errorf("%s: %d and %d times:\n%s", name, none, again, out.String())
			}
		})
	}
}
