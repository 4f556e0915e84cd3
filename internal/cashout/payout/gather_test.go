package payout_test

import (
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
)

// A payout waits for others until its time is over, however often the chain is looked at
// meanwhile; those that come until then share its transaction.
func TestGather(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.Policy.Chain.Gather = 10 * time.Minute
		ada := b.customer("ada")
		one := b.pay(ada, b.address(destination.P2TR), 1_000)
		for range 9 {
			b.later(time.Minute)
			b.expect(one, "held")
		}
		two := b.pay(ada, b.address(destination.P2TR), 1_000)
		b.later(time.Minute - time.Second)
		b.expect(one, "held")
		b.later(time.Second)
		if first, second := b.expect(one, "sent"), b.expect(two, "sent"); first.TxID != second.TxID {
			t.Errorf("two transactions: %s and %s", first.TxID, second.TxID)
		}
	})
}

// Where the clock is set back by more than a payout waits for others, it waits no longer: it
// would until the clock is where it was.
func TestGatherSetBack(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.Policy.Chain.Gather = 10 * time.Minute
		one := b.pay(b.customer("ada"), b.address(destination.P2TR), 1_000)
		b.clock.Advance(-5 * time.Minute)
		b.must(b.Batch(t.Context(), realm.Test))
		b.expect(one, "held")
		b.clock.Advance(-time.Hour)
		b.must(b.Batch(t.Context(), realm.Test))
		b.expect(one, "sent")
	})
}

// As many as share a transaction wait for nobody, and those beyond them for others.
func TestGatherIsFull(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.Policy.Chain.Gather, b.Policy.Chain.Together = 10*time.Minute, 2
		ada := b.customer("ada")
		var all []payout.Payout
		for range 3 {
			all = append(all, b.pay(ada, b.address(destination.P2TR), 1_000))
		}
		b.later(time.Minute)
		for i, want := range []string{"sent", "sent", "held"} {
			b.expect(all[i], want)
		}
		b.later(9 * time.Minute)
		b.expect(all[2], "sent")
	})
}

// One that the wallet cannot pay has nobody gather for less: those behind it share a transaction
// once the own time of the oldest of them is over.
func TestGatherBehindTooMuch(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.Policy.Chain.Gather = 10 * time.Minute
		b.only(50_000)
		ada := b.customer("ada")
		much := b.pay(ada, b.address(destination.P2TR), 200_000)
		b.later(7 * time.Minute)
		var little []payout.Payout
		for range 3 {
			little = append(little, b.pay(ada, b.address(destination.P2TR), 1_000))
			b.later(time.Minute)
		}
		for range 6 {
			b.later(time.Minute)
			for _, p := range little {
				b.expect(p, "held")
			}
		}
		b.later(time.Minute)
		for _, p := range little {
			if got := b.expect(p, "sent"); got.TxID != b.find(little[0]).TxID {
				t.Error("they do not share a transaction")
			}
		}
		b.expect(much, "held")
	})
}

// One that is called back has nobody wait less, or longer than the own time: not for the
// next look at the chain either.
func TestGatherAfterCancel(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.Policy.Chain.Gather = time.Minute
		ada := b.customer("ada")
		gone := b.pay(ada, b.address(destination.P2TR), 1_000)
		b.clock.Advance(45 * time.Second)
		p := b.pay(ada, b.address(destination.P2TR), 1_000)
		_, err := b.Cancel(t.Context(), payout.Cancellation{Actor: "operator/ann", Book: ada, Payout: gone.ID})
		b.must(err)
		b.later(15 * time.Second) // when the first one's time would be over
		b.expect(p, "held")
		b.later(29 * time.Second)
		b.later(15 * time.Second)
		b.later(0)
		b.expect(p, "held")
		b.later(time.Second)
		b.expect(p, "sent")
	})
}

var countBatches = storage.SQL("payout_test.count_batches", `SELECT COUNT(*) FROM payout_batches`)

func (b *bench) batches() int {
	b.t.Helper()
	n, _, err := storage.One(b.t.Context(), b.db, storage.Scalar[int], countBatches)
	b.must(err)
	return n
}

// A wallet that has not enough for long leaves nothing of each try.
func TestTooLittleForLong(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.only(1_000)
		var all []payout.Payout
		for range 5 {
			all = append(all, b.pay(b.customer("ada"+string(rune('0'+len(all)))), b.address(destination.P2TR), 100_000))
		}
		for range 20 {
			b.later(time.Minute)
		}
		if n := b.batches(); n != 0 {
			t.Errorf("%d batches are left of what could not be paid", n)
		}
		b.must(b.node.Fund(t.Context(), coin))
		b.later(time.Minute)
		for _, p := range all {
			b.expect(p, "sent")
		}
		if n := b.batches(); n != 1 {
			t.Errorf("%d batches for one transaction", n)
		}
	})
}

// What a wallet cannot pay keeps no smaller one waiting, however many there are of it, and is
// paid when there is enough.
func TestTooMuchKeepsNobodyWaiting(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.only(50_000)
		ada := b.customer("ada")
		var much, little []payout.Payout
		for i := range int64(25) {
			much = append(much, b.pay(ada, b.address(destination.P2TR), 200_000-i*1_000))
		}
		for range 3 {
			little = append(little, b.pay(ada, b.address(destination.P2TR), 10_000))
		}
		b.later(time.Minute)
		for _, p := range little {
			if got := b.expect(p, "sent"); got.TxID != b.find(little[0]).TxID {
				t.Error("they do not share a transaction")
			}
		}
		for _, p := range much {
			b.expect(p, "held")
		}
		b.must(b.node.Fund(t.Context(), 10*coin))
		b.later(time.Minute)
		for _, p := range much {
			b.expect(p, "sent")
		}
	})
}

