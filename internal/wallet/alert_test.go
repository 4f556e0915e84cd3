package wallet_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

const ada = "operator/ada"

// process is one running program with wallets and alerts on a database that others may share.
type process struct {
	*wallet.Service
	*wallet.Alerts
	t     testing.TB
	books *ledger.Ledger
	clock *clock.Manual
	book  ledger.BookID
}

func join(t testing.TB, db *storage.DB, keys *vault.Vault) *process {
	t.Helper()
	p := &process{t: t, clock: clock.NewManual(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC))}
	clocks, logger, log := clock.NewRealms(p.clock), slog.New(slog.DiscardHandler), audit.New(db)
	hooks := webhook.New(webhook.Deps{DB: db, Clocks: clocks, Vault: keys, Queue: job.New(db, clocks, logger), Audit: log, Logger: logger})
	check.OK(p.t, hooks.Refresh(t.Context()))
	p.Alerts = wallet.NewAlerts(wallet.AlertDeps{DB: db, Outbox: hooks.Outbox, Audit: log, Clocks: clocks, Logger: logger})
	check.OK(p.t, p.Refresh(t.Context()))
	p.books = ledger.New(db, clocks, ledger.Config{Watch: p.Watch})
	t.Cleanup(p.books.Close)
	p.Service = wallet.New(p.books, hooks.Outbox, clocks)
	return p
}

// each runs a test on both engines, with two processes and one customer's test book.
func each(t *testing.T, test func(t *testing.T, p, other *process)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		master, _, err := vault.LoadMasterKey(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		keys, err := vault.Open(t.Context(), db, master)
		if err != nil {
			t.Fatal(err)
		}
		p, other := join(t, db, keys), join(t, db, keys)
		customer, err := account.New(account.Deps{DB: db, Vault: keys, Audit: p.Audit, Clocks: p.Clocks, Logger: p.Logger}).
			CreateCustomer(t.Context(), ada, account.NewCustomer{Name: "Acme"})
		check.OK(p.t, err)
		p.book, other.book = customer.Test, customer.Test
		test(t, p, other)
	})
}

// set sets an alert at some cents.
func (p *process) set(cents int64) {
	p.t.Helper()
	_, err := p.SetAlert(p.t.Context(), wallet.Alert{Book: p.book, Realm: realm.Test, Threshold: money.New(cents, money.USD), Actor: ada})
	check.OK(p.t, err)
}

func (p *process) load(reference string, amount money.Amount) {
	p.t.Helper()
	_, err := p.Load(p.t.Context(), wallet.Load{Book: p.book, Realm: realm.Test, Amount: amount, Reference: reference, Actor: ada})
	check.OK(p.t, err)
}

// shop is who is paid.
var shop = ledger.NewAccount{ID: "test.shop/USD", Currency: money.USD, Side: ledger.Credit, Unbounded: true}

// submit runs an operation of a product that knows nothing of alerts.
func (p *process) submit(op ledger.Operation) (ledger.Outcome, error) {
	op.Book, op.Kind, op.At = p.book, "test.spend", p.clock.Now()
	op.Open = []ledger.NewAccount{wallet.Account(money.USD), shop}
	return p.books.Submit(p.t.Context(), op)
}

func (p *process) spend(cents int64) ledger.Outcome {
	p.t.Helper()
	o, err := p.submit(ledger.Operation{Postings: []ledger.Posting{{Debit: wallet.Account(money.USD).ID, Credit: shop.ID, Amount: money.New(cents, money.USD)}}})
	check.OK(p.t, err)
	return o
}

// told returns the balances that the owner was told of, oldest first.
func (p *process) told() string {
	p.t.Helper()
	events, err := p.Outbox.List(p.t.Context(), webhook.EventFilter{Book: p.book, Type: "wallet.low_balance", Limit: 100})
	check.OK(p.t, err)
	var balances []string
	for _, e := range events {
		_, rest, _ := strings.Cut(string(e.Data), `"balance":"`)
		balance, _, _ := strings.Cut(rest, `"`)
		balances = append([]string{balance}, balances...)
	}
	return strings.Join(balances, " ")
}

func (p *process) wantTold(what, want string) {
	p.t.Helper()
	if got := p.told(); got != want {
		p.t.Errorf("%s: told of %q, want %q", what, got, want)
	}
}

