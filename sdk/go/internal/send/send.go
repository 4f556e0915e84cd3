// Package send is what the clients share: requests that are sent again where that is
// safe, under a credential that shows in no output, and their errors.
package send

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxAnswer bounds an answer, in bytes.
	MaxAnswer      = 4 << 20
	longestDelay   = 8 * time.Second
	mostRetries    = 10
	defaultBase    = "http://127.0.0.1:8420"
	userAgent      = "scrip-sdk-go/0.1.0"
	defaultRetry   = 3
	defaultDelay   = 500 * time.Millisecond
	defaultTimeout = 60 * time.Second
)

// API is what differs between the APIs.
type API struct {
	// Name begins the text of mistakes in the settings.
	Name string
	// Header is where the credential stands; Credential is what it is called.
	Header, Credential string
	// Variable of the environment says where the API is, unless the caller does.
	Variable string
	// Root is the path that all calls are below.
	Root string
	// Refusal reads code, message and request from a refusal's body; an empty code: it has none.
	Refusal func(raw []byte) (code, message, request string)
	// Final are codes that no waiting changes, whatever their status.
	Final string
}

// Options is how a client sends. The clients' own options explain the members.
type Options struct {
	BaseURL       string
	AllowHTTP     bool
	Transport     http.RoundTripper
	Timeout       time.Duration
	MaxRetries    int
	RetryDelay    time.Duration
	MaxRetryAfter time.Duration
}

// Sender sends requests, and sends those again that may be.
type Sender struct {
	// Wait waits between attempts.
	Wait func(context.Context, time.Duration) error

	api  API
	base string
	// authorize holds the credential where no formatting of a client finds it.
	authorize     func(http.Header)
	client        *http.Client
	retries       int
	delay         time.Duration
	maxRetryAfter time.Duration
}

// New returns a sender. It fails for options that cannot work.
func New(api API, credential string, o Options) (*Sender, error) {
	if credential == "" || strings.ContainsFunc(credential, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("%s: the %s is missing or has characters that none has", api.Name, api.Credential)
	}
	base, err := baseOf(api, o)
	if err != nil {
		return nil, err
	}
	if o.MaxRetries > mostRetries || o.Timeout < 0 || o.RetryDelay < 0 || o.MaxRetryAfter < 0 {
		return nil, fmt.Errorf("%s: at most %d retries, and no negative times", api.Name, mostRetries)
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 100, MaxIdleConnsPerHost: 16,
			IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second}
	}
	retries := max(0, o.MaxRetries)
	if o.MaxRetries == 0 {
		retries = defaultRetry
	}
	return &Sender{
		api: api, base: base, Wait: Wait,
		authorize: func(h http.Header) { h.Set(api.Header, credential) },
		client: &http.Client{Transport: o.Transport, Timeout: cmp.Or(o.Timeout, defaultTimeout),
			// A redirect would carry credential and card number to wherever it says.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		retries: retries, delay: cmp.Or(o.RetryDelay, defaultDelay), maxRetryAfter: cmp.Or(o.MaxRetryAfter, time.Minute),
	}, nil
}

// baseOf is where the API is, without its root and slashes at the end. Credentials go in
// the clear to this machine alone.
func baseOf(api API, o Options) (string, error) {
	u, err := url.Parse(cmp.Or(o.BaseURL, os.Getenv(api.Variable), defaultBase))
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New(api.Name + ": the base URL must be a scheme, a host and perhaps a path")
	}
	local := u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost" || u.Hostname() == "::1"
	if u.Scheme != "https" && (u.Scheme != "http" || !local && !o.AllowHTTP) {
		return "", errors.New(api.Name + ": the base URL must begin with https://, or AllowHTTP must be set")
	}
	return strings.TrimSuffix(strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), api.Root), nil
}

// Request is one call.
type Request struct {
	// Path is below the root and begins with a slash.
	Method, Path string
	// In is sent as JSON, nil for no body; the answer is decoded into Out, unless that is nil.
	In, Out any
	// Header has more headers; it may be nil.
	Header http.Header
	// Repeatable: sending it twice does what sending it once does.
	Repeatable bool
	// Keyed: it is sent under a key, and whoever sends it again gets its first answer.
	Keyed bool
}

// Segment makes an id a part of a path.
func Segment(id string) string { return "/" + url.PathEscape(id) }

// List is a list to be sent as what it is, none too: JSON's null would change nothing.
func List(texts *[]string) *[]string {
	if texts != nil && *texts == nil {
		return &[]string{}
	}
	return texts
}

