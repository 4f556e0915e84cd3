package issuing_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
)

func euros(minor int64) money.Amount { return money.New(minor, money.EUR) }

// travel is a BIN that does not ship.
func travel() issuing.BIN {
	return issuing.BIN{ID: "45320012", Network: pan.Visa, Type: "travel", IssuerCountry: "DE", Currency: money.EUR, ThreeDS: true,
		MaxTransaction: euros(100_00), MaxMonthly: euros(1000_00), AcceptanceTenths: 1000, BestFor: []string{"hotels"}, Active: true}
}

// Both published BINs ship as they are published; operators change them and add more, and
// every process follows within seconds.
func TestBINs(t *testing.T) {
	twoProcesses(t, func(t *testing.T, both [2]*process) {
		p, q := both[0], both[1]
		ctx := t.Context()
		all, err := q.BINs(ctx)
		check.OK(t, err)
		if diff := cmp.Diff(issuing.ShippedBINs(), all); diff != "" {
			t.Error(diff)
		}
		visaBIN, everyday := all[0], all[1]
		if visaBIN.ID != "491653" || visaBIN.Network != pan.Visa || visaBIN.Type != "advertising" || visaBIN.IssuerCountry != "US" || !visaBIN.ThreeDS ||
			visaBIN.MaxTransaction.String() != "5000.00" || visaBIN.MaxMonthly.String() != "50000.00" || visaBIN.AcceptanceTenths != 972 || len(visaBIN.BestFor) != 3 ||
			everyday.ID != "531993" || everyday.Network != pan.Mastercard || everyday.MaxTransaction.String() != "1000.00" || everyday.MaxMonthly.String() != "10000.00" ||
			everyday.AcceptanceTenths != 958 {
			t.Errorf("%+v", all)
		}
		off := visaBIN
		off.Active, off.ApplePay = false, false
		for _, b := range []issuing.BIN{off, travel()} {
			got, err := p.PutBIN(ctx, issuing.BINChange{BIN: b, Actor: "op/1"})
			if err != nil || !cmp.Equal(got, b) {
				t.Errorf("%+v, %v", got, err)
			}
		}
		want := []issuing.BIN{travel(), off, everyday}
		for i, r := range both {
			p.forward(time.Duration(i) * 2 * time.Second)
			got, err := r.BINs(ctx)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("process %d: %v\n%s", i, err, diff)
			}
		}
		p.load(ann, 10000)
		_, err = q.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(1000)})
		check.Code(t, "an inactive BIN", err, fault.InvalidRequest)
		_, err = q.Preview(ctx, ann, pan.Visa, nil)
		check.Code(t, "a preview without a BIN in dollars", err, fault.InvalidRequest)
		_, err = p.PutBIN(ctx, issuing.BINChange{BIN: visaBIN, Actor: "op/1"})
		check.OK(t, err)
		i, err := p.Preview(ctx, ann, pan.Visa, nil)
		check.OK(t, err)
		check.Equal(t, "BIN of a preview", i.Card.BIN.ID, visa)
	})
}

// A card that there is keeps its BIN, also an inactive one, and follows its limits.
func TestCardsOfChangedBINs(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card, limited := t.Context(), p.card(ann, 1000), p.card(ann, 100)
		limit, label := usd(4_000_000), "Travel"
		_, err := p.Change(ctx, ann, issuing.Change{Card: limited, SpendingLimit: &limit})
		check.OK(t, err)
		b := issuing.ShippedBINs()[0]
		b.Active, b.MaxMonthly = false, b.MaxTransaction
		_, err = p.PutBIN(ctx, issuing.BINChange{BIN: b, Actor: "op/1"})
		check.OK(t, err)
		changed, err := p.Change(ctx, ann, issuing.Change{Card: limited, Label: &label})
		check.OK(t, err)
		check.Equal(t, "limit of a card that is only named", changed.SpendingLimit(), limit)
		_, err = p.Change(ctx, ann, issuing.Change{Card: limited, SpendingLimit: &limit})
		check.Code(t, "the limit again", err, fault.InvalidAmount)
		found, err := p.Find(ctx, ann.Book, card)
		if err != nil || found.BIN.Active || found.SpendingLimit() != b.MaxTransaction {
			t.Errorf("%+v, %v", found, err)
		}
		p.load(ann, 100)
		check.OK(t, p.each(ann, card)["fund"]())
		check.Code(t, "replace", p.each(ann, card)["replace"](), fault.InvalidState)
		check.OK(t, p.each(ann, card)["terminate"]())
	})
}

