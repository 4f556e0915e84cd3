// Package iso8583 is Scrip as the issuer's host: card networks and processors connect to
// it over TCP and send authorizations, completions, refunds and reversals of virtual
// cards in ISO 8583:1987 (docs/iso8583.md).
//
// It owns connections, and the translation of a message into one call of
// authorization.Service and of what that says into an answer. It promises bounded
// connections, frames, memory and time whatever a network does, one answer per message,
// the first one again for a repetition, and a stop that answers what was begun.
//
// It must never decide anything about money, and never let a card number, security code
// or track into a log line, an error or a metric.
package iso8583

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/platform/iso"
)

// Options say who may connect, and what is borne of them. Zero bounds are the usual ones.
type Options struct {
	// Address is HOST:PORT; port 0 picks one.
	Address string
	// HexBitmap has bitmaps and binary elements written as hexadecimal text.
	HexBitmap bool
	// Realm is that of the cards.
	Realm realm.Realm
	// Sources are the networks from which connections are taken; empty: this machine.
	Sources []netip.Prefix
	// Acquirers are the acquiring institutions (DE32) that are served; empty: all.
	Acquirers []string
	// MaxConnections there are at once, 64, and InFlight messages of each of them, 64.
	MaxConnections, InFlight int
	// Idle is how long a connection may say nothing, 5 minutes; Read and Write how long a
	// message may take on the wire, 10 seconds; Decide how long one may be worked on, 15 seconds.
	Idle, Read, Write, Decide time.Duration
	// Grace is how long a stop waits for what is worked on, 30 seconds.
	Grace time.Duration
}

// Record is a message that was answered.
type Record struct {
	Type string // such as "0100"; "other" for types that there are not
	Code string // DE39 of the answer
	Took time.Duration
}

// Deps is what a Host stands on.
type Deps struct {
	Payments *authorization.Service
	Logger   *slog.Logger
	// Observe is told of every answer; it may be nil.
	Observe func(Record)
}

// Host answers card networks. It is made by New and serves once.
type Host struct {
	Deps
	options   Options
	acquirers map[string]bool
	spec      *iso.Spec
	listener  net.Listener

	mu       sync.Mutex
	sessions map[*session]bool
	stopping bool
	running  sync.WaitGroup
}

// New returns a host that does not listen yet.
func New(d Deps, o Options) *Host {
	orElse(&o.MaxConnections, 64)
	orElse(&o.InFlight, 64)
	orElse(&o.Idle, 5*time.Minute)
	orElse(&o.Read, 10*time.Second)
	orElse(&o.Write, 10*time.Second)
	orElse(&o.Decide, 15*time.Second)
	orElse(&o.Grace, 30*time.Second)
	orElse(&o.Realm, realm.Live)
	if d.Observe == nil {
		d.Observe = func(Record) {}
	}
	h := &Host{Deps: d, options: o, acquirers: map[string]bool{}, spec: iso.NewSpec(o.HexBitmap), sessions: map[*session]bool{}}
	for _, acquirer := range o.Acquirers {
		h.acquirers[bare(acquirer)] = true
	}
	return h
}

func orElse[T comparable](value *T, usual T) {
	var zero T
	if *value == zero {
		*value = usual
	}
}

// Listen opens the address and returns where it listens.
func (h *Host) Listen(ctx context.Context) (net.Addr, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", h.options.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for ISO 8583 on %s: %w", h.options.Address, err)
	}
	h.listener = listener
	return listener.Addr(), nil
}

// Connections returns how many there are.
func (h *Host) Connections() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sessions)
}

// acceptPause is how long it waits after the system gave no connection.
const acceptPause = 100 * time.Millisecond

// Serve takes connections until ctx ends. Then it reads no more, answers what it has
// read, closes every connection and returns nil. Listen comes before it.
func (h *Host) Serve(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(stopped)
		h.stop()
	})
	for ctx.Err() == nil {
		conn, refused := h.listener.Accept()
		if errors.Is(refused, net.ErrClosed) {
			break
		}
		if refused != nil {
			h.Logger.WarnContext(ctx, "no connection could be taken", "error", refused)
			_ = clock.Wait(ctx, acceptPause) // its end ends the loop
			continue
		}
		h.take(work, conn)
	}
	<-stopped
	return h.finish(work, cancel)
}

// stop takes no more connections, and has those that there are read no more.
func (h *Host) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
	_ = h.listener.Close() // nothing is read from it any more
	for s := range h.sessions {
		s.stopReading()
	}
}

// finish waits for what is worked on, and ends it when the grace is over.
func (h *Host) finish(work context.Context, cancel context.CancelFunc) error {
	done := make(chan struct{})
	go func() {
		h.running.Wait()
		close(done)
	}()
	grace, end := context.WithTimeout(work, h.options.Grace)
	defer end()
	select {
	case <-done:
		return nil
	case <-grace.Done():
	}
	cancel()
	h.mu.Lock()
	for s := range h.sessions {
		s.close()
	}
	h.mu.Unlock()
	<-done
	return errors.New("stop ISO 8583: messages under way were given up")
}

// take serves a connection, unless it is from elsewhere or there are too many.
func (h *Host) take(ctx context.Context, conn net.Conn) {
	s := newSession(h, conn)
	reason := h.admit(s)
	if reason != "" {
		h.Logger.WarnContext(ctx, "connection of a card network refused", "from", s.from, "reason", reason)
		_ = conn.Close() // nothing was said on it
		return
	}
	go func() {
		defer h.running.Done()
		defer h.leave(s)
		h.Logger.InfoContext(ctx, "card network connected", "from", s.from)
		why := s.serve(ctx)
		h.Logger.InfoContext(ctx, "card network disconnected", "from", s.from, "reason", why, "messages", s.count)
	}()
}

func (h *Host) admit(s *session) (reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.stopping:
		return "stopping"
	case !h.allows(s.conn.RemoteAddr()):
		return "source not allowed"
	case len(h.sessions) >= h.options.MaxConnections:
		return "too many connections"
	}
	h.sessions[s] = true
	h.running.Add(1)
	return ""
}

func (h *Host) leave(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, s)
}

// allows reports whether connections are taken from an address.
func (h *Host) allows(from net.Addr) bool {
	address, err := netip.ParseAddrPort(from.String())
	if err != nil {
		return false
	}
	ip := address.Addr().Unmap().WithZone("")
	if len(h.options.Sources) == 0 {
		return ip.IsLoopback()
	}
	return slices.ContainsFunc(h.options.Sources, func(p netip.Prefix) bool { return p.Contains(ip) })
}
