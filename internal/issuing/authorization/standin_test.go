package authorization_test

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// stoodIn is what another approved of a card.
func (p *process) stoodIn(c card, minor int64) authorization.Advice {
	return authorization.Advice{Realm: c.Realm, Number: c.Number, Key: p.key(), Amount: usd(minor), Merchant: ads}
}

// What another approved in the issuer's stead is held whole: beyond limits and balance,
// which is lent, and from a frozen or terminated card. What is let go repays what was lent
// before the card has it.
func TestStandInAdvice(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binDay, 10_000, limits(spending.Limit{Window: spending.PerMonth, Amount: usd(5_000)}))
		owed := func(minor int64) { t.Helper(); check.Equal(t, "owed", p.posted(ann, "card.receivable/USD"), minor) }
		first := p.advise(p.StandIn, p.stoodIn(c, 6_000), "")
		p.look(c, issuing.Active, 4_000, 6_000)
		if len(first.Code) != 6 || !first.StoodIn {
			t.Errorf("code %q, stood in %t", first.Code, first.StoodIn)
		}
		p.pay(p.request(c, 1, ads), authorization.ReasonSpendingLimit) // it counts
		_, err := p.Cards.Freeze(ctx, ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		owed(0)
		second := p.advise(p.StandIn, p.stoodIn(c, 9_000), "")
		p.look(c, issuing.Frozen, 0, 15_000)
		owed(5_000)
		p.advise(p.Reverse, of(second, 2_000), "")
		p.look(c, issuing.Frozen, 0, 13_000)
		owed(3_000)
		final := of(second, 5_500)
		final.Final = true
		p.advise(p.Capture, final, "") // lets go of 1,500
		owed(1_500)
		p.look(c, issuing.Frozen, 0, 6_000)
		more := p.stoodIn(c, 1_000)
		more.Original = "unknown"
		p.advise(p.StandIn, more, "") // of a payment that never came
		owed(2_500)
		more = p.stoodIn(c, 500)
		more.Payment = first.ID
		p.advise(p.StandIn, more, "")
		owed(3_000)
		_, err = p.Cards.Fund(ctx, ann, issuing.Transfer{Card: c.ID, Amount: usd(200)})
		check.OK(t, err)
		owed(0)
		p.advise(p.Reverse, of(first, 0), "")
		p.look(c, issuing.Frozen, 6_700, 1_000) // what was lent had been repaid
		_, err = p.Cards.Terminate(ctx, ann, issuing.Ending{Card: c.ID})
		check.OK(t, err)
		p.advise(p.StandIn, p.stoodIn(c, 400), "") // its account is there as long as something is held
		owed(400)
		p.forward(8 * day)
		check.Equal(t, "expired", p.expire(), 2)
		owed(0)
		_, err = p.Cards.Expire(ctx)
		check.OK(t, err)
		gone := p.advise(p.StandIn, p.stoodIn(c, 700), "") // of a card whose account is closed
		owed(0)
		p.advise(p.Capture, of(gone, 300), "")
		owed(300)
		p.advise(p.Reverse, of(gone, 0), "")
		owed(300)
		p.verify()
	})
}

// A customer of whom nothing was ever taken, whose card is gone, owes what is booked or held on it
// all the same, and has back what a merchant gives.
func TestFirstMessageOfAGoneCard(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		for name, row := range map[string]struct {
			do                        func(context.Context, authorization.Advice) (authorization.Decision, error)
			owed, settlement, settled int64 // owed and settled now, and settled once all is captured
		}{
			"post":     {p.Post, 700, 700, 700},
			"stand_in": {p.StandIn, 0, 0, 700},
			"refund":   {p.Refund, 0, -700, -700},
		} {
			h := issuing.Holder{Book: ledger.BookID("bk_" + name), Realm: ann.Realm, Actor: "seed/" + name}
			p.Customer(h, 10_000)
			c := p.issue(h, binAds, 1_000)
			_, err := p.Cards.Terminate(ctx, h, issuing.Ending{Card: c.ID})
			check.OK(t, err)
			d := p.advise(row.do, p.stoodIn(c, 700), "")
			check.Equal(t, name+": owed and settled", []int64{p.posted(h, "card.receivable/USD"), p.posted(h, "card.settlement/USD")}, []int64{row.owed, row.settlement})
			if row.settled != row.settlement {
				p.advise(p.Capture, of(d, 0), "")
				check.Equal(t, name+": owed and settled then", []int64{p.posted(h, "card.receivable/USD"), p.posted(h, "card.settlement/USD")}, []int64{row.settled, row.settled})
			}
		}
		p.verify()
	})
}

// What another approved counts as spent until it is let go, and freezes the card as a payment does.
func TestStandInCounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000, limits(spending.Limit{Window: spending.PerDay, Amount: usd(5_000)}), func(n *issuing.NewCard) { n.AutoFreezeAt = usd(2_000) })
		spent := func(minor int64) {
			t.Helper()
			now, err := p.Cards.Get(context.Background(), ann, c.ID)
			check.OK(t, err)
			check.Equal(t, "spent", now.Spent, usd(minor))
		}
		d := p.advise(p.StandIn, p.stoodIn(c, 4_000), "")
		spent(4_000)
		p.pay(p.request(c, 1_001, ads), authorization.ReasonSpendingLimit)
		p.advise(p.Reverse, of(d, 0), "")
		spent(0)
		p.pay(p.request(c, 5_000, ads), "")
		p.advise(p.StandIn, p.stoodIn(c, 3_000), "") // exactly the threshold
		p.look(c, issuing.Active, 2_000, 8_000)
		p.advise(p.StandIn, p.stoodIn(c, 1), "")
		p.look(c, issuing.Frozen, 1_999, 8_001)
		p.verify()
	})
}

