package quota

import (
	"database/sql"

	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// A figure that was taken back stays as a row without one, so that every process learns of it.
var (
	putOwn = storage.SQL("quota.put", `INSERT INTO quotas (book_id, checks, changed_at) VALUES ($1, $2, $3)
		ON CONFLICT (book_id) DO UPDATE SET checks = excluded.checks, changed_at = excluded.changed_at`)
	findOwn    = storage.SQL("quota.find", `SELECT book_id, checks FROM quotas WHERE book_id = $1`)
	changedOwn = storage.SQL("quota.changed", `SELECT book_id, checks FROM quotas WHERE changed_at >= $1`)
)

// own is a customer's own figure, if there is one.
type own struct {
	book   ledger.BookID
	checks int64
	set    bool
}

func scanOwn(r storage.Row) (o own, err error) {
	var checks sql.NullInt64
	err = r.Scan(&o.book, &checks)
	o.checks, o.set = checks.Int64, checks.Valid
	return o, err
}
