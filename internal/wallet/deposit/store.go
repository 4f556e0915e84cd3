package deposit

import (
	"math"
	"strings"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	columns = `d.book_id, d.deposit_id, d.realm, d.chain, d.asset, d.txid, d.output_index, d.address, d.units, d.status, d.reason,
		d.confirmations, d.required, d.final, d.currency, d.value_minor, d.fee_minor, d.credited_minor, d.rate_numerator, d.rate_denominator,
		d.rate_sources, d.rated_at, d.credits, d.credit_id, d.reversal_id, d.replaced_by, d.watched, d.version, d.seen_at, d.confirmed_at, d.changed_at, d.rest_height`
	filtered = ` FROM wallet_deposits d WHERE d.book_id = $1 AND ($2 = '' OR d.status = $2) AND ($3 = '' OR d.symbol = $3) AND ($4 = '' OR d.asset = $4)`
)

var (
	insertDeposit = storage.Insert("wallet.deposit_insert_deposit", "wallet_deposits", "book_id", "deposit_id", "realm", "chain", "asset", "txid",
		"output_index", "address", "units", "status", "reason", "confirmations", "required", "final", "currency", "value_minor", "fee_minor", "credited_minor",
		"rate_numerator", "rate_denominator", "rate_sources", "rated_at", "credits", "credit_id", "reversal_id", "replaced_by", "watched", "version",
		"seen_at", "confirmed_at", "changed_at", "symbol", "rest_height")
	insertPayment = storage.SQL("wallet.deposit_insert_payment", `INSERT INTO wallet_payments (realm, chain, txid, output_index, book_id, deposit_id)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (realm, chain, txid, output_index) DO NOTHING`)
	movePayment = storage.SQL("wallet.deposit_move_payment", `UPDATE wallet_payments SET book_id = $5, deposit_id = $6
		WHERE realm = $1 AND chain = $2 AND txid = $3 AND output_index = $4 AND deposit_id = $7`)
	saveDeposit = storage.SQL("wallet.deposit_save_deposit", `UPDATE wallet_deposits SET status = $4, reason = $5, confirmations = $6, value_minor = $7,
		fee_minor = $8, credited_minor = $9, rate_numerator = $10, rate_denominator = $11, rate_sources = $12, rated_at = $13, credits = $14,
		credit_id = $15, reversal_id = $16, replaced_by = $17, watched = $18, confirmed_at = $19, changed_at = $20, version = version + 1
		WHERE book_id = $1 AND deposit_id = $2 AND version = $3`)

	findDeposit = storage.SQL("wallet.deposit_find_deposit", `SELECT `+columns+` FROM wallet_deposits d WHERE d.book_id = $1 AND d.deposit_id = $2`)
	findPayment = storage.SQL("wallet.deposit_find_payment", `SELECT `+columns+` FROM wallet_payments p
		JOIN wallet_deposits d ON d.book_id = p.book_id AND d.deposit_id = p.deposit_id
		WHERE p.realm = $1 AND p.chain = $2 AND p.txid = $3 AND p.output_index = $4`)
	listDeposits = storage.SQL("wallet.deposit_list_deposits", `SELECT `+columns+filtered+` AND ($5 = '' OR d.deposit_id < $5)
		ORDER BY d.deposit_id DESC LIMIT $6 OFFSET $7`)
	countDeposits = storage.SQL("wallet.deposit_count_deposits", `SELECT COUNT(*)`+filtered)
	sumPending    = storage.SQL("wallet.deposit_sum_pending", `SELECT CAST(COALESCE(SUM(value_minor), 0) AS BIGINT) FROM wallet_deposits
		WHERE book_id = $1 AND status = 'pending'`)
	listWatched = storage.SQL("wallet.deposit_list_watched", `SELECT `+columns+` FROM wallet_deposits d
		WHERE d.realm = $1 AND d.chain = $2 AND d.watched = 1 AND (d.book_id, d.deposit_id) > ($3, $4) ORDER BY d.book_id, d.deposit_id LIMIT $5`)
	listRecent = storage.SQL("wallet.deposit_list_recent", `SELECT address FROM (
		SELECT address, given_at AS used_at FROM wallet_addresses WHERE realm = $1 AND chain = $2 AND address <> '' AND given_at >= $3
		UNION ALL SELECT address, seen_at FROM wallet_deposits WHERE realm = $1 AND chain = $2 AND seen_at >= $3
		UNION ALL SELECT address, CAST($5 AS BIGINT) FROM wallet_gaps WHERE realm = $1 AND chain = $2 AND dismissed = 0) used
		GROUP BY address ORDER BY MAX(used_at) DESC, address LIMIT $4`)

	lockAddress = storage.SQL("wallet.deposit_lock_address", `SELECT book_id FROM wallet_address_owners
		WHERE realm = $1 AND chain = $2 AND address = $3 {lock}`)
	listPaid = storage.SQL("wallet.deposit_list_paid", `SELECT `+columns+` FROM wallet_deposits d
		WHERE d.book_id = $1 AND d.chain = $2 AND d.address = $3 AND d.asset = $4 ORDER BY d.deposit_id`)
	listTo = storage.SQL("wallet.deposit_list_to", `SELECT `+columns+` FROM wallet_deposits d
		WHERE d.book_id = $1 AND d.chain = $2 AND d.address = $3 AND d.deposit_id > $4 ORDER BY d.deposit_id LIMIT $5`)
	countPaid = storage.SQL("wallet.deposit_count_paid", `SELECT COUNT(*) FROM wallet_deposits
		WHERE book_id = $1 AND chain = $2 AND address = $3 AND asset = $4`)
	maxRest = storage.SQL("wallet.deposit_max_rest", `SELECT COALESCE(MAX(rest_height), 0) FROM wallet_deposits
		WHERE book_id = $1 AND chain = $2 AND address = $3 AND asset = $4 AND (status <> 'expired' OR reason = 'below_minimum')`)

	lockCompared = storage.SQL("wallet.deposit_lock_compared", `SELECT compared FROM wallet_cursors WHERE realm = $1 AND chain = $2 {lock}`)
	saveCompared = storage.SQL("wallet.deposit_save_compared", `INSERT INTO wallet_cursors (realm, chain, place, compared, looked_at, failing_since)
		VALUES ($1, $2, '', $3, NULL, NULL) ON CONFLICT (realm, chain) DO UPDATE SET compared = excluded.compared`)
	upsertGap = storage.Upsert("wallet.deposit_upsert_gap", "wallet_gaps", []string{"book_id", "chain", "address", "to_height"},
		"book_id", "chain", "address", "to_height", "from_height", "realm", "asset", "dismissed", "found_at")
	closeGaps = storage.SQL("wallet.deposit_close_gaps", `DELETE FROM wallet_gaps
		WHERE realm = $1 AND chain = $2 AND from_height >= $3 AND from_height <= $4 AND to_height <= $4 AND dismissed = 0`)
	shortenGaps = storage.SQL("wallet.deposit_shorten_gaps", `UPDATE wallet_gaps SET from_height = $4 + 1
		WHERE realm = $1 AND chain = $2 AND from_height >= $3 AND from_height <= $4 AND to_height > $4 AND dismissed = 0`)
	listGaps = storage.SQL("wallet.deposit_list_gaps", `SELECT address, asset, from_height, to_height FROM wallet_gaps
		WHERE book_id = $1 AND chain = $2 AND address = $3 AND dismissed = 0 ORDER BY from_height, to_height`)
	lockGaps = storage.SQL("wallet.deposit_lock_gaps", `SELECT address, asset, from_height, to_height FROM wallet_gaps
		WHERE book_id = $1 AND chain = $2 AND address = $3 AND dismissed = 0 ORDER BY from_height, to_height {lock}`)
	dismissGaps = storage.SQL("wallet.deposit_dismiss_gaps", `UPDATE wallet_gaps SET dismissed = 1
		WHERE book_id = $1 AND chain = $2 AND address = $3 AND dismissed = 0`)
	countDismissed = storage.SQL("wallet.deposit_count_dismissed", `SELECT COUNT(*) FROM wallet_gaps
		WHERE book_id = $1 AND chain = $2 AND address = $3 AND asset = $4 AND dismissed = 1 AND from_height <= $5 AND to_height >= $5`)

	findCursor = storage.SQL("wallet.deposit_find_cursor", `SELECT place FROM wallet_cursors WHERE realm = $1 AND chain = $2`)
	saveCursor = storage.SQL("wallet.deposit_save_cursor", `INSERT INTO wallet_cursors (realm, chain, place, compared, looked_at, failing_since)
		VALUES ($1, $2, $3, 0, NULL, NULL) ON CONFLICT (realm, chain) DO UPDATE SET place = excluded.place WHERE wallet_cursors.place = $4`)
	setCursor = storage.SQL("wallet.deposit_set_cursor", `INSERT INTO wallet_cursors (realm, chain, place, compared, looked_at, failing_since)
		VALUES ($1, $2, $3, 0, NULL, NULL) ON CONFLICT (realm, chain) DO UPDATE SET place = excluded.place`)
	saveLooked = storage.SQL("wallet.deposit_save_looked", `INSERT INTO wallet_cursors (realm, chain, place, compared, looked_at, failing_since)
		VALUES ($1, $2, '', 0, $3, NULL) ON CONFLICT (realm, chain) DO UPDATE SET looked_at = excluded.looked_at, failing_since = NULL`)
	saveFailing = storage.SQL("wallet.deposit_save_failing", `INSERT INTO wallet_cursors (realm, chain, place, compared, looked_at, failing_since)
		VALUES ($1, $2, '', 0, NULL, $3) ON CONFLICT (realm, chain)
		DO UPDATE SET failing_since = COALESCE(wallet_cursors.failing_since, excluded.failing_since)`)
	findState = storage.SQL("wallet.deposit_find_state", `SELECT realm, chain, place, looked_at, failing_since FROM wallet_cursors
		WHERE realm = $1 AND chain = $2`)
	listCursors = storage.SQL("wallet.deposit_list_cursors", `SELECT realm, chain, place, looked_at, failing_since FROM wallet_cursors ORDER BY realm, chain`)
)

