package cardpluspay_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

const three = `{"item_code":"GOOGLE-5USD-KOXx","quantity":3}`

// The published types of every amount come out as they are printed: strings, numbers
// with their decimals, and the integer 15.
func TestPublishedTypes(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	for _, c := range []struct{ line, body, want string }{
		{"GET /v1/balance", "", `"data":{"balance":"100.50","currency":"USD","state":"success"}`},
		{"POST /v1/orders/check", `{"item_id":"GOOGLE-5USD-KOXx"}`, `"data":{"price":4.90,"state":"in_stock","status":true,"message":"Available","requested":1}`},
		{"GET /v1/catalog?item_id=GOOGLE-5USD-KOXx", "", `"value":"5.00","price":"4.90"`},
		{"POST /v1/orders", three, `"denomination":"5.00","charged_amount":"4.90","denomination_unit":"USD"}],"state":"completed","amount":"14.70","status":"completed","order_id":1,"order_no":"ORD-2026-001","created_at":"2026-11-21T09:00:00+00:00","denomination_unit":"USD","total_denomination":15}`},
		{"GET /v1/orders/1", "", `"amount":14.70,"created_at":"2026-11-21T09:00:00+00:00"`},
		{"POST /v1/orders", `{"item_code":"NETFLIX-15USD-Lm4t"}`, `"metadata":[{"Pin":"7694269"}]}],"state":"completed","amount":"15.50","status":"completed","order_id":2,"order_no":"ORD-2026-002","created_at":"2026-11-21T09:00:00+00:00","denomination_unit":"USD","total_denomination":15.5}`},
	} {
		if w := send(b.handler, b.keys["acme"], c.line, c.body); w.Code != 200 || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s\nwant %s", c.line, w.Code, w.Body, c.want)
		}
	}
	b.quiet()
}

// placed counts the orders of Acme's test book.
func (b *bundle) placed() int {
	b.t.Helper()
	page, err := b.Orders.List(b.t.Context(), order.Filter{Book: b.acme.Test})
	check.OK(b.t, err)
	return page.Total
}

// processes are handlers over the same database that know nothing of each other.
func (b *bundle) processes(n int) []http.Handler {
	var all []http.Handler
	for range n {
		b.mount()
		all = append(all, b.handler)
	}
	return all
}

// Of the same order sent at once, within a process and to several, one is placed: all
// get its bytes, and it is paid once.
func TestRepeatsAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		processes := b.processes(3)
		answers := make([]string, 24)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				w := send(processes[i%len(processes)], b.keys["acme"], "POST /v1/orders", three, "Idempotency-Key", "at once")
				answers[i] = fmt.Sprint(w.Code, w.Body)
			})
		}
		all.Wait()
		for i, answer := range answers {
			if answer != answers[0] || !strings.HasPrefix(answer, "200") {
				t.Errorf("answer %d is %s\nand not %s", i, answer, answers[0])
			}
		}
		if got := b.placed(); got != 1 {
			t.Errorf("%d orders were placed", got)
		}
		b.quiet()
		b.verified()
	})
}

// Of different orders under one key at once, one is placed and the others are refused.
func TestConflictsAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		processes := b.processes(2)
		made, refused := 0, 0
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				body := `{"item_code":"GOOGLE-5USD-KOXx","email":"buyer` + strconv.Itoa(i) + `@shop.example"}`
				w := send(processes[i%2], b.keys["acme"], "POST /v1/orders", body, "Idempotency-Key", "one key")
				mu.Lock()
				defer mu.Unlock()
				switch w.Code {
				case 200:
					made++
				case 409:
					refused++
				default:
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		}
		all.Wait()
		if made != 1 || refused != 11 || b.placed() != 1 {
			t.Errorf("%d made, %d refused, %d placed", made, refused, b.placed())
		}
		b.verified()
	})
}

