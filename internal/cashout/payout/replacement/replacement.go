// Package replacement works out the transaction that takes the place of one that waits for
// a block, with a higher fee (BIP 125).
//
// It spends everything that the other one does, so that one of both at the most is ever
// confirmed, pays the same outputs, and takes the fee from the change or, where that is
// too little, from further coins. It promises the least fee that the rate and the relay of
// replacements ask for, and never more than the cap. It must never sign, and knows no node.
package replacement

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
)

const (
	// Dust is the least that a change is made of, in satoshis.
	Dust = 546
	// relay is what a replacement pays for its own way besides, in satoshis per virtual byte.
	relay = 1
	// maxAdded bounds the coins that are added to one transaction, and maxCoins those that are
	// looked at for that, the largest ones.
	maxAdded = 20
	maxCoins = 500
)

// Coin is an output of the wallet's that is confirmed. Its input has a script and a witness
// of the size of signed ones.
type Coin struct {
	transaction.Input
	transaction.Output
}

// Need is what is asked for. Rates are in satoshis per 1,000 virtual bytes.
type Need struct {
	// Before is the transaction that waits, signed, and Spent what its inputs come to.
	Before transaction.Transaction
	Spent  int64
	// Outputs are whom it pays. What it pays besides is its change.
	Outputs []transaction.Output
	// Rate is what the fee should come to, and Most what it must not go beyond.
	Rate, Most int64
	// Coins can be added; Reserve is what the wallet must have left of them then.
	Coins   []Coin
	Reserve int64
	// Change is the wallet's script for a change where Before has none, or one as long.
	Change []byte
}

// Made is a replacement that is not signed, with the coins that were added to it, which are
// its last inputs. Fee is in satoshis.
type Made struct {
	transaction.Transaction
	Added []Coin
	Fee   int64
	// Fresh says that its last output is a change, and that Before has none.
	Fresh bool
}

// Make returns the replacement. It adds no coin where the change is enough, one where one
// is, the smallest of those, and as few as can be otherwise. It returns insufficient_funds
// where the coins do not come to it, or the fee would be beyond the cap.
func (n *Need) Make() (Made, error) {
	change, ok := n.change()
	if !ok {
		return Made{}, fault.New(fault.InvalidState, "the transaction does not pay what it should")
	}
	if made, ok := n.with(change, nil); ok {
		return made, nil
	}
	coins := slices.DeleteFunc(slices.Clone(n.Coins), n.isSpent)
	slices.SortFunc(coins, func(a, b Coin) int { return cmp.Compare(b.Satoshi, a.Satoshi) })
	coins = coins[:min(len(coins), maxCoins)]
	for i := range slices.Backward(coins) {
		if made, ok := n.with(change, coins[i:i+1]); ok {
			return made, nil
		}
	}
	for count := 2; count <= min(len(coins), maxAdded); count++ {
		if made, ok := n.with(change, coins[:count]); ok {
			return made, nil
		}
	}
	return Made{}, fault.New(fault.InsufficientFunds, "the wallet has no coins for a higher fee that is within the cap")
}

// change returns the place of the change among the outputs of what waits; −1: it has none.
func (n *Need) change() (at int, ok bool) {
	at, left := -1, slices.Clone(n.Outputs)
	for i, out := range n.Before.Outputs {
		paid := slices.IndexFunc(left, func(o transaction.Output) bool { return o.Satoshi == out.Satoshi && bytes.Equal(o.Script, out.Script) })
		switch {
		case paid >= 0:
			left = slices.Delete(left, paid, paid+1)
		case at >= 0:
			return -1, false
		default:
			at = i
		}
	}
	return at, len(left) == 0
}

// isSpent reports whether Before spends a coin: where it was never published, the wallet
// does not know that.
func (n *Need) isSpent(c Coin) bool {
	return slices.ContainsFunc(n.Before.Inputs, func(in transaction.Input) bool { return in.TxID == c.TxID && in.Index == c.Index })
}

// with works out the transaction with some coins, and reports whether there can be one.
func (n *Need) with(change int, added []Coin) (Made, bool) {
	made := Made{Transaction: n.Before, Added: added, Fresh: change < 0}
	made.Inputs, made.Outputs = slices.Clone(n.Before.Inputs), slices.Clone(n.Before.Outputs)
	in, free := n.Spent, int64(0)
	for _, c := range n.Coins {
		if !n.isSpent(c) {
			free += c.Satoshi
		}
	}
	for _, c := range added {
		made.Inputs, in, free = append(made.Inputs, c.Input), in+c.Satoshi, free-c.Satoshi
	}
	if change < 0 {
		change = len(made.Outputs)
		made.Outputs = append(made.Outputs, transaction.Output{Script: n.Change})
	}
	for _, out := range n.Outputs {
		in -= out.Satoshi
	}
	fee, most := n.bounds(&made.Transaction)
	rest := in - fee
	if rest < Dust { // nothing comes back: what is left is a part of the fee
		made.Outputs, made.Fresh, rest = slices.Delete(made.Outputs, change, change+1), false, 0
		least, most := n.bounds(&made.Transaction)
		made.Fee = in
		return made, in >= least && in <= most && n.leaves(added, free)
	}
	made.Outputs[change].Satoshi, made.Fee = rest, fee
	return made, fee <= most && n.leaves(added, free+rest)
}

// leaves reports whether enough is left in the wallet of what coins are taken from.
func (n *Need) leaves(added []Coin, left int64) bool { return len(added) == 0 || left >= n.Reserve }

// bounds returns the least and the highest fee of a transaction. Signatures may turn out a
// little smaller or larger than those that its size was counted with.
func (n *Need) bounds(tx *transaction.Transaction) (least, most int64) {
	size, slack, old := tx.Size(), int64(len(tx.Inputs)), n.Before.Size()
	fee := n.Spent
	for _, out := range n.Before.Outputs {
		fee -= out.Satoshi
	}
	own := relay * (size + slack)
	least = max(n.Rate*size*99/100_000, fee+own, (fee*size+old-1)/old+own)
	return least, n.Most * (size - slack) / 1000
}
