package wire

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
)

func echoSpec() Spec { return Spec{Name: "echo", Method: "POST", Path: "/v1/echo/{id}"} }

// A request passes every phase and is answered with its envelope, id and headers.
func TestSuccess(t *testing.T) {
	b := setup(t, Options{}, func(d *Dialect[string]) {
		d.Success = func(c *Call[string], out any) any {
			return struct {
				Message string `json:"message"`
				Data    any    `json:"data"`
			}{c.Message, out}
		}
	})
	spec := echoSpec()
	spec.Message, spec.Status = "done", 201
	Handle(b.Surface, spec, echo)
	w := b.mount().do("POST", "/v1/echo/a%20b", `{"text":"<&>","more":[1,{}]}`, "X-Request-Id: client-id-1")
	want(t, w, 201, `{"message":"done","data":{"id":"a b","text":"<&>","from":"192.0.2.1","key":"alice"}}`)
	for name, value := range map[string]string{"Content-Type": "application/json", "X-Request-Id": "client-id-1", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
}

// Unknown paths and wrong methods are answered by the dialect that owns the prefix, others neutrally.
// A root is found without its slash too.
func TestUnknown(t *testing.T) {
	b := setup(t, Options{}, nil)
	Handle(b.Surface, echoSpec(), echo)
	Handle(b.Surface, Spec{Name: "echo.get", Method: "GET", Path: "/v1/echo/{id}"}, echo)
	Handle(b.Surface, Spec{Name: "echo.check", Method: "POST", Path: "/v1/echo/check"}, func(context.Context, *Call[string], None) (None, error) { return None{}, nil })
	Handle(b.Surface, Spec{Name: "home", Method: "GET", Path: "/v2/{$}"}, func(context.Context, *Call[string], None) (None, error) { return None{}, nil })
	b.mount()
	want(t, b.do("GET", "/v2/", ""), 200, `{}`)
	want(t, b.do("GET", "/v2", ""), 200, `{}`)
	want(t, b.do("POST", "/v2", ""), 405, `{"error":"method_not_allowed","message":"method not allowed"}`)
	want(t, b.do("GET", "/v1/nothing", ""), 404, `{"error":"route_not_found","message":"no such path"}`)
	want(t, b.do("GET", "/v1", ""), 404, `{"error":"route_not_found","message":"no such path"}`)
	want(t, b.do("POST", "/v1/echo/check", ""), 200, `{}`)
	for path, allow := range map[string]string{"/v1/echo/check": "POST", "/v1/echo/7": "GET, HEAD, POST"} {
		w := b.do("DELETE", path, "")
		want(t, w, 405, `{"error":"method_not_allowed","message":"method not allowed"}`)
		if got := w.Header().Get("Allow"); got != allow {
			t.Errorf("%s: Allow %q, want %q", path, got, allow)
		}
	}
	if w := b.do("HEAD", "/v1/echo/7", ""); w.Code != 200 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD = %d %v", w.Code, w.Header())
	}
}

// A HEAD takes the place of no GET that makes something.
func TestHeadMakesNothing(t *testing.T) {
	b, made := setup(t, Options{}, nil), 0
	Handle(b.Surface, Spec{Name: "make", Method: "GET", Path: "/v1/make", Makes: true}, func(context.Context, *Call[string], None) (None, error) { made++; return None{}, nil })
	want(t, b.mount().do("GET", "/v1/make", ""), 200, `{}`)
	if w := b.do("HEAD", "/v1/make", ""); w.Code != 405 || w.Header().Get("Allow") != "GET" || made != 1 {
		t.Errorf("HEAD = %d %v, made %d", w.Code, w.Header(), made)
	}
}

// A panic and an internal error show no text, in the dialect's form, and are logged.
func TestInternal(t *testing.T) {
	b := setup(t, Options{}, nil)
	Handle(b.Surface, Spec{Name: "panics", Method: "GET", Path: "/v1/panics"}, func(context.Context, *Call[string], None) (None, error) { panic("secret detail") })
	Handle(b.Surface, Spec{Name: "fails", Method: "GET", Path: "/v1/fails"}, func(context.Context, *Call[string], None) (None, error) {
		return None{}, fault.Wrap(errors.New("secret cause"), fault.Internal, "secret text").At("secret").With("a", "secret")
	})
	b.mount()
	for _, path := range []string{"/v1/panics", "/v1/fails"} {
		want(t, b.do("GET", path, ""), 500, `{"error":"internal","message":"internal error"}`)
	}
	for _, text := range []string{"secret detail", "secret cause", "serve_test.go", "request_id=req_"} {
		if !strings.Contains(b.log.String(), text) {
			t.Errorf("log lacks %q:\n%s", text, b.log)
		}
	}
	if n := b.kit.inFlight.Load(); n != 0 {
		t.Errorf("%d requests in flight after all ended", n)
	}
}

