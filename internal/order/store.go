package order

import (
	"maps"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	columns = `book_id, order_id, realm, transaction_id, hold_id, credential, item_code, product_name, brand, quantity, currency,
		charged_minor, amount_minor, face_minor, face_currency, email, tries, given_up, status, created_at, changed_at`
	listed  = `SELECT ` + columns + ` FROM orders WHERE book_id = $3 ORDER BY `
	inState = `SELECT ` + columns + ` FROM orders WHERE book_id = $3 AND status = $4 ORDER BY `
	paged   = ` LIMIT $1 OFFSET $2`

	changeColumns = `book_id, seq, order_id, transaction_id, kind, codes, currency, refunded_minor, changed_at`
)

var (
	insertOrder = storage.Insert("order.insert_order", "orders", "book_id", "order_id", "realm", "transaction_id", "hold_id",
		"credential", "item_code", "product_name", "brand", "quantity", "currency", "charged_minor", "amount_minor", "face_minor",
		"face_currency", "email", "tries", "given_up", "status", "created_at", "changed_at")
	findOrder = storage.SQL("order.find_order", `SELECT `+columns+` FROM orders WHERE book_id = $1 AND order_id = $2`)
	scanAll   = storage.SQL("order.scan_all", `SELECT `+columns+` FROM orders WHERE realm = $1
		AND (created_at, book_id, order_id) < ($2, $3, $4) ORDER BY created_at DESC, book_id DESC, order_id DESC LIMIT $5`)
	scanBook = storage.SQL("order.scan_book", `SELECT `+columns+` FROM orders WHERE book_id = $1 AND order_id < $2 ORDER BY order_id DESC LIMIT $3`)

	loadOrders = storage.Lookup("order.load_orders", `SELECT `+columns+` FROM orders WHERE (book_id, order_id) IN ({values})`, "TEXT", "BIGINT")
	findPayers = storage.Lookup("order.find_payers", `SELECT transaction_id, order_id FROM orders
		WHERE transaction_id <> '' AND (book_id, transaction_id) IN ({values})`, "TEXT", "TEXT")
	lastOrder   = storage.SQL("order.last_order", `SELECT COALESCE(MAX(order_id), 0) FROM orders WHERE book_id = $1`)
	createdAt   = storage.SQL("order.created_at", `SELECT created_at FROM orders WHERE book_id = $1 AND order_id = $2`)
	listBetween = storage.SQL("order.list_between", `SELECT `+columns+` FROM orders WHERE book_id = $1 AND order_id > $2 AND order_id <= $3
		ORDER BY order_id LIMIT $4`)
	// changeOrder holds an order that is completed, and keeps it so or not.
	changeOrder = storage.SQL("order.change_order", `UPDATE orders SET status = $3, changed_at = $4
		WHERE book_id = $1 AND order_id = $2 AND status = 'completed'`)

	// What follows changes an order under way, as it was read: nobody may have gone on
	// with it meanwhile.
	finishOrder = storage.SQL("order.finish_order", `UPDATE orders SET status = $3, transaction_id = $4, changed_at = $5
		WHERE book_id = $1 AND order_id = $2 AND status = 'processing' AND tries = $6`)
	tryOrder = storage.SQL("order.try_order", `UPDATE orders SET tries = tries + 1, changed_at = $3
		WHERE book_id = $1 AND order_id = $2 AND status = 'processing' AND tries = $4 AND given_up = 0`)
	giveUpOrder = storage.SQL("order.give_up_order", `UPDATE orders SET given_up = 1, changed_at = $3
		WHERE book_id = $1 AND order_id = $2 AND status = 'processing'`)

	// Replacements of dead codes, likewise.
	insertExchange = storage.Insert("order.insert_exchange", "order_replacements", "book_id", "remedy", "order_id", "realm", "actor", "tries", "given_up",
		"status", "created_at", "changed_at")
	insertDying  = storage.Insert("order.insert_dying", "order_replacement_codes", "book_id", "remedy", "place", "code_id", "currency", "left_minor")
	findExchange = storage.SQL("order.find_exchange", `SELECT book_id, remedy, order_id, realm, actor, tries, given_up, status, created_at, changed_at
		FROM order_replacements WHERE book_id = $1 AND remedy = $2`)
	listExchanges = storage.SQL("order.list_exchanges", `SELECT book_id, remedy, order_id, realm, actor, tries, given_up, status, created_at, changed_at
		FROM order_replacements WHERE book_id = $1 AND order_id = $2 AND status = 'processing' ORDER BY remedy`)
	listDying      = storage.SQL("order.list_dying", `SELECT code_id, left_minor FROM order_replacement_codes WHERE book_id = $1 AND remedy = $2 ORDER BY place`)
	finishExchange = storage.SQL("order.finish_exchange", `UPDATE order_replacements SET status = $3, changed_at = $4
		WHERE book_id = $1 AND remedy = $2 AND status = 'processing' AND tries = $5`)
	tryExchange = storage.SQL("order.try_exchange", `UPDATE order_replacements SET tries = tries + 1, changed_at = $3
		WHERE book_id = $1 AND remedy = $2 AND status = 'processing' AND tries = $4 AND given_up = 0`)
	giveUpExchange = storage.SQL("order.give_up_exchange", `UPDATE order_replacements SET given_up = 1, changed_at = $3
		WHERE book_id = $1 AND remedy = $2 AND status = 'processing'`)

	listNewest   = storage.SQL("order.list_newest", listed+`order_id DESC`+paged)
	listOldest   = storage.SQL("order.list_oldest", listed+`order_id`+paged)
	listDearest  = storage.SQL("order.list_dearest", listed+`amount_minor DESC, order_id DESC`+paged)
	listCheapest = storage.SQL("order.list_cheapest", listed+`amount_minor, order_id`+paged)
	listStatusZA = storage.SQL("order.list_status_za", listed+`status DESC, order_id DESC`+paged)
	listStatusAZ = storage.SQL("order.list_status_az", listed+`status, order_id`+paged)

	listNewestIn   = storage.SQL("order.list_newest_in", inState+`order_id DESC`+paged)
	listOldestIn   = storage.SQL("order.list_oldest_in", inState+`order_id`+paged)
	listDearestIn  = storage.SQL("order.list_dearest_in", inState+`amount_minor DESC, order_id DESC`+paged)
	listCheapestIn = storage.SQL("order.list_cheapest_in", inState+`amount_minor, order_id`+paged)

	listLargest    = storage.SQL("order.list_largest", listed+byNumber(" DESC")+paged)
	listSmallest   = storage.SQL("order.list_smallest", listed+byNumber("")+paged)
	listLargestIn  = storage.SQL("order.list_largest_in", inState+byNumber(" DESC")+paged)
	listSmallestIn = storage.SQL("order.list_smallest_in", inState+byNumber("")+paged)
)

