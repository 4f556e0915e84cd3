package cryptocardy_test

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

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/cryptocardy"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
)

const ad = `{"bin_id":"491653","amount":500,"label":"Ad Spend"}`

// create makes a card of acme's and returns its id.
func (b *bundle) create(body string, headers ...string) string {
	b.t.Helper()
	w := b.do("acme", "POST /v1/api/cards", body, headers...)
	var made struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != http.StatusCreated {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return made.ID
}

// spent is what acme's wallet has paid.
func (b *bundle) spent() int64 {
	b.t.Helper()
	left, err := b.wallets.Balance(b.t.Context(), b.acme.Test, money.USD)
	check.OK(b.t, err)
	return 200_000 - left.Minor
}

// processes are n servers over one database, each with a kit of its own.
func (b *bundle) processes(n int) []http.Handler {
	all := make([]http.Handler, n)
	for i := range all {
		mux := http.NewServeMux()
		cryptocardy.New(wire.NewKit(wire.Options{Clock: b.clock}), b.Deps).Mount(mux)
		all[i] = mux
	}
	return all
}

// Of the same call made at once under one key, in one process and in several, one acts and
// all get its answer, byte for byte.
func TestRepeatsAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := b.create(ad)
		processes := b.processes(2)
		for key, c := range map[string]struct{ line, body string }{
			"create": {"POST /v1/api/cards", ad}, "fund": {"POST /v1/api/cards/" + card + "/fund", `{"amount":100}`},
			"withdraw": {"POST /v1/api/cards/" + card + "/withdraw", `{"amount":50}`}, "patch": {"PATCH /v1/api/cards/" + card, `{"label":"New"}`},
			"webhook": {"POST /v1/api/webhooks", `{"url":"` + b.receiver.URL + `/a","events":["*"]}`},
			"pay":     {"POST /v1/api/simulate/authorization", `{"card_id":"` + card + `","amount":10,"merchant":{"name":"SHOP"}}`},
		} {
			answers := make([]string, 12)
			var all sync.WaitGroup
			for i := range answers {
				all.Go(func() {
					w := send(processes[i%2], b.seeds["acme"], c.line, c.body, "X-Idempotency-Key", key)
					answers[i] = fmt.Sprint(w.Code, w.Body)
				})
			}
			all.Wait()
			for i, answer := range answers {
				if answer != answers[0] || !strings.HasPrefix(answer, "20") {
					t.Errorf("%s: answer %d is %s\nand not %s", key, i, answer, answers[0])
				}
			}
		}
		if got := b.spent(); got != 50_000+50_000+10_000-5_000 {
			t.Errorf("the wallet spent %d", got)
		}
		b.quiet()
		b.verified()
	})
}

// Of different calls under one key at once, one is made and the others are refused.
func TestConflictsAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		processes := b.processes(2)
		codes := make([]int, 12)
		var all sync.WaitGroup
		for i := range codes {
			all.Go(func() {
				body := `{"bin_id":"491653","amount":` + strconv.Itoa(i+1) + `}`
				codes[i] = send(processes[i%2], b.seeds["acme"], "POST /v1/api/cards", body, "X-Idempotency-Key", "one key").Code
			})
		}
		all.Wait()
		count := map[int]int{}
		for _, code := range codes {
			count[code]++
		}
		if count[201] != 1 || count[400] != 11 {
			t.Errorf("statuses %v", count)
		}
		b.verified()
	})
}

// An answer is kept for a day and until it is purged; then the same request is a call of its own.
func TestRepeatEnds(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		first := b.create(ad, "X-Idempotency-Key", "k")
		b.clock.Advance(24*time.Hour - time.Second)
		b.purge()
		if again := b.create(ad, "X-Idempotency-Key", "k"); again != first {
			t.Errorf("within the day: %s, first %s", again, first)
		}
		b.clock.Advance(2 * time.Second)
		b.purge()
		if again := b.create(ad, "X-Idempotency-Key", "k"); again == first {
			t.Error("after it: the first card again")
		}
		if got := b.spent(); got != 100_000 {
			t.Errorf("the wallet spent %d", got)
		}
	})
}

