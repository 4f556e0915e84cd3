package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/replacement"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	maxInputs = 100
	lockTime  = 10 * time.Minute // as real wallets have it
	dust      = 294
	opReturn  = 0x6a
)

// Wallet is the node's wallet, as payouts want it.
type Wallet struct{ *Node }

// change is the script that the wallet pays itself with.
func change() []byte {
	sum := sha256.Sum256([]byte("scrip sandbox: change"))
	return append([]byte{0, 20}, sum[:20]...)
}

// Fund gives the wallet a coin, in a block of its own.
func (n *Node) Fund(ctx context.Context, satoshi int64) error {
	if satoshi <= 0 {
		return fault.New(fault.InvalidRequest, "want more than nothing")
	}
	return n.change(ctx, func(ctx context.Context, t *turn) error { return t.fund(ctx, satoshi) })
}

// Fill has the node own that much: the channels can send it, and the wallet gets it as a coin
// where it has less. It is done once, whoever else asks for it at the same time, in whatever
// mood the node is.
func (n *Node) Fill(ctx context.Context, satoshi int64) error {
	return n.change(ctx, func(ctx context.Context, t *turn) error {
		t.channels = satoshi
		sums, _, err := storage.One(ctx, t.tx, scanSums, sumCoins, n.name, storage.Micros(n.clock.Now()))
		if err != nil || sums[0] >= satoshi {
			return err
		}
		return t.fund(ctx, satoshi)
	})
}

func (t *turn) fund(ctx context.Context, satoshi int64) error {
	t.made++
	sum := sha256.Sum256(fmt.Appendf(nil, "scrip sandbox: coin %d of %s", t.made, t.node.name))
	t.height++
	k := known{txid: hex.EncodeToString(sum[:]), raw: []byte{}, place: inBlock, block: t.height, sentAt: t.node.clock.Now()}
	c := coin{txid: k.txid, satoshi: satoshi}
	return t.tx.Apply(ctx, []storage.Effect{upsertTransaction.Row(k.row(t.node.name)...), upsertCoin.Row(c.row(t.node.name)...)})
}

// Build implements payout.Wallet.
func (w Wallet) Build(ctx context.Context, o payout.Order) (signed payout.Signed, err error) {
	err = w.call(ctx, func(ctx context.Context, t *turn, mood Mood) error {
		if mood == Refusing {
			return poor()
		}
		signed, err = t.build(ctx, o, mood)
		return err
	})
	return signed, err
}

// Bump implements payout.Wallet.
func (w Wallet) Bump(ctx context.Context, raw []byte, o payout.Order) (signed payout.Signed, err error) {
	err = w.call(ctx, func(ctx context.Context, t *turn, mood Mood) error {
		before, err := transaction.Parse(raw)
		if err != nil {
			return err
		}
		if mood == Refusing {
			return poor()
		}
		signed, err = t.bump(ctx, before, o, mood)
		return err
	})
	return signed, err
}

func poor() error { return fault.New(fault.InsufficientFunds, "the wallet has not enough") }

// free returns the coins that can be spent.
func (t *turn) free(ctx context.Context) ([]coin, error) {
	return storage.All(ctx, t.tx, scanCoin, listCoins, t.node.name, storage.Micros(t.node.clock.Now()), maxInputs)
}

// build makes a transaction of coins that are confirmed, as many as are needed.
func (t *turn) build(ctx context.Context, o payout.Order, mood Mood) (payout.Signed, error) {
	free, err := t.free(ctx)
	if err != nil {
		return payout.Signed{}, err
	}
	t.made++
	tx := transaction.Transaction{Version: 2, LockTime: uint32(t.made), Outputs: append(slices.Clone(o.Outputs), transaction.Output{Satoshi: dust, Script: change()})}
	rest := int64(0)
	for _, out := range o.Outputs {
		rest -= out.Satoshi
	}
	for i, c := range free {
		tx.Inputs, rest = append(tx.Inputs, spend(c)), rest+c.satoshi
		fee := (tx.Size()*o.Rate + 999) / 1000
		if rest-fee >= dust {
			tx.Outputs[len(tx.Outputs)-1].Satoshi = rest - fee
			return t.sign(ctx, mood.take(tx), fee, free[:i+1])
		}
		all := tx
		all.Outputs = tx.Outputs[:len(o.Outputs)] // nothing comes back
		if size := all.Size(); rest*1000 >= o.Rate*size && rest*1000 <= o.Most*size {
			return t.sign(ctx, mood.take(all), rest, free[:i+1])
		}
	}
	return payout.Signed{}, poor()
}

