package btcnode

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Wallet is a key with its address.
type Wallet struct {
	key     *btcec.PrivateKey
	script  []byte
	Address string
}

// NewWallet returns the wallet of a key that is its seed, repeated.
func NewWallet(t testing.TB, seed byte) Wallet {
	t.Helper()
	key, public := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{seed}, 32))
	w := Of(t, address.Hash160(public.SerializeCompressed()))
	w.key = key
	return w
}

// Of returns the wallet of a hashed key that somebody else has.
func Of(t testing.TB, hash []byte) Wallet {
	t.Helper()
	a, err := address.NewAddressWitnessPubKeyHash(hash, &chaincfg.RegressionNetParams)
	must(t, err)
	return Wallet{script: append([]byte{0, 20}, hash...), Address: a.EncodeAddress()}
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
	first := n.block(block).Transactions[0]
	return Coin{first.TxHash().String(), 0, first.TxOut[0].Value, n.miner}
}

// Pay spends a coin on an output and what is left on the miner, and returns the transaction.
func (n *Node) Pay(from Coin, to Wallet, value, fee int64) string {
	n.t.Helper()
	return n.publish(n.payment(from, to, value, fee))
}

// payment spends a coin on an output and what is left on the miner.
func (n *Node) payment(from Coin, to Wallet, value, fee int64) *wire.MsgTx {
	n.t.Helper()
	return n.spend(from, wire.NewTxOut(value, to.script), wire.NewTxOut(from.Value-value-fee, n.miner.script))
}

// spend is a transaction of a coin, signed.
func (n *Node) spend(from Coin, on ...*wire.TxOut) *wire.MsgTx {
	n.t.Helper()
	hash, err := chainhash.NewHashFromStr(from.TX)
	must(n.t, err)
	tx := wire.NewMsgTx(2)
	in := wire.NewTxIn(wire.NewOutPoint(hash, from.Out), nil, nil)
	in.Sequence = wire.MaxTxInSequenceNum - 2 // it may be replaced
	tx.AddTxIn(in)
	tx.TxOut = on
	spent := txscript.NewCannedPrevOutputFetcher(from.of.script, from.Value)
	in.Witness, err = txscript.WitnessSignature(tx, txscript.NewTxSigHashes(tx, spent), 0, from.Value, from.of.script, txscript.SigHashAll, from.of.key, true)
	must(n.t, err)
	return tx
}

// publish hands a transaction to the network.
func (n *Node) publish(tx *wire.MsgTx) string {
	n.t.Helper()
	var raw bytes.Buffer
	must(n.t, tx.Serialize(&raw))
	must(n.t, n.Call("sendrawtransaction", hex.EncodeToString(raw.Bytes())))
	return tx.TxHash().String()
}

// Fan spends a coin on so many equal outputs, and what is left but for a fee on the miner. It
// returns the outputs.
func (n *Node) Fan(from Coin, to Wallet, outputs int, value int64) []Coin {
	n.t.Helper()
	fee := 10_000 + 50*int64(outputs)
	on := make([]*wire.TxOut, outputs, outputs+1)
	for i := range on {
		on[i] = wire.NewTxOut(value, to.script)
	}
	id := n.publish(n.spend(from, append(on, wire.NewTxOut(from.Value-int64(outputs)*value-fee, n.miner.script))...))
	coins := make([]Coin, outputs)
	for i := range coins {
		coins[i] = Coin{id, uint32(i), value, to}
	}
	return coins
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

// At returns the wallet of a script that somebody else has the key of.
func At(script []byte) Wallet { return Wallet{script: script} }

// To returns the wallet of an address that somebody else has the key of.
func To(t testing.TB, text string) Wallet {
	t.Helper()
	decoded, err := address.DecodeAddress(text, &chaincfg.RegressionNetParams)
	must(t, err)
	return Of(t, decoded.ScriptAddress())
}
