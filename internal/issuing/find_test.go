package issuing_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
)

// herd makes cards in every status, with labels, uses and balances that repeat.
func (p *process) herd() []issuing.Card {
	p.t.Helper()
	ctx := context.Background()
	p.load(ann, 1_000_000)
	bins := []string{visa, "531993"}
	for i := range 24 {
		c, err := p.Issue(ctx, ann, issuing.NewCard{BIN: bins[i%2], Amount: usd(int64(100 * (1 + i%5))), Label: []string{"Ads ÄB", "ads 50%", "", "Travel_x"}[i%4]})
		check.OK(p.t, err)
		p.forward(time.Minute)
		if i%3 == 0 {
			found, err := p.Find(ctx, ann.Book, c.ID)
			check.OK(p.t, err)
			check.OK(p.t, p.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
				return tx.Apply(ctx, []storage.Effect{issuing.Used(found, epoch.Add(time.Duration(i%9)*time.Hour), usd(10))})
			}))
		}
		switch i % 6 {
		case 1:
			check.OK(p.t, p.each(ann, c.ID)["freeze"]())
		case 2:
			check.OK(p.t, p.each(ann, c.ID)["terminate"]())
		case 4:
			p.hold(ann, c.ID, 50)
			if i > 12 {
				check.OK(p.t, p.each(ann, c.ID)["terminate"]())
			}
		}
	}
	_, err := p.Preview(ctx, ann, "", nil)
	check.OK(p.t, err)
	p.card(bob, 500)
	var all []issuing.Card
	for offset := 0; ; offset += 7 {
		page, err := p.List(ctx, issuing.Filter{Holder: ann, Ascending: true, Offset: offset, Limit: 7})
		check.OK(p.t, err)
		if all = append(all, page.Cards...); len(page.Cards) == 0 {
			return all
		}
	}
}

// Whatever is asked for, the pages together are the cards that a search through all of
// them finds, in the order asked for, each once, and the total counts them.
func TestList(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		all := p.herd()
		if len(all) != 25 {
			t.Fatalf("%d cards", len(all))
		}
		for _, status := range append(issuing.Statuses(), "") {
			for _, sort := range []issuing.Sort{"", issuing.ByCreated, issuing.ByBalance, issuing.ByLastUsed} {
				for _, more := range []issuing.Filter{{}, {Ascending: true}, {BIN: "531993"}, {Label: "äb", Ascending: true}, {Label: "50%"}, {Label: "l_"}, {BIN: "1"}} {
					f := more
					f.Holder, f.Status, f.Sort, f.Limit = ann, status, sort, 4
					p.lists(f, all)
				}
			}
		}
	})
}

// lists compares the pages of a filter with a search through all cards.
func (p *process) lists(f issuing.Filter, all []issuing.Card) {
	p.t.Helper()
	var want []issuing.Card
	for _, c := range all {
		if (f.Status == "" || c.Status == f.Status) && (f.BIN == "" || c.BIN.ID == f.BIN) && strings.Contains(strings.ToLower(c.Label), f.Label) {
			want = append(want, c)
		}
	}
	closed := func(c issuing.Card) int { // the empty ones that are closed come behind the empty ones that are not
		if c.Status == issuing.Terminated && c.Held.IsZero() {
			return 0
		}
		return 1
	}
	slices.SortFunc(want, func(a, b issuing.Card) int {
		order := 0
		switch f.Sort {
		case issuing.ByBalance:
			order = cmp.Or(cmp.Compare(a.Balance.Minor, b.Balance.Minor), cmp.Compare(closed(a), closed(b)))
		case issuing.ByLastUsed:
			order = a.LastUsedAt.Compare(b.LastUsedAt)
		case issuing.ByCreated, "":
		}
		order = cmp.Or(order, cmp.Compare(a.ID, b.ID))
		if !f.Ascending {
			order = -order
		}
		return order
	})
	var got []string
	for f.Offset = 0; ; f.Offset += f.Limit {
		page, err := p.List(context.Background(), f)
		check.OK(p.t, err)
		if page.Total != len(want) {
			p.t.Errorf("%+v: the total is %d, want %d", f, page.Total, len(want))
		}
		if len(page.Cards) == 0 {
			break
		}
		got = append(got, ids(page.Cards)...)
	}
	if diff := gocmp.Diff(ids(want), got); diff != "" {
		p.t.Errorf("%+v (-want +got):\n%s", f, diff)
	}
}

