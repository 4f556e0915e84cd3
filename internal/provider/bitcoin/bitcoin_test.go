package bitcoin_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/provider/bitcoin"
	"github.com/scripcards/scrip/internal/testkit/btcnode"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// bench is a node with what Scrip sees of it.
type bench struct {
	*btcnode.Node
	t     *testing.T
	ours  map[string]bool // the addresses that are watched, as the book writes them
	asked int             // how often they were asked for
	chain *bitcoin.Chain
	after string
}

// each runs a test with each kind of node, and with the first blocks of its chain.
func each(t *testing.T, blocks int, test func(b *bench, made []string)) {
	btcnode.Each(t, func(t *testing.T, start func(testing.TB, btcnode.Wallet) *btcnode.Node) {
		b := &bench{t: t, Node: start(t, btcnode.NewWallet(t, 1)), ours: map[string]bool{}}
		made := b.Mine(blocks)
		test(b, made)
	})
}

// watch watches the address of somebody's wallet.
func (b *bench) watch(w btcnode.Wallet) btcnode.Wallet {
	b.ours[w.Address] = true
	return w
}

func (b *bench) open(from int64) {
	b.t.Helper()
	chain, err := bitcoin.Open(b.Config(from), func(_ context.Context, all []string) (map[string]bool, error) {
		b.asked++
		known := map[string]bool{}
		for _, address := range all {
			known[address] = b.ours[address]
		}
		return known, nil
	})
	check.OK(b.t, err)
	b.chain = chain
}

// seen reads to the end of what is new and returns it in short.
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
			return all
		}
	}
}

func (b *bench) text(s deposit.Sighting) string {
	b.t.Helper()
	switch {
	case s.Gone:
		return strings.TrimSpace("gone " + s.ReplacedBy)
	case !b.ours[s.Address]:
		b.t.Errorf("a payment to %s", s.Address)
	}
	return fmt.Sprint(s.Amount, " ", s.Confirmations)
}

func (b *bench) look(tx string) string {
	b.t.Helper()
	all, err := b.chain.Look(b.t.Context(), []deposit.Payment{{Chain: asset.Bitcoin, TxID: tx}})
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

// A real node's chain is followed: what waits, what is confirmed, what a reorganisation
// takes away and brings back, and what happened meanwhile.
func TestNode(t *testing.T) {
	each(t, 120, func(b *bench, blocks []string) {
		t, ours := b.t, b.watch(btcnode.NewWallet(b.t, 2))
		b.open(1)
		b.expect("nothing is ours", b.seen())
		if !strings.HasPrefix(b.after, "120/") {
			t.Errorf("the place is %s", b.after)
		}

		first, second := b.Coinbase(blocks[0]), b.Coinbase(blocks[1])
		tx := b.Pay(first, ours, 1_500_000, 1_000)
		b.expect("waiting", b.seen(), "0.015 0")
		b.expect("told once", b.seen())
		b.open(1) // another process, or this one after a restart
		b.expect("told again", b.seen(), "0.015 0")
		holds := b.Mine(1)[0]
		b.expect("in a block", b.seen(), "0.015 1")
		b.expect("looked at", []string{b.look(tx)}, "0.015 1")
		b.Mine(4)
		b.expect("five blocks", []string{b.look(tx)}, "0.015 5")
		b.expect("nothing new", b.seen())

		b.Reorganise(holds)
		b.expect("its block is gone", []string{b.look(tx)}, "0.015 0")
		b.Mine(6)
		b.open(1)
		b.expect("in the other branch", b.seen(), "0.015 6")

		behind := b.after
		b.Pay(second, ours, 700, 1_000)
		b.Mine(40)
		b.after = behind
		b.open(1)
		b.expect("a month behind", b.seen(), "0.000007 40")

		unknown := strings.Repeat("ab", 32)
		b.expect("a transaction that never was", []string{b.look(unknown)}, "gone")
		b.after = "10/" + unknown
		b.expect("of another history", b.seen(), "0.015 46", "0.000007 40")
	})
}

// A payment whose block the chain gives up for another branch waits again, and is told anew
// when that branch has it. When it is spent otherwise there, it is gone.
func TestBranches(t *testing.T) {
	each(t, 110, func(b *bench, blocks []string) {
		ours := b.watch(btcnode.NewWallet(b.t, 2))
		b.open(0)
		b.expect("where the chain ends", b.seen())
		from := b.Coinbase(blocks[0])
		tx := b.Pay(from, ours, 1_000_000, 1_000)
		holds := b.Mine(1)[0]
		b.expect("in a block", b.seen(), "0.01 1")
		b.Reorganise(holds)
		b.expect("not in the other branch", b.seen(), "0.01 0")
		b.expect("looked at", []string{b.look(tx)}, "0.01 0")
		holds = b.Mine(1)[0]
		b.expect("in the other branch", b.seen(), "0.01 1")

		b.Reorganise(holds)
		by := b.Pay(from, ours, 900_000, 50_000)
		b.Mine(3)
		b.expect("spent otherwise", b.seen(), "0.009 3")
		b.expect("and gone", []string{b.look(tx)}, "gone")
		b.expect("looked at", []string{b.look(by)}, "0.009 3")
	})
}

// A node that has not all blocks that were read is behind, though it may know of them:
// nothing is new and nothing is gone, also for a process that has just been started.
func TestBehind(t *testing.T) {
	btcnode.Each(t, func(t *testing.T, start func(testing.TB, btcnode.Wallet) *btcnode.Node) {
		miner := btcnode.NewWallet(t, 1)
		b := &bench{t: t, Node: start(t, miner), ours: map[string]bool{}}
		whole, ours := b.Node, b.watch(btcnode.NewWallet(t, 2))
		from := b.Coinbase(b.Mine(110)[0])
		b.open(1)
		tx := b.Pay(from, ours, 1_000_000, 1_000)
		b.Mine(6)
		b.expect("seen", b.seen(), "0.01 6")

		b.Node = start(t, miner)
		b.Follow(whole, 109)
		b.knows(whole, 110, 116)
		b.open(1)
		if page, err := b.chain.Seen(t.Context(), b.after); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "behind") {
			t.Errorf("seen: %+v, %v", page, err)
		}
		if all, err := b.chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Bitcoin, TxID: tx}}); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "behind") {
			t.Errorf("looked at: %+v, %v", all, err)
		}
		b.Follow(whole, 116)
		b.expect("it has all of it", b.seen())
		b.expect("looked at", []string{b.look(tx)}, "0.01 6")
	})
}

