package claim_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
	"github.com/scripcards/scrip/internal/webhook"
)

// now reads a claim again.
func (b *bundle) now(c claim.Claim) claim.Claim {
	b.t.Helper()
	found, err := b.Find(b.t.Context(), c.Book, c.ID)
	check.OK(b.t, err)
	return found
}

// replaced decides that codes are to be replaced, and waits for suppliers that answer.
func (b *bundle) replaced(c claim.Claim, places ...int) claim.Claim {
	b.t.Helper()
	after, err := b.Decide(b.t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: claim.Replace, Places: places, Actor: operator, Patience: true})
	check.OK(b.t, err)
	return after
}

// moves are the postings that replaced codes of an order.
func (b *bundle) moves(number order.Number) (lines []string) {
	b.t.Helper()
	all, err := b.Orders.Postings(b.t.Context(), b.Buyer.Book, number)
	check.OK(b.t, err)
	for _, o := range all {
		if o.Kind == "order.replace" && len(o.Moves) == 0 {
			lines = append(lines, "nothing")
		}
		for _, m := range o.Moves {
			if o.Kind == "order.replace" {
				lines = append(lines, fmt.Sprintf("%s>%s %s", m.Debit, m.Credit, m.Posted))
			}
		}
	}
	return lines
}

// house are the types of the events that operators were sent about claims.
func (b *bundle) house() (all []string) {
	b.t.Helper()
	found, err := b.Hooks.Outbox.List(b.t.Context(), webhook.EventFilter{Book: webhook.House(realm.Test), Limit: webhook.MaxLimit})
	check.OK(b.t, err)
	for _, e := range found {
		if strings.HasPrefix(e.Type, "claim.") {
			all = append(all, e.Type)
		}
	}
	return all
}

func (b *bundle) onSale(want int) {
	b.t.Helper()
	if n, err := b.Stock.Count(b.t.Context(), realm.Test, shop.Item); err != nil || n != want {
		b.t.Errorf("%d codes are on sale, want %d, %v", n, want, err)
	}
}

// due is how many jobs there are of what suppliers deliver.
func (b *bundle) due() int {
	b.t.Helper()
	n, _, err := storage.One(b.t.Context(), b.DB, storage.Scalar[int], countJobs)
	check.OK(b.t, err)
	return n
}

var countJobs = storage.SQL("claim_test.count_jobs", `SELECT COUNT(*) FROM jobs WHERE kind = 'supply.deliver'`)

// once fails if a submission was made twice to one of some upstreams.
func (b *bundle) once(all ...*shop.Upstream) {
	b.t.Helper()
	for _, u := range all {
		submitted := u.Submitted()
		slices.Sort(submitted)
		if len(slices.Compact(slices.Clone(submitted))) != len(submitted) {
			b.t.Errorf("%s was submitted the same twice: %v", u.ID, submitted)
		}
	}
}

// Of a claim about which somebody else decides while a supplier names its price, what is still
// open is replaced, and what was rejected is not.
func TestRejectedMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 3)
		acme := b.Upstream("acme", 450, 1)
		reject := func(c claim.Claim, places ...int) {
			acme.OnQuote = func(w supply.Wanted) (supply.Quote, error) {
				acme.OnQuote = nil
				b.decided(c, claim.Reject, places...)
				return acme.Offers(w), nil
			}
		}
		partly, wholly := b.claimed(number, 1, 2), b.claimed(number, 3)
		reject(partly, 2)
		b.replaced(partly, 1)
		if now := b.now(partly); now.State != claim.Accepted || now.Lines[0].Verdict != claim.Replace || now.Lines[1].Verdict != claim.Reject {
			t.Errorf("it is %s: %+v", now.State, now.Lines)
		}
		reject(wholly)
		_, err := b.decide(wholly, claim.Replace)
		check.Code(t, "what was rejected", err, fault.InvalidState)
		if now := b.now(wholly); now.State != claim.Rejected {
			t.Errorf("rejected, and it is %s", now.State)
		}
		check.List(t, "codes", b.codes(number), "acme-0001 sold", "GPLAY-0002 sold", "GPLAY-0003 sold")
		if n := len(acme.Submitted()); n != 1 {
			t.Errorf("%d submissions", n)
		}
	})
}

