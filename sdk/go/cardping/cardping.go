// Package cardping is a client of Scrip's balance checks, their networks, webhooks
// and portals.
//
// A check is sent again after lost connections and answers that pass, under one
// idempotency key, so that it is made once. Every refusal is an *Error. Verify tells
// who sent a webhook.
//
// It needs nothing but the standard library, and never shows its API key.
package cardping

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/scripcards/scrip/sdk/go/internal/send"
)

// Client calls one API under one key. Goroutines may share it.
type Client struct {
	// Webhooks keeps where events are sent.
	Webhooks *Webhooks
	// Portals keeps the pages on which cardholders check a balance.
	Portals *Portals

	sender *send.Sender
}

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

// refusal reads the body of one.
func refusal(raw []byte) (code, message, request string) {
	var body struct {
		Error problem `json:"error"`
	}
	if json.Unmarshal(raw, &body) != nil {
		return "", "", ""
	}
	return body.Error.Code, body.Error.Message, body.Error.RequestID
}

// New returns a client. It fails for options that cannot work.
func New(o Options) (*Client, error) {
	api := send.API{Name: "cardping", Header: "X-API-Key", Credential: "API key", Variable: "CARDPING_BASE_URL", Root: "/v1", Refusal: refusal, Final: CodeQuotaExceeded}
	s, err := send.New(api, o.APIKey, send.Options{BaseURL: o.BaseURL, AllowHTTP: o.AllowHTTP, Transport: o.Transport, Timeout: o.Timeout,
		MaxRetries: o.MaxRetries, RetryDelay: o.RetryDelay, MaxRetryAfter: o.MaxRetryAfter})
	if err != nil {
		return nil, err
	}
	return &Client{sender: s, Webhooks: &Webhooks{sender: s}, Portals: &Portals{sender: s}}, nil
}

// Check asks for the balance of one card.
type Check struct {
	// CardNumber may have dashes and spaces.
	CardNumber string `json:"card_number"`
	PIN        string `json:"pin,omitempty"`
	// Network is the ID of one of Networks.
	Network string `json:"network"`
	// Currency is an ISO 4217 code; empty means USD.
	Currency string `json:"currency,omitempty"`
	// IdempotencyKey makes the check repeatable for 24 hours; one is made unless given.
	IdempotencyKey string `json:"idempotency_key"`
}

// Result is what a check found.
type Result struct {
	ID string `json:"id"`
	// Status is active, inactive, expired or invalid.
	Status string `json:"status"`
	// Balance is a decimal in major units of Currency with all its digits, such as 47.50.
	Balance  json.Number `json:"balance"`
	Currency string      `json:"currency"`
	// Expiry is YYYY-MM, empty when the network does not say.
	Expiry string `json:"expiry"`
	// FraudScore is from 0, clean, to 1, high risk.
	FraudScore   float64  `json:"fraud_score"`
	FraudSignals []string `json:"fraud_signals"`
	AIVerified   bool     `json:"ai_verified"`
	Network      string   `json:"network"`
	LatencyMS    int64    `json:"latency_ms"`
	// Age is how many seconds old the balance is.
	Age int64 `json:"-"`
}

// Item is what one check of a batch came to: one of the two is nil.
type Item struct {
	Result *Result
	Err    *Error
}

// Network is a network that a check can name.
type Network struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Type is open_loop or closed_loop.
	Type          string   `json:"type"`
	PINRequired   bool     `json:"pin_required"`
	Currencies    []string `json:"currencies"`
	NumberLengths []int    `json:"number_lengths"`
	// Status is operational, degraded or down.
	Status string `json:"status"`
}

// Ping checks one card.
func (c *Client) Ping(ctx context.Context, check Check) (*Result, error) {
	var out Result
	header, err := c.sender.Send(ctx, send.Request{Method: http.MethodPost, Path: "/cards/ping", In: keyed(check), Out: &out, Repeatable: true})
	if err != nil {
		return nil, err
	}
	// A server that does not tell the age is taken to have asked just now.
	out.Age, _ = strconv.ParseInt(header.Get("Age"), 10, 64)
	return &out, nil
}

// PingBatch checks up to 100 cards. Item i is what check i came to.
func (c *Client) PingBatch(ctx context.Context, checks []Check) ([]Item, error) {
	in := struct {
		Checks []Check `json:"checks"`
	}{make([]Check, 0, len(checks))}
	for _, check := range checks {
		in.Checks = append(in.Checks, keyed(check))
	}
	var out struct {
		Results []struct {
			Result *Result  `json:"result"`
			Age    int64    `json:"age"`
			Error  *problem `json:"error"`
			Retry  *int     `json:"retry_after"`
		} `json:"results"`
	}
	if _, err := c.sender.Send(ctx, send.Request{Method: http.MethodPost, Path: "/cards/ping/batch", In: in, Out: &out, Repeatable: true}); err != nil {
		return nil, err
	}
	items := make([]Item, 0, len(out.Results))
	for _, got := range out.Results {
		item := Item{Result: got.Result}
		if got.Error != nil {
			item = Item{Err: &Error{Code: got.Error.Code, Message: got.Error.Message, RequestID: got.Error.RequestID}}
			if got.Retry != nil {
				item.Err.RetryAfter, item.Err.HasRetryAfter = *got.Retry, true
			}
		} else if got.Result != nil {
			got.Result.Age = got.Age
		}
		items = append(items, item)
	}
	return items, nil
}

// Networks lists the networks that a check can name.
func (c *Client) Networks(ctx context.Context) ([]Network, error) {
	var out listing[Network]
	_, err := c.sender.Send(ctx, send.Request{Method: http.MethodGet, Path: "/networks", Out: &out, Repeatable: true})
	return out.Data, err
}

type listing[T any] struct {
	Data       []T    `json:"data"`
	NextCursor string `json:"next_cursor"`
}

func keyed(check Check) Check {
	if check.IdempotencyKey == "" {
		check.IdempotencyKey = rand.Text()
	}
	return check
}
