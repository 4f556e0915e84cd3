package monero_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/provider/monero"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/xmrnode"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// bench is a node with what Scrip sees of its shop's wallet.
type bench struct {
	*xmrnode.Node
	t      *testing.T
	given  int64 // subaddresses that customers have
	chain  *monero.Chain
	after  string
	wallet []string // the first subaddresses
}

func start(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, Node: xmrnode.Start(t)}
	b.open()
	for i := range uint32(3) {
		b.given++
		made, err := b.chain.Address(t.Context(), i)
		check.OK(t, err)
		b.wallet = append(b.wallet, made)
	}
	return b
}

// open is another process, or this one after a restart.
func (b *bench) open() {
	b.t.Helper()
	chain, err := monero.Open(b.Config(), func(context.Context) (int64, error) { return b.given, nil })
	check.OK(b.t, err)
	b.chain = chain
}

// seen reads to the end of what is new and returns it in short: the amount, the index of the
// subaddress and the confirmations.
func (b *bench) seen() []string {
	b.t.Helper()
	var all []string
	for {
		page, err := b.chain.Seen(b.t.Context(), b.after)
		check.OK(b.t, err)
		for _, s := range page.Sightings {
			all = append(all, b.text(s))
		}
		b.after = page.Next
		if !page.More {
			slices.Sort(all)
			return all
		}
	}
}

func (b *bench) text(s deposit.Sighting) string {
	b.t.Helper()
	if s.Gone {
		return "gone"
	}
	if s.Index < 1 || s.Index > int64(len(b.wallet)) || b.wallet[s.Index-1] != s.Address {
		b.t.Errorf("payment %d to %s", s.Index, s.Address)
	}
	return fmt.Sprint(s.Amount, " to ", s.Index, " ", s.Confirmations)
}

func (b *bench) look(tx string, index int64) string {
	b.t.Helper()
	all, err := b.chain.Look(b.t.Context(), []deposit.Payment{{Chain: asset.Monero, TxID: tx, Index: index}})
	check.OK(b.t, err)
	if len(all) != 1 {
		b.t.Fatalf("%d sightings of one payment", len(all))
	}
	return b.text(all[0])
}

func (b *bench) expect(what string, got []string, want ...string) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func (b *bench) looks(what, tx string, index int64, want string) {
	b.t.Helper()
	if got := b.look(tx, index); got != want {
		b.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

const xmr = 1_000_000_000_000

func (b *bench) to(wallet int, piconero uint64) xmrnode.Part {
	return xmrnode.Part{Address: b.wallet[wallet], Amount: piconero}
}

// A real node and wallet tell what happens, and nothing that did not. They are started once:
// it takes a while until there is money.
func TestNode(t *testing.T) {
	b := start(t)
	for _, c := range []struct {
		name string
		test func(t *testing.T, b *bench)
	}{{"payments", testPayments}, {"spent twice and locked", testDoubleSpentAndLocked}, {"hangs", testHangs}, {"wallet", testWallet}} {
		t.Run(c.name, func(t *testing.T) {
			b.t, b.after = t, ""
			c.test(t, b)
		})
	}
}

// A real wallet's payments are followed: what waits, what is confirmed, what a
// reorganisation takes away without a trace and brings back, and several outputs of one
// transaction, which are one payment a subaddress.
func testPayments(t *testing.T, b *bench) {
	b.expect("nothing is ours", b.seen())
	if !strings.HasPrefix(b.after, strconv.FormatInt(b.Height()-1, 10)+"/") {
		t.Errorf("the place is %s", b.after)
	}
	one := b.Payer.Pay(b.to(0, 1_500_000_000_001))
	b.expect("waiting", b.seen(), "1.500000000001 to 1 0")
	b.open()
	b.expect("told again", b.seen(), "1.500000000001 to 1 0")
	b.Mine(1)
	b.looks("in a block", one.ID, 1, "1.500000000001 to 1 1")
	b.expect("in a block", b.seen(), "1.500000000001 to 1 1")
	b.expect("nothing new", b.seen())
	b.Mine(9)
	b.looks("ten blocks", one.ID, 1, "1.500000000001 to 1 10")
	b.expect("nothing new", b.seen())
	b.looks("a subaddress that it does not pay", strings.Repeat("ab", 32), 2, "gone")
	if _, err := b.chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Monero, TxID: one.ID, Index: 2}}); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a subaddress that it does not pay: %v", err)
	}

	b.Pop(10)
	if _, err := b.chain.Seen(t.Context(), b.after); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "not at the same block") {
		t.Errorf("the wallet is ahead of its node: %v", err)
	}
	b.Flush()
	b.Mine(12)
	b.looks("reorganised away", one.ID, 1, "gone")
	b.expect("the branch without it", b.seen())
	if !b.Send(one.Raw) {
		t.Fatal("the payment was not taken again")
	}
	b.Mine(1) // the wallet does not look again at what it saw waiting once
	b.expect("in the other branch", b.seen(), "1.500000000001 to 1 1")

	behind := b.after
	both := b.Payer.Pay(b.to(0, xmr), b.to(1, 2*xmr), b.to(0, 3*xmr))
	b.Mine(6)
	b.expect("what happened meanwhile", b.seen(), "2 to 2 6", "4 to 1 6")
	b.looks("its first", both.ID, 1, "4 to 1 6")
	b.looks("its second", both.ID, 2, "2 to 2 6")
	b.after = behind
	b.open()
	b.expect("a restart", b.seen(), "2 to 2 6", "4 to 1 6")
	b.after = "80/" + strings.Repeat("ab", 32)
	b.expect("of another history", b.seen(), "1.500000000001 to 1 7", "2 to 2 6", "4 to 1 6")
	b.after = "100"
	b.expect("no place of ours", b.seen(), "1.500000000001 to 1 7", "2 to 2 6", "4 to 1 6")
}

