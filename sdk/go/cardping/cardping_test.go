package cardping

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/sdk/go/internal/send"
)

const (
	testKey = "cp_test_sk_unit"
	sample  = `{"id":"ping_9f4a3b2c","status":"active","balance":47.50,"currency":"USD","expiry":"2027-03","fraud_score":0.02,` +
		`"fraud_signals":[],"ai_verified":true,"network":"visa_gift","latency_ms":68}`
)

func testCheck() Check {
	return Check{CardNumber: "6006-4913-0000-0011", PIN: "1234", Network: "visa_gift"}
}

// reply is what a faulty server does with a request; without a status it drops the connection.
type reply struct {
	status     int
	body       string
	header     string // a header's name
	headerText string
}

func refused(code string, status int) reply {
	return reply{status: status, body: `{"error":{"code":"` + code + `","message":"no","request_id":"req_1"}}`}
}

func (r reply) after(seconds string) reply {
	r.header, r.headerText = "Retry-After", seconds
	return r
}

// faulty answers with each of its replies in turn, then with the last.
type faulty struct {
	mu     sync.Mutex
	seen   []string // method, path and body
	waits  []time.Duration
	key    string
	client *Client
}

func newFaulty(t *testing.T, o Options, replies ...reply) *faulty {
	t.Helper()
	f := &faulty{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		f.mu.Lock()
		f.seen, f.key = append(f.seen, r.Method+" "+r.URL.Path+" "+string(body)), r.Header.Get("X-API-Key")
		reply := replies[min(len(f.seen), len(replies))-1]
		f.mu.Unlock()
		if reply.status == 0 {
			panic(http.ErrAbortHandler)
		}
		if reply.header != "" {
			w.Header().Set(reply.header, reply.headerText)
		}
		w.WriteHeader(reply.status)
		_, _ = io.WriteString(w, reply.body) // a client may have given up
	}))
	t.Cleanup(server.Close)
	o.APIKey, o.BaseURL = testKey, server.URL+"/v1/"
	client, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	client.sender.Wait = func(_ context.Context, d time.Duration) error {
		f.waits = append(f.waits, d)
		return nil
	}
	f.client = client
	return f
}

// The published sample comes out member for member, its balance to the cent.
func TestPublishedSample(t *testing.T) {
	f := newFaulty(t, Options{}, reply{status: 200, body: sample, header: "Age", headerText: "7"})
	check := testCheck()
	check.Currency, check.IdempotencyKey = "USD", "k1"
	got, err := f.client.Ping(t.Context(), check)
	if err != nil {
		t.Fatal(err)
	}
	want := `{ID:ping_9f4a3b2c Status:active Balance:47.50 Currency:USD Expiry:2027-03 FraudScore:0.02 FraudSignals:[] AIVerified:true Network:visa_gift LatencyMS:68 Age:7}`
	if text := fmt.Sprintf("%+v", *got); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	asked := `POST /v1/cards/ping {"card_number":"6006-4913-0000-0011","pin":"1234","network":"visa_gift","currency":"USD","idempotency_key":"k1"}`
	if f.seen[0] != asked || f.key != testKey {
		t.Errorf("asked %s under %s, want %s", f.seen[0], f.key, asked)
	}
}

// A check is repeated under one key that the client makes, after as long as the server asks for.
func TestRepeats(t *testing.T) {
	f := newFaulty(t, Options{}, refused(CodeRateLimited, 429).after("2"), refused(CodeNetworkUnavailable, 503), reply{}, reply{status: 200, body: sample})
	if _, err := f.client.Ping(t.Context(), testCheck()); err != nil {
		t.Fatal(err)
	}
	if len(f.seen) != 4 || f.seen[0] != f.seen[1] || f.seen[1] != f.seen[2] || f.seen[2] != f.seen[3] || !strings.Contains(f.seen[0], `"idempotency_key":"`) {
		t.Errorf("asked %q", f.seen)
	}
	if w := f.waits; w[0] != 2*time.Second || w[1] < time.Second/2 || w[1] > time.Second || w[2] < time.Second || w[2] > 2*time.Second {
		t.Errorf("waited %v", w)
	}
	if _, err := f.client.Ping(t.Context(), testCheck()); err != nil {
		t.Fatal(err)
	}
	if f.seen[4] == f.seen[0] {
		t.Error("two checks have one key")
	}
}

// Repetitions end, and what waiting does not cure is not repeated.
func TestRepetitionsEnd(t *testing.T) {
	for _, c := range []struct {
		reply reply
		times int
		code  string
	}{
		{refused(CodeNetworkUnavailable, 503), 4, CodeNetworkUnavailable},
		{refused(CodeQuotaExceeded, 429).after("2"), 1, CodeQuotaExceeded},
		{refused(CodeRateLimited, 429).after("61"), 1, CodeRateLimited},
		{refused(CodeRateLimited, 429).after("9223372037"), 1, CodeRateLimited}, // more nanoseconds than there are numbers
		{refused(CodeCardInvalid, 422), 1, CodeCardInvalid},
		{refused(CodeIdempotencyConflict, 409), 1, CodeIdempotencyConflict},
	} {
		f := newFaulty(t, Options{}, c.reply)
		_, err := f.client.Ping(t.Context(), testCheck())
		if codeOf(err) != c.code || len(f.seen) != c.times {
			t.Errorf("%v after %d attempts, want %s after %d", err, len(f.seen), c.code, c.times)
		}
	}
}

