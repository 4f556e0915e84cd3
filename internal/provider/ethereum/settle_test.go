package ethereum_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/testkit/ethnode"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// rests are those of some sightings that were worked out.
func rests(all []deposit.Sighting) (some []deposit.Sighting) {
	for _, s := range all {
		if s.Rest {
			some = append(some, s)
		}
	}
	return some
}

// What contracts paid while nobody looked is found where the node has forgotten the balances
// of then: by what an address has that never sent anything, less what is known, up to a
// block that is not given up any more, and once. An address that sent something is a gap.
func TestForgotten(t *testing.T) {
	b := &bench{t: t, Node: ethnode.StartForgetful(t, 100)}
	b.open(1)
	b.Pay(ada, ethnode.Gwei(1_000_000_000))
	b.Pay(bert, ethnode.Gwei(1_000_000_000))
	b.Mine(1)
	b.expect("before", b.seen(), "1 ETH 1", "1 ETH 1")
	b.Empty(bert, ethnode.Gwei(500_000_000))
	b.Mine(1)
	b.expect("sent away", b.seen())
	left, known := b.after, maps.Clone(b.known)

	b.Mine(5)
	b.PayHidden(ada, ethnode.Gwei(500_000_000))
	b.PayHidden(bert, ethnode.Gwei(200_000_000))
	b.Pay(ada, ethnode.Gwei(250_000_000))
	b.Mine(20)
	b.PayHidden(ada, ethnode.Gwei(30_000_000))
	b.Mine(120)
	b.Pay(ada, ethnode.Gwei(2_000_000_000)) // above the block that counts
	b.PayHidden(ada, ethnode.Gwei(7_000_000))
	b.Mine(3)
	b.open(1)
	all := append(b.sightings(), b.sightings()...)
	found := rests(all)
	if len(found) != 1 || text(found[0]) != "0.53 ETH 9" || found[0].Address != ada || found[0].Known != 2 || !found[0].Final || found[0].Height != 143 {
		t.Fatalf("%+v of %+v", found, all)
	}
	if got := textOf(all); !slices.Contains(got, "2 ETH 3") || !slices.Contains(got, "0.007 ETH 3") {
		t.Errorf("above the block: %q", got)
	}
	b.expect("the gap", gapsOf(b.gaps), bert)
	if want := (deposit.Span{From: 4, To: 143}); b.gaps[0].Span != want || b.gaps[0].Asset != asset.ETH {
		t.Errorf("%+v, want %+v", b.gaps[0], want)
	}
	b.looked("worked out", found[0].TxID, 1, "9")
	b.after = left
	b.expect("once", textOf(rests(append(b.sightings(), b.sightings()...))))

	later := func(what string, change func(*deposit.Deposit), want ...string) {
		t.Helper()
		b.after, b.known = left, maps.Clone(known)
		d := deposit.Deposit{Payment: deposit.Payment{Chain: asset.Ethereum, TxID: "0x" + strings.Repeat("ab", 32)}, Amount: found[0].Amount, Status: deposit.Confirmed}
		change(&d)
		b.known[ada] = append(slices.Clone(b.known[ada]), d)
		b.expect(what, textOf(rests(append(b.sightings(), b.sightings()...))), want...)
	}
	later("a deposit that the node has forgotten, too", func(d *deposit.Deposit) { d.Status = deposit.Confirmed })
	later("one that was deep at the last look", func(d *deposit.Deposit) { d.Confirmations = 96 })
	later("one that is gone", func(d *deposit.Deposit) { d.Status = deposit.Expired }, "0.53 ETH 9")
	later("one above the block", func(d *deposit.Deposit) {
		i := slices.IndexFunc(all, func(s deposit.Sighting) bool { return text(s) == "2 ETH 3" })
		d.Payment, d.Amount, d.Status = all[i].Payment, all[i].Amount, deposit.Pending
	}, "0.53 ETH 9")
	later("one that was too little", func(d *deposit.Deposit) { d.Status, d.Reason = deposit.Expired, deposit.BelowMinimum })
}

func textOf(all []deposit.Sighting) (texts []string) {
	for _, s := range all {
		texts = append(texts, text(s))
	}
	return texts
}

func gapsOf(all []deposit.Gap) (addresses []string) {
	for _, g := range all {
		addresses = append(addresses, g.Address)
	}
	return addresses
}

// Of a node that does not tell the balances of new blocks either, nothing is worked out, and
// what transactions show is told; what is left is found when it tells.
func TestForgottenAltogether(t *testing.T) {
	b := &bench{t: t, Node: ethnode.Start(t)}
	memory := b.Forget(0)
	b.open(1)
	b.seen()
	b.PayHidden(ada, ethnode.Gwei(500_000_000))
	b.Pay(bert, ethnode.Gwei(1_000_000_000))
	b.Mine(150)
	memory.Keep(4)
	b.open(1)
	b.expect("what a transaction shows", append(b.seen(), b.seen()...), "1 ETH 150")
	memory.Keep(60)
	b.expect("what is left", b.seen(), "0.5 ETH 9")
}
