package giftcard_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// processes returns two processes over one empty database, each with its own ledger.
func processes(t *testing.T, engine string) [2]*process {
	t.Helper()
	config := testkit.Database(t, engine)
	first := setup(t, testkit.Open(t, config))
	db := first.DB
	if db.Shared() {
		db = testkit.Open(t, config)
	}
	return [2]*process{first, join(t, db, first.clocks)}
}

func eachEngineTwice(t *testing.T, test func(t *testing.T, both [2]*process)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, processes(t, engine)) })
	}
}

// Sixty-four callers in two processes who redeem one card get exactly what is on it.
func TestRedeemedByManyNeverOverspends(t *testing.T) {
	eachEngineTwice(t, func(t *testing.T, both [2]*process) {
		c := both[0].create(shop, 1000)
		var answers crowd.Tally
		crowd.AtOnce(64, func(i int) {
			for j := range 4 {
				_, err := both[i%2].redeem(c, 7, fmt.Sprintf("r%d/%d", i, j))
				answers.Add(err)
			}
		})
		check.Equal(t, "answers", answers.Codes, map[fault.Code]int{"": 142, fault.InsufficientFunds: 114})
		both[0].look(c, giftcard.Created, 6, 0)
		both[0].verify()
	})
}

// Callers who do everything at once to a few cards all get an answer that exists, and every
// card ends with what its history says.
func TestEverythingAtOnce(t *testing.T) {
	eachEngineTwice(t, func(t *testing.T, both [2]*process) {
		p := both[0]
		var cards []*held
		for range 4 {
			cards = append(cards, p.create(shop, 5000))
		}
		expected := map[fault.Code]bool{"": true, fault.InsufficientFunds: true, fault.CardBlocked: true, fault.CardCancelled: true, fault.HoldEnded: true,
			fault.GuardExceeded: true, fault.InvalidState: true, fault.NotFound: true, fault.HoldExceeded: true}
		var codes crowd.Tally
		crowd.AtOnce(64, func(i int) {
			q, c := both[i%2], cards[i%len(cards)]
			for j := range 6 {
				codes.Add(q.anything(c, i, j))
			}
		})
		for code := range codes.Codes {
			if !expected[code] {
				t.Errorf("%d answers were %q", codes.Codes[code], code)
			}
		}
		if codes.Codes[""] < 100 {
			t.Errorf("only %d calls succeeded", codes.Codes[""])
		}
		left := int64(0)
		for _, c := range cards {
			account, err := p.Books.FindAccount(t.Context(), shop.Book, c.Card.Account())
			check.OK(t, err)
			left += account.Posted().Minor
		}
		if funded, spent := p.contra(shop, "giftcard.funding"), p.contra(shop, "giftcard.redeemed"); funded != left+spent {
			t.Errorf("funded %d, spent %d, left %d", funded, spent, left)
		}
		p.verify()
	})
}

// anything does the j-th thing of caller i to a card.
func (p *process) anything(c *held, i, j int) error {
	ctx, name := context.Background(), fmt.Sprintf("%d/%d", i, j)
	switch (i/4 + j) % 8 {
	case 0:
		return second(p.reload(c, 100, name))
	case 1:
		h, err := p.hold(c, 300, name)
		if err != nil {
			return err
		}
		if _, err := p.Capture(ctx, shop, giftcard.End{Hold: h.Hold, Amount: usd(100), Reference: "c" + name}); err != nil {
			return err
		}
		return second(p.Void(ctx, shop, giftcard.End{Hold: h.Hold, Reference: name}))
	case 2:
		return second(p.refund(c, fmt.Sprintf("%d/%d", i, j-1), 5, name))
	case 3:
		if i%16 != 3 {
			return nil
		}
		if err := p.Block(ctx, shop, c.Card.ID, "at once"); err != nil {
			return err
		}
		return p.Unblock(ctx, shop, c.Card.ID, "at once")
	case 4:
		if i != 63 {
			return nil
		}
		return second(p.cancel(c, "at once"))
	default:
		return second(p.redeem(c, 30, name))
	}
}

