package ledger_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// Sixty-four callers who spend one account get exactly what it holds, and nobody waits for ever.
func TestHotAccountIsNeverOverspent(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, books := stand(t, config, 1_000)
		var answers crowd.Tally
		crowd.AtOnce(64, func(int) {
			for range 4 {
				_, err := books.Submit(context.Background(), spend("", 7))
				answers.Add(err)
			}
		})
		check.Equal(t, "answers", answers.Codes, map[fault.Code]int{"": 142, fault.InsufficientFunds: 114})
		if posted, available := balance(t, books, "wallet"); posted != 6 || available != 6 {
			t.Errorf("posted %d available %d, want 6 and 6", posted, available)
		}
		verified(t, db)
	})
}

// Two processes over one database are one ledger: together they spend what there is, and a
// key that both use has one effect.
func TestTwoProcesses(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, first := stand(t, config, 1_000)
		second := ledger.New(testkit.Open(t, config), clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		t.Cleanup(second.Close)
		both := []*ledger.Ledger{first, second}
		var answers, fresh crowd.Tally
		crowd.AtOnce(64, func(i int) {
			_, err := both[i%2].Submit(context.Background(), spend("", 28))
			answers.Add(err)
			o, err := both[i%2].Submit(context.Background(), ledger.Operation{Book: theBook, Kind: "load", Key: fmt.Sprint("load-", i/4), At: epoch,
				Open:     []ledger.NewAccount{{ID: "other", Currency: usd, Side: ledger.Credit}},
				Postings: []ledger.Posting{{Debit: "cash", Credit: "other", Amount: money.New(1, usd)}}})
			if err == nil && o.Replayed {
				err = fault.New(fault.AlreadyExists, "replayed")
			}
			fresh.Add(err)
		})
		check.Equal(t, "answers", answers.Codes, map[fault.Code]int{"": 35, fault.InsufficientFunds: 29})
		check.Equal(t, "answers", fresh.Codes, map[fault.Code]int{"": 16, fault.AlreadyExists: 48})
		if posted, _ := balance(t, first, "other"); posted != 16 {
			t.Errorf("16 keys loaded %d", posted)
		}
		verified(t, db)
	})
}

// Transfers to and fro in many books, over two processes, all end and lose nothing.
func TestTransfersToAndFroEnd(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, first := stand(t, config, 1_000)
		second := ledger.New(testkit.Open(t, config), clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		t.Cleanup(second.Close)
		both := []*ledger.Ledger{first, second}
		const count = 6
		for b := range count {
			book := ledger.BookID(fmt.Sprint("bk_", b))
			open(t, db, book)
			op := ledger.Operation{Book: book, Kind: "load", At: epoch, Open: []ledger.NewAccount{{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true}}}
			for i := range 4 {
				op.Open = append(op.Open, ledger.NewAccount{ID: card(i), Currency: usd, Side: ledger.Credit})
				op.Postings = append(op.Postings, ledger.Posting{Debit: "cash", Credit: card(i), Amount: money.New(100, usd)})
			}
			submit(t, first, op)
		}
		crowd.AtOnce(64, func(i int) {
			for j := range 4 {
				from, to := card((i+j)%4), card((i+j+1+i%3)%4)
				_, err := both[i%2].Submit(context.Background(), ledger.Operation{Book: ledger.BookID(fmt.Sprint("bk_", (i+j)%count)), Kind: "move", At: epoch,
					Postings: []ledger.Posting{{Debit: from, Credit: to, Amount: money.New(1, usd)}}})
				if err != nil {
					t.Error(err)
				}
			}
		})
		for b := range count {
			total := int64(0)
			accounts, err := first.ListAccounts(context.Background(), ledger.BookID(fmt.Sprint("bk_", b)), "card/", "", 10)
			if err != nil || len(accounts) != 4 {
				t.Fatal(len(accounts), err)
			}
			for _, a := range accounts {
				total += a.Posted().Minor
			}
			if total != 400 {
				t.Errorf("book %d holds %d, want 400", b, total)
			}
		}
		verified(t, db)
	})
}

