package order_test

import (
	"context"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// killing is an order that two suppliers deliver, in a process that dies at some point.
type killing struct {
	*bundle
	config        storage.Config
	first, second *shop
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

// submits has a shop's next submission go as behave says.
func submits(s *shop, behave func(do func() supply.Answer) (supply.Answer, error)) {
	s.onSubmit = func(_ context.Context, _ supply.Submission, do func() supply.Answer) (supply.Answer, error) {
		s.onSubmit = nil
		return behave(do)
	}
}

// points are where the process dies, in the order of an order's life. In each of them the
// first supplier delivers two of three codes, and the second one the third.
func (k *killing) points() map[string]func() {
	lost := func(s *shop, before, after func()) func() {
		return func() {
			submits(s, func(do func() supply.Answer) (supply.Answer, error) {
				before()
				if after == nil {
					return supply.Answer{}, errCut
				}
				do()
				after()
				return supply.Answer{}, errCut
			})
		}
	}
	nothing := func() {}
	quoted := func(s *shop) func() {
		return func() {
			s.onQuote = func(context.Context, supply.Wanted) (supply.Quote, error) {
				s.onQuote = nil
				k.kill()
				return supply.Quote{Cost: s.cost(), Available: true}, nil
			}
		}
	}
	answered := func(s *shop) func() {
		return func() {
			submits(s, func(do func() supply.Answer) (supply.Answer, error) {
				a := do()
				k.kill()
				return a, nil
			})
		}
	}
	asked := func(s *shop) func() {
		return func() {
			lost(s, nothing, nothing)()
			s.onQuery = func(_ context.Context, _ supply.Submission, find func() (supply.Answer, bool)) (supply.Answer, error) {
				s.onQuery = nil
				a, _ := find()
				k.kill()
				return a, nil
			}
		}
	}
	return map[string]func(){
		"before it is accepted":                  quoted(k.first),
		"before the first supplier hears of it":  lost(k.first, k.kill, nil),
		"before the first supplier answers":      lost(k.first, nothing, k.kill),
		"before its answer is kept":              answered(k.first),
		"before a late answer is kept":           asked(k.first),
		"before the second one is asked":         quoted(k.second),
		"before the second supplier hears of it": lost(k.second, k.kill, nil),
		"before the second supplier answers":     lost(k.second, nothing, k.kill),
		"before its answer completes the order":  answered(k.second),
		"before its late answer completes it":    asked(k.second),
	}
}

// However a process dies between two steps of an order, the next one that opens the database
// goes on with it: the order is completed, or fails where the last supplier never heard of
// it, or there is none; no supplier is made to deliver twice, and nothing is paid that was
// not delivered.
func TestKilledBetweenSteps(t *testing.T) {
	for _, engine := range testkit.Engines() {
		names := (&killing{bundle: &bundle{}, first: &shop{}, second: &shop{}}).points()
		for name := range names {
			t.Run(engine+"/"+name, func(t *testing.T) {
				k := &killing{config: testkit.Database(t, engine)}
				k.bundle = &bundle{t: t}
				k.bundle = setup(t, k.open())
				k.first, k.second = k.shop("first", 400, 1), k.shop("second", 450, 2)
				k.first.most = 2
				k.buyer = k.bundle.buyer("Acme", 10_000)
				k.points()[name]()
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
	for _, s := range k.shops {
		for i, id := range s.submitted {
			for _, other := range s.submitted[:i] {
				if id == other {
					k.t.Errorf("%s was submitted twice to %s", id, s.id)
				}
			}
		}
	}
	b.sound(funds{k.buyer: 10_000})
	if n, err := b.Stock.Count(k.t.Context(), realm.Test, item); err != nil || n != unsold {
		k.t.Errorf("%d codes are on sale, %v", n, err)
	}
}