// What stock cannot replace a supplier does: the operator owes it for the code, the buyer
// pays nothing and finds the code in the order, and whoever decides the same again buys
// nothing.
func TestReplacedBySupplier(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 3)
		acme := b.Upstream("acme", 450, 1)
		before, c := b.balance(), b.claimed(number, 1, 3)
		after := b.replaced(c)
		for _, l := range after.Lines {
			if l.Verdict != claim.Replace || l.Replacement == "" || l.Transaction == "" || l.Actor != operator || l.DecidedAt.IsZero() {
				t.Errorf("%+v", l)
			}
		}
		if after.State != claim.Accepted || b.balance() != before {
			t.Errorf("the claim is %s, the wallet went from %d to %d", after.State, before, b.balance())
		}
		check.List(t, "codes", b.codes(number), "acme-0001 sold", "GPLAY-0002 sold", "acme-0002 sold")
		check.List(t, "events", b.events(), "claim.created", "claim.replacing", "claim.replaced")
		check.List(t, "audit", b.audited(), "key_acme claim.create 1,3", "op_ada claim.replace 1,3")
		check.List(t, "postings", b.moves(number), "order.revenue/USD>order.payable/acme/USD 9.00")
		for range 3 {
			if again := b.replaced(c); again.Revision != after.Revision {
				t.Errorf("again: %+v", again)
			}
		}
		b.Later()
		if sold, submitted := acme.Sold(), acme.Submitted(); sold != 2 || len(submitted) != 1 || b.due() != 0 {
			t.Errorf("%d sold in %d submissions, %d jobs are left", sold, len(submitted), b.due())
		}
		second := b.claimed(number, 3) // the other one can be dead, too
		b.Fill("FRESH", 1)
		b.replaced(second)
		check.List(t, "codes then", b.codes(number), "acme-0001 sold", "GPLAY-0002 sold", "FRESH-0001 sold")
		check.List(t, "postings then", b.moves(number), "order.revenue/USD>order.payable/acme/USD 9.00", "nothing")
		b.onSale(0)
		b.verified()
	})
}

// While it is not known whether a supplier delivered, the claim says that codes are being
// replaced, nothing else can be decided about them, nobody else is asked, and what the
// supplier did is found out without asking for it again.
func TestReplacementUnknown(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 2)
		acme, other := b.Upstream("acme", 450, 1), b.Upstream("other", 460, 2)
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			c.Do()
			return supply.Answer{}, shop.ErrCut
		}
		acme.OnQuery = func(shop.Call) (supply.Answer, error) { return supply.Answer{}, shop.ErrCut }
		c := b.replaced(b.claimed(number, 1, 2), 2)
		if c.State != claim.Open || c.Lines[1].Verdict != claim.Replacing || c.Lines[1].Actor != operator || c.Lines[1].Transaction != "" {
			t.Errorf("%+v", c)
		}
		check.List(t, "codes", b.codes(number), "GPLAY-0001 sold", "GPLAY-0002 replacing")
		for range 3 {
			b.Later()
		}
		_, err := b.decide(c, claim.Refund, 2)
		check.Code(t, "refunded meanwhile", err, fault.InvalidState)
		_, err = b.Orders.Refund(t.Context(), order.Remedy{Book: c.Book, Order: number, Codes: []stock.CodeID{c.Lines[1].Code}, Key: "x", Actor: operator})
		check.Code(t, "refunded past the claim", err, fault.InvalidState)
		if again := b.replaced(c, 2); again.Revision != c.Revision {
			t.Errorf("again: %+v", again)
		}
		if c = b.decided(c, claim.Reject, 1); c.State != claim.Processing {
			t.Errorf("with nothing left to decide it is %s", c.State)
		}
		if found, err := b.List(t.Context(), claim.Filter{Realm: realm.Test, State: claim.Processing, Limit: 10}); err != nil || len(found) != 1 {
			t.Errorf("%d claims, %v", len(found), err)
		}
		acme.OnQuery = nil
		b.Later()
		if c = b.now(c); c.State != claim.Accepted || c.Lines[1].Verdict != claim.Replace {
			t.Errorf("then %+v", c)
		}
		check.List(t, "codes then", b.codes(number), "GPLAY-0001 sold", "acme-0001 sold")
		check.List(t, "events", b.events(), "claim.created", "claim.replacing", "claim.rejected", "claim.replaced")
		if sold, submitted := acme.Sold(), acme.Submitted(); sold != 1 || len(submitted) != 1 {
			t.Errorf("%d sold in %d submissions", sold, len(submitted))
		}
		if sold := other.Sold(); sold != 0 {
			t.Errorf("the other one sold %d", sold)
		}
		b.verified()
	})
}

