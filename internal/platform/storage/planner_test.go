package storage_test

import (
	"context"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

var _ = storage.SQL("test.of_endpoint", `SELECT d.event_id, d.attempts FROM webhook_deliveries d
	WHERE d.book_id = $1 AND d.endpoint_id = $2 AND ($3 = '' OR d.state = $3) AND d.event_id < $4 ORDER BY d.event_id DESC LIMIT $5`)

// A connection that has read the schema learns what the planner is told later, with the schema or
// without a change of it, and so does whoever opens the database then. What others made of the
// database keeps nobody from it.
func TestPlannerIsTold(t *testing.T) {
	config := testkit.Empty(t, "sqlite")
	open := func() *storage.DB {
		db, err := storage.Open(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() }) // it holds nothing that is looked at
		return db
	}
	read := func(db *storage.DB) {
		if _, err := storage.AppliedMigrations(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	// known is for once: what was explained is not explained anew where the schema is another.
	known := func(db *storage.DB) bool {
		read(db)
		plans, err := storage.Plans(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(strings.Join(plans["test.of_endpoint"], "\n"), "webhook_deliveries_by_endpoint (book_id=? AND endpoint_id=? AND event_id<?)")
	}
	first := open()
	if err := storage.Whole(t.Context(), first); err != nil { // it reads, before there is a schema
		t.Fatal(err)
	}
	if _, err := first.Migrate(t.Context()); err != nil || !known(first) || !known(open()) {
		t.Fatalf("the planner knows nothing of the schema, %v", err)
	}
	for _, changed := range []string{"DELETE FROM sqlite_stat1 WHERE tbl = 'webhook_deliveries'", "UPDATE sqlite_stat1 SET stat = '10 10 10 1'",
		"CREATE TABLE another (a TEXT); INSERT INTO another VALUES ('a'); CREATE INDEX another_by_a ON another (lower(a)); ANALYZE", "DROP TABLE sqlite_stat1"} {
		for text := range strings.SplitSeq(changed, "; ") {
			if err := first.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error { return tx.ExecText(ctx, text) }); err != nil {
				t.Fatal(err)
			}
		}
		if known(open()) {
			t.Errorf("%s: the plan is what it was", changed)
		}
		other := open()
		read(other)
		if _, err := first.Migrate(t.Context()); err != nil {
			t.Fatalf("%s: %v", changed, err)
		}
		if !known(other) || !known(open()) {
			t.Errorf("%s: the planner knows nothing of it after a migration", changed)
		}
	}
}
