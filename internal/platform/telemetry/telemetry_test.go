package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var secrets = []string{
	"cp_live_sk_4f3k2", "cp_test_sk_demo", "op_demo", "whsec_abc-123", "KEY_abc123def456", "GC1234567890123456", "c4f4-6e88-036c-761c",
	"4916530123452039", "4916 5301 2345 2039", "6006-4913-0000-0011", "378282246310005", "hunter2pass", "eyJhbGciOi.xyz",
}

func dangerous(secret string) string {
	switch secret {
	case "hunter2pass":
		return "postgres://scrip:hunter2pass@db.internal/scrip"
	case "eyJhbGciOi.xyz":
		return "Authorization: Bearer eyJhbGciOi.xyz"
	}
	return "card " + secret + " failed"
}

type nested struct{ Number string }

// No secret reaches a sink, in whatever attribute, group or error it travels.
func TestLogRedacts(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		for _, secret := range secrets {
			var out bytes.Buffer
			logger, err := NewLogger(&out, LogOptions{Format: format, Level: "debug"})
			if err != nil {
				t.Fatal(err)
			}
			text := dangerous(secret)
			logger.With("with", text).WithGroup("g").Info(text, "plain", text, "error", errors.New(text), "any", nested{text},
				slog.Group("inner", "x", text), "pointer", &nested{text}, "list", []string{text}, "wrapped", fmt.Errorf("w: %w", errors.New(text)))
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s log shows %q: %s", format, secret, out.String())
			}
			if !strings.Contains(out.String(), "redacted") {
				t.Errorf("%s log masks nothing: %s", format, out.String())
			}
		}
	}
}

// Attributes with a secret's name are masked whatever they hold; a PAN as a number too.
func TestLogRedactsByName(t *testing.T) {
	var out bytes.Buffer
	logger, _ := NewLogger(&out, LogOptions{Format: "json", Level: "info"})
	logger.Info("m", "PIN", 1234, "password", "x1y2", "number", 4916530123452039)
	for _, secret := range []string{"1234", "x1y2", "4916530123452039"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("log shows %s: %s", secret, out.String())
		}
	}
}

// What is no secret stays readable: ids, times, amounts, durations.
func TestRedactLeavesTheRest(t *testing.T) {
	for _, text := range []string{"txn_01m7yqwt92e81v2cwcx6nn5pgh", "2026-11-21T09:44:42.529123Z", "47.50 USD", "took 1.5s", "book bk_01 has 3 entries", "127.0.0.1:8420"} {
		if got := Redact(text); got != text {
			t.Errorf("Redact(%q) = %q", text, got)
		}
	}
}

// A record of a request carries its id.
func TestRequestID(t *testing.T) {
	var out bytes.Buffer
	logger, _ := NewLogger(&out, LogOptions{Format: "json", Level: "info"})
	logger.InfoContext(WithRequestID(context.Background(), "req_1"), "m")
	if !strings.Contains(out.String(), `"request_id":"req_1"`) {
		t.Error(out.String())
	}
	if _, err := NewLogger(&out, LogOptions{Format: "xml", Level: "info"}); err == nil {
		t.Error("format xml was accepted")
	}
	if _, err := NewLogger(&out, LogOptions{Format: "json", Level: "loud"}); err == nil {
		t.Error("level loud was accepted")
	}
}

func fetch(h http.HandlerFunc) (int, string) {
	w := httptest.NewRecorder()
	h(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, w.Body.String()
}

// Readiness follows the checks and names no reason; a process that closes is unready and alive.
func TestHealth(t *testing.T) {
	var broken error
	h := &Health{}
	h.Check("database", func(context.Context) error { return broken })
	if code, _ := fetch(h.Ready); code != http.StatusOK {
		t.Errorf("ready = %d", code)
	}
	broken = errors.New("dial 10.0.0.7: refused")
	if code, body := fetch(h.Ready); code != http.StatusServiceUnavailable || strings.Contains(body, "10.0.0.7") || !strings.Contains(body, "database") {
		t.Errorf("unready = %d %q", code, body)
	}
	broken = nil
	h.Closing()
	if code, _ := fetch(h.Ready); code != http.StatusServiceUnavailable {
		t.Errorf("closing = %d", code)
	}
	if code, _ := fetch(h.Live); code != http.StatusOK {
		t.Errorf("live = %d", code)
	}
}

// Requests and batches appear in the scrape.
func TestMetrics(t *testing.T) {
	m := NewMetrics()
	m.Gauge("scrip_test_gauge", "A test.", func() float64 { return 7 })
	m.Request("gatepay", "giftcard.create", 200, time.Millisecond)
	m.Request("gatepay", "giftcard.create", 422, time.Millisecond)
	m.Batch(64, time.Millisecond)
	_, body := fetch(m.Handler().ServeHTTP)
	for _, want := range []string{`scrip_http_requests_total{class="2xx",dialect="gatepay",route="giftcard.create"} 1`, `class="4xx"`,
		"scrip_ledger_batch_operations_sum 64", "scrip_test_gauge 7", "go_goroutines"} {
		if !strings.Contains(body, want) {
			t.Errorf("scrape lacks %s", want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	for _, s := range secrets {
		f.Add(dangerous(s))
	}
	f.Fuzz(func(t *testing.T, text string) {
		clean := Redact(text)
		if again := Redact(clean); again != clean {
			t.Fatalf("Redact is not stable: %q, then %q", clean, again)
		}
	})
}

func BenchmarkRedactClean(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Redact("the request was answered")
	}
}