// purge removes the answers that are over their time.
func (b *bundle) purge() {
	b.t.Helper()
	_, err := idempotency.Purge(b.t.Context(), b.DB, b.clock.Now())
	check.OK(b.t, err)
}

// No number, code, seed or webhook's secret is in a table or in the log in the clear,
// whatever was done; and each look at details is in the audit log, with who looked.
func TestSecretsAreNowhere(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := b.create(ad, "X-Idempotency-Key", "create")
		w := b.do("acme", "POST /v1/api/webhooks", `{"url":"`+b.receiver.URL+`/a","events":["*"]}`, "X-Idempotency-Key", "hook")
		secrets := []string{field(t, w, "secret"), b.seeds["acme"]}
		for range 2 {
			w := b.do("acme", "GET /v1/api/cards/"+card+"/details", "")
			secrets = append(secrets, field(t, w, "pan"))
		}
		w = b.do("acme", "POST /v1/api/simulate/3ds", `{"card_id":"`+card+`","merchant":"SPOTIFY","amount":9.99}`, "X-Idempotency-Key", "3ds")
		secrets = append(secrets, `"`+field(t, w, "otp")+`"`)
		start := send(b.handler, "", "GET /v1/api/", "")
		secrets = append(secrets, field(t, start, "seed"))
		b.deliver()
		if got := b.receiver.Take(); len(got) == 0 || !strings.Contains(got[0].Body, field(t, w, "otp")) {
			t.Errorf("the webhook did not bring the code: %v", got)
		}
		rows := testkit.Contents(t, b.DB)
		for where, text := range map[string]string{"the database": rows, "the log": b.log.String()} {
			for _, secret := range secrets {
				if at := strings.Index(text, secret); at >= 0 {
					t.Errorf("%s holds %s: %q", where, secret, text[max(0, at-80):at+40])
				}
			}
		}
		entries, err := audit.New(db).List(t.Context(), audit.Filter{Book: string(b.acme.Test), Subject: card})
		check.OK(b.t, err)
		looks := 0
		for _, e := range entries {
			if e.Action == "card.details" && e.Actor == string(b.refs["acme"].ID) {
				looks++
			}
		}
		if looks != 2 {
			t.Errorf("%d looks are recorded, want 2", looks)
		}
	})
}

// field is a text of an answer.
func field(t testing.TB, w *httptest.ResponseRecorder, name string) string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	text, isText := all[name].(string)
	if !isText || text == "" {
		t.Fatalf("%d %s has no %s", w.Code, w.Body, name)
	}
	return text
}

// What limits a seed limits that seed alone: requests, new cards and looks at details;
// an address is limited in how many seeds it makes. Time makes room again.
func TestLimits(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	card := b.create(ad)
	refused := func(w *httptest.ResponseRecorder) {
		t.Helper()
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || field(t, w, "error") != "rate_limited" {
			t.Errorf("%d %s, Retry-After %q", w.Code, w.Body, w.Header().Get("Retry-After"))
		}
	}
	passes := func(n int, do func() *httptest.ResponseRecorder) {
		t.Helper()
		for i := range n {
			if w := do(); w.Code == http.StatusTooManyRequests {
				t.Fatalf("call %d: %s", i, w.Body)
			}
		}
		refused(do())
	}
	passes(30, func() *httptest.ResponseRecorder { return b.do("acme", "GET /v1/api/cards/"+card+"/details", "") })
	passes(49, func() *httptest.ResponseRecorder {
		return b.do("acme", "POST /v1/api/cards", `{"bin_id":"491653","amount":0}`)
	})
	passes(10, func() *httptest.ResponseRecorder { return send(b.handler, "", "GET /v1/api/", "") })
	passes(1_000-1-31-50, func() *httptest.ResponseRecorder { return b.do("acme", "GET /v1/api/bins", "") })
	if w := b.do("rival", "GET /v1/api/bins", ""); w.Code != http.StatusOK {
		t.Errorf("another seed: %d %s", w.Code, w.Body)
	}
	b.clock.Advance(time.Minute)
	for _, w := range []*httptest.ResponseRecorder{b.do("acme", "GET /v1/api/cards/"+card+"/details", ""), b.do("acme", "POST /v1/api/cards", ad), send(b.handler, "", "GET /v1/api/", "")} {
		if w.Code >= 300 {
			t.Errorf("a minute later: %d %s", w.Code, w.Body)
		}
	}
}

