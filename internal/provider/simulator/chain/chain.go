// Package chain is the sandbox's blockchains: they do to payments everything that real
// ones do, when they are told to. A payment waits for a block, is replaced by another one,
// is forgotten, is confirmed, and is undone by a reorganisation; a chain stops answering.
//
// Every address has blocks of its own, so that what one customer tries out confirms
// nobody else's payments. All of it is in the database: a server that is started again
// goes on with the same chains.
//
// It must never be asked for the live realm.
package chain

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// Chain is one simulated chain. It is safe for concurrent use, by several processes too.
type Chain struct {
	db   *storage.DB
	name asset.Chain
}

// New returns a chain that lives in db.
func New(db *storage.DB, name asset.Chain) *Chain { return &Chain{db, name} }

// Sent asks for a payment.
type Sent struct {
	Address string
	Amount  asset.Amount
	// TxID is the transaction that it is one more output of; empty: a new one.
	TxID string
	// Confirmations are how many blocks follow at once; 0: it waits for one.
	Confirmations int64
}

// The bounds of a simulation.
const (
	maxBlocks  = 100_000
	maxAddress = 128
	maxIndex   = 1_000
	pageLimit  = 100
)

// Pay sends an amount to an address. It returns invalid_request for what cannot be sent.
func (c *Chain) Pay(ctx context.Context, s Sent) (deposit.Payment, error) {
	switch {
	case s.Amount.Asset.Chain() != c.name:
		return deposit.Payment{}, fault.New(fault.InvalidRequest, "%s is not on %s", s.Amount.Asset, c.name).At("asset")
	case s.Address == "" || len(s.Address) > maxAddress:
		return deposit.Payment{}, fault.New(fault.InvalidRequest, "want an address").At("address")
	case s.Confirmations < 0 || s.Confirmations > maxBlocks:
		return deposit.Payment{}, fault.New(fault.InvalidRequest, "want 0 to %d confirmations", maxBlocks).At("confirmations")
	}
	p := row{Payment: deposit.Payment{Chain: c.name, TxID: s.TxID}, address: s.Address, amount: s.Amount}
	err := c.change(ctx, func(ctx context.Context, t *turn) error {
		if err := t.add(ctx, &p); err != nil {
			return err
		}
		return t.mine(ctx, s.Address, s.Confirmations)
	})
	if err != nil {
		return deposit.Payment{}, fmt.Errorf("pay: %w", err)
	}
	return p.Payment, nil
}

// Mine makes blocks: what waits for one to an address is in the first of them.
func (c *Chain) Mine(ctx context.Context, address string, blocks int64) error {
	if blocks < 1 || blocks > maxBlocks {
		return fault.New(fault.InvalidRequest, "want 1 to %d blocks", maxBlocks)
	}
	return c.change(ctx, func(ctx context.Context, t *turn) error { return t.mine(ctx, address, blocks) })
}

// Replace spends the money of a payment that is in no block in another way: as another
// amount, to the same address or another one. It returns invalid_state for a payment that
// is in a block, or gone.
func (c *Chain) Replace(ctx context.Context, old deposit.Payment, with Sent) (deposit.Payment, error) {
	p := row{Payment: deposit.Payment{Chain: c.name, TxID: newTxID(c.name)}, address: with.Address, amount: with.Amount}
	err := c.change(ctx, func(ctx context.Context, t *turn) error {
		before, err := t.waiting(ctx, old)
		if err != nil {
			return err
		}
		before.gone, before.replacedBy = true, p.TxID
		if err := t.save(ctx, before); err != nil {
			return err
		}
		return t.add(ctx, &p)
	})
	if err != nil {
		return deposit.Payment{}, fmt.Errorf("replace payment: %w", err)
	}
	return p.Payment, nil
}

// Drop has the chain forget a payment that is in no block; invalid_state for another.
func (c *Chain) Drop(ctx context.Context, old deposit.Payment) error {
	return c.change(ctx, func(ctx context.Context, t *turn) error {
		p, err := t.waiting(ctx, old)
		if err != nil {
			return err
		}
		p.gone = true
		return t.save(ctx, p)
	})
}

