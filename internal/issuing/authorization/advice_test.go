package authorization_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// A payment is captured once or several times, less or within the merchant's tolerance
// more than was authorized, and never beyond it.
func TestCapture(t *testing.T) {
	type step struct {
		minor  int64 // 0: all that is left
		final  bool
		reason authorization.Reason
	}
	rows := map[string]struct {
		at            authorization.Merchant
		steps         []step
		balance, held int64 // of 1,000.00, after 100.00 were authorized
		state         authorization.State
	}{
		"all":                   {ads, []step{{0, false, ""}}, 90_000, 0, authorization.StateSettled},
		"in parts":              {ads, []step{{3_000, false, ""}, {3_000, false, ""}, {4_000, false, ""}}, 90_000, 0, authorization.StateSettled},
		"a part":                {ads, []step{{3_000, false, ""}}, 90_000, 7_000, authorization.StateOpen},
		"a part, and no more":   {ads, []step{{3_000, true, ""}, {1, false, authorization.ReasonEnded}}, 97_000, 0, authorization.StateSettled},
		"too much":              {ads, []step{{10_001, false, authorization.ReasonOverCapture}}, 90_000, 10_000, authorization.StateOpen},
		"beyond any amount":     {ads, []step{{3_000, false, ""}, {math.MaxInt64, false, authorization.ReasonOverCapture}}, 90_000, 7_000, authorization.StateOpen},
		"with a tip":            {diner, []step{{12_000, false, ""}}, 88_000, 0, authorization.StateSettled},
		"with too large a tip":  {diner, []step{{12_001, false, authorization.ReasonOverCapture}}, 90_000, 10_000, authorization.StateOpen},
		"tip on the last part":  {diner, []step{{9_000, false, ""}, {3_001, false, authorization.ReasonOverCapture}, {3_000, false, ""}}, 88_000, 0, authorization.StateSettled},
		"minibar":               {inn, []step{{11_500, true, ""}}, 88_500, 0, authorization.StateSettled},
		"twice all":             {ads, []step{{0, false, ""}, {0, false, authorization.ReasonEnded}}, 90_000, 0, authorization.StateSettled},
		"more after everything": {diner, []step{{10_000, false, ""}, {1_000, false, authorization.ReasonEnded}}, 90_000, 0, authorization.StateSettled},
	}
	eachEngine(t, func(t *testing.T, p *process) {
		before := int64(0)
		for name, row := range rows {
			c := p.issue(ann, binAds, 100_000)
			d := p.pay(p.request(c, 10_000, row.at), "")
			captured := int64(0)
			for _, s := range row.steps {
				got := p.advise(p.Capture, authorization.Advice{Book: d.Book, Payment: d.ID, Amount: usd(s.minor), Final: s.final}, s.reason)
				captured += got.Amount.Minor
			}
			p.look(c, issuing.Active, row.balance, row.held)
			check.Equal(t, name+": settlement", p.posted(ann, "card.settlement/USD"), before+captured)
			before += captured
			got, err := p.Get(context.Background(), d.Book, d.Transaction)
			check.OK(t, err)
			check.Equal(t, name+": state", got.State, row.state)
			check.Equal(t, name+": steps", len(got.Timeline), 1+len(row.steps))
			now, err := p.Cards.Get(context.Background(), ann, c.ID)
			check.OK(t, err)
			check.Equal(t, name+": spent", now.Spent, usd(captured+row.held))
		}
		p.verify()
	})
}