// More cards than a sweep's page that cannot end yet do not keep the later ones waiting, nor
// does a page that was cut off; the waiting ones end when their holds do.
func TestSweepDoesNotStarve(t *testing.T) {
	eachEngineTwice(t, func(t *testing.T, both [2]*process) {
		p, n := both[0], giftcard.SweepSize+10
		issues := make([]giftcard.Issue, n)
		for i := range issues {
			issues[i] = giftcard.Issue{Title: "Held", TemplateID: template, Amount: usd(10)}
		}
		waiting, err := p.CreateAll(t.Context(), shop, issues)
		check.OK(t, err)
		p.forward(p.Rules.Validity - 2*day)
		crowd.AtOnce(64, func(i int) {
			for j := i; j < n; j += 64 {
				c := &held{waiting[j], shop, giftcard.Secret{Key: waiting[j].Key}}
				if _, err := p.hold(c, 1, fmt.Sprint("h", j)); err != nil {
					t.Error(err)
				}
			}
		})
		later := p.create(shop, 500)
		p.forward(2 * day)
		if n, err := p.Expire(t.Context()); n != 0 || err != nil {
			t.Errorf("swept %d, %v while all are held", n, err)
		}
		p.forward(p.Rules.Validity)
		if n, err := p.Expire(t.Context()); n != 1 || err != nil {
			t.Errorf("swept %d, %v; want the one without a hold", n, err)
		}
		p.look(later, giftcard.Expired, 0, 0)
		for held := n; held > 0; {
			ended, err := p.Books.ExpireHolds(t.Context())
			check.OK(t, err)
			held -= ended
		}
		var ended atomic.Int64
		crowd.AtOnce(2, func(i int) { // two processes at once end each card once
			done, err := both[i].Expire(context.Background())
			if err != nil {
				t.Error(err)
			}
			ended.Add(int64(done))
		})
		if ended.Load() != int64(n) {
			t.Errorf("the sweeps ended %d cards, want %d", ended.Load(), n)
		}
		if got := p.contra(shop, "giftcard.breakage"); got != int64(n)*10+500 {
			t.Errorf("breakage %d", got)
		}
		p.verify()
	})
}

// A sweep whose caller leaves ends no card by halves, and the next one ends the rest.
func TestSweepGoesOn(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for range 5 {
			p.create(shop, 10)
		}
		p.forward(p.Rules.Validity)
		gone, leave := context.WithCancel(t.Context())
		leave()
		if n, err := p.Expire(gone); n != 0 || err == nil {
			t.Errorf("swept %d, %v for nobody", n, err)
		}
		if n, err := p.Expire(t.Context()); n != 5 || err != nil {
			t.Errorf("swept %d, %v; want 5", n, err)
		}
	})
}

// BenchmarkRedeem measures redemptions by 64 callers at once, on a thousand cards of one
// merchant (spread) or all on one card (hot).
func BenchmarkRedeem(b *testing.B) {
	for _, engine := range testkit.Engines() {
		for _, shape := range []string{"spread", "hot"} {
			b.Run(engine+"/"+shape, func(b *testing.B) { benchmarkRedeem(b, engine, shape) })
		}
	}
}

func benchmarkRedeem(b *testing.B, engine, shape string) {
	db := testkit.Open(b, testkit.Database(b, engine))
	clocks := clock.NewRealms(clock.System())
	p := join(b, db, clocks)
	p.populate()
	cards := 1
	if shape == "spread" {
		cards = 1000
	}
	issues := make([]giftcard.Issue, cards)
	for i := range issues {
		issues[i] = giftcard.Issue{Title: "Bench", TemplateID: template, Amount: usd(p.Rules.MaxMajor * 100)}
	}
	issued, err := p.CreateAll(b.Context(), shop, issues)
	check.OK(b, err)
	var next atomic.Int64
	b.SetParallelism(32) // times two processors
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := next.Add(1)
			_, err := p.Redeem(b.Context(), shop, giftcard.Transfer{Secret: giftcard.Secret{Key: issued[int(n)%cards].Key}, Amount: usd(1), Reference: fmt.Sprint("r", n)})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "redemptions/s")
}

// BenchmarkCreateAll measures cards made in one transaction.
func BenchmarkCreateAll(b *testing.B) {
	for _, engine := range testkit.Engines() {
		b.Run(engine, func(b *testing.B) {
			p := setup(b, testkit.Open(b, testkit.Database(b, engine)))
			issues := make([]giftcard.Issue, max(b.N, 1))
			for i := range issues {
				issues[i] = giftcard.Issue{Title: "Bench", TemplateID: template, Amount: usd(100), Reference: fmt.Sprint("n", i)}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < len(issues); done += giftcard.MaxIssues {
				_, err := p.CreateAll(b.Context(), shop, issues[done:min(len(issues), done+giftcard.MaxIssues)])
				check.OK(b, err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cards/s")
		})
	}
}

// Of several who spend at once what holds have whose time is over, none is refused because
// another one ended them first.
func TestManySpendWhatHoldsHad(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 6400)
		p.done(p.hold(c, 6400, "all"))
		p.forward(p.Rules.HoldFor)
		var answers crowd.Tally
		crowd.AtOnce(64, func(i int) {
			_, err := p.redeem(c, 100, fmt.Sprint("r", i))
			answers.Add(err)
		})
		check.Equal(t, "answers", answers.Codes, map[fault.Code]int{"": 64})
		p.look(c, giftcard.Redeemed, 0, 0)
		p.verify()
	})
}
