package operator_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator"
	cashouts "github.com/scripcards/scrip/internal/api/operator/cashout"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/authorization/decision"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/issuing/statement"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
	"github.com/scripcards/scrip/internal/testkit/nameserver"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/wallet/deposit"
	"github.com/scripcards/scrip/internal/webhook"
)

var began = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// bundle is one installation whose clock stands still, with a customer who has a
// template, a gift card and a wallet in the test realm, and one operator of each role.
type bundle struct {
	operator.Deps
	surface *wire.Surface[account.Operator]
	handler http.Handler
	clock   *clock.Manual
	jobs    *job.Queue
	pay     *authorization.Service
	paid    int // payments that golden files made
	numbers map[string]pan.Number
	dns     *nameserver.Server
	lost    deposit.Gap // what the chain forgot
	log     *bytes.Buffer

	// cashes is where prepaid cards become bitcoin; the newest order there is opened by its token.
	cashes *cashdesk.Desk
	token  pan.Secret

	customer account.Customer
	card     giftcard.Issued
	redeemed giftcard.Movement
	held     giftcard.Movement
	keys     map[account.Role]string
	receiver *httptest.Server
}

func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	b := &bundle{clock: clock.NewManual(began), log: &bytes.Buffer{}, keys: map[account.Role]string{}, numbers: map[string]pan.Number{}}
	b.receiver = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(b.receiver.Close)
	b.build(t, db)
	mux := http.NewServeMux()
	b.surface = operator.New(wire.NewKit(wire.Options{Clock: b.clock, Logger: slog.New(slog.NewTextHandler(b.log, nil))}), b.Deps)
	b.surface.Mount(mux)
	b.handler = mux
	b.seed(t)
	return b
}

