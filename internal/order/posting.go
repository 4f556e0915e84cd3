package order

import (
	"context"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Change is what the books did for an order beside the transaction in its row.
type Change struct {
	Book ledger.BookID
	// Seq is the transaction's number in its book.
	Seq         int64
	Order       Number
	Transaction ledger.TransactionID
	Kind        string // the transaction's: order.hold, order.refund or order.replace
	Codes       int    // how many codes it was for
	Refunded    catalog.Charged
	At          time.Time
}

// IsRefund reports whether c paid codes back.
func (c *Change) IsRefund() bool { return c.Kind == kindRefund }

// IsReplacement reports whether c gave other codes for dead ones.
func (c *Change) IsReplacement() bool { return c.Kind == kindReplace }

// Prefix begins the kinds of all transactions of orders.
const Prefix = "order."

// RevenueAccount begins the names of the accounts of what was paid for codes.
const RevenueAccount = "order.revenue/"

// Postings returns every transaction of a book's order as the books have it, and those with
// which operators reversed one by hand, the first first; not_found, as for another book's.
func (s *Service) Postings(ctx context.Context, book ledger.BookID, number Number) ([]ledger.Outcome, error) {
	found, err := s.Find(ctx, book, number)
	if err != nil {
		return nil, err
	}
	changes, err := ChangesOf(ctx, s.DB, book, []Number{number})
	if err != nil {
		return nil, err
	}
	var ids []ledger.TransactionID
	if found.Transaction != "" {
		ids = append(ids, found.Transaction)
	}
	for _, c := range changes {
		ids = append(ids, c.Transaction)
	}
	posted, err := ledger.Transactions(ctx, s.DB, book, ids)
	if err != nil {
		return nil, err
	}
	undone, err := ledger.Reversals(ctx, s.DB, book, ids)
	posted = append(posted, undone...)
	slices.SortFunc(posted, func(a, b ledger.Outcome) int { return int(a.Seq - b.Seq) })
	return posted, err
}

// ChangesOf returns the changes of some orders of a book, in no order.
func ChangesOf(ctx context.Context, q storage.Queryer, book ledger.BookID, numbers []Number) ([]Change, error) {
	return storage.AllOf(ctx, q, scanChange, loadChanges, rowsOf(book, numbers))
}

// ChangesIn returns the first changes in a stretch of a book, by the number of the
// transaction, ledger.MaxPage at most.
func ChangesIn(ctx context.Context, q storage.Queryer, s ledger.Stretch) ([]Change, error) {
	return storage.All(ctx, q, scanChange, listChanges, string(s.Book), s.After, s.Last, ledger.MaxPage)
}

// Load returns those of a book's orders that there are, among some, in no order.
func Load(ctx context.Context, q storage.Queryer, book ledger.BookID, numbers []Number) ([]Order, error) {
	return storage.AllOf(ctx, q, scanOrder, loadOrders, rowsOf(book, numbers))
}

func rowsOf(book ledger.BookID, numbers []Number) [][]any {
	rows := make([][]any, len(numbers))
	for i, n := range numbers {
		rows[i] = []any{string(book), int64(n)}
	}
	return rows
}

// Owners returns which orders of a book some of its transactions are of. Transactions that
// are no order's are missing.
func Owners(ctx context.Context, q storage.Queryer, posted []ledger.Outcome) (map[ledger.TransactionID]Number, error) {
	if len(posted) == 0 {
		return nil, nil
	}
	book, rows := posted[0].Book, make([][]any, len(posted))
	span := ledger.Stretch{Book: book, After: posted[0].Seq - 1, Last: posted[0].Seq}
	for i := range posted {
		rows[i] = []any{string(book), string(posted[i].Transaction)}
		span.After, span.Last = min(span.After, posted[i].Seq-1), max(span.Last, posted[i].Seq)
	}
	payers, err := storage.AllOf(ctx, q, scanPayer, findPayers, rows)
	owners := make(map[ledger.TransactionID]Number, len(payers))
	for _, p := range payers {
		owners[p.transaction] = p.order
	}
	for err == nil && span.After < span.Last {
		var changes []Change
		changes, err = ChangesIn(ctx, q, span)
		for _, c := range changes {
			owners[c.Transaction], span.After = c.Order, c.Seq
		}
		if len(changes) < ledger.MaxPage {
			span.After = span.Last
		}
	}
	return owners, err
}

// Run is orders of a book with numbers after one, up to and with another.
type Run struct {
	Book        ledger.BookID
	After, Last Number
}

// PlacedIn returns the run of a book's orders that were placed in a period. Orders are
// numbered in the order of their times, so a binary search finds both ends.
func PlacedIn(ctx context.Context, q storage.Queryer, book ledger.BookID, p ledger.Period) (Run, error) {
	last, _, err := storage.One(ctx, q, storage.Scalar[int64], lastOrder, string(book))
	if err != nil {
		return Run{}, err
	}
	run := Run{Book: book}
	if run.After, err = lastPlaced(ctx, q, Run{book, 0, Number(last)}, p.From); err != nil {
		return run, err
	}
	run.Last, err = lastPlaced(ctx, q, Run{book, run.After, Number(last)}, p.Until)
	return run, err
}

// lastPlaced returns the number of a run's last order that was placed before an instant;
// the one before the run, if none was.
func lastPlaced(ctx context.Context, q storage.Queryer, r Run, at time.Time) (Number, error) {
	for low, high := r.After, r.Last; ; {
		if low == high {
			return low, nil
		}
		middle := low + (high-low+1)/2
		created, _, err := storage.One(ctx, q, storage.Scalar[int64], createdAt, string(r.Book), int64(middle))
		if err != nil {
			return 0, err
		}
		if created < storage.Micros(at) {
			low = middle
		} else {
			high = middle - 1
		}
	}
}

// Between returns the first orders of a run, by number, MaxPerPage at most.
func Between(ctx context.Context, q storage.Queryer, r Run) ([]Order, error) {
	return storage.All(ctx, q, scanOrder, listBetween, string(r.Book), int64(r.After), int64(r.Last), MaxPerPage)
}
