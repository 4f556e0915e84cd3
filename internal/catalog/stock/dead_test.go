package stock_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// apply makes effects in a transaction of their own.
func (p *process) apply(effects []storage.Effect) error {
	return p.DB.Apply(p.t.Context(), effects)
}

// held are the codes of the order as "place state".
func (p *process) held() (all []string) {
	p.t.Helper()
	found, err := p.Holdings(p.t.Context(), buyer, sale)
	check.OK(p.t, err)
	for _, h := range found {
		all = append(all, fmt.Sprint(h.Place, " ", h.State))
	}
	return all
}

// A dead code gives its place to another one, and that to a third, or is refunded, once;
// its buyer sees who has the place.
func TestDeadCodes(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.stocked(batch, "A", "B", "C", "D", "E")
		check.OK(t, p.sell(p.pick(3, 0), sale, buyer))
		before, err := p.Holdings(t.Context(), buyer, sale)
		check.OK(t, err)
		fresh := p.pick(2, 0)
		remedy := stock.Remedy{Book: buyer, Order: sale, Key: "claim/1"}
		swap := func(dead stock.Held, fresh stock.Sealed) []storage.Effect {
			return append(stock.Take([]stock.Sealed{fresh}, remedy.Key, buyer, epoch), remedy.Replace([]stock.Swap{{Dead: dead, Fresh: fresh.ID}})...)
		}
		check.OK(t, p.apply(swap(before[1], fresh[0])))
		check.List(t, "replaced", p.held(), "1 sold", "2 replaced", "2 sold", "3 sold")
		for what, effects := range map[string][]storage.Effect{
			"the same again":        swap(before[1], fresh[0]),
			"a dead code again":     swap(before[1], fresh[1]),
			"a replaced code":       remedy.Refund([]stock.CodeID{before[1].ID}),
			"one to be replaced":    remedy.Doom([]stock.CodeID{before[1].ID}),
			"another's code":        stock.Remedy{Book: rival, Order: sale}.Refund([]stock.CodeID{before[0].ID}),
			"another order's":       stock.Remedy{Book: buyer, Order: "ord_2"}.Refund([]stock.CodeID{before[0].ID}),
			"a code that is sold":   swap(before[0], fresh[0]),
			"a code of the order":   remedy.Replace([]stock.Swap{{Dead: before[0], Fresh: before[2].ID}}),
			"one that is not dying": remedy.Revive([]stock.CodeID{before[0].ID}),
		} {
			if err := p.apply(effects); !errors.Is(err, storage.ErrStale) {
				t.Errorf("%s: %v", what, err)
			}
		}
		now, err := p.Holdings(t.Context(), buyer, sale)
		check.OK(t, err)
		check.OK(t, p.apply(remedy.Doom([]stock.CodeID{now[2].ID})))
		check.List(t, "under way", p.held(), "1 sold", "2 replaced", "2 replacing", "3 sold")
		if err := p.apply(remedy.Refund([]stock.CodeID{now[2].ID})); !errors.Is(err, storage.ErrStale) {
			t.Errorf("a code that is being replaced: %v", err)
		}
		check.OK(t, p.apply(remedy.Revive([]stock.CodeID{now[2].ID})))
		check.OK(t, p.apply(remedy.Doom([]stock.CodeID{now[2].ID})))
		if tallies, err := stock.Tallies(t.Context(), p.DB, buyer, []string{sale}); err != nil || tallies[0].Sold != 3 {
			t.Errorf("under way: %+v, %v", tallies, err)
		}
		now[2].State = stock.Replacing
		check.OK(t, p.apply(swap(now[2], fresh[1])))
		check.OK(t, p.apply(remedy.Refund([]stock.CodeID{before[0].ID})))
		check.List(t, "in the end", p.held(), "1 refunded", "2 replaced", "2 replaced", "2 sold", "3 sold")
		codes, err := p.Reveal(t.Context(), stock.Reveal{Book: buyer, Realm: realm.Test, Order: sale, Actor: "key/1"})
		check.OK(t, err)
		check.List(t, "seen", texts(codes), "A", "E", "C")
		for i, c := range codes {
			if c.Place != i+1 {
				t.Errorf("code %d has place %d", i+1, c.Place)
			}
		}
		masked, err := p.Masked(t.Context(), buyer, sale)
		check.OK(t, err)
		var came []string
		for _, m := range masked {
			came = append(came, fmt.Sprint(m.Place, " ", m.State, " of ", m.BatchName))
		}
		check.List(t, "where they came from", came, "1 refunded of first", "2 replaced of first", "2 replaced of first", "2 sold of first", "3 sold of first")
		batches, err := p.List(t.Context(), realm.Test, play)
		check.OK(t, err)
		if sold, dead := batches[0].Sold(); sold != 5 || dead != 3 {
			t.Errorf("of the batch %d were sold, %d of them dead", sold, dead)
		}
		p.count(0)
		tallies, err := stock.Tallies(t.Context(), p.DB, buyer, []string{sale, "ord_2"})
		check.OK(t, err)
		if diff := cmp.Diff([]stock.Tally{{Order: sale, Sold: 2, Replaced: 2, Refunded: 1}}, tallies); diff != "" {
			t.Error(diff)
		}
	})
}

