package payout

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// The kinds of the ledger's transactions.
const (
	kindSettle = "payout.settle"
	kindFail   = "payout.fail"
	kindAdjust = "payout.adjust"
)

// actor is who settles and fails: nobody asked for it.
const actor = "payout"

// The events that tell of payouts.
const (
	eventSent        = "payout.sent"
	eventSettled     = "payout.settled"
	eventFailed      = "payout.failed"
	eventReorganised = "payout.reorganised"
	// eventDiffers is the operators'.
	eventDiffers = "payout.differs"
)

// EventTypes returns the types of this package's events, but HouseEventTypes.
func EventTypes() []string {
	return []string{eventSent, eventSettled, eventFailed, eventReorganised}
}

// HouseEventTypes returns those that the operators' own books alone are sent.
func HouseEventTypes() []string { return []string{eventDiffers} }

// event is the effect of telling subscribers how a payout stands.
func (s *Service) event(kind string, p *Payout) []storage.Effect {
	data := (&webhook.Data{}).Text("id", string(p.ID)).Text("reference", p.Reference).Text("status", string(p.State)).Text("reason", string(p.Reason)).
		Text("destination", p.To.Text).Text("kind", string(p.To.Kind)).Text("network", string(p.To.Network)).
		Number("amount_btc", p.Amount).Number("fee_btc", p.Fee).Text("txid", p.TxID).Text("payment_hash", p.Hash).Text("preimage", p.Preimage)
	if p.State == Settled || p.State == Failed {
		data.Text("transaction_id", string(p.Transaction))
	}
	return s.Outbox.Effects(webhook.Event{Book: p.Book, Realm: p.Realm, Type: kind, Data: data.JSON(), At: p.ChangedAt})
}

// settle ends a payout that was paid, with its proof in p and the rows that belong with it:
// the hold is captured, and the fee posted. One that was settled before, and whose chain
// gave that up meanwhile, is settled again: only a fee that differs is posted then.
func (s *Service) settle(ctx context.Context, p Payout, fee money.Amount, with ...storage.Effect) (Payout, error) {
	before := p
	if err := p.State.become(Settled); err != nil {
		return Payout{}, err
	}
	p.Reason, p.Fee, p.settled = None, fee, before.settled+1
	kind := kindSettle
	op := ledger.Operation{Open: []ledger.NewAccount{Custody(), NetworkFees()}}
	if before.settled == 0 {
		op.Holds = []ledger.HoldChange{{Action: ledger.Capture, ID: p.Hold}}
		op.Postings = posted(networkFees, custody, fee.Minor)
	} else {
		kind = kindAdjust
		op.Postings = posted(networkFees, custody, fee.Minor-before.Fee.Minor)
	}
	op.Kind, op.Key = kind, kind+"/"+string(p.ID)+"/"+strconv.FormatInt(p.settled, 10)
	if kind == kindAdjust && len(op.Postings) == 0 {
		p.ChangedAt = s.Clocks.Now(p.Realm)
		heard, err := s.listener(p)
		if err != nil {
			return Payout{}, err
		}
		return s.write(ctx, p, slices.Concat(with, s.event(eventSettled, &p), heard)...)
	}
	return s.end(ctx, op, p, func(p *Payout) ([]storage.Effect, error) { return slices.Concat(with, s.event(eventSettled, p)), nil })
}

// posted is a posting of so many satoshis, the other way round below zero, or none. What was
// sent for less than was booked was so, whatever account an operator froze since.
func posted(debit, credit ledger.AccountID, satoshi int64) []ledger.Posting {
	switch {
	case satoshi > 0:
		return []ledger.Posting{{Debit: debit, Credit: credit, Amount: money.New(satoshi, money.BTC)}}
	case satoshi < 0:
		return []ledger.Posting{{Debit: credit, Credit: debit, Amount: money.New(-satoshi, money.BTC), Forced: true}}
	}
	return nil
}

// fail ends a payout that was not paid and cannot be any more, with the rows that belong
// with it: the hold is released.
func (s *Service) fail(ctx context.Context, p Payout, why Reason, with ...storage.Effect) (Payout, error) {
	if err := p.State.become(Failed); err != nil {
		return Payout{}, err
	}
	p.Reason = why
	return s.end(ctx, p.release(actor), p, func(p *Payout) ([]storage.Effect, error) { return slices.Concat(with, s.event(eventFailed, p)), nil })
}

