package order_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

var began = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

const (
	seeder = "setup"
	item   = catalog.ItemCode("GOOGLE-5USD-KOXx")
)

// bundle is one process over a database, with a product that costs 4.90.
type bundle struct {
	*order.Service
	t         testing.TB
	db        *storage.DB
	vault     *vault.Vault
	master    vault.MasterKey
	clock     *clock.Manual
	clocks    *clock.Realms
	hooks     *webhook.Service
	wallets   *wallet.Service
	accounts  *account.Service
	books     *ledger.Ledger
	queue     *job.Queue
	upstreams shop.Upstreams
	patience  time.Duration
	log       *syncBuffer
}

// syncBuffer is a log that several goroutines write to.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func setup(t testing.TB, db *storage.DB) *bundle {
	t.Helper()
	b := &bundle{t: t, db: db, clock: clock.NewManual(began), upstreams: shop.Upstreams{}, patience: time.Minute, log: &syncBuffer{}}
	var err error
	b.master, _, err = vault.LoadMasterKey(t.TempDir(), "")
	check.OK(b.t, err)
	b = b.over(db)
	face := catalog.NewFace(500, money.USD)
	_, _, err = b.Catalog.Put(t.Context(), catalog.Product{Code: item, Name: "Google Play 5 USD", Brand: "Google Play", Category: "Apps", Face: face, FaceMax: face,
		Region: "global", Delivery: catalog.Digital, State: catalog.Active}, seeder)
	check.OK(b.t, err)
	_, err = b.Catalog.PutPrice(t.Context(), catalog.Rule{Item: item, Basis: catalog.Fixed, Amount: catalog.NewCharged(490, money.USD)}, seeder)
	check.OK(b.t, err)
	return b
}

// over returns a process over a database that is opened anew.
func (b *bundle) over(db *storage.DB) *bundle {
	b.t.Helper()
	other := *b
	other.db = db
	var err error
	other.vault, err = vault.Open(b.t.Context(), db, b.master)
	check.OK(b.t, err)
	return other.another()
}

// another returns a second process over the same database and clock.
func (b *bundle) another() *bundle {
	b.t.Helper()
	other := *b
	logger, log := slog.New(slog.NewTextHandler(b.log, nil)), audit.New(b.db)
	other.clocks = clock.NewRealms(b.clock)
	other.queue = job.New(b.db, other.clocks, logger)
	other.hooks = webhook.New(webhook.Deps{DB: b.db, Clocks: other.clocks, Vault: b.vault, Queue: other.queue, Audit: log, Logger: logger})
	check.OK(b.t, other.hooks.Refresh(b.t.Context()))
	books := ledger.New(b.db, other.clocks, ledger.Config{})
	other.books = books
	b.t.Cleanup(books.Close)
	items := catalog.New(catalog.Deps{DB: b.db, Audit: log, Clocks: other.clocks, Logger: logger})
	check.OK(b.t, items.Refresh(b.t.Context()))
	codes := stock.New(stock.Deps{DB: b.db, Vault: b.vault, Audit: log, Outbox: other.hooks.Outbox, Clocks: other.clocks, Catalog: items, Logger: logger})
	other.accounts = account.New(account.Deps{DB: b.db, Vault: b.vault, Audit: log, Clocks: other.clocks, Logger: logger})
	other.wallets = wallet.New(books, other.hooks.Outbox, other.clocks)
	suppliers := supply.New(supply.Deps{DB: b.db, Vault: b.vault, Audit: log, Clocks: other.clocks, Catalog: items, Accounts: other.accounts,
		Adapters: map[string]supply.Adapter{shop.Kind: other.upstreams.Open}, Logger: logger})
	check.OK(b.t, suppliers.Refresh(b.t.Context()))
	cards := giftcard.New(giftcard.Deps{DB: b.db, Books: books, Vault: b.vault, Outbox: other.hooks.Outbox, Audit: log, Clocks: other.clocks, Rules: giftcard.DefaultRules()})
	other.Service = order.New(order.Deps{DB: b.db, Books: books, Catalog: items, Stock: codes, Supply: suppliers, Cards: cards, Outbox: other.hooks.Outbox,
		Queue: other.queue, Audit: log, Clocks: other.clocks, Logger: logger, Patience: b.patience})
	b.t.Cleanup(other.Service.Close)
	return &other
}