func (b *bundle) build(t testing.TB, db *storage.DB) {
	t.Helper()
	master, _, err := vault.LoadMasterKey(t.TempDir(), "")
	check(t, err)
	keys, err := vault.Open(t.Context(), db, master)
	check(t, err)
	logger := slog.New(slog.NewTextHandler(b.log, nil))
	clocks, log := clock.NewRealms(b.clock), audit.New(db)
	b.jobs, b.dns = job.New(db, clocks, logger), nameserver.Start(t)
	roots := x509.NewCertPool()
	roots.AddCert(b.receiver.Certificate())
	hooks := webhook.New(webhook.Deps{DB: db, Clocks: clocks, Vault: keys, Queue: b.jobs, Audit: log,
		Guard: &webhook.Guard{AllowPrivate: true}, Logger: logger, Config: webhook.Config{Roots: roots}})
	check(t, hooks.Refresh(t.Context()))
	alerts := wallet.NewAlerts(wallet.AlertDeps{DB: db, Outbox: hooks.Outbox, Audit: log, Clocks: clocks, Logger: logger})
	check(t, alerts.Refresh(t.Context()))
	books := ledger.New(db, clocks, ledger.Config{Watch: alerts.Watch})
	t.Cleanup(books.Close)
	b.Deps = operator.Deps{Jobs: b.jobs, DB: db, Clocks: clocks, Vault: keys, Audit: log, Books: books, Webhooks: hooks, Version: "1.2.3",
		Accounts: account.New(account.Deps{DB: db, Vault: keys, Audit: log, Clocks: clocks, Logger: logger}),
		// Numbers are the same on every run, so that golden files do not take one for something else by chance.
		Cards: giftcard.New(giftcard.Deps{DB: db, Books: books, Vault: keys, Outbox: hooks.Outbox, Audit: log, Clocks: clocks,
			Rules: giftcard.DefaultRules(), Random: rand.NewChaCha8([32]byte{1})}),
		Wallets: wallet.New(books, hooks.Outbox, clocks), Alerts: alerts}
	b.Issuing = issuing.New(issuing.Deps{DB: db, Books: books, Vault: keys, Outbox: hooks.Outbox, Audit: log, Clocks: clocks,
		Programme: issuing.DefaultProgramme(), Random: rand.NewChaCha8([32]byte{2})})
	b.Deciders = decision.New(decision.Deps{DB: db, Vault: keys, Outbox: hooks.Outbox, Audit: log, Clocks: clocks, Guard: &webhook.Guard{AllowPrivate: true}, Logger: logger})
	t.Cleanup(b.Deciders.Close)
	payments := authorization.New(authorization.Deps{DB: db, Books: books, Cards: b.Issuing, Vault: keys, Outbox: hooks.Outbox, Clocks: clocks,
		Policy: authorization.DefaultPolicy(), Logger: logger})
	b.pay = payments
	b.Disputes = dispute.New(dispute.Deps{DB: db, Books: books, Payments: payments, Vault: keys, Outbox: hooks.Outbox, Audit: log, Clocks: clocks, Policy: dispute.DefaultPolicy()})
	payments.Disputes = b.Disputes
	b.Statements = statement.New(statement.Deps{DB: db, Books: books, Cards: b.Issuing, Payments: payments, Clocks: clocks})
	b.Catalog = catalog.New(catalog.Deps{DB: db, Audit: log, Clocks: clocks, Logger: logger})
	check(t, b.Catalog.Refresh(t.Context()))
	b.Stock = stock.New(stock.Deps{DB: db, Vault: keys, Audit: log, Outbox: hooks.Outbox, Clocks: clocks, Catalog: b.Catalog, Logger: logger})
	b.Supply = supply.New(supply.Deps{DB: db, Vault: keys, Audit: log, Clocks: clocks, Catalog: b.Catalog, Accounts: b.Accounts, Logger: logger,
		Adapters: map[string]supply.Adapter{"slow": func([]byte) (supply.Supplier, error) { return slow{}, nil }}})
	b.Orders = order.New(order.Deps{DB: db, Books: books, Catalog: b.Catalog, Stock: b.Stock, Supply: b.Supply, Cards: b.Cards, Outbox: hooks.Outbox,
		Queue: b.jobs, Audit: log, Clocks: clocks, Logger: logger})
	t.Cleanup(b.Orders.Close)
	b.Claims = claim.New(claim.Deps{DB: db, Orders: b.Orders, Stock: b.Stock, Outbox: hooks.Outbox, Audit: log, Clocks: clocks})
	b.Reports = report.New(report.Deps{DB: db, Audit: log, Outbox: hooks.Outbox, Clocks: clocks, Logger: logger})
	b.Portals = portal.New(portal.Deps{DB: db, Audit: log, Accounts: b.Accounts, Clocks: clocks, Jobs: b.jobs, Resolver: b.dns.Resolver()})
	engine, err := office.New(office.Deps{DB: db, Audit: log, Clocks: clocks, Logger: logger})
	check(t, err)
	b.Fraud = engine
	limits := limit.New(db, b.clock)
	t.Cleanup(limits.Close)
	// Any event is scored alike, so that golden files show a score with all that explains it.
	b.Pings = ping.New(ping.Deps{DB: db, Vault: keys, Clocks: clocks, Outbox: hooks.Outbox, Audit: log, Limits: limits, Cards: b.Cards, Policy: ping.DefaultPolicy(),
		Fraud: scorer{}, Adapters: map[string]ping.Adapter{"http": openPartner}, Logger: logger})
	t.Cleanup(b.Pings.Close)
	b.cashes = cashdesk.On(t, cashdesk.Base{DB: db, Clock: b.clock, Clocks: clocks, Vault: keys, Audit: log, Ledger: books, Limits: limits, Hooks: hooks, Jobs: b.jobs,
		Accounts: b.Accounts, Log: b.log})
	b.rails(t)
	payouts := payout.New(payout.Deps{DB: db, Books: books, Outbox: hooks.Outbox, Clocks: clocks, Queue: b.jobs, Audit: log, Logger: logger, Policy: payout.DefaultPolicy(),
		Nodes: map[realm.Realm]payout.Nodes{realm.Test: node.New(db, clocks.Of(realm.Test), "sandbox", true).Nodes(destination.Main)}})
	b.Cashout = cashouts.Deps{Orders: b.cashes.Service, Reviews: b.cashes.Reviews, Payouts: payouts, Phones: b.cashes.Phones}
}

