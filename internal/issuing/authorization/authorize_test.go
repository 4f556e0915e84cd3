package authorization_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// An approval holds the money, has six digits, and is written in the card's history and told.
func TestApproval(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 50_000)
		d := p.pay(p.request(c, 1_250, ads), "")
		if len(d.Code) != 6 || d.Amount != usd(1_250) || d.Balance != usd(48_750) || d.Card != c.ID || d.Book != ann.Book || d.Repeated {
			t.Errorf("decision %+v", d)
		}
		p.look(c, issuing.Active, 48_750, 1_250)
		check.Equal(t, "history", p.lines(c), []string{"authorization -12.50 487.50"})
		got, err := p.Get(context.Background(), ann.Book, d.Transaction)
		check.OK(t, err)
		if got.Merchant != ads || got.Category != "advertising" || got.State != authorization.StateOpen || got.Code != d.Code || got.Entry != authorization.Online || got.Books == "" {
			t.Errorf("transaction %+v", got)
		}
		events := p.events(ann)
		check.Equal(t, "events", types(events), []string{"transaction.authorized"})
		check.Equal(t, "event", string(events[0].Data), `{"transaction_id":"`+string(d.Transaction)+`","authorization_id":"`+string(d.ID)+`","card_id":"`+string(c.ID)+
			`","type":"authorization","amount":"12.50","currency":"USD","balance_after":"487.50","merchant_name":"FACEBK ADS","merchant_category":"advertising","mcc":"7311","merchant_country":"US"}`)
		now, err := p.Cards.Get(context.Background(), ann, c.ID)
		check.OK(t, err)
		if now.Spent != usd(1_250) || now.Transactions != 1 || !now.LastUsedAt.Equal(d.At) {
			t.Errorf("the card spent %s in %d, last at %s", now.Spent, now.Transactions, now.LastUsedAt)
		}
		p.verify()
	})
}

// limits is a change of a new card's controls.
func limits(all ...spending.Limit) func(*issuing.NewCard) {
	return func(n *issuing.NewCard) { n.Controls.Limits = all }
}

func controls(change func(*issuing.Controls)) func(*issuing.NewCard) {
	return func(n *issuing.NewCard) { change(&n.Controls) }
}

// A payment that everything speaks against is declined for what comes first in the
// contract's order, and again for the next once that is out of the way.
func TestOrderOfChecks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binDay, 60_000, controls(func(all *issuing.Controls) {
			all.Limits = []spending.Limit{{Window: spending.PerMonth, Amount: usd(90_000)}, {Window: spending.PerDay, Amount: usd(100)}, {Window: spending.PerPayment, Amount: usd(50)}}
			all.Categories, all.Countries, all.Currencies, all.Merchant = []string{"airlines"}, []string{"FR"}, []money.Currency{money.EUR}, "M-EAT"
		}))
		r := p.request(c, 100_001, ads)
		r.Expiry, r.CVC, r.Postcode = "2001", pan.NewSecret("000"), "99999"
		if c.CVC.Equal(r.CVC) {
			r.CVC = pan.NewSecret("001")
		}
		next := func(reason authorization.Reason, then func()) {
			t.Helper()
			r.Key = p.key()
			d := p.pay(r, reason)
			if d.Sentence == "" || d.Advice == "" || !d.Amount.IsZero() {
				t.Errorf("%s: %+v", reason, d)
			}
			then()
		}
		change := func(set func(*issuing.Controls)) {
			t.Helper()
			now, err := p.Cards.Get(ctx, ann, c.ID)
			check.OK(t, err)
			set(&now.Controls)
			_, err = p.Cards.Change(ctx, ann, issuing.Change{Card: c.ID, Controls: &now.Controls})
			check.OK(t, err)
		}
		_, err := p.Cards.Freeze(ctx, ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		next(authorization.ReasonCardFrozen, func() {
			_, err := p.Cards.Unfreeze(ctx, ann, issuing.Step{Card: c.ID})
			check.OK(t, err)
		})
		next(authorization.ReasonMaxTransaction, func() { r.Amount = usd(100_000) })
		next(authorization.ReasonSpendingLimit, func() {
			change(func(all *issuing.Controls) {
				all.Limits = spending.With(all.Limits, spending.Limit{Window: spending.PerMonth})
			})
		})
		next(authorization.ReasonCategory, func() { change(func(all *issuing.Controls) { all.Categories = nil }) })
		next(authorization.ReasonFunds, func() { r.Amount = usd(60_000) })
		next(authorization.ReasonSpendingLimit, func() { // of a payment
			change(func(all *issuing.Controls) {
				all.Limits = spending.With(all.Limits, spending.Limit{Window: spending.PerPayment})
			})
		})
		next(authorization.ReasonSpendingLimit, func() { // of a day
			change(func(all *issuing.Controls) { all.Limits = nil })
		})
		next(authorization.ReasonCountry, func() { r.Merchant.Country = "FR" })
		next(authorization.ReasonCurrency, func() { r.Original = money.New(100, money.EUR) })
		next(authorization.ReasonMerchant, func() { r.Merchant.ID = "M-EAT" })
		next(authorization.ReasonExpiryWrong, func() { r.Expiry = c.Expiry })
		next(authorization.ReasonCVCWrong, func() { r.CVC = c.CVC })
		next(authorization.ReasonAddressWrong, func() { r.Postcode = "19801" })
		r.Key = p.key()
		p.pay(r, "")
		p.look(c, issuing.Active, 0, 60_000)
		p.verify()
	})
}

