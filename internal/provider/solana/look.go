package solana

import (
	"context"
	"errors"

	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// traceOf is where a transaction was that may still be given up.
type traceOf struct {
	slot uint64
	// unsure says that it was not seen there: it is missing since that slot.
	unsure bool
}

// trace remembers where a transaction is until it is final.
func (c *Chain) trace(signature string, s *status) {
	if s.Level == finalized {
		delete(c.traces, signature)
		return
	}
	c.traces[signature] = traceOf{slot: s.Slot}
}

// Look implements deposit.Chain. Of what is gone, it says neither address nor amount.
func (c *Chain) Look(ctx context.Context, payments []deposit.Payment) ([]deposit.Sighting, error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	now, err := c.now(ctx)
	if err != nil {
		return nil, err
	}
	signatures := make([]string, len(payments))
	for i, p := range payments {
		signatures[i] = p.TxID
	}
	all, err := c.statuses(ctx, signatures)
	if err != nil {
		return nil, err
	}
	var seen []deposit.Sighting
	var failed error // what nobody can say of one payment keeps no other from being told
	for i, p := range payments {
		r, err := c.record(ctx, p.TxID, all[i], now)
		if err != nil {
			return seen, errors.Join(failed, err)
		}
		s, sure, err := c.judge(p, all[i], r, now)
		if failed = errors.Join(failed, err); sure && err == nil {
			seen = append(seen, s)
		}
	}
	return seen, failed
}

// record returns what a transaction did in the block that it is in; nil where it is in none,
// failed, or is about to be in another one.
func (c *Chain) record(ctx context.Context, signature string, s *status, now moment) (*record, error) {
	if s == nil || s.confirmations(now) == 0 || !isNone(s.Err) {
		return nil, nil
	}
	r := c.records[signature]
	if r == nil || r.slot != s.Slot {
		var err error
		if r, err = c.transaction(ctx, signature); err != nil {
			return nil, err
		}
	}
	if r == nil || r.slot != s.Slot {
		return nil, nil
	}
	return r, nil
}

// judge says what a payment is by what became of its transaction, if that is sure.
func (c *Chain) judge(p deposit.Payment, s *status, r *record, now moment) (seen deposit.Sighting, sure bool, err error) {
	switch {
	case s == nil:
		sure, err = c.isGone(p.TxID, now)
		return deposit.Sighting{Payment: p, Gone: true}, sure, err
	case s.confirmations(now) == 0:
		return seen, false, nil // votes are being counted
	case !isNone(s.Err):
		return deposit.Sighting{Payment: p, Gone: true}, s.Level == finalized, nil
	case r == nil:
		return seen, false, nil
	}
	for _, paid := range r.payments {
		if paid.index == p.Index {
			c.trace(p.TxID, s)
			return paid.sighting(p.TxID, s.confirmations(now)), true, nil
		}
	}
	return seen, false, unavailable("the node's transaction makes no such account richer")
}

// isGone reports whether a transaction that the node does not know is gone for sure: the slot
// in which it was is final without it. A node that has not all blocks may have forgotten one
// that is final; where nobody remembers its slot, only one that has them can tell.
func (c *Chain) isGone(signature string, now moment) (bool, error) {
	t, ok := c.traces[signature]
	if !ok {
		t = traceOf{slot: now.confirmed, unsure: true}
		c.traces[signature] = t
	}
	if t.unsure && now.first > 1 || now.first > t.slot {
		return false, unavailable("the node does not reach back to a payment: ask one that does")
	}
	return now.final > t.slot, nil
}
