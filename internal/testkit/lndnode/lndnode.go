// Package lndnode runs two real nodes of lnd for tests, on a chain of their own with a
// channel between them, on loopback, until their test ends. It needs the program that
// scripts/rails.sh builds; without it tests are skipped, unless they were asked for.
package lndnode

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/testkit/btcnode"
	"github.com/scripcards/scrip/internal/testkit/program"
)

// Required is the variable with which tests of rails fail instead of being skipped.
const Required = "SCRIP_TEST_RAILS"

const (
	coins    = 80        // of the payer's wallet
	coin     = 1_000_000 // satoshis
	capacity = 5_000_000 // of the channel
)

// Network is a chain with a node that pays and one that is paid.
type Network struct {
	t            testing.TB
	Chain        *btcnode.Node
	Payer, Payee *Node
	// Funding is the transaction that opened the channel.
	Funding string
}

// Node is one node of lnd.
type Node struct {
	t      testing.TB
	folder string
	url    string
	peer   string
	client *http.Client
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pinned is where the module of the node says its version.
var pinned = regexp.MustCompile(`github\.com/lightningnetwork/lnd (v\S+)`)

// path is where lnd is, or "".
func path(t testing.TB) string {
	t.Helper()
	const module = "scripts/nodes/lnd/go.mod"
	text, err := os.ReadFile(filepath.Join(program.Root(t, module), filepath.FromSlash(module)))
	must(t, err)
	found := pinned.FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s pins no lnd", module)
	}
	cache, err := os.UserCacheDir()
	must(t, err)
	at := filepath.Join(cache, "scrip-test", "nodes", "lnd-"+string(found[1]))
	if _, err := os.Stat(at); err != nil {
		return ""
	}
	return at
}

// Start runs the network until the test ends. Without make test-rails the test is skipped.
func Start(t testing.TB) *Network {
	t.Helper()
	path := path(t)
	switch {
	case os.Getenv(Required) == "":
		t.Skip("left out: it takes minutes (make test-rails)")
	case path == "":
		t.Fatal("lnd is not there: scripts/rails.sh builds it")
	}
	n := &Network{t: t, Chain: btcnode.StartTLS(t, btcnode.NewWallet(t, 8))}
	blocks := n.Chain.Mine(102) // lnd begins on no empty chain, and what was mined matures
	n.Payer, n.Payee = n.start(path, "payer"), n.start(path, "payee")
	for _, node := range []*Node{n.Payer, n.Payee} {
		program.Await(t, "the nodes are active", node.active)
	}
	n.Chain.Fan(n.Chain.Coinbase(blocks[0]), btcnode.At(n.Payer.Address().Script()), coins, coin)
	n.Mine(1)
	n.open()
	return n
}

func (n *Network) start(path, name string) *Node {
	n.t.Helper()
	at := program.Free(n.t)
	node := &Node{t: n.t, folder: n.t.TempDir(), url: "https://" + at, peer: program.Free(n.t)}
	rpc, user, password := n.Chain.Access()
	command := exec.Command(path, "--lnddir="+node.folder, "--bitcoin.regtest", "--bitcoin.node=btcd", "--btcd.rpchost="+rpc, "--btcd.rpcuser="+user,
		"--btcd.rpcpass="+password, "--btcd.rpccert="+n.Chain.Certificate(), "--noseedbackup", "--nobootstrap", "--alias="+name, "--listen="+node.peer,
		"--rpclisten="+program.Free(n.t), "--restlisten="+at, "--debuglevel=info", "--maxlogfiles=1", "--gossip.sub-batch-delay=100ms", "--trickledelay=50", "--bitcoin.defaultchanconfs=1")
	program.Run(n.t, filepath.Join(node.folder, "out"), command)
	return node
}

var errNotYet = errors.New("not yet")

// active trusts the node's certificate, which it makes at its start, and asks its state.
func (n *Node) active() error {
	if n.client == nil {
		text, err := os.ReadFile(n.certificate())
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return errNotYet
		}
		n.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	}
	var state struct{ State string }
	if err := n.Ask(http.MethodGet, "/v1/state", nil, &state); err != nil || state.State != "SERVER_ACTIVE" {
		return fmt.Errorf("state %s: %w", state.State, errors.Join(err, errNotYet))
	}
	return nil
}

