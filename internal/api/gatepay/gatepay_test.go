package gatepay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

func eachEngine(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		test(t, b)
		b.verify()
	})
}

// answer is the envelope with the data of any call.
type answer struct {
	Status, Code, Label, ErrorMessage string
	Data                              map[string]any
}

func read(t testing.TB, w *httptest.ResponseRecorder) answer {
	t.Helper()
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return a
}

// want checks the status and the code of an answer.
func want(t testing.TB, what string, w *httptest.ResponseRecorder, code string) {
	t.Helper()
	status := "200"
	if code != "000000" {
		status = code[:3]
	}
	if codeIn(t, w) != code || fmt.Sprint(w.Code) != status {
		t.Errorf("%s: %d %s, want %s %s", what, w.Code, w.Body, status, code)
	}
}

// create makes a card of 100 USD and returns its number and key.
func (b *bundle) create(client string) (number, key string) {
	b.t.Helper()
	w := b.do(client, "POST", "/v1/pay/giftcard/create", `{"title":"Holiday Gift Card","templateId":"template_001","currency":"USD","amount":"100"}`)
	want(b.t, "create", w, "000000")
	data := read(b.t, w).Data
	return data["cardNumber"].(string), data["key"].(string)
}

// A card that does not exist, another merchant's, one of the other realm and what is
// no card number at all get the same bytes from every call that takes a card.
func TestUnknownCardsAreAlike(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		rivalNumber, rivalKey := b.create("rival")
		liveNumber, liveKey := b.create("acme-live")
		answers, before := map[string][]string{}, b.contents()
		for i, card := range [][2]string{
			{"cardNumber", "GC0000000000000000"}, {"cardNumber", rivalNumber}, {"cardNumber", liveNumber}, {"cardNumber", "!"}, {"cardNumber", rivalKey},
			{"cardNumber", strings.Repeat("9", 200)}, {"cardNumber", strings.ToLower(rivalNumber)},
			{"key", "KEY_00000000000000000000000000000000"}, {"key", rivalKey}, {"key", liveKey}, {"key", rivalNumber}, {"key", strings.Repeat("k", 9000)},
		} {
			spend := fmt.Sprintf(`{%q:%q,"amount":"1","currency":"USD","merchantTradeNo":"n%d"}`, card[0], card[1], i)
			for _, call := range []struct{ method, target, body string }{
				{"GET", "/v1/pay/balance/query?" + card[0] + "=" + card[1], ""},
				{"GET", "/v1/pay/giftcard/query?" + card[0] + "=" + card[1], ""},
				{"POST", "/v1/pay/gift/query", fmt.Sprintf(`{%q:%q}`, card[0], card[1])},
				{"POST", "/v1/pay/giftcard/redeem", spend},
				{"POST", "/v1/pay/giftcard/hold", spend},
				{"POST", "/v1/pay/giftcard/reload", spend},
				{"POST", "/v1/pay/giftcard/cancel", fmt.Sprintf(`{%q:%q}`, card[0], card[1])},
			} {
				r, w := request(call.method, call.target, []byte(call.body)), httptest.NewRecorder()
				b.sign(r, []byte(call.body), signing{client: "acme"})
				b.bare.ServeHTTP(w, r)
				text := fmt.Sprintf("%d %s", w.Code, w.Body)
				path, _, _ := strings.Cut(call.target, "?")
				answers[text] = append(answers[text], path+" "+card[0])
			}
		}
		const only = `400 {"status":"FAIL","code":"400001","label":"not_found","errorMessage":"no such gift card","data":{}}`
		if len(answers) != 1 || answers[only] == nil {
			t.Errorf("answers differ: %v", answers)
		}
		if diff := cmp.Diff(before, b.contents()); diff != "" {
			t.Errorf("refusals changed the database (-before +after):\n%s", diff)
		}
	})
}