// A hold that two processes sweep at the same time ends once.
func TestHoldsSweptByTwoProcesses(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, books := stand(t, config, 100)
		for i := range 20 {
			op := reserve("", ledger.HoldID(fmt.Sprint("h", i)), 5)
			op.Holds[0].ExpiresAt = epoch.Add(time.Minute)
			submit(t, books, op)
		}
		var (
			ended = make([]int, 4)
			later = clock.NewRealms(clock.NewManual(epoch.Add(time.Minute)))
		)
		processes := []*ledger.Ledger{ledger.New(db, later, ledger.Config{}), ledger.New(testkit.Open(t, config), later, ledger.Config{})}
		for _, p := range processes {
			t.Cleanup(p.Close)
		}
		crowd.AtOnce(len(ended), func(i int) {
			var err error
			if ended[i], err = processes[i%2].ExpireHolds(context.Background()); err != nil {
				t.Error(err)
			}
		})
		if sum := ended[0] + ended[1] + ended[2] + ended[3]; sum != 20 {
			t.Errorf("20 holds were due, the sweeps ended %v", ended)
		}
		if posted, available := balance(t, books, "wallet"); posted != 100 || available != 100 {
			t.Errorf("posted %d available %d, want 100 and 100", posted, available)
		}
		if report := verified(t, db); report.Transactions != 41 {
			t.Errorf("%d transactions, want 41", report.Transactions)
		}
	})
}

var closeByHand = storage.SQL("ledgertest.close_by_hand", `UPDATE ledger_accounts SET state = 'closed' WHERE account_id = $1`)

// A hold that cannot be ended keeps none of the many others that are due from it.
func TestHoldThatCannotEnd(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		books := ledger.New(db, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		t.Cleanup(books.Close)
		open(t, db, theBook)
		submit(t, books, ledger.Operation{Book: theBook, Kind: "open", At: epoch, Open: []ledger.NewAccount{
			{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true}, {ID: "wallet", Currency: usd, Side: ledger.Credit, Unbounded: true},
			{ID: "mended", Currency: usd, Side: ledger.Credit, Unbounded: true}, {ID: "last", Currency: usd, Side: ledger.Credit, Unbounded: true}}})
		const count = 1_100
		placed := make([]ledger.Operation, count)
		for i := range placed {
			placed[i] = reserve("", ledger.HoldID(fmt.Sprint("h", i)), 1)
			placed[i].Holds[0].ExpiresAt = epoch.Add(time.Minute + time.Duration(i/100)*time.Second)
		}
		placed[0].Holds[0].Debit, placed[count-1].Holds[0].Debit = "mended", "last"
		_, err := books.SubmitAll(t.Context(), placed, nil)
		check.OK(t, err)
		check.OK(t, db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			_, err := tx.Exec(ctx, closeByHand, "mended")
			return err
		}))
		later := ledger.New(db, clock.NewRealms(clock.NewManual(epoch.Add(time.Hour))), ledger.Config{})
		t.Cleanup(later.Close)
		for _, account := range []ledger.AccountID{"mended", "last", "last"} { // one that cannot, and one behind all others
			check.OK(t, later.ExpireHoldsOn(t.Context(), realm.Test, theBook, account))
		}
		stopped := ledger.New(db, clock.NewRealms(clock.NewManual(epoch.Add(time.Hour))), ledger.Config{})
		stopped.Close()
		if err := stopped.ExpireHoldsOn(t.Context(), realm.Test, theBook, "wallet"); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("where nothing can be ended: %v", err)
		}
		for i, want := range []int{count - 2, 0} {
			if n, err := later.ExpireHolds(t.Context()); n != want || fault.CodeOf(err) != fault.AccountClosed {
				t.Errorf("sweep %d ended %d holds, %v; want %d and the one that it could not", i+1, n, err, want)
			}
		}
	})
}

// Holds expire by the clock of their own realm.
func TestHoldsExpireInTheirRealm(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		clocks := clock.NewRealms(clock.NewManual(epoch))
		books := ledger.New(db, clocks, ledger.Config{})
		t.Cleanup(books.Close)
		for _, r := range realm.All() {
			err := db.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
				return ledger.OpenBook(ctx, tx, ledger.Book{ID: ledger.BookID("bk_" + r), Realm: r, OpenedAt: epoch})
			})
			if err != nil {
				t.Fatal(err)
			}
			submit(t, books, ledger.Operation{Book: ledger.BookID("bk_" + r), Kind: "hold", At: epoch, Open: []ledger.NewAccount{
				{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true}, {ID: "wallet", Currency: usd, Side: ledger.Credit, Unbounded: true}},
				Holds: []ledger.HoldChange{{Action: ledger.Place, ID: "h1", Debit: "wallet", Credit: "cash", Amount: money.New(1, usd), ExpiresAt: epoch.Add(time.Hour)}}})
		}
		check.OK(t, clocks.SetOffset(2*time.Hour))
		if n, err := books.ExpireHolds(context.Background()); n != 1 || err != nil {
			t.Errorf("swept %d, %v; want the test realm's hold", n, err)
		}
		for r, want := range map[realm.Realm]ledger.HoldState{realm.Live: ledger.HoldPending, realm.Test: ledger.HoldExpired} {
			if h, err := books.FindHold(context.Background(), ledger.BookID("bk_"+r), "h1"); err != nil || h.State != want {
				t.Errorf("%s: %v, %v; want %s", r, h, err, want)
			}
		}
	})
}