// The month's limit of the BIN is told before the card's own, and each counts what was
// authorized in the month.
func TestMonth(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binDay, 500_000, limits(spending.Limit{Window: spending.PerMonth, Amount: usd(150_000)}))
		p.pay(p.request(c, 100_000, ads), "")
		p.pay(p.request(c, 50_001, ads), authorization.ReasonSpendingLimit)
		p.pay(p.request(c, 50_000, ads), "")
		p.pay(p.request(c, 1, ads), authorization.ReasonSpendingLimit)
		p.forward(10 * day) // December
		p.pay(p.request(c, 100_000, ads), "")

		wide := p.issue(ann, binDay, 500_000)
		_, err := p.Cards.Fund(context.Background(), ann, issuing.Transfer{Card: wide.ID, Amount: usd(500_000)})
		check.OK(t, err)
		_, err = p.Cards.Fund(context.Background(), ann, issuing.Transfer{Card: wide.ID, Amount: usd(500_000)})
		check.OK(t, err)
		for range 10 {
			p.pay(p.request(wide, 100_000, ads), "")
		}
		p.pay(p.request(wide, 1, ads), authorization.ReasonMaxMonthly)
		p.verify()
	})
}

// Counts, tiers and other windows bound payments, too; a balance that is too low is told
// before them.
func TestOtherLimits(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000, limits(spending.Limit{Window: spending.PerDay, Count: 2}, spending.Limit{Window: spending.ForLife, Amount: usd(5_000)}))
		p.pay(p.request(c, 1_000, ads), "")
		p.pay(p.request(c, 4_001, ads), authorization.ReasonSpendingLimit)
		d := p.pay(p.request(c, 1_000, ads), "")
		p.pay(p.request(c, 1_000, ads), authorization.ReasonCountLimit)
		p.pay(p.request(c, 9_000, ads), authorization.ReasonFunds)
		p.advise(p.Reverse, of(d, 0), "")
		p.pay(p.request(c, 4_000, ads), "") // the reversal gave both back
		p.forward(day)
		p.pay(p.request(c, 1, ads), authorization.ReasonSpendingLimit)

		// That of one payment is not of all together, and a number of payments has no amount.
		each := p.issue(ann, binAds, 10_000, limits(spending.Limit{Window: spending.PerPayment, Amount: usd(4_000)}, spending.Limit{Window: spending.PerMonth, Count: 2}))
		p.pay(p.request(each, 4_001, ads), authorization.ReasonSpendingLimit)
		for range 2 {
			p.pay(p.request(each, 4_000, ads), "")
		}
		p.pay(p.request(each, 1, ads), authorization.ReasonCountLimit)
		p.verify()
	})
}

