package supply

import (
	"maps"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
)

// asked names what a supplier was asked for.
type asked struct {
	supplier           key
	item, denomination string
}

// shortages remembers of what suppliers had not as many codes as they were asked for.
type shortages struct {
	mu  sync.Mutex
	all map[asked]shortage
}

// shortage is when a supplier was short, and the fewest codes that were too many.
type shortage struct {
	at       time.Time
	quantity int
}

const (
	// shortFor is how long a supplier counts as being short of something.
	shortFor  = time.Minute
	mostShort = 1 << 16
)

// note remembers a shortage, and reports whether it is new.
func (s *shortages) note(of asked, quantity int, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	short, found := s.all[of]
	known := found && now.Sub(short.at) < shortFor
	if known && short.quantity < quantity {
		return false
	}
	if s.all == nil || len(s.all) >= mostShort {
		s.all = map[asked]shortage{}
	}
	s.all[of] = shortage{now, quantity}
	return !known
}

func (s *shortages) forget(of asked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, of)
}

// forgetAll forgets what is remembered of a supplier.
func (s *shortages) forgetAll(supplier key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.all, func(of asked, _ shortage) bool { return of.supplier == supplier })
}

func (s *shortages) has(of asked, quantity int, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	short, found := s.all[of]
	return found && quantity >= short.quantity && now.Sub(short.at) < shortFor
}

// credit remembers what the balances at suppliers were when they did not suffice.
type credit struct {
	mu  sync.Mutex
	all map[key]balance
}

// balance is an amount that a supplier said, and when.
type balance struct {
	of catalog.Cost
	at time.Time
}

func (c *credit) note(supplier key, b balance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[key]balance{}
	}
	c.all[supplier] = b
}

func (c *credit) forget(supplier key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, supplier)
}

// lacks reports whether a supplier's balance is known not to suffice for codes at a cost, and
// since when.
func (c *credit) lacks(supplier key, cost catalog.Cost, quantity int, now time.Time) (since time.Time, is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, found := c.all[supplier]
	if !found || now.Sub(known.at) >= shortFor || known.of.Currency != cost.Currency {
		return time.Time{}, false
	}
	all, err := cost.Mul(int64(quantity))
	return known.at, err == nil && all.Minor > known.of.Minor
}

// named remembers what suppliers asked for one code.
type named struct {
	mu  sync.Mutex
	all map[asked]balance
}

func (n *named) note(of asked, b balance) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil || len(n.all) >= mostShort {
		n.all = map[asked]balance{}
	}
	n.all[of] = b
}

// find returns what was named within a minute.
func (n *named) find(of asked, now time.Time) (cost catalog.Cost, found bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known, found := n.all[of]
	return known.of, found && now.Sub(known.at) < shortFor
}

// forgetAll forgets what is remembered of a supplier.
func (n *named) forgetAll(supplier key) {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.all, func(of asked, _ balance) bool { return of.supplier == supplier })
}

// forget forgets what suppliers had not, or did otherwise: they are something else now.
func (s *Service) forget(changed []*supplierRow) {
	for _, row := range changed {
		k := key{row.Realm, row.ID}
		for _, of := range []*shortages{&s.out, &s.unpaid, &s.avoided} {
			of.forgetAll(k)
		}
		s.credit.forget(k)
		s.named.forgetAll(k)
	}
}
