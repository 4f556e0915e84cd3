package cardpluspay_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/cardpluspay"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

var began = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

const (
	seeder = "setup"
	google = catalog.ItemCode("GOOGLE-5USD-KOXx")
)

// bundle is one installation whose clock stands still, with two customers, a catalog
// and a stock.
type bundle struct {
	cardpluspay.Deps
	t       testing.TB
	surface *wire.Surface[account.Principal]
	handler http.Handler
	clock   *clock.Manual
	books   *ledger.Ledger
	hooks   *webhook.Service
	catalog *catalog.Service
	stock   *stock.Stock
	supply  *supply.Service
	slow    *slowSupplier
	queue   *job.Queue
	log     *bytes.Buffer

	acme, rival account.Customer
	keys        map[string]string // by name
	refs        map[string]account.KeyRef
	signing     *rsa.PrivateKey
}

func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	b := &bundle{t: t, clock: clock.NewManual(began), slow: &slowSupplier{}, log: &bytes.Buffer{}, keys: map[string]string{}, refs: map[string]account.KeyRef{}}
	b.build(db)
	b.seed()
	b.mount()
	return b
}

func (b *bundle) build(db *storage.DB) {
	master, _, err := vault.LoadMasterKey(b.t.TempDir(), "")
	check.OK(b.t, err)
	keys, err := vault.Open(b.t.Context(), db, master)
	check.OK(b.t, err)
	logger, clocks, log := slog.New(slog.NewTextHandler(b.log, nil)), clock.NewRealms(b.clock), audit.New(db)
	b.queue = job.New(db, clocks, logger)
	b.hooks = webhook.New(webhook.Deps{DB: db, Clocks: clocks, Vault: keys, Queue: b.queue, Audit: log, Logger: logger})
	check.OK(b.t, b.hooks.Refresh(b.t.Context()))
	alerts := wallet.NewAlerts(wallet.AlertDeps{DB: db, Outbox: b.hooks.Outbox, Audit: log, Clocks: clocks, Logger: logger})
	check.OK(b.t, alerts.Refresh(b.t.Context()))
	b.books = ledger.New(db, clocks, ledger.Config{Watch: alerts.Watch})
	b.t.Cleanup(b.books.Close)
	limits := limit.New(db, b.clock)
	b.t.Cleanup(limits.Close)
	b.catalog = catalog.New(catalog.Deps{DB: db, Audit: log, Clocks: clocks, Logger: logger})
	check.OK(b.t, b.catalog.Refresh(b.t.Context()))
	b.stock = stock.New(stock.Deps{DB: db, Vault: keys, Audit: log, Outbox: b.hooks.Outbox, Clocks: clocks, Catalog: b.catalog, Logger: logger})
	accounts := account.New(account.Deps{DB: db, Vault: keys, Audit: log, Clocks: clocks, Logger: logger})
	b.supply = supply.New(supply.Deps{DB: db, Vault: keys, Audit: log, Clocks: clocks, Catalog: b.catalog, Accounts: accounts, Logger: logger,
		Adapters: map[string]supply.Adapter{"slow": func([]byte) (supply.Supplier, error) { return b.slow, nil }}})
	cards := giftcard.New(giftcard.Deps{DB: db, Books: b.books, Vault: keys, Outbox: b.hooks.Outbox, Audit: log, Clocks: clocks, Rules: giftcard.DefaultRules()})
	orders := order.New(order.Deps{DB: db, Books: b.books, Catalog: b.catalog, Stock: b.stock, Supply: b.supply, Cards: cards, Outbox: b.hooks.Outbox,
		Queue: b.queue, Audit: log, Clocks: clocks, Logger: logger, Patience: time.Minute})
	b.t.Cleanup(orders.Close)
	b.Deps = cardpluspay.Deps{DB: db, Vault: keys, Clocks: clocks, Take: limits.Take, Look: limits.Look, BaseURL: "https://cards.example",
		Accounts: accounts, Wallets: wallet.New(b.books, b.hooks.Outbox, clocks), Alerts: alerts, Orders: orders}
	b.Claims = claim.New(claim.Deps{DB: db, Orders: b.Orders, Stock: b.stock, Outbox: b.hooks.Outbox, Audit: log, Clocks: clocks})
}

func (b *bundle) seed() {
	var err error
	b.acme, err = b.Accounts.CreateCustomer(b.t.Context(), seeder, account.NewCustomer{Name: "Acme"})
	check.OK(b.t, err)
	b.rival, err = b.Accounts.CreateCustomer(b.t.Context(), seeder, account.NewCustomer{Name: "Rival"})
	check.OK(b.t, err)
	b.key("acme", b.acme.Test, account.ScopeAll)
	b.key("acme_live", b.acme.Live, account.ScopeAll)
	b.key("rival", b.rival.Test, account.ScopeAll)
	b.key("browser", b.acme.Test, account.ScopeCatalog)
	b.load(b.acme.Test, 10050)
	b.load(b.rival.Test, 100)
	b.product(google, "Google Play", "Apps", 500)
	b.product("STEAM-20USD-PQ2r", "Steam", "Gaming", 2000)
	b.product("NETFLIX-15USD-Lm4t", "Netflix", "Streaming", 1550)
	_, err = b.catalog.PutPrice(b.t.Context(), catalog.Rule{Item: google, Basis: catalog.Fixed, Amount: catalog.NewCharged(490, money.USD)}, seeder)
	check.OK(b.t, err)
	b.fill(google, "GPLAY", 12, "")
	b.fill("NETFLIX-15USD-Lm4t", "NFLX", 3, "7694269")
}

