package iso8583

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/line"
	"github.com/scripcards/scrip/internal/provider/call"
)

// state is where a link is.
type state uint8

const (
	unused     state = iota // nobody has asked yet
	connecting              // dialling, or signing on
	online
	pausing // until the next attempt
	closed
)

// link keeps a session with the host, from the first inquiry on.
type link struct {
	host   *host
	traces *traces
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	state   state
	session *session      // while online
	why     string        // there is no session, while pausing
	changed chan struct{} // closed at the next change of state
	stopped chan struct{} // closed when nothing runs any more
}

func newLink(h *host, t *traces) *link {
	// The connection outlives the inquiries, the first one as well.
	ctx, cancel := context.WithCancel(context.Background())
	return &link{host: h, traces: t, ctx: ctx, cancel: cancel, changed: make(chan struct{}), stopped: make(chan struct{})}
}

// wait returns the session, or an outage. It waits while one is being made, and returns the
// fault unavailable at once when the host could not be reached a moment ago.
func (l *link) wait(ctx context.Context) (*session, error) {
	for {
		l.mu.Lock()
		switch l.state {
		case unused:
			l.state = connecting
			go l.run()
		case online:
			defer l.mu.Unlock()
			return l.session, nil
		case pausing:
			defer l.mu.Unlock()
			return nil, line.Outage(unavailable("there is no connection to the host: %s", l.why))
		case closed:
			l.mu.Unlock()
			return nil, line.Outage(unavailable("the network was closed"))
		case connecting:
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, line.Outage(ended(ctx))
		}
	}
}

// turn changes the state, unless the link is closed.
func (l *link) turn(to state, session *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == closed {
		return
	}
	l.state, l.session = to, session
	close(l.changed)
	l.changed = make(chan struct{})
}

// run makes one session after the other, with pauses between them.
func (l *link) run() {
	defer close(l.stopped)
	var pause time.Duration
	for {
		watch := clock.Start()
		why := l.connect()
		if l.ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		l.why = why
		l.mu.Unlock()
		pause = l.host.pauseAfter(pause, watch.Elapsed())
		l.turn(pausing, nil)
		if clock.Wait(l.ctx, spread(pause)) != nil {
			return
		}
		l.turn(connecting, nil)
	}
}

// pauseAfter is the pause before the next attempt: twice the previous one, up to the
// bound, and the first one again after a session that lasted longer than that.
func (h *host) pauseAfter(previous, lasted time.Duration) time.Duration {
	if previous == 0 || lasted > h.maxPause {
		return h.pause
	}
	return min(2*previous, h.maxPause)
}

// connect makes a session, and returns why there is none when it has ended.
func (l *link) connect() string {
	limited, cancel := context.WithTimeout(l.ctx, l.host.connectTimeout)
	conn, err := l.dial(limited)
	late := limited.Err() != nil
	cancel()
	switch {
	case err == nil:
	case late:
		return "it is not made in time"
	case call.Unreached(err):
		return call.Reason(err)
	default:
		return brokeOff
	}
	s, err := startSession(l.ctx, conn, l.host, l.traces)
	if err != nil {
		_ = conn.Close() // it was never used
		return brokeOff
	}
	defer s.end()
	if l.host.signOn {
		if err := s.manage(l.ctx, functionSignOn); err != nil {
			return fault.From(err).Message
		}
	}
	l.turn(online, s)
	select {
	case <-s.done():
	case <-l.ctx.Done():
		l.signOff(s)
	}
	return brokeOff
}

// brokeOff is what is said of a connection that there was for a moment.
const brokeOff = "it broke off"

// signOff says goodbye, for a moment.
func (l *link) signOff(s *session) {
	if !l.host.signOn {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), min(farewell, l.host.timeout))
	defer cancel()
	_ = s.manage(ctx, functionSignOff) // the connection is closed whatever the host says
}

// farewell is how long a sign-off may take.
const farewell = time.Second

// dial opens a connection, with TLS where it is configured.
func (l *link) dial(ctx context.Context) (net.Conn, error) {
	dialer := &net.Dialer{}
	conn, err := dialer.DialContext(ctx, "tcp", l.host.address)
	if err != nil || l.host.tls == nil {
		return conn, err
	}
	secured := tls.Client(conn, l.host.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // it was never used
		return nil, err
	}
	return secured, nil
}

// spread lengthens a pause by up to a quarter, so that many processes do not come
// back to a host at one instant.
func spread(pause time.Duration) time.Duration {
	var random [1]byte
	_, _ = rand.Read(random[:]) // never fails; a pause without it is fine, too
	return pause + pause/4*time.Duration(random[0])/255
}

func (l *link) close() {
	l.mu.Lock()
	before := l.state
	l.state, l.session = closed, nil
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	l.cancel()
	if before != unused {
		<-l.stopped
	}
}
