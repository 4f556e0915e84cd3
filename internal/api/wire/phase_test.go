package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
)

// counter is a limiter that allows each subject so many requests and remembers who asked.
type counter struct {
	mu    sync.Mutex
	used  map[string]int
	asked []string
}

func (c *counter) take(_ context.Context, subject string, windows []Window, n int) (Decision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used == nil {
		c.used = map[string]int{}
	}
	c.asked = append(c.asked, subject)
	c.used[subject] += n
	left := windows[0].Limit - c.used[subject]
	return Decision{Allowed: left >= 0, Limit: windows[0].Limit, Remaining: max(left, 0), RetryAfter: 90 * time.Second}, nil
}

func perMinute(n int) []Window { return []Window{{Limit: n, Per: time.Minute}} }

// Limits count by address before authentication and by principal after it; the
// tightest of the principal's is shown on every answer.
func TestLimits(t *testing.T) {
	limiter := &counter{}
	b := setup(t, Options{Take: limiter.take}, func(d *Dialect[string]) {
		d.Limits = []Limit{{By: ByPrincipal, Windows: perMinute(5)}, {By: ByAddress, Windows: perMinute(4)}}
		d.LimitHeaders = func(h http.Header, d Decision) { h.Set("X-Left", string(rune('0'+d.Remaining))) }
	})
	spec := Spec{Name: "x", Method: "GET", Path: "/v1/x", Limits: []Limit{{Name: "few", Windows: perMinute(2)}, {Name: "many", Windows: perMinute(9)}}}
	Handle(b.Surface, spec, func(context.Context, *Call[string], None) (None, error) { return None{}, nil })
	b.mount()
	for _, left := range []string{"1", "0"} {
		w := b.do("GET", "/v1/x", "")
		want(t, w, 200, `{}`)
		if got := w.Header().Get("X-Left"); got != left {
			t.Errorf("left %s, want %s", got, left)
		}
	}
	w := b.do("GET", "/v1/x", "")
	want(t, w, 429, `{"error":"rate_limited","message":"too many requests"}`)
	if w.Header().Get("Retry-After") != "90" || w.Header().Get("X-Left") != "0" {
		t.Errorf("headers %v", w.Header())
	}
	want(t, b.do("GET", "/v1/x", "", "X-API-Key: "), 401, `{"error":"credentials_invalid","message":"missing or unknown key"}`)
	want(t, b.do("GET", "/v1/x", "", "X-API-Key: "), 429, `{"error":"rate_limited","message":"too many requests"}`)
	want(t, b.do("GET", "/v1/unknown", ""), 429, `{"error":"rate_limited","message":"too many requests"}`)
	if got, wanted := limiter.asked[:3], []string{"test/all/192.0.2.1", "test/all/alice", "test/few/alice"}; !slices.Equal(got, wanted) {
		t.Errorf("asked %v, want %v", got, wanted)
	}
}

// On a public route callers are told apart by their address alone: no limit of principals holds for all of them.
func TestPublicLimits(t *testing.T) {
	limiter := &counter{}
	b := setup(t, Options{Take: limiter.take}, func(d *Dialect[string]) {
		d.Limits = []Limit{{By: ByPrincipal, Windows: perMinute(1)}, {By: ByAddress, Windows: perMinute(9)}}
	})
	Handle(b.Surface, Spec{Name: "x", Method: "GET", Path: "/v1/x", Public: true}, func(context.Context, *Call[string], None) (None, error) { return None{}, nil })
	b.mount()
	for range 2 {
		want(t, b.do("GET", "/v1/x", ""), 200, `{}`)
	}
	if !slices.Equal(limiter.asked, []string{"test/all/192.0.2.1", "test/all/192.0.2.1"}) {
		t.Errorf("asked %v", limiter.asked)
	}
}

