package authorization_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/issuer"
	"github.com/scripcards/scrip/internal/webhook"
)

var (
	epoch     = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	masterKey = vault.NewMasterKey()

	ann = issuing.Holder{Book: "bk_ann", Realm: realm.Test, Actor: "seed/ann"}
	bob = issuing.Holder{Book: "bk_bob", Realm: realm.Test, Actor: "seed/bob"}
)

const day = 24 * time.Hour

// The published BINs: one for advertisements, one with smaller limits for everything.
const (
	binAds = "491653"
	binDay = "531993"
)

// Merchants of every test.
var (
	ads   = authorization.Merchant{ID: "M-ADS", Name: "FACEBK ADS", MCC: "7311", City: "Menlo Park", Country: "US", Terminal: "T1", Acquirer: "411111"}
	diner = authorization.Merchant{ID: "M-EAT", Name: "Chez Ann", MCC: "5812", City: "Paris", Country: "FR", Terminal: "T2", Acquirer: "422222"}
	inn   = authorization.Merchant{ID: "M-INN", Name: "Grand Hotel", MCC: "7011", City: "Rome", Country: "IT", Terminal: "T3", Acquirer: "422222"}
)

// process is one running program on a database and clocks that may be shared with others.
type process struct {
	*issuer.Issuer
	*authorization.Service
	t    testing.TB
	keys atomic.Int64
}

// setup returns a process on an empty database, with two customers who have money.
func setup(t testing.TB, db *storage.DB) *process {
	t.Helper()
	p := join(t, db, clock.NewRealms(clock.NewManual(epoch)))
	p.populate()
	return p
}

func (p *process) populate() {
	p.t.Helper()
	for _, h := range []issuing.Holder{ann, bob} {
		p.Customer(h, 100_000_000)
	}
}

// join returns one more process on a database that is set up.
func join(t testing.TB, db *storage.DB, clocks *clock.Realms) *process {
	t.Helper()
	return assemble(t, db, issuer.Config{Clocks: clocks})
}

func assemble(t testing.TB, db *storage.DB, c issuer.Config) *process {
	t.Helper()
	c.Key = masterKey
	i := issuer.Open(t, db, c)
	return &process{Issuer: i, Service: i.Payments, t: t}
}

