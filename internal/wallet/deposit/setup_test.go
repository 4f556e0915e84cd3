package deposit_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/provider/simulator/chain"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/doom"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
	"github.com/scripcards/scrip/internal/webhook"
)

var began = time.Date(2026, 5, 22, 12, 0, 0, 0, time.UTC)

// TestMain draws fewer random histories than rapid would, so that every run can afford both
// engines. It also lets the program be the process that a test kills.
func TestMain(m *testing.M) {
	doom.Main(scan)
	for name, value := range map[string]string{"rapid.checks": "25", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	m.Run()
}

// market is a source of rates that a test moves; a price that is empty is none.
type market struct {
	mu     sync.Mutex
	prices map[asset.Symbol]string
	asked  func() // happens once, before the next answer
}

func (m *market) set(symbol asset.Symbol, price string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prices[symbol] = price
}

func (m *market) Price(_ context.Context, p rate.Pair) (rate.Price, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if happens := m.asked; happens != nil {
		m.asked = nil
		happens()
	}
	if m.prices[p.Base] == "" {
		return rate.Price{}, fault.New(fault.Unavailable, "the market is closed")
	}
	r, err := money.ParseRate(m.prices[p.Base])
	return rate.Price{Rate: r}, err
}

// world is one process with the sandbox's chains over a database.
type world struct {
	*deposit.Service
	db     *storage.DB
	base   clock.Clock
	clocks *clock.Realms
	hooks  *webhook.Service
	chains map[asset.Chain]*chain.Chain
	market *market
}

// open builds the services. The policy of rates asks the market anew each time, and knows
// no price but that of the moment.
func open(ctx context.Context, db *storage.DB, base clock.Clock, master vault.MasterKey) (*world, error) {
	w := &world{db: db, base: base, clocks: clock.NewRealms(base), chains: map[asset.Chain]*chain.Chain{},
		market: &market{prices: map[asset.Symbol]string{"BTC": "65850.00", "ETH": "3250.00", "SOL": "150.00", "USDT": "0.9995", "XMR": "160.00"}}}
	logger, log := slog.New(slog.DiscardHandler), audit.New(db)
	keys, err := vault.Open(ctx, db, master)
	if err != nil {
		return nil, err
	}
	w.hooks = webhook.New(webhook.Deps{DB: db, Clocks: w.clocks, Vault: keys, Queue: job.New(db, w.clocks, logger), Audit: log, Logger: logger})
	if err := w.hooks.Refresh(ctx); err != nil {
		return nil, err
	}
	bitcoin, err := address.ParseBitcoin(address.DemoBitcoin)
	if err != nil {
		return nil, err
	}
	ethereum, err := address.ParseEthereum(address.DemoEthereum)
	if err != nil {
		return nil, err
	}
	at := func(c asset.Chain) address.Place { return address.Place{Realm: realm.Test, Chain: c} }
	book := address.New(address.Deps{DB: db, Audit: log, Outbox: w.hooks.Outbox, Clocks: w.clocks, Logger: logger, Makers: map[address.Place]address.Maker{
		at(asset.Bitcoin): bitcoin, at(asset.Ethereum): ethereum, at(asset.Solana): address.Demo{}, at(asset.Monero): chain.Monero{},
		{Realm: realm.Live, Chain: asset.Bitcoin}: bitcoin}})
	watched := map[address.Place]deposit.Chain{}
	for _, name := range asset.Chains() {
		w.chains[name] = chain.New(db, name)
		watched[at(name)] = w.chains[name]
	}
	rates := rate.New(rate.Deps{Sources: []rate.Named{{Name: "market", Source: w.market}}, Clock: w.clocks.Of(realm.Test), Logger: logger,
		Policy: rate.Policy{Least: 1, Fresh: 1, Stale: 1, Timeout: time.Minute, Outlier: 200, Spread: 300}})
	w.Service = deposit.New(deposit.Deps{DB: db, Books: ledger.New(db, w.clocks, ledger.Config{}), Outbox: w.hooks.Outbox, Clocks: w.clocks,
		AddressBook: book, Chains: watched, Rates: map[realm.Realm]*rate.Service{realm.Test: rates}, Policy: deposit.DefaultPolicy(), Logger: logger})
	return w, nil
}

// failer is a test, or one case of a property.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Context() context.Context
}

// bench is a world in a test.
type bench struct {
	*world
	t      failer
	clock  *clock.Manual
	master vault.MasterKey
}

func each(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

func setup(t testing.TB, db *storage.DB) *bench {
	t.Helper()
	master, _, err := vault.LoadMasterKey(t.TempDir(), "")
	b := &bench{t: t, clock: clock.NewManual(began), master: master}
	check.OK(b.t, err)
	b.world, err = open(t.Context(), db, b.clock, master)
	check.OK(b.t, err)
	t.Cleanup(b.Books.Close)
	return b
}

// another is a second process over the same database.
func (b *bench) another() *bench {
	b.t.Helper()
	other := *b
	var err error
	other.world, err = open(b.t.Context(), b.db, b.clock, b.master)
	check.OK(b.t, err)
	other.market, other.Rates = b.market, b.Rates
	return &other
}

// customer opens a book and returns its wallet.
func (b *bench) customer(name string) address.Wallet {
	b.t.Helper()
	w := address.Wallet{Book: ledger.BookID(name), Realm: realm.Test}
	check.OK(b.t, b.db.Write(b.t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return ledger.OpenBook(ctx, tx, ledger.Book{ID: w.Book, Realm: w.Realm, OpenedAt: began})
	}))
	return w
}

