package issuing_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/ground"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

var epoch = time.Date(2026, 4, 15, 12, 0, 0, 0, time.UTC)

const (
	day  = 24 * time.Hour
	visa = "491653"
)

// The holders of every test: two in the test realm, one in the live one, and an operator
// who acts on the first one's cards.
var (
	ann    = issuing.Holder{Book: "bk_ann", Realm: realm.Test, Actor: "key/ann"}
	bob    = issuing.Holder{Book: "bk_bob", Realm: realm.Test, Actor: "key/bob"}
	street = issuing.Holder{Book: "bk_street", Realm: realm.Live, Actor: "key/street"}
	house  = issuing.Holder{Book: "bk_ann", Realm: realm.Test, Actor: "op/1", Operator: true}
)

// process is one running program: a service with its own ledger on a database and
// clocks that may be shared with others.
type process struct {
	*issuing.Service
	t       testing.TB
	base    *clock.Manual
	wallets *wallet.Service
	loads   int
}

// setup returns a process on an empty database, with the holders.
func setup(t testing.TB, db *storage.DB) *process {
	t.Helper()
	p := join(t, db, clock.NewManual(epoch))
	p.populate()
	return p
}

func (p *process) populate() {
	p.t.Helper()
	check.OK(p.t, p.DB.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
		for _, h := range []issuing.Holder{ann, bob, street} {
			if err := ledger.OpenBook(ctx, tx, ledger.Book{ID: h.Book, Realm: h.Realm, OpenedAt: epoch}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// join returns one more process on a database that is set up.
func join(t testing.TB, db *storage.DB, base *clock.Manual) *process {
	t.Helper()
	g := ground.Lay(t, db, clock.NewRealms(base))
	return &process{t: t, base: base, wallets: wallet.New(g.Books, g.Hooks.Outbox, g.Clocks),
		Service: issuing.New(issuing.Deps{DB: db, Books: g.Books, Vault: g.Vault, Outbox: g.Hooks.Outbox, Audit: g.Audit, Clocks: g.Clocks,
			Programme: issuing.DefaultProgramme()})}
}

// eachEngine runs a test on a process of its own per engine.
func eachEngine(t *testing.T, test func(t *testing.T, p *process)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

// twoProcesses runs a test on two processes that share a database per engine.
func twoProcesses(t *testing.T, test func(t *testing.T, both [2]*process)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			config := testkit.Database(t, engine)
			first := setup(t, testkit.Open(t, config))
			test(t, [2]*process{first, join(t, testkit.Open(t, config), first.base)})
		})
	}
}

func usd(minor int64) money.Amount { return money.New(minor, money.USD) }

// forward moves the machine's clock, and with it both realms'.
func (p *process) forward(d time.Duration) { p.base.Advance(d) }

// load puts cents on a holder's wallet.
func (p *process) load(h issuing.Holder, minor int64) {
	p.t.Helper()
	p.loads++
	_, err := p.wallets.Load(context.Background(), wallet.Load{Book: h.Book, Realm: h.Realm, Amount: usd(minor),
		Reference: fmt.Sprint("transfer ", p.loads), Actor: "op/1"})
	check.OK(p.t, err)
}

// card issues a card with cents on it, which the wallet gets first.
func (p *process) card(h issuing.Holder, minor int64) issuing.CardID {
	p.t.Helper()
	p.load(h, minor)
	c, err := p.Issue(context.Background(), h, issuing.NewCard{BIN: visa, Amount: usd(minor)})
	check.OK(p.t, err)
	return c.ID
}

func (p *process) fund(h issuing.Holder, card issuing.CardID, minor int64) (issuing.Moved, error) {
	return p.Fund(context.Background(), h, issuing.Transfer{Card: card, Amount: usd(minor)})
}

func (p *process) withdraw(h issuing.Holder, card issuing.CardID, minor int64) (issuing.Moved, error) {
	return p.Withdraw(context.Background(), h, issuing.Transfer{Card: card, Amount: usd(minor)})
}

func (p *process) get(h issuing.Holder, card issuing.CardID) issuing.Card {
	p.t.Helper()
	c, err := p.Get(context.Background(), h, card)
	check.OK(p.t, err)
	return c
}

// look checks a card's status and balance, and the wallet's.
func (p *process) look(h issuing.Holder, card issuing.CardID, status issuing.Status, balance, purse int64) {
	p.t.Helper()
	c := p.get(h, card)
	if got := p.purse(h); c.Status != status || c.Balance != usd(balance) || got != purse {
		p.t.Errorf("the card is %s (%s) with %s, the wallet has %d; want %s with %s and %d", c.Status, c.Reason, c.Balance, got, status, usd(balance), purse)
	}
}

// purse is what a holder's wallet has, in cents.
func (p *process) purse(h issuing.Holder) int64 {
	p.t.Helper()
	amount, err := p.wallets.Balance(context.Background(), h.Book, money.USD)
	check.OK(p.t, err)
	return amount.Minor
}

// hold reserves cents of a card, as an authorization does.
func (p *process) hold(h issuing.Holder, card issuing.CardID, minor int64) ledger.HoldID {
	p.t.Helper()
	p.loads++
	name := ledger.HoldID(fmt.Sprint("hold_", p.loads))
	c, err := p.Find(context.Background(), h.Book, card)
	check.OK(p.t, err)
	to := issuing.Settlement(money.USD)
	_, err = p.Books.Submit(context.Background(), ledger.Operation{Book: h.Book, Kind: "test.hold", At: p.Clocks.Now(h.Realm), Open: []ledger.NewAccount{to},
		Holds: []ledger.HoldChange{{Action: ledger.Place, ID: name, Amount: usd(minor), Debit: c.Account().ID, Credit: to.ID}}})
	check.OK(p.t, err)
	return name
}

// endHold captures or releases cents of a hold; none is all.
func (p *process) endHold(h issuing.Holder, hold ledger.HoldID, action ledger.HoldAction, minor int64) {
	p.t.Helper()
	change := ledger.HoldChange{Action: action, ID: hold}
	if minor > 0 {
		change.Amount, change.Final = usd(minor), true
	}
	_, err := p.Books.Submit(context.Background(), ledger.Operation{Book: h.Book, Kind: "test.hold", At: p.Clocks.Now(h.Realm), Holds: []ledger.HoldChange{change}})
	check.OK(p.t, err)
}

// overdraw takes cents beyond what is on a card, as a forced post does.
func (p *process) overdraw(h issuing.Holder, card issuing.CardID, minor int64) {
	p.t.Helper()
	c, err := p.Find(context.Background(), h.Book, card)
	check.OK(p.t, err)
	to, debt := issuing.Settlement(money.USD), issuing.Receivable(money.USD)
	_, err = p.Books.Submit(context.Background(), ledger.Operation{Book: h.Book, Kind: "test.force", At: p.Clocks.Now(h.Realm), Open: []ledger.NewAccount{to, debt},
		Postings: []ledger.Posting{{Debit: debt.ID, Credit: c.Account().ID, Amount: usd(minor)}, {Debit: c.Account().ID, Credit: to.ID, Amount: usd(minor)}}})
	check.OK(p.t, err)
}

// verify proves the books, and that no money came from or went to nowhere.
func (p *process) verify() {
	p.t.Helper()
	check.OK(p.t, p.DB.Snapshot(context.Background(), func(ctx context.Context, q storage.Queryer) error {
		report, err := ledger.Verify(ctx, q, nil)
		if len(report.Problems) > 0 {
			p.t.Errorf("the books are wrong: %s", strings.Join(report.Problems, "\n"))
		}
		found, verr := audit.Verify(ctx, q)
		if len(found.Breaks) > 0 {
			p.t.Errorf("the audit log: %+v", found)
		}
		return errors.Join(err, verr)
	}))
}

// audited returns the actions on a holder's book, with what of a card they changed, oldest first.
func (p *process) audited(h issuing.Holder) []string {
	p.t.Helper()
	entries, err := p.Audit.List(context.Background(), audit.Filter{Book: string(h.Book)})
	check.OK(p.t, err)
	var actions []string
	for _, e := range entries {
		actions = append([]string{strings.TrimSpace(e.Actor + " " + e.Action + " " + e.Detail["changed"])}, actions...)
	}
	return actions
}

// events returns a holder's events but those of the wallet, oldest first.
func (p *process) events(h issuing.Holder) []string {
	p.t.Helper()
	events, err := p.Outbox.List(context.Background(), webhook.EventFilter{Book: h.Book, Limit: webhook.MaxLimit})
	check.OK(p.t, err)
	var types []string
	for _, e := range events {
		if e.Type != "wallet.loaded" {
			types = append([]string{e.Type}, types...)
		}
	}
	return types
}

var transactionID = regexp.MustCompile(`txn_[0-9a-z]{26}`)

// data returns what a holder's events of cards say, oldest first.
func (p *process) data(h issuing.Holder) []string {
	p.t.Helper()
	events, err := p.Outbox.List(context.Background(), webhook.EventFilter{Book: h.Book, Limit: webhook.MaxLimit})
	check.OK(p.t, err)
	var all []string
	for _, e := range events {
		if strings.HasPrefix(e.Type, "card.") {
			all = append([]string{transactionID.ReplaceAllString(string(e.Data), "txn")}, all...)
		}
	}
	return all
}
