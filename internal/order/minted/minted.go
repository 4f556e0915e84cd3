// Package minted is the codes that are gift cards of this installation, made when they were
// sold: which card each of them is, how the card stands, and what is done to the cards of
// dead codes.
//
// The card of a code that is replaced or paid back is voided by operations that are made in
// one transaction with that: whoever still has the number and the key can buy nothing more.
// Whoever spends it at the same moment comes before or after, and is seen to.
//
// It must never show a number or a key, nor void a card of which its caller has not seen
// what was spent.
package minted

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Code is a code of a buyer.
type Code struct {
	Book ledger.BookID // the buyer's
	ID   stock.CodeID
}

// Card is the gift card that a code is.
type Card struct {
	giftcard.Use
	// Void is what was done to it when its code was replaced or paid back; nil: nothing.
	Void *Void
}

// Void is how a card was voided.
type Void struct {
	Code stock.CodeID
	// Amount was left on the card, and is its issuer's again.
	Amount money.Amount
	// Transaction is in the issuer's book.
	Transaction ledger.TransactionID
	At          time.Time
}

// Used reports whether something was redeemed with the card or held on it, even if it was
// given back.
func (c *Card) Used() bool { return !c.FirstAt.IsZero() }

// Voided returns the card after it was voided.
func (c *Card) Voided(v *Void) *Card {
	after, none := *c.Card, money.New(0, c.Amount.Currency)
	after.Status, after.EndedAt, after.Balance, after.Held = giftcard.Cancelled, v.At, none, none
	return &Card{Use: giftcard.Use{Card: &after, FirstAt: c.FirstAt}, Void: v}
}

// Ended reports whether the card cannot be spent any more, so that there is nothing to void.
func (c *Card) Ended() bool {
	return !c.EndedAt.IsZero() || c.Status == giftcard.Expired || c.Status == giftcard.Cancelled
}

// Service knows the cards of one installation's codes. It is safe for concurrent use.
type Service struct {
	db    *storage.DB
	cards *giftcard.Service
}

// New returns the service.
func New(db *storage.DB, cards *giftcard.Service) *Service { return &Service{db, cards} }

// Note returns the effect of remembering which card a code is that is sold with it.
func Note(code Code, card *giftcard.Card) storage.Effect {
	return insertCard.Row(string(code.Book), string(code.ID), string(card.Book), string(card.ID), card.Amount.Currency.String(), nil, int64(0), "")
}

// Cards returns those of some codes that are gift cards, as they stand now.
func (s *Service) Cards(ctx context.Context, codes []Code) (map[Code]*Card, error) {
	rows := make([][]any, len(codes))
	for i, c := range codes {
		rows[i] = []any{string(c.Book), string(c.ID)}
	}
	found, err := storage.AllOf(ctx, s.db, scanLink, loadCards, rows)
	if err != nil {
		return nil, err
	}
	byIssuer := map[ledger.BookID][]giftcard.ID{}
	for _, l := range found {
		byIssuer[l.issuer] = append(byIssuer[l.issuer], l.card)
	}
	uses := map[giftcard.ID]giftcard.Use{}
	for issuer, ids := range byIssuer {
		all, err := s.cards.Uses(ctx, issuer, ids)
		if err != nil {
			return nil, err
		}
		for _, u := range all {
			uses[u.ID] = u
		}
	}
	cards := make(map[Code]*Card, len(found))
	for _, l := range found {
		use, ok := uses[l.card]
		if !ok {
			return nil, fmt.Errorf("code %s: there is no gift card %s in book %s", l.ID, l.card, l.issuer)
		}
		cards[l.Code] = l.at(use)
	}
	return cards, nil
}
