package payout_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/webhook"
)

// Payouts that wait together share a transaction, as many as the policy says, and its fee
// to the last satoshi.
func TestTogether(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.Policy.Chain.Together = 3
		ada, bob := b.customer("ada"), b.customer("bob")
		var all []payout.Payout
		for i := range 5 {
			all = append(all, b.pay(ada, b.address(destination.P2TR), int64(1_000*(i+1))))
		}
		all[4] = b.pay(bob, b.address(destination.P2SH), 100_000)
		b.later(0)
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		fees, sizes := map[string]int64{}, map[string]int{}
		for _, p := range all {
			p = b.expect(p, "settled")
			fees[p.TxID] += p.Fee.Minor
			sizes[p.TxID]++
		}
		if len(sizes) != 2 || sizes[b.find(all[0]).TxID] != 3 {
			t.Errorf("transactions of %v payouts", sizes)
		}
		for txid, fee := range fees {
			tx, err := transaction.Parse(b.raw(txid))
			b.must(err)
			if want := (tx.Size()*10_000 + 999) / 1000; txid == b.find(all[0]).TxID && fee != want {
				t.Errorf("the shares of the fee are %d, want %d", fee, want)
			}
		}
		b.verified()
	})
}

// The transaction is stored before it is published, and what is published is what was stored.
func TestStoredFirst(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		p := b.pay(b.customer("ada"), b.address(destination.P2WSH), 10_000)
		nodes := b.Nodes[realm.Test]
		nodes.Chain = looked{nodes.Chain, func(raw []byte) {
			tx, err := transaction.Parse(raw)
			b.must(err)
			if found := b.find(p); found.State != payout.Sending || found.TxID != tx.ID() || string(b.raw(tx.ID())) != string(raw) {
				t.Errorf("published before it was stored: %+v", found)
			}
		}}
		b.Nodes[realm.Test] = nodes
		b.later(0)
		b.expect(p, "sent")
	})
}

// A transaction that is stored and not on disk yet is not published by whoever else finds it: a
// crash would take back that its payouts were paid.
func TestPublishedOnceOnDisk(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		p, calm := b.unheard()
		begun, release := make(chan struct{}), make(chan struct{})
		finish := sync.OnceFunc(func() { close(release) })
		nothing := func(context.Context, *storage.Tx) error { return nil }
		b.must(b.db.Commit(t.Context(), nothing, func(error) { close(begun); <-release }))
		<-begun // whoever wants something put on disk waits from now on
		b.reach(looked{blind{calm}, func([]byte) {
			t.Error("published before it was on disk")
			finish()
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := b.Watch(ctx, realm.Test); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("watched: %v", err)
		}
		finish()
		b.reach(calm)
		b.work()
		b.expect(p, "sent")
	})
}

// unheard plans a payout whose transaction is stored and reaches no network, and returns the chain
// that would have taken it.
func (b *bench) unheard() (payout.Payout, payout.Chain) {
	b.t.Helper()
	calm := b.Nodes[realm.Test].Chain
	b.reach(deaf{calm})
	p := b.pay(b.customer("ada"), b.address(destination.P2WPKH), 10_000)
	b.later(0)
	return b.expect(p, "sending"), calm
}

// reach has the service go to a chain.
func (b *bench) reach(c payout.Chain) {
	nodes := b.Nodes[realm.Test]
	nodes.Chain = c
	b.Nodes[realm.Test] = nodes
}

// blind knows no transaction, and asks nobody.
type blind struct{ payout.Chain }

func (blind) Look(_ context.Context, raw [][]byte) ([]payout.Sighting, error) {
	return make([]payout.Sighting, len(raw)), nil
}

