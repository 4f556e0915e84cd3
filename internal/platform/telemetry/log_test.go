package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
)

// logger returns a logger whose lines go to the buffer.
func logger(t testing.TB, format string) (*slog.Logger, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	l, err := NewLogger(&out, LogOptions{Format: format, Level: "debug"})
	if err != nil {
		t.Fatal(err)
	}
	return l, &out
}

// line returns what the last line holds, without its time.
func line(t testing.TB, out *bytes.Buffer) map[string]any {
	t.Helper()
	decoded := map[string]any{}
	if err := json.Unmarshal(out.Bytes(), &decoded); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	out.Reset()
	delete(decoded, "time")
	delete(decoded, "level")
	delete(decoded, "msg")
	return decoded
}

type nested struct{ Number string }

type valuer struct{ text string }

func (v valuer) LogValue() slog.Value {
	return slog.GroupValue(slog.String("inner", v.text), slog.Any("deeper", slog.StringValue(v.text)))
}

type textual struct{ text string }

func (v textual) String() string { return v.text }

// No secret reaches a sink, in whatever attribute, group, value or error it travels.
func TestLogRedacts(t *testing.T) {
	for _, format := range []string{"json", "text", "auto"} {
		for _, secret := range secrets {
			l, out := logger(t, format)
			text := dangerous(secret)
			l.With("with", text).WithGroup("g").Info(text, "plain", text, "error", errors.New(text), "any", nested{text},
				slog.Group("inner", "x", text, slog.Group("y", "z", text)), "pointer", &nested{text}, "list", []string{text}, "map", map[string]any{text: []any{text}},
				"wrapped", fmt.Errorf("w: %w", errors.New(text)), "valuer", valuer{text}, "textual", textual{text}, "bytes", []byte(text), "raw", json.RawMessage(text),
				slog.Any("attr", slog.String("k", text)), "joined", errors.Join(errors.New(text), errors.New(text)), "chain", []error{errors.New(text)})
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s log shows %q: %s", format, secret, out.String())
			}
			if got := strings.Count(out.String(), Masked); got < 18 {
				t.Errorf("%s log masks %d values: %s", format, got, out.String())
			}
		}
	}
}

