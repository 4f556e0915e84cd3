package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// A period finds exactly the transactions that were posted in it, by their kinds, however
// its ends fall between them, and only the books that have some.
func TestPeriods(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		open(t, db, theBook)
		open(t, db, "bk_quiet")
		books := ledger.New(db, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		t.Cleanup(books.Close)
		times := []int{0, 0, 10, 10, 10, 20, 30, 30}
		var ids []ledger.TransactionID
		for i, second := range times {
			kind := "shop.sell"
			if i%2 == 1 {
				kind = "shopping.list"
			}
			o := submit(t, books, ledger.Operation{Book: theBook, Kind: kind, At: epoch.Add(time.Duration(second) * time.Second),
				Guards: []ledger.Guard{{Counter: "sales", Add: 1, Limit: 100}}})
			ids = append(ids, o.Transaction)
		}
		for _, c := range []struct{ from, until int }{{-5, 0}, {0, 1}, {0, 10}, {10, 20}, {5, 25}, {10, 31}, {30, 40}, {31, 40}, {-5, 100}, {20, 20}} {
			p := ledger.Period{Realm: realm.Test, From: epoch.Add(time.Duration(c.from) * time.Second), Until: epoch.Add(time.Duration(c.until) * time.Second)}
			s, err := ledger.Within(t.Context(), db, theBook, p)
			if err != nil {
				t.Fatal(err)
			}
			var want, got []int64
			for i, second := range times {
				if second >= c.from && second < c.until && i%2 == 0 {
					want = append(want, int64(i+1))
				}
			}
			found, err := ledger.OfKinds(t.Context(), db, s, "shop.")
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range found {
				got = append(got, o.Seq)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d to %d: %s", c.from, c.until, diff)
			}
		}
		for from, want := range map[int][]ledger.BookID{0: {theBook}, 30: {theBook}, 31: nil} {
			p := ledger.Period{Realm: realm.Test, From: epoch.Add(time.Duration(from) * time.Second), Until: epoch.Add(time.Hour)}
			got, err := ledger.BusyBooks(t.Context(), db, p, "")
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("since %d: %v %s", from, err, diff)
			}
		}
		found, err := ledger.Transactions(t.Context(), db, theBook, append(ids[:3], "txn_none", ids[0]))
		if err != nil || len(found) != 3 {
			t.Errorf("%d transactions, %v", len(found), err)
		}
	})
}
