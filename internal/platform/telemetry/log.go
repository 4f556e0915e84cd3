// Package telemetry is what an operator sees of a running Scrip: logs, metrics and
// health.
//
// Every log record passes through one redacting handler, whatever sink it goes to:
// secrets mask themselves where they are typed, and this handler masks what reaches
// the log as plain text by mistake. Metrics hold no customer's data, and their labels
// are of closed sets. It must never be the reason that a request fails.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// LogOptions say how to log.
type LogOptions struct {
	Format string // auto, text or json
	Level  string // debug, info, warn or error
}

// NewLogger returns a logger that writes to w and masks secrets.
func NewLogger(w io.Writer, o LogOptions) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", o.Level)
	}
	terminal := false
	if f, ok := w.(*os.File); ok {
		terminal = term.IsTerminal(int(f.Fd()))
	}
	switch {
	case o.Format == "text" || (o.Format == "auto" && terminal):
		return slog.New(NewHandler(tint.NewTextHandler(w, &tint.Options{Level: level, NoColor: !terminal}))), nil
	case o.Format == "json" || o.Format == "auto":
		return slog.New(NewHandler(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))), nil
	}
	return nil, fmt.Errorf("log format %q: want auto, text or json", o.Format)
}

// NewHandler returns a handler that masks secrets, adds the request's id and hands
// records on to next. Whatever writes logs goes through one.
func NewHandler(next slog.Handler) slog.Handler { return redacting{next: next} }

// requestIDName is the attribute that holds the request's id.
const requestIDName = "request_id"

type requestKey struct{}

// WithRequestID returns a context whose log records carry id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID returns the id that WithRequestID put into ctx; empty when there is none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
