package fraud

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

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
		if used, most := table.Size(); used != most {
			t.Fatalf("a table with %d of %d entries: the flood is too small", used, most)
		}
	}
	runtime.KeepAlive(e)
}
