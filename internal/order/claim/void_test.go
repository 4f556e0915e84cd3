package claim_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
	"github.com/scripcards/scrip/internal/webhook"
)

// ordered places an order of n codes, and lets a minute pass.
func (b *bundle) ordered(item catalog.ItemCode, n int) order.Number {
	b.t.Helper()
	placed, err := b.Orders.Place(b.t.Context(), b.Buyer, order.Purchase{Item: item, Quantity: n})
	check.OK(b.t, err)
	b.Clock.Advance(time.Minute)
	return placed.Number
}

// secrets are how a merchant names the gift cards that the codes of an order are.
func (b *bundle) secrets(number order.Number) (all []giftcard.Secret) {
	b.t.Helper()
	found, err := b.Orders.Reveal(b.t.Context(), b.Buyer, number)
	check.OK(b.t, err)
	for _, c := range found.Codes {
		all = append(all, shop.CardOf(c))
	}
	return all
}

// spendable fails unless all of some unused cards can be spent, or none.
func (b *bundle) spendable(issuer giftcard.Merchant, cards []giftcard.Secret, can bool) {
	b.t.Helper()
	for i, secret := range cards {
		card, err := b.Cards.Find(b.t.Context(), issuer, secret)
		check.OK(b.t, err)
		if spent := card.Balance != card.Amount; spent == can || card.Status == giftcard.Cancelled == can {
			b.t.Errorf("card %d is %s and has %s", i+1, card.Status, card.Balance)
		}
		if !can {
			_, err := b.redeem(issuer, secret, 1)
			check.Code(b.t, "spent after it was voided", err, fault.CardCancelled)
		}
	}
}

// redeem takes cents from a card.
func (b *bundle) redeem(issuer giftcard.Merchant, secret giftcard.Secret, cents int64) (giftcard.Movement, error) {
	return b.Cards.Redeem(b.t.Context(), issuer, giftcard.Transfer{Secret: secret, Amount: money.New(cents, money.USD), Reference: fmt.Sprint("R-", b.Clock.Now().UnixNano(), "-", cents)})
}

// issued is what a book's accounts of gift cards stand at: what its cards cost, less what was
// returned, and what was bought with them.
func (b *bundle) issued(issuer giftcard.Merchant) (funding, redeemed int64) {
	b.t.Helper()
	all, err := b.Books.ListAccounts(b.t.Context(), issuer.Book, "giftcard.", "", 10)
	check.OK(b.t, err)
	for _, a := range all {
		switch a.ID {
		case "giftcard.funding/USD":
			funding = a.Posted().Minor
		case "giftcard.redeemed/USD":
			redeemed = a.Posted().Minor
		}
	}
	return funding, redeemed
}

const own = catalog.ItemCode("OWN-25USD")

// accept makes a decision about used cards, too.
func (b *bundle) accept(c claim.Claim, v claim.Verdict) (claim.Claim, error) {
	return b.Decide(b.t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: v, AcceptUsed: true, Actor: operator})
}