func codeOf(err error) string {
	var failed *Error
	if errors.As(err, &failed) {
		return failed.Code
	}
	return fmt.Sprint(err)
}

// A change is repeated only when a limit refused it before it was made, and what was
// deleted by an attempt whose answer was lost is deleted.
func TestChanges(t *testing.T) {
	limited := newFaulty(t, Options{}, refused(CodeRateLimited, 429).after("0"), reply{status: 201, body: `{"id":"wh_1","secret":"whsec_1"}`})
	made, err := limited.client.Webhooks.Create(t.Context(), NewWebhook{URL: "https://a.example/", Events: []string{"*"}})
	if err != nil || made.Secret != "whsec_1" {
		t.Errorf("made %+v, %v", made, err)
	}
	unclear := newFaulty(t, Options{}, refused(CodeOverloaded, 503))
	if _, err := unclear.client.Webhooks.Rotate(t.Context(), "wh_1"); codeOf(err) != CodeOverloaded || len(unclear.seen) != 1 {
		t.Errorf("%v after %d attempts", err, len(unclear.seen))
	}
	if err := newFaulty(t, Options{}, reply{}, refused(CodeNotFound, 404)).client.Webhooks.Delete(t.Context(), "wh_1"); err != nil {
		t.Errorf("delete again: %v", err)
	}
	for _, before := range [][]reply{{}, {refused(CodeRateLimited, 429).after("0")}} {
		f := newFaulty(t, Options{}, append(before, refused(CodeNotFound, 404))...)
		if err := f.client.Webhooks.Delete(t.Context(), "wh_1"); codeOf(err) != CodeNotFound {
			t.Errorf("delete what is not there: %v", err)
		}
	}
}

// Every refusal has its code, status, request and time to wait, and an answer that is
// not of the API is an error, too.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		reply reply
		want  Error
	}{
		{refused(CodeAuthInvalid, 401).after("9"), Error{Code: CodeAuthInvalid, Message: "no", Status: 401, RequestID: "req_1", RetryAfter: 9, HasRetryAfter: true}},
		{refused(CodeInternalError, 500), Error{Code: CodeInternalError, Message: "no", Status: 500, RequestID: "req_1"}},
		{reply{status: 502, body: "<html>"}, Error{Code: "http_502", Message: "the answer has no code", Status: 502}},
		{reply{status: 302, header: "Location", headerText: "https://elsewhere.example/"}, Error{Code: "http_302", Message: "the answer has no code", Status: 302}},
		{reply{status: 200, body: "null"}, Error{Code: CodeInvalidAnswer, Message: "the answer is not the JSON object that it should be", Status: 200}},
		{reply{status: 200, body: strings.Repeat("x", send.MaxAnswer+1)}, Error{Code: CodeInvalidAnswer, Message: "the answer is too long", Status: 200}},
	} {
		f := newFaulty(t, Options{MaxRetries: -1}, c.reply)
		_, err := f.client.Networks(t.Context())
		var got *Error
		if !errors.As(err, &got) {
			t.Fatalf("%s: %v", c.want.Code, err)
		}
		if *got != c.want {
			t.Errorf("got %+v, want %+v", *got, c.want)
		}
	}
	f := newFaulty(t, Options{MaxRetries: -1}, reply{})
	if _, err := f.client.Networks(t.Context()); codeOf(err) != CodeConnectionFailed || len(f.seen) != 1 {
		t.Errorf("dropped: %v after %d attempts", err, len(f.seen))
	} else if text := err.Error(); !strings.HasSuffix(text, ": EOF") || strings.Contains(text, "/v1/") {
		t.Errorf("the text is %q, want why there was no answer and not the address", text)
	}
}

// A list of none replaces what is there, however it is written.
func TestNoneOfAList(t *testing.T) {
	f := newFaulty(t, Options{}, reply{status: 200, body: `{"id":"portal_1"}`})
	if _, err := f.client.Portals.Update(t.Context(), "portal_1", PortalChange{Networks: new([]string), Languages: &[]string{}}); err != nil {
		t.Fatal(err)
	}
	if want := `PATCH /v1/portals/portal_1 {"languages":[],"networks":[]}`; f.seen[0] != want {
		t.Errorf("asked %s, want %s", f.seen[0], want)
	}
}

