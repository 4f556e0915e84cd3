package authorization_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// naming names a message of a card in an advice.
func naming(c card, key string, minor int64) authorization.Advice {
	return authorization.Advice{Realm: c.Realm, Number: c.Number, Original: key, Amount: usd(minor), Merchant: ads}
}

// A purchase in one message takes the money at once, declines as an authorization does,
// uses up a card for one payment, and is answered once.
func TestPurchase(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		r := p.request(c, 3_000, ads)
		r.Captured = true
		first := p.pay(r, authorization.ReasonNone)
		again := p.pay(r, authorization.ReasonNone)
		if again.Transaction != first.Transaction || !again.Repeated || len(again.Code) != 6 {
			t.Errorf("again %+v, first %+v", again, first)
		}
		p.look(c, issuing.Active, 7_000, 0)
		over := p.request(c, 7_001, ads)
		over.Captured = true
		p.pay(over, authorization.ReasonFunds)
		over.Key, over.PartialAllowed = p.key(), true
		if d := p.pay(over, authorization.ReasonNone); d.Amount != usd(7_000) {
			t.Errorf("a part of %s", d.Amount)
		}
		r.Captured = false
		_, err := p.Authorize(context.Background(), r)
		check.Code(t, "an authorization under the key of a purchase", err, fault.IdempotencyConflict)
		check.Equal(t, "lines", p.lines(c), []string{"settlement -30.00 70.00", "decline -70.01 70.00 insufficient_funds", "settlement -70.00 0.00"})

		single := p.issue(ann, binAds, 10_000, func(n *issuing.NewCard) { n.Controls.SingleUse = true })
		once := p.request(single, 1_000, ads)
		once.Captured = true
		p.pay(once, authorization.ReasonNone)
		p.pay(p.request(single, 1_000, ads), authorization.ReasonUsed)
		p.verify()
	})
}

// A reversal that names a message undoes what that message did, once: an increment, a
// capture, a purchase, or nothing.
func TestReversalOfOneMessage(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		r := p.request(c, 2_000, ads)
		d := p.pay(r, authorization.ReasonNone)
		more, dear := of(d, 500), of(d, 100_000)
		more.Key, dear.Key = p.key(), p.key()
		p.advise(p.Increment, more, authorization.ReasonNone)
		p.advise(p.Increment, dear, authorization.ReasonFunds)
		p.advise(p.Reverse, naming(c, dear.Key, 0), authorization.ReasonNone)
		p.look(c, issuing.Active, 7_500, 2_500)
		p.advise(p.Reverse, naming(c, more.Key, 501), authorization.ReasonOverReversal)
		p.advise(p.Reverse, naming(c, more.Key, 200), authorization.ReasonNone)
		for range 2 { // the second does nothing
			p.advise(p.Reverse, naming(c, more.Key, 0), authorization.ReasonNone)
			p.look(c, issuing.Active, 8_000, 2_000)
		}

		taken := of(d, 1_500)
		taken.Key = p.key()
		p.advise(p.Capture, taken, authorization.ReasonNone)
		p.advise(p.Refund, of(d, 400), authorization.ReasonNone)
		p.look(c, issuing.Active, 8_400, 500)
		p.advise(p.Reverse, naming(c, taken.Key, 1_101), authorization.ReasonOverRefund)
		back := p.advise(p.Reverse, naming(c, taken.Key, 0), authorization.ReasonNone)
		check.Equal(t, "given back", back.Amount, usd(1_100))
		p.advise(p.Reverse, naming(c, taken.Key, 0), authorization.ReasonNone)
		p.advise(p.Refund, of(d, 1), authorization.ReasonOverRefund)
		p.look(c, issuing.Active, 9_500, 500)
		p.advise(p.Reverse, naming(c, r.Key, 0), authorization.ReasonNone)
		p.look(c, issuing.Active, 10_000, 0)

		purchase := p.request(c, 4_000, ads)
		purchase.Captured = true
		p.pay(purchase, authorization.ReasonNone)
		undo := naming(c, purchase.Key, 0)
		undo.Key = p.key()
		p.advise(p.Reverse, undo, authorization.ReasonNone)
		p.advise(p.Reverse, naming(c, undo.Key, 0), authorization.ReasonEnded)
		now, err := p.Cards.Get(context.Background(), c.Holder, c.ID)
		check.OK(t, err)
		check.Equal(t, "spent", now.Spent, usd(0))
		p.look(c, issuing.Active, 10_000, 0)

		r = p.request(c, 2_000, ads)
		p.advise(p.Increment, of(p.pay(r, authorization.ReasonNone), 500), authorization.ReasonNone)
		p.advise(p.Reverse, naming(c, r.Key, 0), authorization.ReasonNone) // of an authorization all that is held
		p.look(c, issuing.Active, 10_000, 0)
		p.verify()
	})
}

