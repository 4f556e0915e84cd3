package webhook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	// maxKnown bounds the endpoints in memory; beyond it every event is looked at.
	maxKnown = 1_000_000
	// staleAfter is how old what is known may be before every event is looked at.
	staleAfter = 5 * time.Second
	// overlap is how far back before the last look changes are read again, for clocks that
	// differ and transactions that take long.
	overlap = 2 * time.Minute
	// reloadEvery is how often all is read anew, should overlap ever be too short.
	reloadEvery = 5 * time.Minute
)

// subscriptions is what this process knows of who wants which events. While it
// knows nothing or is out of date everybody may want everything: the dispatcher,
// which reads the database, decides.
type subscriptions struct {
	mu       sync.RWMutex
	books    map[ledger.BookID]map[EndpointID]subscription
	size     int
	loaded   bool
	overfull bool
	fresh    clock.Stopwatch // since the last look at the database
	whole    clock.Stopwatch // since the last look at all of it
	looked   time.Time       // when the last look began, by the machine's clock
}

// subscription is what one endpoint wants as of one version of it.
type subscription struct {
	book    ledger.BookID
	id      EndpointID
	version int64
	active  bool
	events  string // separated by spaces
	scheme  string
}

// wants reports whether an endpoint of book may want events of a type.
func (s *subscriptions) wants(book ledger.BookID, eventType string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.loaded || s.overfull || s.fresh.Elapsed() > staleAfter {
		return true
	}
	for _, sub := range s.books[book] {
		if sub.active && matches(sub.events, eventType) {
			return true
		}
	}
	return false
}

// matches reports whether a list of names, or "*", covers a type.
func matches(events, eventType string) bool {
	if events == allEvents {
		return true
	}
	return slices.Contains(strings.Fields(events), eventType)
}

const allEvents = "*"

// learn takes over sub unless a later version is known: what this process changed
// itself is never undone by what it had read before.
func (s *subscriptions) learn(sub subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(sub)
}

func (s *subscriptions) put(sub subscription) {
	if s.books == nil {
		s.books = map[ledger.BookID]map[EndpointID]subscription{}
	}
	known, exists := s.books[sub.book][sub.id]
	if exists && known.version >= sub.version {
		return
	}
	if !exists {
		if s.size == maxKnown {
			s.overfull = true
			return
		}
		s.size++
	}
	if s.books[sub.book] == nil {
		s.books[sub.book] = map[EndpointID]subscription{}
	}
	s.books[sub.book][sub.id] = sub
}

// forget lets endpoints go that want nothing any more: whoever is not known does not, either.
// The caller holds the lock, and what it read was not older than what was known.
func (s *subscriptions) forget() {
	for book, endpoints := range s.books {
		before := len(endpoints)
		maps.DeleteFunc(endpoints, func(_ EndpointID, sub subscription) bool { return !sub.active })
		if s.size -= before - len(endpoints); len(endpoints) == 0 {
			delete(s.books, book)
		}
	}
}

// Refresh reads which endpoints changed of late, all of them the first time and
// now and then. Start does it every second.
func (s *Service) Refresh(ctx context.Context) error {
	known := &s.Outbox.subscriptions
	known.mu.RLock()
	whole, last := !known.loaded || known.whole.Elapsed() > reloadEvery, known.looked
	known.mu.RUnlock()
	watch, now, since := clock.Start(), s.Clocks.Now(realm.Live), int64(0)
	if !whole {
		// A process that stood still looks as far back as it slept; a clock can go back, too.
		since = min(storage.Micros(last), storage.Micros(now)) - overlap.Microseconds()
	}
	err := storage.Each(ctx, s.DB, scanSubscription, func(sub subscription) error {
		known.learn(sub)
		return nil
	}, listChanged, since)
	if err != nil {
		return fmt.Errorf("read webhook subscriptions: %w", err)
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	known.fresh, known.looked = watch, now
	if whole {
		known.loaded, known.whole = true, watch
		known.forget()
	}
	return nil
}
