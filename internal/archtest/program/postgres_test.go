package program

import (
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
