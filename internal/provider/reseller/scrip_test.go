package reseller_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
)

const (
	seeder = "setup"
	item   = "GOOGLE-5USD-KOXx"
)

// installation is a Scrip that is served on the loopback interface.
type installation struct {
	*server.App
	t    *testing.T
	url  string
	key  string
	log  *bytes.Buffer
	lose atomic.Bool // answers to new orders get lost on their way
	down atomic.Bool
	// deaf has new orders get lost on their way, and between is done before one is placed.
	deaf    atomic.Bool
	between atomic.Pointer[func()]
}

func serve(t *testing.T, o server.Options) *installation {
	t.Helper()
	i := &installation{t: t, log: &bytes.Buffer{}}
	o.Data, o.Logger = t.TempDir(), slog.New(slog.NewTextHandler(i.log, nil))
	var err error
	i.App, err = server.Open(t.Context(), o)
	check.OK(i.t, err)
	t.Cleanup(func() { check.OK(i.t, i.Close()) })
	mux := http.NewServeMux()
	for _, s := range i.Surfaces(server.HTTP{}) {
		s.Mount(mux)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		places := r.Method == http.MethodPost && r.URL.Path == "/v1/orders"
		if do := i.between.Load(); do != nil && places {
			(*do)()
		}
		switch {
		case i.down.Load() || i.deaf.Load() && places:
			panic(http.ErrAbortHandler)
		case i.lose.Load() && places:
			mux.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	i.url = web.URL
	return i
}

// answer is what a reseller reads of any answer.
type answer struct {
	status int
	raw    string
	Data   struct {
		Balance, Status, State string
		Products               []struct {
			InStock bool `json:"in_stock"`
		}
		OrderID int64 `json:"order_id"`
		Codes   []struct{ Code string }
	}
}

// call is a reseller's request.
func (i *installation) call(line, body string, headers ...string) (a answer) {
	i.t.Helper()
	method, path, _ := strings.Cut(line, " ")
	request, err := http.NewRequestWithContext(i.t.Context(), method, i.url+"/v1"+path, strings.NewReader(body))
	check.OK(i.t, err)
	request.Header.Set("X-API-Key", i.key)
	request.Header.Set("Content-Type", "application/json")
	for n := 0; n < len(headers); n += 2 {
		request.Header.Set(headers[n], headers[n+1])
	}
	client := http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	check.OK(i.t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	check.OK(i.t, err)
	a.status, a.raw = response.StatusCode, string(raw)
	_ = json.Unmarshal(raw, &a) // where the data is of another kind, raw says what it is
	return a
}

// chain is two installations, of which the second one buys from the first.
type chain struct {
	up, down *installation
	book     ledger.BookID
	folder   string
}

func setupChain(t *testing.T, engine string) *chain {
	t.Helper()
	c := &chain{folder: t.TempDir(), up: serve(t, server.Options{})}
	_, err := c.up.Demo(t.Context())
	check.OK(c.up.t, err)
	c.up.key = "cp_test_sk_demo"
	c.down = serve(t, server.Options{Database: testkit.Database(t, engine).URL, Secrets: c.folder})
	c.write("upstream.key", []byte(c.up.key))
	face := catalog.NewFace(500, money.USD)
	_, _, err = c.down.Catalog.Put(t.Context(), catalog.Product{Code: "RESOLD", Name: "Google Play 5 USD", Brand: "Google Play", Face: face}, seeder)
	check.OK(c.down.t, err)
	customer, err := c.down.Accounts.CreateCustomer(t.Context(), seeder, account.NewCustomer{Name: "Reseller"})
	check.OK(c.down.t, err)
	c.book = customer.Test
	made, err := c.down.Accounts.CreateKey(t.Context(), seeder, account.NewKey{Book: c.book, KeySettings: account.KeySettings{Name: "k", Scopes: account.NewScopes(account.ScopeAll)}})
	check.OK(c.down.t, err)
	c.down.key = made.Secret.Reveal()
	_, err = c.down.Wallets.Load(t.Context(), wallet.Load{Book: c.book, Realm: realm.Test, Amount: money.New(100_000, money.USD), Reference: "transfer", Actor: seeder})
	check.OK(c.down.t, err)
	c.supplier("")
	return c
}

func (c *chain) write(name string, content []byte) {
	c.up.t.Helper()
	if err := os.WriteFile(filepath.Join(c.folder, name), content, 0o600); err != nil {
		c.up.t.Fatal(err)
	}
}

// supplier adds or changes the upstream of the second installation.
func (c *chain) supplier(extra string) {
	c.down.t.Helper()
	setup := supply.Setup{Actor: seeder,
		Config:     fmt.Appendf(nil, `{"url":%q,"allow_plain":true,"key_file":"upstream.key","currency":"USD"%s}`, c.up.url+"/v1", extra),
		Configured: supply.Configured{Realm: realm.Test, ID: "scrip", Name: "Another Scrip", Kind: "cardpluspay", Active: true}}
	put := c.down.Supply.Add
	if extra != "" {
		put = c.down.Supply.Change
	}
	_, err := put(context.Background(), setup)
	check.OK(c.down.t, err)
	check.OK(c.down.t, c.down.Supply.PutRoute(context.Background(), supply.Route{Realm: realm.Test, Item: "RESOLD", Supplier: "scrip", SupplierItem: item, Priority: 1}, seeder))
}

// later has an hour go by in the second installation's sandbox, and does what is due.
func (c *chain) later() {
	c.down.t.Helper()
	check.OK(c.down.t, c.down.Clocks.SetOffset(c.down.Clocks.Offset()+time.Hour))
	check.OK(c.down.t, c.down.Jobs.Drain(c.down.t.Context()))
}

// verified fails unless the books of both add up, and neither logged a code.
func (c *chain) verified(codes ...string) {
	c.down.t.Helper()
	for _, i := range []*installation{c.up, c.down} {
		report, err := ledger.Verify(i.t.Context(), i.DB, nil)
		check.OK(i.t, err)
		if len(report.Problems) > 0 {
			i.t.Errorf("the books: %v", report.Problems)
		}
		for _, code := range codes {
			if strings.Contains(i.log.String(), code) {
				i.t.Error("a code is in the log")
			}
		}
	}
}

func eachChain(t *testing.T, test func(t *testing.T, c *chain)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, setupChain(t, engine)) })
	}
}

