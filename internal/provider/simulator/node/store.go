package node

import (
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	transColumns    = "t.txid, t.raw, t.paid_minor, t.fee_minor, t.place, t.block, t.sent_at"
	coinColumns     = "c.txid, c.output_index, c.value_minor, c.spent_by, c.locked_until"
	transferColumns = "f.payment_hash, f.state, f.invoice, f.paid_minor, f.fee_minor, f.limit_minor, f.reason, f.times, f.sent_at"
)

var (
	addNode = storage.SQL("simulator.add_node", `INSERT INTO simulator_nodes (node, height, rate, made, mood, mood_left, currency, channels_minor)
		VALUES ($1, 0, 0, 0, 'calm', 0, 'BTC', 0) ON CONFLICT (node) DO NOTHING`)
	lockNode = storage.SQL("simulator.lock_node", `SELECT height, rate, made, mood, mood_left, channels_minor FROM simulator_nodes WHERE node = $1 {lock}`)
	saveNode = storage.SQL("simulator.save_node", `UPDATE simulator_nodes SET height = $2, rate = $3, made = $4, mood = $5, mood_left = $6,
		channels_minor = $7 WHERE node = $1`)

	upsertCoin = storage.Upsert("simulator.upsert_coin", "simulator_coins", []string{"node", "txid", "output_index"},
		"node", "txid", "output_index", "value_minor", "spent_by", "locked_until", "currency")
	deleteCoins = storage.SQL("simulator.delete_coins", `DELETE FROM simulator_coins WHERE node = $1 AND txid = $2`)
	freeCoins   = storage.SQL("simulator.free_coins", `UPDATE simulator_coins SET spent_by = '' WHERE node = $1 AND spent_by = $2`)
	releaseCoin = storage.SQL("simulator.release_coin", `UPDATE simulator_coins SET locked_until = 0
		WHERE node = $1 AND txid = $2 AND output_index = $3 AND locked_until = $4`)
	findCoin  = storage.SQL("simulator.find_coin", `SELECT `+coinColumns+` FROM simulator_coins c WHERE c.node = $1 AND c.txid = $2 AND c.output_index = $3`)
	listCoins = storage.SQL("simulator.list_coins", `SELECT `+coinColumns+` FROM simulator_coins c
		JOIN simulator_transactions t ON t.node = c.node AND t.txid = c.txid
		WHERE c.node = $1 AND c.spent_by = '' AND c.locked_until <= $2 AND t.place = 'block' ORDER BY t.block, c.txid, c.output_index LIMIT $3`)
	sumCoins = storage.SQL("simulator.sum_coins", `SELECT CAST(COALESCE(SUM(c.value_minor), 0) AS BIGINT),
		CAST(COALESCE(SUM(CASE WHEN c.locked_until <= $2 AND t.place = 'block' THEN c.value_minor ELSE 0 END), 0) AS BIGINT) FROM simulator_coins c
		JOIN simulator_transactions t ON t.node = c.node AND t.txid = c.txid WHERE c.node = $1 AND c.spent_by = '' AND t.place <> 'gone'`)

	upsertTransaction = storage.Upsert("simulator.upsert_transaction", "simulator_transactions", []string{"node", "txid"},
		"node", "txid", "raw", "paid_minor", "fee_minor", "place", "block", "sent_at", "currency")
	findTransaction = storage.SQL("simulator.find_transaction", `SELECT `+transColumns+` FROM simulator_transactions t WHERE t.node = $1 AND t.txid = $2`)
	listAbove       = storage.SQL("simulator.list_blocks_above", `SELECT `+transColumns+` FROM simulator_transactions t
		WHERE t.node = $1 AND t.place = 'block' AND t.block > $2 ORDER BY t.block DESC, t.txid`)
	listPool = storage.SQL("simulator.list_pool", `SELECT `+transColumns+` FROM simulator_transactions t
		WHERE t.node = $1 AND t.place = 'pool' ORDER BY t.sent_at, t.txid`)
	listSpenders = storage.SQL("simulator.list_spenders", `SELECT `+transColumns+` FROM simulator_transactions t
		JOIN simulator_coins c ON c.node = t.node AND c.spent_by = t.txid WHERE c.node = $1 AND c.txid = $2`)
	listSent = storage.SQL("simulator.list_sent", `SELECT `+transColumns+` FROM simulator_transactions t
		WHERE t.node = $1 AND t.place <> 'gone' AND t.paid_minor > 0 AND t.sent_at >= $2 AND t.sent_at < $3 ORDER BY t.sent_at, t.txid LIMIT $4`)

	insertInvoice = storage.Insert("simulator.insert_invoice", "simulator_invoices", "node", "payment_hash", "preimage")
	findPreimage  = storage.SQL("simulator.find_preimage", `SELECT preimage FROM simulator_invoices WHERE node = $1 AND payment_hash = $2`)

	upsertTransfer = storage.Upsert("simulator.upsert_transfer", "simulator_transfers", []string{"node", "payment_hash"},
		"node", "payment_hash", "state", "invoice", "paid_minor", "fee_minor", "limit_minor", "reason", "times", "sent_at", "currency")
	findTransfer = storage.SQL("simulator.find_transfer", `SELECT `+transferColumns+` FROM simulator_transfers f WHERE f.node = $1 AND f.payment_hash = $2`)
	listLate     = storage.SQL("simulator.list_late", `SELECT `+transferColumns+` FROM simulator_transfers f WHERE f.node = $1 AND f.state = 'late' ORDER BY f.payment_hash`)
	listPaid     = storage.SQL("simulator.list_paid", `SELECT `+transferColumns+` FROM simulator_transfers f
		WHERE f.node = $1 AND f.state = 'succeeded' AND f.sent_at >= $2 AND f.sent_at < $3 ORDER BY f.sent_at, f.payment_hash LIMIT $4`)
)

