package authorization_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// A history is found by card, type, time, merchant and amount, in pages that add up.
func TestList(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		a, b := p.issue(ann, binAds, 100_000), p.issue(ann, binDay, 100_000)
		paid := p.pay(p.request(a, 1_250, ads), "")
		p.advise(p.Capture, of(paid, 0), "")
		p.forward(time.Hour)
		p.pay(p.request(b, 5_000, diner), "")
		p.pay(p.request(b, 200_000, diner), authorization.ReasonMaxTransaction)
		p.forward(time.Hour)
		p.advise(p.Refund, of(paid, 250), "")
		voided := p.pay(p.request(a, 300, authorization.Merchant{Name: "100%_Ärger", MCC: "9999"}), "")
		p.advise(p.Reverse, of(voided, 0), "")

		find := func(f authorization.Filter) string {
			t.Helper()
			f.Book = ann.Book
			page, err := p.List(ctx, f)
			check.OK(t, err)
			var texts []string
			for _, l := range page.Transactions {
				texts = append(texts, fmt.Sprintf("%s %s", l.Type, l.Amount))
			}
			if f.Limit == 0 && page.Total != len(texts) {
				t.Errorf("%d of %d", len(texts), page.Total)
			}
			return strings.Join(texts, ", ")
		}
		for name, row := range map[string]struct {
			f    authorization.Filter
			want string
		}{
			"all":          {authorization.Filter{}, "authorization -3.00, refund 2.50, decline -2000.00, authorization -50.00, settlement -12.50, authorization -12.50"},
			"card":         {authorization.Filter{Card: b.ID}, "decline -2000.00, authorization -50.00"},
			"type":         {authorization.Filter{Type: authorization.TypeRefund}, "refund 2.50"},
			"settlements":  {authorization.Filter{Type: authorization.TypeSettlement}, "settlement -12.50"},
			"declines":     {authorization.Filter{Type: authorization.TypeDecline}, "decline -2000.00"},
			"holds":        {authorization.Filter{Type: authorization.TypeAuthorization}, "authorization -3.00, authorization -50.00, authorization -12.50"},
			"merchant":     {authorization.Filter{Merchant: "facebk"}, "refund 2.50, settlement -12.50, authorization -12.50"},
			"wildcards":    {authorization.Filter{Merchant: "%_ä"}, "authorization -3.00"},
			"no wildcard":  {authorization.Filter{Merchant: "_HEZ"}, ""},
			"from":         {authorization.Filter{From: epoch.Add(2 * time.Hour)}, "authorization -3.00, refund 2.50"},
			"to":           {authorization.Filter{To: epoch.Add(time.Hour)}, "settlement -12.50, authorization -12.50"},
			"least":        {authorization.Filter{Min: 5_000}, "decline -2000.00, authorization -50.00"},
			"most":         {authorization.Filter{Max: new(int64(300))}, "authorization -3.00, refund 2.50"},
			"nothing":      {authorization.Filter{Max: new(int64(0))}, ""},
			"between":      {authorization.Filter{Min: 1_250, Max: new(int64(1_250))}, "settlement -12.50, authorization -12.50"},
			"a page":       {authorization.Filter{Limit: 2, Offset: 2}, "decline -2000.00, authorization -50.00"},
			"beyond":       {authorization.Filter{Limit: 2, Offset: 6}, ""},
			"unknown card": {authorization.Filter{Card: "card_x"}, ""},
		} {
			check.Equal(t, name, find(row.f), row.want)
		}
		for name, f := range map[string]authorization.Filter{
			"type": {Type: "gift"}, "a step": {Type: authorization.StepReversal}, "limit": {Limit: 101}, "no limit": {Limit: -1}, "offset": {Offset: -1}, "far": {Offset: 1_000_001}, "merchant": {Merchant: strings.Repeat("x", 101)},
		} {
			_, err := p.List(ctx, f)
			check.Code(t, name, err, fault.InvalidRequest)
		}
		for name, f := range map[string]authorization.Filter{"least": {Min: -1}, "most": {Max: new(int64(-1))}} {
			_, err := p.List(ctx, f)
			check.Code(t, name, err, fault.InvalidAmount)
		}
		page, err := p.List(ctx, authorization.Filter{Book: bob.Book})
		check.OK(t, err)
		check.Equal(t, "another's history", page.Total, 0)
	})
}

