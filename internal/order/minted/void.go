package minted

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// ErrSpent says that what can be spent with a card is not what it was when it was decided what
// becomes of its code.
var ErrSpent = errors.New("the gift card was used meanwhile")

// Doomed is a dead code that is about to be replaced or paid back, with its card.
type Doomed struct {
	Code
	Place int   // which of its order's codes it is, from 1
	Card  *Card // nil: it is none, and nothing can be voided
}

// Check refuses, with invalid_state, a card of which a part is held, since that cannot be
// voided, and one that was used or loaded again, unless its caller accepts that.
func (d *Doomed) Check(acceptUsed bool) error {
	c := d.Card
	switch {
	case c == nil:
		return nil
	case !c.Ended() && !c.Held.IsZero():
		return fault.New(fault.InvalidState, "%s %s on the gift card of code %d are held: wait for the end of that", c.Held, c.Held.Currency, d.Place).At("codes")
	case acceptUsed:
		return nil
	case c.Used():
		return fault.New(fault.InvalidState, "the gift card of code %d was first used at %s and has %s of %s %s left: accept that it was used, or reject the claim about it",
			d.Place, c.FirstAt.Format(time.RFC3339), c.Balance, c.Amount, c.Amount.Currency).At("codes")
	case !c.Ended() && c.Balance != c.Amount:
		return fault.New(fault.InvalidState, "the gift card of code %d was loaded again: accept that it was used, or reject the claim about it", d.Place).At("codes")
	}
	return nil
}

// Left is what the card has; zero, where there is none.
func (d *Doomed) Left() int64 {
	if d.Card == nil {
		return 0
	}
	return d.Card.Balance.Minor
}

// Currency is that of Left; empty, where there is none.
func (d *Doomed) Currency() string {
	if d.Card == nil {
		return ""
	}
	return d.Card.Amount.Currency.String()
}

// Since returns ErrSpent, wrapped, if what can be spent with the card is not what it was when
// it was decided what becomes of its code.
func (d *Doomed) Since(decided time.Time, left int64) error {
	c := d.Card
	switch {
	case c == nil || c.Ended() && !c.FirstAt.After(decided):
		return nil
	case c.Ended() || !c.Held.IsZero() || c.Balance.Minor != left:
		return fmt.Errorf("code %d: %w", d.Place, ErrSpent)
	}
	return nil
}

// Order says on whose behalf cards are voided, and why.
type Order struct {
	Realm  realm.Realm
	Actor  string
	Reason string // for the issuer
}

// Voids are cards that are about to be voided.
type Voids struct {
	// Ops do it, in the books of the issuers. They come before the one that asks for Done.
	Ops   []ledger.Operation
	codes []Code
	made  []*Void
}

// Prepare describes how the cards of some codes are voided that can still be spent, and
// writes down that somebody is about to do it.
func (s *Service) Prepare(ctx context.Context, dead []Doomed, o Order) (*Voids, error) {
	v := &Voids{}
	for i := range dead {
		d := &dead[i]
		if d.Card == nil || d.Card.Ended() {
			continue
		}
		at := len(v.codes)
		v.codes, v.made = append(v.codes, d.Code), append(v.made, nil)
		op, err := s.cards.PrepareVoid(ctx, giftcard.Merchant{Book: d.Card.Book, Realm: o.Realm, Actor: o.Actor}, giftcard.Void{Card: d.Card.ID, Reason: o.Reason,
			Left: d.Card.Balance, Done: func(done ledger.Outcome, left money.Amount) {
				v.made[at] = &Void{Code: d.ID, Amount: left, Transaction: done.Transaction, At: done.At}
			}})
		if err != nil {
			return nil, err
		}
		v.Ops = append(v.Ops, op)
	}
	return v, nil
}

// Done returns what Ops did, and the effects of remembering that: for an operation that is
// decided after them. It returns storage.ErrStale, wrapped, if somebody else ended a card.
func (v *Voids) Done() ([]Void, []storage.Effect, error) {
	var all []Void
	var effects []storage.Effect
	for i, void := range v.made {
		if void == nil {
			return nil, nil, fmt.Errorf("the gift card of code %s was cancelled meanwhile: %w", v.codes[i].ID, storage.ErrStale)
		}
		v.made[i] = nil // it may be tried again
		all = append(all, *void)
		effects = append(effects, voidCard.With(string(v.codes[i].Book), string(void.Code), storage.Micros(void.At), void.Amount.Minor, string(void.Transaction)).Exactly(1))
	}
	return all, effects, nil
}
