package claim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
	"github.com/scripcards/scrip/internal/wallet"
)

// Every pair of verdicts is either in the transition table or a fault: decisions are final,
// but for replacements that are under way.
func TestTransitions(t *testing.T) {
	for _, from := range verdicts() {
		for _, to := range verdicts() {
			want := from == claim.Pending && to != claim.Pending || from == claim.Replacing && (to == claim.Replace || to == claim.Pending)
			if got, err := from.Become(to); (err == nil) != want || (got == to) != (want || from == to) {
				t.Errorf("%s to %s: %s, %v", from, to, got, err)
			}
		}
	}
	for from, to := range map[claim.Verdict]claim.Verdict{"": claim.Refund, claim.Pending: "lost"} {
		if got, err := from.Become(to); err == nil {
			t.Errorf("%q became %q", from, got)
		}
	}
}

// A claim says who first saw each of its codes and when, is found again by its own book
// alone, and is told of.
func TestCreate(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 3)
		b.codes(number) // a later look
		c := b.claimed(number, 3, 1)
		if c.State != claim.Open || c.Reason != claim.Used || c.Credential != "key_acme" || !c.OrderedAt.Equal(shop.Began) || !c.CreatedAt.Equal(shop.Began.Add(time.Minute)) {
			t.Errorf("%+v", c)
		}
		for i, place := range []int{1, 3} {
			l := c.Lines[i]
			if l.Place != place || l.FirstLook.Actor != "key_acme" || !l.FirstLook.At.Equal(shop.Began) || !l.SoldAt.Equal(shop.Began) || l.Verdict != claim.Pending ||
				l.Charged != catalog.NewCharged(shop.Price, money.USD) {
				t.Errorf("%+v", l)
			}
		}
		found, err := b.Find(t.Context(), b.Buyer.Book, c.ID)
		check.OK(b.t, err)
		if diff := cmp.Diff(c, found, cmp.Comparer(func(a, b money.Currency) bool { return a == b }), cmp.AllowUnexported(catalog.Charged{})); diff != "" {
			t.Errorf("read again: %s", diff)
		}
		_, err = b.Find(t.Context(), b.Rival.Book, c.ID)
		check.Code(t, "another's claim", err, fault.NotFound)
		of, err := b.FindOf(t.Context(), b.Buyer.Book, number, c.ID)
		if err != nil || of.ID != c.ID {
			t.Errorf("found by its order: %+v, %v", of, err)
		}
		_, err = b.FindOf(t.Context(), b.Buyer.Book, number+1, c.ID)
		check.Code(t, "as another order's", err, fault.NotFound)
		_, err = b.FindOf(t.Context(), b.Buyer.Book, number, "claim_none")
		check.Code(t, "what is no claim", err, fault.NotFound)
		all, err := b.OfOrder(t.Context(), b.Buyer.Book, number)
		if err != nil || len(all) != 1 || all[0].ID != c.ID || len(all[0].Lines) != 2 {
			t.Errorf("of the order: %+v, %v", all, err)
		}
		_, err = b.OfOrder(t.Context(), b.Rival.Book, number)
		check.Code(t, "of another's order", err, fault.NotFound)
		if diff := cmp.Diff([]string{"claim.created"}, b.events()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"key_acme claim.create 1,3"}, b.audited()); diff != "" {
			t.Error(diff)
		}
	})
}

