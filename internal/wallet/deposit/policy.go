package deposit

import (
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Band is how often deposits from an amount on must be confirmed, and whether their block
// must be final besides.
type Band struct {
	From          asset.Amount
	Confirmations int64
	Final         bool
}

// Rule is what holds for one asset.
type Rule struct {
	// Minimum is the least that is credited.
	Minimum asset.Amount
	// Bands begin at zero and rise.
	Bands []Band
	// Settled is with how many confirmations a credited deposit is not looked after any more.
	Settled int64
}

// Policy is what deposits are worth, and when they count.
type Policy struct {
	// FeeBasisPoints are kept of what a deposit is worth, in hundredths of a percent.
	FeeBasisPoints int64
	// RateWindow is within what time of being seen a deposit must be confirmed to get the rate
	// of that moment. Later it gets the one of its credit.
	RateWindow time.Duration
	Rules      map[asset.Asset]Rule
}

// DefaultPolicy returns the published rules: a fee of 2 %, and per asset a minimum and one
// number of confirmations whatever the amount.
func DefaultPolicy() Policy {
	p := Policy{FeeBasisPoints: 200, RateWindow: 3 * time.Hour, Rules: map[asset.Asset]Rule{}}
	for _, r := range []struct {
		least                  asset.Amount
		confirmations, settled int64
	}{
		{asset.New(10_000, asset.BTC), 6, 100},
		{asset.New(5_000_000_000_000_000, asset.ETH), 12, 96},
		{asset.New(5_000_000, asset.USDTERC20), 12, 96},
		{asset.New(5_000_000, asset.USDTSOL), 32, 150},
		{asset.New(100_000_000, asset.SOL), 32, 150},
		{asset.New(50_000_000_000, asset.XMR), 10, 60},
	} {
		a := r.least.Asset
		p.Rules[a] = Rule{Minimum: r.least, Bands: []Band{{From: asset.New(0, a), Confirmations: r.confirmations}}, Settled: r.settled}
	}
	return p
}

const (
	mostFee           = 10_000
	mostConfirmations = 10_000
	mostBands         = 16
	mostWindow        = 7 * 24 * time.Hour
)

// Check returns invalid_request for rules that cannot hold, with the name of what is wrong.
func (p Policy) Check() error {
	switch {
	case p.FeeBasisPoints < 0 || p.FeeBasisPoints >= mostFee:
		return fault.New(fault.InvalidRequest, "want a fee of 0 %% to less than 100 %%").At("fee")
	case p.RateWindow < 0 || p.RateWindow > mostWindow:
		return fault.New(fault.InvalidRequest, "want 0 s to %s", mostWindow).At("rate_window")
	}
	for _, a := range asset.All() {
		r, ok := p.Rules[a]
		if !ok || r.check(a) != nil {
			return fault.New(fault.InvalidRequest, "want a minimum above zero, and 1 to %d bands from 0 on that rise, with 1 to %d confirmations each", mostBands, mostConfirmations).
				At("assets." + string(a))
		}
	}
	return nil
}

func (r Rule) check(a asset.Asset) error {
	bad := r.Minimum.IsZero() || r.Minimum.Asset != a || len(r.Bands) == 0 || len(r.Bands) > mostBands || r.Settled > mostConfirmations
	for i, b := range r.Bands {
		bad = bad || b.From.Asset != a || b.Confirmations < 1 || b.Confirmations > mostConfirmations || b.Confirmations > r.Settled
		bad = bad || i == 0 && !b.From.IsZero() || i > 0 && !r.Bands[i-1].From.Less(b.From)
		bad = bad || i > 0 && (b.Confirmations < r.Bands[i-1].Confirmations || r.Bands[i-1].Final && !b.Final)
		bad = bad || b.Final && !knowsFinal(a.Chain())
	}
	if bad {
		return fault.New(fault.InvalidRequest, "the rule of %s cannot hold", a)
	}
	return nil
}

// knowsFinal reports whether a chain says which blocks it will never give up.
func knowsFinal(c asset.Chain) bool { return c == asset.Ethereum || c == asset.Solana }

// band returns the band of a deposit.
func (r Rule) band(amount asset.Amount) Band {
	found := r.Bands[0]
	for _, b := range r.Bands {
		if !amount.Less(b.From) {
			found = b
		}
	}
	return found
}
