package cardping

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
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	maxAnswer      = 4 << 20 // bytes
	longestDelay   = 8 * time.Second
	mostRetries    = 10
	defaultBase    = "http://127.0.0.1:8420"
	baseVariable   = "CARDPING_BASE_URL"
	userAgent      = "scrip-sdk-go/0.1.0"
	defaultRetry   = 3
	defaultDelay   = 500 * time.Millisecond
	defaultTimeout = 60 * time.Second
)

// Options is how a client is made.
type Options struct {
	// APIKey decides the realm: cp_live_sk_… or cp_test_sk_….
	APIKey string
	// BaseURL is where the API is, with or without /v1. Unless given: CARDPING_BASE_URL,
	// then http://127.0.0.1:8420.
	BaseURL string
	// AllowHTTP allows http:// to other machines than this one.
	AllowHTTP bool
	// Transport carries the requests; one with the standard library's limits unless given.
	Transport http.RoundTripper
	// Timeout bounds one attempt; 60 seconds unless given.
	Timeout time.Duration
	// MaxRetries is how often a request is sent again: 3 times unless given, never below 0.
	MaxRetries int
	// RetryDelay is the pause before the first repetition, half a second unless given; it doubles each time, to 8 seconds.
	RetryDelay time.Duration
	// MaxRetryAfter is the longest Retry-After that is waited for; a minute unless given.
	MaxRetryAfter time.Duration
}

// sender sends requests, and sends those again that may be.
type sender struct {
	base string
	// authorize holds the key where no formatting of a client finds it.
	authorize     func(http.Header)
	client        *http.Client
	retries       int
	delay         time.Duration
	maxRetryAfter time.Duration
	wait          func(context.Context, time.Duration) error
}

func newSender(o Options) (*sender, error) {
	if o.APIKey == "" || strings.ContainsFunc(o.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("cardping: the API key is missing or has characters that no key has")
	}
	base, err := baseOf(o)
	if err != nil {
		return nil, err
	}
	if o.MaxRetries > mostRetries || o.Timeout < 0 || o.RetryDelay < 0 || o.MaxRetryAfter < 0 {
		return nil, fmt.Errorf("cardping: at most %d retries, and no negative times", mostRetries)
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 100, MaxIdleConnsPerHost: 16,
			IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second}
	}
	retries := max(0, o.MaxRetries)
	if o.MaxRetries == 0 {
		retries = defaultRetry
	}
	return &sender{
		base:      base,
		authorize: func(h http.Header) { h.Set("X-API-Key", o.APIKey) },
		client: &http.Client{Transport: o.Transport, Timeout: cmp.Or(o.Timeout, defaultTimeout),
			// A redirect would carry key and card number to wherever it says.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		retries: retries, delay: cmp.Or(o.RetryDelay, defaultDelay), maxRetryAfter: cmp.Or(o.MaxRetryAfter, time.Minute), wait: wait,
	}, nil
}

// baseOf is where the API is, without /v1 and slashes at the end. Keys and numbers go
// in the clear to this machine alone.
func baseOf(o Options) (string, error) {
	text := o.BaseURL
	if text == "" {
		text = os.Getenv(baseVariable)
	}
	if text == "" {
		text = defaultBase
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("cardping: the base URL must be a scheme, a host and perhaps a path")
	}
	local := u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost" || u.Hostname() == "::1"
	if u.Scheme != "https" && (u.Scheme != "http" || !local && !o.AllowHTTP) {
		return "", errors.New("cardping: the base URL must begin with https://, or AllowHTTP must be set")
	}
	return strings.TrimSuffix(strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), "/v1"), nil
}

type request struct {
	method, path string
	in, out      any
	// repeatable: sending it twice does what sending it once does.
	repeatable bool
}

// send sends a request, with repetitions, and decodes a success into r.out.
func (s *sender) send(ctx context.Context, r request) (http.Header, error) {
	var body []byte
	if r.in != nil {
		var err error
		if body, err = json.Marshal(r.in); err != nil {
			return nil, fmt.Errorf("cardping: encode the request: %w", err)
		}
	}
	for attempt := 0; ; attempt++ {
		header, failed := s.once(ctx, r, body)
		switch {
		case failed == nil:
			return header, nil
		case attempt > 0 && r.method == http.MethodDelete && failed.Status == http.StatusNotFound:
			return nil, nil // an attempt whose answer was lost has done it
		case attempt >= s.retries || ctx.Err() != nil || !s.worthRepeating(failed, r.repeatable):
			return nil, failed
		}
		if s.wait(ctx, s.pause(attempt, failed)) != nil {
			return nil, failed
		}
	}
}

func (s *sender) worthRepeating(e *Error, repeatable bool) bool {
	switch {
	case e.Code == CodeQuotaExceeded, e.HasRetryAfter && time.Duration(e.RetryAfter)*time.Second > s.maxRetryAfter:
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
func (s *sender) pause(attempt int, e *Error) time.Duration {
	if e.HasRetryAfter {
		return time.Duration(e.RetryAfter) * time.Second
	}
	longest := min(longestDelay, s.delay<<attempt)
	var random [4]byte
	_, _ = rand.Read(random[:]) // never returns an error
	return longest/2 + time.Duration(uint64(longest/2)*uint64(binary.BigEndian.Uint32(random[:]))>>32)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sender) once(ctx context.Context, r request, body []byte) (http.Header, *Error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	out, err := http.NewRequestWithContext(ctx, r.method, s.base+"/v1"+r.path, reader)
	if err != nil {
		return nil, &Error{Code: CodeInvalidRequest, Message: "the request cannot be made", Err: err}
	}
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
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, &Error{Code: CodeConnectionFailed, Message: "the answer broke off", Err: err}
	}
	return answer.Header, understand(answer, raw, r.out)
}

// understand decodes an answer, or says what is wrong with it.
func understand(answer *http.Response, raw []byte, out any) *Error {
	failed := &Error{Status: answer.StatusCode, RequestID: answer.Header.Get("X-Request-Id")}
	failed.RetryAfter, failed.HasRetryAfter = seconds(answer.Header.Get("Retry-After"))
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		var refusal struct {
			Error problem `json:"error"`
		}
		if json.Unmarshal(raw, &refusal) == nil && refusal.Error.Code != "" {
			failed.Code, failed.Message = refusal.Error.Code, refusal.Error.Message
			failed.RequestID = cmp.Or(refusal.Error.RequestID, failed.RequestID)
			return failed
		}
		failed.Code, failed.Message = "http_"+strconv.Itoa(answer.StatusCode), "the answer has no code"
		return failed
	}
	if answer.StatusCode == http.StatusNoContent || out == nil {
		return nil
	}
	failed.Code = CodeInvalidAnswer
	if len(raw) > maxAnswer {
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