// release is the operation that frees the money of a payout, and gives the day on which it was
// planned back what it counted there: that is what was paid, not what was tried.
func (p *Payout) release(by string) ledger.Operation {
	return ledger.Operation{Kind: kindFail, Key: kindFail + "/" + string(p.ID), Actor: by, Holds: []ledger.HoldChange{{Action: ledger.Release, ID: p.Hold}},
		Guards: []ledger.Guard{{Counter: dayOf(p.CreatedAt), Add: -p.Amount.Minor}}}
}

// end does the operation that ends a payout, with its row and what the listener wants. One
// that was done before is stale: the row, which was written with it, says more than the
// caller knew.
func (s *Service) end(ctx context.Context, op ledger.Operation, p Payout, with func(*Payout) ([]storage.Effect, error)) (Payout, error) {
	first := p.EndedAt.IsZero()
	op.Book, op.Intent, op.Reference, op.At = p.Book, op.Key, string(p.ID), s.Clocks.Now(p.Realm)
	if op.Actor == "" {
		op.Actor = actor
	}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		p.Transaction, p.ChangedAt = o.Transaction, o.At
		if first {
			p.EndedAt = o.At
		}
		more, err := with(&p)
		effects := append([]storage.Effect{p.save()}, more...)
		if err != nil {
			return effects, err
		}
		heard, err := s.listener(p)
		return append(effects, heard...), err
	}
	outcome, err := s.Books.Submit(ctx, op)
	switch {
	case err != nil:
		return Payout{}, fmt.Errorf("%s %s: %w", op.Kind, p.ID, err)
	case outcome.Replayed:
		return Payout{}, fmt.Errorf("%s %s: %w", op.Kind, p.ID, storage.ErrStale)
	}
	p.version++
	if first {
		s.ends.count(p.State)
	}
	return p, nil
}

// write saves a payout that moves no money, with the rows that belong with it.
func (s *Service) write(ctx context.Context, p Payout, with ...storage.Effect) (Payout, error) {
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return tx.Apply(ctx, append([]storage.Effect{p.save()}, with...))
	})
	if err != nil {
		return Payout{}, fmt.Errorf("save payout %s: %w", p.ID, err)
	}
	p.version++
	return p, nil
}

// Adoption asks for what left unknown to be taken for the payouts that it paid.
type Adoption struct {
	Actor string
	Realm realm.Realm
	// Since is from when on to look: when the backup was made that was restored.
	Since time.Time
	// Partly takes transactions, too, that pay others besides.
	Partly bool
}

// Departure is a payment of a node's that no payout knew.
type Departure struct {
	Record
	Lightning bool
	// Pays are payouts that waited for as much at the same addresses.
	Pays []Payout
	// Adopted says that the transaction is theirs now.
	Adopted bool
}

// clockSkew is by how much the times of blocks and nodes may differ from ours.
const clockSkew = 3 * time.Hour

// Adopt looks for what the nodes of a realm have paid since an instant and no payout knows,
// as after the restore of a backup. A transaction that pays payouts which wait, and nobody
// else, or that replaces one of theirs, becomes theirs: it is looked after like one that was
// made here, and settles them. What was paid over Lightning tells not whom, and is listed
// alone; an invoice is never paid twice. It returns invalid_state while payouts may leave,
// feature_disabled in a realm without nodes, invalid_request where there is too much, and
// unavailable when a node does not answer.
func (s *Service) Adopt(ctx context.Context, a Adoption) ([]Departure, error) {
	if _, ok := s.Nodes[a.Realm]; !ok {
		return nil, fault.New(fault.FeatureDisabled, "there are no payouts in the %s realm", a.Realm)
	}
	stopped, err := s.Stopped(ctx, a.Realm)
	if err == nil && !stopped {
		err = fault.New(fault.InvalidState, "stop the payouts of the %s realm first", a.Realm)
	}
	if err != nil {
		return nil, err
	}
	// Transactions that can never be confirmed are given up first, so that what paid their
	// payouts since finds these waiting.
	if err := s.Watch(ctx, a.Realm); err != nil {
		return nil, err
	}
	left, err := s.departures(ctx, a)
	if err != nil {
		return nil, err
	}
	if err := s.unchoose(ctx, a.Realm); err != nil {
		return nil, err
	}
	for i := range left {
		if left[i].Lightning {
			continue
		}
		if err := s.adopt(ctx, a, &left[i]); err != nil {
			return nil, fmt.Errorf("adopt %s: %w", left[i].ID, err)
		}
	}
	return left, nil
}