// gated is a ledger of one lane that stands still in its first batch, so that what is
// submitted meanwhile shares the next one.
type gated struct {
	*ledger.Ledger
	release chan struct{}
	group   sync.WaitGroup
	sizes   []int // of batches; read it after finish
}

// gate makes the lane stand still, by an operation that opens a spare account.
func gate(t *testing.T, db *storage.DB) *gated {
	t.Helper()
	g := &gated{release: make(chan struct{})}
	standing := make(chan struct{})
	g.Ledger = ledger.New(db, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{Lanes: 1, Observe: func(operations int, _ time.Duration) {
		g.sizes = append(g.sizes, operations)
	}})
	g.group.Go(func() {
		op := ledger.Operation{Book: theBook, Kind: "open", At: epoch, Open: []ledger.NewAccount{{ID: "spare", Currency: usd, Side: ledger.Credit}},
			Effects: func(ledger.Outcome) ([]storage.Effect, error) {
				close(standing)
				<-g.release
				return nil, nil
			}}
		if _, err := g.Submit(context.Background(), op); err != nil {
			t.Error(err)
		}
	})
	<-standing
	return g
}

// enqueue submits op and returns when it waits for its turn; then is told its answer.
func (g *gated) enqueue(ctx context.Context, op ledger.Operation, then func(ledger.Outcome, error)) {
	before := ledger.Waiting(g.Ledger)
	g.group.Go(func() { then(g.Submit(ctx, op)) })
	for ledger.Waiting(g.Ledger) == before {
		runtime.Gosched()
	}
}

// finish lets the lane go on and waits until everything is answered.
func (g *gated) finish() {
	close(g.release)
	g.group.Wait()
	g.Close()
}

// What waits shares a batch, and each operation gets an answer of its own.
func TestBatchAnswersEachByItself(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db, _ := stand(t, testkit.Database(t, engine), 100)
			g := gate(t, db)
			left, leave := context.WithCancel(context.Background())
			want := map[string]string{"spend": "", "same": "", "other intent": "idempotency_conflict", "too much": "insufficient_funds",
				"no book": "not_found", "left": "timeout", "rest": "", "nothing left": "insufficient_funds"}
			got := map[string]string{}
			var one sync.Mutex
			for name, op := range inOrder(
				"spend", spend("key-1", 30), "same", spend("key-1", 30), "other intent", spend("key-1", 31), "too much", spend("", 71),
				"no book", ledger.Operation{Book: "bk_none", Kind: "open", At: epoch, Open: []ledger.NewAccount{{ID: "a", Currency: usd, Side: ledger.Credit}}},
				"left", spend("key-2", 1), "rest", spend("", 70), "nothing left", spend("", 1)) {
				ctx := context.Background()
				if name == "left" {
					ctx = left
				}
				g.enqueue(ctx, op, func(_ ledger.Outcome, err error) {
					one.Lock()
					defer one.Unlock()
					got[name] = codeOf(err)
				})
			}
			leave()
			g.finish()
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("answers %v, want %v", got, want)
			}
			if fmt.Sprint(g.sizes) != "[1 7]" {
				t.Errorf("batches of %v, want one of the 7 who stayed", g.sizes)
			}
			verified(t, db)
		})
	}
}

