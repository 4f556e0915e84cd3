package gatepay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/trace"
)

const batchPath = "/v1/pay/giftcard/batch"

// singles are the paths of a batch's actions.
var singles = map[string]string{"redeem": "redeem", "refund": "redeem/refund", "hold": "hold", "capture": "capture", "void": "void", "reload": "reload", "cancel": "cancel"}

// results are what became of operations that were sent in one batch, each as text.
func results(t testing.TB, w *httptest.ResponseRecorder) (items []string) {
	t.Helper()
	var a struct {
		Code string
		Data struct{ Results []json.RawMessage }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || a.Code != "000000" {
		t.Fatalf("%v: %s", err, w.Body)
	}
	for _, item := range a.Data.Results {
		items = append(items, string(item))
	}
	return items
}

func batchOf(operations ...string) string {
	return `{"operations":[` + strings.Join(operations, ",") + "]}"
}

// redemption is an operation of a batch.
func redemption(number, amount string, n int) string {
	return fmt.Sprintf(`{"action":"redeem","cardNumber":%q,"amount":%q,"currency":"USD","merchantTradeNo":"n%d"}`, number, amount, n)
}

// An operation that is refused has the very answer of its own call, and does nothing.
func TestBatchRefusesAsItsCalls(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		number, _ := b.create("acme")
		rivals, _ := b.create("rival")
		var wrong []string
		for what, body := range hostile(number) {
			if kind, _, two := strings.Cut(what, " "); two && slices.Contains([]string{"amount", "currency", "merchantTradeNo", "cardNumber", "reference"}, kind) && json.Valid([]byte(body)) {
				wrong = append(wrong, body)
			}
		}
		wrong = append(wrong, `{}`, `{"cardNumber":"`+rivals+`","amount":"1","currency":"USD","merchantTradeNo":"n","originalMerchantTradeNo":"n","holdId":"hold_01kf3v9r6vg0m0x3n8y5d7p1bc"}`,
			`{"key":"KEY_0","amount":"1","currency":"USD","merchantTradeNo":"n","final":"maybe","holdId":"h"}`)
		if len(wrong) < 30 {
			t.Fatalf("only %d are wrong", len(wrong))
		}
		before := b.contents()
		for action, path := range singles {
			var operations, want []string
			for _, body := range wrong {
				if w := b.do("acme", "POST", "/v1/pay/giftcard/"+path, body); w.Code != http.StatusOK {
					operations = append(operations, strings.Replace(`{"action":"`+action+`",`+body[1:], ",}", "}", 1))
					want = append(want, strings.TrimSpace(w.Body.String()))
				} else if action != "cancel" {
					t.Errorf("%s is fine: %s", path, body)
				} else { // all that it names is a card, which has ended now
					before = b.contents()
				}
			}
			got := results(t, b.do("acme", "POST", batchPath, batchOf(operations...)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-own call +batch):\n%s", action, diff)
			}
		}
		const invalid = `{"status":"FAIL","code":"400001","label":"invalid_request","errorMessage":%q,"data":{}}`
		object, which := "operations[1] must be an object", "action must be redeem, refund, hold, capture, void, reload or cancel"
		for operation, message := range map[string]string{`{}`: "action is required", `{"action":"create"}`: which, `{"action":"Redeem"}`: which,
			`{"action":5}`: "action must be a valid string", `5`: object,
			`null`: object, ` []`: object, `"redeem"`: object} {
			if got := results(t, b.do("acme", "POST", batchPath, batchOf(`{}`, operation))); got[1] != fmt.Sprintf(invalid, message) {
				t.Errorf("%s: %s", operation, got)
			}
		}
		if diff := cmp.Diff(before, b.contents()); diff != "" {
			t.Errorf("refusals changed the database (-before +after):\n%s", diff)
		}
	})
}

