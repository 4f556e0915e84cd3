package stock

import (
	"database/sql"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	codeColumns  = `c.code_id, c.item_code, c.code_sealed, c.currency, c.cost_minor, c.state, c.expires_at, c.sold_at`
	batchColumns = `b.batch_id, b.realm, b.item_code, b.name, b.supplier, b.state, b.reason, b.actor, b.created_at, b.changed_at`

	// isOpen is a condition on a code c: its batch is not in quarantine. It is a value
	// and not an EXISTS, which PostgreSQL makes a join of and then reads all codes there are.
	isOpen = `(SELECT b.state FROM stock_batches b WHERE b.batch_id = c.batch_id) = 'open'`
	// forSale is a code of realm $1 and item $2 that can be sold at $3.
	forSale = `FROM stock_codes c WHERE c.realm = $1 AND c.item_code = $2 AND c.state = 'available' AND c.expires_at > $3 AND ` + isOpen
)

// Codes.
var (
	insertCode = storage.Insert("stock.insert_code", "stock_codes", "code_id", "realm", "item_code", "batch_id", "line", "code_hash", "code_sealed",
		"currency", "cost_minor", "state", "expires_at", "buyer", "order_id", "sold_at", "created_at")
	findHashes = storage.Lookup("stock.find_hashes", `SELECT c.code_hash, c.batch_id, c.line FROM stock_codes c
		WHERE c.realm = $1 AND c.code_hash IN ({values})`, "BYTEA")
	pickCodes  = storage.SQL("stock.pick_codes", `SELECT `+codeColumns+` `+forSale+` ORDER BY c.expires_at, c.code_id LIMIT $4 OFFSET $5`)
	countCodes = storage.SQL("stock.count_codes", `SELECT COUNT(*) FROM (SELECT 1 AS one `+forSale+` ORDER BY c.expires_at LIMIT $4) AS counted`)
	inStock    = storage.Lookup("stock.in_stock", `WITH wanted (item_code) AS ({values}) SELECT w.item_code FROM wanted w
		WHERE (SELECT 1 FROM stock_codes c WHERE c.realm = $1 AND c.item_code = w.item_code AND c.state = 'available' AND c.expires_at > $2
		AND `+isOpen+` LIMIT 1) = 1`, "TEXT")
	sellCode = storage.SQL("stock.sell_code", `UPDATE stock_codes SET state = 'sold', buyer = $2, order_id = $3, sold_at = $4
		WHERE code_id = $1 AND state = 'available' AND expires_at > $4
		AND EXISTS (SELECT 1 FROM stock_batches b WHERE b.batch_id = stock_codes.batch_id AND b.state = 'open')`)
	listSold = storage.SQL("stock.list_sold", `SELECT `+codeColumns+` FROM stock_codes c
		WHERE c.buyer = $1 AND c.order_id = $2 AND c.sold_at IS NOT NULL AND c.state <> 'replaced' AND c.realm = $3 ORDER BY COALESCE(c.origin, c.code_id)`)
	listHeld = storage.SQL("stock.list_held", `SELECT c.code_id, COALESCE(c.origin, c.code_id), c.state, c.sold_at FROM stock_codes c
		WHERE c.buyer = $1 AND c.order_id = $2 AND c.sold_at IS NOT NULL
		ORDER BY COALESCE(c.origin, c.code_id), CASE c.state WHEN 'replaced' THEN 0 ELSE 1 END, c.code_id LIMIT $3`)
	retireCode = storage.SQL("stock.retire_code", `UPDATE stock_codes SET state = $5
		WHERE code_id = $1 AND buyer = $2 AND order_id = $3 AND state = $4`)
	placeCode = storage.SQL("stock.place_code", `UPDATE stock_codes SET order_id = $4, origin = $5
		WHERE code_id = $1 AND buyer = $2 AND order_id = $3 AND state = 'sold'`)
	tallyOrders = storage.Lookup("stock.tally_orders", `SELECT c.order_id,
		SUM(CASE WHEN c.state IN ('sold', 'replacing') THEN 1 ELSE 0 END), SUM(CASE c.state WHEN 'replaced' THEN 1 ELSE 0 END), SUM(CASE c.state WHEN 'refunded' THEN 1 ELSE 0 END)
		FROM stock_codes c WHERE c.sold_at IS NOT NULL AND (c.buyer, c.order_id) IN ({values}) GROUP BY c.order_id`, "TEXT", "TEXT")
	listSales = storage.SQL("stock.list_sales", `SELECT c.code_id, c.buyer, c.order_id, c.sold_at FROM stock_codes c
		WHERE c.realm = $1 AND c.sold_at IS NOT NULL AND c.sold_at >= $2 AND c.sold_at < $3 AND (c.sold_at > $2 OR c.code_id > $4)
		ORDER BY c.sold_at, c.code_id LIMIT $5`)
)

