package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Options are what all dialects of one server share.
type Options struct {
	// Logger receives panics and internal errors; nil means the default one.
	Logger *slog.Logger
	// Proxies are the networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// MaxInFlight bounds the requests served at once; those beyond are refused
	// with fault.Overloaded. Zero means DefaultMaxInFlight. One address has half of them at
	// most, unless it is of Proxies or loopback; what is beyond that is refused with
	// fault.RateLimited.
	MaxInFlight int
	// Take counts against limits; nil means that no limit holds.
	Take func(ctx context.Context, subject string, windows []Window, n int) (Decision, error)
	// Look says what Take would, and takes nothing; nil: nobody can say that.
	Look func(ctx context.Context, subject string, windows []Window, n int) (Decision, error)
	// Block and Blocked are the limiter's penalty box, for dialects with a Penalty.
	Block   func(ctx context.Context, subject string, until time.Time) error
	Blocked func(ctx context.Context, subject string) (until time.Time, blocked bool)
	// Clock dates penalties; nil means the machine's.
	Clock clock.Clock
	// Observe sees every finished request, for the access log and metrics; it may be nil.
	// Where it is set it logs the mistakes of ours that ended one, but panics.
	Observe func(ctx context.Context, record Record)
	// Context puts the request id where the log finds it; it may be nil.
	Context func(ctx context.Context, requestID string) context.Context
}

// DefaultMaxInFlight bounds the requests of all dialects together.
const DefaultMaxInFlight = 1024

// Record is what is known of a finished request. It holds no path, query or
// body: some of those are credentials.
type Record struct {
	Dialect, Route, Method, Path string // Path is the pattern
	Status                       int
	Code                         fault.Code // empty on success
	Err                          error      // the fault, for the log; nil on success
	RequestID, Subject           string
	From                         netip.Addr
	Received, Sent               int // bytes of bodies
	Replayed                     bool
	Elapsed                      time.Duration
}

// Kit is what all surfaces of a server share. It is safe for concurrent use.
type Kit struct {
	options  Options
	inFlight atomic.Int64
	share    *share
	buffers  sync.Pool
	flights  flights
}

// NewKit returns a kit.
func NewKit(o Options) *Kit {
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = DefaultMaxInFlight
	}
	k := &Kit{options: o, share: half(o.MaxInFlight, o.Proxies)}
	k.buffers.New = func() any { return new(bytes.Buffer) }
	k.flights.busy = map[string]chan struct{}{}
	return k
}

// enter begins a request, or says why not: in any case exit ends it. One address has not all
// there is: whoever sends bodies slowly, or asks for what takes long, would keep everybody else
// out.
func (k *Kit) enter(from netip.Addr) *fault.Error {
	if k.inFlight.Add(1) > int64(k.options.MaxInFlight) {
		return fault.New(fault.Overloaded, "the server is busy").After(time.Second)
	}
	if !k.share.enter(from) {
		return fault.New(fault.RateLimited, "too many requests of this address are under way").After(time.Second)
	}
	return nil
}

// exit ends a request. Whether it was let in says whether its address is counted.
func (k *Kit) exit(from netip.Addr, entered bool) {
	if entered {
		k.share.leave(from)
	}
	k.inFlight.Add(-1)
}

func (k *Kit) buffer() *bytes.Buffer { return k.buffers.Get().(*bytes.Buffer) }

// maxPooled keeps one large answer from pinning its memory.
const maxPooled = 64 << 10

func (k *Kit) release(buf *bytes.Buffer) {
	if buf.Cap() > maxPooled {
		return
	}
	buf.Reset()
	k.buffers.Put(buf)
}

// ServerOptions configure a Server; zero values have sane defaults.
type ServerOptions struct {
	Address string // host:port
	Handler http.Handler
	TLS     *tls.Config // nil means plain HTTP
	Logger  *slog.Logger
	// MaxConnections bounds open connections; more wait in the system's queue. One address has
	// half of them at most, and more of it are closed, unless it is of Proxies or loopback.
	MaxConnections int
	Proxies        []netip.Prefix
	MaxHeaderBytes int
	// ReadHeader, Read, Write and Idle are net/http's timeouts; Hear is how long the rest of a
	// body is read for the sake of its refusal, and Grace how long a shutdown waits for requests
	// to finish.
	ReadHeader, Read, Write, Idle, Hear, Grace time.Duration
}

// Server listens for requests and stops gracefully.
type Server struct {
	options  ServerOptions
	http     *http.Server
	listener net.Listener
}

