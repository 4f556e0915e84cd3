// Package acquirer is the other side of an issuer's host: a terminal and the link by
// which its bank sends payments with cards in ISO 8583:1987 over TCP, to try an
// installation with, for measurements and tests.
//
// It makes messages, repeats them, sends many at once over a connection and matches the
// answers; it can lose an answer, send what is no message, and break the connection at
// any moment. It shares no code with the host that it speaks to.
//
// It must never be given the number of a real card.
package acquirer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/moov-io/iso8583"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/provider/simulator"
)

// Patience bounds writes, and how long a link waits for the answer to its own messages.
const patience = 30 * time.Second

// ErrBroken means that the connection ended before there was an answer.
var ErrBroken = errors.New("the connection to the issuer ended")

// Answer is an answer by its elements; 0 is its type.
type Answer map[int]string

// Code is DE39.
func (a Answer) Code() string { return a[39] }

// Link is one connection to an issuer's host. It is safe for concurrent use.
type Link struct {
	conn net.Conn
	spec *iso8583.MessageSpec
	done chan struct{} // closed when nothing is read any more

	writing sync.Mutex
	mu      sync.Mutex
	waiting map[string]chan Answer
	trace   int
}

// Dial connects to a host, whose bitmaps may be hexadecimal text.
func Dial(ctx context.Context, address string, hexadecimal bool) (*Link, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	l := &Link{conn: conn, spec: simulator.NewSpec(hexadecimal), done: make(chan struct{}), waiting: map[string]chan Answer{}}
	go l.read()
	return l, nil
}

// Close ends the connection, and waits until nothing is read.
func (l *Link) Close() {
	_ = l.conn.Close() // it may have ended
	<-l.done
}

// Reset ends the connection as a crash does.
func (l *Link) Reset() {
	if tcp, ok := l.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // the close that follows becomes a reset
	}
	l.Close()
}

// Done is closed when the connection has ended.
func (l *Link) Done() <-chan struct{} { return l.done }

func (l *Link) read() {
	defer close(l.done)
	for {
		frame, err := simulator.ReadFrame(l.conn)
		if err != nil {
			return
		}
		m := iso8583.NewMessage(l.spec)
		if m.Unpack(frame) != nil {
			return
		}
		answer := Answer{}
		for n := range m.GetFields() {
			if text, err := m.GetString(n); err == nil && n != 1 {
				answer[n] = text
			}
		}
		l.deliver(answer)
	}
}

// deliver hands an answer to who waits for it; what nobody waits for is lost.
func (l *Link) deliver(answer Answer) {
	if len(answer[0]) != 4 {
		return
	}
	name := nameOf(answer[0], answer)
	l.mu.Lock()
	defer l.mu.Unlock()
	if waits, ok := l.waiting[name]; ok {
		delete(l.waiting, name)
		waits <- answer // there is room for one
	}
}

// nameOf is what a message and its answer have in common. The class and whether it is an
// advice stay; an answer's third digit is one higher.
func nameOf(kind string, fields map[int]string) string {
	return kind[:2] + string(kind[2]&^1) + "/" + fields[11] + "/" + fields[37]
}

// Ask sends a message and returns its answer. It returns ErrBroken when the connection
// ends first, and ctx's error when that does.
func (l *Link) Ask(ctx context.Context, m *Message) (Answer, error) {
	name, waits := nameOf(m.kind, m.fields), make(chan Answer, 1)
	l.mu.Lock()
	l.waiting[name] = waits
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.waiting[name] == waits {
			delete(l.waiting, name)
		}
	}()
	if err := l.Tell(m); err != nil {
		return nil, err
	}
	select {
	case answer := <-waits:
		return answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.done:
	}
	select {
	case answer := <-waits: // it came before the end
		return answer, nil
	default:
		return nil, ErrBroken
	}
}

// Tell sends a message and loses its answer.
func (l *Link) Tell(m *Message) error {
	packed := iso8583.NewMessage(l.spec)
	packed.MTI(m.kind)
	for n, value := range m.fields {
		if err := packed.Field(n, value); err != nil {
			return fmt.Errorf("element %d: cannot be set", n)
		}
	}
	frame, err := simulator.Frame(packed)
	if err != nil {
		return errors.New("the message cannot be written")
	}
	return l.Raw(frame)
}

// Raw sends bytes, whatever they are.
func (l *Link) Raw(b []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.conn.SetWriteDeadline(clock.System().Now().Add(patience)); err != nil {
		return ErrBroken
	}
	if _, err := l.conn.Write(b); err != nil {
		return ErrBroken
	}
	return nil
}

// The functions of network management.
const (
	SignOn  = "001"
	SignOff = "002"
	Echo    = "301"
)

// Manage sends a message of network management, which must be approved.
func (l *Link) Manage(ctx context.Context, function string) error {
	l.mu.Lock()
	l.trace = l.trace%999_999 + 1
	trace := fmt.Sprintf("%06d", l.trace)
	l.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := l.Ask(limited, &Message{kind: "0800", fields: map[int]string{7: transmitted(), 11: trace, 70: function}})
	if err == nil && answer.Code() != "00" {
		err = fmt.Errorf("network management %s is answered with %s", function, answer.Code())
	}
	return err
}

func transmitted() string { return clock.System().Now().Format("0102150405") }
