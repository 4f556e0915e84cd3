package wire

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T, o ServerOptions) (address string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	o.Address = "127.0.0.1:0"
	s := NewServer(o)
	at, err := s.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(cancel)
	return at.String(), func() error { cancel(); return <-done }
}

// Shutdown finishes what was accepted and accepts nothing more.
func TestGracefulShutdown(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	address, stop := start(t, ServerOptions{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		_, _ = io.WriteString(w, "finished")
	})})
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + address)
		if err != nil {
			got <- err.Error()
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		got <- fmt.Sprint(string(body), err)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until the listener is closed
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(leave)
	if body := <-got; body != "finished<nil>" {
		t.Errorf("got %q", body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

// Who sends all of a large body before it reads has the answer that refuses it, also where
// nothing was read of it; but nobody is heard for ever, and who asks first is answered first,
// unless part of its body was asked for.
func TestHearOut(t *testing.T) {
	b := setup(t, Options{}, nil)
	Handle(b.Surface, Spec{Name: "small", Method: "POST", Path: "/", Accept: "text/csv", MaxBody: 1 << 10}, func(context.Context, *Call[string], None) (None, error) { return None{}, nil })
	address, _ := start(t, ServerOptions{Handler: b.mount().mux, Hear: time.Minute})
	const large, endlessly = 20 << 20, int64(1) << 40
	for name, c := range map[string]struct {
		head        string
		sends       int64
		tail        string
		least, most int64 // that are taken
		unanswered  bool
		goOn        bool // is said first
	}{
		"all of it":      {head: fmt.Sprintf("Content-Length: %d", large), sends: large, least: large, most: large},
		"chunks":         {head: fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x", large+2), sends: large, tail: "\r\n0\r\n\r\n", least: large, most: large},
		"asks first":     {head: fmt.Sprintf("Content-Length: %d\r\nExpect: 100-continue", large)},
		"was asked for":  {head: fmt.Sprintf("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n%x", large+2), sends: large, tail: "\r\n0\r\n\r\n", least: large, most: large, goOn: true},
		"without an end": {head: fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x", endlessly), sends: endlessly, least: maxHeard, most: 2 * maxHeard, unanswered: true},
		"says too much":  {head: fmt.Sprintf("Content-Length: %d", endlessly), sends: endlessly, most: maxHeard / 2, unanswered: true},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nX-API-Key: alice\r\nContent-Type: text/csv\r\n"+c.head+"\r\n\r\n")
		sent, failed := io.CopyN(conn, endless{}, c.sends)
		if failed == nil {
			_, failed = io.WriteString(conn, c.tail)
		}
		if err != nil || (failed != nil) != c.unanswered || sent < c.least || sent > c.most {
			t.Errorf("%s: %d bytes were taken: %v, %v", name, sent, err, failed)
		}
		answers := bufio.NewReader(conn)
		resp, err := http.ReadResponse(answers, nil)
		if c.goOn && err == nil && resp.StatusCode == http.StatusContinue {
			resp, err = http.ReadResponse(answers, nil)
		}
		if failed == nil && (err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge) {
			t.Errorf("%s: answered with %v, %v", name, resp, err)
		}
		_ = conn.Close() // all was read
	}
}

// Who sends the rest of a refused body slowly is heard no longer than others, however long a
// body may take that is wanted: its answer waits no longer, nor does a shutdown.
func TestHearSlow(t *testing.T) {
	address, stop := start(t, ServerOptions{Hear: time.Millisecond, Read: time.Hour, Grace: time.Hour,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
	if resp, broken := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || broken != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("answered with %v: %v, %v", resp, err, broken)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// A route with a longer time of its own has it on the connection too, for callers who are
// known: a large body is read and the answer arrives after the server's own times are over.
func TestSlowRoute(t *testing.T) {
	b := setup(t, Options{}, nil)
	done := func(_ context.Context, c *Call[string], _ struct{}) (echoOut, error) {
		return echoOut{Text: fmt.Sprint(len(c.Body))}, nil
	}
	Handle(b.Surface, Spec{Name: "quick", Method: "POST", Path: "/v1/quick", Accept: "text/csv", MaxBody: 1 << 20}, done)
	Handle(b.Surface, Spec{Name: "slow", Method: "POST", Path: "/v1/slow", Accept: "text/csv", MaxBody: 1 << 20, Timeout: time.Minute}, done)
	b.mount()
	address, _ := start(t, ServerOptions{Handler: b.mux, Read: time.Nanosecond, Write: time.Nanosecond})
	for _, c := range []struct {
		path, key string
		want      string
	}{{"slow", "alice", `"text":"500000"`}, {"slow", "", ""}, {"quick", "alice", ""}} {
		r, err := http.NewRequest(http.MethodPost, "http://"+address+"/v1/"+c.path, strings.NewReader(strings.Repeat("a", 500_000)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", c.key)
		r.Header.Set("Content-Type", "text/csv")
		var got []byte
		if resp, err := http.DefaultClient.Do(r); err == nil {
			got, _ = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if !strings.Contains(string(got), c.want) || c.want == "" && len(got) > 0 {
			t.Errorf("%s of %q: got %q, want %q", c.path, c.key, got, c.want)
		}
	}
}

// A request that outlives the grace is cut off, and Serve says so.
func TestShutdownGrace(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	defer close(leave)
	address, stop := start(t, ServerOptions{Grace: time.Millisecond, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-leave
	})})
	go func() {
		resp, err := http.Get("http://" + address)
		if err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-entered
	if err := stop(); err == nil {
		t.Error("Serve did not report the request it cut off")
	}
}

// With one connection allowed, the second is served when the first ends.
func TestConnectionLimit(t *testing.T) {
	address, stop := start(t, ServerOptions{MaxConnections: 1, Handler: http.NotFoundHandler()})
	ask := func(conn net.Conn) int {
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if err != nil {
			t.Error(err)
			return 0
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Error(err)
			return 0
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	first, second := dial(), dial()
	if got := ask(first); got != 404 {
		t.Errorf("first %d", got)
	}
	answered := make(chan int, 1)
	go func() { answered <- ask(second) }()
	if got := ask(first); got != 404 { // a round trip during which the second must wait
		t.Errorf("first again %d", got)
	}
	select {
	case <-answered:
		t.Error("the second connection was served beside the first")
	default:
	}
	_ = first.Close()
	if got := <-answered; got != 404 {
		t.Errorf("second %d", got)
	}
	_ = second.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// callers is a listener that has connections of the addresses that it is told.
type callers chan net.Addr

func (c callers) Accept() (net.Conn, error) {
	from, open := <-c
	if !open {
		return nil, net.ErrClosed
	}
	conn, _ := net.Pipe()
	return &callerConn{conn, from}, nil
}

func (callers) Close() error   { return nil }
func (callers) Addr() net.Addr { return nil }

type callerConn struct {
	net.Conn
	from net.Addr
}

func (c *callerConn) RemoteAddr() net.Addr { return c.from }

// One address, of IPv6 its /64, has half of the connections at most: more of it are closed, and
// others come in. Trusted proxies and this machine may have all.
func TestConnectionsOfAnAddress(t *testing.T) {
	const most = 4
	for name, c := range map[string]struct {
		from []string // of those, the first two come in
		then string
		in   bool
	}{
		"one":           {[]string{"192.0.2.1", "192.0.2.1"}, "192.0.2.1", false},
		"another":       {[]string{"192.0.2.1", "192.0.2.1"}, "192.0.2.2", true},
		"IPv4 in IPv6":  {[]string{"192.0.2.1", "192.0.2.1"}, "::ffff:192.0.2.1", false},
		"one network":   {[]string{"2001:db8::1", "2001:db8::2"}, "2001:db8::3", false},
		"two networks":  {[]string{"2001:db8::1", "2001:db8::2"}, "2001:db8:0:1::1", true},
		"a proxy":       {[]string{"198.51.100.1", "198.51.100.1"}, "198.51.100.1", true},
		"this machine":  {[]string{"127.0.0.1", "127.0.0.1"}, "127.0.0.1", true},
		"this machine6": {[]string{"::1", "::1"}, "::1", true},
	} {
		var said bytes.Buffer
		came := make(callers, most)
		l := &limitedListener{Listener: came, slots: make(chan struct{}, most), closed: make(chan struct{}),
			share: half(most, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}), logger: slog.New(slog.NewTextHandler(&said, nil))}
		come := func(from string) net.Conn {
			came <- &net.TCPAddr{IP: net.ParseIP(from), Port: 1024}
			came <- &net.TCPAddr{IP: net.ParseIP("203.0.113.9"), Port: 1024} // who comes in where the other did not
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if conn.RemoteAddr().String() == "203.0.113.9:1024" {
				_ = conn.Close()
				return nil
			}
			<-came
			return conn
		}
		first, second := come(c.from[0]), come(c.from[1])
		if first == nil || second == nil {
			t.Fatalf("%s: the first two are closed", name)
		}
		for range 2 { // what is closed keeps no place
			third := come(c.then)
			if (third != nil) != c.in {
				t.Errorf("%s: a third comes in: %t", name, third != nil)
			}
			if third != nil {
				_ = third.Close()
			}
		}
		_ = first.Close()
		_ = first.Close() // gives its place back once
		if come(c.then) == nil || come(c.then) != nil && !c.in {
			t.Errorf("%s: the place of the first is not that of one more", name)
		}
		if told := strings.Count(said.String(), "connections of one address are closed"); (told == 1) == c.in || told > 1 {
			t.Errorf("%s: the log tells %d times of it", name, told)
		}
		if n := len(l.slots); c.in && n != 3 || !c.in && n != 2 {
			t.Errorf("%s: %d slots are taken", name, n)
		}
	}
}

// What net/http has to say is for debugging, but for panics and what keeps it from accepting.
func TestErrorLog(t *testing.T) {
	var out strings.Builder
	said := errorLog{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})}
	for text, level := range map[string]string{
		"http: Accept error: accept tcp 127.0.0.1:8420: accept4: too many open files; retrying in 5ms\n": "WARN",
		"http: panic serving 127.0.0.1:40000: broken\ngoroutine 1 [running]:\n":                          "ERROR",
		"http: TLS handshake error from 127.0.0.1:40000: EOF\n":                                          "DEBUG",
	} {
		out.Reset()
		if _, err := said.Write([]byte(text)); err != nil || !strings.Contains(out.String(), "level="+level+" ") {
			t.Errorf("%q is logged as %q, %v", text, out.String(), err)
		}
	}
}

// A panic of a handler that nobody else tells of is in the log.
func TestPanicIsLogged(t *testing.T) {
	out := make(lines, 1)
	logger := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelError}))
	address, _ := start(t, ServerOptions{Logger: logger, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken") })})
	if resp, err := http.Get("http://" + address); err == nil {
		_ = resp.Body.Close()
		t.Error("it was answered")
	}
	select {
	case line := <-out:
		if !strings.Contains(line, "broken") {
			t.Errorf("logged %q", line)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing is logged")
	}
}

// lines hands on what is written to it.
type lines chan string

func (l lines) Write(text []byte) (int, error) {
	l <- string(text)
	return len(text), nil
}

// An address that is taken is told with its name.
func TestListenError(t *testing.T) {
	address, _ := start(t, ServerOptions{Handler: http.NotFoundHandler()})
	if _, err := NewServer(ServerOptions{Address: address}).Listen(context.Background()); err == nil {
		t.Error("listened twice")
	}
}

// Links begin with the configured address, else with the host that was asked for, else,
// where HTTP/1.0 named none, with the address at which the request came in.
func TestPublicURL(t *testing.T) {
	address, _ := start(t, ServerOptions{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, PublicURL(r.URL.Query().Get("configured"), r))
	})})
	for request, want := range map[string]string{
		"GET / HTTP/1.0\r\n\r\n":                                             "http://" + address,
		"GET / HTTP/1.0\r\nHost: cards.example\r\n\r\n":                      "http://cards.example",
		"GET / HTTP/1.1\r\nHost: cards.example\r\nConnection: close\r\n\r\n": "http://cards.example",
		"GET /?configured=https://cards.example HTTP/1.0\r\n\r\n":            "https://cards.example",
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		_ = conn.Close()
		if _, got, _ := strings.Cut(string(answer), "\r\n\r\n"); got != want || err != nil {
			t.Errorf("%q: %q %v, want %q", request, got, err, want)
		}
	}
	secure := httptest.NewRequest(http.MethodGet, "https://cards.example/", nil)
	if got := PublicURL("", secure); got != "https://cards.example" {
		t.Errorf("over TLS: %q", got)
	}
}
