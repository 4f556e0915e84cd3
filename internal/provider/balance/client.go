package balance

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ping"
)

const (
	userAgent   = "Scrip-Balance/1"
	maxHeader   = 16 << 10
	idleTimeout = 90 * time.Second
)

// errNotLoopback: a plain connection would have left the machine.
var errNotLoopback = errors.New("not a loopback address")

type clientLimits struct {
	tls      *tls.Config
	timeout  time.Duration
	conns    int
	loopback bool // dial nothing else
}

// newClient returns a client that follows no redirect and knows no proxy.
func newClient(limits clientLimits) *http.Client {
	dialer := &net.Dialer{Timeout: limits.timeout}
	if limits.loopback {
		dialer.ControlContext = onlyLoopback
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        limits.tls,
			TLSHandshakeTimeout:    limits.timeout,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true,
			MaxConnsPerHost:        limits.conns,
			MaxIdleConnsPerHost:    limits.conns,
			IdleConnTimeout:        idleTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// onlyLoopback judges the address that is really dialled: a name may lead anywhere.
func onlyLoopback(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !to.Addr().IsLoopback() {
		return errNotLoopback
	}
	return nil
}

// request is how an inquiry becomes an HTTP request.
type request struct {
	method    string
	origin    string // "https://host:port"
	path      template
	query     template
	headers   map[string]template
	body      template
	form      []formField
	mediaType string // of the body; empty: there is none
	secrets   map[string]pan.Secret
	plain     bool // HTTP without TLS, on loopback
	timeout   time.Duration
	maxAnswer int64
	conns     int
}

// build fills in the templates.
func (r *request) build(ctx context.Context, inquiry ping.Inquiry) (*http.Request, error) {
	v := values{number: inquiry.Number, pin: inquiry.PIN, currency: inquiry.Currency.String(), secrets: r.secrets}
	url := append([]byte(r.origin), r.path.fill(v, escapePath)...)
	if len(r.query) > 0 {
		url = append(append(url, '?'), r.query.fill(v, escapeQuery)...)
	}
	var body io.Reader
	switch {
	case r.form != nil:
		body = bytes.NewReader(fillForm(r.form, v))
	case r.body != nil:
		body = bytes.NewReader(r.body.fill(v, escapeJSON))
	}
	out, err := http.NewRequestWithContext(ctx, r.method, string(url), body)
	if err != nil {
		return nil, unavailable("the request cannot be made")
	}
	out.Header.Set("User-Agent", userAgent)
	out.Header.Set("Accept", "application/json")
	if r.mediaType != "" {
		out.Header.Set("Content-Type", r.mediaType)
	}
	for name, value := range r.headers {
		out.Header.Set(name, string(value.fill(v, escapeNothing)))
	}
	return out, nil
}

// classify says in words of our own why there was no answer.
func classify(err error) string {
	var timeout net.Error
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var op *net.OpError
	switch {
	case errors.Is(err, errNotLoopback):
		return "the partner's address is not on this machine, and the connection has no TLS"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "the network did not answer in time"
	case errors.As(err, &dns):
		return "the partner's host name cannot be looked up"
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert):
		return "the TLS connection was refused"
	case errors.As(err, &op) && op.Op == "remote error":
		return "the TLS connection was refused" // the other side's alert
	case errors.As(err, &op) && op.Op == "dial":
		return "the partner's host cannot be reached"
	}
	return "the connection broke off, or what came is no HTTP"
}