// departures lists what no payout knows.
func (s *Service) departures(ctx context.Context, a Adoption) (all []Departure, err error) {
	nodes, from, until := s.Nodes[a.Realm], a.Since.Add(-clockSkew), s.Clocks.Now(a.Realm).Add(clockSkew)
	there := func(storage.Row) (struct{}, error) { return struct{}{}, nil }
	list := func(records []Record, lightning bool, find *storage.Statement) error {
		if len(records) >= MaxRecords {
			return fault.New(fault.InvalidRequest, "the node made %d payments or more since then: want a later time", MaxRecords).At("since")
		}
		for _, record := range records {
			_, known, err := storage.One(ctx, s.DB, there, find, string(a.Realm), record.ID)
			if err != nil {
				return err
			}
			if !known {
				all = append(all, Departure{Record: record, Lightning: lightning})
			}
		}
		return nil
	}
	if nodes.Wallet != nil {
		records, err := nodes.Wallet.Payments(ctx, from, until)
		if err == nil {
			err = list(records, false, findTransaction)
		}
		if err != nil {
			return nil, err
		}
	}
	if nodes.Lightning != nil {
		records, err := nodes.Lightning.Payments(ctx, from, until)
		if err == nil {
			err = list(records, true, findHash)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// unchoose has the payouts of batches wait again that have no transaction.
func (s *Service) unchoose(ctx context.Context, r realm.Realm) error {
	for {
		b, chosen, err := s.unbuilt(ctx, r)
		if err != nil || len(chosen) == 0 {
			return err
		}
		if err := s.dissolve(ctx, b, chosen, None); err != nil {
			return err
		}
	}
}

// adopt makes a transaction that of the payouts which it pays, if it pays any.
func (s *Service) adopt(ctx context.Context, a Adoption, d *Departure) error {
	parsed, err := transaction.Parse(d.Raw)
	if err != nil || parsed.ID() != d.ID {
		return nil // the node does not say whom it paid
	}
	m := made{number: 1, txid: d.ID, raw: d.Raw, fee: money.New(d.Fee, money.BTC), rate: max(d.Fee*1000/parsed.Size(), 1), at: s.Clocks.Now(a.Realm), parsed: parsed}
	b, replaced, err := s.predecessor(ctx, a.Realm, &m)
	if err != nil {
		return err
	}
	if replaced {
		before, err := b.payouts(ctx, s.DB)
		if err != nil || !parsed.Pays(outputs(before)) {
			return err
		}
		d.Pays, m.number = before, b.transactions+1
		return s.adopted(ctx, a, d, s.kept(b, d.Pays, m))
	}
	waiting, err := oldest(MaxRecords).waiting(ctx, s.DB, a.Realm)
	if err != nil {
		return err
	}
	sum := int64(0)
	for _, p := range waiting {
		if parsed.Pays(outputs(append(d.Pays, p))) {
			d.Pays, sum = append(d.Pays, p), sum+p.Amount.Minor
		}
	}
	if len(d.Pays) == 0 || sum != d.Satoshi && !a.Partly {
		return nil
	}
	b = batch{realm: a.Realm, id: id.New("batch"), state: batchBuilt, transactions: 1, version: 1, madeAt: m.at, changedAt: m.at}
	effects := []storage.Effect{insertBatch.Row(b.row()...), insertTransaction.With(m.row(&b)...).Exactly(1)}
	for _, p := range d.Pays {
		if err := p.State.become(Sending); err != nil {
			return err
		}
		p.Reason, p.batch, p.TxID, p.ChangedAt = None, b.id, m.txid, m.at
		effects = append(effects, p.save())
	}
	return s.adopted(ctx, a, d, effects)
}

// predecessor returns the batch of which a transaction replaces one, if there is one.
func (s *Service) predecessor(ctx context.Context, r realm.Realm, m *made) (batch, bool, error) {
	for after := ""; ; {
		some, err := s.batches(ctx, r, after)
		if err != nil || len(some) == 0 {
			return batch{}, false, err
		}
		for _, b := range some {
			after = b.id
			family, err := storage.All(ctx, s.DB, scanMade, listTransactions, string(r), b.id)
			if err != nil {
				return batch{}, false, err
			}
			if slices.ContainsFunc(family, func(before made) bool { return m.parsed.Spends(&before.parsed) }) {
				return b, true, nil
			}
		}
	}
}

// adopted writes an adoption down, and who asked for it.
func (s *Service) adopted(ctx context.Context, a Adoption, d *Departure, effects []storage.Effect) error {
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if err := tx.Apply(ctx, effects); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: a.Actor, Action: auditAdopt, Subject: d.ID, At: s.Clocks.Now(a.Realm),
			Detail: map[string]string{"realm": string(a.Realm), "payouts": strconv.Itoa(len(d.Pays)), "satoshi": strconv.FormatInt(d.Satoshi, 10)}})
	})
	d.Adopted = err == nil
	return err
}
