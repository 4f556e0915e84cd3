package reply_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/platform/reply"
)

// An answer in another protocol is an error, and its connection is closed; others come as they are.
func TestBounded(t *testing.T) {
	gone := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/switch" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: silence\r\n\r\n")
		_, err = conn.Read(make([]byte, 1))
		gone <- err
	}))
	defer server.Close()
	client := &http.Client{Transport: reply.Bounded{Transport: &http.Transport{}}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	get := func(path string) (*http.Response, error) {
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return client.Do(request)
	}
	if answer, err := get("/switch"); err == nil {
		t.Errorf("status %d", answer.StatusCode)
	}
	if err := <-gone; err == nil {
		t.Error("something was sent over the connection")
	}
	answer, err := get("/")
	if err != nil || answer.StatusCode != http.StatusTeapot {
		t.Fatalf("%v, %v", answer, err)
	}
	_ = answer.Body.Close()
}
