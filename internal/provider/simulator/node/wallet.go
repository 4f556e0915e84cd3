package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
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
	return n.change(ctx, func(ctx context.Context, t *turn) error {
		t.made++
		sum := sha256.Sum256(fmt.Appendf(nil, "scrip sandbox: coin %d of %s", t.made, n.name))
		t.height++
		k := known{txid: hex.EncodeToString(sum[:]), raw: []byte{}, place: inBlock, block: t.height, sentAt: n.clock.Now()}
		c := coin{txid: k.txid, satoshi: satoshi}
		return t.tx.Apply(ctx, []storage.Effect{upsertTransaction.Row(k.row(n.name)...), upsertCoin.Row(c.row(n.name)...)})
	})
}

// Build implements payout.Wallet.
func (w Wallet) Build(ctx context.Context, o payout.Order) (signed payout.Signed, err error) {
	err = w.call(ctx, func(ctx context.Context, t *turn, mood Mood) error {
		if mood == Refusing {
			return fault.New(fault.InsufficientFunds, "the wallet has not enough")
		}
		signed, err = t.build(ctx, nil, o, mood)
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
			return fault.New(fault.InsufficientFunds, "the wallet has not enough")
		}
		signed, err = t.build(ctx, before.Inputs, o, mood)
		return err
	})
	return signed, err
}

// build makes a transaction of some inputs, with more of them as they are needed.
func (t *turn) build(ctx context.Context, inputs []transaction.Input, o payout.Order, mood Mood) (payout.Signed, error) {
	free, err := storage.All(ctx, t.tx, scanCoin, listCoins, t.node.name, storage.Micros(t.node.clock.Now()), maxInputs)
	if err != nil {
		return payout.Signed{}, err
	}
	t.made++
	tx := transaction.Transaction{Version: 2, LockTime: uint32(t.made)}
	var used []coin
	var in, out int64
	for _, i := range inputs {
		c, found, err := storage.One(ctx, t.tx, scanCoin, findCoin, t.node.name, i.TxID, int64(i.Index))
		if err != nil {
			return payout.Signed{}, err
		}
		if !found {
			return payout.Signed{}, fault.New(fault.InsufficientFunds, "a coin is gone")
		}
		used = append(used, c)
	}
	for _, each := range o.Outputs {
		out += each.Satoshi
	}
	for i := 0; ; i++ {
		tx.Inputs, in = nil, 0
		for _, c := range used {
			tx.Inputs, in = append(tx.Inputs, spend(c)), in+c.satoshi
		}
		tx.Outputs = append(append([]transaction.Output{}, o.Outputs...), transaction.Output{Satoshi: dust, Script: change()})
		fee := (tx.Size()*o.Rate + 999) / 1000
		if rest := in - out - fee; len(used) > 0 && rest >= dust {
			tx.Outputs[len(tx.Outputs)-1].Satoshi = rest
			if mood == Lying {
				tx.Outputs[0].Script = []byte{opReturn}
			}
			return payout.Signed{Raw: tx.Bytes(), Fee: fee}, t.lock(ctx, used)
		}
		if i >= len(free) {
			return payout.Signed{}, fault.New(fault.InsufficientFunds, "the wallet has not enough")
		}
		used = append(used, free[i])
	}
}

// lock keeps coins from being spent by another transaction for a while.
func (t *turn) lock(ctx context.Context, used []coin) error {
	var effects []storage.Effect
	for _, c := range used {
		c.locked = storage.Micros(t.node.clock.Now().Add(lockTime))
		effects = append(effects, upsertCoin.Row(c.row(t.node.name)...))
	}
	return t.tx.Apply(ctx, effects)
}

// spend is an input with a witness of the size of a real one.
func spend(c coin) transaction.Input {
	return transaction.Input{TxID: c.txid, Index: uint32(c.index), Sequence: 0xfffffffd, Witness: [][]byte{make([]byte, 72), make([]byte, 33)}}
}

// Balance implements payout.Wallet.
func (w Wallet) Balance(ctx context.Context) (sum int64, err error) {
	err = w.call(ctx, func(ctx context.Context, t *turn, _ Mood) error {
		sum, _, err = storage.One(ctx, t.tx, storage.Scalar[int64], sumCoins, w.name)
		return err
	})
	return sum, err
}

// Payments implements payout.Wallet.
func (w Wallet) Payments(ctx context.Context, from, until time.Time) (all []payout.Record, err error) {
	err = w.call(ctx, func(ctx context.Context, t *turn, _ Mood) error {
		sent, err := storage.All(ctx, t.tx, scanKnown, listSent, w.name, storage.Micros(from), storage.Micros(until), payout.MaxRecords)
		all = nil
		for _, k := range sent {
			all = append(all, payout.Record{ID: k.txid, Satoshi: k.paid, Fee: k.fee, At: k.sentAt})
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
