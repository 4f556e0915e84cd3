package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"html"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/reply"
	"github.com/scripcards/scrip/internal/platform/telemetry"
	"github.com/scripcards/scrip/internal/webhook/pace"
)

const (
	userAgent = "Scrip-Webhooks/1"
	// maxAnswer is what is kept of an answer, maxDrained what is read to use its connection again.
	maxAnswer  = 1 << 10
	maxDrained = 16 << 10
	maxHeader  = 16 << 10
	// maxRetryAfter bounds what an endpoint may ask for.
	maxRetryAfter = 24 * time.Hour
)

// Why an attempt got no 2xx answer, as kept in Attempt.Error.
const (
	ErrorStatus   = "status"   // another status
	ErrorRedirect = "redirect" // a 3xx status; redirects are never followed
	ErrorTimeout  = "timeout"
	ErrorRefused  = "refused" // the guard refused the address
	ErrorDNS      = "dns"
	ErrorTLS      = "tls"
	ErrorConnect  = "connect"
	ErrorProtocol = "protocol" // the answer is no HTTP, or broke off
)

// newClient returns a client that goes through guard, follows no redirect and knows no proxy.
func newClient(guard *Guard, config Config) *http.Client {
	dialer := guard.Dialer(config.Timeout / 2)
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: config.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    config.Timeout / 2,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    pace.Most,
		IdleConnTimeout:        30 * time.Second,
	}
	return &http.Client{
		Transport:     reply.Bounded{Transport: transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is how an endpoint took one request.
type answer struct {
	status     int    // 0: there was no answer
	class      string // empty: accepted
	latency    time.Duration
	excerpt    []byte
	retryAfter time.Duration
	cut        bool // the process is stopping: this says nothing about the endpoint
}

func (a *answer) accepted() bool { return a.class == "" && !a.cut }

// post sends one signed event. It returns within Config.Timeout.
func (s *Service) post(ctx context.Context, t *target, p *parcel) answer {
	limited, cancel := context.WithTimeout(ctx, s.Config.Timeout)
	defer cancel()
	request, err := s.request(limited, t, p)
	if err != nil {
		return answer{class: ErrorProtocol}
	}
	watch := clock.Start()
	response, err := s.client.Do(request)
	if err != nil {
		return answer{class: classify(err), latency: watch.Elapsed(), cut: ctx.Err() != nil}
	}
	defer func() { _ = response.Body.Close() }() // the answer is read or given up by then
	a := answer{status: response.StatusCode, retryAfter: retryAfter(response.Header.Get("Retry-After"), s.Clocks.Now(realm.Live))}
	var excerpt bytes.Buffer
	_, err = io.Copy(&excerpt, io.LimitReader(response.Body, maxAnswer+longestSecret))
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxDrained))
	}
	a.latency = watch.Elapsed()
	if p.event.Sensitive {
		a.excerpt = []byte(redacted) // it may say again what it was sent
	} else {
		a.excerpt = scrub(excerpt.Bytes(), t.secrets)
	}
	switch {
	case a.status >= 200 && a.status <= 299:
		// The status is the answer: what happens to the rest of the body does not matter.
	case err != nil:
		a.class, a.cut = classify(err), ctx.Err() != nil
	case a.status >= 300 && a.status <= 399:
		a.class = ErrorRedirect
	default:
		a.class = ErrorStatus
	}
	return a
}

func (s *Service) request(ctx context.Context, t *target, p *parcel) (*http.Request, error) {
	body := envelope(&p.event, t.scheme.TimeLayout)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(request.Header, t.scheme.Sign(Message{
		Delivery: p.delivery.ID, Type: p.event.Type, Body: body,
		At: s.Clocks.Now(realm.Live), Secrets: t.secrets,
	}))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", userAgent)
	return request, nil
}

// envelope is the body, the same on every attempt.
func envelope(e *Event, timeLayout string) []byte {
	body := make([]byte, 0, len(e.Data)+160)
	body = append(body, `{"id":`...)
	body = strconv.AppendQuote(body, string(e.ID))
	body = append(body, `,"type":`...)
	body = strconv.AppendQuote(body, e.Type)
	body = append(body, `,"created_at":`...)
	body = strconv.AppendQuote(body, e.At.Format(timeLayout))
	body = append(body, `,"data":`...)
	body = append(body, e.Data...)
	return append(body, '}')
}

const redacted = "[redacted]"

// longestSecret bounds a secret however it is written, in bytes: JSON takes six for a sign.
const longestSecret = 6 * MaxSecret

// scrub keeps out of the table a secret that the endpoint sent back, and what else it may
// have said that nobody must read. What is kept ends before a secret that it would break off:
// only with what follows is one known.
func scrub(excerpt []byte, secrets []pan.Secret) []byte {
	kept := clean(excerpt[:min(len(excerpt), maxAnswer)], secrets)
	if len(excerpt) <= maxAnswer {
		return []byte(kept)
	}
	whole, end := clean(excerpt, secrets), 0
	for end < min(len(whole), len(kept)) && whole[end] == kept[end] {
		end++
	}
	return []byte(kept[:end])
}

func clean(answer []byte, secrets []pan.Secret) string {
	text := string(answer)
	for _, secret := range secrets {
		for _, form := range writings(secret.Reveal()) {
			text = strings.ReplaceAll(text, form, redacted)
		}
	}
	return telemetry.Redact(text)
}

// writings are the ways in which an answer may repeat a text: as it is, in a URL, in HTML and
// as the usual encoders of JSON write it.
func writings(text string) []string {
	all := []string{text, url.QueryEscape(text), url.PathEscape(text), html.EscapeString(text)}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)
	for _, inJSON := range []string{quoted, strings.ReplaceAll(quoted, "/", `\/`)} {
		tags := strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(inJSON)
		all = append(all, inJSON, tags, strings.ReplaceAll(tags, "'", `\u0027`))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func classify(err error) string {
	var timeout net.Error
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var op *net.OpError
	switch {
	case errors.Is(err, errRefused):
		return ErrorRefused
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return ErrorTimeout
	case errors.As(err, &dns):
		return ErrorDNS
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert):
		return ErrorTLS
	case errors.As(err, &op) && op.Op == "remote error":
		return ErrorTLS // the other side's alert
	case errors.As(err, &op) && op.Op == "dial":
		return ErrorConnect
	}
	return ErrorProtocol
}

// retryAfter reads RFC 9110 section 10.2.3: seconds, or a time. What is malformed or past is 0.
func retryAfter(text string, now time.Time) time.Duration {
	if text == "" || len(text) > 64 {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
