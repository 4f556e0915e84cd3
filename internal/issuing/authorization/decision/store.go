package decision

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const columns = `d.book_id, d.url, d.secret_sealed, d.deadline_ms, d.otherwise, d.changed_at`

var (
	findSettings = storage.Lookup("decision.find", `SELECT `+columns+` FROM decision_servers d WHERE d.book_id IN ({values})`, "TEXT")
	lockSetting  = storage.SQL("decision.lock", `SELECT `+columns+` FROM decision_servers d WHERE d.book_id = $1 {lock}`)
	putSetting   = storage.Upsert("decision.put", "decision_servers", []string{"book_id"},
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

// read returns the settings of some books.
func (s *Service) read(ctx context.Context, books []ledger.BookID) ([]setting, error) {
	values := make([][]any, len(books))
	for i, book := range books {
		values[i] = []any{string(book)}
	}
	return storage.AllOf(ctx, s.DB, storage.Values(scanSetting), findSettings, values)
}

// find returns the setting of a book, if it has one. Those who look at once share a look.
func (s *Service) find(ctx context.Context, book ledger.BookID) (*setting, bool, error) {
	found, err := s.rows.Ask(ctx, book)
	return &found.Value, found.Found, err
}

func keyOf(book ledger.BookID) memo.Key { return sha256.Sum256([]byte(book)) }