// NewServer returns a server that does not listen yet.
func NewServer(o ServerOptions) *Server {
	orElse(&o.MaxConnections, 4096)
	orElse(&o.MaxHeaderBytes, 32<<10)
	orElse(&o.ReadHeader, 5*time.Second)
	orElse(&o.Read, 30*time.Second)
	orElse(&o.Write, 60*time.Second)
	orElse(&o.Idle, 2*time.Minute)
	orElse(&o.Hear, 8*time.Second)
	orElse(&o.Grace, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Server{options: o, http: &http.Server{
		Handler: hearOut(o), TLSConfig: o.TLS, MaxHeaderBytes: o.MaxHeaderBytes,
		ReadHeaderTimeout: o.ReadHeader, ReadTimeout: o.Read, WriteTimeout: o.Write, IdleTimeout: o.Idle,
		ErrorLog: log.New(errorLog{o.Logger.Handler()}, "", 0),
	}}
}

const (
	// unheard is what net/http itself reads of a body that nobody asked for.
	unheard = 256 << 10
	// maxHeard bounds what is read of a body for the sake of its refusal.
	maxHeard = 64 << 20
)

// hearOut reads what a handler left of a body before its answer is sent, for so long, and no longer
// than a body may take. Most clients send all of a body before they read, and the system would
// take the answer from them with the connection. Who asks whether to send is answered instead, and
// HTTP/2 can stop one request alone. Of a body that says that it is too large for this nothing is
// read.
func hearOut(o ServerOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, watch := r.Body, clock.Start()
		o.Handler.ServeHTTP(w, r)
		long := r.ContentLength < 0 || r.ContentLength > unheard && r.ContentLength <= maxHeard
		if !long || r.ProtoMajor != 1 || r.Header[expect] != nil {
			return
		}
		wait, conn := min(o.Hear, o.Read-watch.Elapsed()), http.NewResponseController(w)
		if wait <= 0 || conn.SetReadDeadline(clock.System().Now().Add(wait)) != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, body, maxHeard); errors.Is(err, io.EOF) { // else it has its answer all the same
			_ = conn.SetReadDeadline(time.Time{}) // the answer may take its time
		}
	})
}

// expect is a header by which a client asks whether to send its body.
const expect = "Expect"

// errorLog takes what net/http has to say. Most of it is callers' doing, and for debugging; that
// no connection can be accepted, as where the system has no more files, or that a handler
// panicked, is not.
type errorLog struct{ handler slog.Handler }

func (l errorLog) Write(text []byte) (int, error) {
	level := slog.LevelDebug
	switch {
	case bytes.HasPrefix(text, []byte("http: Accept error")):
		level = slog.LevelWarn
	case bytes.HasPrefix(text, []byte("http: panic serving")):
		level = slog.LevelError
	}
	return slog.NewLogLogger(l.handler, level).Writer().Write(text)
}

func orElse[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}

// Listen opens the address and returns where it listens, which tells the port for port 0.
func (s *Server) Listen(ctx context.Context) (net.Addr, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.options.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", s.options.Address, err)
	}
	s.listener = &limitedListener{Listener: listener, slots: make(chan struct{}, s.options.MaxConnections), closed: make(chan struct{}),
		share: half(s.options.MaxConnections, s.options.Proxies), logger: s.options.Logger}
	return listener.Addr(), nil
}

// Serve answers requests until ctx ends, then accepts no more, finishes what it
// accepted within the grace, and returns. It requires Listen.
func (s *Server) Serve(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() {
		if s.options.TLS != nil {
			ended <- s.http.ServeTLS(s.listener, "", "")
			return
		}
		ended <- s.http.Serve(s.listener)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve %s: %w", s.options.Address, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.Grace)
	defer cancel()
	err := s.http.Shutdown(grace)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop serving %s: %w", s.options.Address, err), s.http.Close())
	}
	<-ended
	return err
}

// limitedListener accepts no more connections than it has slots, and of one address no more
// than half: whoever opens connections and says nothing would keep everybody else out.
type limitedListener struct {
	net.Listener
	slots  chan struct{}
	share  *share
	once   sync.Once
	closed chan struct{}
	logger *slog.Logger
	told   time.Time // when somebody's connections were said to be closed, last
}

// Accept waits for a slot, then for a connection.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err
		}
		if from := parseAddress(conn.RemoteAddr().String()); l.share.enter(from) {
			return &slotConn{Conn: conn, listener: l, from: from}, nil
		}
		_ = conn.Close() // nothing was said on it
		if now := clock.System().Now(); now.Sub(l.told).Abs() >= time.Minute {
			l.told = now
			l.logger.Warn("connections of one address are closed: it has half of all", "address", conn.RemoteAddr().String())
		}
	}
}

// Close stops accepting.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// slotConn gives its slot back once, when it is closed.
type slotConn struct {
	net.Conn
	once     sync.Once
	listener *limitedListener
	from     netip.Addr
}

func (c *slotConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.listener.share.leave(c.from)
		<-c.listener.slots
	})
	return err
}
