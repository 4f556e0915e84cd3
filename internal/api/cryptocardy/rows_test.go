package cryptocardy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// A seed has 10,000 requests an hour, whatever its minutes leave.
func TestHourlyLimit(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	made, inMinute := 0, 0
	var w *httptest.ResponseRecorder
	for {
		if w = b.do("acme", "GET /v1/api/3ds/unknown", ""); w.Code == http.StatusTooManyRequests {
			break
		}
		made, inMinute = made+1, inMinute+1
		if inMinute == 1_000 { // the minute's own limit is not the one that is looked for
			b.clock.Advance(time.Minute)
			inMinute = 0
		}
	}
	if made != 10_000 {
		t.Errorf("%d requests in ten minutes passed", made)
	}
	if w.Header().Get("Retry-After") == "" || field(t, w, "error") != "rate_limited" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := b.do("rival", "GET /v1/api/bins", ""); w.Code != http.StatusOK {
		t.Errorf("another seed: %d %s", w.Code, w.Body)
	}
	b.clock.Advance(time.Hour)
	if w := b.do("acme", "GET /v1/api/bins", ""); w.Code != http.StatusOK {
		t.Errorf("an hour later: %d %s", w.Code, w.Body)
	}
}

// A BIN's bound of a month is told before the card's own limit, and is not the limit's;
// the next month has room again.
func TestBINMonth(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		if w := b.do("acme", "POST /v1/api/simulate/deposit", `{"currency":"usdt","amount_crypto":"12000","confirmations":12}`); w.Code != http.StatusCreated {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		card := b.create(`{"bin_id":"531993","amount":5000}`)
		for _, amount := range []string{"5000", "1500"} {
			if w := b.do("acme", "POST /v1/api/cards/"+card+"/fund", `{"amount":`+amount+`}`); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		pay := func(amount, reason string) {
			t.Helper()
			w := b.do("acme", "POST /v1/api/simulate/authorization", `{"card_id":"`+card+`","amount":`+amount+`,"merchant":{"name":"SHOP"}}`)
			var answer struct {
				Approved bool
				Decline  struct{ Reason string }
			}
			check.OK(b.t, json.Unmarshal(w.Body.Bytes(), &answer))
			if w.Code != http.StatusCreated || answer.Decline.Reason != reason || answer.Approved != (reason == "") {
				t.Errorf("%s: %d %s, want %q", amount, w.Code, w.Body, reason)
			}
		}
		for range 9 {
			pay("1000", "")
		}
		pay("999.99", "")
		pay("0.02", "bin_max_monthly")
		if w := b.do("acme", "PATCH /v1/api/cards/"+card, `{"spending_limit":9999.99}`); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		pay("0.01", "spending_limit")
		pay("0.02", "bin_max_monthly")
		pay("1000.01", "bin_max_transaction")
		b.clock.Advance(11 * 24 * time.Hour)
		pay("1000", "")
	})
}

// Nothing is no part of a payment: whoever settles, reverses, refunds or contests 0 is
// refused, instead of getting all of it, and the payment stays as it was.
func TestPartOfNothing(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := b.create(`{"bin_id":"491653","amount":100}`)
		line := b.pay(card, "60")
		refused := func(path, more string) {
			t.Helper()
			for _, nothing := range []string{"0", "0.00"} {
				w := b.do("acme", "POST "+path, `{"transaction_id":"`+line+`",`+more+`"amount":`+nothing+`}`)
				if w.Code != http.StatusBadRequest || field(t, w, "error") != "invalid_amount" {
					t.Errorf("%s of %s: %d %s, want invalid_amount", path, nothing, w.Code, w.Body)
				}
			}
		}
		refused("/v1/api/simulate/settlement", "")
		refused("/v1/api/simulate/reversal", "")
		w := b.do("acme", "POST /v1/api/simulate/settlement", `{"transaction_id":"`+line+`","amount":60}`)
		if !strings.Contains(w.Body.String(), `"approved":true`) {
			t.Errorf("%d %s, want all of it still held", w.Code, w.Body)
		}
		refused("/v1/api/simulate/refund", "")
		refused("/v1/api/disputes", `"reason":"fraud",`)
		if w := b.do("acme", "GET /v1/api/cards/"+card, ""); !strings.Contains(w.Body.String(), `"balance":40.00`) {
			t.Errorf("%s, want a balance of 40.00", w.Body)
		}
	})
}