// The first look counts since a code was sold, and sales are listed a page at a time,
// whatever became of the codes, within their period and realm.
func TestLooksAndSales(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.stocked(batch, "A", "B", "C")
		check.OK(t, p.sell(p.pick(2, 0), sale, buyer))
		look := stock.Reveal{Book: buyer, Realm: realm.Test, Order: sale, Actor: "key/1"}
		check.OK(t, p.apply(stock.Revealed(look, epoch)))
		look.Actor = "key/2"
		check.OK(t, p.apply(stock.Revealed(look, epoch.Add(time.Hour))))
		for since, want := range map[time.Duration]string{0: "key/1", time.Second: "key/2", time.Hour: "key/2", 2 * time.Hour: ""} {
			got, seen, err := p.FirstLook(t.Context(), buyer, sale, epoch.Add(since))
			if err != nil || got.Actor != want || seen != (want != "") {
				t.Errorf("since %s: %+v, %t, %v", since, got, seen, err)
			}
		}
		check.OK(t, p.clocks.SetOffset(time.Hour))
		check.OK(t, p.sell(p.pick(1, 0), "ord_2", rival))
		query := stock.SalesQuery{Realm: realm.Test, From: epoch, Until: epoch.Add(2 * time.Hour), Limit: 2}
		var got []stock.Sale
		for {
			page, err := stock.Sales(t.Context(), p.DB, query)
			check.OK(t, err)
			if len(page) == 0 {
				break
			}
			got, query.After = append(got, page...), page[len(page)-1]
		}
		want := []stock.Sale{{Book: buyer, Order: sale, At: epoch}, {Book: buyer, Order: sale, At: epoch}, {Book: rival, Order: "ord_2", At: epoch.Add(time.Hour)}}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(stock.Sale{}, "ID")); diff != "" {
			t.Error(diff)
		}
		for what, q := range map[string]stock.SalesQuery{"live": {Realm: realm.Live, From: epoch, Until: epoch.Add(2 * time.Hour), Limit: 9},
			"before": {Realm: realm.Test, From: epoch.Add(-time.Hour), Until: epoch, Limit: 9}} {
			if found, err := stock.Sales(t.Context(), p.DB, q); err != nil || len(found) != 0 {
				t.Errorf("%s: %v, %v", what, found, err)
			}
		}
		check.OK(t, p.clocks.SetOffset(3*time.Hour))
		look.Actor = "key/3"
		check.OK(t, p.Shown(t.Context(), look))
		if looks, err := p.Looks(t.Context(), buyer, sale); err != nil || len(looks) != 3 || looks[2].Actor != "key/3" {
			t.Errorf("%+v, %v", looks, err)
		}
		if got, seen, err := p.FirstLook(t.Context(), buyer, sale, epoch.Add(2*time.Hour)); err != nil || seen {
			t.Errorf("an answer that was given before shows what came since: %+v, %v", got, err)
		}
	})
}