// What is not a claim leaves no trace: unknown codes and orders, other people's, codes
// that are claimed already, and those of orders that are too old.
func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 3)
		b.claimed(number, 2)
		for name, c := range map[string]struct {
			buyer order.Buyer
			what  claim.Report
			want  fault.Code
		}{
			"no codes":      {b.Buyer, claim.Report{Order: number, Reason: claim.Used}, fault.InvalidRequest},
			"too many":      {b.Buyer, claim.Report{Order: number, Places: make([]int, 101), Reason: claim.Used}, fault.InvalidRequest},
			"no such place": {b.Buyer, claim.Report{Order: number, Places: []int{4}, Reason: claim.Used}, fault.InvalidRequest},
			"place zero":    {b.Buyer, claim.Report{Order: number, Places: []int{0}, Reason: claim.Used}, fault.InvalidRequest},
			"twice":         {b.Buyer, claim.Report{Order: number, Places: []int{1, 1}, Reason: claim.Used}, fault.InvalidRequest},
			"reason":        {b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: "unloved"}, fault.InvalidRequest},
			"no note":       {b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: claim.Other, Note: " "}, fault.InvalidRequest},
			"long note":     {b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: claim.Used, Note: strings.Repeat("a", 501)}, fault.InvalidRequest},
			"wild note":     {b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: claim.Used, Note: "\x1b[2J"}, fault.InvalidRequest},
			"secret note":   {b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: claim.Used, Note: "the card 4111 1111 1111 1111"}, fault.InvalidRequest},
			"unknown order": {b.Buyer, claim.Report{Order: 99, Places: []int{1}, Reason: claim.Used}, fault.NotFound},
			"another's":     {b.Rival, claim.Report{Order: number, Places: []int{1}, Reason: claim.Used}, fault.NotFound},
			"claimed":       {b.Buyer, claim.Report{Order: number, Places: []int{1, 2}, Reason: claim.Used}, fault.AlreadyExists},
		} {
			_, err := b.Create(t.Context(), c.buyer, c.what)
			check.Code(t, name, err, c.want)
		}
		b.Clock.Advance(claim.Window - time.Minute)
		_, err := b.Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{3}, Reason: claim.Used, Note: strings.Repeat("a", claim.MaxNote)})
		check.Code(t, "at the last moment, in as many words as there may be", err, "")
		b.Clock.Advance(time.Microsecond)
		_, err = b.Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: claim.Used})
		check.Code(t, "too late", err, fault.InvalidState)
		if all, err := b.OfOrder(t.Context(), b.Buyer.Book, number); err != nil || len(all) != 2 || len(b.events()) != 2 {
			t.Errorf("%d claims, %v, events %v", len(all), err, b.events())
		}
	})
}

// A code can be claimed for as long after it was delivered: one that took the place of another
// for longer than those that came with the order.
func TestWindow(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 2)
		b.Clock.Advance(claim.Window - time.Hour)
		b.Fill("FRESH", 1)
		b.decided(b.claimed(number, 1), claim.Replace)
		b.codes(number)
		b.Clock.Advance(2 * time.Hour)
		_, err := b.Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{1, 2}, Reason: claim.Used})
		check.Code(t, "both, of which one is too old", err, fault.InvalidState)
		b.claimed(number, 1)
		b.verified()
	})
}

// A dead code is replaced by a fresh one of the item, in its place, which can be dead, too,
// once somebody looked at it.
func TestReplace(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 3)
		c := b.claimed(number, 2)
		_, err := b.decide(c, claim.Replace)
		check.Code(t, "nothing in stock", err, fault.OutOfStock)
		b.Fill("FRESH", 2)
		before := b.balance()
		c = b.decided(c, claim.Replace)
		l := c.Lines[0]
		if c.State != claim.Accepted || c.Revision != 2 || l.Verdict != claim.Replace || l.Replacement == "" || l.Transaction == "" || l.Actor != operator ||
			l.Decision != "checked with the shop" || !l.DecidedAt.Equal(b.Clock.Now()) {
			t.Errorf("%+v", c)
		}
		b.Clock.Advance(time.Minute)
		_, err = b.Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{2}, Reason: claim.Used})
		check.Code(t, "a code that nobody saw", err, fault.InvalidState)
		if diff := cmp.Diff([]string{"GPLAY-0001 sold", "FRESH-0001 sold", "GPLAY-0003 sold"}, b.codes(number)); diff != "" {
			t.Error(diff)
		}
		second := b.claimed(number, 2)
		if look := second.Lines[0].FirstLook; !look.At.Equal(b.Clock.Now()) || second.Lines[0].Code != l.Replacement {
			t.Errorf("%+v", second.Lines[0])
		}
		b.decided(second, claim.Replace)
		if diff := cmp.Diff([]string{"GPLAY-0001 sold", "FRESH-0002 sold", "GPLAY-0003 sold"}, b.codes(number)); diff != "" {
			t.Error(diff)
		}
		if b.balance() != before {
			t.Errorf("the wallet went from %d to %d", before, b.balance())
		}
		if diff := cmp.Diff([]string{"claim.created", "claim.replaced", "claim.created", "claim.replaced"}, b.events()); diff != "" {
			t.Error(diff)
		}
		postings, err := b.Orders.Postings(t.Context(), b.Buyer.Book, number)
		check.OK(b.t, err)
		var kinds []string
		for _, p := range postings {
			kinds = append(kinds, p.Kind+" "+p.Actor)
		}
		if diff := cmp.Diff([]string{"order.purchase key_acme", "order.replace op_ada", "order.replace op_ada"}, kinds); diff != "" {
			t.Error(diff)
		}
		b.verified()
	})
}