// A tier bounds the payments of all cards of a person together, and each of them.
func TestTierCounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		_, err := p.Cards.Cardholders.PutTier(context.Background(), cardholder.TierChange{Actor: "op/1", Tier: cardholder.Tier{Name: cardholder.Anonymous, Currency: money.USD,
			Limits: []spending.Limit{{Window: spending.PerPayment, Amount: usd(4_000)}, {Window: spending.PerYear, Count: 3}}}})
		check.OK(t, err)
		c, other := p.issue(ann, binAds, 10_000), p.issue(ann, binAds, 10_000)
		p.pay(p.request(c, 4_001, ads), authorization.ReasonTierLimit)
		p.pay(p.request(c, 4_000, ads), "")
		p.pay(p.request(other, 4_000, ads), "")
		d := p.pay(p.request(c, 4_000, ads), "")
		p.pay(p.request(other, 1, ads), authorization.ReasonTierLimit)
		p.advise(p.Reverse, of(d, 0), "")
		p.pay(p.request(other, 1, ads), "")
		p.verify()
	})
}

// Where the limits of a tier came to be in another currency than a card, nothing is paid with
// it: they cannot be kept, and nothing is bounded by none. What it pays nevertheless is booked.
func TestTierInOtherMoney(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		put := func(in money.Currency, limits ...spending.Limit) {
			t.Helper()
			_, err := p.Cards.Cardholders.PutTier(context.Background(), cardholder.TierChange{Actor: "op/1",
				Tier: cardholder.Tier{Name: cardholder.Anonymous, Currency: in, Limits: limits}})
			check.OK(t, err)
		}
		c := p.issue(ann, binAds, 10_000)
		d := p.pay(p.request(c, 100, ads), "")
		put(money.EUR, spending.Limit{Window: spending.PerYear, Amount: money.New(1_000_000, money.EUR)})
		p.pay(p.request(c, 100, ads), authorization.ReasonTierLimit)
		p.pay(p.request(c, 0, ads), authorization.ReasonTierLimit)
		p.advise(p.Increment, of(d, 50), authorization.ReasonTierLimit)
		p.advise(p.Capture, of(d, 100), "")
		p.advise(p.Refund, of(d, 40), "")
		put(money.EUR)
		p.pay(p.request(c, 100, ads), "")
		put(money.USD, spending.Limit{Window: spending.PerYear, Amount: usd(1_000)})
		p.pay(p.request(c, 100, ads), "")
		p.verify()
	})
}

// A merchant who takes less gets what every limit of amounts leaves, and no more than is
// there; limits of one payment and of a number of payments give no parts.
func TestPartialWithinLimits(t *testing.T) {
	tier := []spending.Limit{{Window: spending.PerYear, Amount: usd(4_000)}}
	for name, row := range map[string]struct {
		limits []spending.Limit
		tier   []spending.Limit
		funds  int64
		first  int64 // what was spent before
		want   int64 // what is approved of 50.00; zero: nothing
		reason authorization.Reason
	}{
		"month":            {limits: []spending.Limit{{Window: spending.PerMonth, Amount: usd(3_000)}}, first: 1_000, want: 2_000},
		"day":              {limits: []spending.Limit{{Window: spending.PerDay, Amount: usd(3_000)}}, first: 2_999, want: 1},
		"tighter of two":   {limits: []spending.Limit{{Window: spending.PerDay, Amount: usd(3_000)}, {Window: spending.ForLife, Amount: usd(1_200)}}, first: 200, want: 1_000},
		"tier":             {tier: tier, first: 1_000, want: 3_000},
		"balance below it": {limits: []spending.Limit{{Window: spending.PerWeek, Amount: usd(4_000)}}, first: 1_000, funds: 2_500, want: 1_500},
		"used up":          {limits: []spending.Limit{{Window: spending.PerMonth, Amount: usd(1_000)}}, first: 1_000, reason: authorization.ReasonSpendingLimit},
		"tier used up":     {tier: tier, first: 4_000, reason: authorization.ReasonTierLimit},
		"one payment":      {limits: []spending.Limit{{Window: spending.PerPayment, Amount: usd(4_000)}}, first: 100, reason: authorization.ReasonSpendingLimit},
		"count":            {limits: []spending.Limit{{Window: spending.PerDay, Count: 1}}, first: 100, reason: authorization.ReasonCountLimit},
	} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, p *process) {
				if row.tier != nil {
					_, err := p.Cards.Cardholders.PutTier(context.Background(), cardholder.TierChange{Actor: "op/1", Tier: cardholder.Tier{Name: cardholder.Anonymous, Currency: money.USD, Limits: row.tier}})
					check.OK(t, err)
				}
				if row.funds == 0 {
					row.funds = 100_000
				}
				c := p.issue(ann, binAds, row.funds, limits(row.limits...))
				p.pay(p.request(c, row.first, ads), "")
				r := p.request(c, 5_000, ads)
				r.PartialAllowed = true
				d := p.pay(r, row.reason)
				check.Equal(t, "approved", d.Amount, usd(row.want))
				p.verify()
			})
		})
	}
}

