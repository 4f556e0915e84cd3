package bitcoin

import (
	"context"
	"strings"

	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// verbose is what getrawtransaction answers.
type verbose struct {
	Hex           string `json:"hex"`
	Block         string `json:"blockhash"`
	Confirmations int64  `json:"confirmations"`
}

// Look implements deposit.Chain. Of what is gone, it says neither address nor amount.
func (c *Chain) Look(ctx context.Context, payments []deposit.Payment) ([]deposit.Sighting, error) {
	tip, err := c.tip(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	reached := c.reached
	c.mu.Unlock()
	if tip.height < reached {
		return nil, deposit.Behind(tip.height, reached)
	}
	params := make([][]any, len(payments))
	for i, p := range payments {
		params[i] = []any{p.TxID, 1}
	}
	answers, err := c.node.each(ctx, "getrawtransaction", params)
	if err != nil {
		return nil, err
	}
	all := make([]deposit.Sighting, len(payments))
	for i, p := range payments {
		if all[i], err = c.judge(ctx, p, &answers[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// judge says what a payment is by what the node says of its transaction.
func (c *Chain) judge(ctx context.Context, p deposit.Payment, answer *call.Reply) (deposit.Sighting, error) {
	var v verbose
	err := read(answer, &v)
	switch {
	case call.IsCode(err, codeNotFound) && isComplete(answer.Refused().Message):
		return c.gone(ctx, p)
	case call.IsCode(err, codeNotFound):
		return deposit.Sighting{}, unavailable("the node has no index of all transactions, or not yet: it needs txindex=1")
	case err != nil:
		return deposit.Sighting{}, told(err, "of a transaction")
	}
	if v.Block != "" && v.Confirmations <= 0 { // it was in a block that is one no more
		if waits, err := c.waits(ctx, p.TxID); err != nil || !waits {
			if err != nil {
				return deposit.Sighting{}, err
			}
			return c.gone(ctx, p)
		}
	}
	tx, err := parseTx(v.Hex)
	if err != nil {
		return deposit.Sighting{}, err
	}
	for _, o := range c.outputs(tx) {
		if o.Index == p.Index && o.TxID == p.TxID {
			if v.Confirmations >= final {
				c.forget(p.TxID)
			}
			return o.sighting(max(v.Confirmations, 0)), nil
		}
	}
	return deposit.Sighting{}, unavailable("the node's transaction has no such output")
}

// isComplete reports whether a refusal says that the transaction is neither waiting nor in
// any block, as bitcoind and btcd put it when they have an index.
func isComplete(message string) bool {
	return strings.HasPrefix(message, "No such mempool or blockchain transaction") || strings.HasPrefix(message, "No information available about transaction")
}

func (c *Chain) waits(ctx context.Context, id string) (bool, error) {
	var ids []string
	if err := c.node.call(ctx, &ids, "getrawmempool"); err != nil {
		return false, told(err, "which transactions wait")
	}
	for _, other := range ids {
		if other == id {
			return true, nil
		}
	}
	return false, nil
}

// final is after how many blocks nobody asks any more what took a payment's place.
const final = 6

func (c *Chain) forget(id string) (spends []outpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	spends = c.pool[id].spends
	delete(c.pool, id)
	return spends
}

// gone is a payment that there is not any more, with what took its place as far as the node
// knows that.
func (c *Chain) gone(ctx context.Context, p deposit.Payment) (deposit.Sighting, error) {
	s := deposit.Sighting{Payment: p, Gone: true}
	spends := c.forget(p.TxID)
	if len(spends) == 0 {
		return s, nil
	}
	var found []struct {
		Spending string `json:"spendingtxid"`
	}
	err := c.node.call(ctx, &found, "gettxspendingprevout", spends)
	if call.IsCode(err, codeUnknownMethod) {
		return s, nil // older nodes, and btcd
	}
	if err != nil {
		return s, told(err, "what spends a coin")
	}
	for _, f := range found {
		if f.Spending != "" && f.Spending != p.TxID {
			s.ReplacedBy = f.Spending
		}
	}
	return s, nil
}
