package iso8583

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/iso"
)

// session is one connection of a card network.
type session struct {
	host *Host
	conn net.Conn
	in   *bufio.Reader // of conn; the reader's alone
	from string
	// slots has one for each message that is worked on; without one, nothing more is read.
	slots chan struct{}
	turns turns
	// signedOff says that the network said goodbye, and sends nothing more but a sign-on. It is
	// the reader's alone, as is count, of messages that were read.
	signedOff bool
	count     int

	reading sync.Mutex // guards stopped, and deadlines against it
	stopped bool
	writing sync.Mutex
}

func newSession(h *Host, conn net.Conn) *session {
	return &session{host: h, conn: conn, in: bufio.NewReader(conn), from: conn.RemoteAddr().String(), slots: make(chan struct{}, h.options.InFlight),
		turns: turns{last: map[string]chan struct{}{}}}
}

var (
	errStopped = errors.New("stopped")
	errType    = errors.New("a message is of a type that is none")
)

// serve reads messages and answers them, several at once, until the connection ends or is
// stopped, and returns why. What was read is answered first.
func (s *session) serve(ctx context.Context) (why string) {
	var working sync.WaitGroup
	err := s.read(ctx, &working)
	working.Wait()
	s.close()
	var timeout net.Error
	switch {
	case errors.Is(err, errStopped):
		return "stopped"
	case errors.Is(err, io.EOF):
		return "closed by the network"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "silence"
	case errors.Is(err, iso.ErrFrame), errors.Is(err, iso.ErrGarbage), errors.Is(err, iso.ErrRest), errors.Is(err, errType):
		return err.Error() // these are constant texts
	}
	return "broken off"
}

func (s *session) read(ctx context.Context, working *sync.WaitGroup) error {
	for {
		if err := s.readWithin(s.host.options.Idle); err != nil {
			return err
		}
		frame, err := iso.ReadFrame(s.in, func() error { return s.readWithin(s.host.options.Read) })
		if err != nil {
			return s.because(err)
		}
		if len(frame) == 0 {
			continue // some networks send empty messages to show that they live
		}
		m, err := iso.Unpack(s.host.spec, frame)
		if err != nil {
			return err // what comes next could not be trusted
		}
		if !isRequest(m[0]) {
			return errType
		}
		s.count++
		code, payment := s.atOnce(m), ""
		if code == "" {
			payment = m[37]
		}
		s.slots <- struct{}{} // whoever has one is done within bounded time
		wait, end := s.turns.take(payment)
		working.Go(func() {
			defer func() { <-s.slots }()
			defer end()
			wait()
			s.answer(ctx, m, code)
		})
	}
}

// answer works on one message, unless the code of its answer is known, and writes the answer.
func (s *session) answer(ctx context.Context, m iso.Message, code string) {
	limited, cancel := context.WithTimeout(ctx, s.host.options.Decide)
	defer cancel()
	watch := clock.Start()
	answer := reply(m, result{code: code})
	if code == "" {
		answer = s.host.respond(limited, m)
	}
	frame, err := answer.Pack(s.host.spec)
	if err == nil {
		err = s.write(frame)
	}
	if err != nil {
		s.host.Logger.WarnContext(ctx, "an answer to a card network was not sent", "from", s.from, "type", answer[0], "error", err)
		s.close() // the network asks again elsewhere
	}
	s.host.Observe(Record{Type: typeOf(m), Code: answer[39], Took: watch.Elapsed()})
}

// write sends a frame within bounded time.
func (s *session) write(frame []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.SetWriteDeadline(clock.System().Now().Add(s.host.options.Write)); err != nil {
		return err
	}
	_, err := s.conn.Write(frame)
	return err
}

// readWithin bounds the reads that follow. It returns errStopped when nothing is to be read.
func (s *session) readWithin(d time.Duration) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.stopped {
		return errStopped
	}
	return s.conn.SetReadDeadline(clock.System().Now().Add(d))
}

// stopReading ends the read that waits.
func (s *session) stopReading() {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.stopped = true
	_ = s.conn.SetReadDeadline(clock.System().Now()) // a closed connection reads nothing either
}

// because tells a read that was stopped from one that took too long.
func (s *session) because(err error) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.stopped {
		return errStopped
	}
	return err
}

func (s *session) close() { _ = s.conn.Close() } // it may be closed already
