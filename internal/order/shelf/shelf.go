// Package shelf gives codes of the stock that are for sale to the orders of one process, none
// to two of them. It reads ahead, so that not every order asks the stock.
//
// It must never sell anything: what other processes take, the stock decides.
package shelf

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Shelves are those of one process. They are safe for concurrent use.
type Shelves struct {
	stock  *stock.Stock
	clocks *clock.Realms

	mu  sync.Mutex
	all map[Shelf]*stand
}

// New returns shelves that nobody uses yet.
func New(from *stock.Stock, clocks *clock.Realms) *Shelves {
	return &Shelves{stock: from, clocks: clocks, all: map[Shelf]*stand{}}
}

// Shelf is where the codes of an item are.
type Shelf struct {
	Realm realm.Realm
	Item  catalog.ItemCode
}

// stand is what Shelves know of one shelf.
type stand struct {
	orders int // that use it; guarded by Shelves.mu

	mu     sync.Mutex
	ahead  []stock.Sealed // in the order of their sale
	readAt time.Time
	held   map[stock.CodeID]bool
	// raced says that another process sells the same codes: begin somewhere else.
	raced   bool
	changed chan struct{} // closed when something is released; nil: nobody waits
}

const (
	// readAhead is how many codes a shelf reads beyond what is asked for.
	readAhead = 256
	// freshFor is how long it sells them before it looks whether others should go first.
	freshFor = time.Second
	// spread bounds how many codes further on a shelf begins to read whose codes another
	// process sells: those who race must not meet again.
	spread = 512
	// maxShelves is how many are remembered that nobody uses.
	maxShelves = 1024
)

// use returns a shelf for an order, until leave.
func (s *Shelves) use(at Shelf) *stand {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.all[at]
	if st == nil {
		if len(s.all) >= maxShelves {
			s.tidy()
		}
		st = &stand{held: map[stock.CodeID]bool{}}
		s.all[at] = st
	}
	st.orders++
	return st
}

func (s *Shelves) tidy() {
	for at, st := range s.all {
		if st.orders == 0 {
			delete(s.all, at)
		}
	}
}

func (s *Shelves) leave(at Shelf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[at].orders--
}

// Release says what became of codes that Pick returned: they were sold if failed is nil.
func (s *Shelves) Release(at Shelf, picked []stock.Sealed, failed error) {
	s.mu.Lock()
	st := s.all[at]
	s.mu.Unlock()
	defer s.leave(at)
	st.mu.Lock()
	defer st.mu.Unlock()
	for i := range picked {
		delete(st.held, picked[i].ID)
	}
	switch {
	case failed == nil:
	case errors.Is(failed, storage.ErrStale): // of what else was read, nobody knows
		st.ahead, st.raced = nil, true
	default:
		st.ahead = slices.Concat(picked, st.ahead)
	}
	if st.changed != nil {
		close(st.changed)
		st.changed = nil
	}
}

// Pick holds n codes of an item until they are released; none, when there are not as
// many for sale. It waits for orders of this process that hold the last ones: they may
// be refused.
func (s *Shelves) Pick(ctx context.Context, at Shelf, n int) ([]stock.Sealed, error) {
	st := s.use(at)
	for {
		taken, released, err := s.take(ctx, at, st, n)
		if taken != nil {
			return taken, nil
		}
		if err != nil || released == nil {
			s.leave(at)
			return nil, err
		}
		select {
		case <-released:
		case <-ctx.Done():
			s.leave(at)
			return nil, ctx.Err()
		}
	}
}

// take returns n codes that nobody holds, or what to wait for, or neither if there are not
// as many. While it reads, nothing is released: of what it finds, that is sold which is held.
func (s *Shelves) take(ctx context.Context, at Shelf, st *stand, n int) (taken []stock.Sealed, released <-chan struct{}, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	now := s.clocks.Now(realm.Live)
	if len(st.ahead) < n || now.Sub(st.readAt) > freshFor {
		found, err := s.look(ctx, at, st, n)
		if err != nil {
			return nil, nil, err
		}
		st.readAt = now
		st.ahead = slices.DeleteFunc(found, func(c stock.Sealed) bool { return st.held[c.ID] })
		if len(st.ahead) < n {
			if len(st.held) == 0 || len(found) < n {
				return nil, nil, nil
			}
			if st.changed == nil {
				st.changed = make(chan struct{})
			}
			return nil, st.changed, nil
		}
	}
	taken = slices.Clone(st.ahead[:n])
	st.ahead = st.ahead[n:]
	for i := range taken {
		st.held[taken[i].ID] = true
	}
	return taken, nil, nil
}

// look reads codes for a shelf: more than n, unless there are no more.
func (s *Shelves) look(ctx context.Context, at Shelf, st *stand, n int) ([]stock.Sealed, error) {
	w := stock.Wanted{Realm: at.Realm, Item: at.Item, N: min(n+len(st.held)+readAhead, stock.MaxPick)}
	if st.raced {
		w.Skip = draw(spread)
		st.raced = false
	}
	found, err := s.stock.Pick(ctx, w)
	if err == nil && w.Skip > 0 && len(found) < w.N { // too far: from the first again
		w.Skip = 0
		found, err = s.stock.Pick(ctx, w)
	}
	return found, err
}

// draw returns a random number below n, which is a power of two.
func draw(n int) int {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return int(binary.BigEndian.Uint16(b[:])) % n
}
