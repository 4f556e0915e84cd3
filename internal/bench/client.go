package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// target is the server that is measured.
type target struct {
	addr    string // literal address and port
	host    string // for the Host header
	prefix  string // before every path
	timeout time.Duration
	client  Client
}

// newTarget reads a base URL. Load is only ever put on this machine: anything but http on
// a loopback address is refused.
func newTarget(ctx context.Context, base string, timeout time.Duration) (*target, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("base URL %q: want http://127.0.0.1:PORT", base)
	}
	addr, err := loopback(ctx, u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("base URL %q: %w", base, err)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return &target{addr: net.JoinHostPort(addr.String(), port), host: u.Host, prefix: strings.TrimSuffix(u.EscapedPath(), "/"), timeout: timeout}, nil
}

// loopback returns the address of host, every one of whose addresses must be this machine's own.
func loopback(ctx context.Context, host string) (netip.Addr, error) {
	addrs := make([]netip.Addr, 1)
	var err error
	if addrs[0], err = netip.ParseAddr(host); err != nil {
		// Another name could mean another address by the time of the call.
		if host != "localhost" {
			return netip.Addr{}, fmt.Errorf("%s is not a loopback address: load is only put on this machine", host)
		}
		if addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
			return netip.Addr{}, err
		}
	}
	for _, a := range addrs {
		if !a.Unmap().IsLoopback() {
			return netip.Addr{}, fmt.Errorf("%s is not a loopback address: load is only put on this machine", a)
		}
	}
	if len(addrs) == 0 {
		return netip.Addr{}, fmt.Errorf("%s has no address", host)
	}
	return preferIPv4(addrs).Unmap(), nil
}

func preferIPv4(addrs []netip.Addr) netip.Addr {
	for _, a := range addrs {
		if a.Unmap().Is4() {
			return a
		}
	}
	return addrs[0]
}

// caller is one worker's way to the server, used by one goroutine.
type caller interface {
	do(r *Request) (answer, error)
	close() error
}

// dial opens a connection, which ends when ctx does.
func (t *target) dial(ctx context.Context) (caller, error) {
	if t.client == Standard {
		return newStandard(ctx, t), nil
	}
	c, err := t.dialLean(ctx)
	if err != nil {
		return nil, err // not a caller that holds no connection
	}
	return c, nil
}

func (t *target) dialLean(ctx context.Context) (*conn, error) {
	dialer := net.Dialer{Timeout: t.timeout}
	c, err := dialer.DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return nil, err
	}
	return newConn(ctx, c, t), nil
}

// conn is one keep-alive connection of a client that does the least it can, so that a
// small machine measures the server and not the generator: about a quarter of the work
// of net/http (BenchmarkClient, the server's share taken off). It speaks HTTP/1.1
// (RFC 9112): Content-Length, chunked, bodies that end with the connection, interim
// answers. It is used by one goroutine.
type conn struct {
	net    net.Conn
	target *target
	in     *bufio.Reader
	out    []byte
	body   []byte

	deadline time.Duration // on watch
	watch    clock.Stopwatch
	forget   func() bool
}

// answer is one response. Body is valid until the next request.
type answer struct {
	Status int
	Body   []byte
	// Closed says that the connection cannot be used again.
	Closed bool
}

func newConn(ctx context.Context, c net.Conn, t *target) *conn {
	made := &conn{net: c, target: t, in: bufio.NewReaderSize(c, maxHeaderLine), watch: clock.Start()}
	made.forget = context.AfterFunc(ctx, func() { _ = c.Close() }) // wakes whoever waits on it
	return made
}

func (c *conn) close() error {
	c.forget()
	return c.net.Close()
}

// do sends r and reads its answer.
func (c *conn) do(r *Request) (answer, error) {
	if err := c.extend(); err != nil {
		return answer{}, err
	}
	if err := c.write(r); err != nil {
		return answer{}, err
	}
	head, err := c.readFinal()
	if err != nil {
		return answer{}, err
	}
	if err := c.readBody(r.Method, &head); err != nil {
		return answer{}, err
	}
	// What comes unasked would be taken for the next answer.
	return answer{Status: head.status, Body: c.body, Closed: head.close || c.in.Buffered() > 0}, nil
}

// extend moves the deadline when a quarter of the time is gone; doing it for each request costs too much.
func (c *conn) extend() error {
	now := c.watch.Elapsed()
	if c.deadline-now > c.target.timeout*3/4 {
		return nil
	}
	c.deadline = now + c.target.timeout
	return c.net.SetDeadline(clock.System().Now().Add(c.target.timeout))
}

func (c *conn) write(r *Request) error {
	out := append(c.out[:0], r.Method...)
	out = append(out, ' ')
	out = append(out, c.target.prefix...)
	out = append(out, r.Path...)
	out = append(out, " HTTP/1.1\r\nHost: "...)
	out = append(out, c.target.host...)
	out = append(out, '\r', '\n')
	for _, h := range r.Headers {
		out = append(out, h.Name...)
		out = append(out, ':', ' ')
		out = append(out, h.Value...)
		out = append(out, '\r', '\n')
	}
	if len(r.Body) > 0 || r.Method == "POST" || r.Method == "PUT" {
		out = append(out, "Content-Length: "...)
		out = strconv.AppendInt(out, int64(len(r.Body)), 10)
		out = append(out, '\r', '\n')
	}
	out = append(out, '\r', '\n')
	c.out = append(out, r.Body...)
	_, err := c.net.Write(c.out)
	return err
}

// Client is what sends the requests.
type Client string

// The clients. Standard is net/http's, which is what a Go program costs that calls
// Scrip; Lean does the least a client can, so that more of the machine is the server's.
// The ratio to the no-op is smaller with Lean: it has less of its own on both sides.
const (
	Standard Client = "net/http"
	Lean     Client = "lean"
)

// standard is net/http's client with one connection.
type standard struct {
	ctx    context.Context // the worker's: its end ends the request under way
	target *target
	client *http.Client
	body   bytes.Buffer
}

func newStandard(ctx context.Context, t *target) *standard {
	transport := &http.Transport{MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, DisableCompression: true}
	return &standard{ctx: ctx, target: t, client: &http.Client{Transport: transport, Timeout: t.timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (s *standard) do(r *Request) (answer, error) {
	request, err := http.NewRequestWithContext(s.ctx, r.Method, "http://"+s.target.addr+s.target.prefix+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return answer{}, err
	}
	request.Host = s.target.host
	for _, h := range r.Headers {
		request.Header.Set(h.Name, h.Value)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	s.body.Reset()
	_, err = io.Copy(&s.body, io.LimitReader(response.Body, maxBody))
	_ = response.Body.Close() // what was wanted of it is read
	return answer{Status: response.StatusCode, Body: s.body.Bytes()}, err
}

func (s *standard) close() error {
	s.client.CloseIdleConnections()
	return nil
}
