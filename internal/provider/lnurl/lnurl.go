// Package lnurl asks the services behind Lightning Addresses for invoices: LNURL-pay as
// LUD-06 and LUD-16 describe it.
//
// The host is a stranger's choice, and so is where it sends on to: each request leaves
// through a guard that looks at the IP address which is really dialled, over HTTPS alone,
// with a bounded answer and in bounded time. What is answered is not believed: whoever pays
// holds the invoice to what was asked for. It must never let the other side's text into an
// error.
package lnurl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/invoice"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/reply"
	"github.com/scripcards/scrip/internal/webhook"
)

// The bounds of one question.
const (
	maxBody      = 1 << 20
	maxHeader    = 16 << 10
	maxRedirects = 3
	maxMetadata  = 64 << 10
	timeout      = 10 * time.Second // of both requests together
	conns        = 4
)

// Client asks. It is safe for concurrent use.
type Client struct {
	guard  *webhook.Guard
	client *http.Client
}

// New returns a client that goes through guard and trusts roots, the system's when nil. It
// knows no proxy.
func New(guard *webhook.Guard, roots *x509.CertPool) *Client {
	c := &Client{guard: guard.Of("Lightning Address")}
	c.client = &http.Client{
		Timeout:       timeout,
		CheckRedirect: c.redirect,
		Transport: reply.Bounded{Transport: &http.Transport{
			DialContext:            guard.Dialer(timeout / 2).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    timeout / 2,
			MaxResponseHeaderBytes: maxHeader,
			MaxConnsPerHost:        conns,
			DisableCompression:     true,
			DisableKeepAlives:      true,
		}},
	}
	return c
}

var errRedirects = errors.New("lnurl: redirected too often")

// redirect follows few redirects, each to an address that may be asked.
func (c *Client) redirect(to *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errRedirects
	}
	_, err := c.guard.CheckURL(to.URL.String())
	return err
}

// terms are what a service answers first.
type terms struct {
	Status      string `json:"status"`
	Tag         string `json:"tag"`
	Callback    string `json:"callback"`
	MinSendable int64  `json:"minSendable"`
	MaxSendable int64  `json:"maxSendable"`
	Metadata    string `json:"metadata"`
}

// bill is what it answers to an amount.
type bill struct {
	Status  string `json:"status"`
	Invoice string `json:"pr"`
}

// refusal is the status of an answer that says no.
const refusal = "ERROR"

// Resolve implements payout.Resolver.
func (c *Client) Resolve(ctx context.Context, a payout.Ask) (payout.Offer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	first := url.URL{Scheme: "https", Host: a.Host, Path: "/.well-known/lnurlp/" + a.User}
	var t terms
	if err := c.get(ctx, first.String(), &t); err != nil {
		return payout.Offer{}, err
	}
	switch {
	case t.Status == refusal:
		return payout.Offer{}, fault.New(fault.InvalidRequest, "the service of the Lightning Address knows nobody of that name")
	case t.Tag != "payRequest" || t.MinSendable < 1 || t.MaxSendable < t.MinSendable || len(t.Metadata) > maxMetadata:
		return payout.Offer{}, fault.New(fault.Unavailable, "the service of the Lightning Address does not answer as LUD-06 wants")
	case a.MilliSatoshi < t.MinSendable || a.MilliSatoshi > t.MaxSendable:
		return payout.Offer{}, fault.New(fault.InvalidRequest, "the service of the Lightning Address takes %d to %d millisatoshis", t.MinSendable, t.MaxSendable)
	}
	callback, err := c.guard.CheckURL(t.Callback)
	if err != nil {
		return payout.Offer{}, fault.New(fault.InvalidRequest, "the service of the Lightning Address names an address that may not be asked")
	}
	query := callback.Query()
	query.Set("amount", strconv.FormatInt(a.MilliSatoshi, 10))
	callback.RawQuery = query.Encode()
	var b bill
	if err := c.get(ctx, callback.String(), &b); err != nil {
		return payout.Offer{}, err
	}
	if b.Status == refusal || b.Invoice == "" || len(b.Invoice) > invoice.MaxText {
		return payout.Offer{}, fault.New(fault.InvalidRequest, "the service of the Lightning Address gives no invoice")
	}
	return payout.Offer{Invoice: b.Invoice, Metadata: t.Metadata}, nil
}

// get reads one answer. Whatever goes wrong on the way is unavailable, but an address that
// may not be asked.
func (c *Client) get(ctx context.Context, address string, into any) error {
	if _, err := c.guard.CheckURL(address); err != nil {
		return fault.New(fault.InvalidRequest, "the host of the Lightning Address may not be asked")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fault.New(fault.InvalidRequest, "the Lightning Address has no address to ask")
	}
	request.Header.Set("Accept", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return fault.New(fault.Unavailable, "the service of the Lightning Address cannot be reached")
	}
	defer func() { _ = response.Body.Close() }() // the answer is read or given up by then
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return fault.New(fault.Unavailable, "the service of the Lightning Address answers too much, or breaks off")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fault.New(fault.Unavailable, "the service of the Lightning Address answers what is no JSON (status %d)", response.StatusCode)
	}
	return nil
}
