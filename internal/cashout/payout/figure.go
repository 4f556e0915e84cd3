package payout

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Figures are how the payouts of a realm stand.
type Figures struct {
	// Open counts those that are not over, by state.
	Open map[State]int64
	// Oldest is how long the oldest of them has waited, in the realm's time; 0: there is none.
	Oldest  time.Duration
	Stopped bool
	// Nodes are what the nodes had when they were last asked, by name.
	Nodes []Balance
}

// Balance is what a node has: "chain" or "lightning".
type Balance struct {
	Node      string
	Amount    money.Amount
	Low       bool
	CheckedAt time.Time
}

// Figures counts. It asks no node.
func (s *Service) Figures(ctx context.Context, r realm.Realm) (Figures, error) {
	f := Figures{Open: map[State]int64{Held: 0, Sending: 0, Sent: 0}}
	type open struct {
		state State
		count int64
		first time.Time
	}
	all, err := storage.All(ctx, s.DB, func(row storage.Row) (o open, err error) {
		var first int64
		err = row.Scan((*string)(&o.state), &o.count, &first)
		o.first = storage.Time(first)
		return o, err
	}, countOpen, string(r))
	if err != nil {
		return f, err
	}
	now := s.Clocks.Now(r)
	for _, o := range all {
		f.Open[o.state] = o.count
		f.Oldest = max(f.Oldest, now.Sub(o.first))
	}
	if f.Stopped, err = s.Stopped(ctx, r); err != nil {
		return f, err
	}
	f.Nodes, err = storage.All(ctx, s.DB, func(row storage.Row) (b Balance, err error) {
		var level string
		var at int64
		err = row.Scan(&b.Node, &level, &b.Amount.Minor, &at)
		b.Amount.Currency, b.Low, b.CheckedAt = money.BTC, level == levelLow, storage.Time(at)
		return b, err
	}, listLevels, string(r))
	return f, err
}

// ends count what this process has seen the end of since it began.
type ends struct{ settled, failed, differences atomic.Int64 }

func (e *ends) count(s State) {
	switch s {
	case Settled:
		e.settled.Add(1)
	case Failed:
		e.failed.Add(1)
	case Held, Sending, Sent:
	}
}

// Ended returns how many payouts this process has settled and failed, each counted once.
func (s *Service) Ended() (settled, failed int64) { return s.ends.settled.Load(), s.ends.failed.Load() }

// Differences returns how many differences from the nodes' own lists this process has found.
func (s *Service) Differences() int64 { return s.ends.differences.Load() }
