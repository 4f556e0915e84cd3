package payout

import (
	"database/sql"
	"encoding/hex"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	payoutColumns = `p.book_id, p.payout_id, p.realm, p.kind, p.network, p.destination, p.amount_minor, p.fee_minor, p.from_account, p.hold_id, p.reference,
		p.state, p.reason, p.batch_id, p.txid, p.payment_hash, p.preimage, p.attempts, p.settled_count, p.transaction_id, p.version,
		p.created_at, p.changed_at, p.ended_at`
	batchColumns = `b.realm, b.batch_id, b.state, b.transactions, b.txid, b.version, b.made_at, b.changed_at`
	transColumns = `t.number, t.txid, t.raw, t.fee_minor, t.rate, t.made_at`
)

var (
	insertPayout = storage.Insert("payout.insert_payout", "payout_payouts", "book_id", "payout_id", "realm", "kind", "network", "destination",
		"amount_minor", "fee_minor", "from_account", "hold_id", "reference", "state", "reason", "batch_id", "txid", "payment_hash", "preimage",
		"attempts", "settled_count", "transaction_id", "version", "created_at", "changed_at", "ended_at", "currency")
	savePayout = storage.SQL("payout.save_payout", `UPDATE payout_payouts SET fee_minor = $4, state = $5, reason = $6, batch_id = $7, txid = $8,
		payment_hash = $9, preimage = $10, attempts = $11, settled_count = $12, transaction_id = $13, changed_at = $14, ended_at = $15,
		version = version + 1 WHERE book_id = $1 AND payout_id = $2 AND version = $3`)
	findPayout  = storage.SQL("payout.find_payout", `SELECT `+payoutColumns+` FROM payout_payouts p WHERE p.book_id = $1 AND p.payout_id = $2`)
	listPayouts = storage.SQL("payout.list_payouts", `SELECT `+payoutColumns+` FROM payout_payouts p
		WHERE p.realm = $1 AND ($2 = '' OR p.state = $2) AND ($3 = '' OR p.payout_id < $3) ORDER BY p.payout_id DESC LIMIT $4`)
	listWaiting = storage.SQL("payout.list_waiting", `SELECT `+payoutColumns+` FROM payout_payouts p
		WHERE p.realm = $1 AND p.state = 'held' AND p.kind NOT IN ('invoice', 'lightning_address') AND p.amount_minor < $3 AND p.payout_id < $4
		ORDER BY p.payout_id LIMIT $2`)
	oldestAbove = storage.SQL("payout.oldest_above", `SELECT `+payoutColumns+` FROM payout_payouts p
		WHERE p.realm = $1 AND p.state = 'held' AND p.kind NOT IN ('invoice', 'lightning_address') AND p.amount_minor >= $2 ORDER BY p.payout_id LIMIT 1`)
	listBatched = storage.SQL("payout.list_batched", `SELECT `+payoutColumns+` FROM payout_payouts p
		WHERE p.realm = $1 AND p.batch_id = $2 AND p.batch_id <> '' ORDER BY p.payout_id`)
	listOpen = storage.SQL("payout.list_open", `SELECT `+payoutColumns+` FROM payout_payouts p
		WHERE p.realm = $1 AND p.state = $2 AND p.kind IN ('invoice', 'lightning_address') AND p.payout_id > $3 ORDER BY p.payout_id LIMIT $4`)
	sumHeld = storage.SQL("payout.sum_held", `SELECT CAST(COALESCE(SUM(CASE WHEN kind IN ('invoice', 'lightning_address') THEN 0 ELSE amount_minor END), 0) AS BIGINT),
		CAST(COALESCE(SUM(CASE WHEN kind IN ('invoice', 'lightning_address') THEN amount_minor ELSE 0 END), 0) AS BIGINT)
		FROM payout_payouts WHERE realm = $1 AND state = 'held'`)

	insertHash = storage.SQL("payout.insert_hash", `INSERT INTO payout_hashes (realm, payment_hash, book_id, payout_id) VALUES ($1, $2, $3, $4)
		ON CONFLICT (realm, payment_hash) DO NOTHING`)
	findHash = storage.SQL("payout.find_hash", `SELECT book_id, payout_id FROM payout_hashes WHERE realm = $1 AND payment_hash = $2`)

	// insertAttempt, and insertTransaction below, meet what another process made at once: the version
	// that is saved with them tells of that, and a conflict here would be an error of its own.
	insertAttempt = storage.SQL("payout.insert_attempt", `INSERT INTO payout_attempts (book_id, payout_id, number, invoice, payment_hash, state, reason,
		sends, answered, made_at, expires_at, sent_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (book_id, payout_id, number) DO NOTHING`)
	saveAttempt = storage.SQL("payout.save_attempt", `UPDATE payout_attempts SET state = $5, reason = $6, sends = $7, sent_at = $8, answered = $9
		WHERE book_id = $1 AND payout_id = $2 AND number = $3 AND sends = $4 AND state = 'open'`)
	findAttempt = storage.SQL("payout.find_attempt", `SELECT number, invoice, payment_hash, state, reason, sends, answered, made_at, expires_at, sent_at
		FROM payout_attempts WHERE book_id = $1 AND payout_id = $2 AND number = $3`)
	sumUnanswered = storage.SQL("payout.sum_unanswered", `SELECT CAST(COALESCE(SUM(sends - answered), 0) AS BIGINT) FROM payout_attempts
		WHERE book_id = $1 AND payout_id = $2 AND payment_hash = $3`)

	insertBatch = storage.Insert("payout.insert_batch", "payout_batches", "realm", "batch_id", "state", "transactions", "txid", "version", "made_at", "changed_at")
	saveBatch   = storage.SQL("payout.save_batch", `UPDATE payout_batches SET state = $4, transactions = $5, txid = $6, changed_at = $7, version = version + 1
		WHERE realm = $1 AND batch_id = $2 AND version = $3`)
	removeBatch = storage.SQL("payout.remove_batch", `DELETE FROM payout_batches WHERE realm = $1 AND batch_id = $2 AND version = $3`)
	findBatch   = storage.SQL("payout.find_batch", `SELECT `+batchColumns+` FROM payout_batches b WHERE b.realm = $1 AND b.batch_id = $2`)
	// findUnbuilt says twice of which states a batch is, so that it is looked for in their index.
	findUnbuilt = storage.SQL("payout.find_unbuilt", `SELECT `+batchColumns+` FROM payout_batches b
		WHERE b.realm = $1 AND b.state IN ('open', 'built', 'sent', 'confirmed') AND b.state = 'open' ORDER BY b.batch_id LIMIT 1`)
	listBatches = storage.SQL("payout.list_batches", `SELECT `+batchColumns+` FROM payout_batches b
		WHERE b.realm = $1 AND b.state IN ('open', 'built', 'sent', 'confirmed') AND b.batch_id > $2 ORDER BY b.batch_id LIMIT $3`)

	insertTransaction = storage.SQL("payout.insert_transaction", `INSERT INTO payout_transactions (realm, batch_id, number, txid, raw, fee_minor, rate,
		made_at, currency) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (realm, batch_id, number) DO NOTHING`)
	listTransactions = storage.SQL("payout.list_transactions", `SELECT `+transColumns+` FROM payout_transactions t
		WHERE t.realm = $1 AND t.batch_id = $2 ORDER BY t.number`)
	findTransaction = storage.SQL("payout.find_transaction", `SELECT batch_id, fee_minor FROM payout_transactions WHERE realm = $1 AND txid = $2`)
	findRaw         = storage.SQL("payout.find_raw", `SELECT raw FROM payout_transactions WHERE realm = $1 AND txid = $2`)

	findSwitch   = storage.SQL("payout.find_switch", `SELECT stopped FROM payout_switches WHERE realm = $1`)
	findTurned   = storage.SQL("payout.find_turned", `SELECT changed_at FROM payout_switches WHERE realm = $1`)
	upsertSwitch = storage.Upsert("payout.upsert_switch", "payout_switches", []string{"realm"}, "realm", "stopped", "actor", "changed_at")
	addLevel     = storage.SQL("payout.add_level", `INSERT INTO payout_levels (realm, subject, level, currency, balance_minor, checked_at, changed_at)
		VALUES ($1, $2, 'enough', 'BTC', 0, $3, $3) ON CONFLICT (realm, subject) DO NOTHING`)
	lockLevel   = storage.SQL("payout.lock_level", `SELECT level FROM payout_levels WHERE realm = $1 AND subject = $2 {lock}`)
	saveLevel   = storage.SQL("payout.save_level", `UPDATE payout_levels SET level = $3, balance_minor = $4, checked_at = $5, changed_at = $6 WHERE realm = $1 AND subject = $2`)
	saveBalance = storage.SQL("payout.save_balance", `UPDATE payout_levels SET balance_minor = $3, checked_at = $4 WHERE realm = $1 AND subject = $2`)
	listLevels  = storage.SQL("payout.list_levels", `SELECT subject, level, balance_minor, checked_at FROM payout_levels
		WHERE realm = $1 AND subject IN ('chain', 'lightning') ORDER BY subject`)
	countOpen = storage.SQL("payout.count_open", `SELECT state, COUNT(*), MIN(created_at) FROM payout_payouts
		WHERE realm = $1 AND state IN ('held', 'sending', 'sent') GROUP BY state ORDER BY state`)

	upsertDay        = storage.Upsert("payout.upsert_day", "payout_days", []string{"realm", "day"}, "realm", "day", "payments", "found", "made_at")
	findDay          = storage.SQL("payout.find_day", `SELECT payments, found, made_at FROM payout_days WHERE realm = $1 AND day = $2`)
	listDays         = storage.SQL("payout.list_days", `SELECT day, payments, found, made_at FROM payout_days WHERE realm = $1 ORDER BY day DESC LIMIT $2`)
	firstDay         = storage.SQL("payout.first_day", `SELECT COALESCE(MIN(day), '') FROM payout_days WHERE realm = $1`)
	daysSince        = storage.SQL("payout.days_since", `SELECT day FROM payout_days WHERE realm = $1 AND day >= $2`)
	insertDifference = storage.Insert("payout.insert_difference", "payout_differences", "realm", "day", "number", "kind", "subject", "want", "got")
	clearDay         = storage.SQL("payout.clear_day", `DELETE FROM payout_differences WHERE realm = $1 AND day = $2`)
	listDifferences  = storage.SQL("payout.list_differences", `SELECT kind, subject, want, got FROM payout_differences
		WHERE realm = $1 AND day = $2 ORDER BY number`)
	listEnded = storage.SQL("payout.list_ended", `SELECT `+payoutColumns+` FROM payout_payouts p
		WHERE p.realm = $1 AND p.state = 'settled' AND p.changed_at >= $2 AND p.changed_at < $3 AND p.payout_id > $4 ORDER BY p.payout_id LIMIT $5`)
)