// What cannot be a BIN is refused.
func TestBINsRefused(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for name, row := range map[string]struct {
			change func(*issuing.BIN)
			want   fault.Code
		}{
			"letters":         {func(b *issuing.BIN) { b.ID = "45320a" }, fault.InvalidRequest},
			"short":           {func(b *issuing.BIN) { b.ID = "45320" }, fault.InvalidRequest},
			"long":            {func(b *issuing.BIN) { b.ID = "453200123" }, fault.InvalidRequest},
			"within another":  {func(b *issuing.BIN) { b.ID = "49165301" }, fault.InvalidRequest},
			"around another":  {func(b *issuing.BIN) { b.ID = "491653"; b.ID = b.ID[:6]; b.Currency = money.EUR }, fault.InvalidState},
			"another network": {func(b *issuing.BIN) { b.Network = pan.Mastercard }, fault.InvalidRequest},
			"amex":            {func(b *issuing.BIN) { b.ID, b.Network = "371234", "amex" }, fault.InvalidRequest},
			"type":            {func(b *issuing.BIN) { b.Type = "Travel cards" }, fault.InvalidRequest},
			"country":         {func(b *issuing.BIN) { b.IssuerCountry = "UK" }, fault.InvalidRequest},
			"currency":        {func(b *issuing.BIN) { b.Currency = money.NoCurrency }, fault.UnknownCurrency},
			"mixed":           {func(b *issuing.BIN) { b.MaxMonthly = usd(1000_00) }, fault.CurrencyMismatch},
			"nothing":         {func(b *issuing.BIN) { b.MaxTransaction = euros(0) }, fault.InvalidAmount},
			"month too small": {func(b *issuing.BIN) { b.MaxMonthly = euros(99_99) }, fault.InvalidAmount},
			"month too large": {func(b *issuing.BIN) { b.MaxMonthly = euros(1_000_000_001) }, fault.InvalidAmount},
			"rate":            {func(b *issuing.BIN) { b.AcceptanceTenths = 1001 }, fault.InvalidRequest},
			"best for":        {func(b *issuing.BIN) { b.BestFor = []string{"a b"} }, fault.InvalidRequest},
		} {
			b := travel()
			row.change(&b)
			_, err := p.PutBIN(t.Context(), issuing.BINChange{BIN: b, Actor: "op/1"})
			check.Code(t, name, err, row.want)
		}
		all, err := p.BINs(t.Context())
		if err != nil || len(all) != 2 {
			t.Errorf("%d BINs, %v", len(all), err)
		}
	})
}

// Issuing can be switched off, and kept to verified cardholders within their tier.
func TestProgramme(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		p.load(ann, 100000)
		owner := cardholder.Owner{Book: ann.Book, Realm: ann.Realm, Actor: "op/1"}
		ada, err := p.Cardholders.Create(ctx, owner, cardholder.NewPerson{Name: "Ada", Address: p.Programme.Billing})
		check.OK(t, err)
		issue := func(person cardholder.ID) error {
			_, err := p.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(100), Cardholder: person})
			return err
		}
		check.OK(t, issue(""))
		check.OK(t, issue(ada.ID))
		p.Programme.RequireCardholder = true
		check.Code(t, "nobody", issue(""), fault.InvalidRequest)
		check.Code(t, "pending", issue(ada.ID), fault.InvalidRequest)
		_, err = p.Preview(ctx, ann, "", nil)
		check.Code(t, "preview for nobody", err, fault.InvalidRequest)
		_, err = p.Cardholders.PutTier(ctx, cardholder.TierChange{Tier: cardholder.Tier{Name: "two", Currency: money.USD, MaxCards: 2}, Actor: "op/1"})
		check.OK(t, err)
		judge := func(state cardholder.State, tier string) {
			t.Helper()
			_, err := p.JudgeCardholder(ctx, house, cardholder.Judgement{ID: ada.ID, State: state, Tier: tier})
			check.OK(t, err)
		}
		judge(cardholder.Verified, "two")
		check.OK(t, issue(ada.ID))
		check.Code(t, "a third card", issue(ada.ID), fault.QuotaExceeded)
		check.Code(t, "another's cardholder", func() error {
			_, err := p.Issue(ctx, bob, issuing.NewCard{BIN: visa, Amount: usd(100), Cardholder: ada.ID})
			return err
		}(), fault.InvalidRequest)

		cards, err := p.OfCardholder(ctx, ann.Book, ada.ID, "")
		check.OK(t, err)
		if len(cards) != 2 {
			t.Fatalf("%v", cards)
		}
		check.OK(t, p.each(ann, cards[1])["terminate"]())
		check.OK(t, issue(ada.ID)) // one that has ended makes room for another
		check.Code(t, "a third card again", issue(ada.ID), fault.QuotaExceeded)
		cards, err = p.OfCardholder(ctx, ann.Book, ada.ID, "")
		check.OK(t, err)
		cards = slices.DeleteFunc(cards, func(c issuing.CardID) bool { return p.get(ann, c).Status == issuing.Terminated })
		found, err := p.Find(ctx, ann.Book, cards[0])
		if err != nil || found.Tier.Name != "two" || found.Spender() != string(ada.ID) {
			t.Errorf("%+v, %v", found, err)
		}
		judge(cardholder.Suspended, "")
		check.Code(t, "suspended", issue(ada.ID), fault.InvalidState)
		for _, card := range cards {
			if c := p.get(ann, card); c.Status != issuing.Frozen || c.Reason != issuing.ReasonCardholder {
				t.Errorf("%+v", c)
			}
			check.Code(t, "unfreeze by the customer", p.each(ann, card)["unfreeze"](), fault.InvalidState)
			check.Code(t, "unfreeze by an operator", p.each(house, card)["unfreeze"](), fault.InvalidState)
		}
		judge(cardholder.Verified, "business")
		check.OK(t, p.each(house, cards[0])["unfreeze"]())

		p.Programme.IssuingOn = false
		check.Code(t, "issue while it is off", issue(ada.ID), fault.FeatureDisabled)
		_, err = p.Preview(ctx, ann, "", nil)
		check.Code(t, "preview while it is off", err, fault.FeatureDisabled)
		check.OK(t, p.each(ann, cards[0])["fund"]())
		p.verify()
	})
}

