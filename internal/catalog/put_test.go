package catalog_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// A product keeps every version with who made it; putting what is there changes nothing.
func TestPut(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		full := catalog.Product{Code: "FULL_1.a-b", Name: "Full", Brand: "Ünïcode", Category: "All", Description: "Two\nlines", Image: "https://img.example/a.png",
			Terms: "None", Face: usd(500), FaceMax: usd(900), Cost: catalog.NewCost(450, money.EUR), Region: "eu", Countries: []string{"FR", "DE", "FR"},
			Delivery: catalog.Both, State: catalog.Hidden, Mint: "template_001", LowStock: 5}
		got, outcome, err := p.Put(t.Context(), full, ada)
		check.OK(t, err)
		want := full
		want.Countries, want.CreatedAt, want.UpdatedAt, want.Version = []string{"DE", "FR"}, epoch, epoch, got.Version
		if diff := cmp.Diff(want, got); diff != "" || outcome != catalog.Added {
			t.Errorf("%s (-put +got):\n%s", outcome, diff)
		}
		p.clock.Advance(time.Minute)
		if again, outcome, err := p.Put(t.Context(), full, ada); err != nil || outcome != catalog.Same || again.Version != got.Version {
			t.Errorf("again: %s, %v", outcome, err)
		}
		full.Name = "Fuller"
		changed, outcome, err := p.Put(t.Context(), full, "operator/eve")
		if err != nil || outcome != catalog.Changed || changed.Version <= got.Version || changed.CreatedAt != epoch || changed.UpdatedAt != epoch.Add(time.Minute) {
			t.Errorf("changed: %+v, %s, %v", changed, outcome, err)
		}
		retired, err := p.Retire(t.Context(), full.Code, ada)
		if err != nil || retired.State != catalog.Retired || retired.Sellable() {
			t.Errorf("retired: %+v, %v", retired, err)
		}
		_, err = p.Retire(t.Context(), "NONE", ada)
		check.Code(t, "retire nothing", err, fault.NotFound)
		history, err := p.History(t.Context(), full.Code)
		check.OK(t, err)
		var texts []string
		for _, v := range history {
			texts = append(texts, fmt.Sprint(v.Name, " ", v.State, " ", v.Actor, " ", v.CreatedAt.Equal(epoch)))
		}
		check.List(t, "history", texts, "Fuller retired "+ada+" true", "Fuller hidden operator/eve true", "Full hidden "+ada+" true")
		_, err = p.History(t.Context(), "NONE")
		check.Code(t, "history of nothing", err, fault.NotFound)
		check.List(t, "audit", p.audited(), ada+" catalog.put FULL_1.a-b", "operator/eve catalog.put FULL_1.a-b", ada+" catalog.retire FULL_1.a-b")
	})
}

// A product says by itself what is left out: one denomination, global, digital, active.
func TestPutFillsIn(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		got, _, err := p.Put(t.Context(), catalog.Product{Code: "A", Name: "a", Brand: "b", Face: usd(1)}, ada)
		check.OK(t, err)
		if got.FaceMax != got.Face || got.IsRange() || got.Region != "global" || got.Delivery != catalog.Digital || got.State != catalog.Active {
			t.Errorf("%+v", got)
		}
	})
}