// The event comes with the operation that takes the balance from the threshold to below,
// whatever it is: a posting, a hold, a reversal; not again while it is below, and again
// once it was up.
func TestLowBalance(t *testing.T) {
	each(t, func(t *testing.T, p, _ *process) {
		p.set(1000)
		p.load("first", money.New(500, money.USD))
		p.wantTold("loaded below", "")
		p.load("second", money.New(1500, money.USD))
		p.spend(1000)
		p.wantTold("at the threshold", "")
		crossing := p.spend(1)
		p.wantTold("a cent below", "9.99")
		p.spend(500)
		p.wantTold("further down", "9.99")
		p.load("third", money.New(500, money.USD))
		p.spend(100)
		p.wantTold("up, but not to the threshold", "9.99")
		p.load("fourth", money.New(1001, money.USD))
		hold := ledger.HoldChange{Action: ledger.Place, ID: "hold_1", Amount: money.New(950, money.USD), Debit: wallet.Account(money.USD).ID, Credit: shop.ID}
		_, err := p.submit(ledger.Operation{Holds: []ledger.HoldChange{hold}})
		check.OK(p.t, err)
		p.wantTold("held", "9.99 9.50")
		_, err = p.submit(ledger.Operation{Holds: []ledger.HoldChange{{Action: ledger.Capture, ID: "hold_1"}}})
		check.OK(p.t, err)
		p.wantTold("captured what was held", "9.99 9.50")
		load, found, err := p.books.FindByKey(t.Context(), p.book, "wallet.load/fourth")
		if err != nil || !found {
			t.Fatalf("%t %v", found, err)
		}
		p.load("fifth", money.New(60, money.USD))
		_, err = p.books.Submit(t.Context(), ledger.Operation{Book: p.book, Kind: "transaction.reverse", Reverses: load.Transaction, At: p.clock.Now()})
		check.OK(p.t, err)
		p.wantTold("reversed", "9.99 9.50 0.09")
		events, err := p.Outbox.List(t.Context(), webhook.EventFilter{Book: p.book, Type: "wallet.low_balance", Limit: 100})
		check.OK(p.t, err)
		first := events[len(events)-1]
		want := fmt.Sprintf(`{"balance":"9.99","threshold":"10.00","currency":"USD","transaction_id":"%s"}`, crossing.Transaction)
		if diff := cmp.Diff(want, string(first.Data)); diff != "" || first.Realm != realm.Test {
			t.Errorf("%s: %s", first.Realm, diff)
		}
		report, err := ledger.Verify(t.Context(), p.DB, nil)
		check.OK(p.t, err)
		if len(report.Problems) > 0 {
			t.Errorf("the books: %v", report.Problems)
		}
	})
}

// Who sets an alert that another process set just now is told by this one, too, from now on.
func TestAlertOfAnotherProcess(t *testing.T) {
	each(t, func(_ *testing.T, p, other *process) {
		other.set(1000)
		p.set(1000)
		p.load("first", money.New(1500, money.USD))
		p.spend(501)
		p.wantTold("a cent below", "9.99")
		other.set(0)
		p.set(0)
		p.load("second", money.New(1500, money.USD))
		p.spend(1500)
		p.wantTold("taken away", "9.99")
	})
}

// A refused operation tells nobody, other currencies and books have alerts of their own,
// and one that was taken away is silent.
func TestAlertsAreTheirWallets(t *testing.T) {
	each(t, func(t *testing.T, p, _ *process) {
		p.set(1000)
		p.load("euros", money.New(5000, money.EUR))
		p.load("dollars", money.New(1500, money.USD))
		if _, err := p.submit(ledger.Operation{Postings: []ledger.Posting{{Debit: wallet.Account(money.USD).ID, Credit: shop.ID, Amount: money.New(1501, money.USD)}}}); fault.CodeOf(err) != fault.InsufficientFunds {
			t.Fatal(err)
		}
		p.wantTold("refused", "")
		_, err := p.SetAlert(t.Context(), wallet.Alert{Book: p.book, Realm: realm.Test, Threshold: money.New(100, money.EUR), Actor: "key_1"})
		check.OK(p.t, err)
		list, err := p.List(t.Context(), p.book)
		check.OK(p.t, err)
		var got []string
		for _, a := range list {
			got = append(got, a.Threshold.Currency.String()+" "+a.Threshold.String()+" "+a.Actor)
		}
		if diff := cmp.Diff([]string{"EUR 1.00 key_1", "USD 10.00 " + ada}, got); diff != "" {
			t.Error(diff)
		}
		p.set(0)
		p.spend(1500)
		p.wantTold("taken away", "")
		_, err = p.submit(ledger.Operation{Postings: []ledger.Posting{{Debit: wallet.Account(money.USD).ID, Credit: shop.ID, Amount: money.New(1, money.USD), Forced: true}}})
		check.OK(p.t, err)
		p.wantTold("taken away, and below zero", "")
		if list, err := p.List(t.Context(), p.book); err != nil || len(list) != 1 {
			t.Errorf("%v %v", list, err)
		}
		if _, err := p.SetAlert(t.Context(), wallet.Alert{Book: p.book, Realm: realm.Test, Threshold: money.New(-1, money.USD)}); fault.CodeOf(err) != fault.InvalidAmount {
			t.Errorf("below zero: %v", err)
		}
	})
}

// Another process follows what was set and taken away, and its own later change is not
// undone by what it had read before.
func TestAlertsAreFollowed(t *testing.T) {
	each(t, func(t *testing.T, p, other *process) {
		p.set(1000)
		check.OK(p.t, other.Refresh(t.Context()))
		other.load("first", money.New(1000, money.USD))
		other.spend(1)
		p.wantTold("spent elsewhere", "9.99")
		p.set(500)
		other.set(400)
		check.OK(p.t, other.Refresh(t.Context()))
		other.spend(550)
		p.wantTold("above what it set itself", "9.99")
		other.spend(50)
		p.wantTold("below", "9.99 3.99")
		p.set(0)
		check.OK(p.t, other.Refresh(t.Context()))
		other.load("second", money.New(1000, money.USD))
		other.spend(1300)
		p.wantTold("taken away elsewhere", "9.99 3.99")
	})
}

// Of many who spend at once, in two processes, one crosses the threshold: one event.
func TestLowBalanceOnce(t *testing.T) {
	each(t, func(t *testing.T, p, other *process) {
		p.set(1000)
		check.OK(p.t, other.Refresh(t.Context()))
		p.load("first", money.New(2000, money.USD))
		var group sync.WaitGroup
		for i := range 40 {
			by := []*process{p, other}[i%2]
			group.Go(func() {
				_, err := by.submit(ledger.Operation{Postings: []ledger.Posting{{Debit: wallet.Account(money.USD).ID, Credit: shop.ID, Amount: money.New(50, money.USD)}}})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		p.wantTold("all was spent", "9.50")
	})
}
