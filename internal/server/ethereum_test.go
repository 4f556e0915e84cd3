package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/ethnode"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// ethereumPolicy makes deposits of 10 ETH and more wait for a final block.
const ethereumPolicy = `"assets":{"ETH":{"confirmations":[{"from":"0","confirmations":3},{"from":"10","confirmations":3,"final":true}]},
	"USDT-ERC20":{"confirmations":[{"from":"0","confirmations":3}]}}`

// ethereumRail is a server that watches a real node, and the address of its customer.
type ethereumRail struct {
	*watching
	node *ethnode.Node
	to   string
}

func eachEthereum(t *testing.T, test func(t *testing.T, r *ethereumRail)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			r := onEthereum(t, engine, ethnode.Start(t))
			defer func() { check.OK(t, r.Close()) }()
			test(t, r)
		})
	}
}

func onEthereum(t *testing.T, engine string, node *ethnode.Node) *ethereumRail {
	t.Helper()
	file := filepath.Join(t.TempDir(), "deposits.json")
	check.OK(t, os.WriteFile(file, fmt.Appendf(nil, `{"test_nodes":{"ethereum":%s},%s}`, node.Config(1), ethereumPolicy), 0o600))
	r := &ethereumRail{watching: watch(t, testkit.Database(t, engine), file), node: node}
	var err error
	r.to, err = r.Deposits.Address(t.Context(), r.wallet, asset.ETH)
	check.OK(t, err)
	return r
}

// Ether and tokens on a real node are seen, confirmed and credited once, whatever process
// looks; a reorganisation takes the credit back, and the other branch gives it again. What a
// look-alike token, an undone transaction or a trifle says is not credited; what a contract
// pays is; and a large deposit waits until its block is final.
func TestDepositsOnEthereum(t *testing.T) {
	eachEthereum(t, func(t *testing.T, r *ethereumRail) {
		r.expect("nothing yet")
		again := []string{r.node.Raw(r.node.Pay(r.to, ethnode.Gwei(1_000_000_000))), r.node.Raw(r.node.Transfer(r.node.Token, r.to, 25_000_000))}
		r.node.Transfer(r.node.Fake, r.to, 25_000_000)
		r.node.Refused(r.to)
		r.node.PayHidden(r.to, ethnode.Gwei(500_000_000))
		r.expect("in no block")
		r.node.Mine(1)
		r.expect("in a block", "pending 0.5 1 1592.50", "pending 1 1 3185.00", "pending 25 1 24.50")
		r.node.Mine(1)
		r.again()
		r.node.Mine(1)
		r.expect("credited", "confirmed 0.5 3 1592.50", "confirmed 1 3 3185.00", "confirmed 25 3 24.50")
		r.expect("credited once", "confirmed 0.5 3 1592.50", "confirmed 1 3 3185.00", "confirmed 25 3 24.50")
		r.has(480_200)
		r.audit(asset.Ethereum, "ETH 2/2 1.5 1.5", "USDT-ERC20 1/1 25 25")
		check.OK(t, r.Deposits.Rescan(t.Context(), deposit.Rescan{Place: address.Place{Realm: realm.Test, Chain: asset.Ethereum}, From: 1, Actor: "ada"}))
		r.expect("read again", "confirmed 0.5 3 1592.50", "confirmed 1 3 3185.00", "confirmed 25 3 24.50")
		r.has(480_200)

		r.node.Reorganise(3)
		r.deposits()
		r.has(0)
		r.node.Resend(again...)
		r.node.Mine(3)
		r.expect("credited again, but what the contract paid", "confirmed 1 3 3185.00", "confirmed 25 3 24.50", "expired 0.5 0 0.00")
		r.has(320_950)
		r.node.PayHidden(r.to, ethnode.Gwei(500_000_000))
		r.node.Pay(r.to, ethnode.Gwei(4_999_999))
		r.node.Transfer(r.node.Token, r.to, 4_999_999)
		r.node.Pay(r.to, ethnode.Gwei(10_000_000_000))
		r.node.Mine(1)
		r.again()
		r.node.Empty(r.to, ethnode.Gwei(11_000_000_000))
		r.node.Mine(2)
		r.expect("too little, and large", "confirmed 0.5 3 1592.50", "confirmed 1 6 3185.00", "confirmed 25 6 24.50", "expired 0.004999999 3 0.00",
			"expired 0.5 0 0.00", "expired 4.999999 3 0.00", "pending 10 3 31850.00")
		r.node.Mine(5)
		r.expect("not final", "confirmed 0.5 8 1592.50", "confirmed 1 11 3185.00", "confirmed 25 11 24.50", "expired 0.004999999 3 0.00",
			"expired 0.5 0 0.00", "expired 4.999999 3 0.00", "pending 10 8 31850.00")
		r.node.Mine(1)
		r.deposits()
		r.has(320_950 + 159_250 + 3_185_000)
	})
}