// What cannot be a product is refused with the column to blame, and nothing is kept of it.
func TestProductBounds(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for _, c := range []struct {
			field  string
			change func(*catalog.Product)
		}{
			{"item_code", func(p *catalog.Product) { p.Code = "" }},
			{"item_code", func(p *catalog.Product) { p.Code = "a b" }},
			{"item_code", func(p *catalog.Product) { p.Code = catalog.ItemCode(strings.Repeat("a", 65)) }},
			{"name", func(p *catalog.Product) { p.Name = "" }},
			{"name", func(p *catalog.Product) { p.Name = " a" }},
			{"name", func(p *catalog.Product) { p.Name = "a\nb" }},
			{"name", func(p *catalog.Product) { p.Name = "\xff" }},
			{"brand", func(p *catalog.Product) { p.Brand = strings.Repeat("ä", 101) }},
			{"description", func(p *catalog.Product) { p.Description = "a\x00" }},
			{"image", func(p *catalog.Product) { p.Image = "http://img.example/a.png" }},
			{"image", func(p *catalog.Product) { p.Image = "javascript:alert(1)" }},
			{"currency", func(p *catalog.Product) { p.Face = catalog.Face{} }},
			{"currency", func(p *catalog.Product) { p.FaceMax = catalog.NewFace(900, money.EUR) }},
			{"value", func(p *catalog.Product) { p.Face = usd(-5) }},
			{"value", func(p *catalog.Product) { p.Face = usd(1_000_000_000_001) }},
			{"value_max", func(p *catalog.Product) { p.FaceMax = usd(499) }},
			{"cost", func(p *catalog.Product) { p.Cost = catalog.NewCost(-1, money.USD) }},
			{"region", func(p *catalog.Product) { p.Region = "EU" }},
			{"countries", func(p *catalog.Product) { p.Countries = []string{"us"} }},
			{"delivery_type", func(p *catalog.Product) { p.Delivery = "digital" }},
			{"state", func(p *catalog.Product) { p.State = "gone" }},
			{"template", func(p *catalog.Product) { p.Mint = "a/b" }},
			{"low_stock", func(p *catalog.Product) { p.LowStock = -1 }},
		} {
			product := item("GOOD", "Good", "Good", 500)
			c.change(&product)
			_, _, err := p.Put(t.Context(), product, ada)
			if f := fault.From(err); f.Code != fault.InvalidRequest || f.Field != c.field {
				t.Errorf("%s: %v", c.field, err)
			}
		}
		if got := p.found(catalog.Filter{}); got != " /0" || p.Version() != 0 {
			t.Errorf("found %q, version %d", got, p.Version())
		}
	})
}

// An item whose code could be a card's number is sold like any other; the audit log does
// not repeat it.
func TestCodeLikeANumber(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		const number = "4111111111111111"
		p.put(item(number, "Odd", "Odd", 500))
		_, err := p.Retire(t.Context(), number, ada)
		check.OK(t, err)
		check.List(t, "audit", p.audited(), ada+" catalog.put [redacted]", ada+" catalog.retire [redacted]")
	})
}

// What one process changes another knows after its next look, and a process that starts
// later knows all of it.
func TestProcessesFollow(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one, two := join(t, db), join(t, db)
		one.put(item("A", "a", "x", 1000), item("B", "b", "x", 1000))
		if got := two.found(catalog.Filter{}); got != " /0" {
			t.Errorf("before it looked: %q", got)
		}
		check.OK(t, two.Refresh(t.Context()))
		two.put(item("B", "changed", "x", 1000), item("0", "first", "x", 1000))
		_, err := two.Retire(t.Context(), "A", ada)
		check.OK(t, err)
		_, err = two.PutPrice(t.Context(), catalog.Rule{Tier: "gold", Basis: catalog.OfFace, Percent: 9000}, ada)
		check.OK(t, err)
		check.OK(t, two.SetTier(t.Context(), buyer, "gold", ada))
		check.OK(t, one.Refresh(t.Context()))
		for name, p := range map[string]*process{"one": one, "two": two, "later": join(t, db)} {
			b, err := p.Find(t.Context(), "B")
			if got := p.found(catalog.Filter{}); got != "0 B /2" || err != nil || b.Name != "changed" || p.priced(buyer, "B", epoch) != "9.00 USD" {
				t.Errorf("%s: %q, %+v, %v, %s", name, got, b, err, p.priced(buyer, "B", epoch))
			}
			if p.Version() != one.Version() {
				t.Errorf("%s: version %d, want %d", name, p.Version(), one.Version())
			}
		}
	})
}

// Many who change the catalog at once lose nothing, and whoever reads meanwhile sees whole versions.
func TestPutAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		processes := []*process{join(t, db), join(t, db)}
		var group sync.WaitGroup
		for i := range 16 {
			p := processes[i%2]
			group.Go(func() {
				_, _, err := p.Put(t.Context(), item(catalog.ItemCode(fmt.Sprintf("ITEM-%02d", i)), "n", "b", 100), ada)
				if err != nil {
					t.Error(err)
				}
				if page, err := p.Search(t.Context(), catalog.Filter{PerPage: 100}); err != nil || page.Total != len(page.Products) {
					t.Errorf("%d of %d, %v", len(page.Products), page.Total, err)
				}
			})
		}
		group.Wait()
		for _, p := range processes {
			check.OK(t, p.Refresh(t.Context()))
			if page, err := p.Search(t.Context(), catalog.Filter{PerPage: 100}); err != nil || page.Total != 16 || page.Version != 16 {
				t.Errorf("%d products at version %d, %v", page.Total, page.Version, err)
			}
		}
	})
}