func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

// buyer makes a customer with cents on the wallet of its test book.
func (b *bundle) buyer(name string, cents int64) order.Buyer {
	b.t.Helper()
	customer, err := b.accounts.CreateCustomer(b.t.Context(), seeder, account.NewCustomer{Name: name})
	check.OK(b.t, err)
	if cents > 0 {
		_, err = b.wallets.Load(b.t.Context(), wallet.Load{Book: customer.Test, Realm: realm.Test, Amount: money.New(cents, money.USD), Reference: "transfer", Actor: seeder})
		check.OK(b.t, err)
	}
	return order.Buyer{Customer: customer.ID, Book: customer.Test, Realm: realm.Test, Credential: "key_" + strings.ToLower(name)}
}

// fill puts n codes, prefix-0001 and so on, into the test realm's stock.
func (b *bundle) fill(prefix string, n int) {
	b.t.Helper()
	var file strings.Builder
	file.WriteString("code,pin\n")
	for i := range n {
		fmt.Fprintf(&file, "%s-%04d,\n", prefix, i+1)
	}
	report, err := b.Stock.Import(b.t.Context(), strings.NewReader(file.String()), stock.Options{Realm: realm.Test, Item: item, Supplier: "house", Batch: prefix, Actor: seeder})
	check.OK(b.t, err)
	if report.Added != n {
		b.t.Fatalf("%+v", report)
	}
}

func (b *bundle) balance(buyer order.Buyer) int64 {
	b.t.Helper()
	amount, err := b.wallets.Balance(b.t.Context(), buyer.Book, money.USD)
	check.OK(b.t, err)
	return amount.Minor
}

// verified fails when the books do not add up, or count other orders than there are.
func (b *bundle) verified() {
	b.t.Helper()
	report, err := ledger.Verify(b.t.Context(), b.db, nil)
	check.OK(b.t, err)
	if len(report.Problems) > 0 {
		b.t.Errorf("the books: %v", report.Problems)
	}
	type count struct {
		Book, Counter string
		N             int64
	}
	scan := func(r storage.Row) (c count, err error) {
		err = r.Scan(&c.Book, &c.Counter, &c.N)
		return c, err
	}
	stored, err := storage.All(b.t.Context(), b.db, scan, countStored)
	check.OK(b.t, err)
	counted, err := storage.All(b.t.Context(), b.db, scan, countCounted)
	check.OK(b.t, err)
	if diff := cmp.Diff(stored, counted); diff != "" {
		b.t.Errorf("the books do not count the orders that there are: %s", diff)
	}
}

var (
	countStored = storage.SQL("order_test.count_stored", `SELECT book_id, 'order.status/' || status, COUNT(*) FROM orders GROUP BY book_id, status
		UNION ALL SELECT book_id, 'order.number', COUNT(*) FROM orders GROUP BY book_id ORDER BY 1, 2`)
	countCounted = storage.SQL("order_test.count_counted", `SELECT book_id, name, value FROM ledger_counters
		WHERE name LIKE 'order.%' AND value > 0 ORDER BY 1, 2`)
	moveStatus = storage.SQL("order_test.move_status", `UPDATE orders SET status = $3 WHERE book_id = $1 AND order_id = $2`)
)

// become changes the status of an order in the way that products do.
func (b *bundle) become(buyer order.Buyer, number order.Number, to order.Status) {
	b.t.Helper()
	found, err := b.Find(b.t.Context(), buyer.Book, number)
	check.OK(b.t, err)
	_, err = b.Books.Submit(b.t.Context(), ledger.Operation{Book: buyer.Book, Kind: "test.status", At: b.clock.Now(), Guards: order.Moved(found.Status, to),
		Effects: func(ledger.Outcome) ([]storage.Effect, error) {
			return []storage.Effect{moveStatus.With(string(buyer.Book), int64(number), string(to)).Exactly(1)}, nil
		}})
	check.OK(b.t, err)
}

// value is a denomination.
func value(text string) *catalog.Value {
	v, err := catalog.ParseValue(text)
	if err != nil {
		panic(err)
	}
	return &v
}

// texts are the codes in the clear.
func texts(codes []stock.Code) []string {
	all := make([]string, len(codes))
	for i, c := range codes {
		all[i] = c.Text.Reveal()
	}
	return all
}
