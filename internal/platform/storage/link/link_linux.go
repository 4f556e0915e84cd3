package link

import (
	"errors"
	"strings"
	"syscall"
)

// userTimeout is TCP_USER_TIMEOUT (RFC 5482), in milliseconds.
const userTimeout = 0x12

func control(network, _ string, c syscall.RawConn) (err error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	outer := c.Control(func(number uintptr) {
		err = syscall.SetsockoptInt(int(number), syscall.IPPROTO_TCP, userTimeout, int(vanished.Milliseconds()))
	})
	return errors.Join(outer, err)
}
