package giftcard_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/webhook"
)

const day = 24 * time.Hour

// A card that was redeemed in part is created until nothing is left; a refund brings it back.
func TestPartialRedemption(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 10000)
		for _, step := range []struct {
			take, left int64
			status     giftcard.Status
		}{{3000, 7000, giftcard.Created}, {6999, 1, giftcard.Created}, {1, 0, giftcard.Redeemed}} {
			m := p.done(p.redeem(c, step.take, fmt.Sprint("r", step.take)))
			if m.Amount != usd(step.take) || m.Card.Balance != usd(step.left) || m.Card.Status != step.status || m.Replayed {
				t.Errorf("redeem %d: %+v", step.take, m)
			}
			p.look(c, step.status, step.left, 0)
		}
		_, err := p.redeem(c, 1, "too much")
		check.Code(t, "redeem an empty card", err, fault.InsufficientFunds)
		p.done(p.refund(c, "r3000", 1000, "back"))
		p.look(c, giftcard.Created, 1000, 0)
		check.List(t, "history", p.history(c), "create 100.00 100.00", "redeem 30.00 70.00", "redeem 69.99 0.01", "redeem 0.01 0.00", "refund 10.00 10.00")
		check.List(t, "events", p.events(shop), "giftcard.create", "giftcard.redeem", "giftcard.redeem", "giftcard.redeem", "giftcard.refund")
		p.verify()
	})
}

// A card is found by its number or its key, with the amount as it was written and a key
// and number of the published form.
func TestFind(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		issued, err := p.Create(t.Context(), shop, giftcard.Issue{Title: "Für dich ✨", TemplateID: template, Amount: usd(10000), AmountText: "100"})
		check.OK(t, err)
		number, key := issued.Card.Number.Reveal(), issued.Key.Reveal()
		if len(number) != 18 || number[:2] != "GC" || len(key) != 4+32 || key[:4] != "KEY_" {
			t.Errorf("number of %d characters, key of %d", len(number), len(key))
		}
		for name, secret := range map[string]giftcard.Secret{"number": {Number: issued.Card.Number}, "key": {Key: issued.Key}} {
			card, err := p.Find(t.Context(), shop, secret)
			check.OK(t, err)
			if !card.Number.Equal(issued.Card.Number) || card.AmountText != "100" || card.Title != "Für dich ✨" || card.ID != issued.Card.ID ||
				!card.ExpiresAt.Equal(issued.Card.ExpiresAt) || card.ExpiresAt.Before(epoch.AddDate(5, 0, 0)) {
				t.Errorf("by %s: %+v", name, card)
			}
		}
		anywhere, err := p.FindAnywhere(t.Context(), issued.Card.Number)
		if err != nil || anywhere.Book != shop.Book || anywhere.ID != issued.Card.ID {
			t.Errorf("anywhere: %+v, %v", anywhere, err)
		}
	})
}

// A card expires at the instant it says, at once where it is read and used, and for good when it is swept.
func TestExpiry(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c, spent, other := p.create(shop, 5000), p.create(shop, 700), p.create(street, 300)
		p.done(p.redeem(c, 1000, "r1"))
		p.done(p.redeem(spent, 700, "r2"))
		p.forward(p.Rules.Validity - time.Microsecond)
		p.done(p.redeem(c, 1, "the last moment"))
		if n, err := p.Expire(t.Context()); n != 0 || err != nil {
			t.Errorf("swept %d, %v before the end", n, err)
		}
		p.forward(time.Microsecond)
		p.look(c, giftcard.Expired, 0, 0)
		p.refuses(c, fault.CardExpired)
		if n, err := p.Expire(t.Context()); n != 2 || err != nil {
			t.Errorf("swept %d, %v; want 2", n, err)
		}
		if n, err := p.Expire(t.Context()); n != 0 || err != nil {
			t.Errorf("swept %d, %v again", n, err)
		}
		p.look(c, giftcard.Expired, 0, 0)
		p.look(spent, giftcard.Redeemed, 0, 0)
		p.look(other, giftcard.Created, 300, 0) // the live realm's clock stood still
		p.refuses(c, fault.CardExpired)
		p.refuses(spent, fault.CardExpired)
		check.List(t, "history", p.history(c), "create 50.00 50.00", "redeem 10.00 40.00", "redeem 0.01 39.99", "expire 39.99 0.00")
		if got := p.contra(shop, "giftcard.breakage"); got != 3999 {
			t.Errorf("breakage %d, want 3999", got)
		}
		p.verify()
	})
}

