package fraud

import "sync"

const (
	shardCount = 32
	pageSize   = 64
	// sample is how many neighbours in a page contend for one place.
	sample = 16
	// hot is the heat of what no newcomer pushes out.
	hot = 64
)

// place is who has an entry, and how much it is worth keeping.
type place struct {
	key  key
	seen second
	heat uint32 // halved for each life that passed without an event
}

// page is a piece of a table: tables grow by pages, so that nothing is ever copied.
type page[T any] struct {
	places  [pageSize]place
	entries [pageSize]T
}

// shard is a bounded part of a table under one lock.
type shard[T any] struct {
	mu    sync.Mutex
	index map[key]int32
	pages []*page[T]
	used  int32
	most  int32
	hand  int32 // where the next sample begins
	spare T     // for newcomers without room; forgotten at once
	_     [64]byte
}

// table keeps an entry for each key in bounded memory. Where there is no room, a
// newcomer takes the place of what has the least heat among a few: what came once
// goes first, what keeps coming stays, and what is hot stays whatever comes.
type table[T any] struct {
	life   second
	shards [shardCount]shard[T]
}

// newTable makes a table of at most so many entries, rounded to full samples.
func newTable[T any](entries int64, life second) *table[T] {
	t := &table[T]{life: life}
	each := max(1, entries/shardCount/sample) * sample
	for i := range t.shards {
		t.shards[i].index, t.shards[i].most = map[key]int32{}, int32(min(each, maxEntries))
	}
	return t
}

// maxEntries keeps positions in a shard far from what an int32 can hold.
const maxEntries = 1 << 24

// open locks the shard of a key and returns it. The caller unlocks it, and holds no
// two at once.
func (t *table[T]) open(k key) *shard[T] {
	// Multiplying by the golden ratio spreads addresses, which are not hashed.
	s := &t.shards[(uint64(k)*0x9e3779b97f4a7c15)>>59]
	s.mu.Lock()
	return s
}

// find returns the entry of a key, nil where there is none.
func (s *shard[T]) find(k key) *T {
	at, ok := s.index[k]
	if !ok {
		return nil
	}
	return &s.pages[at/pageSize].entries[at%pageSize]
}

// touch is an event of a key, and what it is worth.
type touch struct {
	key  key
	now  second
	heat uint32
}

// touch returns the entry of a key, made at first use. Where there is no room for a
// newcomer, it returns one that is forgotten. The caller holds the lock.
func (t *table[T]) touch(s *shard[T], event touch) *T {
	at, ok := s.index[event.key]
	if !ok {
		if at, ok = s.room(event.now, t.life); !ok {
			var empty T
			s.spare = empty
			return &s.spare
		}
		s.index[event.key] = at
		s.place(at).key = event.key
	}
	p := s.place(at)
	p.heat = min(p.warmth(event.now, t.life)+event.heat, maxHeat)
	p.seen = max(p.seen, event.now)
	return &s.pages[at/pageSize].entries[at%pageSize]
}

// maxHeat leaves room to add to it.
const maxHeat = 1 << 30

func (s *shard[T]) place(at int32) *place { return &s.pages[at/pageSize].places[at%pageSize] }

// warmth is the heat that is left.
func (p *place) warmth(now, life second) uint32 {
	if now <= p.seen {
		return p.heat
	}
	return p.heat >> min(31, (now-p.seen)/life)
}

// room returns an empty place, and whether there is one.
func (s *shard[T]) room(now, life second) (int32, bool) {
	if s.used < s.most {
		if s.used%pageSize == 0 {
			s.pages = append(s.pages, &page[T]{})
		}
		s.used++
		return s.used - 1, true
	}
	victim, least := s.hand, uint32(hot)
	for at := s.hand; at < s.hand+sample; at++ {
		p := s.place(at)
		warmth := p.warmth(now, life)
		if warmth < least || warmth == least && least < hot && p.seen < s.place(victim).seen {
			victim, least = at, warmth
		}
	}
	s.hand = (s.hand + sample) % s.most
	if least == hot {
		return 0, false
	}
	delete(s.index, s.place(victim).key)
	p := s.pages[victim/pageSize]
	var empty T
	p.places[victim%pageSize], p.entries[victim%pageSize] = place{}, empty
	return victim, true
}
