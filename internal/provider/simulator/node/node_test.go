package node_test

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/payout/invoice"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

var began = time.Date(2026, 5, 22, 12, 0, 0, 0, time.UTC)

type bench struct {
	*node.Node
	payout.Nodes
	t     *testing.T
	db    *storage.DB
	clock *clock.Manual
}

func each(t *testing.T, test func(t *testing.T, b *bench)) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		c := clock.NewManual(began)
		n := node.New(db, c, "a", false)
		test(t, &bench{n, n.Nodes(destination.Regtest), t, db, c})
	})
}

// pays is an order to somebody.
func pays(satoshi, rate int64) payout.Order {
	return payout.Order{Outputs: []transaction.Output{{Satoshi: satoshi, Script: []byte{0, 20, 19: 1, 21: 2}}}, Rate: rate, Most: 100_000}
}

func (b *bench) build(satoshi, rate int64) payout.Signed {
	b.t.Helper()
	s, err := b.Wallet.Build(b.t.Context(), pays(satoshi, rate))
	check.OK(b.t, err)
	return s
}

// look compares how a transaction stands: known, confirmations, depth of a rival.
func (b *bench) look(raw []byte, known bool, confirmations, rival int64) {
	b.t.Helper()
	seen, err := b.Chain.Look(b.t.Context(), [][]byte{raw})
	check.OK(b.t, err)
	if s := seen[0]; s.Known != known || s.Confirmations != confirmations || s.RivalDepth != rival {
		b.t.Fatalf("%+v; want known %t, %d confirmations, a rival %d deep", s, known, confirmations, rival)
	}
}

// A node is filled once, however many do it at the same time, and its mood is kept for others.
func TestFill(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		check.OK(t, b.Set(t.Context(), node.Stalled, 1))
		crowd.AtOnce(8, func(int) {
			if err := b.Fill(t.Context(), 100_000); err != nil {
				t.Error(err)
			}
		})
		_, _, err := b.Wallet.Balance(t.Context())
		check.Code(t, "in its mood", err, fault.Unavailable)
		if has, _, err := b.Wallet.Balance(t.Context()); err != nil || has != 100_000 {
			t.Errorf("the node has %d satoshis, %v", has, err)
		}
	})
}

// The wallet pays what it is asked to at the rate that it is asked for, with confirmed coins
// that nobody else uses meanwhile, and keeps the change.
func TestWallet(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		for _, satoshi := range []int64{50_000, 50_000} {
			check.OK(b.t, b.Fund(ctx, satoshi))
		}
		s := b.build(30_000, 5_000)
		tx, err := transaction.Parse(s.Raw)
		check.OK(b.t, err)
		if !tx.Pays(pays(30_000, 0).Outputs) || s.Fee != (tx.Size()*5_000+999)/1000 || len(tx.Inputs) != 1 {
			t.Errorf("%+v", s)
		}
		b.look(s.Raw, false, 0, 0)
		if _, err := b.Wallet.Build(ctx, pays(60_000, 1_000)); fault.CodeOf(err) != fault.InsufficientFunds {
			t.Errorf("more than is free: %v", err)
		}
		check.OK(b.t, b.Chain.Publish(ctx, s.Raw))
		if has, confirmed, err := b.Wallet.Balance(ctx); err != nil || has != 100_000-30_000-s.Fee || confirmed != 50_000 {
			t.Errorf("%d and %d, %v", has, confirmed, err)
		}
		if _, err := b.Wallet.Build(ctx, pays(60_000, 1_000)); fault.CodeOf(err) != fault.InsufficientFunds {
			t.Errorf("with change that is in no block: %v", err)
		}
		check.OK(b.t, b.Mine(ctx, 1))
		b.build(60_000, 1_000)
		records, err := b.Wallet.Payments(ctx, began, began.Add(time.Hour))
		if err != nil || len(records) != 1 || records[0].ID != tx.ID() || records[0].Satoshi != 30_000 || records[0].Fee != s.Fee {
			t.Errorf("%+v, %v", records, err)
		}
	})
}