// A dead code that is a gift card made here is voided with its replacement or refund, once:
// what is on it is its issuer's again, nobody can spend it, its issuer, the buyer and the
// claim are told. The other cards of the order stay as they are, and so do codes from stock,
// of which the claim says that they cannot be voided.
func TestVoided(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		issuer := b.Mint(own, 2500)
		number := b.ordered(own, 3)
		cards := b.secrets(number)
		c := b.claimed(number, 1, 2)
		for _, l := range c.Lines {
			if l.Voiding() != claim.Possible || l.Card.Status != giftcard.Created || l.Card.Balance != money.New(2500, money.USD) || l.Card.Used() || !l.Card.Number.IsZero() {
				t.Errorf("before: %s %+v", l.Voiding(), l.Card)
			}
		}
		paid := b.balance()
		for range 2 {
			for place, v := range []claim.Verdict{claim.Replace, claim.Refund} {
				after := b.decided(c, v, place+1)
				for _, got := range []claim.Claim{after, b.now(c)} {
					l := got.Lines[place]
					if l.Voiding() != claim.Voided || l.Card.Status != giftcard.Cancelled || l.Card.Void.Amount != money.New(2500, money.USD) || !l.Card.Balance.IsZero() {
						t.Errorf("after: %s %+v", l.Voiding(), l.Card)
					}
					if o, err := b.Books.FindTransaction(t.Context(), issuer.Book, l.Card.Void.Transaction); err != nil || o.Kind != "giftcard.cancel" || o.Actor != operator {
						t.Errorf("the books: %+v, %v", o, err)
					}
				}
			}
		}
		b.spendable(issuer, cards[:2], false)
		b.spendable(issuer, append(cards[2:], b.secrets(number)[0]), true)
		if got := b.balance() - paid; got != 2500 {
			t.Errorf("%d were paid back", got)
		}
		if funding, redeemed := b.issued(issuer); funding != 2*2500 || redeemed != 0 {
			t.Errorf("the issuer's funding is %d, redeemed %d", funding, redeemed)
		}
		if again, err := b.Cards.Cancel(t.Context(), issuer, c.Lines[0].Card.ID, "once more"); err != nil || !again.Replayed {
			t.Errorf("cancelled by its issuer: %+v, %v", again, err)
		}
		found, err := b.Hooks.Outbox.List(t.Context(), webhook.EventFilter{Book: issuer.Book, Type: "giftcard.cancel", Limit: 10})
		if err != nil || len(found) != 2 {
			t.Errorf("the issuer was sent %d events, %v", len(found), err)
		}
		check.List(t, "events", b.events(), "claim.created", "claim.replaced", "claim.refunded")
		if c := b.claimed(b.bought("GPLAY", 1), 1); c.Lines[0].Voiding() != claim.Impossible || b.decided(c, claim.Refund).Lines[0].Card != nil {
			t.Errorf("from stock: %+v", c.Lines[0])
		}
		b.verified()
	})
}

// A card that was used is shown as such, and is neither replaced nor paid back before the
// operator accepts that; then no more is voided than is left, no more is paid back than was
// paid, and what was bought with the card cannot be refunded to it. A card on which something
// is held is not voided at all, and one that had ended needs not be.
func TestUsedCards(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		issuer := b.Mint(own, 2500)
		number := b.ordered(own, 6)
		cards := b.secrets(number)
		first := b.Clock.Now()
		spent, err := b.redeem(issuer, cards[0], 1000)
		check.OK(t, err)
		_, err = b.redeem(issuer, cards[1], 2500)
		check.OK(t, err)
		hold, err := b.Cards.Hold(t.Context(), issuer, giftcard.Transfer{Secret: cards[2], Amount: money.New(700, money.USD), Reference: "H-1"})
		check.OK(t, err)
		_, err = b.Cards.Reload(t.Context(), issuer, giftcard.Transfer{Secret: cards[4], Amount: money.New(300, money.USD), Reference: "L-1"})
		check.OK(t, err)
		b.Clock.Advance(time.Minute)
		var claims []claim.Claim
		for place := range cards {
			claims = append(claims, b.claimed(number, place+1))
		}
		if l := claims[0].Lines[0]; !l.Card.FirstAt.Equal(first) || l.Card.Balance.Minor != 1500 || l.Voiding() != claim.Possible {
			t.Errorf("a part was spent: %+v", l.Card)
		}
		_, err = b.Cards.Cancel(t.Context(), issuer, claims[3].Lines[0].Card.ID, "lost")
		check.OK(t, err)
		if l := b.now(claims[3]).Lines[0]; l.Voiding() != claim.Needless {
			t.Errorf("a cancelled one: %s", l.Voiding())
		}
		paid := b.balance()
		for _, place := range []int{0, 1, 2, 4} {
			for _, v := range []claim.Verdict{claim.Replace, claim.Refund} {
				_, err := b.decide(claims[place], v)
				check.Code(t, fmt.Sprintf("%s of card %d", v, place+1), err, fault.InvalidState)
			}
		}
		_, err = b.accept(claims[2], claim.Refund)
		check.Code(t, "one that is held", err, fault.InvalidState)
		if n := b.balance(); n != paid {
			t.Errorf("the wallet went from %d to %d", paid, n)
		}
		_, err = b.Cards.Void(t.Context(), issuer, giftcard.End{Hold: hold.Hold, Reference: "V-1"})
		check.OK(t, err)
		var left []int64
		for place, c := range claims {
			v := []claim.Verdict{claim.Refund, claim.Replace}[place%2]
			if c, err = b.accept(c, v); err != nil {
				t.Fatal(err)
			}
			if l := c.Lines[0]; l.Card.Void != nil {
				left = append(left, l.Card.Void.Amount.Minor)
			}
		}
		if !slices.Equal(left, []int64{1500, 0, 2500, 2800, 2500}) || b.balance() != paid+3*2500 {
			t.Errorf("voided were %v, the wallet went from %d to %d", left, paid, b.balance())
		}
		_, err = b.Cards.Refund(t.Context(), issuer, giftcard.Refund{Original: spent.Reference, Amount: money.New(1, money.USD), Reference: "B-1"})
		check.Code(t, "refunded to a voided card", err, fault.CardCancelled)
		if _, redeemed := b.issued(issuer); redeemed != 3500 {
			t.Errorf("redeemed are %d", redeemed)
		}
		b.verified()
	})
}

