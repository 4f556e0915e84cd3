package monero

import (
	"context"
	"math/bits"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

const (
	// reach is how many blocks are read again when the last one that was read is one no more:
	// far more than Monero ever reorganised.
	reach = 100
	// span is of how many blocks payments are told at once.
	span = 5000
)

// transfer is what a transaction pays to one subaddress, all its outputs together, as the
// wallet tells it.
type transfer struct {
	TxID    string `json:"txid"`
	Type    string `json:"type"`
	Address string `json:"address"`
	Amount  uint64 `json:"amount"` // piconero
	Height  int64  `json:"height"`
	Index   struct {
		Account int64 `json:"major"`
		Address int64 `json:"minor"`
	} `json:"subaddr_index"`
	UnlockTime  uint64 `json:"unlock_time"`
	Locked      bool   `json:"locked"`
	DoubleSpend bool   `json:"double_spend_seen"`
}

// The types of what comes in.
const (
	typeIn    = "in"
	typeBlock = "block" // a miner's reward
	typePool  = "pool"  // in no block yet
)

func (t *transfer) comesIn() bool {
	return t.Type == typeIn || t.Type == typeBlock || t.Type == typePool
}

// Seen implements deposit.Chain. The place is a block.
func (c *Chain) Seen(ctx context.Context, after string) (page deposit.Page, err error) {
	err = c.steady(ctx, func(now block) error {
		page = deposit.Page{}
		from, err := c.begin(ctx, after, now)
		if err != nil {
			return err
		}
		found, next, err := c.paid(ctx, from, now)
		if err != nil {
			return err
		}
		page.Next, page.More = next.place(), next != now
		if page.Sightings, err = sightings(found, now); err == nil {
			c.reached = now.height
		}
		return err
	})
	return page, err
}

// paid returns what came in above a height, and up to which block: the newest one, and then
// what waits, too, or as far as one answer of the wallet's goes.
func (c *Chain) paid(ctx context.Context, from int64, now block) ([]transfer, block, error) {
	for blocks := min(now.height-from, span); ; blocks /= 2 {
		to, whole := now, from+blocks == now.height
		if !whole {
			var err error
			if to, err = c.at(ctx, from+blocks); err != nil {
				return nil, to, err
			}
		}
		var found struct {
			In   []transfer `json:"in"`
			Pool []transfer `json:"pool"`
		}
		// Blocks above the lower height and up to the upper one.
		err := c.wallet.call(ctx, &found, "get_transfers", map[string]any{"in": true, "pool": whole, "account_index": account,
			"filter_by_height": true, "min_height": from, "max_height": to.height})
		switch {
		case err == nil:
			return append(found.In, found.Pool...), to, nil
		case !call.IsTooLong(err) || blocks < 2:
			return nil, to, c.wallet.told(err, "what was paid")
		}
	}
}

// begin returns the height above which payments are to be told: that of the block of a
// place, or one well below it if the chain has another block there now.
func (c *Chain) begin(ctx context.Context, after string, now block) (int64, error) {
	last, ok := parsePlace(after)
	if !ok {
		return 0, nil
	}
	c.reached = last.height
	if now.height < last.height {
		return 0, deposit.Behind(now.height, c.reached)
	}
	is, err := c.at(ctx, last.height)
	if err != nil || is == last {
		return last.height, err
	}
	return max(last.height-reach, 0), nil
}

// sightings makes payments of transfers: one of all that a transaction pays to a subaddress.
// What waits while its money was seen spent otherwise is nothing to show to anybody.
func sightings(all []transfer, now block) ([]deposit.Sighting, error) {
	var found []deposit.Sighting
	places := map[deposit.Payment]int{}
	for _, t := range current(all) {
		s, err := t.sighting(now)
		if err != nil {
			return nil, err
		}
		at, more := places[s.Payment]
		if !more {
			places[s.Payment] = len(found)
			found = append(found, s)
			continue
		}
		sum, carry := bits.Add64(found[at].Amount.Big().Uint64(), t.Amount, 0)
		if carry != 0 || found[at].Address != s.Address {
			return nil, unavailable("the wallet contradicts itself about a payment")
		}
		found[at].Amount = asset.New(sum, asset.XMR)
	}
	return found, nil
}

// current are the transfers to subaddresses that are to be told. Of one in a block the
// wallet may still know that it waited.
func current(all []transfer) []transfer {
	mined := map[deposit.Payment]bool{}
	for i := range all {
		if all[i].Type != typePool {
			mined[all[i].payment()] = true
		}
	}
	var kept []transfer
	for _, t := range all {
		switch {
		case t.Index.Account != account || t.Index.Address == 0:
		case t.Type == typePool && (t.DoubleSpend || mined[t.payment()]):
		default:
			kept = append(kept, t)
		}
	}
	return kept
}

func (t *transfer) payment() deposit.Payment {
	return deposit.Payment{Chain: asset.Monero, TxID: t.TxID, Index: t.Index.Address}
}

// sighting is a transfer as a payment. One that its payer locked for longer than all are
// counts as one in no block until it can be spent.
func (t *transfer) sighting(now block) (deposit.Sighting, error) {
	s := deposit.Sighting{Payment: t.payment(), Address: t.Address, Amount: asset.New(t.Amount, asset.XMR)}
	if !t.comesIn() {
		return s, unavailable("the wallet told something else than what came in")
	}
	if t.Type == typePool {
		return s, nil
	}
	if t.Height < 1 || t.Height > now.height {
		return s, unavailable("the wallet told a payment of a block that its node does not have")
	}
	if t.UnlockTime == 0 || !t.Locked {
		s.Confirmations = now.height - t.Height + 1
	}
	return s, nil
}

// Look implements deposit.Chain. It asks for each transaction by its id: the wallet forgets
// what a reorganisation took away, and tells nobody. Of what is gone, it says neither address
// nor amount.
func (c *Chain) Look(ctx context.Context, payments []deposit.Payment) (all []deposit.Sighting, err error) {
	err = c.steady(ctx, func(now block) error {
		if now.height < c.reached {
			return deposit.Behind(now.height, c.reached)
		}
		all = make([]deposit.Sighting, len(payments))
		for i, p := range payments {
			if all[i], err = c.lookAt(ctx, p, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (c *Chain) lookAt(ctx context.Context, p deposit.Payment, now block) (deposit.Sighting, error) {
	var found struct {
		Transfers []transfer `json:"transfers"`
	}
	err := c.wallet.call(ctx, &found, "get_transfer_by_txid", map[string]any{"txid": p.TxID, "account_index": account})
	switch {
	case isCode(err, codeUnknownTx):
		return deposit.Sighting{Payment: p, Gone: true}, nil
	case err != nil:
		return deposit.Sighting{}, c.wallet.told(err, "of a transaction")
	}
	var same []transfer
	for _, t := range found.Transfers {
		if t.payment() == p && t.comesIn() {
			t.DoubleSpend = false // it was shown before, and may still win
			same = append(same, t)
		}
	}
	seen, err := sightings(same, now)
	if err != nil {
		return deposit.Sighting{}, err
	}
	if len(seen) != 1 {
		return deposit.Sighting{}, unavailable("the wallet's transaction does not pay such a subaddress")
	}
	return seen[0], nil
}
