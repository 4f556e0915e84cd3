// Package memo remembers, for a moment and in bounded memory, what a look-up
// found or did not find.
//
// What is found and what is absent have room of their own, so that guessing
// cannot push out what is in use. An answer is at most Life old; once it is
// older than Fresh, one caller looks again while the others keep it, and where
// that fails or takes longer than Fresh, another one does. After Forget nothing
// that was looked up before is returned or kept.
//
// It must never be the only place where something is known.
package memo

import (
	"context"
	"sync/atomic"
	"time"
)

// Key is a digest that spreads evenly, such as SHA-256.
type Key = [32]byte

// Config bounds a Memo.
type Config struct {
	Present int // answers that are kept
	Absent  int // absences that are kept
	Fresh   time.Duration
	Life    time.Duration
}

// Memo holds answers of type V. It is safe for concurrent use.
type Memo[V any] struct {
	present    [shards]shard[V]
	absent     [shards]shard[struct{}]
	fresh      int64 // nanoseconds
	life       int64
	generation atomic.Uint64
}

// shards spread the locks; the first byte of a key chooses one.
const shards = 16

// New returns an empty memo.
func New[V any](config Config) *Memo[V] {
	m := &Memo[V]{fresh: int64(config.Fresh), life: int64(config.Life)}
	for i := range shards {
		m.present[i].init(config.Present / shards)
		m.absent[i].init(config.Absent / shards)
	}
	return m
}

// Query is what to find, and when.
type Query struct {
	Key Key
	Now time.Time
}

// Find returns what is remembered under the key, or asks load, which reports
// whether there is such a thing. Errors are not remembered; while a remembered
// answer lives, it outlasts them.
func (m *Memo[V]) Find(ctx context.Context, q Query, load func(context.Context) (V, bool, error)) (V, bool, error) {
	at := age{now: q.Now.UnixNano(), fresh: m.fresh, life: m.life}
	old, found := m.present[q.Key[0]%shards].get(q.Key, at)
	if found == current {
		return old, true, nil
	}
	if found == nothing {
		if _, known := m.absent[q.Key[0]%shards].get(q.Key, at); known == current {
			return old, false, nil
		}
	}
	generation := m.generation.Load()
	value, ok, err := load(ctx)
	if err != nil {
		return old, found == stale, keepUnless(found == stale, err)
	}
	m.keep(q.Key, kept[V]{value: value, ok: ok, loaded: at.now, generation: generation})
	return value, ok, nil
}

// keepUnless returns err unless there is an answer to fall back to.
func keepUnless(fallback bool, err error) error {
	if fallback {
		return nil
	}
	return err
}

// kept is one answer of a load.
type kept[V any] struct {
	value      V
	ok         bool
	loaded     int64
	generation uint64
}

// keep remembers an answer unless Forget ran since it was asked for.
func (m *Memo[V]) keep(key Key, k kept[V]) {
	present, absent := &m.present[key[0]%shards], &m.absent[key[0]%shards]
	unchanged := func() bool { return m.generation.Load() == k.generation }
	if k.ok {
		present.put(key, k.value, k.loaded, unchanged)
		return
	}
	present.remove(key)
	absent.put(key, struct{}{}, k.loaded, unchanged)
}

// Forget drops the answers that match, every absence, and whatever is being looked up now.
func (m *Memo[V]) Forget(match func(V) bool) {
	m.generation.Add(1)
	for i := range shards {
		m.present[i].forget(match)
		m.absent[i].forget(func(struct{}) bool { return true })
	}
}

// Drop is Forget for one key: what was looked up under it before is not returned any more.
func (m *Memo[V]) Drop(key Key) {
	m.generation.Add(1) // a look-up under way may have read what was there before
	m.present[key[0]%shards].remove(key)
	m.absent[key[0]%shards].remove(key)
}