// Of two payments with the same money one is carried out: as long as that is not sure
// neither is shown, and the one that lost is gone. What its payer locked counts when it can
// be spent.
func testDoubleSpentAndLocked(t *testing.T, b *bench) {
	b.seen()
	coin := b.Payer.Coin()
	first, second := b.Payer.Prepare(coin, b.wallet[0]), b.Payer.Prepare(coin, b.wallet[1])
	amount := asset.New(first.Amount, asset.XMR)
	if !b.Send(first.Raw) {
		t.Fatal("the first was not taken")
	}
	if b.Send(second.Raw) {
		t.Fatal("the second was taken")
	}
	b.expect("spent twice", b.seen())
	b.looks("known before", first.ID, 1, fmt.Sprint(amount, " to 1 0"))
	b.Flush()
	if !b.Send(second.Raw) {
		t.Fatal("the second was not taken")
	}
	b.Mine(1)
	b.looks("the first lost", first.ID, 1, "gone")
	b.expect("the second won", b.seen(), fmt.Sprint(amount, " to 2 1"))

	locked := b.Payer.PayLocked(b.Height()+20, b.to(2, xmr))
	b.Mine(15)
	b.expect("locked", b.seen(), "1 to 3 0")
	b.Mine(10)
	b.looks("unlocked", locked.ID, 3, "1 to 3 25")
}

// Addresses are made in order and stay what they are, whoever asks; a wallet that is another
// one, can spend, or was made anew is refused.
func testWallet(t *testing.T, b *bench) {
	for i, want := range b.wallet {
		if got, err := b.chain.Address(t.Context(), uint32(i)); err != nil || got != want || !strings.HasPrefix(got, "8") {
			t.Errorf("address %d is %s, was %s, %v", i, got, want, err)
		}
	}
	far, err := b.chain.Address(t.Context(), 249)
	check.OK(t, err)
	b.given = 250
	check.OK(t, b.Shop.Ask(nil, "close_wallet", nil))
	b.refused("no wallet is open")

	b.Shop.Open("shop-spend")
	b.refused("can spend")
	view := b.Shop.Main
	b.Shop.Create("other")
	if b.Shop.Main == view {
		t.Fatal("the other wallet is the same")
	}
	b.Shop.Main = view // which is what Scrip is told
	b.refused("not the one of the configuration")

	b.Shop.Open("shop-view")
	before := b.seen()
	if got, err := b.chain.Address(t.Context(), 249); err != nil || got != far {
		t.Errorf("address 249 is %s, was %s, %v", got, far, err)
	}
	b.Shop.Again("anew")
	b.refused("it was made anew")
	check.OK(t, b.Shop.Ask(nil, "create_address", map[string]any{"account_index": 0, "count": 60}))
	b.given = 251 // its process died before it was made
	b.after = ""
	b.expect("it has them again", b.seen(), before...)
	if got, err := b.chain.Address(t.Context(), 249); err != nil || got != far {
		t.Errorf("address 249 is %s, was %s, %v", got, far, err)
	}
}

// A wallet process that hangs is an error within the time of a call, and is followed again
// when it goes on.
func testHangs(t *testing.T, b *bench) {
	check.OK(t, b.Shop.Ask(nil, "refresh", nil))
	text := strings.Replace(string(b.Config()), "{", `{"timeout_seconds":1,`, 1)
	chain, err := monero.Open([]byte(text), func(context.Context) (int64, error) { return 0, nil })
	check.OK(t, err)
	letGo, err := b.Shop.Hang()
	check.OK(t, err)
	_, err = chain.Seen(t.Context(), "")
	check.OK(t, letGo())
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("a wallet that hangs: %v", err)
	}
	b.seen()
}

// refused expects that nothing is told, and why.
func (b *bench) refused(want string) {
	b.t.Helper()
	_, err := b.chain.Seen(b.t.Context(), b.after)
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), want) {
		b.t.Errorf("seen: %v, want %q", err, want)
	}
	if _, err := b.chain.Look(b.t.Context(), []deposit.Payment{{Chain: asset.Monero, TxID: "00"}}); fault.CodeOf(err) != fault.Unavailable {
		b.t.Errorf("look: %v", err)
	}
	if _, err := b.chain.Address(b.t.Context(), 0); fault.CodeOf(err) != fault.Unavailable {
		b.t.Errorf("address: %v", err)
	}
}
