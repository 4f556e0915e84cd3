// Package monero watches payments to subaddresses of one Monero wallet that can look and
// not spend, over monero-wallet-rpc and the monerod behind it, and has the wallet make
// those subaddresses.
//
// It promises that an answer is of one block that both of them agree on, that a payment
// which a reorganisation took away is missed however silently the wallet forgot it, that
// amounts are exact, and that a node which is behind or on another network, a wallet that is
// another one, could spend, or forgot subaddresses is an error and never an answer.
//
// It must never hold a key, or let any text of the other side's into an error.
package monero

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// Issued is how many subaddresses were given to customers, from the first on.
type Issued func(ctx context.Context) (int64, error)

// Chain watches one wallet. It is safe for concurrent use, and calls the wallet for one
// caller at a time.
type Chain struct {
	wallet, node *endpoint
	config       Config
	issued       Issued
	turn         chan struct{} // holds one token: whoever has it calls
	reached      int64         // the highest block that there was; whoever has the turn may use it
}

var (
	_ deposit.Chain = (*Chain)(nil)
	_ address.Maker = (*Chain)(nil)
)

// Open returns the chain of a wallet, which it does not call.
func Open(config []byte, issued Issued) (*Chain, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, err
	}
	chain := &Chain{wallet: newEndpoint("wallet", c.URL, c.timeout()), node: newEndpoint("node", c.NodeURL, c.timeout()),
		config: c, issued: issued, turn: make(chan struct{}, 1)}
	chain.turn <- struct{}{}
	return chain, nil
}

// IsMain reports whether the node is to be on the network whose coins are money.
func (c *Chain) IsMain() bool { return c.config.Network == mainNetwork }

func unavailable(format string, args ...any) error {
	return fault.New(fault.Unavailable, format, args...)
}

// enter waits for the turn to call the wallet, which gets slow under several callers.
func (c *Chain) enter(ctx context.Context) (leave func(), err error) {
	select {
	case <-c.turn:
		return func() { c.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Name implements address.Maker: the same for the same wallet.
func (c *Chain) Name() string {
	sum := sha256.Sum256([]byte(c.config.Address))
	return "monero:" + hex.EncodeToString(sum[:8])
}

// Address implements address.Maker: the subaddress behind the primary address, in order.
func (c *Chain) Address(ctx context.Context, position uint32) (string, error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	if err := c.identify(ctx); err != nil {
		return "", err
	}
	if err := c.grow(ctx, int64(position)+1); err != nil {
		return "", err
	}
	found, err := c.addresses(ctx, int64(position)+1)
	if err != nil {
		return "", err
	}
	if !isAddress(found[0], networks[c.config.Network].subaddress) {
		return "", unavailable("what the wallet made is no subaddress of the network %s", c.config.Network)
	}
	return found[0], nil
}

// account is the wallet's account whose subaddresses are used: the first.
const account = 0

// errBeyond says that the wallet has no subaddress with such an index yet.
var errBeyond = errors.New("the wallet has not so many subaddresses")

// addresses returns the wallet's addresses with the given indices, of which 0 is the
// primary one. It returns errBeyond when there is one that was not made.
func (c *Chain) addresses(ctx context.Context, indices ...int64) ([]string, error) {
	var answer struct {
		Addresses []struct {
			Address string `json:"address"`
			Index   int64  `json:"address_index"`
		} `json:"addresses"`
	}
	err := c.wallet.call(ctx, &answer, "get_address", map[string]any{"account_index": account, "address_index": indices})
	switch {
	case isCode(err, codeBeyond):
		return nil, errBeyond
	case err != nil:
		return nil, c.wallet.told(err, "its addresses")
	case len(answer.Addresses) != len(indices):
		return nil, unavailable("the wallet did not tell every address")
	}
	all := make([]string, len(indices))
	for i, a := range answer.Addresses {
		if a.Index != indices[i] {
			return nil, unavailable("the wallet told another address than was asked for")
		}
		all[i] = a.Address
	}
	return all, nil
}

// lookahead is how many subaddresses behind the last one a wallet watches by itself.
const lookahead = 200

// identify fails unless the open wallet is the configured one, cannot spend, and knows the
// subaddresses that were given. The last that it did not make, because a process died
// before, are made; a wallet that lacks more than it watches anyway was made anew from its
// keys, and has not seen what was paid to the others, or so many were passed over that it
// would not see what is paid to the next.
func (c *Chain) identify(ctx context.Context) error {
	given, err := c.issued(ctx)
	if err != nil {
		return err
	}
	if err := c.isOpen(ctx); err != nil {
		return err
	}
	if err := c.onlyLooks(ctx); err != nil {
		return err
	}
	if _, err := c.addresses(ctx, max(given-lookahead, 0)); err != nil {
		if errors.Is(err, errBeyond) {
			return unavailable("the wallet lacks subaddresses that were given or passed over: make them, and scan the chain again if it was made anew")
		}
		return err
	}
	return c.grow(ctx, given)
}

// isOpen fails unless the open wallet is the configured one.
func (c *Chain) isOpen(ctx context.Context) error {
	has, err := c.addresses(ctx, 0)
	if err != nil {
		return err
	}
	if has[0] != c.config.Address {
		return unavailable("the wallet that is open is not the one of the configuration")
	}
	return nil
}

// onlyLooks fails unless the wallet holds the view key alone: one that does refuses the call
// for that reason, before it looks at what it was given.
func (c *Chain) onlyLooks(ctx context.Context) error {
	err := c.wallet.call(ctx, nil, "describe_transfer", map[string]any{"unsigned_txset": ""})
	switch {
	case isCode(err, codeViewOnly):
		return nil
	case isCode(err, codeRefused), err == nil:
		return unavailable("the wallet can spend: it must hold the view key alone")
	}
	return c.wallet.told(err, "whether it can spend")
}

// atOnce bounds the subaddresses that one call makes: wallets refuse more than 64.
const atOnce = 64

// grow makes subaddresses until there is one with an index, and has the wallet write them
// down before anybody learns them.
func (c *Chain) grow(ctx context.Context, index int64) error {
	_, err := c.addresses(ctx, index)
	if !errors.Is(err, errBeyond) {
		return err
	}
	count := int64(1) // the first tells where the wallet is
	for {
		var made struct {
			Indices []int64 `json:"address_indices"`
		}
		if err := c.wallet.call(ctx, &made, "create_address", map[string]any{"account_index": account, "count": count}); err != nil {
			return c.wallet.told(err, "a new address")
		}
		if int64(len(made.Indices)) != count {
			return unavailable("the wallet did not make the addresses that it was asked for")
		}
		if last := made.Indices[count-1]; last < index {
			count = min(index-last, atOnce)
			continue
		}
		return c.wallet.told(c.wallet.call(ctx, nil, "store", nil), "whether it is stored")
	}
}
