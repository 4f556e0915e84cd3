package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// Health answers whether the process lives and whether it can serve.
type Health struct {
	checks  []check
	closing atomic.Bool
}

type check struct {
	name string
	ask  func(context.Context) error
}

// readyTimeout bounds all checks of one request.
const readyTimeout = 2 * time.Second

// Check adds a condition of readiness. It is called before serving begins.
func (h *Health) Check(name string, ask func(context.Context) error) {
	h.checks = append(h.checks, check{name, ask})
}

// Closing makes the process unready, so that balancers send their requests elsewhere.
func (h *Health) Closing() { h.closing.Store(true) }

// Live answers 200 as long as the process serves HTTP at all.
func (h *Health) Live(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") }

// Ready answers 200 when every check passes, else 503 with the names of those that fail.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	if h.closing.Load() {
		answer(w, http.StatusServiceUnavailable, "shutting down")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	for _, c := range h.checks {
		if err := c.ask(ctx); err != nil {
			answer(w, http.StatusServiceUnavailable, c.name+" fails") // the reason may hold addresses: it is the log's
			return
		}
	}
	answer(w, http.StatusOK, "ready")
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the caller may have left
}
