package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Chain is the node's chain, as payouts want it.
type Chain struct{ *Node }

// maxBlocks bounds how many blocks are made at once.
const maxBlocks = 10_000

// Publish implements payout.Chain.
func (c Chain) Publish(ctx context.Context, raw []byte) error {
	return c.call(ctx, func(ctx context.Context, t *turn, mood Mood) error {
		switch mood {
		case Refusing:
			return fault.New(fault.InvalidState, "the fee is below the node's minimum")
		case Late:
			return nil // it never arrives: publishing again is harmless
		case Calm, Stalled, Mute, Stuck, Lying:
		}
		return t.publish(ctx, raw)
	})
}

// publish takes a transaction into the pool. Those in the pool that spend the same coins
// make way for one that may replace them.
func (t *turn) publish(ctx context.Context, raw []byte) error {
	tx, err := transaction.Parse(raw)
	if err != nil {
		return err
	}
	k, found, err := storage.One(ctx, t.tx, scanKnown, findTransaction, t.node.name, tx.ID())
	if err != nil || found && k.place != gone {
		return err
	}
	if !found {
		k = known{txid: tx.ID(), raw: raw, sentAt: t.node.clock.Now()}
	}
	k.place, k.paid, k.fee = inPool, 0, 0
	var spent, fresh []coin
	rivals := map[string]bool{}
	for _, in := range tx.Inputs {
		c, found, err := storage.One(ctx, t.tx, scanCoin, findCoin, t.node.name, in.TxID, int64(in.Index))
		if err != nil {
			return err
		}
		if !found {
			return fault.New(fault.InvalidState, "the transaction spends what there is not")
		}
		if c.spentBy != "" {
			rivals[c.spentBy] = true
		} else {
			fresh = append(fresh, c)
		}
		k.fee += c.satoshi
		c.spentBy = k.txid
		spent = append(spent, c)
	}
	for i, out := range tx.Outputs {
		k.fee -= out.Satoshi
		if bytes.Equal(out.Script, change()) {
			spent = append(spent, coin{txid: k.txid, index: int64(i), satoshi: out.Satoshi})
		} else {
			k.paid += out.Satoshi
		}
	}
	if err := t.outbid(ctx, slices.Sorted(maps.Keys(rivals)), bid{fee: k.fee, size: tx.Size(), fresh: fresh}); err != nil {
		return err
	}
	effects := []storage.Effect{upsertTransaction.Row(k.row(t.node.name)...)}
	for _, c := range spent {
		effects = append(effects, upsertCoin.Row(c.row(t.node.name)...))
	}
	return t.tx.Apply(ctx, effects)
}

// bid is what a transaction offers for taking the place of others: its fee and its size, and
// the coins that they do not spend.
type bid struct {
	fee, size int64
	fresh     []coin
}

