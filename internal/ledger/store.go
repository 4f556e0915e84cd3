package ledger

import (
	"database/sql"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	accountColumns = `a.book_id, a.account_id, a.currency, a.side, a.floor_minor, a.state, a.opened_at, COALESCE(e.seq, 0),
		COALESCE(e.posted_debits_minor, 0), COALESCE(e.posted_credits_minor, 0), COALESCE(e.held_debits_minor, 0), COALESCE(e.held_credits_minor, 0)`
	// fromAccounts are accounts, each with its last entry, if it has one.
	fromAccounts = `ledger_accounts a LEFT JOIN ledger_entries e ON e.book_id = a.book_id AND e.account_id = a.account_id AND e.seq =
		(SELECT MAX(m.seq) FROM ledger_entries m WHERE m.book_id = a.book_id AND m.account_id = a.account_id)`
	sumColumns  = `e.posted_debits_minor, e.posted_credits_minor, e.held_debits_minor, e.held_credits_minor`
	holdColumns = `h.book_id, h.hold_id, h.realm, h.debit_account, h.credit_account, h.currency, h.amount_minor,
		h.captured_minor, h.released_minor, h.state, h.placed_at, h.expires_at, h.ended_at`
)

// What a batch reads: each statement once, for everything the batch concerns.
var (
	lockBooks = storage.Lookup("ledger.lock_books",
		`SELECT book_id, realm, transactions, head_hash, last_at FROM ledger_books WHERE book_id IN ({values}) ORDER BY book_id {lock}`, "TEXT")
	loadAccounts = storage.Lookup("ledger.load_accounts", `SELECT `+accountColumns+` FROM ({values}) AS v
		CROSS JOIN `+fromAccounts+` WHERE a.book_id = v.column1 AND a.account_id = v.column2`, "TEXT", "TEXT")
	loadHolds = storage.Lookup("ledger.load_holds", `SELECT `+holdColumns+` FROM ({values}) AS v
		CROSS JOIN ledger_holds h WHERE h.book_id = v.column1 AND h.hold_id = v.column2`, "TEXT", "TEXT")
	loadCounters = storage.Lookup("ledger.load_counters", `SELECT c.book_id, c.name, c.value FROM ({values}) AS v
		CROSS JOIN ledger_counters c WHERE c.book_id = v.column1 AND c.name = v.column2`, "TEXT", "TEXT")
	loadByKey = storage.Lookup("ledger.load_by_key", `SELECT t.body FROM ({values}) AS v
		CROSS JOIN ledger_transactions t WHERE t.book_id = v.column1 AND t.key = v.column2`, "TEXT", "TEXT")
	loadByID = storage.Lookup("ledger.load_by_id", `SELECT t.body FROM ({values}) AS v
		CROSS JOIN ledger_transactions t WHERE t.book_id = v.column1 AND t.seq = v.column2`, "TEXT", "BIGINT")
	loadReversals = storage.Lookup("ledger.load_reversals", `SELECT t.book_id, t.reverses FROM ({values}) AS v
		CROSS JOIN ledger_transactions t WHERE t.book_id = v.column1 AND t.reverses = v.column2`, "TEXT", "TEXT")
)

var holdWrites = []string{"book_id", "hold_id", "realm", "debit_account", "credit_account", "currency", "amount_minor", "captured_minor",
	"released_minor", "state", "placed_at", "expires_at", "ended_at"}

// What a batch writes.
var (
	insertBook = storage.Insert("ledger.insert_book", "ledger_books",
		"book_id", "realm", "transactions", "head_hash", "last_at", "opened_at")
	// updateBook is refused by the table where the book is not as the batch found it.
	updateBook = storage.SQL("ledger.update_book", `UPDATE ledger_books SET head_hash = $3, last_at = $4,
		transactions = CASE WHEN transactions = $5 AND head_hash = $6 THEN CAST($2 AS BIGINT) ELSE -1 END WHERE book_id = $1`)
	upsertAccounts = storage.Upsert("ledger.upsert_accounts", "ledger_accounts", []string{"book_id", "account_id"},
		"book_id", "account_id", "currency", "side", "floor_minor", "state", "opened_at")
	insertTransactions = storage.Insert("ledger.insert_transactions", "ledger_transactions",
		"book_id", "seq", "transaction_id", "kind", "key", "reference", "reverses", "body", "hash", "posted_at")
	insertEntries = storage.Insert("ledger.insert_entries", "ledger_entries",
		"book_id", "account_id", "seq", "transaction_seq", "side", "posted_minor", "held_minor",
		"posted_debits_minor", "posted_credits_minor", "held_debits_minor", "held_credits_minor", "posted_at")
	insertHolds    = storage.Insert("ledger.insert_holds", "ledger_holds", holdWrites...)
	upsertHolds    = storage.Upsert("ledger.upsert_holds", "ledger_holds", holdWrites[:2], holdWrites...)
	upsertCounters = storage.Upsert("ledger.upsert_counters", "ledger_counters", []string{"book_id", "name"}, "book_id", "name", "value")
)

