package issuing_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// The published life of a card: issued for 487.50, funded with 200 from a wallet that has
// 1,512.50, frozen, unfrozen, and terminated with its balance back on the wallet.
func TestPublishedLife(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		p.load(ann, 200000)
		c, err := p.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(48750), Label: "Meta Ads Campaign #12", SpendingLimit: usd(200000),
			Metadata: map[string]string{"campaign": "spring_2026"}})
		check.OK(t, err)
		if c.Status != issuing.Active || c.BIN.ID != visa || c.BIN.Network != pan.Visa || c.Balance != usd(48750) || c.SpendingLimit() != usd(200000) ||
			c.Label != "Meta Ads Campaign #12" || c.Metadata["campaign"] != "spring_2026" || !strings.HasPrefix(string(c.ID), "card_") ||
			c.CreatedAt != epoch || c.ExpiresAt != time.Date(2029, 4, 15, 23, 59, 59, 0, time.UTC) || len(c.Last4) != 4 {
			t.Errorf("issued %+v", c)
		}
		m, err := p.fund(ann, c.ID, 20000)
		check.OK(t, err)
		if m.Previous != usd(48750) || m.Amount != usd(20000) || m.New != usd(68750) || m.Wallet != usd(131250) || !m.Repaid.IsZero() || m.Card.Balance != m.New {
			t.Errorf("funded %+v", m)
		}
		p.forward(3 * time.Hour)
		frozen, err := p.Freeze(ctx, ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		if frozen.Status != issuing.Frozen || frozen.FrozenAt != epoch.Add(3*time.Hour) || frozen.Reason != issuing.ReasonCustomer || frozen.Balance != usd(68750) {
			t.Errorf("frozen %+v", frozen)
		}
		thawed, err := p.Unfreeze(ctx, ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		if thawed.Status != issuing.Active || !thawed.FrozenAt.IsZero() || thawed.Reason != "" || thawed.Balance != usd(68750) {
			t.Errorf("unfrozen %+v", thawed)
		}
		w, err := p.withdraw(ann, c.ID, 20000)
		check.OK(t, err)
		if w.Previous != usd(68750) || w.New != usd(48750) || w.Wallet != usd(151250) {
			t.Errorf("withdrew %+v", w)
		}
		end, err := p.Terminate(ctx, ann, issuing.Ending{Card: c.ID})
		check.OK(t, err)
		if end.Refunded != usd(48750) || end.Wallet != usd(200000) || end.Card.Status != issuing.Terminated || end.At != epoch.Add(3*time.Hour) {
			t.Errorf("terminated %+v", end)
		}
		p.look(ann, c.ID, issuing.Terminated, 0, 200000)
		check.List(t, "events", p.events(ann), "card.created", "card.funded", "card.frozen", "card.unfrozen", "card.terminated")
		p.verify()
	})
}

// A previewed card waits for its first funding, which makes it active; before, it can only
// be terminated.
func TestPreview(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		for network, want := range map[pan.Network]string{pan.Visa: "491653", pan.Mastercard: "531993", "": "491653"} {
			i, err := p.Preview(ctx, ann, network, nil)
			check.OK(t, err)
			if i.Card.Status != issuing.PendingTopUp || i.Card.BIN.ID != want || !strings.HasPrefix(i.Number.Reveal(), want) || i.Number.Last4() != i.Card.Last4 || !i.Card.Balance.IsZero() {
				t.Errorf("%s: %+v", network, i)
			}
		}
		_, err := p.Preview(ctx, ann, "amex", nil)
		check.Code(t, "another network", err, fault.InvalidRequest)
		i, err := p.Preview(ctx, ann, pan.Visa, nil)
		check.OK(t, err)
		card := i.Card.ID
		p.load(ann, 10000)
		for name, err := range p.each(ann, card) {
			if want := map[string]fault.Code{"fund": "", "details": "", "change": "", "terminate": ""}; name != "fund" && name != "terminate" {
				code, ok := want[name]
				if !ok {
					code = fault.InvalidState
				}
				check.Code(t, name+" before the first funding", err(), code)
			}
		}
		p.look(ann, card, issuing.PendingTopUp, 0, 10000)
		m, err := p.fund(ann, card, 5000)
		check.OK(t, err)
		if m.Card.Status != issuing.Active || m.Previous != usd(0) {
			t.Errorf("%+v", m)
		}
		p.look(ann, card, issuing.Active, 5000, 5000)
		check.List(t, "events", p.events(ann)[3:], "card.created", "card.funded")
		p.verify()
	})
}