// pay has a payment authorized and returns its transaction.
func (b *bundle) pay(card, amount string) string {
	b.t.Helper()
	w := b.do("acme", "POST /v1/api/simulate/authorization", `{"card_id":"`+card+`","amount":`+amount+`,"merchant":{"name":"SHOP"}}`)
	var made struct{ Transaction struct{ ID string } }
	check.OK(b.t, json.Unmarshal(w.Body.Bytes(), &made))
	if made.Transaction.ID == "" {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return made.Transaction.ID
}

// A bound of zero is one: it finds what cost nothing, such as a check of a card.
func TestMostOfNothing(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := b.create(`{"bin_id":"491653","amount":100}`)
		b.pay(card, "5")
		check := b.pay(card, "0")
		w := b.do("acme", "GET /v1/api/transactions?max_amount=0", "")
		if !strings.Contains(w.Body.String(), `"data":[{"id":"`+check+`"`) || !strings.Contains(w.Body.String(), `"total":1`) {
			t.Errorf("%s, want %s alone", w.Body, check)
		}
	})
}

// A simulated merchant has a category and a country of the form that cards are controlled
// by, or none; what has another is refused and leaves nothing in the card's history.
func TestMerchantForms(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := b.create(`{"bin_id":"491653","amount":100}`)
		for merchant, status := range map[string]int{
			`"mcc":"54"`: http.StatusBadRequest, `"mcc":"54A1"`: http.StatusBadRequest, `"country":"us"`: http.StatusBadRequest, `"country":"ZZ"`: http.StatusBadRequest,
			`"mcc":"5411","country":"US"`: http.StatusCreated, `"mcc":"","country":""`: http.StatusCreated,
		} {
			w := b.do("acme", "POST /v1/api/simulate/authorization", `{"card_id":"`+card+`","amount":1,"merchant":{"name":"SHOP",`+merchant+`}}`)
			if w.Code != status {
				t.Errorf("%s: %d %s, want %d", merchant, w.Code, w.Body, status)
			}
		}
		if w := b.do("acme", "GET /v1/api/transactions", ""); !strings.Contains(w.Body.String(), `"total":2`) {
			t.Errorf("%s, want two lines", w.Body)
		}
	})
}

// exchange is a call that changes something, and another that is not the same.
type exchange struct {
	line, body string
	other      string // another body; empty: another path
}