// A call ends with its context, while it waits too.
func TestContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFaulty(t, Options{}, refused(CodeNetworkUnavailable, 503).after("60"))
	f.client.sender.Wait = func(ctx context.Context, d time.Duration) error {
		cancel()
		return send.Wait(ctx, d)
	}
	if _, err := f.client.Ping(ctx, testCheck()); codeOf(err) != CodeNetworkUnavailable || len(f.seen) != 1 {
		t.Errorf("%v after %d attempts", err, len(f.seen))
	}
	if _, err := f.client.Ping(ctx, testCheck()); !errors.Is(err, context.Canceled) || len(f.seen) != 1 {
		t.Errorf("%v after %d attempts", err, len(f.seen))
	}
}

// Each part of a batch has its key, and its result or its error.
func TestBatch(t *testing.T) {
	f := newFaulty(t, Options{}, reply{status: 200, body: `{"results":[{"result":` + sample + `,"age":41},{"error":{"code":"card_invalid","message":"no","request_id":"req_3"}},{"error":{"code":"rate_limited","message":"no","request_id":"req_3"},"retry_after":60}]}`})
	first := testCheck()
	first.IdempotencyKey = "a"
	items, err := f.client.PingBatch(t.Context(), []Check{first, testCheck(), testCheck()})
	if err != nil || len(items) != 3 {
		t.Fatalf("%v, %v", items, err)
	}
	if r := items[0].Result; r == nil || r.Balance != "47.50" || r.Age != 41 || items[0].Err != nil {
		t.Errorf("first: %+v", items[0])
	}
	if e := items[1].Err; e == nil || e.Code != CodeCardInvalid || e.RequestID != "req_3" || items[1].Result != nil {
		t.Errorf("second: %+v", items[1])
	}
	if e := items[2].Err; e == nil || e.RetryAfter != 60 || !e.HasRetryAfter || items[1].Err.HasRetryAfter {
		t.Errorf("third: %+v", items[2])
	}
	if !strings.Contains(f.seen[0], `"idempotency_key":"a"`) || strings.Count(f.seen[0], `"idempotency_key":"`) != 3 || strings.Contains(f.seen[0], `"idempotency_key":""`) {
		t.Errorf("asked %s", f.seen[0])
	}
}

// A client is made of sensible settings alone, and never shows its key.
func TestOptions(t *testing.T) {
	for _, o := range []Options{
		{}, {APIKey: "a\r\nb"}, {APIKey: testKey, BaseURL: "http://scrip.example"}, {APIKey: testKey, BaseURL: "ftp://127.0.0.1"},
		{APIKey: testKey, BaseURL: "https://user:secret@scrip.example"}, {APIKey: testKey, MaxRetries: 11}, {APIKey: testKey, Timeout: -1},
	} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	client, err := New(Options{APIKey: testKey, BaseURL: "http://scrip.example", AllowHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%+v %#v %+v", client, client, *client.sender); strings.Contains(shown, testKey) {
		t.Errorf("the key shows: %s", shown)
	}
}

// Webhooks are judged as the shared vectors say.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("../../testdata/webhooks.json")
	if err != nil {
		t.Fatal(err)
	}
	var shared struct {
		Vectors []struct {
			Name, Secret, Header, Body, Fault string
			Now                               int64
		}
	}
	if err := json.Unmarshal(text, &shared); err != nil || len(shared.Vectors) < 30 {
		t.Fatalf("%d vectors, %v", len(shared.Vectors), err)
	}
	for _, v := range shared.Vectors {
		event, err := Verifier{Secret: v.Secret, Now: func() time.Time { return time.Unix(v.Now, 0) }}.Verify([]byte(v.Body), v.Header)
		if v.Fault == "" && (err != nil || event.Type == "") || v.Fault != "" && codeOf(err) != v.Fault {
			t.Errorf("%s: %+v, %v, want %q", v.Name, event, err, v.Fault)
		}
	}
}

// The tolerance can be set,
// and a body that is no event is not believed even when it is signed.
func TestVerify(t *testing.T) {
	const secret, body = "whsec_example", `{"id":"evt_1","type":"ping.completed"}`
	const header = "t=1795251600,v1=d1af16c5e61f8ca8c3ce3db13eec0d4e3576a9eb82a97938f07e89bb830d1c84"
	v := Verifier{Secret: secret, Tolerance: 900 * time.Second, Now: func() time.Time { return time.Unix(1795252500, 0) }}
	if event, err := v.Verify([]byte(body), header); err != nil || event.ID != "evt_1" {
		t.Errorf("within another tolerance: %+v, %v", event, err)
	}
	v.Tolerance = 0
	if _, err := v.Verify([]byte(body), header); codeOf(err) != CodeTimestampSkewed {
		t.Errorf("within the usual tolerance: %v", err)
	}
	v.Tolerance = 900 * time.Second
	const emptyHeader = "t=1795251600,v1=" + emptyBody
	if _, err := v.Verify(nil, emptyHeader); codeOf(err) != CodeSignatureInvalid || !strings.Contains(err.Error(), "no event") {
		t.Errorf("an empty body: %v", err)
	}
}

// emptyBody is what openssl makes of the time alone.
const emptyBody = "66ec42c49fc0b1a30205cb1cfca2cd4e460d44c4f5381e00c44bedbf2017c8b8"