// Attributes with a secret's name are masked whatever they hold; groups with one, whole.
func TestLogRedactsByName(t *testing.T) {
	l, out := logger(t, "json")
	l.Info("m", "PIN", 1234, "password", "x", "apiKey", []byte("x"), "token", valuer{"x"}, "cvv", 1.5, "secret", errors.New("x"), "Authorization", "x", "cookie", "",
		"key", "x", "code", "ABCD", "redemption_code", nested{"x"}, "seed", slog.GroupValue(slog.String("a", "x"), slog.Int("b", 12)),
		"has_pin", true, "pin_at", time.Unix(0, 0).UTC(), "token_ttl", time.Second, "token_valid", false)
	want := map[string]any{"PIN": Masked, "password": Masked, "apiKey": Masked, "token": map[string]any{"inner": Masked, "deeper": Masked}, "cvv": Masked, "secret": Masked,
		"Authorization": Masked, "cookie": "", "key": Masked, "code": Masked, "redemption_code": Masked, "seed": map[string]any{"a": Masked, "b": Masked},
		"has_pin": true, "pin_at": "1970-01-01T00:00:00Z", "token_ttl": 1e9, "token_valid": false}
	if diff := cmp.Diff(want, line(t, out)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	l.WithGroup("secret").With("a", "x").WithGroup("b").Info("m", "c", 1, "d", time.Second)
	want = map[string]any{"secret": map[string]any{"a": Masked, "b": map[string]any{"c": Masked, "d": 1e9}}}
	if diff := cmp.Diff(want, line(t, out)); diff != "" {
		t.Errorf("group (-want +got):\n%s", diff)
	}
}

// What is no secret stays as it is: ids, codes of faults, numbers, times, addresses.
func TestLogLeavesTheRest(t *testing.T) {
	l, out := logger(t, "json")
	key := id.New("key")
	l.Info("m", "code", "insufficient_funds", "key", key, "status", 200, "sum", int64(123_456_789_012), "negative", int64(-4_111_111_111_111_111), "at", int64(1_795_254_282_529_123),
		"ms", uint64(1_795_254_282_529), "big", uint64(math.MaxUint64), "ratio", 0.25, "took", 1500*time.Millisecond, "ok", true, "addr", netip.MustParseAddr("127.0.0.1"),
		"when", time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), "nothing", nil, "empty", "", "fault", fault.New(fault.InsufficientFunds, "balance %s", "1.00"),
		"masked", pan.NewSecret("x"), "list", []int{1, 2}, "struct", nested{"a"})
	want := map[string]any{"code": "insufficient_funds", "key": key, "status": 200.0, "sum": 123_456_789_012.0, "negative": -4_111_111_111_111_111.0, "at": 1_795_254_282_529_123.0,
		"ms": 1_795_254_282_529.0, "big": float64(math.MaxUint64), "ratio": 0.25, "took": 1.5e9, "ok": true, "addr": "127.0.0.1", "when": "2026-11-21T00:00:00Z", "nothing": "<nil>", "empty": "",
		"fault": fault.New(fault.InsufficientFunds, "balance %s", "1.00").Error(), "masked": Masked, "list": "[1 2]", "struct": "{Number:a}"}
	if diff := cmp.Diff(want, line(t, out)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// A card number is masked as a number of any type, too.
func TestLogRedactsNumbers(t *testing.T) {
	l, out := logger(t, "json")
	l.Info("m", "a", 4916530123452039, "b", uint64(4111111111111111), "c", float64(4111111111111111), "d", int64(378282246310005), "e", 1e18, "f", math.Inf(1) > 0, "g", math.Pi*1e14)
	got := line(t, out)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		if got[name] != Masked {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	if got["f"] != true || got["g"] == Masked {
		t.Errorf("masked too much: %v", got)
	}
}

// A record of a request carries its id once, in a clean record and in a masked one.
func TestRequestID(t *testing.T) {
	l, out := logger(t, "json")
	ctx := WithRequestID(t.Context(), "req_1")
	for _, args := range [][]any{{}, {"a", "b"}, {"pin", "1"}, {"request_id", "req_1"}, {"request_id", "req_1", "pin", "1"}, {"a", 1, "b", 2, "c", 3, "d", 4, "e", 5, "f", 6, "g", 7}} {
		l.InfoContext(ctx, "m", args...)
		if got := strings.Count(out.String(), `"request_id":"req_1"`); got != 1 {
			t.Errorf("%v: %d ids: %s", args, got, out)
		}
		out.Reset()
	}
	l.InfoContext(WithRequestID(ctx, "cp_live_sk_x"), "m")
	if line(t, out)["request_id"] != Masked {
		t.Error("a secret was taken for an id")
	}
	if RequestID(context.Background()) != "" || RequestID(ctx) != "req_1" {
		t.Error("the context does not hold the id")
	}
}

// Two records that share attributes do not write into each other.
func TestHandleLeavesTheRecord(t *testing.T) {
	h := NewHandler(slog.DiscardHandler)
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "m", 0)
	for i := range 20 {
		r.AddAttrs(slog.Int("n", i))
	}
	if err := h.Handle(WithRequestID(t.Context(), "req_1"), r); err != nil {
		t.Fatal(err)
	}
	if r.NumAttrs() != 20 {
		t.Errorf("the record has %d attributes", r.NumAttrs())
	}
}

// Levels hold back records, and words that are no level or format are refused.
func TestNewLogger(t *testing.T) {
	var out bytes.Buffer
	l, err := NewLogger(&out, LogOptions{Format: "json", Level: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	l.Info("quiet")
	if out.Len() > 0 || l.Enabled(t.Context(), slog.LevelInfo) || !l.Enabled(t.Context(), slog.LevelWarn) {
		t.Errorf("logged at warn: %s", &out)
	}
	for _, o := range []LogOptions{{Format: "xml", Level: "info"}, {Format: "json", Level: "loud"}, {Format: "", Level: "info"}, {Format: "json"}} {
		if _, err := NewLogger(&out, o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// Long texts are cut, never within a secret.
func TestLogCuts(t *testing.T) {
	for shift := range 40 {
		l, out := logger(t, "json")
		text := strings.Repeat("x ", (maxText-shift)/2) + "4916 5301 2345 2039 " + strings.Repeat("é ", maxText)
		l.With("with", text).Info("m", "text", text, "error", errors.New(text))
		for name, value := range line(t, out) {
			got := value.(string)
			if strings.Contains(got, "4916") || strings.Contains(got, "5301") {
				t.Errorf("shift %d: %s shows a part of a card number: %q", shift, name, got[len(got)-60:])
			}
			if len(got) > maxText+60 || len(got) < maxText-maxURL || !strings.HasSuffix(got, " bytes)") || strings.Contains(got, "\ufffd") {
				t.Errorf("shift %d: %s has %d bytes and ends with %q", shift, name, len(got), got[len(got)-60:])
			}
		}
	}
}

// Values that panic when they are printed do not end the process.
func TestLogSurvivesPanics(t *testing.T) {
	l, out := logger(t, "json")
	l.Info("m", "error", error((*brokenError)(nil)), "valuer", brokenValuer{}, "fine", 1)
	if got := line(t, out); got["fine"] != 1.0 {
		t.Errorf("log %v", got)
	}
}

type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text }

type brokenValuer struct{}

func (brokenValuer) LogValue() slog.Value { panic("broken") }

func BenchmarkLog(b *testing.B) {
	plain := slog.New(slog.NewJSONHandler(io.Discard, nil))
	redacted := slog.New(NewHandler(slog.NewJSONHandler(io.Discard, nil)))
	for name, l := range map[string]*slog.Logger{"plain": plain, "redacted": redacted} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.Info("request", "dialect", "gatepay", "route", "giftcard.create", "status", 200, "subject", "key_01m7yqwt92e81v2cwcx6nn5pgh", "took", time.Millisecond)
			}
		})
	}
}