// A merchant who takes less gets what is there; one who does not gets nothing.
func TestPartialApproval(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 3_000)
		p.pay(p.request(c, 5_000, ads), authorization.ReasonFunds)
		r := p.request(c, 5_000, ads)
		r.PartialAllowed = true
		d := p.pay(r, "")
		if d.Amount != usd(3_000) || !d.Balance.IsZero() {
			t.Errorf("approved %s, %s left", d.Amount, d.Balance)
		}
		again := p.pay(r, "")
		if again.Amount != d.Amount || again.ID != d.ID || !again.Repeated {
			t.Errorf("again %+v", again)
		}
		r.Key = p.key()
		p.pay(r, authorization.ReasonFunds)
		p.advise(p.Capture, of(d, 0), "")
		p.look(c, issuing.Active, 0, 0)
		p.verify()
	})
}

// Limits of a day, a month and a year begin at midnight of UTC, those of a week on Monday; what
// is added to a payment, or let go of it, counts where the payment began.
func TestWindowsAtTheirEdges(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		now := func(at time.Time) { p.forward(at.Sub(p.Clocks.Now(ann.Realm))) }
		year := time.Date(2027, time.January, 1, 0, 0, 0, 0, time.UTC) // a Friday
		c := p.issue(ann, binAds, 50_000, limits(spending.Limit{Window: spending.PerDay, Amount: usd(1_000)}, spending.Limit{Window: spending.PerWeek, Amount: usd(1_500)},
			spending.Limit{Window: spending.PerMonth, Amount: usd(2_000)}, spending.Limit{Window: spending.PerYear, Amount: usd(2_600)}))
		room := func(minor int64) authorization.Decision { // as much is left, and no more
			t.Helper()
			p.pay(p.request(c, minor+1, ads), authorization.ReasonSpendingLimit)
			return p.pay(p.request(c, minor, ads), "")
		}
		now(year.Add(-time.Microsecond))
		d := room(1_000)
		now(year)
		room(500) // of the week
		p.advise(p.Increment, of(d, 1), authorization.ReasonSpendingLimit)
		p.advise(p.Reverse, of(d, 400), "")
		room(400)
		now(year.AddDate(0, 0, 3))
		room(1_000) // of Monday
		now(year.AddDate(0, 0, 4))
		room(100) // of January
		now(year.AddDate(0, 1, 0))
		p.expire()
		room(1_000) // all of January was let go
		p.verify()
	})
}

// A payment of nothing asks whether the card is in order, and moves nothing.
func TestVerification(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 1_000)
		r := p.request(c, 0, ads)
		r.Postcode, r.Address = " 1980 1", "123 PRIVACY ST"
		d := p.pay(r, "")
		check.Equal(t, "AVS", d.AVS, authorization.AVSMatch)
		r.Key, r.Address = p.key(), "9 Privacy Street"
		check.Equal(t, "AVS", p.pay(r, "").AVS, authorization.AVSPostcode)
		r.Key, r.Postcode = p.key(), "19801-1234" // the card's has no more than five digits
		check.Equal(t, "AVS", p.pay(r, "").AVS, authorization.AVSPostcode)
		for _, other := range []string{"198011", "19801ABCD", "19801-12E4"} {
			r.Key, r.Postcode = p.key(), other
			p.pay(r, authorization.ReasonAddressWrong)
		}
		r.Key, r.Postcode, r.Address = p.key(), "99999", "123 Privacy"
		check.Equal(t, "AVS", p.pay(r, authorization.ReasonAddressWrong).AVS, authorization.AVSAddress)
		r.Key, r.Postcode, r.Expiry = p.key(), "", "2001"
		p.pay(r, authorization.ReasonExpiryWrong)
		p.look(c, issuing.Active, 1_000, 0)
		p.advise(p.Capture, of(d, 0), authorization.ReasonEnded)
		check.Equal(t, "history", p.lines(c), []string{"authorization 0.00 10.00", "authorization 0.00 10.00", "authorization 0.00 10.00",
			"decline 0.00 10.00 address_wrong", "decline 0.00 10.00 address_wrong", "decline 0.00 10.00 address_wrong", "decline 0.00 10.00 address_wrong", "decline 0.00 10.00 expiry_wrong"})
	})
}

