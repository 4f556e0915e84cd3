package order_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
	"github.com/scripcards/scrip/internal/webhook"
)

// events are the types of the events of a buyer's orders, first to last.
func (b *bundle) events(buyer order.Buyer) (types []string) {
	b.t.Helper()
	all, err := b.hooks.Outbox.List(b.t.Context(), webhook.EventFilter{Book: buyer.Book, Limit: 100})
	check.OK(b.t, err)
	for _, e := range all {
		if strings.HasPrefix(e.Type, "order.") {
			types = append([]string{e.Type}, types...)
		}
		if strings.Contains(string(e.Data), "acme-0") {
			b.t.Errorf("an event holds a code: %s", e.Data)
		}
	}
	return types
}

// moves are an order's postings, such as "order.capture wallet/USD>order.clearing/USD 9.80".
func (b *bundle) moves(buyer order.Buyer, number order.Number) (lines []string) {
	b.t.Helper()
	all, err := b.Postings(b.t.Context(), buyer.Book, number)
	check.OK(b.t, err)
	for _, o := range all {
		for _, m := range o.Moves {
			lines = append(lines, fmt.Sprintf("%s %s>%s %s held %d", o.Kind, m.Debit, m.Credit, m.Posted, m.Held))
		}
	}
	return lines
}

// An order that stock cannot fill is delivered by a supplier within the call: the wallet
// pays what the supplier is owed and the margin, and the codes are the buyer's alone.
func TestDelivered(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.fill("GPLAY", 1)
		acme := b.upstream("acme", 450, 1)
		buyer := b.buyer("Acme", 10_000)
		placed, err := b.buy(buyer, 2)
		check.OK(b.t, err)
		if diff := cmp.Diff([]string{"acme-0001", "acme-0002"}, texts(placed.Codes)); diff != "" || placed.Status != order.Completed {
			t.Errorf("%s %s", placed.Status, diff)
		}
		found, err := b.Reveal(t.Context(), buyer, placed.Number)
		check.OK(b.t, err)
		if diff := cmp.Diff(placed.Order, found.Order); diff != "" {
			t.Errorf("the order read again: %s", diff)
		}
		if diff := cmp.Diff(texts(placed.Codes), texts(found.Codes)); diff != "" || found.Codes[0].PIN.Reveal() != "1001" {
			t.Errorf("the codes read again: %s", diff)
		}
		if diff := cmp.Diff([]string{"order.processing", "order.completed"}, b.events(buyer)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{
			"order.hold wallet/USD>order.clearing/USD 0.00 held 980",
			"order.capture wallet/USD>order.clearing/USD 9.80 held -980",
			"order.capture order.clearing/USD>order.payable/acme/USD 9.00 held 0",
			"order.capture order.clearing/USD>order.revenue/USD 0.80 held 0",
		}, b.moves(buyer, placed.Number)); diff != "" {
			t.Error(diff)
		}
		if looks, err := b.Stock.Looks(t.Context(), buyer.Book, "1"); err != nil || len(looks) != 2 {
			t.Errorf("%d looks, %v", len(looks), err)
		}
		if submitted, queried := len(acme.Submitted()), acme.Queried(); submitted != 1 || queried != 0 {
			t.Errorf("%d submissions, %d queries", submitted, queried)
		}
		// One code comes from stock, at once, as before.
		if placed, err = b.buy(buyer, 1); err != nil || placed.Hold != "" || texts(placed.Codes)[0] != "GPLAY-0001" {
			t.Errorf("from stock: %+v, %v", placed.Order, err)
		}
		if looks, err := b.Stock.Looks(t.Context(), buyer.Book, "2"); err != nil || len(looks) != 1 || looks[0].Actor != buyer.Credential {
			t.Errorf("who bought from stock saw the code: %+v, %v", looks, err)
		}
		b.later()
		if b.due() != 0 {
			t.Error("a job is left")
		}
		b.sound(funds{buyer: 10_000})
	})
}

// A supplier that delivers and whose answer is lost is asked what became of it, and not for
// the codes again; the order says processing meanwhile.
func TestAnswerLost(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, other := b.upstream("acme", 450, 1), b.upstream("other", 450, 2)
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			c.Do()
			return supply.Answer{}, shop.ErrCut
		}
		down := true
		acme.OnQuery = func(c shop.Call) (supply.Answer, error) {
			if down {
				return supply.Answer{}, shop.ErrCut
			}
			a, _ := c.Find()
			return a, nil
		}
		buyer := b.buyer("Acme", 10_000)
		placed, err := b.buy(buyer, 3)
		check.OK(b.t, err)
		if placed.Status != order.Processing || len(placed.Codes) != 0 || b.balance(buyer) != 10_000-3*490 {
			t.Errorf("%s with %d codes and %d left", placed.Status, len(placed.Codes), b.balance(buyer))
		}
		if found, err := b.Reveal(t.Context(), buyer, placed.Number); err != nil || found.Status != order.Processing || len(found.Codes) != 0 {
			t.Errorf("%s with %d codes, %v", found.Status, len(found.Codes), err)
		}
		b.sound(funds{buyer: 10_000})
		for range 3 {
			b.later()
			if got := b.status(buyer, placed.Number); got != order.Processing {
				t.Errorf("while nobody knows it is %s", got)
			}
		}
		down = false
		b.later()
		if got := b.status(buyer, placed.Number); got != order.Completed {
			t.Errorf("then it is %s", got)
		}
		if submitted := len(acme.Submitted()); submitted != 1 || acme.Sold() != 3 || len(other.Submitted()) != 0 {
			t.Errorf("%d submissions, %d sold, %d to the other", submitted, acme.Sold(), len(other.Submitted()))
		}
		b.sound(funds{buyer: 10_000})
	})
}