// A payment holds more when the merchant asks for it, within the card's limits and balance;
// a refusal leaves it as it was.
func TestIncrement(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binDay, 20_000, limits(spending.Limit{Window: spending.PerMonth, Amount: usd(15_000)}))
		d := p.pay(p.request(c, 5_000, inn), "")
		p.advise(p.Increment, of(d, 4_000), "")
		p.look(c, issuing.Active, 11_000, 9_000)
		p.advise(p.Increment, of(d, 6_001), authorization.ReasonSpendingLimit)
		p.advise(p.Increment, of(d, 95_000), authorization.ReasonMaxTransaction)
		more := of(d, 1_000)
		more.Key = p.key()
		first := p.advise(p.Increment, more, "")
		again := p.advise(p.Increment, more, "")
		if !again.Repeated || again.Transaction != first.Transaction {
			t.Errorf("again %+v", again)
		}
		_, err := p.Cards.Freeze(context.Background(), ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		p.advise(p.Increment, of(d, 100), authorization.ReasonCardFrozen)
		p.advise(p.Capture, of(d, 0), "") // what was approved is paid
		p.look(c, issuing.Frozen, 10_000, 0)
		p.advise(p.Increment, of(d, 100), authorization.ReasonEnded)
		check.Equal(t, "history", p.lines(c), []string{"authorization -50.00 150.00", "authorization -40.00 110.00", "decline -60.01 110.00 spending_limit",
			"decline -950.00 110.00 bin_max_transaction", "authorization -10.00 100.00", "decline -1.00 100.00 card_frozen", "settlement -100.00 100.00"})

		often := limits(spending.Limit{Window: spending.PerDay, Amount: usd(5_000), Count: 1})
		once := p.issue(ann, binAds, 10_000, often, controls(func(c *issuing.Controls) { c.SingleUse = true }))
		d = p.pay(p.request(once, 3_000, inn), "")
		p.advise(p.Increment, of(d, 2_001), authorization.ReasonSpendingLimit)
		p.advise(p.Increment, of(d, 2_000), "") // it is no payment of its own
		p.look(once, issuing.Active, 5_000, 5_000)
		poor := p.issue(ann, binAds, 1_000)
		d = p.pay(p.request(poor, 900, inn), "")
		p.advise(p.Increment, of(d, 101), authorization.ReasonFunds)
		p.verify()
	})
}

// What is added to a payment counts wherever the payment does, also where the card has no
// limit any more: all of it can be let go, by its merchant, a final capture or time.
func TestIncrementCountsWhereItsPaymentDoes(t *testing.T) {
	operator := issuing.Holder{Book: ann.Book, Realm: ann.Realm, Actor: "op/1", Operator: true}
	for name, end := range map[string]func(p *process, d authorization.Decision){
		"reversal": func(p *process, d authorization.Decision) { p.advise(p.Reverse, of(d, 0), "") },
		"capture": func(p *process, d authorization.Decision) {
			last := of(d, 1)
			last.Final = true
			p.advise(p.Capture, last, "")
		},
		"time": func(p *process, _ authorization.Decision) {
			p.forward(30 * day)
			check.Equal(p.t, "ended", p.expire(), 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, p *process) {
				c := p.issue(ann, binAds, 20_000, limits(spending.Limit{Window: spending.ForLife, Amount: usd(10_000), Count: 1}))
				d := p.pay(p.request(c, 5_000, inn), "")
				_, err := p.Cards.Change(context.Background(), operator, issuing.Change{Card: c.ID, Controls: &issuing.Controls{}})
				check.OK(t, err)
				p.advise(p.Increment, of(d, 9_000), "")
				end(p, d)
				_, err = p.Cards.Change(context.Background(), operator, issuing.Change{Card: c.ID, Controls: &issuing.Controls{
					Limits: []spending.Limit{{Window: spending.ForLife, Amount: usd(10_000)}}}})
				check.OK(t, err)
				p.pay(p.request(c, 10_001, ads), authorization.ReasonSpendingLimit)
				p.pay(p.request(c, 9_999, ads), "")
				p.verify()
			})
		})
	}
}

// What was held is free when its time is over, swept or not: a completion that is late takes
// it, and nothing is lent.
func TestLateCompletion(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		r := p.request(c, 9_000, ads)
		d := p.pay(r, "")
		p.forward(7 * day)
		p.advise(p.Capture, of(d, 9_000), authorization.ReasonEnded)
		p.look(c, issuing.Active, 10_000, 0)
		p.advise(p.Complete, naming(c, r.Key, 9_000), "")
		p.look(c, issuing.Active, 1_000, 0)
		check.Equal(t, "lent", p.posted(ann, "card.receivable/USD"), int64(0))
		check.Equal(t, "ended by a sweep", p.expire(), 0)
		p.verify()
	})
}

