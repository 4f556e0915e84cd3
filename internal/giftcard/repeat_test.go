package giftcard_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// asAnswered compares movements by what callers are told; whether the card is blocked
// is told as it is now.
var asAnswered = cmp.Options{secrets, cmpopts.IgnoreFields(giftcard.Card{}, "Blocked", "Reason")}

// endings are what may become of a card after its calls.
var endings = map[string]func(p *process, c *held){
	"nothing":   func(*process, *held) {},
	"spent":     func(p *process, c *held) { p.done(p.redeem(c, 3000, "the rest")) },
	"blocked":   func(p *process, c *held) { check.OK(p.t, p.Block(p.t.Context(), shop, c.Card.ID, "lost")) },
	"cancelled": func(p *process, c *held) { p.done(p.cancel(c, "the end")) },
	"expired":   func(p *process, _ *held) { p.forward(p.Rules.Validity) },
	"swept": func(p *process, _ *held) {
		p.forward(p.Rules.Validity)
		_, err := p.Expire(p.t.Context())
		check.OK(p.t, err)
	},
	"restarted": func(p *process, _ *held) { *p = *join(p.t, p.DB, p.clocks) },
}

// Every call repeated under its reference returns its first answer, whatever became of the
// card since; the same reference with another amount conflicts.
func TestRepeats(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, p *process) {
				ctx, c := t.Context(), p.create(shop, 10000)
				h := p.done(p.hold(c, 4000, "h1"))
				calls := []struct {
					name string
					do   func(minor int64) (giftcard.Movement, error)
					with int64
				}{
					{"hold", func(minor int64) (giftcard.Movement, error) { return p.hold(c, minor, "h1") }, 4000},
					{"capture", func(minor int64) (giftcard.Movement, error) {
						return p.Capture(ctx, shop, giftcard.End{Hold: h.Hold, Amount: usd(minor), Reference: "c1"})
					}, 3000},
					{"void", func(minor int64) (giftcard.Movement, error) {
						return p.Void(ctx, shop, giftcard.End{Hold: h.Hold, Amount: usd(minor), Reference: "v1"})
					}, 1000},
					{"redeem", func(minor int64) (giftcard.Movement, error) { return p.redeem(c, minor, "r1") }, 7000},
					{"refund", func(minor int64) (giftcard.Movement, error) { return p.refund(c, "r1", minor, "f1") }, 1000},
					{"reload", func(minor int64) (giftcard.Movement, error) { return p.reload(c, minor, "l1") }, 2000},
				}
				first := map[string]giftcard.Movement{"hold": h}
				for _, call := range calls[1:] {
					first[call.name] = p.done(call.do(call.with))
				}
				p.look(c, giftcard.Created, 3000, 0)
				end(p, c)
				for _, call := range calls {
					want := first[call.name]
					want.Replayed = true
					got, err := call.do(call.with)
					check.OK(t, err)
					if diff := cmp.Diff(want, got, asAnswered); diff != "" {
						t.Errorf("%s repeated (-first +again):\n%s", call.name, diff)
					}
					_, err = call.do(call.with + 1)
					check.Code(t, call.name+" of another amount", err, fault.IdempotencyConflict)
				}
				byKey, err := p.Redeem(ctx, shop, giftcard.Transfer{Secret: giftcard.Secret{Key: c.Key}, Amount: usd(7000), Reference: "r1"})
				if err != nil || !byKey.Replayed {
					t.Errorf("repeated by the card's key: %+v, %v", byKey, err)
				}
				p.verify()
			})
		})
	}
}

