package claim

import (
	"context"
	"slices"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/minted"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Find returns a claim of a book, or not_found, as for another book's.
func (s *Service) Find(ctx context.Context, book ledger.BookID, claim ID) (Claim, error) {
	var c Claim
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		found, ok, err := storage.One(ctx, q, scanClaim, findClaim, string(book), string(claim))
		if err == nil && !ok {
			err = unknown()
		}
		if err != nil {
			return err
		}
		all := []Claim{found}
		err = fill(ctx, q, all)
		c = all[0]
		return err
	})
	if err != nil {
		return Claim{}, err
	}
	return c, s.addCards(ctx, []Claim{c})
}

// FindOf returns a claim about a book's order, or not_found, as for another order's.
func (s *Service) FindOf(ctx context.Context, book ledger.BookID, number order.Number, claim ID) (Claim, error) {
	found, err := s.Find(ctx, book, claim)
	if err == nil && found.Order != number {
		return Claim{}, unknown()
	}
	return found, err
}

func unknown() error { return fault.New(fault.NotFound, "no such claim").At("claim_id") }

// OfOrder returns the claims about a buyer's order, the first first; not_found, as for
// another buyer's order.
func (s *Service) OfOrder(ctx context.Context, book ledger.BookID, number order.Number) ([]Claim, error) {
	if _, err := s.Orders.Find(ctx, book, number); err != nil {
		return nil, err
	}
	return s.list(ctx, listOfOrder, string(book), int64(number), MaxPerOrder)
}

// Filter says which claims to list.
type Filter struct {
	Realm realm.Realm
	State State // empty: all
	// Before lists those that were made before a claim; empty begins with the newest.
	Before ID
	Limit  int // MaxPage at most, and one more for whoever asks whether there are more
}

// List returns claims of all books of a realm, newest first. It returns invalid_request for
// a state that is none, and invalid_cursor for what is no claim's id.
func (s *Service) List(ctx context.Context, f Filter) ([]Claim, error) {
	if f.State != "" && !slices.Contains(States(), f.State) {
		return nil, fault.New(fault.InvalidRequest, "there is no such state").At("state")
	}
	switch {
	case f.Before == "":
		f.Before = "d" // after every claim_…
	case !id.Valid(Prefix, string(f.Before)):
		return nil, fault.New(fault.InvalidCursor, "the cursor is no claim's id")
	}
	statement, args := listClaims, []any{string(f.Realm), string(f.Before), min(max(f.Limit, 1), MaxPage+1)}
	if f.State != "" {
		statement, args = listInState, append(args, string(f.State))
	}
	return s.list(ctx, statement, args...)
}

func (s *Service) list(ctx context.Context, statement *storage.Statement, args ...any) ([]Claim, error) {
	var all []Claim
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) (err error) {
		if all, err = storage.All(ctx, q, scanClaim, statement, args...); err != nil {
			return err
		}
		return fill(ctx, q, all)
	})
	if err != nil {
		return nil, err
	}
	return all, s.addCards(ctx, all)
}

// addCards reads the gift cards that codes of claims are.
func (s *Service) addCards(ctx context.Context, all []Claim) error {
	var codes []minted.Code
	for i := range all {
		for j := range all[i].Lines {
			codes = append(codes, minted.Code{Book: all[i].Book, ID: all[i].Lines[j].Code})
		}
	}
	cards, err := s.Orders.GiftCards(ctx, codes)
	for i := range all {
		for j := range all[i].Lines {
			l := &all[i].Lines[j]
			l.Card = cards[minted.Code{Book: all[i].Book, ID: l.Code}]
		}
	}
	return err
}

// fill reads the lines of claims.
func fill(ctx context.Context, q storage.Queryer, all []Claim) error {
	rows, place := make([][]any, len(all)), make(map[ID]int, len(all))
	for i := range all {
		rows[i], place[all[i].ID] = []any{string(all[i].Book), string(all[i].ID)}, i
	}
	found, err := storage.AllOf(ctx, q, scanLine, loadLines, rows)
	if err != nil {
		return err
	}
	for _, f := range found {
		c := &all[place[f.claim]]
		c.Lines = append(c.Lines, f.Line)
	}
	for i := range all {
		slices.SortFunc(all[i].Lines, func(a, b Line) int { return a.Place - b.Place })
		// A row is asked for as often as it fills a statement.
		all[i].Lines = slices.CompactFunc(all[i].Lines, func(a, b Line) bool { return a.Place == b.Place })
	}
	return nil
}

// Tally is how many codes of an order were replaced and refunded by claims.
type Tally struct {
	Order              order.Number
	Replaced, Refunded int
}

// Tallies counts what was decided about codes of some orders of a book. Orders without
// claims are left out.
func Tallies(ctx context.Context, q storage.Queryer, book ledger.BookID, numbers []order.Number) ([]Tally, error) {
	rows := make([][]any, len(numbers))
	for i, n := range numbers {
		rows[i] = []any{string(book), int64(n)}
	}
	return storage.AllOf(ctx, q, scanTally, tallyOrders, rows)
}