// What a hold had on a card whose time is over is on the card, swept or not, for who replaces or
// pays back its code, too: it is one try.
func TestVoidedWithOverdueHold(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		issuer := b.Mint(own, 2500)
		number := b.ordered(own, 2)
		for i, secret := range b.secrets(number) {
			_, err := b.Cards.Hold(t.Context(), issuer, giftcard.Transfer{Secret: secret, Amount: money.New(700, money.USD), Reference: fmt.Sprint("H-", i)})
			check.OK(t, err)
		}
		one, two := b.claimed(number, 1), b.claimed(number, 2)
		b.Clock.Advance(giftcard.DefaultRules().HoldFor)
		for i, v := range []claim.Verdict{claim.Replace, claim.Refund} {
			c, err := b.accept([]claim.Claim{one, two}[i], v)
			if err != nil || c.Lines[0].Voiding() != claim.Voided || c.Lines[0].Card.Void.Amount.Minor != 2500 {
				t.Errorf("%s: %+v, %v", v, c.Lines, err)
			}
		}
		found, err := b.Audit.List(t.Context(), audit.Filter{Book: string(issuer.Book), Action: "giftcard.cancel", Limit: 10})
		if err != nil || len(found) != 2 {
			t.Errorf("%d cancellations are in the audit log, %v", len(found), err)
		}
		b.verified()
	})
}

// Of a card that is redeemed in the moment in which its code is replaced or paid back, either
// the merchant is refused, or the operator: nobody has both, whichever process is first.
func TestRedeemAgainstVoid(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		const codes = 8
		issuer := b.Mint(own, 2500)
		number := b.ordered(own, codes)
		cards, paid, other := b.secrets(number), b.balance(), b.another()
		var claims []claim.Claim
		for place := range codes {
			claims = append(claims, b.claimed(number, place+1))
		}
		var group sync.WaitGroup
		start, taken, refused := make(chan struct{}), make([]error, codes), make([]error, codes)
		for i := range codes {
			group.Go(func() {
				<-start
				_, taken[i] = b.redeem(issuer, cards[i], 100+int64(i))
			})
			group.Go(func() {
				<-start
				_, refused[i] = other.decide(claims[i], []claim.Verdict{claim.Replace, claim.Refund}[i%2])
			})
		}
		close(start)
		group.Wait()
		back, spent, made := int64(0), int64(0), int64(codes)
		for i := range codes {
			l := b.now(claims[i]).Lines[0]
			switch {
			case taken[i] == nil && fault.CodeOf(refused[i]) == fault.InvalidState:
				spent += 100 + int64(i)
				if l.Verdict != claim.Pending || l.Card.Balance.Minor != 2400-int64(i) {
					t.Errorf("card %d was spent, and is %s: %+v", i+1, l.Verdict, l.Card)
				}
			case refused[i] == nil && fault.CodeOf(taken[i]) == fault.CardCancelled:
				if made--; i%2 == 1 {
					back += 2500
				} else {
					made++ // another one
				}
				if l.Voiding() != claim.Voided || l.Card.Void.Amount.Minor != 2500 {
					t.Errorf("card %d was voided: %+v", i+1, l.Card)
				}
			default:
				t.Errorf("card %d: redeemed %v, decided %v", i+1, taken[i], refused[i])
			}
		}
		if got := b.balance() - paid; got != back {
			t.Errorf("%d were paid back, want %d", got, back)
		}
		if funding, redeemed := b.issued(issuer); funding != made*2500 || redeemed != spent {
			t.Errorf("funding is %d, want %d; redeemed %d, want %d", funding, made*2500, redeemed, spent)
		}
		b.verified()
	})
}

