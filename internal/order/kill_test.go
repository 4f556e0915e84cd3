package order_test

import (
	"slices"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
)

// killing is an order that two suppliers deliver, in a process that dies at some point.
type killing struct {
	*bundle
	config        storage.Config
	first, second *shop.Upstream
	buyer         order.Buyer
	killed        bool
}

func (k *killing) open() *storage.DB {
	k.t.Helper()
	db, err := storage.Open(k.t.Context(), k.config)
	check.OK(k.t, err)
	_, err = db.Migrate(k.t.Context())
	check.OK(k.t, err)
	return db
}

// kill ends the process as far as the database is concerned: nothing it does is kept.
func (k *killing) kill() {
	k.killed = true
	check.OK(k.t, k.db.Close())
}

// However a process dies between two steps of an order, the next one that opens the database
// goes on with it: the order is completed, or fails where the last supplier never heard of
// it, or there is none; no supplier is made to deliver twice, and nothing is paid that was
// not delivered.
func TestKilledBetweenSteps(t *testing.T) {
	for _, engine := range testkit.Engines() {
		names := shop.Points(nil, nil, nil)
		for name := range names {
			t.Run(engine+"/"+name, func(t *testing.T) {
				k := &killing{config: testkit.Database(t, engine)}
				k.bundle = &bundle{t: t}
				k.bundle = setup(t, k.open())
				k.first, k.second = k.upstream("first", 400, 1), k.upstream("second", 450, 2)
				k.first.AtMost(2)
				k.buyer = k.bundle.buyer("Acme", 10_000)
				shop.Points(k.first, k.second, k.kill)[name]()
				_, _ = k.buy(k.buyer, 3) // the process may be gone before it knows
				k.Rest()
				if !k.killed {
					k.clock.Advance(2 * time.Second)
					_ = k.queue.Drain(t.Context()) // in which it dies
				}
				k.resumed(name)
			})
		}
	}
}

// resumed opens the database again and looks what becomes of the order.
func (k *killing) resumed(name string) {
	k.t.Helper()
	if !k.killed {
		k.t.Fatal("nothing killed it")
	}
	db := k.open()
	k.t.Cleanup(func() { _ = db.Close() })
	b := k.over(db)
	for range 4 {
		b.later()
	}
	page, err := b.List(k.t.Context(), order.Filter{Book: k.buyer.Book})
	check.OK(b.t, err)
	want, unsold := order.Completed, 0
	switch name {
	case "before it is accepted":
		want = ""
	case "before the second supplier hears of it":
		want, unsold = order.Failed, 2
	}
	if (want == "") != (page.Total == 0) || page.Total > 1 || page.Total == 1 && page.Orders[0].Status != want {
		k.t.Errorf("the orders are %+v, want one that is %s", page.Orders, want)
	}
	for _, u := range k.upstreams {
		submitted := u.Submitted()
		for i, id := range submitted {
			if slices.Contains(submitted[:i], id) {
				k.t.Errorf("%s was submitted twice to %s", id, u.ID)
			}
		}
	}
	b.sound(funds{k.buyer: 10_000})
	if n, err := b.Stock.Count(k.t.Context(), realm.Test, item); err != nil || n != unsold {
		k.t.Errorf("%d codes are on sale, %v", n, err)
	}
}
