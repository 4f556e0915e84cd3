package payout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// The bounds of one run.
const (
	maxBatches = 100
	maxClaims  = 20 // transactions that are made in one run
	maxPoor    = 60 // tries in one run for which the wallet had too little
)

// Batch pays the payouts of a realm that wait for a transaction: it chooses some, has their
// transaction made and signed, stores it, and only then publishes it. What an earlier run
// did not finish comes first. Where the wallet has not enough for all of them, it pays
// fewer, the oldest first; one that it cannot pay keeps no smaller one waiting until it has
// waited for as long as the policy says. It is run by any number of processes; where one
// dies, the next goes on. It returns unavailable when a node does not answer, and
// insufficient_funds where somebody goes on waiting for money.
func (s *Service) Batch(ctx context.Context, r realm.Realm) error {
	if s.Nodes[r].Wallet == nil {
		return nil
	}
	some := oldest(s.Policy.Chain.Together)
	var poor error
	for claims, tries := 0, 0; claims < maxClaims && tries < maxPoor; {
		stopped, err := s.Stopped(ctx, r)
		if err != nil || stopped {
			return err
		}
		b, chosen, err := s.unbuilt(ctx, r)
		if err == nil && len(chosen) == 0 {
			b, chosen, err = s.choose(ctx, r, some)
		}
		if err != nil || len(chosen) == 0 {
			return cmp.Or(err, poor)
		}
		err = s.build(ctx, b, chosen)
		switch {
		case errors.Is(err, storage.ErrStale): // somebody else built it, or gave it up
			claims++
		case fault.CodeOf(err) == fault.InsufficientFunds:
			tries, poor = tries+1, err
			if err := s.dissolve(ctx, b, chosen, None); err != nil && !errors.Is(err, storage.ErrStale) {
				return err
			}
			if some, err = s.fewer(ctx, r, some, chosen); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("build batch %s: %w", b.id, err)
		default:
			claims++
			if err := s.follow(ctx, r, b.id); err != nil {
				return err
			}
		}
	}
	return poor
}

// selection is some of the payouts that wait for a transaction: so many of the oldest, each
// of less than an amount in satoshis, and older than one.
type selection struct {
	together int
	below    int64
	before   ID
}

// youngest is behind every payout's id.
const youngest = ID("pay`")

func oldest(together int) selection { return selection{together, math.MaxInt64, youngest} }

// waiting returns the payouts of a realm that are selected, the oldest first.
func (n selection) waiting(ctx context.Context, q storage.Queryer, r realm.Realm) ([]Payout, error) {
	return storage.All(ctx, q, scanPayout, listWaiting, string(r), n.together, n.below, string(n.before))
}

// fewer is what a wallet may be able to pay that was not able to pay some payouts together:
// none that is more than it can spend, which is less than one that was tried alone; nothing past
// one of those that has waited for too long; and of the rest the oldest for which it is enough.
func (s *Service) fewer(ctx context.Context, r realm.Realm, n selection, tried []Payout) (selection, error) {
	_, confirmed, err := s.Nodes[r].Wallet.Balance(ctx)
	if err != nil {
		return n, err
	}
	below := min(n.below, confirmed)
	if len(tried) == 1 {
		below = min(below, tried[0].Amount.Minor)
	}
	n.together = len(tried) / 2
	if below < n.below {
		n.together, n.below = s.Policy.Chain.Together, below
		if n.before, err = s.overtaken(ctx, r, n); err != nil {
			return n, err
		}
	}
	some, err := n.waiting(ctx, s.DB, r)
	fit := 0
	for sum := int64(0); fit < len(some) && sum+some[fit].Amount.Minor <= n.below; fit++ {
		sum += some[fit].Amount.Minor
	}
	n.together = max(fit, 1)
	return n, err
}

// overtaken returns before which payout others have to be older: the oldest one that is left
// out, once it has waited for too long. While payouts are stopped, none waits for the wallet.
func (s *Service) overtaken(ctx context.Context, r realm.Realm, n selection) (ID, error) {
	left, found, err := storage.One(ctx, s.DB, scanPayout, oldestAbove, string(r), n.below)
	if err != nil || !found {
		return n.before, err
	}
	turned, _, err := storage.One(ctx, s.DB, storage.Scalar[int64], findTurned, string(r))
	if err != nil {
		return n.before, err
	}
	since := storage.Time(max(storage.Micros(left.CreatedAt), turned))
	if s.Clocks.Now(r).Sub(since) < s.Policy.Chain.Patience {
		return n.before, nil
	}
	return min(n.before, left.ID), s.tellLeft(ctx, left)
}

