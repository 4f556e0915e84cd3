// Package bitcoin watches the chain of Bitcoin over the RPC of a full node, bitcoind or
// btcd, for payments to addresses of BIP 84.
//
// It promises that nothing is imported into a wallet, that every block between two looks
// is read and held against the one before it, that a reorganisation is walked back to where
// the branches part, and that a node which is behind, on another network or without an
// index of transactions is an error and never an answer.
//
// It must never hold a private key, or let any text of the node's into an error.
package bitcoin

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// Ours returns those of the given addresses that payments are watched for.
type Ours func(ctx context.Context, addresses []string) (map[string]bool, error)

// Chain watches one node. It is safe for concurrent use.
type Chain struct {
	node   *node
	config Config
	params chaincfg.Params
	ours   Ours

	mu      sync.Mutex
	pool    map[string]pooled // the transactions in no block that were read, by id
	reached int64             // how high the chain was
}

// pooled is a transaction in no block.
type pooled struct {
	spends []outpoint // empty: it pays nobody of ours
}

type outpoint struct {
	TxID string `json:"txid"`
	Out  uint32 `json:"vout"`
}

var _ deposit.Chain = (*Chain)(nil)

// Open returns the chain of a node, which it does not call.
func Open(config []byte, ours Ours) (*Chain, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, err
	}
	n, err := newNode(&c)
	if err != nil {
		return nil, err
	}
	return &Chain{node: n, config: c, params: c.encoding(), ours: ours, pool: map[string]pooled{}}, nil
}

// IsMain reports whether the node is to be on the network whose coins are money.
func (c *Chain) IsMain() bool { return c.config.Network == mainNetwork }

func unavailable(format string, args ...any) error {
	return fault.New(fault.Unavailable, format, args...)
}

// Network is what the node is to be on, as nodes call it.
func (c *Chain) Network() string { return c.config.Network }

// encoding is how the network writes addresses.
func (c *Config) encoding() chaincfg.Params {
	switch c.Network {
	case mainNetwork:
		return chaincfg.MainNetParams
	case "regtest":
		return chaincfg.RegressionNetParams
	case "simnet":
		return chaincfg.SimNetParams
	}
	return chaincfg.TestNet3Params
}

// The form of a script that pays to an address of BIP 84: version 0 and the 20 bytes of a
// hashed key.
const (
	witnessVersion = 0x00
	witnessLength  = 0x14
	witnessScript  = 2 + witnessLength
)

// payee returns the address that an output pays, if it is one of BIP 84.
func (c *Chain) payee(script []byte) (string, bool) {
	if len(script) != witnessScript || script[0] != witnessVersion || script[1] != witnessLength {
		return "", false
	}
	to, err := address.NewAddressWitnessPubKeyHash(script[2:], &c.params)
	if err != nil {
		return "", false
	}
	return to.EncodeAddress(), true
}

// output is one that pays to an address.
type output struct {
	deposit.Payment
	address string
	value   int64
}

// outputs lists what a transaction pays to addresses.
func (c *Chain) outputs(tx *wire.MsgTx) []output {
	var all []output
	id := ""
	for i, out := range tx.TxOut {
		to, ok := c.payee(out.PkScript)
		if !ok || out.Value <= 0 {
			continue
		}
		if id == "" {
			id = tx.TxHash().String()
		}
		all = append(all, output{deposit.Payment{Chain: asset.Bitcoin, TxID: id, Index: int64(i)}, to, out.Value})
	}
	return all
}

// sighting is an output as it is seen.
func (o *output) sighting(confirmations int64) deposit.Sighting {
	return deposit.Sighting{Payment: o.Payment, Address: o.address, Amount: asset.New(uint64(o.value), asset.BTC), Confirmations: confirmations}
}

// watched keeps the outputs whose addresses are ours.
func (c *Chain) watched(ctx context.Context, all []output) ([]output, error) {
	if len(all) == 0 {
		return nil, nil
	}
	addresses := make([]string, 0, len(all))
	seen := make(map[string]bool, len(all))
	for _, o := range all {
		if !seen[o.address] {
			seen[o.address], addresses = true, append(addresses, o.address)
		}
	}
	ours, err := c.ours(ctx, addresses)
	if err != nil {
		return nil, err
	}
	kept := all[:0]
	for _, o := range all {
		if ours[o.address] {
			kept = append(kept, o)
		}
	}
	return kept, nil
}

// parseTx reads a raw transaction in hex.
func parseTx(text string) (*wire.MsgTx, error) {
	tx := &wire.MsgTx{}
	if err := tx.Deserialize(hex.NewDecoder(strings.NewReader(text))); err != nil {
		return nil, unavailable("the node's transaction cannot be read")
	}
	return tx, nil
}