// A slow supplier makes the order processing after the deadline, and it is completed when
// the supplier answers, without anybody asking again.
func TestSlow(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.patience = time.Millisecond
		b = b.another()
		acme, answer := b.upstream("acme", 450, 1), make(chan struct{})
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			<-answer
			return c.Do(), nil
		}
		buyer := b.buyer("Acme", 10_000)
		placed, err := b.buy(buyer, 2)
		check.OK(b.t, err)
		if placed.Status != order.Processing || len(placed.Codes) != 0 {
			t.Errorf("%s with %d codes", placed.Status, len(placed.Codes))
		}
		b.clock.Advance(time.Second)
		check.OK(b.t, b.queue.Drain(t.Context())) // the job leaves it alone while the call is under way
		close(answer)
		b.Rest()
		if got := b.status(buyer, placed.Number); got != order.Completed {
			t.Errorf("it is %s", got)
		}
		if looks, err := b.Stock.Looks(t.Context(), buyer.Book, "1"); err != nil || len(looks) != 0 {
			t.Errorf("nobody has seen the codes, and there are %d looks, %v", len(looks), err)
		}
		if queried := acme.Queried(); queried != 0 {
			t.Errorf("it was asked %d times", queried)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// A supplier that says it is at it is asked until it delivers, or says that it will not:
// then the next one delivers.
func TestWorking(t *testing.T) {
	for _, delivers := range []bool{true, false} {
		each(t, func(t *testing.T, b *bundle) {
			acme, other := b.upstream("acme", 450, 1), b.upstream("other", 460, 2)
			acme.OnSubmit = func(shop.Call) (supply.Answer, error) {
				return supply.Answer{State: supply.Working, Reference: "77"}, nil
			}
			turns := 0
			acme.OnQuery = func(c shop.Call) (supply.Answer, error) {
				if turns++; c.Reference != "77" {
					t.Errorf("the reference is %q", c.Reference)
				}
				switch {
				case turns < 3:
					return supply.Answer{State: supply.Working}, nil
				case delivers:
					return c.Do(), nil
				}
				return supply.Answer{State: supply.Refused, Reason: "none left"}, nil
			}
			buyer := b.buyer("Acme", 10_000)
			placed, err := b.buy(buyer, 1)
			check.OK(b.t, err)
			for range 4 {
				b.later()
			}
			if got := b.status(buyer, placed.Number); got != order.Completed || acme.Sold()+other.Sold() != 1 || (acme.Sold() == 1) != delivers {
				t.Errorf("it is %s, %d and %d were sold", got, acme.Sold(), other.Sold())
			}
			b.sound(funds{buyer: 10_000})
		})
	}
}

// A supplier that refuses, or cannot be reached, costs nobody anything: the next one
// delivers within the call. When all refuse, the call is refused and the money free.
func TestFailover(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		refuses, gone, last := b.upstream("refuses", 400, 1), b.upstream("gone", 410, 2), b.upstream("acme", 450, 3)
		refuses.OnSubmit = func(shop.Call) (supply.Answer, error) {
			return supply.Answer{State: supply.Refused, Reason: "no credit"}, nil
		}
		gone.OnSubmit = func(shop.Call) (supply.Answer, error) {
			return supply.Answer{State: supply.Refused, Reason: "not reached"}, errors.New("connection refused")
		}
		buyer := b.buyer("Acme", 10_000)
		placed, err := b.buy(buyer, 2)
		check.OK(b.t, err)
		if placed.Status != order.Completed || last.Sold() != 2 || placed.Tries != 3 {
			t.Errorf("%s after %d tries, %d sold", placed.Status, placed.Tries, last.Sold())
		}
		last.OnSubmit = refuses.OnSubmit
		_, err = b.buy(buyer, 2)
		if f := fault.From(err); f.Code != fault.OutOfStock || f.Details["requested"] != "2" {
			t.Errorf("when all refuse: %v", err)
		}
		if got := b.status(buyer, 2); got != order.Failed || b.balance(buyer) != 10_000-980 {
			t.Errorf("it is %s, and %d are left", got, b.balance(buyer))
		}
		if diff := cmp.Diff([]string{"order.processing", "order.completed", "order.processing", "order.failed"}, b.events(buyer)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"order.hold wallet/USD>order.clearing/USD 0.00 held 980", "order.release wallet/USD>order.clearing/USD 0.00 held -980"}, b.moves(buyer, 2)); diff != "" {
			t.Error(diff)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// A supplier that was down for an hour when it had been asked is not given up for another
// one before it says that it has never heard of the order, and that not at once.
func TestDownForAnHour(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, other := b.upstream("acme", 450, 1), b.upstream("other", 460, 2)
		down := true
		cut := func(shop.Call) (supply.Answer, error) {
			return supply.Answer{}, shop.ErrCut
		}
		acme.OnSubmit = cut
		acme.OnQuery = func(shop.Call) (supply.Answer, error) {
			if down {
				return supply.Answer{}, shop.ErrCut
			}
			return supply.Answer{State: supply.Refused, Reason: "never heard of it"}, nil
		}
		buyer := b.buyer("Acme", 10_000)
		placed, err := b.buy(buyer, 1)
		check.OK(b.t, err)
		for minute := range 60 {
			b.clock.Advance(time.Minute)
			check.OK(b.t, b.queue.Drain(t.Context()))
			if got := b.status(buyer, placed.Number); got != order.Processing || other.Sold() != 0 {
				t.Fatalf("after %d minutes it is %s", minute+1, got)
			}
		}
		// Meanwhile its breaker is open: other buyers are served by the other one.
		quick, err := b.buy(buyer, 1)
		if err != nil || quick.Status != order.Completed || other.Sold() != 1 {
			t.Errorf("beside it: %s, %v", quick.Status, err)
		}
		down = false
		for range 3 {
			b.later()
		}
		if got := b.status(buyer, placed.Number); got != order.Completed || other.Sold() != 2 || acme.Sold() != 0 {
			t.Errorf("then it is %s, %d and %d were sold", got, acme.Sold(), other.Sold())
		}
		b.sound(funds{buyer: 10_000})
	})
}

