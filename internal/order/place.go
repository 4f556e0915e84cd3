package order

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/shelf"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// The kind of the ledger's transaction, the counter that numbers a book's orders, the
// beginning of those that count them by status, and the event that tells of one.
const (
	kindPurchase    = "order.purchase"
	counterNumber   = "order.number"
	counterStatus   = "order.status/"
	eventProcessing = "order.processing"
	eventCompleted  = "order.completed"
	eventFailed     = "order.failed"
	eventCancelled  = "order.cancelled"
)

// EventTypes returns the types of the events that orders make.
func EventTypes() []string {
	return []string{eventProcessing, eventCompleted, eventFailed, eventCancelled}
}

// maxTries bounds how often codes are picked again that other processes took.
const maxTries = 16

// Wanted is what a buyer asks for.
type Wanted struct {
	Item     catalog.ItemCode
	Quantity int
	// Value is the denomination of each code: chosen, for an item with a range of them;
	// nil or the item's own for another.
	Value *catalog.Value
	// Currency is the one that the price must be in; invalid: any.
	Currency money.Currency
	// Most is the highest price of a code that the buyer takes, in the price's currency; nil: any.
	Most *catalog.Value
}

// Purchase asks for codes.
type Purchase struct {
	Item     catalog.ItemCode
	Quantity int
	// Value, Currency and Most are as in Wanted.
	Value    *catalog.Value
	Currency money.Currency
	Most     *catalog.Value
	Email    string
	// Also is asked again by an order that begins as processing, where that is completed or
	// fails before Place returns: from another goroutine while Place waits, which then returns
	// that.
	Also storage.Also[*Placed]
}

// Placed is an order with its codes, which its buyer has seen by then. There are none
// before it is completed.
type Placed struct {
	Order
	Codes []stock.Code
}

// offer is a product in one denomination, at the price of the moment.
type offer struct {
	product catalog.Product
	face    catalog.Face
	price   catalog.Charged
}

// ask is what a supplier is asked for.
func (o *offer) ask(quantity int) supply.Ask {
	return supply.Ask{Price: o.price, Quantity: quantity, Denomination: o.face.Decimal(), Range: o.product.IsRange()}
}

// usual reports whether an offer is of the one denomination that the item has: that of its
// codes in stock, and of its cost. Buyers choose others from a range, and what was bought
// before the item got another value is in the one of then.
func (o *offer) usual() bool { return !o.product.IsRange() && o.face == o.product.Face }

// cost is what a code costs, where that is known.
func (o *offer) cost() catalog.Cost {
	if !o.usual() {
		return catalog.Cost{}
	}
	return o.product.Cost
}

// offer finds what is sold under an item code, and for how much to whom.
func (s *Service) offer(ctx context.Context, b Buyer, w Wanted) (offer, error) {
	product, err := s.Catalog.Find(ctx, w.Item)
	if err == nil && !product.Sellable() {
		err = fault.New(fault.NotFound, "no such item").At("item_code")
	}
	if err != nil {
		return offer{}, err
	}
	face, err := product.Choose(w.Value)
	if err != nil {
		return offer{}, err
	}
	price, err := s.Catalog.Price(ctx, catalog.PriceQuery{Customer: b.Customer, Product: product, Face: face, At: s.Clocks.Now(b.Realm)})
	switch {
	case fault.CodeOf(err) == fault.InvalidState: // a rule of the operator's leads to none
		err = fault.Wrap(err, fault.OutOfStock, "this item has no price at present").With("requested", itoa(w.Quantity)).With("reason", NoSupply)
	case err == nil && price.IsNegative():
		err = fmt.Errorf("item %s has the price %s", w.Item, price)
	case err == nil && w.Currency.IsValid() && price.Currency != w.Currency:
		err = fault.New(fault.InvalidRequest, "the price of this item is in %s", price.Currency).At("price_currency")
	case err == nil && w.Most != nil && w.Most.Below(price.Amount):
		err = fault.New(fault.InvalidRequest, "the price of this item is %s %s", price, price.Currency).At("max_price")
	}
	return offer{product, face, price}, err
}

// Check returns what one code of an item costs the buyer, if there are as many. It
// reserves nothing. It returns not_found, invalid_request, invalid_amount or out_of_stock.
func (s *Service) Check(ctx context.Context, b Buyer, w Wanted) (catalog.Charged, error) {
	if err := checkQuantity(w.Quantity); err != nil {
		return catalog.Charged{}, err
	}
	found, err := s.offer(ctx, b, w)
	if err != nil {
		return catalog.Charged{}, err
	}
	sources, err := s.sources(b.Realm, &found, w.Quantity)
	if err != nil {
		return catalog.Charged{}, err
	}
	for _, equals := range tiers(sources) {
		if can, err := s.can(ctx, b.Realm, equals, stockCheck{found, w.Quantity}); can || err != nil {
			return found.price, err
		}
	}
	return found.price, outOfStock(w.Quantity)
}

