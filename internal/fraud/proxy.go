package fraud

import (
	"net/netip"
	"slices"
)

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
