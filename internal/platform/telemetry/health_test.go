package telemetry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// Readiness follows all checks, names those that fail and no reason; a process that
// closes is unready and alive.
func TestHealth(t *testing.T) {
	var database, keys error
	h := &Health{}
	if code, _ := fetch(h.Ready); code != http.StatusOK {
		t.Errorf("without checks: %d", code)
	}
	h.Check("database", func(context.Context) error { return database })
	h.Check("keys", func(context.Context) error { return keys })
	h.Check("fine", func(context.Context) error { return nil })
	if code, body := fetch(h.Ready); code != http.StatusOK || body != "ready\n" {
		t.Errorf("ready: %d %q", code, body)
	}
	database, keys = errors.New("dial 10.0.0.7: refused"), errors.New("no key")
	if code, body := fetch(h.Ready); code != http.StatusServiceUnavailable || body != "not ready: database, keys\n" {
		t.Errorf("unready: %d %q", code, body)
	}
	database, keys = nil, nil
	if code, _ := fetch(h.Ready); code != http.StatusOK {
		t.Errorf("ready again: %d", code)
	}
	h.Closing()
	if code, _ := fetch(h.Ready); code != http.StatusServiceUnavailable {
		t.Errorf("closing: %d", code)
	}
	if code, _ := fetch(h.Live); code != http.StatusOK {
		t.Errorf("live: %d", code)
	}
}

// A change is logged once for the worse and once for the better, with the reason.
func TestHealthLogs(t *testing.T) {
	var out bytes.Buffer
	var broken error
	h := &Health{Logger: slog.New(NewHandler(slog.NewTextHandler(&out, nil)))}
	h.Check("database", func(context.Context) error { return broken })
	for _, err := range []error{nil, errors.New("refused"), errors.New("refused"), nil, nil} {
		broken = err
		fetch(h.Ready)
	}
	if text := out.String(); strings.Count(text, "\n") != 2 || strings.Count(text, "error=refused") != 1 || strings.Count(text, "ready again") != 1 {
		t.Errorf("log: %s", text)
	}
}

// A check that panics fails and ends nothing.
func TestHealthSurvivesPanics(t *testing.T) {
	h := &Health{}
	h.Check("broken", func(context.Context) error { panic("broken") })
	if code, body := fetch(h.Ready); code != http.StatusServiceUnavailable || !strings.Contains(body, "broken") {
		t.Errorf("%d %q", code, body)
	}
}

// Requests that come while the checks run share their result, and one whose caller
// leaves does not wait.
func TestHealthShares(t *testing.T) {
	var asked atomic.Int64
	entered, release := make(chan struct{}, 1), make(chan struct{})
	h := &Health{}
	h.Check("slow", func(context.Context) error {
		asked.Add(1)
		entered <- struct{}{}
		<-release
		return nil
	})
	first := h.join(t.Context())
	<-entered
	for range 20 {
		if h.join(t.Context()) != first {
			t.Fatal("another round began while one was under way")
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	h.Ready(w, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(gone)) // returns though the check does not
	if w.Body.Len() > 0 {
		t.Errorf("an answer before the checks: %q", w.Body)
	}
	close(release)
	<-first.done
	if asked.Load() != 1 {
		t.Errorf("the check was asked %d times", asked.Load())
	}
	if code, _ := fetch(h.Ready); code != http.StatusOK || asked.Load() != 2 {
		t.Errorf("a later request: %d, asked %d times", code, asked.Load())
	}
}

// The checks of a round see a context that ends, whatever the caller's does.
func TestHealthDeadline(t *testing.T) {
	h := &Health{}
	h.Check("bounded", func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			return errors.New("no deadline")
		}
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	current := h.join(context.WithoutCancel(ctx))
	cancel()
	<-current.done
	if len(current.failing) > 0 {
		t.Error("a caller's leaving failed the check")
	}
}
