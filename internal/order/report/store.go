package report

import (
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const rowColumns = `currency, delivered, codes, charged_minor, codes_replaced, codes_refunded, refunded_minor, codes_sold, wallet_paid_minor, wallet_refunded_minor,
	revenue_minor, other_minor`

var (
	insertDay       = storage.Insert("report.insert_day", "report_days", "realm", "day", "differences", "made_at")
	findDay         = storage.SQL("report.find_day", `SELECT realm, day, differences, made_at FROM report_days WHERE realm = $1 AND day = $2`)
	firstDay        = storage.SQL("report.first_day", `SELECT day FROM report_days WHERE realm = $1 ORDER BY day LIMIT 1`)
	daysSince       = storage.SQL("report.days_since", `SELECT day FROM report_days WHERE realm = $1 AND day >= $2`)
	deleteDay       = storage.SQL("report.delete_day", `DELETE FROM report_days WHERE realm = $1 AND day = $2`)
	insertRow       = storage.Insert("report.insert_row", "report_rows", "realm", "day", "currency", "delivered", "codes", "charged_minor", "codes_replaced", "codes_refunded", "refunded_minor", "codes_sold", "wallet_paid_minor", "wallet_refunded_minor", "revenue_minor", "other_minor")
	listRows        = storage.SQL("report.list_rows", `SELECT `+rowColumns+` FROM report_rows WHERE realm = $1 AND day = $2 ORDER BY currency`)
	deleteRows      = storage.SQL("report.delete_rows", `DELETE FROM report_rows WHERE realm = $1 AND day = $2`)
	insertDiffering = storage.Insert("report.insert_difference", "report_differences", "realm", "day", "place", "kind", "owner", "order_id", "subject", "want", "got")
	listDifferences = storage.SQL("report.list_differences", `SELECT kind, owner, order_id, subject, want, got FROM report_differences
		WHERE realm = $1 AND day = $2 ORDER BY place`)
	deleteDifferences = storage.SQL("report.delete_differences", `DELETE FROM report_differences WHERE realm = $1 AND day = $2`)
)

// effects are what writes a report.
func (r *Report) effects() []storage.Effect {
	effects := []storage.Effect{insertDay.Row(string(r.Realm), string(r.Day), r.Found, storage.Micros(r.MadeAt))}
	for i := range r.Rows {
		row := &r.Rows[i]
		effects = append(effects, insertRow.Row(string(r.Realm), string(r.Day), row.Currency.String(), row.Orders, row.Codes, row.Charged.Minor, row.CodesReplaced,
			row.CodesRefunded, row.Refunded.Minor, row.CodesSold, row.WalletPaid.Minor, row.WalletRefunded.Minor, row.Revenue.Minor, row.Other.Minor))
	}
	for i, d := range r.Differences {
		effects = append(effects, insertDiffering.Row(string(r.Realm), string(r.Day), i+1, string(d.Kind), string(d.Book), int64(d.Order), d.Subject, d.Want, d.Got))
	}
	return effects
}

func scanDay(r storage.Row) (found Report, err error) {
	var made int64
	err = r.Scan(&found.Realm, &found.Day, &found.Found, &made)
	found.MadeAt = storage.Time(made)
	return found, err
}

func scanRow(r storage.Row) (row Row, err error) {
	var currency string
	amounts := []*money.Amount{&row.Charged, &row.Refunded, &row.WalletPaid, &row.WalletRefunded, &row.Revenue, &row.Other}
	err = r.Scan(&currency, &row.Orders, &row.Codes, &row.Charged.Minor, &row.CodesReplaced, &row.CodesRefunded, &row.Refunded.Minor, &row.CodesSold,
		&row.WalletPaid.Minor, &row.WalletRefunded.Minor, &row.Revenue.Minor, &row.Other.Minor)
	if err != nil {
		return row, err
	}
	row.Currency, err = money.Parse(currency)
	for _, a := range amounts {
		a.Currency = row.Currency
	}
	return row, err
}

func scanDifference(r storage.Row) (d Difference, err error) {
	err = r.Scan(&d.Kind, &d.Book, &d.Order, &d.Subject, &d.Want, &d.Got)
	return d, err
}
