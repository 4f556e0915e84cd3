package order_test

import (
	"fmt"
	"testing"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
)

// revalue gives the item another value.
func (b *bundle) revalue() {
	b.t.Helper()
	p, err := b.Catalog.Find(b.t.Context(), item)
	check.OK(b.t, err)
	p.Face, p.FaceMax = catalog.NewFace(1000, money.USD), catalog.NewFace(1000, money.USD)
	_, _, err = b.Catalog.Put(b.t.Context(), p, seeder)
	check.OK(b.t, err)
}

// forSale is how many codes of the item are for sale, and how many are in quarantine.
func (b *bundle) forSale() (available, apart int64) {
	b.t.Helper()
	found, err := b.Stock.List(b.t.Context(), realm.Test, item)
	check.OK(b.t, err)
	for _, batch := range found {
		available += int64(batch.Codes[stock.Available])
		apart += int64(batch.Codes[stock.Quarantined])
	}
	return available, apart
}

// Codes that an order does not keep are not for sale as what its item is by then, if that got
// another value while the supplier was at it, here or in another process: neither those beyond
// what was asked for, nor those of an order that ends without the rest.
func TestSpareOfValueBefore(t *testing.T) {
	for name, where := range map[string]func(*bundle) *bundle{"here": func(b *bundle) *bundle { return b }, "elsewhere": (*bundle).another} {
		for more, status := range map[bool]order.Status{true: order.Completed, false: order.Failed} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				each(t, func(t *testing.T, b *bundle) {
					acme, there := b.upstream("acme", 450, 1), where(b)
					acme.AtMost(1)
					acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
						a := c.Do()
						if more {
							a.Codes = append(a.Codes, acme.Code(100), acme.Code(101))
						}
						there.revalue()
						return a, nil
					}
					buyer := b.buyer("Acme", 10_000)
					_, err := b.buy(buyer, 2)
					if (err == nil) != more {
						t.Error(err)
					}
					if available, apart := b.forSale(); b.status(buyer, 1) != status || available != 0 || apart != 1 || acme.Queried() != 0 {
						t.Errorf("%s, %d are for sale and %d in quarantine, after %d questions", b.status(buyer, 1), available, apart, acme.Queried())
					}
					b.sound(funds{buyer: 10_000})
				})
			})
		}
	}
}
