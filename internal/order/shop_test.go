package order_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// errCut is a connection that broke off: nobody knows what became of the call.
var errCut = errors.New("the connection broke off")

// shop is a supplier outside, as it would be on another machine: what it did it remembers,
// and does once for each submission. A test replaces its behaviour towards callers.
type shop struct {
	id    string
	cents int64 // of a code
	// What it answers with; nil: as it should. do does what was submitted, or finds it done.
	onQuote  func(ctx context.Context, w supply.Wanted) (supply.Quote, error)
	onSubmit func(ctx context.Context, s supply.Submission, do func() supply.Answer) (supply.Answer, error)
	onQuery  func(ctx context.Context, s supply.Submission, find func() (supply.Answer, bool)) (supply.Answer, error)
	onCancel func(ctx context.Context, s supply.Submission) (supply.Answer, error)

	mu        sync.Mutex
	left      int // how many codes it has; below zero: any number
	most      int // how many it delivers on one submission; 0: as many as it is asked for
	sold      int
	done      map[supply.SubmissionID]supply.Answer
	submitted []supply.SubmissionID // in the order of the calls
	queried   int
}

// Quote implements supply.Supplier.
func (s *shop) Quote(ctx context.Context, w supply.Wanted) (supply.Quote, error) {
	if s.onQuote != nil {
		return s.onQuote(ctx, w)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return supply.Quote{Cost: s.cost(), Available: s.left < 0 || s.left >= w.Quantity}, nil
}

func (s *shop) cost() catalog.Cost { return catalog.NewCost(s.cents, money.USD) }

// Submit implements supply.Supplier.
func (s *shop) Submit(ctx context.Context, sub supply.Submission) (supply.Answer, error) {
	s.mu.Lock()
	s.submitted = append(s.submitted, sub.ID)
	s.mu.Unlock()
	do := func() supply.Answer { return s.do(sub) }
	if s.onSubmit != nil {
		return s.onSubmit(ctx, sub, do)
	}
	return do(), nil
}

// do sells what was submitted, once.
func (s *shop) do(sub supply.Submission) supply.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, found := s.done[sub.ID]; found {
		return a
	}
	if s.left >= 0 && s.left < sub.Quantity {
		return supply.Answer{State: supply.Refused, Reason: "sold out"}
	}
	a := supply.Answer{State: supply.Delivered, Reference: fmt.Sprint(len(s.done) + 1)}
	n := sub.Quantity
	if s.most > 0 {
		n = min(n, s.most)
	}
	for range n {
		s.sold++
		s.left--
		a.Codes = append(a.Codes, s.code(s.sold))
	}
	s.done[sub.ID] = a
	return a
}

func (s *shop) code(n int) stock.Delivered {
	return stock.Delivered{Text: pan.NewSecret(fmt.Sprintf("%s-%04d", s.id, n)), PIN: pan.NewSecret(fmt.Sprint(1000 + n)), Cost: s.cost()}
}

// Query implements supply.Supplier.
func (s *shop) Query(ctx context.Context, sub supply.Submission) (supply.Answer, error) {
	s.mu.Lock()
	s.queried++
	s.mu.Unlock()
	find := func() (supply.Answer, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		a, found := s.done[sub.ID]
		return a, found
	}
	if s.onQuery != nil {
		return s.onQuery(ctx, sub, find)
	}
	if a, found := find(); found {
		return a, nil
	}
	return supply.Answer{State: supply.Refused, Reason: "never heard of it"}, nil
}

// Cancel implements supply.Supplier.
func (s *shop) Cancel(ctx context.Context, sub supply.Submission) (supply.Answer, error) {
	if s.onCancel != nil {
		return s.onCancel(ctx, sub)
	}
	return s.Query(ctx, sub)
}

// calls is how often the shop was asked to sell, and to say what became of it.
func (s *shop) calls() (submitted, queried int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.submitted), s.queried
}

// openShop is the adapter: the configuration names a shop.
func (b *bundle) openShop(config []byte) (supply.Supplier, error) {
	for id, s := range b.shops {
		if string(config) == shopConfig(id) {
			return s, nil
		}
	}
	return nil, errors.New("no such shop")
}

func shopConfig(id string) string { return fmt.Sprintf(`{"shop":%q}`, id) }

// shop sets up a supplier of the item with any number of codes, asked after the stock and
// after those with a lower priority.
func (b *bundle) shop(id string, cents int64, priority int) *shop {
	b.t.Helper()
	s := &shop{id: id, cents: cents, left: -1, done: map[supply.SubmissionID]supply.Answer{}}
	b.shops[id] = s
	_, err := b.Supply.Add(b.t.Context(), supply.Setup{Config: []byte(shopConfig(id)), Actor: seeder,
		Configured: supply.Configured{Realm: realm.Test, ID: id, Name: id, Kind: "shop", Active: true, Timeout: time.Minute, Concurrency: 256}})
	check.OK(b.t, err)
	check.OK(b.t, b.Supply.PutRoute(b.t.Context(), supply.Route{Realm: realm.Test, Item: item, Supplier: id, Priority: priority}, seeder))
	return s
}

// later lets an hour go by and does what is due: more than any call or pause lasts.
func (b *bundle) later() {
	b.t.Helper()
	b.clock.Advance(time.Hour)
	check.OK(b.t, b.queue.Drain(b.t.Context()))
}