// Codes that nobody delivers are open again: buyer and operators are told, what was delivered
// of them is on sale, nothing is owed, and the operator decides anew.
func TestReplacementFails(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 2)
		acme, other := b.Upstream("acme", 450, 1), b.Upstream("other", 460, 2)
		acme.AtMost(1)
		other.OnSubmit = func(shop.Call) (supply.Answer, error) {
			return supply.Answer{State: supply.Refused, Reason: "no credit"}, nil
		}
		before := b.balance()
		c := b.replaced(b.claimed(number, 1, 2))
		for _, l := range c.Lines {
			if l.Verdict != claim.Pending || l.Decision != "nobody delivers a replacement" || l.Actor != "" || !l.DecidedAt.IsZero() {
				t.Errorf("%+v", l)
			}
		}
		if c.State != claim.Open {
			t.Errorf("it is %s", c.State)
		}
		check.List(t, "codes", b.codes(number), "GPLAY-0001 sold", "GPLAY-0002 sold")
		check.List(t, "events", b.events(), "claim.created", "claim.replacing", "claim.reopened")
		check.List(t, "operators' events", b.house(), "claim.reopened")
		check.List(t, "audit", b.audited(), "key_acme claim.create 1,2", "op_ada claim.replace 1,2", "system claim.reopen 1,2")
		check.List(t, "postings", b.moves(number))
		b.onSale(1)
		c = b.decided(c, claim.Refund, 1)
		c = b.replaced(c, 2) // from stock, what was bought before
		if c.State != claim.Accepted || b.balance() != before+shop.Price {
			t.Errorf("%+v, and the wallet went from %d to %d", c, before, b.balance())
		}
		check.List(t, "codes then", b.codes(number), "GPLAY-0001 refunded", "acme-0001 sold")
		b.onSale(0)
		b.once(acme, other)
		b.verified()
	})
}

// A replacement that is open again can be had of the same suppliers later, in submissions of
// its own.
func TestReplacedLater(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 1)
		acme := b.Upstream("acme", 450, 1)
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) {
			return supply.Answer{State: supply.Refused, Reason: "no credit"}, nil
		}
		c := b.replaced(b.claimed(number, 1))
		acme.OnSubmit = nil
		if c = b.replaced(c); c.State != claim.Accepted {
			t.Errorf("%+v", c)
		}
		if sold, submitted := acme.Sold(), acme.Submitted(); sold != 1 || len(submitted) != 2 {
			t.Errorf("%d sold in %d submissions", sold, len(submitted))
		}
		b.once(acme)
		b.verified()
	})
}

