package audit

import "github.com/scripcards/scrip/internal/platform/storage"

const recordColumns = "r.book_id, r.seq, r.actor, r.action, r.subject, r.detail, r.recorded_at, r.hash"

// filtered narrows a listing; an empty parameter lets everything through.
const filtered = " AND ($1 = '' OR r.actor = $1) AND ($2 = '' OR r.action = $2) AND ($3 = '' OR r.subject = $3)"

var (
	insertRecord = storage.Insert("audit.insert_record", "audit_records",
		"book_id", "seq", "actor", "action", "subject", "detail", "recorded_at", "hash")

	findHead   = storage.SQL("audit.find_head", `SELECT seq, hash FROM audit_heads WHERE book_id = $1 {lock}`)
	beginChain = storage.SQL("audit.begin_chain", `INSERT INTO audit_heads (book_id, seq, hash) VALUES ($1, 0, $2) ON CONFLICT (book_id) DO NOTHING`)
	moveHead   = storage.Upsert("audit.move_head", "audit_heads", []string{"book_id"}, "book_id", "seq", "hash")

	listBefore = storage.SQL("audit.list_before", `SELECT `+recordColumns+` FROM audit_records r
		WHERE r.book_id = $4 AND r.seq < $5 AND r.seq >= $6`+filtered+` ORDER BY r.seq DESC LIMIT $7`)
	listAfter = storage.SQL("audit.list_after", `SELECT `+recordColumns+` FROM audit_records r
		WHERE r.book_id = $4 AND r.seq > $5`+filtered+` ORDER BY r.seq LIMIT $6`)
	listAllBefore = storage.SQL("audit.list_all_before", `SELECT `+recordColumns+` FROM audit_records r
		WHERE (r.recorded_at, r.book_id, r.seq) < ($4, $5, $6) AND r.recorded_at >= $7`+filtered+`
		ORDER BY r.recorded_at DESC, r.book_id DESC, r.seq DESC LIMIT $8`)
	listAllAfter = storage.SQL("audit.list_all_after", `SELECT `+recordColumns+` FROM audit_records r
		WHERE (r.recorded_at, r.book_id, r.seq) > ($4, $5, $6)`+filtered+` ORDER BY r.recorded_at, r.book_id, r.seq LIMIT $7`)

	// These tell where a number of records ends, whatever they are.
	endOfChain = storage.SQL("audit.end_of_chain", `SELECT recorded_at, seq, book_id FROM audit_records
		WHERE book_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT 1 OFFSET $3`)
	endOfAll = storage.SQL("audit.end_of_all", `SELECT recorded_at, seq, book_id FROM audit_records
		WHERE recorded_at <= $1 ORDER BY recorded_at DESC, book_id DESC, seq DESC LIMIT 1 OFFSET $2`)

	// One statement sees one state of both tables, whatever is appended meanwhile.
	walkChains = storage.SQL("audit.walk_chains", `SELECT `+recordColumns+`, COALESCE(h.seq, 0), COALESCE(h.hash, $1)
		FROM audit_records r LEFT JOIN audit_heads h ON h.book_id = r.book_id ORDER BY r.book_id, r.seq`)
	listEmptied = storage.SQL("audit.list_emptied", `SELECT h.book_id FROM audit_heads h
		WHERE h.seq > 0 AND NOT EXISTS (SELECT 1 FROM audit_records r WHERE r.book_id = h.book_id) ORDER BY h.book_id LIMIT $1`)
)

func scanPlace(r storage.Row) (s stored, err error) {
	err = r.Scan(&s.at, &s.seq, &s.book)
	return s, err
}

type head struct {
	seq  int64
	hash []byte
}

func scanHead(r storage.Row) (h head, err error) {
	err = r.Scan(&h.seq, &h.hash)
	return h, err
}

func (s *stored) columns() []any {
	return []any{&s.book, &s.seq, &s.actor, &s.action, &s.subject, &s.detail, &s.at, &s.hash}
}

func scanStored(r storage.Row) (s stored, err error) {
	err = r.Scan(s.columns()...)
	return s, err
}

// link is a record with the end that its chain should have.
type link struct {
	stored
	head head
}

func scanLink(r storage.Row) (l link, err error) {
	err = r.Scan(append(l.columns(), &l.head.seq, &l.head.hash)...)
	return l, err
}
