package bitcoin

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/wire/v2"

	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

const (
	// pageBlocks and pagePool bound what one page reads: blocks, and transactions in none.
	pageBlocks = 16
	pagePool   = 2000
	// deepest is how far back it goes when the node does not know the last block any more.
	deepest = 144
)

// place is a block of the chain.
type place struct {
	height int64
	hash   string
}

func (p place) String() string { return strconv.FormatInt(p.height, 10) + "/" + p.hash }

const hashLength = 64 // in hex

func parsePlace(text string) (p place, err error) {
	height, hash, _ := strings.Cut(text, "/")
	p.hash = hash
	if p.height, err = strconv.ParseInt(height, 10, 64); err != nil || p.height < 0 || len(hash) != hashLength {
		return p, call.Refuse("after", "%q is no place of this chain", text)
	}
	return p, nil
}

// info is what getblockchaininfo answers.
type info struct {
	Chain    string `json:"chain"`
	Blocks   int64  `json:"blocks"`
	Best     string `json:"bestblockhash"`
	Download bool   `json:"initialblockdownload"`
}

// chainNames are what nodes call the networks beside their own names.
var chainNames = map[string]string{"mainnet": mainNetwork, "testnet3": "test"}

// tip returns the end of the chain, or why the node cannot tell it.
func (c *Chain) tip(ctx context.Context) (place, error) {
	var i info
	if err := c.node.call(ctx, &i, "getblockchaininfo"); err != nil {
		return place{}, told(err, "where its chain ends")
	}
	name := i.Chain
	if known := chainNames[name]; known != "" {
		name = known
	}
	switch {
	case name != c.config.Network:
		return place{}, unavailable("the node is not on the network %s", c.config.Network)
	case i.Download && c.config.Network == mainNetwork:
		return place{}, unavailable("the node is still loading the chain, and at block %d", i.Blocks)
	}
	return place{i.Blocks, i.Best}, nil
}

// Seen implements deposit.Chain. A place is the height and the hash of the last block that
// was read.
func (c *Chain) Seen(ctx context.Context, after string) (deposit.Page, error) {
	tip, err := c.tip(ctx)
	if err != nil {
		return deposit.Page{}, err
	}
	at, err := c.resume(ctx, after, tip)
	if err != nil {
		return deposit.Page{}, err
	}
	page, begun := deposit.Page{}, at
	for range pageBlocks {
		if at.height >= tip.height {
			break
		}
		next, found, err := c.read(ctx, at, tip)
		if err != nil {
			return deposit.Page{}, err
		}
		if next == at { // the chain was reorganised meanwhile: from there the next time
			break
		}
		page.Sightings = append(page.Sightings, found...)
		at = next
	}
	c.note(tip.height)
	page.Next = at.String()
	if page.More = at.height < tip.height; page.More {
		return page, nil
	}
	waiting, more, err := c.waiting(ctx)
	if err != nil && at != begun { // what is in blocks does not wait for what waits: the next page says what is wrong
		page.More = true
		return page, nil
	}
	page.Sightings, page.More = once(append(page.Sightings, waiting...)), more
	return page, err
}

// note writes down how high the chain is: a lower one has not all of it, or not yet.
func (c *Chain) note(height int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reached = height
}

// once keeps the first sighting of each payment.
func once(all []deposit.Sighting) []deposit.Sighting {
	seen := make(map[deposit.Payment]bool, len(all))
	kept := all[:0]
	for _, s := range all {
		if !seen[s.Payment] {
			seen[s.Payment], kept = true, append(kept, s)
		}
	}
	return kept
}

// resume returns the last block that was read and is still of the main chain.
func (c *Chain) resume(ctx context.Context, after string, tip place) (place, error) {
	if after == "" {
		first := c.config.FromHeight
		if first == 0 {
			first = tip.height + 1
		}
		return c.block(ctx, min(max(first-1, 0), tip.height))
	}
	at, err := parsePlace(after)
	if err != nil {
		return place{}, err
	}
	c.note(at.height)
	if at.height > tip.height {
		return place{}, deposit.Behind(tip.height, at.height)
	}
	for {
		main, err := c.block(ctx, at.height)
		if err != nil || main == at {
			return main, err
		}
		before, known, err := c.before(ctx, at)
		if err != nil {
			return place{}, err
		}
		if !known { // it has another history than it had
			return c.block(ctx, max(at.height-deepest, 0))
		}
		at = before
	}
}

