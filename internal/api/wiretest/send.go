package wiretest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/api/wire"
)

// Send makes a request of a line, "GET /v1/cards", and returns the answer. A body is JSON.
// Headers are name, value pairs; those without a value are left out.
func Send(h http.Handler, line, body string, headers ...string) *httptest.ResponseRecorder {
	method, target, _ := strings.Cut(line, " ")
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	AsJSON(nil, r, []byte(body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// AsJSON gives a request with a body that does not say what it is JSON's media type.
func AsJSON(_ testing.TB, r *http.Request, body []byte) {
	if len(body) > 0 && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
}

// Refuse returns the answer of a dialect to a call that fails with err.
func Refuse[P any](d wire.Dialect[P], err error) *httptest.ResponseRecorder {
	s := wire.New(wire.NewKit(wire.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}), d)
	wire.Handle(s, wire.Spec{Name: "fail", Method: http.MethodGet, Path: "/fail", Public: true},
		func(context.Context, *wire.Call[P], wire.None) (wire.None, error) { return wire.None{}, err })
	mux := http.NewServeMux()
	s.Mount(mux)
	return Send(mux, "GET /fail", "")
}
