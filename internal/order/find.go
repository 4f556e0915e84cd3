package order

import (
	"context"
	"strconv"

	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Find returns an order of a book, or not_found, as for another book's.
func (s *Service) Find(ctx context.Context, book ledger.BookID, number Number) (Order, error) {
	found, ok, err := storage.One(ctx, s.DB, scanOrder, findOrder, string(book), int64(number))
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "no such order").At("id")
	}
	return found, err
}

// Reveal returns an order of the buyer's with its codes, once the look at them is
// recorded; not_found, as for another buyer's.
func (s *Service) Reveal(ctx context.Context, b Buyer, number Number) (Placed, error) {
	found, err := s.Find(ctx, b.Book, number)
	if err != nil {
		return Placed{}, err
	}
	codes, err := s.Stock.Reveal(ctx, stock.Reveal{Book: b.Book, Realm: b.Realm, Order: number.ref(), Actor: b.Credential})
	return Placed{Order: found, Codes: codes}, err
}

// Sort is an order of orders.
type Sort string

// The sorts. Equal ones are the newest first, or the oldest when ascending.
const (
	ByCreated Sort = "created_at"
	ByAmount  Sort = "amount"
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
// counted: neither takes longer as there are more. It returns invalid_request for a filter outside its bounds.
func (s *Service) List(ctx context.Context, f Filter) (Page, error) {
	if f.Sort == "" {
		f.Sort = ByCreated
	}
	if f.Limit == 0 {
		f.Limit = DefaultPerPage
	}
	list := lists[sorting{f.Sort, f.Ascending, f.Status != ""}]
	if list == nil || f.Limit < 1 || f.Limit > MaxPerPage || f.Offset < 0 || f.Offset > maxOffset {
		return Page{}, fault.New(fault.InvalidRequest, "want a known sort, a limit of 1 to %d and an offset of at most %s", MaxPerPage, strconv.Itoa(maxOffset))
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
