package customer

import (
	"database/sql"

	"github.com/scripcards/scrip/internal/platform/storage"
)

const columns = `book_id, customer_id, names, revision, created_at`

var (
	findByPhone  = storage.SQL("customer.find_by_phone", `SELECT `+columns+` FROM cashout_customers WHERE book_id = $1 AND phone_hash = $2`)
	findCustomer = storage.SQL("customer.find_customer", `SELECT `+columns+` FROM cashout_customers WHERE book_id = $1 AND customer_id = $2`)
	lockCustomer = storage.SQL("customer.lock_customer", `SELECT `+columns+` FROM cashout_customers WHERE book_id = $1 AND customer_id = $2 {lock}`)
	addCustomer  = storage.SQL("customer.add_customer", `INSERT INTO cashout_customers (book_id, customer_id, phone_hash, phone, names, revision, created_at, changed_at)
		VALUES ($1, $2, $3, $4, NULL, 1, $5, $5) ON CONFLICT (book_id, phone_hash) DO NOTHING`)
	touchCustomer = storage.SQL("customer.touch_customer", `UPDATE cashout_customers SET names = $4, revision = revision + 1, changed_at = $5
		WHERE book_id = $1 AND customer_id = $2 AND revision = $3`)
)

func scanCustomer(r storage.Row) (c Customer, err error) {
	var created int64
	err = r.Scan(&c.Book, &c.ID, &c.name, &c.Revision, &created)
	c.HasName, c.CreatedAt = len(c.name) > 0, storage.Time(created)
	return c, err
}

var (
	addMatch = storage.SQL("customer.add_match", `INSERT INTO cashout_matches (book_id, order_id, revision, list, kind, subject, transaction_id, found_at,
		asked_by, asked_why, asked_at, cleared_by, cleared_why, cleared_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', '', NULL, '', '', NULL)`)
	listMatches = storage.Lookup("customer.list_matches", `SELECT book_id, order_id, revision, list, kind, subject, transaction_id, found_at,
		asked_by, asked_why, asked_at, cleared_by, cleared_why, cleared_at FROM cashout_matches
		WHERE (book_id, order_id) IN ({values}) ORDER BY book_id, order_id, revision`, "TEXT", "TEXT")
	// askMatch changes nothing where somebody else asks, or the match is cleared.
	askMatch = storage.SQL("customer.ask_match", `UPDATE cashout_matches SET asked_by = $4, asked_why = $5, asked_at = $6
		WHERE book_id = $1 AND order_id = $2 AND revision = $3 AND asked_by IN ('', $4) AND cleared_at IS NULL`)
	// clearMatch and keepMatch are about what one person asked for, and when.
	clearMatch = storage.SQL("customer.clear_match", `UPDATE cashout_matches SET cleared_by = $6, cleared_why = $7, cleared_at = $8
		WHERE book_id = $1 AND order_id = $2 AND revision = $3 AND asked_by = $4 AND asked_at = $5 AND cleared_at IS NULL`)
	keepMatch = storage.SQL("customer.keep_match", `UPDATE cashout_matches SET asked_by = '', asked_why = '', asked_at = NULL
		WHERE book_id = $1 AND order_id = $2 AND revision = $3 AND asked_by = $4 AND asked_at = $5 AND cleared_at IS NULL`)
)

func scanBlock(r storage.Row) (b Block, err error) {
	var found int64
	var asked, cleared sql.NullInt64
	err = r.Scan(&b.Book, &b.Order, &b.Revision, &b.List, &b.Kind, &b.Subject, &b.Transaction, &found, &b.Asked.By, &b.Asked.Why, &asked, &b.Cleared.By, &b.Cleared.Why, &cleared)
	b.FoundAt, b.Asked.At, b.Cleared.At = storage.Time(found), storage.NullTime(asked), storage.NullTime(cleared)
	return b, err
}