// The bounds of one payment are held against what it comes to, not against what it let go.
func TestIncrementAfterPartialReversal(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ask := &decider{verdict: authorization.Allow}
		p.Decider = ask
		c := p.issue(ann, binDay, 200_000) // at most 1,000.00 at once
		d := p.pay(p.request(c, 90_000, inn), "")
		p.advise(p.Reverse, of(d, 70_000), "")
		p.advise(p.Capture, of(d, 5_000), "")
		p.advise(p.Increment, of(d, 80_001), authorization.ReasonMaxTransaction)
		p.advise(p.Increment, of(d, 80_000), "")
		check.Equal(t, "told of", ask.asked[1].Held, usd(20_000))
		p.look(c, issuing.Active, 100_000, 95_000)
		p.verify()
	})
}

// What is held is released, all of it or a part; what was captured is not, and whoever
// asks is told what to do instead.
func TestReverse(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000, limits(spending.Limit{Window: spending.PerMonth, Amount: usd(6_000)}))
		d := p.pay(p.request(c, 6_000, ads), "")
		p.advise(p.Reverse, of(d, 2_000), "")
		p.look(c, issuing.Active, 6_000, 4_000)
		p.advise(p.Reverse, of(d, 4_001), authorization.ReasonOverReversal)
		p.pay(p.request(c, 2_001, ads), authorization.ReasonSpendingLimit)
		p.pay(p.request(c, 2_000, ads), "") // the limit was given back, too
		p.advise(p.Capture, of(d, 1_000), "")
		rest := p.advise(p.Reverse, of(d, 0), "")
		check.Equal(t, "released", rest.Amount, usd(3_000))
		late := p.advise(p.Reverse, of(d, 0), authorization.ReasonCaptured)
		check.Equal(t, "advice", late.Advice, "Send a refund of what was captured.")

		whole := p.pay(p.request(c, 1_000, ads), "")
		p.advise(p.Reverse, of(whole, 0), "")
		twice := p.advise(p.Reverse, of(whole, 0), "")
		check.Equal(t, "released the second time", twice.Amount, usd(0))
		declined := p.pay(p.request(c, 90_000, ads), authorization.ReasonSpendingLimit)
		nothing := p.advise(p.Reverse, of(declined, 0), "")
		check.Equal(t, "released of a decline", nothing.Amount, usd(0))
		p.advise(p.Capture, of(declined, 0), authorization.ReasonEnded)
		p.look(c, issuing.Active, 7_000, 2_000)
		p.verify()
	})
}

// A reversal whose payment was never seen is remembered: the payment is declined when it
// comes, and that is its answer for good.
func TestReversalBeforeItsPayment(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		r := p.request(c, 1_000, ads)
		a := authorization.Advice{Realm: c.Realm, Number: c.Number, Original: r.Key, Key: p.key()}
		first := p.advise(p.Reverse, a, "")
		again := p.advise(p.Reverse, a, "")
		if !again.Repeated || again.Transaction != first.Transaction {
			t.Errorf("again %+v", again)
		}
		check.Equal(t, "events before", len(p.events(ann)), 0)
		reversal, err := p.Get(context.Background(), ann.Book, first.Transaction)
		check.OK(t, err)
		if steps := reversal.Timeline; len(steps) != 1 || steps[0].Type != authorization.StepReversal {
			t.Errorf("the timeline before: %+v", steps)
		}
		late := p.pay(r, authorization.ReasonReversed)
		repeated := p.pay(r, authorization.ReasonReversed)
		if !repeated.Repeated || repeated.Transaction != late.Transaction {
			t.Errorf("late %+v, again %+v", late, repeated)
		}
		p.look(c, issuing.Active, 10_000, 0)
		check.Equal(t, "history", p.lines(c), []string{"decline -10.00 100.00 reversed_before"})
		check.Equal(t, "events", types(p.events(ann)), []string{"transaction.declined"})
		got, err := p.Get(context.Background(), ann.Book, late.Transaction)
		check.OK(t, err)
		check.Equal(t, "merchant", got.Merchant, ads)
		p.verify()
	})
}