// A batch counts as many requests as it has operations. Where that is too much nothing of it is
// done, and it is told when all of it may come.
func TestBatchIsCounted(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		number, _ := b.create("acme")
		take := b.Take
		b.Take = func(ctx context.Context, subject string, _ []wire.Window, n int) (wire.Decision, error) {
			return take(ctx, subject, []wire.Window{{Limit: 150, Per: time.Minute}}, n)
		}
		b.mount()
		sent := 0
		send := func(n int) *httptest.ResponseRecorder {
			var operations []string
			for range n {
				sent++
				operations = append(operations, redemption(number, "0.01", sent))
			}
			r := request("POST", batchPath, []byte(batchOf(operations...)))
			r.Header.Set("X-API-Key", b.keys["full"])
			return b.send(r)
		}
		if n := len(results(t, send(100))); n != 100 {
			t.Errorf("%d results of 100", n)
		}
		refused := send(51) // the watch sees that nothing changed
		want(t, "51 where 50 are left", refused, "429001")
		seconds, err := strconv.Atoi(refused.Header().Get("Retry-After"))
		if err != nil || seconds < 1 || seconds > 60 {
			t.Errorf("to come again after %q", refused.Header().Get("Retry-After"))
		}
		want(t, "as many as are left", send(49), "000000")
		want(t, "one more", send(1), "429001")
		b.clock.Advance(2 * time.Minute)
		want(t, "more than a batch may have", send(101), "400001")
		balance := read(t, b.do("acme", "GET", "/v1/pay/balance/query?cardNumber="+number, "")).Data["balance"]
		if balance != "98.51" {
			t.Errorf("the balance is %v after 149 cents", balance)
		}
	})
}

// A body has room for the longest operations that a batch may have.
func TestBatchSize(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	_, key := b.create("acme")
	for _, operation := range []string{
		fmt.Sprintf(`{"action":"redeem","key":%q,"amount":"0.010000","currency":"USD","merchantTradeNo":"%064d","expireSeconds":"604800"}`, key, 1),
		fmt.Sprintf(`{"action":"refund","originalMerchantTradeNo":"%064d","amount":"0.010000","currency":"USD","merchantTradeNo":"%064d"}`, 1, 2),
		fmt.Sprintf(`{"action":"cancel","key":%q,"reason":%q}`, key, strings.Repeat("é", 200)),
	} {
		items := results(t, b.do("acme", "POST", batchPath, batchOf(slices.Repeat([]string{operation}, 100)...)))
		if len(items) != 100 || items[0] != items[99] || !strings.Contains(items[0], "SUCCESS") {
			t.Errorf("%d items, the last one %s", len(items), items[len(items)-1])
		}
	}
	b.verify()
}

// Copies of one batch that arrive together, each signed anew, are done once and answered alike.
func TestBatchesTogether(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		var operations []string
		for i := range 8 {
			number, _ := b.create("acme")
			for j := range 5 {
				operations = append(operations, redemption(number, "2", 5*i+j))
			}
		}
		body, bodies := []byte(batchOf(operations...)), map[string]bool{}
		for _, w := range b.atOnce(8, func(int) *http.Request {
			r := request("POST", batchPath, body)
			b.sign(r, body, signing{client: "acme"})
			return r
		}) {
			want(t, "batch", w, "000000")
			bodies[w.Body.String()] = true
		}
		if len(bodies) != 1 {
			t.Errorf("%d answers differ", len(bodies))
		}
		b.verify()
	})
}

// call is a call of the model, in cents.
type call struct {
	action, card, original, reference string
	amount                            int64
}

func (c call) text() string {
	amount := fmt.Sprintf("%d.%02d", c.amount/100, c.amount%100)
	return fmt.Sprintf(`{"action":%q,"cardNumber":%q,"originalMerchantTradeNo":%q,"amount":%q,"currency":"USD","merchantTradeNo":%q}`, c.action, c.card, c.original, amount, c.reference)
}

// model is what single calls do: balances, what was done under which reference and how it was
// answered, and what of a redemption may still be refunded.
type model struct {
	balances, left map[string]int64
	done           map[string]call
	answers        map[string]string
}

func (m *model) clone() *model {
	return &model{maps.Clone(m.balances), maps.Clone(m.left), maps.Clone(m.done), maps.Clone(m.answers)}
}

// try makes a call and returns what is answered: the balance after it, or a label.
func (m *model) try(c call) string {
	card, key := c.card, c.action+" "+c.reference
	if c.action == "refund" {
		original, found := m.done["redeem "+c.original]
		if !found {
			return "not_found"
		}
		card = original.card
	}
	switch before, found := m.done[key]; {
	case found && before == c:
		return m.answers[key]
	case found:
		return "idempotency_conflict"
	case c.action == "redeem" && m.balances[card] < c.amount:
		return "insufficient_funds"
	case c.action == "refund" && m.left[c.original] < c.amount:
		return "guard_exceeded"
	}
	switch c.action {
	case "redeem":
		m.balances[card] -= c.amount
		m.left[c.reference] = c.amount
	case "refund":
		m.left[c.original] -= c.amount
		m.balances[card] += c.amount
	default:
		m.balances[card] += c.amount
	}
	m.done[key], m.answers[key] = c, strconv.FormatInt(m.balances[card], 10)
	return m.answers[key]
}

