// Package btcnode runs a real node of Bitcoin for tests: btcd, on a chain of its own, on
// loopback, until its test ends.
package btcnode

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/scripcards/scrip/internal/testkit/program"
)

const (
	rpcUser     = "scrip"
	rpcPassword = "only for this test"
)

// Node is a node of a chain of its own, whose blocks pay the miner.
type Node struct {
	t      testing.TB
	rpc    program.RPC
	folder string
	miner  Wallet
	blocks map[string]*wire.MsgBlock // those that were asked for, by their hash
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
	return start(t, miner, false)
}

// StartTLS is Start for nodes that speak to btcd with TLS alone.
func StartTLS(t testing.TB, miner Wallet) *Node {
	t.Helper()
	return start(t, miner, true)
}

func start(t testing.TB, miner Wallet, secure bool) *Node {
	t.Helper()
	at := program.Free(t)
	n := &Node{t: t, folder: t.TempDir(), miner: miner, blocks: map[string]*wire.MsgBlock{}}
	n.rpc = program.RPC{URL: "http://" + at, Login: func(r *http.Request) { r.SetBasicAuth(rpcUser, rpcPassword) }}
	must(t, os.WriteFile(n.password(), []byte(rpcPassword+"\n"), 0o600))
	channel := []string{"--notls"}
	if secure {
		n.rpc.URL, n.rpc.Client = "https://"+at, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{VerifyConnection: n.verify, InsecureSkipVerify: true}}}
		channel = []string{"--rpccert=" + n.Certificate(), "--rpckey=" + filepath.Join(n.folder, "rpc.key")}
	}
	program.Run(t, filepath.Join(n.folder, "out"), exec.Command(n.build(), append(channel, "--regtest", "--nolisten", "--nodnsseed", "--txindex", "--addrindex",
		"--relaynonstd", "--debuglevel=error", "--configfile="+filepath.Join(n.folder, "none"), "--datadir="+filepath.Join(n.folder, "data"),
		"--logdir="+filepath.Join(n.folder, "log"), "--rpclisten="+at, "--rpcuser="+rpcUser, "--rpcpass="+rpcPassword, "--miningaddr="+miner.Regtest)...))
	program.Await(t, "btcd answers", func() error { return n.Call("getblockcount") })
	return n
}

// build builds the node that scripts/nodes pins, unless Go's cache has it, and returns where
// it is.
func (n *Node) build() string {
	n.t.Helper()
	build := exec.Command("go", "tool", "-n", "btcd")
	build.Dir = filepath.Join(program.Root(n.t, "scripts/nodes/go.mod"), "scripts", "nodes")
	var complaints bytes.Buffer
	build.Stderr = &complaints
	path, err := build.Output()
	if err != nil {
		n.t.Fatalf("build btcd: %v\n%s", err, complaints.String())
	}
	return strings.TrimSpace(string(path))
}

// verify compares the node's certificate with the one in its file, which it makes at its start.
func (n *Node) verify(c tls.ConnectionState) error {
	text, err := os.ReadFile(n.Certificate())
	if err != nil {
		return err
	}
	if block, _ := pem.Decode(text); block == nil || !bytes.Equal(block.Bytes, c.PeerCertificates[0].Raw) {
		return errors.New("btcd has another certificate than its own")
	}
	return nil
}

// Certificate is the file of the certificate that a node with TLS has.
func (n *Node) Certificate() string { return filepath.Join(n.folder, "rpc.cert") }

// Access is where the node's RPC is, HOST:PORT, and who may call it.
func (n *Node) Access() (address, user, password string) {
	_, address, _ = strings.Cut(n.rpc.URL, "://")
	return address, rpcUser, rpcPassword
}

func (n *Node) password() string { return filepath.Join(n.folder, "password") }

// Config is how Scrip is told of the node.
func (n *Node) Config(from int64) []byte {
	text, err := json.Marshal(map[string]any{"url": n.rpc.URL, "user": rpcUser, "password_file": n.password(), "network": "regtest", "from_height": from})
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
	must(n.t, n.Ask(&hashes, "generate", blocks))
	return hashes
}

// Reorganise gives up a block with those after it for two empty ones in its place: what was
// in it waits again, and is not in the next blocks by itself until Mine makes some.
func (n *Node) Reorganise(block string) {
	n.t.Helper()
	given := n.block(block)
	must(n.t, n.Call("invalidateblock", block))
	parent := given.Header.PrevBlock
	for i := range byte(2) {
		b := wire.NewMsgBlock(&given.Header)
		b.Header.PrevBlock, b.Header.Timestamp = parent, given.Header.Timestamp.Add(time.Duration(i+1)*time.Second)
		first := given.Transactions[0].Copy()
		first.TxIn[0].SignatureScript, first.TxIn[0].Witness = append(first.TxIn[0].SignatureScript, i), nil
		first.TxOut = []*wire.TxOut{wire.NewTxOut(first.TxOut[0].Value/2, n.miner.script)} // it gets no fees, and commits to no witnesses
		must(n.t, b.AddTransaction(first))
		b.Header.MerkleRoot = first.TxHash()
		for b.Header.Nonce = 0; !easy(b.BlockHash()); b.Header.Nonce++ {
			continue
		}
		var raw bytes.Buffer
		must(n.t, b.Serialize(&raw))
		must(n.t, n.Call("submitblock", hex.EncodeToString(raw.Bytes())))
		parent = b.BlockHash()
	}
}

