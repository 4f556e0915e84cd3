package order

import (
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	columns = `book_id, order_id, realm, transaction_id, hold_id, hold_transaction_id, credential, item_code, product_name, brand, quantity, currency,
		charged_minor, amount_minor, face_minor, face_currency, email, tries, given_up, status, created_at, changed_at`
	listed  = `SELECT ` + columns + ` FROM orders WHERE book_id = $3 ORDER BY `
	inState = `SELECT ` + columns + ` FROM orders WHERE book_id = $3 AND status = $4 ORDER BY `
	paged   = ` LIMIT $1 OFFSET $2`
)

var (
	insertOrder = storage.Insert("order.insert_order", "orders", "book_id", "order_id", "order_no", "realm", "transaction_id", "hold_id",
		"hold_transaction_id", "credential", "item_code", "product_name", "brand", "quantity", "currency", "charged_minor", "amount_minor", "face_minor",
		"face_currency", "email", "tries", "given_up", "status", "created_at", "changed_at")
	findOrder = storage.SQL("order.find_order", `SELECT `+columns+` FROM orders WHERE book_id = $1 AND order_id = $2`)
	scanAll   = storage.SQL("order.scan_all", `SELECT `+columns+` FROM orders WHERE realm = $1
		AND (created_at, book_id, order_id) < ($2, $3, $4) ORDER BY created_at DESC, book_id DESC, order_id DESC LIMIT $5`)
	scanBook = storage.SQL("order.scan_book", `SELECT `+columns+` FROM orders WHERE book_id = $1 AND order_id < $2 ORDER BY order_id DESC LIMIT $3`)

	// What follows changes an order under way, as it was read: nobody may have gone on
	// with it meanwhile.
	finishOrder = storage.SQL("order.finish_order", `UPDATE orders SET status = $3, transaction_id = $4, changed_at = $5
		WHERE book_id = $1 AND order_id = $2 AND status = 'processing' AND tries = $6`)
	tryOrder = storage.SQL("order.try_order", `UPDATE orders SET tries = tries + 1, changed_at = $3
		WHERE book_id = $1 AND order_id = $2 AND status = 'processing' AND tries = $4 AND given_up = 0`)
	giveUpOrder = storage.SQL("order.give_up_order", `UPDATE orders SET given_up = 1, changed_at = $3
		WHERE book_id = $1 AND order_id = $2 AND status = 'processing'`)

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

func (o *Order) row() []any {
	return []any{string(o.Book), int64(o.Number), o.Name(), string(o.Realm), string(o.Transaction), string(o.Hold), string(o.HoldTransaction),
		o.Credential, string(o.Item), o.Product, o.Brand, o.Quantity, o.Amount.Currency.String(), o.Price.Minor, o.Amount.Minor, o.Face.Minor, o.Face.Currency.String(), o.Email, int64(o.Tries), bit(o.GivenUp),
		string(o.Status), storage.Micros(o.CreatedAt), storage.Micros(o.ChangedAt)}
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func scanOrder(r storage.Row) (o Order, err error) {
	var charged, worth string
	var price, amount, face, givenUp, created, changed int64
	err = r.Scan(&o.Book, &o.Number, &o.Realm, &o.Transaction, &o.Hold, &o.HoldTransaction, &o.Credential, &o.Item, &o.Product, &o.Brand, &o.Quantity, &charged,
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
