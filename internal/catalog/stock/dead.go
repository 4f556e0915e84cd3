package stock

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Held is a code of an order, without its text.
type Held struct {
	ID     CodeID
	Place  int // which of its order's codes it is, from 1
	State  State
	SoldAt time.Time
	origin CodeID // the first one that had its place
}

// maxHeld bounds the codes that are listed of one order, those that were replaced among them.
const maxHeld = 1000

// Holdings returns the codes of a book's order by their places, 1000 at most: of each
// place those that were replaced, and then the one that has it.
func (s *Stock) Holdings(ctx context.Context, book ledger.BookID, order string) ([]Held, error) {
	held, err := storage.All(ctx, s.DB, scanHeld, listHeld, string(book), order, maxHeld)
	var at places
	for i := range held {
		held[i].Place = at.of(held[i].origin)
	}
	return held, err
}

// places counts the places of an order's codes: who comes from one code is in one place.
type places struct {
	last   int
	origin CodeID
}

// of returns the place of the next code.
func (p *places) of(origin CodeID) int {
	if p.last == 0 || origin != p.origin {
		p.last, p.origin = p.last+1, origin
	}
	return p.last
}

// FirstLook returns the first time that an order's codes were revealed since some instant,
// and whether they were.
func (s *Stock) FirstLook(ctx context.Context, book ledger.BookID, order string, since time.Time) (Look, bool, error) {
	return storage.One(ctx, s.DB, scanLook, firstLook, string(book), order, storage.Micros(since))
}

// Swap is a code that takes the place of another one.
type Swap struct {
	Dead  Held
	Fresh CodeID
}

// Remedy names what is done about dead codes of an order of a book.
type Remedy struct {
	Book  ledger.BookID
	Order string
	// Key names the remedy: other codes are sold to it before they are the order's.
	Key string
}

// Doom returns the effects of marking codes as dead for which others are on their way.
func (r Remedy) Doom(ids []CodeID) []storage.Effect { return r.mark(ids, Sold, Replacing) }

// Revive returns the effects of leaving codes as they were for which nobody has others.
func (r Remedy) Revive(ids []CodeID) []storage.Effect { return r.mark(ids, Replacing, Sold) }

// Refund returns the effects of marking codes as paid back. Each fails with storage.ErrStale
// if its code was replaced or refunded before.
func (r Remedy) Refund(ids []CodeID) []storage.Effect { return r.mark(ids, Sold, Refunded) }

func (r Remedy) mark(ids []CodeID, from, to State) []storage.Effect {
	effects := make([]storage.Effect, len(ids))
	for i, code := range ids {
		effects[i] = retireCode.With(string(code), string(r.Book), r.Order, string(from), string(to)).Exactly(1)
	}
	return effects
}

// Replace returns the effects of giving the order other codes, which were sold to the key of
// the remedy, for dead ones. Each fails with storage.ErrStale if the dead code is not as it
// was read.
func (r Remedy) Replace(swaps []Swap) []storage.Effect {
	effects := make([]storage.Effect, 0, 2*len(swaps))
	for _, s := range swaps {
		effects = append(effects, retireCode.With(string(s.Dead.ID), string(r.Book), r.Order, string(s.Dead.State), string(Replaced)).Exactly(1),
			placeCode.With(string(s.Fresh), string(r.Book), r.Key, r.Order, string(s.Dead.origin)).Exactly(1))
	}
	return effects
}

// Tally is how many codes of an order there are in each state.
type Tally struct {
	Order string
	Sold  int // its buyer has them, those that are being replaced among them
	// Replaced and Refunded codes were dead.
	Replaced, Refunded int
}

// Tallies counts the codes of some orders of a book. Orders without codes are left out.
func Tallies(ctx context.Context, q storage.Queryer, book ledger.BookID, orders []string) ([]Tally, error) {
	rows := make([][]any, len(orders))
	for i, order := range orders {
		rows[i] = []any{string(book), order}
	}
	return storage.AllOf(ctx, q, scanTallies, tallyOrders, rows)
}

// Sale is a code that was sold, and to which order of whom.
type Sale struct {
	ID    CodeID
	Book  ledger.BookID
	Order string
	At    time.Time
}

// SalesQuery asks for what was sold in a realm from one instant until another, after a
// sale that was found before.
type SalesQuery struct {
	Realm       realm.Realm
	From, Until time.Time
	After       Sale
	Limit       int // MaxSales at most
}

// MaxSales is the most that Sales finds at once.
const MaxSales = 1000

// Sales returns codes in the order in which they were sold, whatever became of them since.
func Sales(ctx context.Context, q storage.Queryer, query SalesQuery) ([]Sale, error) {
	after := storage.Micros(query.From)
	if !query.After.At.IsZero() {
		after = storage.Micros(query.After.At)
	}
	return storage.All(ctx, q, scanSale, listSales, string(query.Realm), after, storage.Micros(query.Until), string(query.After.ID), min(max(query.Limit, 1), MaxSales))
}