// each is every call on a card that changes it or shows it, by name.
func (p *process) each(h issuing.Holder, card issuing.CardID) map[string]func() error {
	ctx, label := context.Background(), "changed"
	return map[string]func() error{
		"fund":     func() error { _, err := p.fund(h, card, 100); return err },
		"withdraw": func() error { _, err := p.withdraw(h, card, 100); return err },
		"freeze":   func() error { _, err := p.Freeze(ctx, h, issuing.Step{Card: card}); return err },
		"unfreeze": func() error { _, err := p.Unfreeze(ctx, h, issuing.Step{Card: card}); return err },
		"replace": func() error {
			_, err := p.Replace(ctx, h, issuing.Replacement{Card: card, Reason: issuing.ReasonLost})
			return err
		},
		"change":    func() error { _, err := p.Change(ctx, h, issuing.Change{Card: card, Label: &label}); return err },
		"details":   func() error { _, err := p.Details(ctx, h, card); return err },
		"terminate": func() error { _, err := p.Terminate(ctx, h, issuing.Ending{Card: card}); return err },
	}
}

// Nothing can be done with a terminated card, and nothing with another's, which is as
// unknown as one that does not exist.
func TestRefusals(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.card(ann, 10000)
		_, err := p.Terminate(t.Context(), ann, issuing.Ending{Card: card})
		check.OK(t, err)
		for name, call := range p.each(ann, card) {
			check.Code(t, name+" after the end", call(), fault.InvalidState)
		}
		p.look(ann, card, issuing.Terminated, 0, 10000)
		own := p.card(ann, 10000)
		for name, call := range p.each(bob, own) {
			err := call()
			check.Code(t, name+" of another's", err, fault.NotFound)
			for _, id := range []issuing.CardID{"card_01kad5q4m8p2r6t9v3x7z1b5dh", "", "card_1", "gc_01kad5q4m8p2r6t9v3x7z1b5dh"} {
				if other := p.each(bob, id)[name](); fault.From(other).Message != fault.From(err).Message {
					t.Errorf("%s of %q: %v, of another's card: %v", name, id, other, err)
				}
			}
		}
		check.List(t, "the other's events", p.events(bob))
		check.List(t, "the other's audit", p.audited(bob))
		p.look(ann, own, issuing.Active, 10000, 10000)
		p.verify()
	})
}

// An operator who names a card that there is not, with a number or a text without end in the
// place of its id, is told so by every call, and nothing of it is in the audit log.
func TestOperatorsCardIsUnknown(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for _, id := range []issuing.CardID{"card_01kad5q4m8p2r6t9v3x7z1b5dh", "4111111111111111", issuing.CardID(strings.Repeat("x", 300))} {
			for name, call := range p.each(house, id) {
				check.Code(t, fmt.Sprintf("%s of %.20s", name, id), call(), fault.NotFound)
			}
		}
		check.List(t, "the audit log", p.audited(house))
	})
}