// A refusal of what was sent before and whose end is unknown is believed only after what
// may still be on its way has had the time to arrive.
func TestRefusalTooSoon(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, other := b.upstream("acme", 450, 1), b.upstream("other", 460, 2)
		var late func() supply.Answer
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			late = c.Do
			return supply.Answer{}, shop.ErrCut
		}
		buyer := b.buyer("Acme", 10_000)
		placed, err := b.buy(buyer, 1)
		check.OK(b.t, err)
		b.clock.Advance(2 * time.Second)
		check.OK(b.t, b.queue.Drain(t.Context())) // "never heard of it"
		if queried := acme.Queried(); queried != 1 || b.status(buyer, placed.Number) != order.Processing {
			t.Errorf("%d queries, %s", queried, b.status(buyer, placed.Number))
		}
		late() // the request arrives after all
		b.later()
		if got := b.status(buyer, placed.Number); got != order.Completed || acme.Sold() != 1 || other.Sold() != 0 {
			t.Errorf("it is %s, %d and %d were sold", got, acme.Sold(), other.Sold())
		}
		b.sound(funds{buyer: 10_000})
	})
}

// Garbage is no answer: nothing is taken for a delivery or a refusal but what is one.
func TestGarbage(t *testing.T) {
	for name, garbage := range map[string]supply.Answer{
		"nothing":        {},
		"an odd state":   {State: "perhaps"},
		"without codes":  {State: supply.Delivered},
		"too many codes": {State: supply.Delivered, Codes: make([]stock.Delivered, 1001)},
	} {
		each(t, func(t *testing.T, b *bundle) {
			acme, other := b.upstream("acme", 450, 1), b.upstream("other", 460, 2)
			acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
				c.Do()
				garbage.Reference = strings.Repeat("x", 1000)
				garbage.Reason = "a\x00b"
				return garbage, nil
			}
			buyer := b.buyer("Acme", 10_000)
			placed, err := b.buy(buyer, 1)
			check.OK(b.t, err)
			if placed.Status != order.Processing {
				t.Errorf("%s: %s", name, placed.Status)
			}
			b.later()
			if got := b.status(buyer, placed.Number); got != order.Completed || other.Sold() != 0 {
				t.Errorf("%s: it is %s, the other sold %d", name, got, other.Sold())
			}
			b.sound(funds{buyer: 10_000})
		})
	}
}

