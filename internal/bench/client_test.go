package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// dialTest connects to a server with a timeout that no test is meant to reach.
func dialTest(t testing.TB, base string, timeout time.Duration) *conn {
	t.Helper()
	target, err := newTarget(context.Background(), base, timeout)
	if err != nil {
		t.Fatal(err)
	}
	c, err := target.dialLean(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.close() })
	return c
}

func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// zoo answers in every way that a server of the standard library can.
func zoo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/base/echo":
		w.Header().Set("X-Seen", r.Header.Get("X-One")+r.Header.Get("X-Two"))
		fmt.Fprintf(w, "%s %s?%s %s %d %s", r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("X-One"), r.ContentLength, body)
	case "/base/chunked":
		for range 5 {
			_, _ = w.Write(body)
			w.(http.Flusher).Flush()
		}
	case "/base/trailers":
		w.Header().Set("Trailer", "X-End")
		_, _ = w.Write(body)
		w.(http.Flusher).Flush()
		w.Header().Set("X-End", "yes")
	case "/base/hints":
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte("made"))
	case "/base/large":
		_, _ = w.Write(bytes.Repeat([]byte("0123456789"), 1<<19))
	case "/base/close":
		w.Header().Set("Connection", "close")
		_, _ = w.Write([]byte("bye"))
	case "/base/nothing":
		w.WriteHeader(http.StatusNoContent)
	case "/base/empty":
	case "/base/error":
		http.Error(w, "no", http.StatusTeapot)
	}
}

// The client and a server of the standard library understand each other, many answers on one connection.
func TestClientAgainstServer(t *testing.T) {
	connections := map[string]bool{}
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		connections[r.RemoteAddr] = true
		zoo(w, r)
	})
	c := dialTest(t, base+"/base/", time.Minute)
	big := bytes.Repeat([]byte("b"), 3<<20)
	cases := []struct {
		request Request
		status  int
		body    string
	}{
		{Request{Method: "GET", Path: "/echo?a=b%20c", Headers: []Header{{"X-One", "1"}}}, 200, "GET /base/echo?a=b%20c 1 0 "},
		{Request{Method: "POST", Path: "/echo", Body: []byte(`{"a":1}`)}, 200, `POST /base/echo?  7 {"a":1}`},
		{Request{Method: "POST", Path: "/echo"}, 200, "POST /base/echo?  0 "},
		{Request{Method: "POST", Path: "/chunked", Body: []byte("piece")}, 200, "piecepiecepiecepiecepiece"},
		{Request{Method: "POST", Path: "/trailers", Body: []byte("x")}, 200, "x"},
		{Request{Method: "GET", Path: "/hints"}, 201, "made"},
		{Request{Method: "GET", Path: "/large"}, 200, strings.Repeat("0123456789", 1<<19)},
		{Request{Method: "POST", Path: "/chunked", Body: big}, 200, strings.Repeat(string(big), 5)},
		{Request{Method: "HEAD", Path: "/large"}, 200, ""},
		{Request{Method: "GET", Path: "/nothing"}, 204, ""},
		{Request{Method: "GET", Path: "/empty"}, 200, ""},
		{Request{Method: "GET", Path: "/error"}, 418, "no\n"},
		{Request{Method: "GET", Path: "/close"}, 200, "bye"},
	}
	for i, k := range cases {
		got, err := c.do(&k.request)
		if err != nil {
			t.Fatalf("%s %s: %v", k.request.Method, k.request.Path, err)
		}
		if got.Status != k.status || string(got.Body) != k.body {
			t.Errorf("%s %s = %d with %d bytes %.60q, want %d with %d bytes %.60q", k.request.Method, k.request.Path, got.Status, len(got.Body), got.Body, k.status, len(k.body), k.body)
		}
		if got.Closed != (i == len(cases)-1) {
			t.Errorf("%s %s: closed = %t", k.request.Method, k.request.Path, got.Closed)
		}
	}
	if len(connections) != 1 {
		t.Errorf("%d connections were used, want one", len(connections))
	}
}