// buy places an order of n codes.
func (b *bundle) buy(buyer order.Buyer, n int) (order.Placed, error) {
	return b.Place(b.t.Context(), buyer, order.Purchase{Item: item, Quantity: n})
}

// status reads an order again.
func (b *bundle) status(buyer order.Buyer, number order.Number) order.Status {
	b.t.Helper()
	o, err := b.Find(b.t.Context(), buyer.Book, number)
	check.OK(b.t, err)
	return o.Status
}

// codeRow is a code as it is stored.
type codeRow struct {
	id, state, buyer, order string
}

// funds is what a buyer began with, in cents.
type funds map[order.Buyer]int64

// sound fails unless nobody paid for nothing and no code is twice: the books add up; every
// buyer has what it began with less what its completed orders cost and what is held for
// those under way; each completed order has as many codes as it is for, and no other order
// has any; no two orders have a code in common; what a shop sold is an order's, on sale, or
// reserved for an order under way, and nothing of it is lost once all orders are over.
func (b *bundle) sound(began funds) {
	b.t.Helper()
	b.verified()
	owner, under := map[string]string{}, 0
	var earned int64
	for buyer, cents := range began {
		page, err := b.List(b.t.Context(), order.Filter{Book: buyer.Book, Limit: order.MaxPerPage})
		check.OK(b.t, err)
		for _, o := range page.Orders {
			found, err := b.Reveal(b.t.Context(), buyer, o.Number)
			check.OK(b.t, err)
			want := 0
			switch o.Status {
			case order.Completed:
				cents, want = cents-o.Amount.Minor, o.Quantity
				earned += o.Amount.Minor
			case order.Processing:
				cents -= o.Amount.Minor
				under++
			case order.Failed, order.Pending, order.Cancelled, order.Refunded:
			}
			if len(found.Codes) != want {
				b.t.Errorf("order %s of %s is %s and has %d codes, not %d", o.Name(), buyer.Credential, o.Status, len(found.Codes), want)
			}
			for _, text := range texts(found.Codes) {
				if other := owner[text]; other != "" {
					b.t.Errorf("%s is in order %s of %s and in %s", text, o.Name(), buyer.Credential, other)
				}
				owner[text] = o.Name() + " of " + buyer.Credential
			}
		}
		if got := b.balance(buyer); got != cents {
			b.t.Errorf("%s has %d, want %d", buyer.Credential, got, cents)
		}
	}
	b.earnings(began, earned)
	b.nothingLost(under)
}

// earnings holds the accounts of orders against what they earned.
func (b *bundle) earnings(began funds, earned int64) {
	b.t.Helper()
	for buyer := range began {
		all, err := b.books.ListAccounts(b.t.Context(), buyer.Book, "order.", "", 100)
		check.OK(b.t, err)
		for _, a := range all {
			if a.ID == "order.clearing/USD" {
				if !a.Posted().IsZero() {
					b.t.Errorf("%s: clearing holds %s", buyer.Credential, a.Posted())
				}
				continue
			}
			if a.Side == ledger.Credit && a.Currency == money.USD {
				earned -= a.Posted().Minor
			}
		}
	}
	if earned != 0 {
		b.t.Errorf("revenue and payables differ from what was paid by %d", earned)
	}
}

var allCodes = storage.SQL("order_test.all_codes", `SELECT code_id, state, buyer, order_id FROM stock_codes WHERE realm = 'test' ORDER BY code_id`)

// nothingLost compares what shops sold with what is in stock. Codes may be outside only
// while orders are under way.
func (b *bundle) nothingLost(under int) {
	b.t.Helper()
	rows, err := storage.All(b.t.Context(), b.db, func(r storage.Row) (c codeRow, err error) {
		err = r.Scan(&c.id, &c.state, &c.buyer, &c.order)
		return c, err
	}, allCodes)
	check.OK(b.t, err)
	ids := make([]stock.CodeID, len(rows))
	for i, r := range rows {
		ids[i] = stock.CodeID(r.id)
		if r.state == "reserved" && under == 0 {
			b.t.Errorf("a code is reserved for order %s, which is over", r.order)
		}
		if owned := r.state == "reserved" || r.state == "sold"; owned != (r.buyer != "") {
			b.t.Errorf("a code is %s and %q's", r.state, r.buyer)
		}
	}
	codes, err := b.Stock.Open(b.t.Context(), ids)
	check.OK(b.t, err)
	have := texts(codes)
	for _, s := range b.shops {
		s.mu.Lock()
		for _, a := range s.done {
			for _, c := range a.Codes {
				if !slices.Contains(have, c.Text.Reveal()) && under == 0 {
					b.t.Errorf("%s was bought and is lost", c.Text.Reveal())
				}
			}
		}
		s.mu.Unlock()
	}
}

// due is how many jobs there are of orders under way.
func (b *bundle) due() int {
	b.t.Helper()
	n, _, err := storage.One(b.t.Context(), b.db, storage.Scalar[int], countJobs)
	check.OK(b.t, err)
	return n
}

var countJobs = storage.SQL("order_test.count_jobs", `SELECT COUNT(*) FROM jobs WHERE kind = 'supply.deliver'`)
