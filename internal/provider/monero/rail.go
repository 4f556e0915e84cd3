package monero

import (
	"context"
	"math/bits"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

var (
	_ deposit.Surveyor = (*Chain)(nil)
	_ deposit.Holder   = (*Chain)(nil)
)

// Tip implements deposit.Surveyor.
func (c *Chain) Tip(ctx context.Context) (int64, error) {
	now, err := c.tip(ctx)
	return now.height, err
}

// Height implements deposit.Surveyor.
func (c *Chain) Height(place string) (int64, error) {
	at, ok := parsePlace(place)
	if !ok {
		return 0, fault.New(fault.InvalidRequest, "%q is no place of this chain", place).At("after")
	}
	return at.height, nil
}

// Before implements deposit.Surveyor.
func (c *Chain) Before(ctx context.Context, height int64) (string, error) {
	b, err := c.at(ctx, height-1)
	return b.place(), err
}

// Holdings implements deposit.Holder: everything that was ever paid and stands in a block. A
// wallet that can only look does not know what was spent of it.
func (c *Chain) Holdings(ctx context.Context, addresses []string) ([]deposit.Holding, error) {
	sums := make(map[string]uint64, len(addresses))
	err := c.steady(ctx, func(now block) error {
		for _, address := range addresses {
			sums[address] = 0
		}
		for from := int64(0); from < now.height; from += span {
			if err := c.sum(ctx, from, min(from+span, now.height), sums); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all := make([]deposit.Holding, len(addresses))
	for i, address := range addresses {
		all[i] = deposit.Holding{Address: address, Amount: asset.New(sums[address], asset.XMR)}
	}
	return all, nil
}

// sum adds what was paid in the blocks above a height and up to another one.
func (c *Chain) sum(ctx context.Context, above, upTo int64, sums map[string]uint64) error {
	var found struct {
		In []transfer `json:"in"`
	}
	err := c.wallet.call(ctx, &found, "get_transfers", map[string]any{"in": true, "account_index": account,
		"filter_by_height": true, "min_height": above, "max_height": upTo})
	if half := above + (upTo-above)/2; call.IsTooLong(err) && half > above {
		if err := c.sum(ctx, above, half, sums); err != nil {
			return err
		}
		return c.sum(ctx, half, upTo, sums)
	}
	if err != nil {
		return c.wallet.told(err, "what was paid")
	}
	for _, t := range found.In {
		before, asked := sums[t.Address]
		if !asked {
			continue
		}
		sum, carry := bits.Add64(before, t.Amount, 0)
		if carry != 0 {
			return unavailable("the wallet contradicts itself about a payment")
		}
		sums[t.Address] = sum
	}
	return nil
}
