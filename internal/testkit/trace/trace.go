// Package trace shows what calls left behind since somebody last looked: the events of
// books, and the transactions in them.
package trace

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/webhook"
)

// Events returns a section of a golden file: the events of books that it has not shown
// before, a line each, book by book and oldest first.
func Events(outbox *webhook.Outbox, books ...ledger.BookID) func(t testing.TB, step string) string {
	told := map[webhook.EventID]bool{}
	return func(t testing.TB, _ string) string {
		t.Helper()
		var out strings.Builder
		for _, book := range books {
			found, err := outbox.List(t.Context(), webhook.EventFilter{Book: book, Limit: webhook.MaxLimit})
			if err != nil {
				t.Fatal(err)
			}
			for i := range found {
				if e := found[len(found)-1-i]; !told[e.ID] {
					told[e.ID] = true
					fmt.Fprintf(&out, "%s %s %s\n", e.Realm, e.Type, e.Data)
				}
			}
		}
		return out.String()
	}
}

// Transactions returns what lists the transactions of a book that it has not listed before,
// oldest first.
func Transactions(books *ledger.Ledger) func(t testing.TB, book ledger.BookID) []ledger.Outcome {
	last := map[ledger.BookID]int64{}
	return func(t testing.TB, book ledger.BookID) []ledger.Outcome {
		t.Helper()
		found, err := books.ListTransactions(t.Context(), book, 0, ledger.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		var fresh []ledger.Outcome
		for i := range found {
			if o := found[len(found)-1-i]; o.Seq > last[book] {
				fresh, last[book] = append(fresh, o), o.Seq
			}
		}
		return fresh
	}
}