func hexOf(hash [32]byte) string { return hex.EncodeToString(hash[:]) }

// key names a payout.
type key struct {
	book   ledger.BookID
	payout ID
}

func scanKey(r storage.Row) (k key, err error) {
	err = r.Scan((*string)(&k.book), (*string)(&k.payout))
	return k, err
}

func (p *Payout) row() []any {
	return []any{string(p.Book), string(p.ID), string(p.Realm), string(p.To.Kind), string(p.To.Network), p.To.Text, p.Amount.Minor, p.Fee.Minor,
		string(p.From), string(p.Hold), p.Reference, string(p.State), string(p.Reason), p.batch, p.TxID, p.Hash, p.Preimage, p.attempts, p.settled,
		string(p.Transaction), p.version, storage.Micros(p.CreatedAt), storage.Micros(p.ChangedAt), storage.NullMicros(p.EndedAt), p.Amount.Currency.String()}
}

// save is the effect of writing down what changed, unless somebody else did meanwhile.
func (p *Payout) save() storage.Effect {
	return savePayout.With(string(p.Book), string(p.ID), p.version, p.Fee.Minor, string(p.State), string(p.Reason), p.batch, p.TxID, p.Hash, p.Preimage,
		p.attempts, p.settled, string(p.Transaction), storage.Micros(p.ChangedAt), storage.NullMicros(p.EndedAt)).Exactly(1)
}