// A payment and its reversal at once: whichever is first, nothing stays held.
func TestReversalBesideItsPayment(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		for range 10 {
			r := p.request(c, 1_000, ads)
			keys := []string{p.key(), p.key(), p.key()}
			crowd.AtOnce(6, func(i int) {
				var err error
				if i < 3 {
					_, err = p.Authorize(context.Background(), r)
				} else {
					_, err = p.Reverse(context.Background(), authorization.Advice{Realm: c.Realm, Number: c.Number, Original: r.Key, Key: keys[i-3]})
				}
				check.OK(t, err)
			})
			p.look(c, issuing.Active, 10_000, 0)
		}
		p.verify()
	})
}

// Refunds give back what was captured and no more, also by themselves, and to the wallet
// once the card is gone.
func TestRefund(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binAds, 10_000)
		r := p.request(c, 5_000, ads)
		d := p.pay(r, "")
		p.advise(p.Refund, of(d, 1), authorization.ReasonOverRefund) // nothing was captured
		p.advise(p.Capture, of(d, 3_000), "")
		p.advise(p.Refund, of(d, 3_001), authorization.ReasonOverRefund)
		p.advise(p.Refund, of(d, 1_000), "")
		p.look(c, issuing.Active, 6_000, 2_000)
		became, err := p.Paid(ctx, ann.Book, d.ID)
		check.OK(t, err)
		check.Equal(t, "what became of it", []any{became.Captured, became.Returned, became.Left(), became.SettledAt}, []any{usd(3_000), usd(1_000), usd(2_000), epoch})
		_, err = p.Paid(ctx, bob.Book, d.ID)
		check.Code(t, "what became of another's", err, fault.NotFound)
		p.advise(p.Capture, of(d, 2_000), "")
		byKey := authorization.Advice{Book: d.Book, Original: r.Key, Key: p.key()}
		rest := p.advise(p.Refund, byKey, "")
		check.Equal(t, "the rest", rest.Amount, usd(4_000))
		p.advise(p.Refund, of(d, 0), authorization.ReasonOverRefund)
		p.look(c, issuing.Active, 10_000, 0)

		alone := p.advise(p.Refund, authorization.Advice{Realm: c.Realm, Number: c.Number, Amount: usd(700), Merchant: diner}, "")
		check.Equal(t, "balance", alone.Balance, usd(10_700))
		p.advise(p.Refund, of(alone, 1), authorization.ReasonOverRefund)
		became, err = p.Paid(ctx, ann.Book, alone.ID)
		check.OK(t, err)
		check.Equal(t, "what became of a refund by itself", []any{became.Captured, became.Returned}, []any{usd(0), usd(0)})
		p.advise(p.Reverse, of(alone, 0), authorization.ReasonEnded)
		got, err := p.Get(ctx, ann.Book, alone.Transaction)
		check.OK(t, err)
		if got.Amount != usd(700) || got.Merchant != diner || got.State != authorization.StateRefunded || got.Type != authorization.TypeRefund {
			t.Errorf("refund by itself %+v", got)
		}
		_, err = p.Refund(ctx, authorization.Advice{Realm: c.Realm, Number: c.Number, Key: p.key()})
		check.Code(t, "a refund of nothing", err, fault.InvalidAmount)

		paid := p.pay(p.request(c, 500, ads), "")
		p.advise(p.Capture, of(paid, 0), "")
		_, err = p.Cards.Terminate(ctx, ann, issuing.Ending{Card: c.ID})
		check.OK(t, err)
		before := p.posted(ann, "wallet/USD")
		p.advise(p.Refund, of(paid, 0), "")
		check.Equal(t, "back in the wallet", p.posted(ann, "wallet/USD")-before, 500)
		p.verify()
	})
}

