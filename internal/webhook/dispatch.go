package webhook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	// dispatchBatch bounds the events of one transaction.
	dispatchBatch = 128
	// purgeBatch bounds the events that one transaction removes, purgeRounds the transactions of one run.
	purgeBatch  = 256
	purgeRounds = 2000
)

// Dispatch turns all pending events into deliveries, one for each active endpoint
// that subscribed and may be sent it, and returns how many events that were. Any number of processes
// may do so at once: each event is turned by one of them.
func (s *Service) Dispatch(ctx context.Context) (int, error) {
	total := 0
	for {
		_, pending, err := storage.One(ctx, s.DB, storage.Scalar[int], anyPending)
		if err != nil || !pending {
			return total, err
		}
		n := 0
		err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
			n, err = s.dispatch(ctx, tx)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("dispatch events: %w", err)
		}
		total += n
		s.Queue.Wake()
		if n < dispatchBatch {
			return total, nil // the rest, if any, is in another process's hands
		}
	}
}

func (s *Service) dispatch(ctx context.Context, tx *storage.Tx) (int, error) {
	events, err := storage.All(ctx, tx, scanHead, claimPending, dispatchBatch)
	if err != nil || len(events) == 0 {
		return 0, err
	}
	subscribers, err := findByBook(ctx, tx, events)
	if err != nil {
		return 0, err
	}
	var deliveries, dispatched, none [][]any
	turns := map[EndpointID]storage.Effect{}
	for _, e := range events {
		now, key, matched := s.Clocks.Now(e.Realm), []any{string(e.Book), string(e.ID)}, false
		for _, sub := range subscribers[e.Book] {
			if !matches(sub.events, e.Type) || e.Sensitive && !s.schemes.secrets(sub.scheme) {
				continue
			}
			matched = true
			deliveries = append(deliveries, newDelivery(&e, sub.id, now))
			turns[sub.id] = s.askTurn(e.Book, sub.id, e.Realm)
		}
		if matched {
			dispatched = append(dispatched, key)
		} else {
			none = append(none, key)
		}
	}
	if err := tx.ExecRows(ctx, insertDelivery, deliveries); err != nil {
		return 0, err
	}
	if err := tx.ExecRows(ctx, markEvents, dispatched, eventDispatched); err != nil {
		return 0, err
	}
	if err := tx.ExecRows(ctx, markEvents, none, eventNone); err != nil {
		return 0, err
	}
	return len(events), tx.Apply(ctx, inOrder(subscribers, turns))
}

func newDelivery(e *Event, endpoint EndpointID, now time.Time) []any {
	at := storage.Micros(now)
	return []any{string(e.Book), string(e.ID), string(endpoint), id.New("whd"), deliveryPending, 0, 0, at, at}
}

// findByBook returns the active endpoints of the books that events belong to.
func findByBook(ctx context.Context, tx *storage.Tx, events []Event) (map[ledger.BookID][]subscription, error) {
	found := map[ledger.BookID][]subscription{}
	var books [][]any
	for i := range events {
		if _, seen := found[events[i].Book]; !seen {
			found[events[i].Book] = nil
			books = append(books, []any{string(events[i].Book)})
		}
	}
	subs, err := storage.AllOf(ctx, tx, scanSubscription, findSubscribers, books)
	for _, sub := range subs {
		found[sub.book] = append(found[sub.book], sub)
	}
	return found, err
}

// inOrder returns the turns by endpoint, so that two transactions never wait for each other in a ring.
func inOrder(subscribers map[ledger.BookID][]subscription, turns map[EndpointID]storage.Effect) []storage.Effect {
	var ordered []storage.Effect
	for _, book := range slices.Sorted(maps.Keys(subscribers)) {
		for _, sub := range subscribers[book] {
			if effect, asked := turns[sub.id]; asked {
				ordered = append(ordered, effect)
			}
		}
	}
	return ordered
}

// Purge removes what is older than the retention, each realm by its own clock:
// events with their deliveries and attempts, and endpoints deleted that long ago. An event
// that was sent again within the retention stays for as long as a delivery of it is pending.
func (s *Service) Purge(ctx context.Context) error {
	for _, r := range realm.All() {
		cutoff := storage.Micros(s.Clocks.Now(r).Add(-s.Config.Retention))
		for range purgeRounds {
			n, err := s.purge(ctx, r, cutoff)
			if err != nil {
				return fmt.Errorf("purge events: %w", err)
			}
			if n < purgeBatch {
				break
			}
		}
	}
	cutoff := storage.Micros(s.Clocks.Now(realm.Live).Add(-s.Config.Retention))
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.Exec(ctx, deleteEndpoints, cutoff)
		return err
	})
}

func (s *Service) purge(ctx context.Context, r realm.Realm, cutoff int64) (int, error) {
	old, err := storage.All(ctx, s.DB, scanEventKey, listOld, string(r), cutoff, purgeBatch)
	if err != nil || len(old) == 0 {
		return 0, err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		for _, b := range []*storage.Bulk{deleteAttempts, deleteDeliveries, deleteEvents} {
			if err := tx.ExecRows(ctx, b, old); err != nil {
				return err
			}
		}
		return nil
	})
	return len(old), err
}
