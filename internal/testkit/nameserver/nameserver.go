// Package nameserver is a DNS server on the loopback interface that knows TXT records, for
// tests. It speaks enough of RFC 1035 for net.Resolver, which is what asks it.
package nameserver

import (
	"context"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Server answers questions for TXT records: with those that it was given, that there are
// none, or, while it is broken, that it cannot say.
type Server struct {
	conn net.PacketConn

	mu     sync.Mutex
	texts  map[string][]string // by name in lower case, without the last dot
	asked  []string
	broken bool
}

// Start begins a server without records, which ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{conn: conn, texts: map[string][]string{}}
	var done sync.WaitGroup
	done.Go(s.serve)
	t.Cleanup(func() {
		_ = conn.Close() // which ends serve
		done.Wait()
	})
	return s
}

// Address is where the server listens.
func (s *Server) Address() string { return s.conn.LocalAddr().String() }

// Resolver asks this server alone.
func (s *Server) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.Address())
	}}
}

// Set gives a name its records in the place of those that it had; none takes them away.
func (s *Server) Set(name string, texts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts[strings.ToLower(name)] = texts
}

// Break has the server fail, or not any more.
func (s *Server) Break(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

// Asked returns the names that were asked for, in their order.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *Server) serve() {
	packet := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		if answer := s.answer(packet[:n]); answer != nil {
			_, _ = s.conn.WriteTo(answer, from) // whoever asked asks again
		}
	}
}

// Parts of a message (RFC 1035, section 4.1).
const (
	headerSize   = 12
	typeTXT      = 16
	answered     = 0x8180 // a response, recursion wanted and available
	serverFailed = 2
	noSuchName   = 3
	nameAtStart  = 0xc00c // a pointer to the question's name
)

func (s *Server) answer(query []byte) []byte {
	name, end := question(query)
	if end == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, name)
	texts, known := s.texts[strings.ToLower(name)]
	if binary.BigEndian.Uint16(query[end-4:]) != typeTXT {
		texts = nil
	}
	code := 0
	switch {
	case s.broken:
		code, texts = serverFailed, nil
	case !known:
		code = noSuchName
	}
	out := append([]byte{}, query[:2]...)
	for _, field := range []int{answered | code, 1, len(texts), 0, 0} {
		out = binary.BigEndian.AppendUint16(out, uint16(field))
	}
	out = append(out, query[headerSize:end]...)
	for _, text := range texts {
		for _, field := range []int{nameAtStart, typeTXT, 1, 0, 60, len(text) + 1} { // class IN, a minute to live
			out = binary.BigEndian.AppendUint16(out, uint16(field))
		}
		out = append(append(out, byte(len(text))), text...)
	}
	return out
}

// question returns the name that a query asks for and where the question ends; 0: it is none.
func question(query []byte) (name string, end int) {
	var labels []string
	at := headerSize
	for at < len(query) && query[at] != 0 {
		next := at + 1 + int(query[at])
		if next >= len(query) {
			return "", 0
		}
		labels = append(labels, string(query[at+1:next]))
		at = next
	}
	if end = at + 1 + 4; end > len(query) {
		return "", 0
	}
	return strings.Join(labels, "."), end
}