// A transaction that waits too long is replaced by one with a higher fee; whichever is
// confirmed settles the payout, with its own fee.
func TestBump(t *testing.T) {
	for _, old := range []bool{false, true} {
		each(t, func(t *testing.T, b *bench) {
			ada := b.customer("ada")
			b.must(b.node.SetRate(t.Context(), 2_000))
			p := b.pay(ada, b.address(destination.P2WPKH), 10_000)
			b.later(0)
			first := b.expect(p, "sent").TxID
			b.later(time.Hour)
			if b.find(p).TxID != first {
				t.Error("replaced too soon")
			}
			b.must(b.node.SetRate(t.Context(), 30_000))
			b.later(time.Hour)
			second := b.expect(p, "sent").TxID
			if second == first {
				t.Fatal("not replaced")
			}
			paid := second
			if old { // a miner has the first one
				b.must(b.node.Evict(t.Context(), second))
				nodes := b.Nodes[realm.Test]
				b.must(nodes.Chain.Publish(t.Context(), b.raw(first)))
				paid = first
			}
			b.must(b.node.Mine(t.Context(), 1))
			b.work()
			p = b.expect(p, "settled")
			one, err := transaction.Parse(b.raw(first))
			b.must(err)
			fee := one.Size() * 30_000 * 99 / 100_000
			if old {
				fee = (one.Size()*2_000 + 999) / 1000
			}
			if p.TxID != paid || p.Fee != sat(fee) || b.paid(p.To) != "1x 10000" {
				t.Errorf("%+v, want %s for %d", p, paid, fee)
			}
			b.owes(ada, "0.9999 held 0")
			b.told(ada, "sent, settled")
			b.verified()
		})
	}
}

// Fees are never raised beyond the cap, nor more often than the policy says, nor while
// payouts are stopped.
func TestBumpIsBounded(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.Policy.Chain.Bumps, b.Policy.Chain.Cap = 3, 20_000
		b.must(b.node.SetRate(t.Context(), 1_000))
		p := b.pay(b.customer("ada"), b.address(destination.P2WPKH), 10_000)
		b.later(0)
		b.must(b.Stop(t.Context(), "operator/ann", realm.Test))
		seen := map[string]bool{}
		count := func(rounds int) int {
			for range rounds {
				b.later(3 * time.Hour)
				seen[b.expect(p, "sent").TxID] = true
			}
			return len(seen)
		}
		if n := count(2); n != 1 {
			t.Errorf("%d transactions while payouts are stopped", n)
		}
		b.must(b.Resume(t.Context(), "operator/ann", realm.Test))
		if n := count(6); n != 4 {
			t.Errorf("%d transactions, want the first and 3 replacements", n)
		}
		b.must(b.node.SetRate(t.Context(), 9_000_000))
		q := b.pay(b.customer("bob"), b.address(destination.P2WPKH), 10_000)
		b.later(0)
		first := b.expect(q, "sent").TxID
		b.later(3 * time.Hour)
		if b.find(q).TxID != first {
			t.Error("a fee at the cap was raised")
		}
	})
}

// A transaction that was stored and never left does not leave while payouts are stopped.
func TestUnpublishedWhileStopped(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		p, calm := b.unheard()
		first := p.TxID
		b.must(b.Stop(t.Context(), "operator/ann", realm.Test))
		b.reach(calm)
		b.work()
		seen, err := calm.Look(t.Context(), [][]byte{b.raw(first)})
		b.must(err)
		if seen[0].Known || b.find(p).State != payout.Sending {
			t.Errorf("%+v, and the payout is %s", seen, b.find(p).State)
		}
		b.must(b.Resume(t.Context(), "operator/ann", realm.Test))
		b.work()
		if got := b.expect(p, "sent"); got.TxID != first {
			t.Errorf("sent by %s, stored was %s", got.TxID, first)
		}
	})
}

// A replacement that was stored and not published, because the process died, is published
// by the next one, unless payouts are stopped.
func TestReplacementUnpublished(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		p := b.pay(b.customer("ada"), b.address(destination.P2WPKH), 10_000)
		b.later(0)
		first := b.expect(p, "sent").TxID
		nodes := b.Nodes[realm.Test]
		calm := nodes.Chain
		nodes.Chain = deaf{nodes.Chain}
		b.Nodes[realm.Test] = nodes
		b.later(3 * time.Hour)
		second := b.find(p).TxID
		if second == first {
			t.Fatal("not replaced")
		}
		nodes.Chain = calm
		b.Nodes[realm.Test] = nodes
		for _, stopped := range []bool{true, false} {
			turn := b.Resume
			if stopped {
				turn = b.Stop
			}
			b.must(turn(t.Context(), "operator/ann", realm.Test))
			b.later(time.Minute)
			seen, err := calm.Look(t.Context(), [][]byte{b.raw(first), b.raw(second)})
			b.must(err)
			if seen[0].Known != stopped || seen[1].Known == stopped {
				t.Errorf("stopped is %t: %+v", stopped, seen)
			}
		}
	})
}

