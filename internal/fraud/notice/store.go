package notice

import (
	"fmt"

	"github.com/scripcards/scrip/internal/fraud/journal"
	"github.com/scripcards/scrip/internal/platform/storage"
)

var (
	insertNotice = storage.Insert("fraud.insert_notice", "fraud_notices", "notice_id", "event")
	listNotices  = storage.SQL("fraud.list_notices", `SELECT notice_id, event FROM fraud_notices ORDER BY notice_id LIMIT $1`)
	deleteNotice = storage.SQL("fraud.delete_notice", `DELETE FROM fraud_notices WHERE notice_id = $1`)
)

func scanNotice(r storage.Row) (Stored, error) {
	var s Stored
	var data []byte
	if err := r.Scan(&s.ID, &data); err != nil {
		return s, err
	}
	e, _, err := journal.Read(data)
	if err != nil {
		return s, fmt.Errorf("notice %s: %w", s.ID, err)
	}
	s.Event = e.Event
	return s, nil
}