func (n *Node) certificate() string { return filepath.Join(n.folder, "tls.cert") }

func (n *Node) macaroon() string {
	return filepath.Join(n.folder, "data", "chain", "bitcoin", "regtest", "admin.macaroon")
}

// Config is how Scrip is told of the node.
func (n *Node) Config() []byte { return config(n.t, n.url, n.macaroon(), n.certificate()) }

func config(t testing.TB, url, macaroon, certificate string) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]string{"url": url, "macaroon_file": macaroon, "certificate_file": certificate, "network": "regtest"})
	must(t, err)
	return text
}

// Ask calls the node and reads its answer into out.
func (n *Node) Ask(method, path string, what, out any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(context.Background(), method, n.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if macaroon, err := os.ReadFile(n.macaroon()); err == nil {
		r.Header.Set("Grpc-Metadata-Macaroon", hex.EncodeToString(macaroon))
	}
	answer, err := n.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d %s: %w", path, answer.StatusCode, text, errors.Join(err, errNotYet))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

func (n *Node) must(method, path string, what, out any) {
	n.t.Helper()
	must(n.t, n.Ask(method, path, what, out))
}

// Address is a fresh address of the node's wallet.
func (n *Node) Address() destination.Destination {
	n.t.Helper()
	var answer struct{ Address string }
	n.must(http.MethodGet, "/v1/newaddress?type=WITNESS_PUBKEY_HASH", nil, &answer)
	to, err := destination.ParseAddress(destination.Regtest, answer.Address)
	must(n.t, err)
	return to
}

// Mine makes so many blocks, and waits until both nodes have seen them.
func (n *Network) Mine(blocks int) []string {
	n.t.Helper()
	made := n.Chain.Mine(blocks)
	n.Synced()
	return made
}

// Synced waits until both nodes are where the chain is.
func (n *Network) Synced() {
	n.t.Helper()
	var tip string
	must(n.t, n.Chain.Ask(&tip, "getbestblockhash"))
	for _, node := range []*Node{n.Payer, n.Payee} {
		program.Await(n.t, "the nodes see "+tip, func() error {
			var info struct {
				Hash   string `json:"block_hash"`
				Synced bool   `json:"synced_to_chain"`
			}
			if err := node.Ask(http.MethodGet, "/v1/getinfo", nil, &info); err != nil {
				return err
			}
			if info.Hash != tip || !info.Synced {
				return fmt.Errorf("%s: %w", info.Hash, errNotYet)
			}
			return nil
		})
	}
}

// open opens the channel, and waits until payments can go through it.
func (n *Network) open() {
	n.t.Helper()
	var payee struct {
		Key string `json:"identity_pubkey"`
	}
	n.Payee.must(http.MethodGet, "/v1/getinfo", nil, &payee)
	key, err := hex.DecodeString(payee.Key)
	must(n.t, err)
	program.Await(n.t, "the nodes are connected", func() error {
		return n.Payer.Ask(http.MethodPost, "/v1/peers", map[string]any{"addr": map[string]string{"pubkey": payee.Key, "host": n.Payee.peer}}, nil)
	})
	var point struct {
		ID []byte `json:"funding_txid_bytes"`
	}
	program.Await(n.t, "a channel is opened", func() error {
		return n.Payer.Ask(http.MethodPost, "/v1/channels", map[string]any{"node_pubkey": base64.StdEncoding.EncodeToString(key),
			"local_funding_amount": fmt.Sprint(capacity), "sat_per_vbyte": "2"}, &point)
	})
	for i := len(point.ID) - 1; i >= 0; i-- {
		n.Funding += hex.EncodeToString(point.ID[i : i+1])
	}
	n.Mine(6)
	program.Await(n.t, "the channel can be used", func() error {
		var graph struct {
			Edges []struct {
				One any `json:"node1_policy"`
				Two any `json:"node2_policy"`
			}
		}
		var open struct{ Channels []any }
		err := errors.Join(n.Payer.Ask(http.MethodGet, "/v1/graph?include_unannounced=true", nil, &graph), n.Payer.Ask(http.MethodGet, "/v1/channels?active_only=true", nil, &open))
		if err == nil && (len(open.Channels) != 1 || len(graph.Edges) != 1 || graph.Edges[0].One == nil || graph.Edges[0].Two == nil) {
			err = errNotYet
		}
		return err
	})
}
