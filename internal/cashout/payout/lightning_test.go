package payout_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// set puts the node into a mood for its next calls.
func (b *bench) set(mood node.Mood, calls int64) {
	b.t.Helper()
	b.must(b.node.Set(b.t.Context(), mood, calls))
}

// A payment whose answer is lost is looked up, and not made again.
func TestAnswerLost(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, b.invoice(), 10_000)
		b.set(node.Mute, 1)
		_, err := b.Service.Pay(t.Context(), p)
		b.must(err)
		p = b.expect(p, "sending")
		if p.Hash == "" || b.received() != "1x 10000" {
			t.Errorf("%s, %+v", b.received(), p)
		}
		b.owes(ada, "1 held 0.0001")
		b.work()
		b.expect(p, "settled")
		b.owes(ada, "0.9999 held 0")
		if b.received() != "1x 10000" {
			t.Errorf("received %s", b.received())
		}
		b.told(ada, "settled")
	})
}

// A payment that is in flight for days is waited for, whatever its invoice's time; it frees
// the money when it fails late, and takes it when it succeeds late.
func TestInFlightForDays(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada, bob := b.customer("ada"), b.customer("bob")
		lost, won := b.pay(ada, b.invoice(), 10_000), b.pay(bob, b.invoice(), 20_000)
		for _, p := range []payout.Payout{lost, won} {
			b.set(node.Stuck, 1)
			_, err := b.Service.Pay(t.Context(), p)
			b.must(err)
		}
		for range 5 {
			b.later(25 * time.Hour)
			b.expect(lost, "sending")
			b.expect(won, "sending")
		}
		b.owes(ada, "1 held 0.0001")
		if !b.log.has("in flight for long") {
			t.Error("nobody was told that a payment is stuck")
		}
		b.must(b.node.Resolve(t.Context(), b.find(lost).Hash, false))
		b.must(b.node.Resolve(t.Context(), b.find(won).Hash, true))
		b.work()
		b.expect(lost, "failed unpayable")
		b.expect(won, "settled")
		b.owes(ada, "1 held 0")
		b.owes(bob, "0.9998 held 0")
		if b.received() != "1x 20000" {
			t.Errorf("received %s", b.received())
		}
		b.verified()
	})
}

// A request that arrives after the node said that it was never asked is the same payment:
// nothing is sent meanwhile, and it is paid once.
func TestLateRequest(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, b.invoice(), 10_000)
		b.set(node.Late, 1)
		_, err := b.Service.Pay(t.Context(), p)
		b.must(err)
		b.later(5 * time.Minute)
		b.expect(p, "sending")
		if b.received() != "0x 0" {
			t.Errorf("received %s", b.received())
		}
		b.must(b.node.Deliver(t.Context()))
		b.work()
		b.expect(p, "settled")
		if b.received() != "1x 10000" {
			t.Errorf("received %s", b.received())
		}
	})
}

// While the operator names no node, payouts over Lightning wait for one: that is no failure of
// theirs, and what was on its way is looked up when there is one again.
func TestNoNode(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		planned, flying := b.pay(ada, b.handle(), 10_000), b.pay(ada, b.invoice(), 20_000)
		b.set(node.Mute, 1)
		_, err := b.Service.Pay(t.Context(), flying)
		b.must(err)
		nodes := b.Nodes[realm.Test]
		delete(b.Nodes, realm.Test)
		for range 3 {
			b.later(time.Hour)
		}
		b.expect(planned, "held")
		b.expect(flying, "sending")
		if b.log.has("panicked") || b.log.has("job not done") {
			t.Errorf("the log says %s", b.log.text.String())
		}
		b.Nodes[realm.Test] = nodes
		b.work()
		b.expect(planned, "settled")
		b.expect(flying, "settled")
		if b.received() != "2x 30000" {
			t.Errorf("received %s", b.received())
		}
	})
}

