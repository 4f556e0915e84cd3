package ledger_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// Whatever is asked for, in whatever order, the ledger does what the model says: after every
// operation the entries sum to zero and to the balances, no account is below its floor, a key
// has one effect and a hold one end. Verify finds nothing in the end.
func TestRandomOperations(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		base := clock.NewManual(epoch)
		books := ledger.New(db, clock.NewRealms(base), ledger.Config{})
		defer books.Close()
		var drawn atomic.Int64
		rapid.Check(t, func(r *rapid.T) {
			w := &twin{id: ledger.BookID(fmt.Sprintf("bk_random_%d", drawn.Add(1))), books: books, model: newModel()}
			open(t, db, w.id)
			g := &generator{dice: func(n int) int { return rapid.IntRange(0, n-1).Draw(r, "dice") }}
			var past []ledger.Operation
			check.OK(r, w.submit(chart(base.Now())))
			r.Repeat(map[string]func(*rapid.T){
				"": func(r *rapid.T) {
					check.OK(r, w.compare(context.Background()))
					check.OK(r, w.sums(context.Background(), db))
				},
				"submit": func(r *rapid.T) {
					op := g.operation(w.model, base.Now())
					past = append(past, op)
					check.OK(r, w.submit(op))
				},
				"submit once more": func(r *rapid.T) {
					if len(past) == 0 {
						r.Skip("nothing was submitted yet")
					}
					op := past[g.dice(len(past))]
					op.At = base.Now()
					check.OK(r, w.submit(op))
				},
				"move the clock": func(*rapid.T) { base.Advance(time.Duration(g.dice(20)-5) * time.Minute) },
				"sweep": func(r *rapid.T) {
					due := w.model.due(base.Now())
					if _, err := books.ExpireHolds(context.Background()); err != nil {
						r.Fatal(err)
					}
					check.OK(r, w.expired(context.Background(), due))
				},
			})
		})
		if report := verified(t, db); report.Transactions == 0 {
			t.Error("nothing was posted")
		}
	})
}
