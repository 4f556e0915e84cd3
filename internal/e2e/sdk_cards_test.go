package e2e

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/sdk/go/cryptocardy"
)

// useCards goes through the published start of virtual cards with the Go client.
func useCards(t *testing.T, base string) {
	var start struct {
		Seed string
		Card struct{ ID, State string }
	}
	ask(t, question{method: http.MethodGet, url: base + "/v1/api/?card=visa&asset=BTC"}, &start)
	client, err := cryptocardy.New(cryptocardy.Options{Seed: start.Seed, BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	world := question{method: http.MethodPost, url: base + "/v1/api/simulate", seed: start.Seed}
	world.post(t, "/deposit", `{"currency":"btc","amount_crypto":"0.05","confirmations":6}`, nil)
	card, err := client.Cards.Create(t.Context(), cryptocardy.NewCard{BINID: "491653", Amount: "500", Label: "Ad Spend"})
	if err != nil || card.Status != "active" || card.Balance != "500.00" || start.Card.State != "pending_top_up" {
		t.Fatalf("%+v, %v, begun with %+v", card, err, start)
	}
	t.Run("payment", func(t *testing.T) { payWithGo(t, client, world, card) })
	t.Run("code", func(t *testing.T) { codeWithGo(t, client, world, card) })
	t.Run("end", func(t *testing.T) { endWithGo(t, client, base, card) })
}

// question is a request without a client; seed may be empty.
type question struct{ method, url, seed, body string }

// answer sends it and returns what comes back.
func (q question) answer(t *testing.T) (status int, raw []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), q.method, q.url, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if q.seed != "" {
		request.Header.Set("X-Seed", q.seed)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }() // read to its end below
	if raw, err = io.ReadAll(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, raw
}

// ask expects a success and reads it into out, unless that is nil.
func ask(t *testing.T, q question, out any) {
	t.Helper()
	status, raw := q.answer(t)
	if status > 299 {
		t.Fatalf("%s %s: %d %s", q.method, q.url, status, raw)
	}
	decode(t, raw, out)
}

// post asks for what is below the URL.
func (q question) post(t *testing.T, path, body string, out any) {
	t.Helper()
	q.url, q.body = q.url+path, body
	ask(t, q, out)
}

func payWithGo(t *testing.T, client *cryptocardy.Client, world question, card *cryptocardy.Card) {
	details, err := client.Cards.Details(t.Context(), card.ID)
	if err != nil || !strings.HasPrefix(details.PAN, "491653") || !strings.HasSuffix(details.PAN, card.Last4) || len(details.CVV) != 3 {
		t.Errorf("%+v, %v", details, err)
	}
	moved, err := client.Cards.Fund(t.Context(), card.ID, cryptocardy.Transfer{Amount: "200"})
	if err != nil || moved.NewBalance != "700.00" {
		t.Errorf("%+v, %v", moved, err)
	}
	var paid struct{ Transaction struct{ ID string } }
	world.post(t, "/authorization", `{"card_id":"`+card.ID+`","amount":12.5,"merchant":{"name":"FACEBK ADS","mcc":"7311","country":"US"}}`, &paid)
	world.post(t, "/settlement", `{"transaction_id":"`+paid.Transaction.ID+`"}`, nil)
	lines, err := client.Transactions.List(t.Context(), cryptocardy.TransactionFilter{CardID: card.ID})
	if err != nil || len(lines.Data) != 2 || lines.Data[0].Type != "settlement" || lines.Data[0].Amount != "-12.50" || lines.Pagination.Total != 2 {
		t.Fatalf("%+v, %v", lines, err)
	}
	whole, err := client.Transactions.Find(t.Context(), lines.Data[1].ID)
	if err != nil || whole.Status != "settled" || len(whole.Timeline) != 2 || whole.Merchant.Name != "FACEBK ADS" {
		t.Errorf("%+v, %v", whole, err)
	}
}

func codeWithGo(t *testing.T, client *cryptocardy.Client, world question, card *cryptocardy.Card) {
	deliveries := make(chan received, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		deliveries <- received{body, r.Header.Get("X-CryptoCardy-Signature")}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()
	hook, err := client.Webhooks.Create(t.Context(), cryptocardy.NewWebhook{URL: receiver.URL, Events: []string{"3ds.challenge"}})
	if err != nil {
		t.Fatal(err)
	}
	var begun struct{ ID, OTP string }
	world.post(t, "/3ds", `{"card_id":"`+card.ID+`","merchant":"SPOTIFY","amount":9.99}`, &begun)
	select {
	case got := <-deliveries:
		event, err := cryptocardy.Verify(got.body, got.signature, hook.Secret)
		if err != nil || event.Type != "3ds.challenge" || !bytes.Contains(event.Data, []byte(begun.OTP)) {
			t.Errorf("%+v, %v", event, err)
		}
		_, err = cryptocardy.Verify(got.body, got.signature, "another secret")
		expectCardCode(t, err, cryptocardy.CodeSignatureInvalid, 0)
	case <-time.After(patience):
		t.Fatal("no delivery")
	}
	open, err := client.ThreeDS.List(t.Context(), cryptocardy.ChallengeFilter{CardID: card.ID, Status: "pending"})
	if err != nil || len(open.Data) != 1 || open.Data[0].OTP != begun.OTP || open.Data[0].Merchant != "SPOTIFY" {
		t.Errorf("%+v, %v", open, err)
	}
	if err := client.Webhooks.Delete(t.Context(), hook.ID); err != nil {
		t.Error(err)
	}
}

func endWithGo(t *testing.T, client *cryptocardy.Client, base string, card *cryptocardy.Card) {
	once := cryptocardy.NewCard{BINID: "531993", Amount: "10", IdempotencyKey: "go-1"}
	first, err := client.Cards.Create(t.Context(), once)
	if err != nil {
		t.Fatal(err)
	}
	again, err := client.Cards.Create(t.Context(), once)
	if err != nil || again.ID != first.ID {
		t.Errorf("repeated: %+v, %v, first %s", again, err, first.ID)
	}
	once.Amount = "11"
	_, err = client.Cards.Create(t.Context(), once)
	expectCardCode(t, err, cryptocardy.CodeIdempotencyConflict, http.StatusBadRequest)
	ended, err := client.Cards.Terminate(t.Context(), card.ID)
	if err != nil || ended.Status != "terminated" || ended.RefundedAmount != "687.50" {
		t.Errorf("%+v, %v", ended, err)
	}
	_, err = client.Cards.Freeze(t.Context(), card.ID)
	expectCardCode(t, err, cryptocardy.CodeInvalidState, http.StatusBadRequest)
	listed, err := client.Cards.List(t.Context(), cryptocardy.CardFilter{Status: "active"})
	if err != nil || !slices.ContainsFunc(listed.Data, func(c cryptocardy.Card) bool { return c.ID == first.ID }) || listed.Pagination.Total != 1 {
		t.Errorf("%+v, %v", listed, err)
	}
	wallet, err := client.Wallet.Balance(t.Context())
	if err != nil || wallet.TotalSpent != "22.50" || wallet.CardsTotalBalance != "10.00" {
		t.Errorf("%+v, %v", wallet, err)
	}
	stranger, err := cryptocardy.New(cryptocardy.Options{Seed: "0000-0000-0000-0000", BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stranger.BINs.List(t.Context())
	expectCardCode(t, err, cryptocardy.CodeInvalidSeed, http.StatusUnauthorized)
}

func expectCardCode(t *testing.T, err error, code string, status int) {
	t.Helper()
	var failed *cryptocardy.Error
	if !errors.As(err, &failed) || failed.Code != code || failed.Status != status {
		t.Errorf("%#v, want %s with status %d", err, code, status)
	}
}
