package ticker_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/cashout/ticker"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/rate"
)

var noon = time.Date(2026, 5, 22, 12, 0, 0, 0, time.UTC)

// market says what a test wants it to.
type market struct {
	mu    sync.Mutex
	price string // empty: it does not answer
	asked int
}

func (m *market) Rate(_ context.Context, base asset.Asset, quote money.Currency) (rate.Quote, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.price == "" {
		return rate.Quote{}, fault.New(fault.Unavailable, "no price")
	}
	r, err := money.ParseRate(m.price)
	return rate.Quote{Pair: rate.Pair{Base: base.Symbol(), Quote: quote}, Rate: r, At: noon}, err
}

func (m *market) say(price string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.price = price
}

func open(t *testing.T, m *market, c clock.Clock, fee int64) *ticker.Ticker {
	t.Helper()
	made, err := ticker.New(ticker.Config{Rates: m, Clock: c, Fee: fee})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// The published sample comes out: 5500 cents at 6585000 are 83523 satoshis.
func TestPublishedSample(t *testing.T) {
	p, err := open(t, &market{price: "65850.00"}, clock.NewManual(noon), 0).Price(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Bitcoin(money.New(5500, money.USD))
	if err != nil || p.Cents.Minor != 6_585_000 || got != money.New(83_523, money.BTC) {
		t.Errorf("%d satoshis at %d (%v), want 83523 at 6585000", got.Minor, p.Cents.Minor, err)
	}
}

// A price holds for a minute; then it is the market's of then, or there is none.
func TestHolds(t *testing.T) {
	m, c := &market{price: "60000"}, clock.NewManual(noon)
	tick := open(t, m, c, 500)
	for _, step := range []struct {
		wait  time.Duration
		say   string
		cents int64 // 0: unavailable
		asked int
	}{
		{0, "60000", 6_300_000, 1},
		{59 * time.Second, "70000", 6_300_000, 1},
		{time.Second, "70000", 7_350_000, 2},
		{time.Minute, "", 0, 3},
		{time.Second, "", 0, 4},
		{time.Second, "70000", 7_350_000, 5},
		{-time.Hour, "50000", 5_250_000, 6},
	} {
		c.Advance(step.wait)
		m.say(step.say)
		p, err := tick.Price(t.Context())
		if p.Cents.Minor != step.cents || (err != nil) != (step.cents == 0) || m.asked != step.asked {
			t.Errorf("%+v: %d, %v, asked %d times", step, p.Cents.Minor, err, m.asked)
		}
		if err != nil && fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%+v: %v is not unavailable", step, err)
		}
	}
}

// quiet is a source that a test can silence.
type quiet struct{ silent bool }

func (q *quiet) Price(context.Context, rate.Pair) (rate.Price, error) {
	if q.silent {
		return rate.Price{}, fault.New(fault.Unavailable, "no answer")
	}
	r, err := money.ParseRate("60000")
	return rate.Price{Rate: r}, err
}

// Nothing is sold at a price that is not fresh: where too few sources answer there is none, however long the last one would serve for something else.
func TestNeverOld(t *testing.T) {
	c := clock.NewManual(noon)
	one, two := &quiet{}, &quiet{}
	policy := rate.DefaultPolicy()
	policy.Least = 2
	rates := rate.New(rate.Deps{Sources: []rate.Named{{Name: "one", Source: one}, {Name: "two", Source: two}}, Policy: policy, Clock: c,
		Logger: slog.New(slog.DiscardHandler)})
	made, err := ticker.New(ticker.Config{Rates: rates, Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		wait          time.Duration
		first, second bool // are silent
		open          bool
	}{
		{0, false, false, true},
		{time.Minute, true, true, true},                        // what they said a minute ago is fresh
		{time.Minute, true, true, true},                        // and so it is to the end of its two minutes
		{time.Minute, true, true, false},                       // three minutes: for a deposit it would do
		{6 * time.Minute, true, true, false},                   // nine
		{30 * time.Second, false, true, false},                 // one alone decides nothing
		{30 * time.Second, false, false, true},                 // both again
		{2*time.Minute + time.Microsecond, false, true, false}, // one of two
		{time.Minute, false, false, true},
	} {
		c.Advance(step.wait)
		one.silent, two.silent = step.first, step.second
		p, err := made.Price(t.Context())
		if (err == nil) != step.open || err != nil && fault.CodeOf(err) != fault.Unavailable || err == nil && p.Cents.Minor != 6_000_000 {
			t.Errorf("%+v: %d, %v", step, p.Cents.Minor, err)
		}
	}
}

// A fee that is none is refused.
func TestFee(t *testing.T) {
	for _, fee := range []int64{-1, ticker.MaxFee + 1} {
		if _, err := ticker.New(ticker.Config{Fee: fee}); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%d: %v", fee, err)
		}
	}
}

// Whatever the price and the fee, the bitcoin that is owed is never worth more than the card.
func TestNeverGivesMore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cents := rapid.Int64Range(100, 100_000_000_00).Draw(rt, "market")
		fee := rapid.Int64Range(0, ticker.MaxFee).Draw(rt, "fee")
		amount := money.New(rapid.Int64Range(1, 1_000_00).Draw(rt, "amount"), money.USD)
		p, err := open(t, &market{price: money.New(cents, money.USD).String()}, clock.NewManual(noon), fee).Price(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		owed, err := p.Bitcoin(amount)
		if err != nil {
			rt.Fatal(err)
		}
		worth, err := p.Worth(owed)
		if err != nil || worth.Minor > amount.Minor || p.Cents.Minor < p.Market.Minor {
			rt.Errorf("%v of %v, at %v of %v: %v", worth, amount, p.Cents, p.Market, err)
		}
	})
}