// The statuses follow each other as the table says, and no other way, whoever asks.
func TestTransitions(t *testing.T) {
	allowed := map[issuing.Status][]issuing.Status{
		issuing.PendingTopUp: {issuing.Active, issuing.Terminated},
		issuing.Active:       {issuing.Frozen, issuing.Terminated},
		issuing.Frozen:       {issuing.Active, issuing.Terminated},
	}
	for _, from := range issuing.Statuses() {
		for _, to := range issuing.Statuses() {
			want := slices.Contains(allowed[from], to)
			if got, err := from.Become(to); (err == nil) != want || (got == to) != (want || from == to) {
				t.Errorf("%s to %s: %s, %v", from, to, got, err)
			}
		}
	}
	eachEngine(t, func(t *testing.T, p *process) {
		reach := map[issuing.Status]func() issuing.CardID{
			issuing.PendingTopUp: func() issuing.CardID {
				i, err := p.Preview(t.Context(), ann, pan.Visa, nil)
				check.OK(t, err)
				return i.Card.ID
			},
			issuing.Active: func() issuing.CardID { return p.card(ann, 500) },
			issuing.Frozen: func() issuing.CardID {
				card := p.card(ann, 500)
				check.OK(t, p.each(ann, card)["freeze"]())
				return card
			},
			issuing.Terminated: func() issuing.CardID {
				card := p.card(ann, 500)
				check.OK(t, p.each(ann, card)["terminate"]())
				return card
			},
		}
		p.load(ann, 100000)
		for from, make := range reach {
			for call, to := range map[string]issuing.Status{"fund": issuing.Active, "freeze": issuing.Frozen, "unfreeze": issuing.Active, "terminate": issuing.Terminated} {
				card := make()
				err := p.each(ann, card)[call]()
				got := p.get(ann, card).Status
				switch {
				case err == nil && got != from && !slices.Contains(allowed[from], got):
					t.Errorf("%s made of a %s card a %s one", call, from, got)
				case err != nil && got != from:
					t.Errorf("%s of a %s card failed and left it %s", call, from, got)
				case err == nil && slices.Contains(allowed[from], to) && got != to && !(call == "fund" && from == issuing.Frozen):
					t.Errorf("%s of a %s card left it %s", call, from, got)
				}
			}
		}
		p.verify()
	})
}

// Freezing twice and unfreezing an active card change nothing; what belongs with the
// answer is written all the same. A frozen card takes money and gives none.
func TestFreeze(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(ann, 10000)
		p.load(ann, 5000)
		asked := 0
		also := func(c issuing.Card) ([]storage.Effect, error) { asked++; return nil, nil }
		first, err := p.Freeze(ctx, ann, issuing.Step{Card: card, Also: also})
		check.OK(t, err)
		p.forward(time.Hour)
		again, err := p.Freeze(ctx, ann, issuing.Step{Card: card, Also: also})
		check.OK(t, err)
		if again.FrozenAt != first.FrozenAt || again.Version != first.Version || asked != 2 {
			t.Errorf("frozen again: %+v, asked %d times", again, asked)
		}
		_, err = p.withdraw(ann, card, 100)
		check.Code(t, "withdraw", err, fault.InvalidState)
		m, err := p.fund(ann, card, 5000)
		check.OK(t, err)
		if m.Card.Status != issuing.Frozen || m.New != usd(15000) {
			t.Errorf("funded %+v", m)
		}
		for range 2 {
			c, err := p.Unfreeze(ctx, ann, issuing.Step{Card: card, Also: also})
			check.OK(t, err)
			if c.Status != issuing.Active || c.Balance != usd(15000) {
				t.Errorf("unfrozen %+v", c)
			}
		}
		if asked != 4 {
			t.Errorf("asked %d times", asked)
		}
		check.List(t, "events", p.events(ann), "card.created", "card.frozen", "card.funded", "card.unfrozen")
		p.verify()
	})
}

// What an operator froze, the customer can neither let go, end nor replace, also where
// the customer froze it first; an operator can. Operators are in the audit log.
func TestOperatorFreezes(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(ann, 10000)
		check.OK(t, p.each(ann, card)["freeze"]())
		p.forward(time.Hour)
		c, err := p.Freeze(ctx, house, issuing.Step{Card: card, Reason: issuing.ReasonFraud, Note: "called the bank"})
		check.OK(t, err)
		if c.Reason != issuing.ReasonFraud || c.FrozenAt != epoch {
			t.Errorf("%+v", c)
		}
		for _, name := range []string{"unfreeze", "terminate", "replace"} {
			check.Code(t, name, p.each(ann, card)[name](), fault.InvalidState)
		}
		check.OK(t, p.each(ann, card)["freeze"]())
		if c := p.get(ann, card); c.Reason != issuing.ReasonFraud {
			t.Errorf("the customer's reason replaced the operator's: %+v", c)
		}
		p.load(ann, 100)
		check.OK(t, p.each(ann, card)["fund"]())
		check.OK(t, p.each(house, card)["unfreeze"]())
		p.look(ann, card, issuing.Active, 10100, 0)
		for reason, h := range map[string]issuing.Holder{issuing.ReasonFraud: ann, issuing.ReasonOperator: ann, "bored": ann, issuing.ReasonCustomer: house, issuing.ReasonExpired: house} {
			_, err := p.Freeze(ctx, h, issuing.Step{Card: card, Reason: reason})
			check.Code(t, reason, err, fault.InvalidRequest)
		}
		check.List(t, "audit", p.audited(ann), "op/1 card.freeze", "op/1 card.unfreeze")
		check.List(t, "events", p.events(ann), "card.created", "card.frozen", "card.funded", "card.unfrozen")
		p.verify()
	})
}