// knows has bitcoind know of blocks that it does not have, as one does that loads them. To
// btcd nobody can tell that.
func (b *bench) knows(of *btcnode.Node, from, to int) {
	b.t.Helper()
	for height := from; height <= to; height++ {
		var hash, header string
		check.OK(b.t, of.Ask(&hash, "getblockhash", height))
		check.OK(b.t, of.Ask(&header, "getblockheader", hash, false))
		if err := b.Call("submitheader", header); err != nil && !strings.Contains(err.Error(), "-32601") {
			b.t.Fatal(err)
		}
	}
}

// A payment that is spent otherwise before its block is gone, and bitcoind says by what.
func TestReplaced(t *testing.T) {
	each(t, 110, func(b *bench, blocks []string) {
		from, ours := b.Coinbase(blocks[0]), b.watch(btcnode.NewWallet(b.t, 2))
		b.open(0)
		b.expect("where the chain ends", b.seen())
		old := b.Pay(from, ours, 1_000_000, 1_000)
		b.expect("waiting", b.seen(), "0.01 0")
		by := b.Pay(from, ours, 900_000, 50_000)
		b.expect("instead of it", b.seen(), "0.009 0")
		want := "gone"
		if err := b.Call("gettxspendingprevout", []any{}); err == nil || !strings.Contains(err.Error(), "-32601") {
			want += " " + by // btcd has no such call
		}
		b.expect("replaced", []string{b.look(old)}, want)
		b.Mine(2)
		b.expect("what replaced it", []string{b.look(by)}, "0.009 2")
	})
}

// A block of three thousand payments is read while ten thousand addresses are watched, and
// they are asked for once.
func TestFullBlock(t *testing.T) {
	each(t, 110, func(b *bench, blocks []string) {
		const payments, watched = 3_000, 10_000
		var ours []btcnode.Wallet
		for i := range watched {
			ours = append(ours, b.watch(btcnode.Of(b.t, fmt.Appendf(nil, "%020d", i))))
		}
		coins := b.Fan(b.Coinbase(blocks[0]), btcnode.NewWallet(b.t, 1), payments, 100_000)
		b.Mine(1)
		b.open(0)
		b.expect("where the chain ends", b.seen())
		b.PayAll(coins, func(i int) btcnode.Wallet { return ours[i*watched/payments] }, 1_000, 200)
		b.open(0)
		watch := clock.Start()
		got := b.seen()
		b.t.Logf("read in %s", watch.Elapsed())
		if len(got) != payments {
			b.t.Errorf("%d payments were seen", len(got))
		}
		if b.asked != 1 {
			b.t.Errorf("the addresses were asked for %d times", b.asked)
		}
	})
}

