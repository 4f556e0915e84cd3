package payout_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/doom"
)

// lefts are what is left of a coin beside the amount of a payout: change that a higher fee
// does not come from, and hardly a fee.
func lefts() []int64 { return []int64{3_000, 1_200} }

// coin is how much the coins of these tests come to.
const coin = 1_000_000

// only has the sandbox's node have nothing but some coins.
func (b *bench) only(satoshi ...int64) {
	b.t.Helper()
	b.made++
	b.node = node.New(b.db, b.clock, fmt.Sprint("poor", b.made), false)
	for _, n := range satoshi {
		b.must(b.node.Fund(b.t.Context(), n))
	}
	b.Nodes[realm.Test] = b.node.Nodes(destination.Regtest)
}

func (b *bench) tx(txid string) transaction.Transaction {
	b.t.Helper()
	tx, err := transaction.Parse(b.raw(txid))
	b.must(err)
	return tx
}

// feeOf is what the transaction of a payout costs, as the books of its batch have it.
func (b *bench) feeOf(txid string) int64 {
	b.t.Helper()
	fee, _, err := storage.One(b.t.Context(), b.db, storage.Scalar[int64], findFee, txid)
	b.must(err)
	return fee
}

var findFee = storage.SQL("payout_test.find_fee", `SELECT fee_minor FROM payout_transactions WHERE txid = $1`)

// raiseTwice sends a payout, has its fee raised twice, and returns its transactions in order.
func (b *bench) raiseTwice(p payout.Payout) []string {
	b.t.Helper()
	b.Policy.Chain.Floor = 1_000
	b.later(0)
	family := []string{b.expect(p, "sent").TxID}
	for _, floor := range []int64{100_000, 150_000} {
		b.Policy.Chain.Floor = floor
		b.later(2 * time.Hour)
		family = append(family, b.expect(p, "sent").TxID)
	}
	return family
}

// raised has the fee of a payout raised twice, beyond what its transaction can pay, and the
// newest replacement confirmed. Each spends everything that those before it do, with one
// more coin where that is needed, pays for its own way, and stays within the cap.
func (b *bench) raised(p payout.Payout, mine func(), paid func(payout.Destination) string) {
	b.t.Helper()
	family := b.raiseTwice(p)
	for i := 1; i < len(family); i++ {
		before, after := b.tx(family[i-1]), b.tx(family[i])
		fee, size := b.feeOf(family[i]), after.Size()
		if len(after.Inputs) != 2 || !after.Spends(&before) || fee < b.feeOf(family[i-1])+size || fee*1000 > b.Policy.Chain.Cap*size {
			b.t.Fatalf("%d inputs and a fee of %d for %d bytes, after %d inputs and %d", len(after.Inputs), fee, size, len(before.Inputs), b.feeOf(family[i-1]))
		}
	}
	mine()
	b.work()
	p = b.expect(p, "settled")
	if want := fmt.Sprint("1x ", p.Amount.Minor); p.TxID != family[2] || p.Fee.Minor != b.feeOf(family[2]) || paid(p.To) != want {
		b.t.Errorf("%s for %s paid %s, want %s for %d, %s", p.TxID, p.Fee, paid(p.To), family[2], b.feeOf(family[2]), want)
	}
	b.told(p.Book, "sent, settled")
}

// A transaction whose change cannot pay a higher fee, or that has none, is replaced by one
// with more coins.
func TestRaised(t *testing.T) {
	for _, left := range lefts() {
		each(t, func(t *testing.T, b *bench) {
			b.only(coin, coin, coin)
			p := b.pay(b.customer("ada"), b.address(destination.P2WPKH), coin-left)
			b.raised(p, func() { b.must(b.node.Mine(t.Context(), 1)) }, b.paid)
			b.verified()
		})
	}
}