// A request that never arrives is made again, once nothing can arrive any more.
func TestRequestLost(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, b.invoice(), 10_000)
		b.set(node.Stalled, 1)
		_, err := b.Service.Pay(t.Context(), p)
		b.must(err)
		b.later(9 * time.Minute)
		b.expect(p, "sending")
		if b.received() != "0x 0" {
			t.Errorf("sent again while the first request could arrive: %s", b.received())
		}
		b.later(time.Minute)
		b.expect(p, "settled")
		if b.received() != "1x 10000" {
			t.Errorf("received %s", b.received())
		}
	})
}

// A request that was lost is sent anew by one process: another one that was about to sends
// nothing once it was, however that went.
func TestRequestLostForTwo(t *testing.T) {
	for name, c := range map[string]struct {
		happen         func(b *bench, p payout.Payout)
		want, received string
	}{
		"paid": {func(b *bench, p payout.Payout) { b.resend(p, nil) }, "settled", "1x 10000"},
		"lost": {func(b *bench, p payout.Payout) { b.resend(p, cut{}) }, "sending", "0x 0"},
		"refused, and paid by another invoice": {func(b *bench, p payout.Payout) {
			b.resend(p, cut{knows: true})
			b.clock.Advance(b.Policy.Lightning.Again)
			b.resend(p, nil)
		}, "settled", "1x 10000"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b *bench) {
				other := b.another()
				t.Cleanup(other.books.Close)
				p := b.pay(b.customer("ada"), b.handle(), 10_000)
				b.resend(p, cut{})
				b.clock.Advance(10 * time.Minute)
				sent := 0
				b.resend(p, interrupted{Lightning: b.Nodes[realm.Test].Lightning, sent: &sent, tracked: sync.OnceFunc(func() { c.happen(other, p) })})
				b.expect(p, c.want)
				if sent != 0 || b.received() != c.received {
					t.Errorf("sent %d times more, received %s", sent, b.received())
				}
			})
		})
	}
}

// resend goes on with a payout as it stands, by a node or the usual one.
func (b *bench) resend(p payout.Payout, by payout.Lightning) {
	b.t.Helper()
	usual := b.Nodes[realm.Test]
	defer func() { b.Nodes[realm.Test] = usual }()
	if by != nil {
		nodes := usual
		nodes.Lightning = by
		b.Nodes[realm.Test] = nodes
	}
	_, err := b.Service.Pay(b.t.Context(), b.find(p))
	b.must(err)
}

// cut is a node whose connection breaks off before it gets a payment. It may know that it did not.
type cut struct {
	payout.Lightning
	knows bool
}

func (cut) Pay(context.Context, payout.Transfer) (payout.Answer, error) {
	return payout.Answer{}, errors.New("cut")
}

func (c cut) Track(context.Context, [32]byte) (payout.Answer, error) {
	if c.knows {
		return payout.Answer{Outcome: payout.Refused}, nil
	}
	return payout.Answer{Outcome: payout.Unheard}, nil
}

// A request that never arrived is not made again while payouts are stopped, nor once its invoice
// has expired: then the payout fails.
func TestRequestLostWhileStopped(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada, bob := b.customer("ada"), b.customer("bob")
		p, late := b.pay(ada, b.invoice(), 10_000), b.pay(bob, b.invoice(), 20_000)
		for _, one := range []payout.Payout{p, late} {
			b.set(node.Stalled, 1)
			_, err := b.Service.Pay(t.Context(), one)
			b.must(err)
		}
		b.must(b.Stop(t.Context(), "operator/ann", realm.Test))
		for range 3 {
			b.later(10 * time.Minute)
		}
		b.expect(p, "sending")
		if b.received() != "0x 0" {
			t.Errorf("sent again while payouts are stopped: %s", b.received())
		}
		b.must(b.Resume(t.Context(), "operator/ann", realm.Test))
		_, err := b.Service.Pay(t.Context(), b.find(p))
		b.must(err)
		b.expect(p, "settled")
		b.clock.Advance(time.Hour)
		_, err = b.Service.Pay(t.Context(), b.find(late))
		b.must(err)
		b.expect(late, "failed expired")
		if b.received() != "1x 10000" {
			t.Errorf("received %s", b.received())
		}
		b.owes(bob, "1 held 0")
		b.verified()
	})
}

