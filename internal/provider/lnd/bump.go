package lnd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/payout/replacement"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Bump implements payout.Wallet: it takes the higher fee from the change and, where that is
// too little, from confirmed coins of the wallet, which it leases for as long as those of a
// new transaction are. Coins that the node keeps for closing channels stay.
func (w Wallet) Bump(ctx context.Context, raw []byte, o payout.Order) (payout.Signed, error) {
	if err := w.ready(ctx); err != nil {
		return payout.Signed{}, err
	}
	p, need, err := w.need(ctx, raw, o)
	if err != nil {
		return payout.Signed{}, err
	}
	made, err := need.Make()
	if fault.CodeOf(err) == fault.InsufficientFunds { // the change alone is too little
		if need.Coins, err = w.coins(ctx); err != nil {
			return payout.Signed{}, err
		}
		b, failed := w.balance(ctx)
		if failed != nil {
			return payout.Signed{}, failed
		}
		need.Reserve = b.Reserved
		made, err = need.Make()
	}
	if err != nil {
		return payout.Signed{}, err
	}
	p.tx = made.Transaction
	for _, c := range made.Added {
		p.spent = append(p.spent, c.Output)
	}
	return w.raise(ctx, &p, made)
}

// need returns what the replacement of a transaction needs, and its packet so far: what its
// inputs spend.
func (w Wallet) need(ctx context.Context, raw []byte, o payout.Order) (p packet, need replacement.Need, err error) {
	if p.tx, err = transaction.Parse(raw); err != nil {
		return p, need, err
	}
	need = replacement.Need{Before: p.tx, Outputs: o.Outputs, Rate: o.Rate, Most: o.Most, Change: anyChange()}
	for _, in := range p.tx.Inputs {
		out, err := w.output(ctx, in)
		if err != nil {
			return p, need, err
		}
		p.spent = append(p.spent, out)
		need.Spent += out.Satoshi
	}
	return p, need, nil
}

// anyChange is as long as the script of a change that the wallet makes.
func anyChange() []byte { return append([]byte{0x51, 32}, make([]byte, 32)...) }

// raise leases the coins that are added to a transaction, and has it signed. Where it cannot
// be, they are given back.
func (w Wallet) raise(ctx context.Context, p *packet, made replacement.Made) (signed payout.Signed, err error) {
	leases, err := w.lease(ctx, made.Added)
	if err == nil && made.Fresh {
		p.tx.Outputs = slices.Clone(p.tx.Outputs)
		p.tx.Outputs[len(p.tx.Outputs)-1].Script, err = w.change(ctx)
	}
	if err == nil {
		signed, err = w.sign(ctx, p)
	}
	if err != nil {
		_ = w.release(context.WithoutCancel(ctx), leases) // they are free after a while, too
		return payout.Signed{}, err
	}
	if len(leases) > 0 {
		signed.Release = func(ctx context.Context) error { return w.release(ctx, leases) }
	}
	return signed, nil
}

// change returns the script of a fresh address of the wallet's for change.
func (w Wallet) change(ctx context.Context) ([]byte, error) {
	var answer struct {
		Address string `json:"addr"`
	}
	if err := w.client.post(ctx, "/v2/wallet/address/next", map[string]any{"type": "TAPROOT_PUBKEY", "change": true}, &answer); err != nil {
		return nil, plain(err)
	}
	to, err := destination.ParseAddress(w.config.Network, answer.Address)
	if err != nil || to.Kind != destination.P2TR {
		return nil, unavailable("the node's address for change is not what was asked for")
	}
	return to.Script(), nil
}

// output returns what an input spends. It is in a transaction that paid the wallet.
func (w Wallet) output(ctx context.Context, in transaction.Input) (transaction.Output, error) {
	found, known, err := w.transaction(ctx, in.TxID)
	if err != nil {
		return transaction.Output{}, err
	}
	if !known {
		return transaction.Output{}, unavailable("the node does not know a coin that it spent")
	}
	tx, err := found.parse()
	if err != nil {
		return transaction.Output{}, err
	}
	if tx.ID() != in.TxID || uint64(in.Index) >= uint64(len(tx.Outputs)) {
		return transaction.Output{}, unavailable("the node answers with another transaction than it was asked for")
	}
	return tx.Outputs[in.Index], nil
}

// outpoint is how the node names a coin.
type outpoint struct {
	TxID  string `json:"txid_str"`
	Index uint32 `json:"output_index"`
}

// coins returns the wallet's own coins that are confirmed, and that nobody has leased.
func (w Wallet) coins(ctx context.Context) ([]replacement.Coin, error) {
	var answer struct {
		Coins []struct {
			Satoshi       int64    `json:"amount_sat,string"`
			Script        string   `json:"pk_script"`
			Outpoint      outpoint `json:"outpoint"`
			Confirmations int64    `json:"confirmations,string"`
		} `json:"utxos"`
	}
	if err := w.client.post(ctx, "/v2/wallet/utxos", map[string]any{"min_confs": 1, "account": "default"}, &answer); err != nil {
		return nil, plain(err)
	}
	var all []replacement.Coin
	for _, c := range answer.Coins {
		script, err := hex.DecodeString(c.Script)
		if err != nil || c.Satoshi <= 0 || len(c.Outpoint.TxID) != 64 {
			return nil, unavailable("the node's coins cannot be read")
		}
		in, ok := sample(script)
		if !ok || c.Confirmations < 1 {
			continue
		}
		in.TxID, in.Index = c.Outpoint.TxID, c.Outpoint.Index
		all = append(all, replacement.Coin{Input: in, Output: transaction.Output{Satoshi: c.Satoshi, Script: script}})
	}
	return all, nil
}

// The sizes of what inputs are signed with, in bytes.
const (
	schnorrSize = 64
	ecdsaSize   = 72
	keySize     = 33
)

// sample returns an input as large as one that spends a script is when it is signed, for the
// kinds of scripts that the wallet has of its own.
func sample(script []byte) (transaction.Input, bool) {
	in := transaction.Input{Sequence: replaceable, Witness: [][]byte{make([]byte, ecdsaSize), make([]byte, keySize)}}
	switch {
	case isTaproot(script):
		in.Witness = [][]byte{make([]byte, schnorrSize)}
	case len(script) == 22 && script[0] == 0 && script[1] == 20:
	default:
		return in, false
	}
	return in, true
}

// lease is a coin that nobody else can spend for a while.
type lease struct {
	ID       []byte   `json:"id"`
	Outpoint outpoint `json:"outpoint"`
}

// lease keeps coins from being spent by anybody else. It keeps all of them or none, and
// returns unavailable where somebody was quicker: there are others the next time.
func (w Wallet) lease(ctx context.Context, coins []replacement.Coin) ([]lease, error) {
	id := make([]byte, 32)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	var all []lease
	for _, c := range coins {
		l := lease{id, outpoint{c.TxID, c.Index}}
		var answer struct{}
		err := w.client.post(ctx, "/v2/wallet/utxos/lease", struct {
			lease
			Seconds int64 `json:"expiration_seconds,string"`
		}{l, lockTime}, &answer)
		if err != nil {
			return append(all, l), plain(err) // whether or not it has the last one
		}
		all = append(all, l)
	}
	return all, nil
}

// release gives leased coins back. It tries all of them.
func (w Wallet) release(ctx context.Context, leases []lease) (failed error) {
	for _, l := range leases {
		var answer struct{}
		if err := w.client.post(ctx, "/v2/wallet/utxos/release", l, &answer); err != nil {
			failed = plain(err)
		}
	}
	return failed
}
