package catalog_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
)

const (
	buyer    account.CustomerID = "cus_buyer"
	stranger account.CustomerID = "cus_stranger"
)

// Face values, charged amounts and costs convert into one another in no way that compiles.
func TestAmountsDoNotMix(t *testing.T) {
	types := []reflect.Type{reflect.TypeFor[catalog.Face](), reflect.TypeFor[catalog.Charged](), reflect.TypeFor[catalog.Cost]()}
	for i, from := range types {
		for j, to := range types {
			if got := from.ConvertibleTo(to) || from.AssignableTo(to); got != (i == j) {
				t.Errorf("%s becomes %s: %t", from, to, got)
			}
		}
	}
	if catalog.NewFace(500, money.USD) != (catalog.Face{Amount: money.New(500, money.USD)}) {
		t.Error("equal face values differ")
	}
}

// priced is what a customer pays for an item, or why there is no price.
func (p *process) priced(customer account.CustomerID, code catalog.ItemCode, at time.Time) string {
	p.t.Helper()
	product, err := p.Find(p.t.Context(), code)
	check.OK(p.t, err)
	charged, err := p.Price(p.t.Context(), catalog.PriceQuery{Customer: customer, Product: product, At: at})
	if err != nil {
		return string(fault.CodeOf(err))
	}
	return charged.String() + " " + charged.Currency.String()
}

// The nearest rule decides: for a customer before a tier before all, in each for an item
// before a brand before all; then the priority, then the later beginning.
func TestPriceRules(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.put(item("A", "a", "Brand", 1000), item("B", "b", "brand", 1000), item("C", "c", "other", 1000))
		check.OK(t, p.SetTier(t.Context(), buyer, "gold", ada))
		day := func(n int) time.Time { return epoch.AddDate(0, 0, n) }
		of := func(percent int64) catalog.Rule { return catalog.Rule{Basis: catalog.OfFace, Percent: percent} }
		for _, step := range []struct {
			what                 string
			rule                 func(*catalog.Rule)
			percent              int64
			a, b, c, another, at string // what the buyer pays for A, B and C, a stranger for A, and the buyer for A in a week
		}{
			{"no rule: the face value", nil, 0, "10.00", "10.00", "10.00", "10.00", "10.00"},
			{"all", func(*catalog.Rule) {}, 9900, "9.90", "9.90", "9.90", "9.90", "9.90"},
			{"a brand, in any case", func(r *catalog.Rule) { r.Brand = "BRAND" }, 9800, "9.80", "9.80", "9.90", "9.80", "9.80"},
			{"an item", func(r *catalog.Rule) { r.Item = "A" }, 9700, "9.70", "9.80", "9.90", "9.70", "9.70"},
			{"another tier", func(r *catalog.Rule) { r.Tier = "silver" }, 1000, "9.70", "9.80", "9.90", "9.70", "9.70"},
			{"the tier", func(r *catalog.Rule) { r.Tier = "gold" }, 9600, "9.60", "9.60", "9.60", "9.70", "9.60"},
			{"the tier and a brand", func(r *catalog.Rule) { r.Tier, r.Brand = "gold", "brand" }, 9500, "9.50", "9.50", "9.60", "9.70", "9.50"},
			{"the tier and an item", func(r *catalog.Rule) { r.Tier, r.Item = "gold", "A" }, 9400, "9.40", "9.50", "9.60", "9.70", "9.40"},
			{"the customer", func(r *catalog.Rule) { r.Customer = buyer }, 9300, "9.30", "9.30", "9.30", "9.70", "9.30"},
			{"the customer and a brand", func(r *catalog.Rule) { r.Customer, r.Brand = buyer, "brand" }, 9200, "9.20", "9.20", "9.30", "9.70", "9.20"},
			{"the customer and an item", func(r *catalog.Rule) { r.Customer, r.Item = buyer, "A" }, 9100, "9.10", "9.20", "9.30", "9.70", "9.10"},
			{"the same, from tomorrow", func(r *catalog.Rule) { r.Customer, r.Item, r.From = buyer, "A", day(1) }, 9000, "9.10", "9.20", "9.30", "9.70", "9.00"},
			{"the same, until now", func(r *catalog.Rule) { r.Customer, r.Item, r.Until = buyer, "A", day(0) }, 8900, "9.10", "9.20", "9.30", "9.70", "9.00"},
			{"the same, until tomorrow, before the others", func(r *catalog.Rule) { r.Customer, r.Item, r.Until, r.Priority = buyer, "A", day(1), 1 }, 8800, "8.80", "9.20", "9.30", "9.70", "9.00"},
			{"the same, from now on, before the others", func(r *catalog.Rule) { r.Customer, r.Item, r.From, r.Priority = buyer, "A", day(0), 1 }, 8700, "8.70", "9.20", "9.30", "9.70", "8.70"},
		} {
			if step.rule != nil {
				r := of(step.percent)
				step.rule(&r)
				_, err := p.PutPrice(t.Context(), r, ada)
				check.OK(t, err)
			}
			got := fmt.Sprint(p.priced(buyer, "A", day(0)), " ", p.priced(buyer, "B", day(0)), " ", p.priced(buyer, "C", day(0)), " ",
				p.priced(stranger, "A", day(0)), " ", p.priced(buyer, "A", day(7)))
			want := step.a + " USD " + step.b + " USD " + step.c + " USD " + step.another + " USD " + step.at + " USD"
			if got != want {
				t.Errorf("%s: %s, want %s", step.what, got, want)
			}
		}
		check.OK(t, p.SetTier(t.Context(), buyer, "", ada))
		for _, r := range p.Prices(t.Context()) {
			if r.Customer == buyer {
				check.OK(t, p.RemovePrice(t.Context(), r.ID, ada))
			}
		}
		if got := p.priced(buyer, "A", day(0)); got != "9.70 USD" {
			t.Errorf("without tier and rules of its own a customer pays %s", got)
		}
	})
}

