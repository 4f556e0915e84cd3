package payout_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Every pair of states is either in the transition table or a fault that changes nothing.
func TestTransitions(t *testing.T) {
	legal := map[[2]payout.State]bool{
		{payout.Held, payout.Sending}: true, {payout.Held, payout.Failed}: true, {payout.Sending, payout.Held}: true, {payout.Sending, payout.Sent}: true,
		{payout.Sending, payout.Settled}: true, {payout.Sending, payout.Failed}: true, {payout.Sent, payout.Held}: true, {payout.Sent, payout.Settled}: true,
		{payout.Settled, payout.Sent}: true,
	}
	for _, from := range payout.States() {
		for _, to := range payout.States() {
			want := from
			if legal[[2]payout.State{from, to}] {
				want = to
			}
			if got, err := from.Become(to); got != want || (err == nil) != legal[[2]payout.State{from, to}] {
				t.Errorf("%s to %s: %s, %v", from, to, got, err)
			}
		}
	}
}

// Every kind of destination is paid once, with proof, and the books say so.
func TestEveryKind(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		var all []payout.Payout
		for _, kind := range destination.Kinds() {
			all = append(all, b.pay(ada, b.to(kind), 100_000))
		}
		b.owes(ada, "1 held 0.007")
		b.later(0)
		b.later(31 * time.Second)
		b.owes(ada, "0.998 held 0.005")
		b.must(b.node.Mine(t.Context(), 1))
		b.later(31 * time.Second)
		b.owes(ada, "0.993 held 0")
		for _, p := range all {
			p = b.expect(p, "settled")
			if p.To.Kind.IsLightning() {
				if p.Preimage == "" || p.Hash == "" || p.TxID != "" || p.Fee != sat(101) {
					t.Errorf("%+v", p)
				}
			} else if got := b.paid(p.To); got != "1x 100000" || p.TxID == "" || !p.Fee.IsPositive() {
				t.Errorf("%s was paid %s: %+v", p.To.Text, got, p)
			}
			if n := b.heardOf(p); n != 1 {
				t.Errorf("the listener was told %d times", n)
			}
		}
		if got := b.received(); got != "2x 200000" {
			t.Errorf("over Lightning: %s", got)
		}
		b.told(ada, "settled, settled, sent, sent, sent, sent, sent, settled, settled, settled, settled, settled")
		b.verified()
	})
}