// Codes that were delivered for an order.
var (
	listReserved = storage.SQL("stock.list_reserved", `SELECT `+codeColumns+` FROM stock_codes c
		WHERE c.buyer = $1 AND c.order_id = $2 AND c.state = 'reserved' ORDER BY c.code_id`)
	sellReserved = storage.SQL("stock.sell_reserved", `UPDATE stock_codes SET state = 'sold', sold_at = $3
		WHERE buyer = $1 AND order_id = $2 AND state = 'reserved'`)
	// inReserve is one look at the codes of orders under way, of which there are never many.
	inReserve = storage.Lookup("stock.in_reserve", `SELECT DISTINCT c.item_code FROM stock_codes c
		WHERE c.state = 'reserved' AND c.item_code IN ({values})`, "TEXT")
	freeReserved = storage.SQL("stock.free_reserved", `UPDATE stock_codes SET state = $3, buyer = '', order_id = ''
		WHERE buyer = $1 AND order_id = $2 AND state = 'reserved'`)
)

// soldWith are the codes of an order with where they came from, those that were dead among
// them, by their places.
var soldWith = storage.SQL("stock.sold_with", `SELECT `+codeColumns+`, b.batch_id, b.name, b.supplier, COALESCE(c.origin, c.code_id) FROM stock_codes c
	JOIN stock_batches b ON b.batch_id = c.batch_id
	WHERE c.buyer = $1 AND c.order_id = $2 AND c.sold_at IS NOT NULL
	ORDER BY COALESCE(c.origin, c.code_id), CASE c.state WHEN 'replaced' THEN 0 ELSE 1 END, c.code_id LIMIT $3`)

// Reveals.
var (
	insertReveal = storage.Insert("stock.insert_reveal", "stock_reveals", "book_id", "reveal_id", "order_id", "actor", "revealed_at")
	// firstLook passes over looks at answers that were given before, with the codes of then.
	firstLook = storage.SQL("stock.first_look", `SELECT r.actor, r.revealed_at FROM stock_reveals r
		WHERE r.book_id = $1 AND r.order_id = $2 AND r.revealed_at >= $3 AND r.reveal_id NOT LIKE '`+repeatPrefix+`%' ORDER BY r.revealed_at, r.reveal_id LIMIT 1`)
	listReveals = storage.SQL("stock.list_reveals", `SELECT r.actor, r.revealed_at FROM stock_reveals r
		WHERE r.book_id = $1 AND r.order_id = $2 ORDER BY r.revealed_at, r.reveal_id LIMIT $3`)
)

// Batches.
var (
	insertBatch = storage.Insert("stock.insert_batch", "stock_batches", "batch_id", "realm", "item_code", "name", "supplier", "state", "reason", "actor",
		"created_at", "changed_at")
	findBatch = storage.SQL("stock.find_batch", `SELECT `+batchColumns+` FROM stock_batches b WHERE b.realm = $1 AND b.item_code = $2 AND b.name = $3 {lock}`)
	peekBatch = storage.SQL("stock.peek_batch", `SELECT `+batchColumns+` FROM stock_batches b WHERE b.realm = $1 AND b.item_code = $2 AND b.name = $3`)
	hasBatch  = storage.SQL("stock.has_batch", `SELECT 1 FROM stock_batches b WHERE b.realm = $1 AND b.item_code = $2 LIMIT 1`)
	listBatch = storage.SQL("stock.list_batches", `SELECT `+batchColumns+` FROM stock_batches b
		WHERE b.realm = $1 AND b.item_code = $2 ORDER BY b.created_at DESC, b.batch_id DESC LIMIT $3`)
	pageBatches = storage.SQL("stock.page_batches", `SELECT `+batchColumns+` FROM stock_batches b
		WHERE b.realm = $1 AND b.item_code = $2 AND b.batch_id < $3 ORDER BY b.batch_id DESC LIMIT $4`)
	batchByID   = storage.SQL("stock.batch_by_id", `SELECT `+batchColumns+` FROM stock_batches b WHERE b.batch_id = $1`)
	countStates = storage.SQL("stock.count_states", `SELECT c.state, COUNT(*) FROM stock_codes c WHERE c.batch_id = $1 GROUP BY c.state`)
	markBatch   = storage.SQL("stock.mark_batch", `UPDATE stock_batches SET state = $2, reason = $3, changed_at = $4 WHERE batch_id = $1`)
	// moveCodes moves at most $4 codes of a batch from a state to another while the batch
	// is in state $5. It looks twice: a code may be sold meanwhile.
	moveCodes = storage.SQL("stock.move_codes", `UPDATE stock_codes SET state = $3 WHERE state = $2 AND code_id IN (
		SELECT c.code_id FROM stock_codes c WHERE c.batch_id = $1 AND c.state = $2
		AND EXISTS (SELECT 1 FROM stock_batches b WHERE b.batch_id = $1 AND b.state = $5) ORDER BY c.code_id LIMIT $4)`)
)

