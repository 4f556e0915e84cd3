package cashout

import (
	"context"
	"sync"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// houseName is what operators see the customer called in whose books all orders are.
const houseName = "Cash-out"

// bookshelf remembers the book of each realm; it never changes once there is one.
type bookshelf struct {
	mu    sync.Mutex
	known map[realm.Realm]ledger.BookID
}

// desk returns how a realm is served; unavailable where it is not.
func (s *Service) desk(r realm.Realm) (*Desk, error) {
	d := s.Desks[r]
	if d == nil {
		return nil, fault.New(fault.Unavailable, "cards cannot be cashed out just now")
	}
	return d, nil
}

// keeper returns who has the pictures of a realm, served or not; nil: nobody.
func (s *Service) keeper(r realm.Realm) *Desk {
	d := s.Desks[r]
	if d == nil {
		d = s.Unserved
	}
	if d == nil || d.Images == nil {
		return nil
	}
	return d
}

// Book returns the book in which the orders of a realm are, empty before the first one.
func (s *Service) Book(ctx context.Context, r realm.Realm) (ledger.BookID, error) {
	s.books.mu.Lock()
	defer s.books.mu.Unlock()
	return s.find(ctx, r)
}

// find reads the book of a realm with the shelf locked.
func (s *Service) find(ctx context.Context, r realm.Realm) (ledger.BookID, error) {
	if book := s.books.known[r]; book != "" {
		return book, nil
	}
	book, found, err := storage.One(ctx, s.DB, storage.Scalar[ledger.BookID], findDesk, string(r))
	if err != nil || !found {
		return "", err
	}
	if s.books.known == nil {
		s.books.known = map[realm.Realm]ledger.BookID{}
	}
	s.books.known[r] = book
	return book, nil
}

// open returns the book of a realm, and makes it for the first order.
func (s *Service) open(ctx context.Context, r realm.Realm) (ledger.BookID, error) {
	s.books.mu.Lock()
	defer s.books.mu.Unlock()
	book, err := s.find(ctx, r)
	if err != nil || book != "" {
		return book, err
	}
	_, err = s.Accounts.CreateCustomer(ctx, "system", account.NewCustomer{Name: houseName, Also: func(c account.Customer) ([]storage.Effect, error) {
		return []storage.Effect{insertDesk.Row(string(realm.Live), string(c.Live)), insertDesk.Row(string(realm.Test), string(c.Test))}, nil
	}})
	if err != nil && !storage.IsUnique(err) { // or another process was first
		return "", err
	}
	return s.find(ctx, r)
}
