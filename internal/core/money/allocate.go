package money

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// MaxParts is the largest number of parts into which an amount is divided.
const MaxParts = 10_000

// Allocate divides a in proportion to the weights, which must not be negative
// nor all zero. The parts sum to a exactly: each gets its share rounded toward
// zero, then the units left over go one each to the largest remainders, the
// first part winning a tie (Hamilton's method). A weight of zero gets nothing.
// It returns ErrRange for bad weights or more than MaxParts.
func (a Amount) Allocate(weights ...int64) ([]Amount, error) {
	if !a.Currency.IsValid() {
		return nil, ErrCurrency
	}
	total, err := sumWeights(weights)
	if err != nil {
		return nil, err
	}
	size, negative := magnitude(a.Minor), a.Minor < 0
	shares := make([]uint64, len(weights))
	remainders := make([]uint64, len(weights))
	left := size
	for i, weight := range weights {
		high, low := bits.Mul64(size, uint64(weight))
		shares[i], remainders[i] = bits.Div64(high, low, total)
		left -= shares[i]
	}
	for _, i := range byRemainder(remainders)[:left] {
		shares[i]++
	}
	return a.parts(shares, negative)
}

// Split divides a into n parts that differ by at most one minor unit, the
// larger ones first. It returns ErrRange unless n is 1 to MaxParts.
func (a Amount) Split(n int) ([]Amount, error) {
	if !a.Currency.IsValid() {
		return nil, ErrCurrency
	}
	if n < 1 || n > MaxParts {
		return nil, ErrRange
	}
	size, negative := magnitude(a.Minor), a.Minor < 0
	share, left := size/uint64(n), size%uint64(n)
	shares := make([]uint64, n)
	for i := range shares {
		shares[i] = share
		if uint64(i) < left {
			shares[i]++
		}
	}
	return a.parts(shares, negative)
}

func (a Amount) parts(shares []uint64, negative bool) ([]Amount, error) {
	parts := make([]Amount, len(shares))
	for i, share := range shares {
		part, err := a.with(share, negative)
		if err != nil {
			return nil, err
		}
		parts[i] = part
	}
	return parts, nil
}

func sumWeights(weights []int64) (uint64, error) {
	if len(weights) > MaxParts {
		return 0, ErrRange
	}
	var total int64
	for _, weight := range weights {
		if weight < 0 || weight > math.MaxInt64-total {
			return 0, ErrRange
		}
		total += weight
	}
	if total == 0 {
		return 0, ErrRange
	}
	return uint64(total), nil
}

// byRemainder returns the indices of remainders, largest remainder first,
// equal ones in their order.
func byRemainder(remainders []uint64) []int {
	order := make([]int, len(remainders))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Compare(remainders[j], remainders[i])
	})
	return order
}