// Where the dialect says so, an address over its limit is blocked for a while, and counted no more.
func TestPenalty(t *testing.T) {
	limiter, blocked, now := &counter{}, map[string]time.Time{}, clock.NewManual(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	b := setup(t, Options{
		Take: limiter.take, Clock: now,
		Block: func(_ context.Context, subject string, until time.Time) error { blocked[subject] = until; return nil },
		Blocked: func(_ context.Context, subject string) (time.Time, bool) {
			return blocked[subject], blocked[subject].After(now.Now())
		},
	}, func(d *Dialect[string]) {
		d.Penalty, d.Limits = 10*time.Minute, []Limit{{By: ByAddress, Windows: perMinute(1)}}
	})
	b.mount()
	for _, after := range []string{"", "600", "600"} {
		if got := b.do("GET", "/v1/unknown", "").Header().Get("Retry-After"); got != after {
			t.Errorf("Retry-After %q, want %q", got, after)
		}
	}
	if len(limiter.asked) != 2 || len(blocked) != 1 || blocked["test/192.0.2.1"].IsZero() {
		t.Errorf("asked %v, blocked %v", limiter.asked, blocked)
	}
	now.Advance(11 * time.Minute)
	clear(limiter.used)
	if w := b.do("GET", "/v1/unknown", ""); w.Code != 404 {
		t.Errorf("after the penalty: %d", w.Code)
	}
}

// A limiter that fails refuses the request.
func TestLimiterFails(t *testing.T) {
	b := setup(t, Options{Take: func(context.Context, string, []Window, int) (Decision, error) { return Decision{}, errors.New("down") }},
		func(d *Dialect[string]) { d.Limits = []Limit{{Windows: perMinute(5)}} })
	Handle(b.Surface, echoSpec(), echo)
	want(t, b.mount().do("POST", "/v1/echo/1", `{}`), 500, `{"error":"internal","message":"internal error"}`)
}

// An IPv6 caller is its /64.
func TestAddressSubject(t *testing.T) {
	for address, want := range map[string]string{"192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64"} {
		if got := AddressSubject(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s = %s", address, got)
		}
	}
	if got := AddressSubject(netip.Addr{}); got != "unknown" {
		t.Errorf("no address = %s", got)
	}
}

// What a request says of itself tells programs apart by their user agent and, of one user agent, by the rest; it is bounded, and never nothing.
func TestGuise(t *testing.T) {
	guise := func(headers ...string) [2]string {
		h := http.Header{}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		agent, device := Guise(h)
		return [2]string{agent, device}
	}
	plain := guise("User-Agent", "curl/8")
	for name, other := range map[string][2]string{"language": guise("User-Agent", "curl/8", "Accept-Language", "fr"), "type": guise("User-Agent", "curl/8", "Accept", "fr"),
		"platform": guise("User-Agent", "curl/8", "Sec-CH-UA-Platform", "x")} {
		if other[0] != "curl/8" || other[1] == plain[1] {
			t.Errorf("another %s: %q", name, other)
		}
	}
	if same := guise("User-Agent", "curl/8", "X-Request-Id", "7", "Cookie", "a=b"); same != plain {
		t.Errorf("of no importance: %q, want %q", same, plain)
	}
	if none := guise(); none[0] != "" || none[1] == "" {
		t.Errorf("nothing is %q", none)
	}
	if long := guise("User-Agent", strings.Repeat("a", 1<<20), "Accept", strings.Repeat("b", 1<<20)); len(long[0]) > 512 || len(long[1]) > 7*520 {
		t.Errorf("%d and %d bytes", len(long[0]), len(long[1]))
	}
}

// The order of phases decides which of several faults shows.
func TestOrder(t *testing.T) {
	everythingWrong := func(order []Phase) *httptest.ResponseRecorder {
		b := setup(t, Options{}, func(d *Dialect[string]) { d.Order, d.Media, d.MaxBody = order, JSONOnly, 4 })
		Handle(b.Surface, echoSpec(), echo)
		return b.mount().do("POST", "/v1/echo/1", `not json and too long`, "X-API-Key: ", "Content-Type: text/plain")
	}
	if w := everythingWrong(KeyedOrder()); w.Code != 401 {
		t.Errorf("keyed: %d %s", w.Code, w.Body)
	}
	if w := everythingWrong(SignedOrder()); w.Code != 415 {
		t.Errorf("signed: %d %s", w.Code, w.Body)
	}
	order := []Phase{PhaseBody, PhaseDecode, PhaseAddress, PhaseMedia, PhaseAuthenticate, PhaseLimit, PhaseReplay}
	if w := everythingWrong(order); w.Code != 413 {
		t.Errorf("body first: %d %s", w.Code, w.Body)
	}
}

// With the signed order, Authenticate sees the raw body.
func TestSignatureSeesBody(t *testing.T) {
	b := setup(t, Options{}, func(d *Dialect[string]) {
		d.Order = SignedOrder()
		d.Authenticate = func(_ context.Context, c *Call[string]) (string, error) {
			if string(c.Body) != " {\"text\" : \"x\"}\n" {
				return "", fault.New(fault.SignatureInvalid, "wrong signature")
			}
			return "merchant", nil
		}
	})
	Handle(b.Surface, echoSpec(), echo)
	b.mount()
	want(t, b.do("POST", "/v1/echo/1", " {\"text\" : \"x\"}\n"), 200, `{"id":"1","text":"x","from":"192.0.2.1","key":"merchant"}`)
	want(t, b.do("POST", "/v1/echo/1", `{"text":"x"}`), 401, `{"error":"signature_invalid","message":"wrong signature"}`)
}

// The media policies.
func TestMedia(t *testing.T) {
	serve := func(media Media) *bundle {
		b := setup(t, Options{}, func(d *Dialect[string]) { d.Media = media })
		Handle(b.Surface, echoSpec(), echo)
		Handle(b.Surface, Spec{Name: "get", Method: "GET", Path: "/v1/echo/{id}"}, echo)
		Handle(b.Surface, Spec{Name: "empty", Method: "POST", Path: "/v1/empty"}, func(context.Context, *Call[string], None) (None, error) { return None{}, nil })
		csv := Spec{Name: "csv", Method: "POST", Path: "/v1/csv", Accept: "text/csv"}
		image := Spec{Name: "image", Method: "PUT", Path: "/v1/image", Accept: "application/octet-stream, image/png"}
		Handle(b.Surface, image, func(context.Context, *Call[string], None) (None, error) { return None{}, nil })
		Handle(b.Surface, csv, func(_ context.Context, c *Call[string], _ None) (echoOut, error) {
			return echoOut{Text: string(c.Body)}, nil
		})
		return b.mount()
	}
	strict, loose := serve(JSONOnly), serve(AnyMedia)
	for _, c := range []struct {
		method, path, media string
		strict, loose       int
	}{
		{"POST", "/v1/echo/1", "Content-Type: application/json", 200, 200},
		{"POST", "/v1/echo/1", "Content-Type: Application/JSON; charset=UTF-8", 200, 200},
		{"POST", "/v1/echo/1", `Content-Type: application/json;charset="utf8"`, 200, 200},
		{"POST", "/v1/echo/1", "Content-Type: application/json; charset=latin1", 415, 200},
		{"POST", "/v1/echo/1", "Content-Type: application/x-www-form-urlencoded", 415, 200},
		{"POST", "/v1/echo/1", "Content-Type: application/jsonp", 415, 200},
		{"POST", "/v1/echo/1", "X-Other: 1", 415, 200},
		{"GET", "/v1/echo/1", "X-Other: 1", 200, 200},
		{"GET", "/v1/echo/1", "Content-Type: text/plain", 415, 200},
		{"GET", "/v1/echo/1", "Content-Type: ", 200, 200},
		{"POST", "/v1/echo/1", "Content-Type: ", 415, 200},
		{"POST", "/v1/csv", "Content-Type: application/json", 415, 415},
		{"POST", "/v1/csv", "Content-Type: text/csv", 200, 200},
		{"PUT", "/v1/image", "Content-Type: application/octet-stream", 200, 200},
		{"PUT", "/v1/image", "Content-Type: image/PNG", 200, 200},
		{"PUT", "/v1/image", "Content-Type: image/gif", 415, 415},
		{"PUT", "/v1/image", "Content-Type: application/octet-stream, image/png", 415, 415},
	} {
		body := `{}`
		if c.method == "GET" {
			body = ""
		}
		if got := strict.do(c.method, c.path, body, c.media).Code; got != c.strict {
			t.Errorf("strict %s %s %s: %d, want %d", c.method, c.path, c.media, got, c.strict)
		}
		if got := loose.do(c.method, c.path, body, c.media).Code; got != c.loose {
			t.Errorf("loose %s %s %s: %d, want %d", c.method, c.path, c.media, got, c.loose)
		}
	}
	want(t, strict.do("POST", "/v1/empty", ""), 200, `{}`)
	want(t, strict.do("POST", "/v1/csv", "a,b\n", "Content-Type: text/csv"), 200, `{"id":"","text":"a,b\n","from":"","key":""}`)
}

// chunked hides a body's length.
type chunked struct{ io.Reader }

// Bodies are bounded, whether their length is told or not, and must be whole.
func TestBody(t *testing.T) {
	b := setup(t, Options{}, nil)
	spec := echoSpec()
	spec.MaxBody = 16
	Handle(b.Surface, spec, echo)
	b.mount()
	send := func(body io.Reader, length int64) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/v1/echo/1", body)
		r.ContentLength = length
		r.Header.Set("X-API-Key", "alice")
		w := httptest.NewRecorder()
		b.mux.ServeHTTP(w, r)
		return w
	}
	const ok, large = `{"text":"12345"}`, `{"text":"123456"}`
	const fine, tooBig = `{"id":"1","text":"12345","from":"192.0.2.1","key":"alice"}`, `{"error":"body_too_large","message":"the body is larger than 16 bytes"}`
	want(t, send(strings.NewReader(ok), 16), 200, fine)
	want(t, send(chunked{strings.NewReader(ok)}, -1), 200, fine)
	for _, w := range []*httptest.ResponseRecorder{send(strings.NewReader(large), int64(len(large))), send(chunked{strings.NewReader(large)}, -1)} {
		want(t, w, 413, tooBig)
		if w.Header().Get("Connection") != "close" {
			t.Error("the connection stays open")
		}
	}
	want(t, send(strings.NewReader(ok[:5]), 16), 400, `{"error":"malformed_body","message":"the body ended early"}`)
}

