// Package simulator is a host that answers balance inquiries in ISO 8583:1987 over
// TCP: a counterparty to try an installation with, for demonstrations and tests.
//
// It owns a list of cards, checks PINs under a zone PIN key, answers sign-on, sign-off
// and echo tests, and can be told to misbehave for a card in each way that a host may:
// silence, resets, halves, garbage, floods, answers that come twice, late or for
// another. It shares no code with the adapter that speaks to it.
//
// It must never be given the number of a real card.
package simulator

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/moov-io/iso8583"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
)

// Limits of a host.
const (
	maxConnections = 64
	maxFrame       = 4096 // bytes
	writeTime      = 10 * time.Second
	floodSize      = 20_000 // messages
)

// Config is what a host knows and how it behaves.
type Config struct {
	Cards []Card
	// HexBitmap has bitmaps and binary fields written as hexadecimal text.
	HexBitmap bool
	// ZonePINKey opens PIN blocks: 32 or 48 hexadecimal digits. Empty: PINs are not checked.
	ZonePINKey pan.Secret
	// SignOnCode answers a sign-on, "00" when empty.
	SignOnCode string
	// Deaf are the network management codes ("001", "301") that get no answer.
	Deaf []string
	// Observe is told of each message that arrives; it may be nil.
	Observe func(Event)
}

// Event is a message that arrived. It holds no number and no PIN.
type Event struct {
	Connection int    // counts from 1
	MTI        string // "0100"
	Function   string // of network management: "001"
	STAN       string
	Terminal   string
}

// Host is a running host.
type Host struct {
	config   Config
	spec     *iso8583.MessageSpec
	pinKey   []byte
	listener net.Listener

	mu     sync.Mutex
	conns  map[net.Conn]bool
	count  int
	closed bool
	group  sync.WaitGroup
}

// Listen returns a host that listens on a TCP address such as "127.0.0.1:0". It
// returns the fault invalid_request for a key or a card that is malformed.
func Listen(address string, config Config) (*Host, error) {
	key, err := parseKey(config.ZonePINKey)
	if err != nil {
		return nil, err
	}
	for _, card := range config.Cards {
		if card.Number.IsZero() || !card.Currency.IsValid() || card.Currency.Numeric() == "" {
			return nil, fault.New(fault.InvalidRequest, "a simulated card needs a number and a currency with a numeric code")
		}
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.Wrap(err, fault.InvalidRequest, "listen on %s", address)
	}
	return &Host{config: config, spec: NewSpec(config.HexBitmap), pinKey: key, listener: listener, conns: map[net.Conn]bool{}}, nil
}

// Addr returns where the host listens.
func (h *Host) Addr() net.Addr { return h.listener.Addr() }

// Serve answers until Close, and then returns nil.
func (h *Host) Serve() error {
	for {
		conn, err := h.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		number, ok := h.admit(conn)
		if !ok {
			_ = conn.Close() // one too many, or the host is closing
			continue
		}
		go h.talk(conn, number)
	}
}

// Close ends the host and every connection, and waits for them.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closed = true
	for conn := range h.conns {
		_ = conn.Close() // its reader says goodbye
	}
	h.mu.Unlock()
	err := h.listener.Close()
	h.group.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (h *Host) admit(conn net.Conn) (number int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.conns) >= maxConnections {
		return 0, false
	}
	h.conns[conn] = true
	h.count++
	h.group.Add(1)
	return h.count, true
}

// talk reads and answers one message after the other, until the connection ends.
func (h *Host) talk(conn net.Conn, number int) {
	defer h.group.Done()
	defer func() {
		h.mu.Lock()
		delete(h.conns, conn)
		h.mu.Unlock()
		_ = conn.Close() // closed already, where the other side left
	}()
	t := &talk{host: h, conn: conn, number: number}
	for {
		frame, err := ReadFrame(conn)
		if err != nil {
			return
		}
		message := iso8583.NewMessage(h.spec)
		if message.Unpack(frame) != nil {
			return // what comes next could not be trusted
		}
		if t.answer(message) != nil {
			return
		}
	}
}

// ReadFrame reads two bytes of length, high byte first, and as many bytes.
func ReadFrame(r io.Reader) ([]byte, error) {
	var header [2]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint16(header[:])
	if length == 0 || length > maxFrame {
		return nil, io.ErrUnexpectedEOF
	}
	frame := make([]byte, length)
	_, err := io.ReadFull(r, frame)
	return frame, err
}

// write sends bytes, within bounded time to a side that does not read.
func (t *talk) write(b []byte) error {
	if err := t.conn.SetWriteDeadline(clock.System().Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := t.conn.Write(b)
	return err
}

// Frame packs a message and puts its length before it.
func Frame(message *iso8583.Message) ([]byte, error) {
	packed, err := message.Pack()
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...), nil
}
