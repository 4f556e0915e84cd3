package money

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// edgy draws numbers near the limits, near zero, and anywhere.
var edgy = rapid.OneOf(
	rapid.Int64(),
	rapid.Int64Range(-1000, 1000),
	rapid.Int64Range(math.MinInt64, math.MinInt64+3),
	rapid.Int64Range(math.MaxInt64-3, math.MaxInt64),
	rapid.Int64Range(math.MaxInt64/2-2, math.MaxInt64/2+2),
)

// Sums and products are exact or ErrRange, just as unlimited integers say.
func TestArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := edgy.Draw(t, "x"), edgy.Draw(t, "y")
		a, b, bigX, bigY := New(x, EUR), New(y, EUR), big.NewInt(x), big.NewInt(y)
		check := func(name string, got Amount, err error, want *big.Int) {
			t.Helper()
			if !want.IsInt64() {
				if !errors.Is(err, ErrRange) || got != (Amount{}) {
					t.Errorf("%s = %+v, %v; want %v", name, got, err, ErrRange)
				}
				return
			}
			if err != nil || got != New(want.Int64(), EUR) {
				t.Errorf("%s = %+v, %v; want %v", name, got, err, want)
			}
		}
		got, err := a.Add(b)
		check("sum", got, err, new(big.Int).Add(bigX, bigY))
		got, err = a.Mul(y)
		check("product", got, err, new(big.Int).Mul(bigX, bigY))
		if a.IsZero() != (x == 0) || a.IsPositive() != (x > 0) || a.IsNegative() != (x < 0) {
			t.Errorf("wrong sign of %d", x)
		}
	})
}

// Amounts of any two currencies are ordered by the numbers that they show.
func TestCmpNumber(t *testing.T) {
	number := func(a Amount) *big.Rat {
		n, ok := new(big.Rat).SetString(a.Decimal())
		if !ok {
			t.Fatalf("%s is no number", a.Decimal())
		}
		return n
	}
	var all []Amount
	for _, c := range List() {
		if finest%int64(powersOfTen[c.Digits()]) != 0 {
			t.Errorf("%s is finer than the finest", c)
		}
	}
	for _, c := range []Currency{JPY, USD, KWD, CLF, BTC} {
		for _, minor := range []int64{0, 1, -1, 99, 100, 101, -101, 1000, 100_000_000, -150_000_000, math.MaxInt64, math.MinInt64} {
			all = append(all, New(minor, c))
		}
	}
	for _, a := range all {
		for _, b := range all {
			if got, want := a.CmpNumber(b), number(a).Cmp(number(b)); got != want {
				t.Fatalf("%s and %s: %d, want %d", a.Decimal()+" "+a.Currency.String(), b.Decimal()+" "+b.Currency.String(), got, want)
			}
		}
	}
}

// No operation accepts two currencies, or none.
func TestMismatch(t *testing.T) {
	usd, eur, none := New(1, USD), New(1, EUR), New(1, NoCurrency)
	for name, pair := range map[string]struct {
		a, b Amount
		want error
	}{
		"two currencies": {usd, eur, ErrMismatch},
		"one currency":   {usd, none, ErrCurrency},
		"no currency":    {none, none, ErrCurrency},
	} {
		if _, err := pair.a.Add(pair.b); !errors.Is(err, pair.want) {
			t.Errorf("%s: %v, want %v", name, err, pair.want)
		}
	}
	_, mul := none.Mul(2)
	_, split := none.Split(2)
	_, allocate := none.Allocate(1)
	_, fee := none.BasisPoints(1, Floor)
	for i, err := range []error{mul, split, allocate, fee} {
		if !errors.Is(err, ErrCurrency) {
			t.Errorf("operation %d without a currency: %v", i, err)
		}
	}
}

