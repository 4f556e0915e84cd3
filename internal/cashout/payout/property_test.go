package payout_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/testkit"
)

// history is a random life of payouts with a node that misbehaves.
type history struct {
	*bench
	draw     *rapid.T
	book     ledger.BookID
	all      []payout.Payout
	received int64 // over Lightning, before
	// undelivered is for how long nothing that was late was delivered, at the most.
	undelivered time.Duration
}

// Whatever a node does, in whatever order, every payout ends, is paid once if it is settled
// and never if it failed, and the books have what left.
func TestHistories(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		base := setup(t, db)
		n := 0
		rapid.Check(t, func(draw *rapid.T) {
			own := *base
			own.t = draw
			n++
			own.made = n * 1000
			own.fund()
			h := &history{bench: &own, draw: draw, book: own.customer(fmt.Sprint("ada", n))}
			times, _, err := h.node.Received(draw.Context())
			h.must(err)
			h.received = times
			for range rapid.IntRange(5, 30).Draw(draw, "steps") {
				h.step()
			}
			h.calm()
			h.check()
		})
		base.verified()
	})
}

func (h *history) step() {
	ctx := h.draw.Context()
	switch rapid.SampledFrom([]string{"pay", "pay", "pay", "wait", "wait", "wait", "mine", "mine", "mood", "mood", "reorganise", "evict", "against", "resolve", "rate",
		"hours", "deliver", "stop", "cancel"}).Draw(h.draw, "do") {
	case "pay":
		kind := rapid.SampledFrom(destination.Kinds()).Draw(h.draw, "kind")
		h.all = append(h.all, h.pay(h.book, h.to(kind), rapid.Int64Range(1_000, 100_000).Draw(h.draw, "satoshi")))
	case "wait":
		h.wait(time.Duration(rapid.IntRange(0, 300).Draw(h.draw, "seconds")) * time.Second)
	case "hours":
		h.wait(3 * time.Hour)
	case "deliver":
		h.must(h.node.Deliver(ctx))
	case "mine":
		h.must(h.node.Mine(ctx, rapid.Int64Range(1, 7).Draw(h.draw, "blocks")))
	case "mood":
		h.must(h.node.Set(ctx, rapid.SampledFrom(node.Moods()).Draw(h.draw, "mood"), rapid.Int64Range(1, 12).Draw(h.draw, "calls")))
	case "reorganise":
		h.must(h.node.Reorganise(ctx, rapid.Int64Range(1, 5).Draw(h.draw, "blocks"), rapid.Bool().Draw(h.draw, "lost")))
	case "rate":
		h.must(h.node.SetRate(ctx, rapid.SampledFrom([]int64{0, 1, 5_000, 50_000, 1_000_000}).Draw(h.draw, "rate")))
	case "stop":
		if rapid.Bool().Draw(h.draw, "stopped") {
			h.must(h.Stop(ctx, "operator/ann", realm.Test))
		} else {
			h.must(h.Resume(ctx, "operator/ann", realm.Test))
		}
	default:
		if len(h.all) > 0 {
			h.disturb(rapid.SampledFrom([]string{"evict", "against", "resolve", "cancel"}).Draw(h.draw, "disturb"))
		}
	}
}

// wait has time pass. What is late is delivered before it is later than what is doubted.
func (h *history) wait(d time.Duration) {
	if h.undelivered += d; h.undelivered >= h.Policy.Lightning.Doubt {
		h.must(h.node.Deliver(h.draw.Context()))
		h.undelivered = 0
	}
	h.later(d)
}

// disturb does something to one payout, if it is where that can be done.
func (h *history) disturb(how string) {
	ctx := h.draw.Context()
	p := h.find(rapid.SampledFrom(h.all).Draw(h.draw, "payout"))
	var err error
	switch how {
	case "evict":
		err = h.node.Evict(ctx, p.TxID)
	case "against":
		if raw := h.raw(p.TxID); raw != nil {
			err = h.node.SpendAgainst(ctx, raw)
		}
	case "resolve":
		err = h.node.Resolve(ctx, p.Hash, rapid.Bool().Draw(h.draw, "success"))
	case "cancel":
		_, err = h.Cancel(ctx, payout.Cancellation{Actor: "operator/ann", Book: p.Book, Payout: p.ID})
	}
	if fault.CodeOf(err) != fault.InvalidState {
		h.must(err)
	}
}

var findRaw = storage.SQL("payout_test.find_raw", `SELECT raw FROM payout_transactions WHERE realm = 'test' AND txid = $1`)

// raw is a transaction of payouts; nil: there is none of that id.
func (b *bench) raw(txid string) []byte {
	b.t.Helper()
	raw, _, err := storage.One(b.t.Context(), b.db, storage.Scalar[[]byte], findRaw, txid)
	b.must(err)
	return raw
}

// calm has the node behave until everything is over.
func (h *history) calm() {
	ctx := h.draw.Context()
	h.must(h.node.Set(ctx, node.Calm, 0))
	h.must(h.node.SetRate(ctx, 0))
	h.must(h.Resume(ctx, "operator/ann", realm.Test))
	h.must(h.node.Deliver(ctx))
	for range 40 {
		for _, p := range h.all {
			if p = h.find(p); p.State == payout.Sending && p.Hash != "" {
				if err := h.node.Resolve(ctx, p.Hash, true); fault.CodeOf(err) != fault.InvalidState {
					h.must(err)
				}
			}
		}
		h.must(h.node.Mine(ctx, 1))
		h.later(5 * time.Minute)
		if h.isOver() {
			return
		}
	}
	for _, p := range h.all {
		h.t.Errorf("%+v", h.find(p))
	}
	h.t.Fatalf("not everything is over\n%s", h.log.text.String())
}

// isOver reports whether every payout has ended. It is asked after a while in which what the
// node did at last was noticed: a reorganisation undoes what was settled.
func (h *history) isOver() bool {
	return !slices.ContainsFunc(h.all, func(p payout.Payout) bool {
		p = h.find(p)
		return p.State != payout.Settled && p.State != payout.Failed
	})
}

// check holds payouts to what was paid, and the books to both.
func (h *history) check() {
	var settled, fees, hashes int64
	for _, p := range h.all {
		p = h.find(p)
		times := 0
		if p.State == payout.Settled {
			times = 1
			settled, fees = settled+p.Amount.Minor, fees+p.Fee.Minor
		}
		if !p.To.Kind.IsLightning() {
			if got, want := h.paid(p.To), fmt.Sprint(times, "x ", int64(times)*p.Amount.Minor); got != want {
				h.t.Errorf("%s is %s and was paid %s, want %s\n%s", p.ID, p.State, got, want, h.log.text.String())
			}
		} else if times == 1 {
			hashes++
			if p.Preimage == "" {
				h.t.Errorf("%s has no proof", p.ID)
			}
		}
		if n := h.heardOf(p); n != 1 {
			h.t.Errorf("the listener was told %d times of %s", n, p.ID)
		}
	}
	times, _, err := h.node.Received(h.draw.Context())
	h.must(err)
	if times-h.received != hashes {
		h.t.Errorf("%d payments left over Lightning, and %d payouts are settled\n%s", times-h.received, hashes, h.log.text.String())
	}
	h.owes(h.book, fmt.Sprint(sat(100_000_000-settled).Decimal(), " held 0"))
	if len(h.all) > 0 {
		left, err := h.books.FindAccount(h.draw.Context(), h.book, payout.Custody().ID)
		h.must(err)
		if left.Posted().Minor != settled+fees {
			h.t.Errorf("the books say that %s left, the payouts %s", left.Posted(), sat(settled+fees))
		}
	}
}
