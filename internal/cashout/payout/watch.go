package payout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Watch looks after the transactions of a realm that are not final: it publishes those
// that the network does not know, settles payouts that are confirmed, takes back what a
// reorganisation undid, and raises fees of what waits too long. One that fails keeps no
// other from being looked after. It is run from time to time, by any number of processes.
func (s *Service) Watch(ctx context.Context, r realm.Realm) error {
	if s.Nodes[r].Chain == nil {
		return nil
	}
	var failed error
	for after := ""; ; {
		some, err := s.batches(ctx, r, after)
		if err != nil || len(some) == 0 {
			return errors.Join(failed, err)
		}
		for _, b := range some {
			if b.state != batchOpen {
				failed = errors.Join(failed, s.follow(ctx, r, b.id))
			}
			after = b.id
		}
	}
}

// follow looks after one batch until there is nothing to do. What somebody else changed
// meanwhile is looked at again the next time.
func (s *Service) follow(ctx context.Context, r realm.Realm, batchID string) error {
	for range maxSteps {
		again, err := s.step(ctx, r, batchID)
		switch {
		case errors.Is(err, storage.ErrStale):
			return nil
		case err != nil:
			return fmt.Errorf("batch %s: %w", batchID, err)
		case !again:
			return nil
		}
	}
	return nil
}

// maxSteps bounds the steps of one batch in one run: sent, confirmed and final.
const maxSteps = 8

// view is a batch with all that belongs to it.
type view struct {
	batch
	family []made
	chosen []Payout
	seen   []Sighting // of family, in its order
	known  bool       // the network has one of them
}

// look reads a batch, all of it as it was at one moment, and asks the node for its
// transactions. It reports false for one that has none yet.
func (s *Service) look(ctx context.Context, r realm.Realm, batchID string) (v view, ok bool, err error) {
	err = s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		if v.batch, ok, err = storage.One(ctx, q, scanBatch, findBatch, string(r), batchID); err != nil || !ok {
			return err
		}
		if v.family, err = storage.All(ctx, q, scanMade, listTransactions, string(r), batchID); err != nil {
			return err
		}
		v.chosen, err = v.payouts(ctx, q)
		return err
	})
	if err != nil || !ok || v.state == batchOpen {
		return v, false, err
	}
	raw := make([][]byte, len(v.family))
	for i := range v.family {
		raw[i] = v.family[i].raw
	}
	v.seen, err = s.Nodes[r].Chain.Look(ctx, raw)
	if err == nil && (len(v.seen) != len(v.family) || len(v.family) == 0) {
		err = fmt.Errorf("the node knows %d of %d transactions", len(v.seen), len(v.family))
	}
	v.known = slices.ContainsFunc(v.seen, func(t Sighting) bool { return t.Known })
	return v, err == nil, err
}

// step does what a batch needs next, and reports whether there may be more.
func (s *Service) step(ctx context.Context, r realm.Realm, batchID string) (again bool, err error) {
	v, ok, err := s.look(ctx, r, batchID)
	if err != nil || !ok {
		return false, err
	}
	todo, best := s.Policy.Chain.judge(&v)
	switch todo {
	case wait:
		return false, nil
	case publish:
		return s.publish(ctx, &v)
	case confirm:
		return true, s.confirm(ctx, v.batch, v.family[best], v.chosen)
	case conclude:
		v.state, v.changedAt = batchFinal, s.Clocks.Now(r)
		return false, s.apply(ctx, v.batch.save())
	case undo:
		return true, s.undo(ctx, v.batch, v.chosen)
	case giveUp:
		s.Logger.ErrorContext(ctx, "other transactions spent the coins of payouts: they are paid anew", "realm", string(r), "batch", batchID)
		return false, s.dissolve(ctx, v.batch, v.chosen, Conflicted)
	case raise:
		return false, s.raise(ctx, &v)
	}
	return false, fmt.Errorf("unknown step %d", todo)
}

