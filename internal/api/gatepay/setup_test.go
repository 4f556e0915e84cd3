package gatepay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/gatepay"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/ground"
	"github.com/scripcards/scrip/internal/webhook"
)

var began = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

const seeder = "setup"

// bundle is one installation whose clock stands still and whose card numbers are
// always the same: two customers, each with a signing credential in the test realm.
type bundle struct {
	gatepay.Deps
	t       testing.TB
	db      *storage.DB
	books   *ledger.Ledger
	outbox  *webhook.Outbox
	vault   *vault.Vault
	surface *wire.Surface[account.Principal]
	handler http.Handler
	bare    http.Handler // the handler without its watch, for concurrent requests
	clock   *clock.Manual
	clocks  *clock.Realms
	log     *bytes.Buffer

	acme, rival account.Customer
	// secrets of signing credentials by client id; "acme.old" is the one before a rotation.
	secrets map[string]string
	// keys are API keys by name.
	keys   map[string]string
	nonces int
	// kept is what the database held after the last request; nil when it may have changed since.
	kept map[string]string
	// tables are those of the database, once they are known.
	tables []storage.Table
}

// setup returns a bundle over an empty database. Its handler fails the test when a
// refused request leaves something behind.
func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	b := &bundle{t: t, db: db, clock: clock.NewManual(began), secrets: map[string]string{}, keys: map[string]string{}}
	b.clocks = clock.NewRealms(b.clock)
	b.build()
	b.seed()
	b.mount()
	return b
}

// mount makes the handler from what Deps hold now.
func (b *bundle) mount() {
	b.surface = gatepay.New(wire.NewKit(wire.Options{Clock: b.clock, Logger: slog.New(slog.NewTextHandler(b.log, nil)), Take: b.Take}), b.Deps)
	mux := http.NewServeMux()
	b.surface.Mount(mux)
	b.bare, b.handler = mux, b.watched(mux)
}

func (b *bundle) build() {
	g := ground.Lay(b.t, b.db, b.clocks)
	b.vault, b.outbox, b.books, b.log = g.Vault, g.Hooks.Outbox, g.Books, g.Log
	limits := limit.New(b.db, b.clock)
	b.t.Cleanup(limits.Close)
	b.Deps = gatepay.Deps{Clock: b.clock, BaseURL: "https://cards.example", Take: limits.Take, Look: limits.Look,
		Accounts: account.New(account.Deps{DB: b.db, Vault: b.vault, Audit: g.Audit, Clocks: b.clocks, Logger: g.Logger}),
		Cards: giftcard.New(giftcard.Deps{DB: b.db, Books: b.books, Vault: b.vault, Outbox: b.outbox, Audit: g.Audit, Clocks: b.clocks,
			Rules: giftcard.DefaultRules(), Random: rand.NewChaCha8([32]byte{1})})}
}

func (b *bundle) seed() {
	var err error
	b.acme, err = b.Accounts.CreateCustomer(b.t.Context(), seeder, account.NewCustomer{Name: "Acme"})
	check.OK(b.t, err)
	b.rival, err = b.Accounts.CreateCustomer(b.t.Context(), seeder, account.NewCustomer{Name: "Rival"})
	check.OK(b.t, err)
	b.merchant("acme", b.acme.Test)
	b.merchant("acme-live", b.acme.Live)
	b.merchant("rival", b.rival.Test)
	b.key("full", b.acme.Test, account.NewScopes(account.ScopeAll))
	b.key("reader", b.acme.Test, account.NewScopes(account.ScopeGiftcardRead))
	b.key("writer", b.acme.Test, account.NewScopes(account.ScopeGiftcardWrite))
	b.key("spender", b.acme.Test, account.NewScopes(account.ScopeGiftcardRedeem))
	b.key("live", b.acme.Live, account.NewScopes(account.ScopeAll))
	for id, name := range map[string]string{"template_001": "Aurora", "template_002": "Ember"} {
		_, err := b.Cards.AddTemplate(b.t.Context(), giftcard.NewTemplate{ID: id, Name: name, Image: b.cover(), Actor: seeder})
		check.OK(b.t, err)
	}
	b.retire(b.t, []string{"template_002"})
}

