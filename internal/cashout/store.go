package cashout

import (
	"database/sql"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const columns = `o.book_id, o.order_id, o.realm, o.status, o.revision, o.currency, o.amount_minor, o.price_minor, o.market_minor, o.priced_at, o.locked_until,
	o.satoshis, o.phone, o.destination, o.method, o.customer_id, o.needs_document, o.round, o.payout_id, o.proof, o.reason, o.created_at, o.changed_at, o.authorized_at, o.submitted_at, o.decided_at,
	o.expires_at`

// Desks.
var (
	insertDesk = storage.Insert("cashout.insert_desk", "cashout_desks", "realm", "book_id")
	findDesk   = storage.SQL("cashout.find_desk", `SELECT book_id FROM cashout_desks WHERE realm = $1`)
)

// Orders.
var (
	insertOrder = storage.Insert("cashout.insert_order", "cashout_orders", "book_id", "order_id", "token_hash", "realm", "status", "revision", "currency", "amount_minor",
		"price_minor", "market_minor", "priced_at", "locked_until", "satoshis", "phone", "destination", "method", "customer_id", "needs_document", "round", "payout_id", "proof", "reason",
		"created_at", "changed_at", "authorized_at", "submitted_at", "decided_at", "expires_at")
	findByToken = storage.SQL("cashout.find_by_token", `SELECT `+columns+` FROM cashout_orders o WHERE o.book_id = $1 AND o.token_hash = $2`)
	findOrder   = storage.SQL("cashout.find_order", `SELECT `+columns+` FROM cashout_orders o WHERE o.book_id = $1 AND o.order_id = $2`)
	lockOrder   = storage.SQL("cashout.lock_order", `SELECT `+columns+` FROM cashout_orders o WHERE o.book_id = $1 AND o.order_id = $2 {lock}`)
	// reviseOrder changes nothing where the order is not as it was read.
	reviseOrder = storage.SQL("cashout.revise_order", `UPDATE cashout_orders SET status = $4, revision = revision + 1, price_minor = $5, market_minor = $6, satoshis = $7,
		phone = $8, destination = $9, method = $10, customer_id = $11, needs_document = $12, round = $13, payout_id = $14, proof = $15, reason = $16,
		changed_at = $17, authorized_at = $18, submitted_at = $19, decided_at = $20, expires_at = $21, priced_at = $22, locked_until = $23 WHERE book_id = $1 AND order_id = $2 AND revision = $3`)
	// endOrder is told of a payout: no other one than the order waits for changes it.
	endOrder = storage.SQL("cashout.end_order", `UPDATE cashout_orders SET status = $4, proof = $5, reason = $6, changed_at = $7, revision = revision + 1
		WHERE book_id = $1 AND order_id = $2 AND payout_id = $3 AND status = 'approved'`)
	// proveOrder is told of a transaction that took the place of the one that paid an order.
	proveOrder = storage.SQL("cashout.prove_order", `UPDATE cashout_orders SET proof = $4, changed_at = $5, revision = revision + 1
		WHERE book_id = $1 AND order_id = $2 AND payout_id = $3 AND status = 'completed' AND proof <> $4`)
	// sumVolume says that there is a customer, as only orders that have one are in the index by customers.
	sumVolume = storage.SQL("cashout.sum_volume", `SELECT COALESCE(SUM(amount_minor), 0) FROM cashout_orders WHERE book_id = $1 AND customer_id = $2
		AND customer_id <> '' AND authorized_at > $3 AND status IN ('authorized', 'processing', 'approved', 'completed', 'blocked')`)
	// listDue is in no order, so that of many only so many are read.
	listDue = storage.SQL("cashout.list_due", `SELECT `+columns+` FROM cashout_orders o WHERE o.book_id = $1 AND o.expires_at <= $2
		AND o.status IN ('created', 'confirmed', 'authorized') LIMIT $3`)
	// forgetOrders removes orders that nobody confirmed, forgetCodes the codes that were sent for orders.
	forgetOrders = storage.Lookup("cashout.forget_orders", `WITH wanted (order_id) AS ({values})
		DELETE FROM cashout_orders WHERE book_id = $1 AND status = 'created' AND order_id IN (SELECT order_id FROM wanted)`, "TEXT")
	forgetCodes = storage.Lookup("cashout.forget_codes", `WITH wanted (order_id) AS ({values})
		DELETE FROM cashout_codes WHERE book_id = $1 AND order_id IN (SELECT order_id FROM wanted)`, "TEXT")
	findAny    = storage.SQL("cashout.find_any", `SELECT 1 FROM cashout_orders o WHERE o.book_id = $1 LIMIT 1`)
	listOrders = storage.SQL("cashout.list_orders", `SELECT `+columns+` FROM cashout_orders o WHERE o.book_id = $1 AND o.order_id < $2
		ORDER BY o.order_id DESC LIMIT $3`)
	// listWaiting is for statuses that orders leave: of few orders, however many there have been,
	// it looks at those alone. To SQLite the order of ids seems to be worth more.
	listWaiting = storage.SQL("cashout.list_waiting", `SELECT `+columns+` FROM cashout_orders o WHERE o.book_id = $1 AND COALESCE(o.order_id, '') < $2
		AND o.status = $4 ORDER BY COALESCE(o.order_id, '') DESC LIMIT $3`)
	listInStatus = storage.SQL("cashout.list_in_status", `SELECT `+columns+` FROM cashout_orders o WHERE o.book_id = $1 AND o.order_id < $2 AND o.status = $4
		ORDER BY o.order_id DESC LIMIT $3`)
)

// Verdicts.
var (
	putVerdict = storage.Upsert("cashout.put_verdict", "cashout_verdicts", []string{"book_id", "order_id", "kind"}, "book_id", "order_id", "kind", "image_id", "verdict",
		"reason", "note", "actor", "decided_at")
	listVerdicts = storage.SQL("cashout.list_verdicts", `SELECT kind, image_id, verdict, reason, note, actor, decided_at FROM cashout_verdicts
		WHERE book_id = $1 AND order_id = $2`)
)

// insert is the effect of a new order's row, with the hash of its token.
func (o *Order) insert(token []byte) storage.Effect {
	return insertOrder.Row(string(o.Book), string(o.ID), token, string(o.Realm), string(o.Status), o.Revision, o.Amount.Currency.String(), o.Amount.Minor, o.Price.Cents.Minor,
		o.Price.Market.Minor, storage.NullMicros(o.Price.At), storage.NullMicros(o.LockedUntil), o.Bitcoin.Minor, storage.NullBytes(o.phone), o.To.Text, string(o.To.Method),
		string(o.Customer), storage.Bit(o.NeedsDocument), o.Round, o.Payout, o.Proof, o.Reason, storage.Micros(o.CreatedAt), storage.Micros(o.ChangedAt), storage.NullMicros(o.AuthorizedAt), storage.NullMicros(o.SubmittedAt),
		storage.NullMicros(o.DecidedAt), storage.Micros(o.ExpiresAt))
}

// revise is the effect of an order's change; it fails where the order changed meanwhile.
func (o *Order) revise() storage.Effect {
	return reviseOrder.With(string(o.Book), string(o.ID), o.Revision, string(o.Status), o.Price.Cents.Minor, o.Price.Market.Minor, o.Bitcoin.Minor,
		storage.NullBytes(o.phone), o.To.Text, string(o.To.Method), string(o.Customer), storage.Bit(o.NeedsDocument), o.Round, o.Payout, o.Proof, o.Reason,
		storage.Micros(o.ChangedAt), storage.NullMicros(o.AuthorizedAt), storage.NullMicros(o.SubmittedAt), storage.NullMicros(o.DecidedAt),
		storage.Micros(o.ExpiresAt), storage.NullMicros(o.Price.At), storage.NullMicros(o.LockedUntil)).Exactly(1)
}

func scanOrder(r storage.Row) (o Order, err error) {
	var (
		currency                         string
		needs, created, changed, expires int64
		authorized, submitted, decided   sql.NullInt64
		priced, locked                   sql.NullInt64
	)
	err = r.Scan(&o.Book, &o.ID, &o.Realm, &o.Status, &o.Revision, &currency, &o.Amount.Minor, &o.Price.Cents.Minor, &o.Price.Market.Minor, &priced, &locked, &o.Bitcoin.Minor,
		&o.phone, &o.To.Text, &o.To.Method, &o.Customer, &needs, &o.Round, &o.Payout, &o.Proof, &o.Reason, &created, &changed, &authorized, &submitted, &decided, &expires)
	if err != nil {
		return o, err
	}
	paid, err := money.Parse(currency)
	o.Amount.Currency, o.Price.Cents.Currency, o.Price.Market.Currency, o.Bitcoin.Currency = paid, paid, paid, money.BTC
	o.NeedsDocument = needs == 1
	o.CreatedAt, o.ChangedAt, o.ExpiresAt = storage.Time(created), storage.Time(changed), storage.Time(expires)
	o.AuthorizedAt, o.SubmittedAt, o.DecidedAt = storage.NullTime(authorized), storage.NullTime(submitted), storage.NullTime(decided)
	o.Price.At, o.LockedUntil = storage.NullTime(priced), storage.NullTime(locked)
	return o, err
}

func (v *Verdict) put(o *Order) storage.Effect {
	accepted := "rejected"
	if v.Accepted {
		accepted = "accepted"
	}
	return putVerdict.Row(string(o.Book), string(o.ID), string(v.Kind), v.Image, accepted, string(v.Reason), v.Note, v.Actor, storage.Micros(v.At))
}

func scanVerdict(r storage.Row) (v Verdict, err error) {
	var word string
	var at int64
	err = r.Scan(&v.Kind, &v.Image, &word, &v.Reason, &v.Note, &v.Actor, &at)
	v.Accepted, v.At = word == "accepted", storage.Time(at)
	return v, err
}
