package idempotency

import "github.com/scripcards/scrip/internal/platform/storage"

var (
	findAnswer = storage.SQL("idempotency.find_answer", `
		SELECT fingerprint, status, body, answered_at FROM idempotency_answers WHERE book_id = $1 AND name = $2 AND key = $3`)

	insertAnswer = storage.Insert("idempotency.insert_answer", "idempotency_answers",
		"book_id", "name", "key", "fingerprint", "status", "body", "answered_at", "expires_at")

	replaceAnswer = storage.SQL("idempotency.replace_answer", `
		UPDATE idempotency_answers SET status = $5, body = $6, answered_at = $7
		WHERE book_id = $1 AND name = $2 AND key = $3 AND fingerprint = $4`)

	forgetAnswer = storage.SQL("idempotency.forget_answer", `
		DELETE FROM idempotency_answers WHERE book_id = $1 AND name = $2 AND key = $3 AND fingerprint = $4`)

	purgeAnswers = storage.SQL("idempotency.purge_answers", `
		DELETE FROM idempotency_answers WHERE (book_id, name, key) IN (
			SELECT book_id, name, key FROM idempotency_answers WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`)
)

type stored struct {
	Answer
	fingerprint []byte
}

func scanStored(r storage.Row) (s stored, err error) {
	var at int64
	err = r.Scan(&s.fingerprint, &s.Status, &s.Body, &at)
	s.At = storage.Time(at)
	return s, err
}
