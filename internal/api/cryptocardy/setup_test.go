package cryptocardy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/cryptocardy"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/issuing/statement"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
	"github.com/scripcards/scrip/internal/webhook"
)

var began = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

const seeder = "setup"

// bundle is one installation whose clock stands still, with two customers who have
// wallets, and a receiver of webhooks.
type bundle struct {
	cryptocardy.Deps
	t       testing.TB
	surface *wire.Surface[account.Principal]
	handler http.Handler
	clock   *clock.Manual
	books   *ledger.Ledger
	wallets *wallet.Service
	jobs    *job.Queue
	log     *bytes.Buffer

	acme, rival account.Customer
	seeds       map[string]string // by name
	refs        map[string]account.SeedRef
	receiver    *receiver
}

func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	b := &bundle{t: t, clock: clock.NewManual(began), log: &bytes.Buffer{}, seeds: map[string]string{}, refs: map[string]account.SeedRef{}, receiver: newReceiver(t)}
	b.build(db)
	b.seed()
	b.mount()
	return b
}

func (b *bundle) build(db *storage.DB) {
	master, _, err := vault.LoadMasterKey(b.t.TempDir(), "")
	b.must(err)
	keys, err := vault.Open(b.t.Context(), db, master)
	b.must(err)
	logger, clocks, log := slog.New(slog.NewTextHandler(b.log, nil)), clock.NewRealms(b.clock), audit.New(db)
	b.jobs = job.New(db, clocks, logger)
	roots := x509.NewCertPool()
	roots.AddCert(b.receiver.Certificate())
	hooks := webhook.New(webhook.Deps{DB: db, Clocks: clocks, Vault: keys, Queue: b.jobs, Audit: log, Guard: &webhook.Guard{AllowPrivate: true},
		Logger: logger, Config: webhook.Config{Roots: roots}})
	b.must(hooks.Refresh(b.t.Context()))
	b.books = ledger.New(db, clocks, ledger.Config{})
	b.t.Cleanup(b.books.Close)
	limits := limit.New(db, b.clock)
	b.t.Cleanup(limits.Close)
	b.wallets = wallet.New(b.books, hooks.Outbox, clocks)
	cards := issuing.New(issuing.Deps{DB: db, Books: b.books, Vault: keys, Outbox: hooks.Outbox, Audit: log, Clocks: clocks,
		Programme: issuing.DefaultProgramme(), Random: rand.NewChaCha8([32]byte{1})})
	payments := authorization.New(authorization.Deps{DB: db, Books: b.books, Cards: cards, Vault: keys, Outbox: hooks.Outbox, Clocks: clocks,
		Policy: authorization.DefaultPolicy(), Logger: logger, Random: rand.NewChaCha8([32]byte{2})})
	chains := newChains()
	b.Deps = cryptocardy.Deps{DB: db, Vault: keys, Clocks: clocks, Webhooks: hooks, Take: limits.Take, Cards: cards, Payments: payments, Realm: realm.Test,
		Accounts: account.New(account.Deps{DB: db, Vault: keys, Audit: log, Clocks: clocks, Logger: logger}), Chains: chains}
	b.Deposits = b.deposits(chains, log)
	b.Disputes = dispute.New(dispute.Deps{DB: db, Books: b.books, Payments: payments, Vault: keys, Outbox: hooks.Outbox, Audit: log, Clocks: clocks, Policy: dispute.DefaultPolicy()})
	payments.Disputes = b.Disputes
	b.Statements = statement.New(statement.Deps{DB: db, Books: b.books, Cards: cards, Payments: payments, Clocks: clocks})
}

// deposits are of the test realm: chains that hold what a test pays, and the sandbox's rates.
func (b *bundle) deposits(chains *chains, log *audit.Log) *deposit.Service {
	makers, watched := map[address.Place]address.Maker{}, map[address.Place]deposit.Chain{}
	for _, chain := range asset.Chains() {
		place := address.Place{Realm: realm.Test, Chain: chain}
		makers[place], watched[place] = maker(chain), chains
	}
	logger := slog.New(slog.NewTextHandler(b.log, nil))
	return deposit.New(deposit.Deps{DB: b.DB, Books: b.books, Outbox: b.Webhooks.Outbox, Clocks: b.Clocks, Chains: watched, Policy: deposit.DefaultPolicy(), Logger: logger,
		AddressBook: address.New(address.Deps{DB: b.DB, Audit: log, Outbox: b.Webhooks.Outbox, Clocks: b.Clocks, Logger: logger, Makers: makers}),
		Rates: map[realm.Realm]*rate.Service{realm.Test: rate.New(rate.Deps{Clock: b.clock, Policy: rate.Policy{Least: 1, Refresh: time.Minute, Fresh: time.Hour,
			Stale: time.Hour, Timeout: time.Second, Outlier: 100, Spread: 100}, Sources: []rate.Named{{Name: "fixed", Source: rate.Sandbox()}}})}})
}

