package rate

import (
	"math/big"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// Policy is when prices are believed.
type Policy struct {
	// Least is how many sources must have a fresh price. More than half of those that do must agree.
	Least int
	// Refresh is how old what is known may be before the sources are asked again.
	Refresh time.Duration
	// Fresh is how old a source's price may be to count.
	Fresh time.Duration
	// Stale is how old the last quote may be that is used while too few sources answer. It
	// does not help against sources that contradict each other.
	Stale time.Duration
	// Timeout bounds one round of asking.
	Timeout time.Duration
	// Outlier is how far from the median a price may be and still count, in hundredths of a percent.
	Outlier int64
	// Spread is how far apart the highest and the lowest of those that count may be, likewise.
	Spread int64
}

// DefaultPolicy returns the rules for real money: three sources at the least, none older than
// two minutes, of which those count that are not two percent off, and within three percent.
func DefaultPolicy() Policy {
	return Policy{Least: 3, Refresh: 30 * time.Second, Fresh: 2 * time.Minute, Stale: 10 * time.Minute, Timeout: 10 * time.Second,
		Outlier: 200, Spread: 300}
}

// Check returns invalid_request for rules that cannot hold.
func (p Policy) Check() error {
	switch {
	case p.Least < 1:
		return fault.New(fault.InvalidRequest, "want at least one source").At("least_sources")
	case p.Timeout <= 0:
		return fault.New(fault.InvalidRequest, "want a timeout above zero").At("timeout_ms")
	case p.Refresh < 0 || p.Fresh <= 0 || p.Fresh < p.Refresh || p.Stale < p.Fresh:
		return fault.New(fault.InvalidRequest, "want refresh, fresh and stale in this order, each at least the one before").At("fresh_seconds")
	case p.Outlier < 0 || p.Outlier > hundred || p.Spread < 0 || p.Spread > hundred:
		return fault.New(fault.InvalidRequest, "want an outlier and a spread of 0 to 100 %%").At("outlier")
	}
	return nil
}

// hundred percent, in hundredths of one.
const hundred = 10_000

// Observation is what one source said last.
type Observation struct {
	Source string
	Price
	// Problem is why it does not count; empty: it does.
	Problem string
}

// The problems that agree finds. Others are what a source answered.
const (
	problemOld     = "too old"
	problemOutlier = "too far from the others"
)

// observed is an Observation while it is judged.
type observed struct {
	*Observation
	value *big.Rat
}

// agree makes one price of many: of those that are fresh the median decides which are
// outliers, and of the rest the median is the price. It notes in all why one does not
// count. ok is false where too few are fresh; the error is for those that contradict each other.
func agree(all []Observation, p Policy, now time.Time) (q Quote, ok bool, err error) {
	var some []observed
	for i := range all {
		o := &all[i]
		switch {
		case o.Problem != "" || o.Rate.IsZero():
		case !isWithin(o.At, now, p.Fresh):
			o.Problem = problemOld
		default:
			some = append(some, observed{o, ratio(o.Rate)})
		}
	}
	if len(some) < p.Least {
		return Quote{}, false, nil
	}
	middle, fresh := median(some), len(some)
	some = slices.DeleteFunc(some, func(o observed) bool {
		far := apart(middle, o.value, middle, p.Outlier)
		if far {
			o.Problem = problemOutlier
		}
		return far
	})
	if 2*len(some) <= fresh {
		return Quote{}, false, fault.New(fault.Unavailable, "the sources of prices contradict each other")
	}
	middle = median(some)
	if apart(some[0].value, some[len(some)-1].value, middle, p.Spread) {
		return Quote{}, false, fault.New(fault.Unavailable, "the sources of prices are too far apart")
	}
	q.Rate, q.At = exact(middle, some), some[0].At
	for _, o := range some {
		q.Sources = append(q.Sources, o.Source)
		if o.At.Before(q.At) {
			q.At = o.At
		}
	}
	slices.Sort(q.Sources)
	return q, true, nil
}

// isWithin reports whether what was known at an instant is no older than it may be. How old
// something is that is still to come, nobody knows: the clock was set back since.
func isWithin(at, now time.Time, most time.Duration) bool {
	age := now.Sub(at)
	return age >= 0 && age <= most
}

// median sorts what is not empty and returns the middle value, of an even number the
// mean of the two in the middle.
func median(some []observed) *big.Rat {
	slices.SortStableFunc(some, func(a, b observed) int { return a.value.Cmp(b.value) })
	n := len(some)
	if n%2 == 1 {
		return some[n/2].value
	}
	sum := new(big.Rat).Add(some[n/2-1].value, some[n/2].value)
	return sum.Quo(sum, big.NewRat(2, 1))
}

// exact returns a median as a rate, or, where the mean of two prices is too fine for one,
// the lower of the two.
func exact(middle *big.Rat, sorted []observed) money.Rate {
	if middle.Num().IsInt64() && middle.Denom().IsInt64() {
		if r, err := money.NewRate(middle.Num().Int64(), middle.Denom().Int64()); err == nil {
			return r
		}
	}
	return sorted[(len(sorted)-1)/2].Rate
}

// apart reports whether a and b differ by more than bps hundredths of a percent of whole.
func apart(a, b, whole *big.Rat, bps int64) bool {
	off := new(big.Rat).Sub(a, b)
	off.Abs(off).Mul(off, big.NewRat(hundred, 1))
	return off.Cmp(new(big.Rat).Mul(whole, big.NewRat(bps, 1))) > 0
}

func ratio(r money.Rate) *big.Rat { return big.NewRat(r.Ratio()) }