// Refunds give back what was charged for each code, and an order of which nothing is left
// is refunded, for good.
func TestRefund(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 3)
		paid := b.balance()
		c := b.decided(b.claimed(number, 1, 2), claim.Refund)
		if b.balance() != paid+2*shop.Price || c.State != claim.Accepted {
			t.Errorf("the wallet has %d after %d, %+v", b.balance(), paid, c)
		}
		if diff := cmp.Diff([]string{"GPLAY-0001 refunded", "GPLAY-0002 refunded", "GPLAY-0003 sold"}, b.codes(number)); diff != "" {
			t.Error(diff)
		}
		_, err := b.Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: claim.Used})
		check.Code(t, "a refunded code", err, fault.InvalidState)
		if found, err := b.Orders.Find(t.Context(), b.Buyer.Book, number); err != nil || found.Status != order.Completed {
			t.Errorf("%+v, %v", found, err)
		}
		b.decided(b.claimed(number, 3), claim.Refund)
		found, err := b.Orders.Find(t.Context(), b.Buyer.Book, number)
		if err != nil || found.Status != order.Refunded || b.balance() != 50_000 {
			t.Errorf("%+v, %v, the wallet has %d", found, err, b.balance())
		}
		_, err = b.Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: claim.Used})
		check.Code(t, "a refunded order", err, fault.InvalidState)
		postings, err := b.Orders.Postings(t.Context(), b.Buyer.Book, number)
		check.OK(b.t, err)
		var moves []string
		for _, p := range postings {
			for _, m := range p.Moves {
				moves = append(moves, p.Kind+" "+p.Reference+" "+string(m.Debit)+" > "+string(m.Credit)+" "+m.Posted.String())
			}
		}
		if diff := cmp.Diff([]string{"order.purchase GOOGLE-5USD-KOXx wallet/USD > order.revenue/USD 14.70", "order.refund ORD-2026-001 order.revenue/USD > wallet/USD 9.80",
			"order.refund ORD-2026-001 order.revenue/USD > wallet/USD 4.90"}, moves); diff != "" {
			t.Error(diff)
		}
		if _, err := b.Orders.Postings(t.Context(), b.Rival.Book, number); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("another's postings: %v", err)
		}
		b.verified()
	})
}

// Codes of one claim can be decided differently; the claim is open until all are, says why
// it was rejected, and what was rejected can be claimed again.
func TestPartly(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 3)
		b.Fill("FRESH", 1)
		c := b.claimed(number, 1, 2, 3)
		for verdict, place := range map[claim.Verdict]int{claim.Refund: 1, claim.Replace: 2} {
			if c = b.decided(c, verdict, place); c.State != claim.Open {
				t.Errorf("%+v", c)
			}
		}
		_, err := b.decide(c, claim.Refund, 2)
		check.Code(t, "a replaced code", err, fault.InvalidState)
		_, err = b.decide(c, claim.Refund, 4)
		check.Code(t, "a code that is not in it", err, fault.InvalidRequest)
		_, err = b.decide(c, claim.Refund, slices.Repeat([]int{3}, order.MaxQuantity+1)...)
		check.Code(t, "more codes than an order has", err, fault.InvalidRequest)
		_, err = b.Decide(t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: claim.Reject, Actor: operator})
		check.Code(t, "no reason", err, fault.InvalidRequest)
		_, err = b.decide(c, claim.Pending)
		check.Code(t, "no verdict", err, fault.InvalidRequest)
		_, err = b.decide(c, claim.Replacing)
		check.Code(t, "what is no decision", err, fault.InvalidRequest)
		_, err = b.Decide(t.Context(), claim.Decision{Book: b.Rival.Book, Claim: c.ID, Verdict: claim.Refund, Actor: operator})
		check.Code(t, "another book's", err, fault.NotFound)
		if c = b.decided(c, claim.Reject); c.State != claim.Accepted || c.Lines[2].Verdict != claim.Reject {
			t.Errorf("%+v", c)
		}
		again := b.claimed(number, 3)
		if again = b.decided(again, claim.Reject); again.State != claim.Rejected {
			t.Errorf("%+v", again)
		}
		_, err = b.decide(again, claim.Refund)
		check.Code(t, "a rejected claim", err, fault.InvalidState)
		rejections := slices.DeleteFunc(b.audited(), func(record string) bool { return !strings.Contains(record, "claim.reject") })
		check.List(t, "rejections in the audit log", rejections, "op_ada claim.reject 3", "op_ada claim.reject 3")
		for state, want := range map[claim.State]int{"": 2, claim.Open: 0, claim.Accepted: 1, claim.Rejected: 1} {
			found, err := b.List(t.Context(), claim.Filter{Realm: realm.Test, State: state, Limit: 10})
			if err != nil || len(found) != want {
				t.Errorf("%q: %d claims, %v", state, len(found), err)
			}
		}
		newest, err := b.List(t.Context(), claim.Filter{Realm: realm.Test, Limit: 1})
		check.OK(b.t, err)
		oldest, err := b.List(t.Context(), claim.Filter{Realm: realm.Test, Before: newest[0].ID, Limit: 10})
		if err != nil || newest[0].ID != again.ID || len(oldest) != 1 || oldest[0].ID != c.ID {
			t.Errorf("%v, %v, %v", newest, oldest, err)
		}
		_, err = b.List(t.Context(), claim.Filter{Realm: realm.Test, State: "lost"})
		check.Code(t, "a state that is none", err, fault.InvalidRequest)
		_, err = b.List(t.Context(), claim.Filter{Realm: realm.Test, Before: "claim_"})
		check.Code(t, "a cursor that is none", err, fault.InvalidCursor)
		if found, err := b.List(t.Context(), claim.Filter{Realm: realm.Live, Limit: 10}); err != nil || len(found) != 0 {
			t.Errorf("live: %v, %v", found, err)
		}
	})
}

