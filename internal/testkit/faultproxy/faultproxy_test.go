package faultproxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo starts a server that says what it hears.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

func say(t *testing.T, address, text string) (net.Conn, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(conn, text)
	return conn, err
}

// The kinds of our own do to the bytes what they say, and the proxy behaves again
// when it is restored.
func TestKinds(t *testing.T) {
	p := New(t, echo(t))
	hear := func(text string, length int) []byte {
		t.Helper()
		conn, err := say(t, p.Addr(), text)
		if err != nil {
			t.Fatal(err)
		}
		heard := make([]byte, length)
		if _, err := io.ReadFull(conn, heard); err != nil {
			t.Fatal(err)
		}
		return heard
	}
	if heard := hear("hello", 5); string(heard) != "hello" {
		t.Errorf("behaving: %q", heard)
	}
	p.Add(t, Garbage, nil)
	if heard := hear("hello", 5); string(heard) == "hello" {
		t.Error("no garbage")
	}
	p.Cut()
	p.Restore(t)
	p.Add(t, Flood, Attributes{"times": 1000})
	if heard := hear("hello", 5000); !bytes.Equal(heard, bytes.Repeat([]byte("hello"), 1000)) {
		t.Errorf("flood = %.40q…", heard)
	}
	p.Cut()
	p.Restore(t)
	if heard := hear("again", 5); string(heard) != "again" {
		t.Errorf("restored: %q", heard)
	}
}

// A proxy that is cut ends what is open and refuses what is new, and can be restored
// at the same address.
func TestCut(t *testing.T) {
	p := New(t, echo(t))
	conn, err := say(t, p.Addr(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an open connection outlived the cut: %v", err)
	}
	if _, err := say(t, p.Addr(), "x"); err == nil {
		t.Error("a new connection was taken")
	}
	p.Restore(t)
	if _, err := say(t, p.Addr(), "x"); err != nil {
		t.Error(err)
	}
}
