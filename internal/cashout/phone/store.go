package phone

import (
	"time"

	"github.com/scripcards/scrip/internal/platform/storage"
)

const codeColumns = `c.phone_hash, c.code_hash, c.country, c.sends, c.tries, c.failures, c.sent_at, c.expires_at`

var (
	findCode = storage.SQL("phone.find_code", `SELECT `+codeColumns+` FROM cashout_codes c WHERE c.book_id = $1 AND c.order_id = $2`)
	lockCode = storage.SQL("phone.lock_code", `SELECT `+codeColumns+` FROM cashout_codes c WHERE c.book_id = $1 AND c.order_id = $2 {lock}`)
	// putCode replaces the code of an order, unless that had so many or its last one after a
	// moment; the failures of the earlier ones stay.
	putCode = storage.SQL("phone.put_code", `INSERT INTO cashout_codes (book_id, order_id, phone_hash, code_hash, country, sends, tries, failures, sent_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, 1, 0, 0, $6, $7)
		ON CONFLICT (book_id, order_id) DO UPDATE SET phone_hash = excluded.phone_hash, code_hash = excluded.code_hash, country = excluded.country,
			sends = cashout_codes.sends + 1, tries = 0, sent_at = excluded.sent_at, expires_at = excluded.expires_at
		WHERE cashout_codes.sends < $8 AND cashout_codes.sent_at <= $9`)
	// countTry takes one of the tries that a code has, of which so many may fail. The row of a
	// code that is right goes away.
	countTry = storage.SQL("phone.count_try", `UPDATE cashout_codes SET tries = tries + 1, failures = failures + 1
		WHERE book_id = $1 AND order_id = $2 AND tries < $3 AND failures < $4`)
	// endCode leaves no code that could be entered, and what was counted: nothing hashes to a phone's hash.
	endCode = storage.SQL("phone.end_code", `UPDATE cashout_codes SET code_hash = phone_hash, expires_at = sent_at
		WHERE book_id = $1 AND order_id = $2 AND phone_hash <> $3`)
	useCode = storage.SQL("phone.use_code", `DELETE FROM cashout_codes WHERE book_id = $1 AND order_id = $2 AND code_hash = $3`)
)

var (
	countSent = storage.SQL("phone.count_sent", `INSERT INTO cashout_messages (book_id, day, country, sent, verified, alarmed) VALUES ($1, $2, $3, 1, 0, 0)
		ON CONFLICT (book_id, day, country) DO UPDATE SET sent = cashout_messages.sent + 1`)
	countVerified = storage.SQL("phone.count_verified", `UPDATE cashout_messages SET verified = verified + 1 WHERE book_id = $1 AND day = $2 AND country = $3`)
	listTraffic   = storage.SQL("phone.list_traffic", `SELECT day, country, sent, verified, alarmed FROM cashout_messages
		WHERE book_id = $1 AND day = $2 ORDER BY sent DESC, country LIMIT $3`)
	markAlarmed = storage.SQL("phone.mark_alarmed", `UPDATE cashout_messages SET alarmed = 1 WHERE book_id = $1 AND day = $2 AND country = $3 AND alarmed = 0`)
)

// code is what was sent last for an order.
type code struct {
	place                  Place
	phoneHash, codeHash    []byte
	country                string
	sends, tries, failures int64
	sentAt, expiresAt      time.Time
}

func (c *code) args() []any {
	return []any{string(c.place.Book), c.place.Order, c.phoneHash, c.codeHash, c.country, storage.Micros(c.sentAt), storage.Micros(c.expiresAt)}
}

func scanCode(r storage.Row) (c code, err error) {
	var sent, expires int64
	err = r.Scan(&c.phoneHash, &c.codeHash, &c.country, &c.sends, &c.tries, &c.failures, &sent, &expires)
	c.sentAt, c.expiresAt = storage.Time(sent), storage.Time(expires)
	return c, err
}

func scanTraffic(r storage.Row) (t Traffic, err error) {
	var alarmed int64
	err = r.Scan(&t.Day, &t.Country, &t.Sent, &t.Verified, &alarmed)
	t.Alarmed = alarmed == 1
	return t, err
}