// What cannot be paid is refused before anything is held: too little, too much, another
// network, another currency, an invoice that another payout has or that expires, more than
// a day's limit, more than is owed.
func TestPlanRefused(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada, bob := b.customer("ada"), b.customer("bob")
		main, err := destination.Parse(destination.Main, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
		b.must(err)
		old := b.invoice()
		b.clock.Advance(56 * time.Minute)
		taken := b.invoice()
		b.pay(bob, taken, 1000)
		for name, c := range map[string]struct {
			to      payout.Destination
			satoshi int64
			want    fault.Code
		}{
			"too little":      {b.address(destination.P2TR), 999, fault.InvalidAmount},
			"too much":        {b.address(destination.P2TR), 5_000_001, fault.InvalidAmount},
			"another network": {main, 1000, fault.InvalidRequest},
			"nowhere":         {payout.Destination{}, 1000, fault.InvalidRequest},
			"expires":         {old, 1000, fault.InvalidRequest},
			"taken":           {taken, 1000, fault.AlreadyExists},
		} {
			if _, err := b.plan(ada, c.to, c.satoshi); fault.CodeOf(err) != c.want {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		}
		op := ledger.Operation{Book: ada}
		r := payout.Request{Book: ada, Realm: realm.Test, To: b.handle(), Amount: sat(1000), From: owed.ID}
		for name, c := range map[string]struct {
			change func(*payout.Request)
			want   fault.Code
		}{
			"live":             {func(r *payout.Request) { r.Realm = realm.Live }, fault.FeatureDisabled},
			"another book":     {func(r *payout.Request) { r.Book = bob }, fault.InvalidRequest},
			"no account":       {func(r *payout.Request) { r.From = "" }, fault.InvalidRequest},
			"another currency": {func(r *payout.Request) { r.Amount = money.New(1000, money.USD) }, fault.CurrencyMismatch},
		} {
			changed := r
			c.change(&changed)
			if _, err := b.Plan(t.Context(), changed, &op); fault.CodeOf(err) != c.want {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		}
		if _, err := b.Parse(realm.Live, "a@b.c"); fault.CodeOf(err) != fault.FeatureDisabled {
			t.Errorf("in the live realm: %v", err)
		}
		for range 20 {
			b.pay(ada, b.handle(), 5_000_000)
		}
		b.owes(ada, "1 held 1")
		if _, err := b.plan(ada, b.handle(), 1000); fault.CodeOf(err) != fault.GuardExceeded && fault.CodeOf(err) != fault.InsufficientFunds {
			t.Errorf("beyond the day's limit: %v", err)
		}
		b.clock.Advance(24 * time.Hour)
		if _, err := b.plan(ada, b.handle(), 1000); fault.CodeOf(err) != fault.InsufficientFunds {
			t.Errorf("more than is owed: %v", err)
		}
		b.verified()
	})
}

// An invoice is one payout's, though two are planned with it at once.
func TestPlannedAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		to, ops := b.invoice(), [2]ledger.Operation{}
		for i, name := range []string{"ada", "bob"} {
			ops[i] = ledger.Operation{Book: b.customer(name), Kind: "test.approve", Actor: "test", At: b.clock.Now()}
			_, err := b.Plan(t.Context(), payout.Request{Book: ops[i].Book, Realm: realm.Test, To: to, Amount: sat(1000), From: owed.ID}, &ops[i])
			b.must(err)
		}
		_, err := b.books.Submit(t.Context(), ops[0])
		b.must(err)
		if _, err := b.books.Submit(t.Context(), ops[1]); !errors.Is(err, storage.ErrStale) {
			t.Errorf("the other one: %v", err)
		}
		b.owes(ops[0].Book, "1 held 0.00001")
		b.owes(ops[1].Book, "1 held 0")
		b.verified()
	})
}

// A day's limit is of what is paid: what was called back, on another day too, does not count there.
func TestDailyLimit(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.Policy.Daily = sat(5_000)
		ada := b.customer("ada")
		full := func() {
			t.Helper()
			if _, err := b.plan(ada, b.handle(), 1_001); fault.CodeOf(err) != fault.GuardExceeded {
				t.Errorf("more than a day's limit: %v", err)
			}
		}
		first, second := b.pay(ada, b.handle(), 2_000), b.pay(ada, b.handle(), 2_000)
		full()
		back := func(p payout.Payout) {
			_, err := b.Cancel(t.Context(), payout.Cancellation{Actor: "operator/ann", Book: ada, Payout: p.ID})
			b.must(err)
		}
		back(first)
		b.pay(ada, b.handle(), 2_000)
		full()
		b.clock.Advance(24 * time.Hour)
		b.pay(ada, b.handle(), 4_000)
		back(second)
		full()
		b.verified()
	})
}

// A payout of which nothing was sent can be called back, and no other one.
func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p, l := b.pay(ada, b.address(destination.P2WPKH), 1000), b.pay(ada, b.handle(), 1000)
		for _, p := range []payout.Payout{p, l} {
			done, err := b.Cancel(t.Context(), payout.Cancellation{Actor: "operator/ann", Book: ada, Payout: p.ID})
			if err != nil || done.State != payout.Failed || done.Reason != payout.Cancelled {
				t.Fatalf("%+v, %v", done, err)
			}
			if _, err := b.Cancel(t.Context(), payout.Cancellation{Actor: "operator/ann", Book: ada, Payout: p.ID}); fault.CodeOf(err) != fault.InvalidState {
				t.Errorf("twice: %v", err)
			}
		}
		b.owes(ada, "1 held 0")
		b.told(ada, "failed cancelled, failed cancelled")
		if got := b.auditedIn(ada, "payout.cancel"); got != "cancel "+string(l.ID)+", cancel "+string(p.ID) {
			t.Errorf("the audit log has %s", got)
		}
		b.work()
		sent := b.pay(ada, b.address(destination.P2WPKH), 1000)
		b.later(0)
		b.expect(sent, "sent")
		if _, err := b.Cancel(t.Context(), payout.Cancellation{Actor: "operator/ann", Book: ada, Payout: sent.ID}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("one that was sent: %v", err)
		}
		if _, err := b.Cancel(t.Context(), payout.Cancellation{Actor: "operator/ann", Book: b.customer("bob"), Payout: sent.ID}); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("another's: %v", err)
		}
		b.verified()
	})
}