// claimHash is the effect of making a payment hash the payout's, unless it is another's.
func (p *Payout) claimHash(hash string) storage.Effect {
	return insertHash.With(string(p.Realm), hash, string(p.Book), string(p.ID)).Exactly(1)
}

func scanPayout(r storage.Row) (p Payout, err error) {
	var created, changed int64
	var ended sql.NullInt64
	err = r.Scan((*string)(&p.Book), (*string)(&p.ID), (*string)(&p.Realm), (*string)(&p.To.Kind), (*string)(&p.To.Network), &p.To.Text, &p.Amount.Minor,
		&p.Fee.Minor, (*string)(&p.From), (*string)(&p.Hold), &p.Reference, (*string)(&p.State), (*string)(&p.Reason), &p.batch, &p.TxID, &p.Hash,
		&p.Preimage, &p.attempts, &p.settled, (*string)(&p.Transaction), &p.version, &created, &changed, &ended)
	p.Amount.Currency, p.Fee.Currency = money.BTC, money.BTC
	p.CreatedAt, p.ChangedAt, p.EndedAt = storage.Time(created), storage.Time(changed), storage.NullTime(ended)
	return p, err
}

// attempt is one try to pay a payout over Lightning.
type attempt struct {
	number    int64
	invoice   string
	hash      string
	state     string
	reason    string
	sends     int64
	answered  int64 // how many of them the node answered at once
	madeAt    time.Time
	expiresAt time.Time
	sentAt    time.Time // zero: never
}

