package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/chain"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/btcnode"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/solnode"
	"github.com/scripcards/scrip/internal/testkit/xmrnode"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// watching is a server that watches a real node for a customer.
type watching struct {
	*server.App
	t       *testing.T
	options server.Options
	wallet  address.Wallet
}

// watch opens a server over a database, with a customer.
func watch(t *testing.T, database storage.Config, deposits string) *watching {
	t.Helper()
	w := &watching{t: t, options: server.Options{Data: t.TempDir(), Database: database.URL, Deposits: deposits, Logger: slog.New(slog.DiscardHandler)}}
	w.open()
	customer, err := w.Accounts.CreateCustomer(t.Context(), "test", account.NewCustomer{Name: "Ada"})
	check.OK(t, err)
	w.wallet = address.Wallet{Book: customer.Test, Realm: realm.Test}
	return w
}

func (w *watching) open() {
	w.t.Helper()
	app, err := server.Open(w.t.Context(), w.options)
	check.OK(w.t, err)
	w.App = app
}

// again has another process go on.
func (w *watching) again() {
	w.t.Helper()
	check.OK(w.t, w.Close())
	w.open()
}

// watchNodes opens a server whose test realm watches nodes, until the test ends. What else
// its file says may follow.
func watchNodes(t *testing.T, engine, nodes string, more ...string) *watching {
	t.Helper()
	file := filepath.Join(t.TempDir(), "deposits.json")
	text := strings.Join(append([]string{`{"test_nodes":{` + nodes + `}`}, more...), ",") + "}"
	check.OK(t, os.WriteFile(file, []byte(text), 0o600))
	w := watch(t, testkit.Database(t, engine), file)
	t.Cleanup(func() { check.OK(t, w.Close()) })
	return w
}

// deposits looks at the chain and returns what the wallet has, in short.
func (w *watching) deposits() []string {
	w.t.Helper()
	check.OK(w.t, w.Deposits.Scan(w.t.Context(), realm.Test))
	found, err := w.Deposits.List(w.t.Context(), deposit.Filter{Book: w.wallet.Book, Limit: deposit.MaxLimit})
	check.OK(w.t, err)
	var all []string
	for _, d := range found.Deposits {
		all = append(all, fmt.Sprint(d.Status, " ", d.Amount, " ", d.Confirmations, " ", d.Credited))
	}
	slices.Sort(all)
	return all
}

func (w *watching) expect(what string, want ...string) {
	w.t.Helper()
	if got := w.deposits(); !slices.Equal(got, want) {
		w.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// audit compares what an audit of a chain finds: its sums, and its differences.
func (w *watching) audit(chain asset.Chain, want ...string) {
	w.t.Helper()
	found, err := w.Deposits.Audit(w.t.Context(), address.Place{Realm: realm.Test, Chain: chain})
	check.OK(w.t, err)
	var all []string
	for _, s := range found.Sums {
		all = append(all, fmt.Sprintf("%s %d/%d %s %s", s.Asset, s.Credited, s.Deposits, deposit.Whole(s.Paid, s.Asset), deposit.Whole(s.Held, s.Asset)))
	}
	for _, d := range found.Differences {
		all = append(all, fmt.Sprint(d.Kind, " ", d.Asset, " ", d.Deposits, " ", d.Found))
	}
	if !slices.Equal(all, want) {
		w.t.Errorf("the audit: %q, want %q", all, want)
	}
}

// has compares what the wallet has, in cents.
func (w *watching) has(cents int64) {
	w.t.Helper()
	if total, err := w.Deposits.Totals(w.t.Context(), w.wallet.Book); err != nil || total.Balance.Minor != cents {
		w.t.Errorf("the wallet has %s, %v", total.Balance, err)
	}
}

// A deposit on a real node is seen, confirmed and credited once, whatever process looks; a
// reorganisation takes the credit back, and the other branch gives it again; one that is
// replaced is given up for the one that took its place; what is too little is not credited.
// An audit finds what nobody read, and nothing else.
func TestDepositsOnRealNode(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			btcnode.Each(t, func(t *testing.T, start func(testing.TB, btcnode.Wallet) *btcnode.Node) {
				node := start(t, btcnode.NewWallet(t, 7))
				blocks := node.Mine(110)
				r := watchNodes(t, engine, fmt.Sprintf(`"bitcoin":%s`, node.Config(0)))
				address, err := r.Deposits.Address(t.Context(), r.wallet, asset.BTC)
				check.OK(t, err)
				to := btcnode.To(t, address)
				r.expect("nothing yet")

				node.Pay(node.Coinbase(blocks[0]), to, 1_000_000, 1_000)
				r.expect("waiting", "pending 0.01 0 645.33")
				holds := node.Mine(1)[0]
				r.expect("in a block", "pending 0.01 1 645.33")
				node.Mine(5)
				r.again()
				r.expect("credited", "confirmed 0.01 6 645.33")
				r.expect("credited once", "confirmed 0.01 6 645.33")

				node.Reorganise(holds)
				r.expect("reorganised away", "pending 0.01 0 645.33")
				r.has(0)
				node.Mine(7)
				r.expect("credited again", "confirmed 0.01 7 645.33")
				node.Pay(node.Coinbase(blocks[1]), to, 9_999, 1_000)
				r.expect("too little", "confirmed 0.01 7 645.33", "pending 0.00009999 0 0.00")
				node.Mine(6)
				r.expect("too little, for good", "confirmed 0.01 13 645.33", "expired 0.00009999 6 0.00")
				r.has(64_533)
				r.audit(asset.Bitcoin, "BTC 1/2 0.01009999 0.01009999")
				r.rest(node, to, blocks[2:])
			})
		})
	}
}

