// Package iso8583 asks a host for the balance of a card in ISO 8583:1987 over TCP, as
// the operator's configuration describes it (kind "iso8583", see
// docs/operate/networks.md).
//
// It owns one connection to the host: sign-on, echo tests while nothing is asked,
// reconnecting with pauses that grow, several inquiries in flight, answers matched by
// trace number, terminal and reference. It promises one attempt per inquiry, bounded
// time, memory and goroutines whatever the host does, and amounts that are exact. It
// dials when it is first asked.
//
// It must never keep a card number, PIN or key beyond the inquiry, or let one, or any
// text of the host's, into an error.
package iso8583

import (
	"context"
	"errors"
	"sync"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/platform/line"
)

// Open returns the network that a JSON configuration describes, whose files must be in
// folder; where that is empty, they may be anywhere. The network is an io.Closer: it has a
// connection once it was asked. It returns the fault invalid_request, with the key that is
// wrong.
func Open(folder keyfile.Folder, config []byte) (ping.Network, error) {
	s, err := parse(config)
	if err != nil {
		return nil, err
	}
	host, err := s.compile(folder)
	if err != nil {
		return nil, err
	}
	traces, err := newTraces()
	if err != nil {
		return nil, err
	}
	n := &network{host: host, link: newLink(host, traces), slots: make(chan struct{}, host.inFlight)}
	return n, nil
}

// network is one host.
type network struct {
	host  *host
	link  *link
	slots chan struct{} // one for each inquiry in flight
	close sync.Once
}

// Inquire implements ping.Network.
func (n *network) Inquire(ctx context.Context, inquiry ping.Inquiry) (ping.Balance, error) {
	asked, err := n.host.inquiry(inquiry, clock.System().Now())
	if err != nil {
		return ping.Balance{}, err
	}
	limited, cancel := context.WithTimeout(ctx, n.host.timeout)
	defer cancel()
	select {
	case n.slots <- struct{}{}:
		defer func() { <-n.slots }()
	case <-limited.Done():
		return ping.Balance{}, ended(limited)
	}
	session, err := n.link.wait(limited)
	if err != nil {
		return ping.Balance{}, err
	}
	answer, err := session.exchange(limited, asked)
	if err != nil {
		return ping.Balance{}, err
	}
	return n.host.balance(answer, inquiry)
}

// Close signs off and ends the connection. Inquiries that wait, and later ones, get
// the fault unavailable. It returns when nothing runs any more.
func (n *network) Close() error {
	n.close.Do(n.link.close)
	return nil
}

// ended is the fault of an inquiry whose time is over, or whose caller has left.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault.Wrap(ctx.Err(), fault.Unavailable, "the host did not answer in time")
	}
	return fault.Wrap(ctx.Err(), fault.Unavailable, "the inquiry was given up")
}

func unavailable(format string, args ...any) error { return line.Because(format, args...) }
