package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// merchant answers as the contract says, and complains of requests that it does not allow.
type merchant struct {
	t *testing.T
	sync.Mutex
	cards      map[string]int // redemptions
	references map[string]bool
	reads      map[string]int
}

func (m *merchant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.Lock()
	defer m.Unlock()
	if r.Header.Get("X-API-Key") != "key_1" {
		http.Error(w, `{"status":"FAIL"}`, http.StatusUnauthorized)
		return
	}
	body, many := map[string]string{}, struct{ Operations []map[string]string }{}
	if r.Method == http.MethodPost {
		text, err := io.ReadAll(r.Body)
		into := any(&body)
		if bytes.Contains(text, []byte(`"operations"`)) {
			into = &many
		}
		if err = errors.Join(err, json.Unmarshal(text, into)); err != nil || r.Header.Get("Content-Type") != "application/json" {
			m.t.Errorf("%s: %v, %s", r.URL.Path, err, r.Header.Get("Content-Type"))
		}
	}
	card := ""
	switch r.Method + " " + r.URL.Path {
	case "POST /v1/pay/giftcard/create":
		if body["title"] == "" || body["templateId"] != "template_001" || body["currency"] != "USD" || body["amount"] == "" || len(body) != 4 {
			m.t.Errorf("create %v", body)
		}
		card = fmt.Sprintf("GC%016d", len(m.cards)+1)
		m.cards[card] = 0
	case "POST /v1/pay/giftcard/redeem":
		card = body["cardNumber"]
		m.redeem(body, 4)
	case "POST /v1/pay/giftcard/batch":
		if len(many.Operations) != batchSize {
			m.t.Errorf("a batch of %d", len(many.Operations))
		}
		for _, one := range many.Operations {
			if one["action"] != "redeem" {
				m.t.Errorf("operation %v", one)
			}
			m.redeem(one, 5)
		}
	case "GET /v1/pay/giftcard/query", "GET /v1/pay/balance/query":
		card = r.URL.Query().Get("cardNumber")
		if _, ok := m.cards[card]; !ok {
			m.t.Errorf("query %v", r.URL)
		}
		m.reads[card]++
	case "POST " + NoopPath, "GET " + NoopPath:
	default:
		m.t.Errorf("%s %s", r.Method, r.URL.Path)
	}
	fmt.Fprintf(w, `{"status":"SUCCESS","code":"000000","data":{"cardNumber":%q}}`, card)
}

func (m *merchant) redeem(body map[string]string, members int) {
	card, reference := body["cardNumber"], body["merchantTradeNo"]
	if _, ok := m.cards[card]; !ok || m.references[reference] || reference == "" || len(reference) > 32 || body["amount"] != "0.01" || body["currency"] != "USD" || len(body) != members {
		m.t.Errorf("redeem %v", body)
	}
	m.references[reference] = true
	m.cards[card]++
}

// The gatepay scenarios speak the contract, never use a reference twice, and spread as they say.
func TestGatepay(t *testing.T) {
	m := &merchant{t: t, cards: map[string]int{}, references: map[string]bool{}, reads: map[string]int{}}
	base := serve(t, m.ServeHTTP)
	ctx := context.Background()
	g := NewGatepay(pan.NewSecret("key_1"))
	if err := g.Prepare(ctx, base, 50); err != nil {
		t.Fatal(err)
	}
	if len(g.Cards) != 50 || len(m.cards) != 50 {
		t.Fatalf("%d cards, %d made", len(g.Cards), len(m.cards))
	}
	report, err := new(Runner).Run(ctx, []Scenario{g.RedeemBatch(), g.Create(), g.RedeemHot(), g.RedeemSpread(), g.Query(), g.Balance()}, Options{BaseURL: base, Workers: 4, Rounds: 2, Duration: long, Count: 100, Warmup: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		if row.Requests != 200 || row.Errors != 0 {
			t.Errorf("row %+v", row)
		}
	}
	for i, card := range g.Cards {
		redeemed, read := 4+200*batchSize/50, 8 // before others were made, all by those of a batch
		if i == 0 {
			redeemed += 200 // hot
		}
		if m.cards[card] != redeemed || m.reads[card] != read {
			t.Errorf("card %d was redeemed %d times and read %d times, want %d and %d", i, m.cards[card], m.reads[card], redeemed, read)
		}
	}
	if len(m.cards) != 250 {
		t.Errorf("%d cards, want 250", len(m.cards))
	}
	wrong := NewGatepay(pan.NewSecret("key_2"))
	if err := wrong.Prepare(ctx, base, 3); err == nil || !strings.Contains(err.Error(), "answer 401") {
		t.Errorf("prepare with another key: %v", err)
	}
	if err := wrong.Prepare(ctx, "http://192.0.2.1", 3); err == nil {
		t.Error("cards were made on another machine")
	}
	if err := wrong.Prepare(ctx, base, -1); err == nil {
		t.Error("a negative number of cards was made")
	}
	if text := fmt.Sprintf("%+v", g); strings.Contains(text, "key_1") {
		t.Error("the key was printed")
	}
}

// Texts become JSON, whatever is in them.
func TestObject(t *testing.T) {
	pairs := []string{"plain", "text", "quote\"", "back\\slash", "é", "new\nline", "empty", ""}
	got := map[string]string{}
	if err := json.Unmarshal(object(nil, pairs...), &got); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if got[pairs[i]] != pairs[i+1] {
			t.Errorf("%q is %q, want %q", pairs[i], got[pairs[i]], pairs[i+1])
		}
	}
}