// answers is a server that says the given bytes to each connection and hangs up.
func answers(t testing.TB, text string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.WriteString(c, text)
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return "http://" + listener.Addr().String()
}

// Answers that a server of the standard library does not give are read as the standard says, or refused.
func TestClientAgainstBytes(t *testing.T) {
	long := strings.Repeat("x", maxHeaderLine)
	cases := []struct {
		name, text string
		want       string // status and body, or what the error has
		closed     bool
	}{
		{"until close", "HTTP/1.1 200 OK\r\n\r\nto the end", "200 to the end", true},
		{"version 1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 ok", true},
		{"version 1.0 kept", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", "200 ok", false},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "200 ok", false},
		{"bare line ends", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "200 ok", false},
		{"names in any case", "HTTP/1.1 200 OK\r\ncONTENT-lENGTH:  2 \r\n\r\nok", "200 ok", false},
		{"length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "200 ok", false},
		{"chunk extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nok\r\n0A \r\n0123456789\r\n0\r\nX: y\r\n\r\n", "200 ok0123456789", false},
		{"chunked over length", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200 ok", false},
		{"close among others", "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 0\r\n\r\n", "200 ", true},
		{"more than asked", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "200 ", true},
		{"continue first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 ok", false},
		{"nothing", "", "unexpected EOF", false},
		{"half a line", "HTTP/1.1 2", "unexpected EOF", false},
		{"half a header", "HTTP/1.1 200 OK\r\nContent-", "unexpected EOF", false},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "unexpected EOF", false},
		{"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", "unexpected EOF", false},
		{"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "unexpected EOF", false},
		{"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n", "malformed status line", false},
		{"version 2", "HTTP/2.0 200 OK\r\n\r\n", "malformed status line", false},
		{"status too long", "HTTP/1.1 2000 OK\r\n\r\n", "malformed status line", false},
		{"status of letters", "HTTP/1.1 abc OK\r\n\r\n", "malformed status line", false},
		{"status below 100", "HTTP/1.1 099 OK\r\n\r\n", "malformed status line", false},
		{"header without colon", "HTTP/1.1 200 OK\r\nnothing\r\n\r\n", "malformed header", false},
		{"folded header", "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n", "malformed header", false},
		{"space before colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", "malformed header", false},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n", "malformed header", false},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", "malformed header", false},
		{"huge length", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "longer than", false},
		{"huge chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", "longer than", false},
		{"negative chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n", "malformed chunk", false},
		{"chunk too long", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokok\r\n0\r\n\r\n", "does not end where", false},
		{"gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "unknown transfer encoding", false},
		{"long header", "HTTP/1.1 200 OK\r\nA: " + long + "\r\n\r\n", "longer than", false},
		{"many headers", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxHeaders+1) + "\r\n", "more than", false},
		{"many trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("A: b\r\n", maxHeaders+1) + "\r\n", "more than", false},
		{"only interim", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", maxHeaders+1), "interim", false},
		{"other protocol", "HTTP/1.1 101 Switching\r\n\r\n", "switched", false},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			got, err := dialTest(t, answers(t, k.text), time.Minute).do(&Request{Method: "GET", Path: "/"})
			if err != nil {
				if !strings.Contains(err.Error(), k.want) {
					t.Errorf("error %v, want %q", err, k.want)
				}
				return
			}
			if text := fmt.Sprintf("%d %s", got.Status, got.Body); text != k.want || got.Closed != k.closed {
				t.Errorf("%q, closed %t; want %q, %t", text, got.Closed, k.want, k.closed)
			}
		})
	}
}

// A server that does not answer costs a request its timeout, and the caller's end wakes it at once.
func TestClientGivesUp(t *testing.T) {
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	base := serve(t, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	})
	t.Cleanup(func() { close(release) }) // before the server is closed
	hasty := dialTest(t, base, time.Hour)
	hasty.target.timeout = time.Millisecond // connecting may take longer
	_, err := hasty.do(&Request{Method: "GET", Path: "/"})
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("error %v, want a timeout", err)
	}
	target, err := newTarget(context.Background(), base, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c, err := target.dialLean(ctx)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := c.do(&Request{Method: "GET", Path: "/"}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v, want %v", err, net.ErrClosed)
	}
}

// Load is put on this machine only.
func TestTarget(t *testing.T) {
	good := map[string]string{
		"http://127.0.0.1:8080": "127.0.0.1:8080", "http://127.9.9.9:1/a/": "127.9.9.9:1", "http://[::1]:80": "[::1]:80",
		"http://127.0.0.1": "127.0.0.1:80", "http://[::ffff:127.0.0.1]:9": "127.0.0.1:9",
	}
	for base, addr := range good {
		if got, err := newTarget(context.Background(), base, time.Second); err != nil || got.addr != addr {
			t.Errorf("%s = %v, %v; want %s", base, got, err, addr)
		}
	}
	if got, err := newTarget(context.Background(), "http://localhost:7", time.Second); err != nil || !strings.HasSuffix(got.addr, ":7") {
		t.Errorf("localhost = %v, %v", got, err)
	}
	for _, base := range []string{"", "127.0.0.1:80", "https://127.0.0.1", "http://10.0.0.1", "http://0.0.0.0:80", "http://[::]:80", "http://192.0.2.1:80",
		"http://scrip.example", "http://localhost.scrip.example", "http://u:p@127.0.0.1", "http://127.0.0.1?a", "http://127.0.0.1#a", "http://[fe80::1%25lo]:1", "http://2130706433"} {
		if got, err := newTarget(context.Background(), base, time.Second); err == nil {
			t.Errorf("%s was taken as %s", base, got.addr)
		}
	}
}

// FuzzAnswer: no bytes make the reader panic, and what it reads is what the standard library reads.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.0 404 No\r\n\r\nrest",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nA: b\r\n\r\n", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 N\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := &conn{in: bufio.NewReaderSize(bytes.NewReader(text), maxHeaderLine)}
		h, err := c.readFinal()
		if err == nil {
			err = c.readBody("GET", &h)
		}
		if err != nil {
			return
		}
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), &http.Request{Method: "GET"})
		if err != nil || response.StatusCode < 200 {
			return
		}
		body, err := io.ReadAll(response.Body)
		if err == nil && (response.StatusCode != h.status || !bytes.Equal(body, c.body)) {
			t.Errorf("read %d %q, the standard library %d %q", h.status, c.body, response.StatusCode, body)
		}
	})
}

// BenchmarkClient compares this client with the standard library's, one caller on one connection.
func BenchmarkClient(b *testing.B) {
	base := serve(b, NoopHandler().ServeHTTP)
	body := []byte(`{"cardNumber":"GC1234567890123456","amount":"0.01","currency":"USD","merchantTradeNo":"a1"}`)
	b.Run("lean", func(b *testing.B) {
		c := dialTest(b, base, time.Minute)
		b.ReportAllocs()
		for b.Loop() {
			got, err := c.do(&Request{Method: "POST", Path: NoopPath, Body: body, Headers: []Header{{"X-API-Key", "key"}, {"Content-Type", "application/json"}}})
			if err != nil || got.Status != 200 {
				b.Fatal(got.Status, err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		transport := &http.Transport{}
		client := &http.Client{Transport: transport}
		defer transport.CloseIdleConnections()
		b.ReportAllocs()
		for b.Loop() {
			request, err := http.NewRequest("POST", base+NoopPath, bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			request.Header.Set("X-API-Key", "key")
			request.Header.Set("Content-Type", "application/json")
			response, err := client.Do(request)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				b.Fatal(err)
			}
			_ = response.Body.Close()
		}
	})
}