// memory keeps answers as an idempotency table would.
type memory struct {
	mu      sync.Mutex
	prints  map[string][]byte
	answers map[string]Answer
}

func (m *memory) replay() *Replay[string] {
	m.prints, m.answers = map[string][]byte{}, map[string]Answer{}
	return &Replay[string]{
		Key:         func(c *Call[string], _ any) string { return c.Request.Header.Get("Idempotency-Key") },
		Scope:       func(c *Call[string]) string { return c.Principal },
		Fingerprint: func(material []byte) []byte { sum := sha256.Sum256(material); return sum[:] },
		Find: func(_ context.Context, c *Call[string]) (Answer, bool, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			key := c.Principal + "/" + c.Retry.Key
			print, found := m.prints[key]
			if found && !bytes.Equal(print, c.Retry.Fingerprint) {
				return Answer{}, false, fault.New(fault.IdempotencyConflict, "the key was used for another request")
			}
			return m.answers[key], found, nil
		},
		Keep: func(_ context.Context, c *Call[string], answer Answer) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.prints[c.Principal+"/"+c.Retry.Key], m.answers[c.Principal+"/"+c.Retry.Key] = c.Retry.Fingerprint, answer
			return nil
		},
	}
}

// numbered is a surface whose idempotent routes count their calls.
func numbered(t *testing.T, handler func(n int, c *Call[string]) (echoOut, error)) *bundle {
	b := setup(t, Options{}, func(d *Dialect[string]) { d.Replay = new(memory).replay() })
	var mu sync.Mutex
	calls := 0
	for _, method := range []string{"POST", "PUT"} {
		spec := echoSpec()
		spec.Name, spec.Method, spec.Idempotent, spec.Status = method, method, true, 201
		Handle(b.Surface, spec, func(_ context.Context, c *Call[string], _ echoIn) (echoOut, error) {
			mu.Lock()
			calls++
			n := calls
			mu.Unlock()
			return handler(n, c)
		})
	}
	return b.mount()
}

