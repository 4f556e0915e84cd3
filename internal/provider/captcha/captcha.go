// Package captcha asks a captcha service whether a person gave an answer: reCAPTCHA (the
// checkbox, version 2), hCaptcha or Turnstile.
//
// An answer passes only when the service says so: silence, a broken answer and a wrong
// secret refuse it as much as a no. Each call asks once, in bounded time and memory.
// The services let an answer pass once. The secret, the answer and the visitor's address
// go to the service alone, and into no error.
package captcha

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
)

// Kind names a service.
type Kind string

// The services.
const (
	ReCAPTCHA Kind = "recaptcha"
	HCaptcha  Kind = "hcaptcha"
	Turnstile Kind = "turnstile"
)

// Config is an account with a service.
type Config struct {
	Kind Kind
	// SiteKey is in the page; Secret is the service's and ours.
	SiteKey string
	Secret  pan.Secret
	// Endpoint is where answers are verified, https, or http on this machine; empty: the
	// service's own.
	Endpoint string
	// Timeout bounds one question; 0: five seconds.
	Timeout time.Duration
}

// Bounds of what is sent and read, in bytes.
const (
	maxKey    = 256
	maxAnswer = 8 << 10
	maxReply  = 64 << 10
	maxIdle   = 8 // connections
	maxActive = 64
	shortest  = 10 * time.Millisecond
	longest   = time.Minute
	usual     = 5 * time.Second
)

// Captcha is one account. It is safe for concurrent use.
type Captcha struct {
	service  service
	siteKey  string
	secret   pan.Secret
	endpoint string
	client   *http.Client
}

// Open returns the account that c describes, without calling anybody. It returns the
// fault invalid_request with the field to blame.
func Open(c Config) (*Captcha, error) {
	wrong := func(field, text string) error { return fault.New(fault.InvalidRequest, "captcha: %s", text).At(field) }
	s, ok := services[c.Kind]
	if !ok {
		return nil, wrong("kind", "want recaptcha, hcaptcha or turnstile")
	}
	if c.SiteKey == "" || len(c.SiteKey) > maxKey || strings.ContainsFunc(c.SiteKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, wrong("site_key", "want the site key that the service gave")
	}
	if c.Secret.IsZero() || len(c.Secret.Reveal()) > maxKey {
		return nil, wrong("secret", "want the secret that the service gave")
	}
	if c.Endpoint == "" {
		c.Endpoint = s.endpoint
	}
	if !isEndpoint(c.Endpoint) {
		return nil, wrong("endpoint", "want an https URL without credentials, a query or a fragment")
	}
	if c.Timeout == 0 {
		c.Timeout = usual
	}
	if c.Timeout < shortest || c.Timeout > longest {
		return nil, wrong("timeout", fmt.Sprintf("want %s to %s", shortest, longest))
	}
	transport := &http.Transport{MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdle, MaxConnsPerHost: maxActive,
		IdleConnTimeout: longest, MaxResponseHeaderBytes: maxReply, ForceAttemptHTTP2: true}
	client := &http.Client{Transport: transport, Timeout: c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // the secret stays with the service
	return &Captcha{service: s, siteKey: c.SiteKey, secret: c.Secret, endpoint: c.Endpoint, client: client}, nil
}

// isEndpoint reports whether a secret may be sent to an address.
func isEndpoint(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && err == nil && ip.IsLoopback()
}

// Verify returns nil when the service says that a person gave the answer. address is
// the visitor's IP address, with or without a port; the service is told only what is one.
// It returns invalid_request for an answer that is missing, wrong, used or too old, and
// unavailable when the service did not say.
func (c *Captcha) Verify(ctx context.Context, answer, address string) error {
	if answer == "" || len(answer) > maxAnswer {
		return errWrong()
	}
	form := url.Values{"secret": {c.secret.Reveal()}, "response": {answer}}
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	if ip, err := netip.ParseAddr(address); err == nil {
		form.Set("remoteip", ip.Unmap().WithZone("").String())
	}
	if c.service.kind == HCaptcha { // which compares it with the answer's
		form.Set("sitekey", c.siteKey)
	}
	said, err := c.ask(ctx, form)
	switch {
	case err != nil:
		return err
	case said.Success:
		return nil
	case slices.ContainsFunc(said.Codes, isOurs):
		return silent(fmt.Errorf("it refuses the account: %s", codes(said.Codes)))
	}
	return errWrong()
}

// reply is what all services answer with; the rest of it does not matter.
type reply struct {
	Success bool     `json:"success"`
	Codes   []string `json:"error-codes"`
}

func (c *Captcha) ask(ctx context.Context, form url.Values) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return reply{}, silent(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return reply{}, silent(err)
	}
	defer func() { _ = response.Body.Close() }() // read, or given up
	if response.StatusCode != http.StatusOK {
		return reply{}, silent(fmt.Errorf("it answers with status %d", response.StatusCode))
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err != nil {
		return reply{}, silent(err)
	}
	var said reply
	if len(text) > maxReply || json.Unmarshal(text, &said) != nil { // its text may hold anything
		return reply{}, silent(fmt.Errorf("its answer is no JSON of at most %d bytes", maxReply))
	}
	return said, nil
}

// isOurs says whether a code is about the account and not about the answer.
func isOurs(code string) bool {
	return slices.Contains([]string{"missing-input-secret", "invalid-input-secret", "bad-request", "internal-error",
		"sitekey-secret-mismatch", "not-using-dummy-secret", "invalid-keys"}, code)
}

// codes writes what a service said into an error, as far as it is codes.
func codes(all []string) string {
	known := slices.DeleteFunc(slices.Clone(all), func(code string) bool { return !isOurs(code) })
	return strings.Join(known, ", ")
}

func errWrong() error {
	return fault.New(fault.InvalidRequest, "the answer to the captcha is missing, wrong, used or too old").At("captcha")
}

// silent is the fault of a service that did not say. The URL in an error of net/http is the endpoint's.
func silent(err error) error {
	return fault.Wrap(fmt.Errorf("ask the captcha service: %w", err), fault.Unavailable, "the captcha service gives no answer")
}

// Demo stands for a service where nobody is to be kept out: one answer passes.
type Demo struct{}

// DemoAnswer is the answer that passes.
const DemoAnswer = "demo"

// Verify returns nil for the answer that passes, and invalid_request for others.
func (Demo) Verify(_ context.Context, answer, _ string) error {
	if answer != DemoAnswer {
		return errWrong()
	}
	return nil
}