// bump makes a transaction that replaces another.
func (t *turn) bump(ctx context.Context, before transaction.Transaction, o payout.Order, mood Mood) (payout.Signed, error) {
	free, err := t.free(ctx)
	if err != nil {
		return payout.Signed{}, err
	}
	need := replacement.Need{Before: before, Outputs: o.Outputs, Rate: o.Rate, Most: o.Most, Change: change()}
	var used []coin
	for _, in := range before.Inputs {
		c, found, err := storage.One(ctx, t.tx, scanCoin, findCoin, t.node.name, in.TxID, int64(in.Index))
		if err != nil {
			return payout.Signed{}, err
		}
		if !found {
			return payout.Signed{}, fault.New(fault.InsufficientFunds, "a coin is gone")
		}
		used, need.Spent = append(used, c), need.Spent+c.satoshi
	}
	for _, c := range free {
		need.Coins = append(need.Coins, replacement.Coin{Input: spend(c), Output: transaction.Output{Satoshi: c.satoshi, Script: change()}})
	}
	made, err := need.Make()
	if err != nil {
		return payout.Signed{}, err
	}
	for _, added := range made.Added {
		used = append(used, coin{txid: added.TxID, index: int64(added.Index), satoshi: added.Satoshi})
	}
	return t.sign(ctx, mood.take(made.Transaction), made.Fee, used)
}

// take is a transaction as a node in this mood makes it: one that lies pays somebody else.
func (m Mood) take(tx transaction.Transaction) transaction.Transaction {
	if m == Lying {
		tx.Outputs = slices.Clone(tx.Outputs)
		tx.Outputs[0].Script = []byte{opReturn}
	}
	return tx
}

// sign finishes a transaction and keeps its coins from being spent by another one for a while.
func (t *turn) sign(ctx context.Context, tx transaction.Transaction, fee int64, used []coin) (payout.Signed, error) {
	until := storage.Micros(t.node.clock.Now().Add(lockTime))
	var effects []storage.Effect
	for _, c := range used {
		c.locked = until
		effects = append(effects, upsertCoin.Row(c.row(t.node.name)...))
	}
	release := func(ctx context.Context) error { return t.node.release(ctx, used, until) }
	return payout.Signed{Raw: tx.Bytes(), Fee: fee, Release: release}, t.tx.Apply(ctx, effects)
}

// release frees coins that nobody has locked anew.
func (n *Node) release(ctx context.Context, used []coin, until int64) error {
	return n.change(ctx, func(ctx context.Context, t *turn) error {
		for _, c := range used {
			if _, err := t.tx.Exec(ctx, releaseCoin, n.name, c.txid, c.index, until); err != nil {
				return err
			}
		}
		return nil
	})
}

// spend is an input with a witness of the size of a real one.
func spend(c coin) transaction.Input {
	return transaction.Input{TxID: c.txid, Index: uint32(c.index), Sequence: 0xfffffffd, Witness: [][]byte{make([]byte, 72), make([]byte, 33)}}
}

// Balance implements payout.Wallet.
func (w Wallet) Balance(ctx context.Context) (has, confirmed int64, err error) {
	err = w.call(ctx, func(ctx context.Context, t *turn, _ Mood) error {
		sums, _, err := storage.One(ctx, t.tx, scanSums, sumCoins, w.name, storage.Micros(w.clock.Now()))
		has, confirmed = sums[0], sums[1]
		return err
	})
	return has, confirmed, err
}

// Payments implements payout.Wallet.
func (w Wallet) Payments(ctx context.Context, from, until time.Time) (all []payout.Record, err error) {
	err = w.call(ctx, func(ctx context.Context, t *turn, _ Mood) error {
		sent, err := storage.All(ctx, t.tx, scanKnown, listSent, w.name, storage.Micros(from), storage.Micros(until), payout.MaxRecords)
		all = nil
		for _, k := range sent {
			all = append(all, payout.Record{ID: k.txid, Satoshi: k.paid, Fee: k.fee, At: k.sentAt, Raw: k.raw})
		}
		return err
	})
	return all, err
}

// Spend sends from the wallet past the payouts, as somebody at its keyboard does.
func (n *Node) Spend(ctx context.Context, satoshi int64) (txid string, err error) {
	signed, err := Wallet{n}.Build(ctx, payout.Order{Rate: 1000, Outputs: []transaction.Output{{Satoshi: satoshi, Script: binary.BigEndian.AppendUint32([]byte{opReturn, 4}, 1)}}})
	if err != nil {
		return "", err
	}
	tx, err := transaction.Parse(signed.Raw)
	if err != nil {
		return "", err
	}
	return tx.ID(), Chain{n}.Publish(ctx, signed.Raw)
}