// refuses checks that nothing can be done with a card that has a redemption "r1" or "r2", and why.
func (p *process) refuses(c *held, want fault.Code) {
	p.t.Helper()
	_, err := p.redeem(c, 1, "late redeem")
	check.Code(p.t, "redeem", err, want)
	_, err = p.hold(c, 1, "late hold")
	check.Code(p.t, "hold", err, want)
	_, err = p.reload(c, 1, "late reload")
	check.Code(p.t, "reload", err, want)
	original := "r1"
	if taken, _ := p.Books.FindTransaction(context.Background(), c.m.Book, p.lastOf(c, "redeem")); taken.Reference == "r2" {
		original = "r2"
	}
	_, err = p.refund(c, original, 1, "late refund")
	check.Code(p.t, "refund", err, want)
	check.Code(p.t, "block", p.Block(context.Background(), c.m, c.Card.ID, "late"), want)
	if _, err := p.cancel(c, "late"); want == fault.CardExpired {
		check.Code(p.t, "cancel", err, want)
	}
}

// lastOf returns the last transaction of a type in a card's history.
func (p *process) lastOf(c *held, kind string) ledger.TransactionID {
	p.t.Helper()
	card, err := p.Get(context.Background(), c.m.Book, c.Card.ID)
	check.OK(p.t, err)
	lines, err := p.History(context.Background(), card, 0, 1000)
	check.OK(p.t, err)
	for _, l := range lines {
		if l.Type == kind {
			return l.Transaction
		}
	}
	return ""
}

// A hold reserves at once, no longer than the rule, the merchant or the card allow.
func TestHoldEndsWithItsCard(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 10000)
		expires := func(spend giftcard.Transfer) time.Duration {
			t.Helper()
			spend.Secret, spend.Amount = c.Secret, usd(1)
			m, err := p.Hold(t.Context(), shop, spend)
			check.OK(t, err)
			h, err := p.Books.FindHold(t.Context(), shop.Book, m.Hold)
			check.OK(t, err)
			return h.ExpiresAt.Sub(p.clocks.Now(shop.Realm))
		}
		for i, want := range []struct{ asked, got time.Duration }{{0, 7 * day}, {time.Hour, time.Hour}, {30 * day, 7 * day}, {-time.Hour, 7 * day}} {
			if got := expires(giftcard.Transfer{Reference: fmt.Sprint("h", i), HoldFor: want.asked}); got != want.got {
				t.Errorf("a hold for %s lasts %s, want %s", want.asked, got, want.got)
			}
		}
		p.forward(p.Rules.Validity - 2*day)
		if got := expires(giftcard.Transfer{Reference: "last days"}); got != 2*day {
			t.Errorf("two days before the card's end a hold lasts %s", got)
		}
		p.look(c, giftcard.Created, 9999, 1)
		p.forward(2 * day)
		if n, err := p.Expire(t.Context()); n != 0 || err != nil {
			t.Errorf("swept %d, %v while holds are pending", n, err)
		}
		p.look(c, giftcard.Expired, 0, 0)
		if n, err := p.Books.ExpireHolds(t.Context()); n != 5 || err != nil {
			t.Errorf("%d holds, %v", n, err)
		}
		if n, err := p.Expire(t.Context()); n != 1 || err != nil {
			t.Errorf("swept %d, %v after the holds", n, err)
		}
		p.look(c, giftcard.Expired, 0, 0)
		p.verify()
	})
}