// A reversal may say what is to stand of a message: of what was approved, however often it
// is said.
func TestReversalSaysWhatStands(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 6_000)
		leave := func(key string, minor int64) authorization.Advice {
			a := naming(c, key, 0)
			a.Stands = usd(minor)
			return a
		}
		r := p.request(c, 10_000, ads)
		r.PartialAllowed = true
		d := p.pay(r, authorization.ReasonNone) // 60.00
		for _, stands := range []int64{7_000, 4_000, 4_000, 5_000} {
			p.advise(p.Reverse, leave(r.Key, stands), authorization.ReasonNone)
		}
		p.look(c, issuing.Active, 2_000, 4_000)
		more := of(d, 1_000)
		more.Key = p.key()
		p.advise(p.Increment, more, authorization.ReasonNone)
		p.advise(p.Reverse, leave(r.Key, 3_000), authorization.ReasonNone)
		p.advise(p.Reverse, leave(more.Key, 400), authorization.ReasonNone)
		p.look(c, issuing.Active, 2_600, 3_400)
		taken := of(d, 2_000)
		taken.Key = p.key()
		p.advise(p.Capture, taken, authorization.ReasonNone)
		p.advise(p.Reverse, leave(r.Key, 1_599), authorization.ReasonOverReversal)
		for range 2 {
			p.advise(p.Reverse, leave(taken.Key, 1_500), authorization.ReasonNone)
		}
		p.look(c, issuing.Active, 3_100, 1_400)
		same := leave(r.Key, 2_000)
		same.Key = p.key()
		p.advise(p.Reverse, same, authorization.ReasonNone)
		p.advise(p.Reverse, same, authorization.ReasonNone)
		p.look(c, issuing.Active, 4_100, 400)
		same.Stands.Minor++
		_, err := p.Reverse(context.Background(), same)
		check.Code(t, "another amount under its key", err, fault.IdempotencyConflict)
		same.Key, same.Stands = p.key(), money.New(1, money.EUR)
		_, err = p.Reverse(context.Background(), same)
		check.Code(t, "another currency", err, fault.CurrencyMismatch)
		p.verify()
	})
}

// What stands of a payment counts in limits once an operator reversed a reversal of it in the books,
// as far as it did by then, until it is undone.
func TestLimitsAfterReversalInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000, limits(spending.Limit{Window: spending.PerMonth, Amount: usd(2_000)}, spending.Limit{Window: spending.PerDay, Count: 2}))
		r := p.request(c, 2_000, ads)
		r.Captured = true
		p.pay(r, authorization.ReasonNone)
		leave := func(minor int64) authorization.Decision {
			a := naming(c, r.Key, 0)
			a.Stands = usd(minor)
			return p.advise(p.Reverse, a, authorization.ReasonNone)
		}
		room := func(minor int64) { // what the month leaves
			t.Helper()
			p.pay(p.request(c, minor+1, ads), authorization.ReasonSpendingLimit)
			p.advise(p.Reverse, of(p.pay(p.request(c, minor, ads), authorization.ReasonNone), 0), authorization.ReasonNone)
		}
		back := leave(300)
		room(1_700)
		p.undone(back, "")
		p.look(c, issuing.Active, 8_000, 0)
		room(1_700)
		leave(1_000)
		room(1_700)
		leave(100)
		room(1_900)
		p.advise(p.Reverse, naming(c, r.Key, 0), authorization.ReasonNone)
		room(2_000)
		for range 2 { // it does not count as a payment any more
			p.pay(p.request(c, 10, ads), authorization.ReasonNone)
		}
		p.pay(p.request(c, 10, ads), authorization.ReasonCountLimit)
		p.verify()
	})
}

// What was undone of a message before its payment was completed is undone by doing nothing, and
// what stood and was captured is not undone.
func TestUndoneBeforeCompletion(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		r := p.request(c, 2_000, ads)
		d := p.pay(r, authorization.ReasonNone)
		more, kept := of(d, 500), of(d, 300)
		more.Key, kept.Key = p.key(), p.key()
		p.advise(p.Increment, more, authorization.ReasonNone)
		p.advise(p.Increment, kept, authorization.ReasonNone)
		part := naming(c, r.Key, 0)
		part.Stands = usd(1_500)
		p.advise(p.Reverse, part, authorization.ReasonNone)
		p.advise(p.Reverse, naming(c, more.Key, 0), authorization.ReasonNone)
		p.advise(p.Capture, of(d, 0), authorization.ReasonNone)
		part.Key = p.key()
		p.advise(p.Reverse, part, authorization.ReasonNone)
		p.advise(p.Reverse, naming(c, more.Key, 0), authorization.ReasonNone)
		part.Key, part.Stands = p.key(), usd(1_499)
		p.advise(p.Reverse, part, authorization.ReasonCaptured)
		p.advise(p.Reverse, naming(c, kept.Key, 0), authorization.ReasonCaptured)
		p.advise(p.Reverse, naming(c, r.Key, 0), authorization.ReasonCaptured)
		p.look(c, issuing.Active, 8_200, 0)
		p.verify()
	})
}

// What is owed of a purchase that took a part and was reversed is declined, with the balance
// that the card has by then and without the purchase's approval code.
func TestRestOfReversedPurchase(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 6_000)
		r := p.request(c, 10_000, ads)
		r.Captured, r.PartialAllowed = true, true
		p.pay(r, authorization.ReasonNone)
		p.advise(p.Reverse, naming(c, r.Key, 0), authorization.ReasonNone)
		owed := naming(c, "", 10_000)
		owed.Key = r.Key
		d := p.advise(p.Complete, owed, authorization.ReasonReversed)
		check.Equal(t, "code", d.Code, "")
		check.Equal(t, "balance", d.Balance, usd(6_000))
		p.look(c, issuing.Active, 6_000, 0)
		p.verify()
	})
}