// Each basis makes its amount of a denomination, rounded half up, or no price at all.
func TestPriceBases(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		fixed, ranged := item("FIXED", "f", "x", 500), item("RANGE", "r", "x", 500)
		fixed.Cost, ranged.FaceMax, ranged.Cost = catalog.NewCost(333, money.EUR), usd(5000), catalog.NewCost(400, money.USD)
		p.put(fixed, ranged, item("CENT", "c", "x", 1))
		for _, c := range []struct {
			rule  catalog.Rule
			item  catalog.ItemCode
			value int64
			want  string
		}{
			{catalog.Rule{Basis: catalog.OfFace, Percent: 9800}, "FIXED", 0, "4.90 USD"},
			{catalog.Rule{Basis: catalog.OfFace, Percent: 9890}, "FIXED", 0, "4.95 USD"},
			{catalog.Rule{Basis: catalog.OfFace, Percent: 10250}, "FIXED", 500, "5.13 USD"},
			{catalog.Rule{Basis: catalog.OfFace, Percent: 9800}, "RANGE", 0, "4.90 USD"},
			{catalog.Rule{Basis: catalog.OfFace, Percent: 9800}, "RANGE", 5000, "49.00 USD"},
			{catalog.Rule{Basis: catalog.OfFace, Percent: 9800, Item: "RANGE"}, "RANGE", 5000, "49.00 USD"},
			{catalog.Rule{Basis: catalog.OfFace, Percent: 9800}, "RANGE", 5001, "invalid_amount"},
			{catalog.Rule{Basis: catalog.OfFace, Percent: 9800}, "RANGE", 499, "invalid_amount"},
			{catalog.Rule{Basis: catalog.OfFace, Percent: 9800}, "FIXED", 501, "invalid_amount"},
			{catalog.Rule{Basis: catalog.OfFace, Percent: 4900}, "CENT", 0, "invalid_state"},
			{catalog.Rule{Basis: catalog.OfFace, Percent: 5000}, "CENT", 0, "0.01 USD"},
			{catalog.Rule{Basis: catalog.OfCost, Percent: 10500}, "FIXED", 0, "3.50 EUR"},
			{catalog.Rule{Basis: catalog.OfCost, Percent: 10500}, "RANGE", 0, "invalid_state"},
			{catalog.Rule{Basis: catalog.OfCost, Percent: 10500}, "CENT", 0, "invalid_state"},
			{catalog.Rule{Basis: catalog.Fixed, Item: "FIXED", Amount: catalog.NewCharged(123, money.GBP)}, "FIXED", 0, "1.23 GBP"},
			{catalog.Rule{Basis: catalog.Fixed, Item: "FIXED", Amount: catalog.NewCharged(10_000_000_000_00, money.GBP)}, "FIXED", 0, "10000000000.00 GBP"},
		} {
			r, err := p.PutPrice(t.Context(), c.rule, ada)
			check.OK(t, err)
			product, err := p.Find(t.Context(), c.item)
			check.OK(t, err)
			q := catalog.PriceQuery{Product: product, At: epoch}
			if c.value != 0 {
				q.Face = usd(c.value)
			}
			charged, err := p.Price(t.Context(), q)
			got := string(fault.CodeOf(err))
			if err == nil {
				got = charged.String() + " " + charged.Currency.String()
			}
			if got != c.want {
				t.Errorf("%+v of %s at %d: %s (%v), want %s", c.rule, c.item, c.value, got, err, c.want)
			}
			check.OK(t, p.RemovePrice(t.Context(), r.ID, ada))
		}
		for _, code := range []catalog.ItemCode{"FIXED", "RANGE"} {
			product, err := p.Find(t.Context(), code)
			check.OK(t, err)
			foreign := catalog.NewFace(500, money.EUR)
			_, err = p.Price(t.Context(), catalog.PriceQuery{Product: product, Face: foreign, At: epoch})
			check.Code(t, string(code)+" in another currency", err, fault.InvalidAmount)
			if product.Sells(foreign) || !product.Sells(usd(500)) {
				t.Errorf("%s sells %s %s: %t", code, foreign, foreign.Currency, product.Sells(foreign))
			}
		}
	})
}