// An address that presents too many wrong seeds has to wait, even with a right one; a
// missing seed is no guess.
func TestFailuresAreThrottled(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	for range 50 {
		if w := send(b.handler, "", "GET /v1/api/bins", ""); w.Code != http.StatusUnauthorized {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	for i := range 20 {
		if w := send(b.handler, fmt.Sprintf("0000-0000-0000-%04x", i), "GET /v1/api/bins", ""); w.Code != http.StatusUnauthorized {
			t.Fatalf("%d: %d %s", i, w.Code, w.Body)
		}
	}
	if w := b.do("acme", "GET /v1/api/bins", ""); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "60" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
	b.clock.Advance(time.Minute)
	if w := b.do("acme", "GET /v1/api/bins", ""); w.Code != http.StatusOK {
		t.Errorf("a minute later: %d %s", w.Code, w.Body)
	}
}

// Another seed's card, one of another realm and one that there is not are one answer.
func TestAnothersCard(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := b.create(ad)
		for _, c := range []struct{ method, action, body string }{
			{"GET", "", ""}, {"GET", "/details", ""}, {"PATCH", "", `{"label":"x"}`}, {"DELETE", "", ""}, {"POST", "/freeze", ""}, {"POST", "/unfreeze", ""},
			{"POST", "/fund", `{"amount":1}`}, {"POST", "/withdraw", `{"amount":1}`},
		} {
			answers := map[string]bool{}
			for seed, id := range map[string]string{"rival": card, "acme_live": card, "acme": "card_00000000000000000000000000"} {
				w := b.do(seed, c.method+" /v1/api/cards/"+id+c.action, c.body, "X-Request-Id", "request-1")
				answers[fmt.Sprint(w.Code, " ", w.Body)] = true
			}
			if len(answers) != 1 {
				t.Errorf("%s %s: the answers are %v", c.method, c.action, answers)
			}
		}
	})
}

// Every event arrives under the published headers, signed over the body with the secret
// that was chosen, in the published form.
func TestDeliveries(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		const secret = "a-secret-of-my-own"
		if w := b.do("acme", "POST /v1/api/webhooks", `{"url":"`+b.receiver.URL+`/a","events":["*"],"secret":"`+secret+`"}`); w.Code != http.StatusCreated || field(t, w, "secret") != secret {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		card := b.create(ad)
		for _, c := range []struct{ line, body string }{
			{"POST /v1/api/cards/" + card + "/fund", `{"amount":100}`},
			{"POST /v1/api/simulate/authorization", `{"card_id":"` + card + `","amount":10,"merchant":{"name":"SHOP"}}`},
			{"POST /v1/api/simulate/authorization", `{"card_id":"` + card + `","amount":5001,"merchant":{"name":"SHOP"}}`},
			{"POST /v1/api/simulate/3ds", `{"card_id":"` + card + `","merchant":"SHOP","amount":1}`},
			{"POST /v1/api/cards/" + card + "/freeze", ""}, {"POST /v1/api/cards/" + card + "/unfreeze", ""},
			{"POST /v1/api/simulate/deposit", `{"currency":"btc","amount_crypto":"0.01","confirmations":6}`},
		} {
			if w := b.do("acme", c.line, c.body); w.Code >= 300 {
				t.Fatalf("%s: %d %s", c.line, w.Code, w.Body)
			}
		}
		line := b.lastAuthorization()
		for _, action := range []string{"settlement", "refund"} {
			if w := b.do("acme", "POST /v1/api/simulate/"+action, `{"transaction_id":"`+line+`"}`); w.Code != http.StatusCreated {
				t.Fatalf("%s: %d %s", action, w.Code, w.Body)
			}
		}
		if w := b.do("acme", "DELETE /v1/api/cards/"+card, ""); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		b.deliver()
		b.expectDeliveries(secret, "card.created", "card.frozen", "card.unfrozen", "card.terminated", "card.funded", "transaction.authorized",
			"transaction.settled", "transaction.declined", "transaction.refunded", "3ds.challenge", "deposit.pending", "deposit.confirmed")
	})
}

