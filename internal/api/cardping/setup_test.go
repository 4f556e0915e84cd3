package cardping_test

import (
	"bytes"
	"crypto/x509"
	"image"
	"image/png"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/cardping"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/ground"
	"github.com/scripcards/scrip/internal/testkit/nameserver"
	"github.com/scripcards/scrip/internal/testkit/receiver"
	"github.com/scripcards/scrip/internal/webhook"
)

var began = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

const seeder = "setup"

// bundle is one installation whose clock stands still, with two customers and a
// receiver of webhooks.
type bundle struct {
	cardping.Deps
	t       testing.TB
	surface *wire.Surface[account.Principal]
	handler http.Handler
	dns     *nameserver.Server
	clock   *clock.Manual
	jobs    *job.Queue
	cards   *giftcard.Service
	log     *bytes.Buffer

	acme, rival account.Customer
	keys        map[string]string // by name
	refs        map[string]account.KeyRef
	receiver    *receiver.Server
}

func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	b := &bundle{t: t, clock: clock.NewManual(began), keys: map[string]string{}, refs: map[string]account.KeyRef{}, receiver: receiver.Start(t), dns: nameserver.Start(t)}
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
	b.jobs, b.log = g.Jobs, g.Log
	limits := limit.New(db, b.clock)
	b.t.Cleanup(limits.Close)
	b.cards = giftcard.New(giftcard.Deps{DB: db, Books: g.Books, Vault: g.Vault, Outbox: g.Hooks.Outbox, Audit: g.Audit, Clocks: g.Clocks,
		Rules: giftcard.DefaultRules(), Random: rand.NewChaCha8([32]byte{1})})
	pings := ping.New(ping.Deps{DB: db, Vault: g.Vault, Clocks: g.Clocks, Outbox: g.Hooks.Outbox, Audit: g.Audit, Limits: limits, Cards: b.cards,
		Policy: ping.DefaultPolicy(), Logger: g.Logger})
	b.t.Cleanup(pings.Close)
	check.OK(b.t, pings.Refresh(b.t.Context()))
	accounts := account.New(account.Deps{DB: db, Vault: g.Vault, Audit: g.Audit, Clocks: g.Clocks, Logger: g.Logger})
	b.Deps = cardping.Deps{DB: db, Vault: g.Vault, Clocks: g.Clocks, Accounts: accounts, Webhooks: g.Hooks, Take: limits.Take, Look: limits.Look,
		Pings: pings, Portals: portal.New(portal.Deps{DB: db, Audit: g.Audit, Accounts: accounts, Clocks: g.Clocks, Jobs: g.Jobs, Resolver: b.dns.Resolver()})}
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
	b.key("pinger", b.acme.Test, account.ScopePing)
	b.key("reader", b.acme.Test, account.ScopeWebhookRead)
	_, err = b.cards.AddTemplate(b.t.Context(), giftcard.NewTemplate{ID: "aurora", Name: "Aurora", Image: b.cover(), Actor: seeder})
	check.OK(b.t, err)
	brief, err := b.Accounts.CreateKey(b.t.Context(), seeder, account.NewKey{Book: b.acme.Test, ExpiresAt: began.Add(time.Hour),
		KeySettings: account.KeySettings{Name: "brief", Scopes: account.NewScopes(account.ScopeAll)}})
	check.OK(b.t, err)
	b.keys["brief"] = brief.Secret.Reveal()
}

// cover is a small picture.
func (b *bundle) cover() []byte {
	var out bytes.Buffer
	check.OK(b.t, png.Encode(&out, image.NewRGBA(image.Rect(0, 0, 16, 16))))
	return out.Bytes()
}

func (b *bundle) key(name string, book ledger.BookID, scope account.Scope) {
	b.t.Helper()
	made, err := b.Accounts.CreateKey(b.t.Context(), seeder, account.NewKey{Book: book,
		KeySettings: account.KeySettings{Name: name, Scopes: account.NewScopes(scope)}})
	check.OK(b.t, err)
	b.keys[name], b.refs[name] = made.Secret.Reveal(), made.KeyRef
}

// mount makes the handler from what Deps hold now, as another process would.
func (b *bundle) mount() {
	b.surface = cardping.New(wire.NewKit(wire.Options{Clock: b.clock, Logger: slog.New(slog.NewTextHandler(b.log, nil)), Take: b.Take}), b.Deps)
	mux := http.NewServeMux()
	b.surface.Mount(mux)
	b.handler = mux
}

// do sends a request under a key by name; a body is JSON.
func (b *bundle) do(key, method, target, body string) *httptest.ResponseRecorder {
	return send(b.handler, b.keys[key], method, target, body)
}

func send(h http.Handler, key, method, target, body string) *httptest.ResponseRecorder {
	return wiretest.Send(h, method+" "+target, body, "X-API-Key", key)
}

// deliver sends what webhooks are owed.
func (b *bundle) deliver() {
	b.t.Helper()
	_, err := b.Webhooks.Dispatch(b.t.Context())
	check.OK(b.t, err)
	check.OK(b.t, b.jobs.Drain(b.t.Context()))
}

// purge removes the answers that are over their time.
func (b *bundle) purge(t testing.TB) {
	t.Helper()
	_, err := idempotency.Purge(t.Context(), b.DB, b.clock.Now())
	check.OK(b.t, err)
}

// quiet fails when something was logged as a mistake.
func (b *bundle) quiet() {
	b.t.Helper()
	if b.log.Len() > 0 {
		b.t.Errorf("the log is not empty: %s", b.log)
	}
}

// documented returns the first example in a language of the guide for integrators.
func documented(t testing.TB, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/balance-checks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```"+language+"\n")
	if !found {
		t.Fatalf("the guide has no example in %s", language)
	}
	example, _, _ := strings.Cut(rest, "\n```")
	return example
}