// A code without a row, and a FaultBody that panics or cannot be written, still give a well-formed 500.
func TestBrokenTable(t *testing.T) {
	b := setup(t, Options{}, func(d *Dialect[string]) {
		delete(d.Faults, fault.HoldEnded)
		body := d.FaultBody
		d.FaultBody = func(c *Call[string], v Verdict, f *fault.Error) any {
			if f.Code == fault.NotFound {
				panic("broken")
			}
			if f.Code == fault.InvalidState {
				return []any{"begun", func() {}}
			}
			return body(c, v, f)
		}
	})
	Handle(b.Surface, Spec{Name: "x", Method: "GET", Path: "/v1/x/{code}"}, func(_ context.Context, _ *Call[string], in struct {
		Code string `path:"code" json:"-"`
	}) (None, error) {
		return None{}, fault.New(fault.Code(in.Code), "text")
	})
	b.mount()
	want(t, b.do("GET", "/v1/x/hold_ended", ""), 500, `{"error":"internal","message":"internal error"}`)
	want(t, b.do("GET", "/v1/x/made_up", ""), 500, `{"error":"internal","message":"internal error"}`)
	want(t, b.do("GET", "/v1/x/not_found", ""), 500, `{"message":"internal error"}`)
	want(t, b.do("GET", "/v1/x/invalid_state", ""), 500, `{"message":"internal error"}`)
}

// What a handler refuses carries Retry-After, rounded up.
func TestRetryAfter(t *testing.T) {
	b := setup(t, Options{}, nil)
	Handle(b.Surface, Spec{Name: "x", Method: "GET", Path: "/v1/x"}, func(context.Context, *Call[string], None) (None, error) {
		return None{}, fault.New(fault.Unavailable, "down").After(1100 * time.Millisecond)
	})
	if got := b.mount().do("GET", "/v1/x", "").Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After %q, want 2", got)
	}
}

// The deadline reaches the handler and becomes fault.Timeout, even where the product wrapped it.
func TestDeadline(t *testing.T) {
	b := setup(t, Options{}, nil)
	Handle(b.Surface, Spec{Name: "slow", Method: "GET", Path: "/v1/slow", Timeout: time.Millisecond}, func(ctx context.Context, _ *Call[string], _ None) (None, error) {
		<-ctx.Done()
		return None{}, fault.From(ctx.Err())
	})
	want(t, b.mount().do("GET", "/v1/slow", ""), 503, `{"error":"timeout","message":"the request took too long"}`)
	if b.log.Len() > 0 {
		t.Errorf("a timeout is not an internal error: %s", b.log)
	}
}

// A database that is away is no mistake of ours, and is worth another try.
func TestDatabaseAway(t *testing.T) {
	b := setup(t, Options{}, nil)
	Handle(b.Surface, Spec{Name: "lost", Method: "GET", Path: "/v1/lost"}, func(context.Context, *Call[string], None) (None, error) {
		return None{}, fmt.Errorf("find card: %w", driver.ErrBadConn)
	})
	answer := b.mount().do("GET", "/v1/lost", "")
	want(t, answer, 503, `{"error":"unavailable","message":"the database does nothing at present: repeat the request later"}`)
	if after := answer.Header().Get("Retry-After"); after != "1" || b.log.Len() > 0 {
		t.Errorf("Retry-After %q, log %s", after, b.log)
	}
}

// Requests beyond MaxInFlight are refused at once and in the dialect's form.
func TestOverload(t *testing.T) {
	b := setup(t, Options{MaxInFlight: 1}, nil)
	entered, leave := make(chan struct{}), make(chan struct{})
	Handle(b.Surface, Spec{Name: "wait", Method: "GET", Path: "/v1/wait"}, func(context.Context, *Call[string], None) (None, error) {
		close(entered)
		<-leave
		return None{}, nil
	})
	b.mount()
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- b.do("GET", "/v1/wait", "") }()
	<-entered
	w := b.do("GET", "/v1/wait", "")
	want(t, w, 503, `{"error":"overloaded","message":"the server is busy"}`)
	if w.Header().Get("Retry-After") != "1" {
		t.Error("no Retry-After")
	}
	close(leave)
	want(t, <-first, 200, `{}`)
}

