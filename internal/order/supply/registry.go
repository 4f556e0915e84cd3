package supply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/line"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// key names a supplier.
type key struct {
	realm realm.Realm
	id    string
}

// place names an item in a realm.
type place struct {
	realm realm.Realm
	item  catalog.ItemCode
}

// connection is a supplier that can be asked. What it is does not change once it is listed;
// it is opened, with what secrets that takes, when it is first asked.
type connection struct {
	Configured
	open func() (Supplier, error) // nil: nobody is to be asked

	mu      sync.Mutex
	opened  *opened // nil: not yet
	changed bool    // another one has its place
	// issuer is the book of those who issue the cards of a giftcard supplier.
	issuer ledger.BookID
	// quote guards questions, which have to be quick; deal what is done about submissions.
	quote, deal *line.Line
}

// opened is what opening a supplier led to.
type opened struct {
	supplier Supplier // nil: err says why
	err      error
}

// supplier opens the connection, once.
func (c *connection) supplier() (Supplier, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.opened != nil:
	case c.changed:
		return nil, errors.New("the supplier was changed or removed")
	default:
		to, err := c.open()
		if err != nil {
			to = nil // whatever came with the error
		}
		c.opened = &opened{to, err}
	}
	return c.opened.supplier, c.opened.err
}

// unusable returns why the connection cannot be asked, if it was tried.
func (c *connection) unusable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened == nil {
		return nil
	}
	return c.opened.err
}

// registry is the suppliers and routes as this process knows them.
type registry struct {
	mu      sync.RWMutex
	version int64
	known   map[key]*connection
	routes  map[place][]Route // by supplier
}

// Source is a supplier of one item.
type Source struct {
	Route
	// Kind is that of the supplier's adapter, KindGiftcard, or Stock.
	Kind string
	// Issuer is the book whose gift cards are made, of a KindGiftcard.
	Issuer ledger.BookID
	State  line.State
	conn   *connection
}

// Sources returns who delivers an item, whom to ask first first: by priority, among equal
// ones those that answer before those that do not, then by id. Stock is before all others
// unless a route of its own says when.
func (s *Service) Sources(r realm.Realm, p *catalog.Product) []Source {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	var all []Source
	routed := false
	for _, route := range s.registry.routes[place{r, p.Code}] {
		if route.Supplier == Stock {
			routed = true
			all = append(all, Source{Route: route, Kind: Stock, State: line.Operational})
			continue
		}
		c := s.registry.known[key{r, route.Supplier}]
		if c == nil || !c.Active || (c.open == nil && c.issuer == "") || c.unusable() != nil || (c.Kind == KindGiftcard && p.Mint == "") {
			continue
		}
		all = append(all, Source{Route: route, Kind: c.Kind, Issuer: c.issuer, State: c.health(), conn: c})
	}
	if !routed {
		all = append(all, Source{Route: Route{Realm: r, Item: p.Code, Supplier: Stock, Priority: -1}, Kind: Stock, State: line.Operational})
	}
	slices.SortStableFunc(all, func(a, b Source) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(a.Supplier, b.Supplier))
	})
	return all
}

func rank(s line.State) int {
	if s == line.Down {
		return 1
	}
	return 0
}

// health is the worse of a connection's two lines.
func (c *connection) health() line.State {
	if c.deal == nil { // nobody outside
		return line.Operational
	}
	if c.unusable() != nil {
		return line.Down
	}
	quote, deal := c.quote.State(), c.deal.State()
	switch {
	case quote == line.Down || deal == line.Down:
		return line.Down
	case quote == line.Degraded || deal == line.Degraded:
		return line.Degraded
	}
	return line.Operational
}

// ready reports whether a connection to somebody outside may be asked for codes now.
func (c *connection) ready() bool { return c.open != nil && c.quote.Ready() && c.deal.Ready() }

// find returns a supplier as this process knows it, or nil.
func (s *Service) find(k key) *connection {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	return s.registry.known[k]
}

