package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// The demonstration's published credentials in the test realm.
const (
	demoKey    = "cp_test_sk_demo"
	demoClient = "demo-merchant"
	demoSecret = "demo-secret"
)

// caller is a merchant's program: it speaks the wire as the contract describes it and
// shares no code with the server.
type caller struct {
	base string
	http *http.Client
	// key is an API key; with a client id requests are signed instead.
	key, client, secret string
}

// newCaller returns a caller with so many connections, which end with the test.
func newCaller(t testing.TB, base string, connections int) *caller {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{base: base, key: demoKey, http: &http.Client{Transport: transport, Timeout: patience}}
}

// signing returns the same caller with another credential.
func (c *caller) signing(client, secret string) *caller {
	signed := *c
	signed.key, signed.client, signed.secret = "", client, secret
	return &signed
}

// reply is the dialect's envelope.
type reply struct {
	HTTP         int `json:"-"`
	Status       string
	Code         string
	Label        string
	ErrorMessage string
	Data         json.RawMessage
}

func (r *reply) ok() bool { return r.HTTP == http.StatusOK && r.Status == "SUCCESS" }

// status is that of a reply in a batch: 200, or what its code begins with.
func (r *reply) status() int {
	if r.Status == "SUCCESS" {
		return http.StatusOK
	}
	n, _ := strconv.Atoi(r.Code[:min(3, len(r.Code))]) // no status: something is wrong
	return n
}

func (r *reply) String() string {
	return fmt.Sprintf("%d %s %s: %s", r.HTTP, r.Code, r.Label, r.ErrorMessage)
}

// values are a request's fields: all are strings.
type values map[string]string

const base = "/v1/pay/"

// post calls a path below the dialect's own.
func (c *caller) post(ctx context.Context, path string, body values) (reply, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return reply{}, err
	}
	return c.send(ctx, http.MethodPost, base+path, text)
}

func (c *caller) get(ctx context.Context, path string, query values) (reply, error) {
	form := url.Values{}
	for name, value := range query {
		form.Set(name, value)
	}
	return c.send(ctx, http.MethodGet, base+path+"?"+form.Encode(), nil)
}

// send makes one request. An error means that the answer is not known.
func (c *caller) send(ctx context.Context, method, path string, body []byte) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.client != "" {
		c.sign(r, body)
	} else {
		r.Header.Set("X-API-Key", c.key)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = answer.Body.Close() }() // read to its end below
	text, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	if err != nil {
		return reply{}, err
	}
	out := reply{HTTP: answer.StatusCode}
	if err := json.Unmarshal(text, &out); err != nil {
		return reply{}, fmt.Errorf("%s %s: status %d: %w", method, path, answer.StatusCode, err)
	}
	return out, nil
}

// sign adds the contract's four headers.
func (c *caller) sign(r *http.Request, body []byte) {
	at, nonce := strconv.FormatInt(time.Now().UnixMilli(), 10), rand.Text()
	mac := hmac.New(sha512.New, []byte(c.secret))
	_, _ = fmt.Fprintf(mac, "%s\n%s\n%s\n", at, nonce, body) // a hash takes everything
	r.Header.Set("X-GatePay-Certificate-ClientId", c.client)
	r.Header.Set("X-GatePay-Timestamp", at)
	r.Header.Set("X-GatePay-Nonce", nonce)
	r.Header.Set("X-GatePay-Signature", hex.EncodeToString(mac.Sum(nil)))
}

// must makes a call that has to succeed and reads its data into out, unless that is nil.
func (c *caller) must(t testing.TB, path string, body values, out any) {
	t.Helper()
	r, err := c.post(t.Context(), path, body)
	if err != nil || !r.ok() {
		t.Fatalf("%s %v: %v %v", path, body, &r, err)
	}
	decode(t, r.Data, out)
}

func decode(t testing.TB, data []byte, out any) {
	t.Helper()
	if out == nil {
		return
	}
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
}

// made is the answer to a create.
type made struct{ CardNumber, Key, Status string }

// movement is the answer to all other calls that move money.
type movement struct{ TransactionID, MerchantTradeNo, HoldID, Amount, Balance, Status string }

// statement is the answer to a query.
type statement struct {
	CardNumber, Key, Amount, Balance, Status string
	Transactions                             []line
}

type line struct{ TransactionID, Type, Amount, BalanceAfter string }

// newCard makes a card of the demo's first template.
func (c *caller) newCard(t testing.TB, amount, reference string) made {
	t.Helper()
	var card made
	c.must(t, "giftcard/create", values{"title": "Thank you", "templateId": "template_001", "currency": "USD", "amount": amount,
		"merchantTradeNo": reference}, &card)
	return card
}

// statement queries a card with its history.
func (c *caller) statement(t testing.TB, number string) statement {
	t.Helper()
	r, err := c.get(t.Context(), "giftcard/query", values{"cardNumber": number})
	if err != nil || !r.ok() {
		t.Fatalf("query %s: %v %v", number, &r, err)
	}
	var s statement
	decode(t, r.Data, &s)
	return s
}