// What is told of a request that approved a part, beside its reversal: whichever is first, either
// all of it stands, and the reversal says so or lets go of it, or nothing.
func TestRestBesideReversal(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for i := range 40 {
			c := p.issue(ann, binAds, 6_000)
			r := p.request(c, 10_000, ads)
			r.PartialAllowed, r.Captured = true, i%2 == 0
			p.pay(r, authorization.ReasonNone)
			rest, undo := naming(c, "", 10_000), naming(c, r.Key, 0)
			rest.Key, undo.Key = r.Key, p.key()
			tell := p.StandIn
			if r.Captured {
				tell = p.Complete
			}
			owed := p.posted(ann, "card.receivable/USD")
			crowd.AtOnce(2, func(i int) {
				do, a := tell, rest
				if i == 1 {
					do, a = p.Reverse, undo
				}
				if _, err := do(context.Background(), a); err != nil {
					t.Error(err)
				}
			})
			if p.again(p.Reverse, undo).Approved {
				p.look(c, issuing.Active, 6_000, 0)
				continue
			}
			p.look(c, issuing.Active, 0, 0)
			check.Equal(t, "owed", p.posted(ann, "card.receivable/USD")-owed, 4_000)
		}
		p.verify()
	})
}

// again repeats a message.
func (p *process) again(do func(context.Context, authorization.Advice) (authorization.Decision, error), a authorization.Advice) authorization.Decision {
	p.t.Helper()
	d, err := do(context.Background(), a)
	check.OK(p.t, err)
	return d
}

// What another approved of a request whose payment has ended is held as a payment that the
// request's name completes and reverses.
func TestStandInOfWhatEnded(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ended := func(c card) authorization.Advice {
			r := p.request(c, 10_000, ads)
			r.PartialAllowed = true
			d := p.pay(r, authorization.ReasonNone)
			p.advise(p.Capture, authorization.Advice{Book: d.Book, Payment: d.ID, Amount: usd(100), Final: true}, authorization.ReasonNone)
			a := naming(c, "", 10_000)
			a.Key = r.Key
			return a
		}
		c := p.issue(ann, binAds, 6_000)
		part := ended(c)
		p.advise(p.StandIn, part, authorization.ReasonNone)
		p.look(c, issuing.Active, 1_900, 4_000)
		p.advise(p.StandIn, part, authorization.ReasonNone)
		p.advise(p.Capture, naming(c, part.Key, 1_500), authorization.ReasonNone)
		p.look(c, issuing.Active, 1_900, 2_500)
		p.advise(p.Reverse, naming(c, part.Key, 0), authorization.ReasonNone)
		p.look(c, issuing.Active, 4_400, 0)
		p.advise(p.StandIn, part, authorization.ReasonNone)

		c = p.issue(ann, binAds, 6_000) // the payment ends after the advice
		r := p.request(c, 10_000, ads)
		r.PartialAllowed = true
		d := p.pay(r, authorization.ReasonNone)
		part = naming(c, "", 10_000)
		part.Key = r.Key
		p.advise(p.StandIn, part, authorization.ReasonNone)
		p.look(c, issuing.Active, 0, 10_000)
		p.advise(p.Reverse, of(d, 0), authorization.ReasonNone)
		p.advise(p.StandIn, part, authorization.ReasonNone)
		p.look(c, issuing.Active, 6_000, 0)

		c = p.issue(ann, binAds, 6_000)
		first := p.request(c, 1_000, ads)
		d = p.pay(first, authorization.ReasonNone)
		more := naming(c, first.Key, 8_000)
		more.Key = p.key()
		p.advise(p.Increment, more, authorization.ReasonFunds)
		p.advise(p.Reverse, of(d, 0), authorization.ReasonNone)
		p.advise(p.StandIn, more, authorization.ReasonNone)
		p.look(c, issuing.Active, 0, 8_000)
		p.advise(p.Capture, naming(c, more.Key, 5_000), authorization.ReasonNone)
		p.advise(p.Reverse, naming(c, more.Key, 0), authorization.ReasonNone)
		p.look(c, issuing.Active, 1_000, 0)
		p.verify()
	})
}

// A reversal of a part of what was not done, or of a part of what was done of it, leaves nothing to
// be done of the rest: who tells of that is told so.
func TestRestAfterPartialReversal(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		const none, gone = authorization.ReasonNone, authorization.ReasonReversed
		for _, c := range []struct {
			captured, part bool // a purchase; a part was approved, or nothing
			stands         int64
			reason         authorization.Reason
			left, held     int64
		}{
			{true, true, 3_500, gone, 2_500, 0}, {true, true, 8_000, none, 0, 0}, {true, false, 8_000, gone, 6_000, 0},
			{false, true, 3_500, gone, 2_500, 3_500}, {false, true, 8_000, none, 0, 10_000}, {false, false, 8_000, gone, 6_000, 0},
		} {
			made := p.issue(ann, binAds, 6_000)
			r := p.request(made, 10_000, ads)
			r.Captured, r.PartialAllowed = c.captured, c.part
			_, err := p.Authorize(context.Background(), r)
			check.OK(t, err)
			stands, rest, tell := naming(made, r.Key, 0), naming(made, "", 10_000), p.StandIn
			if c.captured {
				tell = p.Complete
			}
			stands.Stands, rest.Key = usd(c.stands), r.Key
			p.advise(p.Reverse, stands, none)
			p.advise(tell, rest, c.reason)
			p.look(made, issuing.Active, c.left, c.held)
		}
		p.verify()
	})
}

