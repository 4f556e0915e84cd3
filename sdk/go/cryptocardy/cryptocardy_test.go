package cryptocardy

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testSeed = "0f1e-2d3c-4b5a-6978"
	sample   = `{"id":"card_8xK2m9Lp4q","bin_id":"491653","network":"visa","last4":"2039","status":"active","balance":487.50,"label":"Ad Spend",` +
		`"created_at":"2026-04-15T12:00:00Z","last_used_at":null}`
)

// reply is what a faulty server does with a request; without a status it drops the connection.
type reply struct {
	status int
	body   string
	after  string // Retry-After
}

func refused(word string, status int) reply {
	return reply{status: status, body: fmt.Sprintf(`{"error":%q,"message":"no","code":%d,"request_id":"req_1"}`, word, status)}
}

// faulty answers with each of its replies in turn, then with the last.
type faulty struct {
	mu     sync.Mutex
	seen   []string // method, path and body
	keys   []string
	seed   string
	waits  []time.Duration
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
		f.seen, f.seed = append(f.seen, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body))), r.Header.Get("X-Seed")
		f.keys = append(f.keys, r.Header.Get("X-Idempotency-Key"))
		reply := replies[min(len(f.seen), len(replies))-1]
		f.mu.Unlock()
		if reply.status == 0 {
			panic(http.ErrAbortHandler)
		}
		if reply.after != "" {
			w.Header().Set("Retry-After", reply.after)
		}
		w.WriteHeader(reply.status)
		_, _ = io.WriteString(w, reply.body) // a client may have given up
	}))
	t.Cleanup(server.Close)
	o.Seed, o.BaseURL = testSeed, server.URL+"/v1/api/"
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

// The calls of the published quick starts send what they should and read what is published.
func TestQuickStart(t *testing.T) {
	f := newFaulty(t, Options{}, reply{status: 201, body: sample},
		reply{status: 200, body: `{"id":"card_8xK2m9Lp4q","pan":"4916531288472039","cvv":"847"}`},
		reply{status: 200, body: `{"id":"card_8xK2m9Lp4q","new_balance":687.50}`},
		reply{status: 200, body: `{"data":[{"id":"txn_1","amount":-12.50,"merchant":{"name":"FACEBK ADS"},"3ds":{"status":"authenticated"}}],"pagination":{"page":1,"per_page":50,"total":1,"total_pages":1}}`})
	ctx := t.Context()
	card, err := f.client.Cards.Create(ctx, NewCard{BINID: "491653", Amount: "500", Label: "Ad Spend"})
	if err != nil || card.ID != "card_8xK2m9Lp4q" || card.Last4 != "2039" || card.Balance != "487.50" || !card.LastUsedAt.IsZero() {
		t.Fatalf("%+v, %v", card, err)
	}
	if details, err := f.client.Cards.Details(ctx, card.ID); err != nil || details.PAN != "4916531288472039" || details.CVV != "847" {
		t.Errorf("%+v, %v", details, err)
	}
	if moved, err := f.client.Cards.Fund(ctx, card.ID, Transfer{Amount: "200"}); err != nil || moved.NewBalance != "687.50" {
		t.Errorf("%+v, %v", moved, err)
	}
	lines, err := f.client.Transactions.List(ctx, TransactionFilter{CardID: card.ID})
	if err != nil || len(lines.Data) != 1 || lines.Data[0].Merchant.Name != "FACEBK ADS" || lines.Data[0].Amount != "-12.50" || lines.Data[0].ThreeDS.Status != "authenticated" || lines.Pagination.Total != 1 {
		t.Errorf("%+v, %v", lines, err)
	}
	want := []string{`POST /v1/api/cards {"bin_id":"491653","amount":500,"label":"Ad Spend"}`, "GET /v1/api/cards/card_8xK2m9Lp4q/details",
		`POST /v1/api/cards/card_8xK2m9Lp4q/fund {"amount":200}`, "GET /v1/api/transactions?card_id=card_8xK2m9Lp4q"}
	if fmt.Sprint(f.seen) != fmt.Sprint(want) || f.seed != testSeed {
		t.Errorf("asked %q under %s", f.seen, f.seed)
	}
	if f.keys[0] == "" || f.keys[1] != "" || f.keys[2] == "" || f.keys[0] == f.keys[2] {
		t.Errorf("keys %q", f.keys)
	}
}

// A change is sent again under one key, after as long as the server asks for.
func TestRepeats(t *testing.T) {
	limited := refused(CodeRateLimited, 429)
	limited.after = "2"
	f := newFaulty(t, Options{}, limited, refused(CodeUnavailable, 503), reply{}, reply{status: 200, body: `{"id":"card_1"}`})
	if _, err := f.client.Cards.Withdraw(t.Context(), "card_1", Transfer{Amount: "12.50", IdempotencyKey: "mine"}); err != nil {
		t.Fatal(err)
	}
	if len(f.seen) != 4 || f.seen[0] != f.seen[3] || f.keys[0] != "mine" || f.keys[3] != "mine" || f.waits[0] != 2*time.Second {
		t.Errorf("asked %q under %q, waited %v", f.seen, f.keys, f.waits)
	}
}