// The same message is answered the same, declines included, however many come at once and
// whatever happened since; another message under its key is refused.
func TestDuplicates(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binAds, 10_000)
		yes, no := p.request(c, 6_000, ads), p.request(c, 6_000, diner)
		first := p.pay(yes, "")
		declined := p.pay(no, authorization.ReasonFunds)
		_, err := p.Cards.Fund(ctx, ann, issuing.Transfer{Card: c.ID, Amount: usd(50_000)})
		check.OK(t, err)
		_, err = p.Cards.Freeze(ctx, ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		for _, row := range []struct {
			r    authorization.Request
			want authorization.Decision
		}{{yes, first}, {no, declined}} {
			crowd.AtOnce(8, func(int) {
				got, err := p.Authorize(ctx, row.r)
				if diff := cmp.Diff(row.want, got, ignoreRepeats); diff != "" || err != nil || !got.Repeated {
					t.Errorf("%v (-first +again):\n%s", err, diff)
				}
			})
			other := row.r
			other.Amount = usd(1)
			_, err := p.Authorize(ctx, other)
			check.Code(t, "another amount", err, fault.IdempotencyConflict)
		}
		_, err = p.Cards.Unfreeze(ctx, ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		fresh := p.request(c, 1_000, ads)
		ids, repeated := make([]authorization.ID, 16), make([]bool, 16)
		crowd.AtOnce(16, func(i int) {
			d, err := p.Authorize(ctx, fresh)
			check.OK(t, err)
			ids[i], repeated[i] = d.ID, d.Repeated
		})
		firsts := 0
		for i := range ids {
			if ids[i] != ids[0] {
				t.Errorf("payments %s and %s", ids[i], ids[0])
			}
			if !repeated[i] {
				firsts++
			}
		}
		check.Equal(t, "answers that were the first", firsts, 1)
		p.look(c, issuing.Active, 53_000, 7_000)
		p.verify()
	})
}

// An approval and a decline of the same message at once, while the card is frozen and
// unfrozen, leave one answer.
func TestDuplicatesOfAFlickeringCard(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binAds, 100_000)
		for range 10 {
			r := p.request(c, 100, ads)
			answers := make([]authorization.Decision, 8)
			crowd.AtOnce(10, func(i int) {
				switch i {
				case 8:
					_, err := p.Cards.Freeze(ctx, ann, issuing.Step{Card: c.ID})
					check.OK(t, err)
				case 9:
					_, err := p.Cards.Unfreeze(ctx, ann, issuing.Step{Card: c.ID})
					check.OK(t, err)
				default:
					var err error
					answers[i], err = p.Authorize(ctx, r)
					check.OK(t, err)
				}
			})
			for i := range answers {
				check.Equal(t, "the same answer", answers[i], answers[0], ignoreRepeats)
			}
			_, err := p.Cards.Unfreeze(ctx, ann, issuing.Step{Card: c.ID})
			check.OK(t, err)
		}
		p.verify()
	})
}

// However many pay at once, no card spends more than it has, and none more than its limits.
func TestNeverOverspent(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		poor := p.issue(ann, binAds, 1_000)
		bounded := p.issue(ann, binAds, 100_000, limits(spending.Limit{Window: spending.PerMonth, Amount: usd(2_000)}, spending.Limit{Window: spending.PerDay, Count: 9}))
		approved := make([]bool, 80)
		crowd.AtOnce(len(approved), func(i int) {
			c := poor
			if i%2 == 1 {
				c = bounded
			}
			d, err := p.Authorize(context.Background(), p.request(c, 300, ads))
			check.OK(t, err)
			approved[i] = d.Approved
		})
		var count [2]int
		for i, yes := range approved {
			if yes {
				count[i%2]++
			}
		}
		check.Equal(t, "approvals of the poor and of the bounded card", count, [2]int{3, 6})
		p.look(poor, issuing.Active, 100, 900)
		p.look(bounded, issuing.Active, 98_200, 1_800)
		p.verify()
	})
}

