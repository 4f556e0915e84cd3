package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// The tests of this file are named after what has gone wrong in other ledgers.

// everyIsolation runs a test on both engines, and on PostgreSQL at SERIALIZABLE too.
func everyIsolation(t *testing.T, test func(t *testing.T, config storage.Config)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(t, testkit.Database(t, engine))
		})
		if engine != "sqlite" {
			t.Run("serializable", func(t *testing.T) {
				t.Parallel()
				config := testkit.Database(t, engine)
				config.Serializable = true
				test(t, config)
			})
		}
	}
}

const theBook = ledger.BookID("bk_main")

// stand opens a database with a book in it, where a wallet holds so many minor units.
func stand(t *testing.T, config storage.Config, units int64) (*storage.DB, *ledger.Ledger) {
	t.Helper()
	db := testkit.Open(t, config)
	open(t, db, theBook)
	books := ledger.New(db, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
	t.Cleanup(books.Close)
	submit(t, books, ledger.Operation{Book: theBook, Kind: "load", At: epoch, Open: []ledger.NewAccount{
		{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true}, {ID: "wallet", Currency: usd, Side: ledger.Credit}},
		Postings: []ledger.Posting{{Debit: "cash", Credit: "wallet", Amount: money.New(units, usd)}}})
	return db, books
}

// spend takes units from the wallet.
func spend(key string, units int64) ledger.Operation {
	return ledger.Operation{Book: theBook, Kind: "spend", Key: key, At: epoch,
		Postings: []ledger.Posting{{Debit: "wallet", Credit: "cash", Amount: money.New(units, usd)}}}
}

// reserve holds units of the wallet.
func reserve(key string, hold ledger.HoldID, units int64) ledger.Operation {
	return ledger.Operation{Book: theBook, Kind: "reserve", Key: key, At: epoch,
		Holds: []ledger.HoldChange{{Action: ledger.Place, ID: hold, Debit: "wallet", Credit: "cash", Amount: money.New(units, usd)}}}
}

func balance(t *testing.T, books *ledger.Ledger, id ledger.AccountID) (posted, available int64) {
	t.Helper()
	a, err := books.FindAccount(context.Background(), theBook, id)
	if err != nil {
		t.Fatal(err)
	}
	return a.Posted().Minor, a.Available().Minor
}

// An error answer means that no money moved, though callers leave at any time; and a retry
// under the same key moves it once.
func TestErrorAnswerMovedMoney(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, books := stand(t, config, 1_000)
		var answers crowd.Tally
		crowd.AtOnce(64, func(i int) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if i%2 == 0 {
				go cancel()
			}
			key := fmt.Sprint("key-", i)
			_, err := books.Submit(ctx, spend(key, 1))
			answers.Add(err)
			_, found, ferr := books.FindByKey(context.Background(), theBook, key)
			if ferr != nil || found != (err == nil) {
				t.Errorf("%s was answered with %v; found is %t, %v", key, err, found, ferr)
			}
		})
		if posted, _ := balance(t, books, "wallet"); posted != int64(1_000-answers.Codes[""]) {
			t.Errorf("%d successes and a balance of %d", answers.Codes[""], posted)
		}
		crowd.AtOnce(64, func(i int) {
			if _, err := books.Submit(context.Background(), spend(fmt.Sprint("key-", i), 1)); err != nil {
				t.Error(err)
			}
		})
		if posted, _ := balance(t, books, "wallet"); posted != 1_000-64 {
			t.Errorf("the balance is %d after everybody retried, want %d", posted, 1_000-64)
		}
		verified(t, db)
	})
}