// What another approved of the rest of a request is undone with it, and who tells of it again hears
// the first answer. A purchase of which the rest was posted is more than one message can undo.
func TestReversalOfWhatHasARest(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for _, captured := range []bool{false, true} {
			c, owed := p.issue(ann, binAds, 6_000), p.posted(ann, "card.receivable/USD")
			r := p.request(c, 10_000, ads)
			r.PartialAllowed, r.Captured = true, captured
			p.pay(r, authorization.ReasonNone)
			rest, stands := naming(c, "", 10_000), naming(c, r.Key, 0)
			rest.Key, stands.Stands = r.Key, usd(7_000)
			if captured {
				p.advise(p.Complete, rest, authorization.ReasonNone)
				p.advise(p.Reverse, naming(c, r.Key, 0), authorization.ReasonEnded)
				p.look(c, issuing.Active, 0, 0)
				check.Equal(t, "owed", p.posted(ann, "card.receivable/USD")-owed, 4_000)
				continue
			}
			p.advise(p.StandIn, rest, authorization.ReasonNone)
			p.advise(p.Reverse, stands, authorization.ReasonNone)
			check.Equal(t, "repeated", p.again(p.StandIn, rest).Approved, true)
			p.look(c, issuing.Active, 0, 7_000)
			check.Equal(t, "owed", p.posted(ann, "card.receivable/USD")-owed, 1_000)
		}
		p.verify()
	})
}

// A refund gives back first what was lent for its payment, as far as that is still owed.
func TestRefundRepaysWhatWasLent(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		owed := func(minor int64) {
			t.Helper()
			check.Equal(t, "owed", p.posted(ann, "card.receivable/USD"), minor)
		}
		c := p.issue(ann, binAds, 1_000)
		first := p.advise(p.Post, naming(c, "", 3_000), authorization.ReasonNone)
		other := p.advise(p.Post, naming(c, "", 500), authorization.ReasonNone)
		back := p.advise(p.Refund, of(first, 1_500), authorization.ReasonNone)
		check.Equal(t, "balance", back.Balance, usd(0))
		owed(1_000)
		p.advise(p.Refund, of(first, 0), authorization.ReasonNone) // the rest, of which 5.00 was lent
		p.look(c, issuing.Active, 1_000, 0)
		owed(500)
		p.undone(back, "") // what was repaid is owed again
		owed(2_000)
		p.advise(p.Refund, of(first, 1_500), authorization.ReasonNone)
		p.look(c, issuing.Active, 1_000, 0)
		owed(500)
		_, err := p.Cards.Fund(context.Background(), ann, issuing.Transfer{Card: c.ID, Amount: usd(100)})
		check.OK(t, err)
		p.advise(p.Refund, of(other, 0), authorization.ReasonNone) // nothing is owed any more
		p.look(c, issuing.Active, 1_600, 0)
		owed(0)
		p.verify()
	})
}

// What an operator reversed of what was lent for a payment is not repaid when that is let go.
func TestLentReversedInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 1_000)
		p.advise(p.Post, naming(c, "", 3_000), authorization.ReasonNone)
		lent := p.advise(p.StandIn, p.stoodIn(c, 2_000), authorization.ReasonNone)
		p.advise(p.Refund, naming(c, "", 5_000), authorization.ReasonNone)
		p.undone(lent, "")
		p.look(c, issuing.Active, 3_000, 2_000)
		p.advise(p.Reverse, of(lent, 0), authorization.ReasonNone)
		p.look(c, issuing.Active, 5_000, 0)
		check.Equal(t, "owed", p.posted(ann, "card.receivable/USD"), 2_000)
		p.verify()
	})
}

// A purchase that took a part, and whose reversal an operator reversed in the books, stands, and
// what is owed beyond it is booked; reversed again it is gone.
func TestRestOfPurchaseReversedInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for _, again := range []bool{false, true} {
			c := p.issue(ann, binAds, 6_000)
			r := p.request(c, 10_000, ads)
			r.Captured, r.PartialAllowed = true, true
			p.pay(r, authorization.ReasonNone)
			_, err := p.Cards.Fund(context.Background(), ann, issuing.Transfer{Card: c.ID, Amount: usd(5_000)})
			check.OK(t, err)
			owed := naming(c, "", 10_000)
			owed.Key = r.Key
			p.undone(p.advise(p.Reverse, naming(c, r.Key, 0), authorization.ReasonNone), "")
			p.look(c, issuing.Active, 5_000, 0)
			if !again {
				check.Equal(t, "booked", p.advise(p.Complete, owed, authorization.ReasonNone).Amount, usd(10_000))
				p.look(c, issuing.Active, 1_000, 0)
				continue
			}
			p.advise(p.Reverse, naming(c, r.Key, 0), authorization.ReasonNone)
			p.advise(p.Complete, owed, authorization.ReasonReversed)
			p.look(c, issuing.Active, 11_000, 0)
		}
		p.verify()
	})
}

// A message that another card of the customer sent cannot be reversed with this one.
func TestReversalWithAnotherCard(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c, other := p.issue(ann, binAds, 10_000), p.issue(ann, binAds, 10_000)
		r := p.request(c, 1_000, ads)
		p.pay(r, authorization.ReasonNone)
		a := naming(other, r.Key, 0)
		a.Key = p.key()
		_, err := p.Reverse(context.Background(), a)
		check.Code(t, "with another card", err, fault.NotFound)
		p.look(c, issuing.Active, 9_000, 1_000)
		p.verify()
	})
}

