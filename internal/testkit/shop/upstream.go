package shop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// ErrCut is a connection that broke off: nobody knows what became of the call.
var ErrCut = errors.New("the connection broke off")

// Upstream is a supplier outside, as it would be on another machine: what it did it remembers,
// and does once for each submission. A test replaces its behaviour towards callers.
type Upstream struct {
	ID    string
	Cents int64 // of a code
	// What it answers with; nil: as it should. do does what was submitted, or finds it done.
	OnQuote  func() (supply.Quote, error)
	OnSubmit func(do func() supply.Answer) (supply.Answer, error)
	OnQuery  func(find func() supply.Answer) (supply.Answer, error)
	OnCancel func() (supply.Answer, error)
	// Most is how many it delivers on one submission; 0: as many as it is asked for.
	Most int

	mu        sync.Mutex
	sold      int
	done      map[supply.SubmissionID]supply.Answer
	submitted []supply.SubmissionID
}

// Quote implements supply.Supplier.
func (u *Upstream) Quote(context.Context, supply.Wanted) (supply.Quote, error) {
	if u.OnQuote != nil {
		return u.OnQuote()
	}
	return u.Offers(), nil
}

// Offers is its price, and that it has any number of codes.
func (u *Upstream) Offers() supply.Quote {
	return supply.Quote{Cost: catalog.NewCost(u.Cents, money.USD), Available: true}
}

// Submit implements supply.Supplier.
func (u *Upstream) Submit(_ context.Context, s supply.Submission) (supply.Answer, error) {
	u.mu.Lock()
	u.submitted = append(u.submitted, s.ID)
	u.mu.Unlock()
	do := func() supply.Answer { return u.do(s) }
	if u.OnSubmit != nil {
		return u.OnSubmit(do)
	}
	return do(), nil
}

func (u *Upstream) do(s supply.Submission) supply.Answer {
	u.mu.Lock()
	defer u.mu.Unlock()
	if a, found := u.done[s.ID]; found {
		return a
	}
	a := supply.Answer{State: supply.Delivered, Reference: fmt.Sprint(len(u.done) + 1)}
	n := s.Quantity
	if u.Most > 0 {
		n = min(n, u.Most)
	}
	for range n {
		u.sold++
		a.Codes = append(a.Codes, stock.Delivered{Text: pan.NewSecret(fmt.Sprintf("%s-%04d", u.ID, u.sold)), Cost: catalog.NewCost(u.Cents, money.USD)})
	}
	if u.done == nil {
		u.done = map[supply.SubmissionID]supply.Answer{}
	}
	u.done[s.ID] = a
	return a
}

// Query implements supply.Supplier.
func (u *Upstream) Query(_ context.Context, s supply.Submission) (supply.Answer, error) {
	find := func() supply.Answer {
		u.mu.Lock()
		defer u.mu.Unlock()
		if a, found := u.done[s.ID]; found {
			return a
		}
		return supply.Answer{State: supply.Refused, Reason: "never heard of it"}
	}
	if u.OnQuery != nil {
		return u.OnQuery(find)
	}
	return find(), nil
}

// Cancel implements supply.Supplier.
func (u *Upstream) Cancel(ctx context.Context, s supply.Submission) (supply.Answer, error) {
	if u.OnCancel != nil {
		return u.OnCancel()
	}
	return u.Query(ctx, s)
}

// Sold is how many codes it sold, and to which submissions, as often as each was made.
func (u *Upstream) Sold() (codes int, submitted []supply.SubmissionID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sold, append([]supply.SubmissionID(nil), u.submitted...)
}

// kind is that of upstreams.
const kind = "upstream"

// Upstream sets up a supplier of the item, asked after the stock and after those with a lower
// priority.
func (s *Shop) Upstream(id string, cents int64, priority int) *Upstream {
	s.t.Helper()
	u := &Upstream{ID: id, Cents: cents}
	s.upstreams[id] = u
	_, err := s.Supply.Add(s.t.Context(), supply.Setup{Config: []byte(id), Actor: Seeder,
		Configured: supply.Configured{Realm: realm.Test, ID: id, Name: id, Kind: kind, Active: true, Timeout: time.Minute, Concurrency: 256}})
	check.OK(s.t, err)
	check.OK(s.t, s.Supply.PutRoute(s.t.Context(), supply.Route{Realm: realm.Test, Item: Item, Supplier: id, Priority: priority}, Seeder))
	return u
}

// openUpstream is their adapter: the configuration names one.
func (s *Shop) openUpstream(config []byte) (supply.Supplier, error) {
	if u := s.upstreams[string(config)]; u != nil {
		return u, nil
	}
	return nil, errors.New("no such upstream")
}

// Later lets an hour go by and does what is due: more than any call or pause lasts.
func (s *Shop) Later() {
	s.t.Helper()
	s.Clock.Advance(time.Hour)
	check.OK(s.t, s.Jobs.Drain(s.t.Context()))
}