// Whichever transaction is confirmed settles the payout with its own fee, and the coins of
// those that are not can be spent again.
func TestRaisedInVain(t *testing.T) {
	for confirmed := range 2 {
		each(t, func(t *testing.T, b *bench) {
			b.only(coin, coin)
			ada := b.customer("ada")
			p := b.pay(ada, b.address(destination.P2WPKH), coin-3_000)
			family := b.raiseTwice(p)
			b.must(b.node.Evict(t.Context(), family[2]))
			b.must(b.Nodes[realm.Test].Chain.Publish(t.Context(), b.raw(family[confirmed])))
			b.must(b.node.Mine(t.Context(), 1))
			b.work()
			p = b.expect(p, "settled")
			if p.TxID != family[confirmed] || p.Fee.Minor != b.feeOf(p.TxID) || b.paid(p.To) != fmt.Sprint("1x ", p.Amount.Minor) {
				t.Errorf("%+v", p)
			}
			b.Policy.Chain.Floor = 1_000
			q := b.pay(ada, b.address(destination.P2WPKH), 900_000)
			b.later(11 * time.Minute)
			b.must(b.node.Mine(t.Context(), 1))
			b.work()
			b.expect(q, "settled")
			b.verified()
		})
	}
}

// A wallet without coins for it keeps the transaction as it is, and raises its fee when it
// has one; a coin that waits itself is none.
func TestRaisedLater(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.only(coin, coin)
		ada := b.customer("ada")
		b.Policy.Chain.Together = 1
		p, q := b.pay(ada, b.address(destination.P2WPKH), coin-3_000), b.pay(ada, b.address(destination.P2WPKH), 500_000)
		b.later(0) // the change of the second one waits
		first := b.expect(p, "sent").TxID
		b.expect(q, "sent")
		b.Policy.Chain.Floor = 100_000
		b.later(3 * time.Hour)
		if b.find(p).TxID != first {
			t.Errorf("replaced by %+v", b.tx(b.find(p).TxID))
		}
		b.must(b.node.Fund(t.Context(), coin))
		b.later(time.Minute)
		if b.find(p).TxID == first {
			t.Error("not replaced")
		}
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		b.expect(p, "settled")
		b.expect(q, "settled")
		b.verified()
	})
}

// The coins that are added to a transaction are nobody else's before it is published, and
// are given back where it is given up: because somebody else replaced it meanwhile, or
// because it is not what was asked for.
func TestAddedCoinsAreKept(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.only(coin, coin, coin, coin)
		p := b.pay(b.customer("ada"), b.address(destination.P2WPKH), coin-3_000)
		b.later(0)
		b.Policy.Chain.Floor = 100_000
		b.clock.Advance(2 * time.Hour)
		other := b.another()
		t.Cleanup(other.books.Close)
		other.node, other.Policy.Chain.Floor = b.node, 100_000
		calm := b.Nodes[realm.Test]
		silent := calm
		silent.Chain = deaf{calm.Chain}
		other.Nodes[realm.Test] = silent
		late := calm
		late.Wallet = overtaken{calm.Wallet, func() {
			if err := other.Watch(t.Context(), realm.Test); err == nil {
				t.Error("the other process published its replacement")
			}
		}}
		b.Nodes[realm.Test] = late
		b.must(b.Watch(t.Context(), realm.Test))
		b.Nodes[realm.Test] = calm
		if tx := b.tx(b.find(p).TxID); len(tx.Inputs) != 2 {
			t.Fatalf("%+v", tx)
		}
		wallet := calm.Wallet
		build := func(satoshi int64) (payout.Signed, error) {
			return wallet.Build(t.Context(), payout.Order{Rate: 1_000, Most: 1_000, Outputs: []transaction.Output{{Satoshi: satoshi, Script: p.To.Script()}}})
		}
		if _, err := build(2*coin + 1); fault.CodeOf(err) != fault.InsufficientFunds {
			t.Errorf("the coin of the stored replacement was spent: %v", err)
		}
		both, err := build(2*coin - 10_000) // its own coin was given back
		b.must(err)
		b.must(both.Release(t.Context()))
		b.later(time.Minute)
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		b.expect(p, "settled")

		q := b.pay(b.customer("bob"), b.address(destination.P2WPKH), 900_000)
		b.later(0)
		b.clock.Advance(2 * time.Hour)
		astray := calm
		astray.Wallet = stray{calm.Wallet}
		b.Nodes[realm.Test] = astray
		b.Policy.Chain.Floor = 150_000
		if err := b.Watch(t.Context(), realm.Test); err == nil {
			t.Error("a replacement that spends other coins was taken")
		}
		again, err := build(coin - 10_000)
		b.must(err)
		b.must(again.Release(t.Context()))
		b.Nodes[realm.Test] = calm
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		b.expect(q, "settled")
		b.verified()
	})
}