// Payments that were credited and whose blocks the chain gave up are taken back for good when
// others of the same nonces take their places, and those are credited; the former cannot come
// back.
func TestReplacedOnEthereum(t *testing.T) {
	eachEthereum(t, func(t *testing.T, r *ethereumRail) {
		ether, token := r.node.Pay(r.to, ethnode.Gwei(1_000_000_000)), r.node.Transfer(r.node.Token, r.to, 25_000_000)
		nonces, former := r.node.Nonces(ether, token), []string{r.node.Raw(ether), r.node.Raw(token)}
		r.node.Mine(3)
		r.expect("credited", "confirmed 1 3 3185.00", "confirmed 25 3 24.50")
		r.has(320_950)

		r.node.Reorganise(3)
		ether, token = r.node.Pay(r.to, ethnode.Gwei(2_000_000_000)), r.node.Transfer(r.node.Token, r.to, 50_000_000)
		if diff := cmp.Diff(nonces, r.node.Nonces(ether, token)); diff != "" {
			t.Fatalf("nothing was replaced (-before +after):\n%s", diff)
		}
		r.node.Mine(1)
		r.expect("replaced", "expired 1 0 0.00", "expired 25 0 0.00", "pending 2 1 6370.00", "pending 50 1 49.00")
		r.has(0)
		r.node.Mine(2)
		for _, raw := range former {
			if err := r.node.Call("eth_sendRawTransaction", raw); err == nil {
				t.Error("a transaction that was replaced is taken again")
			}
		}
		r.node.Mine(1)
		r.expect("the others are credited", "confirmed 2 4 6370.00", "confirmed 50 4 49.00", "expired 1 0 0.00", "expired 25 0 0.00")
		r.has(641_900)
		r.audit(asset.Ethereum, "ETH 1/1 2 2", "USDT-ERC20 1/1 50 50")
	})
}

// Ether that contracts paid while nobody looked, for longer than the node keeps balances, is
// credited once, as a deposit of its own: not again when it is read again, from a node that
// remembers either, nor when the chain gives up the block that it was found at.
func TestForgottenOnEthereum(t *testing.T) {
	eachForgetful(t, func(t *testing.T, r *ethereumRail, memory *ethnode.Memory) {
		r.node.PayHidden(r.to, ethnode.Gwei(500_000_000))
		r.node.Mine(3)
		r.expect("seen as it came", "confirmed 0.5 3 1592.50")
		r.node.Pay(r.to, ethnode.Gwei(1_000_000_000))
		r.node.PayHidden(r.to, ethnode.Gwei(300_000_000))
		r.node.Mine(150)
		r.node.Pay(r.to, ethnode.Gwei(2_000_000_000))
		r.node.Mine(1)
		memory.Keep(100)
		r.again()
		r.settled("confirmed 0.3 9 955.50", "confirmed 0.5 154 1592.50", "confirmed 1 151 3185.00", "pending 2 1 6370.00")
		r.node.Mine(3)
		r.settled("confirmed 0.3 12 955.50", "confirmed 0.5 154 1592.50", "confirmed 1 151 3185.00", "confirmed 2 4 6370.00")
		r.audit(asset.Ethereum, "ETH 4/4 3.8 3.8", "USDT-ERC20 0/0 0 0")

		again := func(states int64, deep string) {
			memory.Keep(states)
			r.rescan(1)
			r.settled("confirmed 0.3 12 955.50", "confirmed 0.5 "+deep+" 1592.50", "confirmed 1 154 3185.00", "confirmed 2 4 6370.00")
			r.audit(asset.Ethereum, "ETH 4/4 3.8 3.8", "USDT-ERC20 0/0 0 0")
		}
		again(100, "154")
		again(0, "157") // who remembers tells what was settled, too
		memory.Keep(100)
		r.node.Reorganise(20)
		r.settled("confirmed 0.5 157 1592.50", "confirmed 1 154 3185.00", "expired 0.3 0 0.00", "expired 2 0 0.00")
		r.audit(asset.Ethereum, "ETH 2/2 1.5 1.8", "USDT-ERC20 0/0 0 0", "unseen ETH 1.5 1.8")
		r.rescan(2)
		r.settled("confirmed 0.3 9 955.50", "confirmed 0.5 157 1592.50", "confirmed 1 154 3185.00", "expired 0.3 0 0.00", "expired 2 0 0.00")
		r.audit(asset.Ethereum, "ETH 3/3 1.8 1.8", "USDT-ERC20 0/0 0 0")
		memory.Keep(0)
		r.rescan(1)
		r.settled("confirmed 0.3 9 955.50", "confirmed 0.5 157 1592.50", "confirmed 1 154 3185.00", "expired 0.3 0 0.00", "expired 2 0 0.00")
		r.has(95_550 + 159_250 + 318_500)
	})
}

