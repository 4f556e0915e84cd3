package cryptocardy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/cryptocardy"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
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
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/ground"
	"github.com/scripcards/scrip/internal/testkit/receiver"
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
	receiver    *receiver.Server
}

func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	b := &bundle{t: t, clock: clock.NewManual(began), seeds: map[string]string{}, refs: map[string]account.SeedRef{}, receiver: receiver.Start(t)}
	b.build(db)
	b.seed()
	b.mount()
	return b
}

func (b *bundle) build(db *storage.DB) {
	roots := x509.NewCertPool()
	roots.AddCert(b.receiver.Certificate())
	g := ground.Lay(b.t, db, clock.NewRealms(b.clock), func(hooks *webhook.Deps) {
		hooks.Guard, hooks.Config = &webhook.Guard{AllowPrivate: true}, webhook.Config{Roots: roots}
	})
	b.jobs, b.books, b.log = g.Jobs, g.Books, g.Log
	limits := limit.New(db, b.clock)
	b.t.Cleanup(limits.Close)
	b.wallets = wallet.New(b.books, g.Hooks.Outbox, g.Clocks)
	cards := issuing.New(issuing.Deps{DB: db, Books: b.books, Vault: g.Vault, Outbox: g.Hooks.Outbox, Audit: g.Audit, Clocks: g.Clocks,
		Programme: issuing.DefaultProgramme(), Random: rand.NewChaCha8([32]byte{1})})
	payments := authorization.New(authorization.Deps{DB: db, Books: b.books, Cards: cards, Vault: g.Vault, Outbox: g.Hooks.Outbox, Clocks: g.Clocks,
		Policy: authorization.DefaultPolicy(), Logger: g.Logger, Random: rand.NewChaCha8([32]byte{2})})
	chains := newChains()
	b.Deps = cryptocardy.Deps{DB: db, Vault: g.Vault, Clocks: g.Clocks, Webhooks: g.Hooks, Take: limits.Take, Look: limits.Look, Cards: cards, Payments: payments, Realm: realm.Test,
		Accounts: account.New(account.Deps{DB: db, Vault: g.Vault, Audit: g.Audit, Clocks: g.Clocks, Logger: g.Logger}), Chains: chains}
	b.Deposits = b.deposits(chains, g)
	b.Disputes = dispute.New(dispute.Deps{DB: db, Books: b.books, Payments: payments, Vault: g.Vault, Outbox: g.Hooks.Outbox, Audit: g.Audit, Clocks: g.Clocks, Policy: dispute.DefaultPolicy()})
	payments.Disputes = b.Disputes
	b.Statements = statement.New(statement.Deps{DB: db, Books: b.books, Cards: cards, Payments: payments, Clocks: g.Clocks})
}

// deposits are of the test realm: chains that hold what a test pays, and the sandbox's rates.
func (b *bundle) deposits(chains *chains, g *ground.Ground) *deposit.Service {
	makers, watched := map[address.Place]address.Maker{}, map[address.Place]deposit.Chain{}
	for _, chain := range asset.Chains() {
		place := address.Place{Realm: realm.Test, Chain: chain}
		makers[place], watched[place] = maker(chain), chains
	}
	return deposit.New(deposit.Deps{DB: g.DB, Books: g.Books, Outbox: g.Hooks.Outbox, Clocks: g.Clocks, Chains: watched, Policy: deposit.DefaultPolicy(), Logger: g.Logger,
		AddressBook: address.New(address.Deps{DB: g.DB, Audit: g.Audit, Outbox: g.Hooks.Outbox, Clocks: g.Clocks, Logger: g.Logger, Makers: makers}),
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
	check.OK(b.t, err)
	b.rival, err = b.Accounts.CreateCustomer(b.t.Context(), seeder, account.NewCustomer{Name: "Rival"})
	check.OK(b.t, err)
	b.give("acme", b.acme.ID, realm.Test)
	b.give("acme_live", b.acme.ID, realm.Live)
	b.give("rival", b.rival.ID, realm.Test)
	b.load(b.acme.Test, 200_000)
	b.load(b.rival.Test, 100)
}

func (b *bundle) give(name string, customer account.CustomerID, r realm.Realm) {
	b.t.Helper()
	made, err := b.Accounts.CreateSeed(b.t.Context(), seeder, account.NewSeed{Customer: customer, Realm: r, Name: name})
	check.OK(b.t, err)
	b.seeds[name], b.refs[name] = made.Secret.Reveal(), made.SeedRef
}

func (b *bundle) load(book ledger.BookID, cents int64) {
	b.t.Helper()
	_, err := b.wallets.Load(b.t.Context(), wallet.Load{Book: book, Realm: realm.Test, Amount: money.New(cents, money.USD), Reference: "transfer", Actor: seeder})
	check.OK(b.t, err)
}

// mount makes the handler from what Deps hold now, as another process would.
func (b *bundle) mount() {
	b.surface = cryptocardy.New(wire.NewKit(wire.Options{Clock: b.clock, Logger: slog.New(slog.NewTextHandler(b.log, nil)), Take: b.Take}), b.Deps)
	mux := http.NewServeMux()
	b.surface.Mount(mux)
	b.handler = mux
}

// do sends a request under a seed by name; a body is JSON. Headers are name, value pairs.
func (b *bundle) do(seed, line, body string, headers ...string) *httptest.ResponseRecorder {
	return send(b.handler, b.seeds[seed], line, body, headers...)
}

func send(h http.Handler, seed, line, body string, headers ...string) *httptest.ResponseRecorder {
	return wiretest.Send(h, line, body, append([]string{"X-Seed", seed}, headers...)...)
}

// deliver sends what webhooks are owed.
func (b *bundle) deliver() {
	b.t.Helper()
	_, err := b.Webhooks.Dispatch(b.t.Context())
	check.OK(b.t, err)
	check.OK(b.t, b.jobs.Drain(b.t.Context()))
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
	check.OK(b.t, err)
	if len(report.Problems) > 0 {
		b.t.Errorf("the books: %v", report.Problems)
	}
}