// The ledger's scenarios move money that adds up.
func TestLedgerScenarios(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		books := ledger.New(db, clock.NewRealms(clock.System()), ledger.Config{})
		defer books.Close()
		l, err := PrepareLedger(ctx, db, books, 150)
		if err != nil {
			t.Fatal(err)
		}
		report, err := new(Runner).Run(ctx, l.Scenarios(), Options{Workers: 32, Rounds: 2, Duration: long, Count: 300, Warmup: -1})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range report.Rows {
			if row.Requests != 600 || row.Errors != 0 || row.Noop != nil || row.Statuses != nil {
				t.Errorf("row %+v", row)
			}
		}
		account, err := books.FindAccount(ctx, l.book, spent)
		if err != nil || account.Posted().Minor != 1200 {
			t.Errorf("spent %v, %v; want 1200", account, err)
		}
		first, err := books.FindAccount(ctx, l.book, l.accounts[0])
		if err != nil || first.Posted().Minor != loadedMinor-604 {
			t.Errorf("the hot account has %v, %v", first, err)
		}
		proof, err := ledger.Verify(ctx, db, nil)
		if err != nil || proof.Found != 0 {
			t.Errorf("the books are wrong: %v, %v", proof.Problems, err)
		}
		for _, bad := range []int{0, -1, maxAccounts + 1} {
			if _, err := PrepareLedger(ctx, db, books, bad); err == nil {
				t.Errorf("%d accounts were opened", bad)
			}
		}
	})
}