// Payouts that are within a fee of what the wallet has wait for more, however many they are,
// and use up no tries of those that it can pay.
func TestWithinAFee(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.only(50_000)
		ada := b.customer("ada")
		var much, little []payout.Payout
		for i := range int64(25) {
			much = append(much, b.pay(ada, b.address(destination.P2TR), 49_999-i))
		}
		for range 3 {
			little = append(little, b.pay(ada, b.address(destination.P2TR), 10_000))
		}
		b.later(0)
		for _, p := range little {
			b.expect(p, "sent")
		}
		for _, p := range much {
			b.expect(p, "held")
		}
		if b.log.has("periodic job not done") {
			t.Error("to wait is a failure")
		}
		b.must(b.node.Fund(t.Context(), 2*coin))
		b.later(time.Minute)
		for _, p := range much {
			b.expect(p, "sent")
		}
	})
}

// Smaller payouts are paid past one that the wallet cannot pay for some hours, and no longer:
// then they wait behind it, and everything is paid when there is enough.
func TestPatience(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.only(5_000_000)
		ada := b.customer("ada")
		older := b.pay(ada, b.address(destination.P2TR), 4_000_000)
		b.later(0)
		b.expect(older, "sent")
		b.must(b.node.Fund(t.Context(), 100_000))
		much := b.pay(ada, b.address(destination.P2TR), 4_900_000)
		for range 3 {
			b.later(b.Policy.Chain.Patience/3 - time.Second)
			b.must(b.node.Fund(t.Context(), 20_000))
			past := b.pay(ada, b.address(destination.P2TR), 10_000)
			b.later(0)
			b.expect(past, "sent")
			b.expect(much, "held")
		}
		b.later(3 * time.Second)
		behind := b.pay(ada, b.address(destination.P2TR), 10_000)
		b.must(b.node.Fund(t.Context(), 20_000))
		b.later(time.Minute)
		b.expect(behind, "held")
		b.must(b.node.Fund(t.Context(), 5*coin))
		b.later(time.Minute)
		b.expect(much, "sent")
		b.expect(behind, "sent")
	})
}

// That a payout lacks no more than its fee is told at once, and once that it has waited for so
// long that younger ones wait behind it.
func TestPatienceIsTold(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.Policy.Chain.Low = sat(1_000)
		b.only(501_000)
		b.must(b.node.Charge(t.Context(), 100_000_000))
		b.later(0)
		ada := b.customer("ada")
		much := b.pay(ada, b.address(destination.P2TR), 500_000)
		b.later(time.Minute)
		b.later(b.Policy.Chain.Patience - 2*time.Minute)
		if got := b.audited("payout."); got != "balance_low chain" || b.log.has("has waited for too long") {
			t.Errorf("the audit log has %q", got)
		}
		b.later(2 * time.Minute)
		little := b.pay(ada, b.address(destination.P2TR), 1_000)
		for range 3 {
			b.later(time.Minute)
		}
		other := b.another()
		other.Nodes[realm.Test] = b.Nodes[realm.Test]
		if err := other.Batch(t.Context(), realm.Test); fault.CodeOf(err) != fault.InsufficientFunds {
			t.Errorf("another process: %v", err)
		}
		b.expect(much, "held")
		b.expect(little, "held")
		if got, want := b.audited("payout."), "holds_back "+string(much.ID)+", balance_low chain"; got != want || !b.log.has("has waited for too long") {
			t.Errorf("the audit log has %q, want %q", got, want)
		}
		f, err := b.Figures(t.Context(), realm.Test)
		b.must(err)
		if len(f.Nodes) != 2 {
			t.Errorf("%d nodes have a balance", len(f.Nodes))
		}
		b.must(b.node.Fund(t.Context(), 5_000_000))
		b.later(time.Minute)
		b.expect(much, "sent")
		b.expect(little, "sent")
	})
}

// What waits in the wallet for a block does not make it look as if it could pay more than it can:
// a payout that it can pay goes out at once, whatever older ones want more.
func TestChangeKeepsNobodyWaiting(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.only(5_000_000)
		_, err := b.node.Spend(t.Context(), 1_000)
		b.must(err)
		b.must(b.node.Fund(t.Context(), 200_000))
		ada := b.customer("ada")
		for _, satoshi := range []int64{500_000, 400_000, 300_000, 250_000} {
			b.pay(ada, b.address(destination.P2TR), satoshi)
		}
		little := b.pay(ada, b.address(destination.P2TR), 100_000)
		for range b.Policy.Chain.Together {
			b.pay(ada, b.address(destination.P2TR), 240_000)
		}
		b.later(0)
		b.expect(little, "sent")
	})
}

// A batch whose transaction was never made is gone on with, however many others wait for a
// block.
func TestUnbuiltAmongMany(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		const many = 100
		b.Policy.Chain.Together = 1
		coins := make([]int64, many+1)
		for i := range coins {
			coins[i] = 20_000
		}
		b.only(coins...)
		ada := b.customer("ada")
		for range many {
			b.pay(ada, b.address(destination.P2TR), 10_000)
		}
		for range many / 20 {
			b.must(b.Batch(t.Context(), realm.Test))
		}
		p := b.pay(ada, b.address(destination.P2TR), 10_000)
		b.set(node.Stalled, 2) // neither an estimate nor a transaction
		if err := b.Batch(t.Context(), realm.Test); err == nil {
			t.Error("a node that is silent has made a transaction")
		}
		b.set(node.Calm, 0)
		b.expect(p, "sending")
		b.must(b.Batch(t.Context(), realm.Test))
		b.expect(p, "sent")
	})
}