// A number that no card has, another realm's and another customer's card are unknown alike,
// and nothing is kept of them.
func TestUnknownCard(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 1_000)
		number, err := pan.Parse("4916530000000000")
		check.OK(t, err)
		r := p.request(c, 100, ads)
		r.Number = number
		none := p.pay(r, authorization.ReasonCardUnknown)
		r = p.request(c, 100, ads)
		r.Realm = realm.Live
		p.pay(r, authorization.ReasonCardUnknown)
		r = p.request(c, 100, ads)
		r.Number, r.Book, r.Card = pan.Number{}, bob.Book, c.ID
		other := p.pay(r, authorization.ReasonCardUnknown)
		other.At = none.At
		check.Equal(t, "another's card", other, none, ignoreRepeats)
		r.Book = ann.Book
		p.pay(r, "")
		if got := p.lines(c); len(got) != 1 {
			t.Errorf("history %v", got)
		}
	})
}

// A payment that leaves less than the threshold freezes the card with itself, once, and
// another at the same time is declined.
func TestAutoFreeze(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000, func(n *issuing.NewCard) { n.AutoFreezeAt = usd(2_000) })
		most := p.pay(p.request(c, 8_000, ads), "") // exactly the threshold
		p.look(c, issuing.Active, 2_000, 8_000)
		last := p.pay(p.request(c, 1, ads), "")
		p.look(c, issuing.Frozen, 1_999, 8_001)
		now, err := p.Cards.Get(context.Background(), ann, c.ID)
		check.OK(t, err)
		check.Equal(t, "reason", now.Reason, issuing.ReasonAutoFreeze)
		p.pay(p.request(c, 1, ads), authorization.ReasonCardFrozen)
		p.advise(p.Capture, of(last, 0), "") // what was approved is paid
		_, err = p.Cards.Unfreeze(context.Background(), ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		p.advise(p.Capture, of(most, 0), "") // its owner spends nothing anew
		p.look(c, issuing.Active, 1_999, 0)
		approved := make([]bool, 8)
		crowd.AtOnce(8, func(i int) {
			d, err := p.Authorize(context.Background(), p.request(c, 10, ads))
			check.OK(t, err)
			approved[i] = d.Approved
		})
		count := 0
		for _, yes := range approved {
			if yes {
				count++
			}
		}
		check.Equal(t, "approvals", count, 1)
		p.look(c, issuing.Frozen, 1_989, 10)
		p.verify()
	})
}

// What is added to a payment freezes the card as a payment does.
func TestAutoFreezeByIncrement(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000, func(n *issuing.NewCard) { n.AutoFreezeAt = usd(2_000) })
		d := p.pay(p.request(c, 7_000, inn), "")
		p.advise(p.Increment, of(d, 1_000), "") // exactly the threshold
		p.look(c, issuing.Active, 2_000, 8_000)
		p.advise(p.Increment, of(d, 1), "")
		p.look(c, issuing.Frozen, 1_999, 8_001)
		p.advise(p.Increment, of(d, 1), authorization.ReasonCardFrozen)
		p.advise(p.Capture, of(d, 0), "")
		p.look(c, issuing.Frozen, 1_999, 0)
		p.verify()
	})
}