// maker makes addresses that say whose turn it was.
type maker asset.Chain

func (m maker) Name() string { return "numbered:" + string(m) }

func (m maker) Address(_ context.Context, position uint32) (string, error) {
	return fmt.Sprintf("%s-address-%04d", string(m), position), nil
}

// chains are all chains at once: they show what was paid.
type chains struct {
	mu   sync.Mutex
	paid map[deposit.Payment]deposit.Sighting
}

func newChains() *chains { return &chains{paid: map[deposit.Payment]deposit.Sighting{}} }

func (c *chains) Pay(_ context.Context, p cryptocardy.Payment) (deposit.Sighting, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := sha256.Sum256([]byte(p.Name))
	payment := deposit.Payment{Chain: p.Amount.Asset.Chain(), TxID: hex.EncodeToString(sum[:])}
	if _, done := c.paid[payment]; !done {
		c.paid[payment] = deposit.Sighting{Payment: payment, Address: p.Address, Amount: p.Amount, Confirmations: p.Confirmations}
	}
	return c.paid[payment], nil
}

func (c *chains) Seen(context.Context, string) (deposit.Page, error) { return deposit.Page{}, nil }

func (c *chains) Look(context.Context, []deposit.Payment) ([]deposit.Sighting, error) {
	return nil, nil
}

func (b *bundle) seed() {
	var err error
	b.acme, err = b.Accounts.CreateCustomer(b.t.Context(), seeder, account.NewCustomer{Name: "Acme"})
	b.must(err)
	b.rival, err = b.Accounts.CreateCustomer(b.t.Context(), seeder, account.NewCustomer{Name: "Rival"})
	b.must(err)
	b.give("acme", b.acme.ID, realm.Test)
	b.give("acme_live", b.acme.ID, realm.Live)
	b.give("rival", b.rival.ID, realm.Test)
	b.load(b.acme.Test, 200_000)
	b.load(b.rival.Test, 100)
}

func (b *bundle) give(name string, customer account.CustomerID, r realm.Realm) {
	b.t.Helper()
	made, err := b.Accounts.CreateSeed(b.t.Context(), seeder, account.NewSeed{Customer: customer, Realm: r, Name: name})
	b.must(err)
	b.seeds[name], b.refs[name] = made.Secret.Reveal(), made.SeedRef
}

func (b *bundle) load(book ledger.BookID, cents int64) {
	b.t.Helper()
	_, err := b.wallets.Load(b.t.Context(), wallet.Load{Book: book, Realm: realm.Test, Amount: money.New(cents, money.USD), Reference: "transfer", Actor: seeder})
	b.must(err)
}

// mount makes the handler from what Deps hold now, as another process would.
func (b *bundle) mount() {
	b.surface = cryptocardy.New(wire.NewKit(wire.Options{Clock: b.clock, Logger: slog.New(slog.NewTextHandler(b.log, nil)), Take: b.Take}), b.Deps)
	mux := http.NewServeMux()
	b.surface.Mount(mux)
	b.handler = mux
}

func (b *bundle) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// do sends a request under a seed by name; a body is JSON. Headers are name, value pairs.
func (b *bundle) do(seed, line, body string, headers ...string) *httptest.ResponseRecorder {
	return send(b.handler, b.seeds[seed], line, body, headers...)
}

func send(h http.Handler, seed, line, body string, headers ...string) *httptest.ResponseRecorder {
	method, target, _ := strings.Cut(line, " ")
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if seed != "" {
		r.Header.Set("X-Seed", seed)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// deliver sends what webhooks are owed.
func (b *bundle) deliver() {
	b.t.Helper()
	_, err := b.Webhooks.Dispatch(b.t.Context())
	b.must(err)
	b.must(b.jobs.Drain(b.t.Context()))
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
	report, err := ledger.Verify(context.Background(), b.DB, nil) // at a test's end its own context is over
	b.must(err)
	if len(report.Problems) > 0 {
		b.t.Errorf("the books: %v", report.Problems)
	}
}

// delivery is a request that the receiver got.
type delivery struct {
	header http.Header
	body   string
}

// receiver takes webhooks.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []delivery
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, delivery{q.Header, string(body)})
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

// take returns what came since it was last asked.
func (r *receiver) take() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}
