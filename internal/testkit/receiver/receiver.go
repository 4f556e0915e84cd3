// Package receiver is a customer's HTTPS server for tests, which takes every webhook and
// keeps it.
package receiver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Server is a receiver. It trusts nobody; a sender has to trust its Certificate.
type Server struct {
	*httptest.Server
	mu  sync.Mutex
	got []Delivery
}

// Delivery is a request that a receiver got.
type Delivery struct {
	http.Header
	Body string
}

// Start returns a receiver that closes with the test.
func Start(t testing.TB) *Server {
	s := &Server{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.keep))
	t.Cleanup(s.Close)
	return s
}

func (s *Server) keep(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, Delivery{r.Header, string(body)})
	w.WriteHeader(http.StatusNoContent)
}

// Take returns what came since it was last asked.
func (s *Server) Take() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}
