package iso8583

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moov-io/iso8583"
	connection "github.com/moov-io/iso8583-connection"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/iso"
)

// The bounds of what a host may send without being asked.
const (
	strayWindow = time.Second
	maxStrays   = 500 // in a window
)

// spareWrites is how many messages wait to be written beside the inquiries in flight.
const spareWrites = 16

var (
	errFlood  = errors.New("the host floods")
	errEcho   = errors.New("the host did not answer an echo test")
	errFailed = errors.New("the connection failed")
)

// session is one connection to the host. The library runs its loops, closes it and
// notices when it is idle; questions and answers are matched here, because its own
// matching knows no context and can wait for ever when an answer and the end of the
// connection meet.
type session struct {
	host   *host
	traces *traces
	conn   *connection.Connection
	wire   *wire
	out    chan []byte // what the writer writes

	mu      sync.Mutex
	pending map[key]question

	echoing   atomic.Bool
	strays    int // since windowAt; the reader's alone
	windowAt  time.Time
	begun     chan struct{} // closed when conn is set
	writerEnd chan struct{}
}

// question is a message that waits for its answer.
type question struct {
	asked  message
	answer chan message // holds one
}

// startSession runs a session over an open connection. ctx bounds its echo tests.
func startSession(ctx context.Context, tcp net.Conn, h *host, t *traces) (*session, error) {
	s := &session{
		host: h, traces: t, wire: &wire{Conn: tcp, writeTime: h.timeout},
		out:       make(chan []byte, h.inFlight+spareWrites),
		pending:   make(map[key]question, h.inFlight),
		begun:     make(chan struct{}),
		writerEnd: make(chan struct{}),
	}
	conn, err := connection.NewFrom(s.wire, nil, nil, nil, // it reads and writes no message by itself
		connection.SetMessageReader(s),
		connection.IdleTime(h.echo),
		connection.PingHandler(func(c *connection.Connection) { s.echo(ctx, c) }),
	)
	if err != nil {
		return nil, err
	}
	s.conn = conn
	close(s.begun)
	go s.write()
	return s, nil
}

// done is closed when the connection has ended.
func (s *session) done() <-chan struct{} { return s.conn.Done() }

// end closes the connection, and waits for what the session runs.
func (s *session) end() {
	_ = s.conn.Close() // whatever it says: it is closed
	<-s.conn.Done()
	<-s.writerEnd
}

// write hands on what is to be sent, one message after the other.
func (s *session) write() {
	defer close(s.writerEnd)
	for {
		select {
		case frame := <-s.out:
			if _, err := s.conn.Write(frame); err != nil {
				return // the connection ends itself
			}
		case <-s.conn.Done():
			return
		}
	}
}

// exchange sends a message under a trace number of its own, and returns the answer. It
// returns the fault unavailable when there is none before ctx or the connection ends.
func (s *session) exchange(ctx context.Context, asked message) (message, error) {
	k, q := s.enlist(asked)
	defer s.strike(k)
	frame, err := q.asked.Pack(s.host.spec)
	if err != nil {
		return nil, unavailable("the message cannot be written")
	}
	select {
	case s.out <- frame:
	default:
		return nil, unavailable("the host does not take what is sent")
	}
	select {
	case answer := <-q.answer:
		return answer, nil
	case <-ctx.Done():
		return nil, ended(ctx)
	case <-s.conn.Done():
	}
	select {
	case answer := <-q.answer: // it came before the end
		return answer, nil
	default:
		return nil, unavailable("the connection to the host broke off")
	}
}

// enlist gives a message a trace number that no other question has, and waits for its answer.
func (s *session) enlist(asked message) (key, question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{kind: asked[0]}
	for taken := true; taken; {
		k.trace = s.traces.next()
		_, taken = s.pending[k]
	}
	asked[11] = k.trace
	if k.kind == "0100" {
		asked[37] = reference(clock.System().Now(), k.trace)
	}
	q := question{asked: asked, answer: make(chan message, 1)}
	s.pending[k] = q
	return k, q
}

