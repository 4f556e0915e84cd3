package order_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
)

const anyValue = catalog.ItemCode("HARBOUR-ANY")

// ranged has an upstream deliver an item of 5 to 100 dollars at what it is worth.
func (b *bundle) ranged() *shop.Upstream {
	b.t.Helper()
	acme := b.upstream("acme", 450, 1)
	_, _, err := b.Catalog.Put(b.t.Context(), catalog.Product{Code: anyValue, Name: "Harbour", Brand: "Harbour", Face: catalog.NewFace(500, money.USD),
		FaceMax: catalog.NewFace(10_000, money.USD)}, seeder)
	check.OK(b.t, err)
	check.OK(b.t, b.Supply.PutRoute(b.t.Context(), supply.Route{Realm: realm.Test, Item: anyValue, Supplier: "acme", Priority: 1}, seeder))
	acme.OnQuote = func(w supply.Wanted) (supply.Quote, error) {
		worth, err := money.ParseAmount(w.Denomination, money.USD)
		return supply.Quote{Cost: catalog.Cost{Amount: worth}, Available: true}, err
	}
	return acme
}

// worth buys codes of the range in one denomination.
func (b *bundle) worth(buyer order.Buyer, n int, value string) error {
	b.t.Helper()
	v, err := catalog.ParseValue(value)
	check.OK(b.t, err)
	_, err = b.Place(b.t.Context(), buyer, order.Purchase{Item: anyValue, Quantity: n, Value: &v})
	return err
}

// listed reports whether the range counts as in stock.
func (b *bundle) listed(buyer order.Buyer) bool {
	b.t.Helper()
	shelf, err := b.Browse(b.t.Context(), buyer, catalog.Filter{Item: anyValue})
	check.OK(b.t, err)
	return shelf.Listings[0].InStock
}

// A supplier that said what the balance there is is asked, within a minute, for what that pays
// for, and for nothing else: of whatever item, denomination and number.
func TestBalanceThere(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, buyer := b.ranged(), b.buyer("Acme", 1_000_000)
		there := int64(3000)
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			worth, err := money.ParseAmount(c.Denomination, money.USD)
			check.OK(b.t, err)
			if worth.Minor*int64(c.Quantity) > there {
				return supply.Answer{State: supply.Refused, Reason: "no credit", Unpaid: true, Balance: catalog.NewCost(there, money.USD)}, nil
			}
			a := c.Do()
			for i := range a.Codes {
				a.Codes[i].Cost = catalog.Cost{Amount: worth}
			}
			return a, nil
		}
		for _, c := range []struct {
			n      int
			value  string
			orders int
			sold   bool
		}{
			{1, "50", 1, false}, {1, "100", 1, false}, {2, "20", 1, false}, {7, "5", 1, false}, // nobody is asked for more than there is
			{1, "30", 2, true}, {6, "5", 3, true},
		} {
			err := b.worth(buyer, c.n, c.value)
			if got := fault.CodeOf(err); (err == nil) != c.sold || !c.sold && got != fault.OutOfStock || len(acme.Submitted()) != c.orders {
				t.Errorf("%d of %s: %v, after %d orders", c.n, c.value, err, len(acme.Submitted()))
			}
		}
		if _, err := b.buy(buyer, 7); fault.CodeOf(err) != fault.OutOfStock || len(acme.Submitted()) != 3 {
			t.Errorf("another item: %v, after %d orders", err, len(acme.Submitted()))
		}
		if !b.listed(buyer) {
			t.Error("the range is out of stock, and the least could be bought")
		}
		b.clock.Advance(time.Minute)
		there = 400
		if err := b.worth(buyer, 1, "40"); fault.CodeOf(err) != fault.OutOfStock || len(acme.Submitted()) != 4 {
			t.Errorf("a minute later: %v, after %d orders", err, len(acme.Submitted()))
		}
		if err := b.worth(buyer, 1, "5"); fault.CodeOf(err) != fault.OutOfStock || len(acme.Submitted()) != 4 || b.listed(buyer) {
			t.Errorf("not even the least: %v, after %d orders", err, len(acme.Submitted()))
		}
		there = 100_000
		b.clock.Advance(time.Minute)
		if err := b.worth(buyer, 1, "100"); err != nil || !b.listed(buyer) {
			t.Errorf("loaded: %v", err)
		}
		b.sound(funds{buyer: 1_000_000})
	})
}

// A refusal that a supplier says once more may be that of then: whoever loaded the account there
// meanwhile sells at once. So it is after a change of the supplier, to another account perhaps.
func TestBalanceThen(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, buyer := b.ranged(), b.buyer("Acme", 100_000)
		refused := supply.Answer{State: supply.Refused, Reason: "no credit", Unpaid: true, Balance: catalog.NewCost(100, money.USD)}
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) {
			return supply.Answer{State: supply.Working, Reference: "77"}, nil
		}
		acme.OnQuery = func(shop.Call) (supply.Answer, error) { return refused, nil }
		check.OK(b.t, b.worth(buyer, 1, "50"))
		b.clock.Advance(2 * time.Second)
		check.OK(b.t, b.queue.Drain(t.Context()))
		if got := b.status(buyer, 1); got != order.Failed {
			t.Fatalf("it is %s", got)
		}
		acme.OnSubmit = nil
		if err := b.worth(buyer, 1, "50"); err != nil {
			t.Errorf("loaded before it was asked about: %v", err)
		}
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) { return refused, nil }
		check.Code(t, "not loaded", b.worth(buyer, 1, "50"), fault.OutOfStock)
		acme.OnSubmit = nil
		check.Code(t, "another denomination", b.worth(buyer, 1, "40"), fault.OutOfStock)
		_, err := b.Supply.Change(t.Context(), supply.Setup{Edit: func(*supply.Configured) {}, Actor: seeder, Configured: supply.Configured{Realm: realm.Test, ID: "acme"}})
		check.OK(b.t, err)
		for _, value := range []string{"50", "40"} {
			if err := b.worth(buyer, 1, value); err != nil {
				t.Errorf("changed, %s: %v", value, err)
			}
		}
		b.sound(funds{buyer: 100_000})
	})
}

// That a supplier delivered another denomination for the least one of a range says nothing of
// the others.
func TestLeastDeliveredWrong(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, buyer := b.ranged(), b.buyer("Acme", 100_000)
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			a := c.Do()
			for i := range a.Codes {
				a.Codes[i].Face = catalog.NewFace(1000, money.USD)
			}
			return a, nil
		}
		if err := b.worth(buyer, 1, "5"); fault.CodeOf(err) != fault.OutOfStock {
			t.Errorf("of another value: %v", err)
		}
		if !b.listed(buyer) {
			t.Error("all of the range is out of stock")
		}
		if err := b.worth(buyer, 1, "5"); fault.CodeOf(err) != fault.OutOfStock || len(acme.Submitted()) != 1 {
			t.Errorf("once more: %v, %s", err, fmt.Sprint(acme.Submitted()))
		}
		check.OK(b.t, b.worth(buyer, 1, "10"))
		b.sound(funds{buyer: 100_000})
	})
}