// Of many who call a payout back at once one does, and the others are told that it is over.
func TestCancelAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, b.address(destination.P2WPKH), 1000)
		errs := make([]error, 8)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() {
				_, errs[i] = b.Cancel(t.Context(), payout.Cancellation{Actor: fmt.Sprint("operator/", i), Book: ada, Payout: p.ID})
			})
		}
		group.Wait()
		done := 0
		for _, err := range errs {
			switch fault.CodeOf(err) {
			case "":
				done++
			case fault.InvalidState:
			default:
				t.Error(err)
			}
		}
		if done != 1 {
			t.Errorf("%d have called it back", done)
		}
		b.owes(ada, "1 held 0")
		b.told(ada, "failed cancelled")
		b.verified()
	})
}

// The figures count what is not over and what ended, know how long the oldest has waited,
// and what the nodes had when they were last asked.
func TestFigures(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		figures := func() string {
			t.Helper()
			f, err := b.Figures(t.Context(), realm.Test)
			b.must(err)
			settled, failed := b.Ended()
			text := fmt.Sprintf("%d %d %d of %s, %d settled, %d failed", f.Open[payout.Held], f.Open[payout.Sending], f.Open[payout.Sent], f.Oldest, settled, failed)
			for _, n := range f.Nodes {
				text += fmt.Sprintf(", %s %t", n.Node, n.Low)
			}
			if f.Stopped {
				text += ", stopped"
			}
			return text
		}
		expect := func(want string) {
			t.Helper()
			if got := figures(); got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
		}
		expect("0 0 0 of 0s, 0 settled, 0 failed")
		b.must(b.Stop(t.Context(), "operator/ann", realm.Test))
		p, gone := b.pay(ada, b.address(destination.P2TR), 10_000), b.pay(ada, b.handle(), 10_000)
		b.clock.Advance(time.Minute)
		expect("2 0 0 of 1m0s, 0 settled, 0 failed, stopped")
		_, err := b.Cancel(t.Context(), payout.Cancellation{Actor: "operator/ann", Book: ada, Payout: gone.ID})
		b.must(err)
		b.must(b.Resume(t.Context(), "operator/ann", realm.Test))
		b.later(0)
		b.expect(p, "sent")
		expect("0 0 1 of 1m0s, 0 settled, 1 failed, chain false, lightning false")
		b.must(b.node.Mine(t.Context(), 1))
		b.must(b.Watch(t.Context(), realm.Test))
		expect("0 0 0 of 0s, 1 settled, 1 failed, chain false, lightning false")
		f, err := b.Figures(t.Context(), realm.Test)
		b.must(err)
		if has, err := b.Nodes[realm.Test].Lightning.Balance(t.Context()); err != nil || f.Nodes[1].Amount.Minor != has || !f.Nodes[1].CheckedAt.Equal(b.clock.Now()) {
			t.Errorf("%+v, %d, %v", f.Nodes[1], has, err)
		}
	})
}

