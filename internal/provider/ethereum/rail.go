package ethereum

import (
	"context"
	"math/big"
	"strings"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

var (
	_ deposit.Surveyor = (*Chain)(nil)
	_ deposit.Holder   = (*Chain)(nil)
)

// Tip implements deposit.Surveyor.
func (c *Chain) Tip(ctx context.Context) (int64, error) {
	end, err := c.tip(ctx)
	return end.height, err
}

// Height implements deposit.Surveyor.
func (c *Chain) Height(place string) (int64, error) {
	at, err := parsePlace(place)
	return at.height, err
}

// Before implements deposit.Surveyor.
func (c *Chain) Before(ctx context.Context, number int64) (string, error) {
	h, err := c.at(ctx, number-1)
	return place{number - 1, h.Hash, number - 1}.String(), err
}

// callBalance is the first four bytes of balanceOf(address).
const callBalance = "0x70a08231"

// Holdings implements deposit.Holder: the balances at the chain's end.
func (c *Chain) Holdings(ctx context.Context, addresses []string) ([]deposit.Holding, error) {
	if _, err := c.tip(ctx); err != nil {
		return nil, err
	}
	const latest = "latest"
	var queries []call.Query
	for _, address := range addresses {
		argument := strings.Repeat("0", wordDigits-addressDigits) + strings.ToLower(strings.TrimPrefix(address, "0x"))
		queries = append(queries, ask("eth_getBalance", address, latest),
			ask("eth_call", map[string]string{"to": c.config.Token, "data": callBalance + argument}, latest))
	}
	answers, err := c.node.All(ctx, queries, batch)
	if err != nil {
		return nil, err
	}
	var all []deposit.Holding
	for i := range answers {
		if i%2 == 1 && isEmpty(&answers[i]) {
			continue // there is no such contract on a chain of one's own: nobody has its token
		}
		units, err := readQuantity(&answers[i])
		if err != nil {
			return nil, told(err)
		}
		all = held(all, addresses[i/2], units, [2]asset.Asset{asset.ETH, asset.USDTERC20}[i%2])
	}
	return all, nil
}

// isEmpty reports whether what was called has no code.
func isEmpty(answer *call.Reply) bool {
	var text string
	found, err := answer.Read(&text)
	return err == nil && found && text == "0x"
}

// held adds what an address has, if it has something.
func held(all []deposit.Holding, address string, units *big.Int, a asset.Asset) []deposit.Holding {
	if m, ok := amount(units, a); ok {
		all = append(all, deposit.Holding{Address: address, Amount: m})
	}
	return all
}
