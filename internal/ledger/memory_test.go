package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// What a process remembers of a book is never what it answers by once another process has
// changed that book, nor instead of what a key stands for.
func TestMemoryIsOnlyAssumed(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, here := stand(t, config, 100)
		there := ledger.New(testkit.Open(t, config), clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		t.Cleanup(there.Close)
		warm := func() { // here knows the book
			t.Helper()
			for range 32 {
				submit(t, here, give("", 1))
				submit(t, here, spend("", 1))
			}
		}
		warm()
		submit(t, there, spend("", 95))
		_, err := here.Submit(t.Context(), spend("", 50))
		check.Code(t, "more than another left", err, fault.InsufficientFunds)

		warm()
		submit(t, there, give("", 95))
		submit(t, here, spend("", 90))

		warm()
		submit(t, there, spend("theirs", 4))
		if o := submit(t, here, assumable(spend("theirs", 4))); !o.Replayed {
			t.Error("another's key was used twice")
		}

		warm()
		submit(t, here, assumable(spend("ours", 6)))
		if o := submit(t, here, assumable(spend("ours", 6))); !o.Replayed {
			t.Error("a key that took the last of it was not answered as it was at first")
		}
		_, err = here.Submit(t.Context(), assumable(spend("ours", 5)))
		check.Code(t, "another intent", err, fault.IdempotencyConflict)
		warm()
		called := 0
		for range 2 {
			once := give("once", 1)
			once.Effects = func(ledger.Outcome) ([]storage.Effect, error) { called++; return nil, nil }
			submit(t, here, once)
		}
		check.Equal(t, "effects of an operation that assumes nothing, done twice", called, 1)
		submit(t, here, spend("", 1))
		if posted, _ := balance(t, there, "wallet"); posted != 0 {
			t.Errorf("%d are left", posted)
		}
		verified(t, db)
	})
}

// A database server that crashes may lose the last commits before they are on disk. Their
// numbers are free again then, or another process's: what is remembered of them is no base
// for the next.
func TestMemoryOfLostCommits(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, here := stand(t, config, 100)
		there := ledger.New(testkit.Open(t, config), clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		t.Cleanup(there.Close)
		for _, others := range []int64{0, 3} {
			for range 32 { // here knows the book
				submit(t, here, give("", 1))
				submit(t, here, spend("", 1))
			}
			before, _ := balance(t, here, "wallet")
			submit(t, here, spend("", 7))
			err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				for _, s := range loseLast {
					if n, err := tx.Exec(ctx, s); err != nil || n == 0 {
						return fmt.Errorf("changed %d rows: %w", n, err)
					}
				}
				return nil
			})
			check.OK(t, err)
			if others > 0 {
				submit(t, there, spend("", others))
			}
			submit(t, here, spend("", 5))
			if left, _ := balance(t, there, "wallet"); left != before-others-5 {
				t.Errorf("%d are left of %d after %d and 5", left, before, others)
			}
			verified(t, db)
		}
	})
}

// loseLast takes the last transaction of the book out of it.
var loseLast = []*storage.Statement{
	storage.SQL("ledgertest.lose_entries", `DELETE FROM ledger_entries WHERE book_id = 'bk_main' AND transaction_seq =
		(SELECT transactions FROM ledger_books WHERE book_id = 'bk_main')`),
	storage.SQL("ledgertest.lose_head", `UPDATE ledger_books SET transactions = transactions - 1,
		head_hash = (SELECT t.hash FROM ledger_transactions t WHERE t.book_id = 'bk_main' AND t.seq = transactions - 1) WHERE book_id = 'bk_main'`),
	storage.SQL("ledgertest.lose_transaction", `DELETE FROM ledger_transactions WHERE book_id = 'bk_main' AND seq >
		(SELECT transactions FROM ledger_books WHERE book_id = 'bk_main')`),
}

// Two processes that take turns, for one operation or for many, do what one would.
func TestMemoriesTakeTurns(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 1))
		db, here := stand(t, config, 40)
		there := ledger.New(testkit.Open(t, config), clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		t.Cleanup(there.Close)
		both, left, spent, held, done := []*ledger.Ledger{here, there}, int64(40), int64(0), map[ledger.HoldID]bool{}, map[string]bool{}
		for turn := range 40 {
			for range random.IntN(40) {
				units := random.Int64N(30) + 1
				op, fits := give("", units), true
				switch random.IntN(5) {
				case 0, 1:
					op = spend("", units)
					op.Guards = []ledger.Guard{{Counter: "spent", Add: units, Limit: 2_000}}
					fits = units <= left && spent+units <= 2_000
				case 2:
					hold := ledger.HoldID(fmt.Sprint("hold_", random.IntN(60)))
					op, fits = reserve("", hold, units), units <= left && !held[hold]
				}
				if random.IntN(4) == 0 && op.Kind != "reserve" {
					op.Key = fmt.Sprintf("%s %d %d", op.Kind, units, random.IntN(2))
				}
				again := done[op.Key]
				o, err := both[turn%2].Submit(context.Background(), assumable(op))
				if wrong := fits == (err != nil) || o.Replayed; again && (err != nil || !o.Replayed) || !again && wrong {
					t.Fatalf("seed %d: %s of %d with %d left and %d spent, key %q, done before %t: replayed %t, %v",
						seed, op.Kind, units, left, spent, op.Key, again, o.Replayed, err)
				}
				if again || err != nil {
					continue
				}
				switch op.Kind {
				case "give":
					left += units
				case "spend":
					left, spent = left-units, spent+units
				default:
					left, held[op.Holds[0].ID] = left-units, true
				}
				done[op.Key] = op.Key != ""
			}
		}
		if _, available := balance(t, here, "wallet"); available != left {
			t.Errorf("seed %d: %d are left, not %d", seed, available, left)
		}
		verified(t, db)
	})
}

