// Package cryptocardy is a client of Scrip's virtual cards: cards, their transactions
// and 3-D Secure codes, the wallet that crypto funds, and webhooks.
//
// Every call is sent again after lost connections and answers that pass. Those that
// change something carry an X-Idempotency-Key, yours or one that is made, so that they
// are done once. Every refusal is an *Error. Verify tells who sent a webhook.
//
// It needs nothing but the standard library, and never shows its seed.
package cryptocardy

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/scripcards/scrip/sdk/go/internal/send"
)

// Codes of the API, and of what happens before there is an answer.
const (
	CodeInvalidRequest      = "invalid_request"      // 400: a mistake in the call
	CodeInvalidAmount       = "invalid_amount"       // 400: an amount outside its bounds
	CodeInsufficientFunds   = "insufficient_funds"   // 400: the wallet, or the card, has less
	CodeInvalidState        = "invalid_state"        // 400: the card does not allow it as it stands
	CodeIdempotencyConflict = "idempotency_conflict" // 400: the key was used for another call
	CodeInvalidSeed         = "invalid_seed"         // 401: the seed is missing or wrong
	CodeNotFound            = "not_found"            // 404
	CodeRateLimited         = "rate_limited"         // 429: too many requests
	CodeInternalError       = "internal_error"       // 500
	CodeUnavailable         = "unavailable"          // 503

	CodeConnectionFailed = send.CodeConnectionFailed // there was no answer; Err says why
	CodeInvalidAnswer    = send.CodeInvalidAnswer    // the answer makes no sense
	CodeSignatureInvalid = "signature_invalid"       // of Verify
)

// Error is how a call fails.
type Error = send.Error

// Options is how a client is made.
type Options struct {
	// Seed decides whose cards, and in which realm.
	Seed string
	// BaseURL is where the API is, with or without /v1/api. Unless given:
	// CRYPTOCARDY_BASE_URL, then http://127.0.0.1:8420.
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

// Client calls one API under one seed. Goroutines may share it.
type Client struct {
	Cards        *Cards
	Transactions *Transactions
	Wallet       *Wallet
	BINs         *BINs
	ThreeDS      *ThreeDS
	Webhooks     *Webhooks

	sender *send.Sender
}

// New returns a client. It fails for options that cannot work.
func New(o Options) (*Client, error) {
	api := send.API{Name: "cryptocardy", Header: "X-Seed", Credential: "seed", Variable: "CRYPTOCARDY_BASE_URL", Root: "/v1/api", Refusal: refusal}
	s, err := send.New(api, o.Seed, send.Options{BaseURL: o.BaseURL, AllowHTTP: o.AllowHTTP, Transport: o.Transport, Timeout: o.Timeout,
		MaxRetries: o.MaxRetries, RetryDelay: o.RetryDelay, MaxRetryAfter: o.MaxRetryAfter})
	if err != nil {
		return nil, err
	}
	return &Client{sender: s, Cards: &Cards{s}, Transactions: &Transactions{s}, Wallet: &Wallet{s}, BINs: &BINs{s}, ThreeDS: &ThreeDS{s}, Webhooks: &Webhooks{s}}, nil
}

// refusal reads the body of one.
func refusal(raw []byte) (code, message, request string) {
	var body struct {
		Error     string `json:"error"`
		Message   string `json:"message"`
		RequestID string `json:"request_id"`
	}
	if json.Unmarshal(raw, &body) != nil {
		return "", "", ""
	}
	return body.Error, body.Message, body.RequestID
}

// Pagination says where a page is among all.
type Pagination struct {
	Page       int `json:"page"`
	PerPage    int `json:"per_page"`
	Total      int `json:"total"`
	TotalPages int `json:"total_pages"`
}

// Page is a list, or a page of one; lists without pages have no Pagination.
type Page[T any] struct {
	Data       []T         `json:"data"`
	Pagination *Pagination `json:"pagination"`
}

// read makes a call that changes nothing.
func read[T any](ctx context.Context, s *send.Sender, path string, query url.Values) (*T, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var out T
	if _, err := s.Send(ctx, send.Request{Method: http.MethodGet, Path: path, Out: &out, Repeatable: true}); err != nil {
		return nil, err
	}
	return &out, nil
}

// call is one that changes something.
type call struct {
	method, path string
	in           any
	// key makes it repeatable; one is made where it is empty.
	key string
}

func change[T any](ctx context.Context, s *send.Sender, c call) (*T, error) {
	if c.key == "" {
		c.key = rand.Text()
	}
	var out T
	header := http.Header{"X-Idempotency-Key": {c.key}}
	if _, err := s.Send(ctx, send.Request{Method: c.method, Path: c.path, In: c.in, Out: &out, Header: header, Repeatable: true, Keyed: true}); err != nil {
		return nil, err
	}
	return &out, nil
}

// given are the values that are not empty.
func given(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return values
}