// refreshEvery is how far Run lets this process fall behind the others.
const refreshEvery = time.Second

// Run opens all suppliers and follows what other processes change until ctx ends.
func (s *Service) Run(ctx context.Context) {
	s.Connect()
	for clock.Wait(ctx, refreshEvery) == nil {
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
			s.Logger.ErrorContext(ctx, "refresh suppliers", "error", err)
		}
	}
}

// changes are the rows above some version.
type changes struct {
	version   int64
	suppliers []*supplierRow
	routes    []Route
}

// Refresh reads what changed since the last time, all of it the first time.
func (s *Service) Refresh(ctx context.Context) error {
	s.refresh.Lock()
	defer s.refresh.Unlock()
	version, found, err := storage.One(ctx, s.DB, storage.Scalar[int64], findVersion)
	if err != nil || !found || version == s.registry.version {
		return err
	}
	var c changes
	err = s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) (err error) {
		if c.version, _, err = storage.One(ctx, q, storage.Scalar[int64], findVersion); err != nil {
			return err
		}
		if c.suppliers, err = storage.All(ctx, q, scanSupplier, changedSuppliers, s.registry.version); err != nil {
			return err
		}
		c.routes, err = storage.All(ctx, q, scanRoute, changedRoutes, s.registry.version)
		return err
	})
	if err != nil {
		return err
	}
	known := make([]*connection, len(c.suppliers))
	for i, row := range c.suppliers {
		if known[i], err = s.connect(ctx, row); err != nil {
			return err
		}
		if err := s.noticed(ctx, known[i]); err != nil {
			return err
		}
	}
	s.registry.take(c, known)
	s.forget(c.suppliers)
	if s.eager {
		s.connectAll()
	}
	return nil
}

// Connect opens all suppliers, and from then on those that are added or changed, so that it
// is known at once which ones cannot be asked by this process. Without it, each is opened
// when it is first asked: who asks nobody reads no secrets.
func (s *Service) Connect() {
	s.refresh.Lock()
	defer s.refresh.Unlock()
	s.eager = true
	s.connectAll()
}

func (s *Service) connectAll() {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	for _, c := range s.registry.known {
		if c.open != nil {
			_, _ = c.supplier() // it is logged, and known by then
		}
	}
}

// Unopened returns why a source cannot be asked by this process, if one cannot be opened: the
// first in sources.
func (s *Service) Unopened(r realm.Realm, p *catalog.Product) error {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	for _, route := range s.registry.routes[place{r, p.Code}] {
		if c := s.registry.known[key{r, route.Supplier}]; c != nil && c.Active {
			if err := c.unusable(); err != nil {
				return fmt.Errorf("supplier %s cannot be asked from here: %w", c.ID, err)
			}
		}
	}
	return nil
}

// take takes over what changed. A supplier that is removed has nothing open any more.
func (r *registry) take(c changes, now []*connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known, r.routes = map[key]*connection{}, map[place][]Route{}
	}
	r.version = c.version
	for i, row := range c.suppliers {
		k := key{row.Realm, row.ID}
		if old := r.known[k]; old != nil {
			old.close()
		}
		if r.known[k] = now[i]; row.state == supplierRemoved {
			delete(r.known, k)
		}
	}
	for _, route := range c.routes {
		at := place{route.Realm, route.Item}
		kept := slices.DeleteFunc(slices.Clone(r.routes[at]), func(old Route) bool { return old.Supplier == route.Supplier })
		if !route.removed {
			kept = append(kept, route)
		}
		if r.routes[at] = kept; len(kept) == 0 {
			delete(r.routes, at)
		}
	}
}

func (r *registry) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.known {
		c.close()
	}
}

// close gives up what is kept for the next call. Its error has nobody to be told to.
func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = true
	if c.opened == nil {
		return
	}
	if closer, ok := c.opened.supplier.(io.Closer); ok {
		_ = closer.Close()
	}
}