// Codes that cannot be any, and codes that were delivered before, count for nothing; what
// is too many is put on sale.
func TestDeliversTwice(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, other := b.upstream("acme", 450, 1), b.upstream("other", 460, 2)
		buyer := b.buyer("Acme", 10_000)
		_, err := b.buy(buyer, 2) // acme-0001 and 0002
		check.OK(b.t, err)
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			a := c.Do() // acme-0003 and 0004
			again, long := acme.Code(1), acme.Code(9)
			long.Text = pan.NewSecret(strings.Repeat("x", 201))
			surplus := acme.Code(7)
			a.Codes = append([]stock.Delivered{again, a.Codes[0], a.Codes[0], {}, long}, append(a.Codes[1:], surplus)...)
			return a, nil
		}
		placed, err := b.buy(buyer, 2)
		check.OK(b.t, err)
		if diff := cmp.Diff([]string{"acme-0003", "acme-0004"}, texts(placed.Codes)); diff != "" {
			t.Error(diff)
		}
		if n, err := b.Stock.Count(t.Context(), realm.Test, item); err != nil || n != 1 {
			t.Errorf("%d codes are on sale, %v", n, err)
		}
		// A whole delivery that was sold before is none: the next supplier delivers.
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			return supply.Answer{State: supply.Delivered, Codes: []stock.Delivered{acme.Code(1), acme.Code(2)}}, nil
		}
		placed, err = b.buy(buyer, 2)
		check.OK(b.t, err)
		if placed.Status != order.Completed || other.Sold() != 2 {
			t.Errorf("%s, %d sold by the other", placed.Status, other.Sold())
		}
		if diff := cmp.Diff([]string{"other-0001", "other-0002"}, texts(placed.Codes)); diff != "" {
			t.Error(diff)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// Codes that their supplier says are worth something else than was bought are delivered to
// nobody and not for sale as what the item is, not even when the supplier's other codes are
// put on sale again; the supplier is left alone for a minute.
func TestDeliversAnotherValue(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme := b.upstream("acme", 450, 1)
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			a := c.Do()
			a.Codes[0].Face, a.Codes[1].Face = catalog.NewFace(500, money.USD), catalog.NewFace(500, money.EUR)
			return a, nil
		}
		buyer := b.buyer("Acme", 10_000)
		for range 2 { // the second one asks nobody
			if _, err := b.buy(buyer, 2); fault.CodeOf(err) != fault.OutOfStock {
				t.Errorf("two: %v", err)
			}
		}
		if submitted := len(acme.Submitted()); submitted != 1 || b.balance(buyer) != 10_000 {
			t.Errorf("%d submissions, and %d are left", submitted, b.balance(buyer))
		}
		for name, state := range map[string]stock.State{"supplier acme": stock.Available, "supplier acme, other values": stock.Quarantined} {
			found, err := b.Stock.List(t.Context(), realm.Test, item)
			check.OK(b.t, err)
			at := slices.IndexFunc(found, func(f stock.Batch) bool { return f.Name == name })
			if at < 0 || found[at].Supplier != "acme" || found[at].Codes[state] != 1 {
				t.Errorf("%s: %+v", name, found)
			}
		}
		own := stock.BatchName{Realm: realm.Test, Item: item, Name: "supplier acme"}
		_, err := b.Stock.Quarantine(t.Context(), own, "to be looked at", seeder)
		check.OK(b.t, err)
		_, err = b.Stock.Release(t.Context(), own, seeder)
		check.OK(b.t, err)
		if n, err := b.Stock.Count(t.Context(), realm.Test, item); err != nil || n != 1 {
			t.Errorf("%d codes are on sale, %v", n, err)
		}
		b.clock.Advance(time.Minute)
		placed, err := b.buy(buyer, 3) // of it two, and the one that is on sale
		check.OK(b.t, err)
		if placed.Status != order.Completed || len(acme.Submitted()) != 2 {
			t.Errorf("after a minute: %s, %d submissions", placed.Status, len(acme.Submitted()))
		}
		b.sound(funds{buyer: 10_000})
	})
}

// short has a shop deliver one code less than it is asked for.
func short(c shop.Call) (supply.Answer, error) {
	a := c.Do()
	a.Codes = a.Codes[:len(a.Codes)-1]
	return a, nil
}

// An order that its operator gives up while the next supplier names its price is not submitted
// to that one.
func TestGivenUpMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, other := b.upstream("acme", 450, 1), b.upstream("other", 460, 2)
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) { return supply.Answer{State: supply.Refused}, nil }
		buyer := b.buyer("Acme", 10_000)
		other.OnQuote = func(w supply.Wanted) (supply.Quote, error) {
			other.OnQuote = nil
			check.OK(b.t, b.GiveUp(t.Context(), order.Intervention{Book: buyer.Book, Number: 1, Reason: "the buyer does not want it", Actor: "op_1"}))
			return other.Offers(w), nil
		}
		_, err := b.buy(buyer, 1)
		check.Code(b.t, "given up", err, fault.OutOfStock)
		if got := b.status(buyer, 1); got != order.Cancelled || len(other.Submitted()) != 0 {
			t.Errorf("it is %s after %d submissions", got, len(other.Submitted()))
		}
		b.sound(funds{buyer: 10_000})
	})
}

