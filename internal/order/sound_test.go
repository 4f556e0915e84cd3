package order_test

import (
	"time"

	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
)

// upstream sets up a supplier of the item, asked after the stock and after those with a lower
// priority.
func (b *bundle) upstream(id string, cents int64, priority int) *shop.Upstream {
	b.t.Helper()
	return b.upstreams.Add(b.t, b.Supply, &shop.Upstream{ID: id, Cents: cents}, priority)
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
	state, buyer, order string
}

// funds is what a buyer began with, in cents.
type funds map[order.Buyer]int64

// sound fails unless nobody paid for nothing and no code is twice: the books add up; every
// buyer has what it began with less what its completed orders cost and what is held for
// those under way; each completed order has as many codes as it is for, and no other order
// has any; no two orders have a code in common; what a supplier sold is an order's, on sale, or
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

var allCodes = storage.SQL("order_test.all_codes", `SELECT state, buyer, order_id FROM stock_codes WHERE realm = 'test' ORDER BY code_id`)

// nothingLost compares what suppliers sold with what is in stock. Codes may be outside only
// while orders are under way.
func (b *bundle) nothingLost(under int) {
	b.t.Helper()
	rows, err := storage.All(b.t.Context(), b.db, func(r storage.Row) (c codeRow, err error) {
		err = r.Scan(&c.state, &c.buyer, &c.order)
		return c, err
	}, allCodes)
	check.OK(b.t, err)
	for _, r := range rows {
		if r.state == "reserved" && under == 0 {
			b.t.Errorf("a code is reserved for order %s, which is over", r.order)
		}
		if owned := r.state == "reserved" || r.state == "sold"; owned != (r.buyer != "") {
			b.t.Errorf("a code is %s and %q's", r.state, r.buyer)
		}
	}
	for id, u := range b.upstreams {
		missing, err := b.Stock.Receive(b.t.Context(), stock.Delivery{Realm: realm.Test, Item: item, Supplier: id, Codes: u.Codes()})
		check.OK(b.t, err)
		for _, text := range texts(missing.Codes) {
			if under == 0 {
				b.t.Errorf("%s was bought and is lost", text)
			}
		}
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
