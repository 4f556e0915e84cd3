package fraud

import (
	"net/netip"
	"testing"
	"time"
)

// crowd is a repeating history of many callers, some of them thieves.
func crowd() ([]Event, []Outcome) {
	const size = 1 << 16
	events, outcomes := make([]Event, size), make([]Outcome, size)
	for i := range events {
		n := uint64(i*i) % 900_007
		if i%4 == 0 {
			n = uint64(i)
		}
		e := about(n)
		e.At, e.Book, e.Caller, e.Public = noon.Add(time.Duration(i)*10*time.Millisecond), "book_01kad5v9x2f3z8w6q0m4n7c1bt", "key_01kad5q4m8p2r6t9v3x7z1b5dh", i%3 == 0
		e.Address = netip.AddrFrom4([4]byte{byte(i % 7), byte(i % 11), byte(i % 64), byte(i % 5)})
		events[i], outcomes[i] = e, Outcome{Found: i%3 != 0}
	}
	return events, outcomes
}

// BenchmarkScore scores a mixed crowd on an engine that knows it.
func BenchmarkScore(b *testing.B) {
	events, outcomes := crowd()
	e := New(Config{})
	for i := range events {
		e.Score(events[i])
		e.Learn(events[i], outcomes[i])
	}
	b.Run("Score", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			e.Score(events[i%len(events)])
		}
	})
	b.Run("Learn", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			e.Learn(events[i%len(events)], outcomes[i%len(events)])
		}
	})
	b.Run("Parallel", func(b *testing.B) {
		b.RunParallel(func(p *testing.PB) {
			for i := 0; p.Next(); i++ {
				e.Score(events[i%len(events)])
			}
		})
	})
}

// BenchmarkFlood scores numbers and addresses that never come again, on a full engine.
func BenchmarkFlood(b *testing.B) {
	e := New(Config{Memory: 16 << 20})
	flood(e, noon, 100_000)
	event := about(7)
	event.At = noon
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		event.Card[0], event.Card[1], event.Card[2] = byte(i), byte(i>>8), byte(i>>16)
		event.Address = netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1})
		e.Score(event)
	}
}

// Scoring a clean event allocates nothing, any other its list of signals.
func TestScoreAllocations(t *testing.T) {
	e := New(Config{Memory: MinMemory})
	clean, dirty := about(7), about(8)
	clean.At, dirty.At = noon, noon
	dirty.Caller, dirty.Public, dirty.Address = "key_1", true, netip.MustParseAddr("192.0.2.1")
	for i := range 100 {
		other := about(far(i))
		other.At, other.Caller, other.Public, other.Address = dirty.At, dirty.Caller, true, dirty.Address
		e.Score(other)
	}
	e.Score(clean)
	for _, c := range []struct {
		event Event
		most  float64
	}{{clean, 0}, {dirty, 1}} {
		c.event.At = noon
		if got := testing.AllocsPerRun(5, func() { e.Score(c.event) }); got > c.most {
			t.Errorf("%v allocations, want at most %v", got, c.most)
		}
	}
}
