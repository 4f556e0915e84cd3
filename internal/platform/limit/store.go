package limit

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/platform/storage"
)

var (
	// leaseWindow grants $5 or what is left of $6; an insert grants all, for $5 is at most $6.
	leaseWindow = storage.SQL("limit.lease_window", `
		INSERT INTO limit_windows (subject, period_us, started_at, ends_at, used, granted) VALUES ($1, $2, $3, $4, $5, $5)
		ON CONFLICT (subject, period_us, started_at) DO UPDATE SET
			granted = CASE
				WHEN limit_windows.used + excluded.used <= $6 THEN excluded.used
				WHEN limit_windows.used < $6 THEN $6 - limit_windows.used
				ELSE 0 END,
			used = CASE
				WHEN limit_windows.used + excluded.used <= $6 THEN limit_windows.used + excluded.used
				WHEN limit_windows.used < $6 THEN $6
				ELSE limit_windows.used END
		RETURNING granted, used`)

	purgeWindows = storage.SQL("limit.purge_windows", `
		DELETE FROM limit_windows WHERE (subject, period_us, started_at) IN (
			SELECT subject, period_us, started_at FROM limit_windows WHERE ends_at < $1 ORDER BY ends_at LIMIT $2)`)

	writeBlock = storage.Upsert("limit.write_block", "limit_blocks", []string{"subject"}, "subject", "until_at", "written_at")

	listBlocks = storage.SQL("limit.list_blocks", `
		SELECT subject, until_at, written_at FROM limit_blocks
		WHERE (written_at, subject) > ($1, $2) ORDER BY written_at, subject LIMIT $3`)

	// A block that is prolonged meanwhile stays.
	purgeBlocks = storage.SQL("limit.purge_blocks", `
		DELETE FROM limit_blocks WHERE until_at < $1 AND subject IN (
			SELECT subject FROM limit_blocks WHERE until_at < $1 ORDER BY until_at LIMIT $2)`)

	findQuota = storage.SQL("limit.find_quota", `
		SELECT used FROM limit_quotas WHERE book_id = $1 AND name = $2 AND period = $3`)

	lockQuota = storage.SQL("limit.lock_quota", `
		SELECT used FROM limit_quotas WHERE book_id = $1 AND name = $2 AND period = $3 {lock}`)

	beginQuota = storage.SQL("limit.begin_quota", `
		INSERT INTO limit_quotas (book_id, name, period, used) VALUES ($1, $2, $3, 0) ON CONFLICT (book_id, name, period) DO NOTHING`)

	// spendQuota changes nothing where the sum would pass $5.
	spendQuota = storage.SQL("limit.spend_quota", `
		INSERT INTO limit_quotas (book_id, name, period, used)
		SELECT $1, $2, $3, CAST($4 AS BIGINT) WHERE CAST($4 AS BIGINT) <= CAST($5 AS BIGINT)
		ON CONFLICT (book_id, name, period) DO UPDATE SET used = limit_quotas.used + excluded.used
		WHERE limit_quotas.used <= CAST($5 AS BIGINT) - excluded.used
		RETURNING used`)
)

type granted struct{ granted, used int64 }

func scanGrant(r storage.Row) (g granted, err error) {
	err = r.Scan(&g.granted, &g.used)
	return g, err
}

type block struct {
	subject string
	until   int64
	written int64
}

func scanBlock(r storage.Row) (b block, err error) {
	err = r.Scan(&b.subject, &b.until, &b.written)
	return b, err
}

// grace keeps rows a while, for processes whose clocks are late.
const grace = 10 * time.Minute

// Purge deletes the shared counts of windows that are over and blocks that have
// ended. It is meant to run now and then in one process.
func (l *Limiter) Purge(ctx context.Context) error {
	before := storage.Micros(l.clock.Now().Add(-grace))
	for _, s := range []*storage.Statement{purgeWindows, purgeBlocks} {
		if _, err := l.db.Purge(ctx, s, before); err != nil {
			return fmt.Errorf("purge limits: %w", err)
		}
	}
	return nil
}