// A hold is captured in parts, at once with the rest freed, or freed; never above what it reserved, and once.
func TestCaptureAndVoid(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 10000)
		h := p.done(p.hold(c, 6000, "h1"))
		if h.Amount != usd(6000) || h.Card.Balance != usd(4000) || h.Card.Held != usd(6000) || h.Card.Status != giftcard.Created || h.Hold == "" {
			t.Errorf("hold: %+v", h)
		}
		_, err := p.redeem(c, 4001, "above what is left")
		check.Code(t, "redeem", err, fault.InsufficientFunds)
		if got := fault.From(err).Details["available"]; got != "40.00" {
			t.Errorf("available %q", got)
		}
		capture := func(end giftcard.End) (giftcard.Movement, error) { return p.Capture(t.Context(), shop, end) }
		m := p.done(capture(giftcard.End{Hold: h.Hold, Amount: usd(1000), Reference: "c1"}))
		if m.Amount != usd(1000) || m.Card.Balance != usd(4000) || m.Card.Held != usd(5000) || m.Hold != h.Hold {
			t.Errorf("capture: %+v", m)
		}
		_, err = capture(giftcard.End{Hold: h.Hold, Amount: usd(5001), Reference: "c2"})
		check.Code(t, "capture too much", err, fault.HoldExceeded)
		_, err = capture(giftcard.End{Hold: h.Hold, Amount: money.New(1, money.EUR), Reference: "c2"})
		check.Code(t, "capture another currency", err, fault.CurrencyMismatch)
		p.done(p.Void(t.Context(), shop, giftcard.End{Hold: h.Hold, Amount: usd(500), Reference: "v1"}))
		p.look(c, giftcard.Created, 4500, 4500)
		p.done(capture(giftcard.End{Hold: h.Hold, Amount: usd(2000), Final: true, Reference: "c2"}))
		p.look(c, giftcard.Created, 7000, 0)
		_, err = capture(giftcard.End{Hold: h.Hold, Reference: "c3"})
		check.Code(t, "capture an ended hold", err, fault.HoldEnded)
		_, err = p.Void(t.Context(), shop, giftcard.End{Hold: h.Hold, Reference: "v2"})
		check.Code(t, "void an ended hold", err, fault.HoldEnded)

		h = p.done(p.hold(c, 7000, "h2"))
		check.OK(t, p.Block(t.Context(), shop, c.Card.ID, "lost"))
		m = p.done(capture(giftcard.End{Hold: h.Hold, Reference: "c4"})) // a blocked card finishes its holds
		if m.Amount != usd(7000) || m.Card.Status != giftcard.Redeemed {
			t.Errorf("capture all: %+v", m)
		}
		check.List(t, "history", p.history(c), "create 100.00 100.00", "hold 60.00 40.00", "capture 10.00 40.00", "void 5.00 45.00", "capture 20.00 70.00",
			"hold 70.00 0.00", "capture 70.00 0.00")
		p.verify()
	})
}

// An overdue hold is neither captured nor voided any more, and what it held is back, swept or
// not. What was voided in time is still answered.
func TestOverdueHold(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 1100)
		h := p.done(p.hold(c, 500, "h1"))
		part := giftcard.End{Hold: h.Hold, Reference: "v1", Amount: usd(100)}
		p.done(p.Void(t.Context(), shop, part))
		p.done(p.redeem(c, 100, "r1"))
		p.forward(p.Rules.HoldFor)
		ended := func(when string) {
			t.Helper()
			_, err := p.Capture(t.Context(), shop, giftcard.End{Hold: h.Hold, Reference: "c1"})
			check.Code(t, "capture "+when, err, fault.HoldEnded)
			_, err = p.Void(t.Context(), shop, giftcard.End{Hold: h.Hold, Reference: "v2"})
			check.Code(t, "void "+when, err, fault.HoldEnded)
			_, err = p.Void(t.Context(), shop, part)
			check.OK(t, err)
		}
		ended("an overdue hold")
		p.look(c, giftcard.Created, 1000, 0)
		all, err := p.List(t.Context(), shop.Book, "", 1)
		if err != nil || len(all) != 1 || all[0].Balance != usd(1000) || !all[0].Held.IsZero() {
			t.Errorf("listed before the sweep: %+v, %v", all, err)
		}
		_, err = p.Books.ExpireHolds(t.Context())
		check.OK(t, err)
		ended("an expired hold")
		p.look(c, giftcard.Created, 1000, 0)
		check.List(t, "history", p.history(c), "create 11.00 11.00", "hold 5.00 6.00", "void 1.00 7.00", "redeem 1.00 6.00", "void 4.00 10.00")
	})
}

// What holds have whose time is over can be spent, held anew and given back before a sweep came
// by; they end once all the same, and those whose time is not over stand.
func TestSpendWhatHoldsHad(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c, other, whole := p.create(shop, 1000), p.create(shop, 1000), p.create(shop, 1000)
		for i, minor := range []int64{600, 300} {
			for j, card := range []*held{c, other, whole} {
				p.done(p.hold(card, minor, fmt.Sprint("h", i, j)))
			}
			p.forward(time.Second)
		}
		_, err := p.redeem(c, 1000, "early")
		check.Code(t, "redeem what is held", err, fault.InsufficientFunds)
		p.forward(p.Rules.HoldFor - time.Hour)
		p.done(p.hold(c, 100, "late"))
		p.forward(time.Hour)
		_, err = p.redeem(c, 901, "too much")
		check.Code(t, "redeem what a hold has that is not over", err, fault.InsufficientFunds)
		p.look(c, giftcard.Created, 900, 100)
		p.done(p.redeem(c, 500, "r1"))
		p.done(p.hold(other, 1000, "all"))
		if m := p.done(p.cancel(whole, "given back")); m.Amount != usd(1000) {
			t.Errorf("cancelled with %s", m.Amount)
		}
		n, err := p.Books.ExpireHolds(t.Context())
		check.OK(t, err)
		check.Equal(t, "left to the sweep", n, 0)
		check.List(t, "history", p.history(c), "create 10.00 10.00", "hold 6.00 4.00", "hold 3.00 1.00", "hold 1.00 0.00", "void 6.00 6.00", "void 3.00 9.00", "redeem 5.00 4.00")
		_, err = p.cancel(c, "given back")
		check.Code(t, "cancel with a hold", err, fault.InvalidState)
		p.forward(p.Rules.HoldFor)
		p.done(p.cancel(c, "given back"))
		p.verify()
	})
}