// Transactions wait, are replaced by dearer ones alone, evicted, confirmed, undone and
// spent against; publishing again is harmless.
func TestChain(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		check.OK(b.t, b.Fund(ctx, 100_000))
		one := b.build(30_000, 2_000)
		two, err := b.Wallet.Bump(ctx, one.Raw, pays(30_000, 3_000))
		check.OK(b.t, err)
		for range 2 {
			check.OK(b.t, b.Chain.Publish(ctx, two.Raw))
		}
		if err := b.Chain.Publish(ctx, one.Raw); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("a cheaper replacement: %v", err)
		}
		b.look(two.Raw, true, 0, 0)
		tx, err := transaction.Parse(two.Raw)
		check.OK(b.t, err)
		check.OK(b.t, b.Evict(ctx, tx.ID()))
		b.look(two.Raw, false, 0, 0)
		check.OK(b.t, b.Chain.Publish(ctx, one.Raw))
		check.OK(b.t, b.Mine(ctx, 3))
		b.look(one.Raw, true, 3, 0)
		b.look(two.Raw, false, 0, 3)
		check.OK(b.t, b.Chain.Publish(ctx, one.Raw))
		if err := b.Chain.Publish(ctx, two.Raw); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("what is spent in a block: %v", err)
		}
		check.OK(b.t, b.Reorganise(ctx, 3, false))
		b.look(one.Raw, true, 0, 0)
		check.OK(b.t, b.Mine(ctx, 1))
		check.OK(b.t, b.Reorganise(ctx, 1, true))
		b.look(one.Raw, false, 0, 0)
		check.OK(b.t, b.SpendAgainst(ctx, one.Raw))
		b.look(one.Raw, false, 0, 1)
		if err := b.Evict(ctx, tx.ID()); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("evicted twice: %v", err)
		}
		automatic := node.New(b.db, b.clock, "b", true)
		check.OK(b.t, automatic.Fund(ctx, 100_000))
		b.Nodes = automatic.Nodes(destination.Regtest)
		three := b.build(30_000, 1_000)
		check.OK(b.t, b.Chain.Publish(ctx, three.Raw))
		b.look(three.Raw, true, 1, 0)
		four := b.build(20_000, 1_000)
		check.OK(b.t, b.Chain.Publish(ctx, four.Raw))
		check.OK(b.t, automatic.SpendAgainst(ctx, four.Raw))
		b.look(four.Raw, false, 0, 1)
		b.look(four.Raw, false, 0, 2) // blocks come while somebody waits for them
	})
}

// The pool takes a replacement by the rules of BIP 125 alone: one that pays for all that it
// drops and for its own way, at a higher rate, and spends nothing more that waits.
func TestReplaced(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		for range 2 {
			check.OK(b.t, b.Fund(ctx, 100_000))
		}
		one, other := b.build(30_000, 2_000), b.build(30_000, 2_000)
		tx, err := transaction.Parse(one.Raw)
		check.OK(b.t, err)
		waits, err := transaction.Parse(other.Raw)
		check.OK(b.t, err)
		check.OK(b.t, b.Chain.Publish(ctx, one.Raw))
		paying := func(more int64, inputs ...transaction.Input) []byte {
			r := tx
			r.Inputs = append(slices.Clone(tx.Inputs), inputs...)
			r.Outputs = slices.Clone(tx.Outputs)
			r.Outputs[1].Satoshi -= more
			return r.Bytes()
		}
		size := tx.Size()
		if err := b.Chain.Publish(ctx, paying(size-1)); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("less than its own way: %v", err)
		}
		check.OK(b.t, b.Chain.Publish(ctx, other.Raw))
		change := transaction.Input{TxID: waits.ID(), Index: 1, Sequence: tx.Inputs[0].Sequence, Witness: tx.Inputs[0].Witness}
		if err := b.Chain.Publish(ctx, paying(-waits.Outputs[1].Satoshi+5_000, change)); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("what waits: %v", err)
		}
		child := transaction.Transaction{Version: 2, Inputs: []transaction.Input{change}, Outputs: []transaction.Output{{Satoshi: waits.Outputs[1].Satoshi - 9_000, Script: tx.Outputs[0].Script}}}
		child.Inputs[0].TxID = tx.ID()
		check.OK(b.t, b.Chain.Publish(ctx, child.Bytes()))
		if err := b.Chain.Publish(ctx, paying(8_999+size)); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("less than what it drops: %v", err)
		}
		check.OK(b.t, b.Chain.Publish(ctx, paying(9_000+size)))
		b.look(one.Raw, false, 0, 0)
		b.look(child.Bytes(), false, 0, 0)
	})
}