func (s *Service) apply(ctx context.Context, effects ...storage.Effect) error {
	return s.DB.Apply(ctx, effects)
}

// todo is what a batch needs next.
type todo int

// What there is to do.
const (
	wait     todo = iota
	publish       // the network does not know it
	confirm       // settle its payouts
	conclude      // it is deep enough
	undo          // its block is gone
	giveUp        // it can never be confirmed
	raise         // it waits too long, perhaps
)

// judge says what a batch needs, by what a node sees of its transactions, and which of
// them is in a block; −1: none.
func (c ChainPolicy) judge(v *view) (what todo, best int) {
	best, rivals, deep := -1, 0, int64(0)
	for i, t := range v.seen {
		if t.Confirmations > deep {
			best, deep = i, t.Confirmations
		}
		foreign := !slices.ContainsFunc(v.family, func(m made) bool { return m.txid == t.Rival })
		if !t.Known && t.Rival != "" && foreign && t.RivalDepth >= c.Final {
			rivals++
		}
	}
	gone := slices.ContainsFunc(v.chosen, func(p Payout) bool {
		return p.State == Settled && (best < 0 || p.TxID != v.family[best].txid)
	})
	switch {
	case gone:
		return undo, best
	case v.state == batchConfirmed && deep >= c.Final:
		return conclude, best
	case v.state == batchConfirmed:
		return wait, best
	case rivals == len(v.family):
		return giveUp, best
	case v.state == batchBuilt: // it may have been published by who died then
		return publish, best
	case deep >= c.Confirmations:
		return confirm, best
	case best >= 0:
		return wait, best
	case !v.known:
		return publish, best
	}
	return raise, best
}

// publish hands a batch to the network. Nothing that never left leaves while payouts are stopped.
func (s *Service) publish(ctx context.Context, v *view) (again bool, err error) {
	if v.state == batchBuilt && !v.known {
		if stopped, err := s.Stopped(ctx, v.realm); err != nil || stopped {
			return false, err
		}
	}
	published, err := s.offer(ctx, v)
	switch {
	case err != nil:
		return false, err
	case !published && s.overdue(v):
		return false, s.outbid(ctx, v)
	case !published || v.state != batchBuilt:
		return false, nil
	}
	return true, s.published(ctx, v.batch, v.chosen)
}

// offer hands the newest transaction to the network, or an older one if it refuses that,
// and reports whether it has one of them. What it refuses is looked at again the next time:
// what spends the coins decides.
func (s *Service) offer(ctx context.Context, v *view) (bool, error) {
	if err := storage.Settle(ctx, s.DB); err != nil { // somebody else may have stored it just now
		return false, err
	}
	for _, m := range slices.Backward(v.family) {
		err := s.Nodes[v.realm].Chain.Publish(ctx, m.raw)
		if err == nil {
			return true, nil
		}
		if fault.CodeOf(err) != fault.InvalidState {
			return false, err
		}
		s.Logger.WarnContext(ctx, "a node refuses the transaction of payouts", "realm", string(v.realm), "txid", m.txid, "error", err)
	}
	return false, nil
}

// confirm settles the payouts of a batch by the transaction of it that is in a block.
func (s *Service) confirm(ctx context.Context, b batch, m made, chosen []Payout) error {
	weights := make([]int64, len(chosen))
	for i := range chosen {
		weights[i] = chosen[i].Amount.Minor
	}
	shares, err := m.fee.Allocate(weights...)
	if err != nil {
		return err
	}
	for i, p := range chosen {
		if p.State != Sent {
			continue // it was done before
		}
		p.TxID = m.txid
		if _, err := s.settle(ctx, p, shares[i]); err != nil {
			return err
		}
	}
	b.state, b.txid, b.changedAt = batchConfirmed, m.txid, s.Clocks.Now(b.realm)
	return s.apply(ctx, b.save())
}

