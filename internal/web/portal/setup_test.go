package portal

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	portals "github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/nameserver"
)

var began = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// usd is where the desk's cards are, eur a network of letters that needs a PIN.
const (
	usd  = "visa_gift"
	eur  = "brand"
	down = "resting"
)

// The desk's numbers.
const (
	numberActive   = "6006-4913-0000-0011"
	numberExpired  = "6006491300000029"
	numberInactive = "6006491300000037"
	numberMalicous = "6006491300000045" // its score is high
	numberRefused  = "123"              // no number of the network's
	numberAway     = "6006491300000052" // the network does not answer
	numberStale    = "6006491300000060" // the balance is from an hour ago
	numberQuota    = "6006491300000078" // the customer's quota is used up
	numberBarred   = "6006491300000086" // the portal may not ask
	numberGone     = "6006491300000102" // the network was removed
	numberBroken   = "6006491300000094" // a mistake of ours
	numberFull     = "6006491300000110" // the database is away
)

const pin = "1234"

// desk is a place beyond the network where cards are known by number.
type desk struct {
	mu    sync.Mutex
	asked []ping.Check
}

func (d *desk) Networks(realm.Realm) []ping.NetworkInfo {
	dollar, _ := money.Parse("USD")
	euro, _ := money.Parse("EUR")
	return []ping.NetworkInfo{
		{ID: usd, Name: "Visa Gift Card", Type: ping.OpenLoop, State: ping.Operational, Rules: ping.Rules{Lengths: []int{16}, Currencies: []money.Currency{dollar}}},
		{ID: eur, Name: "Example Brand", Type: ping.ClosedLoop, State: ping.Operational, Rules: ping.Rules{Letters: true, PINRequired: true, Currencies: []money.Currency{euro}}},
		{ID: down, Name: "Resting Card", Type: ping.ClosedLoop, State: ping.Down, Rules: ping.Rules{Lengths: []int{16}}},
	}
}

func (d *desk) Ping(_ context.Context, c ping.Check) (ping.Result, error) {
	d.mu.Lock()
	d.asked = append(d.asked, c)
	d.mu.Unlock()
	currency := c.Currency
	if currency == money.NoCurrency {
		currency, _ = money.Parse("USD")
	}
	r := ping.Result{ID: "ping_1", Network: c.Network, Status: ping.Active, Balance: money.New(123456, currency), Expiry: "2027-03", At: began, AsOf: began}
	switch number := c.Number.Reveal(); number {
	case numberActive:
	case numberExpired:
		r.Status, r.Expiry = ping.Expired, "2025-01"
	case numberInactive:
		r.Status = ping.Inactive
	case numberMalicous:
		r.Score = fraud.Score{Hundredths: 89}
	case numberRefused:
		return ping.Result{}, fault.New(fault.CardInvalid, "no number of this network").At("number")
	case numberAway:
		return ping.Result{}, fault.New(fault.Unavailable, "the network does not answer").After(90 * time.Second)
	case numberStale:
		r.AsOf = began.Add(-time.Hour)
	case numberQuota:
		return ping.Result{}, fault.New(fault.QuotaExceeded, "used up")
	case numberBarred:
		return ping.Result{}, fault.New(fault.PermissionDenied, "suspended")
	case numberGone:
		return ping.Result{}, fault.New(fault.InvalidRequest, "there is no such network").At("network")
	case numberFull:
		return ping.Result{}, fmt.Errorf("record balance check: %w", driver.ErrBadConn)
	case numberBroken:
		return ping.Result{}, errors.New("nobody thought of this")
	default:
		r.Status, r.Balance, r.Expiry = ping.Invalid, money.New(0, currency), ""
	}
	return r, nil
}

func (d *desk) checks() []ping.Check {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]ping.Check(nil), d.asked...)
}

