package cardpluspay_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// steam is an item without stock.
const steam = catalog.ItemCode("STEAM-20USD-PQ2r")

// slowSupplier is a supplier that a test has deliver at once, later, or not at all.
type slowSupplier struct {
	mu   sync.Mutex
	does supply.State
	sold int
	// heard is told of a submission before it is answered; nil: nobody.
	heard func()
}

func (s *slowSupplier) behave(does supply.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.does = does
}

// Quote implements supply.Supplier.
func (s *slowSupplier) Quote(context.Context, supply.Wanted) (supply.Quote, error) {
	return supply.Quote{Cost: catalog.NewCost(1900, money.USD), Available: true}, nil
}

// Submit implements supply.Supplier.
func (s *slowSupplier) Submit(_ context.Context, sub supply.Submission) (supply.Answer, error) {
	if s.heard != nil {
		s.heard()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := supply.Answer{State: s.does, Reference: "77"}
	if s.does != supply.Delivered {
		return a, nil
	}
	for range sub.Quantity {
		s.sold++
		a.Codes = append(a.Codes, stock.Delivered{Text: pan.NewSecret(fmt.Sprintf("STEAM-%04d", s.sold)), Cost: catalog.NewCost(1900, money.USD)})
	}
	return a, nil
}

// Query implements supply.Supplier.
func (s *slowSupplier) Query(ctx context.Context, sub supply.Submission) (supply.Answer, error) {
	return s.Submit(ctx, sub)
}

// Cancel implements supply.Supplier.
func (s *slowSupplier) Cancel(ctx context.Context, sub supply.Submission) (supply.Answer, error) {
	return s.Submit(ctx, sub)
}

// supplied has the item without stock delivered by the slow supplier.
func (b *bundle) supplied() {
	b.t.Helper()
	_, err := b.supply.Add(b.t.Context(), supply.Setup{Config: []byte(`{}`), Actor: seeder,
		Configured: supply.Configured{Realm: realm.Test, ID: "slow", Name: "Slow", Kind: "slow", Active: true}})
	check.OK(b.t, err)
	check.OK(b.t, b.supply.PutRoute(b.t.Context(), supply.Route{Realm: realm.Test, Item: steam, Supplier: "slow"}, seeder))
}

// line has a second supplier come after the first one, and stock between them.
func (b *bundle) line() {
	b.t.Helper()
	b.supplied()
	_, err := b.supply.Add(b.t.Context(), supply.Setup{Config: []byte(`{}`), Actor: seeder,
		Configured: supply.Configured{Realm: realm.Test, ID: "slower", Name: "Slower", Kind: "slow", Active: true}})
	check.OK(b.t, err)
	for name, priority := range map[string]int{supply.Stock: 1, "slower": 2} {
		check.OK(b.t, b.supply.PutRoute(b.t.Context(), supply.Route{Realm: realm.Test, Item: steam, Supplier: name, Priority: priority}, seeder))
	}
}

// later lets a while go by and does what is due.
func (b *bundle) later() {
	b.t.Helper()
	b.clock.Advance(5 * time.Minute)
	check.OK(b.t, b.queue.Drain(b.t.Context()))
}

// An order under a key that a supplier delivers is answered once: with its codes, if they
// come while its buyer waits, or as processing for good; one that fails can be sent again.
func TestSuppliedOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.supplied()
		const body = `{"item_code":"STEAM-20USD-PQ2r"}`
		place := func(key string) (int, string) {
			w := b.do("acme", "POST", "/v1/orders", body, "Idempotency-Key", key)
			return w.Code, w.Body.String()
		}
		for key, c := range map[string]struct {
			does supply.State
			code int
			want string
		}{
			"at once": {supply.Delivered, 200, `"code":"STEAM-000`},
			"later":   {supply.Working, 200, `"codes":[],"state":"processing","amount":"20.00","status":"processing"`},
		} {
			b.slow.behave(c.does)
			code, first := place(key)
			if code != c.code || !strings.Contains(first, c.want) {
				t.Errorf("%s: %d %s", key, code, first)
			}
			b.slow.behave(supply.Delivered)
			b.later()
			if _, again := place(key); again != first {
				t.Errorf("%s, again: %s", key, again)
			}
		}
		b.slow.behave(supply.Refused)
		if code, first := place("not at all"); code != 400 || !strings.Contains(first, "out_of_stock") {
			t.Errorf("not at all: %d %s", code, first)
		}
		b.slow.behave(supply.Delivered)
		if code, again := place("not at all"); code != 200 || !strings.Contains(again, `"code":"STEAM-000`) {
			t.Errorf("then: %d %s", code, again)
		}
		if w := b.do("acme", "GET", "/v1/orders?status=failed", ""); !strings.Contains(w.Body.String(), `"total":1`) {
			t.Errorf("the failed order: %s", w.Body)
		}
		if w := b.do("acme", "GET", "/v1/balance", ""); !strings.Contains(w.Body.String(), `"balance":"40.50"`) {
			t.Errorf("three were paid: %s", w.Body)
		}
		if strings.Contains(testkit.Contents(t, b.DB), "STEAM-0001") {
			t.Error("a code is in the clear")
		}
		b.verified()
	})
}

// A buyer is not shown the codes of an end that did not come about, since one of them was
// withdrawn at that moment, but what the order is.
func TestEndThatDidNotCome(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.line()
		b.fill(steam, "SHELF", 2, "")
		const body = `{"item_code":"STEAM-20USD-PQ2r"}`
		b.slow.behave(supply.Refused)
		if w := b.do("acme", "POST", "/v1/orders", body); !strings.Contains(w.Body.String(), `"code":"SHELF-0001"`) {
			t.Fatalf("from stock: %s", w.Body)
		}
		ctx, leave := context.WithCancel(t.Context())
		calls, answer := 0, make(chan struct{})
		b.slow.heard = func() {
			if calls++; calls == 1 { // the first supplier refuses, and stock has what is left no longer
				_, err := b.stock.Quarantine(t.Context(), stock.BatchName{Realm: realm.Test, Item: steam, Name: "SHELF"}, "three complaints", seeder)
				check.OK(t, err)
				return
			}
			leave() // the buyer waits no longer
			<-answer
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/orders", strings.NewReader(body))
		for name, value := range map[string]string{"X-API-Key": b.keys["acme"], "Idempotency-Key": "sale", "Content-Type": "application/json"} {
			r.Header.Set(name, value)
		}
		first := httptest.NewRecorder()
		b.handler.ServeHTTP(first, r)
		if text := first.Body.String(); !strings.Contains(text, `"codes":[],"state":"processing"`) || strings.Contains(text, "SHELF") {
			t.Errorf("at first: %d %s", first.Code, text)
		}
		b.slow.behave(supply.Delivered)
		close(answer)
		b.Orders.Rest()
		if w := b.do("acme", "POST", "/v1/orders", body, "Idempotency-Key", "sale"); w.Body.String() != first.Body.String() {
			t.Errorf("again: %s", w.Body)
		}
		if w := b.do("acme", "GET", "/v1/orders/2", ""); !strings.Contains(w.Body.String(), `"codes":[{"code":"STEAM-0001"`) {
			t.Errorf("then: %s", w.Body)
		}
		b.verified()
	})
}
