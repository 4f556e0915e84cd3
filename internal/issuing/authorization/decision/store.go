package decision

import (
	"crypto/sha256"
	"time"

	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const columns = `book_id, url, secret_sealed, deadline_ms, otherwise, changed_at FROM decision_servers WHERE book_id = $1`

var (
	findSetting = storage.SQL("decision.find", `SELECT `+columns)
	lockSetting = storage.SQL("decision.lock", `SELECT `+columns+` {lock}`)
	putSetting  = storage.Upsert("decision.put", "decision_servers", []string{"book_id"},
		"book_id", "url", "secret_sealed", "deadline_ms", "otherwise", "changed_at")
	deleteSetting = storage.SQL("decision.delete", `DELETE FROM decision_servers WHERE book_id = $1`)
)

// setting is a Decider as it is stored.
type setting struct {
	Decider
	sealed []byte
}

func scanSetting(r storage.Row) (*setting, error) {
	var (
		s                 setting
		deadline, changed int64
	)
	err := r.Scan((*string)(&s.Book), &s.URL, &s.sealed, &deadline, (*string)(&s.Otherwise), &changed)
	s.Deadline, s.ChangedAt = time.Duration(deadline)*time.Millisecond, storage.Time(changed)
	return &s, err
}

func keyOf(book ledger.BookID) memo.Key { return sha256.Sum256([]byte(book)) }