// bundle is a site with everything below it, of which the balances alone are made up.
type bundle struct {
	t       *testing.T
	site    *Site
	desk    *desk
	clock   *clock.Manual
	portals *portals.Service
	dns     *nameserver.Server
	book    ledger.BookID
	portal  portals.Portal
	handler http.Handler
	log     *logBuffer
	records *[]wire.Record
}

// setup returns a site with one portal, "example", in three languages.
func setup(t *testing.T, change func(*Deps)) *bundle {
	t.Helper()
	return setupOn(t, testkit.Open(t, testkit.Database(t, "sqlite")), change)
}

func setupOn(t *testing.T, db *storage.DB, change func(*Deps)) *bundle {
	t.Helper()
	sealed, err := vault.Open(t.Context(), db, vault.NewMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, desk: &desk{}, clock: clock.NewManual(began), log: &logBuffer{}, records: &[]wire.Record{}}
	clocks, log := clock.NewRealms(b.clock), audit.New(db)
	accounts := account.New(account.Deps{DB: db, Vault: sealed, Audit: log, Clocks: clocks})
	b.dns = nameserver.Start(t)
	b.portals = portals.New(portals.Deps{DB: db, Audit: log, Accounts: accounts, Clocks: clocks, Jobs: job.New(db, clocks, slog.New(slog.DiscardHandler)),
		Resolver: b.dns.Resolver()})
	limiter := limit.New(db, b.clock)
	t.Cleanup(limiter.Close)
	var mu sync.Mutex
	d := Deps{
		Portals: b.portals, Checker: b.desk, Limits: limiter, Hash: sealed.Hash, Clock: b.clock,
		Logger: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe: func(_ context.Context, r wire.Record) {
			mu.Lock()
			defer mu.Unlock()
			*b.records = append(*b.records, r)
		},
	}
	if change != nil {
		change(&d)
	}
	b.site = New(d)
	mux := http.NewServeMux()
	b.site.Mount(mux, http.NotFoundHandler())
	b.handler = mux
	customer, err := accounts.CreateCustomer(t.Context(), "opr_test", account.NewCustomer{Name: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	b.book = customer.Live
	b.portal = b.create(portals.NewPortal{Name: "Example Cards", Slug: "example", Languages: []string{"en", "fr", "es"},
		Branding: portals.Branding{PrimaryColor: "#1f5c4d", SupportURL: "https://shop.example/help", PrivacyURL: "https://shop.example/privacy"}})
	return b
}

func (b *bundle) create(n portals.NewPortal) portals.Portal {
	b.t.Helper()
	n.Book, n.Actor = b.book, "key/k1"
	if n.Realm == "" {
		n.Realm = realm.Live
	}
	p, err := b.portals.Create(b.t.Context(), n)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// prove publishes the record of a portal's domain and has it seen.
func (b *bundle) prove(p portals.Portal) portals.Portal {
	b.t.Helper()
	b.dns.Set(p.Record())
	p, err := b.portals.VerifyDomain(b.t.Context(), portals.Change{Book: p.Book, Portal: p.ID, Actor: "key/k1"})
	if err != nil || !p.Proof.Verified {
		b.t.Fatal(p.Proof, err)
	}
	return p
}

// visitAs is a request as a browser at an address sends it.
type visitAs struct {
	host, from, accept string
}

func (b *bundle) get(path string, as visitAs) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.send(httptest.NewRequest(http.MethodGet, path, nil), as)
}

func (b *bundle) post(path string, form url.Values, as visitAs) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(r, as)
}

func (b *bundle) send(r *http.Request, as visitAs) *httptest.ResponseRecorder {
	b.t.Helper()
	if as.host != "" {
		r.Host = as.host
	}
	if as.from != "" {
		r.RemoteAddr = as.from + ":4000"
	}
	r.Header.Set("Accept-Language", as.accept)
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

func card(network, number, pin string) url.Values {
	return url.Values{"network": {network}, "number": {number}, "pin": {pin}}
}

// logBuffer is a log that several goroutines write.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
