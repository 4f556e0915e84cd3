package feature

import (
	"math"
	"math/bits"
)

// sketch counts distinct keys within about one stretch of time: this turn and the last.
type sketch struct {
	turn    uint32
	current crowd // of this turn
	all     crowd // of this turn and the last
}

func (s *sketch) add(at, length seconds, k Key) {
	turn := uint32(at / length)
	switch {
	case turn == s.turn+1:
		s.all, s.current, s.turn = s.current, crowd{}, turn
	case turn > s.turn:
		*s = sketch{turn: turn}
	}
	mixed := (uint64(k) ^ uint64(k)>>32) * 0x9e3779b97f4a7c15
	mixed = (mixed ^ mixed>>29) * 0xbf58476d1ce4e5b9
	s.current.add(mixed)
	s.all.add(mixed)
}

// estimate returns about how many distinct keys there were in this turn and the last.
func (s *sketch) estimate(at, length seconds) float32 {
	switch turn := uint32(at / length); {
	case turn <= s.turn:
		return s.all.estimate()
	case turn == s.turn+1:
		return s.current.estimate()
	}
	return 0
}

const (
	// listed is how many keys a crowd names before it only estimates.
	listed = 16
	// registers is how many a HyperLogLog has; a key's first bits choose its own.
	registers    = 64
	registerBits = 6
	// mostRank is the highest that a register holds.
	mostRank = 15
)

// crowd counts distinct keys: a list of sixteen bits of each while they are few, then a
// HyperLogLog of registers of four bits in the place of the list.
type crowd struct {
	few    uint8 // how many are in the list
	many   bool
	empty  uint8          // registers without a key
	weight uint32         // sum of 2^-rank of all registers, in units of 2^-mostRank
	room   [listed]uint16 // the list, or four registers in each
}

func (c *crowd) add(hash uint64) {
	if c.many {
		c.raise(hash)
		return
	}
	mark := uint16(hash >> 48)
	for _, known := range c.room[:c.few] {
		if known == mark {
			return
		}
	}
	if c.few < listed {
		c.room[c.few] = mark
		c.few++
		return
	}
	marks := c.room
	*c = crowd{many: true, empty: registers, weight: registers << mostRank}
	for _, known := range marks {
		c.raise(uint64(known)<<48 | 1<<47) // of what the list forgot, the likeliest
	}
	c.raise(hash)
}

// raise has a key's register hold its rank: the place of the first bit after those that
// choose the register.
func (c *crowd) raise(hash uint64) {
	register := hash >> (64 - registerBits)
	rank := min(uint32(bits.LeadingZeros64(hash<<registerBits|1))+1, mostRank)
	cell, shift := &c.room[register/4], register%4*4
	old := uint32(*cell>>shift) & 15
	if rank <= old {
		return
	}
	*cell = *cell&^(15<<shift) | uint16(rank)<<shift
	c.weight = c.weight - 1<<(mostRank-old) + 1<<(mostRank-rank)
	if old == 0 {
		c.empty--
	}
}

// estimate is Ertl's improved raw estimator, which needs no table of corrections: O. Ertl,
// New cardinality estimation algorithms for HyperLogLog sketches, 2017, section 3.
func (c *crowd) estimate() float32 {
	if !c.many {
		return float32(c.few)
	}
	held := float64(c.weight-uint32(c.empty)<<mostRank) / (1 << mostRank)
	return float32(registers * registers / (2 * math.Ln2 * (held + registers*sigma(float64(c.empty)/registers))))
}

// sigma is x and the sum of x^(2^k) * 2^(k-1), for all k above 0.
func sigma(x float64) float64 {
	sum, power := x, 0.5
	for {
		x *= x
		power *= 2
		more := sum + x*power
		if more == sum {
			return sum
		}
		sum = more
	}
}
