package order

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/minted"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// issue is the gift card that a code of an offer is.
func (o *offer) issue() giftcard.Issue {
	title := o.product.Name
	for title != "" && !plain.Line(title, 1, giftcard.MaxTitle) {
		_, size := utf8.DecodeLastRuneInString(title)
		title = title[:len(title)-size]
	}
	return giftcard.Issue{Title: title, TemplateID: o.product.Mint, Amount: o.face.Amount}
}

// mintable reports whether gift cards of an offer can be made and sold at its price.
func (s *Service) mintable(ctx context.Context, from *supply.Source, o *offer) bool {
	err := s.unmintable(ctx, from, o)
	if err != nil {
		s.Logger.WarnContext(ctx, "no gift cards can be made", "item", string(o.product.Code), "supplier", from.Supplier, "error", err)
	}
	return err == nil
}

// unmintable returns why no gift cards of an offer can be made and sold at its price; nil:
// they can.
func (s *Service) unmintable(ctx context.Context, from *supply.Source, o *offer) error {
	if cost := o.cost(); cost != (catalog.Cost{}) && !from.Affords(o.price, cost) {
		return fmt.Errorf("they cost %s %s, and their price is %s %s", cost, cost.Currency, o.price, o.price.Currency)
	}
	return s.Cards.Check(ctx, o.issue())
}

// mintTries bounds how often cards are drawn again because a number was taken.
const mintTries = 4

// minted prepares n gift cards for an order: the operations that make them, and what sells
// their numbers and keys to the order. The receipt is told which one where it has no number yet.
func (s *Service) minted(ctx context.Context, d deal, from *supply.Source, n int) (filling, *stock.Receipt, error) {
	m := giftcard.Merchant{Book: from.Issuer, Realm: d.draft.Realm, Actor: d.draft.Credential}
	delivery := stock.Delivery{Realm: d.draft.Realm, Item: d.draft.Item, Supplier: from.Supplier, Book: d.draft.Book, Order: d.draft.Number.ref()}
	var f filling
	var costs []catalog.Cost
	var cards []*giftcard.Card
	for range n {
		issued, op, err := s.Cards.Prepare(ctx, m, d.offer.issue())
		if err != nil {
			return filling{}, nil, err
		}
		f.more, cards = append(f.more, op), append(cards, issued.Card)
		costs = append(costs, d.offer.cost())
		delivery.Codes = append(delivery.Codes, stock.Delivered{Text: pan.NewSecret(issued.Card.Number.Reveal()), PIN: issued.Key, Cost: d.offer.cost()})
	}
	receipt, err := s.Stock.Receive(ctx, delivery)
	if err != nil {
		return filling{}, nil, err
	}
	if len(receipt.Codes) != n {
		return filling{}, nil, fault.New(fault.Unavailable, "a number of a new gift card is in stock already")
	}
	f.codes, f.costs = receipt.Codes, []cost{{from.Supplier, total(costs)}}
	f.effects = func(at time.Time) []storage.Effect {
		effects := receipt.Keep(n, stock.Sold, at)
		for i, c := range receipt.Codes {
			effects = append(effects, minted.Note(minted.Code{Book: d.draft.Book, ID: c.ID}, cards[i]))
		}
		return effects
	}
	return f, &receipt, nil
}

// fromMint makes gift cards and sells them, in one transaction with what pays for them.
func (s *Service) fromMint(ctx context.Context, d deal, from *supply.Source) (Placed, bool, error) {
	if !s.mintable(ctx, from, &d.offer) {
		return Placed{}, false, nil
	}
	for try := 1; ; try++ {
		f, receipt, err := s.minted(ctx, d, from, d.draft.Quantity)
		if err != nil {
			return Placed{}, false, err
		}
		var placed Placed
		op := s.operation(&d.draft, f.costs...)
		op.Effects = func(done ledger.Outcome) ([]storage.Effect, error) {
			placed = Placed{Order: d.draft.placed(&done), Codes: f.codes}
			receipt.For(placed.Number.ref())
			effects := append(s.told(eventCompleted, &placed.Order), insertOrder.Row(placed.row()...))
			effects = append(effects, f.effects(done.At)...)
			look := stock.Reveal{Book: placed.Book, Realm: placed.Realm, Order: placed.Number.ref(), Actor: placed.Credential}
			effects = append(effects, stock.Revealed(look, done.At)...)
			return d.also.With(effects, &placed)
		}
		_, err = s.submit(ctx, op, f.more)
		if err == nil {
			return placed, true, nil
		}
		if !storage.IsUnique(err) || try == mintTries {
			return Placed{}, false, err
		}
	}
}