// The published flow runs against an installation whose codes another one sells: catalog,
// check, order, status, and both balances go down by what was bought.
func TestResoldFlow(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		if a := c.down.call("GET /catalog?item_id=RESOLD", ""); len(a.Data.Products) != 1 || !a.Data.Products[0].InStock {
			t.Fatalf("catalog: %s", a.raw)
		}
		if a := c.down.call("POST /orders/check", `{"item_id":"RESOLD","quantity":20}`); a.status != 200 || !strings.Contains(a.raw, `"price":5.00`) {
			t.Fatalf("check: %s", a.raw)
		}
		bought := c.down.call("POST /orders", `{"item_code":"RESOLD","quantity":20}`, "Idempotency-Key", "sale-1")
		if bought.status != 200 || bought.Data.Status != "completed" || len(bought.Data.Codes) != 20 {
			t.Fatalf("order: %d %s", bought.status, bought.raw)
		}
		if again := c.down.call("POST /orders", `{"item_code":"RESOLD","quantity":20}`, "Idempotency-Key", "sale-1"); again.raw != bought.raw {
			t.Errorf("repeated: %s", again.raw)
		}
		read := c.down.call(fmt.Sprintf("GET /orders/%d", bought.Data.OrderID), "")
		if read.Data.Status != "completed" || len(read.Data.Codes) != 20 || read.Data.Codes[19] != bought.Data.Codes[19] {
			t.Errorf("status: %s", read.raw)
		}
		if up := c.up.call("GET /orders/1", ""); len(up.Data.Codes) != 20 || up.Data.Codes[7] != bought.Data.Codes[7] {
			t.Errorf("upstream: %s", up.raw)
		}
		if up, down := c.up.call("GET /balance", ""), c.down.call("GET /balance", ""); up.Data.Balance != "2.50" || down.Data.Balance != "900.00" {
			t.Errorf("the balances are %s and %s", up.Data.Balance, down.Data.Balance)
		}
		// The upstream account cannot pay for another: nobody is charged.
		if a := c.down.call("POST /orders", `{"item_code":"RESOLD"}`); a.status != 400 || !strings.Contains(a.raw, "out_of_stock") {
			t.Errorf("without credit: %d %s", a.status, a.raw)
		}
		if down := c.down.call("GET /balance", ""); down.Data.Balance != "900.00" {
			t.Errorf("the balance is %s", down.Data.Balance)
		}
		c.verified(bought.Data.Codes[0].Code)
	})
}