// adasCard makes a person in ann's book who has a card.
func (p *process) adasCard() (cardholder.Cardholder, issuing.Card) {
	p.t.Helper()
	ada, err := p.Cardholders.Create(p.t.Context(), cardholder.Owner{Book: ann.Book, Realm: ann.Realm, Actor: "op/1"}, cardholder.NewPerson{Name: "Ada", Address: p.Programme.Billing})
	check.OK(p.t, err)
	p.load(ann, 100)
	c, err := p.Issue(p.t.Context(), ann, issuing.NewCard{BIN: visa, Amount: usd(100), Cardholder: ada.ID})
	check.OK(p.t, err)
	return ada, c
}

// The answer to a judgement is written when every card is frozen: whoever got none asks again,
// and nobody is answered while cards are left.
func TestJudgedLast(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		ada, c := p.adasCard()
		lost := errors.New("nothing can be written")
		var then issuing.Status
		judge := func(answer error) error {
			_, err := p.JudgeCardholder(ctx, house, cardholder.Judgement{ID: ada.ID, State: cardholder.Rejected, Also: func(cardholder.Cardholder) ([]storage.Effect, error) {
				then = p.get(ann, c.ID).Status
				return nil, answer
			}})
			return err
		}
		if err := judge(lost); !errors.Is(err, lost) {
			t.Errorf("judging without an answer: %v", err)
		}
		check.Equal(t, "the card as the answer is written", then, issuing.Frozen)
		check.OK(t, judge(nil))
		p.verify()
	})
}

// Nobody is put into a tier whose limits would not bound the cards that the person has, nor gets a
// card that the limits of the tier would not bound.
func TestTierOfOtherCurrency(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		ada, c := p.adasCard()
		for name, limits := range map[string][]spending.Limit{"europe": {{Window: spending.PerDay, Amount: euros(100)}}, "open": nil} {
			_, err := p.Cardholders.PutTier(ctx, cardholder.TierChange{Tier: cardholder.Tier{Name: name, Currency: money.EUR, Limits: limits}, Actor: "op/1"})
			check.OK(t, err)
		}
		verify := func(tier string) error {
			_, err := p.JudgeCardholder(ctx, house, cardholder.Judgement{ID: ada.ID, State: cardholder.Verified, Tier: tier})
			return err
		}
		check.Code(t, "limits in euros", verify("europe"), fault.CurrencyMismatch)
		check.OK(t, verify("open"))
		check.OK(t, p.each(ann, c.ID)["terminate"]())
		check.OK(t, verify("europe"))
		issue := func() error {
			_, err := p.Issue(ctx, ann, issuing.NewCard{BIN: "491653", Amount: usd(1000), Cardholder: ada.ID})
			return err
		}
		p.load(ann, 1000)
		check.Code(t, "a card in dollars", issue(), fault.CurrencyMismatch)
		check.OK(t, verify("open"))
		check.OK(t, issue())
	})
}

// A card whose cardholder was suspended is frozen to whoever decides payments, before its
// row says so.
func TestSuspendedCardholder(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		owner := cardholder.Owner{Book: ann.Book, Realm: ann.Realm, Actor: "op/1"}
		ada, c := p.adasCard()
		_, err := p.Cardholders.Judge(ctx, owner, cardholder.Judgement{ID: ada.ID, State: cardholder.Rejected, Reason: "forged"})
		check.OK(t, err)
		found, err := p.Find(ctx, ann.Book, c.ID)
		if err != nil || found.Status != issuing.Frozen || found.Reason != issuing.ReasonCardholder {
			t.Errorf("%+v, %v", found, err)
		}
		if got := p.get(ann, c.ID); got.Status != issuing.Active {
			t.Errorf("%+v", got)
		}
	})
}
