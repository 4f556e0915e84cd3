package fraud

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A table never holds more than its bound, finds what it holds under its own key, and forgets no entry that is hot.
func TestTableAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const life = 100
		table := newTable[key](shardCount*sample, life)
		now := second(1000)
		heated := map[key]second{} // when what is hot was last so
		for range rapid.IntRange(1, 400).Draw(t, "events") {
			now += second(rapid.IntRange(0, 2).Draw(t, "gap"))
			k := key(rapid.Uint64Range(1, 60).Draw(t, "key"))
			s := table.open(key(1)) // one shard for all of them
			was := s.find(k)
			e := table.touch(s, touch{k, now, uint32(rapid.SampledFrom([]int{1, 1, 1, 20}).Draw(t, "heat"))})
			if was != nil && was != e || *e != 0 && *e != k {
				t.Fatalf("key %d found the entry of %d", k, *e)
			}
			*e = k
			if int(s.used) != len(s.index) || s.used > s.most {
				t.Fatalf("%d used of %d, %d indexed", s.used, s.most, len(s.index))
			}
			for hotKey, last := range heated {
				if now-last < life && s.find(hotKey) == nil {
					t.Fatalf("%d was hot and is forgotten", hotKey)
				}
			}
			if at, ok := s.index[k]; ok && s.place(at).heat >= hot {
				heated[k] = now
			}
			s.mu.Unlock()
		}
	})
}

// Heat halves for each life without an event; a table full of hot entries takes newcomers again when they have cooled.
func TestHeatGoes(t *testing.T) {
	table := newTable[int](1, 100)
	s := table.open(1)
	defer s.mu.Unlock()
	for k := range key(sample) {
		*table.touch(s, touch{k + 1, 1000, hot + uint32(k)}) = 1
	}
	if e := table.touch(s, touch{99, 1100 - 1, 1}); *e != 0 || s.find(99) != nil {
		t.Errorf("a newcomer pushed out what is hot")
	}
	for _, k := range []key{99, 98} {
		table.touch(s, touch{k, 1100, 1})
		if s.find(k) == nil {
			t.Errorf("no room for %d after a life", k)
		}
	}
	if s.find(1) != nil || s.find(sample) == nil || s.find(99) != nil {
		t.Error("not the coldest went")
	}
}

// flood asks once for each of many numbers, each from a network of its own.
func flood(e *Engine, at time.Time, events int) {
	for i := range events {
		event := about(1<<40 + 1000*uint64(i))
		event.At, event.Public = at, true
		event.Caller = fmt.Sprint("key_flood", i)
		event.Address = netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
		e.Score(event)
		e.Learn(event, unknown)
	}
}

// floodSize is several times what fits into the least memory.
const floodSize = 30_000

// A flood of new cards, addresses, networks and credentials erases nothing of an attack under way, nor of what was known of a card.
func TestFloodErasesNothing(t *testing.T) {
	c := newTeller(t)
	c.Engine = New(Config{Memory: MinMemory})
	thief := who{key: "key_thief", from: "203.0.113.66"}
	for i := range 12 {
		c.asks(thief, 5000+uint64(i), unknown, time.Second)
		c.asks(who{from: fmt.Sprintf("10.1.%d.1", i)}, 777_777, badPIN, time.Second)
	}
	c.asks(shop, 888_888, right, 48*time.Hour/100)
	c.asks(thief, 5012, unknown, 0)
	before := c.last
	flood(c.Engine, c.now, floodSize)
	c.asks(thief, 5013, unknown, time.Second)
	if c.last.Hundredths < 80 || c.last.Hundredths < before.Hundredths {
		t.Errorf("the attack had %+v, after the flood %+v", before, c.last)
	}
	c.asks(who{from: "10.2.0.1"}, 777_777, badPIN, time.Second)
	if got := c.signal("pin_guessing_pattern"); got.Value != 12 {
		t.Errorf("of 12 wrong PINs: %+v", c.last)
	}
	c.asks(stranger, 888_888, right, 0)
	if got := c.signal("new_ip_detected"); got.Value != 1 {
		t.Errorf("a known card from elsewhere: %+v", c.last)
	}
}

// inUse returns how many bytes are in use.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// However many keys come, in both realms, an engine stays within its memory.
func TestMemoryIsBounded(t *testing.T) {
	const memory = 6 << 20
	before := inUse()
	e := New(Config{Memory: memory})
	flood(e, noon, floodSize)
	if used := inUse() - before; used > memory {
		t.Errorf("%d bytes in use, want at most %d", used, memory)
	} else if used < memory/3 {
		t.Errorf("%d bytes in use of %d: the bound is not put to use, or the flood is too small", used, memory)
	}
	for _, table := range e.live.parties {
		for i := range table.shards {
			if s := &table.shards[i]; s.used != s.most {
				t.Fatalf("a shard with %d of %d entries: the flood is too small", s.used, s.most)
			}
		}
	}
	runtime.KeepAlive(e)
}
