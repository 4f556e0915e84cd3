package program

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// PostgreSQL takes few deliveries to be pending, where an endpoint that was away for a day has
// thousands: none is looked for among all of them, and those that are due come in the index's order.
func TestPendingDeliveriesAreNotReadThrough(t *testing.T) {
	if !slices.Contains(testkit.Engines(), "postgres") {
		t.Skip("no PostgreSQL is at hand")
	}
	db := testkit.Open(t, testkit.Empty(t, "postgres"))
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := storage.Plans(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for name, unwanted := range map[string]string{
		"webhook.accept_deliveries": "webhook_deliveries_due",
		"webhook.refuse_delivery":   "webhook_deliveries_due",
		"webhook.list_old":          "webhook_deliveries_due",
		"webhook.list_due":          "Sort",
	} {
		if plan := strings.Join(all[name], "\n"); plan == "" || strings.Contains(plan, unwanted) {
			t.Errorf("%s is not to have %s:\n%s", name, unwanted, plan)
		}
	}
}

var (
	severalRows = regexp.MustCompile(`\bIN \((VALUES|SELECT \w+ FROM wanted)\b`)
	oneBook     = regexp.MustCompile(`\b(book_id|buyer) = \$`)
	oneBookAt   = map[string]string{
		"authorization.load_payments": "the key of payments begins with their ids",
		"cashout.forget_codes":        "a realm's orders are of one book, whose size the statistics tell",
		"cashout.forget_orders":       "a realm's orders are of one book, whose size the statistics tell",
	}
)

// Who asks for several rows names the book with each of them. Of a book that is named once
// PostgreSQL expects as many rows as most have, and reads all that it has once rather than look
// for each.
func TestEachOfSeveralRowsNamesItsBook(t *testing.T) {
	statements := storage.Statements()
	for _, name := range slices.Sorted(maps.Keys(statements)) {
		text := statements[name]
		once := severalRows.MatchString(text) && oneBook.MatchString(text)
		if reason, excused := oneBookAt[name]; once != excused {
			t.Errorf("%s names the book of several rows once: %t, want %t (%s)\n%s", name, once, excused, reason, text)
		}
	}
}