// What a supplier does not deliver of an order the next one does, and each is owed its part.
func TestPartial(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		first, second := b.upstream("first", 400, 1), b.upstream("second", 450, 2)
		second.OnSubmit = short
		b.fill("GPLAY", 1)
		check.OK(b.t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: item, Supplier: supply.Stock, Priority: 9}, seeder))
		buyer := b.buyer("Acme", 10_000)
		first.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			a, err := short(c)
			a.Codes = a.Codes[:len(a.Codes)-1]
			return a, err
		}
		placed, err := b.buy(buyer, 4) // two of four, one of two, the last from stock
		check.OK(b.t, err)
		first.Lose(2)
		second.Lose(1)
		if diff := cmp.Diff([]string{"GPLAY-0001", "first-0001", "first-0002", "second-0001"}, texts(placed.Codes)); diff != "" || placed.Status != order.Completed {
			t.Errorf("%s %s", placed.Status, diff)
		}
		if diff := cmp.Diff([]string{
			"order.hold wallet/USD>order.clearing/USD 0.00 held 1960",
			"order.capture wallet/USD>order.clearing/USD 19.60 held -1960",
			"order.capture order.clearing/USD>order.payable/first/USD 8.00 held 0",
			"order.capture order.clearing/USD>order.payable/second/USD 4.50 held 0",
			"order.capture order.clearing/USD>order.revenue/USD 7.10 held 0",
		}, b.moves(buyer, placed.Number)); diff != "" {
			t.Error(diff)
		}
		b.later()
		if got := b.status(buyer, placed.Number); got != order.Completed {
			t.Errorf("later it is %s", got)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// An order that suppliers deliver in part alone fails and costs its buyer nothing; what was
// delivered is sold to the next one.
func TestPartialFails(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme := b.upstream("acme", 400, 1)
		acme.OnSubmit = short
		buyer := b.buyer("Acme", 10_000)
		if _, err := b.buy(buyer, 4); fault.CodeOf(err) != fault.OutOfStock {
			t.Errorf("four: %v", err)
		}
		acme.Lose(1)
		if got := b.status(buyer, 1); got != order.Failed || b.balance(buyer) != 10_000 {
			t.Errorf("it is %s, and %d are left", got, b.balance(buyer))
		}
		b.sound(funds{buyer: 10_000})
		placed, err := b.buy(buyer, 3)
		check.OK(b.t, err)
		if diff := cmp.Diff([]string{"acme-0001", "acme-0002", "acme-0003"}, texts(placed.Codes)); diff != "" || placed.Hold != "" {
			t.Errorf("from stock: %s", diff)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// Of suppliers with one priority the cheapest delivers, and none whose code costs more than
// its price, unless the operator said so: then the operator pays the difference.
func TestPrices(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.upstream("dear", 495, 1)
		b.upstream("middle", 470, 1)
		b.upstream("cheap", 460, 2)
		euro := b.upstream("euro", 100, 3)
		euro.OnQuote = func(supply.Wanted) (supply.Quote, error) {
			return supply.Quote{Cost: catalog.NewCost(100, money.EUR), Available: true}, nil
		}
		buyer := b.buyer("Acme", 10_000)
		placed, err := b.buy(buyer, 1)
		check.OK(b.t, err)
		if diff := cmp.Diff([]string{"middle-0001"}, texts(placed.Codes)); diff != "" {
			t.Error(diff)
		}
		b.upstreams["middle"].Keep(0)
		b.upstreams["cheap"].Keep(0)
		if _, err := b.buy(buyer, 1); fault.CodeOf(err) != fault.OutOfStock || !strings.Contains(b.log.String(), "asks for more than the price") {
			t.Errorf("below cost: %v", err)
		}
		if page, err := b.List(t.Context(), order.Filter{Book: buyer.Book}); err != nil || page.Total != 1 {
			t.Errorf("a refusal left a trace: %d orders, %v", page.Total, err)
		}
		check.OK(b.t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: item, Supplier: "dear", Priority: 1, BelowCost: true}, seeder))
		placed, err = b.buy(buyer, 1)
		check.OK(b.t, err)
		if diff := cmp.Diff([]string{
			"order.hold wallet/USD>order.clearing/USD 0.00 held 490",
			"order.capture wallet/USD>order.clearing/USD 4.90 held -490",
			"order.capture order.clearing/USD>order.revenue/USD 4.90 held 0",
			"order.capture order.revenue/USD>order.payable/dear/USD 4.95 held 0",
		}, b.moves(buyer, placed.Number)); diff != "" {
			t.Error(diff)
		}
		check.OK(b.t, b.Supply.RemoveRoute(t.Context(), supply.Route{Realm: realm.Test, Item: item, Supplier: "dear"}, seeder))
		check.OK(b.t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: item, Supplier: "euro", BelowCost: true}, seeder))
		euro.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			a := c.Do()
			for i := range a.Codes {
				a.Codes[i].Cost = catalog.NewCost(100, money.EUR)
			}
			return a, nil
		}
		placed, err = b.buy(buyer, 2)
		check.OK(b.t, err)
		if diff := cmp.Diff([]string{
			"order.hold wallet/USD>order.clearing/USD 0.00 held 980",
			"order.capture wallet/USD>order.clearing/USD 9.80 held -980",
			"order.capture order.cost/EUR>order.payable/euro/EUR 2.00 held 0",
			"order.capture order.clearing/USD>order.revenue/USD 9.80 held 0",
		}, b.moves(buyer, placed.Number)); diff != "" {
			t.Error(diff)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// A supplier that takes more than it said, and than the buyer pays, is left alone for a minute,
// unless its route allows that; what it delivered is the buyer's.
func TestOvercharged(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme := b.upstream("acme", 450, 1)
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			a := c.Do()
			a.Codes[0].Cost = catalog.NewCost(491, money.USD)
			return a, nil
		}
		buyer := b.buyer("Acme", 10_000)
		if placed, err := b.buy(buyer, 1); err != nil || placed.Status != order.Completed || !strings.Contains(b.log.String(), "supplier charged more than the price") {
			t.Errorf("%s, %v", placed.Status, err)
		}
		if _, err := b.buy(buyer, 1); fault.CodeOf(err) != fault.OutOfStock {
			t.Errorf("within a minute: %v", err)
		}
		check.OK(b.t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: item, Supplier: "acme", Priority: 1, BelowCost: true}, seeder))
		b.clock.Advance(time.Minute)
		for range 2 {
			_, err := b.buy(buyer, 1)
			check.OK(b.t, err)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// Of 64 buyers who race in two processes for ten codes of a supplier and two of the stock,
// each gets one code or is told, and nobody pays for nothing.
func TestSupplierRace(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.fill("GPLAY", 2)
		acme := b.upstream("acme", 450, 1)
		acme.Keep(10)
		calls := 0
		var mu sync.Mutex
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			mu.Lock()
			calls++
			lost := calls%3 == 0
			mu.Unlock()
			if a := c.Do(); !lost {
				return a, nil
			}
			return supply.Answer{}, shop.ErrCut
		}
		second := b.another()
		began := funds{}
		var buyers []order.Buyer
		for i := range 64 {
			buyers = append(buyers, b.buyer(fmt.Sprintf("Buyer%d", i), 1_000))
			began[buyers[i]] = 1_000
		}
		var group sync.WaitGroup
		for i, buyer := range buyers {
			process := b
			if i%2 == 1 {
				process = second
			}
			group.Go(func() {
				if _, err := process.buy(buyer, 1); err != nil && fault.CodeOf(err) != fault.OutOfStock {
					t.Errorf("buyer %d: %v", i, err)
				}
			})
		}
		group.Wait()
		for range 3 {
			b.later()
		}
		completed := 0
		for _, buyer := range buyers {
			page, err := b.List(t.Context(), order.Filter{Book: buyer.Book, Status: order.Completed})
			check.OK(b.t, err)
			completed += page.Total
		}
		if completed != 12 || acme.Sold() != 10 || b.due() != 0 {
			t.Errorf("%d orders were completed, %d codes sold, %d jobs are left", completed, acme.Sold(), b.due())
		}
		b.sound(began)
	})
}