// Who gets the units that do not divide evenly.
func TestAllocate(t *testing.T) {
	for _, row := range []struct {
		minor   int64
		weights []int64
		want    []int64
	}{
		{100, []int64{1, 1, 1}, []int64{34, 33, 33}},
		{-100, []int64{1, 1, 1}, []int64{-34, -33, -33}},
		{5, []int64{3, 7}, []int64{2, 3}},
		{100, []int64{50, 30, 20}, []int64{50, 30, 20}},
		{101, []int64{1, 2, 3}, []int64{17, 34, 50}},
		{1, []int64{0, 1, 1}, []int64{0, 1, 0}},
		{0, []int64{1, 2}, []int64{0, 0}},
		{7, []int64{9}, []int64{7}},
		{math.MaxInt64, []int64{math.MaxInt64 - 1, 1}, []int64{math.MaxInt64 - 1, 1}},
		{math.MinInt64, []int64{1, 0}, []int64{math.MinInt64, 0}},
	} {
		parts, err := New(row.minor, USD).Allocate(row.weights...)
		if got := minors(parts); err != nil || !slices.Equal(got, row.want) {
			t.Errorf("%d by %v: %v, %v; want %v", row.minor, row.weights, got, err, row.want)
		}
	}
	for _, weights := range [][]int64{
		{}, {0}, {0, 0}, {-1, 2}, {math.MaxInt64, -1}, {math.MaxInt64, 1}, slices.Repeat([]int64{1}, MaxParts+1),
	} {
		if parts, err := New(1, USD).Allocate(weights...); !errors.Is(err, ErrRange) || parts != nil {
			t.Errorf("%d weights: %v, %v", len(weights), parts, err)
		}
	}
	split, err := New(MaxParts, USD).Split(MaxParts)
	allocated, allocateErr := New(MaxParts, USD).Allocate(slices.Repeat([]int64{1}, MaxParts)...)
	if err != nil || allocateErr != nil || split[MaxParts-1] != New(1, USD) || !slices.Equal(split, allocated) {
		t.Errorf("by %d: %d parts, %v; allocated %d, %v", MaxParts, len(split), err, len(allocated), allocateErr)
	}
	for _, n := range []int{-1, 0, MaxParts + 1} {
		if parts, err := New(1, USD).Split(n); !errors.Is(err, ErrRange) || parts != nil {
			t.Errorf("split by %d: %v, %v", n, parts, err)
		}
	}
}

// The parts sum to the whole, each is within one unit of its exact share and on
// its side of zero, and a part without weight is empty.
func TestAllocateLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := New(edgy.Draw(t, "minor"), USD)
		weights := rapid.SliceOfN(rapid.OneOf(
			rapid.Int64Range(0, 10), rapid.Int64Range(0, math.MaxInt64/20)), 1, 20).Draw(t, "weights")
		total := new(big.Int)
		for _, weight := range weights {
			total.Add(total, big.NewInt(weight))
		}
		if total.Sign() == 0 {
			t.Skip("no weight at all")
		}
		parts, err := a.Allocate(weights...)
		if err != nil {
			t.Fatal(err)
		}
		sum := new(big.Int)
		for i, part := range parts {
			sum.Add(sum, big.NewInt(part.Minor))
			share := new(big.Int).Mul(big.NewInt(a.Minor), big.NewInt(weights[i]))
			share.Quo(share, total)
			extra := share.Sub(big.NewInt(part.Minor), share)
			if extra.CmpAbs(big.NewInt(1)) > 0 || extra.Sign()*big.NewInt(a.Minor).Sign() < 0 {
				t.Errorf("part %d is %v off its share", i, extra)
			}
			if weights[i] == 0 && part.Minor != 0 {
				t.Errorf("part %d got %d for nothing", i, part.Minor)
			}
		}
		if sum.Cmp(big.NewInt(a.Minor)) != 0 {
			t.Errorf("parts sum to %v, want %d", sum, a.Minor)
		}
	})
}

// Split is Allocate with equal weights.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, n := New(edgy.Draw(t, "minor"), USD), rapid.IntRange(1, 50).Draw(t, "n")
		split, err := a.Split(n)
		if err != nil {
			t.Fatal(err)
		}
		want, err := a.Allocate(slices.Repeat([]int64{1}, n)...)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(split, want) {
			t.Errorf("split %v, allocated %v", split, want)
		}
	})
}

func minors(parts []Amount) []int64 {
	list := make([]int64, len(parts))
	for i, part := range parts {
		list[i] = part.Minor
	}
	return list
}