// byNumber orders by the amount as a number, whatever its currency: by its whole part, then
// by the rest in hundred-millionths. No index has that.
func byNumber(direction string) string {
	digits := map[int][]string{}
	for _, c := range money.List() {
		digits[c.Digits()] = append(digits[c.Digits()], "'"+c.String()+"'")
	}
	unit := "CASE"
	for _, n := range slices.Sorted(maps.Keys(digits)) {
		unit += " WHEN currency IN (" + strings.Join(digits[n], ", ") + ") THEN 1" + strings.Repeat("0", n)
	}
	unit = "(" + unit + " END)"
	return "amount_minor / " + unit + direction + ", amount_minor % " + unit + " * (100000000 / " + unit + ")" + direction + ", order_id" + direction
}

// Changes of orders.
var (
	insertChange = storage.Insert("order.insert_change", "order_changes", "book_id", "seq", "order_id", "transaction_id", "kind", "codes", "currency",
		"refunded_minor", "changed_at")
	loadChanges = storage.Lookup("order.load_changes", `SELECT `+changeColumns+` FROM order_changes
		WHERE (book_id, order_id) IN ({values}) ORDER BY seq`, "TEXT", "BIGINT")
	listChanges = storage.SQL("order.list_changes", `SELECT `+changeColumns+` FROM order_changes
		WHERE book_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`)
)

// sorting is a sort in one direction, of orders in all statuses or in one.
type sorting struct {
	by        Sort
	ascending bool
	one       bool
}

