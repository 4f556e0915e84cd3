package traffic

import (
	"strconv"

	"github.com/scripcards/scrip/internal/fraud/draw"
)

// city is where cards are. Issuers number them in ranges of 5000, some dense, most empty.
type city struct {
	draw   *draw.Source
	bits   []uint64
	cards  []uint64 // that are in use
	ranges []uint64 // first numbers of those with cards
	fresh  uint64   // the next of the batches that nobody has used yet
}

const (
	firstSerial = 600_000_000
	rangeSize   = 5000
	rangeCount  = 800
	usedRanges  = 48
	freshRanges = 12 // dense and new, behind the used ones
	serials     = rangeSize * (rangeCount + freshRanges)
)

func newCity(d *draw.Source) *city {
	c := &city{draw: d, bits: make([]uint64, serials/64+1), fresh: firstSerial + rangeSize*rangeCount}
	for range usedRanges {
		first := firstSerial + rangeSize*d.Below(rangeCount)
		density := [...]float64{0.02, 0.1, 0.1, 0.3, 0.6}[d.Int(5)]
		c.ranges = append(c.ranges, first)
		for n := first; n < first+rangeSize; n++ {
			if d.Chance(density) {
				c.issue(n)
				c.cards = append(c.cards, n)
			}
		}
	}
	return c
}

func (c *city) issue(n uint64) { c.bits[(n-firstSerial)/64] |= 1 << ((n - firstSerial) % 64) }

func (c *city) exists(n uint64) bool {
	at := n - firstSerial
	return at < serials && c.bits[at/64]>>(at%64)&1 == 1
}

// one returns a card in use.
func (c *city) one() uint64 { return c.cards[c.draw.Int(len(c.cards))] }

// batch issues cards that nobody has asked for: numbers one after the other.
func (c *city) batch(size int) uint64 {
	first := c.fresh
	if first+uint64(size) >= firstSerial+serials { // the last range is used again
		first = firstSerial + rangeSize*rangeCount
	}
	c.fresh = first + uint64(size)
	for n := first; n < first+uint64(size); n++ {
		c.issue(n)
	}
	return first
}

// near returns a number where cards are.
func (c *city) near() uint64 { return c.ranges[c.draw.Int(len(c.ranges))] + c.draw.Below(rangeSize) }

// anywhere returns any number of the issuer's.
func (c *city) anywhere() uint64 { return firstSerial + c.draw.Below(rangeSize*rangeCount) }

// mistype changes one digit, or swaps two.
func (c *city) mistype(n uint64) uint64 {
	digits := []byte(strconv.FormatUint(n, 10))
	i := 1 + c.draw.Int(len(digits)-2)
	if c.draw.Chance(0.33) {
		digits[i], digits[i+1] = digits[i+1], digits[i]
	} else {
		digits[i+c.draw.Int(2)] = byte('0' + c.draw.Int(10))
	}
	wrong, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return n // digits are a number
	}
	return wrong
}