// amount reads "0.0075 BTC".
func (b *bench) amount(text string) asset.Amount {
	b.t.Helper()
	number, name, _ := strings.Cut(text, " ")
	a, err := asset.Parse(name)
	check.OK(b.t, err)
	amount, err := asset.ParseAmount(number, a)
	check.OK(b.t, err)
	return amount
}

// pay sends to a wallet, with so many confirmations, and does not look.
func (b *bench) pay(w address.Wallet, text string, confirmations int64) deposit.Payment {
	b.t.Helper()
	amount := b.amount(text)
	to, err := b.Address(b.t.Context(), w, amount.Asset)
	check.OK(b.t, err)
	p, err := b.chains[amount.Asset.Chain()].Pay(b.t.Context(), chain.Sent{Address: to, Amount: amount, Confirmations: confirmations})
	check.OK(b.t, err)
	return p
}

func (b *bench) mine(w address.Wallet, c asset.Chain, blocks int64) {
	b.t.Helper()
	check.OK(b.t, b.chains[c].Mine(b.t.Context(), b.at(w, c), blocks))
}

// at is the address of a wallet on a chain.
func (b *bench) at(w address.Wallet, c asset.Chain) string {
	b.t.Helper()
	text, err := b.AddressBook.Address(b.t.Context(), w, c)
	check.OK(b.t, err)
	return text
}

func (b *bench) scan() {
	b.t.Helper()
	check.OK(b.t, b.Scan(b.t.Context(), realm.Test))
}

// deposits lists what a wallet has, oldest first, each as
// "pending below_minimum 0.0075 BTC 1/6 500.00 - 10.00 = 490.00".
func (b *bench) deposits(w address.Wallet) []string {
	b.t.Helper()
	found, err := b.List(b.t.Context(), deposit.Filter{Book: w.Book, Limit: deposit.MaxLimit})
	check.OK(b.t, err)
	var all []string
	for i := len(found.Deposits) - 1; i >= 0; i-- {
		d := found.Deposits[i]
		words := []string{string(d.Status)}
		if d.Reason != "" {
			words = append(words, string(d.Reason))
		}
		all = append(all, strings.Join(append(words, d.Amount.String(), string(d.Amount.Asset), fmt.Sprintf("%d/%d", d.Confirmations, d.Required),
			d.Value.String(), "-", d.Fee.String(), "=", d.Credited.String()), " "))
	}
	return all
}

// expect compares what a wallet has, line by line.
func (b *bench) expect(w address.Wallet, want ...string) {
	b.t.Helper()
	if got := b.deposits(w); strings.Join(got, "\n") != strings.Join(want, "\n") {
		b.t.Fatalf("deposits:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// totals compares "balance pending deposited spent".
func (b *bench) totals(w address.Wallet, want string) {
	b.t.Helper()
	got, err := b.Totals(b.t.Context(), w.Book)
	check.OK(b.t, err)
	if text := fmt.Sprint(got.Balance, " ", got.Pending, " ", got.Deposited, " ", got.Spent); text != want {
		b.t.Fatalf("totals %s, want %s", text, want)
	}
}

// events lists the events of a wallet, oldest first, as their types with a part of their data.
func (b *bench) events(w address.Wallet) []string {
	b.t.Helper()
	found, err := b.hooks.Outbox.List(b.t.Context(), webhook.EventFilter{Book: w.Book, Limit: 100})
	check.OK(b.t, err)
	var all []string
	for i := len(found) - 1; i >= 0; i-- {
		var data struct {
			Status   string      `json:"status"`
			Reason   string      `json:"reason"`
			Credited json.Number `json:"credited_usd"`
		}
		check.OK(b.t, json.Unmarshal(found[i].Data, &data))
		all = append(all, strings.Join(strings.Fields(fmt.Sprint(found[i].Type, " ", data.Status, " ", data.Reason, " ", data.Credited)), " "))
	}
	return all
}

// told compares the events of a wallet.
func (b *bench) told(w address.Wallet, want ...string) {
	b.t.Helper()
	if got := b.events(w); strings.Join(got, "\n") != strings.Join(want, "\n") {
		b.t.Fatalf("events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// spend moves money from a wallet to something bought.
func (b *bench) spend(w address.Wallet, cents int64) error {
	shop := ledger.NewAccount{ID: "shop", Currency: money.USD, Side: ledger.Credit, Unbounded: true}
	_, err := b.Books.Submit(b.t.Context(), ledger.Operation{Book: w.Book, Kind: "test.spend", Actor: "test", At: b.clocks.Now(w.Realm), Open: []ledger.NewAccount{shop},
		Postings: []ledger.Posting{{Debit: wallet.Account(money.USD).ID, Credit: shop.ID, Amount: money.New(cents, money.USD)}}})
	return err
}

// verified fails when the books do not add up.
func (b *bench) verified() {
	b.t.Helper()
	report, err := ledger.Verify(b.t.Context(), b.db, nil)
	check.OK(b.t, err)
	if len(report.Problems) > 0 {
		b.t.Errorf("the books: %v", report.Problems)
	}
}