// lists are the statements of List. Numbers are given out in order of time.
var lists = map[sorting]*storage.Statement{
	{ByCreated, false, false}: listNewest, {ByCreated, true, false}: listOldest,
	{ByAmount, false, false}: listDearest, {ByAmount, true, false}: listCheapest,
	{ByStatus, false, false}: listStatusZA, {ByStatus, true, false}: listStatusAZ,
	{ByCreated, false, true}: listNewestIn, {ByCreated, true, true}: listOldestIn,
	{ByAmount, false, true}: listDearestIn, {ByAmount, true, true}: listCheapestIn,
	{ByStatus, false, true}: listNewestIn, {ByStatus, true, true}: listOldestIn,
}

// mixed are those by amount for a book that pays in currencies with different decimals.
var mixed = map[sorting]*storage.Statement{
	{ByAmount, false, false}: listLargest, {ByAmount, true, false}: listSmallest,
	{ByAmount, false, true}: listLargestIn, {ByAmount, true, true}: listSmallestIn,
}

func (o *Order) row() []any {
	return []any{string(o.Book), int64(o.Number), string(o.Realm), string(o.Transaction), string(o.Hold),
		o.Credential, string(o.Item), o.Product, o.Brand, o.Quantity, o.Amount.Currency.String(), o.Price.Minor, o.Amount.Minor, o.Face.Minor, o.Face.Currency.String(), o.Email, int64(o.Tries), storage.Bit(o.GivenUp),
		string(o.Status), storage.Micros(o.CreatedAt), storage.Micros(o.ChangedAt)}
}

func scanOrder(r storage.Row) (o Order, err error) {
	var charged, worth string
	var price, amount, face, givenUp, created, changed int64
	err = r.Scan(&o.Book, &o.Number, &o.Realm, &o.Transaction, &o.Hold, &o.Credential, &o.Item, &o.Product, &o.Brand, &o.Quantity, &charged,
		&price, &amount, &face, &worth, &o.Email, &o.Tries, &givenUp, &o.Status, &created, &changed)
	o.GivenUp = givenUp == 1
	if err != nil {
		return o, err
	}
	paid, err := money.Parse(charged)
	if err != nil {
		return o, err
	}
	shown, err := money.Parse(worth)
	if err != nil {
		return o, err
	}
	o.Price, o.Amount, o.Face = catalog.NewCharged(price, paid), catalog.NewCharged(amount, paid), catalog.NewFace(face, shown)
	o.CreatedAt, o.ChangedAt = storage.Time(created), storage.Time(changed)
	o.TotalFace, err = o.Face.Times(o.Quantity)
	return o, err
}

func (c *Change) row() []any {
	return []any{string(c.Book), c.Seq, int64(c.Order), string(c.Transaction), c.Kind, c.Codes, c.Refunded.Currency.String(), c.Refunded.Minor, storage.Micros(c.At)}
}

func scanChange(r storage.Row) (c Change, err error) {
	var currency string
	var minor, at int64
	if err = r.Scan(&c.Book, &c.Seq, &c.Order, &c.Transaction, &c.Kind, &c.Codes, &currency, &minor, &at); err != nil {
		return c, err
	}
	parsed, err := money.Parse(currency)
	c.Refunded, c.At = catalog.NewCharged(minor, parsed), storage.Time(at)
	return c, err
}

// payer is a transaction in an order's row.
type payer struct {
	transaction ledger.TransactionID
	order       Number
}

func scanPayer(r storage.Row) (p payer, err error) {
	err = r.Scan(&p.transaction, &p.order)
	return p, err
}

func (r *Replacement) row() []any {
	return []any{string(r.Book), r.Key, int64(r.Order), string(r.Realm), r.Actor, int64(r.Tries), storage.Bit(r.GivenUp), string(r.Status), storage.Micros(r.CreatedAt),
		storage.Micros(r.ChangedAt)}
}

func scanExchange(row storage.Row) (r Replacement, err error) {
	var givenUp, created, changed int64
	err = row.Scan(&r.Book, &r.Key, &r.Order, &r.Realm, &r.Actor, &r.Tries, &givenUp, &r.Status, &created, &changed)
	r.GivenUp, r.CreatedAt, r.ChangedAt = givenUp == 1, storage.Time(created), storage.Time(changed)
	return r, err
}

// dyingCode is a dead code of a replacement, and what its gift card had when it was decided.
type dyingCode struct {
	code stock.CodeID
	left int64
}

func scanDying(r storage.Row) (c dyingCode, err error) {
	err = r.Scan((*string)(&c.code), &c.left)
	return c, err
}