// overtaken is a wallet whose replacement is made when somebody else is quicker to store one.
type overtaken struct {
	payout.Wallet
	by func()
}

func (o overtaken) Bump(ctx context.Context, raw []byte, order payout.Order) (payout.Signed, error) {
	signed, err := o.Wallet.Bump(ctx, raw, order)
	o.by()
	return signed, err
}

// A replacement that never got out, and whose added coin was spent otherwise for good, is
// none any more: the next one need not spend that coin.
func TestAddedCoinSpent(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.only(coin, coin)
		p := b.pay(b.customer("ada"), b.address(destination.P2WPKH), coin-3_000)
		b.later(0)
		first := b.expect(p, "sent").TxID
		b.Policy.Chain.Floor = 100_000
		calm := b.Nodes[realm.Test]
		silent := calm
		silent.Chain = deaf{calm.Chain}
		b.Nodes[realm.Test] = silent
		b.later(2 * time.Hour)
		dead := b.find(p).TxID
		b.Nodes[realm.Test] = calm
		theirs := b.tx(dead)
		theirs.Inputs = theirs.Inputs[1:]
		b.must(b.node.SpendAgainst(t.Context(), theirs.Bytes()))
		b.must(b.node.Fund(t.Context(), coin))
		b.later(2 * time.Hour) // the first one waits again, and the second one may still come back
		if got := b.find(p); got.TxID != dead || got.State != payout.Sent {
			t.Errorf("%+v", got)
		}
		b.must(b.node.Evict(t.Context(), first))
		b.must(b.node.Mine(t.Context(), 5))
		b.later(time.Minute)
		b.later(time.Minute)
		p = b.expect(p, "sent")
		one, two, three := b.tx(first), b.tx(dead), b.tx(p.TxID)
		if p.TxID == dead || !three.Spends(&one) || three.Spends(&two) || len(three.Inputs) != 2 {
			t.Errorf("%+v", three)
		}
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		if p = b.expect(p, "settled"); b.paid(p.To) != "1x 997000" {
			t.Errorf("paid %s", b.paid(p.To))
		}
		b.verified()
	})
}

// A process that is killed at any step while it adds coins to a transaction leaves nothing
// half done: who goes on pays once.
func TestKilledRaising(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			config, keys := testkit.Database(t, engine), t.TempDir()
			b := &bench{t: t, clock: clock.NewManual(began)}
			var err error
			b.master, _, err = vault.LoadMasterKey(keys, "")
			b.must(err)
			b.world, err = open(t.Context(), testkit.Open(t, config), b.clock, b.master)
			b.must(err)
			t.Cleanup(b.books.Close)
			where := append(doom.Where(config, keys), floorVariable+"=100000")
			steps := 0
			for done := false; !done; steps++ {
				b.killRaising(where, steps+1, &done)
			}
			if steps < 12 {
				t.Errorf("there were %d steps to die at, which is not all of it", steps)
			}
			b.verified()
		})
	}
}

// killRaising has a payout's fee raised by a process that dies at a step.
func (b *bench) killRaising(where []string, step int, done *bool) {
	b.t.Helper()
	for range 3 { // what is left of the rounds before does not matter
		b.must(b.node.Fund(b.t.Context(), coin))
	}
	book := b.customer(fmt.Sprint("ada-", step))
	p := b.pay(book, b.address(destination.P2WPKH), coin-lefts()[step%2])
	b.Policy.Chain.Floor = 1_000
	b.later(0)
	first := b.expect(p, "sent").TxID
	b.clock.Advance(2 * time.Hour)
	*done = b.kill(where, step)
	b.Policy.Chain.Floor = 100_000
	b.later(time.Minute)
	if p = b.find(p); p.TxID == first {
		b.t.Fatalf("killed at step %d: not replaced", step)
	}
	b.must(b.node.Mine(b.t.Context(), 1))
	b.work()
	p = b.expect(p, "settled")
	if got := b.paid(p.To); got != fmt.Sprint("1x ", p.Amount.Minor) || b.heardOf(p) != 1 {
		b.t.Fatalf("killed at step %d: paid %s", step, got)
	}
	b.told(book, "sent, settled")
	b.must(b.node.Mine(b.t.Context(), 6))
	b.work()
}