// There are at most ten thousand rules, those that were removed among them; the last of them can
// still be changed.
func TestMostRules(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		check.OK(t, p.DB.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			_, err := tx.Exec(ctx, fillRules, 9_999)
			return err
		}))
		last, err := p.PutPrice(t.Context(), catalog.Rule{Basis: catalog.OfFace, Percent: 9800}, ada)
		check.OK(t, err)
		_, err = p.PutPrice(t.Context(), catalog.Rule{Basis: catalog.OfFace, Percent: 9800}, ada)
		check.Code(t, "one more", err, fault.QuotaExceeded)
		last.Percent = 9700
		_, err = p.PutPrice(t.Context(), last, ada)
		check.OK(t, err)
	})
}

var fillRules = storage.SQL("catalog_test.fill_rules", `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
	INSERT INTO catalog_prices (rule_id, revision, customer, tier, item_code, brand, basis, percent, currency, charged_minor, priority, state, version, actor, created_at)
	SELECT 'rule_' || i, 1, '', '', '', '', 'face', 1, '', 0, 0, 'removed', 1, 'test', 0 FROM n`)

// What cannot be a rule is refused, and so are rules that are unknown or removed.
func TestRuleBounds(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ranged := item("RANGE", "r", "x", 500)
		ranged.FaceMax = usd(5000)
		p.put(item("A", "a", "x", 500), ranged)
		good := catalog.Rule{Basis: catalog.OfFace, Percent: 9800}
		for what, c := range map[string]struct {
			change func(*catalog.Rule)
			want   fault.Code
		}{
			"no basis":           {func(r *catalog.Rule) { r.Basis = "" }, fault.InvalidRequest},
			"nothing":            {func(r *catalog.Rule) { r.Percent = 0 }, fault.InvalidRequest},
			"too much":           {func(r *catalog.Rule) { r.Percent = 100_001 }, fault.InvalidRequest},
			"percent and amount": {func(r *catalog.Rule) { r.Amount = catalog.NewCharged(1, money.USD) }, fault.InvalidRequest},
			"two whom":           {func(r *catalog.Rule) { r.Customer, r.Tier = buyer, "gold" }, fault.InvalidRequest},
			"two what":           {func(r *catalog.Rule) { r.Item, r.Brand = "A", "x" }, fault.InvalidRequest},
			"a bad tier":         {func(r *catalog.Rule) { r.Tier = "Gold" }, fault.InvalidRequest},
			"a wild customer":    {func(r *catalog.Rule) { r.Customer = "cus_\n" }, fault.InvalidRequest},
			"a wild brand":       {func(r *catalog.Rule) { r.Brand = "x\n" }, fault.InvalidRequest},
			"a high priority":    {func(r *catalog.Rule) { r.Priority = 1_000_001 }, fault.InvalidRequest},
			"a low priority":     {func(r *catalog.Rule) { r.Priority = -1_000_001 }, fault.InvalidRequest},
			"ends as it begins":  {func(r *catalog.Rule) { r.From, r.Until = epoch, epoch }, fault.InvalidRequest},
			"an unknown item":    {func(r *catalog.Rule) { r.Item = "Z" }, fault.NotFound},
			"fixed for all": {func(r *catalog.Rule) {
				r.Basis, r.Percent, r.Amount = catalog.Fixed, 0, catalog.NewCharged(1, money.USD)
			}, fault.InvalidRequest},
			"fixed for a range": {func(r *catalog.Rule) {
				r.Basis, r.Percent, r.Amount, r.Item = catalog.Fixed, 0, catalog.NewCharged(1, money.USD), "RANGE"
			}, fault.InvalidRequest},
			"fixed at nothing": {func(r *catalog.Rule) {
				r.Basis, r.Percent, r.Amount, r.Item = catalog.Fixed, 0, catalog.NewCharged(0, money.USD), "A"
			}, fault.InvalidRequest},
			"fixed at too much": {func(r *catalog.Rule) {
				r.Basis, r.Percent, r.Amount, r.Item = catalog.Fixed, 0, catalog.NewCharged(10_000_000_000_01, money.USD), "A"
			}, fault.InvalidRequest},
			"unknown": {func(r *catalog.Rule) { r.ID = "rule_none" }, fault.NotFound},
		} {
			r := good
			c.change(&r)
			_, err := p.PutPrice(t.Context(), r, ada)
			check.Code(t, what, err, c.want)
		}
		r, err := p.PutPrice(t.Context(), good, ada)
		check.OK(t, err)
		r.Percent, r.Priority = 9700, -1_000_000
		second, err := p.PutPrice(t.Context(), r, ada)
		if err != nil || second.Revision != 2 || second.ID != r.ID || p.priced("", "A", epoch) != "4.85 USD" {
			t.Errorf("changed: %+v, %v", second, err)
		}
		check.OK(t, p.RemovePrice(t.Context(), r.ID, ada))
		_, err = p.PutPrice(t.Context(), r, ada)
		check.Code(t, "a removed rule", err, fault.NotFound)
		check.Code(t, "removed twice", p.RemovePrice(t.Context(), r.ID, ada), fault.NotFound)
		check.Code(t, "a bad tier", p.SetTier(t.Context(), buyer, "a b", ada), fault.InvalidRequest)
		check.Code(t, "the tier of nobody", p.SetTier(t.Context(), "", "gold", ada), fault.InvalidRequest)
		check.List(t, "audit", p.audited(), ada+" catalog.put A", ada+" catalog.put RANGE", ada+" catalog.price "+string(r.ID),
			ada+" catalog.price "+string(r.ID), ada+" catalog.remove_price "+string(r.ID))
	})
}

