package giftcard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

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
	o, err := s.finish(ctx, c, ending{into: funding, as: Cancelled, reason: reason})
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
	reason string
}

// finish moves what is on a card to a contra account and closes its account.
func (s *Service) finish(ctx context.Context, c *change, e ending) (ledger.Outcome, error) {
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
	return s.Books.Submit(ctx, c.op)
}

// Bounds of one sweep, in each realm.
const (
	sweepSize    = 500 // cards in a page
	sweepPages   = 20
	sweepCallers = 64 // cards that are ended at once: they share the ledger's batches
)

// sweeps remembers by realm how far an unfinished sweep came, so that cards which
// cannot end yet do not keep the later ones waiting.
type sweeps struct {
	mu    sync.Mutex
	after map[realm.Realm]place
}

// place is a place in the order in which cards expire.
type place struct {
	expires int64
	book    ledger.BookID
	card    ID
}

// Expire ends the cards that are due, by the clock of each realm, and returns how
// many it ended. A card with a pending hold waits for the hold's own end; one that
// cannot be ended does not keep the others from it.
func (s *Service) Expire(ctx context.Context) (int, error) {
	done, errs := 0, []error(nil)
	for _, r := range realm.All() {
		n, err := s.sweep(ctx, r)
		done, errs = done+n, append(errs, err)
	}
	return done, errors.Join(errs...)
}

func (s *Service) sweep(ctx context.Context, r realm.Realm) (int, error) {
	s.sweeps.mu.Lock()
	defer s.sweeps.mu.Unlock()
	done, after := 0, s.sweeps.after[r]
	for range sweepPages {
		due, err := storage.All(ctx, s.DB, scanCard, dueCards, storage.Micros(s.Clocks.Now(r)), string(r),
			after.expires, string(after.book), string(after.card), sweepSize)
		if err != nil {
			return done, fmt.Errorf("find expired gift cards: %w", err)
		}
		n, err := s.expireAll(ctx, r, due)
		done += n
		if len(due) < sweepSize {
			delete(s.sweeps.after, r)
			return done, err
		}
		last := due[len(due)-1]
		after = place{storage.Micros(last.ExpiresAt), last.Book, last.ID}
		if s.sweeps.after == nil {
			s.sweeps.after = map[realm.Realm]place{}
		}
		s.sweeps.after[r] = after
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// expireAll ends every card of a page that can be ended and returns the first error.
func (s *Service) expireAll(ctx context.Context, r realm.Realm, due []*record) (int, error) {
	var (
		group errgroup.Group
		done  atomic.Int64
	)
	group.SetLimit(sweepCallers)
	for _, card := range due {
		group.Go(func() error {
			ended, err := s.expire(ctx, r, card)
			if ended {
				done.Add(1)
			}
			return err
		})
	}
	err := group.Wait()
	return int(done.Load()), err
}

// expire ends one card and reports whether this call did.
func (s *Service) expire(ctx context.Context, r realm.Realm, card *record) (bool, error) {
	m := Merchant{Book: card.Book, Realm: r, Actor: "job/giftcard.expire"}
	c := &change{merchant: m, card: card, op: s.operation(m, kindExpire, "")}
	c.op.Key = keyOf(kindExpire, string(card.ID))
	o, err := s.finish(ctx, c, ending{into: breakage, as: Expired})
	switch fault.CodeOf(err) {
	case "":
		return !o.Replayed, nil
	case fault.AccountNotEmpty, fault.AccountClosed: // a hold is pending, or it was cancelled since
		return false, nil
	default:
		return false, fmt.Errorf("expire gift card %s: %w", card.ID, err)
	}
}