func scanState(r storage.Row) (s state, err error) {
	err = r.Scan(&s.height, &s.rate, &s.made, (*string)(&s.mood), &s.left, &s.channels)
	return s, err
}

// coin is an output of the wallet's.
type coin struct {
	txid    string
	index   int64
	satoshi int64
	spentBy string
	locked  int64 // until then, in microseconds
}

func (c *coin) row(node string) []any {
	return []any{node, c.txid, c.index, c.satoshi, c.spentBy, c.locked, btc()}
}

// scanSums reads what all coins are worth, and those that can be spent.
func scanSums(r storage.Row) (sums [2]int64, err error) {
	err = r.Scan(&sums[0], &sums[1])
	return sums, err
}

func scanCoin(r storage.Row) (c coin, err error) {
	err = r.Scan(&c.txid, &c.index, &c.satoshi, &c.spentBy, &c.locked)
	return c, err
}

// The places of a transaction.
const (
	inPool  = "pool"
	inBlock = "block"
	gone    = "gone"
)

// known is a transaction that the node has seen.
type known struct {
	txid   string
	raw    []byte
	paid   int64
	fee    int64
	place  string
	block  int64
	sentAt time.Time
}

func (k *known) row(node string) []any {
	return []any{node, k.txid, k.raw, k.paid, k.fee, k.place, k.block, storage.Micros(k.sentAt), btc()}
}

func (k *known) parse() (transaction.Transaction, error) {
	if len(k.raw) == 0 {
		return transaction.Transaction{}, nil // money that came from elsewhere
	}
	return transaction.Parse(k.raw)
}

func scanKnown(r storage.Row) (k known, err error) {
	var at int64
	err = r.Scan(&k.txid, &k.raw, &k.paid, &k.fee, &k.place, &k.block, &at)
	k.sentAt = storage.Time(at)
	return k, err
}

// The states of a transfer.
const (
	late      = "late"
	inFlight  = "in_flight"
	succeeded = "succeeded"
	refused   = "refused"
)

// transfer is a payment over Lightning that was asked for.
type transfer struct {
	hash    string
	state   string
	invoice string
	paid    int64 // in satoshis, as are fee and limit
	fee     int64
	limit   int64
	reason  string
	times   int64 // how often money left for it
	sentAt  time.Time
}

func (f *transfer) row(node string) []any {
	return []any{node, f.hash, f.state, f.invoice, f.paid, f.fee, f.limit, f.reason, f.times, storage.Micros(f.sentAt), btc()}
}

func scanTransfer(r storage.Row) (f transfer, err error) {
	var at int64
	err = r.Scan(&f.hash, &f.state, &f.invoice, &f.paid, &f.fee, &f.limit, &f.reason, &f.times, &at)
	f.sentAt = storage.Time(at)
	return f, err
}
