package link

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

// The system gives up a machine that confirms nothing, and sends to one of which nothing is heard.
func TestDial(t *testing.T) {
	listening, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listening.Close() }()
	conn, err := Dial(t.Context(), "tcp", listening.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(number uintptr) {
		for _, c := range []struct{ level, option, want int }{
			{syscall.IPPROTO_TCP, userTimeout, 20_000}, {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 5}, {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 5}, {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3},
		} {
			if got, err := syscall.GetsockoptInt(int(number), c.level, c.option); err != nil || got != c.want {
				t.Errorf("option %d is %d, want %d, %v", c.option, got, c.want, err)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// A server on this machine may be reached without TCP.
func TestDialSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	listening, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listening.Close() }()
	conn, err := Dial(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