// unbuilt returns the oldest batch whose transaction was never made, however many wait for
// a block, with its payouts, of which there are none where there is no such batch.
func (s *Service) unbuilt(ctx context.Context, r realm.Realm) (b batch, chosen []Payout, err error) {
	err = s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		found := false
		if b, found, err = storage.One(ctx, q, scanBatch, findUnbuilt, string(r)); err != nil || !found {
			return err
		}
		chosen, err = b.payouts(ctx, q)
		return err
	})
	return b, chosen, err
}

func (s *Service) batches(ctx context.Context, r realm.Realm, after string) ([]batch, error) {
	return storage.All(ctx, s.DB, scanBatch, listBatches, string(r), after, maxBatches)
}

// payouts returns those of a batch, in the order in which they were asked for.
func (b *batch) payouts(ctx context.Context, q storage.Queryer) ([]Payout, error) {
	return storage.All(ctx, q, scanPayout, listBatched, string(b.realm), b.id)
}

// gathering returns for how long the oldest payout that waits for a transaction goes on
// waiting for others; 0: there is none, or its time is over.
func (s *Service) gathering(ctx context.Context, r realm.Realm) (time.Duration, error) {
	waiting, err := oldest(1).waiting(ctx, s.DB, r)
	if err != nil {
		return 0, err
	}
	return s.left(r, waiting), nil
}

// left is how much of its time to wait for others the first of some payouts has: none where
// the clock was set back by more than that since.
func (s *Service) left(r realm.Realm, waiting []Payout) time.Duration {
	if len(waiting) == 0 {
		return 0
	}
	gather := s.Policy.Chain.Gather
	left := waiting[0].CreatedAt.Add(gather).Sub(s.Clocks.Now(r))
	if left > 2*gather {
		return 0
	}
	return max(left, 0)
}

// choose makes a batch of payouts that wait, the oldest first, once that has waited for
// others or there are as many as share a transaction, and returns it with them, or none. How
// many the wallet has enough for ends nobody's time.
func (s *Service) choose(ctx context.Context, r realm.Realm, n selection) (b batch, chosen []Payout, err error) {
	now := s.Clocks.Now(r)
	b = batch{realm: r, id: id.New("batch"), state: batchOpen, version: 1, madeAt: now, changedAt: now}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		waiting, err := n.waiting(ctx, tx, r)
		if chosen = nil; err != nil || len(waiting) == 0 || len(waiting) < s.Policy.Chain.Together && s.left(r, waiting) > 0 {
			return err
		}
		effects := []storage.Effect{insertBatch.Row(b.row()...)}
		for i := range waiting {
			p := &waiting[i]
			if err := p.State.become(Sending); err != nil {
				return err
			}
			p.Reason, p.batch, p.ChangedAt = None, b.id, now
			effects = append(effects, p.save())
			p.version++
		}
		chosen = waiting
		return tx.Apply(ctx, effects)
	})
	if errors.Is(err, storage.ErrStale) { // another process chooses too
		return batch{}, nil, nil
	}
	return b, chosen, err
}

// dissolve has the payouts of a batch wait again. It is for one that has no transaction, of
// which nothing stays, and for one whose transactions can never be confirmed.
func (s *Service) dissolve(ctx context.Context, b batch, chosen []Payout, why Reason) error {
	now := s.Clocks.Now(b.realm)
	b.state, b.changedAt = batchVoid, now
	effects := []storage.Effect{b.save()}
	if b.transactions == 0 { // a wallet that is empty for long would leave one for each try
		effects[0] = removeBatch.With(string(b.realm), b.id, b.version).Exactly(1)
	}
	for _, p := range chosen {
		if err := p.State.become(Held); err != nil {
			return err
		}
		p.Reason, p.batch, p.TxID, p.ChangedAt = why, "", "", now
		effects = append(effects, p.save())
	}
	return s.apply(ctx, effects...)
}

// outputs are what a transaction of some payouts must pay.
func outputs(chosen []Payout) []transaction.Output {
	all := make([]transaction.Output, len(chosen))
	for i, p := range chosen {
		all[i] = transaction.Output{Satoshi: p.Amount.Minor, Script: p.To.Script()}
	}
	return all
}

// build has the transaction of a batch made and stores it. Of two processes one stores
// its own; the other's was never seen by anybody. It returns storage.ErrStale then.
func (s *Service) build(ctx context.Context, b batch, chosen []Payout) error {
	rate, err := s.rate(ctx, b.realm)
	if err != nil {
		return err
	}
	order := Order{Outputs: outputs(chosen), Rate: rate, Most: s.Policy.Chain.Cap}
	signed, err := s.Nodes[b.realm].Wallet.Build(ctx, order)
	if err != nil {
		return err
	}
	_, err = s.take(ctx, &view{batch: b, chosen: chosen}, order, signed)
	return err
}

