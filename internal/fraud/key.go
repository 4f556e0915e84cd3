package fraud

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"net/netip"
	"time"

	"github.com/scripcards/scrip/internal/fraud/keep"
)

// key names a subject in its table; 0 names none.
type key = keep.Key

// ask is an event as the counters see it.
type ask struct {
	now                 second
	who                 [parties]key
	card, before, after key
	block               key
	listed, public      bool
}

func (e *Engine) ask(event *Event) ask {
	from := event.Address.Unmap().WithZone("")
	return ask{
		now:    secondOf(event.At),
		who:    [parties]key{caller: callerKey(event), address: addressKey(from), net: netKey(from)},
		card:   hashKey(&event.Card),
		before: hashKey(&event.Before),
		after:  hashKey(&event.After),
		block:  hashKey(&event.Block),
		listed: e.proxies.contain(from),
		public: event.Public,
	}
}

// secondOf is never 0, which stands for never.
func secondOf(at time.Time) second {
	return second(min(max(at.Unix(), 1), math.MaxUint32))
}

func hashKey(h *Hash) key { return key(binary.BigEndian.Uint64(h[:])) }

// callerKey is a hash, so that nobody chooses where in a table a credential goes.
func callerKey(event *Event) key {
	if event.Caller == "" {
		return 0
	}
	var room [128]byte
	text := append(room[:0], event.Book...)
	text = append(text, 0)
	text = append(text, event.Caller...)
	sum := sha256.Sum256(text)
	return key(binary.BigEndian.Uint64(sum[:]))
}

// mapped marks keys of IPv4 addresses; no IPv6 address begins like that.
const mapped = 0xffff << 32

// addressKey is an IPv4 address, or the /64 of an IPv6 address, which is one
// subscriber's.
func addressKey(a netip.Addr) key {
	switch {
	case !a.IsValid():
		return 0
	case a.Is4():
		four := a.As4()
		return mapped | key(binary.BigEndian.Uint32(four[:]))
	}
	sixteen := a.As16()
	return cmp.Or(key(binary.BigEndian.Uint64(sixteen[:])), 1)
}

// netKey is the /24 of an IPv4 address, or the /48 of an IPv6 address.
func netKey(a netip.Addr) key {
	if a.Is4() {
		return addressKey(a) &^ 0xff
	}
	if k := addressKey(a); k != 0 {
		return cmp.Or(k&^0xffff, 1)
	}
	return 0
}