// undo has the payouts of a batch wait for a block again, since theirs is gone. The money
// has left all the same: its transaction is published until it is in a block again.
func (s *Service) undo(ctx context.Context, b batch, chosen []Payout) error {
	now := s.Clocks.Now(b.realm)
	b.state, b.txid, b.changedAt = batchSent, "", now
	effects := []storage.Effect{b.save()}
	for _, p := range chosen {
		if p.State == Settled {
			if err := p.State.become(Sent); err != nil {
				return err
			}
			p.Reason, p.ChangedAt = Reorged, now
			effects = append(append(effects, p.save()), s.event(eventReorganised, &p)...)
		}
	}
	s.Logger.WarnContext(ctx, "a reorganisation undid payouts: they wait for a block again", "realm", string(b.realm), "batch", b.id)
	return s.apply(ctx, effects...)
}

// raise replaces the transaction of a batch by one with a higher fee, if it has waited
// long enough. One that is stored and that the network does not have is published first.
func (s *Service) raise(ctx context.Context, v *view) error {
	if s.overdue(v) {
		return s.outbid(ctx, v)
	}
	stopped, err := s.Stopped(ctx, v.realm)
	if err == nil && !stopped && !v.seen[len(v.seen)-1].Known {
		_, err = s.offer(ctx, v)
	}
	return err
}

// overdue reports whether the newest transaction of a batch has waited so long that its fee
// is raised: in vain for a block, or for a node to take it, to which it may pay too little.
func (s *Service) overdue(v *view) bool {
	newest := v.family[len(v.family)-1]
	return s.Clocks.Now(v.realm).Sub(newest.at) >= s.Policy.Chain.Bump && v.transactions <= int64(s.Policy.Chain.Bumps)
}

// outbid replaces the transaction of a batch by one with a higher fee.
func (s *Service) outbid(ctx context.Context, v *view) error {
	stopped, err := s.Stopped(ctx, v.realm)
	if err != nil || stopped {
		return err
	}
	newest := v.family[len(v.family)-1]
	rate, err := s.rate(ctx, v.realm)
	if err != nil {
		return err
	}
	// It waits, whatever the estimate says; and nodes want a whole satoshi more for each byte.
	rate = max(rate, newest.rate+max(newest.rate/4, relayStep))
	if rate > s.Policy.Chain.Cap {
		return nil
	}
	return s.replace(ctx, v, Order{Outputs: outputs(v.chosen), Rate: rate, Most: s.Policy.Chain.Cap})
}

// relayStep is what nodes want for a replacement's own way, in satoshis per 1,000 virtual bytes.
const relayStep = 1_000

// living returns those of a batch's transactions that can still be confirmed: a replacement
// must spend what they do. One whose added coins were spent otherwise, for good, is not; while
// that is not for good, unsure is true, and nobody knows what a replacement should spend.
func (v *view) living(c ChainPolicy) (all []made, unsure bool) {
	for i, m := range v.family {
		t := v.seen[i]
		if t.Known || t.Rival == "" || t.RivalDepth < c.Final {
			all = append(all, m)
			unsure = unsure || !t.Known && t.Rival != ""
		}
	}
	return all, unsure
}

// replace stores a replacement before it is published, as the first one was; any of them
// may be confirmed. Coins that were added to one that is not stored are given back.
func (s *Service) replace(ctx context.Context, v *view, o Order) error {
	living, unsure := v.living(s.Policy.Chain)
	if unsure || len(living) == 0 {
		return nil
	}
	signed, err := s.Nodes[v.realm].Wallet.Bump(ctx, living[len(living)-1].raw, o)
	switch {
	case fault.CodeOf(err) == fault.InsufficientFunds:
		return nil // it keeps its fee until there is more
	case err != nil:
		return fmt.Errorf("bump: %w", err)
	}
	m, err := s.take(ctx, v, o, signed)
	if err != nil {
		return err
	}
	v.family = append(v.family, m)
	_, err = s.offer(ctx, v)
	return err
}