// Whatever is reversed before it comes is declined when it comes, and does nothing then.
func TestAdviceReversedBeforeItCame(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		r := p.request(c, 2_000, ads)
		p.pay(r, authorization.ReasonNone)
		for name, do := range map[string]func(context.Context, authorization.Advice) (authorization.Decision, error){
			"increment": p.Increment, "capture": p.Capture, "completion": p.Complete, "post": p.Post, "refund": p.Refund, "stand-in": p.StandIn,
		} {
			late := naming(c, r.Key, 500)
			late.Key = p.key()
			p.advise(p.Reverse, naming(c, late.Key, 0), authorization.ReasonNone)
			first := p.advise(do, late, authorization.ReasonReversed)
			again := p.advise(do, late, authorization.ReasonReversed)
			if diff := cmp.Diff(first, again, ignoreRepeats); diff != "" || !again.Repeated {
				t.Errorf("%s again %t (-first +again):\n%s", name, again.Repeated, diff)
			}
			p.look(c, issuing.Active, 8_000, 2_000)
		}
		p.verify()
	})
}

// A purchase that was reversed before it came is declined, and one that was reversed with
// a terminated card is paid back to the wallet.
func TestReversalOfPurchase(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		late := p.request(c, 4_000, ads)
		late.Captured = true
		p.advise(p.Reverse, naming(c, late.Key, 0), authorization.ReasonNone)
		p.pay(late, authorization.ReasonReversed)
		p.look(c, issuing.Active, 10_000, 0)

		r := p.request(c, 4_000, ads)
		r.Captured = true
		p.pay(r, authorization.ReasonNone)
		_, err := p.Cards.Terminate(context.Background(), c.Holder, issuing.Ending{Card: c.ID})
		check.OK(t, err)
		before := p.posted(ann, "wallet/USD")
		p.advise(p.Reverse, naming(c, r.Key, 0), authorization.ReasonNone)
		check.Equal(t, "paid to the wallet", p.posted(ann, "wallet/USD")-before, int64(4_000))
		p.verify()
	})
}

// A payment counts as one as long as anything of it stands: it does not once reversals undid
// all that it took, message by message. Refunds leave it counted.
func TestUndonePaymentsDoNotCount(t *testing.T) {
	type deed func(p *process, c card, d authorization.Decision)
	capture := func(key string, minor int64) deed {
		return func(p *process, c card, d authorization.Decision) {
			a := of(d, minor)
			a.Key = string(c.ID) + key
			p.advise(p.Capture, a, authorization.ReasonNone)
		}
	}
	undo := func(key string, minor int64) deed {
		return func(p *process, c card, _ authorization.Decision) {
			p.advise(p.Reverse, naming(c, string(c.ID)+key, minor), authorization.ReasonNone)
		}
	}
	release := func(p *process, _ card, d authorization.Decision) {
		p.advise(p.Reverse, of(d, 0), authorization.ReasonNone)
	}
	refund := func(minor int64) deed {
		return func(p *process, _ card, d authorization.Decision) {
			p.advise(p.Refund, of(d, minor), authorization.ReasonNone)
		}
	}
	expire := func(p *process, _ card, _ authorization.Decision) {
		p.forward(8 * 24 * time.Hour)
		_, err := p.Expire(context.Background())
		check.OK(p.t, err)
	}
	tests := map[string]struct {
		deeds []deed
		next  authorization.Reason
	}{
		"two captures":            {deeds: []deed{capture("a", 400), capture("b", 600), undo("a", 0), undo("b", 0)}},
		"one in two parts":        {deeds: []deed{capture("a", 1_000), undo("a", 300), undo("a", 0)}},
		"a capture and the rest":  {deeds: []deed{capture("a", 400), undo("a", 0), release}},
		"the rest and a capture":  {deeds: []deed{capture("a", 400), release, undo("a", 0)}},
		"what expires":            {deeds: []deed{capture("a", 400), undo("a", 0), expire}},
		"one of two captures":     {deeds: []deed{capture("a", 400), capture("b", 600), undo("a", 0)}, next: authorization.ReasonCountLimit},
		"a part of one":           {deeds: []deed{capture("a", 400), undo("a", 399), release}, next: authorization.ReasonCountLimit},
		"a refund and the rest":   {deeds: []deed{capture("a", 400), capture("b", 600), refund(400), undo("b", 0)}, next: authorization.ReasonCountLimit},
		"a capture that is open":  {deeds: []deed{capture("a", 400), undo("a", 0)}, next: authorization.ReasonCountLimit},
		"refunds":                 {deeds: []deed{capture("a", 1_000), refund(0)}, next: authorization.ReasonCountLimit},
		"a refund that is undone": {deeds: []deed{capture("a", 1_000), refund(100), undo("a", 0)}, next: authorization.ReasonCountLimit},
	}
	eachEngine(t, func(t *testing.T, p *process) {
		for name, test := range tests {
			c := p.issue(ann, binAds, 10_000, limits(spending.Limit{Window: spending.ForLife, Count: 1}))
			d := p.pay(p.request(c, 1_000, ads), authorization.ReasonNone)
			for _, do := range test.deeds {
				do(p, c, d)
			}
			if next, err := p.Authorize(context.Background(), p.request(c, 1_000, ads)); err != nil || next.Reason != test.next {
				t.Errorf("%s: the next payment is %q, want %q (%v)", name, next.Reason, test.next, err)
			}
		}
		p.verify()
	})
}

