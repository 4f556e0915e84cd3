package cashout

import (
	"context"
	"slices"

	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/cashout/ticker"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Required is one picture that an order waits for.
type Required struct {
	Kind     Kind
	Uploaded bool
	// Feedback is what was wrong with the last one; empty: nothing yet.
	Feedback string
}

// Limits is what a customer may still do, and from when on more is asked for.
type Limits struct {
	Used, Left money.Amount
	// NamesAbove and DocumentAbove are the volumes above which names and a document are needed.
	NamesAbove, DocumentAbove money.Amount
	// NeedsNames and NeedsDocument say so of the order in question.
	NeedsNames, NeedsDocument bool
}

// View is an order as its caller sees it: with the price of the moment where it floats.
type View struct {
	Order
	// Floats says that its price does.
	Floats bool
	// Required are the pictures it waits for; nil unless it is authorized.
	Required []Required
	// Undone says that its payout failed and its approval was reversed in the books: nothing is
	// owed for it any more, and no other destination is paid.
	Undone bool
	// Limits are those of its customer; nil until the phone is confirmed, and once it is authorized.
	Limits *Limits
}

func unknown() error { return fault.New(fault.NotFound, "no such order") }

// byToken returns an order of a realm; not_found for none, one that is gone, and one whose
// time is over.
func (s *Service) byToken(ctx context.Context, q storage.Queryer, r realm.Realm, token pan.Secret) (Order, error) {
	hash, ok := s.hash(token)
	if !ok {
		return Order{}, unknown()
	}
	book, err := s.Book(ctx, r)
	if err != nil {
		return Order{}, err
	}
	o, found, err := storage.One(ctx, q, scanOrder, findByToken, string(book), hash)
	switch {
	case err != nil:
		return Order{}, err
	case !found || o.Status.IsGone() || o.Status.IsOpen() && !s.Clocks.Now(r).Before(o.ExpiresAt):
		return Order{}, unknown()
	}
	return o, nil
}

// ready returns an order that allows an act.
func (s *Service) ready(ctx context.Context, r realm.Realm, token pan.Secret, a Act) (Order, error) {
	if _, err := s.desk(r); err != nil {
		return Order{}, err
	}
	o, err := s.byToken(ctx, s.DB, r, token)
	if err == nil {
		err = o.Allows(a)
	}
	return o, err
}

// View returns an order with what it waits for. It returns not_found, and unavailable where
// the price is not locked and there is none.
func (s *Service) View(ctx context.Context, r realm.Realm, token pan.Secret) (View, error) {
	d, err := s.desk(r)
	if err != nil {
		return View{}, err
	}
	o, err := s.byToken(ctx, s.DB, r, token)
	if err != nil {
		return View{}, err
	}
	floats, err := s.refresh(ctx, &o)
	if err != nil {
		return View{}, err
	}
	v := View{Order: o, Floats: floats}
	switch o.Status {
	case Confirmed:
		v.Limits, err = s.limits(ctx, s.DB, d, &o)
	case Authorized:
		v.Required, err = s.Required(ctx, &o)
	case Approved:
		if o.Unpaid() {
			v.Undone, err = s.undone(ctx, &o)
		}
	case Created, Processing, Completed, Blocked, Cancelled, Expired:
	}
	return v, err
}

// limits are an order's customer's before it is authorized.
func (s *Service) limits(ctx context.Context, q storage.Queryer, d *Desk, o *Order) (*Limits, error) {
	c, err := s.customers.Find(ctx, q, o.Book, o.Customer)
	if err != nil {
		return nil, err
	}
	used, err := s.volume(ctx, q, d, o)
	if err != nil {
		return nil, err
	}
	l := &Limits{Used: used, Left: customer.Left(used, d.Tiers.Most), NamesAbove: d.Tiers.Until(customer.Names), DocumentAbove: d.Tiers.Until(customer.Document)}
	asks, err := d.Tiers.At(money.New(used.Minor+o.Amount.Minor, used.Currency))
	if err != nil {
		return l, nil // the payment will be refused: Left says why
	}
	l.NeedsNames, l.NeedsDocument = slices.Contains(asks, customer.Names) && !c.HasName, slices.Contains(asks, customer.Document)
	return l, nil
}

// volume is what a customer's other orders come to within the window.
func (s *Service) volume(ctx context.Context, q storage.Queryer, d *Desk, o *Order) (money.Amount, error) {
	since := s.Clocks.Now(o.Realm).Add(-d.Tiers.Window)
	cents, _, err := storage.One(ctx, q, storage.Scalar[int64], sumVolume, string(o.Book), string(o.Customer), storage.Micros(since))
	return money.New(cents, o.Amount.Currency), err
}

// Quote is the price of the moment, and what an order may be.
type Quote struct {
	Price ticker.Price
	Tiers customer.Tiers
	// Open says that orders are taken.
	Open bool
}

// Quote returns the price of a realm. Without one, or where cards are not cashed out, it is
// not open.
func (s *Service) Quote(ctx context.Context, r realm.Realm) (Quote, error) {
	d := s.Desks[r]
	if d == nil {
		return Quote{Price: ticker.Price{At: s.Clocks.Now(r)}}, nil
	}
	p, err := d.Ticker.Price(ctx)
	if fault.CodeOf(err) == fault.Unavailable {
		return Quote{Price: ticker.Price{At: s.Clocks.Now(r)}, Tiers: d.Tiers}, nil
	}
	q := Quote{Price: p, Tiers: d.Tiers, Open: true}
	if err == nil {
		err = q.narrow(d)
	}
	return q, err
}

// narrow has an order be no smaller and no larger than what one payout can be for.
func (q *Quote) narrow(d *Desk) error {
	smallest, largest, err := d.sizes(q.Price)
	if smallest.Minor > q.Tiers.Smallest.Minor {
		q.Tiers.Smallest = smallest
	}
	if largest.Minor < q.Tiers.Largest.Minor {
		q.Tiers.Largest = largest
	}
	return err
}

// Get returns an order by its id, whatever became of it; not_found where there is none.
func (s *Service) Get(ctx context.Context, book ledger.BookID, order ID) (Order, error) {
	o, found, err := storage.One(ctx, s.DB, scanOrder, findOrder, string(book), string(order))
	if err == nil && !found {
		err = unknown()
	}
	return o, err
}

// HasOrders reports whether there are orders of a realm, whatever became of them.
func HasOrders(ctx context.Context, q storage.Queryer, r realm.Realm) (bool, error) {
	book, found, err := storage.One(ctx, q, storage.Scalar[string], findDesk, string(r))
	if err != nil || !found {
		return false, err
	}
	_, found, err = storage.One(ctx, q, storage.Scalar[int64], findAny, book)
	return found, err
}

// Filter says which orders to list.
type Filter struct {
	Realm  realm.Realm
	Status Status // empty: all
	// Before lists those made before an order; empty begins with the newest.
	Before ID
	Limit  int // MaxPage at most, and one more for whoever asks whether there are more
}

// MaxPage bounds a list.
const MaxPage = 200

// List returns orders of a realm, newest first. It returns invalid_request for a status that
// is none, and invalid_cursor for what is no order's id.
func (s *Service) List(ctx context.Context, f Filter) ([]Order, error) {
	if f.Status != "" && !slices.Contains(Statuses(), f.Status) {
		return nil, fault.New(fault.InvalidRequest, "there is no such status").At("status")
	}
	switch {
	case f.Before == "":
		f.Before = "d" // after every cash_…
	case !id.Valid(Prefix, string(f.Before)):
		return nil, fault.New(fault.InvalidCursor, "the cursor is no order's id")
	}
	book, err := s.Book(ctx, f.Realm)
	if err != nil || book == "" {
		return nil, err
	}
	statement, args := listOrders, []any{string(book), string(f.Before), min(max(f.Limit, 1), MaxPage+1)}
	switch {
	case len(next[f.Status]) > 0:
		statement, args = listWaiting, append(args, string(f.Status))
	case f.Status != "":
		statement, args = listInStatus, append(args, string(f.Status))
	}
	return storage.All(ctx, s.DB, scanOrder, statement, args...)
}

// Person is who an order is for, as reviewers see them.
type Person struct {
	Phone phone.Number
	Name  customer.Name
}

// PersonOf opens who an order is for.
func (s *Service) PersonOf(ctx context.Context, o *Order) (Person, error) {
	n, err := s.Phones.Unseal(string(o.ID), o.phone)
	if err != nil || o.Customer == "" {
		return Person{Phone: n}, err
	}
	c, err := s.customers.Find(ctx, s.DB, o.Book, o.Customer)
	if err != nil {
		return Person{}, err
	}
	name, err := s.customers.NameOf(c)
	return Person{n, name}, err
}
