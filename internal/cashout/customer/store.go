package customer

import "github.com/scripcards/scrip/internal/platform/storage"

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