// A card that an operator issues is in the audit log with what it was made of; one that
// is refused is not, and what a customer does is no operator's.
func TestOperatorIssues(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.load(ann, 10000)
		_, err := p.Issue(t.Context(), house, issuing.NewCard{BIN: "491653", Amount: usd(5000), Label: "desk"})
		check.OK(t, err)
		_, err = p.Issue(t.Context(), house, issuing.NewCard{BIN: "491653", Amount: usd(1)})
		check.Code(t, "too little", err, fault.InvalidAmount)
		_, err = p.Issue(t.Context(), ann, issuing.NewCard{BIN: "491653", Amount: usd(5000)})
		check.OK(t, err)
		check.List(t, "audit", p.audited(ann), "op/1 card.issue")
		p.verify()
	})
}

// A card that ends with something held on it gives back the rest at once, pays the
// merchant who has an approval, and gives back what is released, once.
func TestTerminateWithHolds(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for _, frozen := range []bool{false, true} {
			card := p.card(ann, 10000)
			before := p.purse(ann)
			first, second := p.hold(ann, card, 3000), p.hold(ann, card, 2000)
			if frozen {
				check.OK(t, p.each(ann, card)["freeze"]())
			}
			end, err := p.Terminate(t.Context(), ann, issuing.Ending{Card: card})
			check.OK(t, err)
			if end.Refunded != usd(5000) || end.Card.Held != usd(5000) || end.Card.Balance != usd(0) {
				t.Errorf("%+v", end)
			}
			for name, call := range p.each(ann, card) {
				check.Code(t, name, call(), fault.InvalidState)
			}
			p.swept(0)
			p.endHold(ann, first, ledger.Capture, 1000) // releases 2,000
			p.swept(0)
			p.look(ann, card, issuing.Terminated, 0, before+7000)
			p.endHold(ann, second, ledger.Release, 0)
			p.swept(1)
			p.swept(0)
			p.look(ann, card, issuing.Terminated, 0, before+9000)
			account, err := p.Books.FindAccount(t.Context(), ann.Book, ledger.AccountID("card/"+string(card)))
			if err != nil || account.State != ledger.Closed {
				t.Errorf("account %+v, %v", account, err)
			}
		}
		p.verify()
	})
}

// swept checks how many cards a sweep ends or closes.
func (p *process) swept(want int) {
	p.t.Helper()
	if n, err := p.Expire(context.Background()); n != want || err != nil {
		p.t.Errorf("swept %d, %v; want %d", n, err, want)
	}
}

