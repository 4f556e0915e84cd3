package rate_test

import (
	"context"
	"errors"
	"log/slog"
	"math/big"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/rate"
)

// market is a source whose answers a test decides.
type market struct {
	mu    sync.Mutex
	price string
	err   error
	at    time.Time
	asked int
	gate  chan struct{} // nil: answers at once
	came  chan struct{} // told of each question, when there is a gate
}

func (m *market) Price(ctx context.Context, _ rate.Pair) (rate.Price, error) {
	if m.gate != nil {
		m.came <- struct{}{}
		select {
		case <-m.gate:
		case <-ctx.Done():
			return rate.Price{}, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.err != nil {
		return rate.Price{}, m.err
	}
	r, err := money.ParseRate(m.price)
	return rate.Price{Rate: r, At: m.at}, err
}

func (m *market) set(price string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.price, m.err = price, err
}

var errDown = fault.New(fault.Unavailable, "the source is down")

type bench struct {
	*rate.Service
	clock   *clock.Manual
	markets []*market
}

func setup(prices ...string) *bench {
	b := &bench{clock: clock.NewManual(time.Date(2026, 5, 22, 12, 0, 0, 0, time.UTC))}
	var sources []rate.Named
	for i, price := range prices {
		m := &market{price: price}
		b.markets = append(b.markets, m)
		sources = append(sources, rate.Named{Name: string(rune('a' + i)), Source: m})
	}
	policy := rate.DefaultPolicy()
	policy.Least = 2
	b.Service = rate.New(rate.Deps{Sources: sources, Policy: policy, Clock: b.clock, Logger: slog.New(slog.DiscardHandler)})
	return b
}

func (b *bench) expect(t *testing.T, want string) rate.Quote {
	t.Helper()
	q, err := b.Rate(context.Background(), asset.BTC, money.USD)
	if want == "" {
		if fault.CodeOf(err) != fault.Unavailable || !q.Rate.IsZero() {
			t.Fatalf("%s, %v; want no rate", q.Rate, err)
		}
		return q
	}
	if err != nil || q.Rate.String() != want {
		t.Fatalf("%s, %v; want %s", q.Rate, err, want)
	}
	return q
}

// Sources are asked again when what is known is half a minute old, and not before.
func TestRefresh(t *testing.T) {
	b := setup("100", "100", "100")
	for range 3 {
		b.expect(t, "100/1")
	}
	b.clock.Advance(29 * time.Second)
	for _, m := range b.markets {
		m.set("101", nil)
	}
	b.expect(t, "100/1")
	b.clock.Advance(time.Second)
	b.expect(t, "101/1")
	if n := b.markets[0].asked; n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// A source that stops answering counts with what it said for two minutes; when too few
// are left, the last quote serves until it is ten minutes old, and then there is none.
func TestFailClosed(t *testing.T) {
	b := setup("100", "101", "102")
	b.expect(t, "101/1")
	b.markets[0].set("", errDown)
	b.clock.Advance(time.Minute)
	b.expect(t, "101/1") // a's price of a minute ago still counts
	b.clock.Advance(61 * time.Second)
	b.expect(t, "203/2")
	first := b.clock.Now()
	for _, m := range b.markets {
		m.set("", errDown)
	}
	b.clock.Advance(10 * time.Minute)
	if q := b.expect(t, "203/2"); !q.At.Equal(first) || !q.Old {
		t.Errorf("the quote is of %s and old %t, want %s and that it is", q.At, q.Old, first)
	}
	b.clock.Advance(time.Microsecond)
	b.expect(t, "")
	b.markets[0].set("100", nil)
	b.clock.Advance(30 * time.Second)
	b.expect(t, "") // one source decides nothing
	b.markets[1].set("100", nil)
	b.clock.Advance(30 * time.Second)
	if q := b.expect(t, "100/1"); q.Old {
		t.Error("a fresh quote is called old")
	}
}

// Sources that contradict each other are no price at once: the last quote does not help.
func TestContradiction(t *testing.T) {
	b := setup("100", "100")
	b.expect(t, "100/1")
	b.markets[1].set("150", nil)
	b.clock.Advance(30 * time.Second)
	b.expect(t, "")
	_, all, err := b.Look(context.Background(), asset.BTC, money.USD)
	if err == nil || len(all) != 2 || all[0].Problem == "" || all[1].Problem == "" {
		t.Errorf("%+v, %v; want both named as the problem", all, err)
	}
}

// A source that stamps its prices counts by its stamp, and a stamp ahead of us is now.
func TestStamps(t *testing.T) {
	b := setup("100", "100")
	b.markets[0].at = b.clock.Now().Add(-3 * time.Minute)
	b.expect(t, "")
	b.markets[0].at = b.clock.Now().Add(time.Hour)
	b.clock.Advance(30 * time.Second)
	if q := b.expect(t, "100/1"); q.At.After(b.clock.Now()) {
		t.Errorf("the quote is of %s, which is to come", q.At)
	}
}

// After the clock was set back nobody knows how old a price is that was known before: those of
// sources that answer count, and there is no old rate where none does.
func TestClockSetBack(t *testing.T) {
	b := setup("100", "100", "100")
	b.expect(t, "100/1")
	b.clock.Advance(-time.Hour)
	b.markets[0].set("102", nil)
	b.markets[1].set("102", nil)
	b.markets[2].set("", errDown)
	if q := b.expect(t, "102/1"); len(q.Sources) != 2 {
		t.Errorf("the price is that of %v", q.Sources)
	}
	b.clock.Advance(-time.Hour)
	for _, m := range b.markets {
		m.set("", errDown)
	}
	b.expect(t, "")
}

// A source without the pair is not asked for blame, and one that lost it does not count on.
func TestUnlisted(t *testing.T) {
	b := setup("100", "100", "100")
	b.expect(t, "100/1")
	b.markets[2].set("", fault.New(fault.NotFound, "no such pair"))
	b.clock.Advance(30 * time.Second)
	if q := b.expect(t, "100/1"); len(q.Sources) != 2 {
		t.Errorf("sources %v", q.Sources)
	}
}

// Many who ask at once make one round of questions, and one who leaves spoils it for nobody.
func TestOneRound(t *testing.T) {
	b := setup("100", "100")
	for _, m := range b.markets {
		m.gate, m.came = make(chan struct{}), make(chan struct{}, 1)
	}
	leaving, leave := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := b.Rate(leaving, asset.BTC, money.USD); err != nil {
			t.Errorf("who asked first: %v", err)
		}
	})
	<-b.markets[0].came
	leave()
	gone := make(chan error)
	go func() {
		_, err := b.Rate(leaving, asset.BTC, money.USD)
		gone <- err
	}()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who had left before: %v", err)
	}
	for range 8 {
		group.Go(func() {
			if _, err := b.Rate(context.Background(), asset.BTC, money.USD); err != nil {
				t.Error(err)
			}
		})
	}
	for _, m := range b.markets {
		close(m.gate)
	}
	group.Wait()
	if n := b.markets[0].asked; n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// The sandbox's prices are those of the published arithmetic, each asset has one, and
// USDT has its own.
func TestSandbox(t *testing.T) {
	p := rate.DefaultPolicy()
	p.Least = 1
	s := rate.New(rate.Deps{Sources: []rate.Named{{Name: "sandbox", Source: rate.Sandbox()}}, Policy: p, Clock: clock.System(), Logger: slog.New(slog.DiscardHandler)})
	for a, want := range map[asset.Asset]string{asset.BTC: "65850/1", asset.ETH: "3250/1", asset.SOL: "150/1",
		asset.USDTERC20: "1/1", asset.USDTSOL: "1/1", asset.XMR: "160/1"} {
		q, err := s.Rate(context.Background(), a, money.USD)
		if err != nil || q.Rate.String() != want || len(q.Sources) != 1 {
			t.Errorf("%s: %s, %v; want %s", a, q.Rate, err, want)
		}
	}
	q, err := s.Rate(context.Background(), asset.BTC, money.USD)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := q.Rate.Inverse().Convert(money.New(5500, money.USD), money.BTC, money.Floor); err != nil || got.Minor != 83523 {
		t.Errorf("5500 cents are %v sat, %v; want 83523", got, err)
	}
	if _, err := s.Rate(context.Background(), asset.BTC, money.EUR); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a currency without a price: %v", err)
	}
	if _, err := s.Rate(context.Background(), "DOGE", money.USD); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("an asset that is none: %v", err)
	}
}