// A reorganisation has a settled payout wait again; it is published again and settled
// again, with one posting, one word to the listener, and the fee of what was confirmed.
func TestReorganised(t *testing.T) {
	for _, lost := range []bool{false, true} {
		each(t, func(t *testing.T, b *bench) {
			ada := b.customer("ada")
			p := b.pay(ada, b.address(destination.P2TR), 10_000)
			b.later(0)
			b.must(b.node.Mine(t.Context(), 2))
			b.work()
			b.expect(p, "settled")
			b.must(b.node.Reorganise(t.Context(), 2, lost))
			b.later(31 * time.Second)
			b.expect(p, "sent reorganised")
			b.owes(ada, "0.9999 held 0")
			b.later(31 * time.Second)
			b.must(b.node.Mine(t.Context(), 1))
			b.work()
			p = b.expect(p, "settled")
			b.told(ada, "sent, settled, reorganised reorganised, settled")
			if n := b.heardOf(p); n != 1 || b.paid(p.To) != "1x 10000" {
				t.Errorf("told %d times, paid %s", n, b.paid(p.To))
			}
			b.must(b.node.Mine(t.Context(), 5))
			b.work()
			b.must(b.node.Reorganise(t.Context(), 1, false)) // too shallow to matter, and nobody looks any more
			b.work()
			b.expect(p, "settled")
			b.verified()
		})
	}
}

// After a reorganisation another transaction of the same payout may be confirmed: its fee
// is what the books have in the end, whatever an operator froze.
func TestReorganisedToAnother(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		b.must(b.node.SetRate(t.Context(), 2_000))
		p := b.pay(ada, b.address(destination.P2TR), 10_000)
		b.later(0)
		first := b.find(p).TxID
		b.later(3 * time.Hour)
		second := b.find(p).TxID
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		dear := b.expect(p, "settled")
		for _, account := range []ledger.AccountID{payout.Custody().ID, payout.NetworkFees().ID} { // no reason to book what was not paid
			_, err := b.books.Submit(t.Context(), ledger.Operation{Book: ada, Kind: "account.freeze", Actor: "op/1", At: b.Clocks.Now(realm.Test),
				States: []ledger.StateChange{{Account: account, To: ledger.Frozen}}})
			b.must(err)
		}
		b.must(b.node.Reorganise(t.Context(), 1, true))
		b.must(b.Nodes[realm.Test].Chain.Publish(t.Context(), b.raw(first)))
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		cheap := b.expect(p, "settled")
		if dear.TxID != second || cheap.TxID != first || cheap.Fee.Minor >= dear.Fee.Minor {
			t.Errorf("%+v\nthen %+v", dear, cheap)
		}
		left, err := b.books.FindAccount(t.Context(), ada, payout.Custody().ID)
		b.must(err)
		if left.Posted() != sat(10_000+cheap.Fee.Minor) {
			t.Errorf("the books say that %s left", left.Posted())
		}
		b.told(ada, "sent, settled, reorganised reorganised, settled")
		b.verified()
	})
}

// What the mempool forgets, or never got, is published again.
func TestEvicted(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		b.set(node.Refusing, 0)
		p := b.pay(ada, b.address(destination.P2TR), 10_000)
		b.later(0)
		for range 3 {
			b.must(b.node.Evict(t.Context(), b.expect(p, "sent").TxID))
			b.later(31 * time.Second)
		}
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		b.expect(p, "settled")
		if b.paid(p.To) != "1x 10000" {
			t.Errorf("paid %s", b.paid(p.To))
		}
	})
}

// Where another transaction spends the same coins, nothing is paid anew before that is
// final: until then the first one could still come back.
func TestSpentAgainst(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, b.address(destination.P2TR), 10_000)
		b.later(0)
		first := b.expect(p, "sent").TxID
		b.must(b.node.SpendAgainst(t.Context(), b.raw(first)))
		b.must(b.node.Mine(t.Context(), 4))
		b.work()
		if got := b.expect(p, "sent"); got.TxID != first {
			t.Errorf("paid anew while the first one could come back: %+v", got)
		}
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		b.later(time.Minute)
		if got := b.expect(p, "sent"); got.TxID == first {
			t.Errorf("not paid anew: %+v", got)
		}
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		b.expect(p, "settled")
		if b.paid(p.To) != "1x 10000" || !b.log.has("other transactions spent the coins") {
			t.Errorf("paid %s", b.paid(p.To))
		}
		b.owes(ada, "0.9999 held 0")
		b.verified()
	})
}