// A card expires at the instant it says, at once where it is read and used, and gives its
// money back when it is swept, in its own realm.
func TestExpiry(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		card, frozen := p.card(ann, 5000), p.card(ann, 700)
		check.OK(t, p.each(ann, frozen)["freeze"]())
		pending, err := p.Preview(ctx, ann, pan.Visa, nil)
		check.OK(t, err)
		check.OK(t, p.Clocks.SetOffset(p.get(ann, card).ExpiresAt.Sub(epoch)-time.Microsecond))
		other := p.card(street, 300) // the live realm's clock stands
		p.swept(0)
		p.look(ann, card, issuing.Active, 5000, 0)
		check.OK(t, p.Clocks.SetOffset(p.Clocks.Offset()+time.Microsecond))
		c := p.get(ann, card)
		if c.Status != issuing.Terminated || c.Reason != issuing.ReasonExpired || c.EndedAt != c.ExpiresAt {
			t.Errorf("expired: %+v", c)
		}
		for name, call := range p.each(ann, card) {
			check.Code(t, name, call(), fault.InvalidState)
		}
		p.look(ann, card, issuing.Terminated, 5000, 0)
		p.swept(3)
		p.swept(0)
		p.look(ann, card, issuing.Terminated, 0, 5700)
		p.look(ann, frozen, issuing.Terminated, 0, 5700)
		p.look(ann, pending.Card.ID, issuing.Terminated, 0, 5700)
		p.look(street, other, issuing.Active, 300, 0)
		if c := p.get(ann, frozen); c.Reason != issuing.ReasonExpired || !c.FrozenAt.IsZero() {
			t.Errorf("%+v", c)
		}
		p.verify()
	})
}

// A card for one payment is dead from its capture on, with what is left back on the wallet.
func TestUsedUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		p.load(ann, 10000)
		c, err := p.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(10000), Controls: issuing.Controls{SingleUse: true}})
		check.OK(t, err)
		hold := p.hold(ann, c.ID, 4000)
		found, err := p.Find(ctx, ann.Book, c.ID)
		check.OK(t, err)
		if !found.Controls.SingleUse || found.Status != issuing.Active {
			t.Errorf("%+v", found)
		}
		_, err = p.Books.Submit(ctx, ledger.Operation{Book: ann.Book, Kind: "test.capture", At: epoch,
			Holds: []ledger.HoldChange{{Action: ledger.Capture, ID: hold}},
			Effects: func(o ledger.Outcome) ([]storage.Effect, error) {
				return []storage.Effect{issuing.Used(found, o.At, usd(4000)), issuing.UsedUp(found, o.At)}, nil
			}})
		check.OK(t, err)
		got := p.get(ann, c.ID)
		if got.Status != issuing.Terminated || got.Reason != issuing.ReasonUsedUp || got.Spent != usd(4000) || got.Transactions != 1 || got.LastUsedAt != epoch {
			t.Errorf("%+v", got)
		}
		again, err := p.Reread(ctx, found)
		if err != nil || again.Status != issuing.Terminated {
			t.Errorf("%+v, %v", again, err)
		}
		p.swept(1)
		p.look(ann, c.ID, issuing.Terminated, 0, 6000)
		check.List(t, "events", p.events(ann), "card.created", "card.terminated")
		p.verify()
	})
}

// A replaced card keeps its id, money, holds and counters, and has another number, CVV and
// expiry; the old number is dead for its reason.
func TestReplace(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(ann, 10000)
		old, err := p.Details(ctx, ann, card)
		check.OK(t, err)
		hold := p.hold(ann, card, 1000)
		p.forward(400 * day)
		i, err := p.Replace(ctx, ann, issuing.Replacement{Card: card, Reason: issuing.ReasonStolen})
		check.OK(t, err)
		now, err := p.Details(ctx, ann, card)
		check.OK(t, err)
		if now.Number.Equal(old.Number) || !now.Number.Equal(i.Number) || !strings.HasPrefix(now.Number.Reveal(), visa) || i.Card.ID != card || i.Card.Last4 != now.Number.Last4() ||
			i.Card.ExpiresAt != time.Date(2030, 5, 20, 23, 59, 59, 0, time.UTC) || i.Card.Balance != usd(9000) || i.Card.Held != usd(1000) {
			t.Errorf("replaced %+v", i)
		}
		found, err := p.FindByNumber(ctx, ann.Realm, now.Number)
		if err != nil || found.ID != card || found.Status != issuing.Active || !p.CheckCVC(found, now.CVC) || p.CheckCVC(found, pan.Secret{}) {
			t.Errorf("by the new number: %+v, %v", found, err)
		}
		dead, err := p.FindByNumber(ctx, ann.Realm, old.Number)
		if err != nil || dead.ID != card || dead.Status != issuing.Terminated || dead.Reason != issuing.ReasonStolen || dead.EndedAt != epoch.Add(400*day) ||
			dead.Last4 != old.Number.Last4() {
			t.Errorf("by the old number: %+v, %v", dead, err)
		}
		p.endHold(ann, hold, ledger.Capture, 0)
		p.look(ann, card, issuing.Active, 9000, 0)
		for _, reason := range []string{"", "bored", issuing.ReasonExpired} {
			_, err := p.Replace(ctx, ann, issuing.Replacement{Card: card, Reason: reason})
			check.Code(t, "reason "+reason, err, fault.InvalidRequest)
		}
		check.OK(t, p.each(ann, card)["freeze"]())
		i, err = p.Replace(ctx, ann, issuing.Replacement{Card: card, Reason: issuing.ReasonDamaged})
		check.OK(t, err)
		if i.Card.Status != issuing.Frozen {
			t.Errorf("a frozen card came back %s", i.Card.Status)
		}
		p.look(ann, card, issuing.Frozen, 9000, 0)
		check.List(t, "events", p.events(ann), "card.created", "card.replaced", "card.frozen", "card.replaced")
		p.verify()
	})
}