// Concurrent refunds give back no more than was captured, and concurrent captures take no
// more than was authorized.
func TestAdviceAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		d := p.pay(p.request(c, 5_000, ads), "")
		count := func(do func(context.Context, authorization.Advice) (authorization.Decision, error)) (yes int) {
			approved := make([]bool, 12)
			crowd.AtOnce(len(approved), func(i int) {
				a := of(d, 1_000)
				a.Key = p.key()
				got, err := do(context.Background(), a)
				check.OK(t, err)
				approved[i] = got.Approved
			})
			for _, ok := range approved {
				if ok {
					yes++
				}
			}
			return yes
		}
		check.Equal(t, "captures", count(p.Capture), 5)
		p.look(c, issuing.Active, 5_000, 0)
		check.Equal(t, "refunds", count(p.Refund), 5)
		p.look(c, issuing.Active, 10_000, 0)
		check.Equal(t, "settlement", p.posted(ann, "card.settlement/USD"), 0)
		p.verify()
	})
}

// What was never authorized is booked all the same: from a frozen card, and beyond its
// balance, which is lent from the receivable until the card is funded.
func TestForcedPost(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binDay, 10_000, limits(spending.Limit{Window: spending.PerMonth, Amount: usd(5_000)}))
		held := p.pay(p.request(c, 2_000, ads), "")
		post := func(minor int64) authorization.Advice {
			return authorization.Advice{Realm: c.Realm, Number: c.Number, Key: p.key(), Amount: usd(minor), Merchant: diner}
		}
		first := p.advise(p.Post, post(6_000), "")
		p.look(c, issuing.Active, 2_000, 2_000)
		check.Equal(t, "owed", p.posted(ann, "card.receivable/USD"), 0)
		_, err := p.Cards.Freeze(ctx, ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		p.advise(p.Post, post(5_000), "")
		p.look(c, issuing.Frozen, 0, 2_000)
		check.Equal(t, "owed", p.posted(ann, "card.receivable/USD"), 3_000)
		p.advise(p.Capture, of(held, 0), "") // what is held is not touched
		p.advise(p.Refund, of(first, 0), "")
		p.look(c, issuing.Frozen, 6_000, 0)
		_, err = p.Cards.Fund(ctx, ann, issuing.Transfer{Card: c.ID, Amount: usd(4_000)})
		check.OK(t, err)
		check.Equal(t, "owed after funding", p.posted(ann, "card.receivable/USD"), 0)
		_, err = p.Cards.Terminate(ctx, ann, issuing.Ending{Card: c.ID})
		check.OK(t, err)
		gone := p.advise(p.Post, post(1_500), "")
		check.Equal(t, "balance of a card that is gone", gone.Balance, usd(0))
		check.Equal(t, "owed for it", p.posted(ann, "card.receivable/USD"), 1_500)
		again := authorization.Advice{Book: ann.Book, Payment: first.ID, Key: p.key(), Amount: usd(10)}
		more := p.advise(p.Post, again, "")
		got, err := p.Get(ctx, ann.Book, more.Transaction)
		check.OK(t, err)
		check.Equal(t, "merchant of a post about a payment", got.Merchant, diner)
		if more.ID == first.ID {
			t.Error("a post is a payment of its own")
		}
		p.verify()
	})
}