const seeder = "setup"

// scorer finds every event equally odd.
type scorer struct{}

func (scorer) Score(fraud.Event) fraud.Score {
	return fraud.Score{Hundredths: 71, Signals: []fraud.Signal{
		{Name: "velocity_anomaly", Of: "credential", Value: 41, Threshold: 10, Window: time.Hour, Points: 60},
		{Name: "pin_guessing", Of: "network", Value: 9, Threshold: 3, Window: time.Hour, Points: 11, Telling: true}}}
}

func (scorer) Learn(fraud.Event, fraud.Outcome) {}

func (scorer) Label(fraud.Event, fraud.Label) {}

// partner is a network where every card has 47.50.
type partner struct{}

func (partner) Inquire(_ context.Context, q ping.Inquiry) (ping.Balance, error) {
	return ping.Balance{Status: ping.Active, Amount: money.New(4750, q.Currency)}, nil
}

// openPartner opens a configuration that has a url.
func openPartner(config []byte) (ping.Network, error) {
	var settings struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(config, &settings); err != nil || settings.URL == "" {
		return nil, fault.New(fault.InvalidRequest, "a url is required").At("url")
	}
	return partner{}, nil
}

// look makes a balance check as the customer, without a PIN or one with each.
func (b *bundle) look(t testing.TB, network, number string, pins ...string) {
	t.Helper()
	caller := ping.Caller{Book: b.customer.Test, Realm: realm.Test, Credential: "key_desk", Address: netip.MustParseAddr("192.0.2.7")}
	if len(pins) == 0 {
		pins = []string{""}
	}
	for _, pin := range pins {
		_, err := b.Pings.Ping(t.Context(), ping.Check{Caller: caller, Network: network, Number: pan.NewSecret(number), PIN: pan.NewSecret(pin)})
		check(t, err)
	}
}

// page makes a portal of the customer, perhaps with a domain.
func (b *bundle) page(t testing.TB, slug string, domain ...string) portal.Portal {
	t.Helper()
	made, err := b.Portals.Create(t.Context(), portal.NewPortal{Book: b.customer.Test, Realm: realm.Test, Name: "Acme", Slug: slug,
		CustomDomain: strings.Join(domain, ""), Actor: seeder})
	check(t, err)
	return made
}

func (b *bundle) seed(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	for _, role := range []account.Role{account.RoleAdmin, account.RoleSupport, account.RoleAuditor} {
		made, err := b.Accounts.CreateOperator(ctx, seeder, account.NewOperator{Name: "Olga", Role: role})
		check(t, err)
		key, err := b.Accounts.CreateOperatorKey(ctx, seeder, account.NewOperatorKey{Operator: made.ID, Name: "Laptop"})
		check(t, err)
		b.keys[role] = key.Secret.Reveal()
	}
	var err error
	b.customer, err = b.Accounts.CreateCustomer(ctx, seeder, account.NewCustomer{Name: "Acme"})
	check(t, err)
	_, err = b.Cards.AddTemplate(ctx, giftcard.NewTemplate{ID: "aurora", Name: "Aurora", Image: cover(t), Actor: seeder})
	check(t, err)
	m := giftcard.Merchant{Book: b.customer.Test, Realm: realm.Test, Actor: seeder}
	b.card, err = b.Cards.Create(ctx, m, giftcard.Issue{Title: "Happy birthday", TemplateID: "aurora", Amount: money.New(5000, money.USD), Reference: "order-1"})
	check(t, err)
	spend := giftcard.Transfer{Secret: giftcard.Secret{Number: b.card.Card.Number}, Amount: money.New(1250, money.USD), Reference: "till-7"}
	b.redeemed, err = b.Cards.Redeem(ctx, m, spend)
	check(t, err)
	spend.Amount, spend.Reference = money.New(500, money.USD), "till-8"
	b.held, err = b.Cards.Hold(ctx, m, spend)
	check(t, err)
}