// Where a node was asked more than once, a refusal is not believed while another request may
// still arrive.
func TestRefusalIsDoubted(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, b.invoice(), 10_000)
		b.set(node.Refusing, 1)
		_, err := b.Service.Pay(t.Context(), p) // refused for sure: it was asked once
		b.must(err)
		b.expect(p, "sending")
		b.later(2 * time.Minute)
		b.expect(p, "settled") // so that the second try may be made at once

		q := b.pay(ada, b.invoice(), 20_000)
		b.set(node.Refusing, 1)
		_, err = b.Service.Pay(t.Context(), q)
		b.must(err)
		b.clock.Advance(2 * time.Minute)
		b.set(node.Stalled, 1)
		_, err = b.Service.Pay(t.Context(), b.find(q)) // the second request is on its way, nobody knows where
		b.must(err)
		for range 3 {
			b.later(3 * time.Minute) // the node says that the first one failed, which proves nothing
		}
		b.expect(q, "sending")
		if got := b.attempts(q); got != 2 {
			t.Errorf("%d attempts, want 2", got)
		}
		b.later(2 * time.Minute)
		b.later(2 * time.Minute)
		b.expect(q, "settled")
		if got := b.attempts(q); got != 3 {
			t.Errorf("%d attempts, want 3", got)
		}
		if b.received() != "2x 30000" {
			t.Errorf("received %s", b.received())
		}

		r := b.pay(ada, b.invoice(), 30_000)
		b.set(node.Late, 1)
		_, err = b.Service.Pay(t.Context(), r)
		b.must(err)
		b.clock.Advance(10 * time.Minute)
		_, err = b.refusedLater(t.Context(), r) // it was never heard of, and is sent again; that is refused
		b.must(err)
		for range 3 {
			b.later(3 * time.Minute)
		}
		if got := b.attempts(r); got != 1 {
			t.Errorf("%d attempts while the first request is unanswered", got)
		}
		b.later(2 * time.Minute)
		b.later(2 * time.Minute)
		b.expect(r, "settled")
		b.verified()
	})
}

// What no node finds a way to is tried as often as the policy says, and then fails and
// frees the money; an invoice that expires before fails as expired.
func TestUnpayable(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada, bob := b.customer("ada"), b.customer("bob")
		text, err := node.Payee{Node: node.New(b.db, b.clock, "elsewhere", false), Network: b.payee.Network}.Invoice(t.Context(), 0, "")
		b.must(err)
		p := b.pay(ada, b.parse(text), 10_000)
		for range 6 {
			b.later(2*time.Minute + time.Second)
		}
		b.expect(p, "failed unpayable")
		if n := b.attempts(p); n != 5 {
			t.Errorf("%d attempts", n)
		}
		b.owes(ada, "1 held 0")
		b.told(ada, "failed unpayable")

		b.must(b.Stop(t.Context(), "operator/ann", realm.Test))
		q := b.pay(bob, b.invoice(), 10_000)
		b.later(2 * time.Hour)
		b.expect(q, "held")
		b.must(b.Resume(t.Context(), "operator/ann", realm.Test))
		b.work()
		b.expect(q, "failed expired")
		b.owes(bob, "1 held 0")
		b.verified()
	})
}

// A preimage that does not fit proves nothing: the payout waits, somebody is told, and the
// right one settles it.
func TestWrongPreimage(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, b.invoice(), 10_000)
		b.set(node.Lying, 1)
		if _, err := b.Service.Pay(t.Context(), p); err == nil || !strings.Contains(err.Error(), "preimage does not fit") {
			t.Errorf("a wrong preimage: %v", err)
		}
		b.expect(p, "sending")
		b.owes(ada, "1 held 0.0001")
		b.work()
		b.expect(p, "settled")
	})
}