// Concurrent posts beyond the balance lend exactly what lacks.
func TestPostsAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		crowd.AtOnce(12, func(i int) {
			if i%4 == 3 {
				_, err := p.Cards.Fund(context.Background(), ann, issuing.Transfer{Card: c.ID, Amount: usd(1_000)})
				check.OK(t, err)
				return
			}
			_, err := p.Post(context.Background(), authorization.Advice{Realm: c.Realm, Number: c.Number, Key: p.key(), Amount: usd(3_000), Merchant: ads})
			check.OK(t, err)
		})
		now, err := p.Cards.Get(context.Background(), ann, c.ID)
		check.OK(t, err)
		// What was repaid came from the wallet, so card less debt is what was put on it less what was taken, plus that.
		repaid := 100_000_000 - 10_000 - 3_000 - p.posted(ann, "wallet/USD")
		check.Equal(t, "balance less debt", now.Balance.Minor-p.posted(ann, "card.receivable/USD"), 10_000+3_000-27_000+repaid)
		check.Equal(t, "settlement", p.posted(ann, "card.settlement/USD"), 27_000)
		p.verify()
	})
}

// An over-capture that leaves less than the threshold, or takes more than there is, is
// booked, lends what lacks, and freezes the card.
func TestOverCaptureBeyondTheBalance(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_500, func(n *issuing.NewCard) { n.AutoFreezeAt = usd(400) })
		d := p.pay(p.request(c, 10_000, diner), "")
		p.look(c, issuing.Active, 500, 10_000)
		p.advise(p.Capture, of(d, 11_000), "")
		p.look(c, issuing.Frozen, 0, 0)
		check.Equal(t, "owed", p.posted(ann, "card.receivable/USD"), 500)
		p.verify()
	})
}

// What was not captured in time is released by the sweep, by the clock of the realm and
// the merchant's trade; nobody captures it after its instant, swept or not.
func TestExpire(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binAds, 100_000, limits(spending.Limit{Window: spending.PerYear, Amount: usd(20_000)}))
		shop, hotel := p.pay(p.request(c, 6_000, ads), ""), p.pay(p.request(c, 7_000, inn), "")
		part := p.pay(p.request(c, 5_000, ads), "")
		p.advise(p.Capture, of(part, 1_000), "")
		p.forward(7*day - 1)
		check.Equal(t, "too early", p.expire(), 0)
		p.forward(1)
		p.advise(p.Capture, of(shop, 0), authorization.ReasonEnded)
		counts := make([]int, 4)
		crowd.AtOnce(4, func(i int) { counts[i] = p.expire() })
		check.Equal(t, "expired", counts[0]+counts[1]+counts[2]+counts[3], 1) // the capture found the other one's time over
		p.look(c, issuing.Active, 92_000, 7_000)
		p.pay(p.request(c, 12_001, ads), authorization.ReasonSpendingLimit)
		p.pay(p.request(c, 12_000, ads), "") // the limit was given back
		state := func(d authorization.Decision) authorization.State {
			got, err := p.Get(ctx, d.Book, d.Transaction)
			check.OK(t, err)
			return got.State
		}
		check.Equal(t, "states", []authorization.State{state(shop), state(hotel), state(part)},
			[]authorization.State{authorization.StateExpired, authorization.StateOpen, authorization.StateSettled})
		p.advise(p.Reverse, of(shop, 0), "") // nothing is left to be reversed
		p.advise(p.Post, authorization.Advice{Book: ann.Book, Payment: shop.ID, Amount: usd(6_000)}, "")
		p.forward(23 * day)
		check.Equal(t, "expired", p.expire(), 2)
		p.look(c, issuing.Active, 93_000, 0)
		p.verify()
	})
}

