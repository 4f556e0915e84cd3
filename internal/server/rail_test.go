package server_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/btcnode"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rail is a server that watches a real node.
type rail struct {
	*server.App
	t      *testing.T
	node   *btcnode.Node
	wallet address.Wallet
}

// deposits looks at the chain and returns what the wallet has, in short.
func (r *rail) deposits() []string {
	r.t.Helper()
	must(r.t, r.Deposits.Scan(r.t.Context(), realm.Test))
	found, err := r.Deposits.List(r.t.Context(), deposit.Filter{Book: r.wallet.Book, Limit: deposit.MaxLimit})
	must(r.t, err)
	var all []string
	for _, d := range found.Deposits {
		all = append(all, fmt.Sprint(d.Status, " ", d.Amount, " ", d.Confirmations, " ", d.Credited))
	}
	slices.Sort(all)
	return all
}

func (r *rail) expect(what string, want ...string) {
	r.t.Helper()
	if got := r.deposits(); !slices.Equal(got, want) {
		r.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// A deposit on a real node is seen, confirmed and credited once, whatever process looks; a
// reorganisation takes the credit back, and the other branch gives it again; what is too
// little is not credited.
func TestDepositsOnRealNode(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			node := btcnode.Start(t, btcnode.NewWallet(t, 7))
			blocks := node.Mine(110)
			file := filepath.Join(t.TempDir(), "deposits.json")
			must(t, os.WriteFile(file, fmt.Appendf(nil, `{"test_nodes":{"bitcoin":%s}}`, node.Config(0)), 0o600))
			o := server.Options{Data: t.TempDir(), Database: testkit.Database(t, engine).URL, Deposits: file, Logger: slog.New(slog.DiscardHandler)}
			open := func() *server.App {
				app, err := server.Open(t.Context(), o)
				must(t, err)
				return app
			}
			app := open()
			customer, err := app.Accounts.CreateCustomer(t.Context(), "test", account.NewCustomer{Name: "Ada"})
			must(t, err)
			r := &rail{App: app, t: t, node: node, wallet: address.Wallet{Book: customer.Test, Realm: realm.Test}}
			to, err := r.Deposits.Address(t.Context(), r.wallet, asset.BTC)
			must(t, err)
			r.expect("nothing yet")

			node.Pay(node.Coinbase(blocks[0]), btcnode.To(t, to), 1_000_000, 1_000)
			r.expect("waiting", "pending 0.01 0 645.33")
			holds := node.Mine(1)[0]
			r.expect("in a block", "pending 0.01 1 645.33")
			node.Mine(5)
			must(t, app.Close()) // the next process goes on
			r.App = open()
			defer func() { must(t, r.Close()) }()
			r.expect("credited", "confirmed 0.01 6 645.33")
			r.expect("credited once", "confirmed 0.01 6 645.33")

			must(t, node.Call("invalidateblock", holds))
			r.expect("reorganised away", "pending 0.01 0 645.33")
			if total, err := r.Deposits.Totals(t.Context(), r.wallet.Book); err != nil || !total.Balance.IsZero() {
				t.Errorf("the wallet has %s, %v", total.Balance, err)
			}
			node.Mine(7)
			r.expect("credited again", "confirmed 0.01 7 645.33")
			node.Pay(node.Coinbase(blocks[1]), btcnode.To(t, to), 9_999, 1_000)
			r.expect("too little", "confirmed 0.01 7 645.33", "pending 0.00009999 0 0.00")
			node.Mine(6)
			r.expect("too little, for good", "confirmed 0.01 13 645.33", "expired 0.00009999 6 0.00")
			if total, err := r.Deposits.Totals(t.Context(), r.wallet.Book); err != nil || total.Balance.Minor != 64_533 {
				t.Errorf("the wallet has %s, %v", total.Balance, err)
			}
		})
	}
}
