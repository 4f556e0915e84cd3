package order

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/mail"
	"slices"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// The kind of the ledger's transaction, the counter that numbers a book's orders, the
// beginning of those that count them by status, and the event that tells of one.
const (
	kindPurchase   = "order.purchase"
	counterNumber  = "order.number"
	counterStatus  = "order.status/"
	eventCompleted = "order.completed"
)

// EventTypes returns the types of the events that orders make.
func EventTypes() []string { return []string{eventCompleted} }

// maxTries bounds how often codes are picked again that other processes took.
const maxTries = 16

// Wanted is what a buyer asks for.
type Wanted struct {
	Item     catalog.ItemCode
	Quantity int
	// Value is the denomination of each code: chosen, for an item with a range of them;
	// nil or the item's own for another.
	Value *catalog.Value
}

// Purchase asks for codes.
type Purchase struct {
	Item     catalog.ItemCode
	Quantity int
	// Value is as in Wanted.
	Value *catalog.Value
	Email string
	// Also is what to write with the order, such as the stored answer to the request; its
	// error undoes the whole. It may be nil, may run more than once and must have no
	// effects of its own.
	Also func(*Placed) ([]storage.Effect, error)
}

// Placed is an order with its codes, which its buyer has seen by then.
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
	if err == nil && price.IsNegative() {
		err = fmt.Errorf("item %s has the price %s", w.Item, price)
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
	if err == nil {
		err = found.supplied(w.Quantity)
	}
	if err != nil {
		return catalog.Charged{}, err
	}
	count, err := s.Stock.Count(ctx, b.Realm, w.Item)
	if err == nil && count < w.Quantity {
		err = outOfStock(w.Quantity)
	}
	return found.price, err
}

// supplied refuses what no supply can deliver: codes in stock have the denomination that
// their item had, not one that a buyer chooses.
func (o *offer) supplied(quantity int) error {
	if !o.product.IsRange() {
		return nil
	}
	return fault.New(fault.OutOfStock, "nothing delivers this item in a denomination of the buyer's choice").
		With("requested", strconv.Itoa(quantity)).With("reason", NoSupply)
}

// NoSupply is the detail reason of an out_of_stock that no upload of codes ends.
const NoSupply = "no_supply"

func outOfStock(quantity int) error {
	return fault.New(fault.OutOfStock, "there are not %d codes of this item in stock", quantity).With("requested", strconv.Itoa(quantity))
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
	if email == "" {
		return nil
	}
	address, err := mail.ParseAddress(email)
	if err != nil || address.Address != email || len(email) > MaxEmail || strings.ContainsRune(email, 0) {
		return fault.New(fault.InvalidRequest, "email must be one plain email address").At("email")
	}
	return nil
}

// Place sells codes from stock: all that are asked for, paid and delivered, or none. The
// price is the one of the moment. It returns invalid_request, invalid_amount for a denomination
// that the item does not have, not_found, out_of_stock, or insufficient_funds with the details required and balance.
func (s *Service) Place(ctx context.Context, b Buyer, p Purchase) (Placed, error) {
	if err := p.check(); err != nil {
		return Placed{}, err
	}
	found, err := s.offer(ctx, b, Wanted{p.Item, p.Quantity, p.Value})
	if err == nil {
		err = found.supplied(p.Quantity)
	}
	if err != nil {
		return Placed{}, err
	}
	draft, err := found.order(b, p)
	if err != nil {
		return Placed{}, err
	}
	at := shelf{b.Realm, p.Item}
	for try := 1; ; try++ {
		ids, err := s.pick(ctx, at, p.Quantity, try)
		if err != nil {
			return Placed{}, err
		}
		if ids == nil {
			return Placed{}, outOfStock(p.Quantity)
		}
		placed, err := s.sell(ctx, draft, ids, p.Also)
		s.shelves.release(at, ids)
		if !errors.Is(err, storage.ErrStale) {
			return placed, draft.refused(err)
		}
		if try == maxTries {
			return Placed{}, fault.Wrap(err, fault.Unavailable, "too many buyers want this item at once")
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
func (s *Service) sell(ctx context.Context, draft Order, ids []stock.CodeID, also func(*Placed) ([]storage.Effect, error)) (Placed, error) {
	ids = slices.Sorted(slices.Values(ids)) // as they are read again
	codes, err := s.Stock.Open(ctx, ids)
	if err != nil {
		return Placed{}, fmt.Errorf("open codes: %w", err)
	}
	var placed Placed
	op := s.operation(&draft)
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		placed = Placed{Order: draft.placed(&o), Codes: codes}
		effects := []storage.Effect{insertOrder.Row(placed.row()...)}
		effects = append(effects, stock.Take(ids, placed.Number.ref(), placed.Book, o.At)...)
		look := stock.Reveal{Book: placed.Book, Realm: placed.Realm, Order: placed.Number.ref(), Actor: placed.Credential}
		effects = append(effects, stock.Revealed(look, o.At)...)
		effects = append(effects, s.Outbox.Effects(webhook.Event{Book: placed.Book, Realm: placed.Realm, Type: eventCompleted, Data: placed.event(), At: o.At})...)
		if also == nil {
			return effects, nil
		}
		more, err := also(&placed)
		return append(effects, more...), err
	}
	if _, err := s.Books.Submit(ctx, op); err != nil {
		return Placed{}, fmt.Errorf("place order: %w", err)
	}
	return placed, nil
}

// operation is what the books do: the wallet pays, and the book's orders are counted.
func (s *Service) operation(o *Order) ledger.Operation {
	from, to := wallet.Account(o.Amount.Currency), revenue(o.Amount.Currency)
	op := ledger.Operation{Book: o.Book, Kind: kindPurchase, Reference: string(o.Item), Actor: o.Credential, At: s.Clocks.Now(o.Realm),
		Open:   []ledger.NewAccount{from, to},
		Guards: append([]ledger.Guard{{Counter: counterNumber, Add: 1, Limit: math.MaxInt64}}, Moved("", o.Status)...)}
	if o.Amount.IsPositive() { // what costs nothing moves nothing
		op.Postings = []ledger.Posting{{Debit: from.ID, Credit: to.ID, Amount: o.Amount.Amount}}
	}
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

// event is the data of an event about the order. There is no code in it.
func (o *Order) event() []byte {
	return (&webhook.Data{}).Int("order_id", int64(o.Number)).Text("order_no", o.Name()).Text("status", string(o.Status)).
		Text("item_code", string(o.Item)).Int("quantity", int64(o.Quantity)).Text("amount", o.Amount.String()).
		Text("currency", o.Amount.Currency.String()).Text("transaction_id", string(o.Transaction)).JSON()
}