// One address has half of what is served at once at most, of IPv6 its /64; others are served
// beside it.
func TestShareOfAnAddress(t *testing.T) {
	b := setup(t, Options{MaxInFlight: 4, Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, nil)
	entered, leave := make(chan struct{}), make(chan struct{})
	Handle(b.Surface, Spec{Name: "wait", Method: "GET", Path: "/v1/wait"}, func(context.Context, *Call[string], None) (None, error) {
		entered <- struct{}{}
		<-leave
		return None{}, nil
	})
	Handle(b.Surface, Spec{Name: "quick", Method: "GET", Path: "/v1/quick"}, func(context.Context, *Call[string], None) (None, error) {
		return None{}, nil
	})
	b.mount()
	served := make(chan *httptest.ResponseRecorder)
	for _, from := range []string{"2001:db8::1", "2001:db8::2"} {
		go func() { served <- b.do("GET", "/v1/wait", "", "X-Forwarded-For: "+from) }()
		<-entered
	}
	for range 2 {
		w := b.do("GET", "/v1/quick", "", "X-Forwarded-For: 2001:db8::3")
		want(t, w, 429, `{"error":"rate_limited","message":"too many requests of this address are under way"}`)
		if w.Header().Get("Retry-After") != "1" {
			t.Error("no Retry-After")
		}
		want(t, b.do("GET", "/v1/quick", "", "X-Forwarded-For: 2001:db8:0:1::1"), 200, `{}`)
	}
	close(leave)
	want(t, <-served, 200, `{}`)
	want(t, <-served, 200, `{}`)
	want(t, b.do("GET", "/v1/quick", "", "X-Forwarded-For: 2001:db8::3"), 200, `{}`)
}

// Observe sees what happened and never the path as sent. A mistake of ours is its to log.
func TestObserve(t *testing.T) {
	var got []Record
	b := setup(t, Options{Observe: func(_ context.Context, r Record) { got = append(got, r) }}, nil)
	Handle(b.Surface, echoSpec(), echo)
	Handle(b.Surface, Spec{Name: "fails", Method: "GET", Path: "/v1/fails"}, func(context.Context, *Call[string], None) (None, error) {
		return None{}, errors.New("the disk is full")
	})
	b.mount()
	b.do("POST", "/v1/echo/secret", `{"text":"x"}`)
	b.do("POST", "/v1/echo/secret", `{"text":1}`)
	b.do("GET", "/v1/other", "")
	b.do("GET", "/v1/fails", "")
	if len(got) != 4 {
		t.Fatalf("%d records", len(got))
	}
	if err := got[3].Err; err == nil || !strings.Contains(err.Error(), "the disk is full") || b.log.Len() > 0 {
		t.Errorf("failure: %v, and logged beside it: %s", err, b.log)
	}
	first := got[0]
	if first.Route != "echo" || first.Path != "/v1/echo/{id}" || first.Status != 200 || first.Subject != "alice" || first.Received != 12 || first.Sent == 0 || first.Code != "" {
		t.Errorf("success: %+v", first)
	}
	if got[1].Status != 400 || got[1].Code != fault.InvalidRequest || got[1].Err == nil {
		t.Errorf("refusal: %+v", got[1])
	}
	if got[2].Route != "unknown_path" || got[2].Path != "" {
		t.Errorf("unknown: %+v", got[2])
	}
}

// The request id reaches the context where the options put it.
func TestContextHook(t *testing.T) {
	type key struct{}
	b := setup(t, Options{Context: func(ctx context.Context, id string) context.Context { return context.WithValue(ctx, key{}, id) }}, nil)
	Handle(b.Surface, Spec{Name: "x", Method: "GET", Path: "/v1/x"}, func(ctx context.Context, c *Call[string], _ None) (None, error) {
		if ctx.Value(key{}) != c.RequestID {
			t.Error("id not in context")
		}
		return None{}, nil
	})
	want(t, b.mount().do("GET", "/v1/x", ""), 200, `{}`)
}

// Only well-formed request ids are believed.
func TestRequestID(t *testing.T) {
	for _, good := range []string{"client-id-1", "0190b3c0-7e5c-7c8e-9d3f-2b1a0c9d8e7f", "req_01k9abcdefgh", strings.Repeat("a", 64)} {
		if got := requestID([]string{good}); got != good {
			t.Errorf("%q became %q", good, got)
		}
	}
	for _, bad := range [][]string{nil, {"short"}, {strings.Repeat("a", 65)}, {"with space 1"}, {"new\nline1234"}, {"4111111111111111"}, {"4111-1111-1111-1111"}, {"good-id-1", "good-id-2"}} {
		if got := requestID(bad); !id.Valid("req", got) {
			t.Errorf("%q was believed: %q", bad, got)
		}
	}
}

// The client is the first address from the right that is not a trusted proxy.
func TestClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("fe80::/10")}
	for _, c := range []struct {
		remote, forwarded, want string
	}{
		{"203.0.113.9:1234", "", "203.0.113.9"},
		{"203.0.113.9:1234", "1.2.3.4", "203.0.113.9"},
		{"10.0.0.1:1", "1.2.3.4", "1.2.3.4"},
		{"10.0.0.1:1", "6.6.6.6, 1.2.3.4 ,10.9.9.9", "1.2.3.4"},
		{"10.0.0.1:1", "10.0.0.2, 10.0.0.3", "10.0.0.2"},
		{"10.0.0.1:1", "6.6.6.6, junk, 10.0.0.3", "10.0.0.3"},
		{"10.0.0.1:1", "1.2.3.4:999", "1.2.3.4"},
		{"[fd00::1]:80", "[2001:db8::1]:443", "2001:db8::1"},
		{"[::ffff:10.0.0.1]:80", "1.2.3.4", "1.2.3.4"},
		{"10.0.0.1:1", "6.6.6.6," + strings.Repeat("10.0.0.2,", 20) + "10.0.0.3", "10.0.0.2"},
		{"[fe80::1%eth0]:80", "1.2.3.4", "1.2.3.4"},
		{"[fe80::1%eth0]:80", "6.6.6.6, 1.2.3.4, [fe80::2%eth0]:80, fe80::3%eth0", "1.2.3.4"},
		{"pipe", "1.2.3.4", "invalid IP"},
	} {
		var forwarded []string
		if c.forwarded != "" {
			forwarded = []string{c.forwarded}
		}
		if got := clientAddress(c.remote, forwarded, proxies).String(); got != c.want {
			t.Errorf("%s / %s = %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
	if got := clientAddress("10.0.0.1:1", []string{"6.6.6.6", "1.2.3.4"}, proxies).String(); got != "1.2.3.4" {
		t.Errorf("two headers: %s", got)
	}
}

// A file is sent as it is, and cannot run as a page.
func TestFile(t *testing.T) {
	b := setup(t, Options{}, nil)
	spec := Spec{Name: "cover", Method: "GET", Path: "/v1/cover", Public: true, Cache: "public, max-age=60"}
	Handle(b.Surface, spec, func(context.Context, *Call[string], None) (File, error) {
		return File{ContentType: "image/png", Name: "cover.png", Body: []byte("\x89PNG")}, nil
	})
	w := b.mount().do("GET", "/v1/cover", "")
	want(t, w, 200, "\x89PNG")
	for name, value := range map[string]string{"Content-Type": "image/png", "Content-Disposition": "attachment; filename=cover.png",
		"Cache-Control": "public, max-age=60", "Content-Security-Policy": "default-src 'none'; sandbox"} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
}

// Who has a file's version is told so, without the file; who has another gets it.
func TestFileVersion(t *testing.T) {
	var status int
	b := setup(t, Options{Observe: func(_ context.Context, r Record) { status = r.Status }}, nil)
	for name, version := range map[string]string{"new": "v2", "plain": ""} {
		Handle(b.Surface, Spec{Name: name, Method: "GET", Path: "/v1/" + name, Public: true, Cache: "public, max-age=60"},
			func(context.Context, *Call[string], None) (File, error) {
				return File{ContentType: "image/png", Version: version, Body: []byte("\x89PNG")}, nil
			})
	}
	b.mount()
	for _, test := range []struct {
		method, path string
		tags         []string
		status       int
	}{
		{"GET", "/v1/new", nil, 200},
		{"GET", "/v1/new", []string{`"v2"`}, 304},
		{"HEAD", "/v1/new", []string{`"v2"`}, 304},
		{"GET", "/v1/new", []string{`W/"v2"`}, 304},
		{"GET", "/v1/new", []string{`"v1", W/"v0"`, `"v3" , "v2"`}, 304},
		{"GET", "/v1/new", []string{`*`}, 304},
		{"GET", "/v1/new", []string{`"v1"`}, 200},
		{"GET", "/v1/new", []string{`v2`}, 200},
		{"GET", "/v1/new", []string{``}, 200},
		{"GET", "/v1/plain", []string{`*`, `""`}, 200},
	} {
		r := httptest.NewRequest(test.method, test.path, nil)
		r.Header["If-None-Match"] = test.tags
		w := httptest.NewRecorder()
		b.mux.ServeHTTP(w, r)
		body, tag := "\x89PNG", ""
		if test.status == 304 {
			body = ""
		}
		if test.path == "/v1/new" {
			tag = `"v2"`
		}
		if w.Code != test.status || status != test.status || w.Body.String() != body || w.Header().Get("ETag") != tag {
			t.Errorf("%s %s %q: %d (observed %d) %q, tag %s", test.method, test.path, test.tags, w.Code, status, w.Body, w.Header().Get("ETag"))
		}
		if test.status == 304 && (w.Header().Get("Content-Type") != "" || w.Header().Get("Cache-Control") != "public, max-age=60") {
			t.Errorf("304 with headers %v", w.Header())
		}
	}
}

// A tagged read has an ETag of its bytes: who has it is told so with 304, a refusal has none,
// and another answer has another one.
func TestTagged(t *testing.T) {
	b := setup(t, Options{}, nil)
	text := "one"
	spec := Spec{Name: "list", Method: "GET", Path: "/v1/list", Public: true, Tagged: true, Cache: "private, no-cache"}
	Handle(b.Surface, spec, func(context.Context, *Call[string], None) (echoBody, error) {
		if text == "" {
			return echoBody{}, fault.New(fault.NotFound, "nothing")
		}
		return echoBody{Text: text}, nil
	})
	b.mount()
	ask := func(method, tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/v1/list", nil)
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		b.mux.ServeHTTP(w, r)
		return w
	}
	first := ask("GET", "")
	tag := first.Header().Get("ETag")
	want(t, first, 200, `{"text":"one"}`)
	for _, method := range []string{"GET", "HEAD"} {
		if w := ask(method, `W/`+tag); w.Code != 304 || w.Body.Len() != 0 || w.Header().Get("ETag") != tag || w.Header().Get("Cache-Control") != "private, no-cache" {
			t.Errorf("%s: %d %q %v", method, w.Code, w.Body, w.Header())
		}
	}
	text = "two"
	if w := ask("GET", tag); w.Code != 200 || w.Header().Get("ETag") == tag {
		t.Errorf("another answer: %d %s", w.Code, w.Header().Get("ETag"))
	}
	text = ""
	if w := ask("GET", tag); w.Code != 404 || w.Header().Get("ETag") != "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("a refusal: %d %v", w.Code, w.Header())
	}
	defer func() {
		if recover() == nil {
			t.Error("a write can be tagged")
		}
	}()
	spec.Method, spec.Path = "POST", "/v1/write"
	Handle(b.Surface, spec, func(context.Context, *Call[string], None) (None, error) { return None{}, nil })
}

// 204 has neither body nor type.
func TestNoContent(t *testing.T) {
	b := setup(t, Options{}, nil)
	Handle(b.Surface, Spec{Name: "gone", Method: "DELETE", Path: "/v1/x", Status: http.StatusNoContent}, func(context.Context, *Call[string], None) (None, error) { return None{}, nil })
	w := b.mount().do("DELETE", "/v1/x", "")
	want(t, w, 204, "")
	if w.Header().Get("Content-Type") != "" {
		t.Error("204 with a type")
	}
}

// An aborted handler still aborts, and holds nothing afterwards.
func TestAbort(t *testing.T) {
	b := setup(t, Options{}, nil)
	Handle(b.Surface, Spec{Name: "abort", Method: "GET", Path: "/v1/abort"}, func(context.Context, *Call[string], None) (None, error) { panic(http.ErrAbortHandler) })
	b.mount()
	func() {
		defer func() {
			if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				t.Error("the abort was swallowed")
			}
		}()
		b.do("GET", "/v1/abort", "")
	}()
	if b.kit.inFlight.Load() != 0 {
		t.Error("the request is still counted")
	}
}
