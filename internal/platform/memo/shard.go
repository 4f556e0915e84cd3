package memo

import "sync"

// shard is a part of the memory under one lock: a map, and a ring in order of use.
type shard[V any] struct {
	mu      sync.Mutex
	room    int
	entries map[Key]*entry[V]
	ring    entry[V] // its next is the last used, its previous the first to go
}

type entry[V any] struct {
	key            Key
	value          V
	loaded         int64 // nanoseconds since 1970
	looked         int64 // when somebody last began to look, which may have failed
	next, previous *entry[V]
}

// age says when an answer is too old.
type age struct{ now, fresh, life int64 }

type finding int

const (
	nothing finding = iota
	stale           // usable, and the caller is the one to look again
	current
)

func (s *shard[V]) init(room int) {
	s.room = max(1, room)
	s.entries = make(map[Key]*entry[V])
	s.ring.next, s.ring.previous = &s.ring, &s.ring
}

func (s *shard[V]) get(key Key, at age) (value V, found finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	if !ok {
		return value, nothing
	}
	if apart(at.now, e.loaded) >= at.life {
		s.drop(e)
		return value, nothing
	}
	s.unlink(e)
	s.linkFirst(e)
	if apart(at.now, e.looked) >= at.fresh {
		e.looked = at.now
		return e.value, stale
	}
	return e.value, current
}

// apart is the time between two moments. A machine's clock can go back; an answer from the
// future is as old as it is far.
func apart(a, b int64) int64 { return max(a-b, b-a) }

// put stores a value if allowed still holds under the lock.
func (s *shard[V]) put(key Key, value V, loaded int64, allowed func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !allowed() {
		return
	}
	if e, ok := s.entries[key]; ok {
		s.drop(e)
	}
	if len(s.entries) >= s.room {
		s.drop(s.ring.previous)
	}
	e := &entry[V]{key: key, value: value, loaded: loaded, looked: loaded}
	s.entries[key] = e
	s.linkFirst(e)
}

func (s *shard[V]) remove(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[key]; ok {
		s.drop(e)
	}
}

func (s *shard[V]) forget(match func(V) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if match(e.value) {
			s.drop(e)
		}
	}
}

func (s *shard[V]) drop(e *entry[V]) {
	delete(s.entries, e.key)
	s.unlink(e)
}

func (s *shard[V]) linkFirst(e *entry[V]) {
	e.previous, e.next = &s.ring, s.ring.next
	s.ring.next.previous = e
	s.ring.next = e
}

func (s *shard[V]) unlink(e *entry[V]) {
	e.previous.next, e.next.previous = e.next, e.previous
}