// A Lightning Address that gives no invoice is asked again, and only then given up; an
// invoice of another amount, for something else, of another network or that was given
// before is none.
func TestLightningAddress(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, b.handle(), 10_000)
		for _, mood := range []node.Mood{node.Stalled, node.Refusing, node.Lying} {
			b.set(mood, 1)
			_, err := b.Service.Pay(t.Context(), p)
			b.must(err)
			b.expect(p, "held")
		}
		other := b.payee
		other.Network = "main"
		stale := b.payee
		stale.Valid = time.Second
		given, err := b.payee.Invoice(t.Context(), 10_000_000, "")
		b.must(err)
		nodes := b.Nodes[realm.Test]
		for name, offer := range map[string]func() (payout.Offer, error){
			"another network":  func() (payout.Offer, error) { return offered(other.Invoice(t.Context(), 10_000_000, "m")) },
			"something else":   func() (payout.Offer, error) { return offered(b.payee.Invoice(t.Context(), 10_000_000, "another")) },
			"expired":          func() (payout.Offer, error) { return offered(stale.Invoice(t.Context(), 10_000_000, "m")) },
			"no invoice":       func() (payout.Offer, error) { return payout.Offer{Invoice: "lnbcrt1x"}, nil },
			"any amount":       func() (payout.Offer, error) { return offered(b.payee.Invoice(t.Context(), 0, "m")) },
			"a millisatoshi":   func() (payout.Offer, error) { return offered(b.payee.Invoice(t.Context(), 10_000_001, "m")) },
			"not there at all": func() (payout.Offer, error) { return payout.Offer{}, fault.New(fault.Unavailable, "away") },
		} {
			nodes.Resolver = resolver(offer)
			b.Nodes[realm.Test] = nodes
			_, err := b.Service.Pay(t.Context(), p)
			b.must(err)
			if p := b.find(p); p.State != payout.Held {
				t.Errorf("%s: %s", name, p.State)
			}
		}
		nodes.Resolver = resolver(func() (payout.Offer, error) { return payout.Offer{Invoice: given}, nil })
		b.Nodes[realm.Test] = nodes
		_, err = b.Service.Pay(t.Context(), p)
		b.must(err)
		b.expect(p, "settled")
		again := b.pay(ada, b.handle(), 10_000)
		_, err = b.Service.Pay(t.Context(), again)
		b.must(err)
		b.expect(again, "held")
		b.later(11 * time.Minute)
		b.work()
		b.expect(again, "failed no_invoice")
		if b.received() != "1x 10000" {
			t.Errorf("received %s", b.received())
		}
		b.owes(ada, "0.9999 held 0")
		b.verified()
	})
}

// The service behind a Lightning Address is asked at its host, for its user, for the amount.
func TestAskOfLightningAddress(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		nodes, asked := b.Nodes[realm.Test], []payout.Ask(nil)
		nodes.Resolver = listening{nodes.Resolver, &asked}
		b.Nodes[realm.Test] = nodes
		p := b.pay(b.customer("ada"), b.handle(), 10_000)
		b.work()
		b.expect(p, "settled")
		check.Equal(t, "asked", asked, []payout.Ask{{User: "satoshi", Host: "example.com", MilliSatoshi: 10_000_000}})
	})
}