// An upstream whose item is worth something else than what is sold is not bought from.
func TestResoldInAnotherValue(t *testing.T) {
	c := setupChain(t, "sqlite")
	face := catalog.NewFace(1000, money.USD)
	_, _, err := c.down.Catalog.Put(t.Context(), catalog.Product{Code: "RESOLD", Name: "Google Play 10 USD", Brand: "Google Play", Face: face}, seeder)
	check.OK(t, err)
	for _, line := range []string{"POST /orders/check", "POST /orders"} {
		if a := c.down.call(line, `{"item_id":"RESOLD"}`); a.status != 400 || !strings.Contains(a.raw, "out_of_stock") {
			t.Errorf("%s: %d %s", line, a.status, a.raw)
		}
	}
	if up, down := c.up.call("GET /balance", ""), c.down.call("GET /balance", ""); up.Data.Balance != "100.50" || down.Data.Balance != "1000.00" {
		t.Errorf("the balances are %s and %s", up.Data.Balance, down.Data.Balance)
	}
	if a := c.down.call("GET /catalog?item_id=RESOLD", ""); len(a.Data.Products) != 1 || a.Data.Products[0].InStock {
		t.Errorf("catalog: %s", a.raw)
	}
	if !strings.Contains(c.down.log.String(), "supplier does not sell the item like that") {
		t.Error("the operator is not told why")
	}
	// Who says that the upstream knows no such member hears it from the codes.
	c.supplier(`,"extensions":false`)
	if a := c.down.call("POST /orders/check", `{"item_id":"RESOLD"}`); a.status != 200 {
		t.Errorf("without extensions: %d %s", a.status, a.raw)
	}
	if a := c.down.call("POST /orders", `{"item_id":"RESOLD"}`); a.status != 400 || !strings.Contains(a.raw, "out_of_stock") {
		t.Errorf("without extensions: %d %s", a.status, a.raw)
	}
	if up, down := c.up.call("GET /balance", ""), c.down.call("GET /balance", ""); up.Data.Balance == "100.50" || down.Data.Balance != "1000.00" {
		t.Errorf("without extensions the balances are %s and %s", up.Data.Balance, down.Data.Balance)
	}
	// What it delivered is not asked for again at once.
	if a := c.down.call("POST /orders/check", `{"item_id":"RESOLD"}`); a.status != 400 {
		t.Errorf("at once: %d %s", a.status, a.raw)
	}
	if a := c.down.call("GET /catalog?item_id=RESOLD", ""); len(a.Data.Products) != 1 || a.Data.Products[0].InStock {
		t.Errorf("the catalog at once: %s", a.raw)
	}
}

// An upstream whose price is in another currency than its supplier is set up with is not
// bought from: the number alone does not say so.
func TestResoldForAnotherCurrency(t *testing.T) {
	c := setupChain(t, "sqlite")
	_, err := c.up.Catalog.PutPrice(t.Context(), catalog.Rule{Item: item, Basis: catalog.Fixed, Amount: catalog.NewCharged(490, money.EUR)}, seeder)
	check.OK(t, err)
	demo, err := c.up.Demo(t.Context())
	check.OK(t, err)
	_, err = c.up.Wallets.Load(t.Context(), wallet.Load{Book: demo.Customer.Test, Realm: realm.Test, Amount: money.New(10_000, money.EUR), Reference: "euros", Actor: seeder})
	check.OK(t, err)
	for _, line := range []string{"POST /orders/check", "POST /orders"} {
		if a := c.down.call(line, `{"item_id":"RESOLD"}`); a.status != 400 || !strings.Contains(a.raw, "out_of_stock") {
			t.Errorf("%s: %d %s", line, a.status, a.raw)
		}
	}
	if up := c.up.call("GET /balance?currency=EUR", ""); up.Data.Balance != "100.00" {
		t.Errorf("the balance there is %s", up.Data.Balance)
	}
}