// An operator who gives an order up has its supplier cancel it; one who knows that nothing
// comes any more says so, and the next supplier is asked. Both are in the audit log alone
// where they make sense.
func TestInterventions(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, other := b.upstream("acme", 450, 1), b.upstream("other", 460, 2)
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) {
			return supply.Answer{State: supply.Working, Reference: "77"}, nil
		}
		acme.OnQuery = func(shop.Call) (supply.Answer, error) {
			return supply.Answer{State: supply.Working}, nil
		}
		acme.OnCancel = func(shop.Call) (supply.Answer, error) {
			return supply.Answer{State: supply.Refused, Reason: "cancelled"}, nil
		}
		buyer := b.buyer("Acme", 10_000)
		for range 2 {
			_, err := b.buy(buyer, 1)
			check.OK(b.t, err)
		}
		order1 := order.Intervention{Book: buyer.Book, Number: 1, Reason: "the buyer left", Actor: "op_1"}
		order2 := order.Intervention{Book: buyer.Book, Number: 2, Reason: "they phoned", Actor: "op_1"}
		for name, err := range map[string]error{
			"no reason": b.GiveUp(t.Context(), order.Intervention{Book: buyer.Book, Number: 1}),
			"unknown":   b.GiveUp(t.Context(), order.Intervention{Book: buyer.Book, Number: 9, Reason: "x", Actor: "op_1"}),
		} {
			if code := fault.CodeOf(err); code != fault.InvalidRequest && code != fault.NotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		check.OK(b.t, b.GiveUp(t.Context(), order1))
		check.OK(b.t, b.Deny(t.Context(), order2))
		b.later()
		if got := b.status(buyer, 1); got != order.Cancelled {
			t.Errorf("given up: %s", got)
		}
		page, err := b.List(t.Context(), order.Filter{Book: buyer.Book, Status: order.Cancelled})
		if err != nil || page.Total != 1 || len(page.Orders) != 1 || page.Orders[0].Number != 1 {
			t.Errorf("the list of cancelled orders: %+v, %v", page, err)
		}
		told := b.events(buyer)
		slices.Sort(told)
		if diff := cmp.Diff([]string{"order.cancelled", "order.completed", "order.processing", "order.processing"}, told); diff != "" {
			t.Error(diff)
		}
		if got := b.status(buyer, 2); got != order.Completed || other.Sold() != 1 {
			t.Errorf("denied: %s, %d sold", got, other.Sold())
		}
		if err := b.Deny(t.Context(), order2); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("denied again: %v", err)
		}
		if err := b.GiveUp(t.Context(), order1); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("given up again: %v", err)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// A supplier that is made inactive is asked for nothing new and still answers for what it
