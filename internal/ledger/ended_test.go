package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// While the server ends connections, whatever they are at, as one does that is stopped: what
// is acknowledged was done once, what is refused was not, and only what is said to be unknown
// is either.
func TestEndedConnections(t *testing.T) {
	if os.Getenv(testkit.PostgresVariable) == "" {
		t.Skip("no PostgreSQL is at hand")
	}
	const callers, calls = 32, 30
	config := testkit.Database(t, "postgres")
	_, first := stand(t, config, callers*calls)
	process := func() (*storage.DB, *ledger.Ledger) {
		db := testkit.Open(t, config)
		books := ledger.New(db, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		t.Cleanup(books.Close)
		return db, books
	}
	_, second := process()
	ended := testkit.EndConnections(t, config)
	var one sync.Mutex
	told := map[string]error{}
	crowd.AtOnce(callers, func(caller int) {
		for call := range calls {
			op := spend("", 1)
			op.Reference = fmt.Sprint(caller, "/", call)
			if call%3 == 0 {
				op.Key, op.Speculative = op.Reference, true
			}
			_, err := []*ledger.Ledger{first, second}[call%2].Submit(context.Background(), op)
			one.Lock()
			told[op.Reference] = err
			one.Unlock()
		}
	})
	ended()
	db, books := process() // none of whose connections was ended
	done := map[string]int{}
	for before := int64(0); before != 1; {
		page, err := books.ListTransactions(t.Context(), theBook, before, ledger.MaxPage)
		check.OK(t, err)
		for _, o := range page {
			done[o.Reference]++
			before = o.Seq
		}
	}
	for reference, err := range told {
		if n := done[reference]; n > 1 || n != 1 && err == nil || n != 0 && err != nil && !errors.Is(err, storage.ErrUnknownCommit) {
			t.Errorf("%s was done %d times, and its caller was told %v", reference, n, err)
		}
	}
	verified(t, db)
}