// Levels.
var (
	findLevel  = storage.SQL("stock.find_level", `SELECT l.state FROM stock_levels l WHERE l.realm = $1 AND l.item_code = $2`)
	listLevels = storage.SQL("stock.list_levels", `SELECT l.item_code, l.codes, l.changed_at FROM stock_levels l
		WHERE l.realm = $1 AND l.state = 'low' ORDER BY l.item_code LIMIT $2`)
	// tellLevel changes nothing where the same state was told before: of several processes one tells.
	tellLevel = storage.SQL("stock.tell_level", `INSERT INTO stock_levels (realm, item_code, state, codes, changed_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (realm, item_code) DO UPDATE SET state = excluded.state, codes = excluded.codes, changed_at = excluded.changed_at
		WHERE stock_levels.state <> excluded.state`)
)

// Sealed is a code as it is stored: its text and its PIN are for Open.
type Sealed struct {
	Code
	sealed []byte
}

func scanCode(r storage.Row) (c Sealed, err error) {
	var (
		currency      string
		cost, expires int64
		sold          sql.NullInt64
	)
	err = r.Scan((*string)(&c.ID), (*string)(&c.Item), &c.sealed, &currency, &cost, (*string)(&c.State), &expires, &sold)
	if err != nil {
		return c, err
	}
	c.ExpiresAt, c.SoldAt = expiresAt(expires), storage.NullTime(sold)
	if currency == "" {
		return c, nil
	}
	parsed, err := money.Parse(currency)
	c.Cost = catalog.NewCost(cost, parsed)
	return c, err
}

func scanItem(r storage.Row) (item catalog.ItemCode, err error) {
	err = r.Scan((*string)(&item))
	return item, err
}

// present is a code that is in stock, as an upload meets it.
type present struct {
	hash  [32]byte
	batch BatchID
	line  int
}

func scanPresent(r storage.Row) (p present, err error) {
	var hash []byte
	err = r.Scan(&hash, (*string)(&p.batch), &p.line)
	copy(p.hash[:], hash)
	return p, err
}

func scanBatch(r storage.Row) (b Batch, err error) {
	var created, changed int64
	err = r.Scan((*string)(&b.ID), (*string)(&b.Realm), (*string)(&b.Item), &b.Name, &b.Supplier, (*string)(&b.State), &b.Reason, &b.Actor, &created, &changed)
	b.CreatedAt, b.ChangedAt = storage.Time(created), storage.Time(changed)
	return b, err
}

// tally is how many codes are in a state.
type tally struct {
	state State
	n     int
}

func scanTally(r storage.Row) (t tally, err error) {
	err = r.Scan((*string)(&t.state), &t.n)
	return t, err
}

func scanHeld(r storage.Row) (h Held, err error) {
	var sold int64
	err = r.Scan((*string)(&h.ID), (*string)(&h.origin), (*string)(&h.State), &sold)
	h.SoldAt = storage.Time(sold)
	return h, err
}

func scanLook(r storage.Row) (l Look, err error) {
	var at int64
	err = r.Scan(&l.Actor, &at)
	l.At = storage.Time(at)
	return l, err
}

func scanTallies(r storage.Row) (t Tally, err error) {
	err = r.Scan(&t.Order, &t.Sold, &t.Replaced, &t.Refunded)
	return t, err
}

func scanSale(r storage.Row) (s Sale, err error) {
	var at int64
	err = r.Scan((*string)(&s.ID), (*string)(&s.Book), &s.Order, &at)
	s.At = storage.Time(at)
	return s, err
}
