package payout

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/scripcards/scrip/internal/core/money"
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

// EventTypes returns the types of this package's events.
func EventTypes() []string {
	return []string{eventSent, eventSettled, eventFailed, eventReorganised, eventDiffers}
}

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
	p.State, p.Reason, p.Fee, p.settled = Settled, None, fee, before.settled+1
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
	p.State, p.Reason = Failed, why
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
