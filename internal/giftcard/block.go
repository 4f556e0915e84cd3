package giftcard

import (
	"context"
	"fmt"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// maxReason bounds why a card was blocked or cancelled, in bytes: a hundred characters of any script.
const maxReason = 400

// Block keeps a card from being spent until it is unblocked; it may still receive
// refunds and finish its holds. A card that has ended is not blocked any more
// (card_expired, card_cancelled); blocking a blocked card does nothing.
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
	found, err := s.toChange(ctx, m, card, f.reason)
	if err != nil {
		return err
	}
	c := &change{merchant: m, card: found, op: s.operation(m, f.action, "")}
	if err := found.ended(c.op.At); err != nil {
		return err
	}
	account, err := s.Books.FindAccount(ctx, found.Book, found.Account())
	if err != nil {
		return err
	}
	if found.Blocked == (f.to == ledger.Frozen) && account.State == f.to {
		return nil // where only one of both is so, the account was frozen or unfrozen by itself
	}
	reason := audit.Clean(f.reason)
	if err := s.note(ctx, m, audited{f.action, card, map[string]string{"reason": reason}}); err != nil {
		return err
	}
	c.op.Reference = reason
	c.op.States = []ledger.StateChange{{Account: found.Account(), To: f.to}}
	c.op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		var blockedAt any
		if f.to == ledger.Frozen {
			blockedAt = storage.Micros(o.At)
		}
		return []storage.Effect{markBlocked.With(string(found.Book), string(found.ID), blockedAt, reason).Exactly(1)}, nil
	}
	if _, err = s.Books.Submit(ctx, c.op); err != nil {
		return fmt.Errorf("%s %s: %w", f.action, card, s.refused(ctx, c, err))
	}
	return nil
}

// toChange finds the card that is to be blocked, unblocked or cancelled for a reason.
func (s *Service) toChange(ctx context.Context, m Merchant, card ID, reason string) (*record, error) {
	if !plain.LineBytes(reason, 0, maxReason) {
		return nil, fault.New(fault.InvalidRequest, "the reason must have at most %d bytes of plain text", maxReason).At("reason")
	}
	return s.stored(ctx, m.Book, card)
}

// actionReveal is that somebody is shown a card's secrets.
const actionReveal = "giftcard.reveal"

// audited is what is about to be done to a card.
type audited struct {
	action string
	card   ID
	detail map[string]string
}

// note writes down who does what, before it is done: that a card was revealed or
// changed must not go unseen.
func (s *Service) note(ctx context.Context, m Merchant, a audited) error {
	r := audit.Record{Actor: m.Actor, Action: a.action, Subject: string(a.card), Book: string(m.Book), Detail: a.detail, At: s.Clocks.Now(m.Realm)}
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return s.Audit.Append(ctx, tx, r) })
}
