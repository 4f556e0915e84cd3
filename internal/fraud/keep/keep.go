// Package keep remembers something of each of very many keys in bounded memory. Where
// there is no room, a newcomer takes the place of what has the least heat among a few:
// what came once goes first, what keeps coming stays, and what is hot stays whatever comes.
package keep

import "sync"

// Key names a subject; 0 names none.
type Key uint64

// Second is a time in seconds since 1970; 0 is never.
type Second uint32

const (
	shardCount = 32
	pageSize   = 64
	// sample is how many neighbours in a page contend for one place.
	sample = 16
	// Hot is the heat of what no newcomer pushes out.
	Hot = 64
)

// place is who has an entry, and how much it is worth keeping.
type place struct {
	key  Key
	seen Second
	heat uint32 // halved for each life that passed without an event
}

// page is a piece of a table: tables grow by pages, so that nothing is ever copied.
type page[T any] struct {
	places  [pageSize]place
	entries [pageSize]T
}

// Shard is a bounded part of a table under one lock.
type Shard[T any] struct {
	mu    sync.Mutex
	index map[Key]int32
	pages []*page[T]
	used  int32
	most  int32
	hand  int32 // where the next sample begins
	spare T     // for newcomers without room; forgotten at once
	_     [64]byte
}

// Table keeps an entry for each key. It is safe for concurrent use.
type Table[T any] struct {
	life   Second
	shards [shardCount]Shard[T]
}

// New makes a table of at most so many entries, rounded to full samples.
func New[T any](entries int64, life Second) *Table[T] {
	t := &Table[T]{life: life}
	each := max(1, entries/shardCount/sample) * sample
	for i := range t.shards {
		t.shards[i].index, t.shards[i].most = map[Key]int32{}, int32(min(each, maxEntries))
	}
	return t
}

// Size returns how many entries there are and how many there can be.
func (t *Table[T]) Size() (used, most int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		used, most = used+int(s.used), most+int(s.most)
		s.mu.Unlock()
	}
	return used, most
}

// maxEntries keeps positions in a shard far from what an int32 can hold.
const maxEntries = 1 << 24

// Open locks the shard of a key and returns it. The caller closes it, and holds no
// two at once.
func (t *Table[T]) Open(k Key) *Shard[T] {
	// Multiplying by the golden ratio spreads addresses, which are not hashed.
	s := &t.shards[(uint64(k)*0x9e3779b97f4a7c15)>>59]
	s.mu.Lock()
	return s
}

// Close gives the shard to others.
func (s *Shard[T]) Close() { s.mu.Unlock() }

// Find returns the entry of a key, nil where there is none.
func (s *Shard[T]) Find(k Key) *T {
	at, ok := s.index[k]
	if !ok {
		return nil
	}
	return &s.pages[at/pageSize].entries[at%pageSize]
}

// Touch is an event of a key, and what it is worth.
type Touch struct {
	Key  Key
	Now  Second
	Heat uint32
}

// Touch returns the entry of a key, made at first use. Where there is no room for a
// newcomer, it returns one that is forgotten. The caller holds the shard.
func (t *Table[T]) Touch(s *Shard[T], event Touch) *T {
	at, ok := s.index[event.Key]
	if !ok {
		if at, ok = s.room(event.Now, t.life); !ok {
			var empty T
			s.spare = empty
			return &s.spare
		}
		s.index[event.Key] = at
		s.place(at).key = event.Key
	}
	p := s.place(at)
	p.heat = min(p.warmth(event.Now, t.life)+event.Heat, maxHeat)
	p.seen = max(p.seen, event.Now)
	return &s.pages[at/pageSize].entries[at%pageSize]
}

// maxHeat leaves room to add to it.
const maxHeat = 1 << 30

func (s *Shard[T]) place(at int32) *place { return &s.pages[at/pageSize].places[at%pageSize] }

// warmth is the heat that is left.
func (p *place) warmth(now, life Second) uint32 {
	if now <= p.seen {
		return p.heat
	}
	return p.heat >> min(31, (now-p.seen)/life)
}

// room returns an empty place, and whether there is one.
func (s *Shard[T]) room(now, life Second) (int32, bool) {
	if s.used < s.most {
		if s.used%pageSize == 0 {
			s.pages = append(s.pages, &page[T]{})
		}
		s.used++
		return s.used - 1, true
	}
	victim, least := s.hand, uint32(Hot)
	for at := s.hand; at < s.hand+sample; at++ {
		p := s.place(at)
		warmth := p.warmth(now, life)
		if warmth < least || warmth == least && least < Hot && p.seen < s.place(victim).seen {
			victim, least = at, warmth
		}
	}
	s.hand = (s.hand + sample) % s.most
	if least == Hot {
		return 0, false
	}
	delete(s.index, s.place(victim).key)
	p := s.pages[victim/pageSize]
	var empty T
	p.places[victim%pageSize], p.entries[victim%pageSize] = place{}, empty
	return victim, true
}
