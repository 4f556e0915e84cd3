package ethereum

import (
	"context"
	"strings"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// Look implements deposit.Chain. Of what is gone, and of ether, whose transaction says
// everything, it says neither address nor amount.
func (c *Chain) Look(ctx context.Context, payments []deposit.Payment) ([]deposit.Sighting, error) {
	end, err := c.tip(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	reached := c.reached
	c.mu.Unlock()
	if end.height < reached {
		return nil, deposit.Behind(end.height, reached)
	}
	queries := make([]call.Query, len(payments))
	for i, p := range payments {
		if block, _, hidden := strings.Cut(p.TxID, between); hidden {
			queries[i] = ask("eth_getBlockByHash", block, false)
		} else {
			queries[i] = ask("eth_getTransactionReceipt", p.TxID)
		}
	}
	answers, err := c.node.All(ctx, queries, wide)
	if err != nil {
		return nil, err
	}
	all := make([]deposit.Sighting, len(payments))
	for i, p := range payments {
		judge := c.judge
		if strings.Contains(p.TxID, between) {
			judge = c.judgeHidden
		}
		if all[i], err = judge(ctx, p, &answers[i], end); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// judge says what a payment is by the receipt of its transaction.
func (c *Chain) judge(ctx context.Context, p deposit.Payment, answer *call.Reply, end tip) (deposit.Sighting, error) {
	var r receipt
	found, err := answer.Read(&r)
	switch {
	case err != nil:
		return deposit.Sighting{}, told(err)
	case !found:
		return c.waits(ctx, p, end)
	case !r.succeeded():
		return deposit.Sighting{Payment: p, Gone: true}, nil
	}
	number, ok := height(r.Number)
	if !ok || r.Hash != p.TxID {
		return deposit.Sighting{}, unavailable("the node's receipt is not what was asked for")
	}
	s := deposit.Sighting{Payment: p}
	if p.Index > 0 {
		if p.Index > int64(len(r.Logs)) {
			return deposit.Sighting{Payment: p, Gone: true}, nil
		}
		to, units, ok := c.transfer(&r.Logs[p.Index-1])
		if ok {
			s.Address = to
			s.Amount, ok = amount(units, asset.USDTERC20)
		}
		if !ok { // in this block the contract did something else
			return deposit.Sighting{Payment: p, Gone: true}, nil
		}
	}
	return end.confirm(s, number), nil
}

// waits says whether a transaction without a receipt may still get one.
func (c *Chain) waits(ctx context.Context, p deposit.Payment, end tip) (deposit.Sighting, error) {
	var tx transaction
	gone, err := c.missing(ctx, ask("eth_getTransactionByHash", p.TxID), &tx, end)
	switch {
	case err != nil:
		return deposit.Sighting{}, err
	case tx.Block != "":
		return deposit.Sighting{}, unavailable("the node has no receipt of a transaction in a block, or not yet")
	}
	return deposit.Sighting{Payment: p, Gone: gone}, nil
}

// missing reports whether the node does not know of something, which it reads into out if it
// does. Behind one address there may be several nodes, of which one that is behind answers: it
// is asked for the end of its chain in the same request.
func (c *Chain) missing(ctx context.Context, q call.Query, out any, end tip) (bool, error) {
	answers, err := c.node.All(ctx, []call.Query{q, ask("eth_getBlockByNumber", "latest", false)}, batch)
	if err != nil {
		return false, err
	}
	found, err := answers[0].Read(out)
	if err != nil || found {
		return false, told(err)
	}
	var latest header
	if err := answers[1].Value(&latest); err != nil {
		return false, told(err)
	}
	if at, ok := height(latest.Number); !ok || at < end.height {
		return false, unavailable("the node that does not know of a payment is behind the one that was asked before")
	}
	return true, nil
}

// judgeHidden says what a payment by a contract is by the block that it was found in.
func (c *Chain) judgeHidden(ctx context.Context, p deposit.Payment, answer *call.Reply, end tip) (deposit.Sighting, error) {
	var h header
	found, err := answer.Read(&h)
	if err != nil {
		return deposit.Sighting{}, told(err)
	}
	if !found {
		block, _, _ := strings.Cut(p.TxID, between)
		gone, err := c.missing(ctx, ask("eth_getBlockByHash", block, false), &h, end)
		if err != nil || gone {
			return deposit.Sighting{Payment: p, Gone: true}, err
		}
	}
	number, ok := height(h.Number)
	if !ok || number > end.height {
		return deposit.Sighting{}, unavailable("the node does not have a block at its height, or not yet")
	}
	main, err := c.at(ctx, number)
	if err != nil {
		return deposit.Sighting{}, err
	}
	if main.Hash != h.Hash {
		return deposit.Sighting{Payment: p, Gone: true}, nil
	}
	return end.confirm(deposit.Sighting{Payment: p}, number), nil
}
