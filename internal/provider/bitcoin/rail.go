package bitcoin

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/btcsuite/btcd/address/v2"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

var (
	_ deposit.Surveyor = (*Chain)(nil)
	_ deposit.Holder   = (*Chain)(nil)
)

// Tip implements deposit.Surveyor.
func (c *Chain) Tip(ctx context.Context) (int64, error) {
	end, err := c.tip(ctx)
	return end.height, err
}

// Height implements deposit.Surveyor.
func (c *Chain) Height(place string) (int64, error) {
	at, err := parsePlace(place)
	return at.height, err
}

// Before implements deposit.Surveyor.
func (c *Chain) Before(ctx context.Context, height int64) (string, error) {
	at, err := c.block(ctx, height-1)
	return at.String(), err
}

// Holdings implements deposit.Holder: of bitcoind what is unspent, and of btcd, which does
// not count that, everything that was ever paid; for that it needs addrindex=1. To count,
// bitcoind goes through all coins that there are: on the main network that takes minutes,
// for one address as for ten thousand.
func (c *Chain) Holdings(ctx context.Context, addresses []string) ([]deposit.Holding, error) {
	if _, err := c.tip(ctx); err != nil {
		return nil, err
	}
	scripts := make(map[string]string, len(addresses))
	for _, text := range addresses {
		decoded, err := address.DecodeAddress(text, &c.params)
		key, ok := decoded.(*address.AddressWitnessPubKeyHash)
		if err != nil || !ok {
			return nil, call.Refuse("address", "%q is none of BIP 84", text)
		}
		if !key.IsForNet(&c.params) {
			continue // it was given while another network was watched, and has nothing here
		}
		scripts[hex.EncodeToString(append([]byte{witnessVersion, witnessLength}, key.ScriptAddress()...))] = text
	}
	if len(scripts) == 0 {
		return nil, nil
	}
	sums, err := c.unspent(ctx, scripts)
	if call.IsCode(err, codeUnknownMethod) {
		return c.received(ctx, addresses)
	}
	if err != nil {
		return nil, err
	}
	return holdings(addresses, sums), nil
}

// longestCount bounds a count of all coins.
const longestCount = 30 * time.Minute

// unspent returns what is unspent of scripts in hex, by what these are called.
func (c *Chain) unspent(ctx context.Context, scripts map[string]string) (map[string]uint64, error) {
	wanted := make([]string, 0, len(scripts))
	for script := range scripts {
		wanted = append(wanted, "raw("+script+")")
	}
	var found struct {
		Success  bool `json:"success"`
		Unspents []struct {
			Script string      `json:"scriptPubKey"`
			Amount json.Number `json:"amount"`
		} `json:"unspents"`
	}
	patient := *c.node.RPC
	patient.Timeout = longestCount
	err := (&node{&patient}).call(ctx, &found, "scantxoutset", "start", wanted)
	switch {
	case call.IsCode(err, codeUnknownMethod):
		return nil, err
	case call.IsCode(err, codeInvalid):
		return nil, unavailable("the node is counting coins for somebody already: ask again when it is done")
	case call.IsRefusal(err):
		return nil, told(err, "what addresses have")
	case err != nil: // nobody waits for it any more, and it would keep others from theirs
		_ = c.node.call(context.WithoutCancel(ctx), nil, "scantxoutset", "abort") // what is wrong is known
		return nil, err
	case !found.Success:
		return nil, unavailable("somebody stopped the node's count of coins")
	}
	sums := map[string]uint64{}
	for _, u := range found.Unspents {
		m, err := asset.ParseAmount(u.Amount.String(), asset.BTC)
		if err != nil || scripts[u.Script] == "" {
			return nil, unavailable("the node's unspent coins are not what was asked for")
		}
		sums[scripts[u.Script]] += m.Big().Uint64()
	}
	return sums, nil
}

func holdings(addresses []string, sums map[string]uint64) []deposit.Holding {
	var all []deposit.Holding
	for _, text := range addresses {
		if sums[text] > 0 {
			all = append(all, deposit.Holding{Address: text, Amount: asset.New(sums[text], asset.BTC)})
		}
	}
	return all
}

// The bounds of what is asked of an address's history.
const (
	historyPage = 100
	mostHistory = 1_000_000
)

// received adds up what the transactions that the node finds by an address pay to it.
func (c *Chain) received(ctx context.Context, addresses []string) ([]deposit.Holding, error) {
	sums := map[string]uint64{}
	for _, text := range addresses {
		for skip := 0; ; skip += historyPage {
			if skip >= mostHistory {
				return nil, unavailable("an address has more than %d transactions: bitcoind counts them", mostHistory)
			}
			var page []verbose
			err := c.node.call(ctx, &page, "searchrawtransactions", text, 1, skip, historyPage)
			if call.IsCode(err, codeNotFound) {
				break
			}
			if err != nil {
				return nil, told(err, "the transactions of an address: it needs addrindex=1")
			}
			for _, v := range page {
				if v.Confirmations < 1 {
					continue
				}
				tx, err := parseTx(v.Hex)
				if err != nil {
					return nil, err
				}
				for _, o := range c.outputs(tx) {
					if o.address == text {
						sums[text] += uint64(o.value)
					}
				}
			}
			if len(page) < historyPage {
				break
			}
		}
	}
	return holdings(addresses, sums), nil
}