// What was forced beyond a card's balance is repaid by the wallet with the next funding or
// card, on top of what was asked for.
func TestDebtIsRepaidFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(ann, 1000)
		p.overdraw(ann, card, 500)
		p.load(ann, 2000)
		_, err := p.fund(ann, card, 1600)
		check.Code(t, "more than there is after the debt", err, fault.InsufficientFunds)
		check.Equal(t, "figures", fault.From(err).Details, map[string]string{"available": "20.00", "required": "21.00", "owed": "5.00"})
		_, err = p.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(1600)})
		check.Equal(t, "figures of a card", fault.From(err).Details, map[string]string{"available": "20.00", "required": "21.00", "owed": "5.00"})
		m, err := p.fund(ann, card, 1500)
		check.OK(t, err)
		if m.Repaid != usd(500) || m.Previous != usd(1000) || m.New != usd(2500) || m.Wallet != usd(0) {
			t.Errorf("%+v", m)
		}
		p.overdraw(ann, card, 300)
		p.load(ann, 1300)
		c, err := p.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(1000)})
		check.OK(t, err)
		p.look(ann, c.ID, issuing.Active, 1000, 0)
		p.load(ann, 100)
		m, err = p.fund(ann, card, 100)
		if err != nil || m.Repaid != usd(0) {
			t.Errorf("%+v, %v", m, err)
		}
		p.verify()
	})
}

// Amounts outside the programme's bounds, in another currency or beyond what there is are
// refused and leave no trace.
func TestAmounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(ann, 10000)
		p.load(ann, 10000)
		events := len(p.events(ann))
		for _, row := range []struct {
			amount                money.Amount
			fund, withdraw, issue fault.Code
		}{
			{usd(0), fault.InvalidAmount, fault.InvalidAmount, fault.InvalidAmount},
			{usd(-100), fault.InvalidAmount, fault.InvalidAmount, fault.InvalidAmount},
			{usd(99), fault.InvalidAmount, "ok", fault.InvalidAmount},
			{usd(500001), fault.InvalidAmount, fault.InsufficientFunds, fault.InvalidAmount},
			{usd(500000), fault.InsufficientFunds, fault.InsufficientFunds, fault.InsufficientFunds},
			{usd(1 << 62), fault.InvalidAmount, fault.InvalidAmount, fault.InvalidAmount},
			{money.New(500, money.EUR), fault.CurrencyMismatch, fault.CurrencyMismatch, fault.CurrencyMismatch},
			{money.Amount{Minor: 500}, fault.CurrencyMismatch, fault.CurrencyMismatch, fault.CurrencyMismatch},
		} {
			_, err := p.Fund(ctx, ann, issuing.Transfer{Card: card, Amount: row.amount})
			check.Code(t, fmt.Sprint("fund ", row.amount), err, row.fund)
			if row.withdraw != "ok" {
				_, err = p.Withdraw(ctx, ann, issuing.Transfer{Card: card, Amount: row.amount})
				check.Code(t, fmt.Sprint("withdraw ", row.amount), err, row.withdraw)
			}
			_, err = p.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: row.amount})
			check.Code(t, fmt.Sprint("issue ", row.amount), err, row.issue)
		}
		p.look(ann, card, issuing.Active, 10000, 10000)
		if n := len(p.events(ann)); n != events {
			t.Errorf("%d events after refusals, %d before", n, events)
		}
		p.verify()
	})
}

