// Package lnd pays bitcoin with one node of lnd, over its REST interface: on-chain with the
// node's wallet, and over Lightning with its channels.
//
// It promises that a transaction is signed and never published by its making, that a
// replacement spends the same coins, that a payment over Lightning has a limit to its fee,
// and that what a node says of a payment is read strictly: what is not understood is an
// error, which says nothing about whether somebody was paid. A node that is on another
// network, locked, or behind its chain is an error, too.
//
// It must never let any text of the node's into an error, or hold the macaroon longer than
// a call takes.
package lnd

import (
	"context"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/keyfile"
)

// Node is one node of lnd. It is safe for concurrent use.
type Node struct {
	client *client
	config Config
}

// Open returns the node that a JSON text describes, which it does not call. Its files must
// be in folder. It returns invalid_request, with the name of what is wrong.
func Open(text []byte, folder keyfile.Folder) (*Node, error) {
	c, err := parseConfig(text)
	if err != nil {
		return nil, err
	}
	calls, err := newClient(&c, folder)
	if err != nil {
		return nil, err
	}
	return &Node{client: calls, config: c}, nil
}

// Network returns the network that the node must be on.
func (n *Node) Network() destination.Network { return n.config.Network }

// Nodes returns the node as payouts want it, with whom Lightning Addresses are asked by.
func (n *Node) Nodes(resolver payout.Resolver) payout.Nodes {
	return payout.Nodes{Network: n.config.Network, Wallet: Wallet{n}, Chain: Chain{n}, Lightning: Lightning{n}, Resolver: resolver}
}

// networks are what lnd calls them.
var networks = map[string]destination.Network{"mainnet": destination.Main, "testnet": destination.Test, "testnet3": destination.Test,
	"testnet4": destination.Test, "signet": destination.Signet, "regtest": destination.Regtest}

// about is what a node says of itself.
type about struct {
	Synced bool `json:"synced_to_chain"`
	Chains []struct {
		Network string `json:"network"`
	} `json:"chains"`
}

// ready returns unavailable unless the node is on its network and at the end of its chain.
func (n *Node) ready(ctx context.Context) error {
	var a about
	if err := n.client.get(ctx, "/v1/getinfo", nil, &a); err != nil {
		return err
	}
	switch {
	case len(a.Chains) != 1 || networks[a.Chains[0].Network] != n.config.Network:
		return unavailable("the node is not on the %s network", n.config.Network)
	case !a.Synced:
		return unavailable("the node is behind its chain")
	}
	return nil
}

func unavailable(format string, args ...any) error {
	return fault.New(fault.Unavailable, format, args...)
}

func invalid(field, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At(field)
}