// A worth is the exact product, rounded once, in any asset and to any size.
func TestValue(t *testing.T) {
	quote := func(base asset.Symbol, num, den int64) rate.Quote {
		r, err := money.NewRate(num, den)
		if err != nil {
			t.Fatal(err)
		}
		return rate.Quote{Pair: rate.Pair{Base: base, Quote: money.USD}, Rate: r}
	}
	for _, c := range []struct {
		amount string
		asset  asset.Asset
		quote  rate.Quote
		round  money.Rounding
		want   int64
	}{
		{"0.00083523", asset.BTC, quote("BTC", 65850, 1), money.Floor, 5499},
		{"0.00083523", asset.BTC, quote("BTC", 65850, 1), money.HalfUp, 5500},
		{"0.5", asset.BTC, quote("BTC", 65850, 1), money.HalfUp, 3292500},
		{"0.0075", asset.BTC, quote("BTC", 200000, 3), money.Floor, 50000},
		{"500", asset.USDTSOL, quote("USDT", 1, 1), money.Floor, 50000},
		{"500", asset.USDTERC20, quote("USDT", 9995, 10000), money.Floor, 49975},
		{"0.000000000000000001", asset.ETH, quote("ETH", 3250, 1), money.Floor, 0},
		{"1000000000.5", asset.ETH, quote("ETH", 3250, 1), money.Floor, 325000000162500},
		{"0.005", asset.SOL, quote("SOL", 1, 1), money.HalfUp, 1},
		{"0.004999999", asset.SOL, quote("SOL", 1, 1), money.HalfUp, 0},
	} {
		amount, err := asset.ParseAmount(c.amount, c.asset)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.quote.Value(amount, c.round); err != nil || got != money.New(c.want, money.USD) {
			t.Errorf("%s %s, %s: %v, %v; want %d", c.amount, c.asset, c.round, got, err, c.want)
		}
	}
	huge, err := asset.FromBig(new(big.Int).Lsh(big.NewInt(1), 127), asset.BTC)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := quote("BTC", 65850, 1).Value(huge, money.Floor); !errors.Is(err, money.ErrRange) {
		t.Errorf("more than there is: %v", err)
	}
	if _, err := quote("ETH", 1, 1).Value(asset.New(1, asset.BTC), money.Floor); !errors.Is(err, money.ErrMismatch) {
		t.Errorf("another's rate: %v", err)
	}
	if _, err := (rate.Quote{Pair: rate.Pair{Base: "BTC"}}).Value(asset.New(1, asset.BTC), money.Floor); !errors.Is(err, money.ErrMismatch) {
		t.Errorf("no rate: %v", err)
	}
	if _, err := quote("BTC", 1, 1).Value(asset.New(1, asset.BTC), money.Ceil); !errors.Is(err, money.ErrRounding) {
		t.Errorf("no rounding: %v", err)
	}
}