// Payments over Lightning succeed once per hash, and end as they are told to.
func TestLightning(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		check.OK(b.t, b.Charge(ctx, 10_000))
		payee := node.Payee{Node: b.Node, Network: destination.Regtest, Valid: time.Minute}
		transfer := func(text string) payout.Transfer {
			in, err := invoice.Decode(text)
			check.OK(b.t, err)
			return payout.Transfer{Invoice: text, Hash: in.Hash, MilliSatoshi: 4_000_000, FeeLimit: 10_000}
		}
		fresh := func() payout.Transfer {
			text, err := payee.Invoice(ctx, 0, "")
			check.OK(b.t, err)
			return transfer(text)
		}
		pay := func(p payout.Transfer, want payout.Outcome, reason string) {
			t.Helper()
			a, err := b.Lightning.Pay(ctx, p)
			check.OK(b.t, err)
			if a.Outcome != want || a.Reason != reason {
				t.Errorf("%+v, want %s %s", a, want, reason)
			}
		}
		one, two := fresh(), fresh()
		pay(one, payout.Succeeded, "")
		pay(one, payout.Succeeded, "")
		if times, satoshi, err := b.Received(ctx); err != nil || times != 1 || satoshi != 4_000 {
			t.Errorf("%d times, %d, %v", times, satoshi, err)
		}
		check.OK(b.t, b.Set(ctx, node.Stuck, 1))
		pay(two, payout.InFlight, "")
		pay(two, payout.InFlight, "")
		pay(fresh(), payout.Refused, "insufficient_balance")
		check.OK(b.t, b.Node.Resolve(ctx, hexOf(two.Hash), false))
		if a, err := b.Lightning.Track(ctx, two.Hash); err != nil || a.Outcome != payout.Refused || a.Reason != "timeout" {
			t.Errorf("%+v, %v", a, err)
		}
		if a, err := b.Lightning.Track(ctx, [32]byte{1}); err != nil || a.Outcome != payout.Unheard {
			t.Errorf("%+v, %v", a, err)
		}
		cheap := fresh()
		cheap.FeeLimit = 0
		pay(cheap, payout.Refused, "no_route")
		other := node.Payee{Node: node.New(b.db, b.clock, "elsewhere", false), Network: destination.Regtest}
		text, err := other.Invoice(ctx, 0, "")
		check.OK(b.t, err)
		pay(transfer(text), payout.Refused, "no_route")
		late := fresh()
		check.OK(b.t, b.Set(ctx, node.Late, 1))
		if _, err := b.Lightning.Pay(ctx, late); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("late: %v", err)
		}
		if a, err := b.Lightning.Track(ctx, late.Hash); err != nil || a.Outcome != payout.Unheard {
			t.Errorf("%+v, %v", a, err)
		}
		check.OK(b.t, b.Deliver(ctx))
		if a, err := b.Lightning.Track(ctx, late.Hash); err != nil || a.Outcome != payout.Succeeded {
			t.Errorf("%+v, %v", a, err)
		}
		stale := fresh()
		b.clock.Advance(time.Hour)
		pay(stale, payout.Refused, "expired")
		records, err := b.Lightning.Payments(ctx, began, began.Add(time.Hour))
		if err != nil || len(records) != 2 {
			t.Errorf("%+v, %v", records, err)
		}
	})
}

// A node in a mood takes as many calls in it as it was told, and then is itself again.
func TestMoods(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		check.OK(b.t, b.SetRate(ctx, 7_000))
		check.OK(b.t, b.Set(ctx, node.Stalled, 2))
		for _, want := range []fault.Code{fault.Unavailable, fault.Unavailable, ""} {
			if _, err := b.Chain.Rate(ctx, 6); err == nil != (want == "") || err != nil && fault.CodeOf(err) != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
		check.OK(b.t, b.Set(ctx, node.Refusing, 1))
		if _, err := b.Resolver.Resolve(ctx, payout.Ask{User: "ada", Host: "x.example", MilliSatoshi: 5}); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%v", err)
		}
		offer, err := b.Resolver.Resolve(ctx, payout.Ask{User: "ada", Host: "x.example", MilliSatoshi: 5000})
		if err != nil || !strings.Contains(offer.Metadata, "ada@x.example") {
			t.Errorf("%+v, %v", offer, err)
		}
		for _, err := range []error{b.Set(ctx, "cross", 1), b.Set(ctx, node.Calm, -1), b.Mine(ctx, 0), b.Reorganise(ctx, 0, true), b.Fund(ctx, 0)} {
			if fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%v", err)
			}
		}
	})
}

func hexOf(hash [32]byte) string { return hex.EncodeToString(hash[:]) }