// draw draws calls of few cards under few references.
func draw(cards []string, round int) (calls []call) {
	reference := func() string { return fmt.Sprint("r", max(0, round-rand.IntN(3)), "-", rand.IntN(8)) }
	for range 1 + rand.IntN(40) {
		c := call{action: "redeem", card: cards[rand.IntN(len(cards))], reference: reference(), amount: 1 + rand.Int64N(3000)}
		switch rand.IntN(6) {
		case 0:
			c.action = "reload"
		case 1, 2:
			c.action, c.card, c.original, c.amount = "refund", "", reference(), 1+rand.Int64N(1000)
		}
		if n := len(calls); n > 0 && rand.IntN(4) == 0 {
			c = calls[rand.IntN(n)]
		}
		calls = append(calls, c)
	}
	return calls
}

// A batch does and says what its operations do and say as single calls in some order: that in
// which the books have what was done, with each refusal and repetition somewhere between.
func TestBatchIsItsCalls(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		m := &model{map[string]int64{}, map[string]int64{}, map[string]call{}, map[string]string{}}
		var cards []string
		for range 3 {
			number, _ := b.create("acme")
			cards, m.balances[number] = append(cards, number), 10_000
		}
		fresh, seen := trace.Transactions(b.books), map[string]bool{}
		fresh(t, b.acme.Test)
		for round := range 40 {
			calls := draw(cards, round)
			var operations []string
			for _, c := range calls {
				operations = append(operations, c.text())
			}
			items := results(t, b.do("acme", "POST", batchPath, batchOf(operations...)))
			m = between(t, m, calls, items, fresh(t, b.acme.Test), seen)
			if t.Failed() {
				return
			}
		}
		for number, minor := range m.balances {
			got := read(t, b.do("acme", "GET", "/v1/pay/balance/query?cardNumber="+number, "")).Data["balance"]
			if cents(t, got) != minor {
				t.Errorf("%s has %v, want %d cents", number, got, minor)
			}
		}
		for _, label := range []string{"", "not_found", "idempotency_conflict", "insufficient_funds", "guard_exceeded"} {
			if !seen[label] {
				t.Errorf("nothing was answered with %q: %v", label, seen)
			}
		}
	})
}

// between holds the answers to calls against a model that makes those that the books have, in
// their order, and returns it.
func between(t *testing.T, m *model, calls []call, items []string, posted []ledger.Outcome, seen map[string]bool) *model {
	t.Helper()
	type said struct {
		Label string
		Data  struct{ TransactionID, Balance string }
	}
	answers := make([]said, len(items))
	for i, item := range items {
		check.OK(t, json.Unmarshal([]byte(item), &answers[i]))
		seen[answers[i].Label] = true
	}
	moments := []*model{m}
	for _, o := range posted {
		at := slices.IndexFunc(answers, func(a said) bool { return a.Data.TransactionID == string(o.Transaction) })
		if at < 0 {
			t.Fatalf("%s %s is in the books and in no answer", o.Kind, o.Reference)
		}
		m = m.clone()
		if answer := m.try(calls[at]); answer != strconv.FormatInt(cents(t, answers[at].Data.Balance), 10) {
			t.Errorf("%+v was answered with %s, want %s", calls[at], items[at], answer)
		}
		moments = append(moments, m)
	}
	for i, a := range answers {
		text := a.Label
		if text == "" {
			text = strconv.FormatInt(cents(t, a.Data.Balance), 10)
		}
		if !slices.ContainsFunc(moments, func(m *model) bool { return m.clone().try(calls[i]) == text }) {
			t.Errorf("%+v was answered with %s, as at no moment", calls[i], items[i])
		}
	}
	return m
}

// cents reads an amount of dollars.
func cents(t testing.TB, amount any) int64 {
	t.Helper()
	whole, part, _ := strings.Cut(amount.(string), ".")
	n, err := strconv.ParseInt(whole+(part + "00")[:2], 10, 64)
	check.OK(t, err)
	return n
}