// An operation sees what those before it in the same batch did, stored or not.
func TestBatchSeesItsOwnWork(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db, books := stand(t, testkit.Database(t, engine), 100)
			g := gate(t, db)
			op := func(change func(*ledger.Operation)) ledger.Operation {
				o := ledger.Operation{Book: theBook, Kind: "batch", At: epoch}
				change(&o)
				return o
			}
			post := func(debit, credit ledger.AccountID, units int64) ledger.Operation {
				return op(func(o *ledger.Operation) {
					o.Postings = []ledger.Posting{{Debit: debit, Credit: credit, Amount: money.New(units, usd), All: units == 0}}
				})
			}
			hold := func(action ledger.HoldAction, units int64) ledger.Operation {
				return op(func(o *ledger.Operation) {
					o.Holds = []ledger.HoldChange{{Action: action, ID: "h1", Debit: "new", Credit: "cash", Amount: money.New(units, usd)}}
				})
			}
			state := func(to ledger.State) ledger.Operation {
				return op(func(o *ledger.Operation) { o.States = []ledger.StateChange{{Account: "new", To: to}} })
			}
			load := post("cash", "new", 50)
			load.Open = []ledger.NewAccount{{ID: "new", Currency: usd, Side: ledger.Credit}}
			count := op(func(o *ledger.Operation) { o.Guards = []ledger.Guard{{Counter: "day", Add: 60, Limit: 100}} })
			var (
				got  = make([]string, 15)
				want = []string{"", "", "already_exists", "", "", "insufficient_funds", "", "hold_ended", "", "guard_exceeded", "", "account_frozen", "", "", "account_closed"}
			)
			for i, o := range []ledger.Operation{load, hold(ledger.Place, 30), hold(ledger.Place, 5), hold(ledger.Capture, 10), post("new", "cash", 20), post("new", "cash", 1),
				hold(ledger.Release, 0), hold(ledger.Increase, 1), count, count, state(ledger.Frozen), post("new", "cash", 1), state(ledger.Open), state(ledger.Closed), post("cash", "new", 1)} {
				if i == 13 {
					o.Postings = post("new", "cash", 0).Postings
				}
				g.enqueue(context.Background(), o, func(_ ledger.Outcome, err error) { got[i] = codeOf(err) })
			}
			g.finish()
			if fmt.Sprint(g.sizes) != "[1 15]" || !slices.Equal(got, want) {
				t.Errorf("batches of %v answered\n\t%q, want\n\t%q", g.sizes, got, want)
			}
			if a, err := books.FindAccount(context.Background(), theBook, "new"); err != nil || a.State != ledger.Closed || a.Entries != 6 {
				t.Errorf("account %+v, %v", a, err)
			}
			verified(t, db)
		})
	}
}

// inOrder yields pairs of a name and an operation.
func inOrder(pairs ...any) func(func(string, ledger.Operation) bool) {
	return func(yield func(string, ledger.Operation) bool) {
		for i := 0; i < len(pairs); i += 2 {
			if !yield(pairs[i].(string), pairs[i+1].(ledger.Operation)) {
				return
			}
		}
	}
}

// A full queue refuses at once and says when to come back; what was accepted is done.
func TestQueueIsBounded(t *testing.T) {
	db, _ := stand(t, testkit.Database(t, "sqlite"), ledger.LaneLength)
	g := gate(t, db)
	var answers crowd.Tally
	for range ledger.LaneLength {
		g.group.Go(func() {
			_, err := g.Submit(context.Background(), spend("", 1))
			answers.Add(err)
		})
	}
	for ledger.Waiting(g.Ledger) < ledger.LaneLength {
		runtime.Gosched()
	}
	_, err := g.Submit(context.Background(), spend("", 1))
	if f := fault.From(err); f.Code != fault.Overloaded || f.RetryAfter <= 0 {
		t.Errorf("one more: %v", err)
	}
	g.finish()
	check.Equal(t, "answers", answers.Codes, map[fault.Code]int{"": ledger.LaneLength})
	if _, err := g.Submit(context.Background(), spend("", 1)); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("after the end: %v", err)
	}
	for _, size := range g.sizes {
		if size > ledger.BatchSize {
			t.Errorf("a batch of %d", size)
		}
	}
}

// Closing finishes what was accepted.
func TestCloseFinishesWhatWasAccepted(t *testing.T) {
	db, _ := stand(t, testkit.Database(t, "sqlite"), 100)
	g := gate(t, db)
	for range 10 {
		g.enqueue(context.Background(), spend("", 10), func(_ ledger.Outcome, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	g.group.Go(g.Close)
	g.finish()
	if report := verified(t, db); report.Transactions != 12 {
		t.Errorf("%d transactions, want 12", report.Transactions)
	}
}