// An answer is kept for a day and until it is purged; then the same request is an order
// of its own.
func TestRepeatEnds(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		purge := func() {
			t.Helper()
			_, err := idempotency.Purge(t.Context(), b.DB, b.clock.Now())
			check.OK(b.t, err)
		}
		first := b.do("acme", "POST", "/v1/orders", three, "Idempotency-Key", "k").Body.String()
		b.clock.Advance(24*time.Hour - time.Second)
		purge()
		if again := b.do("acme", "POST", "/v1/orders", three, "Idempotency-Key", "k").Body.String(); again != first {
			t.Errorf("within the day: %s", again)
		}
		b.clock.Advance(2 * time.Second)
		purge()
		if again := b.do("acme", "POST", "/v1/orders", three, "Idempotency-Key", "k"); again.Code != 200 || again.Body.String() == first {
			t.Errorf("after it: %d %s", again.Code, again.Body)
		}
		if got := b.placed(); got != 2 {
			t.Errorf("%d orders were placed", got)
		}
	})
}

// No code is in a table or in the log in the clear, whatever was done with it, and each
// look at one is recorded with who looked.
func TestSecretsAreNowhere(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		for _, line := range []string{"POST /v1/orders", "POST /v1/orders"} {
			if w := send(b.handler, b.keys["acme"], line, three, "Idempotency-Key", "secret"); w.Code != 200 || strings.Count(w.Body.String(), "GPLAY-") != 3 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		for range 2 {
			if w := b.do("acme", "GET", "/v1/orders/1", ""); w.Code != 200 || strings.Count(w.Body.String(), "GPLAY-") != 3 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		if w := b.do("acme", "GET", "/v1/orders", ""); strings.Contains(w.Body.String(), "GPLAY-") {
			t.Errorf("a list shows codes: %s", w.Body)
		}
		rows := testkit.Contents(t, b.DB)
		for where, text := range map[string]string{"the database": rows, "the log": b.log.String()} {
			for _, secret := range []string{"GPLAY-0", "NFLX-0", "7694269"} {
				if at := strings.Index(text, secret); at >= 0 {
					t.Errorf("%s holds %s: %q", where, secret, text[max(0, at-80):at+40])
				}
			}
		}
		looks, _, err := storage.One(t.Context(), db, storage.Scalar[int], countLooks, string(b.acme.Test), string(b.refs["acme"].ID))
		if err != nil || looks != 4 {
			t.Errorf("%d looks are recorded, want 4: one by the order, one by its repetition, two by reading it (%v)", looks, err)
		}
	})
}

var countLooks = storage.SQL("cardpluspay_test.count_looks", `SELECT COUNT(*) FROM stock_reveals WHERE book_id = $1 AND actor = $2`)

// An order of another account, of another realm and of nobody are one answer.
func TestAnothersOrder(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		if w := b.do("acme", "POST", "/v1/orders", three); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		answers := map[string]bool{}
		for _, w := range []*httptest.ResponseRecorder{
			b.do("rival", "GET", "/v1/orders/1", ""), b.do("acme_live", "GET", "/v1/orders/1", ""), b.do("acme", "GET", "/v1/orders/2", ""),
			b.do("acme", "GET", "/v1/orders/-1", ""), b.do("acme", "GET", "/v1/orders/9223372036854775807", ""),
		} {
			answers[fmt.Sprint(w.Code, " ", w.Body)] = true
		}
		if len(answers) != 1 || !answers[`404 {"success":false,"message":"no such order","data":{}}`] {
			t.Errorf("the answers are %v", answers)
		}
	})
}