func (b *bundle) load(book ledger.BookID, cents int64) {
	b.t.Helper()
	_, err := b.Wallets.Load(b.t.Context(), wallet.Load{Book: book, Realm: realm.Test, Amount: money.New(cents, money.USD), Reference: "transfer", Actor: seeder})
	check.OK(b.t, err)
}

func (b *bundle) product(code catalog.ItemCode, brand, category string, cents int64) {
	b.t.Helper()
	face := catalog.NewFace(cents, money.USD)
	_, _, err := b.catalog.Put(b.t.Context(), catalog.Product{Code: code, Name: brand + " " + face.String() + " USD", Brand: brand, Category: category,
		Description: "Credit for " + brand + ".", Image: "https://cards.example/" + strings.ToLower(string(code)) + ".png", Face: face, FaceMax: face,
		Region: "global", Countries: []string{"US"}, Delivery: catalog.Digital, State: catalog.Active}, seeder)
	check.OK(b.t, err)
}

// spread puts an item with a range of denominations into the catalog, a second later, at 95 %.
func (b *bundle) spread() {
	b.t.Helper()
	b.clock.Advance(time.Second)
	_, _, err := b.catalog.Put(b.t.Context(), catalog.Product{Code: "HARBOUR-ANYUSD", Name: "Harbour Books, 10 to 150", Brand: "Harbour Books", Category: "Books",
		Face: catalog.NewFace(1000, money.USD), FaceMax: catalog.NewFace(15000, money.USD)}, seeder)
	check.OK(b.t, err)
	_, err = b.catalog.PutPrice(b.t.Context(), catalog.Rule{Brand: "Harbour Books", Basis: catalog.OfFace, Percent: 9500}, seeder)
	check.OK(b.t, err)
}

// drawing is a small picture.
func drawing(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 16, 16))); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// fill puts n codes of an item into the test realm's stock: prefix-0001 and so on.
func (b *bundle) fill(code catalog.ItemCode, prefix string, n int, pin string) {
	b.t.Helper()
	var file strings.Builder
	file.WriteString("code,pin\n")
	for i := range n {
		fmt.Fprintf(&file, "%s-%04d,%s\n", prefix, i+1, pin)
	}
	report, err := b.stock.Import(b.t.Context(), strings.NewReader(file.String()), stock.Options{Realm: realm.Test, Item: code, Supplier: "house", Batch: prefix, Actor: seeder})
	check.OK(b.t, err)
	if report.Added != n {
		b.t.Fatalf("%s: %+v", code, report)
	}
}

func (b *bundle) key(name string, book ledger.BookID, scope account.Scope) {
	b.t.Helper()
	made, err := b.Accounts.CreateKey(b.t.Context(), seeder, account.NewKey{Book: book,
		KeySettings: account.KeySettings{Name: name, Scopes: account.NewScopes(scope)}})
	check.OK(b.t, err)
	b.keys[name], b.refs[name] = made.Secret.Reveal(), made.KeyRef
}

// sign has a book's requests signed from now on, with b.signing.
func (b *bundle) sign(book ledger.BookID) {
	b.t.Helper()
	var err error
	b.signing, err = rsa.GenerateKey(rand.Reader, 2048)
	check.OK(b.t, err)
	der, err := x509.MarshalPKIXPublicKey(&b.signing.PublicKey)
	check.OK(b.t, err)
	_, err = b.Accounts.SetSigner(b.t.Context(), seeder, book, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	check.OK(b.t, err)
}

// signature is what openssl dgst -sha256 -sign makes of a challenge, in base64.
func (b *bundle) signature(challenge string) string {
	b.t.Helper()
	sum := sha256.Sum256([]byte(challenge))
	raw, err := rsa.SignPKCS1v15(nil, b.signing, crypto.SHA256, sum[:])
	check.OK(b.t, err)
	return base64.StdEncoding.EncodeToString(raw)
}

// mount makes the handler from what Deps hold now, as another process would.
func (b *bundle) mount() {
	b.surface = cardpluspay.New(wire.NewKit(wire.Options{Clock: b.clock, Logger: slog.New(slog.NewTextHandler(b.log, nil)), Take: b.Take}), b.Deps)
	mux := http.NewServeMux()
	b.surface.Mount(mux)
	b.handler = mux
}

// do sends a request under a key by name; a body is JSON. Headers are name, value pairs.
func (b *bundle) do(key, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	return send(b.handler, b.keys[key], method+" "+target, body, headers...)
}

func send(h http.Handler, key, line, body string, headers ...string) *httptest.ResponseRecorder {
	return wiretest.Send(h, line, body, append([]string{"X-API-Key", key}, headers...)...)
}

// quiet fails when something was logged as a mistake.
func (b *bundle) quiet() {
	b.t.Helper()
	if b.log.Len() > 0 {
		b.t.Errorf("the log is not empty: %s", b.log)
	}
}

// verified fails when the books do not add up.
func (b *bundle) verified() {
	b.t.Helper()
	report, err := ledger.Verify(b.t.Context(), b.DB, nil)
	check.OK(b.t, err)
	if len(report.Problems) > 0 {
		b.t.Errorf("the books: %v", report.Problems)
	}
}
