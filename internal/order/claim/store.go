package claim

import (
	"database/sql"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const columns = `c.book_id, c.claim_id, c.realm, c.order_id, c.ordered_at, c.reason, c.note, c.credential, c.state, c.revision, c.created_at, c.changed_at`

// Claims.
var (
	insertClaim = storage.Insert("claim.insert_claim", "claims", "book_id", "claim_id", "realm", "order_id", "ordered_at", "reason", "note", "credential",
		"state", "revision", "created_at", "changed_at")
	findClaim   = storage.SQL("claim.find_claim", `SELECT `+columns+` FROM claims c WHERE c.book_id = $1 AND c.claim_id = $2`)
	listOfOrder = storage.SQL("claim.list_of_order", `SELECT `+columns+` FROM claims c WHERE c.book_id = $1 AND c.order_id = $2 ORDER BY c.claim_id LIMIT $3`)
	listClaims  = storage.SQL("claim.list_claims", `SELECT `+columns+` FROM claims c
		WHERE c.realm = $1 AND c.claim_id < $2 ORDER BY c.claim_id DESC LIMIT $3`)
	listInState = storage.SQL("claim.list_in_state", `SELECT `+columns+` FROM claims c
		WHERE c.realm = $1 AND c.claim_id < $2 AND c.state = $4 ORDER BY c.claim_id DESC LIMIT $3`)
	countClaims = storage.SQL("claim.count_claims", `SELECT COUNT(*) FROM claims WHERE book_id = $1 AND order_id = $2`)
	// reviseClaim changes nothing where the claim is not as it was read.
	reviseClaim = storage.SQL("claim.revise_claim", `UPDATE claims SET state = $4, revision = $5, changed_at = $6
		WHERE book_id = $1 AND claim_id = $2 AND revision = $3 AND state IN ('open', 'processing')`)
)

// Codes.
var (
	insertLine = storage.Insert("claim.insert_line", "claim_codes", "book_id", "claim_id", "place", "order_id", "code_id", "sold_at", "revealed_to", "revealed_at",
		"state", "replacement", "currency", "charged_minor", "transaction_id", "decision", "actor", "decided_at")
	loadLines = storage.Lookup("claim.load_lines", `SELECT l.claim_id, l.place, l.code_id, l.sold_at, l.revealed_to, l.revealed_at, l.state, l.replacement,
		l.currency, l.charged_minor, l.transaction_id, l.decision, l.actor, l.decided_at FROM ({values}) AS v
		CROSS JOIN claim_codes l WHERE l.book_id = v.column1 AND l.claim_id = v.column2`, "TEXT", "TEXT")
	findClaimed = storage.Lookup("claim.find_claimed", `SELECT l.claim_id FROM claim_codes l
		WHERE l.state <> 'rejected' AND (l.book_id, l.code_id) IN ({values})`, "TEXT", "TEXT")
	decideLine = storage.SQL("claim.decide_line", `UPDATE claim_codes SET state = $4, replacement = $5, transaction_id = $6, decision = $7, actor = $8, decided_at = $9
		WHERE book_id = $1 AND claim_id = $2 AND place = $3 AND state = $10`)
	tallyOrders = storage.Lookup("claim.tally_orders", `SELECT l.order_id, SUM(CASE l.state WHEN 'replaced' THEN 1 ELSE 0 END),
		SUM(CASE l.state WHEN 'refunded' THEN 1 ELSE 0 END) FROM claim_codes l WHERE (l.book_id, l.order_id) IN ({values}) GROUP BY l.order_id`, "TEXT", "BIGINT")
)

func (c *Claim) row() []any {
	return []any{string(c.Book), string(c.ID), string(c.Realm), int64(c.Order), storage.Micros(c.OrderedAt), string(c.Reason), c.Note, c.Credential,
		string(c.State), c.Revision, storage.Micros(c.CreatedAt), storage.Micros(c.ChangedAt)}
}

func scanClaim(r storage.Row) (c Claim, err error) {
	var ordered, created, changed int64
	err = r.Scan(&c.Book, &c.ID, &c.Realm, &c.Order, &ordered, &c.Reason, &c.Note, &c.Credential, &c.State, &c.Revision, &created, &changed)
	c.OrderedAt, c.CreatedAt, c.ChangedAt = storage.Time(ordered), storage.Time(created), storage.Time(changed)
	return c, err
}

func (c *Claim) lineRow(l *Line) []any {
	return []any{string(c.Book), string(c.ID), l.Place, int64(c.Order), string(l.Code), storage.Micros(l.SoldAt), l.FirstLook.Actor, storage.Micros(l.FirstLook.At),
		string(l.Verdict), string(l.Replacement), l.Charged.Currency.String(), l.Charged.Minor, string(l.Transaction), l.Decision, l.Actor, storage.NullMicros(l.DecidedAt)}
}

// revised returns the effects of writing a claim that was read with another revision, and
// those of its lines that changed, of which before is what was decided.
func (c *Claim) revised(revision int64, before Verdict, changed []Line) []storage.Effect {
	effects := []storage.Effect{reviseClaim.With(string(c.Book), string(c.ID), revision, string(c.State), c.Revision, storage.Micros(c.ChangedAt)).Exactly(1)}
	for i := range changed {
		l := &changed[i]
		effects = append(effects, decideLine.With(string(c.Book), string(c.ID), l.Place, string(l.Verdict), string(l.Replacement), string(l.Transaction), l.Decision,
			l.Actor, storage.NullMicros(l.DecidedAt), string(before)).Exactly(1))
	}
	return effects
}

// filed is a line with its claim.
type filed struct {
	Line
	claim ID
}

func scanLine(r storage.Row) (f filed, err error) {
	var (
		sold, seen, minor int64
		currency          string
		decided           sql.NullInt64
	)
	err = r.Scan(&f.claim, &f.Place, &f.Code, &sold, &f.FirstLook.Actor, &seen, &f.Verdict, &f.Replacement, &currency, &minor, &f.Transaction, &f.Decision,
		&f.Actor, &decided)
	if err != nil {
		return f, err
	}
	paid, err := money.Parse(currency)
	f.Charged = catalog.NewCharged(minor, paid)
	f.SoldAt, f.FirstLook.At, f.DecidedAt = storage.Time(sold), storage.Time(seen), storage.NullTime(decided)
	return f, err
}

func scanTally(r storage.Row) (t Tally, err error) {
	err = r.Scan(&t.Order, &t.Replaced, &t.Refunded)
	return t, err
}
