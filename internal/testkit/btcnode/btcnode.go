// Package btcnode runs a real node of Bitcoin for tests: btcd, on a chain of its own, on
// loopback, until its test ends.
package btcnode

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/scripcards/scrip/internal/core/clock"
)

const (
	rpcUser     = "scrip"
	rpcPassword = "only for this test"
)

// Node is a node of a chain of its own, whose blocks pay the miner.
type Node struct {
	t      testing.TB
	url    string
	folder string
	miner  Wallet
}

// Wallet is a key with its address, as the chain of tests and as the address book write it.
type Wallet struct {
	key           *btcec.PrivateKey
	script        []byte
	Regtest, Book string
}

// NewWallet returns the wallet of a key that is its seed, repeated.
func NewWallet(t testing.TB, seed byte) Wallet {
	t.Helper()
	key, public := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{seed}, 32))
	hash := address.Hash160(public.SerializeCompressed())
	w := Wallet{key: key, script: append([]byte{0, 20}, hash...)}
	for _, form := range []struct {
		of *chaincfg.Params
		to *string
	}{{&chaincfg.RegressionNetParams, &w.Regtest}, {&chaincfg.TestNet3Params, &w.Book}} {
		a, err := address.NewAddressWitnessPubKeyHash(hash, form.of)
		must(t, err)
		*form.to = a.EncodeAddress()
	}
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Start runs btcd on loopback until the test ends.
func Start(t testing.TB, miner Wallet) *Node {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	at := listener.Addr().String()
	must(t, listener.Close())
	n := &Node{t: t, url: "http://" + at, folder: t.TempDir(), miner: miner}
	program := n.build()
	must(t, os.WriteFile(n.password(), []byte(rpcPassword+"\n"), 0o600))
	log, err := os.Create(filepath.Join(n.folder, "out"))
	must(t, err)
	command := exec.Command(program, "--regtest", "--notls", "--nolisten", "--nodnsseed", "--txindex", "--addrindex", "--relaynonstd", "--debuglevel=error",
		"--configfile="+filepath.Join(n.folder, "none"), "--datadir="+filepath.Join(n.folder, "data"), "--logdir="+filepath.Join(n.folder, "log"),
		"--rpclisten="+at, "--rpcuser="+rpcUser, "--rpcpass="+rpcPassword, "--miningaddr="+miner.Regtest)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("btcd: %s", text)
		}
	})
	for range 300 {
		if n.Call("getblockcount") == nil {
			return n
		}
		must(t, clock.Wait(t.Context(), 100*time.Millisecond))
	}
	t.Fatal("btcd does not answer")
	return nil
}

// build builds the node that scripts/nodes pins, and returns where it is.
func (n *Node) build() string {
	n.t.Helper()
	root, err := os.Getwd()
	must(n.t, err)
	for {
		if _, err := os.Stat(filepath.Join(root, "scripts", "nodes", "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			n.t.Fatal("there is no scripts/nodes above this test")
		}
		root = filepath.Dir(root)
	}
	program := filepath.Join(n.folder, "btcd")
	build := exec.Command("go", "build", "-o", program, "github.com/btcsuite/btcd")
	build.Dir = filepath.Join(root, "scripts", "nodes")
	if out, err := build.CombinedOutput(); err != nil {
		n.t.Fatalf("build btcd: %v\n%s", err, out)
	}
	return program
}

func (n *Node) password() string { return filepath.Join(n.folder, "password") }

// Config is how Scrip is told of the node.
func (n *Node) Config(from int64) []byte {
	text, err := json.Marshal(map[string]any{"url": n.url, "user": rpcUser, "password_file": n.password(), "network": "regtest", "from_height": from})
	must(n.t, err)
	return text
}

// Call calls the node.
func (n *Node) Call(method string, params ...any) error { return n.Ask(nil, method, params...) }

// Ask calls the node and reads its result into out.
func (n *Node) Ask(out any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, n.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.SetBasicAuth(rpcUser, rpcPassword)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	var reply struct {
		Result json.RawMessage
		Error  any
	}
	if err := json.NewDecoder(answer.Body).Decode(&reply); err != nil {
		return fmt.Errorf("%s: status %d: %w", method, answer.StatusCode, err)
	}
	if reply.Error != nil {
		return fmt.Errorf("%s: %v", method, reply.Error)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(reply.Result, out)
}

// Mine makes so many blocks and returns their hashes.
func (n *Node) Mine(blocks int) (hashes []string) {
	n.t.Helper()
	must(n.t, n.Ask(&hashes, "generate", blocks))
	return hashes
}

// Coin is an output that can be spent.
type Coin struct {
	TX    string
	Out   uint32
	Value int64
	of    Wallet
}

// Coinbase is what the miner got for a block. It can be spent a hundred blocks later.
func (n *Node) Coinbase(block string) Coin {
	n.t.Helper()
	var text string
	must(n.t, n.Ask(&text, "getblock", block, 0))
	var b wire.MsgBlock
	must(n.t, b.Deserialize(hex.NewDecoder(strings.NewReader(text))))
	first := b.Transactions[0]
	return Coin{first.TxHash().String(), 0, first.TxOut[0].Value, n.miner}
}

// Pay spends a coin on an output and what is left on the miner, and returns the transaction.
func (n *Node) Pay(from Coin, to Wallet, value, fee int64) string {
	n.t.Helper()
	hash, err := chainhash.NewHashFromStr(from.TX)
	must(n.t, err)
	tx := wire.NewMsgTx(2)
	in := wire.NewTxIn(wire.NewOutPoint(hash, from.Out), nil, nil)
	in.Sequence = wire.MaxTxInSequenceNum - 2 // it may be replaced
	tx.AddTxIn(in)
	tx.AddTxOut(wire.NewTxOut(value, to.script))
	tx.AddTxOut(wire.NewTxOut(from.Value-value-fee, n.miner.script))
	spent := txscript.NewCannedPrevOutputFetcher(from.of.script, from.Value)
	witness, err := txscript.WitnessSignature(tx, txscript.NewTxSigHashes(tx, spent), 0, from.Value, from.of.script, txscript.SigHashAll, from.of.key, true)
	must(n.t, err)
	tx.TxIn[0].Witness = witness
	var raw bytes.Buffer
	must(n.t, tx.Serialize(&raw))
	must(n.t, n.Call("sendrawtransaction", hex.EncodeToString(raw.Bytes())))
	return tx.TxHash().String()
}

// Rest is what Pay left of a coin on the miner: the second output of tx.
func (n *Node) Rest(from Coin, tx string, value, fee int64) Coin {
	return Coin{tx, 1, from.Value - value - fee, n.miner}
}

// To returns the wallet of an address that somebody else has the key of.
func To(t testing.TB, book string) Wallet {
	t.Helper()
	decoded, err := address.DecodeAddress(book, &chaincfg.TestNet3Params)
	must(t, err)
	return Wallet{script: append([]byte{0, 20}, decoded.ScriptAddress()...), Book: book}
}