// outbid drops transactions from the pool for one that spends the same coins, by the rules
// of BIP 125: it pays for all of them and for its own way, at a higher rate than each, and
// spends nothing more that waits itself.
func (t *turn) outbid(ctx context.Context, rivals []string, b bid) error {
	var all []known
	for _, txid := range rivals {
		k, found, err := storage.One(ctx, t.tx, scanKnown, findTransaction, t.node.name, txid)
		switch {
		case err != nil:
			return err
		case !found || k.place == gone:
			continue
		case k.place == inBlock:
			return fault.New(fault.InvalidState, "a transaction in a block spends the same coins")
		}
		before, err := k.parse()
		if err != nil {
			return err
		}
		if b.fee*before.Size() <= k.fee*b.size {
			return fault.New(fault.InvalidState, "the fee is at no higher rate than that of what it replaces")
		}
		all = append(all, k)
	}
	if len(all) == 0 {
		return nil
	}
	for _, c := range b.fresh {
		k, found, err := storage.One(ctx, t.tx, scanKnown, findTransaction, t.node.name, c.txid)
		if err != nil {
			return err
		}
		if found && k.place != inBlock {
			return fault.New(fault.InvalidState, "the replacement spends something more that waits")
		}
	}
	least := b.size // a satoshi for each byte of its own
	for _, k := range all {
		fees, err := t.fees(ctx, k)
		if err != nil {
			return err
		}
		least += fees
	}
	if b.fee < least {
		return fault.New(fault.InvalidState, "the fee is not higher than that of what it replaces, by that of its own way")
	}
	for _, k := range all {
		if err := t.drop(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// fees are those of a transaction and of all that spend its change.
func (t *turn) fees(ctx context.Context, k known) (int64, error) {
	children, err := storage.All(ctx, t.tx, scanKnown, listSpenders, t.node.name, k.txid)
	fees := k.fee
	for _, child := range children {
		if err != nil || child.place == gone {
			continue
		}
		var more int64
		more, err = t.fees(ctx, child)
		fees += more
	}
	return fees, err
}

// drop forgets a transaction, and those that spend its change.
func (t *turn) drop(ctx context.Context, k known) error {
	children, err := storage.All(ctx, t.tx, scanKnown, listSpenders, t.node.name, k.txid)
	if err != nil {
		return err
	}
	for _, child := range children {
		if child.place != gone {
			if err := t.drop(ctx, child); err != nil {
				return err
			}
		}
	}
	k.place, k.block = gone, 0
	return t.tx.Apply(ctx, []storage.Effect{upsertTransaction.Row(k.row(t.node.name)...), freeCoins.With(t.node.name, k.txid), deleteCoins.With(t.node.name, k.txid)})
}

// Look implements payout.Chain.
func (c Chain) Look(ctx context.Context, raw [][]byte) (all []payout.Sighting, err error) {
	err = c.call(ctx, func(ctx context.Context, t *turn, mood Mood) error {
		all = make([]payout.Sighting, len(raw))
		if mood == Stuck {
			return nil // it has not heard of them yet
		}
		if c.automatic {
			if err := t.mine(ctx, 1, true); err != nil {
				return err
			}
		}
		replaced := false
		for i := range raw {
			if all[i], err = t.look(ctx, raw[i]); err != nil {
				return err
			}
			replaced = replaced || all[i].Rival != ""
		}
		if c.automatic && replaced { // whoever looks waits for blocks on what took its place
			return t.mine(ctx, 1, false)
		}
		return nil
	})
	return all, err
}

func (t *turn) look(ctx context.Context, raw []byte) (s payout.Sighting, err error) {
	tx, err := transaction.Parse(raw)
	if err != nil {
		return s, err
	}
	k, found, err := storage.One(ctx, t.tx, scanKnown, findTransaction, t.node.name, tx.ID())
	if err != nil {
		return s, err
	}
	if s.Known = found && k.place != gone; s.Known && k.place == inBlock {
		s.Confirmations = t.height - k.block + 1
	}
	rival, err := t.rival(ctx, &tx)
	if err == nil && rival != nil {
		s.Rival, s.RivalDepth = rival.txid, t.height-rival.block+1
	}
	return s, err
}

// rival returns a transaction in a block that spends what another one does, or what one
// before it does whose coins it spends; nil: there is none.
func (t *turn) rival(ctx context.Context, tx *transaction.Transaction) (*known, error) {
	for _, in := range tx.Inputs {
		c, found, err := storage.One(ctx, t.tx, scanCoin, findCoin, t.node.name, in.TxID, int64(in.Index))
		if err != nil {
			return nil, err
		}
		if found && (c.spentBy == "" || c.spentBy == tx.ID()) {
			continue
		}
		if found {
			other, _, err := storage.One(ctx, t.tx, scanKnown, findTransaction, t.node.name, c.spentBy)
			if err != nil || other.place == inBlock {
				return &other, err
			}
			continue
		}
		before, known, err := storage.One(ctx, t.tx, scanKnown, findTransaction, t.node.name, in.TxID)
		if err != nil || !known {
			continue
		}
		parent, err := before.parse()
		if err != nil {
			return nil, err
		}
		if other, err := t.rival(ctx, &parent); err != nil || other != nil {
			return other, err
		}
	}
	return nil, nil
}

// Rate implements payout.Chain.
func (c Chain) Rate(ctx context.Context, _ int) (rate int64, err error) {
	err = c.call(ctx, func(_ context.Context, t *turn, _ Mood) error {
		rate = t.rate
		return nil
	})
	if err == nil && rate == 0 {
		err = fault.New(fault.Unavailable, "the node has no estimate")
	}
	return rate, err
}

// SetRate sets the estimate of the fee; 0: there is none.
func (n *Node) SetRate(ctx context.Context, rate int64) error {
	return n.change(ctx, func(_ context.Context, t *turn) error {
		t.rate = rate
		return nil
	})
}

// Mine makes blocks: what waits is in the first of them.
func (n *Node) Mine(ctx context.Context, blocks int64) error {
	if blocks < 1 || blocks > maxBlocks {
		return fault.New(fault.InvalidRequest, "want 1 to %d blocks", maxBlocks)
	}
	return n.change(ctx, func(ctx context.Context, t *turn) error { return t.mine(ctx, blocks, false) })
}

func (t *turn) mine(ctx context.Context, blocks int64, ifWaiting bool) error {
	waiting, err := storage.All(ctx, t.tx, scanKnown, listPool, t.node.name)
	if err != nil || ifWaiting && len(waiting) == 0 {
		return err
	}
	var effects []storage.Effect
	for _, k := range waiting {
		k.place, k.block = inBlock, t.height+1
		effects = append(effects, upsertTransaction.Row(k.row(t.node.name)...))
	}
	t.height += blocks
	return t.tx.Apply(ctx, effects)
}

// Reorganise undoes the newest blocks: what was sent in them waits again or, if it is
// lost, is forgotten. Money that came from elsewhere stays.
func (n *Node) Reorganise(ctx context.Context, blocks int64, lost bool) error {
	if blocks < 1 {
		return fault.New(fault.InvalidRequest, "want at least one block")
	}
	return n.change(ctx, func(ctx context.Context, t *turn) error {
		left := max(t.height-blocks, 0)
		undone, err := storage.All(ctx, t.tx, scanKnown, listAbove, n.name, left)
		if err != nil {
			return err
		}
		for _, k := range undone {
			switch {
			case len(k.raw) == 0:
				k.block = max(left, 1)
			case lost:
				if err := t.drop(ctx, k); err != nil {
					return err
				}
				continue
			default:
				k.place, k.block = inPool, 0
			}
			if err := t.tx.Apply(ctx, []storage.Effect{upsertTransaction.Row(k.row(n.name)...)}); err != nil {
				return err
			}
		}
		t.height = max(left, 1)
		return nil
	})
}

// Evict has the node forget a transaction that waits. It returns invalid_state for another.
func (n *Node) Evict(ctx context.Context, txid string) error {
	return n.change(ctx, func(ctx context.Context, t *turn) error {
		k, found, err := storage.One(ctx, t.tx, scanKnown, findTransaction, n.name, txid)
		if err != nil {
			return err
		}
		if !found || k.place != inPool {
			return fault.New(fault.InvalidState, "the transaction does not wait")
		}
		return t.drop(ctx, k)
	})
}

// SpendAgainst has another transaction, in a new block, spend the coins of one that is in
// no block, as somebody with the same keys would.
func (n *Node) SpendAgainst(ctx context.Context, raw []byte) error {
	return n.change(ctx, func(ctx context.Context, t *turn) error {
		tx, err := transaction.Parse(raw)
		if err != nil {
			return err
		}
		k, found, err := storage.One(ctx, t.tx, scanKnown, findTransaction, n.name, tx.ID())
		if err != nil {
			return err
		}
		if found && k.place == inBlock {
			return fault.New(fault.InvalidState, "the transaction is in a block")
		}
		t.height++
		t.made++
		sum := sha256.Sum256(fmt.Appendf(nil, "scrip sandbox: rival %d of %s", t.made, n.name))
		rival := known{txid: hex.EncodeToString(sum[:]), raw: []byte{}, place: inBlock, block: t.height, sentAt: n.clock.Now()}
		effects := []storage.Effect{upsertTransaction.Row(rival.row(n.name)...)}
		for _, in := range tx.Inputs {
			c, found, err := storage.One(ctx, t.tx, scanCoin, findCoin, n.name, in.TxID, int64(in.Index))
			if err != nil || !found {
				return err
			}
			if err := t.clear(ctx, c.spentBy); err != nil {
				return err
			}
			c.spentBy = rival.txid
			effects = append(effects, upsertCoin.Row(c.row(n.name)...))
		}
		return t.tx.Apply(ctx, effects)
	})
}

// clear drops a transaction that waits, if there is one of that id.
func (t *turn) clear(ctx context.Context, txid string) error {
	k, found, err := storage.One(ctx, t.tx, scanKnown, findTransaction, t.node.name, txid)
	if err != nil || !found || k.place != inPool {
		return err
	}
	return t.drop(ctx, k)
}

// Paid returns what outputs with a script have got in transactions that are in a block.
func (n *Node) Paid(ctx context.Context, script []byte) (times int, satoshi int64, err error) {
	err = n.change(ctx, func(ctx context.Context, t *turn) error {
		times, satoshi = 0, 0
		all, err := storage.All(ctx, t.tx, scanKnown, listAbove, n.name, int64(-1))
		for _, k := range all {
			tx, err := k.parse()
			if err != nil {
				return err
			}
			for _, out := range tx.Outputs {
				if bytes.Equal(out.Script, script) {
					times, satoshi = times+1, satoshi+out.Satoshi
				}
			}
		}
		return err
	})
	return times, satoshi, err
}