// Of a request that was approved whole and reversed since, in part or as a whole, nothing is left
// that another could have approved, or that could be owed: who tells of it is told so. A reversal
// that an operator reversed in the books undid nothing.
func TestAdviceOfWhatWasReversed(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		const none, gone = authorization.ReasonNone, authorization.ReasonReversed
		for _, c := range []struct {
			captured bool  // a purchase
			stands   int64 // after the reversal
			voided   bool  // the reversal was reversed in the books
			reason   authorization.Reason
			left     int64
			held     int64
		}{
			{false, 0, false, gone, 6_000, 0}, {false, 3_500, false, gone, 2_500, 3_500},
			{true, 0, false, gone, 6_000, 0}, {true, 3_500, false, gone, 2_500, 0}, {true, 0, true, none, 2_000, 0},
		} {
			made := p.issue(ann, binAds, 6_000)
			r := p.request(made, 4_000, ads)
			r.Captured = c.captured
			approved := p.pay(r, none)
			undo, told, tell := naming(made, r.Key, 0), naming(made, "", 4_000), p.StandIn
			if c.captured {
				tell = p.Complete
			}
			undo.Stands, told.Key = usd(c.stands), r.Key
			d := p.advise(p.Reverse, undo, none)
			if c.voided {
				p.undone(d, "")
			}
			for range 2 {
				d = p.advise(tell, told, c.reason)
				check.Equal(t, "has the code of what was approved", d.Code == approved.Code, c.voided)
				p.look(made, issuing.Active, c.left, c.held)
			}
		}
		p.verify()
	})
}

// The lines and events of what another approved are those of an authorization, once,
// however often it comes and how many at once.
func TestStandInAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		same := p.stoodIn(c, 3_000)
		crowd.AtOnce(12, func(i int) {
			a := same
			if i >= 6 {
				a = p.stoodIn(c, 3_000)
			}
			d, err := p.StandIn(context.Background(), a)
			check.OK(t, err)
			if !d.Approved {
				t.Errorf("declined: %s", d.Reason)
			}
		})
		p.look(c, issuing.Active, 0, 21_000)
		check.Equal(t, "owed", p.posted(ann, "card.receivable/USD"), 11_000)
		check.Equal(t, "lines", len(p.lines(c)), 7)
		p.verify()
	})
}

// Whatever is approved elsewhere, captured, let go, funded and ended, in whatever order:
// what is on the card less what is owed is what was paid in less what was captured; and
// what was lent without being captured is never owed once nothing is held.
func TestStandInAddsUp(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db)
		rapid.Check(t, func(r *rapid.T) {
			ctx, c := context.Background(), p.issue(ann, binAds, 1_000)
			debt := p.posted(ann, "card.receivable/USD")
			paid, taken := int64(1_000), int64(0)
			var open []authorization.Decision
			about := func(minor int64) authorization.Advice {
				return authorization.Advice{Book: ann.Book, Payment: rapid.SampledFrom(open).Draw(r, "payment").ID, Key: p.key(), Amount: usd(minor)}
			}
			for range rapid.IntRange(1, 8).Draw(r, "steps") {
				minor := rapid.Int64Range(100, 2_000).Draw(r, "amount")
				step := rapid.IntRange(0, 4).Draw(r, "step")
				switch {
				case step == 0 || len(open) == 0:
					d, err := p.StandIn(ctx, p.stoodIn(c, minor))
					check.OK(t, err)
					open = append(open, d)
				case step == 1:
					a := about(minor)
					a.Final = rapid.Bool().Draw(r, "final")
					d, err := p.Capture(ctx, a)
					check.OK(t, err)
					taken += d.Amount.Minor
				case step == 2:
					_, err := p.Reverse(ctx, about(minor))
					check.OK(t, err)
				case step == 3:
					before := p.posted(ann, "card.receivable/USD")
					_, err := p.Cards.Fund(ctx, ann, issuing.Transfer{Card: c.ID, Amount: usd(minor)})
					check.OK(t, err)
					paid += minor + before
				default:
					a := p.stoodIn(c, minor)
					a.Payment = about(0).Payment
					d, err := p.StandIn(ctx, a)
					check.OK(t, err)
					if d.ID != a.Payment { // that had ended
						open = append(open, d)
					}
				}
			}
			for _, d := range open {
				_, err := p.Reverse(ctx, authorization.Advice{Book: ann.Book, Payment: d.ID, Key: p.key()})
				check.OK(t, err)
			}
			now, err := p.Cards.Get(ctx, ann, c.ID)
			check.OK(t, err)
			owed := p.posted(ann, "card.receivable/USD")
			if now.Held.Minor != 0 || now.Balance.Minor-owed != paid-taken-debt || owed-debt > taken {
				r.Errorf("balance %s, held %s, owed %d and %d before; paid in %d, taken %d", now.Balance, now.Held, owed, debt, paid, taken)
			}
		})
		p.verify()
	})
}
