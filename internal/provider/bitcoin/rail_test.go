package bitcoin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/provider/bitcoin"
	"github.com/scripcards/scrip/internal/testkit/btcnode"
	"github.com/scripcards/scrip/internal/testkit/check"
)

func (b *bench) holdings(of ...btcnode.Wallet) (all []string) {
	b.t.Helper()
	var addresses []string
	for _, w := range of {
		addresses = append(addresses, w.Address)
	}
	found, err := b.chain.Holdings(b.t.Context(), addresses)
	check.OK(b.t, err)
	for _, h := range found {
		all = append(all, fmt.Sprint(slices.Index(addresses, h.Address), " ", h.Amount))
	}
	return all
}

// What addresses have is what stands in blocks: of bitcoind what is unspent of it, and of
// btcd all that was paid.
func TestHoldings(t *testing.T) {
	each(t, 110, func(b *bench, blocks []string) {
		first, second, third := btcnode.NewWallet(b.t, 2), btcnode.NewWallet(b.t, 3), btcnode.NewWallet(b.t, 4)
		b.open(0)
		b.expect("nobody was paid", b.holdings(first, second))
		coins := b.Fan(b.Coinbase(blocks[0]), first, 3, 500_000)
		b.Pay(b.Coinbase(blocks[1]), second, 700, 1_000)
		b.expect("nothing is in a block", b.holdings(first, second))
		b.Mine(1)
		b.Pay(b.Coinbase(blocks[2]), third, 900, 1_000)
		b.expect("what is in a block", b.holdings(first, third, second), "0 0.015", "2 0.000007")

		b.Pay(coins[1], third, 100_000, 1_000)
		b.Mine(1)
		left := "0 0.01"
		if !b.counts() {
			left = "0 0.015"
		}
		b.expect("some of it was spent", b.holdings(first, second, third), left, "1 0.000007", "2 0.001009")
		simulated := btcnode.Wallet{Address: "tb1q6rz28mcfaxtmd6v789l9rrlrusdprr9pqcpvkl"}
		b.expect("of another network", b.holdings(simulated, second), "1 0.000007")
		for _, address := range []string{"", "nobody", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"} {
			if _, err := b.chain.Holdings(b.t.Context(), []string{first.Address, address}); fault.CodeOf(err) != fault.InvalidRequest {
				b.t.Errorf("%q: %v", address, err)
			}
		}
	})
}

// counts reports whether the node counts unspent coins.
func (b *bench) counts() bool {
	err := b.Call("scantxoutset", "status")
	return err == nil || !strings.Contains(err.Error(), "-32601")
}

// A count of coins that another one keeps from running, that somebody stops, or that says
// other things than it was asked for, is an error and never an answer; who does not wait for
// it any more stops it, and nobody else's.
func TestInterruptedCount(t *testing.T) {
	asked := btcnode.NewWallet(t, 2).Address
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for name, c := range map[string]struct {
		answer, want string
		stops        bool
	}{
		"busy":          {answer: `{"id":0,"error":{"code":-8,"message":"secret scan in progress"}}`, want: "counting coins for somebody already"},
		"refused":       {answer: `{"id":0,"error":{"code":-1,"message":"secret"}}`, want: "does not tell what addresses have"},
		"stopped":       {answer: `{"id":0,"result":{"success":false,"unspents":[]}}`, want: "stopped the node's count"},
		"other scripts": {answer: `{"id":0,"result":{"success":true,"unspents":[{"scriptPubKey":"51","amount":1}]}}`, want: "not what was asked for"},
		"no amounts":    {answer: `{"id":0,"result":{"success":true,"unspents":[{"scriptPubKey":"ASKED","amount":1e-9}]}}`, want: "not what was asked for"},
		"left":          {want: "broke off", stops: true},
	} {
		stopped := make(chan bool, 1)
		chain := answering(t, nil, func(w http.ResponseWriter, r *http.Request, method string, params []any) {
			switch {
			case method == "getblockchaininfo":
				_, _ = w.Write([]byte(`{"id":0,"result":{"chain":"regtest","blocks":1,"bestblockhash":"00"}}`))
			case params[0] == "abort":
				stopped <- true
				_, _ = w.Write([]byte(`{"id":0,"result":true}`))
			case c.stops:
				leave()
				<-r.Context().Done()
			default:
				raw, _ := params[1].([]any)[0].(string)
				_, _ = w.Write([]byte(strings.ReplaceAll(c.answer, "ASKED", strings.TrimSuffix(strings.TrimPrefix(raw, "raw("), ")"))))
			}
		})
		with := t.Context()
		if c.stops {
			with = ctx
		}
		_, err := chain.Holdings(with, []string{asked})
		if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if got := len(stopped) == 1; got != c.stops {
			t.Errorf("%s: the count was stopped: %t", name, got)
		}
	}
}

// answering is the chain of a node that answers as it is told.
func answering(t *testing.T, ours bitcoin.Ours, answer func(w http.ResponseWriter, r *http.Request, method string, params []any)) *bitcoin.Chain {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Method string
			Params []any
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		answer(w, r, q.Method, q.Params)
	}))
	t.Cleanup(server.Close)
	cookie := filepath.Join(t.TempDir(), "cookie")
	check.OK(t, os.WriteFile(cookie, []byte("__cookie__:secret\n"), 0o600))
	chain, err := bitcoin.Open(fmt.Appendf(nil, `{"url":%q,"cookie_file":%q,"network":"regtest","from_height":1}`, server.URL, cookie), ours)
	check.OK(t, err)
	return chain
}