// Of several cards that are replaced together, each is looked at: when the last one was used
// meanwhile, none is voided.
func TestOneUsedWhileReplacing(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		issuer := b.Mint(shop.Item, 500)
		number := b.ordered(shop.Item, 2)
		b.NoMint(shop.Item)
		cards, acme := b.secrets(number), b.Upstream("acme", 450, 1)
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			c.Do()
			return supply.Answer{}, shop.ErrCut
		}
		both := b.replaced(b.claimed(number, 1, 2))
		if _, err := b.redeem(issuer, cards[1], 100); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			b.Later()
		}
		for _, l := range b.now(both).Lines {
			if l.Verdict != claim.Pending || l.Voiding() != claim.Possible {
				t.Errorf("code %d is %s: %+v", l.Place, l.Verdict, l.Card)
			}
		}
		b.spendable(issuer, cards[:1], true)
		b.onSale(2)
		b.verified()
	})
}

// While an upstream is at the replacement of a card, the card can be spent. When it was, the
// codes are open again, what the upstream delivers is on sale, and the buyer has no more than
// before; so it is when the operator gives the replacement up. A card that was not used is
// voided with the replacement.
func TestUsedWhileReplacing(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		issuer := b.Mint(shop.Item, 500)
		number := b.ordered(shop.Item, 3)
		b.NoMint(shop.Item)
		cards, acme := b.secrets(number), b.Upstream("acme", 450, 1)
		calls := 0
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			if calls++; calls < 3 {
				c.Do()
			}
			return supply.Answer{}, shop.ErrCut
		}
		acme.OnQuery = func(shop.Call) (supply.Answer, error) { return supply.Answer{}, shop.ErrCut }
		var claims []claim.Claim
		for place := range cards {
			claims = append(claims, b.replaced(b.claimed(number, place+1)))
		}
		b.spendable(issuer, cards, true)
		if _, err := b.redeem(issuer, cards[0], 100); err != nil {
			t.Fatal(err)
		}
		_, err := b.GiveUp(t.Context(), claim.Intervention{Book: claims[2].Book, Claim: claims[2].ID, Reason: "the buyer wants the money", Actor: operator})
		check.OK(t, err)
		acme.OnQuery = nil
		for range 3 {
			b.Later()
		}
		if l := b.now(claims[0]).Lines[0]; l.Verdict != claim.Pending || l.Decision != "a gift card that is to be replaced was used meanwhile" || l.Card.Balance.Minor != 400 {
			t.Errorf("used meanwhile: %+v, %+v", l, l.Card)
		}
		if l := b.now(claims[1]).Lines[0]; l.Verdict != claim.Replace || l.Voiding() != claim.Voided || l.Card.Void.Amount.Minor != 500 {
			t.Errorf("replaced: %+v", l)
		}
		if l := b.now(claims[2]).Lines[0]; l.Verdict != claim.Pending || l.Voiding() != claim.Possible {
			t.Errorf("given up: %+v", l)
		}
		b.spendable(issuer, cards[1:2], false)
		b.spendable(issuer, cards[2:], true)
		b.onSale(1)
		_, err = b.decide(claims[0], claim.Replace)
		check.Code(t, "replaced again", err, fault.InvalidState)
		before := b.balance()
		if c, err := b.accept(claims[0], claim.Refund); err != nil || c.Lines[0].Card.Void.Amount.Minor != 400 || b.balance() != before+shop.Price {
			t.Errorf("%+v, %v", c, err)
		}
		if n, err := b.Stock.Count(t.Context(), realm.Test, shop.Item); err != nil || n != 1 || b.due() != 0 {
			t.Errorf("%d codes are on sale, %v; %d jobs are left", n, err, b.due())
		}
		check.List(t, "operators' events", b.house(), "claim.reopened", "claim.reopened")
		b.once(acme)
		b.verified()
	})
}