// What one supplier does not deliver the next one does, and stock where its turn comes: each
// is owed its part.
func TestReplacedInParts(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 4)
		first, second := b.Upstream("first", 400, 1), b.Upstream("second", 450, 2)
		first.AtMost(2)
		second.AtMost(1)
		b.Fill("FRESH", 1)
		check.OK(t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: shop.Item, Supplier: supply.Stock, Priority: 9}, shop.Seeder))
		c := b.replaced(b.claimed(number, 1, 2, 3, 4))
		if c.State != claim.Accepted {
			t.Errorf("%+v", c)
		}
		got := b.codes(number)
		slices.Sort(got)
		check.List(t, "codes", got, "FRESH-0001 sold", "first-0001 sold", "first-0002 sold", "second-0001 sold")
		check.List(t, "postings", b.moves(number), "order.revenue/USD>order.payable/first/USD 8.00", "order.revenue/USD>order.payable/second/USD 4.50")
		b.once(first, second)
		b.verified()
	})
}

// A supplier that asks for more than the buyer paid replaces nothing, unless its route allows
// for it: paying back is cheaper.
func TestReplacementTooDear(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 1)
		b.Upstream("dear", shop.Price+1, 1)
		c := b.claimed(number, 1)
		_, err := b.decide(c, claim.Replace)
		check.Code(t, "too dear", err, fault.OutOfStock)
		if c = b.now(c); c.State != claim.Open || c.Revision != 1 || len(b.events()) != 1 {
			t.Errorf("%+v, %v", c, b.events())
		}
		check.OK(t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: shop.Item, Supplier: "dear", BelowCost: true}, shop.Seeder))
		if c = b.replaced(c); c.State != claim.Accepted {
			t.Errorf("%+v", c)
		}
		check.List(t, "postings", b.moves(number), "order.revenue/USD>order.payable/dear/USD 4.91")
		b.verified()
	})
}

// A gift card that was made when it was sold is replaced by one that is made then, in one
// transaction with what is owed for it: when several decide at once, by one.
func TestReplacedByGiftCard(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		const item = catalog.ItemCode("OWN-25USD")
		issuer := b.Mint(item, 2500)
		placed, err := b.Orders.Place(t.Context(), b.Buyer, order.Purchase{Item: item, Quantity: 2})
		check.OK(t, err)
		c := b.claimed(placed.Number, 2)
		undone := errors.New("undone")
		_, err = b.Decide(t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: claim.Replace, Actor: operator,
			Also: func(*claim.Claim) ([]storage.Effect, error) { return nil, undone }})
		if !errors.Is(err, undone) {
			t.Errorf("undone: %v", err)
		}
		processes := []*bundle{b, b.another()}
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				if _, err := processes[i%2].decide(c, claim.Replace); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		group.Wait()
		if c = b.now(c); c.State != claim.Accepted || c.Lines[0].Verdict != claim.Replace {
			t.Errorf("%+v", c)
		}
		found, err := b.Orders.Reveal(t.Context(), b.Buyer, placed.Number)
		check.OK(t, err)
		if found.Codes[0].ID != placed.Codes[0].ID || found.Codes[1].ID != c.Lines[0].Replacement {
			t.Errorf("%+v", found.Codes)
		}
		number, err := pan.ParseAlnum(found.Codes[1].Text.Reveal())
		check.OK(t, err)
		card, err := b.Cards.Find(t.Context(), issuer, giftcard.Secret{Number: number})
		if err != nil || card.Balance != money.New(2500, money.USD) {
			t.Errorf("the card is %+v, %v", card, err)
		}
		cards, err := b.Cards.List(t.Context(), issuer.Book, "", 10)
		if err != nil || len(cards) != 3 {
			t.Errorf("%d cards were made, %v", len(cards), err)
		}
		check.List(t, "postings", b.moves(placed.Number), "order.revenue/USD>order.payable/house/USD 24.00")
		check.List(t, "events", b.events(), "claim.created", "claim.replaced")
		b.verified()
	})
}