// A redemption or capture is refunded several times and never above what it took; each by itself.
func TestRefund(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 10000)
		p.done(p.redeem(c, 3000, "r1"))
		p.done(p.redeem(c, 3000, "r2"))
		h := p.done(p.hold(c, 2000, "r1")) // references are unique per kind of call
		p.done(p.Capture(t.Context(), shop, giftcard.End{Hold: h.Hold, Amount: usd(1500), Final: true, Reference: "c1"}))
		_, err := p.Capture(t.Context(), shop, giftcard.End{Hold: h.Hold, Reference: "r1"})
		check.Code(t, "a capture under a redemption's reference", err, fault.IdempotencyConflict)

		p.done(p.refund(c, "r1", 1000, "f1"))
		p.done(p.refund(c, "r1", 1999, "f2"))
		_, err = p.refund(c, "r1", 2, "f3")
		check.Code(t, "refund above the redemption", err, fault.GuardExceeded)
		if f := fault.From(err); f.Details["available"] != "0.01" || f.Message != "0.01 USD can still be refunded" {
			t.Errorf("refusal %+v", f)
		}
		p.done(p.refund(c, "r1", 1, "f3"))
		_, err = p.refund(c, "r2", 1000, "f1")
		check.Code(t, "the reference of another refund of the same amount", err, fault.IdempotencyConflict)
		_, err = p.refund(c, "c1", 1501, "f4")
		check.Code(t, "refund above the capture", err, fault.GuardExceeded)
		p.done(p.refund(c, "c1", 1500, "f4"))
		p.look(c, giftcard.Created, 7000, 0)

		for name, refund := range map[string]giftcard.Refund{
			"nothing": {Original: "r2", Reference: "f9"}, "less than nothing": {Original: "r2", Amount: usd(-1), Reference: "f9"}} {
			refund.Amount.Currency = money.USD
			_, err = p.Refund(t.Context(), shop, refund)
			check.Code(t, name, err, fault.InvalidAmount)
		}
		for _, original := range []string{"", "f1", "h1", "nobody", "\x00", string(c.Card.ID)} {
			_, err = p.refund(c, original, 1, "f9")
			check.Code(t, fmt.Sprintf("refund %q", original), err, fault.NotFound)
		}
		_, err = p.Refund(t.Context(), shop, giftcard.Refund{Original: "r2", Amount: money.New(1, money.EUR), Reference: "f9"})
		check.Code(t, "another currency", err, fault.CurrencyMismatch)

		check.OK(t, p.Block(t.Context(), shop, c.Card.ID, "lost"))
		p.done(p.refund(c, "r2", 3000, "f5")) // a blocked card may receive
		p.look(c, giftcard.Created, 10000, 0)
		p.done(p.cancel(c, "found by nobody"))
		_, err = p.refund(c, "r2", 1, "f6")
		check.Code(t, "refund to a cancelled card", err, fault.CardCancelled)
		if got := p.contra(shop, "giftcard.redeemed"); got != 0 {
			t.Errorf("redeemed %d after everything was refunded", got)
		}
		p.verify()
	})
}

// What an operator reversed in the books is not refunded, too, and what was refunded is not
// reversed any more.
func TestRefundOrReversal(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 10000)
		reverse := func(m giftcard.Movement) error {
			_, err := p.Books.Submit(t.Context(), ledger.Operation{Book: shop.Book, Kind: "transaction.reverse", Reverses: m.Transaction, Actor: "op/1", At: p.clocks.Now(realm.Test)})
			return err
		}
		check.OK(t, reverse(p.done(p.redeem(c, 3000, "r1"))))
		_, err := p.refund(c, "r1", 1000, "f1")
		check.Code(t, "refunded after its reversal", err, fault.AlreadyReversed)
		second := p.done(p.redeem(c, 2000, "r2"))
		p.done(p.refund(c, "r2", 500, "f2"))
		check.Code(t, "reversed after a refund", reverse(second), fault.InvalidState)
		p.done(p.refund(c, "r2", 1500, "f3"))
		p.look(c, giftcard.Created, 10000, 0)
		p.verify()
	})
}

