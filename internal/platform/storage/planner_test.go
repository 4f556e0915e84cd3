package storage_test

import (
	"context"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

var _ = storage.SQL("test.of_endpoint", `SELECT d.event_id FROM webhook_deliveries d
	WHERE d.book_id = $1 AND d.endpoint_id = $2 AND d.event_id < $3 ORDER BY d.event_id DESC LIMIT $4`)

// A connection that was open before the schema knows what the planner was told with it, and
// so does whoever opens the database later.
func TestPlannerIsTold(t *testing.T) {
	config := testkit.Empty(t, "sqlite")
	before := testkit.Open(t, config)
	if _, err := before.MigrationStatus(t.Context()); err != nil { // it reads
		t.Fatal(err)
	}
	for range 2 { // the second has nothing to do
		if _, err := before.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	forget := func(ctx context.Context, tx *storage.Tx) error {
		return tx.ExecText(ctx, "DELETE FROM sqlite_stat1 WHERE tbl = 'webhook_deliveries'") // as an index of a later migration is not there yet
	}
	if err := before.Write(t.Context(), forget); err != nil {
		t.Fatal(err)
	}
	if _, err := before.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, db := range map[string]*storage.DB{"before": before, "after": testkit.Open(t, config)} {
		plans, err := storage.Plans(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		if steps := strings.Join(plans["test.of_endpoint"], "\n"); !strings.Contains(steps, "webhook_deliveries_by_endpoint (book_id=? AND endpoint_id=? AND event_id<?)") {
			t.Errorf("opened %s: %s", name, steps)
		}
	}
}
