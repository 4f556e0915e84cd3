package giftcard

import (
	"context"
	"fmt"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// sweepSize bounds the cards that one sweep ends in each realm.
const sweepSize = 500

// maxReason bounds why a card was blocked or cancelled, in bytes.
const maxReason = 200

// Cancel ends a card and returns what is on it to the merchant. Pending holds must
// be captured or voided first (invalid_state). Cancelling again answers as before.
func (s *Service) Cancel(ctx context.Context, m Merchant, card ID, reason string) (Movement, error) {
	found, err := s.forChange(ctx, m, card, "giftcard.cancel", reason)
	if err != nil {
		return Movement{}, err
	}
	op := s.operation(m, kindCancel, "")
	op.Key = keyOf(kindCancel, string(card))
	if err := s.unlessRepeated(ctx, op, ended(found)); err != nil {
		return Movement{}, err
	}
	o, err := s.finish(ctx, m, found, op, ending{into: funding, as: Cancelled, reason: reason})
	if fault.CodeOf(err) == fault.AccountNotEmpty {
		return Movement{}, fault.Wrap(err, fault.InvalidState, "the gift card has pending holds")
	}
	if err != nil {
		return Movement{}, fmt.Errorf("cancel gift card %s: %w", card, err)
	}
	result := found.Card
	result.Status, result.EndedAt, result.Reason = Cancelled, o.At, reason
	result.Balance.Currency = result.Amount.Currency
	return Movement{Transaction: o.Transaction, Card: &result, Amount: moved(o, result.Balance), At: o.At, Replayed: o.Replayed}, nil
}

// ended returns why a card cannot be cancelled, if it has ended already.
func ended(card *record) error {
	switch card.endedAs.String {
	case "":
		return nil
	case string(Cancelled):
		return fault.New(fault.CardCancelled, "the gift card was cancelled")
	}
	return fault.New(fault.CardExpired, "the gift card has ended")
}

type ending struct {
	into   string
	as     Status
	reason string
}

// finish moves what is on a card to a contra account and closes its account.
func (s *Service) finish(ctx context.Context, m Merchant, card *record, op ledger.Operation, e ending) (ledger.Outcome, error) {
	to := contra(e.into, card.Amount.Currency)
	op.Open = []ledger.NewAccount{to}
	op.Postings = []ledger.Posting{{Debit: card.Account(), Credit: to.ID, All: true}}
	op.States = []ledger.StateChange{{Account: card.Account(), To: ledger.Closed}}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		as := e.as
		if as == Expired && len(o.Moves) == 0 {
			as = Redeemed // nothing was left to expire
		}
		mark := markEnded.With(string(card.Book), string(card.ID), storage.Micros(o.At), string(as), e.reason).Exactly(1)
		if as == Redeemed {
			return []storage.Effect{mark}, nil
		}
		none := card.Amount
		none.Minor = 0
		return append(s.event(m, &card.Card, o, moved(o, none)), mark), nil
	}
	return s.Books.Submit(ctx, op)
}

// Expire ends the cards that are due, by the clock of each realm, and returns how
// many it ended. A card with a pending hold waits for the hold's own end.
func (s *Service) Expire(ctx context.Context) (int, error) {
	done := 0
	for _, r := range realm.All() {
		due, err := storage.All(ctx, s.DB, scanCard, dueCards, storage.Micros(s.Clocks.Now(r)), string(r), sweepSize)
		if err != nil {
			return done, err
		}
		for _, card := range due {
			m := Merchant{Book: card.Book, Realm: r, Actor: "job/giftcard.expire"}
			op := s.operation(m, kindExpire, "")
			op.Key = keyOf(kindExpire, string(card.ID))
			_, err := s.finish(ctx, m, card, op, ending{into: breakage, as: Expired})
			switch fault.CodeOf(err) {
			case "":
				done++
			case fault.AccountNotEmpty, fault.AccountClosed, fault.InvalidState: // a hold is pending, or it was cancelled since
			default:
				return done, fmt.Errorf("expire gift card %s: %w", card.ID, err)
			}
		}
	}
	return done, nil
}

// Block keeps a card from being spent until it is unblocked; it may still receive
// refunds and finish its holds.
func (s *Service) Block(ctx context.Context, m Merchant, card ID, reason string) error {
	return s.freeze(ctx, m, card, freezing{action: "giftcard.block", to: ledger.Frozen, reason: reason})
}

// Unblock lets a blocked card be spent again.
func (s *Service) Unblock(ctx context.Context, m Merchant, card ID, reason string) error {
	return s.freeze(ctx, m, card, freezing{action: "giftcard.unblock", to: ledger.Open, reason: reason})
}

type freezing struct {
	action string
	to     ledger.State
	reason string
}

func (s *Service) freeze(ctx context.Context, m Merchant, card ID, f freezing) error {
	found, err := s.forChange(ctx, m, card, f.action, f.reason)
	if err != nil {
		return err
	}
	if err := ended(found); err != nil {
		return err
	}
	if found.Blocked == (f.to == ledger.Frozen) {
		return nil
	}
	op := s.operation(m, f.action, "")
	op.Reference = f.reason
	op.States = []ledger.StateChange{{Account: found.Account(), To: f.to}}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		var blockedAt any
		if f.to == ledger.Frozen {
			blockedAt = storage.Micros(o.At)
		}
		return []storage.Effect{markBlocked.With(string(found.Book), string(found.ID), blockedAt, f.reason).Exactly(1)}, nil
	}
	if _, err = s.Books.Submit(ctx, op); err != nil {
		return fmt.Errorf("%s %s: %w", f.action, card, s.asCard(ctx, m, found, err))
	}
	return nil
}

// forChange finds a card and writes down who wants to change it, and why.
func (s *Service) forChange(ctx context.Context, m Merchant, card ID, action, reason string) (*record, error) {
	if len(reason) > maxReason {
		return nil, fault.New(fault.InvalidRequest, "the reason must have at most %d bytes", maxReason).At("reason")
	}
	found, err := s.recordOf(ctx, m, accountOf(card))
	if err != nil {
		return nil, err
	}
	record := audit.Record{Actor: m.Actor, Action: action, Subject: string(card), Book: string(m.Book), At: s.Clocks.Now(realm.Live),
		Detail: map[string]string{"reason": reason}}
	return found, s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return s.Audit.Append(ctx, tx, record) })
}