// A worth rounded down never exceeds the exact product, and is less than a cent below it.
func TestValueLosesLessThanACent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom(asset.All()).Draw(t, "asset")
		r, err := money.NewRate(rapid.Int64Range(1, 1e12).Draw(t, "num"), rapid.Int64Range(1, 1e9).Draw(t, "den"))
		if err != nil {
			t.Fatal(err)
		}
		amount := asset.New(rapid.Uint64Range(0, 1e15).Draw(t, "units"), a)
		got, err := rate.Quote{Pair: rate.Pair{Base: a.Symbol(), Quote: money.USD}, Rate: r}.Value(amount, money.Floor)
		if errors.Is(err, money.ErrRange) {
			t.Skip("beyond 63 bits")
		}
		if err != nil {
			t.Fatal(err)
		}
		whole := new(big.Rat).SetFrac(amount.Big(), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(a.Digits())), nil))
		cents := whole.Mul(whole, big.NewRat(r.Ratio())).Mul(whole, big.NewRat(100, 1))
		off := new(big.Rat).Sub(cents, big.NewRat(got.Minor, 1))
		if off.Sign() < 0 || off.Cmp(big.NewRat(1, 1)) >= 0 {
			t.Errorf("%s %s at %s are %d cents, off by %s", amount, a, r, got.Minor, off)
		}
	})
}
