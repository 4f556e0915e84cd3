package wallet

import (
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const alertColumns = `book_id, currency, realm, threshold_minor, actor, version, changed_at`

var (
	upsertAlert = storage.SQL("wallet.upsert_alert", `INSERT INTO wallet_alerts (book_id, currency, realm, threshold_minor, actor, version, changed_at)
		VALUES ($1, $2, $3, $4, $5, 1, $6) ON CONFLICT (book_id, currency) DO UPDATE SET threshold_minor = excluded.threshold_minor,
		actor = excluded.actor, version = wallet_alerts.version + 1, changed_at = excluded.changed_at RETURNING version`)
	lockAlert     = storage.SQL("wallet.lock_alert", `SELECT `+alertColumns+` FROM wallet_alerts WHERE book_id = $1 AND currency = $2 {lock}`)
	listAlerts    = storage.SQL("wallet.list_alerts", `SELECT `+alertColumns+` FROM wallet_alerts WHERE book_id = $1 AND threshold_minor > 0`)
	changedAlerts = storage.SQL("wallet.changed_alerts", `SELECT `+alertColumns+` FROM wallet_alerts WHERE changed_at >= $1`)
)

func scanAlert(r storage.Row) (a Alert, err error) {
	var (
		currency         string
		minor, changedAt int64
	)
	if err = r.Scan((*string)(&a.Book), &currency, (*string)(&a.Realm), &minor, &a.Actor, &a.version, &changedAt); err != nil {
		return a, err
	}
	parsed, err := money.Parse(currency)
	a.Threshold, a.ChangedAt = money.New(minor, parsed), storage.Time(changedAt)
	return a, err
}