// A wallet with too little pays whom it can, the oldest first, tells the operator once, and
// the rest when it is funded.
func TestTooLittle(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.later(0)
		ada := b.customer("ada")
		for range 20 { // leave one coin
			_, err := b.node.Spend(t.Context(), 9_900_000)
			if err != nil {
				break
			}
		}
		b.must(b.node.Mine(t.Context(), 1))
		b.must(b.node.Fund(t.Context(), 4_000_000))
		var all []payout.Payout
		for range 4 {
			all = append(all, b.pay(ada, b.address(destination.P2TR), 1_500_000))
		}
		b.later(time.Minute)
		b.later(time.Minute)
		for i, want := range []string{"sent", "sent", "sent", "held"} {
			b.expect(all[i], want)
		}
		if got := b.audited("payout.balance"); got != "balance_low chain" {
			t.Errorf("the audit log has %q", got)
		}
		if !b.log.has("payouts run out of bitcoin") {
			t.Error("the log does not say so")
		}
		b.fund()
		b.work()
		b.later(time.Minute)
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		for _, p := range all {
			b.expect(p, "settled")
		}
		if got := b.audited("payout.balance"); !strings.Contains(got, "balance_enough chain") {
			t.Errorf("the audit log has %q", got)
		}
		b.verified()
	})
}

// A wallet's transaction that does not pay what it was asked for, or pays too high a fee,
// is never published.
func TestLyingWallet(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		p := b.pay(b.customer("ada"), b.address(destination.P2TR), 10_000)
		b.set(node.Lying, 2)
		if err := b.Batch(t.Context(), realm.Test); err == nil || !strings.Contains(err.Error(), "does not pay what it was asked for") {
			t.Errorf("%v", err)
		}
		b.expect(p, "sending")
		b.set(node.Calm, 0)
		nodes := b.Nodes[realm.Test]
		honest := nodes.Wallet
		nodes.Wallet = dear{honest}
		b.Nodes[realm.Test] = nodes
		if err := b.Batch(t.Context(), realm.Test); err == nil || !strings.Contains(err.Error(), "has a fee of") {
			t.Errorf("%v", err)
		}
		if got := b.find(p); got.TxID != "" {
			t.Errorf("%+v", got)
		}
		nodes.Wallet = honest
		b.Nodes[realm.Test] = nodes
		b.later(15 * time.Minute)
		b.expect(p, "sent")
	})
}

// A replacement that could be confirmed beside its predecessor is never stored or published.
func TestLyingReplacement(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		p := b.pay(b.customer("ada"), b.address(destination.P2TR), 10_000)
		b.later(0)
		first := b.expect(p, "sent").TxID
		nodes := b.Nodes[realm.Test]
		nodes.Wallet = stray{nodes.Wallet}
		b.Nodes[realm.Test] = nodes
		b.clock.Advance(3 * time.Hour)
		if err := b.Watch(t.Context(), realm.Test); err == nil || !strings.Contains(err.Error(), "does not replace") {
			t.Errorf("%v", err)
		}
		if got := b.find(p); got.TxID != first {
			t.Errorf("%+v", got)
		}
	})
}

// stray is a wallet whose replacements spend other coins.
type stray struct{ payout.Wallet }

func (s stray) Bump(ctx context.Context, _ []byte, o payout.Order) (payout.Signed, error) {
	return s.Wallet.Build(ctx, o)
}

// Where the policy wants more confirmations, fewer do not settle a payout.
func TestConfirmations(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.Policy.Chain.Confirmations = 3
		p := b.pay(b.customer("ada"), b.address(destination.P2TR), 10_000)
		b.later(0)
		for range 2 {
			b.must(b.node.Mine(t.Context(), 1))
			b.work()
			b.expect(p, "sent")
		}
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		b.expect(p, "settled")
	})
}

// Two processes that pay at the same time make one transaction for each payout.
func TestTwoProcesses(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		other := b.another()
		t.Cleanup(other.books.Close)
		ada := b.customer("ada")
		var all []payout.Payout
		for range 6 {
			all = append(all, b.pay(ada, b.address(destination.P2TR), 10_000), b.pay(ada, b.invoice(), 10_000))
		}
		done := make(chan error)
		for i := range 8 {
			w := []*world{b.world, other.world}[i%2]
			go func() {
				err := w.Batch(t.Context(), realm.Test)
				for _, p := range all {
					if p.To.Kind.IsLightning() && err == nil {
						_, err = w.Pay(t.Context(), p)
					}
				}
				done <- err
			}()
		}
		for range 8 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		for _, p := range all {
			b.expect(p, "settled")
			if !p.To.Kind.IsLightning() && b.paid(p.To) != "1x 10000" {
				t.Errorf("paid %s", b.paid(p.To))
			}
		}
		if b.received() != "6x 60000" {
			t.Errorf("received %s", b.received())
		}
		b.owes(ada, "0.9988 held 0")
		b.verified()
	})
}