// was asked before; it cannot be removed until that is over.
func TestInactiveSupplier(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme := b.upstream("acme", 450, 1)
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			c.Do()
			return supply.Answer{}, shop.ErrCut
		}
		buyer := b.buyer("Acme", 10_000)
		placed, err := b.buy(buyer, 1)
		check.OK(b.t, err)
		_, err = b.Supply.Change(t.Context(), supply.Setup{Actor: seeder, Configured: supply.Configured{Realm: realm.Test, ID: "acme", Name: "acme", Kind: shop.Kind}})
		check.OK(b.t, err)
		if _, err := b.buy(buyer, 1); fault.CodeOf(err) != fault.OutOfStock {
			t.Errorf("of an inactive one: %v", err)
		}
		open, err := b.Supply.OpenSubmissions(t.Context(), realm.Test)
		if err != nil || len(open) != 1 || open[0].Book != buyer.Book || open[0].Order != 1 || open[0].State != supply.Unknown {
			t.Errorf("open are %+v, %v", open, err)
		}
		gone := supply.Removal{Realm: realm.Test, ID: "acme", Actor: seeder}
		if err := b.Supply.Remove(t.Context(), gone); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("removed under way: %v", err)
		}
		b.later()
		if got := b.status(buyer, placed.Number); got != order.Completed {
			t.Errorf("it is %s", got)
		}
		check.OK(b.t, b.Supply.Remove(t.Context(), gone))
		b.sound(funds{buyer: 10_000})
	})
}

// What is written with an order is written once with what it becomes while the buyer waits,
// and not afterwards.
func TestAlso(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme := b.upstream("acme", 450, 1)
		buyer := b.buyer("Acme", 10_000)
		place := func() (seen []order.Status, err error) {
			_, err = b.Place(t.Context(), buyer, order.Purchase{Item: item, Quantity: 1, Also: func(p *order.Placed) ([]storage.Effect, error) {
				seen = append(seen, p.Status)
				return nil, nil
			}})
			return seen, err
		}
		seen, err := place()
		if diff := cmp.Diff([]order.Status{order.Processing, order.Completed}, seen); diff != "" || err != nil {
			t.Errorf("%s %v", diff, err)
		}
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) {
			return supply.Answer{State: supply.Refused, Reason: "none left"}, nil
		}
		seen, err = place()
		if diff := cmp.Diff([]order.Status{order.Processing, order.Failed}, seen); diff != "" || fault.CodeOf(err) != fault.OutOfStock {
			t.Errorf("%s %v", diff, err)
		}
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			c.Do()
			return supply.Answer{}, shop.ErrCut
		}
		seen, err = place()
		b.later()
		if diff := cmp.Diff([]order.Status{order.Processing}, seen); diff != "" || err != nil || b.status(buyer, 3) != order.Completed {
			t.Errorf("%s %v", diff, err)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// A check says whether anybody can deliver as many, and a shelf whether one probably can.
func TestSupplierCheck(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		buyer := b.buyer("Acme", 10_000)
		inStock := func() bool {
			shelf, err := b.Browse(t.Context(), buyer, catalog.Filter{Item: item})
			check.OK(b.t, err)
			return shelf.Listings[0].InStock
		}
		if inStock() {
			t.Error("there is nobody who has one")
		}
		acme := b.upstream("acme", 450, 1)
		acme.Keep(5)
		if price, err := b.Check(t.Context(), buyer, order.Wanted{Item: item, Quantity: 5}); err != nil || price != catalog.NewCharged(490, money.USD) || !inStock() {
			t.Errorf("%s, %v", price, err)
		}
		if _, err := b.Check(t.Context(), buyer, order.Wanted{Item: item, Quantity: 6}); fault.CodeOf(err) != fault.OutOfStock || !inStock() {
			t.Errorf("six of five: %v", err)
		}
		acme.Keep(0)
		if _, err := b.Check(t.Context(), buyer, order.Wanted{Item: item, Quantity: 1}); fault.CodeOf(err) != fault.OutOfStock || inStock() {
			t.Errorf("one of none: %v", err)
		}
		if _, err := b.Check(t.Context(), buyer, order.Wanted{Item: item, Quantity: 2}); fault.CodeOf(err) != fault.OutOfStock || inStock() {
			t.Errorf("two of none: %v", err)
		}
		b.clock.Advance(2 * time.Minute)
		acme.OnQuote = func(supply.Wanted) (supply.Quote, error) { return supply.Quote{Unfit: true}, nil }
		if _, err := b.Check(t.Context(), buyer, order.Wanted{Item: item, Quantity: 1}); fault.CodeOf(err) != fault.OutOfStock || inStock() {
			t.Errorf("in a form that it does not have: %v", err)
		}
		b.clock.Advance(time.Minute)
		if !inStock() {
			t.Error("it is out of the item for ever")
		}
		acme.OnQuote = func(supply.Wanted) (supply.Quote, error) { return supply.Quote{}, shop.ErrCut }
		for range 6 {
			if _, err := b.Check(t.Context(), buyer, order.Wanted{Item: item, Quantity: 1}); fault.CodeOf(err) != fault.OutOfStock {
				t.Errorf("of one that is down: %v", err)
			}
		}
		if inStock() {
			t.Error("one that is down has it in stock")
		}
		b.clock.Advance(time.Minute)
		if !inStock() {
			t.Error("it is down for ever: whoever goes by what is in stock never asks it again")
		}
	})
}