// A node that is not what it should be, or does not say what it should, is an error.
func TestRefusals(t *testing.T) {
	password := filepath.Join(t.TempDir(), "cookie")
	check.OK(t, os.WriteFile(password, []byte("__cookie__:secret\n"), 0o600))
	const rest = `"bestblockhash":"00"`
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"other network":  {200, `{"id":1,"result":{"chain":"main","blocks":1,` + rest + `}}`, "not on the network regtest"},
		"starting":       {500, `{"id":1,"error":{"code":-28,"message":"Loading secret block index"}}`, "is starting"},
		"wrong password": {401, ``, "wants a login, or another one"},
		"no JSON":        {200, `<html>`, "no JSON"},
		"refused":        {500, `{"id":1,"error":{"code":-1,"message":"secret"}}`, "does not tell"},
		"other answer":   {200, `{"id":1,"result":[1]}`, "not what was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if user, word, ok := r.BasicAuth(); !ok || user != "__cookie__" || word != "secret" {
					t.Errorf("the credentials are %q %q", user, word)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			chain, err := bitcoin.Open(fmt.Appendf(nil, `{"url":%q,"cookie_file":%q,"network":"regtest"}`, server.URL, password), nil)
			check.OK(t, err)
			_, err = chain.Seen(t.Context(), "")
			if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Bitcoin, TxID: "00"}}); fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("look: %v", err)
			}
		})
	}
}

// What a configuration cannot be is refused with the key that is wrong.
func TestConfig(t *testing.T) {
	const good = `"cookie_file":"/run/bitcoind/.cookie","network":"main"`
	for text, field := range map[string]string{
		`{"url":"http://127.0.0.1:8332",` + good + `}`:                                                        "",
		`{"url":"https://node.example:8332",` + good + `}`:                                                    "",
		`{"url":"http://10.0.0.7:8332",` + good + `}`:                                                         "url",
		`{"url":"http://u:p@127.0.0.1:8332",` + good + `}`:                                                    "url",
		`{"url":"127.0.0.1",` + good + `}`:                                                                    "url",
		`{"url":"http://localhost:8332","cookie_file":"/c","network":"mainnet"}`:                              "network",
		`{"url":"http://localhost:8332","network":"main"}`:                                                    "cookie_file",
		`{"url":"http://localhost:8332","cookie_file":"/c","password_file":"/p","user":"u","network":"main"}`: "cookie_file",
		`{"url":"http://localhost:8332","password_file":"/p","network":"main"}`:                               "user",
		`{"url":"http://localhost:8332","from_height":-1,` + good + `}`:                                       "from_height",
		`{"url":"http://localhost:8332","timeout_seconds":601,` + good + `}`:                                  "timeout_seconds",
		`{"url":"https://node.example","certificate_file":"/none",` + good + `}`:                              "certificate_file",
	} {
		_, err := bitcoin.Open([]byte(text), nil)
		switch {
		case field == "" && err != nil, field != "" && (fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != field):
			t.Errorf("%s: %v, want %q", text, err, field)
		}
	}
	for _, text := range []string{``, `[]`, `{"urls":""}`, `{} {}`} {
		if _, err := bitcoin.Open([]byte(text), nil); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What is in blocks is told though the node does not tell what waits: that is an error once
// there are no blocks to tell of.
func TestPoolUntold(t *testing.T) {
	first := chaincfg.RegressionNetParams.GenesisBlock
	to := btcnode.NewWallet(t, 2)
	decoded, err := address.DecodeAddress(to.Address, &chaincfg.RegressionNetParams)
	check.OK(t, err)
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{})
	tx.AddTxOut(wire.NewTxOut(700, append([]byte{0x00, 0x14}, decoded.ScriptAddress()...)))
	before := first.BlockHash()
	second := wire.NewMsgBlock(wire.NewBlockHeader(1, &before, &before, 0, 0))
	check.OK(t, second.AddTransaction(tx))
	var raw bytes.Buffer
	check.OK(t, second.Serialize(&raw))
	hash := second.BlockHash().String()
	ours := func(context.Context, []string) (map[string]bool, error) {
		return map[string]bool{to.Address: true}, nil
	}
	chain := answering(t, ours, func(w http.ResponseWriter, _ *http.Request, method string, params []any) {
		answer := `"error":{"code":-1,"message":"secret"}`
		switch {
		case method == "getblockchaininfo":
			answer = fmt.Sprintf(`"result":{"chain":"regtest","blocks":1,"bestblockhash":%q}`, hash)
		case method == "getblockhash" && params[0] == 0.0:
			answer = fmt.Sprintf(`"result":%q`, before.String())
		case method == "getblockhash":
			answer = fmt.Sprintf(`"result":%q`, hash)
		case method == "getblock":
			answer = fmt.Sprintf(`"result":"%x"`, raw.Bytes())
		}
		_, _ = fmt.Fprintf(w, `{"id":0,%s}`, answer)
	})
	page, err := chain.Seen(t.Context(), "")
	if err != nil || len(page.Sightings) != 1 || page.Sightings[0].Confirmations != 1 || page.Next != "1/"+hash || !page.More {
		t.Fatalf("told %+v, %v", page, err)
	}
	if page, err = chain.Seen(t.Context(), page.Next); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("then told %+v, %v", page, err)
	}
}
