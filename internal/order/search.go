package order

import (
	"context"
	"math"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

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
