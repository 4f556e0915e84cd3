package solana

import (
	"cmp"
	"context"
	"slices"

	"github.com/scripcards/scrip/internal/wallet/deposit"
)

const (
	// lag is for how many slots a node may know of a change and not yet by which transaction:
	// its index is written beside its blocks.
	lag = 32
	// stale is after how many slots an account is read again though it looks the same: what
	// came may have left again. It is about ten minutes.
	stale = 1500
	// maxCalls bounds the calls of one look, and maxShare those for one account: whoever floods
	// an address with payments keeps no other from being looked at.
	maxCalls = 250
	maxShare = maxCalls / 2
)

// Seen implements deposit.Chain. The place is a slot, which everything up to was told.
func (c *Chain) Seen(ctx context.Context, after string) (deposit.Page, error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return deposit.Page{}, err
	}
	defer leave()
	now, err := c.now(ctx)
	if err != nil {
		return deposit.Page{}, err
	}
	if err := c.begin(after, now); err != nil {
		return deposit.Page{}, err
	}
	done, err := c.look(ctx, now)
	if err != nil {
		return deposit.Page{}, err
	}
	page := deposit.Page{Next: after, More: !done}
	if page.Sightings, err = c.tell(ctx, now); err != nil {
		return deposit.Page{}, err
	}
	if done {
		if page.More = c.round.partly; !page.More {
			page.Next = placeOf(max(c.floor, c.round.final-min(lag, c.round.final)))
		}
		c.round = nil
	}
	return page, nil
}

// begin takes over the slot up to which everything is written down.
func (c *Chain) begin(after string, now moment) error {
	floor, told := parsePlace(after)
	switch {
	case told && floor > now.final:
		return unavailable("the node is behind what was seen before")
	case told && now.first > floor+1:
		return unavailable("the node does not have the blocks since the last look: ask one that does")
	case floor < c.floor:
		c.forget()
	}
	c.floor = floor
	for signature, r := range c.records {
		if r.slot <= floor {
			delete(c.records, signature)
		}
	}
	for signature, t := range c.traces {
		if t.slot+stale < now.final {
			delete(c.traces, signature)
		}
	}
	if c.round == nil {
		c.round = &round{final: now.final}
	}
	return nil
}

// tell returns the payments above the floor as they are now. A transaction that came into
// another block is read again: it may have done something else there.
func (c *Chain) tell(ctx context.Context, now moment) ([]deposit.Sighting, error) {
	var signatures []string
	for signature, r := range c.records {
		if slices.ContainsFunc(r.payments, c.isOurs) {
			signatures = append(signatures, signature)
		}
	}
	slices.SortFunc(signatures, func(a, b string) int {
		return cmp.Or(cmp.Compare(c.records[a].slot, c.records[b].slot), cmp.Compare(a, b))
	})
	all, err := c.statuses(ctx, signatures)
	if err != nil {
		return nil, err
	}
	var seen []deposit.Sighting
	for i, signature := range signatures {
		n, err := c.recheck(ctx, signature, all[i], now)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		for _, p := range c.records[signature].payments {
			if c.isOurs(p) {
				seen = append(seen, p.sighting(signature, n))
			}
		}
	}
	return seen, nil
}

func (c *Chain) isOurs(p payment) bool { return c.holders[p.address] != nil }

// recheck returns how often the transaction of a record is confirmed; zero when there is
// nothing to tell of it. What is not known any more is not remembered either.
func (c *Chain) recheck(ctx context.Context, signature string, s *status, now moment) (int64, error) {
	if s == nil || !isNone(s.Err) {
		delete(c.records, signature)
		return 0, nil
	}
	n := s.confirmations(now)
	if n == 0 {
		return 0, nil
	}
	if s.Slot != c.records[signature].slot {
		again, err := c.transaction(ctx, signature)
		if err != nil {
			return 0, err
		}
		if again == nil || again.slot != s.Slot {
			delete(c.records, signature)
			return 0, nil
		}
		c.records[signature] = again
	}
	c.trace(signature, s)
	return n, nil
}
