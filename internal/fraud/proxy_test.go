package fraud

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// An address is listed exactly when one of the prefixes holds it, however they overlap.
func TestProxiesAgainstPrefixes(t *testing.T) {
	octets := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 127, 128, 254, 255}), 16, 16)
	addr := func(t *rapid.T) netip.Addr {
		b := octets.Draw(t, "octets")
		if rapid.Bool().Draw(t, "v4") {
			return netip.AddrFrom4([4]byte(b[:4]))
		}
		return netip.AddrFrom16([16]byte(b)).Unmap()
	}
	rapid.Check(t, func(t *rapid.T) {
		var prefixes []netip.Prefix
		for range rapid.IntRange(0, 12).Draw(t, "prefixes") {
			a := addr(t)
			prefixes = append(prefixes, netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")))
		}
		r := rangesOf(prefixes)
		for range 20 {
			a, want := addr(t), false
			for _, p := range prefixes {
				want = want || p.Contains(a)
			}
			if got := r.contain(a); got != want {
				t.Fatalf("%s in %v: %t", a, prefixes, got)
			}
		}
	})
}

// Prefixes of mapped addresses are IPv4's, and what is no prefix lists nobody.
func TestProxiesOddPrefixes(t *testing.T) {
	e := New(Config{Proxies: []netip.Prefix{{}, netip.MustParsePrefix("::ffff:192.0.2.0/120"), netip.MustParsePrefix("fe80::/10")}, Memory: MinMemory})
	for text, want := range map[string]int{"192.0.2.7": 15, "::ffff:192.0.2.7": 15, "192.0.3.7": 0, "fe80::1%eth0": 15, "2001:db8::1": 0} {
		if got := e.Score(Event{Address: netip.MustParseAddr(text)}); got.Hundredths != want {
			t.Errorf("%s: %+v, want %d", text, got, want)
		}
	}
	if got := e.Score(Event{}); got.Hundredths != 0 {
		t.Errorf("no address: %+v", got)
	}
}
