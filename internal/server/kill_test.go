package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/btcnode"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/doom"
	"github.com/scripcards/scrip/internal/testkit/solnode"
	"github.com/scripcards/scrip/internal/testkit/xmrnode"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// happening is what happens on a chain, and by how many cents it changes what a wallet has.
type happening struct {
	what  string
	do    func()
	cents int64
}

// killed has a process that scans die before and after each of its calls to a chain, after
// each happening, until one comes to its end. Who scans next credits once, and takes back
// once, and the books are right.
func (w *watching) killed(chain asset.Chain, happenings func(step int) []happening) {
	w.t.Helper()
	cents, step := int64(0), 0
	w.deposits() // a chain is watched from the first scan on
	for done := false; !done; {
		done = true
		step++
		for _, h := range happenings(step) {
			h.do()
			done = w.kill(chain, step) && done
			w.deposits()
			cents += h.cents
			if w.has(cents); w.t.Failed() {
				w.t.Fatalf("%s, and killed at step %d", h.what, step)
			}
		}
	}
	if step < 4 {
		w.t.Errorf("the scan had %d steps to die at, which is not all of it", step)
	}
	report, err := ledger.Verify(w.t.Context(), w.DB, nil)
	if err != nil || len(report.Problems) > 0 {
		w.t.Errorf("the books: %v, %v", report.Problems, err)
	}
}

// What is killed while it looks for bitcoin leaves nothing half done.
func TestKilledOnBitcoin(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			btcnode.Each(t, func(t *testing.T, start func(testing.TB, btcnode.Wallet) *btcnode.Node) {
				node := start(t, btcnode.NewWallet(t, 7))
				blocks := node.Mine(130)
				w := watchNodes(t, engine, fmt.Sprintf(`"bitcoin":%s`, node.Config(0)))
				at, err := w.Deposits.Address(t.Context(), w.wallet, asset.BTC)
				check.OK(t, err)
				to, holds := btcnode.To(t, at), ""
				w.killed(asset.Bitcoin, func(step int) []happening {
					return []happening{
						{"paid", func() {
							node.Pay(node.Coinbase(blocks[step]), to, 1_000_000, 1_000)
							holds = node.Mine(6)[0]
						}, 64_533},
						{"reorganised away", func() { node.Reorganise(holds) }, -64_533},
						{"in the other branch", func() { node.Mine(7) }, 64_533},
					}
				})
			})
		})
	}
}

// killedOnMonero has what asks a wallet of Monero killed. It leaves nothing half done.
func killedOnMonero(t *testing.T, node *xmrnode.Node, engine string) {
	node.Shop.Watch("killed")
	w := watchNodes(t, engine, fmt.Sprintf(`"monero":%s`, node.Config()))
	to, err := w.Deposits.Address(t.Context(), w.wallet, asset.XMR)
	check.OK(t, err)
	w.killed(asset.Monero, func(int) []happening {
		return []happening{
			{"paid", func() {
				node.Payer.Pay(xmrnode.Part{Address: to, Amount: 1_000_000_000_000})
				node.Mine(10)
			}, 15_680},
			{"reorganised away", func() {
				node.Pop(10)
				node.Flush()
				node.Mine(12)
			}, -15_680},
		}
	})
}

// What is killed while it looks for SOL and USDT leaves nothing half done.
func TestKilledOnSolana(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			node := solnode.Start(t)
			w := watchNodes(t, engine, fmt.Sprintf(`"solana":%s`, node.Config()))
			to, sent := w.listed(), ""
			w.killed(asset.Solana, func(int) []happening {
				return []happening{
					{"paid", func() {
						node.Pay(to, 1_000_000_000)
						node.Slots(33)
					}, 14_700},
					{"dollars that are not final", func() { sent = node.Send(node.Mint, to, 25_000_000) }, 0},
					{"given up", func() {
						node.Drop(sent)
						node.Slots(45)
					}, 0},
					{"back, and final", func() {
						node.Again(sent)
						node.Slots(33)
					}, 2_450},
				}
			})
		})
	}
}

// howVariable tells a process that is to die what the server is opened with and the chain
// that it scans.
const howVariable = "SCRIP_RAIL_HOW"

// TestMain lets the program be the process that a test kills.
func TestMain(m *testing.M) {
	doom.Main(scan)
	m.Run()
}

// kill runs a scan of a chain in a process that dies at a step, and reports whether it came
// to its end.
func (w *watching) kill(chain asset.Chain, step int) bool {
	w.t.Helper()
	o := w.options
	how, err := json.Marshal([]string{o.Data, o.Database, o.Deposits, string(chain)})
	check.OK(w.t, err)
	return doom.Kill(w.t, step, howVariable+"="+string(how))
}

// doomedChain makes every question two steps.
type doomedChain struct {
	*doom.Doom
	deposit.Chain
}

func (c doomedChain) Seen(ctx context.Context, after string) (deposit.Page, error) {
	c.Step()
	page, err := c.Chain.Seen(ctx, after)
	c.Step()
	return page, err
}

func (c doomedChain) Look(ctx context.Context, payments []deposit.Payment) ([]deposit.Sighting, error) {
	c.Step()
	all, err := c.Chain.Look(ctx, payments)
	c.Step()
	return all, err
}

// scan scans, if it lives long enough.
func scan(ctx context.Context, d *doom.Doom) error {
	var how []string
	if err := json.Unmarshal([]byte(os.Getenv(howVariable)), &how); err != nil {
		return err
	}
	app, err := server.Open(ctx, server.Options{Data: how[0], Database: how[1], Deposits: how[2], Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	at := address.Place{Realm: realm.Test, Chain: asset.Chain(how[3])}
	app.Deposits.Chains[at] = doomedChain{d, app.Deposits.Chains[at]}
	if err := d.Begin(); err != nil {
		return err
	}
	return app.Deposits.Scan(ctx, realm.Test)
}