// A refund that an operator reversed in the books gave nothing back: as much is refunded again,
// and no more, of that redemption alone.
func TestReversedRefund(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 10000)
		reverse := func(m giftcard.Movement) {
			t.Helper()
			_, err := p.Books.Submit(t.Context(), ledger.Operation{Book: shop.Book, Kind: "transaction.reverse", Reverses: m.Transaction, Actor: "op/1", At: p.clocks.Now(realm.Test)})
			check.OK(t, err)
		}
		left := func(original, want string) {
			t.Helper()
			_, err := p.refund(c, original, 10000, id.New("f"))
			check.Code(t, "refund too much of "+original, err, fault.GuardExceeded)
			if got := fault.From(err).Details["available"]; got != want {
				t.Errorf("%s of %s can still be refunded, want %s", got, original, want)
			}
		}
		p.done(p.redeem(c, 3000, "r1"))
		p.done(p.redeem(c, 1000, "r2"))
		first := p.done(p.refund(c, "r1", 2500, "f1"))
		second := p.done(p.refund(c, "r1", 500, "f2"))
		other := p.done(p.refund(c, "r2", 1000, "f3"))
		reverse(first)
		reverse(other)
		left("r1", "25.00")
		left("r2", "10.00")
		p.done(p.refund(c, "r1", 2000, "f4"))
		left("r1", "5.00")
		p.done(p.refund(c, "r1", 500, "f5"))
		reverse(second)
		p.done(p.refund(c, "r1", 500, "f6"))
		left("r1", "0.00")
		if again := p.done(p.refund(c, "r1", 2500, "f1")); !again.Replayed || again.Transaction != first.Transaction {
			t.Errorf("repeated: %+v", again)
		}
		p.look(c, giftcard.Created, 9000, 0)
		p.done(p.refund(c, "r2", 1000, "f7"))
		p.look(c, giftcard.Created, 10000, 0)
		p.verify()
	})
}

// A card is loaded up to the operator's limit and not beyond, holds included.
func TestReload(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		limit := p.Rules.MaxMajor * 100
		c := p.create(shop, limit-1000)
		p.done(p.hold(c, 500, "h1"))
		m := p.done(p.reload(c, 999, "l1"))
		if m.Card.Balance != usd(limit-501) || m.Card.Held != usd(500) {
			t.Errorf("reload: %+v", m.Card)
		}
		_, err := p.reload(c, 2, "l2")
		check.Code(t, "reload above the limit", err, fault.InvalidAmount)
		p.done(p.reload(c, 1, "l2"))
		p.look(c, giftcard.Created, limit-500, 500)
		_, err = p.reload(c, 0, "l3")
		check.Code(t, "reload nothing", err, fault.InvalidAmount)
		_, err = p.Reload(t.Context(), shop, giftcard.Transfer{Secret: c.Secret, Amount: money.New(1, money.EUR), Reference: "l3"})
		check.Code(t, "reload another currency", err, fault.CurrencyMismatch)
		if got := p.contra(shop, "giftcard.funding"); got != limit {
			t.Errorf("funded %d, want %d", got, limit)
		}
		p.verify()
	})
}

// pages checks a card's history, in pages of every size: what happened, how much it moved, what was left.
func (p *process) pages(c *held, want ...string) {
	p.t.Helper()
	card, err := p.Get(p.t.Context(), shop.Book, c.Card.ID)
	check.OK(p.t, err)
	for size := 1; size <= len(want)+1; size++ {
		var got []string
		for before := int64(0); ; {
			lines, err := p.History(p.t.Context(), card, before, size)
			check.OK(p.t, err)
			for _, l := range lines {
				if _, err := p.Books.FindTransaction(p.t.Context(), shop.Book, l.Transaction); err != nil || l.At.IsZero() {
					p.t.Errorf("line %+v: %v", l, err)
				}
				got, before = append(got, fmt.Sprint(l.Type, " ", l.Amount.Minor, " ", l.Balance.Minor)), l.Seq
			}
			if len(lines) < size {
				break
			}
		}
		if !slices.Equal(got, want) {
			p.t.Errorf("in pages of %d: %q, want %q", size, got, want)
		}
	}
}

