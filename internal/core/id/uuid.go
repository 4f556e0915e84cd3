package id

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// generator hands out UUIDv7 values that rise strictly within the process: the
// 12 bits after the milliseconds count up (RFC 9562, 6.2, method 1), and random
// bytes are drawn a block at a time.
type generator struct {
	mu    sync.Mutex
	milli int64
	count uint16
	block [512]byte
	used  int
}

// shared is the process's one generator: ids need no configuration.
var shared = &generator{used: len(generator{}.block)}

func next(now time.Time) [16]byte { return shared.next(now.UnixMilli()) }

// latest returns the milliseconds of the newest id.
func (g *generator) latest() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.milli
}

func (g *generator) next(milli int64) (u [16]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.used+10 > len(g.block) {
		_, _ = rand.Read(g.block[:]) // never fails: crypto/rand ends the process instead
		g.used = 0
	}
	random := g.block[g.used : g.used+10]
	g.used += 10
	switch {
	case milli > g.milli:
		g.milli = milli
		g.count = binary.BigEndian.Uint16(random) & 0x07ff // the top bit stays free to count up
	case g.count == 0x0fff:
		g.milli++
		g.count = 0
	default:
		g.count++
	}
	binary.BigEndian.PutUint64(u[:], uint64(g.milli)<<16)
	binary.BigEndian.PutUint16(u[6:], 0x7000|g.count)
	copy(u[8:], random[2:])
	u[8] = u[8]&0x3f | 0x80
	return u
}