// take examines a signed transaction of a batch and stores it. Where somebody else stored
// one meanwhile, or it is not what was asked for, its coins are given back.
func (s *Service) take(ctx context.Context, v *view, o Order, signed Signed) (made, error) {
	living, _ := v.living(s.Policy.Chain)
	m, err := s.examine(v.batch, o, signed, living)
	if err != nil {
		s.release(ctx, v.batch, signed)
		return made{}, err
	}
	err = s.keep(ctx, v.batch, v.chosen, m)
	if errors.Is(err, storage.ErrStale) {
		s.release(ctx, v.batch, signed)
	}
	return m, err
}

// release gives back the coins of a transaction that nobody will ever see. What is not
// given back is free again after a while.
func (s *Service) release(ctx context.Context, b batch, signed Signed) {
	if signed.Release == nil {
		return
	}
	if err := signed.Release(context.WithoutCancel(ctx)); err != nil {
		s.Logger.WarnContext(ctx, "the coins of a transaction that was given up stay locked for a while", "realm", string(b.realm), "batch", b.id, "error", err)
	}
}

// rate returns the fee of now: the node's estimate within the policy's bounds.
func (s *Service) rate(ctx context.Context, r realm.Realm) (int64, error) {
	estimate, err := s.Nodes[r].Chain.Rate(ctx, s.Policy.Chain.Target)
	if fault.CodeOf(err) == fault.Unavailable {
		estimate, err = 0, nil
	}
	return s.Policy.Chain.rate(estimate), err
}

// examine holds a signed transaction to what was asked for, before anybody may publish it:
// it pays every output, its fee is within the cap, and it spends everything that those do
// which it replaces, for a higher fee, so that one of them at the most is ever confirmed.
func (s *Service) examine(b batch, o Order, signed Signed, replaced []made) (made, error) {
	m := made{number: b.transactions + 1, raw: signed.Raw, fee: money.New(signed.Fee, money.BTC), rate: o.Rate, at: s.Clocks.Now(b.realm)}
	var err error
	if m.parsed, err = transaction.Parse(signed.Raw); err != nil {
		return made{}, err
	}
	m.txid = m.parsed.ID()
	most := (s.Policy.Chain.Cap*m.parsed.Size() + 999) / 1000
	switch {
	case !m.parsed.Pays(o.Outputs):
		return made{}, fmt.Errorf("the wallet's transaction %s does not pay what it was asked for", m.txid)
	case signed.Fee <= 0 || signed.Fee > most:
		return made{}, fmt.Errorf("the wallet's transaction %s has a fee of %d, and %d at most are allowed", m.txid, signed.Fee, most)
	}
	for _, before := range replaced {
		if !m.parsed.Spends(&before.parsed) || m.txid == before.txid {
			return made{}, fmt.Errorf("the wallet's transaction %s does not replace %s", m.txid, before.txid)
		}
		if signed.Fee <= before.fee.Minor {
			return made{}, fmt.Errorf("the wallet's replacement of %s has no higher fee", before.txid)
		}
	}
	return m, nil
}

// keep stores a transaction as the newest of its batch.
func (s *Service) keep(ctx context.Context, b batch, chosen []Payout, m made) error {
	return s.apply(ctx, s.kept(b, chosen, m)...)
}

// kept is what keep writes.
func (s *Service) kept(b batch, chosen []Payout, m made) []storage.Effect {
	now := s.Clocks.Now(b.realm)
	if b.state == batchOpen {
		b.state = batchBuilt
	}
	b.transactions, b.changedAt = m.number, now
	effects := []storage.Effect{b.save(), insertTransaction.With(m.row(&b)...).Exactly(1)}
	for _, p := range chosen {
		p.TxID, p.ChangedAt = m.txid, now
		effects = append(effects, p.save())
	}
	return effects
}

// published notes that a transaction of a batch was handed to the network the first time.
func (s *Service) published(ctx context.Context, b batch, chosen []Payout) error {
	now := s.Clocks.Now(b.realm)
	b.state, b.changedAt = batchSent, now
	effects := []storage.Effect{b.save()}
	for _, p := range chosen {
		if err := p.State.become(Sent); err != nil {
			return err
		}
		p.ChangedAt = now
		effects = append(append(effects, p.save()), s.event(eventSent, &p)...)
	}
	return s.apply(ctx, effects...)
}
