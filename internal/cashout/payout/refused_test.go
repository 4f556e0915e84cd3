package payout_test

import (
	"context"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
)

// crowded is a chain that takes no transaction with a lower fee than so many satoshis.
type crowded struct {
	payout.Chain
	b     *bench
	least *int64
}

func (c crowded) Publish(ctx context.Context, raw []byte) error {
	tx, err := transaction.Parse(raw)
	if err != nil {
		return err
	}
	if c.b.feeOf(tx.ID()) < *c.least {
		return fault.New(fault.InvalidState, "the fee is below the node's minimum")
	}
	return c.Chain.Publish(ctx, raw)
}

// crowd has the chain be crowded from now on, as far as least says.
func (b *bench) crowd() (least *int64) {
	least = new(int64)
	nodes := b.Nodes[realm.Test]
	nodes.Chain = crowded{nodes.Chain, b, least}
	b.Nodes[realm.Test] = nodes
	return least
}

// A transaction that no node takes, since it pays too little by now, waits as one does that
// no block takes: its fee is raised after the same time, and not while payouts are stopped.
// Whether it was taken once and forgotten does not matter.
func TestRefusedForItsFee(t *testing.T) {
	for _, forgotten := range []bool{false, true} {
		each(t, func(t *testing.T, b *bench) {
			ada, state := b.customer("ada"), "sending"
			b.must(b.node.SetRate(t.Context(), 2_000))
			least := b.crowd()
			if !forgotten {
				*least = 1_000
			}
			p := b.pay(ada, b.address(destination.P2WPKH), 10_000)
			b.later(0)
			if forgotten {
				state = "sent"
				*least = 1_000
				b.must(b.node.Evict(t.Context(), b.find(p).TxID))
			}
			first := b.expect(p, state).TxID
			b.later(2*time.Hour - time.Second)
			if got := b.expect(p, state); got.TxID != first || first == "" {
				t.Errorf("replaced too soon: %+v", got)
			}
			b.must(b.node.SetRate(t.Context(), 30_000))
			b.must(b.Stop(t.Context(), "operator/ann", realm.Test))
			b.later(time.Minute)
			if got := b.expect(p, state); got.TxID != first {
				t.Errorf("replaced while payouts are stopped: %+v", got)
			}
			b.must(b.Resume(t.Context(), "operator/ann", realm.Test))
			b.work()
			second := b.expect(p, "sent").TxID
			one, two := b.tx(first), b.tx(second)
			if second == first || !two.Spends(&one) || b.feeOf(second) < *least {
				t.Errorf("%s for %d, after %s for %d", second, b.feeOf(second), first, b.feeOf(first))
			}
			b.must(b.node.Mine(t.Context(), 1))
			b.work()
			if p = b.expect(p, "settled"); b.paid(p.To) != "1x 10000" || p.TxID != second || p.Fee.Minor != b.feeOf(second) {
				t.Errorf("%+v, paid %s", p, b.paid(p.To))
			}
			b.told(ada, "sent, settled")
			b.verified()
		})
	}
}

// Where the crowd goes before its time is over, what was refused is published as it is.
func TestRefusedAndTaken(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.must(b.node.SetRate(t.Context(), 2_000))
		least := b.crowd()
		*least = 1_000
		p := b.pay(b.customer("ada"), b.address(destination.P2WPKH), 10_000)
		b.later(time.Hour)
		first := b.expect(p, "sending").TxID
		*least = 0
		b.later(time.Minute)
		if got := b.expect(p, "sent"); got.TxID != first {
			t.Errorf("%+v", got)
		}
	})
}