// changes are all calls that change something, in an order in which each can be made.
func (b *bundle) changes(card, doomed, hook, challenge, otp string, lines []string) map[string]exchange {
	about := func(n int) string { return `{"transaction_id":"` + lines[n] + `","amount":1}` }
	other := func(n int) string { return `{"transaction_id":"` + lines[n] + `","amount":2}` }
	return map[string]exchange{
		"cards.create":    {"POST /v1/api/cards", ad, `{"bin_id":"491653","amount":501}`},
		"cards.update":    {"PATCH /v1/api/cards/" + card, `{"label":"one"}`, `{"label":"two"}`},
		"cards.freeze":    {"POST /v1/api/cards/" + doomed + "/freeze", "", ""},
		"cards.unfreeze":  {"POST /v1/api/cards/" + card + "/unfreeze", "", ""},
		"cards.fund":      {"POST /v1/api/cards/" + card + "/fund", `{"amount":5}`, `{"amount":6}`},
		"cards.withdraw":  {"POST /v1/api/cards/" + card + "/withdraw", `{"amount":5}`, `{"amount":6}`},
		"cards.terminate": {"DELETE /v1/api/cards/" + doomed, "", ""},
		"webhooks.create": {"POST /v1/api/webhooks", `{"url":"` + b.receiver.URL + `/x","events":["*"]}`, `{"url":"` + b.receiver.URL + `/y","events":["*"]}`},
		"webhooks.delete": {"DELETE /v1/api/webhooks/" + hook, "", ""},
		"disputes.create": {"POST /v1/api/disputes", `{"transaction_id":"` + lines[3] + `","reason":"fraud"}`, `{"transaction_id":"` + lines[3] + `","reason":"fraud","note":"x"}`},
		"simulate.authorization": {"POST /v1/api/simulate/authorization", `{"card_id":"` + card + `","amount":1,"merchant":{"name":"SHOP"}}`,
			`{"card_id":"` + card + `","amount":2,"merchant":{"name":"SHOP"}}`},
		"simulate.settlement": {"POST /v1/api/simulate/settlement", about(0), other(0)},
		"simulate.reversal":   {"POST /v1/api/simulate/reversal", about(1), other(1)},
		"simulate.refund":     {"POST /v1/api/simulate/refund", about(2), other(2)},
		"simulate.3ds": {"POST /v1/api/simulate/3ds", `{"card_id":"` + card + `","merchant":"SHOP","amount":1}`,
			`{"card_id":"` + card + `","merchant":"SHOP","amount":2}`},
		"simulate.3ds_complete": {"POST /v1/api/simulate/3ds/" + challenge + "/complete", `{"otp":"` + otp + `"}`, `{"otp":"x"}`},
		"simulate.deposit":      {"POST /v1/api/simulate/deposit", `{"currency":"btc","amount_crypto":"0.01"}`, `{"currency":"btc","amount_crypto":"0.02"}`},
	}
}

// Every call that changes something is made once under an X-Idempotency-Key and answered
// with the same status and bytes again, and under that key nothing else is done: not with
// another body, and not on another path.
func TestEveryChangeIsRepeatable(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card, doomed := b.create(ad), b.create(ad)
		var lines []string
		for range 4 {
			w := b.do("acme", "POST /v1/api/simulate/authorization", `{"card_id":"`+card+`","amount":10,"merchant":{"name":"SHOP"}}`)
			if w.Code != http.StatusCreated {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			lines = append(lines, b.lastAuthorization())
		}
		for _, line := range lines[2:] {
			if w := b.do("acme", "POST /v1/api/simulate/settlement", `{"transaction_id":"`+line+`"}`); w.Code != http.StatusCreated {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		hook := b.do("acme", "POST /v1/api/webhooks", `{"url":"`+b.receiver.URL+`/a","events":["*"]}`)
		challenge := b.do("acme", "POST /v1/api/simulate/3ds", `{"card_id":"`+card+`","merchant":"SHOP","amount":1}`)
		all := b.changes(card, doomed, field(t, hook, "id"), field(t, challenge, "id"), field(t, challenge, "otp"), lines)
		for _, r := range b.surface.Routes() {
			if !r.Idempotent {
				continue
			}
			c, known := all[r.Name]
			if !known {
				t.Errorf("%s is not tried", r.Name)
				continue
			}
			send := func(line, body string) string {
				w := b.do("acme", line, body, "X-Idempotency-Key", "key of "+r.Name)
				return fmt.Sprint(w.Code, " ", w.Body)
			}
			first := send(c.line, c.body)
			if !strings.HasPrefix(first, fmt.Sprint(r.Status)) {
				t.Errorf("%s: %s", r.Name, first)
			}
			b.clock.Advance(time.Second)
			if again := send(c.line, c.body); again != first {
				t.Errorf("%s is first answered with\n%s\nand then with\n%s", r.Name, first, again)
			}
			another := exchange{"POST /v1/api/cards/" + card + "/freeze", "", ""}
			if c.other != "" {
				another = exchange{c.line, c.other, ""}
			}
			if got := send(another.line, another.body); !strings.HasPrefix(got, "400 ") || !strings.Contains(got, `"error":"idempotency_conflict"`) {
				t.Errorf("%s: something else under its key: %s", r.Name, got)
			}
		}
		b.quiet()
		b.verified()
	})
}
