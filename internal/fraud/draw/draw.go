// Package draw makes random numbers for generators and samples: the same seed, the same
// numbers. It must never be used for a secret.
package draw

import "math"

// Source is a generator of numbers: SplitMix64. It is not safe for concurrent use.
type Source struct{ state uint64 }

// New returns the source of a seed.
func New(seed uint64) *Source { return &Source{seed * 0x9e3779b97f4a7c15} }

func (s *Source) next() uint64 {
	s.state += 0x9e3779b97f4a7c15
	z := s.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Below returns a number from 0 to n-1.
func (s *Source) Below(n uint64) uint64 { return s.next() % n }

// Int returns a number from 0 to n-1.
func (s *Source) Int(n int) int { return int(s.Below(uint64(n))) }

// Unit returns a number from 0 on and below 1.
func (s *Source) Unit() float64 { return float64(s.next()>>11) / (1 << 53) }

// Between returns a number from low on and below high.
func (s *Source) Between(low, high float64) float64 { return low + (high-low)*s.Unit() }

// Chance reports, in so many of one cases, that it is so.
func (s *Source) Chance(share float64) bool { return s.Unit() < share }

// Normal returns a number that is spread normally around 0 with deviation 1.
func (s *Source) Normal() float64 {
	return math.Sqrt(-2*math.Log(1-s.Unit())) * math.Cos(2*math.Pi*s.Unit())
}

// Pause returns a time to the next of events that come at random, one in each mean.
func (s *Source) Pause(mean float64) float64 { return -mean * math.Log(1-s.Unit()) }

// Poisson returns a number of events with a mean.
func (s *Source) Poisson(mean float64) int {
	limit, product := math.Exp(-mean), s.Unit()
	n := 0
	for ; product > limit; n++ {
		product *= s.Unit()
	}
	return n
}