// eachEngine runs a test on a process of its own per engine.
func eachEngine(t *testing.T, test func(t *testing.T, p *process)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

func usd(minor int64) money.Amount { return money.New(minor, money.USD) }

// forward moves the test realm's clock.
func (p *process) forward(d time.Duration) {
	p.t.Helper()
	check.OK(p.t, p.Clocks.SetOffset(p.Clocks.Offset()+d))
}

// card is a card as its owner has it.
type card struct {
	issuing.Holder
	ID     issuing.CardID
	Number pan.Number
	CVC    pan.Secret
	Expiry string
}

// issue makes a card with money on it; change may say more about it.
func (p *process) issue(h issuing.Holder, bin string, minor int64, change ...func(*issuing.NewCard)) card {
	p.t.Helper()
	n := issuing.NewCard{BIN: bin, Amount: usd(minor), Label: "test"}
	for _, c := range change {
		c(&n)
	}
	made, err := p.Cards.Issue(context.Background(), h, n)
	check.OK(p.t, err)
	d, err := p.Cards.Details(context.Background(), h, made.ID)
	check.OK(p.t, err)
	return card{h, made.ID, d.Number, d.CVC, fmt.Sprintf("%02d%02d", d.Year%100, d.Month)}
}

// key returns a message key that nobody used.
func (p *process) key() string { return fmt.Sprint("msg-", p.keys.Add(1)) }

// request asks for an amount of a card at a merchant.
func (p *process) request(c card, minor int64, m authorization.Merchant) authorization.Request {
	return authorization.Request{Realm: c.Realm, Number: c.Number, Key: p.key(), Amount: usd(minor), Merchant: m,
		Presented: authorization.Presented{Entry: authorization.Online, CVC: c.CVC, Expiry: c.Expiry}}
}

// pay authorizes and expects a reason; none for an approval.
func (p *process) pay(r authorization.Request, reason authorization.Reason) authorization.Decision {
	p.t.Helper()
	d, err := p.Authorize(context.Background(), r)
	check.OK(p.t, err)
	if d.Reason != reason || d.Approved != (reason == authorization.ReasonNone) {
		p.t.Errorf("%s of %s at %s: %q, want %q", r.Key, r.Amount, r.Merchant.Name, d.Reason, reason)
	}
	p.same(&d)
	return d
}

// ignoreRepeats compares answers to one message: which was the first, and so began the
// payment, is not looked at.
var ignoreRepeats = cmp.FilterPath(func(p cmp.Path) bool { last := p.Last().String(); return last == ".Repeated" || last == ".begun" }, cmp.Ignore())

// same checks that a payment is shown when it begins as it is when it is read.
func (p *process) same(d *authorization.Decision) {
	p.t.Helper()
	begun, ok := d.Begun()
	if d.Transaction == "" || d.Repeated || !ok {
		if ok {
			p.t.Errorf("%s begins a payment that it does not", d.Transaction)
		}
		return
	}
	stored, err := p.Get(context.Background(), d.Book, d.Transaction)
	check.OK(p.t, err)
	check.Equal(p.t, "what began, and what is stored", begun, stored)
}

// advise sends a message about a payment and expects a reason; none for success.
func (p *process) advise(do func(context.Context, authorization.Advice) (authorization.Decision, error), a authorization.Advice, reason authorization.Reason) authorization.Decision {
	p.t.Helper()
	if a.Key == "" {
		a.Key = p.key()
	}
	d, err := do(context.Background(), a)
	check.OK(p.t, err)
	if d.Reason != reason || d.Approved != (reason == authorization.ReasonNone) {
		p.t.Errorf("%s: %q, want %q", a.Key, d.Reason, reason)
	}
	return d
}

// of names a payment in an advice.
func of(d authorization.Decision, minor int64) authorization.Advice {
	return authorization.Advice{Book: d.Book, Payment: d.ID, Amount: usd(minor)}
}

// look checks what a card can spend, what is held on it, and its status.
func (p *process) look(c card, status issuing.Status, balance, held int64) {
	p.t.Helper()
	now, err := p.Cards.Get(context.Background(), c.Holder, c.ID)
	check.OK(p.t, err)
	if now.Status != status || now.Balance != usd(balance) || now.Held != usd(held) {
		p.t.Errorf("the card is %s with %s and %s held, want %s with %s and %s", now.Status, now.Balance, now.Held, status, usd(balance), usd(held))
	}
}

// posted returns what an account of a book has posted.
func (p *process) posted(h issuing.Holder, account string) int64 {
	p.t.Helper()
	a, err := p.Books.FindAccount(context.Background(), h.Book, ledger.AccountID(account))
	if fault.CodeOf(err) == fault.NotFound {
		return 0
	}
	check.OK(p.t, err)
	return a.Posted().Minor
}

// verify proves the books.
func (p *process) verify() {
	p.t.Helper()
	check.OK(p.t, p.DB.Snapshot(context.Background(), func(ctx context.Context, q storage.Queryer) error {
		report, err := ledger.Verify(ctx, q, nil)
		if len(report.Problems) > 0 {
			p.t.Errorf("the books are wrong: %s", strings.Join(report.Problems, "\n"))
		}
		return err
	}))
}

// lines returns a card's history as "type amount balance reason", oldest first.
func (p *process) lines(c card) []string {
	p.t.Helper()
	page, err := p.List(context.Background(), authorization.Filter{Book: c.Book, Card: c.ID, Limit: authorization.MaxPerPage})
	check.OK(p.t, err)
	var texts []string
	for _, l := range page.Transactions {
		texts = append([]string{strings.TrimSpace(fmt.Sprintf("%s %s %s %s", l.Type, l.Amount, l.Balance, l.Reason))}, texts...)
	}
	return texts
}

// events returns the types of a book's events about payments, oldest first.
func (p *process) events(h issuing.Holder) []webhook.Event {
	p.t.Helper()
	events, err := p.Outbox.List(context.Background(), webhook.EventFilter{Book: h.Book, Limit: webhook.MaxLimit})
	check.OK(p.t, err)
	var kept []webhook.Event
	for _, e := range events {
		if strings.HasPrefix(e.Type, "transaction.") || strings.HasPrefix(e.Type, "3ds.") {
			kept = append([]webhook.Event{e}, kept...)
		}
	}
	return kept
}

func types(events []webhook.Event) (all []string) {
	for _, e := range events {
		all = append(all, e.Type)
	}
	return all
}