// What payments held whose time is over can be spent, and their limits are given back, before a
// sweep came by; they end once all the same. Nothing is lent beside them.
func TestSpendWhatExpired(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c, other := p.issue(ann, binAds, 10_000, limits(spending.Limit{Window: spending.PerYear, Amount: usd(12_000)})), p.issue(ann, binAds, 10_000)
		p.pay(p.request(other, 9_000, ads), "")
		p.pay(p.request(c, 9_000, ads), "")
		p.pay(p.request(c, 9_000, ads), authorization.ReasonFunds)
		p.forward(7 * day)
		again := p.pay(p.request(c, 9_000, ads), "")
		p.look(c, issuing.Active, 1_000, 9_000)
		p.look(other, issuing.Active, 10_000, 0) // another card of the same person, whose limits are the same
		check.Equal(t, "expired", p.expire(), 0)
		p.forward(day)
		short := p.pay(p.request(c, 500, ads), "")
		p.forward(6 * day)
		p.advise(p.Increment, of(short, 9_000), "")
		p.look(c, issuing.Active, 500, 9_500)
		got, err := p.Get(context.Background(), again.Book, again.Transaction)
		check.OK(t, err)
		check.Equal(t, "state", got.State, authorization.StateExpired)
		p.pay(p.request(other, 9_000, ads), "")
		p.forward(7 * day)
		p.advise(p.Post, authorization.Advice{Realm: other.Realm, Number: other.Number, Amount: usd(9_000), Merchant: ads}, "")
		check.Equal(t, "lent", p.posted(ann, "card.receivable/USD"), 0)
		p.look(other, issuing.Active, 1_000, 0)
		p.verify()
	})
}

func (p *process) expire() int {
	p.t.Helper()
	n, err := p.Expire(context.Background())
	check.OK(p.t, err)
	return n
}

// A message that names no payment, another customer's, or one of another card is not
// found; one in another currency is refused.
func TestAdviceFaults(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c, other := p.issue(ann, binAds, 10_000), p.issue(ann, binAds, 10_000)
		r := p.request(c, 1_000, ads)
		d := p.pay(r, "")
		for name, row := range map[string]struct {
			a    authorization.Advice
			want fault.Code
		}{
			"no payment":         {authorization.Advice{Book: ann.Book}, fault.NotFound},
			"unknown payment":    {authorization.Advice{Book: ann.Book, Payment: "auth_01k9zzzzzzzzzzzzzzzzzzzzzz"}, fault.NotFound},
			"malformed payment":  {authorization.Advice{Book: ann.Book, Payment: "x"}, fault.NotFound},
			"another's payment":  {authorization.Advice{Book: bob.Book, Payment: d.ID}, fault.NotFound},
			"another's card":     {authorization.Advice{Book: bob.Book, Realm: c.Realm, Number: c.Number, Payment: d.ID}, fault.NotFound},
			"of another card":    {authorization.Advice{Realm: other.Realm, Number: other.Number, Payment: d.ID}, fault.NotFound},
			"no book":            {authorization.Advice{Original: r.Key}, fault.NotFound},
			"other currency":     {authorization.Advice{Book: ann.Book, Payment: d.ID, Amount: money.New(1, money.EUR)}, fault.CurrencyMismatch},
			"its own original":   {authorization.Advice{Book: ann.Book, Original: "same", Key: "same"}, fault.InvalidRequest},
			"negative":           {authorization.Advice{Book: ann.Book, Payment: d.ID, Amount: usd(-1)}, fault.InvalidAmount},
			"less charged":       {authorization.Advice{Book: ann.Book, Payment: d.ID, Charged: money.New(-1, money.EUR)}, fault.InvalidAmount},
			"less stands":        {authorization.Advice{Book: ann.Book, Payment: d.ID, Stands: usd(-1)}, fault.InvalidAmount},
			"stands in another":  {authorization.Advice{Book: ann.Book, Payment: d.ID, Stands: money.New(1, money.EUR)}, fault.CurrencyMismatch},
			"no currency":        {authorization.Advice{Book: ann.Book, Payment: d.ID, Amount: money.Amount{Minor: 1}}, fault.InvalidAmount},
			"merchant":           {authorization.Advice{Book: ann.Book, Payment: d.ID, Merchant: authorization.Merchant{Name: "\x00"}}, fault.InvalidRequest},
			"key of the payment": {authorization.Advice{Book: ann.Book, Payment: d.ID, Key: r.Key}, fault.IdempotencyConflict},
		} {
			if row.a.Key == "" {
				row.a.Key = p.key()
			}
			for kind, do := range map[string]func(context.Context, authorization.Advice) (authorization.Decision, error){"capture": p.Capture, "reverse": p.Reverse} {
				_, err := do(ctx, row.a)
				check.Code(t, name+": "+kind, err, row.want)
			}
		}
		_, err := p.Post(ctx, authorization.Advice{Book: ann.Book, Key: p.key(), Amount: usd(1)})
		check.Code(t, "post without a card", err, fault.InvalidRequest)
		_, err = p.Increment(ctx, authorization.Advice{Book: ann.Book, Payment: d.ID, Key: p.key()})
		check.Code(t, "increment of nothing", err, fault.InvalidAmount)
		p.look(c, issuing.Active, 9_000, 1_000)
	})
}