// lastAuthorization is the newest line of that type.
func (b *bundle) lastAuthorization() string {
	b.t.Helper()
	w := b.do("acme", "GET /v1/api/transactions?type=authorization&per_page=1", "")
	var page struct{ Data []struct{ ID string } }
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Data) != 1 {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return page.Data[0].ID
}

// expectDeliveries expects that the receiver got all types, and each as it is published.
func (b *bundle) expectDeliveries(secret string, types ...string) {
	b.t.Helper()
	missing := map[string]bool{}
	for _, name := range types {
		missing[name] = true
	}
	for _, got := range b.receiver.Take() {
		var event struct {
			ID, Type  string
			CreatedAt string `json:"created_at"`
			Data      map[string]any
		}
		if err := json.Unmarshal([]byte(got.Body), &event); err != nil {
			b.t.Fatalf("%s: %v", got.Body, err)
		}
		delete(missing, event.Type)
		if event.CreatedAt != "2026-11-21T09:00:00Z" || !strings.HasPrefix(event.ID, "evt_") || len(event.Data) == 0 {
			b.t.Errorf("the body is %s", got.Body)
		}
		want := map[string]string{"X-CryptoCardy-Signature": signature(secret, got.Body), "X-CryptoCardy-Event": event.Type,
			"X-CryptoCardy-Timestamp": strconv.FormatInt(began.Unix(), 10), "Content-Type": "application/json"}
		for name, value := range want {
			if got.Get(name) != value {
				b.t.Errorf("%s: %s is %q, want %q", event.Type, name, got.Get(name), value)
			}
		}
		if !strings.HasPrefix(got.Get("X-CryptoCardy-Delivery"), "whd_") {
			b.t.Errorf("%s: the delivery is %q", event.Type, got.Get("X-CryptoCardy-Delivery"))
		}
	}
	if len(missing) > 0 {
		b.t.Errorf("these did not arrive: %v", missing)
	}
}

// The wallet's page adds up whatever was done: the balance is what was deposited less what was spent.
func TestWalletAddsUp(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := b.create(ad)
		for i, c := range []struct{ line, body string }{
			{"GET /v1/api/bins", ""},
			{"POST /v1/api/cards/" + card + "/fund", `{"amount":100.01}`},
			{"POST /v1/api/simulate/deposit", `{"currency":"btc","amount_crypto":"0.0075","confirmations":6}`},
			{"POST /v1/api/simulate/deposit", `{"currency":"eth","amount_crypto":"1"}`},
			{"POST /v1/api/simulate/authorization", `{"card_id":"` + card + `","amount":33.33,"merchant":{"name":"SHOP"}}`},
			{"POST /v1/api/cards/" + card + "/withdraw", `{"amount":50.02}`},
			{"DELETE /v1/api/cards/" + card, ""},
		} {
			if w := b.do("acme", c.line, c.body); w.Code >= 300 {
				t.Fatalf("%s: %d %s", c.line, w.Code, w.Body)
			}
			w := b.do("acme", "GET /v1/api/wallet/balance", "")
			var page struct {
				Balance, TotalDeposited, TotalSpent json.Number
			}
			check.OK(b.t, json.Unmarshal([]byte(strings.NewReplacer("total_deposited", "TotalDeposited", "total_spent", "TotalSpent").Replace(w.Body.String())), &page))
			balance, deposited, spent := cents(t, page.Balance), cents(t, page.TotalDeposited), cents(t, page.TotalSpent)
			if balance != deposited-spent || deposited < 200_000 {
				t.Errorf("after step %d: %s", i, w.Body)
			}
		}
	})
}

