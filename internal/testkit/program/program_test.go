package program

import (
	"net"
	"testing"

	"github.com/scripcards/scrip/internal/testkit/check"
)

// An address that was given out is nobody else's, and a program can listen on it, again too.
func TestFree(t *testing.T) {
	at := Free(t)
	// More than twice as many as there are to choose from, one after the other.
	for range 70_000 {
		other, err := net.Listen("tcp", "127.0.0.1:0")
		check.OK(t, err)
		check.OK(t, other.Close())
		if other.Addr().String() == at {
			t.Fatalf("%s was given out again", at)
		}
	}
	for range 2 {
		listener, err := net.Listen("tcp", at)
		check.OK(t, err)
		caller, err := net.Dial("tcp", at)
		check.OK(t, err)
		check.OK(t, caller.Close())
		check.OK(t, listener.Close())
	}
}