// A message that begins a payment stands for its card and its merchant: the same amount of
// another one is not the same message.
func TestKeyOfAnotherCard(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c, other := p.issue(ann, binAds, 10_000), p.issue(ann, binAds, 10_000)
		for name, do := range map[string]func(context.Context, authorization.Advice) (authorization.Decision, error){
			"post": p.Post, "refund": p.Refund, "stand-in": p.StandIn} {
			a := authorization.Advice{Realm: c.Realm, Number: c.Number, Key: p.key(), Amount: usd(500), Merchant: ads}
			p.advise(do, a, "")
			card, merchant := a, a
			card.Number, merchant.Merchant = other.Number, diner
			for of, another := range map[string]authorization.Advice{"another card": card, "another merchant": merchant} {
				_, err := do(context.Background(), another)
				check.Code(t, name+" of "+of, err, fault.IdempotencyConflict)
			}
		}
		p.look(other, issuing.Active, 10_000, 0)
		p.look(c, issuing.Active, 9_500, 500)

		// Nor does what another approved go with a request that was for something else.
		poor := p.issue(ann, binAds, 6_000)
		part, declined := p.request(poor, 10_000, ads), p.request(poor, 10_000, ads)
		part.PartialAllowed = true
		p.pay(part, "")
		p.pay(declined, authorization.ReasonFunds)
		same := authorization.Advice{Realm: poor.Realm, Number: poor.Number, Key: part.Key, Amount: usd(10_000), Merchant: ads}
		for name, change := range map[string]func(a *authorization.Advice){
			"another card":                func(a *authorization.Advice) { a.Number = other.Number },
			"another merchant":            func(a *authorization.Advice) { a.Merchant.ID = diner.ID },
			"another terminal":            func(a *authorization.Advice) { a.Merchant.Terminal = diner.Terminal },
			"less than was approved":      func(a *authorization.Advice) { a.Amount = usd(5_999) },
			"more than what was declined": func(a *authorization.Advice) { a.Key, a.Amount = declined.Key, usd(10_001) },
		} {
			a := same
			change(&a)
			_, err := p.StandIn(context.Background(), a)
			check.Code(t, "stand-in of "+name, err, fault.IdempotencyConflict)
		}
		p.look(poor, issuing.Active, 0, 6_000)
		p.advise(p.StandIn, same, "")
		p.look(poor, issuing.Active, 0, 10_000)
		p.verify()
	})
}

// Every message about a payment is answered once, however many come at once under its key.
func TestAdviceDuplicates(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 100_000)
		for name, do := range map[string]func(context.Context, authorization.Advice) (authorization.Decision, error){
			"increment": p.Increment, "capture": p.Capture, "reverse": p.Reverse, "refund": p.Refund, "post": p.Post} {
			d := p.pay(p.request(c, 1_000, ads), "")
			if name == "refund" {
				p.advise(p.Capture, of(d, 0), "")
			}
			a := of(d, 500)
			a.Key = p.key()
			lines := make([]string, 8)
			crowd.AtOnce(len(lines), func(i int) {
				got, err := do(context.Background(), a)
				check.OK(t, err)
				lines[i] = fmt.Sprint(got.Transaction, got.Approved, got.Amount)
			})
			for _, l := range lines {
				check.Equal(t, name, l, lines[0])
			}
			a.Amount = usd(501)
			_, err := do(context.Background(), a)
			check.Code(t, name+" of another amount", err, fault.IdempotencyConflict)
		}
		p.verify()
	})
}
