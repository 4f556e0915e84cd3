// Package program runs programs for tests, such as nodes of chains: on loopback, until the
// test ends or its process does, with what they printed when the test failed. And it asks
// them over JSON-RPC, in code of its own beside the one that is tested.
package program

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// Free returns an address on loopback for a program that cannot choose one itself, HOST:PORT.
// It stays bound, without anybody listening, until the test ends: the system gives it to
// nobody else who asks for any port, and still lets a program listen that names it and allows
// the address to be used again, as every server does.
func Free(t testing.TB) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) }) // nothing was written
	if err := errors.Join(syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
		syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(at.(*syscall.SockaddrInet4).Port))
}

// Root returns the folder above the test that has a file.
func Root(t testing.TB, file string) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, file)); err == nil {
			return folder
		}
		if folder == filepath.Dir(folder) {
			t.Fatalf("there is no %s above this test", file)
		}
		folder = filepath.Dir(folder)
	}
}

// mostLog bounds what is shown of what a program printed.
const mostLog = 8000

// Run starts a program, which prints into a file of a name in a folder of the test's.
func Run(t testing.TB, log string, command *exec.Cmd) *os.Process {
	t.Helper()
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = out, out
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
		_ = out.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log)
			t.Logf("%s: %s", filepath.Base(command.Path), text[max(0, len(text)-mostLog):])
		}
	})
	return command.Process
}

// pause is that of Await between two questions, of which it asks patience: for a minute.
const (
	pause    = 25 * time.Millisecond
	patience = 2400
)

// Await waits for something that a program becomes by itself.
func Await(t testing.TB, what string, is func() error) {
	t.Helper()
	var err error
	for range patience {
		if err = is(); err == nil {
			return
		}
		if err := clock.Wait(t.Context(), pause); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// RPC is where a program answers JSON-RPC.
type RPC struct {
	URL string
	// Client and Login may be nil: the usual one, and nobody asks who calls.
	Client *http.Client
	Login  func(*http.Request)
}

// longest bounds a call.
const longest = 2 * time.Minute

// Ask makes a call and reads its result into out, unless that is nil. Params are a list or an
// object; nil: an empty list.
func (r *RPC) Ask(out any, method string, params any) error {
	if params == nil {
		params = []any{}
	}
	var reply struct {
		Result json.RawMessage
		Error  any
	}
	err := r.Post("", map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, &reply)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", method, err)
	case reply.Error != nil:
		return fmt.Errorf("%s: %v", method, reply.Error)
	case out == nil:
		return nil
	}
	return json.Unmarshal(reply.Result, out)
}

// Post sends an object to a path below the URL and reads the answer.
func (r *RPC) Post(path string, what, out any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	if r.Login != nil {
		r.Login(q)
	}
	client := r.Client
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // only read
	if err := json.NewDecoder(answer.Body).Decode(out); err != nil {
		return fmt.Errorf("status %d: %w", answer.StatusCode, err)
	}
	return nil
}
