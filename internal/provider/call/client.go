// Package call is what adapters to somebody outside share: how their configurations are
// read, a client of HTTP with limits, and paths into an answer.
//
// The client follows no redirect and knows no proxy, keeps a bounded number of
// connections, and dials loopback addresses alone where it may speak without TLS. Paths
// find values as they are written, so that no number passes through a float.
//
// It must never let any text of the other side's into an error.
package call

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/scripcards/scrip/internal/platform/reply"
)

// MaxHeader bounds the header of an answer, in bytes.
const MaxHeader = 16 << 10

const idleTimeout = 90 * time.Second

// ErrNotLoopback says that a plain connection would have left the machine.
var ErrNotLoopback = errors.New("not a loopback address")

// Limits bound a client.
type Limits struct {
	TLS     *tls.Config
	Timeout time.Duration // of dialling and of the handshake, each
	Conns   int           // to one host
	// Loopback dials nothing else, however a name is looked up.
	Loopback bool
	// Fresh is a connection for every request: one that was kept may be gone, and then nobody
	// knows whether the request got through.
	Fresh bool
}

// NewClient returns a client that follows no redirect and knows no proxy.
func NewClient(limits Limits) *http.Client {
	dialer := &net.Dialer{Timeout: limits.Timeout}
	if limits.Loopback {
		dialer.ControlContext = onlyLoopback
	}
	return &http.Client{
		Transport: reply.Bounded{Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        limits.TLS,
			TLSHandshakeTimeout:    limits.Timeout,
			MaxResponseHeaderBytes: MaxHeader,
			DisableCompression:     true,
			DisableKeepAlives:      limits.Fresh,
			MaxConnsPerHost:        limits.Conns,
			MaxIdleConnsPerHost:    limits.Conns,
			IdleConnTimeout:        idleTimeout,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// onlyLoopback judges the address that is really dialled: a name may lead anywhere.
func onlyLoopback(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !to.Addr().IsLoopback() {
		return ErrNotLoopback
	}
	return nil
}

// Reason says in words of our own why there was no answer.
func Reason(err error) string {
	text, _ := why(err)
	return text
}

// Unreached reports whether an error without an answer says that nothing was sent, whatever
// it would have been: the host was not found, not reached, or refused the TLS connection.
func Unreached(err error) bool {
	_, unreached := why(err)
	return unreached
}

func why(err error) (text string, unreached bool) {
	var timeout net.Error
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var op *net.OpError
	dialling := errors.As(err, &op) && op.Op == "dial"
	switch {
	case errors.Is(err, ErrNotLoopback):
		return "the partner's address is not on this machine, and the connection has no TLS", true
	case errors.As(err, &timeout) && timeout.Timeout():
		return "the network did not answer in time", dialling
	case errors.As(err, &dns):
		return "the partner's host name cannot be looked up", true
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert):
		return "the TLS connection was refused", true
	case op != nil && op.Op == "remote error":
		return "the TLS connection was refused", true // the other side's alert
	case dialling:
		return "the partner's host cannot be reached", true
	}
	return "the connection broke off, or what came is no HTTP", false
}