// A key has its realm: the sandbox's balance, orders and codes are not the live ones.
func TestRealms(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	if w := b.do("acme_live", "GET", "/v1/balance", ""); !strings.Contains(w.Body.String(), `"balance":"0.00"`) {
		t.Errorf("%s", w.Body)
	}
	if w := b.do("acme_live", "POST", "/v1/orders/check", `{"item_id":"GOOGLE-5USD-KOXx"}`); w.Code != 400 || !strings.Contains(w.Body.String(), `"out_of_stock"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if b.acme.Book(realm.Live) == b.acme.Book(realm.Test) {
		t.Error("the realms share a book")
	}
}

// A body beyond its limit is refused unread.
func TestBodyTooLarge(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	for _, path := range []string{"/v1/orders", "/v1/orders/check", "/v1/auth/challenge"} {
		if w := b.do("acme", "POST", path, `{"a":"`+strings.Repeat("x", 64<<10)+`"}`); w.Code != 413 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// An address that presents too many wrong keys or signatures has to wait, even with right ones.
func TestFailuresAreThrottled(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.sign(b.acme.Test)
	w := b.do("acme", "POST", "/v1/auth/challenge", "")
	var got struct{ Data struct{ Challenge string } }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	challenge := got.Data.Challenge
	for i := range 30 {
		wrongKey := send(b.handler, "cp_test_sk_wrong"+strconv.Itoa(i), "GET /v1/balance", "")
		wrongSignature := b.do("acme", "GET", "/v1/balance", "", "X-API-Challenge", challenge, "X-API-Signature", "AAAA")
		if wrongKey.Code != 401 || wrongSignature.Code != 401 {
			t.Fatalf("%d: %d %d", i, wrongKey.Code, wrongSignature.Code)
		}
	}
	if w := b.do("acme", "GET", "/v1/balance", "", "X-API-Challenge", challenge, "X-API-Signature", b.signature(challenge)); w.Code != 429 || w.Header().Get("Retry-After") != "60" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	b.clock.Advance(time.Minute)
	if w := b.do("acme", "GET", "/v1/balance", "", "X-API-Challenge", challenge, "X-API-Signature", b.signature(challenge)); w.Code != 200 {
		t.Errorf("a minute later: %d %s", w.Code, w.Body)
	}
}

// An item to which the operator's rules give no price is out of stock in every call, and says so.
func TestNoPrice(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	_, err := b.catalog.PutPrice(t.Context(), catalog.Rule{Item: "NETFLIX-15USD-Lm4t", Basis: catalog.OfCost, Percent: 10_500}, seeder)
	check.OK(t, err)
	if w := b.do("acme", "GET", "/v1/catalog?item_id=NETFLIX-15USD-Lm4t", ""); !strings.Contains(w.Body.String(), `"in_stock":false`) {
		t.Errorf("%s", w.Body)
	}
	const want = `{"success":false,"message":"Gift card out of stock","data":{"state":"out_of_stock","status":false,"message":"Unavailable","requested":2,"reason":"this item has no price at present"}}`
	for _, path := range []string{"/v1/orders/check", "/v1/orders"} {
		if w := b.do("acme", "POST", path, `{"item_code":"NETFLIX-15USD-Lm4t","quantity":2}`); w.Code != 400 || w.Body.String() != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// Who repeats an order gets the codes of its answer, and has not seen one that took the place
// of another since: that cannot be claimed before somebody looked at it.
func TestRepeatShowsWhatWas(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		first := b.do("acme", "POST", "/v1/orders", three, "Idempotency-Key", "k").Body.String()
		dead := func() *httptest.ResponseRecorder {
			b.clock.Advance(time.Minute)
			return b.do("acme", "POST", "/v1/orders/1/claims", `{"codes":[2],"reason":"used"}`)
		}
		if w := dead(); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		claims, err := b.Claims.OfOrder(t.Context(), b.acme.Test, 1)
		check.OK(t, err)
		_, err = b.Claims.Decide(t.Context(), claim.Decision{Book: b.acme.Test, Claim: claims[0].ID, Verdict: claim.Replace, Actor: seeder})
		check.OK(t, err)
		b.clock.Advance(time.Minute)
		if again := b.do("acme", "POST", "/v1/orders", three, "Idempotency-Key", "k").Body.String(); again != first {
			t.Errorf("again: %s", again)
		}
		if w := dead(); w.Code != 409 || !strings.Contains(w.Body.String(), "nobody has looked at code 2 yet") {
			t.Errorf("a code that nobody saw: %d %s", w.Code, w.Body)
		}
		if w := b.do("acme", "GET", "/v1/orders/1", ""); w.Code != 200 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := dead(); w.Code != 200 {
			t.Errorf("once it was read: %d %s", w.Code, w.Body)
		}
	})
}
