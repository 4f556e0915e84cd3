package ethereum

import (
	"context"
	"math/big"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

const (
	// near is within how many blocks of its end every node has the chain's state.
	near = 100
	// far is after how many blocks balances are compared while a chain is caught up with.
	far = 256
	// between separates the block from the address in the reference of a payment that no
	// transaction shows.
	between = ":"
)

// balances are what addresses had of ether in a block.
type balances struct {
	block string
	of    map[string]*big.Int
}

// compare finds the ether that contracts paid to addresses of ours, for which no
// transaction to them exists: in every block since the last comparison in which a balance
// rose by more than its transactions explain. What it finds in a block is one payment, whose
// reference is the block with the address: whoever looks again, from wherever, finds the
// same. Where the node has forgotten the balances of then, what is left has to do: see settle.
func (c *Chain) compare(ctx context.Context, at *place, end tip, page *deposit.Page) error {
	span := at.height - at.compared
	if span < c.config.CompareBlocks || end.height-at.height > near && span < far {
		return nil
	}
	addresses, err := c.Recent(ctx)
	if err != nil {
		return err
	}
	found, err := c.hidden(ctx, *at, end, addresses)
	if call.IsRefusal(err) && end.height-at.compared > near {
		return c.settle(ctx, at, end, page)
	}
	if err != nil {
		return told(err)
	}
	page.Sightings = append(page.Sightings, found...)
	page.Compared = deposit.Span{From: at.compared + 1, To: at.height}
	at.compared = at.height
	return nil
}

func (c *Chain) hidden(ctx context.Context, at place, end tip, addresses []string) ([]deposit.Sighting, error) {
	if len(addresses) == 0 {
		return nil, nil
	}
	first, err := c.at(ctx, at.compared)
	if err != nil {
		return nil, err
	}
	if _, err := c.balances(ctx, first.Hash, addresses[:1]); err != nil { // one tells whether it has any
		return nil, err
	}
	before, err := c.balances(ctx, first.Hash, addresses)
	if err != nil {
		return nil, err
	}
	now, err := c.balances(ctx, at.hash, addresses)
	if err != nil {
		return nil, err
	}
	var changed []string
	for _, address := range addresses {
		if before.of[address].Cmp(now.of[address]) != 0 {
			changed = append(changed, address)
		}
	}
	var all []deposit.Sighting
	if len(changed) > 0 {
		blocks, err := c.blocks(ctx, at)
		if err != nil {
			return nil, err
		}
		if all, err = c.rises(ctx, blocks, changed); err != nil {
			return nil, err
		}
		for i := range all {
			all[i] = end.confirm(all[i], all[i].Height)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = now
	return all, nil
}

// balances returns what addresses have in a block.
func (c *Chain) balances(ctx context.Context, block string, addresses []string) (balances, error) {
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	found := balances{block, make(map[string]*big.Int, len(addresses))}
	var missing []string
	var queries []call.Query
	for _, address := range addresses {
		if has := last.of[address]; has != nil && last.block == block {
			found.of[address] = has
			continue
		}
		missing = append(missing, address)
		queries = append(queries, ask("eth_getBalance", address, map[string]string{"blockHash": block}))
	}
	answers, err := c.node.All(ctx, queries, batch)
	if err != nil {
		return found, err
	}
	for i := range answers {
		if found.of[missing[i]], err = readQuantity(&answers[i]); err != nil {
			return found, err
		}
	}
	return found, nil
}

// readQuantity reads an answer that is a number. It returns errRefused for none.
func readQuantity(r *call.Reply) (*big.Int, error) {
	var text string
	found, err := r.Read(&text)
	if err != nil {
		return nil, err
	}
	n, ok := number(text)
	if !found || !ok {
		return nil, unavailable("the node's answer is no number")
	}
	return n, nil
}

// blocks returns the blocks from the last comparison to at, both included.
func (c *Chain) blocks(ctx context.Context, at place) ([]header, error) {
	var queries []call.Query
	for number := at.compared; number <= at.height; number++ {
		queries = append(queries, ask("eth_getBlockByNumber", quantity(number), false))
	}
	answers, err := c.node.All(ctx, queries, wide)
	if err != nil {
		return nil, err
	}
	all := make([]header, len(answers))
	for i := range answers {
		found, err := answers[i].Read(&all[i])
		if err != nil {
			return nil, err
		}
		if !found || i > 0 && all[i].Parent != all[i-1].Hash {
			return nil, unavailable("the chain was reorganised meanwhile")
		}
	}
	if all[len(all)-1].Hash != at.hash {
		return nil, unavailable("the chain was reorganised meanwhile")
	}
	return all, nil
}

// rises returns the payments that no transaction shows, with the height of their block.
func (c *Chain) rises(ctx context.Context, blocks []header, addresses []string) ([]deposit.Sighting, error) {
	before, err := c.balances(ctx, blocks[0].Hash, addresses)
	if err != nil {
		return nil, err
	}
	var all []deposit.Sighting
	for _, h := range blocks[1:] {
		now, err := c.balances(ctx, h.Hash, addresses)
		if err != nil {
			return nil, err
		}
		rose := map[string]*big.Int{}
		for _, address := range addresses {
			if now.of[address].Cmp(before.of[address]) != 0 {
				rose[address] = new(big.Int).Sub(now.of[address], before.of[address])
			}
		}
		before = now
		if len(rose) == 0 {
			continue
		}
		if err := c.explain(ctx, h.Hash, rose); err != nil {
			return nil, err
		}
		number, ok := height(h.Number)
		if !ok {
			return nil, unavailable("the node's block has no number")
		}
		for _, address := range addresses {
			if rose[address] == nil {
				continue
			}
			if m, ok := amount(rose[address], asset.ETH); ok {
				p := deposit.Payment{Chain: asset.Ethereum, TxID: h.Hash + between + address}
				all = append(all, deposit.Sighting{Payment: p, Address: address, Amount: m, Height: number})
			}
		}
	}
	return all, nil
}

// explain takes from what balances rose by in a block what its transactions did to them.
func (c *Chain) explain(ctx context.Context, hash string, rose map[string]*big.Int) error {
	var b block
	found, err := c.node.call(ctx, &b, ask("eth_getBlockByHash", hash, true))
	if err != nil {
		return err
	}
	if !found {
		return unavailable("the chain was reorganised meanwhile")
	}
	var touched []*transaction
	for i := range b.Transactions {
		tx := &b.Transactions[i]
		from, _ := canonical(tx.From)
		to, _ := canonical(tx.To)
		if rose[from] != nil || rose[to] != nil {
			touched = append(touched, tx)
		}
	}
	receipts, err := c.receipts(ctx, hash, touched)
	if err != nil {
		return err
	}
	for i, tx := range touched {
		value, ok := number(tx.Value)
		used, measured := number(receipts[i].GasUsed)
		price, priced := number(receipts[i].GasPrice)
		if !ok || !measured || !priced {
			return unavailable("the node's receipt is not what was asked for")
		}
		if !receipts[i].succeeded() {
			value = new(big.Int)
		}
		from, _ := canonical(tx.From)
		to, _ := canonical(tx.To)
		if rose[to] != nil {
			rose[to].Sub(rose[to], value)
		}
		if rose[from] != nil {
			rose[from].Add(rose[from], value)
			rose[from].Add(rose[from], new(big.Int).Mul(used, price))
		}
	}
	return nil
}