// When the upstream's answer is lost after it delivered, and it is away afterwards, the order
// says processing until it is there again, and then has the codes that were sold to it once.
func TestResoldThroughLoss(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		c.up.lose.Store(true)
		bought := c.down.call("POST /orders", `{"item_code":"RESOLD","quantity":2}`, "Idempotency-Key", "sale-1")
		if bought.status != 200 || bought.Data.Status != "processing" || len(bought.Data.Codes) != 0 || !strings.Contains(bought.raw, "Gift card order is processing") {
			t.Fatalf("order: %d %s", bought.status, bought.raw)
		}
		if down := c.down.call("GET /balance", ""); down.Data.Balance != "990.00" {
			t.Errorf("the balance is %s", down.Data.Balance)
		}
		c.up.down.Store(true)
		// What is open at one upstream cannot be asked for at another one.
		elsewhere := supply.Setup{Edit: func(*supply.Configured) {}, Actor: seeder, Configured: supply.Configured{Realm: realm.Test, ID: "scrip"},
			Config: fmt.Appendf(nil, `{"url":%q,"allow_plain":true,"key_file":"upstream.key","currency":"USD"}`, c.down.url+"/v1")}
		if _, err := c.down.Supply.Change(t.Context(), elsewhere); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("pointed elsewhere: %v", err)
		}
		c.supplier(`,"max_connections":4`)
		c.later()
		if read := c.down.call("GET /orders/1", ""); read.Data.Status != "processing" || len(read.Data.Codes) != 0 {
			t.Errorf("meanwhile: %s", read.raw)
		}
		c.up.down.Store(false)
		c.up.lose.Store(false)
		c.later()
		read := c.down.call("GET /orders/1", "")
		if read.Data.Status != "completed" || len(read.Data.Codes) != 2 {
			t.Fatalf("then: %s", read.raw)
		}
		if up := c.up.call("GET /orders", ""); strings.Count(up.raw, `"order_id"`) != 1 {
			t.Errorf("upstream: %s", up.raw)
		}
		if again := c.down.call("POST /orders", `{"item_code":"RESOLD","quantity":2}`, "Idempotency-Key", "sale-1"); again.raw != bought.raw {
			t.Errorf("repeated: %s", again.raw)
		}
		if _, err := c.down.Supply.Change(t.Context(), elsewhere); err != nil {
			t.Errorf("pointed elsewhere when nothing is open: %v", err)
		}
		c.verified(read.Data.Codes[0].Code)
	})
}

// An upstream that wants its requests signed gets them signed.
func TestResoldSigned(t *testing.T) {
	c := setupChain(t, "sqlite")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	check.OK(c.up.t, err)
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	check.OK(c.up.t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	check.OK(c.up.t, err)
	c.write("signing.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	demo, err := c.up.Demo(t.Context())
	check.OK(c.up.t, err)
	_, err = c.up.Accounts.SetSigner(t.Context(), seeder, demo.Customer.Test, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})))
	check.OK(c.up.t, err)
	if a := c.down.call("POST /orders", `{"item_code":"RESOLD"}`); a.status != 400 {
		t.Errorf("unsigned: %d %s", a.status, a.raw)
	}
	c.supplier(`,"signing_key_file":"signing.pem"`)
	if a := c.down.call("POST /orders", `{"item_code":"RESOLD"}`); a.status != 200 || len(a.Data.Codes) != 1 {
		t.Errorf("signed: %d %s", a.status, a.raw)
	}
	c.verified()
}

