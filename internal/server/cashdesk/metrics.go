package cashdesk

import (
	"context"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/telemetry"
)

// Scrapes ask the database once for all figures, and not again for a moment.
const (
	figuresTime = 2 * time.Second
	figuresKept = time.Second
)

// Measure registers the figures of payouts.
func (k *Desk) Measure(m *telemetry.Metrics) error {
	f := &figures{payouts: k.Payouts, clock: clock.System()}
	for _, one := range []struct {
		telemetry.Family
		read func() []telemetry.Sample
	}{
		{telemetry.Family{Name: "scrip_payouts_open", Help: "Payouts of bitcoin that are not over, by state.", Labels: []string{"realm", "state"}}, f.open},
		{telemetry.Family{Name: "scrip_payouts_oldest_seconds", Help: "How long the oldest payout has waited that is not over.", Labels: []string{"realm"}}, f.oldest},
		{telemetry.Family{Name: "scrip_payouts_stopped", Help: "Whether an operator has stopped payouts.", Labels: []string{"realm"}}, f.stopped},
		{telemetry.Family{Name: "scrip_payout_node_satoshis", Help: "What the wallet and the channels had when they were last asked.", Labels: []string{"realm", "node"}}, f.balances},
		{telemetry.Family{Name: "scrip_payout_node_low", Help: "Whether that is less than the policy wants, or than what waits.", Labels: []string{"realm", "node"}}, f.low},
		{telemetry.Family{Name: "scrip_payout_node_checked_seconds", Help: "How long ago the node last answered.", Labels: []string{"realm", "node"}}, f.checked},
		{telemetry.Family{Name: "scrip_payouts_total", Help: "Payouts of bitcoin that ended.", Labels: []string{"outcome"}, Grows: true}, f.ended},
	} {
		if err := m.Family(one.Family, one.read); err != nil {
			return err
		}
	}
	return m.Counter("scrip_payout_differences_total", "Differences between payouts and the nodes' own lists of payments.",
		func() float64 { return float64(k.Payouts.Differences()) })
}

// figures reads what one scrape shows.
type figures struct {
	payouts *payout.Service
	clock   clock.Clock

	mu   sync.Mutex
	at   time.Time
	last map[realm.Realm]payout.Figures
}

// read returns the figures of each realm that has nodes. A realm whose figures cannot be
// read is left out: a scrape shows what is true or nothing.
func (f *figures) read() map[realm.Realm]payout.Figures {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.clock.Now()
	if f.last != nil && now.Sub(f.at) < figuresKept && !now.Before(f.at) {
		return f.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), figuresTime)
	defer cancel()
	f.at, f.last = now, map[realm.Realm]payout.Figures{}
	for r := range f.payouts.Nodes {
		if found, err := f.payouts.Figures(ctx, r); err == nil {
			f.last[r] = found
		}
	}
	return f.last
}

// each makes samples of every realm.
func (f *figures) each(of func(r string, p *payout.Figures) []telemetry.Sample) (all []telemetry.Sample) {
	for r, found := range f.read() {
		all = append(all, of(string(r), &found)...)
	}
	return all
}

func (f *figures) open() []telemetry.Sample {
	return f.each(func(r string, p *payout.Figures) (all []telemetry.Sample) {
		for state, n := range p.Open {
			all = append(all, telemetry.Sample{Labels: []string{r, string(state)}, Value: float64(n)})
		}
		return all
	})
}

func (f *figures) oldest() []telemetry.Sample {
	return f.each(func(r string, p *payout.Figures) []telemetry.Sample {
		return []telemetry.Sample{{Labels: []string{r}, Value: p.Oldest.Seconds()}}
	})
}

func (f *figures) stopped() []telemetry.Sample {
	return f.each(func(r string, p *payout.Figures) []telemetry.Sample {
		return []telemetry.Sample{{Labels: []string{r}, Value: truth(p.Stopped)}}
	})
}

// nodes makes a sample of each node.
func (f *figures) nodes(value func(r string, b *payout.Balance) float64) []telemetry.Sample {
	return f.each(func(r string, p *payout.Figures) (all []telemetry.Sample) {
		for i := range p.Nodes {
			all = append(all, telemetry.Sample{Labels: []string{r, p.Nodes[i].Node}, Value: value(r, &p.Nodes[i])})
		}
		return all
	})
}

func (f *figures) balances() []telemetry.Sample {
	return f.nodes(func(_ string, b *payout.Balance) float64 { return float64(b.Amount.Minor) })
}

func (f *figures) low() []telemetry.Sample {
	return f.nodes(func(_ string, b *payout.Balance) float64 { return truth(b.Low) })
}

func (f *figures) checked() []telemetry.Sample {
	return f.nodes(func(r string, b *payout.Balance) float64 {
		return f.payouts.Clocks.Now(realm.Realm(r)).Sub(b.CheckedAt).Seconds()
	})
}

func (f *figures) ended() []telemetry.Sample {
	settled, failed := f.payouts.Ended()
	return []telemetry.Sample{{Labels: []string{string(payout.Settled)}, Value: float64(settled)}, {Labels: []string{string(payout.Failed)}, Value: float64(failed)}}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
