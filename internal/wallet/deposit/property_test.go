package deposit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/chain"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// history is a random life of two wallets on all chains.
type history struct {
	*bench
	draw    *rapid.T
	wallets []address.Wallet
	sent    []deposit.Payment
	spent   map[address.Wallet]int64
}

// Whatever chains do, in whatever order, credited is value less fee for every deposit, the
// wallet's sums are those of its deposits, and what was credited is what chains still show.
func TestHistories(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		base := setup(t, db)
		n := 0
		rapid.Check(t, func(draw *rapid.T) {
			own := *base
			own.t = draw
			n++
			h := &history{bench: &own, draw: draw, spent: map[address.Wallet]int64{}}
			for _, name := range []string{"ada", "bob"} {
				h.wallets = append(h.wallets, h.customer(fmt.Sprint(name, n)))
			}
			for range rapid.IntRange(5, 40).Draw(draw, "steps") {
				h.step()
			}
			h.settle()
			for _, w := range h.wallets {
				h.check(w)
			}
		})
		base.verified()
	})
}

func (h *history) step() {
	w := rapid.SampledFrom(h.wallets).Draw(h.draw, "wallet")
	a := rapid.SampledFrom(asset.All()).Draw(h.draw, "asset")
	c := h.chains[a.Chain()]
	ctx := h.draw.Context()
	switch rapid.SampledFrom([]string{"pay", "pay", "mine", "mine", "scan", "scan", "replace", "drop", "return", "reorganise", "stall", "market", "later", "spend"}).Draw(h.draw, "do") {
	case "pay":
		units := rapid.Uint64Range(1, 40).Draw(h.draw, "quarters") // of the minimum
		least := h.Minimum(a).Big()
		amount, err := asset.FromBig(least.Mul(least, asset.New(units, a).Big()).Rsh(least, 2), a)
		check.OK(h.t, err)
		p, err := c.Pay(ctx, chain.Sent{Address: h.at(w, a.Chain()), Amount: amount, Confirmations: rapid.Int64Range(0, 3).Draw(h.draw, "blocks")})
		check.OK(h.t, err)
		h.sent = append(h.sent, p)
	case "mine":
		check.OK(h.t, c.Mine(ctx, h.at(w, a.Chain()), rapid.Int64Range(1, 40).Draw(h.draw, "blocks")))
	case "scan":
		err := h.Scan(ctx, w.Realm)
		if err != nil && fault.CodeOf(err) != fault.Unavailable {
			check.OK(h.t, err)
		}
	case "reorganise":
		check.OK(h.t, c.Reorganise(ctx, h.at(w, a.Chain()), rapid.Int64Range(1, 40).Draw(h.draw, "blocks"), rapid.Bool().Draw(h.draw, "lost")))
	case "stall":
		check.OK(h.t, c.Stall(ctx, rapid.Bool().Draw(h.draw, "stalled")))
	case "market":
		h.market.set(a.Symbol(), rapid.SampledFrom([]string{"", "100", "150.5", "65850"}).Draw(h.draw, "price"))
	case "later":
		h.clock.Advance(time.Duration(rapid.IntRange(1, 300).Draw(h.draw, "minutes")) * time.Minute)
	case "spend":
		cents := rapid.Int64Range(1, 50_000).Draw(h.draw, "cents")
		err := h.spend(w, cents)
		if err == nil {
			h.spent[w] += cents
		} else if code := fault.CodeOf(err); code != fault.InsufficientFunds && code != fault.NotFound {
			check.OK(h.t, err)
		}
	case "replace", "drop", "return":
		h.disturb(w, a)
	}
}

// disturb does something to a payment that was sent, if it can be done to it.
func (h *history) disturb(w address.Wallet, a asset.Asset) {
	if len(h.sent) == 0 {
		return
	}
	p := rapid.SampledFrom(h.sent).Draw(h.draw, "payment")
	c, ctx := h.chains[p.Chain], h.draw.Context()
	var err error
	switch rapid.SampledFrom([]string{"replace", "drop", "return"}).Draw(h.draw, "how") {
	case "replace":
		if a.Chain() != p.Chain {
			return
		}
		var by deposit.Payment
		by, err = c.Replace(ctx, p, chain.Sent{Address: h.at(w, a.Chain()), Amount: h.Minimum(a)})
		if err == nil {
			h.sent = append(h.sent, by)
		}
	case "drop":
		err = c.Drop(ctx, p)
	case "return":
		err = c.Return(ctx, p)
	}
	if err != nil && fault.CodeOf(err) != fault.InvalidState {
		check.OK(h.t, err)
	}
}

