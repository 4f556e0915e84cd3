package fraud

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
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

// ranges are addresses, sorted, without overlaps.
type ranges []addressRange

type addressRange struct{ first, last netip.Addr }

// rangesOf gathers prefixes, and leaves out those that are none.
func rangesOf(prefixes []netip.Prefix) ranges {
	var all ranges
	for _, p := range prefixes {
		if p.IsValid() {
			all = append(all, rangeOf(p))
		}
	}
	slices.SortFunc(all, func(a, b addressRange) int { return a.first.Compare(b.first) })
	merged := all[:0]
	for _, r := range all {
		if last := len(merged) - 1; last >= 0 && r.first.Compare(merged[last].last) <= 0 {
			if merged[last].last.Less(r.last) {
				merged[last].last = r.last
			}
			continue
		}
		merged = append(merged, r)
	}
	return slices.Clip(merged)
}

// mappedBits is how long the prefix of IPv4 addresses within IPv6 is.
const mappedBits = 96

func rangeOf(p netip.Prefix) addressRange {
	if p.Addr().Is4In6() && p.Bits() >= mappedBits {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
	}
	p = p.Masked()
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return addressRange{first: p.Addr(), last: last}
}

// contain says whether the address, unmapped and without a zone, is in one of the ranges.
func (r ranges) contain(a netip.Addr) bool {
	at, exact := slices.BinarySearchFunc(r, a, func(r addressRange, a netip.Addr) int { return r.first.Compare(a) })
	return exact || at > 0 && !r[at-1].last.Less(a)
}