// A hold repeated under its reference, but for another time, is another call.
func TestHoldRepeatsForItsTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 10000)
		hold := func(reference string, lasts time.Duration) (giftcard.Movement, error) {
			return p.Hold(t.Context(), shop, giftcard.Transfer{Secret: c.Secret, Amount: usd(1000), Reference: reference, HoldFor: lasts})
		}
		for reference, lasts := range map[string]time.Duration{"plain": 0, "short": time.Minute, "longer than the rule": 2 * p.Rules.HoldFor} {
			first := p.done(hold(reference, lasts))
			p.forward(time.Second)
			again, err := hold(reference, lasts)
			if err != nil || !again.Replayed || again.Hold != first.Hold {
				t.Errorf("%s repeated: %+v, %v; want %s", reference, again, err, first.Hold)
			}
			_, err = hold(reference, lasts+time.Hour)
			check.Code(t, reference+" for an hour more", err, fault.IdempotencyConflict)
		}
		p.verify()
	})
}

// A repeated Create returns the first card as it was made, whatever became of it, of its
// template or of the operator's rules; another request under the reference conflicts.
func TestCreateRepeats(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, inactive := t.Context(), false
		issue := giftcard.Issue{Title: "Holiday", TemplateID: template, Amount: usd(1000), AmountText: "10.0", Reference: "order-1"}
		first, err := p.Create(ctx, shop, issue)
		check.OK(t, err)
		c := &held{first, shop, giftcard.Secret{Key: first.Key}}
		p.done(p.redeem(c, 1000, "r1"))
		check.OK(t, p.Block(ctx, shop, first.Card.ID, "lost"))
		_, err = p.ChangeTemplate(ctx, template, giftcard.TemplateChange{Active: &inactive, Actor: "op/1"})
		check.OK(t, err)
		rules := p.Rules
		p.Rules.MaxMajor = 1
		first.Replayed = true
		for _, state := range []string{"blocked", "cancelled"} {
			again, err := p.Create(ctx, shop, issue)
			check.OK(t, err)
			want := first
			if state == "cancelled" { // when it ended is no part of how it was made
				want = again
				want.Card.Status, want.Card.Balance = giftcard.Created, usd(1000)
			}
			if diff := cmp.Diff(want, again, secrets); diff != "" {
				t.Errorf("%s (-first +again):\n%s", state, diff)
			}
			p.done(p.cancel(c, "the end"))
		}
		other := issue
		other.Title = "Birthday"
		_, err = p.Create(ctx, shop, other)
		check.Code(t, "another title", err, fault.IdempotencyConflict)
		other.Reference = "order-2"
		_, err = p.Create(ctx, shop, other)
		check.Code(t, "above the limit", err, fault.InvalidAmount)
		p.Rules = rules
		_, err = p.Create(ctx, shop, other)
		check.Code(t, "an inactive template", err, fault.TemplateInactive)
		elsewhere, err := p.Create(ctx, rival, issue)
		check.Code(t, "another merchant with the same reference", err, fault.TemplateInactive)
		if elsewhere.Card != nil {
			t.Error("another merchant got a card")
		}
		p.verify()
	})
}

// Who made a card for a merchant is in the audit log, once and not where that is refused; so is
// whoever was shown its secrets again.
func TestCreateNoted(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, clerk := t.Context(), giftcard.Merchant{Book: shop.Book, Realm: shop.Realm, Actor: "cli/ada"}
		issue := giftcard.Issue{Title: "Holiday", TemplateID: template, Amount: usd(1050), Reference: "order-1"}
		first, err := p.CreateNoted(ctx, clerk, issue)
		check.OK(t, err)
		again, err := p.CreateNoted(ctx, clerk, issue)
		check.OK(t, err)
		if again.Card.ID != first.Card.ID || !again.Replayed {
			t.Errorf("again: %+v", again)
		}
		issue.Title = "Birthday"
		_, err = p.CreateNoted(ctx, clerk, issue)
		check.Code(t, "another card under the reference", err, fault.IdempotencyConflict)
		issue.TemplateID = "nobody"
		issue.Reference = "order-2"
		_, err = p.CreateNoted(ctx, clerk, issue)
		check.Code(t, "no template", err, fault.InvalidRequest)
		check.List(t, "audit", p.audited(shop), "cli/ada giftcard.create ", "cli/ada giftcard.reveal "+string(first.Card.ID))
		entries, err := p.Audit.List(ctx, audit.Filter{Book: string(shop.Book), Action: "giftcard.create"})
		check.OK(t, err)
		want := map[string]string{"amount": "10.50 USD", "template": template, "reference": "order-1"}
		if diff := cmp.Diff(want, entries[0].Detail); diff != "" {
			t.Errorf("detail (-want +got):\n%s", diff)
		}
	})
}