// A list of none lets a card pay everywhere, however it is written.
func TestNoneOfAList(t *testing.T) {
	f := newFaulty(t, Options{}, reply{status: 200, body: sample})
	if _, err := f.client.Cards.Update(t.Context(), "card_1", CardChange{AllowedCategories: new([]string)}); err != nil {
		t.Fatal(err)
	}
	if want := `PATCH /v1/api/cards/card_1 {"allowed_categories":[]}`; f.seen[0] != want {
		t.Errorf("asked %s, want %s", f.seen[0], want)
	}
}

// Lists that come in pages are read beyond the first.
func TestPages(t *testing.T) {
	f := newFaulty(t, Options{}, reply{status: 200, body: `{"data":[],"pagination":{"page":3,"per_page":100,"total":201,"total_pages":3}}`})
	deposits, err := f.client.Wallet.Deposits(t.Context(), DepositFilter{Status: "confirmed", Page: 3, PerPage: 100})
	if err != nil || deposits.Pagination.TotalPages != 3 {
		t.Errorf("%+v, %v", deposits, err)
	}
	challenges, err := f.client.ThreeDS.List(t.Context(), ChallengeFilter{CardID: "card_1", Page: 2})
	if err != nil || challenges.Pagination.Total != 201 {
		t.Errorf("%+v, %v", challenges, err)
	}
	want := []string{"GET /v1/api/wallet/deposits?page=3&per_page=100&status=confirmed", "GET /v1/api/3ds?card_id=card_1&page=2"}
	if fmt.Sprint(f.seen) != fmt.Sprint(want) {
		t.Errorf("asked %q", f.seen)
	}
}

// What is not there was not ended by an attempt before, whatever became of that: the key
// would give its answer.
func TestEndsOfNothing(t *testing.T) {
	for _, first := range []reply{{}, refused(CodeUnavailable, 503), refused(CodeRateLimited, 429)} {
		f := newFaulty(t, Options{}, first, refused(CodeNotFound, 404))
		var got *Error
		if ended, err := f.client.Cards.Terminate(t.Context(), "card_1"); !errors.As(err, &got) || got.Code != CodeNotFound || ended != nil {
			t.Errorf("after %+v: %+v, %v", first, ended, err)
		}
		if err := f.client.Webhooks.Delete(t.Context(), "wh_1"); !errors.As(err, &got) || got.Code != CodeNotFound {
			t.Errorf("after %+v: %v", first, err)
		}
	}
}

// Every refusal has its word, status and request, and is sent again only where that helps.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		reply reply
		code  string
	}{
		{refused(CodeInsufficientFunds, 400), CodeInsufficientFunds}, {refused(CodeInvalidSeed, 401), CodeInvalidSeed}, {refused(CodeNotFound, 404), CodeNotFound},
		{reply{status: 400, body: "<html>"}, "http_400"}, {reply{status: 200, body: "null"}, CodeInvalidAnswer},
	} {
		f := newFaulty(t, Options{}, c.reply)
		_, err := f.client.Cards.Freeze(t.Context(), "card_1")
		var got *Error
		if !errors.As(err, &got) || got.Code != c.code || got.Status != c.reply.status || len(f.seen) != 1 {
			t.Errorf("%v after %d attempts, want %s", err, len(f.seen), c.code)
		}
	}
	f := newFaulty(t, Options{MaxRetries: -1}, reply{})
	var got *Error
	if _, err := f.client.BINs.List(t.Context()); !errors.As(err, &got) || got.Code != CodeConnectionFailed || got.Err == nil {
		t.Error(err)
	}
}

// A client is made of a seed alone, which it never shows, and ids lead nowhere else.
func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {Seed: "a\r\nb"}, {Seed: testSeed, BaseURL: "http://scrip.example"}, {Seed: testSeed, MaxRetries: 11}} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), testSeed) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	f := newFaulty(t, Options{}, reply{status: 200, body: sample})
	if shown := fmt.Sprintf("%+v %#v %+v", f.client, f.client, *f.client.sender); strings.Contains(shown, testSeed) {
		t.Errorf("the seed shows: %s", shown)
	}
	if _, err := f.client.Cards.Find(t.Context(), "../wallet/balance"); err != nil || f.seen[0] != "GET /v1/api/cards/..%2Fwallet%2Fbalance" {
		t.Errorf("%q, %v", f.seen, err)
	}
}

// A webhook is believed when its signature is the hex HMAC-SHA256 of its body, and it is an event.
func TestVerify(t *testing.T) {
	const secret = "whsec_example"
	sign := func(body string) string {
		sum := hmac.New(sha256.New, []byte(secret))
		sum.Write([]byte(body))
		return hex.EncodeToString(sum.Sum(nil))
	}
	const body = `{"id":"evt_1","type":"card.funded","created_at":"2026-11-21T10:04:05Z","data":{"card_id":"card_1"}}`
	event, err := Verify([]byte(body), sign(body), secret)
	if err != nil || event.Type != "card.funded" || event.CreatedAt.Year() != 2026 || !json.Valid(event.Data) {
		t.Errorf("%+v, %v", event, err)
	}
	for name, c := range map[string][3]string{
		"other body": {body + " ", sign(body), secret}, "other secret": {body, sign(body), "whsec_other"}, "no signature": {body, "", secret},
		"no hex": {body, "zz", secret}, "no secret": {body, sign(body), ""}, "no event": {"[]", sign("[]"), secret},
	} {
		var got *Error
		if _, err := Verify([]byte(c[0]), c[1], c[2]); !errors.As(err, &got) || got.Code != CodeSignatureInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