func (b *bundle) merchant(client string, book ledger.BookID) {
	b.t.Helper()
	made, err := b.Accounts.CreateMerchant(b.t.Context(), seeder, account.NewMerchant{Book: book, Name: client, ClientID: account.ClientID(client)})
	check.OK(b.t, err)
	b.secrets[client] = made.Secret.Reveal()
}

func (b *bundle) key(name string, book ledger.BookID, scopes account.Scopes) {
	b.t.Helper()
	made, err := b.Accounts.CreateKey(b.t.Context(), seeder, account.NewKey{Book: book, KeySettings: account.KeySettings{Name: name, Scopes: scopes}})
	check.OK(b.t, err)
	b.keys[name] = made.Secret.Reveal()
}

// retire makes a template inactive.
func (b *bundle) retire(t testing.TB, args []string) {
	t.Helper()
	inactive := false
	_, err := b.Cards.ChangeTemplate(t.Context(), args[0], giftcard.TemplateChange{Active: &inactive, Actor: seeder})
	check.OK(b.t, err)
}

// cover is a small picture.
func (b *bundle) cover() []byte {
	picture := image.NewRGBA(image.Rect(0, 0, 16, 16))
	picture.Set(3, 3, color.White)
	var out bytes.Buffer
	check.OK(b.t, png.Encode(&out, picture))
	return out.Bytes()
}

// shop is Acme in the test realm, for calls past the wire.
func (b *bundle) shop() giftcard.Merchant {
	return giftcard.Merchant{Book: b.acme.Test, Realm: realm.Test, Actor: seeder}
}

// request makes a request with a JSON body unless that is empty.
func request(method, target string, body []byte) *http.Request {
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// do sends a request that a client id signs.
func (b *bundle) do(client, method, target, body string) *httptest.ResponseRecorder {
	b.t.Helper()
	r := request(method, target, []byte(body))
	b.sign(r, []byte(body), signing{client: client})
	return b.send(r)
}

func (b *bundle) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

// unwatched are the tables that a refusal may change: nonces that were used, counts
// of limits, and the audit log, which is told of an attempt before it is made.
var unwatched = map[string]bool{"account_nonces": true, "audit_records": true, "audit_heads": true, "limit_windows": true}

// contents digests every table that a refused request must leave alone.
func (b *bundle) contents() map[string]string {
	b.t.Helper()
	if b.tables == nil {
		var err error
		b.tables, err = storage.Tables(b.t.Context(), b.db)
		check.OK(b.t, err)
	}
	digests := map[string]string{}
	for _, table := range b.tables {
		if unwatched[table.Name] {
			continue
		}
		count, digest := 0, sha256.New()
		check.OK(b.t, table.Each(b.t.Context(), b.db, func(row []any) error {
			count++
			fmt.Fprintf(digest, "%q\n", row)
			return nil
		}))
		digests[table.Name] = fmt.Sprintf("%d rows %x", count, digest.Sum(nil)[:8])
	}
	return digests
}

// watched compares the database before and after every refused request.
func (b *bundle) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.kept == nil {
			b.kept = b.contents()
		}
		status := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(status, r)
		if status.code < http.StatusBadRequest {
			b.kept = nil
			return
		}
		for table, now := range b.contents() {
			if before := b.kept[table]; now != before {
				b.t.Errorf("%s %s was refused with %d and changed %s: %s, then %s", r.Method, r.URL.Path, status.code, table, before, now)
			}
		}
	})
}

type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// verify proves the books and that nothing was logged as a mistake.
func (b *bundle) verify() {
	b.t.Helper()
	ctx := context.WithoutCancel(b.t.Context()) // the test may be over
	check.OK(b.t, b.db.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		report, err := ledger.Verify(ctx, q, nil)
		if len(report.Problems) > 0 {
			b.t.Errorf("the books are wrong: %s", strings.Join(report.Problems, "\n"))
		}
		return err
	}))
	if b.log.Len() > 0 {
		b.t.Errorf("the log is not empty: %s", b.log)
	}
}