// A card blocked, unblocked, cancelled or swept by one process is so for another that
// remembers it as it was.
func TestStaleMemory(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, other := t.Context(), join(t, p.DB, p.clocks)
		c, doomed, due := p.create(shop, 10000), p.create(shop, 500), p.create(shop, 500)
		for i, card := range []*held{c, doomed, due} { // both remember them
			p.done(p.redeem(card, 1, fmt.Sprint("p", i)))
			other.done(other.redeem(card, 1, fmt.Sprint("o", i)))
		}
		check.OK(t, p.Block(ctx, shop, c.Card.ID, "lost"))
		for name, err := range map[string]error{"redeem": second(other.redeem(c, 1, "r1")), "hold": second(other.hold(c, 1, "h1")), "reload": second(other.reload(c, 1, "l1"))} {
			check.Code(t, name+" elsewhere after a block", err, fault.CardBlocked)
		}
		check.OK(t, other.Unblock(ctx, shop, c.Card.ID, "found"))
		p.done(p.redeem(c, 1, "r2"))
		check.OK(t, other.Block(ctx, shop, c.Card.ID, "lost again"))
		fresh := join(t, p.DB, p.clocks) // one that remembers it as blocked
		check.Code(t, "redeem a blocked card", second(fresh.redeem(c, 1, "r3")), fault.CardBlocked)
		check.OK(t, p.Unblock(ctx, shop, c.Card.ID, "found again"))
		fresh.done(fresh.redeem(c, 1, "r3"))

		p.done(p.cancel(doomed, "the end"))
		check.Code(t, "redeem elsewhere after a cancel", second(other.redeem(doomed, 1, "r4")), fault.CardCancelled)
		p.forward(p.Rules.Validity)
		_, err := p.Expire(ctx)
		check.OK(t, err)
		check.Code(t, "redeem elsewhere after a sweep", second(other.redeem(due, 1, "r5")), fault.CardExpired)
		p.verify()
	})
}

func second(_ giftcard.Movement, err error) error { return err }

// Another merchant's card cannot be told from one that does not exist, by any call,
// remembered or not.
func TestAnothersCardIsUnknown(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, mine := t.Context(), p.create(rival, 1000)
		h := p.done(p.hold(mine, 100, "h1"))
		p.done(p.redeem(mine, 100, "r1"))
		unknown := p.create(shop, 1)
		unknown.Secret.Number = number(t, "GC0000000000000000")
		calls := map[string]func(c *held, id giftcard.ID) error{
			"find":   func(c *held, _ giftcard.ID) error { _, err := p.Find(ctx, shop, c.Secret); return err },
			"redeem": func(c *held, _ giftcard.ID) error { return second(p.redeem(&held{c.Issued, shop, c.Secret}, 1, "x")) },
			"hold":   func(c *held, _ giftcard.ID) error { return second(p.hold(&held{c.Issued, shop, c.Secret}, 1, "x")) },
			"reload": func(c *held, _ giftcard.ID) error { return second(p.reload(&held{c.Issued, shop, c.Secret}, 1, "x")) },
			"get":    func(_ *held, id giftcard.ID) error { _, err := p.Get(ctx, shop.Book, id); return err },
			"reveal": func(_ *held, id giftcard.ID) error { _, _, err := p.Reveal(ctx, shop.Book, id, "op/1"); return err },
			"block":  func(_ *held, id giftcard.ID) error { return p.Block(ctx, shop, id, "") },
			"cancel": func(_ *held, id giftcard.ID) error { return second(p.Cancel(ctx, shop, id, "")) },
		}
		for name, call := range calls {
			absent, others := call(unknown, giftcard.ID("gc_"+strings.Repeat("0", 26))), call(mine, mine.Card.ID)
			check.Code(t, name, others, fault.NotFound)
			if absent == nil || absent.Error() != others.Error() {
				t.Errorf("%s: %v, %v", name, absent, others)
			}
		}
		absent := second(p.refund(unknown, "none", 1, "x"))
		others := second(p.refund(unknown, "r1", 1, "x"))
		check.Code(t, "refund", others, fault.NotFound)
		if absent.Error() != others.Error() {
			t.Errorf("refund: %v, %v", absent, others)
		}
		for _, kind := range []string{"capture", "void"} {
			end := func(id string) error {
				e := giftcard.End{Hold: h.Hold, Reference: "x"}
				if id != "" {
					e.Hold = "hold_01k9999999999999999999999z"
				}
				if kind == "void" {
					return second(p.Void(ctx, shop, e))
				}
				return second(p.Capture(ctx, shop, e))
			}
			check.Code(t, kind, end(""), fault.NotFound)
			if end("").Error() != end("absent").Error() {
				t.Errorf("%s: %v, %v", kind, end(""), end("absent"))
			}
		}
		check.List(t, "the owner's audit log", p.audited(rival))
		p.look(mine, giftcard.Created, 800, 100)
	})
}