// rest goes on with a replacement and with what an audit finds.
func (w *watching) rest(node *btcnode.Node, to btcnode.Wallet, blocks []string) {
	w.t.Helper()
	node.Pay(node.Coinbase(blocks[0]), to, 2_000_000, 1_000)
	w.expect("waiting", "confirmed 0.01 13 645.33", "expired 0.00009999 6 0.00", "pending 0.02 0 1290.66")
	node.Pay(node.Coinbase(blocks[0]), to, 1_900_000, 101_000)
	w.expect("replaced", "confirmed 0.01 13 645.33", "expired 0.00009999 6 0.00", "expired 0.02 0 0.00", "pending 0.019 0 1226.13")
	node.Mine(6)
	w.expect("what replaced it", "confirmed 0.01 19 645.33", "confirmed 0.019 6 1226.13", "expired 0.00009999 6 0.00", "expired 0.02 0 0.00")
	w.audit(asset.Bitcoin, "BTC 2/3 0.02909999 0.02909999")

	node.Pay(node.Coinbase(blocks[1]), to, 50_000, 1_000)
	node.Mine(1)
	w.audit(asset.Bitcoin, "BTC 2/3 0.02909999 0.02959999", "unseen BTC 0.02909999 0.02959999")
	w.deposits()
	check.OK(w.t, w.Deposits.Rescan(w.t.Context(), deposit.Rescan{Place: address.Place{Realm: realm.Test, Chain: asset.Bitcoin}, From: 1, Actor: "ada"}))
	w.deposits()
	w.audit(asset.Bitcoin, "BTC 2/4 0.02959999 0.02959999")
	w.has(187_146)
}

