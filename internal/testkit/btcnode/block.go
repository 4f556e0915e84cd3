package btcnode

import (
	"bytes"
	"encoding/hex"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Reorganise gives up a block with those after it for empty ones in their place, one more
// than there were: what was in them waits again, and is not in the next blocks by itself until
// Mine makes some.
func (n *Node) Reorganise(block string) {
	n.t.Helper()
	given := n.block(block)
	var of struct{ Confirmations int }
	must(n.t, n.Ask(&of, "getblockheader", block))
	must(n.t, n.Call("invalidateblock", block))
	n.branches++
	parent := n.block(given.Header.PrevBlock.String())
	for range of.Confirmations + 1 {
		parent = n.extend(parent)
	}
}

// Follow hands the node the blocks of another one up to a height.
func (n *Node) Follow(other *Node, height int64) {
	n.t.Helper()
	var had int64
	must(n.t, n.Ask(&had, "getblockcount"))
	for at := had + 1; at <= height; at++ {
		var hash string
		must(n.t, other.Ask(&hash, "getblockhash", at))
		n.submit(other.block(hash))
	}
}

// PayAll spends each coin on an output in one block, which nobody saw waiting, and what is
// left of it on the miner.
func (n *Node) PayAll(from []Coin, to func(i int) Wallet, value, fee int64) {
	n.t.Helper()
	var tip string
	must(n.t, n.Ask(&tip, "getbestblockhash"))
	all := make([]*wire.MsgTx, len(from))
	for i, coin := range from {
		all[i] = n.payment(coin, to(i), value, fee)
	}
	n.extend(n.block(tip), all...)
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

// extend makes a block on another one, with transactions, and hands it to the node.
func (n *Node) extend(parent *wire.MsgBlock, transactions ...*wire.MsgTx) *wire.MsgBlock {
	n.t.Helper()
	var of struct{ Height int64 }
	must(n.t, n.Ask(&of, "getblockheader", parent.BlockHash().String()))
	b := wire.NewMsgBlock(&parent.Header)
	b.Header.PrevBlock, b.Header.Timestamp = parent.BlockHash(), parent.Header.Timestamp.Add(time.Second)
	must(n.t, b.AddTransaction(n.coinbase(parent.Transactions[0], of.Height+1, transactions)))
	for _, tx := range transactions {
		must(n.t, b.AddTransaction(tx))
	}
	b.Header.MerkleRoot = root(b.Transactions, (*wire.MsgTx).TxHash)
	for b.Header.Nonce = 0; !easy(b.BlockHash()); b.Header.Nonce++ {
		continue
	}
	n.submit(b)
	return b
}

// submit hands a block to the node.
func (n *Node) submit(b *wire.MsgBlock) {
	n.t.Helper()
	var raw bytes.Buffer
	must(n.t, b.Serialize(&raw))
	var refused string
	must(n.t, n.Ask(&refused, "submitblock", hex.EncodeToString(raw.Bytes())))
	if refused != "" {
		n.t.Fatalf("submitblock: %s", refused)
	}
}

// easy reports whether a block's hash is below what chains of tests want.
func easy(hash chainhash.Hash) bool { return hash[len(hash)-1] < 0x7f }

// coinbase is the first transaction of a block: it takes no fees, gives the miner half of
// what the parent's did, and commits to the witnesses of the others (BIP 141).
func (n *Node) coinbase(parent *wire.MsgTx, height int64, others []*wire.MsgTx) *wire.MsgTx {
	n.t.Helper()
	script, err := txscript.NewScriptBuilder().AddInt64(height).AddInt64(int64(n.branches)).AddData([]byte("of a test")).Script()
	must(n.t, err)
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{}, wire.MaxPrevOutIndex), script, nil))
	tx.AddTxOut(wire.NewTxOut(parent.TxOut[0].Value/2, n.miner.script))
	if len(others) == 0 {
		return tx
	}
	reserved := make([]byte, chainhash.HashSize)
	witnesses := root(append([]*wire.MsgTx{nil}, others...), func(tx *wire.MsgTx) chainhash.Hash {
		if tx == nil { // the coinbase itself
			return chainhash.Hash{}
		}
		return tx.WitnessHash()
	})
	tx.TxIn[0].Witness = wire.TxWitness{reserved}
	commitment := chainhash.DoubleHashB(append(witnesses[:], reserved...))
	tx.AddTxOut(wire.NewTxOut(0, append([]byte{txscript.OP_RETURN, 0x24, 0xaa, 0x21, 0xa9, 0xed}, commitment...)))
	return tx
}

// root is the root of the tree of hashes of transactions.
func root(all []*wire.MsgTx, hash func(*wire.MsgTx) chainhash.Hash) chainhash.Hash {
	level := make([]chainhash.Hash, len(all))
	for i, tx := range all {
		level[i] = hash(tx)
	}
	for len(level) > 1 {
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		for i := range len(level) / 2 {
			level[i] = chainhash.DoubleHashH(append(level[2*i][:], level[2*i+1][:]...))
		}
		level = level[:len(level)/2]
	}
	return level[0]
}
