package payout_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chaincfg/v2"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/doom"
	"github.com/scripcards/scrip/internal/webhook"
)

var began = time.Date(2026, 5, 22, 12, 0, 0, 0, time.UTC)

// TestMain draws fewer random histories than rapid would, so that every run can afford both
// engines. It also lets the program be the process that a test kills.
func TestMain(m *testing.M) {
	doom.Main(work)
	for name, value := range map[string]string{"rapid.checks": "20", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	m.Run()
}

// notes is a log that a test reads.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) has(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Contains(n.text.String(), text)
}

// world is one process with the sandbox's node over a database.
type world struct {
	*payout.Service
	db     *storage.DB
	books  *ledger.Ledger
	hooks  *webhook.Service
	queue  *job.Queue
	node   *node.Node
	payee  node.Payee
	log    *notes
	clocks *clock.Realms
}

// open builds the services. The policy waits for nobody to share a transaction with.
func open(ctx context.Context, db *storage.DB, base clock.Clock, master vault.MasterKey) (*world, error) {
	w := &world{db: db, log: &notes{}, clocks: clock.NewRealms(base)}
	logger, log := slog.New(slog.NewTextHandler(w.log, nil)), audit.New(db)
	keys, err := vault.Open(ctx, db, master)
	if err != nil {
		return nil, err
	}
	w.queue = job.New(db, w.clocks, logger)
	w.hooks = webhook.New(webhook.Deps{DB: db, Clocks: w.clocks, Vault: keys, Queue: w.queue, Audit: log, Logger: logger})
	if err := w.hooks.Refresh(ctx); err != nil {
		return nil, err
	}
	w.books = ledger.New(db, w.clocks, ledger.Config{})
	w.node = node.New(db, base, "test", false)
	w.payee = node.Payee{Node: w.node, Network: destination.Regtest}
	policy := payout.DefaultPolicy()
	policy.Chain.Gather = 0
	if err := policy.Check(); err != nil {
		return nil, err
	}
	w.Service = payout.New(payout.Deps{DB: db, Books: w.books, Outbox: w.hooks.Outbox, Clocks: w.clocks, Queue: w.queue, Audit: log, Logger: logger,
		Nodes: map[realm.Realm]payout.Nodes{realm.Test: w.node.Nodes(destination.Regtest)}, Policy: policy})
	w.Listen(func(p payout.Payout) ([]storage.Effect, error) {
		if p.Again() {
			return nil, nil
		}
		return []storage.Effect{heard.With("heard/"+string(p.ID)+"/"+string(p.State), string(p.Book)).Exactly(1)}, nil
	})
	return w, nil
}

// heard notes that the listener was told for the first time, in a table that any text fits
// into: once for each payout and state.
var heard = storage.SQL("payout_test.heard", `INSERT INTO portal_slugs (slug, book_id, portal_id) VALUES ($1, $2, $2)`)
var countHeard = storage.SQL("payout_test.count_heard", `SELECT COUNT(*) FROM portal_slugs WHERE slug LIKE $1`)

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
	made   int
}

