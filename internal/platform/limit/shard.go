package limit

import (
	"strings"
	"sync"
	"time"
)

// entry is what is known of one subject.
type entry struct {
	subject string
	seen    int64 // when it was last asked for, ns since 1970
	most    int   // slots
	slots   []slot
}

// slot returns where the window of length per is kept, -1 when there is no room.
func (e *entry) slot(per time.Duration) int {
	for i := range e.slots {
		if e.slots[i].per == per {
			return i
		}
	}
	if len(e.slots) == e.most {
		return -1
	}
	e.slots = append(e.slots, slot{per: per})
	return len(e.slots) - 1
}

// lease returns the lease of a slot, made at first use.
func (e *entry) lease(at int) *lease {
	s := &e.slots[at]
	if s.leased == nil {
		s.leased = &lease{}
	}
	return s.leased
}

// The fill of an entry, in thousandths. What is hot is kept whatever comes.
const (
	idle = 0
	hot  = 500
)

// fill is how much of its fullest window the entry has used.
func (e *entry) fill(now int64) int64 {
	var most int64
	for i := range e.slots {
		s := &e.slots[i]
		if s.leased != nil {
			most = max(most, s.leased.fill(now, int64(s.per)))
		}
		if s.forget(now); s.taken > 0 {
			most = max(most, 1+1000*s.taken/(s.limit+1))
		}
	}
	return most
}

// shard is a bounded table of entries under one lock.
type shard struct {
	mu       sync.Mutex
	index    map[string]int
	entries  []*entry
	most     int
	hand     int   // where the search for something to forget goes on
	now      int64 // the latest request's, ns since 1970
	overflow entry // shared by newcomers without room
	_        [64]byte
}

func (s *shard) setup(most int) {
	s.index, s.most = map[string]int{}, most
	s.overflow.subject, s.overflow.most = "~overflow", maxOverflow
}

const (
	sweepSteps  = 2  // entries looked at for each newcomer while there is room
	searchSteps = 32 // …and when there is none
	rest        = time.Minute
)

// setBack is more than requests pass one another on their way to the lock.
const setBack = time.Second

func (s *shard) isBehind(now int64) bool { return s.now-now >= int64(setBack) }

// follow notes what time it is. Where the clock was set back everything that was counted goes
// back with it, so that nobody waits longer than before: of a clock that was ahead for a while, less.
// The caller holds the lock.
func (s *shard) follow(now int64) {
	if !s.isBehind(now) {
		s.now = max(s.now, now)
		return
	}
	back := s.now - now
	for _, e := range append(s.entries[:len(s.entries):len(s.entries)], &s.overflow) {
		e.seen -= back
		for i := range e.slots {
			for k := range e.slots[i].runs {
				e.slots[i].runs[k].at -= back
			}
		}
	}
	s.now = now
}

// find returns the entry of subject, made at first use. The caller holds the lock.
func (s *shard) find(subject string, now int64) *entry {
	if at, ok := s.index[subject]; ok {
		e := s.entries[at]
		e.seen = now
		return e
	}
	return s.add(subject, now)
}

func (s *shard) add(subject string, now int64) *entry {
	s.sweep(now)
	if len(s.entries) >= s.most && !s.forgetLeast(now) {
		return &s.overflow
	}
	e := &entry{subject: strings.Clone(subject), seen: now, most: MaxWindows} // it may be part of a whole request
	s.index[e.subject] = len(s.entries)
	s.entries = append(s.entries, e)
	return e
}

// sweep forgets a few entries that have been idle for long, so that a table shrinks
// as fast as it grows.
func (s *shard) sweep(now int64) {
	for range sweepSteps {
		at := s.step()
		if at < 0 {
			return
		}
		if e := s.entries[at]; now-e.seen > int64(rest) && e.fill(now) == idle {
			s.forget(at)
		}
	}
}

// forgetLeast makes room by forgetting the entry that used least among the next few;
// it reports whether one of them was cold enough.
func (s *shard) forgetLeast(now int64) bool {
	victim, least := -1, int64(hot)
	for range searchSteps {
		at := s.step()
		if fill := s.entries[at].fill(now); fill < least {
			victim, least = at, fill
		}
		if least == idle {
			break
		}
	}
	if victim < 0 {
		return false
	}
	s.forget(victim)
	return true
}

// step moves the hand on and returns where it was, -1 in an empty table.
func (s *shard) step() int {
	if len(s.entries) == 0 {
		return -1
	}
	s.hand = (s.hand + 1) % len(s.entries)
	return s.hand
}

func (s *shard) forget(at int) {
	last := len(s.entries) - 1
	delete(s.index, s.entries[at].subject)
	if at != last {
		s.entries[at] = s.entries[last]
		s.index[s.entries[at].subject] = at
	}
	s.entries[last] = nil
	s.entries = s.entries[:last]
}