// A repeated call gets the same bytes and status; another method, path, query or body conflicts;
// keys belong to their caller.
func TestReplay(t *testing.T) {
	b := numbered(t, func(n int, c *Call[string]) (echoOut, error) {
		c.SetStatus(200 + n)
		return echoOut{ID: strings.Repeat("i", n)}, nil
	})
	const first = `{"id":"i","text":"","from":"","key":""}`
	key := "Idempotency-Key: k1"
	want(t, b.do("POST", "/v1/echo/1", `{"text":"a"}`, key), 201, first)
	want(t, b.do("POST", "/v1/echo/1", `{"text":"a"}`, key), 201, first)
	const conflict = `{"error":"idempotency_conflict","message":"the key was used for another request"}`
	want(t, b.do("POST", "/v1/echo/1", `{"text":"b"}`, key), 409, conflict)
	want(t, b.do("POST", "/v1/echo/2", `{"text":"a"}`, key), 409, conflict)
	want(t, b.do("POST", "/v1/echo/1?more", `{"text":"a"}`, key), 409, conflict)
	want(t, b.do("PUT", "/v1/echo/1", `{"text":"a"}`, key), 409, conflict)
	want(t, b.do("POST", "/v1/echo/1", `{"text":"a"}`, "X-API-Key: ", "X-API-Key: bob", key), 202, `{"id":"ii","text":"","from":"","key":""}`)
	want(t, b.do("POST", "/v1/echo/1", `{"text":"a"}`), 203, `{"id":"iii","text":"","from":"","key":""}`)
	if w := b.do("POST", "/v1/echo/1", `{}`, "Idempotency-Key: "+strings.Repeat("k", 256)); w.Code != 400 {
		t.Errorf("long key: %d", w.Code)
	}
}

