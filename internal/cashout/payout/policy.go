package payout

import (
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// Policy is how payouts are made. Amounts are in BTC; rates in satoshis per 1,000 virtual
// bytes.
type Policy struct {
	// Least and Most bound one payout, and Daily what one book pays out in a day (UTC).
	Least, Most, Daily money.Amount
	Chain              ChainPolicy
	Lightning          LightningPolicy
}

// ChainPolicy is how payouts on-chain are made.
type ChainPolicy struct {
	// Gather is how long a payout waits for others to share a transaction with, Together how
	// many outputs one has.
	Gather   time.Duration
	Together int
	// Patience is for how long smaller payouts are paid past one that the wallet cannot pay.
	Patience time.Duration
	// Target is within how many blocks a transaction should be confirmed. The node's estimate
	// counts between Floor and Cap; Fallback where it has none.
	Target               int
	Floor, Cap, Fallback int64
	// Bump is after what time without a confirmation the fee is raised, Bumps how often.
	Bump  time.Duration
	Bumps int
	// Confirmations are with how many a payout is settled; with Final ones nobody looks any
	// more, and what spends the same coins so deep makes a transaction impossible.
	Confirmations, Final int64
	// Watch is how often the node is asked what became of transactions, by the machine's time.
	Watch time.Duration
	// Low is the balance of the wallet below which the operator is told.
	Low money.Amount
}

// LightningPolicy is how payouts over Lightning are made.
type LightningPolicy struct {
	// FeeFloor and FeeBasisPoints bound the fee: the larger of both.
	FeeFloor       money.Amount
	FeeBasisPoints int64
	// Timeout is how long a node looks for a way; Poll is how often one in flight is looked up.
	Timeout, Poll time.Duration
	// Left is for how long an invoice must be valid when it is paid, or planned.
	Left time.Duration
	// Doubt is after what time nothing that was sent to a node can still arrive there. Only
	// then a failure is believed of a hash that was sent to it more than once, and an
	// invoice that was not heard of given up.
	Doubt time.Duration
	// Tries are how many payments are tried for one payout, Again the pause before another.
	Tries int
	Again time.Duration
	// Stuck is after what time in flight the operator is told.
	Stuck time.Duration
	// Low is what the channels can send below which the operator is told.
	Low money.Amount
}

// DefaultPolicy returns the rules that an installation has unless it configures others.
func DefaultPolicy() Policy {
	sat := func(n int64) money.Amount { return money.New(n, money.BTC) }
	return Policy{
		Least: sat(1_000), Most: sat(5_000_000), Daily: sat(100_000_000),
		Chain: ChainPolicy{Gather: time.Minute, Together: 50, Patience: 6 * time.Hour, Target: 6, Floor: 1_000, Cap: 200_000, Fallback: 10_000,
			Bump: 2 * time.Hour, Bumps: 10, Confirmations: 1, Final: 6, Watch: 30 * time.Second, Low: sat(10_000_000)},
		Lightning: LightningPolicy{FeeFloor: sat(10), FeeBasisPoints: 100, Timeout: time.Minute, Poll: 15 * time.Second, Left: 5 * time.Minute,
			Doubt: 10 * time.Minute, Tries: 5, Again: 2 * time.Minute, Stuck: time.Hour, Low: sat(5_000_000)},
	}
}

// The bounds of a policy.
const (
	maxTogether = 500
	maxBumps    = 50
	maxRate     = 10_000_000
	maxDepth    = 10_000
	maxTries    = 100
	maxTarget   = 1008 // blocks, of a week
)

// Check returns invalid_request for rules that cannot hold, with the name of what is wrong.
func (p Policy) Check() error {
	for _, a := range []money.Amount{p.Least, p.Most, p.Daily, p.Chain.Low, p.Lightning.FeeFloor, p.Lightning.Low} {
		if a.Currency != money.BTC || a.IsNegative() {
			return fault.New(fault.InvalidRequest, "amounts are in BTC and not below zero")
		}
	}
	c, l := p.Chain, p.Lightning
	for name, bad := range map[string]bool{
		"limits":              !p.Least.IsPositive() || p.Least.Minor > p.Most.Minor || p.Most.Minor > p.Daily.Minor,
		"chain.gather":        c.Gather < 0 || c.Gather > 24*time.Hour,
		"chain.together":      c.Together < 1 || c.Together > maxTogether,
		"chain.patience":      c.Patience < 0,
		"chain.target":        c.Target < 1 || c.Target > maxTarget,
		"chain.rates":         c.Floor < 1_000 || c.Floor > c.Fallback || c.Fallback > c.Cap || c.Cap > maxRate,
		"chain.bump":          c.Bump <= 0 || c.Bumps < 0 || c.Bumps > maxBumps,
		"chain.confirmations": c.Confirmations < 1 || c.Confirmations > c.Final || c.Final > maxDepth,
		"chain.watch":         c.Watch < time.Second || c.Watch > time.Hour,
		"lightning.fee":       l.FeeBasisPoints < 0 || l.FeeBasisPoints > 10_000 || l.FeeFloor.IsZero() && l.FeeBasisPoints == 0,
		"lightning.times":     l.Timeout <= 0 || l.Poll <= 0 || l.Left <= 0 || l.Doubt <= 2*l.Timeout || l.Again <= 0 || l.Stuck <= 0,
		"lightning.tries":     l.Tries < 1 || l.Tries > maxTries,
	} {
		if bad {
			return fault.New(fault.InvalidRequest, "the rules for %s cannot hold", name).At(name)
		}
	}
	return nil
}

// feeLimit returns the most that may be paid to send an amount over Lightning, in satoshis.
func (l LightningPolicy) feeLimit(amount money.Amount) (int64, error) {
	share, err := amount.BasisPoints(l.FeeBasisPoints, money.Floor)
	return max(share.Minor, l.FeeFloor.Minor), err
}

// rate returns the rate that counts, of a node's estimate; 0: it has none.
func (c ChainPolicy) rate(estimate int64) int64 {
	if estimate <= 0 {
		estimate = c.Fallback
	}
	return min(max(estimate, c.Floor), c.Cap)
}
