package giftcard

import (
	"context"
	"fmt"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Cancel ends a card and returns what is on it to the merchant. Pending holds must
// be captured or voided first (invalid_state); an expired card is not cancelled
// (card_expired). Cancelling again answers as before.
func (s *Service) Cancel(ctx context.Context, m Merchant, card ID, reason string) (Movement, error) {
	found, err := s.toChange(ctx, m, card, reason)
	if err != nil {
		return Movement{}, err
	}
	c := &change{merchant: m, card: found, asked: money.New(0, found.Amount.Currency), op: s.operation(m, kindCancel, "")}
	c.op.Key = keyOf(kindCancel, string(card))
	refusal := found.ended(c.op.At)
	if err := s.unlessRepeated(ctx, c.op, refusal); err != nil {
		return Movement{}, err
	}
	reason = audit.Clean(reason)
	if refusal == nil {
		if err := s.note(ctx, m, audited{kindCancel, card, map[string]string{"reason": reason}}); err != nil {
			return Movement{}, err
		}
	}
	s.endAs(c, ending{into: funding, as: Cancelled, reason: reason})
	o, err := s.post(ctx, c)
	if fault.CodeOf(err) == fault.AccountNotEmpty {
		return Movement{}, fault.Wrap(err, fault.InvalidState, "the gift card has pending holds")
	}
	if err != nil {
		return Movement{}, fmt.Errorf("cancel gift card %s: %w", card, s.refused(ctx, c, err))
	}
	result := c.movement(o)
	result.Card.Status, result.Card.EndedAt, result.Card.Reason = Cancelled, o.At, reason
	if refusal != nil {
		result.Card.Reason = found.Reason
	}
	return result, nil
}

type ending struct {
	into   string
	as     Status
	reason any // nil: the card keeps the one that it has
}

// endAs completes the operation that moves what is on a card to a contra account and closes
// its account.
func (s *Service) endAs(c *change, e ending) {
	card := c.card
	to := contra(e.into, card.Amount.Currency)
	c.op.Open = []ledger.NewAccount{to}
	c.op.Postings = []ledger.Posting{{Debit: card.Account(), Credit: to.ID, All: true}}
	c.op.States = []ledger.StateChange{{Account: card.Account(), To: ledger.Closed}}
	c.op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		as := e.as
		if as == Expired && len(o.Moves) == 0 {
			as = Redeemed // nothing was left to expire
		}
		mark := markEnded.With(string(card.Book), string(card.ID), storage.Micros(o.At), string(as), e.reason).Exactly(1)
		if as == Redeemed {
			return []storage.Effect{mark}, nil
		}
		event, err := s.event(c.merchant, &card.Card, o, moved(o, money.New(0, card.Amount.Currency)))
		return append(event, mark), err
	}
}

// Void is how a card is to be cancelled by whoever made it for somebody.
type Void struct {
	Card   ID
	Reason string
	// Left is what must be on it, no less and no more: what whoever decided that saw.
	Left money.Amount
	// Done is told what was on it, as often as the operation is tried; it must be pure but for
	// keeping that.
	Done func(ledger.Outcome, money.Amount)
}

// PrepareVoid describes the operation that cancels a card as Cancel does, for a caller who
// submits it together with others, and writes down who is about to do it. Holds whose time is
// over end with the call: what they hold is on the card, swept or not. Anything else on
// the card than Void.Left refuses the operation with storage.ErrStale, a pending hold with
// account_not_empty, and a card that expired meanwhile with account_closed; one that its
// merchant cancelled meanwhile repeats that, and Done is not told. It returns not_found.
func (s *Service) PrepareVoid(ctx context.Context, m Merchant, v Void) (ledger.Operation, error) {
	found, err := s.toChange(ctx, m, v.Card, v.Reason)
	if err != nil {
		return ledger.Operation{}, err
	}
	if err := s.note(ctx, m, audited{kindCancel, v.Card, map[string]string{"reason": v.Reason}}); err != nil {
		return ledger.Operation{}, err
	}
	if err := s.Books.ExpireHoldsOn(ctx, m.Realm, found.Book, found.Account()); err != nil {
		return ledger.Operation{}, err
	}
	c := &change{merchant: m, card: found, op: s.operation(m, kindCancel, "")}
	c.op.Key = keyOf(kindCancel, string(v.Card))
	s.endAs(c, ending{into: funding, as: Cancelled, reason: v.Reason})
	effects := c.op.Effects
	c.op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		left := money.New(0, found.Amount.Currency)
		if len(o.Moves) > 0 {
			left = o.Moves[0].Posted
		}
		if left != v.Left {
			return nil, fmt.Errorf("gift card %s has %s left, not %s: %w", v.Card, left, v.Left, storage.ErrStale)
		}
		v.Done(o, left)
		return effects(o)
	}
	return c.op, nil
}

// Expire ends the cards that are due, by the clock of each realm, and returns how
// many it ended. A card with a pending hold waits for the hold's own end; one that
// cannot be ended does not keep the others from it.
func (s *Service) Expire(ctx context.Context) (int, error) { return s.expiry.Run(ctx) }

// due lists cards that are due, in the order in which they expire.
func (s *Service) due(ctx context.Context, r realm.Realm, after *record, most int) ([]*record, error) {
	if after == nil {
		after = &record{}
	}
	due, err := storage.All(ctx, s.DB, scanCard, dueCards, storage.Micros(s.Clocks.Now(r)), string(r),
		storage.Micros(after.ExpiresAt), string(after.Book), string(after.ID), most)
	if err != nil {
		return nil, fmt.Errorf("find expired gift cards: %w", err)
	}
	return due, nil
}

// expire ends one card and reports whether this call did.
func (s *Service) expire(ctx context.Context, r realm.Realm, card *record) (bool, error) {
	m := Merchant{Book: card.Book, Realm: r, Actor: "job/giftcard.expire"}
	c := &change{merchant: m, card: card, op: s.operation(m, kindExpire, "")}
	c.op.Key = keyOf(kindExpire, string(card.ID))
	s.endAs(c, ending{into: breakage, as: Expired})
	o, err := s.Books.Submit(ctx, c.op)
	switch fault.CodeOf(err) {
	case "":
		return !o.Replayed, nil
	case fault.AccountNotEmpty, fault.AccountClosed: // a hold is pending, or it was cancelled since
		return false, nil
	default:
		return false, fmt.Errorf("expire gift card %s: %w", card.ID, err)
	}
}