// maxWatched is how many watched deposits are read at once, and maxRead how many of an address.
const (
	maxWatched = 100
	maxRead    = 1000
)

func (d *Deposit) row() []any {
	num, den := d.Rate.Ratio()
	return []any{string(d.Book), string(d.ID), string(d.Realm), string(d.Chain), string(d.Amount.Asset), d.TxID, d.Index, d.Address, d.Amount.Units(),
		string(d.Status), string(d.Reason), d.Confirmations, d.Required, storage.Bit(d.Final), d.Value.Currency.String(), d.Value.Minor, d.Fee.Minor, d.Credited.Minor, num, den,
		strings.Join(d.Sources, " "), storage.NullMicros(d.RatedAt), d.credits, string(d.Credit), string(d.Reversal), d.ReplacedBy, storage.Bit(d.watched), d.version,
		storage.Micros(d.SeenAt), storage.NullMicros(d.ConfirmedAt), storage.Micros(d.ChangedAt), string(d.Amount.Asset.Symbol()), d.rest}
}

// save is the effect of writing down what changed, unless somebody else did meanwhile.
func (d *Deposit) save() storage.Effect {
	num, den := d.Rate.Ratio()
	return saveDeposit.With(string(d.Book), string(d.ID), d.version, string(d.Status), string(d.Reason), d.Confirmations, d.Value.Minor, d.Fee.Minor,
		d.Credited.Minor, num, den, strings.Join(d.Sources, " "), storage.NullMicros(d.RatedAt), d.credits, string(d.Credit), string(d.Reversal),
		d.ReplacedBy, storage.Bit(d.watched), storage.NullMicros(d.ConfirmedAt), storage.Micros(d.ChangedAt)).Exactly(1)
}