// A reversal of what was lent for gives that back first, as far as it is still owed: nobody
// spends what was lent for a payment that is undone.
func TestReversalRepaysWhatWasLent(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		owed := func(minor int64) { t.Helper(); check.Equal(t, "owed", p.posted(ann, "card.receivable/USD"), minor) }
		c := p.issue(ann, binAds, 1_000)
		post := func(minor int64) string {
			a := naming(c, "", minor)
			a.Key = p.key()
			p.advise(p.Post, a, "")
			return a.Key
		}
		key := post(5_000)
		owed(4_000)
		p.advise(p.Reverse, naming(c, key, 1_500), "")
		p.look(c, issuing.Active, 0, 0)
		owed(2_500)
		p.advise(p.Reverse, naming(c, key, 0), "")
		p.look(c, issuing.Active, 1_000, 0)
		owed(0)

		key = post(3_000)
		owed(2_000)
		_, err := p.Cards.Fund(ctx, ann, issuing.Transfer{Card: c.ID, Amount: usd(500)}) // repays it
		check.OK(t, err)
		p.advise(p.Reverse, naming(c, key, 0), "")
		p.look(c, issuing.Active, 3_500, 0)
		owed(0)

		key = post(8_500)
		for range 2 { // what an operator reversed in the books is owed again
			owed(5_000)
			p.undone(p.advise(p.Reverse, naming(c, key, 0), ""), "")
			p.look(c, issuing.Active, 0, 0)
		}
		p.advise(p.Reverse, naming(c, key, 6_000), "")
		p.look(c, issuing.Active, 1_000, 0)
		owed(0)
		p.advise(p.Reverse, naming(c, key, 0), "")
		p.look(c, issuing.Active, 3_500, 0)

		held := p.advise(p.StandIn, p.stoodIn(c, 3_900), "")
		p.undone(p.advise(p.Reverse, of(held, 300), ""), "") // what that repaid is owed again
		owed(400)
		p.look(c, issuing.Active, 300, 3_600)
		p.advise(p.Reverse, of(held, 0), "")
		p.look(c, issuing.Active, 3_500, 0)
		owed(0)

		_, err = p.Cards.Terminate(ctx, ann, issuing.Ending{Card: c.ID})
		check.OK(t, err)
		before := p.posted(ann, "wallet/USD")
		key = post(700)
		owed(700)
		p.advise(p.Reverse, naming(c, key, 0), "")
		owed(0)
		held = p.advise(p.StandIn, p.stoodIn(c, 700), "")
		taken := of(held, 500)
		taken.Key = p.key()
		p.advise(p.Capture, taken, "")
		owed(500)
		p.advise(p.Reverse, naming(c, taken.Key, 200), "")
		owed(300)
		p.advise(p.Reverse, of(held, 0), "") // the rest of the hold
		owed(300)
		p.advise(p.Reverse, naming(c, taken.Key, 0), "")
		owed(0)
		check.Equal(t, "paid to the wallet", p.posted(ann, "wallet/USD")-before, 0)
		p.verify()
	})
}

// What a merchant is owed is booked whatever became of its payment, and once.
func TestComplete(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		twice := func(a authorization.Advice) (key string) {
			t.Helper()
			a.Key = p.key()
			d := p.advise(p.Complete, a, authorization.ReasonNone)
			again := p.advise(p.Complete, a, authorization.ReasonNone)
			if diff := cmp.Diff(d, again, ignoreRepeats); diff != "" || !again.Repeated {
				t.Errorf("again %t (-first +again):\n%s", again.Repeated, diff)
			}
			check.Equal(t, "booked", d.Amount, a.Amount)
			a.Amount.Minor++
			_, err := p.Complete(context.Background(), a)
			check.Code(t, "another amount", err, fault.IdempotencyConflict)
			return a.Key
		}
		r := p.request(c, 2_000, ads)
		p.pay(r, authorization.ReasonNone)
		twice(naming(c, r.Key, 500)) // a part
		p.look(c, issuing.Active, 8_000, 1_500)
		beyond := naming(c, r.Key, 1_800) // more than is left: 1500 of the hold, 300 beside it
		key := twice(beyond)
		p.advise(p.Reverse, naming(c, key, 0), authorization.ReasonEnded) // more than one message can undo
		p.look(c, issuing.Active, 7_700, 0)
		twice(naming(c, r.Key, 100)) // it has ended
		p.look(c, issuing.Active, 7_600, 0)
		twice(naming(c, "", 100)) // by itself
		p.look(c, issuing.Active, 7_500, 0)

		// A completion that overtakes its payment is posted; the payment that comes then does not take it again.
		r = p.request(c, 1_000, ads)
		early := naming(c, r.Key, 1_000)
		early.Key = p.key()
		p.advise(p.Complete, early, authorization.ReasonNone)
		p.pay(r, authorization.ReasonNone)
		if d := p.advise(p.Complete, early, authorization.ReasonNone); !d.Repeated {
			t.Error("it was booked twice")
		}
		p.look(c, issuing.Active, 5_500, 1_000)

		// One that was broken off takes no more than it is owed, whatever was added to its payment since.
		r = p.request(c, 1_000, ads)
		d := p.pay(r, authorization.ReasonNone)
		broken := naming(c, r.Key, 1_200)
		broken.Key, broken.Final = p.key(), true
		p.advise(p.Capture, broken, authorization.ReasonOverCapture)
		p.advise(p.Increment, of(d, 500), authorization.ReasonNone)
		p.look(c, issuing.Active, 4_000, 2_500)
		for range 2 {
			check.Equal(t, "booked", p.advise(p.Complete, broken, authorization.ReasonNone).Amount, usd(1_200))
			p.look(c, issuing.Active, 4_300, 1_000)
		}
		for what, a := range map[string]authorization.Advice{"no key": naming(c, "x", 100), "nothing": naming(c, "x", 0)} {
			_, err := p.Complete(context.Background(), a)
			check.Code(t, what, err, map[string]fault.Code{"no key": fault.InvalidRequest, "nothing": fault.InvalidAmount}[what])
		}
		p.verify()
	})
}