// Every call under a key repeats its first answer, whatever became of the card since; the
// same key with another amount conflicts.
func TestRepeats(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for _, end := range []struct {
			name string
			do   func(card issuing.CardID)
		}{
			{"nothing", func(issuing.CardID) {}},
			{"frozen", func(card issuing.CardID) { check.OK(t, p.each(ann, card)["freeze"]()) }},
			{"terminated", func(card issuing.CardID) { check.OK(t, p.each(ann, card)["terminate"]()) }},
			{"switched off", func(issuing.CardID) { p.Programme.IssuingOn = false }},
			{"expired", func(issuing.CardID) { p.forward(4 * 366 * day) }},
			{"swept", func(issuing.CardID) {
				p.forward(4 * 366 * day)
				_, err := p.Expire(t.Context())
				check.OK(t, err)
			}},
		} {
			p.repeats(end.name, end.do)
			p.Programme.IssuingOn = true
		}
		p.verify()
	})
}

// repeats makes every call that has a key, ends the card in some way, and makes them again.
func (p *process) repeats(name string, end func(card issuing.CardID)) {
	p.t.Helper()
	ctx := context.Background()
	p.load(ann, 100000)
	issue := issuing.NewCard{BIN: visa, Amount: usd(5000), Label: "One", Key: name}
	c, err := p.Issue(ctx, ann, issue)
	check.OK(p.t, err)
	fund, take := issuing.Transfer{Card: c.ID, Amount: usd(2000), Key: name}, issuing.Transfer{Card: c.ID, Amount: usd(1000), Key: name}
	f, err := p.Fund(ctx, ann, fund)
	check.OK(p.t, err)
	w, err := p.Withdraw(ctx, ann, take)
	check.OK(p.t, err)
	end(c.ID)
	purse := p.purse(ann)

	again, err := p.Issue(ctx, ann, issue)
	check.OK(p.t, err)
	if again.ID != c.ID || again.Balance != usd(5000) || again.Status != issuing.Active || !again.Number.Equal(c.Number) {
		p.t.Errorf("%s: issued again: %+v", name, again)
	}
	for _, row := range []struct {
		first issuing.Moved
		call  func(context.Context, issuing.Holder, issuing.Transfer) (issuing.Moved, error)
		t     issuing.Transfer
	}{{f, p.Fund, fund}, {w, p.Withdraw, take}} {
		m, err := row.call(ctx, ann, row.t)
		check.OK(p.t, err)
		if !m.Replayed || m.Transaction != row.first.Transaction || m.Previous != row.first.Previous || m.New != row.first.New ||
			m.Wallet != row.first.Wallet || m.At != row.first.At {
			p.t.Errorf("%s: %+v, first %+v", name, m, row.first)
		}
		row.t.Amount = usd(1500)
		_, err = row.call(ctx, ann, row.t)
		check.Code(p.t, name+": another amount", err, fault.IdempotencyConflict)
	}
	issue.Amount = usd(6000)
	_, err = p.Issue(ctx, ann, issue)
	check.Code(p.t, name+": another card", err, fault.IdempotencyConflict)
	if got := p.purse(ann); got != purse {
		p.t.Errorf("%s: the wallet went from %d to %d", name, purse, got)
	}
}

