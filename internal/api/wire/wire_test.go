package wire

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
)

type testError struct {
	Error   string `json:"error"`
	Message string `json:"message"`
	Field   string `json:"field,omitzero"`
}

// testTable gives every code a row: the kinds' usual statuses.
func testTable() map[fault.Code]Verdict {
	statuses := map[fault.Kind]int{fault.KindInvalid: 400, fault.KindUnauthenticated: 401, fault.KindForbidden: 403, fault.KindNotFound: 404, fault.KindConflict: 409,
		fault.KindPrecondition: 422, fault.KindLimit: 429, fault.KindUnavailable: 503, fault.KindInternal: 500}
	table := map[fault.Code]Verdict{}
	for _, code := range fault.Codes() {
		table[code] = Verdict{Status: statuses[code.Kind()], Code: string(code)}
	}
	table[fault.MethodNotAllowed] = Verdict{Status: 405, Code: "method_not_allowed"}
	table[fault.BodyTooLarge] = Verdict{Status: 413, Code: "body_too_large"}
	table[fault.UnsupportedMediaType] = Verdict{Status: 415, Code: "unsupported_media_type"}
	return table
}

// testDialect authenticates whoever sends an X-API-Key, as that key.
func testDialect() Dialect[string] {
	return Dialect[string]{
		Name:     "test",
		Prefixes: []string{"/v1/"},
		Authenticate: func(_ context.Context, c *Call[string]) (string, error) {
			key := c.Request.Header.Get("X-API-Key")
			if key == "" {
				return "", fault.New(fault.CredentialsInvalid, "missing or unknown key")
			}
			return key, nil
		},
		Subject: func(key string) string { return key },
		Faults:  testTable(),
		FaultBody: func(_ *Call[string], v Verdict, f *fault.Error) any {
			return testError{Error: v.Code, Message: v.Message, Field: f.Field}
		},
	}
}

// bundle is a surface under test with what it logged.
type bundle struct {
	*Surface[string]
	kit *Kit
	mux *http.ServeMux
	log *strings.Builder
}

func setup(t *testing.T, o Options, change func(*Dialect[string])) *bundle {
	t.Helper()
	b := &bundle{log: &strings.Builder{}}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(b.log, nil))
	}
	d := testDialect()
	if change != nil {
		change(&d)
	}
	b.kit = NewKit(o)
	b.Surface = New(b.kit, d)
	return b
}

type echoIn struct {
	ID   string `path:"id" json:"-"`
	Text string `json:"text"`
}

type echoOut struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	From string `json:"from"`
	Key  string `json:"key"`
}

func echo(_ context.Context, c *Call[string], in echoIn) (echoOut, error) {
	return echoOut{ID: in.ID, Text: in.Text, From: c.From.String(), Key: c.Principal}, nil
}

func (b *bundle) mount() *bundle {
	b.mux = http.NewServeMux()
	b.Mount(b.mux)
	return b
}

// do sends a request; headers are "Name: value". A key is sent unless told otherwise.
func (b *bundle) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("X-API-Key", "alice")
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if value == "" {
			r.Header.Del(name)
			continue
		}
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	b.mux.ServeHTTP(w, r)
	return w
}

func want(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status || w.Body.String() != body {
		t.Errorf("got  %d %s\nwant %d %s", w.Code, w.Body, status, body)
	}
	if got := w.Header().Get("Content-Length"); body != "" && got != fmt.Sprint(len(body)) {
		t.Errorf("Content-Length %s, want %d", got, len(body))
	}
}