// Send sends a request, with repetitions, and decodes a success. Its errors are *Error.
func (s *Sender) Send(ctx context.Context, r Request) (http.Header, error) {
	var body []byte
	if r.In != nil {
		var err error
		if body, err = json.Marshal(r.In); err != nil {
			return nil, fmt.Errorf("%s: encode the request: %w", s.api.Name, err)
		}
	}
	lost := false // an attempt that may have been carried out all the same
	for attempt := 0; ; attempt++ {
		header, failed := s.once(ctx, r, body)
		switch {
		case failed == nil:
			return header, nil
		case lost && !r.Keyed && r.Method == http.MethodDelete && failed.Status == http.StatusNotFound:
			return nil, nil // that attempt has done it
		case attempt >= s.retries || ctx.Err() != nil || !s.worthRepeating(failed, r.Repeatable):
			return nil, failed
		}
		lost = lost || failed.Status == 0 || failed.Status >= http.StatusInternalServerError
		if s.Wait(ctx, s.pause(attempt, failed)) != nil {
			return nil, failed
		}
	}
}

func (s *Sender) worthRepeating(e *Error, repeatable bool) bool {
	switch {
	case e.Code == s.api.Final, e.HasRetryAfter && time.Duration(e.RetryAfter) > s.maxRetryAfter/time.Second:
		return false
	case e.Code == CodeRateLimited:
		return true // limits come before any work: what was refused by one was not done
	case !repeatable:
		return false
	}
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.Code == CodeConnectionFailed
}

// pause is what the server asked for, or twice as long each time with half of it left to chance.
func (s *Sender) pause(attempt int, e *Error) time.Duration {
	if e.HasRetryAfter {
		return time.Duration(e.RetryAfter) * time.Second
	}
	longest := min(longestDelay, s.delay<<attempt)
	var random [4]byte
	_, _ = rand.Read(random[:]) // never returns an error
	return longest/2 + time.Duration(uint64(longest/2)*uint64(binary.BigEndian.Uint32(random[:]))>>32)
}

// Wait returns when d is over, or the context's error when that is sooner.
func Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sender) once(ctx context.Context, r Request, body []byte) (http.Header, *Error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	out, err := http.NewRequestWithContext(ctx, r.Method, s.base+s.api.Root+r.Path, reader)
	if err != nil {
		return nil, &Error{Code: CodeInvalidRequest, Message: "the request cannot be made", Err: err}
	}
	maps.Copy(out.Header, r.Header)
	s.authorize(out.Header)
	out.Header.Set("Accept", "application/json")
	out.Header.Set("User-Agent", userAgent)
	if body != nil {
		out.Header.Set("Content-Type", "application/json")
	}
	answer, err := s.client.Do(out)
	if err != nil {
		return nil, &Error{Code: CodeConnectionFailed, Message: "there was no answer", Err: err}
	}
	defer func() { _ = answer.Body.Close() }() // it was read, or is given up
	raw, err := io.ReadAll(io.LimitReader(answer.Body, MaxAnswer+1))
	if err != nil {
		return nil, &Error{Code: CodeConnectionFailed, Message: "the answer broke off", Err: err}
	}
	return answer.Header, s.understand(answer, raw, r.Out)
}

// understand decodes an answer, or says what is wrong with it.
func (s *Sender) understand(answer *http.Response, raw []byte, out any) *Error {
	failed := &Error{Status: answer.StatusCode, RequestID: answer.Header.Get("X-Request-Id")}
	failed.RetryAfter, failed.HasRetryAfter = seconds(answer.Header.Get("Retry-After"))
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		if code, message, request := s.api.Refusal(raw); code != "" {
			failed.Code, failed.Message, failed.RequestID = code, message, cmp.Or(request, failed.RequestID)
			return failed
		}
		failed.Code, failed.Message = "http_"+strconv.Itoa(answer.StatusCode), "the answer has no code"
		return failed
	}
	if answer.StatusCode == http.StatusNoContent || out == nil {
		return nil
	}
	failed.Code = CodeInvalidAnswer
	if len(raw) > MaxAnswer {
		failed.Message = "the answer is too long"
		return failed
	}
	if len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, out) != nil {
		failed.Message = "the answer is not the JSON object that it should be"
		return failed
	}
	return nil
}

// seconds reads a Retry-After, which is a number or a date.
func seconds(header string) (n int, ok bool) {
	if header == "" {
		return 0, false
	}
	if n, err := strconv.Atoi(strings.TrimSpace(header)); err == nil {
		return n, n >= 0
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0, false
	}
	return max(0, int(time.Until(at)/time.Second)+1), true
}
