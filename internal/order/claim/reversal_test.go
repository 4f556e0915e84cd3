package claim_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
)

// reverse is what an operator does in the books to the payment of an order.
func (b *bundle) reverse(number order.Number) error {
	b.t.Helper()
	found, err := b.Orders.Find(b.t.Context(), b.Buyer.Book, number)
	check.OK(b.t, err)
	_, err = b.Books.Submit(b.t.Context(), ledger.Operation{Book: found.Book, Kind: "transaction.reverse", Reverses: found.Transaction, Actor: operator, At: b.Clock.Now()})
	return err
}

// An order whose payment was reversed in the books is not made good for a second time: its
// codes can be neither refunded nor replaced, only rejected.
func TestReversedPayment(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 2)
		b.Fill("FRESH", 2)
		c := b.claimed(number, 1, 2)
		check.OK(t, b.reverse(number))
		before := b.balance()
		for _, v := range []claim.Verdict{claim.Refund, claim.Replace} {
			_, err := b.decide(c, v)
			if check.Code(t, string(v), err, fault.InvalidState); err == nil || !strings.Contains(err.Error(), "the payment of order ORD-2026-001 was reversed in the books, by transaction txn_") {
				t.Errorf("%s: %v", v, err)
			}
		}
		b.decided(c, claim.Reject)
		if got := b.balance(); got != before {
			t.Errorf("the balance is %d, want %d", got, before)
		}
		b.onSale(2)
		postings, err := b.Orders.Postings(t.Context(), b.Buyer.Book, number)
		check.OK(t, err)
		var kinds []string
		for _, o := range postings {
			kinds = append(kinds, o.Kind)
		}
		check.List(t, "postings", kinds, "order.purchase", "transaction.reverse")
		check.List(t, "events", b.events(), "claim.created", "claim.rejected")
		b.verified()
	})
}

// What paid for an order of which a code was refunded or replaced cannot be reversed any more.
func TestReversedAfterRemedy(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		for i, v := range []claim.Verdict{claim.Refund, claim.Replace} {
			number := b.bought("GPLAY"+string(v), 2)
			b.Fill("FRESH", i)
			b.decided(b.claimed(number, 1), v)
			before := b.balance()
			check.Code(t, "reversed after "+string(v), b.reverse(number), fault.InvalidState)
			b.decided(b.claimed(number, 2), claim.Refund)
			if got := b.balance(); got != before+shop.Price {
				t.Errorf("%s: the balance is %d, want %d", v, got, before+shop.Price)
			}
		}
		b.verified()
	})
}

// Of a reversal and remedies that several processes make at once, only one kind comes to pass.
func TestReversedAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		processes := []*bundle{b, b.another()}
		for round := range 6 {
			number := b.bought(fmt.Sprintf("GPLAY%d", round), 2)
			claims := []claim.Claim{b.claimed(number, 1), b.claimed(number, 2)}
			before, errs := b.balance(), make([]error, 3)
			var group sync.WaitGroup
			group.Go(func() { errs[2] = processes[0].reverse(number) })
			for i, c := range claims {
				group.Go(func() { _, errs[i] = processes[1-i].decide(c, claim.Refund) })
			}
			group.Wait()
			var codes []string
			for _, err := range errs {
				codes = append(codes, string(fault.CodeOf(err)))
			}
			refunded, reversed := []string{"", "", "invalid_state"}, []string{"invalid_state", "invalid_state", ""}
			if !slices.Equal(codes, refunded) && !slices.Equal(codes, reversed) {
				t.Errorf("refunds and reversal: %q", codes)
			}
			if got := b.balance(); got != before+2*shop.Price {
				t.Errorf("%q: the balance is %d, want %d", codes, got, before+2*shop.Price)
			}
		}
		b.verified()
	})
}

// When the payment is reversed while an upstream is at the replacement, the codes are open
// again, and what it delivers is on sale.
func TestReversedWhileReplacing(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number, acme := b.bought("GPLAY", 1), b.Upstream("acme", 450, 1)
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			c.Do()
			return supply.Answer{}, shop.ErrCut
		}
		c := b.replaced(b.claimed(number, 1))
		check.OK(t, b.reverse(number))
		before := b.balance()
		for range 3 {
			b.Later()
		}
		if l := b.now(c).Lines[0]; l.Verdict != claim.Pending || l.Decision != "the payment of the order was reversed meanwhile" {
			t.Errorf("reversed meanwhile: %+v", l)
		}
		b.onSale(1)
		if diff := cmp.Diff([]string(nil), b.moves(number)); diff != "" || b.balance() != before || b.due() != 0 {
			t.Errorf("the balance was %d and is %d; %d jobs are left; %s", before, b.balance(), b.due(), diff)
		}
		b.once(acme)
		b.verified()
	})
}