// What Also returns is written with the change or not at all, and its error undoes it.
func TestAlso(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(ann, 1000)
		p.load(ann, 10000)
		no := fault.New(fault.Unavailable, "no answer")
		label := "x"
		refuse := func(issuing.Card) ([]storage.Effect, error) { return nil, no }
		for name, call := range map[string]func() error{
			"issue": func() error {
				_, err := p.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(100), Also: refuse})
				return err
			},
			"preview": func() error {
				_, err := p.Preview(ctx, ann, "", func(issuing.Issued) ([]storage.Effect, error) { return nil, no })
				return err
			},
			"fund": func() error {
				_, err := p.Fund(ctx, ann, issuing.Transfer{Card: card, Amount: usd(100), Also: func(issuing.Moved) ([]storage.Effect, error) { return nil, no }})
				return err
			},
			"withdraw": func() error {
				_, err := p.Withdraw(ctx, ann, issuing.Transfer{Card: card, Amount: usd(100), Also: func(issuing.Moved) ([]storage.Effect, error) { return nil, no }})
				return err
			},
			"freeze":   func() error { _, err := p.Freeze(ctx, ann, issuing.Step{Card: card, Also: refuse}); return err },
			"unfreeze": func() error { _, err := p.Unfreeze(ctx, ann, issuing.Step{Card: card, Also: refuse}); return err },
			"change": func() error {
				_, err := p.Change(ctx, ann, issuing.Change{Card: card, Label: &label, Also: refuse})
				return err
			},
			"replace": func() error {
				_, err := p.Replace(ctx, ann, issuing.Replacement{Card: card, Reason: issuing.ReasonLost, Also: func(issuing.Issued) ([]storage.Effect, error) { return nil, no }})
				return err
			},
			"terminate": func() error {
				_, err := p.Terminate(ctx, ann, issuing.Ending{Card: card, Also: func(issuing.Ended) ([]storage.Effect, error) { return nil, no }})
				return err
			},
		} {
			check.Code(t, name, call(), fault.Unavailable)
		}
		p.look(ann, card, issuing.Active, 1000, 10000)
		if c := p.get(ann, card); c.Label != "" || c.Version != 1 {
			t.Errorf("%+v", c)
		}
		check.List(t, "events", p.events(ann), "card.created")
		page, err := p.List(ctx, issuing.Filter{Holder: ann})
		if err != nil || page.Total != 1 {
			t.Errorf("%d cards, %v", page.Total, err)
		}
		p.verify()
	})
}

// What events say: ids, amounts and why, and neither number nor CVV.
func TestEvents(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		p.load(ann, 10000)
		c, err := p.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(5000), Label: "Ads"})
		check.OK(t, err)
		check.OK(t, p.each(ann, c.ID)["fund"]())
		check.OK(t, p.each(ann, c.ID)["freeze"]())
		check.OK(t, p.each(ann, c.ID)["terminate"]())
		base := fmt.Sprintf(`"card_id":"%s","bin_id":"491653","network":"visa","last4":"%s"`, c.ID, c.Last4)
		want := []string{
			`{` + base + `,"status":"active","balance":"50.00","currency":"USD","label":"Ads","transaction_id":"txn"}`,
			`{` + base + `,"status":"active","balance":"51.00","currency":"USD","label":"Ads","transaction_id":"txn","amount":"1.00","wallet_balance":"49.00"}`,
			`{` + base + `,"status":"frozen","balance":"51.00","currency":"USD","label":"Ads","transaction_id":"txn","reason":"customer"}`,
			`{` + base + `,"status":"terminated","balance":"0.00","currency":"USD","label":"Ads","transaction_id":"txn","reason":"customer","refunded_amount":"51.00","wallet_balance":"100.00"}`,
		}
		if diff := cmp.Diff(want, p.data(ann)); diff != "" {
			t.Errorf("data (-want +got):\n%s", diff)
		}
	})
}

// What is done to cards stands in the audit log in the time of their realm.
func TestRecordedInTheRealmsTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(ann, 100)
		check.OK(t, p.Clocks.SetOffset(48*time.Hour))
		_, err := p.Details(ctx, ann, card)
		check.OK(t, err)
		_, err = p.Change(ctx, ann, issuing.Change{Card: card, Label: ptr("ads")})
		check.OK(t, err)
		records, err := p.Audit.List(ctx, audit.Filter{Book: string(ann.Book)})
		check.OK(t, err)
		check.Equal(t, "records", len(records), 2)
		for _, r := range records {
			if want := p.Clocks.Now(ann.Realm); !r.At.Equal(want) {
				t.Errorf("%s at %s, want %s", r.Action, r.At, want)
			}
		}
	})
}
