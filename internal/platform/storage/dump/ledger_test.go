package dump_test

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/storage/dump"
	"github.com/scripcards/scrip/internal/testkit"
)

const (
	book  = ledger.BookID("bk_backup")
	cards = 20
)

var noon = time.Date(2027, 3, 4, 12, 0, 0, 0, time.UTC)

func card(i int) ledger.AccountID { return ledger.AccountID(fmt.Sprintf("card/%03d", i)) }

// openBooks opens one book with money on some cards, a pending hold, a captured one and a reversal.
func openBooks(t *testing.T, db *storage.DB) (*ledger.Ledger, money.Currency) {
	t.Helper()
	ctx := context.Background()
	usd, err := money.Parse("USD")
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return ledger.OpenBook(ctx, tx, ledger.Book{ID: book, Realm: realm.Test, OpenedAt: noon})
	})
	if err != nil {
		t.Fatal(err)
	}
	books := ledger.New(db, clock.NewRealms(clock.NewManual(noon)), ledger.Config{})
	t.Cleanup(books.Close)
	submit := func(op ledger.Operation) ledger.Outcome {
		t.Helper()
		op.Book, op.At = book, noon
		outcome, err := books.Submit(ctx, op)
		if err != nil {
			t.Fatal(err)
		}
		return outcome
	}
	for i := range cards {
		submit(ledger.Operation{Kind: "load", Key: fmt.Sprintf("load-%d", i),
			Open: []ledger.NewAccount{{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true},
				{ID: "spent", Currency: usd, Side: ledger.Credit, Unbounded: true}, {ID: card(i), Currency: usd, Side: ledger.Credit}},
			Postings: []ledger.Posting{{Debit: "cash", Credit: card(i), Amount: money.New(1_000_000, usd)}}})
	}
	for _, id := range []ledger.HoldID{"hold_1", "hold_2"} {
		submit(ledger.Operation{Kind: "hold", Holds: []ledger.HoldChange{{Action: ledger.Place, ID: id, Debit: card(0), Credit: "spent", Amount: money.New(500, usd)}}})
	}
	submit(ledger.Operation{Kind: "capture", Holds: []ledger.HoldChange{{Action: ledger.Capture, ID: "hold_2", Amount: money.New(200, usd), Final: true}}})
	spent := submit(ledger.Operation{Kind: "spend", Guards: []ledger.Guard{{Counter: "spend/2027-03", Add: 5, Limit: 10}},
		Postings: []ledger.Posting{{Debit: card(1), Credit: "spent", Amount: money.New(5, usd)}}})
	submit(ledger.Operation{Kind: "reverse", Reverses: spent.Transaction})
	return books, usd
}

func verified(t *testing.T, db *storage.DB) ledger.Report {
	t.Helper()
	var report ledger.Report
	err := db.Snapshot(context.Background(), func(ctx context.Context, q storage.Queryer) error {
		var err error
		report, err = ledger.Verify(ctx, q, nil)
		return err
	})
	if err != nil || report.Found != 0 {
		t.Fatalf("the books are wrong: %v, %v", report.Problems, err)
	}
	return report
}

// A copy of the books on either engine proves right, is the same to the entry, and goes on working.
func TestLedgerRoundTrip(t *testing.T) {
	for _, from := range testkit.Engines() {
		source := testkit.Open(t, testkit.Database(t, from))
		_, usd := openBooks(t, source)
		original := verified(t, source)
		path := filepath.Join(t.TempDir(), "scrip.backup")
		if _, err := dump.Backup(context.Background(), source, path, dump.Options{Clock: clock.NewManual(noon)}); err != nil {
			t.Fatal(err)
		}
		for _, to := range testkit.Engines() {
			t.Run(from+" to "+to, func(t *testing.T) {
				ctx := context.Background()
				target := testkit.Open(t, testkit.Database(t, to))
				if _, err := dump.Restore(ctx, target, path, dump.Options{}); err != nil {
					t.Fatal(err)
				}
				if copied := verified(t, target); !reflect.DeepEqual(copied, original) || copied.Transactions != cards+5 {
					t.Errorf("the copy has %+v, the original %+v", copied, original)
				}
				books := ledger.New(target, clock.NewRealms(clock.NewManual(noon)), ledger.Config{})
				defer books.Close()
				first, err := books.Submit(ctx, ledger.Operation{Book: book, Kind: "load", Key: "load-3", At: noon,
					Open:     []ledger.NewAccount{{ID: card(3), Currency: usd, Side: ledger.Credit}},
					Postings: []ledger.Posting{{Debit: "cash", Credit: card(3), Amount: money.New(1_000_000, usd)}}})
				if err != nil || !first.Replayed {
					t.Errorf("a repeated operation = %+v, %v", first, err)
				}
				_, err = books.Submit(ctx, ledger.Operation{Book: book, Kind: "capture", At: noon, Holds: []ledger.HoldChange{{Action: ledger.Capture, ID: "hold_1"}}})
				if err != nil {
					t.Error(err)
				}
				verified(t, target)
			})
		}
	}
}

// A backup made while eight callers write holds one state of the books, which proves right.
func TestBackupWhileWriting(t *testing.T) {
	const writers, ahead = 8, 20
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		books, usd := openBooks(t, db)
		stop, wrote := make(chan struct{}), make(chan struct{})
		var ready, done sync.WaitGroup
		ready.Add(writers)
		for w := range writers {
			done.Go(func() {
				for n := 0; ; n++ {
					if n == ahead {
						ready.Done()
					}
					select {
					case <-stop:
						return
					default:
					}
					_, err := books.Submit(ctx, ledger.Operation{Book: book, Kind: "spend", Key: fmt.Sprintf("%d-%d", w, n), At: noon,
						Postings: []ledger.Posting{{Debit: card((w + n) % cards), Credit: "spent", Amount: money.New(1, usd)}}})
					if err != nil {
						t.Error(err)
					}
					select {
					case wrote <- struct{}{}:
					default:
					}
				}
			})
		}
		ready.Wait()
		var made []dump.Manifest
		var paths []string
		for i := range 3 {
			path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.backup", i))
			manifest, err := dump.Backup(ctx, db, path, dump.Options{Clock: clock.NewManual(noon)})
			if err != nil {
				t.Error(err)
			}
			made, paths = append(made, manifest), append(paths, path)
			for range writers + 1 { // so that one of them wrote twice, the second time after the backup
				<-wrote
			}
		}
		close(stop)
		done.Wait()
		if made[0].Rows() >= made[2].Rows() {
			t.Errorf("the callers wrote nothing between backups of %d and %d rows", made[0].Rows(), made[2].Rows())
		}
		final := verified(t, db)
		for _, path := range paths {
			target := testkit.Open(t, testkit.Database(t, db.Engine()))
			if _, err := dump.Restore(ctx, target, path, dump.Options{}); err != nil {
				t.Fatal(err)
			}
			copied := verified(t, target)
			if copied.Transactions < cards+5+writers*ahead || copied.Transactions > final.Transactions {
				t.Errorf("the copy has %d transactions, the books %d", copied.Transactions, final.Transactions)
			}
		}
	})
}