// Wrong credentials are throttled by address: after too many, right ones are refused
// there too, without a look-up, until it slows down. Other addresses go on, and
// requests without a credential or with a skewed clock count for nothing.
func TestFailuresAreThrottled(t *testing.T) {
	const room = 60
	eachEngine(t, func(t *testing.T, b *bundle) {
		try := func(address string, s signing, key string) *httptest.ResponseRecorder {
			r := request("GET", "/v1/pay/giftcard/template/list", nil)
			r.RemoteAddr = address
			if s.client != "" {
				b.sign(r, nil, s)
			}
			if key != "" {
				r.Header.Set("X-API-Key", key)
			}
			w := httptest.NewRecorder()
			b.bare.ServeHTTP(w, r)
			return w
		}
		const here, there = "192.0.2.7:1000", "192.0.2.8:1000"
		for range 2 * room {
			want(t, "no credential", try(here, signing{}, ""), "401001")
			want(t, "skewed clock", try(here, signing{client: "acme", skew: time.Hour}, ""), "400003")
		}
		for range room / 2 {
			want(t, "wrong signature", try(here, signing{client: "acme", secret: "rival"}, ""), "400002")
			want(t, "wrong key", try(here, signing{}, "cp_test_sk_wrong"), "401001")
		}
		w := try(here, signing{client: "acme", nonce: "kept"}, "")
		want(t, "a right signature from the address", w, "429001")
		if wait := w.Header().Get("Retry-After"); wait != "60" {
			t.Errorf("Retry-After: %q", wait)
		}
		want(t, "a right key from the address", try(here, signing{}, b.keys["full"]), "429001")
		want(t, "a skewed clock from the address", try(here, signing{client: "acme", skew: time.Hour}, ""), "400003")
		want(t, "another address", try(there, signing{client: "acme"}, ""), "000000")
		b.clock.Advance(time.Minute)
		want(t, "a minute later, the nonce is unspent", try(here, signing{client: "acme", nonce: "kept"}, ""), "000000")
	})
}

// hostile are bodies with which no call does anything; each names a card that exists.
func hostile(number string) map[string]string {
	valid := `"title":"T","templateId":"template_001","currency":"USD","amount":"1","merchantTradeNo":"x","originalMerchantTradeNo":"o","holdId":"h","cardNumber":"` + number + `"`
	with := func(name, value string) string {
		return strings.Replace("{"+valid+"}", `"`+name+`":`, `"`+name+`":`+value+`,"was":`, 1)
	}
	bodies := map[string]string{
		"nothing": "", "spaces": "  \n", "text": "hello", "cut": "{" + valid, "list": "[{" + valid + "}]", "null": "null", "number": "5", "text value": `"x"`, "two": "{" + valid + "}{}",
		"byte order mark": "\ufeff{" + valid + "}", "nothing required": "{}", "single quotes": "{'title':'T'}",
		"deep":     `{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "," + valid + "}",
		"not UTF8": "{\"note\":\"\xff\xfe\"," + valid + "}", "half a pair": `{"note":"\ud800",` + valid + "}", "NUL": `{"note":"\u0000",` + valid + "}",
		"every name twice": "{" + valid + "," + valid + "}",
	}
	for _, name := range []string{"amount", "currency", "merchantTradeNo", "cardNumber"} {
		for what, value := range map[string]string{"number": "1", "object": "{}", "list": `["1"]`, "true": "true", "fraction": "1.5", "huge number": "1e400"} {
			bodies[name+" "+what] = with(name, value)
		}
	}
	for what, amount := range map[string]string{"negative": "-1", "zero": "0", "fine": "0.001", "seven decimals": "1.0000000", "large": "5000000.01", "huge": strings.Repeat("9", 60),
		"endless": strings.Repeat("9", 9_000), "exponent": "1e2", "hex": "0x10", "plus": "+1", "comma": "1,0", "word": "ten", "infinite": "Inf", "not a number": "NaN", "other digits": "١", "spaces": " 1 "} {
		bodies["amount "+what] = with("amount", `"`+amount+`"`)
	}
	for what, currency := range map[string]string{"unknown": "ZZZ", "lower case": "usd", "long": strings.Repeat("U", 5_000), "gold": "XAU", "another": "EUR"} {
		bodies["currency "+what] = with("currency", `"`+currency+`"`)
	}
	for what, reference := range map[string]string{"long": strings.Repeat("x", 65), "line feed": `a\nb`, "escape": `a\u001b[31mb`} {
		bodies["reference "+what] = with("merchantTradeNo", `"`+reference+`"`)
	}
	return bodies
}

// Hostile bodies are refused by every call that writes with a published code and a
// reason, change nothing, and their values are never repeated.
func TestBadInput(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		number, _ := b.create("acme")
		before := b.contents()
		for _, path := range []string{"giftcard/create", "giftcard/redeem", "giftcard/hold", "giftcard/reload", "giftcard/redeem/refund", "giftcard/capture"} {
			for what, body := range hostile(number) {
				if path == "giftcard/create" && (strings.HasPrefix(what, "cardNumber") || what == "currency another") {
					continue // it reads no card, and any currency will do
				}
				r := request("POST", "/v1/pay/"+path, []byte(body))
				r.Header.Set("Content-Type", "application/json")
				b.sign(r, []byte(body), signing{client: "acme"})
				w := httptest.NewRecorder()
				b.bare.ServeHTTP(w, r)
				if got := read(t, w); w.Code != 400 || got.Code != "400001" || got.ErrorMessage == "" {
					t.Errorf("%s, %s: %d %s", path, what, w.Code, w.Body)
				}
				if strings.Contains(w.Body.String(), number) || w.Body.Len() > 400 {
					t.Errorf("%s, %s: the answer repeats what was sent: %s", path, what, w.Body)
				}
			}
			if diff := cmp.Diff(before, b.contents()); diff != "" {
				t.Errorf("%s was refused and changed the database (-before +after):\n%s", path, diff)
			}
		}
	})
}

// A body beyond the limit is refused unread, before its signature is looked at,
// whether or not its size is announced.
func TestBodyTooLarge(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		body := `{"title":"` + strings.Repeat("a", 10<<20) + `"}`
		for _, announced := range []bool{true, false} {
			for _, path := range []string{"giftcard/create", "giftcard/redeem", "gift/query"} {
				r := request("POST", "/v1/pay/"+path, []byte(body))
				if !announced {
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), -1
				}
				w := b.send(r)
				want(t, path, w, "413001")
				if w.Header().Get("Connection") != "close" {
					t.Errorf("%s: the connection stays open", path)
				}
			}
		}
		small := `{"title":"T","templateId":"template_001","currency":"USD","amount":"1","note":"`
		small += strings.Repeat("a", 64<<10-len(small)-2) + `"}`
		want(t, "64 KiB", b.do("acme", "POST", "/v1/pay/giftcard/create", small), "000000")
		want(t, "64 KiB and a byte", b.do("acme", "POST", "/v1/pay/giftcard/create", small+" "), "413001")
	})
}

// Seeded hostile requests, signed and with a key, never end in a mistake of ours;
// every refusal fits the document, and afterwards the books still add up.
func TestHostileRequests(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		b.create("acme")
		signed := 0
		b.Take = nil // so that hostile credentials do not end the run
		b.mount()
		wiretest.FuzzSurface(t, wiretest.Attack{Document: contract(t), Handler: b.bare, Seed: 20261121, Rounds: 60, Prepare: func(r *http.Request, body []byte) {
			if signed++; signed%2 == 0 {
				b.sign(r, body, signing{client: "acme"})
				return
			}
			r.Header.Set("X-API-Key", b.keys["full"])
		}})
	})
}

// atOnce sends copies of a request at the same time.
func (b *bundle) atOnce(n int, make func(i int) *http.Request) []*httptest.ResponseRecorder {
	answers := []*httptest.ResponseRecorder{}
	requests := []*http.Request{}
	for i := range n {
		answers, requests = append(answers, httptest.NewRecorder()), append(requests, make(i))
	}
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { b.bare.ServeHTTP(answers[i], requests[i]) })
	}
	group.Wait()
	return answers
}

