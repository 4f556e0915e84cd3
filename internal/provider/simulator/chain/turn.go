package chain

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// turn is one change of a chain, whose row is locked meanwhile: changes are numbered in the
// order in which others see them.
type turn struct {
	tx      *storage.Tx
	chain   asset.Chain
	changes int64
}

// change runs a change of the chain in one transaction.
func (c *Chain) change(ctx context.Context, do func(context.Context, *turn) error) error {
	return c.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.Exec(ctx, addChain, string(c.name)); err != nil {
			return err
		}
		changes, _, err := storage.One(ctx, tx, storage.Scalar[int64], lockChain, string(c.name))
		if err != nil {
			return err
		}
		t := &turn{tx: tx, chain: c.name, changes: changes}
		if err := do(ctx, t); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, saveChanges, string(c.name), t.changes)
		return err
	})
}

// add puts a payment among those that wait for a block. It gives it a place in its
// transaction, and a transaction if it has none.
func (t *turn) add(ctx context.Context, p *row) error {
	p.Index = 0
	if p.TxID == "" {
		p.TxID = newTxID(t.chain)
	} else {
		next, _, err := storage.One(ctx, t.tx, storage.Scalar[int64], nextIndex, string(t.chain), p.TxID)
		if err != nil {
			return err
		}
		if next > maxIndex {
			return fault.New(fault.InvalidRequest, "the transaction is full")
		}
		p.Index = next
	}
	t.changes++
	return t.tx.Apply(ctx, []storage.Effect{insertPayment.Row(string(t.chain), p.TxID, p.Index, string(p.amount.Asset), p.address, p.amount.Units(),
		p.block, int64(0), "", t.changes)})
}

// mine makes blocks for an address.
func (t *turn) mine(ctx context.Context, address string, blocks int64) error {
	if blocks == 0 {
		return nil
	}
	height, err := t.height(ctx, address)
	if err != nil {
		return err
	}
	waiting, err := storage.All(ctx, t.tx, scanRow, listWaiting, string(t.chain), address)
	if err != nil {
		return err
	}
	for _, p := range waiting {
		p.block = height + 1
		if err := t.save(ctx, p); err != nil {
			return err
		}
	}
	_, err = t.tx.Exec(ctx, saveHeight, string(t.chain), address, height+blocks)
	return err
}

func (t *turn) height(ctx context.Context, address string) (int64, error) {
	height, _, err := storage.One(ctx, t.tx, storage.Scalar[int64], findHeight, string(t.chain), address)
	return height, err
}

func (t *turn) find(ctx context.Context, p deposit.Payment) (row, error) {
	found, ok, err := storage.One(ctx, t.tx, scanRow, findPayment, string(t.chain), p.TxID, p.Index)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "there is no such payment")
	}
	return found, err
}

// waiting finds a payment that is in no block.
func (t *turn) waiting(ctx context.Context, p deposit.Payment) (row, error) {
	found, err := t.find(ctx, p)
	if err == nil && (found.gone || found.block > 0) {
		err = fault.New(fault.InvalidState, "the payment does not wait for a block")
	}
	return found, err
}

func (t *turn) save(ctx context.Context, p row) error {
	t.changes++
	gone := int64(0)
	if p.gone {
		gone = 1
	}
	return t.tx.Apply(ctx, []storage.Effect{savePayment.With(string(t.chain), p.TxID, p.Index, p.block, gone, p.replacedBy, t.changes).Exactly(1)})
}

// newTxID returns a name as the chain gives its transactions.
func newTxID(c asset.Chain) string {
	text := []byte(id.New("tx"))
	switch c {
	case asset.Solana: // a signature
		sum := sha512.Sum512(text)
		return base58.Encode(sum[:])
	case asset.Ethereum:
		sum := sha256.Sum256(text)
		return "0x" + hex.EncodeToString(sum[:])
	case asset.Bitcoin, asset.Monero:
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
