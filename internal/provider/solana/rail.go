package solana

import (
	"context"
	"encoding/base64"
	"encoding/binary"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

var (
	_ deposit.Surveyor = (*Chain)(nil)
	_ deposit.Holder   = (*Chain)(nil)
)

// Tip implements deposit.Surveyor. Heights are slots: the newest that most validators voted for.
func (c *Chain) Tip(ctx context.Context) (int64, error) {
	now, err := c.now(ctx)
	return int64(now.confirmed), err
}

// Height implements deposit.Surveyor.
func (c *Chain) Height(place string) (int64, error) {
	slot, ok := parsePlace(place)
	if !ok {
		return 0, call.Refuse("after", "%q is no place of this chain", place)
	}
	return int64(slot), nil
}

// Before implements deposit.Surveyor.
func (c *Chain) Before(_ context.Context, height int64) (string, error) {
	return placeOf(uint64(max(height-1, 0))), nil
}

// Holdings implements deposit.Holder: what cannot be given up any more of both accounts.
func (c *Chain) Holdings(ctx context.Context, addresses []string) ([]deposit.Holding, error) {
	if _, err := c.now(ctx); err != nil {
		return nil, err
	}
	var all []deposit.Holding
	for len(addresses) > 0 {
		some := addresses[:min(len(addresses), perLook)]
		addresses = addresses[len(some):]
		found, err := c.holdings(ctx, some)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (c *Chain) holdings(ctx context.Context, addresses []string) ([]deposit.Holding, error) {
	keys := make([]string, 0, 2*len(addresses))
	for _, a := range addresses {
		token, err := associated(a, c.config.Mint)
		if err != nil {
			return nil, err
		}
		keys = append(keys, a, token)
	}
	accounts, _, err := c.accounts(ctx, keys, finalized)
	if err != nil {
		return nil, err
	}
	var all []deposit.Holding
	for i, a := range accounts {
		switch {
		case a == nil:
		case i%2 == 0:
			all = append(all, deposit.Holding{Address: keys[i], Amount: asset.New(a.Lamports, asset.SOL)})
		case a.Owner == tokenProgram:
			units, err := a.units()
			if err != nil {
				return nil, err
			}
			all = append(all, deposit.Holding{Address: keys[i-1], Amount: asset.New(units, asset.USDTSOL)})
		}
	}
	return all, nil
}

// units is what an account of a token holds.
func (a *shownAccount) units() (uint64, error) {
	if len(a.Data) == 0 {
		return 0, unavailable("the node does not tell what an account of a token holds")
	}
	raw, err := base64.StdEncoding.DecodeString(a.Data[0])
	if err != nil || len(raw) != amountLength {
		return 0, unavailable("the node does not tell what an account of a token holds")
	}
	return binary.LittleEndian.Uint64(raw), nil
}
