package chain

import (
	"context"
	"math/big"
	"strconv"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

var (
	_ deposit.Surveyor = (*Chain)(nil)
	_ deposit.Holder   = (*Chain)(nil)
)

// Tip implements deposit.Surveyor. Heights of a simulated chain are numbers of changes: its
// blocks are each address's own.
func (c *Chain) Tip(ctx context.Context) (changes int64, err error) {
	if err := c.answers(ctx, c.db); err != nil {
		return 0, err
	}
	changes, _, err = storage.One(ctx, c.db, storage.Scalar[int64], findChanges, string(c.name))
	return changes, err
}

// Height implements deposit.Surveyor.
func (c *Chain) Height(place string) (int64, error) {
	n, err := strconv.ParseInt(place, 10, 64)
	if err != nil {
		return 0, fault.New(fault.InvalidCursor, "%q is no place in a chain", place)
	}
	return n, nil
}

// Before implements deposit.Surveyor.
func (c *Chain) Before(_ context.Context, height int64) (string, error) {
	return strconv.FormatInt(height-1, 10), nil
}

// Holdings implements deposit.Holder: everything that is in a block.
func (c *Chain) Holdings(ctx context.Context, addresses []string) ([]deposit.Holding, error) {
	if err := c.answers(ctx, c.db); err != nil {
		return nil, err
	}
	values := make([][]any, len(addresses))
	for i, text := range addresses {
		values[i] = []any{text}
	}
	found, err := storage.AllOf(ctx, c.db, scanRow, listHeld, values, string(c.name))
	if err != nil {
		return nil, err
	}
	type key struct {
		address string
		of      asset.Asset
	}
	sums := map[key]*big.Int{}
	for _, p := range found {
		k := key{p.address, p.amount.Asset}
		if sums[k] == nil {
			sums[k] = new(big.Int)
		}
		sums[k].Add(sums[k], p.amount.Big())
	}
	all := make([]deposit.Holding, 0, len(sums))
	for k, sum := range sums {
		m, err := asset.FromBig(sum, k.of)
		if err != nil {
			return nil, err
		}
		all = append(all, deposit.Holding{Address: k.address, Amount: m})
	}
	return all, nil
}