// A completion that went beyond its payment, and was broken off, is undone as far as it came by
// then, however often it is reversed, and takes nothing any more should it be sent again.
func TestReversalOfBrokenCompletion(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		begun := func() (authorization.Advice, authorization.Decision) {
			r := p.request(c, 1_000, ads)
			d := p.pay(r, authorization.ReasonNone)
			a := naming(c, r.Key, 1_200)
			a.Key = p.key()
			p.advise(p.Capture, a, authorization.ReasonOverCapture)
			return a, d
		}
		reverse := func(broken authorization.Advice, first int64) {
			t.Helper()
			for _, back := range []int64{first, 0} {
				got := p.advise(p.Reverse, naming(c, broken.Key, 0), authorization.ReasonNone)
				check.Equal(t, "given back", got.Amount, usd(back))
			}
		}
		late := func(broken authorization.Advice) {
			t.Helper()
			first := p.advise(p.Complete, broken, authorization.ReasonReversed)
			again := p.advise(p.Complete, broken, authorization.ReasonReversed)
			if diff := cmp.Diff(first, again, ignoreRepeats); diff != "" || !again.Repeated {
				t.Errorf("again %t (-first +again):\n%s", again.Repeated, diff)
			}
		}

		broken, held := begun() // before it took anything
		reverse(broken, 0)
		late(broken)
		p.look(c, issuing.Active, 9_000, 1_000)
		p.advise(p.Reverse, of(held, 0), authorization.ReasonNone)

		broken, _ = begun() // after it took what was held
		check.Equal(t, "captured", p.advise(p.CaptureHeld, broken, authorization.ReasonNone).Amount, usd(1_000))
		p.look(c, issuing.Active, 9_000, 0)
		reverse(broken, 1_000)
		late(broken)
		p.look(c, issuing.Active, 10_000, 0)

		broken, _ = begun() // the same, in part: what was held stands, and nothing is posted beside it
		p.advise(p.CaptureHeld, broken, authorization.ReasonNone)
		stands := naming(c, broken.Key, 0)
		stands.Stands = usd(1_100)
		check.Equal(t, "given back", p.advise(p.Reverse, stands, authorization.ReasonNone).Amount, usd(0))
		late(broken)
		p.look(c, issuing.Active, 9_000, 0)
		reverse(broken, 1_000)

		broken, held = begun() // all of it was held by then
		p.advise(p.Increment, of(held, 500), authorization.ReasonNone)
		p.advise(p.Complete, broken, authorization.ReasonNone)
		p.look(c, issuing.Active, 8_800, 0)
		part := naming(c, broken.Key, 0)
		part.Stands = usd(700)
		check.Equal(t, "given back", p.advise(p.Reverse, part, authorization.ReasonNone).Amount, usd(500))
		reverse(broken, 700)
		p.look(c, issuing.Active, 10_000, 0)
		p.verify()
	})
}

// A completion that goes beyond its payment, sent again beside its reversal: whichever is
// first, either all of it stands, and the reversal says so, or nothing.
func TestReversalBesideBrokenCompletion(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		balance := int64(10_000)
		for range 10 {
			r := p.request(c, 300, ads)
			d := p.pay(r, authorization.ReasonNone)
			broken := naming(c, r.Key, 400)
			broken.Key = p.key()
			p.advise(p.Capture, broken, authorization.ReasonOverCapture)
			undo := naming(c, broken.Key, 0)
			undo.Key = p.key()
			release := of(d, 0)
			release.Key = p.key()
			crowd.AtOnce(4, func(i int) {
				do, a := p.Complete, broken
				if i > 1 {
					do, a = p.Reverse, undo
				}
				if _, err := do(context.Background(), a); err != nil {
					t.Error(err)
				}
			})
			_, err := p.Reverse(context.Background(), release) // what is held still
			check.OK(t, err)
			if answer, err := p.Reverse(context.Background(), undo); err != nil || !answer.Approved {
				balance -= 400
			}
			p.look(c, issuing.Active, balance, 0)
		}
		p.verify()
	})
}

// undone undoes in the books what a line took, as an operator does, and expects a fault.
func (p *process) undone(d authorization.Decision, code fault.Code) {
	p.t.Helper()
	ctx := context.Background()
	line, err := p.Get(ctx, d.Book, d.Transaction)
	check.OK(p.t, err)
	_, err = p.Books.Submit(ctx, ledger.Operation{Book: d.Book, Kind: "transaction.reverse", Reverses: line.Books, Actor: "op/1", At: p.Clocks.Now(ann.Realm)})
	check.Code(p.t, "reversal of "+string(line.Type), err, code)
}