// What is read outside of a batch.
var (
	findBook    = storage.SQL("ledger.find_book", `SELECT book_id, realm, opened_at FROM ledger_books WHERE book_id = $1`)
	findAccount = storage.SQL("ledger.find_account", `SELECT `+accountColumns+` FROM `+fromAccounts+` WHERE a.book_id = $1 AND a.account_id = $2`)
	findHold    = storage.SQL("ledger.find_hold", `SELECT `+holdColumns+` FROM ledger_holds h WHERE h.book_id = $1 AND h.hold_id = $2`)
	listAccount = storage.SQL("ledger.list_accounts", `SELECT `+accountColumns+` FROM `+fromAccounts+`
		WHERE a.book_id = $1 AND a.account_id >= $2 AND a.account_id <> $3 AND a.account_id < $4 ORDER BY a.account_id LIMIT $5`)
	findTransaction = storage.SQL("ledger.find_transaction", `SELECT body FROM ledger_transactions WHERE book_id = $1 AND seq = $2`)
	findByKey       = storage.SQL("ledger.find_by_key", `SELECT body FROM ledger_transactions WHERE book_id = $1 AND key = $2`)
	listTransaction = storage.SQL("ledger.list_transactions", `SELECT body FROM ledger_transactions
		WHERE book_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3`)
	busyBooks = storage.SQL("ledger.busy_books", `SELECT book_id FROM ledger_books
		WHERE realm = $1 AND last_at >= $2 AND book_id > $3 ORDER BY book_id LIMIT $4`)
	findReversals = storage.Lookup("ledger.find_reversals", `SELECT t.body FROM ({values}) AS v
		CROSS JOIN ledger_transactions t WHERE t.book_id = v.column1 AND t.reverses = v.column2`, "TEXT", "TEXT")
	countTransaction = storage.SQL("ledger.count_transactions", `SELECT transactions FROM ledger_books WHERE book_id = $1`)
	postedAt         = storage.SQL("ledger.posted_at", `SELECT posted_at FROM ledger_transactions WHERE book_id = $1 AND seq = $2`)
	listKinds        = storage.SQL("ledger.list_kinds", `SELECT body FROM ledger_transactions
		WHERE book_id = $1 AND seq > $2 AND seq <= $3 AND kind LIKE $4 ORDER BY seq LIMIT $5`)
	listEntries = storage.SQL("ledger.list_entries", `SELECT e.seq, t.transaction_id, t.kind, t.reference, e.side, e.posted_minor, e.held_minor,
		`+sumColumns+`, e.posted_at FROM ledger_entries e
		JOIN ledger_transactions t ON t.book_id = e.book_id AND t.seq = e.transaction_seq
		WHERE e.book_id = $1 AND e.account_id = $2 AND e.seq < $3 ORDER BY e.seq DESC LIMIT $4`)
	entryAt = storage.SQL("ledger.entry_at", `SELECT `+sumColumns+`, e.posted_at FROM ledger_entries e
		WHERE e.book_id = $1 AND e.account_id = $2 AND e.seq = $3`)
	dueHolds = storage.SQL("ledger.due_holds", `SELECT h.book_id, h.hold_id, h.expires_at FROM ledger_holds h
		WHERE h.state = 'pending' AND h.realm = $2 AND h.expires_at <= $1
		AND h.expires_at >= $3 AND (h.expires_at, h.book_id, h.hold_id) > ($3, $4, $5)
		ORDER BY h.expires_at, h.book_id, h.hold_id LIMIT $6`)
	// dueHoldsOn and sumOverdue look through what is over in a realm and not swept, which is what
	// came in a second or so: no index has what is held of an account.
	dueHoldsOn = storage.SQL("ledger.due_holds_on", `SELECT h.book_id, h.hold_id, h.expires_at FROM ledger_holds h
		WHERE h.state = 'pending' AND h.realm = $2 AND h.expires_at <= $1 AND h.book_id = $3 AND h.debit_account = $4
		ORDER BY h.expires_at, h.hold_id LIMIT $5`)
	sumOverdue = storage.SQL("ledger.sum_overdue", `SELECT CAST(COALESCE(SUM(h.amount_minor - h.captured_minor - h.released_minor), 0) AS BIGINT) FROM ledger_holds h
		WHERE h.state = 'pending' AND h.realm = $2 AND h.expires_at <= $1 AND h.book_id = $3 AND h.debit_account = $4`)
)