// Processes that look after the same transactions at once publish each of them, and none takes
// what another one did meanwhile for a mistake.
func TestWatchAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		other := b.another()
		t.Cleanup(other.books.Close)
		calm := b.Nodes[realm.Test]
		mute := calm
		mute.Chain = deaf{calm.Chain}
		b.Nodes[realm.Test] = mute
		ada := b.customer("ada")
		var all []payout.Payout
		for range 60 {
			b.must(b.node.Fund(t.Context(), 1_000_000))
			all = append(all, b.pay(ada, b.address(destination.P2TR), 10_000))
			if err := b.Batch(t.Context(), realm.Test); err == nil {
				t.Fatal("it was published")
			}
		}
		b.Nodes[realm.Test] = calm
		done := make(chan error)
		for i := range 8 {
			w := []*world{b.world, other.world}[i%2]
			go func() { done <- w.Watch(t.Context(), realm.Test) }()
		}
		for range 8 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		for _, p := range all {
			b.expect(p, "sent")
		}
	})
}

// Where runs at once have too little, each asks for a transaction of payouts, not of a batch that
// another one gave up meanwhile.
func TestPoorAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		nodes := b.Nodes[realm.Test]
		nodes.Wallet = bare{nodes.Wallet, t}
		b.Nodes[realm.Test] = nodes
		ada := b.customer("ada")
		for range 5 {
			b.pay(ada, b.address(destination.P2TR), 10_000)
		}
		done := make(chan error)
		for range 8 {
			go func() { done <- b.Batch(t.Context(), realm.Test) }()
		}
		for range 8 {
			if err := <-done; err != nil && fault.CodeOf(err) != fault.InsufficientFunds {
				t.Error(err)
			}
		}
	})
}

// bare is a wallet that has too little for every transaction, of which each pays somebody.
type bare struct {
	payout.Wallet
	t *testing.T
}

func (w bare) Build(_ context.Context, o payout.Order) (payout.Signed, error) {
	if len(o.Outputs) == 0 {
		w.t.Error("a transaction without outputs is asked for")
	}
	return payout.Signed{}, fault.New(fault.InsufficientFunds, "bare")
}

// A day is held against the nodes' own lists: nothing differs but what somebody paid past
// the payouts, and what a node does not know.
func TestReconcile(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		chain, lightning := b.pay(ada, b.address(destination.P2TR), 10_000), b.pay(ada, b.handle(), 20_000)
		b.later(0)
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		b.expect(chain, "settled")
		b.expect(lightning, "settled")
		if _, err := b.Reconcile(t.Context(), realm.Test, "2026-05-22"); err == nil {
			t.Error("a day that is not over was reconciled")
		}
		b.clock.Advance(12 * time.Hour)
		made, err := b.Reconcile(t.Context(), realm.Test, "2026-05-22")
		b.must(err)
		if made.Payments != 2 || made.Found != 0 {
			t.Errorf("%+v", made)
		}
		txid, err := b.node.Spend(t.Context(), 77_000)
		b.must(err)
		past, err := b.payee.Invoice(t.Context(), 0, "")
		b.must(err)
		in, err := b.parse(past).Payable(b.clock.Now(), 0)
		b.must(err)
		_, err = b.Nodes[realm.Test].Lightning.Pay(t.Context(), payout.Transfer{Invoice: past, Hash: in.Hash, MilliSatoshi: 5_000_000, FeeLimit: 1_000_000})
		b.must(err)
		b.must(b.node.Mine(t.Context(), 1))
		b.clock.Advance(24 * time.Hour)
		made, err = b.Reconcile(t.Context(), realm.Test, "2026-05-23")
		b.must(err)
		var got []string
		for _, d := range made.Differences {
			got = append(got, fmt.Sprint(d.Kind, " ", d.Subject, " ", d.Got))
		}
		want := fmt.Sprintf("unknown %s 77000\nunknown %x 5000", txid, in.Hash)
		if text := strings.Join(got, "\n"); text != want || made.Found != 2 {
			t.Errorf("%d differences:\n%s\nwant\n%s", made.Found, text, want)
		}
		again, err := b.FindReconciliation(t.Context(), realm.Test, "2026-05-23")
		if err != nil || again.Found != 2 || len(again.Differences) != 2 || !b.log.has("payouts and the nodes' own lists differ") {
			t.Errorf("%+v, %v", again, err)
		}
		if got := b.audited("payout.differs"); got != "differs test/2026-05-23" {
			t.Errorf("the audit log has %q", got)
		}
		events, err := b.hooks.Outbox.List(t.Context(), webhook.EventFilter{Book: webhook.House(realm.Test), Type: "payout.differs"})
		b.must(err)
		if want := `{"day":"2026-05-23","differences":2,"first":"unknown ` + txid + `"}`; len(events) != 1 || string(events[0].Data) != want {
			t.Errorf("the operators were told %+v", events)
		}
		days, err := b.Reconciliations(t.Context(), realm.Test, 10)
		if err != nil || len(days) != 3 || days[0].Day != "2026-05-23" || days[0].Found != 2 || days[1].Payments != 2 || b.Differences() != 2 {
			t.Errorf("%+v, %v", days, err)
		}
		if _, err := b.Reconcile(t.Context(), realm.Live, "2026-05-22"); fault.CodeOf(err) != fault.FeatureDisabled {
			t.Errorf("a realm without nodes: %v", err)
		}
		b.must(b.node.Reorganise(t.Context(), 3, true)) // the chain forgets a payment that nobody looks after
		made, err = b.Reconcile(t.Context(), realm.Test, "2026-05-22")
		b.must(err)
		if made.Found != 1 || made.Differences[0].Kind != payout.MissingPayment {
			t.Errorf("%+v", made)
		}
		b.clock.Advance(24 * time.Hour)
		b.must(b.ReconcileDue(t.Context(), realm.Test))
		if _, err := b.FindReconciliation(t.Context(), realm.Test, "2026-05-24"); err != nil {
			t.Errorf("the day after: %v", err)
		}
	})
}