// A payout whose job was lost, or given up, is gone on with.
func TestJobLost(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		lost, dead := b.pay(ada, b.invoice(), 10_000), b.pay(ada, b.handle(), 20_000)
		b.must(b.db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			for s, p := range map[*storage.Statement]payout.Payout{loseJob: lost, buryJob: dead} {
				if n, err := tx.Exec(ctx, s, string(p.ID)); err != nil || n != 1 {
					return fmt.Errorf("changed %d jobs: %w", n, err)
				}
			}
			return nil
		}))
		b.work()
		b.expect(lost, "held")
		b.expect(dead, "held")
		b.later(10 * time.Minute)
		b.work()
		b.expect(lost, "settled")
		b.expect(dead, "settled")
		if b.received() != "2x 30000" {
			t.Errorf("received %s", b.received())
		}
	})
}

var (
	loseJob = storage.SQL("payout_test.lose_job", `DELETE FROM jobs WHERE unique_key = $1`)
	buryJob = storage.SQL("payout_test.bury_job", `UPDATE jobs SET state = 'dead' WHERE unique_key = $1`)
)

// The service behind a Lightning Address has its time from when it is asked on, however long
// payouts were stopped before, or meanwhile.
func TestAskedLate(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.must(b.Stop(t.Context(), "operator/ann", realm.Test))
		p := b.pay(b.customer("ada"), b.handle(), 10_000)
		b.later(time.Hour)
		b.expect(p, "held")
		calm := b.Nodes[realm.Test]
		away := calm
		away.Resolver = resolver(func() (payout.Offer, error) { return payout.Offer{}, fault.New(fault.Unavailable, "away") })
		b.Nodes[realm.Test] = away
		b.must(b.Resume(t.Context(), "operator/ann", realm.Test))
		b.later(15 * time.Second)
		for range 4 {
			b.later(2 * time.Minute)
			b.expect(p, "held")
		}
		b.must(b.Stop(t.Context(), "operator/ann", realm.Test))
		b.later(time.Hour)
		b.must(b.Resume(t.Context(), "operator/ann", realm.Test))
		for range 4 {
			b.later(2 * time.Minute)
			b.expect(p, "held")
		}
		b.Nodes[realm.Test] = calm
		b.later(2 * time.Minute)
		b.expect(p, "settled")
		if b.received() != "1x 10000" {
			t.Errorf("received %s", b.received())
		}
	})
}

// A second invoice of a Lightning Address is only fetched when the first one has failed for sure.
func TestSecondInvoice(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, b.handle(), 10_000)
		fetched := 0
		nodes := b.Nodes[realm.Test]
		nodes.Resolver = resolver(func() (payout.Offer, error) {
			fetched++
			return offered(b.payee.Invoice(t.Context(), 10_000_000, "m"))
		})
		nodes.Lightning = stuck{nodes.Lightning, b}
		b.Nodes[realm.Test] = nodes
		_, err := b.Service.Pay(t.Context(), p)
		b.must(err)
		first := b.find(p).Hash
		for range 3 {
			b.later(3 * time.Hour) // its invoice has long expired
		}
		if fetched != 1 || b.find(p).Hash != first {
			t.Errorf("%d invoices were fetched while the first was in flight", fetched)
		}
		b.must(b.node.Resolve(t.Context(), first, false))
		nodes.Lightning = b.node.Nodes(b.payee.Network).Lightning
		b.Nodes[realm.Test] = nodes
		b.work()
		b.later(3 * time.Minute)
		p = b.expect(p, "settled")
		if fetched != 2 || p.Hash == first || b.received() != "1x 10000" {
			t.Errorf("%d fetched, received %s", fetched, b.received())
		}
	})
}

// The fee that may be paid is bounded, and never zero.
func TestFeeLimit(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		limits := map[int64]int64{}
		nodes := b.Nodes[realm.Test]
		nodes.Lightning = noted{nodes.Lightning, limits}
		b.Nodes[realm.Test] = nodes
		for _, satoshi := range []int64{1_000, 1_001, 5_000_000} {
			b.pay(ada, b.invoice(), satoshi)
		}
		b.later(0)
		for satoshi, want := range map[int64]int64{1_000: 10_000, 1_001: 10_000, 5_000_000: 50_000_000} {
			if limits[satoshi*1000] != want {
				t.Errorf("the fee for %d is limited to %d millisatoshis, want %d", satoshi, limits[satoshi*1000], want)
			}
		}
	})
}