// A line shows all that happened to its payment, oldest first, and nobody else's.
func TestTimeline(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binAds, 10_000)
		d := p.pay(p.request(c, 1_000, inn), "")
		p.advise(p.Increment, of(d, 500), "")
		p.advise(p.Capture, of(d, 2_000), authorization.ReasonOverCapture)
		p.advise(p.Reverse, of(d, 200), "")
		p.advise(p.Capture, of(d, 900), "")
		p.advise(p.Refund, of(d, 100), "")
		p.forward(30 * day)
		p.expire()
		got, err := p.Get(ctx, ann.Book, d.Transaction)
		check.OK(t, err)
		var steps, signed []string
		for _, s := range got.Timeline {
			steps = append(steps, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", s.Type, s.Amount, s.Balance, s.Reason)))
			one, err := p.Get(ctx, ann.Book, s.Transaction)
			check.OK(t, err)
			signed = append(signed, one.Amount.String())
		}
		check.Equal(t, "each by itself", signed, []string{"-10.00", "-5.00", "-20.00", "2.00", "-9.00", "1.00", "4.00"})
		check.Equal(t, "timeline", steps, []string{"authorization 10.00 90.00", "authorization 5.00 85.00", "refusal 20.00 85.00 exceeds_authorization", "reversal 2.00 87.00",
			"settlement 9.00 87.00", "refund 1.00 88.00", "expiry 4.00 92.00"})
		check.Equal(t, "state", got.State, authorization.StateSettled)
		for _, id := range []authorization.TransactionID{"", "txn_x", got.Timeline[0].Transaction} {
			_, err := p.Get(ctx, bob.Book, id)
			check.Code(t, "another's line", err, fault.NotFound)
		}
		check.Equal(t, "events", types(p.events(ann)), []string{"transaction.authorized", "transaction.authorized", "transaction.settled", "transaction.refunded"})
	})
}

// When a merchant says that a payment was made earlier, that is kept beside when it came.
func TestPresentedAt(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		r := p.request(c, 100, ads)
		r.At = epoch.Add(-time.Hour)
		d := p.pay(r, "")
		got, err := p.Get(context.Background(), ann.Book, d.Transaction)
		check.OK(t, err)
		if !got.PresentedAt.Equal(r.At) || !got.At.Equal(epoch) {
			t.Errorf("presented at %s, came at %s", got.PresentedAt, got.At)
		}
	})
}

// What was charged in another currency is in the line and in what is told of it beside what the
// card pays; a payment in the card's own has nothing of the kind.
func TestForeignAmount(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		r := p.request(c, 1_250, diner)
		r.Original = money.New(1_120, money.EUR)
		d := p.pay(r, "")
		p.pay(p.request(c, 100, ads), "")
		got, err := p.Get(context.Background(), ann.Book, d.Transaction)
		check.OK(t, err)
		check.Equal(t, "charged", got.Original, r.Original)
		var told []string
		for _, e := range p.events(ann) {
			var data struct {
				Amount   string `json:"amount"`
				Currency string `json:"currency"`
				Original string `json:"original_amount"`
				In       string `json:"original_currency"`
			}
			check.OK(t, json.Unmarshal(e.Data, &data))
			told = append(told, strings.Join([]string{data.Amount, data.Currency, data.Original, data.In}, " "))
		}
		check.Equal(t, "told", told, []string{"12.50 USD 11.20 EUR", "1.00 USD  "})
	})
}

// charged is how much each of a card's transactions of a type, or of all, is, and what the merchant
// charged for it.
func (p *process) charged(c card, of authorization.Type) []string {
	p.t.Helper()
	page, err := p.List(context.Background(), authorization.Filter{Book: c.Book, Card: c.ID, Type: of})
	check.OK(p.t, err)
	var lines []string
	for i := range page.Transactions {
		line := &page.Transactions[i]
		lines = append(lines, line.Amount.String()+" "+line.Original.String()+" "+line.Original.Currency.String())
	}
	return lines
}

// A completion that goes beyond its payment has in each of its lines what the merchant charged of
// it, and in both together what the merchant charged, however often it comes.
func TestForeignAmountInTwoLines(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		d := p.pay(p.request(c, 660, ads), "")
		owed := of(d, 670)
		owed.Key, owed.Card, owed.Charged = p.key(), c.ID, money.New(600, money.EUR)
		for range 2 {
			p.advise(p.Complete, owed, "")
		}
		check.Equal(t, "settled and charged", p.charged(c, authorization.TypeSettlement), []string{"-0.10 0.09 EUR", "-6.60 5.91 EUR"})
		p.verify()
	})
}

// What is told to be approved beside a part of it that was has its own share of what the merchant
// charged.
func TestForeignAmountBeside(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 6_000)
		r := p.request(c, 10_000, ads)
		r.PartialAllowed, r.Original = true, money.New(9_000, money.EUR)
		p.pay(r, "")
		p.advise(p.StandIn, authorization.Advice{Realm: c.Realm, Number: c.Number, Key: r.Key, Amount: r.Amount, Charged: r.Original, Merchant: ads}, "")
		check.Equal(t, "held and charged", p.charged(c, ""), []string{"-40.00 36.00 EUR", "-60.00 90.00 EUR"})
		p.verify()
	})
}

// What a reversal gives back of a message that took money says how much that is in the merchant's
// currency, too: all together it is what that message charged.
func TestForeignAmountGivenBack(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		r := p.request(c, 1_100, ads)
		r.Captured, r.Original = true, money.New(1_000, money.EUR)
		p.pay(r, "")
		p.advise(p.Reverse, naming(c, r.Key, 300), "")
		p.advise(p.Reverse, naming(c, r.Key, 0), "")
		check.Equal(t, "given back and charged", p.charged(c, authorization.TypeRefund), []string{"8.00 7.27 EUR", "3.00 2.73 EUR"})
		p.verify()
	})
}