// A deposit to a real wallet of Monero, of two outputs at that, is seen, confirmed and
// credited once, whatever process looks; a reorganisation that takes it away takes the credit
// back, and the block that has it again gives it again; what is too little is not credited.
// Who is killed meanwhile leaves nothing half done.
func TestDepositsOnRealWallet(t *testing.T) {
	node := xmrnode.Start(t)
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			node.Shop.Watch(engine)
			r := watchNodes(t, engine, fmt.Sprintf(`"monero":%s`, node.Config()))
			to, err := r.Deposits.Address(t.Context(), r.wallet, asset.XMR)
			check.OK(t, err)
			r.expect("nothing yet")

			half := xmrnode.Part{Address: to, Amount: 1_000_000_000_000}
			paid := node.Payer.Pay(half, half)
			r.expect("waiting", "pending 2 0 313.60")
			node.Mine(1)
			r.expect("in a block", "pending 2 1 313.60")
			node.Mine(8)
			r.expect("locked", "pending 2 9 313.60")
			node.Mine(1)
			r.again()
			r.expect("credited", "confirmed 2 10 313.60")
			r.expect("credited once", "confirmed 2 10 313.60")
			r.has(31_360)

			node.Pop(10)
			if err := r.Deposits.Scan(t.Context(), realm.Test); err == nil {
				t.Error("the wallet is ahead of its node, and was believed")
			}
			r.has(31_360)
			node.Flush()
			node.Mine(12)
			r.expect("reorganised away", "expired 2 0 0.00")
			r.has(0)
			if !node.Send(paid.Raw) {
				t.Fatal("the payment was not taken again")
			}
			node.Mine(1)
			r.expect("in another block", "pending 2 1 313.60")
			node.Payer.Pay(xmrnode.Part{Address: to, Amount: 49_999_999_999})
			node.Mine(9)
			r.expect("credited again", "confirmed 2 10 313.60", "pending 0.049999999999 9 0.00")
			node.Mine(1)
			r.expect("too little, for good", "confirmed 2 11 313.60", "expired 0.049999999999 10 0.00")
			r.has(31_360)
			r.audit(asset.Monero, "XMR 1/2 2.049999999999 2.049999999999")
			check.OK(t, r.Deposits.Rescan(t.Context(), deposit.Rescan{Place: address.Place{Realm: realm.Test, Chain: asset.Monero}, From: 1, Actor: "ada"}))
			r.expect("read again", "confirmed 2 11 313.60", "expired 0.049999999999 10 0.00")
			r.has(31_360)
		})
	}
	// What a database makes of a scan that is cut off, the deposits' own tests show on each.
	t.Run("killed", func(t *testing.T) { killedOnMonero(t, node, testkit.Engines()[0]) })
}

// listed imports an address of solana, which the wallet gets.
func (w *watching) listed() string {
	w.t.Helper()
	const list = "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk"
	_, err := w.Addresses.Import(w.t.Context(), address.Import{Place: address.Place{Realm: realm.Test, Chain: asset.Solana}, Addresses: []string{list}, Actor: "test"})
	check.OK(w.t, err)
	to, err := w.Deposits.Address(w.t.Context(), w.wallet, asset.SOL)
	check.OK(w.t, err)
	if to != list {
		w.t.Fatalf("the address is %s, want the list's", to)
	}
	return to
}

// SOL and USDT that were credited before they were final are taken back when the chain gives
// them up for good, and credited again when it has them again. Too little of the token is not
// credited.
func TestReorganisedOnRealRuntime(t *testing.T) {
	const twice = `{"confirmations":[{"from":"0","confirmations":2}]}`
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			node := solnode.Start(t)
			r := watchNodes(t, engine, fmt.Sprintf(`"solana":%s`, node.Config()), `"assets":{"SOL":`+twice+`,"USDT-SOL":`+twice+`}`)
			to := r.listed()
			coins := node.Pay(to, 1_000_000_000)
			r.expect("seen", "pending 1 1 147.00")
			tokens := node.Send(node.Mint, to, 25_000_000)
			r.expect("a slot later", "confirmed 1 2 147.00", "pending 25 1 24.50")
			node.Slots(1)
			r.again()
			r.expect("credited", "confirmed 1 3 147.00", "confirmed 25 2 24.50")
			r.has(17_150)
			node.Drop(tokens)
			node.Drop(coins)
			node.Slots(5)
			r.expect("they may come back", "confirmed 1 3 147.00", "confirmed 25 2 24.50")
			node.Slots(40)
			r.expect("given up", "expired 1 0 0.00", "expired 25 0 0.00")
			r.has(0)
			node.Again(coins)
			node.Again(tokens)
			node.Send(node.Mint, to, 4_999_999)
			r.expect("credited again", "confirmed 1 3 147.00", "confirmed 25 2 24.50", "pending 4.999999 1 0.00")
			node.Slots(40)
			r.expect("credited once", "confirmed 1 43 147.00", "confirmed 25 42 24.50", "expired 4.999999 41 0.00")
			r.has(17_150)
			r.audit(asset.Solana, "USDT-SOL 1/2 29.999999 29.999999", "SOL 1/1 1 1")
		})
	}
}