// Of copies of one signed request that arrive together, one is accepted.
func TestNonceOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		counts := map[string]int{}
		for _, w := range b.atOnce(16, func(int) *http.Request {
			r := request("GET", "/v1/pay/giftcard/template/list", nil)
			b.sign(r, nil, signing{client: "acme", nonce: "together"})
			return r
		}) {
			counts[codeIn(t, w)]++
		}
		if diff := cmp.Diff(map[string]int{"000000": 1, "400020": 15}, counts); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}

// codeIn is the code of an answer whose data may be of any kind.
func codeIn(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	match := codeOf.FindStringSubmatch(w.Body.String())
	if match == nil {
		t.Fatalf("no code: %s", w.Body)
	}
	return match[1]
}

// Copies of one redemption that arrive together, each signed anew, are done once and
// answered alike.
func TestRepeatedTogether(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		number, _ := b.create("acme")
		body := []byte(`{"cardNumber":"` + number + `","amount":"30.00","currency":"USD","merchantTradeNo":"order-1"}`)
		bodies := map[string]bool{}
		for _, w := range b.atOnce(16, func(int) *http.Request {
			r := request("POST", "/v1/pay/giftcard/redeem", body)
			b.sign(r, body, signing{client: "acme"})
			return r
		}) {
			want(t, "redeem", w, "000000")
			bodies[w.Body.String()] = true
		}
		if len(bodies) != 1 {
			t.Errorf("answers differ: %v", bodies)
		}
		balance := read(t, b.do("acme", "GET", "/v1/pay/balance/query?cardNumber="+number, "")).Data["balance"]
		if balance != "70" {
			t.Errorf("the balance is %v", balance)
		}
		done, err := b.books.ListTransactions(t.Context(), b.acme.Test, 0, ledger.MaxPage)
		check.OK(b.t, err)
		if len(done) != 2 {
			t.Errorf("%d transactions, want the card and one redemption", len(done))
		}
	})
}

