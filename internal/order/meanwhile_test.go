package order_test

import (
	"context"
	"testing"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
)

// What an operator says of an order that ends meanwhile is refused, and not in the log.
func TestInterventionsTooLate(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme := b.upstream("acme", 450, 1)
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) { return supply.Answer{State: supply.Working}, nil }
		acme.OnQuery = func(c shop.Call) (supply.Answer, error) { return c.Do(), nil }
		buyer := b.buyer("Acme", 10_000)
		for _, say := range []func(*order.Service, context.Context, order.Intervention) error{(*order.Service).GiveUp, (*order.Service).Deny} {
			placed, err := b.buy(buyer, 1)
			check.OK(b.t, err)
			late := b.another().Service
			late.Clocks = testkit.Meanwhile(b.clock, b.later)
			late.Supply.Clocks = late.Clocks
			err = say(late, t.Context(), order.Intervention{Book: buyer.Book, Number: placed.Number, Reason: "it takes long", Actor: "op_1"})
			check.Code(b.t, "too late", err, fault.InvalidState)
			if got := b.status(buyer, placed.Number); got != order.Completed {
				t.Errorf("it is %s", got)
			}
		}
		if all, err := b.Audit.List(t.Context(), audit.Filter{Book: string(buyer.Book), Actor: "op_1"}); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// Who finds that nobody delivers, while another process finds somebody who does, leaves the order
// to that one.
func TestDeliveredMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme, other := b.upstream("acme", 450, 1), b.upstream("other", 460, 2)
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) { return supply.Answer{State: supply.Refused}, nil }
		other.OnSubmit = func(shop.Call) (supply.Answer, error) { return supply.Answer{State: supply.Working}, nil }
		other.OnQuery = func(c shop.Call) (supply.Answer, error) { return c.Do(), nil }
		second := b.another()
		other.OnQuote = func(supply.Wanted) (supply.Quote, error) {
			other.OnQuote = nil
			second.later()
			return supply.Quote{}, nil
		}
		buyer := b.buyer("Acme", 10_000)
		placed, err := b.buy(buyer, 1)
		if err != nil || placed.Status != order.Completed || len(other.Submitted()) != 1 {
			t.Errorf("it is %s after %d submissions, %v", placed.Status, len(other.Submitted()), err)
		}
		b.sound(funds{buyer: 10_000})
	})
}