// The cardping scenarios check the account's own cards in turn with the live key, and
// ordinary numbers of the sandbox, each another one, with the test key.
func TestCardping(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	made := 0
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var body struct {
			Number  string `json:"card_number"`
			Network string `json:"network"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		switch r.URL.Path {
		case "/v1/pay/giftcard/create":
			made++
			fmt.Fprintf(w, `{"status":"SUCCESS","data":{"cardNumber":"GC%016d"}}`, made)
			return
		case "/v1/cards/ping":
			seen[r.Header.Get("X-API-Key")+" "+body.Network+" "+body.Number]++
		case NoopPath:
		}
		fmt.Fprint(w, `{"status":"active"}`)
	})
	c := NewCardping(pan.NewSecret("live"), pan.NewSecret("test"))
	if err := c.Prepare(t.Context(), base, 20); err != nil || len(c.Cards) != 20 {
		t.Fatalf("%d cards, %v", len(c.Cards), err)
	}
	report, err := new(Runner).Run(t.Context(), []Scenario{c.Scrip(), c.Sandbox()}, Options{BaseURL: base, Workers: 4, Rounds: 2, Duration: long, Count: 100, Warmup: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		if row.Requests != 200 || row.Errors != 0 {
			t.Errorf("row %+v", row)
		}
	}
	for _, card := range c.Cards {
		if n := seen["live scrip "+card]; n != 10 {
			t.Errorf("card %s was checked %d times", card, n)
		}
		delete(seen, "live scrip "+card)
	}
	for check := range seen {
		number, sandbox := strings.CutPrefix(check, "test visa_gift ")
		if end := number[max(0, len(number)-2):]; !sandbox || len(number) != 16 || end == "00" || end == "99" {
			t.Errorf("a check of %q", check)
		}
	}
	if len(seen) != 200 {
		t.Errorf("%d numbers, want 200", len(seen))
	}
}

// The cardpluspay scenarios speak the contract: each order is of one code, and pages are
// of every kind, over a catalog and a stock that Prepare made, with the money for all of it.
func TestReseller(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, s := t.Context(), Shelf{}
		s.Book = shelf(t, db, &s)
		r := NewReseller(pan.NewSecret("key_1"))
		for _, err := range []error{r.PrepareCodes(ctx, s, 120), r.PrepareItems(ctx, s, 250), r.PrepareItems(ctx, s, 250)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		count, err := s.Stock.Count(ctx, realm.Test, "BENCH-ORDER")
		if err != nil || count != 120 {
			t.Errorf("%d codes, %v", count, err)
		}
		balance, err := s.Wallets.Balance(ctx, s.Book, money.USD)
		if err != nil || balance.Minor != 120*100 {
			t.Errorf("the wallet has %s, %v", balance, err)
		}
		if page, err := s.Catalog.Search(ctx, catalog.Filter{}); err != nil || page.Total != 251 {
			t.Errorf("%d items, %v", page.Total, err)
		}
		var mu sync.Mutex
		seen := map[string]int{}
		base := serve(t, func(w http.ResponseWriter, q *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			body, _ := io.ReadAll(q.Body)
			if q.URL.Path != NoopPath && q.Header.Get("X-API-Key") != "key_1" {
				t.Errorf("%s: the key is %q", q.URL, q.Header.Get("X-API-Key"))
			}
			switch q.Method + " " + q.URL.Path {
			case "POST /v1/orders":
				seen[string(body)]++
			case "GET /v1/catalog":
				for name := range q.URL.Query() {
					seen[name]++
				}
			}
			fmt.Fprint(w, `{"data":{"state":"success","status":"completed"}}`)
		})
		report, err := new(Runner).Run(ctx, []Scenario{r.Order(), r.Browse()}, Options{BaseURL: base, Workers: 4, Rounds: 1, Duration: long, Count: 100, Warmup: -1})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range report.Rows {
			if row.Requests != 100 || row.Errors != 0 {
				t.Errorf("row %+v", row)
			}
		}
		want := map[string]int{`{"item_code":"BENCH-ORDER"}`: 100, "per_page": 60, "page": 20, "q": 20, "brand": 20, "sort_by": 40, "order": 20, "value_min": 20,
			"value_max": 20, "country_code": 20, "item_id": 20}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Error(diff)
		}
		for _, n := range []int{0, maxCodes + 1} {
			if r.PrepareCodes(ctx, s, n) == nil || r.PrepareItems(ctx, s, n) == nil {
				t.Errorf("%d were prepared", n)
			}
		}
	})
}

// shelf fills in a Shelf over a database and returns the test book of a new customer.
func shelf(t *testing.T, db *storage.DB, s *Shelf) ledger.BookID {
	t.Helper()
	master, _, err := vault.LoadMasterKey(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := vault.Open(t.Context(), db, master)
	if err != nil {
		t.Fatal(err)
	}
	clocks, logger, log := clock.NewRealms(clock.System()), slog.New(slog.DiscardHandler), audit.New(db)
	hooks := webhook.New(webhook.Deps{DB: db, Clocks: clocks, Vault: keys, Queue: job.New(db, clocks, logger), Audit: log, Logger: logger})
	books := ledger.New(db, clocks, ledger.Config{})
	t.Cleanup(books.Close)
	s.Wallets = wallet.New(books, hooks.Outbox, clocks)
	s.Catalog = catalog.New(catalog.Deps{DB: db, Audit: log, Clocks: clocks, Logger: logger})
	s.Stock = stock.New(stock.Deps{DB: db, Vault: keys, Audit: log, Outbox: hooks.Outbox, Clocks: clocks, Catalog: s.Catalog, Logger: logger})
	customer, err := account.New(account.Deps{DB: db, Vault: keys, Audit: log, Clocks: clocks, Logger: logger}).
		CreateCustomer(t.Context(), "setup", account.NewCustomer{Name: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	return customer.Test
}