// What is owed for a payment that took more than was on a card is on the wallet's page until
// the next funding repays it.
func TestDebtIsTold(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := b.create(ad)
		told := func(want string) {
			t.Helper()
			if w := b.do("acme", "GET /v1/api/wallet/balance", ""); w.Code != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(w.Body.String()), want) {
				t.Errorf("%d %s, want an end of %s", w.Code, w.Body, want)
			}
		}
		told(`"cards_active":1,"cards_total_balance":500.00}`)
		_, err := b.Payments.Post(t.Context(), authorization.Advice{Realm: realm.Test, Book: b.acme.Test, Card: issuing.CardID(card), Key: "late", Amount: money.New(51_750, money.USD)})
		check.OK(t, err)
		told(`"cards_active":1,"cards_total_balance":0.00,"owed":17.50}`)
		for _, end := range []string{`"new_balance":100.00,"wallet_balance":1382.50,"repaid":17.50}`, `"new_balance":200.00,"wallet_balance":1282.50}`} {
			if w := b.do("acme", "POST /v1/api/cards/"+card+"/fund", `{"amount":100}`); w.Code != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(w.Body.String()), end) {
				t.Errorf("%d %s, want an end of %s", w.Code, w.Body, end)
			}
		}
		told(`"cards_active":1,"cards_total_balance":200.00}`)
		b.quiet()
		b.verified()
	})
}

