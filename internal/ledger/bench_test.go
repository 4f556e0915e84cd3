package ledger_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// BenchmarkSubmit measures durable operations: one posting each, on many accounts of one
// book (spread) or all on one account (hot), by so many callers at once.
func BenchmarkSubmit(b *testing.B) {
	for _, engine := range testkit.Engines() {
		for _, shape := range []string{"spread", "hot"} {
			for _, callers := range []int{1, 16, 64, 256} {
				b.Run(fmt.Sprintf("%s/%s/%d", engine, shape, callers), func(b *testing.B) { benchmarkSubmit(b, engine, shape, callers) })
			}
		}
	}
}

func benchmarkSubmit(b *testing.B, engine, shape string, callers int) {
	ctx := context.Background()
	db := testkit.Open(b, testkit.Database(b, engine))
	clocks := clock.NewRealms(clock.System())
	books := ledger.New(db, clocks, ledger.Config{})
	defer books.Close()
	open(b, db, "bk_bench")
	accounts := 1
	if shape == "spread" {
		accounts = 1000
	}
	for i := range accounts {
		submit(b, books, ledger.Operation{Book: "bk_bench", Kind: "load", At: clocks.Now(realm.Test),
			Open: []ledger.NewAccount{{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true},
				{ID: "spent", Currency: usd, Side: ledger.Credit, Unbounded: true}, {ID: card(i), Currency: usd, Side: ledger.Credit}},
			Postings: []ledger.Posting{{Debit: "cash", Credit: card(i), Amount: money.New(1<<50, usd)}}})
	}
	var next atomic.Int64
	b.ResetTimer()
	b.SetParallelism(max(1, callers/2))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := next.Add(1)
			_, err := books.Submit(ctx, ledger.Operation{Book: "bk_bench", Kind: "spend", Key: fmt.Sprintf("key-%d", n), At: clocks.Now(realm.Test),
				Postings: []ledger.Posting{{Debit: card(int(n) % accounts), Credit: "spent", Amount: money.New(1, usd)}}})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func card(i int) ledger.AccountID { return ledger.AccountID(fmt.Sprintf("card/%06d", i)) }

var usd = func() money.Currency {
	c, err := money.Parse("USD")
	if err != nil {
		panic(err)
	}
	return c
}()

func open(t testing.TB, db *storage.DB, book ledger.BookID) {
	t.Helper()
	err := db.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
		return ledger.OpenBook(ctx, tx, ledger.Book{ID: book, Realm: realm.Test, OpenedAt: time.Unix(1_700_000_000, 0)})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func submit(t testing.TB, books *ledger.Ledger, op ledger.Operation) ledger.Outcome {
	t.Helper()
	outcome, err := books.Submit(context.Background(), op)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// BenchmarkFindAccount measures a balance as it is read.
func BenchmarkFindAccount(b *testing.B) {
	db := testkit.Open(b, testkit.Database(b, "sqlite"))
	clocks := clock.NewRealms(clock.System())
	books := ledger.New(db, clocks, ledger.Config{})
	defer books.Close()
	open(b, db, "bk_bench")
	for i := range 100 {
		submit(b, books, ledger.Operation{Book: "bk_bench", Kind: "load", At: clocks.Now(realm.Test),
			Open:     []ledger.NewAccount{{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true}, {ID: card(i), Currency: usd, Side: ledger.Credit}},
			Postings: []ledger.Posting{{Debit: "cash", Credit: card(i), Amount: money.New(1<<40, usd)}}})
	}
	b.ResetTimer()
	for i := range b.N {
		if _, err := books.FindAccount(context.Background(), "bk_bench", card(i%100)); err != nil {
			b.Fatal(err)
		}
	}
}
