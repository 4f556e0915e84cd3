// Package btcnode runs real nodes of Bitcoin for tests, each on a chain of its own, on
// loopback, until its test ends: btcd, which is built from what scripts/nodes pins, and
// bitcoind where it is there.
package btcnode

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"github.com/scripcards/scrip/internal/testkit/bitcoind"
	"github.com/scripcards/scrip/internal/testkit/program"
)

// Node is a node of a chain of its own, whose blocks pay the miner.
type Node struct {
	t     testing.TB
	rpc   program.RPC
	miner Wallet
	// login is what Scrip needs to call it.
	login map[string]any
	// generate is the call that makes so many blocks.
	generate func(blocks int) (method string, params []any)
	// branches counts blocks that were given up. Who made one would make the very same again,
	// which bitcoind refuses: so after each one somebody else is the miner.
	branches int
	folder   string                    // btcd's
	blocks   map[string]*wire.MsgBlock // those that were asked for, by their hash
}

// Each runs a test with each kind of node that there is. Nodes that the test starts with
// start end with it.
func Each(t *testing.T, test func(t *testing.T, start func(testing.TB, Wallet) *Node)) {
	t.Run("btcd", func(t *testing.T) { test(t, Start) })
	t.Run("bitcoind", func(t *testing.T) { test(t, StartBitcoind) })
}

// StartBitcoind runs bitcoind until the test ends, or skips the test where it is not there.
func StartBitcoind(t testing.TB, miner Wallet) *Node {
	t.Helper()
	server := bitcoind.Start(t)
	n := &Node{t: t, rpc: server.RPC, miner: miner, blocks: map[string]*wire.MsgBlock{}, login: map[string]any{"cookie_file": server.Cookie}}
	n.generate = func(blocks int) (string, []any) {
		to := miner
		if n.branches > 0 {
			to = Of(t, fmt.Appendf(nil, "%020d", n.branches))
		}
		return "generatetoaddress", []any{blocks, to.Address}
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Config is how Scrip is told of the node.
func (n *Node) Config(from int64) []byte {
	config := map[string]any{"url": n.rpc.URL, "network": "regtest", "from_height": from}
	maps.Copy(config, n.login)
	text, err := json.Marshal(config)
	must(n.t, err)
	return text
}

// Call calls the node.
func (n *Node) Call(method string, params ...any) error { return n.Ask(nil, method, params...) }

// Ask calls the node and reads its result into out.
func (n *Node) Ask(out any, method string, params ...any) error {
	return n.rpc.Ask(out, method, append([]any{}, params...))
}

// Mine makes so many blocks and returns their hashes.
func (n *Node) Mine(blocks int) (hashes []string) {
	n.t.Helper()
	method, params := n.generate(blocks)
	must(n.t, n.Ask(&hashes, method, params...))
	return hashes
}