// before returns the block that one follows on, and false for one that the node does not know.
func (c *Chain) before(ctx context.Context, at place) (place, bool, error) {
	var text string
	err := c.node.call(ctx, &text, "getblockheader", at.hash, false)
	if call.IsCode(err, codeNotFound) {
		return place{}, false, nil
	}
	if err != nil {
		return place{}, false, told(err, "of a block")
	}
	var h wire.BlockHeader
	if err := h.Deserialize(hex.NewDecoder(strings.NewReader(text))); err != nil || h.BlockHash().String() != at.hash {
		return place{}, false, unavailable("the node's block cannot be read")
	}
	return place{at.height - 1, h.PrevBlock.String()}, true, nil
}

// block returns the block of a height.
func (c *Chain) block(ctx context.Context, height int64) (place, error) {
	var hash string
	if err := c.node.call(ctx, &hash, "getblockhash", height); err != nil {
		return place{}, told(err, "of a block by its height")
	}
	return place{height, hash}, nil
}

// read reads the block after at, or returns at if it is no longer the one before.
func (c *Chain) read(ctx context.Context, at, tip place) (place, []deposit.Sighting, error) {
	next, err := c.block(ctx, at.height+1)
	if err != nil {
		return at, nil, err
	}
	var text string
	if err := c.node.call(ctx, &text, "getblock", next.hash, 0); err != nil {
		return at, nil, told(err, "what is in a block")
	}
	var b wire.MsgBlock
	if err := b.Deserialize(hex.NewDecoder(strings.NewReader(text))); err != nil || b.BlockHash().String() != next.hash {
		return at, nil, unavailable("the node's block cannot be read")
	}
	if b.Header.PrevBlock.String() != at.hash {
		return at, nil, nil
	}
	var all []output
	for _, tx := range b.Transactions {
		all = append(all, c.outputs(tx)...)
	}
	ours, err := c.watched(ctx, all)
	if err != nil {
		return at, nil, err
	}
	found := make([]deposit.Sighting, len(ours))
	for i := range ours {
		found[i] = ours[i].sighting(tip.height - next.height + 1)
	}
	return next, found, nil
}

// waiting returns the payments in no block that were not returned before, and whether there
// are more. It forgets the transactions that are in the pool no more.
func (c *Chain) waiting(ctx context.Context) (found []deposit.Sighting, more bool, err error) {
	var ids []string
	if err := c.node.call(ctx, &ids, "getrawmempool"); err != nil {
		return nil, false, told(err, "which transactions wait")
	}
	fresh := c.fresh(ids)
	if more = len(fresh) > pagePool; more {
		fresh = fresh[:pagePool]
	}
	params := make([][]any, len(fresh))
	for i, id := range fresh {
		params[i] = []any{id, 0}
	}
	answers, err := c.node.each(ctx, "getrawtransaction", params)
	if err != nil {
		return nil, false, err
	}
	known, all, err := c.readAll(fresh, answers)
	if err != nil {
		return nil, false, err
	}
	ours, err := c.watched(ctx, all)
	if err != nil {
		return nil, false, err
	}
	paid := map[string]bool{}
	for i := range ours {
		paid[ours[i].TxID] = true
		found = append(found, ours[i].sighting(0))
	}
	c.remember(known, paid)
	return found, more, nil
}

// readAll parses the transactions that are still there.
func (c *Chain) readAll(ids []string, answers []call.Reply) (known map[string]*wire.MsgTx, all []output, err error) {
	known = make(map[string]*wire.MsgTx, len(ids))
	for i := range answers {
		var text string
		err := read(&answers[i], &text)
		if call.IsCode(err, codeNotFound) {
			continue // it is in a block by now, or gone
		}
		if err != nil {
			return nil, nil, told(err, "a transaction that waits")
		}
		tx, err := parseTx(text)
		if err != nil {
			return nil, nil, err
		}
		known[ids[i]] = tx
		all = append(all, c.outputs(tx)...)
	}
	return known, all, nil
}

// fresh returns the ids that were not read before, and forgets the others that wait no more.
func (c *Chain) fresh(ids []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := make(map[string]bool, len(ids))
	var fresh []string
	for _, id := range ids {
		there[id] = true
		if _, known := c.pool[id]; !known {
			fresh = append(fresh, id)
		}
	}
	for id, tx := range c.pool {
		// What spends the same as a payment to us, Look asks until the payment is over.
		if !there[id] && len(tx.spends) == 0 {
			delete(c.pool, id)
		}
	}
	return fresh
}

func (c *Chain) remember(read map[string]*wire.MsgTx, paid map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, tx := range read {
		var spends []outpoint
		if paid[id] {
			for _, in := range tx.TxIn {
				spends = append(spends, outpoint{in.PreviousOutPoint.Hash.String(), in.PreviousOutPoint.Index})
			}
		}
		c.pool[id] = pooled{spends}
	}
}