// What an operator reverses in the books stands in the history as one of the contract's types.
func TestReversedInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		number, _ := b.create("acme")
		spend := func(path, amount, reference string) string {
			a := read(t, b.do("acme", "POST", "/v1/pay/giftcard/"+path, `{"cardNumber":"`+number+`","originalMerchantTradeNo":"order-1",
				"amount":"`+amount+`","currency":"USD","merchantTradeNo":"`+reference+`"}`))
			return fmt.Sprint(a.Data["transactionId"])
		}
		spend("redeem", "10", "order-1")
		for _, original := range []string{spend("redeem", "30", "order-2"), spend("redeem/refund", "4", "refund-1"), spend("reload", "7", "reload-1")} {
			_, err := b.books.Submit(t.Context(), ledger.Operation{Book: b.acme.Test, Kind: "transaction.reverse",
				Reverses: ledger.TransactionID(original), Actor: "opr", At: b.clocks.Now(realm.Test)})
			check.OK(t, err)
		}
		b.kept = nil
		spend("redeem", "90", "order-3")
		var shown []string
		data := read(t, b.do("acme", "GET", "/v1/pay/giftcard/query?cardNumber="+number, "")).Data
		for _, one := range data["transactions"].([]any) {
			line := one.(map[string]any)
			shown = append(shown, fmt.Sprint(line["type"], " ", line["amount"], " ", line["balanceAfter"]))
		}
		check.List(t, "history", shown, "CREATE 100 100", "REDEEM 10 90", "REDEEM 30 60", "REFUND 4 64", "RELOAD 7 71",
			"REFUND 30 101", "REDEEM 4 97", "CANCEL 7 90", "REDEEM 90 0")
		if data["status"] != "REDEEMED" || data["redeemTime"] == nil {
			t.Errorf("status %v, redeemed at %v", data["status"], data["redeemTime"])
		}
	})
}

// Where nonces are kept in memory, a request signed before the server started is
// refused: an earlier process may have accepted it.
func TestSignedBeforeTheStart(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		b.clock.Advance(5 * time.Second)
		r := request("GET", "/v1/pay/giftcard/template/list", nil)
		b.sign(r, nil, signing{client: "acme", skew: -6 * time.Second})
		code := "400003"
		if b.db.Shared() {
			code = "000000"
		}
		if w := b.send(r); codeIn(t, w) != code {
			t.Errorf("%s, want %s", w.Body, code)
		}
	})
}

// A cover is served to everybody, as a picture that is no page and may be kept for a day.
func TestCover(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		w := b.send(request("GET", "/v1/pay/giftcard/template/cover/template_002", nil))
		header := map[string]string{}
		for _, name := range []string{"Content-Type", "Cache-Control", "X-Content-Type-Options"} {
			header[name] = w.Header().Get(name)
		}
		diff := cmp.Diff(map[string]string{"Content-Type": "image/png", "Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}, header)
		if w.Code != http.StatusOK || diff != "" || w.Header().Get("ETag") == "" || !bytes.HasPrefix(w.Body.Bytes(), []byte("\x89PNG")) {
			t.Errorf("%d, headers (-want +got):\n%s", w.Code, diff)
		}
		r := request("GET", "/v1/pay/giftcard/template/cover/template_002", nil)
		r.Header.Set("If-None-Match", w.Header().Get("ETag"))
		if again := b.send(r); again.Code != http.StatusNotModified || again.Body.Len() > 0 || again.Header().Get("ETag") != w.Header().Get("ETag") {
			t.Errorf("the same again: %d %s", again.Code, again.Body)
		}
	})
}

// Without a public address, links lead to the host that was asked.
func TestCoverURL(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.Deps.BaseURL = ""
	b.mount()
	r := request("GET", "/v1/pay/giftcard/template/list", nil)
	r.Host = "shop.example:8420"
	r.Header.Set("X-API-Key", b.keys["full"])
	if w := b.send(r); !strings.Contains(w.Body.String(), `"coverUrl":"http://shop.example:8420/v1/pay/giftcard/template/cover/template_001"`) {
		t.Error(w.Body)
	}
}

// A key that works from some networks only is refused elsewhere, and is no failure.
func TestKeyNetworks(t *testing.T) {
	eachEngine(t, func(t *testing.T, b *bundle) {
		networks, err := account.ParseNetworks([]string{"203.0.113.0/24"})
		check.OK(b.t, err)
		made, err := b.Accounts.CreateKey(t.Context(), seeder, account.NewKey{Book: b.acme.Test,
			KeySettings: account.KeySettings{Name: "till", Scopes: account.NewScopes(account.ScopeAll), Networks: networks}})
		check.OK(b.t, err)
		for address, code := range map[string]string{"203.0.113.9:1": "000000", "192.0.2.1:1": "403001"} {
			r := request("GET", "/v1/pay/giftcard/template/list", nil)
			r.RemoteAddr = address
			r.Header.Set("X-API-Key", made.Secret.Reveal())
			if w := b.send(r); codeIn(t, w) != code {
				t.Errorf("%s: %s, want %s", address, w.Body, code)
			}
		}
	})
}