// settle has everything answer again, and looks.
func (h *history) settle() {
	for _, c := range h.chains {
		check.OK(h.t, c.Stall(h.draw.Context(), false))
	}
	for _, a := range asset.All() {
		h.market.set(a.Symbol(), "123.45")
	}
	h.scan()
}

// check holds a wallet against its deposits, and those against the chains.
func (h *history) check(w address.Wallet) {
	found, err := h.List(h.draw.Context(), deposit.Filter{Book: w.Book, Limit: deposit.MaxLimit})
	check.OK(h.t, err)
	var credited, value, fee, pending int64
	confirmed := 0
	byPayment := map[deposit.Payment]deposit.Deposit{}
	for _, d := range found.Deposits {
		byPayment[d.Payment] = d
		if d.Credited.Minor != d.Value.Minor-d.Fee.Minor {
			h.draw.Errorf("deposit %s: %s - %s is not %s", d.ID, d.Value, d.Fee, d.Credited)
		}
		if want, err := d.Value.BasisPoints(200, money.HalfUp); err != nil || d.Fee != want {
			h.draw.Errorf("deposit %s: the fee of %s is %s, want %s", d.ID, d.Value, d.Fee, want)
		}
		switch d.Status {
		case deposit.Confirmed:
			confirmed++
			credited, value, fee = credited+d.Credited.Minor, value+d.Value.Minor, fee+d.Fee.Minor
		case deposit.Pending:
			pending += d.Value.Minor
		case deposit.Expired:
			if !d.Value.IsZero() {
				h.draw.Errorf("deposit %s is over and worth %s", d.ID, d.Value)
			}
		}
	}
	t, err := h.Totals(h.draw.Context(), w.Book)
	check.OK(h.t, err)
	if t.Deposited.Minor != credited || t.Pending.Minor != pending || t.Spent.Minor != h.spent[w] || t.Balance.Minor != credited-h.spent[w] {
		h.draw.Errorf("totals %+v; deposits credited %d and have %d pending, %d was spent", t, credited, pending, h.spent[w])
	}
	h.checkBooks(w, value, fee)
	h.checkChains(w, byPayment)
	events := strings.Join(h.events(w), "\n")
	if made, undone := strings.Count(events, "deposit.confirmed "), strings.Count(events, "deposit.reversed "); len(h.events(w)) < 100 && made-undone != confirmed {
		h.draw.Errorf("%d credits and %d reversals were told of; %d are confirmed", made, undone, confirmed)
	}
}

// checkBooks holds the contra accounts against the sums of confirmed deposits.
func (h *history) checkBooks(w address.Wallet, value, fee int64) {
	accounts, err := h.Books.ListAccounts(h.draw.Context(), w.Book, "wallet.", "", 100)
	check.OK(h.t, err)
	var custody, kept int64
	for _, a := range accounts {
		if strings.HasPrefix(string(a.ID), "wallet.deposits/") {
			custody += a.Posted().Minor
		}
		if a.ID == "wallet.fees/USD" {
			kept = a.Posted().Minor
		}
	}
	if custody != value || kept != fee {
		h.draw.Errorf("custody %d and fees %d, want %d and %d", custody, kept, value, fee)
	}
}

// checkChains holds every payment to a wallet against what became of it.
func (h *history) checkChains(w address.Wallet, byPayment map[deposit.Payment]deposit.Deposit) {
	for name, c := range h.chains {
		payments, err := c.Payments(h.draw.Context(), h.at(w, name))
		check.OK(h.t, err)
		for _, p := range payments {
			d, known := byPayment[p.Payment]
			delete(byPayment, p.Payment)
			tiny := p.Amount.Less(h.Minimum(p.Amount.Asset))
			var legal bool
			switch {
			case p.Gone:
				legal = !known || d.Status == deposit.Expired
			case !known:
			case tiny:
				legal = d.Reason == deposit.BelowMinimum && d.Status != deposit.Confirmed
			case p.Confirmations == 0:
				legal = d.Status == deposit.Pending
			case p.Confirmations < d.Required: // it may have been credited in other blocks
				legal = d.Status == deposit.Pending || d.Status == deposit.Confirmed
			default:
				legal = d.Status == deposit.Confirmed
			}
			if !legal {
				h.draw.Errorf("payment %+v is the deposit %+v", p, d)
			}
		}
	}
	for p, d := range byPayment {
		h.draw.Errorf("deposit %+v has no payment %+v", d, p)
	}
}
