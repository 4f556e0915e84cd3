package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// maxText bounds a text in a log, in bytes.
const maxText = 64 << 10

// redacting masks secrets and adds the request's id before a record reaches its sink.
type redacting struct {
	next slog.Handler
	// all: the group that is open has a secret's name, so that all in it is masked.
	all bool
}

// Enabled implements slog.Handler.
func (h redacting) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler. A record without secrets is handed on as it is.
func (h redacting) Handle(ctx context.Context, r slog.Record) error {
	id := RequestID(ctx)
	message := redactText(r.Message)
	clean := message == r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == requestIDName {
			id = "" // it is there
		}
		clean = clean && h.isClean(a)
		return true
	})
	switch {
	case clean && id == "":
		return h.next.Handle(ctx, r)
	case clean:
		r = r.Clone()
	default:
		r = h.redact(r, message)
	}
	if id != "" {
		r.AddAttrs(slog.String(requestIDName, Redact(id)))
	}
	return h.next.Handle(ctx, r)
}

func (h redacting) redact(r slog.Record, message string) slog.Record {
	clean := slog.NewRecord(r.Time, r.Level, message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.redactAttr(a))
		return true
	})
	return clean
}

// WithAttrs implements slog.Handler.
func (h redacting) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.redactAttr(a)
	}
	return redacting{next: h.next.WithAttrs(clean), all: h.all}
}

// WithGroup implements slog.Handler.
func (h redacting) WithGroup(name string) slog.Handler {
	return redacting{next: h.next.WithGroup(name), all: h.all || classify(name) >= secretName}
}

// isClean reports whether an attribute surely needs no change.
func (h redacting) isClean(a slog.Attr) bool {
	if h.all {
		return false
	}
	switch a.Value.Kind() {
	case slog.KindString:
		text := a.Value.String()
		switch classify(a.Key) {
		case plainName:
			return redactText(text) == text
		case doubtfulName:
			return isHarmless(text)
		case secretName, headerName:
		}
		return isNothing(text)
	case slog.KindInt64, slog.KindUint64, slog.KindFloat64:
		return classify(a.Key) == plainName && !isLargeNumber(a.Value)
	case slog.KindBool, slog.KindDuration, slog.KindTime:
		return true
	case slog.KindAny, slog.KindGroup, slog.KindLogValuer:
	}
	return false
}

// redactAttr returns a with what is secret in it masked. Times, durations, yes and no
// are never secret.
func (h redacting) redactAttr(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindBool, slog.KindDuration, slog.KindTime:
		return a
	case slog.KindGroup:
		group := redacting{all: h.all || (a.Key != "" && classify(a.Key) >= secretName)}
		attrs := a.Value.Group()
		clean := make([]slog.Attr, len(attrs))
		for i, inner := range attrs {
			clean[i] = group.redactAttr(inner)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(clean...)}
	case slog.KindInt64, slog.KindUint64, slog.KindFloat64:
		if h.all || classify(a.Key) != plainName || isLargeNumber(a.Value) {
			return slog.String(a.Key, Masked)
		}
		return a
	case slog.KindString, slog.KindAny, slog.KindLogValuer:
	}
	return slog.String(a.Key, h.redactValue(a))
}

// redactValue returns a value as text. Whatever it is, a sink must not reach into it.
func (h redacting) redactValue(a slog.Attr) string {
	text, fields := textOf(a.Value)
	class := classify(a.Key)
	switch {
	case isNothing(text), class == doubtfulName && !h.all && isHarmless(text):
		return text
	case h.all || class != plainName:
		return Masked
	}
	return redact(cut(text), fields)
}

// textOf returns a value as text, and whether the text names the fields of a value.
func textOf(v slog.Value) (text string, fields bool) {
	if v.Kind() == slog.KindString {
		return v.String(), false
	}
	switch value := v.Any().(type) {
	case error, fmt.Stringer:
		return fmt.Sprint(value), false
	default:
		return textOfAny(value), true
	}
}

func textOfAny(value any) string {
	if raw := reflect.ValueOf(value); raw.Kind() == reflect.Slice && raw.Type().Elem().Kind() == reflect.Uint8 {
		if bytes := raw.Bytes(); utf8.Valid(bytes) {
			return string(bytes)
		}
		return strconv.Itoa(raw.Len()) + " bytes"
	}
	return fmt.Sprintf("%+v", value)
}

// isLargeNumber reports whether a number may be a card's: whole, with 13 to 19 digits,
// and no time since 1970.
func isLargeNumber(v slog.Value) bool {
	var space [24]byte
	digits := space[:0]
	if v.Kind() == slog.KindInt64 {
		digits = strconv.AppendInt(digits, v.Int64(), 10)
	} else if v.Kind() == slog.KindUint64 {
		digits = strconv.AppendUint(digits, v.Uint64(), 10)
	} else if f := v.Float64(); f == math.Trunc(f) && f > 0 && f < math.MaxInt64 {
		digits = strconv.AppendInt(digits, int64(f), 10)
	}
	return len(digits) >= minPAN && len(digits) <= maxPAN && digits[0] != '-' && !isTime(string(digits))
}

// redactText masks what is secret in a text for people.
func redactText(text string) string { return Redact(cut(text)) }

// cut shortens a text that would flood the log. What stands at the cut goes too: the
// rest of a secret must not show because its end is missing.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for end > maxText-maxURL && (isWord(text[end-1]) || text[end-1] == ' ' || text[end-1] == '-' || !utf8.RuneStart(text[end])) {
		end--
	}
	return text[:end] + "… (" + strconv.Itoa(len(text)) + " bytes)"
}
