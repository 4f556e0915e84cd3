// Package rate is what assets are worth: prices from several sources, made one by their
// median, with everything that speaks against it kept out.
//
// It promises an exact ratio that more than half of enough fresh sources agree on, or the fault
// unavailable: there is no guess, no old price in disguise and no single source that
// decides. Every quote names the sources that it rests on, so that whoever uses it can
// keep them beside the money.
//
// It must never use a float, and moves no money.
package rate

import (
	"context"
	"math/big"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// Pair is what is priced in what.
type Pair struct {
	Base  asset.Symbol
	Quote money.Currency
}

// String returns the pair as "BTC/USD".
func (p Pair) String() string { return string(p.Base) + "/" + p.Quote.String() }

// Price is what one source says.
type Price struct {
	// Rate is how many major units of the quote one of the base buys.
	Rate money.Rate
	// At is when the source knew it; zero: now.
	At time.Time
}

// Source is a market, an index or a fixed list. Price makes one attempt. It returns the
// fault not_found for a pair that the source does not have, which is no failure.
type Source interface {
	Price(ctx context.Context, pair Pair) (Price, error)
}

// Named is a source under the name that quotes mention.
type Named struct {
	Name   string
	Source Source
}

// Quote is a price that enough sources agree on.
type Quote struct {
	Pair
	// Rate is how many major units of the quote one of the base buys.
	Rate money.Rate
	// Sources are the names of those whose prices made it, in order.
	Sources []string
	// At is when the oldest of those prices was known.
	At time.Time
	// Old says that too few sources have a fresh price now, and that this is the last one
	// that they agreed on.
	Old bool
}

// Value returns what an amount is worth: the exact product, rounded once, by Floor or HalfUp. It
// returns money.ErrMismatch for an amount of something else, and money.ErrRange for a worth
// beyond 63 bits of minor units.
func (q Quote) Value(amount asset.Amount, rounding money.Rounding) (money.Amount, error) {
	switch {
	case amount.Asset.Symbol() != q.Base || q.Rate.IsZero():
		return money.Amount{}, money.ErrMismatch
	case rounding != money.Floor && rounding != money.HalfUp:
		return money.Amount{}, money.ErrRounding
	}
	num, den := q.Rate.Ratio()
	top := amount.Big()
	top.Mul(top, big.NewInt(num)).Mul(top, tenTo(q.Quote.Digits()))
	bottom := new(big.Int).Mul(big.NewInt(den), tenTo(amount.Asset.Digits()))
	whole, rest := top.QuoRem(top, bottom, new(big.Int))
	if rounding == money.HalfUp && rest.Lsh(rest, 1).Cmp(bottom) >= 0 {
		whole.Add(whole, big.NewInt(1))
	}
	if !whole.IsInt64() {
		return money.Amount{}, money.ErrRange
	}
	return money.New(whole.Int64(), q.Quote), nil
}

func tenTo(digits int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
}

// Fixed is a source whose prices never change: the sandbox's, and tests'.
type Fixed map[Pair]money.Rate

// Price implements Source.
func (f Fixed) Price(_ context.Context, pair Pair) (Price, error) {
	rate, ok := f[pair]
	if !ok {
		return Price{}, fault.New(fault.NotFound, "there is no price of %s", pair)
	}
	return Price{Rate: rate}, nil
}

// sandbox are the prices of the test realm, in dollars.
var sandbox = map[asset.Symbol]string{"BTC": "65850.00", "ETH": "3250.00", "SOL": "150.00", "USDT": "1.00", "XMR": "160.00"}

// Sandbox returns the test realm's source: prices in dollars that make examples come out.
func Sandbox() Fixed {
	f := Fixed{}
	for symbol, text := range sandbox {
		rate, err := money.ParseRate(text)
		if err == nil { // as a test proves
			f[Pair{symbol, money.USD}] = rate
		}
	}
	return f
}
