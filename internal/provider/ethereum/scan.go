package ethereum

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

const (
	// pageBlocks bounds what one page reads.
	pageBlocks = 16
	// deepest is how far back it goes when the node does not know the last block any more.
	deepest = 128
)

// place is a block of the chain, and up to where balances were compared.
type place struct {
	height   int64
	hash     string
	compared int64
}

func (p place) String() string {
	return strconv.FormatInt(p.height, 10) + "/" + p.hash + "/" + strconv.FormatInt(p.compared, 10)
}

func parsePlace(text string) (p place, err error) {
	parts := strings.Split(text, "/")
	bad := call.Refuse("after", "%q is no place of this chain", text)
	if len(parts) != 3 {
		return p, bad
	}
	p.hash = parts[1]
	if p.height, err = strconv.ParseInt(parts[0], 10, 64); err != nil {
		return p, bad
	}
	if p.compared, err = strconv.ParseInt(parts[2], 10, 64); err != nil {
		return p, bad
	}
	if _, ok := digits(p.hash, wordDigits); !ok || p.compared < 0 || p.compared > p.height {
		return p, bad
	}
	return p, nil
}

// back is the place of a block further back.
func (p place) back(height int64, hash string) place {
	return place{height, hash, min(p.compared, height)}
}

// tip is the end of the chain, and the last block that it will not give up; −1: not known.
type tip struct {
	height    int64
	finalized int64
}

// confirm says how deep a payment in a block is.
func (t tip) confirm(s deposit.Sighting, height int64) deposit.Sighting {
	s.Confirmations, s.Final, s.Height = max(t.height-height+1, 1), height <= t.finalized, height
	return s
}

// tip returns the end of the chain, or why the node cannot tell it.
func (c *Chain) tip(ctx context.Context) (tip, error) {
	answers, err := c.node.All(ctx, []call.Query{ask("eth_chainId"), ask("eth_syncing"), ask("eth_getBlockByNumber", "latest", false),
		ask("eth_getBlockByNumber", "finalized", false)}, batch)
	if err != nil {
		return tip{}, err
	}
	var chain string
	var syncing json.RawMessage
	var latest, final header
	for i, out := range []any{&chain, &syncing, &latest} {
		if found, err := answers[i].Read(out); err != nil || !found {
			return tip{}, unavailable("the node does not tell where its chain ends")
		}
	}
	end := tip{finalized: -1}
	id, known := height(chain)
	at, numbered := height(latest.Number)
	made, dated := height(latest.Timestamp)
	switch {
	case !known || id != c.config.ChainID:
		return tip{}, unavailable("the node is not on the chain %d", c.config.ChainID)
	case !numbered || !dated:
		return tip{}, unavailable("the node does not tell where its chain ends")
	case string(syncing) != "false":
		return tip{}, unavailable("the node is still loading the chain, and at block %d", at)
	case c.config.StaleSeconds > 0 && c.Clock.Now().Sub(time.Unix(made, 0)) > time.Duration(c.config.StaleSeconds)*time.Second:
		return tip{}, unavailable("the node's newest block, %d, is old: it is behind", at)
	}
	end.height = at
	if found, err := answers[3].Read(&final); err == nil && found {
		if n, ok := height(final.Number); ok {
			end.finalized = n
		}
	}
	return end, nil
}

// Seen implements deposit.Chain. A place is the last block that was read, and up to where
// balances were compared.
func (c *Chain) Seen(ctx context.Context, after string) (deposit.Page, error) {
	end, err := c.tip(ctx)
	if err != nil {
		return deposit.Page{}, err
	}
	at, err := c.resume(ctx, after, end)
	if err != nil {
		return deposit.Page{}, err
	}
	page := deposit.Page{}
	for range pageBlocks {
		if at.height >= end.height {
			break
		}
		next, found, err := c.read(ctx, at, end)
		if err != nil {
			return deposit.Page{}, err
		}
		if next == at { // the chain was reorganised meanwhile: from there the next time
			break
		}
		page.Sightings = append(page.Sightings, found...)
		at = next
	}
	if err := c.compare(ctx, &at, end, &page); err != nil {
		return deposit.Page{}, err
	}
	page.Next, page.More = at.String(), at.height < end.height
	c.note(end.height)
	return page, nil
}

// note writes down how high the chain is.
func (c *Chain) note(height int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reached = height
}

// resume returns the last block that was read and is still of the chain.
func (c *Chain) resume(ctx context.Context, after string, end tip) (place, error) {
	if after == "" {
		first := c.config.FromHeight
		if first == 0 {
			first = end.height + 1
		}
		number := min(max(first-1, 0), end.height)
		h, err := c.at(ctx, number)
		return place{number, h.Hash, number}, err
	}
	at, err := parsePlace(after)
	if err != nil {
		return place{}, err
	}
	c.note(at.height) // until all of it is there again, nothing is gone
	if at.height > end.height {
		return place{}, deposit.Behind(end.height, at.height)
	}
	for {
		main, err := c.at(ctx, at.height)
		if err != nil || main.Hash == at.hash {
			return at, err
		}
		var old header
		known, err := c.node.call(ctx, &old, ask("eth_getBlockByHash", at.hash, false))
		switch {
		case err != nil:
			return place{}, err
		case known:
			at = at.back(at.height-1, old.Parent)
		default: // it has another history than it had
			number := max(at.height-deepest, 0)
			main, err := c.at(ctx, number)
			return at.back(number, main.Hash), err
		}
	}
}

// at returns the block of a height.
func (c *Chain) at(ctx context.Context, number int64) (h header, err error) {
	found, err := c.node.call(ctx, &h, ask("eth_getBlockByNumber", quantity(number), false))
	if err == nil && (!found || h.Number != quantity(number)) {
		err = unavailable("the node does not have block %d", number)
	}
	return h, err
}

// read reads the block after at, or returns at if it is no longer the one before.
func (c *Chain) read(ctx context.Context, at place, end tip) (place, []deposit.Sighting, error) {
	var b block
	found, err := c.node.call(ctx, &b, ask("eth_getBlockByNumber", quantity(at.height+1), true))
	if err != nil {
		return at, nil, err
	}
	if !found || b.Parent != at.hash {
		return at, nil, nil
	}
	all, err := c.paid(ctx, &b)
	if err != nil {
		return at, nil, err
	}
	for i := range all {
		all[i] = end.confirm(all[i], at.height+1)
	}
	return place{at.height + 1, b.Hash, at.compared}, all, nil
}
