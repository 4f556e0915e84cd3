package order

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
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// shelves give codes that are for sale to the orders of this process, none to two of them.
// They read ahead, so that not every order asks the stock. What other processes take, the
// stock decides.
type shelves struct {
	mu  sync.Mutex
	all map[shelf]*stand
}

// shelf is where the codes of an item are.
type shelf struct {
	realm realm.Realm
	item  catalog.ItemCode
}

// stand is what shelves know of one shelf.
type stand struct {
	orders int // that use it; guarded by shelves.mu

	mu     sync.Mutex
	ahead  []stock.CodeID // in the order of their sale
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
func (s *shelves) use(at shelf) *stand {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.all[at]
	if st == nil {
		if len(s.all) >= maxShelves {
			s.tidy()
		}
		if s.all == nil {
			s.all = map[shelf]*stand{}
		}
		st = &stand{held: map[stock.CodeID]bool{}}
		s.all[at] = st
	}
	st.orders++
	return st
}

func (s *shelves) tidy() {
	for at, st := range s.all {
		if st.orders == 0 {
			delete(s.all, at)
		}
	}
}

func (s *shelves) leave(at shelf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[at].orders--
}

// release says what became of codes that pick returned: they were sold if failed is nil.
func (s *shelves) release(at shelf, ids []stock.CodeID, failed error) {
	s.mu.Lock()
	st := s.all[at]
	s.mu.Unlock()
	defer s.leave(at)
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, id := range ids {
		delete(st.held, id)
	}
	switch {
	case failed == nil:
	case errors.Is(failed, storage.ErrStale): // of what else was read, nobody knows
		st.ahead, st.raced = nil, true
	default:
		st.ahead = slices.Concat(ids, st.ahead)
	}
	if st.changed != nil {
		close(st.changed)
		st.changed = nil
	}
}

// pick holds n codes of an item until they are released; none, when there are not as
// many for sale. It waits for orders of this process that hold the last ones: they may
// be refused.
func (s *Service) pick(ctx context.Context, at shelf, n int) ([]stock.CodeID, error) {
	st := s.shelves.use(at)
	for {
		taken, released, err := s.take(ctx, at, st, n)
		if taken != nil {
			return taken, nil
		}
		if err != nil || released == nil {
			s.shelves.leave(at)
			return nil, err
		}
		select {
		case <-released:
		case <-ctx.Done():
			s.shelves.leave(at)
			return nil, ctx.Err()
		}
	}
}

// take returns n codes that nobody holds, or what to wait for, or neither if there are not
// as many. While it reads, nothing is released: of what it finds, that is sold which is held.
func (s *Service) take(ctx context.Context, at shelf, st *stand, n int) (taken []stock.CodeID, released <-chan struct{}, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	now := s.Clocks.Now(realm.Live)
	if len(st.ahead) < n || now.Sub(st.readAt) > freshFor {
		found, err := s.look(ctx, at, st, n)
		if err != nil {
			return nil, nil, err
		}
		st.readAt = now
		st.ahead = slices.DeleteFunc(found, func(id stock.CodeID) bool { return st.held[id] })
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
	for _, id := range taken {
		st.held[id] = true
	}
	return taken, nil, nil
}

// look reads codes for a shelf: more than n, unless there are no more.
func (s *Service) look(ctx context.Context, at shelf, st *stand, n int) ([]stock.CodeID, error) {
	w := stock.Wanted{Realm: at.realm, Item: at.item, N: min(n+len(st.held)+readAhead, stock.MaxPick)}
	if st.raced {
		w.Skip = draw(spread)
		st.raced = false
	}
	found, err := s.Stock.Pick(ctx, w)
	if err == nil && w.Skip > 0 && len(found) < w.N { // too far: from the first again
		w.Skip = 0
		found, err = s.Stock.Pick(ctx, w)
	}
	return found, err
}

// draw returns a random number below n, which is a power of two.
func draw(n int) int {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return int(binary.BigEndian.Uint16(b[:])) % n
}