// sources returns who delivers an offer. Codes in stock have the denomination that their
// item has, not one that a buyer chose: that others must deliver. Gift cards alone are made
// in one that the item does not have any more.
func (s *Service) sources(r realm.Realm, o *offer, quantity int) ([]supply.Source, error) {
	all := s.Supply.Sources(r, &o.product)
	if o.usual() {
		return all, nil
	}
	why, gone := "nothing delivers this item in a denomination of the buyer's choice", !o.product.Sells(o.face)
	if gone {
		why = "nothing delivers this item in the denomination that was bought: it has another one now"
	}
	all = slices.DeleteFunc(all, func(from supply.Source) bool {
		return from.Kind == supply.Stock || gone && from.Kind != supply.KindGiftcard
	})
	if len(all) == 0 {
		return nil, fault.New(fault.OutOfStock, "%s", why).With("requested", strconv.Itoa(quantity)).With("reason", NoSupply)
	}
	return all, nil
}

// NoSupply is the detail reason of an out_of_stock that no upload of codes ends.
const NoSupply = "no_supply"

// stockCheck is what a check asks for.
type stockCheck struct {
	offer
	quantity int
}

// can reports whether one of some sources can deliver.
func (s *Service) can(ctx context.Context, r realm.Realm, equals tier, c stockCheck) (bool, error) {
	for i := range equals.own {
		from := &equals.own[i]
		if from.Kind != supply.Stock {
			if s.mintable(ctx, from, &c.offer) {
				return true, nil
			}
			continue
		}
		count, err := s.Stock.Count(ctx, r, c.product.Code)
		if err != nil || count >= c.quantity {
			return err == nil, err
		}
	}
	return len(s.Supply.Best(ctx, equals.outside, c.ask(c.quantity))) > 0, ctx.Err()
}

func checkQuantity(n int) error {
	if n < 1 || n > MaxQuantity {
		return fault.New(fault.InvalidRequest, "quantity must be 1 to %d", MaxQuantity).At("quantity")
	}
	return nil
}

func (p *Purchase) check() error {
	if err := checkQuantity(p.Quantity); err != nil {
		return err
	}
	return CheckEmail(p.Email)
}

// CheckEmail returns invalid_request for what is neither empty nor one plain address.
func CheckEmail(email string) error {
	if email != "" && !plain.Email(email) {
		return fault.New(fault.InvalidRequest, "email must be one plain email address").At("email")
	}
	return nil
}

// Place sells codes: all that are asked for, paid and delivered, or none. The price is the
// one of the moment. Those who can deliver are asked by priority; where one is outside of
// this installation the order may be returned as processing, without codes: it is completed
// or fails in the background. It returns invalid_request, invalid_amount for a denomination
// that the item does not have, not_found, out_of_stock, or insufficient_funds with the
// details required and balance.
func (s *Service) Place(ctx context.Context, b Buyer, p Purchase) (Placed, error) {
	if err := p.check(); err != nil {
		return Placed{}, err
	}
	found, err := s.offer(ctx, b, Wanted{p.Item, p.Quantity, p.Value, p.Currency, p.Most})
	if err != nil {
		return Placed{}, err
	}
	sources, err := s.sources(b.Realm, &found, p.Quantity)
	if err != nil {
		return Placed{}, err
	}
	draft, err := found.order(b, p)
	if err != nil {
		return Placed{}, err
	}
	for _, equals := range tiers(sources) {
		placed, done, err := s.from(ctx, deal{draft, found, p.Also}, equals)
		if err != nil || done {
			return placed, draft.refused(err)
		}
	}
	return Placed{}, outOfStock(p.Quantity)
}

// deal is a sale that is about to be made.
type deal struct {
	draft Order
	offer offer
	also  storage.Also[*Placed]
}

// tier is sources of one priority: those of this installation, then the others.
type tier struct {
	own, outside []supply.Source
}

// tiers cuts sources, which are by priority.
func tiers(sources []supply.Source) []tier {
	var all []tier
	for i, from := range sources {
		if i == 0 || sources[i-1].Priority != from.Priority {
			all = append(all, tier{})
		}
		at := &all[len(all)-1]
		switch from.Kind {
		case supply.Stock:
			at.own = append([]supply.Source{from}, at.own...) // what is paid for goes first
		case supply.KindGiftcard:
			at.own = append(at.own, from)
		default:
			at.outside = append(at.outside, from)
		}
	}
	return all
}

// from sells from one of some sources, if one can deliver.
func (s *Service) from(ctx context.Context, d deal, equals tier) (placed Placed, done bool, err error) {
	for i := range equals.own {
		if from := &equals.own[i]; from.Kind == supply.Stock {
			placed, done, err = s.fromStock(ctx, d)
		} else {
			placed, done, err = s.fromMint(ctx, d, from)
		}
		if err != nil || done {
			return placed, done, err
		}
	}
	if !d.draft.Amount.IsPositive() {
		return Placed{}, false, nil // there would be nothing to hold
	}
	offers := s.Supply.Best(ctx, equals.outside, d.offer.ask(d.draft.Quantity))
	if len(offers) == 0 {
		return Placed{}, false, ctx.Err()
	}
	placed, err = s.await(ctx, d, &offers[0])
	return placed, true, err
}