// A card whose account an operator freezes in the books is blocked, wherever it is looked at
// and whatever is remembered of it, and is unblocked as any other; one whose account is
// unfrozen there is not blocked any more.
func TestFrozenInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 1000)
		p.done(p.redeem(c, 100, "r1")) // and it is remembered
		set := func(to ledger.State) {
			t.Helper()
			_, err := p.Books.Submit(t.Context(), ledger.Operation{Book: shop.Book, Kind: "account.set", Actor: "op/1", At: p.clocks.Now(shop.Realm),
				States: []ledger.StateChange{{Account: c.Card.Account(), To: to}}})
			check.OK(t, err)
		}
		spends := func(want fault.Code) {
			t.Helper()
			for _, p := range []*process{p, join(t, p.DB, p.clocks)} {
				card, err := p.Find(t.Context(), shop, c.Secret)
				check.OK(t, err)
				if card.Blocked != (want == fault.CardBlocked) {
					t.Errorf("blocked is %t where %q is answered", card.Blocked, want)
				}
				_, err = p.redeem(c, 1, id.New("r"))
				check.Code(t, "redeem", err, want)
				_, err = p.hold(c, 1, id.New("h"))
				check.Code(t, "hold", err, want)
				_, err = p.reload(c, 1, id.New("l"))
				check.Code(t, "reload", err, want)
			}
		}
		set(ledger.Frozen)
		spends(fault.CardBlocked)
		check.OK(t, p.Unblock(t.Context(), shop, c.Card.ID, "found"))
		spends("")
		check.OK(t, p.Block(t.Context(), shop, c.Card.ID, "lost"))
		spends(fault.CardBlocked)
		set(ledger.Open)
		spends("")
		check.OK(t, p.Block(t.Context(), shop, c.Card.ID, "lost again"))
		spends(fault.CardBlocked)
		p.verify()
	})
}

// Where an operator froze what pays for a refund or a cancellation, nobody is told that the
// card is blocked.
func TestFrozenPayer(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 1000)
		p.done(p.redeem(c, 100, "r1"))
		set := func(to ledger.State) {
			t.Helper()
			_, err := p.Books.Submit(t.Context(), ledger.Operation{Book: shop.Book, Kind: "account.set", Actor: "op/1", At: p.clocks.Now(shop.Realm),
				States: []ledger.StateChange{{Account: "giftcard.redeemed/USD", To: to}, {Account: "giftcard.funding/USD", To: to}}})
			check.OK(t, err)
		}
		set(ledger.Frozen)
		for _, block := range []func() error{func() error { return nil }, func() error { return p.Block(t.Context(), shop, c.Card.ID, "lost") }} {
			check.OK(t, block())
			_, err := p.refund(c, "r1", 1, "f1")
			check.Code(t, "refund", err, fault.InvalidState)
			_, err = p.cancel(c, "given back")
			check.Code(t, "cancel", err, fault.InvalidState)
		}
		set(ledger.Open)
		p.done(p.refund(c, "r1", 1, "f1"))
		p.done(p.cancel(c, "given back"))
		p.verify()
	})
}

// A blocked card that expires, empty or not, still says why it was blocked.
func TestExpiryKeepsReason(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		full, empty := p.create(shop, 1000), p.create(shop, 1000)
		p.done(p.redeem(empty, 1000, "r1"))
		for _, c := range []*held{full, empty} {
			check.OK(t, p.Block(t.Context(), shop, c.Card.ID, "reported stolen"))
		}
		p.forward(p.Rules.Validity)
		n, err := p.Expire(t.Context())
		check.OK(t, err)
		check.Equal(t, "swept", n, 2)
		check.List(t, "events", p.events(shop), "giftcard.create", "giftcard.create", "giftcard.redeem", "giftcard.expire") // none of the empty one
		for _, c := range []*held{full, empty} {
			card, err := p.Get(t.Context(), shop.Book, c.Card.ID)
			check.OK(t, err)
			if !card.Blocked || card.Reason != "reported stolen" || card.EndedAt.IsZero() {
				t.Errorf("%+v", card)
			}
		}
		p.verify()
	})
}

