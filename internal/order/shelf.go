package order

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/realm"
)

// shelves know which codes the orders under way in this process are about to sell, so
// that no two of them pick the same. What other processes pick, the stock decides.
type shelves struct {
	mu      sync.Mutex
	held    map[shelf]map[stock.CodeID]bool
	changed chan struct{} // closed when something is released; nil: nobody waits
}

// shelf is where the codes of an item are.
type shelf struct {
	realm realm.Realm
	item  catalog.ItemCode
}

// hold takes n of ids that nobody holds, in their order, or none. released is then
// closed when somebody gives some back, nil if nobody has any.
func (s *shelves) hold(at shelf, ids []stock.CodeID, n int) (taken []stock.CodeID, released <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.held[at]
	for _, id := range ids {
		if len(taken) < n && !held[id] {
			taken = append(taken, id)
		}
	}
	if len(taken) < n {
		if len(held) > 0 && s.changed == nil {
			s.changed = make(chan struct{})
		}
		return nil, s.changed
	}
	if held == nil {
		held = map[stock.CodeID]bool{}
		if s.held == nil {
			s.held = map[shelf]map[stock.CodeID]bool{}
		}
		s.held[at] = held
	}
	for _, id := range taken {
		held[id] = true
	}
	return taken, nil
}

func (s *shelves) release(at shelf, ids []stock.CodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.held[at], id)
	}
	if len(s.held[at]) == 0 {
		delete(s.held, at)
	}
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *shelves) count(at shelf) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held[at])
}

// spread is how many codes further on, at most and per try, a try begins that follows one
// whose codes another process took: those who race must not meet again.
const spread = 16

// draw returns a random number from 0 to 255.
func draw() int {
	var b [1]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return int(b[0])
}

// pick holds n codes of an item until they are released; none, when there are not as
// many for sale. It waits for orders of this process that hold the last ones: they may
// be refused.
func (s *Service) pick(ctx context.Context, at shelf, n, try int) ([]stock.CodeID, error) {
	skip := 0
	if try > 1 {
		skip = spread * (try - 1) * draw() / 256
	}
	for {
		want := min(n+s.shelves.count(at), stock.MaxPick)
		ids, err := s.Stock.Pick(ctx, stock.Wanted{Realm: at.realm, Item: at.item, N: want, Skip: skip})
		if err != nil {
			return nil, err
		}
		held, released := s.shelves.hold(at, ids, n)
		switch {
		case held != nil:
			return held, nil
		case skip > 0:
			skip = 0 // too far: from the first again
		case len(ids) < n:
			return nil, nil
		case len(ids) == want && want < stock.MaxPick || released == nil:
			// Others began to hold some, or gave some back, since they were counted.
		default:
			select {
			case <-released:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}