func each(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

func setup(t testing.TB, db *storage.DB) *bench {
	t.Helper()
	master, _, err := vault.LoadMasterKey(t.TempDir(), "")
	b := &bench{t: t, clock: clock.NewManual(began), master: master}
	b.must(err)
	b.world, err = open(t.Context(), db, b.clock, master)
	b.must(err)
	t.Cleanup(b.books.Close)
	b.fund()
	return b
}

// fund gives the node plenty.
func (b *bench) fund() {
	b.t.Helper()
	for range 20 {
		b.must(b.node.Fund(b.t.Context(), 10_000_000))
	}
	b.must(b.node.Charge(b.t.Context(), 100_000_000))
}

// another is a second process over the same database.
func (b *bench) another() *bench {
	b.t.Helper()
	other := *b
	var err error
	other.world, err = open(b.t.Context(), b.db, b.clock, b.master)
	b.must(err)
	return &other
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// source and owed are the accounts of a test: where bitcoin comes from, and who is owed it.
var (
	source = ledger.NewAccount{ID: "source", Currency: money.BTC, Side: ledger.Debit, Unbounded: true}
	owed   = ledger.NewAccount{ID: "owed", Currency: money.BTC, Side: ledger.Credit}
)

func sat(n int64) money.Amount { return money.New(n, money.BTC) }

// customer opens a book that is owed a bitcoin.
func (b *bench) customer(name string) ledger.BookID {
	b.t.Helper()
	book := ledger.BookID(name)
	b.must(b.db.Write(b.t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return ledger.OpenBook(ctx, tx, ledger.Book{ID: book, Realm: realm.Test, OpenedAt: began})
	}))
	_, err := b.books.Submit(b.t.Context(), ledger.Operation{Book: book, Kind: "test.owe", Actor: "test", At: b.clock.Now(),
		Open: []ledger.NewAccount{source, owed}, Postings: []ledger.Posting{{Debit: source.ID, Credit: owed.ID, Amount: sat(100_000_000)}}})
	b.must(err)
	return book
}

// address is a fresh address of a form on the regtest network.
func (b *bench) address(kind destination.Kind) payout.Destination {
	b.t.Helper()
	b.made++
	sum := sha256.Sum256(fmt.Append(nil, "address ", b.made, b.clock.Now()))
	net := chaincfg.RegressionNetParams
	var a address.Address
	var err error
	switch kind {
	case destination.P2PKH:
		a, err = address.NewAddressPubKeyHash(sum[:20], &net)
	case destination.P2SH:
		a, err = address.NewAddressScriptHashFromHash(sum[:20], &net)
	case destination.P2WPKH:
		a, err = address.NewAddressWitnessPubKeyHash(sum[:20], &net)
	case destination.P2WSH:
		a, err = address.NewAddressWitnessScriptHash(sum[:], &net)
	case destination.P2TR:
		_, key := btcec.PrivKeyFromBytes(sum[:])
		a, err = address.NewAddressTaproot(schnorr.SerializePubKey(key), &net)
	case destination.Invoice, destination.Handle:
		b.t.Fatalf("%s is no address", kind)
	}
	b.must(err)
	return b.parse(a.EncodeAddress())
}

func (b *bench) parse(text string) payout.Destination {
	b.t.Helper()
	d, err := b.Parse(realm.Test, text)
	b.must(err)
	return d
}

// invoice is a fresh invoice of any amount, valid for an hour.
func (b *bench) invoice() payout.Destination {
	b.t.Helper()
	text, err := b.payee.Invoice(b.t.Context(), 0, "")
	b.must(err)
	return b.parse(text)
}

func (b *bench) handle() payout.Destination {
	b.t.Helper()
	return b.parse("satoshi@example.com")
}

// to is a fresh destination of a kind.
func (b *bench) to(kind destination.Kind) payout.Destination {
	b.t.Helper()
	switch kind {
	case destination.Invoice:
		return b.invoice()
	case destination.Handle:
		return b.handle()
	default:
		return b.address(kind)
	}
}

// plan asks for a payout, as an operation of whoever owes it.
func (b *bench) plan(book ledger.BookID, to payout.Destination, satoshi int64) (payout.Payout, error) {
	b.t.Helper()
	op := ledger.Operation{Book: book, Kind: "test.approve", Actor: "test", At: b.clock.Now()}
	p, err := b.Plan(b.t.Context(), payout.Request{Book: book, Realm: realm.Test, To: to, Amount: sat(satoshi), From: owed.ID, Reference: "order"}, &op)
	if err != nil {
		return p, err
	}
	_, err = b.books.Submit(b.t.Context(), op)
	return p, err
}

// pay is plan, of which nothing is refused.
func (b *bench) pay(book ledger.BookID, to payout.Destination, satoshi int64) payout.Payout {
	b.t.Helper()
	p, err := b.plan(book, to, satoshi)
	b.must(err)
	return p
}

// later has time pass, and all work done that is due then.
func (b *bench) later(d time.Duration) {
	b.t.Helper()
	b.clock.Advance(d)
	b.must(b.queue.Drain(b.t.Context()))
}

// work is later for long enough that whatever can go on does.
func (b *bench) work() {
	b.t.Helper()
	for range 3 {
		b.later(31 * time.Second)
	}
}

// find is a payout as it stands.
func (b *bench) find(p payout.Payout) payout.Payout {
	b.t.Helper()
	found, err := b.Find(b.t.Context(), p.Book, p.ID)
	b.must(err)
	return found
}

// expect compares a payout's state and reason: "settled", "failed expired".
func (b *bench) expect(p payout.Payout, want string) payout.Payout {
	b.t.Helper()
	found := b.find(p)
	if got := strings.TrimSpace(string(found.State) + " " + string(found.Reason)); got != want {
		b.t.Fatalf("payout is %s, want %s\n%s", got, want, b.log.text.String())
	}
	return found
}

// books compares what is owed and held: "99.999 held 0.001".
func (b *bench) owes(book ledger.BookID, want string) {
	b.t.Helper()
	a, err := b.books.FindAccount(b.t.Context(), book, owed.ID)
	b.must(err)
	if got := fmt.Sprint(a.Posted().Decimal(), " held ", a.Held().Decimal()); got != want {
		b.t.Fatalf("owed %s, want %s", got, want)
	}
}

// events lists the events of a book, oldest first.
func (b *bench) events(book ledger.BookID) []string {
	b.t.Helper()
	found, err := b.hooks.Outbox.List(b.t.Context(), webhook.EventFilter{Book: book, Limit: 100})
	b.must(err)
	var all []string
	for i := len(found) - 1; i >= 0; i-- {
		var data struct {
			Reason string `json:"reason"`
		}
		b.must(json.Unmarshal(found[i].Data, &data))
		all = append(all, strings.TrimSpace(strings.TrimPrefix(found[i].Type, "payout.")+" "+data.Reason))
	}
	return all
}

// told compares the events of a book: "sent, settled".
func (b *bench) told(book ledger.BookID, want string) {
	b.t.Helper()
	if got := strings.Join(b.events(book), ", "); got != want {
		b.t.Fatalf("events: %s; want %s", got, want)
	}
}

// heardOf is how often the listener was told of a payout.
func (b *bench) heardOf(p payout.Payout) int {
	b.t.Helper()
	n, _, err := storage.One(b.t.Context(), b.db, storage.Scalar[int], countHeard, "heard/"+string(p.ID)+"/%")
	b.must(err)
	return n
}

// paid is how often an address was paid, and how much, in blocks.
func (b *bench) paid(to payout.Destination) string {
	b.t.Helper()
	times, satoshi, err := b.node.Paid(b.t.Context(), to.Script())
	b.must(err)
	return fmt.Sprint(times, "x ", satoshi)
}

// received is how often money left over Lightning, and how much.
func (b *bench) received() string {
	b.t.Helper()
	times, satoshi, err := b.node.Received(b.t.Context())
	b.must(err)
	return fmt.Sprint(times, "x ", satoshi)
}

// audited are the actions in the audit log that begin so, oldest first, with their subjects.
func (b *bench) audited(prefix string) string { return b.auditedIn("", prefix) }

// auditedIn is audited, of a book's own records.
func (b *bench) auditedIn(book ledger.BookID, prefix string) string {
	b.t.Helper()
	all, err := b.Audit.List(b.t.Context(), audit.Filter{Book: string(book)})
	b.must(err)
	var names []string
	for _, e := range all {
		if strings.HasPrefix(e.Action, prefix) {
			names = append(names, strings.TrimPrefix(e.Action, "payout.")+" "+e.Subject)
		}
	}
	return strings.Join(names, ", ")
}

// verified fails when the books do not add up.
func (b *bench) verified() {
	b.t.Helper()
	report, err := ledger.Verify(b.t.Context(), b.db, nil)
	b.must(err)
	if len(report.Problems) > 0 {
		b.t.Errorf("the books: %v", report.Problems)
	}
}

var countAttempts = storage.SQL("payout_test.count_attempts", `SELECT COUNT(*) FROM payout_attempts WHERE book_id = $1 AND payout_id = $2`)

func (b *bench) countAttempts(p payout.Payout) (int, error) {
	n, _, err := storage.One(b.t.Context(), b.db, storage.Scalar[int], countAttempts, string(p.Book), string(p.ID))
	return n, err
}