// Cancelling waits for holds, gives back what is left, works on a blocked card and answers twice alike.
func TestCancel(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 1000)
		p.done(p.redeem(c, 300, "r1"))
		h := p.done(p.hold(c, 700, "h1")) // all of it
		_, err := p.cancel(c, "early")
		check.Code(t, "cancel with a hold", err, fault.InvalidState)
		p.done(p.Void(t.Context(), shop, giftcard.End{Hold: h.Hold, Reference: "v1"}))
		for range 2 { // the second does nothing
			check.OK(t, p.Block(t.Context(), shop, c.Card.ID, "lost"))
		}
		first := p.done(p.cancel(c, "the buyer wants money"))
		if first.Amount != usd(700) || first.Card.Reason != "the buyer wants money" || first.Card.Status != giftcard.Cancelled || first.Card.Balance != usd(0) || first.Card.EndedAt.IsZero() {
			t.Errorf("cancel: %+v of %+v", first, first.Card)
		}
		again := p.done(p.cancel(c, "another reason"))
		if !again.Replayed || again.Transaction != first.Transaction || again.Card.Reason != "the buyer wants money" || again.Amount != usd(700) {
			t.Errorf("cancelled again: %+v of %+v", again, again.Card)
		}
		p.look(c, giftcard.Cancelled, 0, 0)
		p.refuses(c, fault.CardCancelled)
		check.Code(t, "unblock", p.Unblock(t.Context(), shop, c.Card.ID, "late"), fault.CardCancelled)
		if got := p.contra(shop, "giftcard.funding"); got != 300 {
			t.Errorf("funded %d, want what was redeemed", got)
		}
		empty := p.create(shop, 5)
		p.done(p.redeem(empty, 5, "r5"))
		p.done(p.cancel(empty, ""))
		p.look(empty, giftcard.Cancelled, 0, 0)
		p.pages(empty, "cancel 0 0", "redeem 5 0", "create 5 5")
		check.List(t, "events", p.events(shop), "giftcard.create", "giftcard.redeem", "giftcard.hold", "giftcard.void", "giftcard.cancel",
			"giftcard.create", "giftcard.redeem", "giftcard.cancel")
		p.pages(c, "cancel 700 0", "void 700 700", "hold 700 0", "redeem 300 700", "create 1000 1000")
		p.forward(p.Rules.Validity)
		if n, err := p.Expire(t.Context()); n != 0 || err != nil {
			t.Errorf("swept %d cancelled cards, %v", n, err)
		}
		p.look(c, giftcard.Cancelled, 0, 0)
		check.List(t, "audit", p.audited(shop), "key/shop giftcard.cancel "+string(c.Card.ID), "key/shop giftcard.block "+string(c.Card.ID),
			"key/shop giftcard.cancel "+string(c.Card.ID), "key/shop giftcard.cancel "+string(empty.Card.ID))
		p.verify()
	})
}

// An event tells what was moved, held or let go, what is left, and under which names; nothing that
// is secret.
func TestEventData(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 1000)
		h := p.done(p.hold(c, 700, "h1"))
		p.forward(time.Microsecond)
		taken := p.done(p.Capture(t.Context(), shop, giftcard.End{Hold: h.Hold, Amount: usd(200), Reference: "c1"}))
		freed := p.done(p.Void(t.Context(), shop, giftcard.End{Hold: h.Hold, Reference: "v1"}))
		ended := p.done(p.cancel(c, "given back"))
		events, err := p.Outbox.List(t.Context(), webhook.EventFilter{Book: shop.Book, Limit: 4})
		check.OK(t, err)
		for i, want := range []struct {
			m                         giftcard.Movement
			kind, amount, left, named string
		}{
			{ended, "cancel", "8.00", "0.00", ``},
			{freed, "void", "5.00", "8.00", `,"reference":"v1"`},
			{taken, "capture", "2.00", "3.00", `,"reference":"c1"`},
			{h, "hold", "7.00", "3.00", `,"reference":"h1"`},
		} {
			hold, at := "", "2026-11-21T09:00:00.000001Z"
			if want.kind != "cancel" {
				hold = `,"hold_id":"` + string(h.Hold) + `"`
			}
			if want.kind == "hold" {
				at = "2026-11-21T09:00:00.000000Z"
			}
			check.Equal(t, want.kind, string(events[i].Data), fmt.Sprintf(`{"card_id":%q,"last4":%q,"transaction_id":%q,"type":%q,"amount":%q,"balance":%q,"currency":"USD"%s,"transaction_at":%q%s}`,
				c.Card.ID, c.Card.Last4, want.m.Transaction, want.kind, want.amount, want.left, want.named, at, hold))
		}
		p.verify()
	})
}

// What is done to cards stands in the audit log in the time of their realm.
func TestRecordedInTheRealmsTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, tested, sold := t.Context(), p.create(shop, 1000), p.create(street, 1000)
		p.forward(30 * day)
		for _, c := range []*held{tested, sold} {
			check.OK(t, p.Block(ctx, c.m, c.Card.ID, "lost"))
			check.OK(t, p.Unblock(ctx, c.m, c.Card.ID, "found"))
			_, _, err := p.Reveal(ctx, c.m.Book, c.Card.ID, "op/1")
			check.OK(t, err)
			p.done(p.cancel(c, "given back"))
			_, err = p.Import(ctx, c.m, strings.NewReader("title,templateId,currency,amount\nOne,"+template+",USD,1\n"), nil)
			check.OK(t, err)
			records, err := p.Audit.List(ctx, audit.Filter{Book: string(c.m.Book)})
			check.OK(t, err)
			check.Equal(t, "records", len(records), 5)
			for _, r := range records {
				if want := p.clocks.Now(c.m.Realm); !r.At.Equal(want) {
					t.Errorf("%s at %s, want %s", r.Action, r.At, want)
				}
			}
		}
	})
}

