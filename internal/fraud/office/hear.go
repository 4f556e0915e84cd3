package office

import (
	"context"

	"github.com/scripcards/scrip/internal/fraud/journal"
	"github.com/scripcards/scrip/internal/fraud/notice"
)

const (
	// noticesAtOnce are taken in and logged together, noticePages times at most before
	// others have their turn.
	noticesAtOnce = 500
	noticePages   = 20
)

// Hear takes in which cards were activated and reloaded since, in whatever process. Where
// two processes take in the same, both log it, and it counts once.
func (s *Service) Hear(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	for range noticePages {
		// What was taken in before is logged and gone: nothing is listed again.
		if err := s.flush(ctx); err != nil {
			return err
		}
		found, err := notice.List(ctx, s.DB, noticesAtOnce)
		if err != nil || len(found) == 0 {
			return err
		}
		s.hear(found)
		if len(found) < noticesAtOnce {
			break
		}
	}
	return s.flush(ctx)
}

func (s *Service) hear(found []notice.Stored) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	for i := range found {
		event := &found[i].Event
		s.judge.Hear(event)
		s.pending.hear(journal.Entry{Kind: journal.Heard, Event: *event}, found[i].ID)
	}
}

// hear queues a notice, however much waits: it is in the database all the while.
func (p *pending) hear(e journal.Entry, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries = e.Append(p.entries)
	p.events++
	p.heard = append(p.heard, id)
}