// An operator who gives a replacement up has its supplier cancel it, and one who knows that
// nothing comes any more says so: the next supplier is asked.
func TestReplacementInterventions(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 2)
		acme, other := b.Upstream("acme", 450, 1), b.Upstream("other", 460, 2)
		working := func() (supply.Answer, error) { return supply.Answer{State: supply.Working, Reference: "77"}, nil }
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) { return working() }
		acme.OnQuery = func(shop.Call) (supply.Answer, error) { return working() }
		acme.OnCancel = func(shop.Call) (supply.Answer, error) {
			return supply.Answer{State: supply.Refused, Reason: "cancelled"}, nil
		}
		first, second := b.replaced(b.claimed(number, 1)), b.replaced(b.claimed(number, 2))
		open, err := b.Supply.OpenSubmissions(t.Context(), realm.Test)
		if err != nil || len(open) != 2 || claim.OfKey(open[0].Remedy) != first.ID || claim.OfKey(open[1].Remedy) != second.ID {
			t.Errorf("open are %+v, %v", open, err)
		}
		word := func(c claim.Claim, reason string) claim.Intervention {
			return claim.Intervention{Book: c.Book, Claim: c.ID, Reason: reason, Actor: operator}
		}
		_, err = b.GiveUp(t.Context(), word(first, ""))
		check.Code(t, "no reason", err, fault.InvalidRequest)
		_, err = b.GiveUp(t.Context(), claim.Intervention{Book: b.Rival.Book, Claim: first.ID, Reason: "x", Actor: operator})
		check.Code(t, "another book's", err, fault.NotFound)
		if err := b.Orders.GiveUp(t.Context(), order.Intervention{Book: first.Book, Number: number, Reason: "x", Actor: operator}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("the order, which is delivered: %v", err)
		}
		for _, c := range []claim.Claim{first, second} {
			do := b.GiveUp
			if c.ID == second.ID {
				do = b.Deny
			}
			if now, err := do(t.Context(), word(c, "the buyer waits")); err != nil || now.State != claim.Processing {
				t.Errorf("%+v, %v", now, err)
			}
		}
		b.Later()
		if now := b.now(first); now.State != claim.Open || now.Lines[0].Decision != "the replacement was given up" || !now.ChangedAt.Equal(b.Clock.Now()) {
			t.Errorf("given up: %+v", now)
		}
		if now := b.now(second); now.State != claim.Accepted {
			t.Errorf("denied: %+v", now)
		}
		check.List(t, "codes", b.codes(number), "GPLAY-0001 sold", "other-0001 sold")
		_, err = b.Deny(t.Context(), word(second, "again"))
		check.Code(t, "nothing is under way", err, fault.InvalidState)
		b.decided(first, claim.Refund)
		b.once(acme, other)
		b.verified()
	})
}

// Who gives up a replacement that is delivered meanwhile is told so, and who finds that nobody
// delivers one, while another process finds somebody who does, leaves it to that one.
func TestReplacedMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 2)
		acme, other := b.Upstream("acme", 450, 1), b.Upstream("other", 460, 2)
		working := func(shop.Call) (supply.Answer, error) { return supply.Answer{State: supply.Working}, nil }
		acme.OnSubmit, other.OnSubmit = working, working
		acme.OnQuery = func(c shop.Call) (supply.Answer, error) { return c.Do(), nil }
		other.OnQuery = acme.OnQuery
		late, first := b.another(), b.replaced(b.claimed(number, 1))
		late.Orders.Clocks = testkit.Meanwhile(b.Clock, b.Later)
		_, err := late.GiveUp(t.Context(), claim.Intervention{Book: first.Book, Claim: first.ID, Reason: "the buyer waits", Actor: operator})
		check.Code(t, "too late", err, fault.InvalidState)
		if now := b.now(first); now.State != claim.Accepted {
			t.Errorf("given up: %+v", now)
		}
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) { return supply.Answer{State: supply.Refused}, nil }
		other.OnQuote = func(supply.Wanted) (supply.Quote, error) {
			other.OnQuote = nil
			b.another().Later()
			return supply.Quote{}, nil
		}
		if second := b.replaced(b.claimed(number, 2)); b.now(second).State != claim.Accepted || len(other.Submitted()) != 1 {
			t.Errorf("%+v after %d submissions", second, len(other.Submitted()))
		}
		check.List(t, "codes", b.codes(number), "acme-0001 sold", "other-0001 sold")
		b.once(acme, other)
		b.verified()
	})
}