func ids(cards []issuing.Card) []string {
	var all []string
	for _, c := range cards {
		all = append(all, fmt.Sprintf("%s %s %s %s", c.ID, c.Status, c.Balance, c.Held))
	}
	return all
}

// Whoever lists cards after the last one that they have seen finds all of a status, each
// once, though those before it leave it meanwhile.
func TestListAfter(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		want, all := 0, p.herd()
		for _, c := range all {
			if c.Status == issuing.Active {
				want++
			}
		}
		seen := 0
		for f := (issuing.Filter{Holder: ann, Status: issuing.Active, Ascending: true, Limit: 2}); ; {
			page, err := p.List(t.Context(), f)
			check.OK(t, err)
			if len(page.Cards) == 0 {
				break
			}
			for _, c := range page.Cards {
				check.OK(t, p.each(ann, c.ID)["freeze"]())
				f.After = c.ID
				seen++
			}
		}
		check.Equal(t, "active cards that were seen, and frozen", seen, want)
		for name, f := range map[string]issuing.Filter{"descending": {}, "by use": {Sort: issuing.ByLastUsed, Ascending: true}, "offset": {Ascending: true, Offset: 1}} {
			f.Holder, f.After = ann, all[0].ID
			_, err := p.List(t.Context(), f)
			check.Code(t, name, err, fault.InvalidRequest)
		}
		_, err := p.List(t.Context(), issuing.Filter{Holder: ann, Ascending: true, After: "card_1"})
		check.Code(t, "no card's id", err, fault.InvalidCursor)
	})
}

// Balances are sorted by the numbers that they show, in whatever currencies.
func TestListMixedCurrencies(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		want := []issuing.CardID{p.card(ann, 1000), p.card(ann, 100_000)}
		b := travel()
		b.Currency, b.MaxTransaction, b.MaxMonthly = money.JPY, yen(100_000), yen(100_000)
		_, err := p.PutBIN(ctx, issuing.BINChange{BIN: b, Actor: "op/1"})
		check.OK(t, err)
		_, err = p.Cardholders.PutTier(ctx, cardholder.TierChange{Tier: cardholder.Tier{Name: cardholder.Anonymous, Currency: money.JPY}, Actor: "op/1"})
		check.OK(t, err)
		_, err = p.wallets.Load(ctx, wallet.Load{Book: ann.Book, Realm: ann.Realm, Amount: yen(900), Reference: "yen", Actor: "op/1"})
		check.OK(t, err)
		card, err := p.Issue(ctx, ann, issuing.NewCard{BIN: b.ID, Amount: yen(900)})
		check.OK(t, err)
		want = slices.Insert(want, 1, card.ID) // 10.00, 900, 1000.00
		for _, up := range []bool{true, false} {
			page, err := p.List(ctx, issuing.Filter{Holder: ann, Sort: issuing.ByBalance, Ascending: up})
			check.OK(t, err)
			var got []issuing.CardID
			for _, c := range page.Cards {
				got = append(got, c.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("ascending %v: %v, want %v", up, got, want)
			}
			slices.Reverse(want)
		}
	})
}

func yen(n int64) money.Amount { return money.New(n, money.JPY) }

// Filters outside their bounds are refused.
func TestListBounds(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for name, f := range map[string]issuing.Filter{"sort": {Sort: "label"}, "limit": {Limit: 102}, "negative limit": {Limit: -1}, "offset": {Offset: -1},
			"far": {Offset: 1_000_001}, "status": {Status: "lost"}, "label": {Label: strings.Repeat("x", 300)}, "bytes": {Label: "\x00"}, "bin": {BIN: "\xff"}} {
			f.Holder = ann
			_, err := p.List(t.Context(), f)
			check.Code(t, name, err, fault.InvalidRequest)
		}
		page, err := p.List(t.Context(), issuing.Filter{Holder: ann, Sort: issuing.ByBalance, Offset: 50})
		if err != nil || page.Total != 0 || page.Cards == nil {
			t.Errorf("%+v, %v", page, err)
		}
	})
}

// The totals are the sums of what lists show.
func TestTotals(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		var want issuing.Totals
		want.Balance, want.Owed = usd(0), usd(0)
		for _, c := range p.herd() {
			if c.Status == issuing.Active {
				want.Active++
			}
			want.Balance.Minor += c.Balance.Minor
		}
		got, err := p.Totals(t.Context(), ann, money.USD)
		if err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		none, err := p.Totals(t.Context(), street, money.USD)
		if err != nil || none != (issuing.Totals{Balance: usd(0), Owed: usd(0)}) {
			t.Errorf("%+v, %v", none, err)
		}
	})
}