// Every day of a week that was missed is made up for, also where somebody asked for one of them
// before its turn; of the days before the first there is only the last one.
func TestReconcileMissed(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.must(b.ReconcileDue(t.Context(), realm.Test))
		for _, c := range []struct{ days, asked, made int }{{1, 1, 2}, {4, 2, 6}, {10, 3, 7}} {
			b.clock.Advance(time.Duration(c.days) * 24 * time.Hour)
			day := func(back int) string { return b.clock.Now().AddDate(0, 0, -back).Format(time.DateOnly) }
			_, err := b.Reconcile(t.Context(), realm.Test, day(c.asked))
			b.must(err)
			b.must(b.ReconcileDue(t.Context(), realm.Test))
			for back := 1; back <= c.made+1; back++ {
				if _, err := b.FindReconciliation(t.Context(), realm.Test, day(back)); (err == nil) != (back <= c.made) {
					t.Errorf("after %d days, of %d days ago: %v", c.days, back, err)
				}
			}
		}
	})
}

// leave has the wallet pay some outputs past the payouts, as it did before a backup was restored.
func (b *bench) leave(outputs ...transaction.Output) string {
	b.t.Helper()
	nodes := b.Nodes[realm.Test]
	signed, err := nodes.Wallet.Build(b.t.Context(), payout.Order{Rate: 1_000, Outputs: outputs})
	b.must(err)
	b.must(nodes.Chain.Publish(b.t.Context(), signed.Raw))
	tx, err := transaction.Parse(signed.Raw)
	b.must(err)
	return tx.ID()
}

func outputOf(p payout.Payout) transaction.Output {
	return transaction.Output{Satoshi: p.Amount.Minor, Script: p.To.Script()}
}