// A replacement whose answer cannot be kept is not asked for.
func TestReplacementAnswered(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 1)
		acme := b.Upstream("acme", 450, 1)
		c, undone := b.claimed(number, 1), errors.New("undone")
		var seen []claim.State
		decide := func(err error) error {
			_, err = b.Decide(t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: claim.Replace, Actor: operator, Patience: true,
				Also: func(now *claim.Claim) ([]storage.Effect, error) {
					seen = append(seen, now.State)
					return nil, err
				}})
			return err
		}
		if err := decide(undone); !errors.Is(err, undone) {
			t.Errorf("%v", err)
		}
		if submitted := acme.Submitted(); len(submitted) != 0 || b.due() != 0 || b.now(c).Revision != 1 {
			t.Errorf("%d submissions, %d jobs, %+v", len(submitted), b.due(), b.now(c))
		}
		check.List(t, "codes", b.codes(number), "GPLAY-0001 sold")
		check.OK(t, decide(nil))
		if diff := cmp.Diff([]claim.State{claim.Processing, claim.Processing}, seen); diff != "" {
			t.Error(diff)
		}
		b.verified()
	})
}

// Of operators who decide at once, in two processes, one has a code replaced, by one
// submission, or refunded.
func TestReplacementsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		const codes = 6
		number := b.bought("GPLAY", codes)
		acme := b.Upstream("acme", 450, 1)
		calls := 0
		var mu sync.Mutex
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			mu.Lock()
			calls++
			lost := calls%2 == 0
			mu.Unlock()
			if a := c.Do(); !lost {
				return a, nil
			}
			return supply.Answer{}, shop.ErrCut
		}
		paid, processes := b.balance(), []*bundle{b, b.another()}
		var claims []claim.Claim
		for place := range codes {
			claims = append(claims, b.claimed(number, place+1))
		}
		var group sync.WaitGroup
		for i := range 24 {
			verdict := []claim.Verdict{claim.Replace, claim.Replace, claim.Refund}[i/codes%3]
			group.Go(func() {
				c := claims[i%codes]
				_, err := processes[i%2].Decide(t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: verdict, Actor: operator, Patience: true})
				if code := fault.CodeOf(err); err != nil && code != fault.InvalidState && code != fault.Unavailable {
					t.Errorf("%s of code %d: %v", verdict, 1+i%codes, err)
				}
			})
		}
		group.Wait()
		for range 3 {
			b.Later()
		}
		b.consistent(number, paid)
		replaced := 0
		for _, c := range claims {
			if c = b.now(c); c.State != claim.Accepted {
				t.Errorf("%+v", c)
			} else if c.Lines[0].Verdict == claim.Replace {
				replaced++
			}
		}
		if sold, submitted := acme.Sold(), acme.Submitted(); sold != replaced || len(submitted) != replaced || b.due() != 0 {
			t.Errorf("%d were replaced, %d sold in %d submissions, %d jobs are left", replaced, sold, len(submitted), b.due())
		}
		b.once(acme)
		b.onSale(0)
		b.verified()
	})
}

// A dead code is not replaced by one of another value, which its item got meanwhile.
func TestReplacementOfAnotherValue(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 1)
		acme := b.Upstream("acme", 450, 1)
		c := b.claimed(number, 1)
		p, err := b.Orders.Catalog.Find(t.Context(), shop.Item)
		check.OK(b.t, err)
		p.Face, p.FaceMax = catalog.NewFace(1000, money.USD), catalog.NewFace(1000, money.USD)
		_, _, err = b.Orders.Catalog.Put(t.Context(), p, operator)
		check.OK(b.t, err)
		b.Fill("TEN", 1)
		_, err = b.decide(c, claim.Replace)
		check.Code(t, "by one of ten dollars", err, fault.OutOfStock)
		if submitted := acme.Submitted(); len(submitted) != 0 {
			t.Errorf("%d submissions", len(submitted))
		}
		b.onSale(1)
		b.decided(c, claim.Refund)
		b.verified()
	})
}
