package dispute

import (
	"database/sql"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	columns = `d.book_id, d.dispute_id, d.realm, d.payment_id, d.card_id, d.reason, d.note, d.currency, d.amount_minor, d.refunded_minor, d.credited,
		d.state, d.revision, d.opened_by, d.decision, d.decided_by, d.evidence, d.due_at, d.created_at, d.changed_at`
	selected = `SELECT ` + columns + ` FROM disputes d `
)

var (
	insertDispute = storage.Insert("dispute.insert", "disputes", "book_id", "dispute_id", "realm", "payment_id", "card_id", "reason", "note", "currency",
		"amount_minor", "refunded_minor", "credited", "state", "revision", "opened_by", "decision", "decided_by", "evidence", "due_at", "created_at", "changed_at")
	findDispute = storage.SQL("dispute.find", selected+`WHERE d.book_id = $1 AND d.dispute_id = $2`)
	lockDispute = storage.SQL("dispute.lock", selected+`WHERE d.book_id = $1 AND d.dispute_id = $2 {lock}`)
	// findOpen says of one that is due what that implies, so that it is looked for in the index of payments.
	findOpen = storage.SQL("dispute.find_open", selected+`WHERE d.book_id = $1 AND d.payment_id = $2 AND d.due_at IS NOT NULL
		AND d.state <> 'won' AND d.state <> 'withdrawn'`)
	countBlocking = storage.SQL("dispute.count_blocking", `SELECT COUNT(*) FROM disputes WHERE book_id = $1 AND payment_id = $2 AND state <> 'won' AND state <> 'withdrawn'`)
	listDisputes  = storage.SQL("dispute.list", selected+`WHERE d.realm = $1 AND d.dispute_id < $2 ORDER BY d.dispute_id DESC LIMIT $3`)
	listInState   = storage.SQL("dispute.list_in_state", selected+`WHERE d.realm = $1 AND d.dispute_id < $2 AND d.state = $4 ORDER BY d.dispute_id DESC LIMIT $3`)
	listOfBook    = storage.SQL("dispute.list_of_book", selected+`WHERE d.book_id = $1 AND d.dispute_id < $2 AND ($4 = '' OR d.state = $4)
		ORDER BY d.dispute_id DESC LIMIT $3`)
	listDue = storage.SQL("dispute.list_due", selected+`WHERE d.realm = $1 AND d.due_at <= $2 AND (d.due_at, d.book_id, d.dispute_id) > ($3, $4, $5)
		ORDER BY d.due_at, d.book_id, d.dispute_id LIMIT $6`)
	// reviseDispute changes nothing where the dispute is not as it was read.
	reviseDispute = storage.SQL("dispute.revise", `UPDATE disputes SET revision = $4, refunded_minor = $5, state = $6, decision = $7, decided_by = $8, evidence = $9,
		due_at = $10, changed_at = $11 WHERE book_id = $1 AND dispute_id = $2 AND revision = $3`)

	insertEvidence = storage.Insert("dispute.insert_evidence", "dispute_evidence", "book_id", "dispute_id", "place", "media_type", "size", "content_sealed", "actor", "created_at")
	listEvidence   = storage.SQL("dispute.list_evidence", `SELECT place, media_type, size, actor, created_at FROM dispute_evidence
		WHERE book_id = $1 AND dispute_id = $2 ORDER BY place LIMIT $3`)
	findEvidence = storage.SQL("dispute.find_evidence", `SELECT place, media_type, size, actor, created_at, content_sealed FROM dispute_evidence
		WHERE book_id = $1 AND dispute_id = $2 AND place = $3`)
)

func (d *Dispute) row() []any {
	credited := int64(0)
	if d.Credited {
		credited = 1
	}
	return []any{string(d.Book), string(d.ID), string(d.Realm), string(d.Payment), string(d.Card), string(d.Reason), d.Note, d.Amount.Currency.String(),
		d.Amount.Minor, d.Refunded.Minor, credited, string(d.State), d.Revision, d.OpenedBy, d.Decision, d.DecidedBy, d.Evidence, storage.NullMicros(d.DueAt),
		storage.Micros(d.CreatedAt), storage.Micros(d.ChangedAt)}
}

// revise writes a dispute as it is over one of an earlier revision.
func (d *Dispute) revise(before int64) storage.Effect {
	return reviseDispute.With(string(d.Book), string(d.ID), before, d.Revision, d.Refunded.Minor, string(d.State), d.Decision, d.DecidedBy, d.Evidence,
		storage.NullMicros(d.DueAt), storage.Micros(d.ChangedAt)).Exactly(1)
}

func scanDispute(r storage.Row) (d Dispute, err error) {
	var (
		currency                   string
		credited, created, changed int64
		due                        sql.NullInt64
	)
	err = r.Scan((*string)(&d.Book), (*string)(&d.ID), (*string)(&d.Realm), (*string)(&d.Payment), (*string)(&d.Card), (*string)(&d.Reason), &d.Note, &currency,
		&d.Amount.Minor, &d.Refunded.Minor, &credited, (*string)(&d.State), &d.Revision, &d.OpenedBy, &d.Decision, &d.DecidedBy, &d.Evidence, &due, &created, &changed)
	if err != nil {
		return d, err
	}
	d.Amount.Currency, err = money.Parse(currency)
	d.Refunded.Currency, d.Credited = d.Amount.Currency, credited == 1
	d.DueAt, d.CreatedAt, d.ChangedAt = storage.NullTime(due), storage.Time(created), storage.Time(changed)
	return d, err
}

func scanEvidence(r storage.Row) (e Evidence, err error) {
	var at int64
	err = r.Scan(&e.Place, &e.MediaType, &e.Size, &e.Actor, &at)
	e.At = storage.Time(at)
	return e, err
}

func scanContent(r storage.Row) (e Evidence, err error) {
	var at int64
	err = r.Scan(&e.Place, &e.MediaType, &e.Size, &e.Actor, &at, &e.Content)
	e.At = storage.Time(at)
	return e, err
}
