package boost

import (
	"math"
	"slices"
	"sort"
)

// tail is the share of a column's rows, at either end, that is cut finer: what is rare
// is what fraud looks like.
const tail = 0.005

// cutsOf returns where a column is cut: values up to and including a cut are below it.
// It has at most bins-1, in rising order; a column of few values is cut between them all.
func cutsOf(column []float32, bins int) []float32 {
	sorted := make([]float32, 0, len(column))
	for _, x := range column {
		if !isMissing(x) {
			sorted = append(sorted, x)
		}
	}
	slices.Sort(sorted)
	distinct := slices.Compact(slices.Clone(sorted))
	if len(distinct) <= 1 {
		return distinct // against missing ones, if there are any
	}
	if len(distinct) < bins {
		return between(distinct)
	}
	return quantiles(sorted, bins-1)
}

func isMissing(x float32) bool { return x != x }

// between returns the middles of neighbours, and the least value for what is missing below it.
func between(distinct []float32) []float32 {
	cuts := make([]float32, 0, len(distinct))
	for i := 1; i < len(distinct); i++ {
		cuts = append(cuts, middle(distinct[i-1], distinct[i]))
	}
	return slices.Compact(cuts)
}

// middle is a number from a on and below b.
func middle(a, b float32) float32 {
	m := a + (b-a)/2
	if m >= b || m < a || math.IsInf(float64(m), 0) {
		return a
	}
	return m
}

// quantiles returns at most n cuts: half of them over all rows alike, a quarter within
// each tail.
func quantiles(sorted []float32, n int) []float32 {
	last := len(sorted) - 1
	edge := max(1, int(tail*float64(len(sorted))))
	var cuts []float32
	spread := func(from, to, count int) {
		for i := 1; i <= count; i++ {
			at := from + int(int64(to-from)*int64(i)/int64(count+1))
			above := sort.Search(last-at, func(k int) bool { return sorted[at+1+k] > sorted[at] })
			if at+1+above <= last {
				cuts = append(cuts, middle(sorted[at], sorted[at+1+above]))
			}
		}
	}
	spread(0, edge, n/4)
	spread(0, last, n-2*(n/4))
	spread(last-edge, last, n/4)
	slices.Sort(cuts)
	return slices.Compact(cuts)
}

// binOf returns a value's bin: 0 for a missing one, else 1 and how many cuts are below it.
func binOf(cuts []float32, x float32) uint16 {
	if isMissing(x) {
		return 0
	}
	low, high := 0, len(cuts)
	for low < high {
		m := int(uint(low+high) >> 1)
		if x > cuts[m] {
			low = m + 1
		} else {
			high = m
		}
	}
	return uint16(low + 1)
}

// minimum is below every number that is not missing.
var minimum = float32(math.Inf(-1))