// Amounts that are no amounts, currencies that differ and texts that are none are refused, alike on both engines.
func TestRefusals(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, c := t.Context(), p.create(shop, 1000)
		for name, issue := range map[string]giftcard.Issue{
			"no title": {}, "blank title": {Title: "  "}, "NUL": {Title: "a\x00b"}, "not UTF-8": {Title: "a\xff"}, "two lines": {Title: "a\nb"}, "what nobody sees": {Title: "a\u200bb"},
			"long title":     {Title: strings.Repeat("é", 129)},
			"long reference": {Title: "a", Reference: strings.Repeat("a", 65)}, "NUL in reference": {Title: "a", Reference: "\x00"},
			"no template": {Title: "a", TemplateID: "nobody"}, "NUL in template": {Title: "a", TemplateID: "\x00"}} {
			if issue.Amount = usd(1); issue.TemplateID == "" {
				issue.TemplateID = template
			}
			_, err := p.Create(ctx, shop, issue)
			check.Code(t, name, err, fault.InvalidRequest)
			check.Code(t, name+", checked", p.Check(ctx, issue), fault.InvalidRequest)
		}
		for _, minor := range []int64{0, -1, p.Rules.MaxMajor*100 + 1} {
			_, err := p.Create(ctx, shop, giftcard.Issue{Title: "a", TemplateID: template, Amount: usd(minor)})
			check.Code(t, fmt.Sprint("create with ", minor), err, fault.InvalidAmount)
		}
		_, err := p.Create(ctx, shop, giftcard.Issue{Title: "a", TemplateID: template, Amount: money.New(12_345_678, money.BTC)})
		check.Code(t, "finer than anybody may spend", err, fault.InvalidAmount)
		_, err = p.Create(ctx, shop, giftcard.Issue{Title: "a", TemplateID: template, Amount: money.New(12_345_600, money.BTC)})
		check.OK(t, err)
		_, err = p.Create(ctx, shop, giftcard.Issue{Title: "a", TemplateID: template, Amount: usd(1), AmountText: "1\x00"})
		check.Code(t, "NUL in the amount", err, fault.InvalidAmount)
		for _, reference := range []string{"", "\x00", "\xff", "a\nb", strings.Repeat("a", 65)} {
			_, err := p.redeem(c, 1, reference)
			check.Code(t, fmt.Sprintf("reference %q", reference), err, fault.InvalidRequest)
			_, err = p.Capture(ctx, shop, giftcard.End{Hold: "hold_1", Reference: reference})
			check.Code(t, fmt.Sprintf("capture under %q", reference), err, fault.InvalidRequest)
		}
		for _, minor := range []int64{0, -1} {
			_, err := p.redeem(c, minor, "r1")
			check.Code(t, "redeem", err, fault.InvalidAmount)
			_, err = p.hold(c, minor, "h1")
			check.Code(t, "hold", err, fault.InvalidAmount)
		}
		_, err = p.Redeem(ctx, shop, giftcard.Transfer{Secret: c.Secret, Amount: money.New(1, money.EUR), Reference: "r1"})
		check.Code(t, "another currency", err, fault.CurrencyMismatch)
		for _, reason := range []string{"\x00", "\xff", strings.Repeat("a", 401)} {
			check.Code(t, "reason", p.Block(ctx, shop, c.Card.ID, reason), fault.InvalidRequest)
			_, err = p.cancel(c, reason)
			check.Code(t, "reason", err, fault.InvalidRequest)
		}
		_, err = p.List(ctx, shop.Book, "\x00", 1)
		check.Code(t, "cursor", err, fault.InvalidCursor)
		_, err = p.Get(ctx, shop.Book, "gc_\x00")
		check.Code(t, "id", err, fault.NotFound)
		p.look(c, giftcard.Created, 1000, 0)
	})
}

// A book's cards are listed newest first, page by page, each as it stands.
func TestList(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		var want []giftcard.ID
		for i := range 7 {
			c := p.create(shop, int64(100+i))
			want = append([]giftcard.ID{c.Card.ID}, want...)
			p.create(rival, 1)
			if i == 3 {
				p.done(p.redeem(c, 103, "r1"))
			}
		}
		var got []giftcard.ID
		for before := giftcard.ID(""); ; {
			page, err := p.List(t.Context(), shop.Book, before, 3)
			check.OK(t, err)
			if len(page) == 0 {
				break
			}
			for _, card := range page {
				got, before = append(got, card.ID), card.ID
				if (card.Status == giftcard.Redeemed) != (card.Amount == usd(103)) || !card.Number.IsZero() {
					t.Errorf("%+v", card)
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("listed %v, want %v", got, want)
		}
	})
}