// Whoever decides the same again changes nothing, also when the answer was lost.
func TestRepeats(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 4)
		b.Fill("FRESH", 5)
		paid := b.balance()
		for place, verdict := range map[int]claim.Verdict{1: claim.Refund, 2: claim.Replace, 3: claim.Reject} {
			c := b.claimed(number, place)
			first := b.decided(c, verdict)
			for range 3 {
				again := b.decided(c, verdict)
				if again.Revision != first.Revision || again.Lines[0].Transaction != first.Lines[0].Transaction || again.Lines[0].Replacement != first.Lines[0].Replacement {
					t.Errorf("%s: %+v, then %+v", verdict, first, again)
				}
				if again = b.decided(c, verdict, place); again.Revision != first.Revision {
					t.Errorf("%s by place: %+v", verdict, again)
				}
			}
		}
		if n, err := b.Stock.Count(t.Context(), realm.Test, shop.Item); err != nil || n != 4 || b.balance() != paid+shop.Price {
			t.Errorf("%d codes in stock, %v; the wallet went from %d to %d", n, err, paid, b.balance())
		}
		b.verified()
	})
}

// A decision whose answer cannot be kept was not made.
func TestAnswerOrNothing(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 1)
		b.Fill("FRESH", 1)
		undone := errors.New("undone")
		_, err := b.Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: claim.Used,
			Also: func(*claim.Claim) ([]storage.Effect, error) { return nil, undone }})
		if !errors.Is(err, undone) || len(b.events()) != 0 {
			t.Errorf("%v, %v", err, b.events())
		}
		c, paid := b.claimed(number, 1), b.balance()
		for _, verdict := range []claim.Verdict{claim.Refund, claim.Replace, claim.Reject} {
			_, err := b.Decide(t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: verdict, Reason: "no", Actor: operator,
				Also: func(*claim.Claim) ([]storage.Effect, error) { return nil, undone }})
			if !errors.Is(err, undone) {
				t.Errorf("%s: %v", verdict, err)
			}
		}
		found, err := b.Find(t.Context(), c.Book, c.ID)
		if err != nil || found.State != claim.Open || found.Revision != 1 || b.balance() != paid || len(b.events()) != 1 {
			t.Errorf("%+v, %v, %v", found, err, b.events())
		}
		if diff := cmp.Diff([]string{"GPLAY-0001 sold"}, b.codes(number)); diff != "" {
			t.Error(diff)
		}
	})
}

// A claim whose answer is kept already, since the same was asked for at once, is told apart from
// one about a code that is claimed, whatever else the buyer claimed.
func TestAnswerKept(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 2)
		kept := func(*claim.Claim) ([]storage.Effect, error) {
			return []storage.Effect{idempotency.Entry{Scope: idempotency.Scope{Book: string(b.Buyer.Book), Name: "claim", Key: "once"}, Fingerprint: make([]byte, 32),
				Answer: idempotency.Answer{Status: 201}, At: b.Clock.Now(), TTL: time.Hour}.Effect()}, nil
		}
		_, err := b.Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: claim.Used, Also: kept})
		check.OK(t, err)
		_, err = b.Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{2}, Reason: claim.Used, Also: kept})
		if !storage.IsUnique(err) || fault.CodeOf(err) == fault.AlreadyExists {
			t.Errorf("the answer is there: %v", err)
		}
		_, err = b.Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: claim.Used, Also: kept})
		check.Code(t, "the code is claimed", err, fault.AlreadyExists)
	})
}

