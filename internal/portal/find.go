package portal

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Find returns a portal of book, or the fault not_found.
func (s *Service) Find(ctx context.Context, book ledger.BookID, portal ID) (Portal, error) {
	return onePortal(ctx, s.DB, findPortal, place{book, portal})
}

// MaxPage is the largest page. List returns one more at most, which tells whether there is another.
const MaxPage = 100

// afterAllIDs sorts after every id ("portal_…") in any collation.
const afterAllIDs = "q"

// List returns at most limit portals of book that were made before the given one, the
// newest first; before is empty for the first page. It returns invalid_cursor for what
// is no portal's id.
func (s *Service) List(ctx context.Context, book ledger.BookID, before ID, limit int) ([]Portal, error) {
	switch {
	case before == "":
		before = afterAllIDs
	case !id.Valid(idPrefix, string(before)):
		return nil, fault.New(fault.InvalidCursor, "the cursor is no portal's id")
	}
	portals, err := storage.All(ctx, s.DB, scanPortal, listPortals, string(book), string(before), min(max(limit, 1), MaxPage+1))
	if err != nil {
		return nil, fmt.Errorf("list portals: %w", err)
	}
	return portals, nil
}

// FindBySlug returns the portal at /p/{slug}, active or not, or the fault not_found.
// One of a suspended customer is not found. It may be some seconds old.
func (s *Service) FindBySlug(ctx context.Context, slug string) (Portal, error) {
	if !slugForm.MatchString(slug) {
		return Portal{}, errNoPortal()
	}
	return s.recall(ctx, findSlug, slug)
}

// FindByDomain returns the portal that a host name was shown to belong to, active or not,
// or the fault not_found. The host may have a port. It may be some seconds old.
func (s *Service) FindByDomain(ctx context.Context, host string) (Portal, error) {
	if host = Hostname(host); !isPublicName(host) {
		return Portal{}, errNoPortal()
	}
	return s.recall(ctx, findDomain, host)
}

// recall looks an address up in memory, then in the database. A domain has a dot, a slug none.
func (s *Service) recall(ctx context.Context, statement *storage.Statement, address string) (Portal, error) {
	load := func(ctx context.Context) (*Portal, bool, error) { return s.load(ctx, statement, address) }
	query := memo.Query{Key: sha256.Sum256([]byte(address)), Now: s.Clocks.Now(realm.Live)}
	p, found, err := s.known.Find(ctx, query, load)
	switch {
	case err != nil:
		return Portal{}, fmt.Errorf("find portal: %w", err)
	case !found:
		return Portal{}, errNoPortal()
	}
	return *p, nil
}

func (s *Service) load(ctx context.Context, statement *storage.Statement, address string) (*Portal, bool, error) {
	at, found, err := storage.One(ctx, s.DB, scanPlace, statement, address)
	if err != nil || !found || at.portal == "" {
		return nil, false, err
	}
	p, found, err := storage.One(ctx, s.DB, scanPortal, findPortal, string(at.book), string(at.portal))
	if err != nil || !found {
		return nil, false, err
	}
	owner, err := s.Accounts.FindOwner(ctx, p.Book)
	if fault.CodeOf(err) == fault.NotFound || err == nil && owner.State != account.Active {
		return nil, false, nil
	}
	return &p, err == nil, err
}

// forget makes this process look again for a portal, and for every address that led nowhere.
func (s *Service) forget(portal ID) {
	s.known.Forget(func(p *Portal) bool { return p.ID == portal })
}