// A payment that cost nothing takes the money as any other.
func TestPaidWithoutAFee(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada, nodes := b.customer("ada"), b.Nodes[realm.Test]
		nodes.Lightning = free{nodes.Lightning}
		b.Nodes[realm.Test] = nodes
		p := b.pay(ada, b.invoice(), 10_000)
		b.work()
		if p = b.expect(p, "settled"); p.Fee != sat(0) {
			t.Errorf("the fee is %s", p.Fee)
		}
		b.owes(ada, "0.9999 held 0")
		b.verified()
	})
}

// free is a node whose payments cost nothing.
type free struct{ payout.Lightning }

func (f free) Pay(ctx context.Context, t payout.Transfer) (payout.Answer, error) {
	a, err := f.Lightning.Pay(ctx, t)
	a.Fee = 0
	return a, err
}

func offered(text string, err error) (payout.Offer, error) {
	return payout.Offer{Invoice: text, Metadata: "m"}, err
}

// resolver is a service behind Lightning Addresses.
type resolver func() (payout.Offer, error)

func (r resolver) Resolve(context.Context, payout.Ask) (payout.Offer, error) { return r() }

// listening is a service behind Lightning Addresses that notes what it is asked.
type listening struct {
	payout.Resolver
	asked *[]payout.Ask
}

func (l listening) Resolve(ctx context.Context, a payout.Ask) (payout.Offer, error) {
	*l.asked = append(*l.asked, a)
	return l.Resolver.Resolve(ctx, a)
}

// stuck is a node all of whose payments stay in flight.
type stuck struct {
	payout.Lightning
	b *bench
}

func (s stuck) Pay(ctx context.Context, t payout.Transfer) (payout.Answer, error) {
	s.b.set(node.Stuck, 1)
	return s.Lightning.Pay(ctx, t)
}

// interrupted is a node that counts what is sent, and lets something happen once it has said
// what became of a payment.
type interrupted struct {
	payout.Lightning
	sent    *int
	tracked func()
}

func (i interrupted) Pay(ctx context.Context, t payout.Transfer) (payout.Answer, error) {
	*i.sent++
	return i.Lightning.Pay(ctx, t)
}

func (i interrupted) Track(ctx context.Context, hash [32]byte) (payout.Answer, error) {
	answer, err := i.Lightning.Track(ctx, hash)
	i.tracked()
	return answer, err
}

// noted is a node that notes by how much the fees of its payments are bounded.
type noted struct {
	payout.Lightning
	limits map[int64]int64
}

func (n noted) Pay(ctx context.Context, t payout.Transfer) (payout.Answer, error) {
	n.limits[t.MilliSatoshi] = t.FeeLimit
	return n.Lightning.Pay(ctx, t)
}

// refusedLater goes on with a payout that the node has not heard of, and refuses to pay.
func (b *bench) refusedLater(ctx context.Context, p payout.Payout) (time.Duration, error) {
	nodes := b.Nodes[realm.Test]
	nodes.Lightning = refusing{nodes.Lightning, b}
	b.Nodes[realm.Test] = nodes
	defer func() { b.Nodes[realm.Test] = b.node.Nodes(b.payee.Network) }()
	return b.Service.Pay(ctx, b.find(p))
}

// refusing is a node that refuses each payment.
type refusing struct {
	payout.Lightning
	b *bench
}

func (r refusing) Pay(ctx context.Context, t payout.Transfer) (payout.Answer, error) {
	r.b.set(node.Refusing, 1)
	return r.Lightning.Pay(ctx, t)
}

// attempts is how often a payout was tried.
func (b *bench) attempts(p payout.Payout) int {
	b.t.Helper()
	n, err := b.countAttempts(p)
	b.must(err)
	return n
}
