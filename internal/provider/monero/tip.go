package monero

import (
	"context"
	"strconv"
	"strings"
)

// block is one of the chain: its height, from 0 on, and its hash.
type block struct {
	height int64
	hash   string
}

// place is how a block is written down.
func (b block) place() string { return strconv.FormatInt(b.height, 10) + "/" + b.hash }

// parsePlace reads what place wrote. Anything else is no block.
func parsePlace(text string) (block, bool) {
	height, hash, ok := strings.Cut(text, "/")
	n, err := strconv.ParseInt(height, 10, 64)
	return block{n, hash}, ok && err == nil && n >= 0 && hash != ""
}

// tip returns the node's newest block, unless the node is on another network, behind, or
// tells what others told it.
func (c *Chain) tip(ctx context.Context) (block, error) {
	var info struct {
		Status       string `json:"status"`
		Network      string `json:"nettype"`
		Height       int64  `json:"height"` // how many blocks there are
		Hash         string `json:"top_block_hash"`
		Synchronized *bool  `json:"synchronized"`
		Syncing      bool   `json:"busy_syncing"`
		Untrusted    bool   `json:"untrusted"`
	}
	if err := c.node.call(ctx, &info, "get_info", nil); err != nil {
		return block{}, c.node.told(err, "where it is")
	}
	switch {
	case info.Status != "OK" || info.Height < 1 || info.Hash == "":
		return block{}, unavailable("the node does not tell where it is")
	case info.Network != networks[c.config.Network].name:
		return block{}, unavailable("the node is not on the network %s", c.config.Network)
	case info.Untrusted:
		return block{}, unavailable("the node repeats what another one says until it has all blocks")
	case info.Syncing, info.Synchronized != nil && !*info.Synchronized:
		return block{}, unavailable("the node does not have all blocks yet")
	}
	return block{info.Height - 1, info.Hash}, nil
}

// at returns the node's block at a height that it has.
func (c *Chain) at(ctx context.Context, height int64) (block, error) {
	var answer struct {
		Header struct {
			Height int64  `json:"height"`
			Hash   string `json:"hash"`
		} `json:"block_header"`
	}
	if err := c.node.call(ctx, &answer, "get_block_header_by_height", map[string]any{"height": height}); err != nil {
		return block{}, c.node.told(err, "a block that it has")
	}
	if answer.Header.Height != height || answer.Header.Hash == "" {
		return block{}, unavailable("the node told another block than was asked for")
	}
	return block{height, answer.Header.Hash}, nil
}

// tries bounds how often the wallet is read again because a block came meanwhile.
const tries = 3

// steady has read called while the wallet is at the node's newest block, and again if that
// was not so from its beginning to its end: between a block and the wallet's learning of it,
// what waited for the block is in neither.
func (c *Chain) steady(ctx context.Context, read func(now block) error) error {
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := c.identify(ctx); err != nil {
		return err
	}
	for range tries {
		now, err := c.tip(ctx)
		if err != nil {
			return err
		}
		level, err := c.level(ctx, now)
		if err != nil {
			return err
		}
		if !level {
			continue
		}
		if err := read(now); err != nil {
			return err
		}
		after, err := c.tip(ctx)
		if err != nil {
			return err
		}
		if after == now {
			return c.isOpen(ctx) // and nobody opened another one meanwhile
		}
	}
	return unavailable("the wallet and its node are not at the same block")
}

// level has the wallet read what the node has, and reports whether it ends at a block's height.
func (c *Chain) level(ctx context.Context, now block) (bool, error) {
	if err := c.wallet.call(ctx, nil, "refresh", nil); err != nil {
		return false, c.wallet.told(err, "whether it read the newest blocks")
	}
	var answer struct {
		Height int64 `json:"height"` // how many blocks it has read
	}
	if err := c.wallet.call(ctx, &answer, "get_height", nil); err != nil {
		return false, c.wallet.told(err, "where it is")
	}
	return answer.Height == now.height+1, nil
}