// Many callers with one reference make one card and take money once.
func TestRepeatsAtOnce(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			config := testkit.Database(t, engine)
			db := testkit.Open(t, config)
			p := setup(t, db)
			processes := []*process{p, p}
			if db.Shared() {
				processes[1] = join(t, testkit.Open(t, config), p.clocks)
			}
			c := p.create(shop, 1000)
			var cards, takes [32]string
			var fresh crowd.Tally
			crowd.AtOnce(32, func(i int) {
				q := processes[i%2]
				issued, err := q.Create(t.Context(), shop, giftcard.Issue{Title: "One", TemplateID: template, Amount: usd(5), Reference: "one"})
				if err != nil {
					t.Error(err)
					return
				}
				cards[i] = string(issued.Card.ID) + issued.Key.Reveal() + issued.Card.Number.Reveal()
				m, err := q.redeem(c, 7, "one")
				if err != nil {
					t.Error(err)
					return
				}
				takes[i] = string(m.Transaction)
				if m.Replayed {
					err = fault.New(fault.AlreadyExists, "replayed")
				}
				fresh.Add(err)
			})
			for i := range cards {
				if cards[i] != cards[0] || takes[i] != takes[0] {
					t.Errorf("caller %d got another card or transaction", i)
				}
			}
			check.Equal(t, "answers", fresh.Codes, map[fault.Code]int{"": 1, fault.AlreadyExists: 31})
			p.look(c, giftcard.Created, 993, 0)
			p.verify()
		})
	}
}

// A card that ends while it is read is found as it ended, and never taken for a redeemed one.
func TestReadWhileItEnds(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c, due := p.create(shop, 100), p.create(shop, 100)
		found, err := p.GetWhile(t.Context(), shop, c.Card.ID, func() { p.done(p.cancel(c, "meanwhile")) })
		check.OK(t, err)
		if found.Status != giftcard.Cancelled || found.Reason != "meanwhile" || !found.Balance.IsZero() || found.EndedAt.IsZero() {
			t.Errorf("cancelled: %+v", found)
		}
		p.forward(p.Rules.Validity)
		found, err = p.GetWhile(t.Context(), shop, due.Card.ID, func() {
			if n, err := p.Expire(t.Context()); n != 1 || err != nil {
				t.Errorf("swept %d, %v", n, err)
			}
		})
		if err != nil || found.Status != giftcard.Expired || !found.Balance.IsZero() {
			t.Errorf("expired: %+v, %v", found, err)
		}
	})
}
