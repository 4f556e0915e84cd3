package wire

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type benchIn struct {
	ID     string `path:"id" json:"-"`
	Amount string `json:"amount" wire:"required,max=32"`
	Count  int    `json:"count"`
}

type benchOut struct {
	ID     string   `json:"id"`
	Amount Number   `json:"amount"`
	Tags   []string `json:"tags"`
}

// discard is a response writer that costs nothing, so that a benchmark shows the kit alone.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

const benchBody = `{"amount":"47.50","count":3}`

func benchHandler(b *testing.B, h http.Handler) {
	b.Helper()
	r := httptest.NewRequest("POST", "/v1/cards/card_1", nil)
	r.ContentLength = int64(len(benchBody))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-API-Key", "k")
	body := strings.NewReader(benchBody)
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(benchBody)
		r.Body = io.NopCloser(body)
		clear(w.header)
		h.ServeHTTP(w, r)
	}
	if w.status != http.StatusOK {
		b.Fatalf("status %d", w.status)
	}
}

// The kit with every phase over a handler that does nothing.
func BenchmarkKit(b *testing.B) {
	s := New(NewKit(Options{}), testDialect())
	Handle(s, Spec{Name: "bench", Method: "POST", Path: "/v1/cards/{id}"}, func(_ context.Context, _ *Call[string], in benchIn) (benchOut, error) {
		return benchOut{ID: in.ID, Amount: Number(in.Amount)}, nil
	})
	mux := http.NewServeMux()
	s.Mount(mux)
	benchHandler(b, mux)
}

// The same request read and answered by hand: what net/http itself costs.
func BenchmarkBare(b *testing.B) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/cards/{id}", func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			b.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, `{"id":"`+r.PathValue("id")+`","amount":47.50,"tags":[]}`)
	})
	benchHandler(b, mux)
}