// A refused call is not remembered, and its key can be used again.
func TestReplayForgetsFaults(t *testing.T) {
	b := numbered(t, func(n int, _ *Call[string]) (echoOut, error) {
		switch n {
		case 1:
			return echoOut{}, fault.New(fault.InsufficientFunds, "too little")
		case 2:
			panic("once")
		}
		return echoOut{ID: "ok"}, nil
	})
	for _, status := range []int{422, 500, 201, 201} {
		if w := b.do("POST", "/v1/echo/1", `{}`, "Idempotency-Key: k"); w.Code != status {
			t.Errorf("%d, want %d", w.Code, status)
		}
	}
}

// A product that stored the answer itself is believed: exactly its bytes are sent, and nothing is kept twice.
func TestKept(t *testing.T) {
	b := setup(t, Options{}, func(d *Dialect[string]) {
		d.Replay = new(memory).replay()
		d.Replay.Keep = func(context.Context, *Call[string], Answer) error { t.Error("kept twice"); return nil }
	})
	spec := echoSpec()
	spec.Idempotent = true
	Handle(b.Surface, spec, func(_ context.Context, c *Call[string], _ echoIn) (echoOut, error) {
		answer, err := c.Encode(echoOut{ID: "stored"})
		c.Kept(answer)
		return echoOut{ID: "other"}, err
	})
	want(t, b.mount().do("POST", "/v1/echo/1", `{}`, "Idempotency-Key: k"), 200, `{"id":"stored","text":"","from":"","key":""}`)
}

// An answer whose writes did not come about is not sent: what the handler returns is, and is kept.
func TestUndone(t *testing.T) {
	b := setup(t, Options{}, func(d *Dialect[string]) { d.Replay = new(memory).replay() })
	spec, calls := echoSpec(), 0
	spec.Idempotent = true
	Handle(b.Surface, spec, func(_ context.Context, c *Call[string], _ echoIn) (echoOut, error) {
		answer, err := c.Encode(echoOut{ID: "undone"})
		c.Kept(answer)
		c.Undone()
		calls++
		return echoOut{ID: "done"}, err
	})
	b.mount()
	for range 2 {
		want(t, b.do("POST", "/v1/echo/1", `{}`, "Idempotency-Key: k"), 200, `{"id":"done","text":"","from":"","key":""}`)
	}
	if calls != 1 {
		t.Errorf("it was done %d times", calls)
	}
}

// A concurrent duplicate waits for the first call and gets its answer.
func TestConcurrentDuplicate(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	b := numbered(t, func(n int, _ *Call[string]) (echoOut, error) {
		if n > 1 {
			t.Error("the second call had an effect")
		}
		close(entered)
		<-leave
		return echoOut{ID: "once"}, nil
	})
	answers := make(chan *httptest.ResponseRecorder, 2)
	send := func() { answers <- b.do("POST", "/v1/echo/1", `{}`, "Idempotency-Key: k") }
	go send()
	<-entered
	go send()
	close(leave)
	for range 2 {
		want(t, <-answers, 201, `{"id":"once","text":"","from":"","key":""}`)
	}
	if len(b.kit.flights.busy) != 0 {
		t.Error("a key is still held")
	}
}

// A duplicate does not wait longer than its deadline.
func TestFlightDeadline(t *testing.T) {
	f := flights{busy: map[string]chan struct{}{}}
	leave, err := f.enter(context.Background(), "k")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.enter(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("enter = %v", err)
	}
	leave()
	again, err := f.enter(context.Background(), "k")
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// An audited read that cannot be recorded reveals nothing.
func TestAudit(t *testing.T) {
	var actions []string
	fail := false
	b := setup(t, Options{}, func(d *Dialect[string]) {
		d.Audit = func(_ context.Context, c *Call[string]) error {
			if fail {
				return errors.New("disk full")
			}
			actions = append(actions, c.Route.Audit)
			return nil
		}
	})
	Handle(b.Surface, Spec{Name: "details", Method: "GET", Path: "/v1/details", Audit: "card.reveal"}, func(context.Context, *Call[string], None) (echoOut, error) {
		return echoOut{Text: "4111"}, nil
	})
	b.mount()
	want(t, b.do("GET", "/v1/details", ""), 200, `{"id":"","text":"4111","from":"","key":""}`)
	fail = true
	want(t, b.do("GET", "/v1/details", ""), 500, `{"error":"internal","message":"internal error"}`)
	if !slices.Equal(actions, []string{"card.reveal"}) {
		t.Errorf("audited %v", actions)
	}
}