// A transaction is reversed once, however many ask for it at the same time.
func TestReversalAppliedTwice(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, books := stand(t, config, 1_000)
		load := submit(t, books, ledger.Operation{Book: theBook, Kind: "load", At: epoch,
			Postings: []ledger.Posting{{Debit: "cash", Credit: "wallet", Amount: money.New(10, usd)}}})
		reversal := ledger.Operation{Book: theBook, Kind: "undo", At: epoch, Reverses: load.Transaction}
		var answers crowd.Tally
		crowd.AtOnce(64, func(i int) {
			op := reversal
			if i%2 == 0 {
				op.Key = fmt.Sprint("undo-", i)
			}
			_, err := books.Submit(context.Background(), op)
			answers.Add(err)
		})
		check.Equal(t, "answers", answers.Codes, map[fault.Code]int{"": 1, fault.AlreadyReversed: 63})
		if _, err := books.Submit(context.Background(), reversal); fault.CodeOf(err) != fault.AlreadyReversed {
			t.Errorf("one more reversal: %v", err)
		}
		if posted, _ := balance(t, books, "wallet"); posted != 1_000 {
			t.Errorf("the balance is %d, want 1000", posted)
		}
		verified(t, db)
	})
}

// A reversal that is repeated under its key is made once and answered every time.
func TestReversalRepeatedUnderItsKey(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, books := stand(t, config, 1_000)
		load := submit(t, books, spend("", 10))
		var fresh crowd.Tally
		crowd.AtOnce(64, func(int) {
			o, err := books.Submit(context.Background(), ledger.Operation{Book: theBook, Kind: "undo", Key: "undo", At: epoch, Reverses: load.Transaction})
			if err == nil && o.Replayed {
				err = fault.New(fault.AlreadyExists, "replayed")
			}
			fresh.Add(err)
		})
		check.Equal(t, "answers", fresh.Codes, map[fault.Code]int{"": 1, fault.AlreadyExists: 63})
		verified(t, db)
	})
}

// What is held cannot be spent, held again, swept up or reversed away.
func TestHoldsNotCountedAgainstAvailable(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, books := stand(t, config, 100)
		submit(t, books, reserve("", "h1", 60))
		loads, err := books.ListTransactions(context.Background(), theBook, 2, 1)
		if err != nil {
			t.Fatal(err)
		}
		for what, op := range map[string]ledger.Operation{
			"spend":   spend("", 41),
			"reserve": reserve("", "h2", 41),
			"reverse": {Book: theBook, Kind: "undo", At: epoch, Reverses: loads[0].Transaction},
		} {
			if _, err := books.Submit(context.Background(), op); fault.CodeOf(err) != fault.InsufficientFunds {
				t.Errorf("%s: %v", what, err)
			}
		}
		all := submit(t, books, ledger.Operation{Book: theBook, Kind: "sweep", At: epoch, Postings: []ledger.Posting{{Debit: "wallet", Credit: "cash", All: true}}})
		if b, _ := all.Balance("wallet"); b.Posted.Minor != 60 || b.Available.Minor != 0 {
			t.Errorf("all that was available left %v, want 60 and 0", b)
		}
		verified(t, db)
	})
}

// Holds placed at the same time never reserve more than there is.
func TestHoldOvercommittedByConcurrentPlacement(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, books := stand(t, config, 100)
		var answers crowd.Tally
		crowd.AtOnce(64, func(i int) {
			_, err := books.Submit(context.Background(), reserve("", ledger.HoldID(fmt.Sprint("h", i)), 30))
			answers.Add(err)
		})
		check.Equal(t, "answers", answers.Codes, map[fault.Code]int{"": 3, fault.InsufficientFunds: 61})
		if posted, available := balance(t, books, "wallet"); posted != 100 || available != 10 {
			t.Errorf("posted %d available %d, want 100 and 10", posted, available)
		}
		verified(t, db)
	})
}

// Captures at the same time never take more than was held.
func TestHoldCapturedTwice(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, books := stand(t, config, 100)
		submit(t, books, reserve("", "h1", 50))
		var answers crowd.Tally
		crowd.AtOnce(64, func(int) {
			_, err := books.Submit(context.Background(), ledger.Operation{Book: theBook, Kind: "capture", At: epoch,
				Holds: []ledger.HoldChange{{Action: ledger.Capture, ID: "h1", Amount: money.New(10, usd)}}})
			answers.Add(err)
		})
		check.Equal(t, "answers", answers.Codes, map[fault.Code]int{"": 5, fault.HoldEnded: 59})
		if posted, available := balance(t, books, "wallet"); posted != 50 || available != 50 {
			t.Errorf("posted %d available %d, want 50 and 50", posted, available)
		}
		verified(t, db)
	})
}

