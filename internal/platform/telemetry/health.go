package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Health answers whether the process lives and whether it can serve. The zero value
// has no checks and is ready.
type Health struct {
	// Logger is told why a check fails, once, and when it passes again; nil: nobody is.
	Logger *slog.Logger

	checks  []check
	closing atomic.Bool
	mu      sync.Mutex
	round   *round // under way, if any
}

type check struct {
	name   string
	ask    func(context.Context) error
	failed bool // in the last round
}

// round is one run of all checks, shared by those who ask meanwhile.
type round struct {
	done    chan struct{}
	failing []string
}

// readyTimeout bounds one round of checks.
const readyTimeout = 2 * time.Second

// Check adds a condition of readiness, under a short name that callers may read. ask
// ends when its context does. It is called before serving begins.
func (h *Health) Check(name string, ask func(context.Context) error) {
	h.checks = append(h.checks, check{name: name, ask: ask})
}

// Closing makes the process unready, so that balancers send their requests elsewhere.
func (h *Health) Closing() { h.closing.Store(true) }

// Live answers 200 as long as the process serves HTTP at all.
func (h *Health) Live(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") }

// Ready answers 200 when every check passes, else 503 with the names of those that
// fail. Requests that come while the checks run wait for the same result, so that
// nobody can load the database by asking.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	if h.closing.Load() {
		answer(w, http.StatusServiceUnavailable, "shutting down")
		return
	}
	current := h.join(context.WithoutCancel(r.Context()))
	select {
	case <-current.done:
	case <-r.Context().Done():
		return // nobody waits for the answer
	}
	if len(current.failing) > 0 { // the reasons may hold addresses: they are the log's
		answer(w, http.StatusServiceUnavailable, "not ready: "+strings.Join(current.failing, ", "))
		return
	}
	answer(w, http.StatusOK, "ready")
}

// join returns the round that is under way, and begins one when there is none.
func (h *Health) join(ctx context.Context) *round {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.round == nil {
		h.round = &round{done: make(chan struct{})}
		go h.run(ctx, h.round)
	}
	return h.round
}

func (h *Health) run(ctx context.Context, r *round) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	errs := make([]error, len(h.checks))
	var wg sync.WaitGroup
	for i := range h.checks {
		wg.Go(func() { errs[i] = protected(ctx, h.checks[i].ask) })
	}
	wg.Wait()
	for i, err := range errs {
		h.note(ctx, &h.checks[i], err)
		if err != nil {
			r.failing = append(r.failing, h.checks[i].name)
		}
	}
	h.mu.Lock()
	h.round = nil
	h.mu.Unlock()
	close(r.done)
}

// protected turns a panic into an error: a check must not end the process.
func protected(ctx context.Context, ask func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("check panicked: %v", p)
		}
	}()
	return ask(ctx)
}

// note logs a change for the worse or the better. Rounds never overlap.
func (h *Health) note(ctx context.Context, c *check, err error) {
	if was := c.failed; was == (err != nil) || h.Logger == nil {
		return
	}
	c.failed = err != nil
	if c.failed {
		h.Logger.WarnContext(ctx, "not ready", "check", c.name, "error", err)
		return
	}
	h.Logger.InfoContext(ctx, "ready again", "check", c.name)
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the caller may have left
}