// cover is a small picture.
func cover(t testing.TB) []byte {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, 16, 16))
	picture.Set(3, 3, color.White)
	var out bytes.Buffer
	check(t, png.Encode(&out, picture))
	return out.Bytes()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// spend gives the customer a virtual card with 50.00, of which 12.50 are held.
func (b *bundle) spend(t testing.TB, _ []string) {
	t.Helper()
	ctx, h := t.Context(), issuing.Holder{Book: b.customer.Test, Realm: realm.Test, Actor: seeder}
	_, err := b.Wallets.Load(ctx, wallet.Load{Book: h.Book, Realm: h.Realm, Amount: money.New(8000, money.USD), Reference: "transfer", Actor: seeder})
	check(t, err)
	card, err := b.Issuing.Issue(ctx, h, issuing.NewCard{BIN: "491653", Amount: money.New(5000, money.USD), Label: "Ads", Metadata: map[string]string{"team": "growth"}})
	check(t, err)
	to := issuing.Settlement(money.USD)
	_, err = b.Books.Submit(ctx, ledger.Operation{Book: h.Book, Kind: "test.hold", At: began, Open: []ledger.NewAccount{to}, Holds: []ledger.HoldChange{
		{Action: ledger.Place, ID: "hold_1", Amount: money.New(1250, money.USD), Debit: card.Account().ID, Credit: to.ID}}})
	check(t, err)
}

// bought gives the customer a virtual card with 50.00 and makes a payment with it that is captured.
func (b *bundle) bought(t testing.TB, text string) authorization.ID {
	t.Helper()
	ctx, h := t.Context(), issuing.Holder{Book: b.customer.Test, Realm: realm.Test, Actor: seeder}
	amount, err := money.ParseAmount(text, money.USD)
	check(t, err)
	_, err = b.Wallets.Load(ctx, wallet.Load{Book: h.Book, Realm: h.Realm, Amount: money.New(5000, money.USD), Reference: "buy " + text, Actor: seeder})
	check(t, err)
	card, err := b.Issuing.Issue(ctx, h, issuing.NewCard{BIN: "491653", Amount: money.New(5000, money.USD)})
	check(t, err)
	d, err := b.pay.Authorize(ctx, authorization.Request{Book: h.Book, Card: card.ID, Key: "buy " + text, Amount: amount,
		Merchant: authorization.Merchant{ID: "M-1", Name: "CORNER SHOP", MCC: "5411", Country: "US"}})
	check(t, err)
	_, err = b.pay.Capture(ctx, authorization.Advice{Book: h.Book, Payment: d.ID, Key: "capture " + text})
	check(t, err)
	return d.ID
}

// virtualNumber is the number of the first virtual card: numbers are the same on every run.
func virtualNumber(t testing.TB) string {
	t.Helper()
	number, err := pan.Generate(rand.NewChaCha8([32]byte{2}), "491653", 16)
	check(t, err)
	return number.Reveal()
}

// vars are what golden files may call by name.
func (b *bundle) vars(t testing.TB) map[string]string {
	t.Helper()
	return map[string]string{
		"customer": string(b.customer.ID), "book": string(b.customer.Test), "live_book": string(b.customer.Live),
		"card": string(b.card.Card.ID), "number": b.card.Card.Number.Reveal(), "small_number": strings.ToLower(b.card.Card.Number.Reveal()), "card_key": b.card.Key.Reveal(), "pan": virtualNumber(t),
		"redemption": string(b.redeemed.Transaction), "hold": string(b.held.Hold), "receiver": b.receiver.URL,
		"admin": b.keys[account.RoleAdmin], "support": b.keys[account.RoleSupport], "auditor": b.keys[account.RoleAuditor],
		"cover": string(cover(t)), "cover_base64": base64.StdEncoding.EncodeToString(cover(t)),
	}
}

// do sends a request as an operator of a role; a body is JSON.
func (b *bundle) do(role account.Role, method, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+b.keys[role])
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}
