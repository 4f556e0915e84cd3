package shop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
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
	// What it answers with; nil: as it should.
	OnQuote                     func(supply.Wanted) (supply.Quote, error)
	OnSubmit, OnQuery, OnCancel func(Call) (supply.Answer, error)

	mu        sync.Mutex
	left      int // how many codes it has; below zero: any number
	most      int // how many it delivers on one submission; 0: as many as it is asked for
	sold      int
	done      map[supply.SubmissionID]supply.Answer
	submitted []supply.SubmissionID // in the order of the calls
	queried   int
}

// Call is one call about a submission.
type Call struct {
	supply.Submission
	to *Upstream
}

// Do does what was submitted, or finds it done.
func (c Call) Do() supply.Answer { return c.to.do(c.Submission) }

// Find is what was done, if it was.
func (c Call) Find() (supply.Answer, bool) {
	c.to.mu.Lock()
	defer c.to.mu.Unlock()
	a, found := c.to.done[c.ID]
	return a, found
}

// Quote implements supply.Supplier.
func (u *Upstream) Quote(_ context.Context, w supply.Wanted) (supply.Quote, error) {
	if u.OnQuote != nil {
		return u.OnQuote(w)
	}
	return u.Offers(w), nil
}

// Offers is its price, and whether it has as many codes.
func (u *Upstream) Offers(w supply.Wanted) supply.Quote {
	u.mu.Lock()
	defer u.mu.Unlock()
	return supply.Quote{Cost: u.cost(), Available: u.left < 0 || u.left >= w.Quantity}
}

func (u *Upstream) cost() catalog.Cost { return catalog.NewCost(u.Cents, money.USD) }

// Submit implements supply.Supplier.
func (u *Upstream) Submit(_ context.Context, s supply.Submission) (supply.Answer, error) {
	u.mu.Lock()
	u.submitted = append(u.submitted, s.ID)
	u.mu.Unlock()
	if u.OnSubmit != nil {
		return u.OnSubmit(Call{s, u})
	}
	return u.do(s), nil
}

// do sells what was submitted, once.
func (u *Upstream) do(s supply.Submission) supply.Answer {
	u.mu.Lock()
	defer u.mu.Unlock()
	if a, found := u.done[s.ID]; found {
		return a
	}
	if u.left >= 0 && u.left < s.Quantity {
		return supply.Answer{State: supply.Refused, Reason: "sold out"}
	}
	a := supply.Answer{State: supply.Delivered, Reference: fmt.Sprint(len(u.done) + 1)}
	n := s.Quantity
	if u.most > 0 {
		n = min(n, u.most)
	}
	for range n {
		u.sold++
		u.left--
		a.Codes = append(a.Codes, u.Code(u.sold))
	}
	u.done[s.ID] = a
	return a
}

// Code is the nth one that it sells.
func (u *Upstream) Code(n int) stock.Delivered {
	return stock.Delivered{Text: pan.NewSecret(fmt.Sprintf("%s-%04d", u.ID, n)), PIN: pan.NewSecret(fmt.Sprint(1000 + n)), Cost: u.cost()}
}

// Query implements supply.Supplier.
func (u *Upstream) Query(_ context.Context, s supply.Submission) (supply.Answer, error) {
	u.mu.Lock()
	u.queried++
	u.mu.Unlock()
	c := Call{s, u}
	if u.OnQuery != nil {
		return u.OnQuery(c)
	}
	if a, found := c.Find(); found {
		return a, nil
	}
	return supply.Answer{State: supply.Refused, Reason: "never heard of it"}, nil
}

// Cancel implements supply.Supplier.
func (u *Upstream) Cancel(ctx context.Context, s supply.Submission) (supply.Answer, error) {
	if u.OnCancel != nil {
		return u.OnCancel(Call{s, u})
	}
	return u.Query(ctx, s)
}

// Keep lets it have so many codes left; below zero: any number.
func (u *Upstream) Keep(left int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.left = left
}

// AtMost lets it deliver so many codes on one submission.
func (u *Upstream) AtMost(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.most = n
}

// Sold is how many codes it sold.
func (u *Upstream) Sold() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sold
}

// Submitted are the submissions that it was asked to do, as often as it was.
func (u *Upstream) Submitted() []supply.SubmissionID {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.submitted)
}

// Queried is how often it was asked what became of one.
func (u *Upstream) Queried() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.queried
}

// Codes are what it sold.
func (u *Upstream) Codes() (all []stock.Delivered) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, a := range u.done {
		all = append(all, a.Codes...)
	}
	return all
}

// Lose has it forget the last n codes of every submission, which it did not deliver.
func (u *Upstream) Lose(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, a := range u.done {
		a.Codes = a.Codes[:len(a.Codes)-n]
		u.done[id] = a
	}
}

// Kind is that of upstreams.
const Kind = "upstream"

// Upstreams are suppliers by their ids, whatever process asks them.
type Upstreams map[string]*Upstream

// Open is their adapter: the configuration names one.
func (all Upstreams) Open(config []byte) (supply.Supplier, error) {
	if u := all[string(config)]; u != nil {
		return u, nil
	}
	return nil, errors.New("no such upstream")
}

// Add sets up a supplier of the item with any number of codes, asked after the stock and after
// those with a lower priority.
func (all Upstreams) Add(t testing.TB, to *supply.Service, u *Upstream, priority int) *Upstream {
	t.Helper()
	u.left, u.done, all[u.ID] = -1, map[supply.SubmissionID]supply.Answer{}, u
	_, err := to.Add(t.Context(), supply.Setup{Config: []byte(u.ID), Actor: Seeder,
		Configured: supply.Configured{Realm: realm.Test, ID: u.ID, Name: u.ID, Kind: Kind, Active: true, Timeout: time.Minute, Concurrency: 256}})
	check.OK(t, err)
	check.OK(t, to.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: Item, Supplier: u.ID, Priority: priority}, Seeder))
	return u
}

// Upstream sets up a supplier of the item, as Upstreams.Add does.
func (s *Shop) Upstream(id string, cents int64, priority int) *Upstream {
	s.t.Helper()
	return s.upstreams.Add(s.t, s.Supply, &Upstream{ID: id, Cents: cents}, priority)
}

// Later lets an hour go by and does what is due: more than any call or pause lasts.
func (s *Shop) Later() {
	s.t.Helper()
	s.Clock.Advance(time.Hour)
	check.OK(s.t, s.Jobs.Drain(s.t.Context()))
}