// Of an address that its owner emptied nothing is worked out, whatever it has: an audit names
// the blocks, and a node that remembers has what was missed credited.
func TestForgottenOfEmptied(t *testing.T) {
	eachForgetful(t, func(t *testing.T, r *ethereumRail, memory *ethnode.Memory) {
		r.node.Pay(r.to, ethnode.Gwei(1_000_000_000))
		r.node.Mine(1)
		r.node.Empty(r.to, ethnode.Gwei(900_000_000))
		r.node.Mine(3)
		r.expect("emptied", "confirmed 1 4 3185.00")
		r.node.PayHidden(r.to, ethnode.Gwei(300_000_000))
		r.node.Mine(75)
		r.node.Empty(r.to, ethnode.Gwei(100_000_000))
		r.node.Mine(75)
		memory.Keep(100)
		r.again()
		r.settled("confirmed 1 154 3185.00")
		r.audit(asset.Ethereum, "ETH 1/1 1 0.299941800682278", "USDT-ERC20 0/0 0 0", "untold ETH 0 blocks 6 to 147")
		r.rescan(3) // what was compared once is no gap
		r.settled("confirmed 1 154 3185.00")
		r.audit(asset.Ethereum, "ETH 1/1 1 0.299941800682278", "USDT-ERC20 0/0 0 0", "untold ETH 0 blocks 6 to 147")
		memory.Keep(0)
		r.rescan(6)
		r.settled("confirmed 0.3 150 955.50", "confirmed 1 154 3185.00")
		r.audit(asset.Ethereum, "ETH 2/2 1.3 0.299941800682278", "USDT-ERC20 0/0 0 0")
		r.has(95_550 + 318_500)
	})
}

// eachForgetful is eachEthereum, with a node that can be made to forget balances.
func eachForgetful(t *testing.T, test func(t *testing.T, r *ethereumRail, memory *ethnode.Memory)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			node := ethnode.Start(t)
			memory := node.Forget(0)
			r := onEthereum(t, engine, node)
			defer func() { check.OK(t, r.Close()) }()
			test(t, r, memory)
		})
	}
}

// settled compares deposits once the chain was read to its end, and again after one more look.
func (r *ethereumRail) settled(want ...string) {
	r.t.Helper()
	r.deposits()
	r.expect("read to the end", want...)
	r.expect("looked at again", want...)
}

func (r *ethereumRail) rescan(from int64) {
	r.t.Helper()
	check.OK(r.t, r.Deposits.Rescan(r.t.Context(), deposit.Rescan{Place: address.Place{Realm: realm.Test, Chain: asset.Ethereum}, From: from, Actor: "ada"}))
}

// What is killed while it looks for ether leaves nothing half done: see watching.killed.
func TestKilledOnEthereum(t *testing.T) {
	eachEthereum(t, func(t *testing.T, r *ethereumRail) {
		pay := func() {
			r.node.Pay(r.to, ethnode.Gwei(1_000_000_000))
			r.node.PayHidden(r.to, ethnode.Gwei(500_000_000))
			r.node.Mine(3)
		}
		r.killed(asset.Ethereum, func(int) []happening {
			return []happening{{"paid", pay, 318_500 + 159_250}, {"reorganised away", func() { r.node.Reorganise(3) }, -318_500 - 159_250}}
		})
	})
}

// A transfer that pays less in one block than in another, since the token keeps a higher fee
// in the first, is credited as what it pays in the block that stays.
func TestTransferMadeAnew(t *testing.T) {
	eachEthereum(t, func(t *testing.T, r *ethereumRail) {
		r.expect("nothing yet")
		r.node.SetFee(1000)
		transfer := r.node.Raw(r.node.Transfer(r.node.Token, r.to, 25_000_000))
		r.node.Mine(1)
		r.expect("less a fee", "pending 22.5 1 22.05")
		r.node.Reorganise(1)
		r.node.SetFee(500) // in the place of the other
		r.node.Resend(transfer)
		r.node.Mine(1)
		r.expect("less another fee", "expired 22.5 0 0.00", "pending 23.75 1 23.27")
		r.node.Mine(2)
		r.expect("credited", "confirmed 23.75 3 23.27", "expired 22.5 0 0.00")
		r.has(2_327)
		r.audit(asset.Ethereum, "ETH 0/0 0 0", "USDT-ERC20 1/1 23.75 23.75")
	})
}
