package ethereum

import (
	"context"
	"math/big"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

const (
	// deep is how many blocks bury the one whose balances have to do: so many are never given
	// up, and every node has the state of that block.
	deep = 64
	// restIndex tells a payment that was worked out from one that was found in its block.
	restIndex = 1
)

// settle takes account of balances that the node has forgotten since the last comparison.
// Once the chain is read as far as a block that it will not give up, an address that never
// sent anything until then has all that was ever paid to it: what that is more than the
// payments that are known is one payment, whose reference is the block with the address.
// An address that did send something tells nothing, and is a gap.
func (c *Chain) settle(ctx context.Context, at *place, end tip, page *deposit.Page) error {
	number := max(end.finalized, end.height-deep)
	if at.height < number || number <= at.compared || len(page.Sightings) > 0 { // those are not known before they are told
		return nil
	}
	h, err := c.at(ctx, number)
	if err != nil {
		return err
	}
	addresses, err := c.Recent(ctx)
	if err != nil {
		return err
	}
	quiet, err := c.quiet(ctx, h.Hash, addresses)
	if call.IsRefusal(err) { // payments that transactions show are told all the same
		c.miss(ctx, at.compared+1, number)
		return nil
	}
	if err != nil {
		return err
	}
	var holding []string
	span := deposit.Span{From: at.compared + 1, To: number}
	for _, address := range addresses {
		switch has := quiet[address]; {
		case has == nil:
			page.Gaps = append(page.Gaps, deposit.Gap{Address: address, Asset: asset.ETH, Span: span})
		case has.Sign() > 0:
			holding = append(holding, address)
		}
	}
	known, err := c.Paid(ctx, holding)
	if err != nil {
		return err
	}
	for _, address := range holding {
		paid, err := c.paidBy(ctx, known[address], number, end)
		if err != nil {
			return err
		}
		m, ok := amount(paid.Sub(quiet[address], paid), asset.ETH)
		if !ok { // nothing, or less than is known of
			continue
		}
		p := deposit.Payment{Chain: asset.Ethereum, TxID: h.Hash + between + address, Index: restIndex}
		s := deposit.Sighting{Payment: p, Address: address, Amount: m, Rest: true, Known: int64(len(known[address]))}
		page.Sightings = append(page.Sightings, end.confirm(s, number))
	}
	c.Logger.WarnContext(ctx, "the node keeps no balances of old blocks: what addresses have was held against what is known",
		"from", span.From, "to", span.To, "found", len(page.Sightings), "untold", len(page.Gaps))
	page.Compared, page.Lost, at.compared = span, true, number
	return nil
}

// miss says, once, that the node does not tell the balances of new blocks either.
func (c *Chain) miss(ctx context.Context, from, to int64) {
	c.mu.Lock()
	before := c.missed
	c.missed = true
	c.mu.Unlock()
	if !before {
		c.Logger.ErrorContext(ctx, "balances are not compared: the node keeps the state of too few blocks", "from", from, "to", to)
	}
}

// quiet returns what those addresses had in a block that had never sent anything by then. Who
// has a code had to send, or let somebody send, a transaction for that.
func (c *Chain) quiet(ctx context.Context, block string, addresses []string) (map[string]*big.Int, error) {
	where := map[string]string{"blockHash": block}
	var queries []call.Query
	for _, address := range addresses {
		queries = append(queries, ask("eth_getTransactionCount", address, where), ask("eth_getBalance", address, where))
	}
	answers, err := c.node.All(ctx, queries, batch)
	if err != nil {
		return nil, err
	}
	all := make(map[string]*big.Int, len(addresses))
	for i, address := range addresses {
		sent, err := readQuantity(&answers[2*i])
		if err != nil {
			return nil, err
		}
		has, err := readQuantity(&answers[2*i+1])
		if err != nil {
			return nil, err
		}
		if sent.Sign() == 0 {
			all[address] = has
		}
	}
	return all, nil
}

// paidBy returns what deposits had paid by a block: all but those that the chain shows above
// it, and those that are gone unless the chain shows them below it. What it does not show
// any more, since nodes forget old transactions, was paid.
func (c *Chain) paidBy(ctx context.Context, all []deposit.Deposit, number int64, end tip) (*big.Int, error) {
	sum := new(big.Int)
	var open []deposit.Payment
	of := map[deposit.Payment]*deposit.Deposit{}
	for i := range all {
		d := &all[i]
		if d.Status == deposit.Confirmed && d.Confirmations > end.height-number {
			sum.Add(sum, d.Amount.Big()) // it was deeper than that at the last look
			continue
		}
		open, of[d.Payment] = append(open, d.Payment), d
	}
	if len(open) == 0 {
		return sum, nil
	}
	seen, err := c.Look(ctx, open)
	if err != nil {
		return nil, err
	}
	for _, s := range seen {
		d := of[s.Payment]
		if shown := !s.Gone && s.Height > 0; shown && s.Height <= number || !shown && d.IsThere() {
			sum.Add(sum, d.Amount.Big())
		}
	}
	return sum, nil
}
