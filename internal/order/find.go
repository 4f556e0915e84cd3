package order

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
)

// Find returns an order of a book, or not_found, as for another book's.
func (s *Service) Find(ctx context.Context, book ledger.BookID, number Number) (Order, error) {
	found, ok, err := storage.One(ctx, s.DB, scanOrder, findOrder, string(book), int64(number))
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "no such order")
	}
	return found, err
}

// Reveal returns an order of the buyer's with its codes, once the look at them is
// recorded, or without, where it is not completed; not_found, as for another buyer's.
func (s *Service) Reveal(ctx context.Context, b Buyer, number Number) (Placed, error) {
	found, err := s.Find(ctx, b.Book, number)
	if err != nil || !found.Status.delivered() {
		return Placed{Order: found}, err
	}
	codes, err := s.Stock.Reveal(ctx, b.look(number))
	return Placed{Order: found, Codes: codes}, err
}

// Shown records that the buyer is shown the codes of an order again, as they were when it
// was placed.
func (s *Service) Shown(ctx context.Context, b Buyer, number Number) error {
	return s.Stock.Shown(ctx, b.look(number))
}

// look is the buyer's look at the codes of an order.
func (b Buyer) look(number Number) stock.Reveal {
	return stock.Reveal{Book: b.Book, Realm: b.Realm, Order: number.ref(), Actor: b.Credential}
}

// Sort is an order of orders.
type Sort string

// The sorts. Equal ones are the newest first, or the oldest when ascending.
const (
	ByCreated Sort = "created_at"
	ByAmount  Sort = "amount" // by the number, whatever the currency
	ByStatus  Sort = "status"
)

// Bounds of a page.
const (
	DefaultPerPage = 10
	MaxPerPage     = 100
	maxOffset      = 1_000_000
)

// Filter says which orders of a book to list.
type Filter struct {
	Book   ledger.BookID
	Status Status // empty: all
	Sort   Sort   // ByCreated when empty
	// Ascending lists the least first; otherwise the greatest.
	Ascending bool
	Offset    int // at most a million
	Limit     int // DefaultPerPage when 0, MaxPerPage at most
}

// Page is some of the orders that a filter finds.
type Page struct {
	Orders []Order
	// Total is how many there are on all pages.
	Total int
}

// List returns a page of a book's orders and how many there are, which the books have
// counted: neither takes longer as there are more, but for amounts in currencies with different
// decimals, which no index has in order. It returns invalid_request for a filter outside its bounds.
func (s *Service) List(ctx context.Context, f Filter) (Page, error) {
	if f.Sort == "" {
		f.Sort = ByCreated
	}
	if f.Limit == 0 {
		f.Limit = DefaultPerPage
	}
	by := sorting{f.Sort, f.Ascending, f.Status != ""}
	list := lists[by]
	if list == nil || f.Limit < 1 || f.Limit > MaxPerPage || f.Offset < 0 || f.Offset > maxOffset {
		return Page{}, fault.New(fault.InvalidRequest, "want a known sort, a limit of 1 to %d and an offset of at most %s", MaxPerPage, strconv.Itoa(maxOffset))
	}
	if other := mixed[by]; other != nil {
		if mixes, err := s.mixes(ctx, f.Book); err != nil {
			return Page{}, err
		} else if mixes {
			list = other
		}
	}
	var page Page
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		counter, args := counterNumber, []any{string(f.Book)}
		if f.Status != "" {
			counter, args = counterStatus+string(f.Status), append(args, string(f.Status))
		}
		sums, err := ledger.Counters(ctx, q, f.Book, counter)
		if err != nil {
			return err
		}
		page.Total = int(sums[counter])
		page.Orders, err = storage.All(ctx, q, scanOrder, list, append([]any{f.Limit, f.Offset}, args...)...)
		return err
	})
	return page, err
}

// mixes reports whether a book's orders may be paid in currencies with different decimals: it
// has a wallet in the currency of each.
func (s *Service) mixes(ctx context.Context, book ledger.BookID) (bool, error) {
	wallets, err := s.Books.ListAccounts(ctx, book, wallet.Accounts, "", ledger.MaxPage)
	return slices.ContainsFunc(wallets, func(a *ledger.Account) bool { return a.Currency.Digits() != wallets[0].Currency.Digits() }), err
}

// Listing is a product as a buyer sees it.
type Listing struct {
	catalog.Product
	Price   catalog.Charged // of one code
	InStock bool            // whether one can be had now
}

// Shelf is a page of the catalog as a buyer sees it.
type Shelf struct {
	catalog.Page
	Listings []Listing
}

// Browse returns a page of the catalog with the buyer's prices and what is in stock. It
// returns invalid_request for a filter outside its bounds.
func (s *Service) Browse(ctx context.Context, b Buyer, f catalog.Filter) (Shelf, error) {
	page, err := s.Catalog.Search(ctx, f)
	if err != nil {
		return Shelf{}, err
	}
	items := make([]catalog.ItemCode, len(page.Products))
	for i := range page.Products {
		items[i] = page.Products[i].Code
	}
	inStock, err := s.Stock.InStock(ctx, b.Realm, items)
	if err != nil {
		return Shelf{}, err
	}
	shelf := Shelf{Page: page, Listings: make([]Listing, len(items))}
	now := s.Clocks.Now(b.Realm)
	for i, product := range page.Products {
		query := catalog.PriceQuery{Customer: b.Customer, Product: product, At: now}
		if shelf.Listings[i], err = s.listing(ctx, b.Realm, query, inStock[product.Code] && !product.IsRange()); err != nil {
			return Shelf{}, err
		}
	}
	return shelf, nil
}