// An operator whose decision was not written, since another one decided the same meanwhile,
// is told so, and gets that one's.
func TestOutpaced(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		other := b.another()
		for _, verdict := range []claim.Verdict{claim.Refund, claim.Reject} {
			c, asked, undone := b.claimed(b.bought(string(verdict), 1), 1), 0, 0
			got, err := b.Decide(t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: verdict, Reason: "mine", Actor: operator,
				Also: func(*claim.Claim) ([]storage.Effect, error) {
					asked++
					return nil, storage.ErrStale
				},
				Undone: func() {
					undone++
					other.decided(c, verdict)
				}})
			if err != nil || asked != 1 || undone != 1 || got.Lines[0].Verdict != verdict || got.Lines[0].Decision == "mine" {
				t.Errorf("%s: asked %d times, %d undone, %+v, %v", verdict, asked, undone, got, err)
			}
		}
		b.verified()
	})
}

// Of operators who decide at once, in two processes, one verdict counts per code: it is
// paid back or replaced once, and the others are told.
func TestDecisionsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		const codes = 6
		number := b.bought("GPLAY", codes)
		b.Fill("FRESH", 20)
		paid := b.balance()
		processes := []*bundle{b, b.another()}
		c := b.claimed(number, 1, 2, 3, 4, 5, 6)
		var group sync.WaitGroup
		for i := range 24 {
			verdict := []claim.Verdict{claim.Refund, claim.Replace, claim.Reject}[i%3]
			group.Go(func() {
				_, err := processes[i%2].decide(c, verdict, 1+i%codes)
				if code := fault.CodeOf(err); err != nil && code != fault.InvalidState && code != fault.Unavailable {
					t.Errorf("%s of code %d: %v", verdict, 1+i%codes, err)
				}
			})
		}
		group.Wait()
		b.consistent(number, paid)
		b.verified()
	})
}

// consistent compares what the claims of an order say with its codes, the wallet and the stock.
func (b *bundle) consistent(number order.Number, paid int64) {
	b.t.Helper()
	all, err := b.OfOrder(b.t.Context(), b.Buyer.Book, number)
	check.OK(b.t, err)
	refunded, replaced, good := 0, 0, map[stock.CodeID]bool{}
	for _, c := range all {
		for _, l := range c.Lines {
			if l.Transaction != "" {
				if good[l.Code] {
					b.t.Errorf("code %s was made good for twice", l.Code)
				}
				good[l.Code] = true
			}
			switch l.Verdict {
			case claim.Refund:
				refunded++
			case claim.Replace:
				replaced++
			case claim.Reject, claim.Pending, claim.Replacing:
			}
		}
	}
	if got := b.balance(); got != paid+int64(refunded)*shop.Price {
		b.t.Errorf("the wallet went from %d to %d for %d refunds", paid, got, refunded)
	}
	held, err := b.Stock.Holdings(b.t.Context(), b.Buyer.Book, fmt.Sprint(int64(number)))
	check.OK(b.t, err)
	states := map[string]int{}
	for _, h := range held {
		states[string(h.State)]++
	}
	found, err := b.Orders.Find(b.t.Context(), b.Buyer.Book, number)
	check.OK(b.t, err)
	if states["refunded"] != refunded || states["replaced"] != replaced || states["sold"]+states["replacing"]+refunded != found.Quantity {
		b.t.Errorf("%d refunds, %d replacements, and the codes are %v", refunded, replaced, states)
	}
	if (found.Status == order.Refunded) != (refunded == found.Quantity) {
		b.t.Errorf("the order is %s after %d refunds", found.Status, refunded)
	}
}

// A buyer who claims the same code several times at once has one claim about it.
func TestClaimsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 2)
		processes := []*bundle{b, b.another()}
		var mu sync.Mutex
		made := 0
		var group sync.WaitGroup
		for i := range 16 {
			group.Go(func() {
				_, err := processes[i%2].Create(t.Context(), b.Buyer, claim.Report{Order: number, Places: []int{1}, Reason: claim.Used})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					made++
				case fault.CodeOf(err) != fault.AlreadyExists:
					t.Errorf("claim %d: %v", i, err)
				}
			})
		}
		group.Wait()
		all, err := b.OfOrder(t.Context(), b.Buyer.Book, number)
		if err != nil || made != 1 || len(all) != 1 {
			t.Errorf("%d made, %d listed, %v", made, len(all), err)
		}
	})
}