// An item whose supplier asked for more than a buyer pays is not listed as in stock to that buyer,
// as long as it is not asked again, but for a minute at most.
func TestTooDearIsNotListed(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		buyer, other := b.buyer("Acme", 10_000), b.buyer("Other", 10_000)
		acme := b.upstream("acme", 495, 1)
		_, err := b.Catalog.PutPrice(t.Context(), catalog.Rule{Customer: other.Customer, Item: item, Basis: catalog.Fixed, Amount: catalog.NewCharged(495, money.USD)}, seeder)
		check.OK(b.t, err)
		listed := func(want bool, who order.Buyer, when string) {
			t.Helper()
			shelf, err := b.Browse(t.Context(), who, catalog.Filter{Item: item})
			check.OK(b.t, err)
			if shelf.Listings[0].InStock != want {
				t.Errorf("%s: in stock is %t", when, !want)
			}
		}
		named := func(cents int64, want fault.Code, when string) {
			t.Helper()
			acme.OnQuote = func(supply.Wanted) (supply.Quote, error) {
				return supply.Quote{Cost: catalog.NewCost(cents, money.USD), Available: true}, nil
			}
			if _, err := b.Check(t.Context(), buyer, order.Wanted{Item: item, Quantity: 1}); fault.CodeOf(err) != want {
				t.Errorf("%s: %v", when, err)
			}
		}
		listed(true, buyer, "before it was asked")
		named(495, fault.OutOfStock, "too dear")
		listed(false, buyer, "too dear")
		listed(true, other, "to who pays more")
		named(490, "", "cheaper")
		listed(true, buyer, "cheaper")
		named(491, fault.OutOfStock, "dearer")
		listed(false, buyer, "dearer")
		b.clock.Advance(time.Minute)
		listed(true, buyer, "a minute later")
		named(491, fault.OutOfStock, "still")
		check.OK(b.t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: item, Supplier: "acme", Priority: 1, BelowCost: true}, seeder))
		listed(true, buyer, "below cost")
	})
}

// Where the balance at a supplier does not suffice for so many codes, as many are not asked for
// again within a minute, whatever it says it has; fewer are.
func TestNoCredit(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, buyer := b.upstream("acme", 450, 1), b.buyer("Acme", 10_000)
		inStock := func() bool {
			shelf, err := b.Browse(t.Context(), buyer, catalog.Filter{Item: item})
			check.OK(b.t, err)
			return shelf.Listings[0].InStock
		}
		refused := supply.Answer{State: supply.Refused, Reason: "no credit", Unpaid: true}
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) { return refused, nil }
		for _, c := range []struct{ codes, orders int }{{3, 1}, {3, 1}, {4, 1}, {2, 2}, {3, 2}} {
			if _, err := b.buy(buyer, c.codes); fault.CodeOf(err) != fault.OutOfStock || len(acme.Submitted()) != c.orders {
				t.Errorf("%d codes: %v, after %d orders", c.codes, err, len(acme.Submitted()))
			}
		}
		if _, err := b.Check(t.Context(), buyer, order.Wanted{Item: item, Quantity: 2}); fault.CodeOf(err) != fault.OutOfStock {
			t.Errorf("a check of as many: %v", err)
		}
		if _, err := b.Check(t.Context(), buyer, order.Wanted{Item: item, Quantity: 1}); err != nil || !inStock() {
			t.Errorf("a check of one: %v", err)
		}
		if _, err := b.buy(buyer, 1); fault.CodeOf(err) != fault.OutOfStock || inStock() {
			t.Errorf("one: %v", err)
		}
		acme.OnSubmit = nil
		b.clock.Advance(time.Minute)
		if _, err := b.buy(buyer, 3); err != nil || !inStock() {
			t.Errorf("a minute later: %v", err)
		}
		among := false
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) {
			if !among {
				among = true
				_, err := b.buy(buyer, 1)
				check.Code(t, "one among four", err, fault.OutOfStock)
			}
			return refused, nil
		}
		if _, err := b.buy(buyer, 4); fault.CodeOf(err) != fault.OutOfStock || inStock() {
			t.Errorf("four, of which one is too many: %v", err)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// A supplier that is taken away between its price and its order was not called: the next one
// delivers, and nobody waits for what it never heard of.
func TestTakenAwayMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, other := b.upstream("acme", 450, 1), b.upstream("other", 460, 2)
		acme.OnQuote = func(w supply.Wanted) (supply.Quote, error) {
			acme.OnQuote = nil
			found, err := b.Supply.Find(t.Context(), realm.Test, "acme")
			check.OK(b.t, err)
			found.Active = false
			_, err = b.Supply.Change(t.Context(), supply.Setup{Configured: found, Actor: seeder})
			check.OK(b.t, err)
			check.OK(b.t, b.Supply.Remove(t.Context(), supply.Removal{Realm: realm.Test, ID: "acme", Actor: seeder}))
			return acme.Offers(w), nil
		}
		buyer := b.buyer("Acme", 10_000)
		placed, err := b.buy(buyer, 2)
		check.OK(b.t, err)
		if diff := cmp.Diff([]string{"other-0001", "other-0002"}, texts(placed.Codes)); diff != "" || placed.Status != order.Completed {
			t.Errorf("%s %s", placed.Status, diff)
		}
		if len(acme.Submitted()) != 0 || len(other.Submitted()) != 1 {
			t.Errorf("%d and %d submissions", len(acme.Submitted()), len(other.Submitted()))
		}
		b.sound(funds{buyer: 10_000})
	})
}
