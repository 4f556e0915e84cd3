// Package ticker is the price at which bitcoin is sold for prepaid cards: what the market
// says, with the fee and the margin in it, in whole cents for one bitcoin.
//
// It promises one price for as long as it says, made of a rate that enough fresh sources
// agree on, or the fault unavailable: never an old price, and never a guess. It must never
// round in a customer's favour and against the books, nor use a float.
package ticker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/rate"
)

// Source is what knows the market: a rate.Service.
type Source interface {
	Rate(ctx context.Context, base asset.Asset, quote money.Currency) (rate.Quote, error)
}

// Frequency is how long a price holds.
const Frequency = time.Minute

// MaxFee bounds the fee and the margin together, in hundredths of a percent.
const MaxFee = 5_000

// Config is one ticker.
type Config struct {
	Rates Source
	Clock clock.Clock
	// Fee is what is added to the market's price, in hundredths of a percent: the fee and the
	// margin together.
	Fee int64
}

// Price is the price of one bitcoin.
type Price struct {
	// Cents is what is asked, with every fee in it; Market is what it is made of.
	Cents, Market money.Amount
	// At is when the price was made.
	At time.Time
}

// Bitcoin returns what an amount buys: the floor, in satoshis.
func (p Price) Bitcoin(amount money.Amount) (money.Amount, error) {
	r, err := money.PriceRate(p.Cents)
	if err != nil {
		return money.Amount{}, err
	}
	return r.Convert(amount, money.BTC, money.Floor)
}

// Cost returns what bitcoin costs with every fee in it, in cents.
func (p Price) Cost(bitcoin money.Amount, rounding money.Rounding) (money.Amount, error) {
	r, err := money.PriceRate(p.Cents)
	if err != nil {
		return money.Amount{}, err
	}
	return r.Inverse().Convert(bitcoin, p.Cents.Currency, rounding)
}

// Worth returns what bitcoin is worth on the market: the floor, in cents.
func (p Price) Worth(bitcoin money.Amount) (money.Amount, error) {
	r, err := money.PriceRate(p.Market)
	if err != nil {
		return money.Amount{}, err
	}
	return r.Inverse().Convert(bitcoin, p.Market.Currency, money.Floor)
}

// Ticker makes prices. It is safe for concurrent use.
type Ticker struct {
	Config
	turn sync.Mutex
	last atomic.Pointer[Price]
}

// New returns a ticker that has asked nobody yet. It returns invalid_request for a fee that
// is none.
func New(c Config) (*Ticker, error) {
	if c.Fee < 0 || c.Fee > MaxFee {
		return nil, fault.New(fault.InvalidRequest, "the fee must be 0 to %d %%", MaxFee/100).At("fee")
	}
	return &Ticker{Config: c}, nil
}

// Price returns the price of the moment, which is at most Frequency old, or the fault
// unavailable.
func (t *Ticker) Price(ctx context.Context) (Price, error) {
	if p := t.fresh(); p != nil {
		return *p, nil
	}
	t.turn.Lock()
	defer t.turn.Unlock()
	if p := t.fresh(); p != nil { // somebody else asked meanwhile
		return *p, nil
	}
	q, err := t.Rates.Rate(ctx, asset.BTC, money.USD)
	switch {
	case err != nil:
		return Price{}, err
	case q.Old: // good enough for a deposit that came; nothing is sold at it
		return Price{}, fault.New(fault.Unavailable, "there is no price: too few sources have a fresh one")
	}
	p, err := t.made(q)
	if err != nil {
		return Price{}, fault.Wrap(err, fault.Unavailable, "there is no price")
	}
	t.last.Store(&p)
	return p, nil
}

// fresh returns the last price while it holds. A clock that went back ends it.
func (t *Ticker) fresh() *Price {
	p := t.last.Load()
	if p == nil {
		return nil
	}
	if age := t.Clock.Now().Sub(p.At); age < 0 || age >= Frequency {
		return nil
	}
	return p
}

// made is the price of a quote.
func (t *Ticker) made(q rate.Quote) (Price, error) {
	market, err := q.Value(asset.New(oneBitcoin, asset.BTC), money.HalfUp)
	if err != nil {
		return Price{}, err
	}
	fee, err := market.BasisPoints(t.Fee, money.Ceil)
	if err != nil {
		return Price{}, err
	}
	asked, err := market.Add(fee)
	if err == nil && !market.IsPositive() {
		err = money.ErrRange
	}
	return Price{Cents: asked, Market: market, At: t.Clock.Now()}, err
}

// oneBitcoin is in satoshis.
const oneBitcoin = 100_000_000