// Deposits of SOL and USDT that the real runtime of Solana carried out are seen, final and
// credited once, whatever process looks; one that the chain gave up before is gone, and comes
// back with its next slot; a token that calls itself USDT, a transaction that failed, and what
// is too little are not credited.
func TestDepositsOnRealRuntime(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			node := solnode.Start(t)
			r := watchNodes(t, engine, fmt.Sprintf(`"solana":%s`, node.Config()))
			to := r.listed()
			r.expect("nothing yet")

			node.Pay(to, 1_000_000_000)
			r.expect("seen", "pending 1 1 147.00")
			node.Fail(to, 7_000_000_000)
			node.Send(node.NewMint(), to, 500_000_000)
			r.expect("neither what failed nor another token", "pending 1 4 147.00")
			node.Slots(27)
			r.expect("not final", "pending 1 31 147.00")
			node.Slots(2)
			r.again()
			r.expect("final", "confirmed 1 33 147.00")
			r.expect("credited once", "confirmed 1 33 147.00")
			r.has(14_700)
			node.Slots(200)
			r.expect("settled", "confirmed 1 233 147.00")

			sent := node.Send(node.Mint, to, 25_000_000)
			r.expect("dollars", "confirmed 1 233 147.00", "pending 25 1 24.50")
			node.Drop(sent)
			node.Slots(5)
			r.expect("it may come back", "confirmed 1 233 147.00", "pending 25 1 24.50")
			node.Slots(40)
			r.expect("given up", "confirmed 1 233 147.00", "expired 25 0 0.00")
			node.Again(sent)
			r.expect("back", "confirmed 1 233 147.00", "pending 25 1 24.50")
			node.Pay(to, 99_999_999)
			node.Slots(32)
			r.expect("final", "confirmed 1 233 147.00", "confirmed 25 34 24.50", "expired 0.099999999 33 0.00")
			r.again()
			node.Send(node.Mint, to, 10_000_000)
			node.Slots(40)
			r.expect("more", "confirmed 1 233 147.00", "confirmed 10 41 9.80", "confirmed 25 75 24.50", "expired 0.099999999 74 0.00")
			r.has(18_130)
			r.audit(asset.Solana, "USDT-SOL 2/2 35 35", "SOL 1/2 1.099999999 1.099999999")
			check.OK(t, r.Deposits.Rescan(t.Context(), deposit.Rescan{Place: address.Place{Realm: realm.Test, Chain: asset.Solana}, From: 1, Actor: "ada"}))
			r.expect("read again", "confirmed 1 354 147.00", "confirmed 10 41 9.80", "confirmed 25 75 24.50", "expired 0.099999999 74 0.00")
			r.has(18_130)
		})
	}
}

// A node that takes calls and never answers keeps no other chain from being looked at.
func TestSilentNode(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			silent, err := net.Listen("tcp", "127.0.0.1:0")
			check.OK(t, err)
			password := filepath.Join(t.TempDir(), "password")
			check.OK(t, os.WriteFile(password, []byte("p\n"), 0o600))
			r := watchNodes(t, engine, fmt.Sprintf(`"bitcoin":{"url":"http://%s","user":"u","password_file":%q,"network":"regtest","timeout_seconds":600}`,
				silent.Addr(), password))
			to, err := r.Deposits.Address(t.Context(), r.wallet, asset.SOL)
			check.OK(t, err)
			_, err = r.Sandbox.Chains[asset.Solana].Pay(t.Context(), chain.Sent{Address: to, Amount: asset.New(1_000_000_000, asset.SOL), Confirmations: 32})
			check.OK(t, err)
			check.OK(t, r.Jobs.Start(t.Context()))
			defer func() {
				check.OK(t, silent.Close()) // breaks off what waits for it
				check.OK(t, r.Jobs.Stop(t.Context()))
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			for {
				total, err := r.Deposits.Totals(t.Context(), r.wallet.Book)
				check.OK(t, err)
				if total.Balance.Minor == 14_700 {
					return
				}
				if clock.Wait(ctx, 50*time.Millisecond) != nil {
					t.Fatalf("solana was not looked at: the wallet has %s", total.Balance)
				}
			}
		})
	}
}