// adopt is what is found and becomes of it: "txid adopted 2", one a line.
func (b *bench) adopt(partly bool) string {
	b.t.Helper()
	left, err := b.Adopt(b.t.Context(), payout.Adoption{Actor: "ops", Realm: realm.Test, Since: began, Partly: partly})
	b.must(err)
	var lines []string
	for _, d := range left {
		lines = append(lines, fmt.Sprint(d.ID, " ", map[bool]string{true: "adopted", false: "left"}[d.Adopted], " ", len(d.Pays)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// What left after a backup that was restored is found by what it pays, and settles the
// payouts that it paid: once they may leave again, nobody is paid twice.
func TestAdopt(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		if _, err := b.Adopt(t.Context(), payout.Adoption{Actor: "ops", Realm: realm.Test, Since: began}); fault.CodeOf(err) != fault.InvalidState {
			t.Fatalf("while payouts leave: %v", err)
		}
		if _, err := b.Adopt(t.Context(), payout.Adoption{Actor: "ops", Realm: realm.Live, Since: began}); fault.CodeOf(err) != fault.FeatureDisabled {
			t.Fatalf("in a realm without nodes: %v", err)
		}
		b.must(b.Stop(t.Context(), "ops", realm.Test))
		one, two, three := b.pay(ada, b.address(destination.P2TR), 10_000), b.pay(ada, b.address(destination.P2WPKH), 20_000), b.pay(ada, b.address(destination.P2PKH), 30_000)
		again := b.pay(ada, one.To, 10_000) // to the same address, and nobody has paid it
		b.work()
		whole := b.leave(outputOf(one), outputOf(two))
		shared := b.leave(outputOf(three), transaction.Output{Satoshi: 44_000, Script: b.address(destination.P2TR).Script()})
		other, err := b.node.Spend(t.Context(), 77_000)
		b.must(err)
		sorted := func(lines ...string) string {
			slices.Sort(lines)
			return strings.Join(lines, "\n")
		}
		if got, want := b.adopt(false), sorted(whole+" adopted 2", shared+" left 1", other+" left 0"); got != want {
			t.Errorf("found\n%s\nwant\n%s", got, want)
		}
		b.expect(one, "sending")
		b.expect(three, "held")
		if got, want := b.adopt(true), sorted(shared+" adopted 1", other+" left 0"); got != want {
			t.Errorf("then found\n%s\nwant\n%s", got, want)
		}
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		for _, p := range []payout.Payout{one, two} {
			if p = b.expect(p, "settled"); p.TxID != whole || b.heardOf(p) != 1 {
				t.Errorf("settled by %s, and told %d times", p.TxID, b.heardOf(p))
			}
		}
		b.expect(three, "settled")
		b.expect(again, "held")
		b.must(b.Resume(t.Context(), "ops", realm.Test))
		b.work()
		b.must(b.node.Mine(t.Context(), 6))
		b.work()
		b.expect(again, "settled")
		if b.paid(one.To) != "2x 20000" || b.paid(two.To) != "1x 20000" || b.paid(three.To) != "1x 30000" {
			t.Errorf("paid %s, %s and %s", b.paid(one.To), b.paid(two.To), b.paid(three.To))
		}
		if got, want := b.audited("payout."), "resume test, adopt "+shared+", adopt "+whole+", stop test"; got != want {
			t.Errorf("audited %q, want %q", got, want)
		}
		b.owes(ada, "0.9993 held 0")
		b.verified()
	})
}

// A replacement that left after a backup which knows its predecessor alone is one more
// transaction of the same payouts.
func TestAdoptReplacement(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, b.address(destination.P2WPKH), 10_000)
		b.later(0)
		first := b.expect(p, "sent").TxID
		b.must(b.Stop(t.Context(), "ops", realm.Test))
		nodes := b.Nodes[realm.Test]
		signed, err := nodes.Wallet.Bump(t.Context(), b.raw(first), payout.Order{Rate: 50_000, Most: 200_000, Outputs: []transaction.Output{outputOf(p)}})
		b.must(err)
		b.must(nodes.Chain.Publish(t.Context(), signed.Raw))
		second, err := transaction.Parse(signed.Raw)
		b.must(err)
		if got := b.adopt(false); got != second.ID()+" adopted 1" {
			t.Fatalf("found %s", got)
		}
		b.must(b.node.Mine(t.Context(), 6))
		b.work()
		b.must(b.Resume(t.Context(), "ops", realm.Test))
		b.must(b.node.Mine(t.Context(), 6))
		b.work()
		if p = b.expect(p, "settled"); p.TxID != second.ID() || p.Fee != sat(signed.Fee) || b.paid(p.To) != "1x 10000" {
			t.Errorf("%+v, paid %s", p, b.paid(p.To))
		}
		b.verified()
	})
}