func scanDeposit(r storage.Row) (d Deposit, err error) {
	var units, paid, sources string
	var a asset.Asset
	var num, den, final, watched, seen, changed int64
	rated, confirmed := storage.NullMicros(d.RatedAt), storage.NullMicros(d.ConfirmedAt)
	err = r.Scan((*string)(&d.Book), (*string)(&d.ID), (*string)(&d.Realm), (*string)(&d.Chain), (*string)(&a), &d.TxID, &d.Index, &d.Address, &units,
		(*string)(&d.Status), (*string)(&d.Reason), &d.Confirmations, &d.Required, &final, &paid, &d.Value.Minor, &d.Fee.Minor, &d.Credited.Minor, &num, &den,
		&sources, &rated, &d.credits, (*string)(&d.Credit), (*string)(&d.Reversal), &d.ReplacedBy, &watched, &d.version, &seen, &confirmed, &changed, &d.rest)
	if err != nil {
		return d, err
	}
	if d.Amount, err = asset.ParseUnits(units, a); err != nil {
		return d, err
	}
	if d.Value.Currency, err = money.Parse(paid); err != nil {
		return d, err
	}
	d.Fee.Currency, d.Credited.Currency = d.Value.Currency, d.Value.Currency
	if num > 0 {
		if d.Rate, err = money.NewRate(num, den); err != nil {
			return d, err
		}
	}
	d.Sources, d.watched, d.Final = strings.Fields(sources), watched == 1, final == 1
	d.SeenAt, d.ChangedAt = storage.Time(seen), storage.Time(changed)
	d.RatedAt, d.ConfirmedAt = storage.NullTime(rated), storage.NullTime(confirmed)
	return d, nil
}

// maxValue is the most that one deposit may be worth, in minor units: far above what
// anybody pays, and far below what sums of the books hold.
const maxValue = math.MaxInt64 >> 12