// What is owed by the old number of a card freezes the card as well.
func TestAutoFreezeByAnOldNumber(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000, func(n *issuing.NewCard) { n.AutoFreezeAt = usd(5_000) })
		r := p.request(c, 1_000, ads)
		d := p.pay(r, "")
		_, err := p.Cards.Replace(context.Background(), c.Holder, issuing.Replacement{Card: c.ID, Reason: issuing.ReasonLost})
		check.OK(t, err)
		more := naming(c, r.Key, 500)
		more.Key = p.key()
		p.advise(p.Increment, more, authorization.ReasonCardTerminated) // nobody pays with it
		p.advise(p.Capture, of(d, 0), "")
		p.look(c, issuing.Active, 9_000, 0)
		p.advise(p.Post, naming(c, "", 4_500), "")
		p.look(c, issuing.Frozen, 4_500, 0)

		other := join(t, p.DB, p.Clocks)
		other.keys.Store(1_000_000)
		c = p.issue(ann, binAds, 10_000, func(n *issuing.NewCard) { n.AutoFreezeAt = usd(5_000) })
		other.pay(other.request(c, 1_000, ads), "") // it remembers the number
		_, err = p.Cards.Replace(context.Background(), c.Holder, issuing.Replacement{Card: c.ID, Reason: issuing.ReasonLost})
		check.OK(t, err)
		other.advise(other.Post, naming(c, "", 4_500), "")
		p.look(c, issuing.Frozen, 4_500, 1_000)
		p.verify()
	})
}

// A card for a single payment has one at a time, none after its capture, and goes with it.
func TestSingleUse(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000, controls(func(all *issuing.Controls) { all.SingleUse = true }))
		d := p.pay(p.request(c, 1_000, ads), "")
		p.pay(p.request(c, 1_000, ads), authorization.ReasonUsed)
		p.advise(p.Reverse, of(d, 0), "")
		d = p.pay(p.request(c, 1_000, ads), "")
		p.advise(p.Capture, of(d, 400), "")
		p.pay(p.request(c, 1_000, ads), authorization.ReasonUsed)
		p.advise(p.Capture, of(d, 600), "")
		p.pay(p.request(c, 1_000, ads), authorization.ReasonUsed)
		before := p.posted(ann, "wallet/USD")
		n, err := p.Cards.Expire(context.Background())
		check.OK(t, err)
		check.Equal(t, "cards that ended", n, 1)
		check.Equal(t, "back in the wallet", p.posted(ann, "wallet/USD")-before, 9_000)
		p.advise(p.Refund, of(d, 300), "")
		check.Equal(t, "refunded to the wallet", p.posted(ann, "wallet/USD")-before, 9_300)
		p.verify()
	})
}

// A card for a single payment goes with it as well where a part was captured and the rest
// let go, by the merchant or by time; not where nothing of the payment is left.
func TestSingleUseInPart(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		one := controls(func(all *issuing.Controls) { all.SingleUse = true })
		reversed, expired, undone := p.issue(ann, binAds, 10_000, one), p.issue(ann, binAds, 10_000, one), p.issue(ann, binAds, 10_000, one)
		first, second, third := p.pay(p.request(reversed, 1_000, ads), ""), p.pay(p.request(expired, 1_000, ads), ""), p.pay(p.request(undone, 1_000, ads), "")
		p.advise(p.Capture, of(first, 400), "")
		p.advise(p.Capture, of(second, 400), "")
		taken := of(third, 400)
		taken.Key = p.key()
		p.advise(p.Capture, taken, "")
		p.advise(p.Reverse, naming(undone, taken.Key, 0), "")
		p.advise(p.Reverse, of(third, 0), "")
		p.pay(p.request(undone, 1_000, ads), "")
		p.advise(p.Reverse, of(first, 0), "")
		p.forward(7 * day)
		n, err := p.Expire(context.Background())
		check.OK(t, err)
		check.Equal(t, "payments that ended", n, 2)
		for name, c := range map[string]card{"reversed": reversed, "expired": expired} {
			now, err := p.Cards.Get(context.Background(), c.Holder, c.ID)
			check.OK(t, err)
			check.Equal(t, name, []any{now.Status, now.Reason}, []any{issuing.Terminated, issuing.ReasonUsedUp})
		}
		before := p.posted(ann, "wallet/USD")
		n, err = p.Cards.Expire(context.Background())
		check.OK(t, err)
		check.Equal(t, "cards that ended", n, 2)
		check.Equal(t, "back in the wallet", p.posted(ann, "wallet/USD")-before, 19_200)
		p.look(undone, issuing.Active, 10_000, 0)
		p.verify()
	})
}

