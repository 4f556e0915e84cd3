package testkit_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

var (
	addRow      = storage.SQL("testkittest.add", `INSERT INTO limit_quotas (book_id, name, period, used) VALUES ('bk', 'n', 'p', 1)`)
	countRows   = storage.SQL("testkittest.count", `SELECT count(*) FROM limit_quotas`)
	hideTable   = storage.SQL("testkittest.hide", `ALTER TABLE limit_quotas RENAME TO away`)
	forgetFirst = storage.SQL("testkittest.forget", `DELETE FROM schema_migrations WHERE version = 1`)
)

// A database is migrated and empty whatever the test before did to its own, and is nobody
// else's meanwhile.
func TestDatabase(t *testing.T) {
	ctx := context.Background()
	for _, engine := range testkit.Engines() {
		for i, spoil := range []*storage.Statement{addRow, hideTable, forgetFirst, addRow} {
			t.Run(fmt.Sprint(engine, i), func(t *testing.T) {
				for range 2 {
					db := testkit.Open(t, testkit.Database(t, engine))
					if rows, _, err := storage.One(ctx, db, storage.Scalar[int64], countRows); err != nil || rows != 0 {
						t.Fatalf("%d rows at first, %v", rows, err)
					}
					if err := db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
						_, err := tx.Exec(ctx, spoil)
						return err
					}); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}
