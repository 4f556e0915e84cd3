package job

import (
	"context"
	"database/sql"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// The states of a row. A job that is done has none.
const (
	statePending = "pending"
	stateRunning = "running"
	stateDead    = "dead"
)

var (
	insertJob = storage.Insert("job.insert", "jobs",
		"book_id", "job_id", "kind", "realm", "unique_key", "payload", "state", "run_at", "attempts", "again", "last_error")

	insertUnique = storage.SQL("job.insert_unique", `
		INSERT INTO jobs (book_id, job_id, kind, realm, unique_key, payload, state, run_at, attempts, again, last_error)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (book_id, kind, unique_key) WHERE unique_key IS NOT NULL AND state <> 'dead' DO UPDATE SET
			again = CASE WHEN jobs.state = 'running' THEN 1 ELSE 0 END,
			run_at = CASE WHEN jobs.again = 1 AND jobs.run_at < excluded.run_at THEN jobs.run_at ELSE excluded.run_at END
		WHERE jobs.state = 'running' OR (jobs.attempts = 0 AND excluded.run_at < jobs.run_at)`)

	insertPeriod = storage.SQL("job.insert_period", `
		INSERT INTO jobs (book_id, job_id, kind, realm, payload, state, run_at, attempts, again, last_error)
		VALUES ('', $1, $1, 'live', $2, 'pending', $3, 0, 0, '')
		ON CONFLICT (book_id, job_id) DO NOTHING`)

	// findLate and recallLate are of periodic jobs that are planned for later than they should
	// come at the latest.
	findLate = storage.Lookup("job.find_late", `
		WITH v (name, latest) AS ({values})
		SELECT jobs.job_id FROM v JOIN jobs ON jobs.book_id = '' AND jobs.job_id = v.name
		WHERE jobs.state = 'pending' AND jobs.run_at > v.latest`, "TEXT", "BIGINT")

	recallLate = storage.Lookup("job.recall_late", `
		WITH v (name, latest) AS ({values})
		UPDATE jobs SET run_at = v.latest FROM v
		WHERE jobs.book_id = '' AND jobs.job_id = v.name AND jobs.state = 'pending' AND jobs.run_at > v.latest`, "TEXT", "BIGINT")

	findDue = storage.Lookup("job.find_due", `
		WITH v (kind, realm, now) AS ({values})
		SELECT v.kind, v.realm FROM v WHERE (
			SELECT jobs.job_id FROM jobs
			WHERE jobs.kind = v.kind AND jobs.realm = v.realm AND jobs.state = 'pending' AND jobs.run_at <= v.now
			ORDER BY jobs.run_at LIMIT 1) IS NOT NULL`, "TEXT", "TEXT", "BIGINT")

	claimDue = storage.SQL("job.claim_due", `
		WITH due AS (
			SELECT book_id, job_id FROM jobs
			WHERE kind = $3 AND realm = $4 AND state = 'pending' AND run_at <= $5
			ORDER BY run_at, job_id LIMIT $6 {skip})
		UPDATE jobs SET state = 'running', attempts = attempts + 1, lease_owner = $1, lease_until = $2
		WHERE (book_id, job_id) IN (SELECT book_id, job_id FROM due)
		RETURNING book_id, job_id, unique_key, payload, attempts, run_at`)

	// Whoever waits for several rows of work takes them in this order: transactions that ask
	// for unique work again, settling and renewing. So they never wait for each other in a ring.
	lockSettled = storage.Lookup("job.lock_settled", `
		SELECT job_id FROM jobs WHERE state = 'running' AND lease_owner = $1 AND (book_id, job_id) IN ({values})
		ORDER BY book_id, kind, unique_key, job_id {lock}`, "TEXT", "TEXT")

	// deleteDone spares what was asked for again while it ran.
	deleteDone = storage.Lookup("job.delete_done", `
		DELETE FROM jobs WHERE state = 'running' AND again = 0 AND lease_owner = $1 AND (book_id, job_id, attempts) IN ({values})`,
		"TEXT", "TEXT", "BIGINT")

	repeatDone = storage.Lookup("job.repeat_done", `
		UPDATE jobs SET state = 'pending', again = 0, attempts = 0, lease_owner = NULL, lease_until = NULL, last_error = ''
		WHERE state = 'running' AND again = 1 AND lease_owner = $1 AND (book_id, job_id, attempts) IN ({values})`,
		"TEXT", "TEXT", "BIGINT")

	// releaseJobs ends leases without ending jobs. What would die but was asked for again
	// starts afresh; what was postponed (its attempt does not count) comes when it was asked
	// for, if that is earlier.
	releaseJobs = storage.Lookup("job.release", `
		WITH v (book_id, job_id, attempts, state, counted, run_at, last_error) AS ({values})
		UPDATE jobs SET
			state = CASE WHEN jobs.again = 1 THEN 'pending' ELSE v.state END,
			attempts = CASE WHEN jobs.again = 1 AND v.state = 'dead' THEN 0 ELSE v.counted END,
			run_at = CASE WHEN jobs.again = 1 AND v.counted < v.attempts AND jobs.run_at < v.run_at THEN jobs.run_at ELSE v.run_at END,
			last_error = v.last_error, again = 0, lease_owner = NULL, lease_until = NULL
		FROM v
		WHERE jobs.book_id = v.book_id AND jobs.job_id = v.job_id AND jobs.attempts = v.attempts
			AND jobs.state = 'running' AND jobs.lease_owner = $1`,
		"TEXT", "TEXT", "BIGINT", "TEXT", "BIGINT", "BIGINT", "TEXT")

	renewLeases = storage.Lookup("job.renew_leases", `
		WITH mine AS (
			SELECT book_id, job_id FROM jobs WHERE state = 'running' AND lease_owner = $1 AND (book_id, job_id, attempts) IN ({values})
			ORDER BY book_id, kind, unique_key, job_id {lock})
		UPDATE jobs SET lease_until = $2 WHERE (book_id, job_id) IN (SELECT book_id, job_id FROM mine)`,
		"TEXT", "TEXT", "BIGINT")

	findLost = storage.SQL("job.find_lost", `
		SELECT job_id FROM jobs WHERE state = 'running' AND lease_until < $1 LIMIT 1`)

	// findLease is when the first lease is over after a time.
	findLease = storage.SQL("job.find_lease", `
		SELECT lease_until FROM jobs WHERE state = 'running' AND lease_until > $1 ORDER BY lease_until LIMIT 1`)

	reclaimLost = storage.SQL("job.reclaim_lost", `
		WITH lost AS (
			SELECT book_id, job_id FROM jobs WHERE state = 'running' AND lease_until < $1
			ORDER BY lease_until LIMIT $2 {skip})
		UPDATE jobs SET state = 'pending', run_at = 0, again = 0, lease_owner = NULL, lease_until = NULL, last_error = $3
		WHERE (book_id, job_id) IN (SELECT book_id, job_id FROM lost)`)

	// delayDead has what was lost more than $2 times wait until $3 and the longer the more often,
	// but for no longer than its lease.
	delayDead = storage.SQL("job.delay_dead", `
		WITH lost AS (
			SELECT book_id, job_id FROM jobs WHERE state = 'running' AND lease_owner = $1 AND attempts > $2
			AND lease_until > $3 + (attempts - $2) * (attempts - $2) * $4
			ORDER BY book_id, kind, unique_key, job_id {lock})
		UPDATE jobs SET lease_until = $3 + (attempts - $2) * (attempts - $2) * $4
		WHERE (book_id, job_id) IN (SELECT book_id, job_id FROM lost)`)

	// reclaimDead leaves to their leases what was lost more often.
	reclaimDead = storage.SQL("job.reclaim_dead", `
		WITH lost AS (
			SELECT book_id, job_id FROM jobs WHERE state = 'running' AND lease_owner = $1 AND attempts <= $2
			ORDER BY book_id, kind, unique_key, job_id {lock})
		UPDATE jobs SET state = 'pending', run_at = 0, again = 0, lease_owner = NULL, lease_until = NULL, last_error = $3
		WHERE (book_id, job_id) IN (SELECT book_id, job_id FROM lost)`)

	listDead = storage.SQL("job.list_dead", `
		SELECT book_id, job_id, kind, realm, unique_key, payload, attempts, run_at, last_error FROM jobs
		WHERE state = 'dead' AND (book_id, job_id) > ($1, $2) ORDER BY book_id, job_id LIMIT $3`)

	findDead = storage.SQL("job.find_dead", `
		SELECT book_id, job_id, kind, realm, unique_key, payload, attempts, run_at, last_error FROM jobs
		WHERE state = 'dead' AND job_id = $1`)

	retryDead = storage.SQL("job.retry_dead", `
		UPDATE jobs SET state = 'pending', attempts = 0, run_at = 0 WHERE book_id = $1 AND job_id = $2 AND state = 'dead'`)

	deleteDead = storage.SQL("job.delete_dead", `
		DELETE FROM jobs WHERE book_id = $1 AND job_id = $2 AND state = 'dead'`)

	purgeDead = storage.SQL("job.purge_dead", `
		DELETE FROM jobs WHERE (book_id, job_id) IN (
			SELECT book_id, job_id FROM jobs WHERE state = 'dead' AND realm = $1 AND run_at < $2 LIMIT $3)`)
)

// queueOf is one kind in one realm: what is claimed together.
type queueOf struct {
	kind  string
	realm realm.Realm
}

func scanQueue(r storage.Row) (q queueOf, err error) {
	err = r.Scan(&q.kind, &q.realm)
	return q, err
}

// claimed is a job that this queue holds a lease on.
type claimed struct {
	Job
	runAt int64 // microseconds, 0: at once
}

// key is how a statement tells a claim from every other one.
func (c *claimed) key() []any { return []any{c.Book, c.ID, c.Attempt} }

func scanClaimed(r storage.Row) (*claimed, error) {
	var c claimed
	var unique sql.NullString
	err := r.Scan(&c.Book, &c.ID, &unique, &c.Payload, &c.Attempt, &c.runAt)
	c.Unique = unique.String
	return &c, err
}

func scanDead(r storage.Row) (d Dead, err error) {
	var unique sql.NullString
	var died int64
	err = r.Scan(&d.Book, &d.ID, &d.Kind, &d.Realm, &unique, &d.Payload, &d.Attempts, &died, &d.LastError)
	d.Unique, d.DiedAt = unique.String, storage.Time(died)
	return d, err
}

// settle writes down what became of attempts, as few statements as it takes.
func settle(ctx context.Context, tx *storage.Tx, owner string, outcomes []outcome) error {
	var all, done, repeatable, released [][]any
	for i := range outcomes {
		o := &outcomes[i]
		key := o.job.key()
		all = append(all, key[:2:2])
		switch {
		case o.state != "":
			released = append(released, append(key, o.state, o.counted, o.runAt, o.lastError))
		case o.job.Unique != "":
			repeatable = append(repeatable, key)
			fallthrough
		default:
			done = append(done, key)
		}
	}
	if len(all) > 1 {
		if _, err := storage.AllOf(ctx, tx, storage.Scalar[string], lockSettled, all, owner); err != nil {
			return err
		}
	}
	if err := tx.ExecRows(ctx, deleteDone, done, owner); err != nil {
		return err
	}
	if err := tx.ExecRows(ctx, repeatDone, repeatable, owner); err != nil {
		return err
	}
	return tx.ExecRows(ctx, releaseJobs, released, owner)
}
