package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// A server that is asked to stop closes what is idle, finishes the request that it
// accepted, ends with status 0, and what it answered last is there at the next start.
func TestStop(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		server := at.start(t, "--demo")
		shop := newCaller(t, server.base, 1)
		card := shop.newCard(t, "10", "one")
		idle := dial(t, server.base)
		if got := idle.ask(t, request{path: "/healthz"}); got.StatusCode != http.StatusOK {
			t.Fatalf("status %d", got.StatusCode)
		}

		body := fmt.Sprintf(`{"cardNumber":%q,"amount":"4","currency":"USD","merchantTradeNo":"last"}`, card.CardNumber)
		busy := dial(t, server.base)
		busy.write(t, request{path: "/v1/pay/giftcard/redeem", body: body, expect: true}.head())
		if got := busy.read(t); got.StatusCode != http.StatusContinue { // it was accepted: the body is waited for
			t.Fatalf("status %d instead of 100", got.StatusCode)
		}
		if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if _, err := idle.in.ReadByte(); !errors.Is(err, io.EOF) { // the stop closes what is idle
			t.Fatalf("an idle connection ended with %v", err)
		}
		busy.write(t, body)
		var answer reply
		got := busy.read(t)
		if err := json.NewDecoder(got.Body).Decode(&answer); err != nil || got.StatusCode != http.StatusOK || answer.Status != "SUCCESS" {
			t.Fatalf("the accepted request was answered with %d %v %v", got.StatusCode, answer, err)
		}
		server.finished(t)

		again := at.start(t, "--demo")
		s := newCaller(t, again.base, 1).statement(t, card.CardNumber)
		if s.Balance != "6" || len(s.Transactions) != 2 {
			t.Errorf("after the next start: %+v", s)
		}
		again.stop(t)
	})
}

// A server that is asked to stop again, while it waits for a caller, ends at once and has
// lost nothing.
func TestStopAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		server := at.start(t, "--demo", "--read-timeout", "10m", "--shutdown-timeout", "10m")
		card := newCaller(t, server.base, 1).newCard(t, "10", "one")
		idle := dial(t, server.base)
		idle.ask(t, request{path: "/healthz"})
		busy := dial(t, server.base)
		busy.write(t, request{path: "/v1/pay/giftcard/redeem", body: "{}", expect: true}.head())
		if got := busy.read(t); got.StatusCode != http.StatusContinue {
			t.Fatalf("status %d instead of 100", got.StatusCode)
		}
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		for deadline := time.After(patience); ; {
			_ = server.cmd.Process.Signal(syscall.SIGTERM)             // it may have ended
			if _, err := idle.in.ReadByte(); !errors.Is(err, io.EOF) { // it has heard the first
				t.Fatalf("an idle connection ended with %v", err)
			}
			select {
			case <-server.ended:
				restarted := at.start(t, "--demo")
				if s := newCaller(t, restarted.base, 1).statement(t, card.CardNumber); s.Balance != "10" {
					t.Errorf("after the next start: %+v", s)
				}
				restarted.stop(t)
				return
			case <-again.C:
			case <-deadline:
				t.Fatalf("the server did not end within %s", patience)
			}
		}
	})
}

// A server that is asked to stop, while its database is held up by somebody else, waits no
// longer than it was told to, and loses nothing.
func TestStopWithoutDatabase(t *testing.T) {
	if !slices.Contains(testkit.Engines(), "postgres") {
		t.Skip("no PostgreSQL is at hand")
	}
	at := newInstallation(t, "postgres")
	server := at.start(t, "--demo", "--shutdown-timeout", "1s")
	card := newCaller(t, server.base, 1).newCard(t, "10", "one")
	release, held := hold(t, at.database)
	defer func() { _ = release() }()
	if held != nil {
		t.Fatal(held)
	}
	body := fmt.Sprintf(`{"cardNumber":%q,"amount":"4","currency":"USD","merchantTradeNo":"last"}`, card.CardNumber)
	busy := dial(t, server.base)
	busy.write(t, request{path: "/v1/pay/giftcard/redeem", body: body, expect: true}.head())
	if got := busy.read(t); got.StatusCode != http.StatusContinue {
		t.Fatalf("status %d instead of 100", got.StatusCode)
	}
	busy.write(t, body)
	if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.ended:
	case <-time.After(patience):
		t.Fatalf("the server did not end within %s", patience)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	again := at.start(t, "--demo")
	if s := newCaller(t, again.base, 1).statement(t, card.CardNumber); s.Balance != "10" && s.Balance != "6" {
		t.Errorf("after the next start: %+v", s)
	}
	again.stop(t)
}

// hold keeps everybody else from writing to the books, until it is told to release them.
func hold(t *testing.T, url string) (release func() error, err error) {
	t.Helper()
	db := testkit.Open(t, storage.Config{URL: url})
	held, free, ended := make(chan error, 1), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			err := tx.LockTables(ctx, []storage.Table{{Name: "ledger_books"}}) // of more than one, the server may be in the way
			held <- err
			<-free
			return err
		})
	}()
	return sync.OnceValue(func() error {
		close(free)
		return <-ended
	}), <-held
}

// A server whose terminal is closed stops as one that is asked to.
func TestHangup(t *testing.T) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP) // so that the server does not begin with it ignored
	defer signal.Stop(heard)
	server := newInstallation(t, "sqlite").start(t, "--demo")
	newCaller(t, server.base, 1).newCard(t, "10", "one")
	if err := server.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	server.finished(t)
}

// A server goes on when whoever read its log has left, and stops well.
func TestLogWithoutReader(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = write.Close() }() // the server has its own
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := newInstallation(t, "sqlite").command(t, "serve", "--listen", "127.0.0.1:0", "--demo", "--log-level", "debug")
	cmd.Stderr = write
	server := launch(t, cmd)
	server.await(t)
	newCaller(t, server.base, 1).newCard(t, "10", "one")
	server.stop(t)
}

// connection is one connection, written to and read by hand.
type connection struct {
	net.Conn
	host string
	in   *bufio.Reader
}

func dial(t *testing.T, base string) *connection {
	t.Helper()
	host := strings.TrimPrefix(base, "http://")
	c, err := net.DialTimeout("tcp", host, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the server may have closed it
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &connection{c, host, bufio.NewReader(c)}
}

// request is a GET, or a POST when it has a body.
type request struct {
	path, body string
	expect     bool // asks whether the body is wanted before it is sent
}

func (r request) head() string {
	if r.body == "" {
		return "GET " + r.path + " HTTP/1.1\r\nHost: scrip.example\r\n\r\n"
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: scrip.example\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n",
		r.path, demoKey, len(r.body))
	if r.expect {
		head += "Expect: 100-continue\r\n"
	}
	return head + "\r\n"
}

func (c *connection) write(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func (c *connection) read(t *testing.T) *http.Response {
	t.Helper()
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// ask sends a request and reads the whole answer.
func (c *connection) ask(t *testing.T, r request) *http.Response {
	t.Helper()
	c.write(t, r.head()+r.body)
	answer := c.read(t)
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer
}