// What an operator reversed in the books is neither refunded nor undone as well, and what
// was refunded, or undone, is not reversed any more: nobody gets money back twice. A refund
// that was reversed gave nothing back.
func TestReversedInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		d := p.pay(p.request(c, 2_000, ads), "")
		first, second := of(d, 600), of(d, 1_400)
		first.Key, second.Key = p.key(), p.key()
		p.undone(p.advise(p.Capture, first, ""), "")
		last := p.advise(p.Capture, second, "")
		p.look(c, issuing.Active, 8_600, 0)
		p.advise(p.Reverse, naming(c, first.Key, 0), "")
		p.look(c, issuing.Active, 8_600, 0)
		p.advise(p.Refund, of(d, 1_401), authorization.ReasonOverRefund)
		p.advise(p.Refund, of(d, 1_000), "")
		p.undone(last, fault.InvalidState)
		back := p.advise(p.Refund, of(d, 0), "")
		check.Equal(t, "the rest", back.Amount, usd(400))
		p.advise(p.Refund, of(d, 0), authorization.ReasonOverRefund)
		p.look(c, issuing.Active, 10_000, 0)

		r := p.request(c, 3_000, ads)
		r.Captured = true
		d = p.pay(r, "")
		p.advise(p.Reverse, naming(c, r.Key, 500), "")
		p.undone(d, fault.InvalidState)
		p.look(c, issuing.Active, 7_500, 0)

		r = p.request(c, 4_000, ads)
		r.Captured = true
		d = p.pay(r, "")
		p.undone(d, "")
		p.advise(p.Refund, of(d, 0), authorization.ReasonOverRefund)
		p.advise(p.Reverse, naming(c, r.Key, 0), "")
		p.look(c, issuing.Active, 7_500, 0)

		r = p.request(c, 2_000, ads)
		r.Captured = true
		d = p.pay(r, "")
		p.undone(p.advise(p.Refund, of(d, 1_500), ""), "") // a mistake: the right one comes later
		p.look(c, issuing.Active, 5_500, 0)
		p.advise(p.Refund, of(d, 2_001), authorization.ReasonOverRefund)
		p.advise(p.Refund, of(d, 800), "")
		back = p.advise(p.Refund, of(d, 0), "")
		check.Equal(t, "the rest", back.Amount, usd(1_200))
		p.advise(p.Refund, of(d, 1), authorization.ReasonOverRefund)
		p.look(c, issuing.Active, 7_500, 0)

		r = p.request(c, 2_000, ads)
		r.Captured = true
		p.pay(r, "")
		for range 2 { // mistakes, too
			p.undone(p.advise(p.Reverse, naming(c, r.Key, 0), ""), "")
			p.look(c, issuing.Active, 5_500, 0)
		}
		p.advise(p.Reverse, naming(c, r.Key, 2_001), authorization.ReasonOverRefund)
		back = p.advise(p.Reverse, naming(c, r.Key, 0), "")
		check.Equal(t, "undone at last", back.Amount, usd(2_000))
		p.look(c, issuing.Active, 7_500, 0)
		p.advise(p.Reverse, naming(c, r.Key, 0), "") // nothing is left to undo
		p.look(c, issuing.Active, 7_500, 0)
		p.verify()
	})
}

// A reversal after one that an operator reversed in the books gives the card's limits back
// once, though nothing else was spent.
func TestReversedAgainInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000, limits(spending.Limit{Window: spending.ForLife, Count: 2, Amount: usd(6_000)}))
		r := p.request(c, 2_000, ads)
		r.Captured = true
		p.pay(r, "")
		spent := func(minor int64) {
			t.Helper()
			now, err := p.Cards.Get(context.Background(), ann, c.ID)
			check.OK(t, err)
			check.Equal(t, "spent", now.Spent, usd(minor))
		}
		for range 2 {
			p.undone(p.advise(p.Reverse, naming(c, r.Key, 0), ""), "")
			p.look(c, issuing.Active, 8_000, 0)
			spent(0)
		}
		p.pay(p.request(c, 3_000, ads), "")
		p.advise(p.Reverse, naming(c, r.Key, 0), "")
		p.look(c, issuing.Active, 7_000, 3_000)
		p.pay(p.request(c, 3_001, ads), authorization.ReasonSpendingLimit)
		p.pay(p.request(c, 2_000, ads), "")
		p.pay(p.request(c, 1, ads), authorization.ReasonCountLimit)
		spent(5_000)

		c = p.issue(ann, binAds, 10_000)
		r = p.request(c, 2_000, ads)
		r.Captured = true
		d := p.pay(r, "")
		p.advise(p.Refund, of(d, 300), "")
		p.undone(p.advise(p.Refund, of(d, 1_500), ""), "")
		spent(200)
		p.advise(p.Refund, of(d, 100), "")
		spent(100)
		p.advise(p.Reverse, naming(c, r.Key, 0), "")
		spent(0)
		p.look(c, issuing.Active, 10_000, 0)
		p.verify()
	})
}

// The rest of a payment whose undone capture an operator took anew in the books leaves that
// standing, and undone again nothing: it counts, and is a card's one payment, accordingly.
func TestRestReversedInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for _, ends := range []string{"reversal", "expiry"} {
			for times, status := range map[int]issuing.Status{1: issuing.Terminated, 2: issuing.Active} {
				c := p.issue(ann, binAds, 10_000, func(n *issuing.NewCard) { n.Controls.SingleUse = true })
				d := p.pay(p.request(c, 2_000, ads), "")
				taken := of(d, 1_000)
				taken.Key = p.key()
				p.advise(p.Capture, taken, "")
				p.undone(p.advise(p.Reverse, naming(c, taken.Key, 0), ""), "")
				if times == 2 {
					p.advise(p.Reverse, naming(c, taken.Key, 0), "")
				}
				if ends == "expiry" {
					p.forward(8 * day)
					p.expire()
				} else {
					p.advise(p.Reverse, of(d, 0), "")
				}
				now, err := p.Cards.Get(context.Background(), ann, c.ID)
				check.OK(t, err)
				if now.Status != status {
					t.Errorf("undone %d times, ended by %s: the card is %s, want %s", times, ends, now.Status, status)
				}
			}
		}
		p.verify()
	})
}