// likely reports whether somebody other than the stock can probably deliver an offer now. Of
// gift cards of this installation that is known.
func (s *Service) likely(ctx context.Context, r realm.Realm, o *offer) bool {
	return slices.ContainsFunc(s.Supply.Sources(r, &o.product), func(from supply.Source) bool {
		return s.Supply.Likely(&from, o.ask(1)) && (from.Kind != supply.KindGiftcard || s.unmintable(ctx, &from, o) == nil)
	})
}

// listing prices a product and finds its picture. One that nobody can order at present, for
// lack of a price or of a supply in any denomination, is shown at its face value and out of
// stock. stocked says that the stock has one.
func (s *Service) listing(ctx context.Context, r realm.Realm, q catalog.PriceQuery, stocked bool) (Listing, error) {
	price, err := s.Catalog.Price(ctx, q)
	inStock := false
	switch {
	case fault.CodeOf(err) == fault.InvalidState:
		price = catalog.NewCharged(q.Product.Face.Minor, q.Product.Face.Currency)
	case err != nil:
		return Listing{}, err
	default:
		inStock = stocked || s.likely(ctx, r, &offer{q.Product, q.Product.Face, price})
	}
	q.Product.Image = s.Catalog.Picture(&q.Product)
	return Listing{Product: q.Product, Price: price, InStock: inStock}, nil
}

// Place is an order's place among those of all books: by time, then by book, then by number.
type Place struct {
	At     time.Time
	Book   ledger.BookID
	Number Number
}

// Query says which orders of all books of a realm the operator looks for. What is empty
// does not restrict.
type Query struct {
	Realm  realm.Realm
	Book   ledger.BookID
	Item   catalog.ItemCode
	Status Status
	// From and To are when orders were placed, the first included, the second not.
	From, To time.Time
	// Before is the place before which the list begins; nil: the newest.
	Before *Place
	// Limit is how many, MaxFound at most.
	Limit int
}

// Bounds of a search.
const (
	// MaxFound is the most that Search returns.
	MaxFound = 1000
	// maxScanned is how many orders one search looks at, and scanStep how many at a time.
	maxScanned = 10_000
	scanStep   = 500
)

// Search returns orders of a realm, the newest first, and where to go on; nil at the end.
// It looks at ten thousand orders at most: it may return fewer than were asked for, none
// even, and a place to go on from. It returns invalid_request without a realm.
func (s *Service) Search(ctx context.Context, q Query) ([]Order, *Place, error) {
	if _, err := realm.Parse(string(q.Realm)); err != nil {
		return nil, nil, fault.New(fault.InvalidRequest, "want live or test").At("realm")
	}
	var found []Order
	q.Limit = min(max(q.Limit, 1), MaxFound)
	next := q.Before
	for scanned := 0; scanned < maxScanned; scanned += scanStep {
		part, err := s.scan(ctx, &q, next)
		if err != nil {
			return nil, nil, err
		}
		for i := range part {
			o := &part[i]
			if o.CreatedAt.Before(q.From) {
				return found, nil, nil
			}
			next = &Place{o.CreatedAt, o.Book, o.Number}
			if !q.matches(o) {
				continue
			}
			if found = append(found, *o); len(found) == q.Limit {
				return found, next, nil
			}
		}
		if len(part) < scanStep {
			return found, nil, nil
		}
	}
	return found, next, nil
}

// end is after every order's time and number.
const end = math.MaxInt64

// scan reads the orders before a place, of one book or of all.
func (s *Service) scan(ctx context.Context, q *Query, before *Place) ([]Order, error) {
	switch {
	case q.Book != "" && before != nil:
		return storage.All(ctx, s.DB, scanOrder, scanBook, string(q.Book), int64(before.Number), scanStep)
	case q.Book != "":
		return storage.All(ctx, s.DB, scanOrder, scanBook, string(q.Book), int64(end), scanStep)
	case before != nil:
		return storage.All(ctx, s.DB, scanOrder, scanAll, string(q.Realm), storage.Micros(before.At), string(before.Book), int64(before.Number), scanStep)
	case !q.To.IsZero(): // with no book: before every order of that instant
		return storage.All(ctx, s.DB, scanOrder, scanAll, string(q.Realm), storage.Micros(q.To), "", int64(0), scanStep)
	}
	return storage.All(ctx, s.DB, scanOrder, scanAll, string(q.Realm), int64(end), "", int64(0), scanStep)
}

func (q *Query) matches(o *Order) bool {
	return o.Realm == q.Realm && (q.Item == "" || o.Item == q.Item) && (q.Status == "" || o.Status == q.Status) && (q.To.IsZero() || o.CreatedAt.Before(q.To))
}

// Masked returns the codes of an order as the operator sees them: none of them whole.
func (s *Service) Masked(ctx context.Context, book ledger.BookID, number Number) ([]stock.Masked, error) {
	return s.Stock.Masked(ctx, book, number.ref())
}

// Looks returns who saw the codes of an order, first to last.
func (s *Service) Looks(ctx context.Context, book ledger.BookID, number Number) ([]stock.Look, error) {
	return s.Stock.Looks(ctx, book, number.ref())
}
