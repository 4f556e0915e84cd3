// Package demo serves the demonstration, as the program would, to tests that try a dialect
// over HTTP.
package demo

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// Serve returns an installation with the demonstration's data, the URL at which it has all
// its dialects until the test ends, and where it logs.
func Serve(t testing.TB) (*server.App, string, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	app, err := server.Open(t.Context(), server.Options{Data: t.TempDir(), Logger: slog.New(slog.NewTextHandler(log, nil))})
	check.OK(t, err)
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err = app.Demo(t.Context())
	check.OK(t, err)
	mux := http.NewServeMux()
	for _, s := range app.Surfaces(server.HTTP{}) {
		s.Mount(mux)
	}
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	return app, web.URL, log
}