func (s *session) strike(k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, k)
}

// ReadMessage implements the library's MessageReader: it reads one message and hands
// it to who waits for it. It never returns a message, so that the library starts
// nothing for it. An error ends the connection.
func (s *session) ReadMessage(r io.Reader) (*iso8583.Message, error) {
	// Echo tests see to it that something comes once in a while.
	if err := s.wire.readWithin(2*s.host.echo + s.host.timeout); err != nil {
		return nil, err
	}
	frame, err := iso.ReadFrame(r, func() error { return s.wire.readWithin(s.host.timeout) })
	if err != nil {
		return nil, errFailed // the library's unpacking errors would keep the connection
	}
	if len(frame) == 0 {
		return nil, s.stray() // some hosts send empty messages to show that they live
	}
	m, err := iso.Unpack(s.host.spec, frame)
	if err != nil {
		return nil, err
	}
	return nil, s.deliver(m)
}

// deliver hands a message to who waits for it. What nobody waits for is late, or of
// the host's own accord: it is dropped, and too much of it is an error.
func (s *session) deliver(m message) error {
	if k, ok := keyOf(m); ok && s.settle(k, m) {
		return nil
	}
	if m[0] == "0800" {
		s.reply(m)
	}
	return s.stray()
}

func (s *session) settle(k key, m message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.pending[k]
	if !ok || !answers(m, q.asked) {
		return false
	}
	delete(s.pending, k)
	q.answer <- m // there is room: nobody else finds the question any more
	return true
}

// reply answers a test of the host's, unless too much waits to be written.
func (s *session) reply(m message) {
	answer := message{0: "0810", 39: codeApproved}
	for _, n := range []int{7, 11, 37, 41, 70} {
		if m[n] != "" {
			answer[n] = m[n]
		}
	}
	frame, err := answer.Pack(s.host.spec)
	if err != nil {
		return
	}
	// Room that inquiries in flight need is not the host's to fill.
	if len(s.out) >= spareWrites/2 {
		return
	}
	select {
	case s.out <- frame:
	default:
	}
}

// stray counts what nobody asked for.
func (s *session) stray() error {
	now := clock.System().Now()
	if now.Sub(s.windowAt) >= strayWindow || now.Before(s.windowAt) {
		s.windowAt, s.strays = now, 0
	}
	if s.strays++; s.strays > maxStrays {
		return errFlood
	}
	return nil
}

// echo tests the connection. The library calls it when nothing was sent for a while.
func (s *session) echo(ctx context.Context, c *connection.Connection) {
	if !s.echoing.CompareAndSwap(false, true) {
		return
	}
	defer s.echoing.Store(false)
	<-s.begun
	if s.manage(ctx, functionEcho) != nil {
		c.TriggerFailure(errEcho)
	}
}

// manage exchanges a message of network management, which must be approved.
func (s *session) manage(ctx context.Context, function string) error {
	limited, cancel := context.WithTimeout(ctx, s.host.timeout)
	defer cancel()
	answer, err := s.exchange(limited, s.host.management(function, clock.System().Now()))
	if err != nil {
		return err
	}
	if answer[39] != codeApproved {
		return unavailable("the host refuses network management %s", function)
	}
	return nil
}

// wire is the connection with bounded writes, which the library does not have, and
// without TLS's farewell, which could wait.
type wire struct {
	net.Conn
	writeTime time.Duration
}

// Write writes within bounded time.
func (w *wire) Write(b []byte) (int, error) {
	if err := w.SetWriteDeadline(clock.System().Now().Add(w.writeTime)); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}

// readWithin bounds the reads that follow.
func (w *wire) readWithin(d time.Duration) error {
	return w.SetReadDeadline(clock.System().Now().Add(d))
}

// Close ends the connection at once.
func (w *wire) Close() error {
	if wrapped, ok := w.Conn.(interface{ NetConn() net.Conn }); ok {
		return wrapped.NetConn().Close()
	}
	return w.Conn.Close()
}
