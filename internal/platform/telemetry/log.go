// Package telemetry is what an operator sees of a running Scrip: logs, metrics and
// health.
//
// Every log record passes through one redacting handler, whatever sink it goes to:
// secrets mask themselves where they are typed, and this handler masks what reaches
// the log as plain text by mistake. Metrics hold no customer's data. It must never
// be the reason that a request fails.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

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
	switch o.Format {
	case "json":
		return slog.New(redacting{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})}), nil
	case "text":
		return slog.New(redacting{tint.NewHandler(w, &tint.Options{Level: level, NoColor: true})}), nil
	case "auto":
		if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return slog.New(redacting{tint.NewHandler(w, &tint.Options{Level: level})}), nil
		}
		return NewLogger(w, LogOptions{Format: "json", Level: o.Level})
	}
	return nil, fmt.Errorf("log format %q: want auto, text or json", o.Format)
}

// redacting masks secrets and adds the request's id before a record reaches its sink.
type redacting struct{ next slog.Handler }

func (h redacting) Enabled(ctx context.Context, level slog.Level) bool { return h.next.Enabled(ctx, level) }

func (h redacting) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, Redact(r.Message), r.PC)
	if id := RequestID(ctx); id != "" {
		clean.AddAttrs(slog.String("request_id", id))
	}
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redactAttr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h redacting) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = redactAttr(a)
	}
	return redacting{h.next.WithAttrs(clean)}
}

func (h redacting) WithGroup(name string) slog.Handler { return redacting{h.next.WithGroup(name)} }

func redactAttr(a slog.Attr) slog.Attr {
	if secretNames[strings.ToLower(a.Key)] {
		return slog.String(a.Key, Masked)
	}
	return slog.Attr{Key: a.Key, Value: redactValue(a.Value.Resolve())}
}

func redactValue(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(Redact(v.String()))
	case slog.KindGroup:
		group := v.Group()
		clean := make([]slog.Attr, len(group))
		for i, a := range group {
			clean[i] = redactAttr(a)
		}
		return slog.GroupValue(clean...)
	case slog.KindInt64, slog.KindUint64:
		return redactNumber(v)
	case slog.KindAny:
		// Whatever it is, it is shown as text: a sink must not reach into it.
		return slog.StringValue(Redact(fmt.Sprint(v.Any())))
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindTime, slog.KindLogValuer:
	}
	return v
}

// redactNumber masks whole numbers that are as long as a PAN and are not a time in microseconds.
func redactNumber(v slog.Value) slog.Value {
	if text := v.String(); len(strings.TrimPrefix(text, "-")) > 15 && Redact(text) != text {
		return slog.StringValue(Masked)
	}
	return v
}

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