// Two processes whose batches are about the same books, in whatever order, never lock what the
// other waits for: PostgreSQL, which here looks for that too late, has nothing to break up.
func TestAssumersDoNotWaitForEachOther(t *testing.T) {
	if os.Getenv(testkit.PostgresVariable) == "" {
		t.Skip("no PostgreSQL is at hand")
	}
	config := testkit.Database(t, "postgres")
	db, _ := stand(t, config, 1_000)
	impatient, err := url.Parse(config.URL)
	check.OK(t, err)
	query := impatient.Query()
	query.Set("deadlock_timeout", "10min")
	query.Set("lock_timeout", "20s")
	impatient.RawQuery = query.Encode()
	config.URL = impatient.String()
	var both [2]*ledger.Ledger
	for i := range both {
		both[i] = ledger.New(testkit.Open(t, config), clock.NewRealms(clock.NewManual(epoch)), ledger.Config{Lanes: 1})
		t.Cleanup(both[i].Close)
	}
	const count = 3
	for b := range count {
		book := ledger.BookID(fmt.Sprint("bk_", b))
		open(t, db, book)
		submit(t, both[0], ledger.Operation{Book: book, Kind: "open", At: epoch, Open: []ledger.NewAccount{
			{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true}, {ID: "wallet", Currency: usd, Side: ledger.Credit}},
			Postings: []ledger.Posting{{Debit: "cash", Credit: "wallet", Amount: money.New(1, usd)}}})
	}
	crowd.AtOnce(32, func(i int) {
		for j := range 60 {
			op := give("", 1)
			op.Book = ledger.BookID(fmt.Sprint("bk_", (i/2+j*(1+i%2))%count))
			if _, err := both[i%2].Submit(context.Background(), op); err != nil {
				t.Error(err)
			}
		}
	})
	verified(t, db)
}

// Who is held up by somebody else's lock waits for it once, also where what is remembered of the
// book may be wrong, and is served when the lock has gone. Who shares a lane with that book is
// served meanwhile.
func TestAssumersAreHeldUpOnce(t *testing.T) {
	if os.Getenv(testkit.PostgresVariable) == "" {
		t.Skip("no PostgreSQL is at hand")
	}
	t.Parallel()
	const patience = 2500 * time.Millisecond // longer than what is waited for parts of a group
	config := testkit.Database(t, "postgres")
	holder, _ := stand(t, config, 100)
	const other = ledger.BookID("bk_other")
	open(t, holder, other)
	u, err := url.Parse(config.URL)
	check.OK(t, err)
	query := u.Query()
	query.Set("lock_timeout", strconv.FormatInt(patience.Milliseconds(), 10))
	u.RawQuery = query.Encode()
	config.URL = u.String()
	books := ledger.New(testkit.Open(t, config), clock.NewRealms(clock.NewManual(epoch)), ledger.Config{Lanes: 1})
	t.Cleanup(books.Close)
	submit(t, books, ledger.Operation{Book: other, Kind: "open", At: epoch, Open: []ledger.NewAccount{
		{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true}, {ID: "wallet", Currency: usd, Side: ledger.Credit}}})
	gift := give("", 1)
	gift.Book = other
	for range 32 { // the books are known
		submit(t, books, give("", 1))
		submit(t, books, gift)
	}
	gone := errors.New("gone")
	err = holder.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.Exec(ctx, touchBook); err != nil {
			return err
		}
		watch := clock.Start()
		crowd.AtOnce(16, func(i int) {
			if i%2 == 0 {
				if _, err := books.Submit(t.Context(), gift); err != nil {
					t.Errorf("another book: %v", err)
				}
			} else if _, err := books.Submit(t.Context(), spend("", 1)); !storage.IsHeldUp(err) {
				t.Errorf("a book that is locked: %v", err)
			}
		})
		if took := watch.Elapsed(); took >= 2*patience {
			t.Errorf("waited %s for a lock, want %s", took, patience)
		}
		return gone
	})
	if !errors.Is(err, gone) {
		t.Error(err)
	}
	_, err = books.Submit(t.Context(), spend("", 1))
	for storage.IsHeldUp(err) && clock.Wait(t.Context(), 50*time.Millisecond) == nil {
		_, err = books.Submit(t.Context(), spend("", 1))
	}
	check.OK(t, err)
	verified(t, holder)
}

// touchBook locks the book's header.
var touchBook = storage.SQL("ledgertest.touch_book", `UPDATE ledger_books SET transactions = transactions WHERE book_id = 'bk_main'`)

// assumable is an operation that may be decided before it is known whether its key was used.
func assumable(op ledger.Operation) ledger.Operation {
	op.Speculative = true
	return op
}

// give puts units into the wallet.
func give(key string, units int64) ledger.Operation {
	return ledger.Operation{Book: theBook, Kind: "give", Key: key, At: epoch,
		Postings: []ledger.Posting{{Debit: "cash", Credit: "wallet", Amount: money.New(units, usd)}}}
}