// While payouts are stopped nothing new leaves, what has left is looked after, and
// everything goes on afterwards.
func TestStop(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		before := b.pay(ada, b.address(destination.P2WPKH), 1000)
		b.later(0)
		b.must(b.Stop(t.Context(), "operator/ann", realm.Test))
		chain, lightning := b.pay(ada, b.address(destination.P2WPKH), 1000), b.pay(ada, b.invoice(), 1000)
		b.must(b.node.Mine(t.Context(), 1))
		b.work()
		b.expect(before, "settled")
		b.expect(chain, "held")
		b.expect(lightning, "held")
		if stopped, err := b.Stopped(t.Context(), realm.Test); err != nil || !stopped {
			t.Errorf("%t, %v", stopped, err)
		}
		b.must(b.Resume(t.Context(), "operator/ann", realm.Test))
		b.work()
		b.expect(chain, "sent")
		b.expect(lightning, "settled")
		if got := b.audited("payout."); got != "resume test, stop test" && got != "stop test, resume test" {
			t.Errorf("the audit log has %s", got)
		}
	})
}

// Lists show the payouts of all books, newest first, by their states.
func TestList(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		one, two := b.pay(b.customer("ada"), b.handle(), 1000), b.pay(b.customer("bob"), b.address(destination.P2TR), 1000)
		b.work()
		for _, c := range []struct {
			filter payout.Filter
			want   []payout.ID
		}{
			{payout.Filter{}, []payout.ID{two.ID, one.ID}}, {payout.Filter{State: payout.Settled}, []payout.ID{one.ID}},
			{payout.Filter{Limit: 1}, []payout.ID{two.ID}}, {payout.Filter{Before: two.ID}, []payout.ID{one.ID}}, {payout.Filter{State: payout.Failed}, nil},
		} {
			c.filter.Realm = realm.Test
			found, err := b.List(t.Context(), c.filter)
			b.must(err)
			same := len(found) == len(c.want)
			for i := range c.want {
				same = same && found[i].ID == c.want[i]
			}
			if !same {
				t.Errorf("%+v: %+v", c.filter, found)
			}
		}
		for _, f := range []payout.Filter{{Limit: -1}, {Limit: payout.MaxLimit + 1}, {State: "lost"}} {
			if _, err := b.List(t.Context(), f); fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%+v: %v", f, err)
			}
		}
		if found, err := b.List(t.Context(), payout.Filter{Realm: realm.Live}); err != nil || len(found) != 0 {
			t.Errorf("live: %v, %v", found, err)
		}
	})
}

// Rules that cannot hold are refused.
func TestPolicyCheck(t *testing.T) {
	if err := payout.DefaultPolicy().Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*payout.Policy){
		"currency":      func(p *payout.Policy) { p.Most = money.New(1, money.USD) },
		"limits":        func(p *payout.Policy) { p.Least = p.Most; p.Most = sat(1) },
		"daily":         func(p *payout.Policy) { p.Daily = sat(1) },
		"gather":        func(p *payout.Policy) { p.Chain.Gather = -1 },
		"together":      func(p *payout.Policy) { p.Chain.Together = 0 },
		"target":        func(p *payout.Policy) { p.Chain.Target = 0 },
		"floor":         func(p *payout.Policy) { p.Chain.Floor = 999 },
		"fallback":      func(p *payout.Policy) { p.Chain.Fallback = p.Chain.Cap + 1 },
		"bump":          func(p *payout.Policy) { p.Chain.Bump = 0 },
		"confirmations": func(p *payout.Policy) { p.Chain.Confirmations = 0 },
		"final":         func(p *payout.Policy) { p.Chain.Final = 0 },
		"fee":           func(p *payout.Policy) { p.Lightning.FeeBasisPoints, p.Lightning.FeeFloor = 0, sat(0) },
		"doubt":         func(p *payout.Policy) { p.Lightning.Doubt = p.Lightning.Timeout },
		"tries":         func(p *payout.Policy) { p.Lightning.Tries = 0 },
	} {
		p := payout.DefaultPolicy()
		if change(&p); fault.CodeOf(p.Check()) != fault.InvalidRequest {
			t.Errorf("%s: %v", name, p.Check())
		}
	}
}