// Whatever is claimed and decided about an order, in whatever order and however often, no
// more is paid back than was paid, and every code is refunded or replaced at most once.
func TestRefundsSumUp(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.Fill("GPLAY", 1000)
		_, err := b.Wallets.Load(t.Context(), wallet.Load{Book: b.Buyer.Book, Realm: realm.Test, Amount: money.New(1_000_000, money.USD), Reference: "more", Actor: shop.Seeder})
		check.OK(b.t, err)
		rapid.Check(t, func(r *rapid.T) {
			before, n := b.balance(), rapid.IntRange(1, 4).Draw(r, "quantity")
			placed, err := b.Orders.Place(t.Context(), b.Buyer, order.Purchase{Item: shop.Item, Quantity: n})
			check.OK(b.t, err)
			paid := b.balance()
			if paid != before-int64(n)*shop.Price {
				r.Fatalf("the wallet went from %d to %d", before, paid)
			}
			for range rapid.IntRange(1, 5).Draw(r, "claims") {
				b.Clock.Advance(time.Second)
				b.codes(placed.Number)
				b.story(r, placed.Number, n)
			}
			b.consistent(placed.Number, paid)
			if b.balance() > before {
				r.Fatalf("the wallet went from %d to %d", before, b.balance())
			}
		})
		b.verified()
	})
}

// story claims some codes of an order of n and decides about them at random.
func (b *bundle) story(r *rapid.T, number order.Number, n int) {
	places := rapid.SliceOfNDistinct(rapid.IntRange(1, n), 1, n, rapid.ID[int]).Draw(r, "places")
	c, err := b.Create(b.t.Context(), b.Buyer, claim.Report{Order: number, Places: places, Reason: claim.Used})
	if code := fault.CodeOf(err); err != nil && code != fault.AlreadyExists && code != fault.InvalidState {
		r.Fatalf("claim: %v", err)
	}
	if err != nil {
		return
	}
	for range rapid.IntRange(1, 3).Draw(r, "decisions") {
		verdict := rapid.SampledFrom([]claim.Verdict{claim.Replace, claim.Refund, claim.Reject}).Draw(r, "verdict")
		some := places[:rapid.IntRange(0, len(places)).Draw(r, "some")]
		if _, err := b.decide(c, verdict, some...); err != nil && fault.CodeOf(err) != fault.InvalidState {
			r.Fatalf("%s: %v", verdict, err)
		}
	}
}

// The tables take exactly the reasons, states and verdicts of the lists.
func TestListsAreStored(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		number := b.bought("GPLAY", 1)
		c := b.claimed(number, 1)
		for _, reason := range append(claim.Reasons(), "unloved") {
			b.stores(setReason, c, string(reason), slices.Contains(claim.Reasons(), reason))
		}
		for _, state := range append(claim.States(), "lost") {
			b.stores(setState, c, string(state), slices.Contains(claim.States(), state))
		}
		for _, verdict := range append(verdicts()[1:], "lost") {
			b.stores(setVerdict, c, string(verdict), slices.Contains(verdicts(), verdict))
		}
	})
}

var (
	setReason  = storage.SQL("claim_test.set_reason", `UPDATE claims SET reason = $3 WHERE book_id = $1 AND claim_id = $2`)
	setState   = storage.SQL("claim_test.set_state", `UPDATE claims SET state = $3 WHERE book_id = $1 AND claim_id = $2`)
	setVerdict = storage.SQL("claim_test.set_verdict", `UPDATE claim_codes SET state = $3, decided_at = 1 WHERE book_id = $1 AND claim_id = $2`)
)

func (b *bundle) stores(s *storage.Statement, c claim.Claim, value string, want bool) {
	b.t.Helper()
	err := b.DB.Write(b.t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.Exec(ctx, s, string(c.Book), string(c.ID), value)
		return err
	})
	if (err == nil) != want {
		b.t.Errorf("%s: %v", value, err)
	}
}

// verdicts are all that there are.
func verdicts() []claim.Verdict {
	return []claim.Verdict{claim.Pending, claim.Replacing, claim.Replace, claim.Refund, claim.Reject}
}