// A hold that was refused is not there later: not when money comes, not after a restart,
// and not for a capture. Its key asks anew.
func TestRejectedHoldAppliedLater(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, books := stand(t, config, 100)
		if _, err := books.Submit(context.Background(), reserve("hold-1", "h1", 101)); fault.CodeOf(err) != fault.InsufficientFunds {
			t.Fatal(err)
		}
		submit(t, books, ledger.Operation{Book: theBook, Kind: "load", At: epoch, Postings: []ledger.Posting{{Debit: "cash", Credit: "wallet", Amount: money.New(900, usd)}}})
		later := ledger.New(db, clock.NewRealms(clock.NewManual(epoch.Add(time.Hour))), ledger.Config{})
		t.Cleanup(later.Close)
		if n, err := later.ExpireHolds(context.Background()); n != 0 || err != nil {
			t.Errorf("swept %d, %v", n, err)
		}
		if _, err := later.FindHold(context.Background(), theBook, "h1"); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("find: %v", err)
		}
		capture := ledger.Operation{Book: theBook, Kind: "capture", At: epoch, Holds: []ledger.HoldChange{{Action: ledger.Capture, ID: "h1"}}}
		if _, err := later.Submit(context.Background(), capture); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("capture: %v", err)
		}
		if posted, available := balance(t, later, "wallet"); posted != 1_000 || available != 1_000 {
			t.Errorf("posted %d available %d, want 1000 and 1000", posted, available)
		}
		submit(t, later, reserve("hold-1", "h1", 101))
		if _, available := balance(t, later, "wallet"); available != 899 {
			t.Errorf("available %d after the hold was asked for anew, want 899", available)
		}
		verified(t, db)
	})
}

// A retry under the same key after a restart posts nothing and returns the first outcome.
func TestRetryAfterRestartPostsAgain(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		_, books := stand(t, config, 1_000)
		first := make([]ledger.Outcome, 16)
		crowd.AtOnce(16, func(i int) {
			var err error
			if first[i], err = books.Submit(context.Background(), spend(fmt.Sprint("key-", i), 1)); err != nil {
				t.Error(err)
			}
		})
		again, err := storage.Open(context.Background(), config)
		if err != nil {
			t.Fatal(err)
		}
		later := ledger.New(again, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		crowd.AtOnce(64, func(i int) {
			o, err := later.Submit(context.Background(), spend(fmt.Sprint("key-", i%16), 1))
			if err != nil || !o.Replayed || outcomeDiff(o, first[i%16]) != "" {
				t.Errorf("key-%d: %v, replayed %t\n%s", i%16, err, o.Replayed, outcomeDiff(o, first[i%16]))
			}
		})
		if posted, _ := balance(t, later, "wallet"); posted != 1_000-16 {
			t.Errorf("the balance is %d, want %d", posted, 1_000-16)
		}
		verified(t, again)
		later.Close()
		check.OK(t, again.Close())
	})
}

// A book takes as many transactions as an id can number. Then it is full, and nothing happens in it.
func TestFullBook(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db, books := stand(t, testkit.Database(t, engine), 100)
			err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				_, err := tx.Exec(ctx, fillBook, int64(id.MaxNumber-1))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			last := submit(t, books, spend("last", 1))
			found, err := books.FindTransaction(t.Context(), theBook, last.Transaction)
			if err != nil || found.Seq != id.MaxNumber {
				t.Errorf("the last one is transaction %d, %v", found.Seq, err)
			}
			if _, err := books.Submit(t.Context(), spend("", 1)); fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("one more: %v", err)
			}
			if posted, _ := balance(t, books, "wallet"); posted != 99 || !submit(t, books, spend("last", 1)).Replayed {
				t.Errorf("the balance is %d, want 99", posted)
			}
		})
	}
}

var fillBook = storage.SQL("ledgertest.fill_book", `UPDATE ledger_books SET transactions = $1`)
