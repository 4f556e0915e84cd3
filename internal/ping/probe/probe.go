// Package probe tells the owners of cards of this installation that somebody else checked them.
//
// It reads the checks that are kept, apart from those who make them, so that telling takes no
// time from the answers about cards that exist; an owner is told once an hour and card. An event
// never says who asked or what they were told.
package probe

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// EventType is the type of this package's events.
const EventType = "card.probed"

// Service tells owners. It is safe for concurrent use.
type Service struct {
	DB     *storage.DB
	Outbox *webhook.Outbox
}

// probe is a card of this installation that somebody else checked.
type probe struct {
	owner ledger.BookID
	card  string
	realm realm.Realm
	at    time.Time
}

const (
	// tellEvery bounds the events to the owner of one card: one in each.
	tellEvery = time.Hour
	// tellOverlap is how far back checks are read again: one that was made before another
	// may be committed after it.
	tellOverlap = time.Minute
	tellPage    = 500
	tellPages   = 40
)

// Tell tells the owners of cards that somebody else checked, once an hour and card,
// and returns how many events that made.
func (s *Service) Tell(ctx context.Context) (int, error) {
	told := 0
	for _, r := range realm.All() {
		n, err := s.tellRealm(ctx, r)
		if told += n; err != nil {
			return told, fmt.Errorf("tell owners of probes: %w", err)
		}
	}
	return told, nil
}

func (s *Service) tellRealm(ctx context.Context, r realm.Realm) (told int, err error) {
	mark, _, err := storage.One(ctx, s.DB, storage.Scalar[int64], findMark, string(r))
	if err != nil {
		return 0, err
	}
	newest, found, err := storage.One(ctx, s.DB, storage.Scalar[int64], newestPing, string(r))
	if err != nil || !found {
		return 0, err
	}
	from := probe{at: storage.Time(mark - tellOverlap.Microseconds()), realm: r}
	for pages := 0; pages < tellPages; {
		page, err := storage.All(ctx, s.DB, scanProbe(r), listProbes, string(r), storage.Micros(from.at), string(from.owner), from.card, tellPage)
		if err != nil {
			return told, err
		}
		if len(page) == 0 && newest <= mark {
			return told, nil
		}
		if len(page) < tellPage {
			n, err := s.write(ctx, page, r, newest)
			return told + n, err
		}
		from = page[len(page)-1]
		n, err := s.write(ctx, page, r, storage.Micros(from.at))
		if told += n; err != nil {
			return told, err
		}
		if storage.Micros(from.at) > mark { // what is read again, which may be more than this, does not count
			pages++
		}
	}
	return told, nil
}

// write makes the events of a page, each with the note that it was made, and moves the mark.
func (s *Service) write(ctx context.Context, page []probe, r realm.Realm, mark int64) (told int, err error) {
	untold, err := s.untold(ctx, page, r)
	if err != nil {
		return 0, err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		told = 0
		var events []storage.Effect
		for _, p := range untold {
			n, err := tx.Exec(ctx, noteTold, string(p.owner), p.card, storage.Micros(p.at), storage.Micros(p.at.Add(-tellEvery)))
			if err != nil {
				return err
			}
			if n > 0 {
				told++
				events = append(events, s.event(p)...)
			}
		}
		if err := tx.Apply(ctx, events); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, moveMark, string(r), mark)
		return err
	})
	return told, err
}

// untold returns the last probe of each card of a page, without those of which it is known
// that their owners were told: nearly all of what is read again.
func (s *Service) untold(ctx context.Context, page []probe, r realm.Realm) ([]probe, error) {
	last := latest(page)
	rows := make([][]any, len(last))
	for i, p := range last {
		rows[i] = []any{string(p.owner), p.card}
	}
	found, err := storage.AllOf(ctx, s.DB, scanProbe(r), findTold, rows)
	if err != nil {
		return nil, err
	}
	told := map[probe]time.Time{}
	for _, p := range found {
		told[p.named()] = p.at
	}
	return slices.DeleteFunc(last, func(p probe) bool { return told[p.named()].After(p.at.Add(-tellEvery)) }), nil
}

// named is a probe's card alone.
func (p probe) named() probe { return probe{owner: p.owner, card: p.card} }

// latest returns the last probe of each card of a page, which is in the order of time.
func latest(page []probe) []probe {
	var last []probe
	at := map[probe]int{}
	for _, p := range page {
		card := p.named()
		if i, seen := at[card]; seen {
			last[i] = p
			continue
		}
		at[card] = len(last)
		last = append(last, p)
	}
	return last
}

// Purge forgets who was told before a moment.
func (s *Service) Purge(ctx context.Context, before time.Time) error {
	if _, err := s.DB.Purge(ctx, purgeProbes, storage.Micros(before)); err != nil {
		return fmt.Errorf("purge probes: %w", err)
	}
	return nil
}

// event tells the owner of a card. It does not say who asked or what they were told.
func (s *Service) event(p probe) []storage.Effect {
	data := &webhook.Data{}
	data.Text("card_id", p.card).Text("probed_at", p.at.Format(time.RFC3339))
	return s.Outbox.Effects(webhook.Event{Book: p.owner, Realm: p.realm, Type: EventType, Data: data.JSON()})
}