func scanBook(r storage.Row) (b Book, err error) {
	var opened int64
	err = r.Scan((*string)(&b.ID), (*string)(&b.Realm), &opened)
	b.OpenedAt = storage.Time(opened)
	return b, err
}

func scanBookState(r storage.Row) (*bookState, error) {
	b := &bookState{}
	err := r.Scan((*string)(&b.id), (*string)(&b.realm), &b.seq, &b.head, &b.lastAt)
	b.foundSeq, b.foundHead = b.seq, b.head
	return b, err
}

func scanAccount(r storage.Row) (*Account, error) {
	a, currency, err := scanAccountText(r)
	if err != nil {
		return nil, err
	}
	a.Currency, err = money.Parse(currency)
	return a, err
}

// scanAccountText leaves the currency as it is stored.
func scanAccountText(r storage.Row) (*Account, string, error) {
	var (
		a        Account
		currency string
		floor    sql.NullInt64
		opened   int64
	)
	err := r.Scan((*string)(&a.Book), (*string)(&a.ID), &currency, (*string)(&a.Side), &floor, (*string)(&a.State),
		&opened, &a.Entries, &a.PostedDebits, &a.PostedCredits, &a.HeldDebits, &a.HeldCredits)
	a.Floor, a.Unbounded, a.OpenedAt = floor.Int64, !floor.Valid, storage.Time(opened)
	return &a, currency, err
}

func (a *Account) row() []any {
	floor := sql.NullInt64{Int64: a.Floor, Valid: !a.Unbounded}
	return []any{string(a.Book), string(a.ID), a.Currency.String(), string(a.Side), floor, string(a.State), storage.Micros(a.OpenedAt)}
}

func scanHold(r storage.Row) (*Hold, error) {
	h, currency, err := scanHoldText(r)
	if err != nil {
		return nil, err
	}
	h.Amount.Currency, err = money.Parse(currency)
	h.Captured.Currency, h.Released.Currency = h.Amount.Currency, h.Amount.Currency
	return h, err
}

// scanHoldText leaves the currency as it is stored.
func scanHoldText(r storage.Row) (*Hold, string, error) {
	var (
		h              Hold
		currency       string
		placed         int64
		expires, ended sql.NullInt64
	)
	err := r.Scan((*string)(&h.Book), (*string)(&h.ID), (*string)(&h.Realm), (*string)(&h.Debit), (*string)(&h.Credit), &currency, &h.Amount.Minor,
		&h.Captured.Minor, &h.Released.Minor, (*string)(&h.State), &placed, &expires, &ended)
	h.PlacedAt, h.ExpiresAt, h.EndedAt = storage.Time(placed), storage.NullTime(expires), storage.NullTime(ended)
	return &h, currency, err
}

func scanDue(r storage.Row) (h dueHold, err error) {
	err = r.Scan((*string)(&h.book), (*string)(&h.id), &h.dueAt)
	return h, err
}

func (h *Hold) row() []any {
	return []any{string(h.Book), string(h.ID), string(h.Realm), string(h.Debit), string(h.Credit), h.Amount.Currency.String(), h.Amount.Minor,
		h.Captured.Minor, h.Released.Minor, string(h.State), storage.Micros(h.PlacedAt),
		storage.NullMicros(h.ExpiresAt), storage.NullMicros(h.EndedAt)}
}

func scanCounter(r storage.Row) (counter, error) {
	var c counter
	err := r.Scan((*string)(&c.name.book), &c.name.text, &c.value)
	return c, err
}

func scanName(r storage.Row) (name, error) {
	var n name
	err := r.Scan((*string)(&n.book), &n.text)
	return n, err
}

func scanOutcome(r storage.Row) (Outcome, error) {
	var text string
	if err := r.Scan(&text); err != nil {
		return Outcome{}, err
	}
	return parseBody([]byte(text))
}