// fromStock sells from the operator's stock, if there are as many codes.
func (s *Service) fromStock(ctx context.Context, d deal) (Placed, bool, error) {
	at := shelf.Shelf{Realm: d.draft.Realm, Item: d.draft.Item}
	for try := 1; ; try++ {
		picked, err := s.shelves.Pick(ctx, at, d.draft.Quantity)
		if err != nil || picked == nil {
			return Placed{}, false, err
		}
		placed, err := s.sell(ctx, d, picked)
		s.shelves.Release(at, picked, err)
		if !errors.Is(err, storage.ErrStale) {
			return placed, true, err
		}
		if try == maxTries {
			return Placed{}, false, fault.Wrap(err, fault.Unavailable, "too many buyers want this item at once")
		}
	}
}

// order is what the offer makes of a purchase, before it has a number.
func (o *offer) order(b Buyer, p Purchase) (Order, error) {
	amount, err := o.price.Times(p.Quantity)
	if err != nil {
		return Order{}, fmt.Errorf("item %s: %w", p.Item, err)
	}
	face, err := o.face.Times(p.Quantity)
	if err != nil {
		return Order{}, fmt.Errorf("item %s: %w", p.Item, err)
	}
	return Order{Book: b.Book, Realm: b.Realm, Credential: b.Credential, Item: p.Item, Product: o.product.Name, Brand: o.product.Brand,
		Quantity: p.Quantity, Price: o.price, Amount: amount, Face: o.face, TotalFace: face, Email: p.Email, Status: Completed}, nil
}

// sell makes one try with the codes that were picked. It returns storage.ErrStale, wrapped,
// when one of them was sold or withdrawn meanwhile.
func (s *Service) sell(ctx context.Context, d deal, picked []stock.Sealed) (Placed, error) {
	codes, err := s.Stock.Open(picked)
	if err != nil {
		return Placed{}, fmt.Errorf("open codes: %w", err)
	}
	byID(codes)
	var placed Placed
	op := s.operation(&d.draft)
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		placed = Placed{Order: d.draft.placed(&o), Codes: codes}
		effects := []storage.Effect{insertOrder.Row(placed.row()...)}
		effects = append(effects, stock.Take(picked, placed.Number.ref(), placed.Book, o.At)...)
		look := stock.Reveal{Book: placed.Book, Realm: placed.Realm, Order: placed.Number.ref(), Actor: placed.Credential}
		effects = append(effects, stock.Revealed(look, o.At)...)
		effects = append(effects, s.told(eventCompleted, &placed.Order)...)
		return d.also.With(effects, &placed)
	}
	if _, err := s.Books.Submit(ctx, op); err != nil {
		return Placed{}, fmt.Errorf("place order: %w", err)
	}
	return placed, nil
}

// operation is what the books do: the wallet pays, and the book's orders are counted.
func (s *Service) operation(o *Order, costs ...cost) ledger.Operation {
	from := wallet.Account(o.Amount.Currency)
	op := ledger.Operation{Book: o.Book, Kind: kindPurchase, Reference: string(o.Item), Actor: o.Credential, At: s.Clocks.Now(o.Realm),
		Open:   []ledger.NewAccount{from},
		Guards: append([]ledger.Guard{{Counter: counterNumber, Add: 1, Limit: math.MaxInt64}}, Moved("", o.Status)...)}
	share(&op, from, o.Amount, costs)
	return op
}

// placed completes an order with what the books say.
func (o Order) placed(done *ledger.Outcome) Order {
	o.Number, o.Transaction, o.CreatedAt, o.ChangedAt = Number(done.Sum(counterNumber)), done.Transaction, done.At, done.At
	return o
}

// refused says in an order's words why the ledger refused.
func (o *Order) refused(err error) error {
	if fault.CodeOf(err) != fault.InsufficientFunds {
		return err
	}
	balance := fault.From(err).Details["available"]
	return fault.Wrap(err, fault.InsufficientFunds, "the balance is not sufficient: %s %s are required, %s are available", o.Amount.String(), o.Amount.Currency, balance).
		With("required", o.Amount.String()).With("balance", balance)
}

// told returns the effect of the event that tells of an order.
func (s *Service) told(kind string, o *Order) []storage.Effect {
	return s.Outbox.Effects(webhook.Event{Book: o.Book, Realm: o.Realm, Type: kind, Data: o.event(), At: o.ChangedAt})
}

// event is the data of an event about the order. There is no code in it.
func (o *Order) event() []byte {
	return (&webhook.Data{}).Int("order_id", int64(o.Number)).Text("order_no", o.Name()).Text("status", string(o.Status)).
		Text("item_code", string(o.Item)).Int("quantity", int64(o.Quantity)).Text("amount", o.Amount.String()).
		Text("currency", o.Amount.Currency.String()).Text("transaction_id", string(o.Transaction)).JSON()
}