// A purchase may be the single one of a card and leave less on it than freezes it.
func TestSinglePurchaseThatFreezes(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000, controls(func(all *issuing.Controls) { all.SingleUse = true }),
			func(n *issuing.NewCard) { n.AutoFreezeAt = usd(9_500) })
		r := p.request(c, 1_000, ads)
		r.Captured = true
		p.pay(r, "")
		before := p.posted(ann, "wallet/USD")
		n, err := p.Cards.Expire(context.Background())
		check.OK(t, err)
		check.Equal(t, "cards that ended", n, 1)
		check.Equal(t, "back in the wallet", p.posted(ann, "wallet/USD")-before, 9_000)
		p.verify()
	})
}

// What a card can spend is told to whoever proves to have it, and nothing is kept of it.
func TestInquiry(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binAds, 10_000)
		p.pay(p.request(c, 2_500, ads), "")
		r := p.request(c, 0, ads)
		d, err := p.Inquire(ctx, r)
		check.OK(t, err)
		if !d.Approved || d.Balance != usd(7_500) {
			t.Errorf("inquiry %+v", d)
		}
		r.Expiry = "2001"
		d, err = p.Inquire(ctx, r)
		check.OK(t, err)
		if d.Reason != authorization.ReasonExpiryWrong || d.Balance != usd(0) {
			t.Errorf("inquiry with a wrong expiry %+v", d)
		}
		check.Equal(t, "lines", len(p.lines(c)), 1)
	})
}

// A message without a key is sent once: the same again is another payment.
func TestNoKey(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		r := p.request(c, 100, ads)
		r.Key = ""
		first, second := p.pay(r, ""), p.pay(r, "")
		if first.ID == second.ID || second.Repeated {
			t.Errorf("paid %s, and then %s", first.ID, second.ID)
		}
		p.look(c, issuing.Active, 9_800, 200)
		p.advise(p.Capture, of(first, 100), "")
		p.verify()
	})
}

// A message that makes no sense is a fault, not a decline.
func TestRequestFaults(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		for name, row := range map[string]struct {
			change func(*authorization.Request)
			want   fault.Code
		}{
			"long key":       {func(r *authorization.Request) { r.Key = strings.Repeat("k", 201) }, fault.InvalidRequest},
			"negative":       {func(r *authorization.Request) { r.Amount.Minor = -1 }, fault.InvalidAmount},
			"no currency":    {func(r *authorization.Request) { r.Amount = money.Amount{} }, fault.InvalidAmount},
			"other currency": {func(r *authorization.Request) { r.Amount = money.New(1, money.EUR) }, fault.CurrencyMismatch},
			"less charged":   {func(r *authorization.Request) { r.Original = money.New(-1, money.EUR) }, fault.InvalidAmount},
			"long postcode":  {func(r *authorization.Request) { r.Postcode = strings.Repeat("9", 129) }, fault.InvalidRequest},
			"long terminal":  {func(r *authorization.Request) { r.Merchant.Terminal = strings.Repeat("T", 129) }, fault.InvalidRequest},
			"entry":          {func(r *authorization.Request) { r.Entry = "telepathy" }, fault.InvalidRequest},
			"zero byte":      {func(r *authorization.Request) { r.Merchant.Name = "a\x00b" }, fault.InvalidRequest},
			"not UTF-8":      {func(r *authorization.Request) { r.Key = "\xff" }, fault.InvalidRequest},
		} {
			r := p.request(c, 100, ads)
			row.change(&r)
			_, err := p.Authorize(context.Background(), r)
			check.Code(t, name, err, row.want)
		}
		p.look(c, issuing.Active, 10_000, 0)
	})
}

// A card that has expired, was terminated or never funded is declined for that.
func TestStanding(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		gone := p.issue(ann, binAds, 1_000)
		_, err := p.Cards.Terminate(ctx, ann, issuing.Ending{Card: gone.ID})
		check.OK(t, err)
		p.pay(p.request(gone, 100, ads), authorization.ReasonCardTerminated)
		fresh, err := p.Cards.Preview(ctx, ann, "", nil)
		check.OK(t, err)
		p.pay(p.request(card{Holder: ann, Number: fresh.Number}, 100, ads), authorization.ReasonCardInactive)
		old := p.issue(ann, binAds, 1_000)
		p.forward(4 * 366 * day)
		p.pay(p.request(old, 100, ads), authorization.ReasonCardExpired)
	})
}
