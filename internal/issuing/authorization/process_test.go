package authorization_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// What one process does to a card holds at once for the payments that another decides,
// whatever that one remembers.
func TestTwoProcesses(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		other := join(t, p.DB, p.Clocks)
		other.keys.Store(1_000_000)
		c := p.issue(ann, binAds, 100_000)
		open := other.pay(other.request(c, 100, ads), "") // it remembers the card

		month := usd(1_000)
		_, err := p.Cards.Change(ctx, ann, issuing.Change{Card: c.ID, SpendingLimit: &month})
		check.OK(t, err)
		other.advise(other.Increment, of(open, 901), authorization.ReasonSpendingLimit)
		other.pay(other.request(c, 901, ads), authorization.ReasonSpendingLimit)
		narrow := []string{"airlines"}
		_, err = p.Cards.Change(ctx, ann, issuing.Change{Card: c.ID, Categories: &narrow})
		check.OK(t, err)
		other.pay(other.request(c, 100, ads), authorization.ReasonCategory)
		wide := []string{}
		_, err = p.Cards.Change(ctx, ann, issuing.Change{Card: c.ID, Categories: &wide})
		check.OK(t, err)
		other.pay(other.request(c, 100, ads), "")
		_, err = p.Cards.Freeze(ctx, ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		other.pay(other.request(c, 100, ads), authorization.ReasonCardFrozen)
		_, err = p.Cards.Unfreeze(ctx, ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		d := other.pay(other.request(c, 100, ads), "")
		_, err = p.Cards.Replace(ctx, ann, issuing.Replacement{Card: c.ID, Reason: issuing.ReasonLost})
		check.OK(t, err)
		other.pay(other.request(c, 100, ads), authorization.ReasonCardTerminated) // by its old number
		p.advise(p.Capture, of(d, 50), "")
		other.advise(other.Capture, of(d, 0), "")
		_, err = p.Cards.Terminate(ctx, ann, issuing.Ending{Card: c.ID})
		check.OK(t, err)
		r := other.request(c, 100, ads)
		r.Book, r.Card, r.Expiry = c.Book, c.ID, ""
		other.pay(r, authorization.ReasonCardTerminated)
		p.verify()
	})
}

// Two processes that decide payments with one card at once never overspend it, nor answer
// one message twice.
func TestTwoProcessesAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		both := []*process{p, join(t, p.DB, p.Clocks)}
		c := p.issue(ann, binAds, 1_000, limits(spending.Limit{Window: spending.PerDay, Count: 5}))
		answers := make([]authorization.Decision, 40)
		crowd.AtOnce(len(answers), func(i int) {
			r := p.request(c, 150, ads)
			r.Key = fmt.Sprint("shared-", i/4)
			var err error
			answers[i], err = both[i%2].Authorize(context.Background(), r)
			check.OK(t, err)
		})
		approved := map[authorization.ID]bool{}
		for i, d := range answers {
			if d.Approved {
				approved[d.ID] = true
			}
			if d.ID != answers[i/4*4].ID {
				t.Errorf("message %d has two answers", i/4)
			}
		}
		check.Equal(t, "payments", len(approved), 5)
		p.look(c, issuing.Active, 250, 750)
		p.verify()
	})
}

// No number, security code or one-time code that a payment came with is anywhere in the
// tables, nor is what was written where something else belongs.
func TestSecretsAreNotKept(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db)
		ctx := context.Background()
		c := p.issue(ann, binAds, 10_000)
		made := p.challenge(c, 100, ads)
		r := p.request(c, 100, ads)
		p.pay(r, "")
		p.pay(p.request(c, 100_000, ads), authorization.ReasonFunds)
		p.advise(p.Post, authorization.Advice{Realm: c.Realm, Number: c.Number, Amount: usd(5), Merchant: ads}, "")
		odd := p.request(c, 100, authorization.Merchant{ID: c.Number.Reveal(), Name: "SHOP " + c.Number.Reveal(), City: c.Number.Reveal()})
		odd.Challenge = authorization.ChallengeID(c.Number.Reveal())
		got, err := p.Get(ctx, ann.Book, p.pay(odd, authorization.ReasonChallenge).Transaction)
		check.OK(t, err)
		check.Equal(t, "merchant", got.Merchant, authorization.Merchant{ID: "[redacted]", Name: "[redacted]", City: "[redacted]"})
		p.advise(p.Reverse, authorization.Advice{Realm: c.Realm, Number: c.Number, Original: "never"}, "")
		p.advise(p.StandIn, p.stoodIn(c, 90_000), "")
		tables, err := storage.Tables(ctx, db)
		check.OK(t, err)
		secrets := map[string]string{"number": c.Number.Reveal(), "one-time code": `"` + made.OTP.Reveal() + `"`}
		rows := 0
		for _, table := range tables {
			check.OK(t, db.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
				return table.Each(ctx, q, func(row []any) error {
					rows++
					text := fmt.Sprint(row...)
					for _, value := range row {
						if raw, ok := value.([]byte); ok {
							text += string(raw)
						}
					}
					for what, secret := range secrets {
						if strings.Contains(text, secret) {
							t.Errorf("the %s is in %s: %s", what, table.Name, text)
						}
					}
					return nil
				})
			}))
		}
		if rows < 20 {
			t.Errorf("only %d rows were looked at", rows)
		}
	})
}

// What an operator reversed in the books is known however many captures, and refunds, came after it.
func TestReversedLongAgoInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		const captures, refunds = 98, 510 // more than are read at once
		c := p.issue(ann, binAds, 50_000)
		d := p.pay(p.request(c, 20_000, ads), "")
		p.undone(p.advise(p.Capture, of(d, 1_000), ""), "")
		for range captures {
			p.advise(p.Capture, of(d, 100), "")
		}
		p.advise(p.Reverse, of(d, 0), "")
		p.undone(p.advise(p.Refund, of(d, 500), ""), "")
		for range refunds {
			p.advise(p.Refund, of(d, 10), "")
		}
		p.advise(p.Refund, of(d, 100*captures-10*refunds+1), authorization.ReasonOverRefund)
		check.Equal(t, "the rest", p.advise(p.Refund, of(d, 0), "").Amount, usd(100*captures-10*refunds))
		p.look(c, issuing.Active, 50_000, 0)
		p.verify()
	})
}

// The hundredth capture of a payment ends it, so that what is given back follows all of them:
// none is reversed in the books beside its refund. What is owed after that is posted.
func TestAsManyCaptures(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		d := p.pay(p.request(c, 2_000, ads), "")
		capture := func(reason authorization.Reason) authorization.Decision {
			t.Helper()
			a := of(d, 10)
			a.Key = p.key()
			return p.advise(p.Capture, a, reason)
		}
		first := capture("")
		for range 98 {
			capture("")
		}
		p.look(c, issuing.Active, 8_000, 1_010)
		capture("")
		p.look(c, issuing.Active, 9_000, 0)
		capture(authorization.ReasonEnded)
		back := p.advise(p.Refund, of(d, 0), "")
		check.Equal(t, "the refund", back.Amount, usd(1_000))
		p.undone(first, fault.InvalidState)
		p.look(c, issuing.Active, 10_000, 0)
		owed := of(d, 10)
		owed.Card, owed.Key = c.ID, p.key()
		p.advise(p.Complete, owed, "")
		p.look(c, issuing.Active, 9_990, 0)
		p.verify()
	})
}