// Return has a payment that is gone wait for a block again; invalid_state for another.
func (c *Chain) Return(ctx context.Context, old deposit.Payment) error {
	return c.change(ctx, func(ctx context.Context, t *turn) error {
		p, err := t.find(ctx, old)
		if err != nil {
			return err
		}
		if !p.gone {
			return fault.New(fault.InvalidState, "the payment is not gone")
		}
		p.gone, p.replacedBy = false, ""
		return t.save(ctx, p)
	})
}

// Reorganise undoes the newest blocks of an address: what was in them waits again or, if
// it is lost, is gone, because other blocks spent its money otherwise.
func (c *Chain) Reorganise(ctx context.Context, address string, blocks int64, lost bool) error {
	if blocks < 1 {
		return fault.New(fault.InvalidRequest, "want at least one block")
	}
	return c.change(ctx, func(ctx context.Context, t *turn) error {
		height, err := t.height(ctx, address)
		if err != nil {
			return err
		}
		left := max(height-blocks, 0)
		undone, err := storage.All(ctx, t.tx, scanRow, listAbove, string(c.name), address, left)
		if err != nil {
			return err
		}
		for _, p := range undone {
			p.block, p.gone = 0, lost
			if err := t.save(ctx, p); err != nil {
				return err
			}
		}
		_, err = t.tx.Exec(ctx, saveHeight, string(c.name), address, left)
		return err
	})
}

// Stall has the chain answer nobody, or answer again.
func (c *Chain) Stall(ctx context.Context, stalled bool) error {
	flag := int64(0)
	if stalled {
		flag = 1
	}
	return c.change(ctx, func(ctx context.Context, t *turn) error {
		_, err := t.tx.Exec(ctx, saveStalled, string(c.name), flag)
		return err
	})
}

// Seen implements deposit.Chain.
func (c *Chain) Seen(ctx context.Context, after string) (deposit.Page, error) {
	from := int64(0)
	if after != "" {
		n, err := strconv.ParseInt(after, 10, 64)
		if err != nil {
			return deposit.Page{}, fault.New(fault.InvalidCursor, "%q is no place in a chain", after)
		}
		from = n
	}
	page := deposit.Page{Next: after}
	err := c.db.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		if err := c.answers(ctx, q); err != nil {
			return err
		}
		found, err := storage.All(ctx, q, scanSighting, listChanges, string(c.name), from, pageLimit)
		if err != nil {
			return err
		}
		page.More = len(found) == pageLimit
		for _, f := range found {
			page.Sightings = append(page.Sightings, f.Sighting)
			page.Next = strconv.FormatInt(f.change, 10)
		}
		return nil
	})
	return page, err
}

// Look implements deposit.Chain.
func (c *Chain) Look(ctx context.Context, payments []deposit.Payment) ([]deposit.Sighting, error) {
	values := make([][]any, len(payments))
	for i, p := range payments {
		values[i] = []any{p.TxID, p.Index}
	}
	var all []deposit.Sighting
	err := c.db.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		if err := c.answers(ctx, q); err != nil {
			return err
		}
		found, err := storage.AllOf(ctx, q, scanSighting, lookUp, values, string(c.name))
		for _, f := range found {
			all = append(all, f.Sighting)
		}
		return err
	})
	return all, err
}

// answers returns unavailable for a chain that is stalled.
func (c *Chain) answers(ctx context.Context, q storage.Queryer) error {
	stalled, _, err := storage.One(ctx, q, storage.Scalar[int64], findStalled, string(c.name))
	if err == nil && stalled == 1 {
		err = fault.New(fault.Unavailable, "%s does not answer", c.name)
	}
	return err
}

// Payments returns what was sent to an address, the hundred that changed last, in order.
func (c *Chain) Payments(ctx context.Context, address string) ([]deposit.Sighting, error) {
	found, err := storage.All(ctx, c.db, scanSighting, listPayments, string(c.name), address, pageLimit)
	all := make([]deposit.Sighting, 0, len(found))
	for _, f := range found {
		all = append(all, f.Sighting)
	}
	slices.Reverse(all)
	return all, err
}