// A denomination is chosen within a range, in the currency's decimals, and may only be
// repeated where it is fixed; the price of a range is a part of what was chosen.
func TestChoose(t *testing.T) {
	fixed, span := item("A", "Alpha", "Acme", 500), item("R", "Range", "Acme", 1000)
	span.FaceMax, fixed.FaceMax = usd(15000), fixed.Face
	for _, c := range []struct {
		product *catalog.Product
		value   string
		want    int64
		code    fault.Code
	}{
		{&fixed, "", 500, ""}, {&fixed, "5", 500, ""}, {&fixed, "5.00", 500, ""}, {&fixed, "5.01", 0, fault.InvalidAmount},
		{&span, "", 0, fault.InvalidRequest}, {&span, "10", 1000, ""}, {&span, "150", 15000, ""}, {&span, "25.50", 2550, ""},
		{&span, "9.99", 0, fault.InvalidAmount}, {&span, "150.01", 0, fault.InvalidAmount}, {&span, "25.505", 0, fault.InvalidAmount}, {&span, "0", 0, fault.InvalidAmount},
	} {
		var chosen *catalog.Value
		if c.value != "" {
			chosen = value(t, c.value)
		}
		face, err := c.product.Choose(chosen)
		check.Code(t, string(c.product.Code)+" "+c.value, err, c.code)
		if err == nil && face != usd(c.want) {
			t.Errorf("%s of %s is %s", c.value, c.product.Code, face)
		}
		if err != nil && fault.From(err).Field != "value" {
			t.Errorf("%s of %s blames %q", c.value, c.product.Code, fault.From(err).Field)
		}
	}
}