// A transaction that spends the coins of a payout and pays somebody else is not the payout's.
func TestAdoptNoRival(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		p := b.pay(b.customer("ada"), b.address(destination.P2WPKH), 10_000)
		b.later(0)
		first := b.expect(p, "sent").TxID
		b.must(b.Stop(t.Context(), "ops", realm.Test))
		nodes := b.Nodes[realm.Test]
		b.set(node.Lying, 1)
		signed, err := nodes.Wallet.Bump(t.Context(), b.raw(first), payout.Order{Rate: 50_000, Most: 200_000, Outputs: []transaction.Output{outputOf(p)}})
		b.must(err)
		b.must(nodes.Chain.Publish(t.Context(), signed.Raw))
		second, err := transaction.Parse(signed.Raw)
		b.must(err)
		if got := b.adopt(true); got != second.ID()+" left 0" {
			t.Errorf("found %s", got)
		}
		b.must(b.node.Mine(t.Context(), 6))
		b.must(b.Resume(t.Context(), "ops", realm.Test))
		b.work()
		b.must(b.node.Mine(t.Context(), 6))
		b.work()
		if p = b.expect(p, "settled"); p.TxID == second.ID() || b.paid(p.To) != "1x 10000" {
			t.Errorf("%+v, paid %s", p, b.paid(p.To))
		}
		b.verified()
	})
}

// What a backup knows as sent may have lost its coins to somebody else since, and been paid
// anew: it is given up first, so that what paid it is found, and nobody is paid a third time.
func TestAdoptAfterRival(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		p := b.pay(b.customer("ada"), b.address(destination.P2WPKH), 10_000)
		b.later(0)
		first := b.expect(p, "sent").TxID
		b.must(b.Stop(t.Context(), "ops", realm.Test))
		b.must(b.node.SpendAgainst(t.Context(), b.raw(first)))
		b.must(b.node.Mine(t.Context(), 6))
		second := b.leave(outputOf(p))
		if got := b.adopt(false); got != second+" adopted 1" {
			t.Fatalf("found %s", got)
		}
		b.must(b.node.Mine(t.Context(), 6))
		b.work()
		b.must(b.Resume(t.Context(), "ops", realm.Test))
		b.later(0)
		if p = b.expect(p, "settled"); p.TxID != second || b.paid(p.To) != "1x 10000" {
			t.Errorf("%+v, paid %s", p, b.paid(p.To))
		}
		b.verified()
	})
}

// Payouts that were chosen for a transaction which a restored backup has not wait again, so
// that they are found; what was paid over Lightning is listed alone.
func TestAdoptChosen(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		nodes := b.Nodes[realm.Test]
		b.Nodes[realm.Test] = payout.Nodes{Network: nodes.Network, Wallet: broken{nodes.Wallet}, Chain: nodes.Chain, Lightning: nodes.Lightning, Resolver: nodes.Resolver}
		p := b.pay(ada, b.address(destination.P2WPKH), 10_000)
		b.later(0)
		b.Nodes[realm.Test] = nodes
		b.expect(p, "sending")
		b.must(b.Stop(t.Context(), "ops", realm.Test))
		txid := b.leave(outputOf(p))
		past, err := b.payee.Invoice(t.Context(), 0, "")
		b.must(err)
		in, err := b.parse(past).Payable(b.clock.Now(), 0)
		b.must(err)
		_, err = nodes.Lightning.Pay(t.Context(), payout.Transfer{Invoice: past, Hash: in.Hash, MilliSatoshi: 5_000_000, FeeLimit: 1_000_000})
		b.must(err)
		left, err := b.Adopt(t.Context(), payout.Adoption{Actor: "ops", Realm: realm.Test, Since: began})
		b.must(err)
		if len(left) != 2 || left[0].ID != txid || !left[0].Adopted || !left[1].Lightning || left[1].ID != fmt.Sprintf("%x", in.Hash) || left[1].Adopted {
			t.Errorf("found %+v", left)
		}
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		if p = b.expect(p, "settled"); p.TxID != txid {
			t.Errorf("settled by %s, want %s", p.TxID, txid)
		}
	})
}

// broken is a wallet that makes nothing.
type broken struct{ payout.Wallet }

func (broken) Build(context.Context, payout.Order) (payout.Signed, error) {
	return payout.Signed{}, fault.New(fault.Unavailable, "broken")
}

// looked is a chain whose transactions somebody looks at before they are published.
type looked struct {
	payout.Chain
	look func(raw []byte)
}

func (l looked) Publish(ctx context.Context, raw []byte) error {
	l.look(raw)
	return l.Chain.Publish(ctx, raw)
}

// deaf is a chain that gets no transaction.
type deaf struct{ payout.Chain }

func (deaf) Publish(context.Context, []byte) error { return fmt.Errorf("deaf") }

// dear is a wallet that pays high fees.
type dear struct{ payout.Wallet }

func (d dear) Build(ctx context.Context, o payout.Order) (payout.Signed, error) {
	s, err := d.Wallet.Build(ctx, o)
	s.Fee = 1_000_000
	return s, err
}