// easy reports whether a block's hash is below what chains of tests want.
func easy(hash chainhash.Hash) bool { return hash[len(hash)-1] < 0x7f }

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
	first := n.block(block).Transactions[0]
	return Coin{first.TxHash().String(), 0, first.TxOut[0].Value, n.miner}
}

func (n *Node) block(hash string) *wire.MsgBlock {
	n.t.Helper()
	if known := n.blocks[hash]; known != nil {
		return known
	}
	var text string
	must(n.t, n.Ask(&text, "getblock", hash, 0))
	var b wire.MsgBlock
	must(n.t, b.Deserialize(hex.NewDecoder(strings.NewReader(text))))
	n.blocks[hash] = &b
	return &b
}

// Pay spends a coin on an output and what is left on the miner, and returns the transaction.
func (n *Node) Pay(from Coin, to Wallet, value, fee int64) string {
	n.t.Helper()
	tx := n.spend(from)
	tx.AddTxOut(wire.NewTxOut(value, to.script))
	tx.AddTxOut(wire.NewTxOut(from.Value-value-fee, n.miner.script))
	return n.publish(from, tx)
}

// spend is a transaction with a coin, and without outputs.
func (n *Node) spend(from Coin) *wire.MsgTx {
	n.t.Helper()
	hash, err := chainhash.NewHashFromStr(from.TX)
	must(n.t, err)
	tx := wire.NewMsgTx(2)
	in := wire.NewTxIn(wire.NewOutPoint(hash, from.Out), nil, nil)
	in.Sequence = wire.MaxTxInSequenceNum - 2 // it may be replaced
	tx.AddTxIn(in)
	return tx
}

// publish signs a transaction and hands it to the network.
func (n *Node) publish(from Coin, tx *wire.MsgTx) string {
	n.t.Helper()
	spent := txscript.NewCannedPrevOutputFetcher(from.of.script, from.Value)
	witness, err := txscript.WitnessSignature(tx, txscript.NewTxSigHashes(tx, spent), 0, from.Value, from.of.script, txscript.SigHashAll, from.of.key, true)
	must(n.t, err)
	tx.TxIn[0].Witness = witness
	var raw bytes.Buffer
	must(n.t, tx.Serialize(&raw))
	must(n.t, n.Call("sendrawtransaction", hex.EncodeToString(raw.Bytes())))
	return tx.TxHash().String()
}

// Fan spends a coin on so many equal outputs, and what is left but for a fee on the miner.
func (n *Node) Fan(from Coin, to Wallet, outputs int, value int64) {
	n.t.Helper()
	const fee = 10_000
	tx := n.spend(from)
	for range outputs {
		tx.AddTxOut(wire.NewTxOut(value, to.script))
	}
	tx.AddTxOut(wire.NewTxOut(from.Value-int64(outputs)*value-fee, n.miner.script))
	n.publish(from, tx)
}

// Paid is how often a script was paid in the blocks of the main chain, and how much.
func (n *Node) Paid(script []byte) (times int, satoshi int64) {
	n.t.Helper()
	var hash string
	must(n.t, n.Ask(&hash, "getbestblockhash"))
	for genesis := chaincfg.RegressionNetParams.GenesisHash.String(); hash != genesis; {
		b := n.block(hash)
		hash = b.Header.PrevBlock.String()
		for _, tx := range b.Transactions {
			for _, out := range tx.TxOut {
				if bytes.Equal(out.PkScript, script) {
					times, satoshi = times+1, satoshi+out.Value
				}
			}
		}
	}
	return times, satoshi
}

// Rest is what Pay left of a coin on the miner: the second output of tx.
func (n *Node) Rest(from Coin, tx string, value, fee int64) Coin {
	return Coin{tx, 1, from.Value - value - fee, n.miner}
}

// At returns the wallet of a script that somebody else has the key of.
func At(script []byte) Wallet { return Wallet{script: script} }

// To returns the wallet of an address that somebody else has the key of.
func To(t testing.TB, book string) Wallet {
	t.Helper()
	decoded, err := address.DecodeAddress(book, &chaincfg.TestNet3Params)
	must(t, err)
	return Wallet{script: append([]byte{0, 20}, decoded.ScriptAddress()...), Book: book}
}