// price has the upstream ask for so many cents from now on.
func (c *chain) price(cents int64) {
	c.up.t.Helper()
	rule := catalog.Rule{Item: item, Basis: catalog.Fixed, Amount: catalog.NewCharged(cents, money.USD)}
	for _, r := range c.up.Catalog.Prices(c.up.t.Context()) {
		if r.Item == item {
			rule.ID = r.ID
		}
	}
	_, err := c.up.Catalog.PutPrice(c.up.t.Context(), rule, seeder)
	check.OK(c.up.t, err)
}

// An upstream whose price rises between its quote and our order is not paid more than it named:
// the next one delivers, or the order fails and nobody is charged.
func TestResoldAtARisingPrice(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		for n, cents := range []int64{491, 510} { // with a margin left, and at a loss
			c.price(490)
			rise := func() { c.price(cents) }
			c.up.between.Store(&rise)
			if a := c.down.call("POST /orders", `{"item_code":"RESOLD"}`); a.status != 400 || !strings.Contains(a.raw, "out_of_stock") {
				t.Errorf("at %d cents: %d %s", cents, a.status, a.raw)
			}
			if a := c.down.call(fmt.Sprintf("GET /orders/%d", n+1), ""); a.Data.Status != "failed" {
				t.Errorf("at %d cents: %s", cents, a.raw)
			}
		}
		c.up.between.Store(nil)
		if up, down := c.up.call("GET /balance", ""), c.down.call("GET /balance", ""); up.Data.Balance != "100.50" || down.Data.Balance != "1000.00" {
			t.Errorf("the balances are %s and %s", up.Data.Balance, down.Data.Balance)
		}
		if !strings.Contains(c.down.log.String(), "the upstream's price is above the one that it named") {
			t.Error("the operator is not told why")
		}
		c.price(495)
		if a := c.down.call("POST /orders", `{"item_code":"RESOLD"}`); a.status != 200 || len(a.Data.Codes) != 1 {
			t.Errorf("at the new price: %d %s", a.status, a.raw)
		}
		if up := c.up.call("GET /balance", ""); up.Data.Balance != "95.55" {
			t.Errorf("the balance there is %s", up.Data.Balance)
		}
		// Who comes next delivers what the upstream would not at its price.
		check.OK(t, c.down.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: "RESOLD", Supplier: supply.Stock, Priority: 2}, seeder))
		_, err := c.down.Stock.Import(t.Context(), strings.NewReader("code\nOURS-0001\n"), stock.Options{Realm: realm.Test, Item: "RESOLD", Supplier: "house", Batch: "b", Actor: seeder})
		check.OK(t, err)
		rise := func() { c.price(500) }
		c.up.between.Store(&rise)
		if a := c.down.call("POST /orders", `{"item_code":"RESOLD"}`); a.status != 200 || len(a.Data.Codes) != 1 || a.Data.Codes[0].Code != "OURS-0001" {
			t.Errorf("from the next one: %d %s", a.status, a.raw)
		}
		c.verified()
	})
}

// An order whose answer was lost is repeated as it was sent, at the price of then, whatever the
// price is by then. One that never arrived is not placed at a higher one.
func TestResoldThroughLossAtARisingPrice(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		c.up.lose.Store(true)
		for _, want := range []struct{ status, up, down string }{{"completed", "95.60", "995.00"}, {"processing", "95.60", "990.00"}} {
			bought := c.down.call("POST /orders", `{"item_code":"RESOLD"}`)
			if bought.status != 200 || bought.Data.Status != "processing" {
				t.Fatalf("order: %d %s", bought.status, bought.raw)
			}
			c.price(510)
			c.up.lose.Store(false)
			c.up.deaf.Store(false)
			c.later() // a refusal is not believed at once
			if read := c.down.call(fmt.Sprintf("GET /orders/%d", bought.Data.OrderID), ""); read.Data.Status != want.status {
				t.Errorf("then: %s", read.raw)
			}
			if up, down := c.up.call("GET /balance", ""), c.down.call("GET /balance", ""); up.Data.Balance != want.up || down.Data.Balance != want.down {
				t.Errorf("the balances are %s and %s", up.Data.Balance, down.Data.Balance)
			}
			c.price(490)
			c.up.deaf.Store(true)
		}
		c.verified()
	})
}