// The states of an attempt.
const (
	attemptOpen    = "open"
	attemptSettled = "settled"
	attemptFailed  = "failed"
)

func (a *attempt) row(p *Payout) []any {
	return []any{string(p.Book), string(p.ID), a.number, a.invoice, a.hash, a.state, a.reason, a.sends, a.answered, storage.Micros(a.madeAt), storage.Micros(a.expiresAt),
		storage.NullMicros(a.sentAt)}
}

// save is the effect of writing down what became of an attempt that had been sent so
// often, unless somebody else did meanwhile.
func (a *attempt) save(p *Payout, sends int64) storage.Effect {
	return saveAttempt.With(string(p.Book), string(p.ID), a.number, sends, a.state, a.reason, a.sends, storage.NullMicros(a.sentAt), a.answered).Exactly(1)
}

func scanAttempt(r storage.Row) (a attempt, err error) {
	var made, expires int64
	var sent sql.NullInt64
	err = r.Scan(&a.number, &a.invoice, &a.hash, &a.state, &a.reason, &a.sends, &a.answered, &made, &expires, &sent)
	a.madeAt, a.expiresAt, a.sentAt = storage.Time(made), storage.Time(expires), storage.NullTime(sent)
	return a, err
}

// batch is payouts that share a transaction.
type batch struct {
	realm        realm.Realm
	id           string
	state        batchState
	transactions int64  // how many were made
	txid         string // the one that was confirmed
	version      int64
	madeAt       time.Time
	changedAt    time.Time
}

// batchState is where a batch is.
type batchState string

// The states of a batch.
const (
	batchOpen      batchState = "open"      // its payouts are chosen
	batchBuilt     batchState = "built"     // its transaction is stored
	batchSent      batchState = "sent"      // and published
	batchConfirmed batchState = "confirmed" // and its payouts are settled
	batchFinal     batchState = "final"     // so deep that nobody looks any more
	batchVoid      batchState = "void"      // others spent its coins: its payouts get another one
)

func (b *batch) row() []any {
	return []any{string(b.realm), b.id, string(b.state), b.transactions, b.txid, b.version, storage.Micros(b.madeAt), storage.Micros(b.changedAt)}
}

func (b *batch) save() storage.Effect {
	return saveBatch.With(string(b.realm), b.id, b.version, string(b.state), b.transactions, b.txid, storage.Micros(b.changedAt)).Exactly(1)
}

func scanBatch(r storage.Row) (b batch, err error) {
	var made, changed int64
	err = r.Scan((*string)(&b.realm), &b.id, (*string)(&b.state), &b.transactions, &b.txid, &b.version, &made, &changed)
	b.madeAt, b.changedAt = storage.Time(made), storage.Time(changed)
	return b, err
}

// made is one of the transactions of a batch.
type made struct {
	number int64
	txid   string
	raw    []byte
	fee    money.Amount
	rate   int64
	at     time.Time
	parsed transaction.Transaction
}

func (m *made) row(b *batch) []any {
	return []any{string(b.realm), b.id, m.number, m.txid, m.raw, m.fee.Minor, m.rate, storage.Micros(m.at), m.fee.Currency.String()}
}

func scanMade(r storage.Row) (m made, err error) {
	var at int64
	if err = r.Scan(&m.number, &m.txid, &m.raw, &m.fee.Minor, &m.rate, &at); err != nil {
		return m, err
	}
	m.fee.Currency, m.at = money.BTC, storage.Time(at)
	m.parsed, err = transaction.Parse(m.raw)
	return m, err
}