// A card to which more came back than it paid spent nothing, and later payments count from there.
func TestSpentIsNeverBelowZero(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := b.create(ad)
		about := authorization.Advice{Realm: realm.Test, Book: b.acme.Test, Card: issuing.CardID(card), Key: "back", Amount: money.New(5_000, money.USD)}
		_, err := b.Payments.Refund(t.Context(), about)
		check.OK(t, err)
		spent := func(want string) {
			t.Helper()
			if w := b.do("acme", "GET /v1/api/cards/"+card, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"total_spent":`+want+`,`) {
				t.Errorf("%d %s, want %s spent", w.Code, w.Body, want)
			}
		}
		spent("0.00")
		about.Key, about.Amount.Minor = "more", 8_000
		_, err = b.Payments.Post(t.Context(), about)
		check.OK(t, err)
		spent("30.00")
	})
}

func cents(t testing.TB, text json.Number) int64 {
	t.Helper()
	amount, err := money.ParseSigned(text.String(), money.USD)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return amount.Minor
}

// Without a rate a deposit is seen and waits; nothing else is held up.
func TestRatesAreDown(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.Deposits.Rates = nil
	w := b.do("acme", "POST /v1/api/simulate/deposit", `{"currency":"btc","amount_crypto":"0.01","confirmations":6}`)
	if w.Code != http.StatusCreated || field(t, w, "status") != "pending" || field(t, w, "reason") != "no_rate" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	b.create(ad)
}

// Where nobody gets a card, nobody gets an account either.
func TestNoSeedWithoutACard(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		customers := func() int {
			list, err := b.Accounts.ListCustomers(t.Context(), account.Page{})
			check.OK(t, err)
			return len(list.Items)
		}
		refused := func(what, line string) {
			t.Helper()
			before := customers()
			if w := send(b.handler, "", line, ""); w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d %s", what, w.Code, w.Body)
			}
			check.Equal(t, what, customers(), before)
		}
		b.Cards.Programme.RequireCardholder = true
		refused("cards are for cardholders", "GET /v1/api/")
		b.Cards.Programme.RequireCardholder = false
		for _, bin := range issuing.ShippedBINs() {
			if bin.Network == pan.Mastercard {
				bin.Active = false
				_, err := b.Cards.PutBIN(t.Context(), issuing.BINChange{BIN: bin, Actor: "op/1"})
				check.OK(t, err)
			}
		}
		refused("no BIN of the network", "GET /v1/api/?card=mastercard")
		before := customers()
		if w := send(b.handler, "", "GET /v1/api/?card=visa", ""); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		check.Equal(t, "customers", customers(), before+1)
	})
}

// What is switched off answers like what there is not: seeds where issuing is off or where
// nothing can be deposited. Cards that exist work on.
func TestSwitchedOff(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := b.create(ad)
		b.Cards.Programme.IssuingOn = false
		for _, line := range []string{"GET /v1/api", "GET /v1/api/?card=visa"} {
			if w := send(b.handler, "", line, ""); w.Code != http.StatusNotFound || field(t, w, "error") != "not_found" {
				t.Errorf("%s: %d %s", line, w.Code, w.Body)
			}
		}
		if w := b.do("acme", "POST /v1/api/cards", ad); w.Code != http.StatusNotFound {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := b.do("acme", "POST /v1/api/cards/"+card+"/fund", `{"amount":1}`); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		b.Cards.Programme.IssuingOn = true
		b.Deposits.Chains = nil
		if w := send(b.handler, "", "GET /v1/api/", ""); w.Code != http.StatusNotFound {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := b.do("acme", "GET /v1/api/wallet/deposit-address", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"addresses":{}`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// A body beyond its limit is refused unread.
func TestBodyTooLarge(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	if w := b.do("acme", "POST /v1/api/cards", `{"label":"`+strings.Repeat("x", 64<<10)+`"}`); w.Code != http.StatusBadRequest || field(t, w, "error") != "invalid_request" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The default programme is the published one.
func TestDefaultProgramme(t *testing.T) {
	p := issuing.DefaultProgramme()
	if p.HolderName != "ANONYMOUS" || p.Billing != (issuing.Address{Line1: "123 Privacy Street", City: "Wilmington", State: "DE", Zip: "19801", Country: "US"}) {
		t.Errorf("%+v", p)
	}
}

// A card that the operator made in another currency says so wherever its amounts are; one in
// dollars does not, as published. Seeds are made with cards in dollars.
func TestOtherCurrencies(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		euros := func(minor int64) money.Amount { return money.New(minor, money.EUR) }
		_, err := b.Cards.PutBIN(t.Context(), issuing.BINChange{Actor: seeder, BIN: issuing.BIN{ID: "45320012", Network: pan.Visa, Type: "travel", IssuerCountry: "DE",
			Currency: money.EUR, MaxTransaction: euros(10_000), MaxMonthly: euros(100_000), Active: true}})
		check.OK(t, err)
		_, err = b.Cards.Cardholders.PutTier(t.Context(), cardholder.TierChange{Actor: seeder, Tier: cardholder.Tier{Name: cardholder.Anonymous, Currency: money.USD}})
		check.OK(t, err)
		_, err = b.wallets.Load(t.Context(), wallet.Load{Book: b.acme.Test, Realm: realm.Test, Amount: euros(5_000), Reference: "euros", Actor: seeder})
		check.OK(t, err)
		made, err := b.Cards.Issue(t.Context(), issuing.Holder{Book: b.acme.Test, Realm: realm.Test, Actor: seeder, Operator: true}, issuing.NewCard{BIN: "45320012", Amount: euros(2_000)})
		check.OK(t, err)
		_, err = b.Payments.Challenge(t.Context(), authorization.NewChallenge{Book: b.acme.Test, Card: made.ID, Merchant: authorization.Merchant{Name: "SHOP"}, Amount: euros(999)})
		check.OK(t, err)
		plain := b.create(ad)
		for line, want := range map[string]string{
			"GET /v1/api/cards?bin_id=45320012":    `"balance":20.00,"currency":"EUR"`,
			"GET /v1/api/cards/" + string(made.ID): `"balance":20.00,"currency":"EUR"`,
			"GET /v1/api/3ds":                      `"amount":9.99,"currency":"EUR"`,
			"GET /v1/api/cards/" + plain:           `"balance":500.00,"spending_limit"`,
			"GET /v1/api/?card=visa":               `"card_number":"4916 53`,
			"GET /v1/api/wallet/balance":           `"cards_active":1,"cards_total_balance":500.00`,
		} {
			if w := b.do("acme", line, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d %s", line, w.Code, w.Body)
			}
		}
		_, err = b.Payments.Post(t.Context(), authorization.Advice{Realm: realm.Test, Book: b.acme.Test, Card: made.ID, Key: "late", Amount: euros(2_575)})
		check.OK(t, err)
		if w := b.do("acme", "GET /v1/api/wallet/balance", ""); !strings.HasSuffix(strings.TrimSpace(w.Body.String()), `"cards_total_balance":500.00,"owed_in":{"EUR":5.75}}`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		_, err = b.Cards.Fund(t.Context(), issuing.Holder{Book: b.acme.Test, Realm: realm.Test, Actor: seeder, Operator: true}, issuing.Transfer{Card: made.ID, Amount: euros(2_000)})
		check.OK(t, err)
		if w := b.do("acme", "DELETE /v1/api/cards/"+string(made.ID), ""); !strings.Contains(w.Body.String(), `"refunded_amount":20.00,"currency":"EUR"`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		b.quiet()
		b.verified()
	})
}
