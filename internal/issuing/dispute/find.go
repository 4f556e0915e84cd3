package dispute

import (
	"context"
	"slices"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

func unknown() error { return fault.New(fault.NotFound, "no such dispute").At("dispute_id") }

// Find returns a dispute of a book, or not_found, as for another book's.
func (s *Service) Find(ctx context.Context, book ledger.BookID, dispute ID) (Dispute, error) {
	if !id.Valid(Prefix, string(dispute)) {
		return Dispute{}, unknown()
	}
	found, ok, err := storage.One(ctx, s.DB, scanDispute, findDispute, string(book), string(dispute))
	if err == nil && !ok {
		err = unknown()
	}
	return found, err
}

// contested reports whether a payment has a dispute that keeps it from another.
func (s *Service) contested(ctx context.Context, book ledger.BookID, payment authorization.ID) (bool, error) {
	n, _, err := storage.One(ctx, s.DB, storage.Scalar[int], countBlocking, string(book), string(payment))
	return n > 0, err
}

// Filter says which disputes to list, newest first.
type Filter struct {
	// Book restricts to one customer's; empty: all of the realm's.
	Book  ledger.BookID
	Realm realm.Realm
	State State // empty: all
	// Before lists those that were opened before a dispute; empty begins with the newest.
	Before ID
	Limit  int // MaxPage at most, and one more for whoever asks whether there are more
}

// List returns disputes. It returns invalid_request for a state that is none, and
// invalid_cursor for what is no dispute's id.
func (s *Service) List(ctx context.Context, f Filter) ([]Dispute, error) {
	if f.State != "" && !slices.Contains(States(), f.State) {
		return nil, fault.New(fault.InvalidRequest, "there is no such state").At("state")
	}
	switch {
	case f.Before == "":
		f.Before = "e" // after every dsp_…
	case !id.Valid(Prefix, string(f.Before)):
		return nil, fault.New(fault.InvalidCursor, "the cursor is no dispute's id")
	}
	if f.Book != "" {
		return storage.All(ctx, s.DB, scanDispute, listOfBook, string(f.Book), string(f.Before), min(max(f.Limit, 1), MaxPage+1), string(f.State))
	}
	statement, args := listDisputes, []any{string(f.Realm), string(f.Before), min(max(f.Limit, 1), MaxPage+1)}
	if f.State != "" {
		statement, args = listInState, append(args, string(f.State))
	}
	return storage.All(ctx, s.DB, scanDispute, statement, args...)
}
