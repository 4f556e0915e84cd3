package catalog_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// shelf is a small catalog that differs in every field.
func shelf() []catalog.Product {
	play := item("GOOGLE-5USD-KOXx", "Google Play 5 USD", "Google Play", 500)
	play.Countries, play.Region = []string{"US"}, "us"
	play25 := item("GOOGLE-25EUR", "Google Play 25 EUR", "Google Play", 0)
	play25.Face, play25.Region, play25.Countries = catalog.NewFace(2500, money.EUR), "eu", []string{"DE", "FR"}
	book := item("books-any", "Book voucher", "Corner Books", 1000)
	book.FaceMax, book.Category, book.Delivery = usd(10000), "Books", catalog.Both
	mug := item("MUG.1", "Mug with a card inside", "corner books", 1500)
	mug.Category, mug.Delivery = "Books", catalog.Physical
	yen := item("ARCADE-1000JPY", "Arcade hall 1000", "Arcade", 0)
	yen.Face = catalog.NewFace(1000, money.JPY)
	hidden := item("HIDDEN-1", "Google secret", "Google Play", 100)
	hidden.State = catalog.Hidden
	retired := item("OLD-1", "Google old", "Google Play", 100)
	retired.State = catalog.Retired
	return []catalog.Product{play, play25, book, mug, yen, hidden, retired}
}

// Every filter finds what it says and no more; hidden and retired items are in no list, and found by code.
func TestFilters(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.put(shelf()...)
		const all = "ARCADE-1000JPY GOOGLE-25EUR GOOGLE-5USD-KOXx MUG.1 books-any /5"
		for _, c := range []struct {
			f    catalog.Filter
			want string
		}{
			{catalog.Filter{}, all},
			{catalog.Filter{Query: "  "}, all},
			{catalog.Filter{Item: "GOOGLE-5USD-KOXx"}, "GOOGLE-5USD-KOXx /1"},
			{catalog.Filter{Item: "google-5usd-koxx"}, " /0"},
			{catalog.Filter{Item: "HIDDEN-1"}, " /0"},
			{catalog.Filter{Item: "GOOGLE-5USD-KOXx", Currency: money.EUR}, " /0"},
			{catalog.Filter{Brand: "google play"}, "GOOGLE-25EUR GOOGLE-5USD-KOXx /2"},
			{catalog.Filter{Brand: "CORNER BOOKS"}, "MUG.1 books-any /2"},
			{catalog.Filter{Brand: "google"}, " /0"},
			{catalog.Filter{Category: "books"}, "MUG.1 books-any /2"},
			{catalog.Filter{Query: "google"}, "GOOGLE-25EUR GOOGLE-5USD-KOXx /2"},
			{catalog.Filter{Query: "PLAY goo"}, "GOOGLE-25EUR GOOGLE-5USD-KOXx /2"},
			{catalog.Filter{Query: "koxx"}, "GOOGLE-5USD-KOXx /1"},
			{catalog.Filter{Query: "GOOGLE-5USD-KO"}, "GOOGLE-5USD-KOXx /1"},
			{catalog.Filter{Query: "oogle"}, " /0"},
			{catalog.Filter{Query: "google voucher"}, " /0"},
			{catalog.Filter{Query: "c"}, "MUG.1 books-any /2"},
			{catalog.Filter{Query: "--"}, " /0"},
			{catalog.Filter{Query: "--", Brand: "Arcade"}, " /0"},
			{catalog.Filter{Region: "EU"}, "GOOGLE-25EUR /1"},
			{catalog.Filter{Region: "global"}, "ARCADE-1000JPY MUG.1 books-any /3"},
			{catalog.Filter{Currency: money.JPY}, "ARCADE-1000JPY /1"},
			{catalog.Filter{Delivery: catalog.Digital}, "ARCADE-1000JPY GOOGLE-25EUR GOOGLE-5USD-KOXx books-any /4"},
			{catalog.Filter{Delivery: catalog.Physical}, "MUG.1 books-any /2"},
			{catalog.Filter{Delivery: catalog.Both}, "books-any /1"},
			{catalog.Filter{Country: "de"}, "ARCADE-1000JPY GOOGLE-25EUR MUG.1 books-any /4"},
			{catalog.Filter{Country: "BR"}, "ARCADE-1000JPY MUG.1 books-any /3"},
			{catalog.Filter{ValueMin: value(t, "15")}, "ARCADE-1000JPY GOOGLE-25EUR MUG.1 books-any /4"},
			{catalog.Filter{ValueMax: value(t, "10")}, "GOOGLE-5USD-KOXx books-any /2"},
			{catalog.Filter{ValueMin: value(t, "5.00"), ValueMax: value(t, "5")}, "GOOGLE-5USD-KOXx /1"},
			{catalog.Filter{ValueMin: value(t, "5.01"), ValueMax: value(t, "9.99")}, " /0"},
			{catalog.Filter{ValueMin: value(t, "99.5"), ValueMax: value(t, "92233720368.54775807")}, "ARCADE-1000JPY books-any /2"},
			{catalog.Filter{ValueMin: value(t, "50"), ValueMax: value(t, "20")}, " /0"},
			{catalog.Filter{Sort: catalog.ByBrand}, "ARCADE-1000JPY MUG.1 books-any GOOGLE-25EUR GOOGLE-5USD-KOXx /5"},
			{catalog.Filter{Sort: catalog.ByBrand, Descending: true}, "GOOGLE-5USD-KOXx GOOGLE-25EUR books-any MUG.1 ARCADE-1000JPY /5"},
			{catalog.Filter{Sort: catalog.ByValue}, "GOOGLE-5USD-KOXx books-any MUG.1 GOOGLE-25EUR ARCADE-1000JPY /5"},
			{catalog.Filter{Sort: catalog.ByCategory, Country: "US"}, "MUG.1 books-any ARCADE-1000JPY GOOGLE-5USD-KOXx /4"},
			{catalog.Filter{Descending: true, PerPage: 2}, "books-any MUG.1 /5"},
			{catalog.Filter{Sort: catalog.ByValue, PerPage: 2, Page: 2}, "MUG.1 GOOGLE-25EUR /5"},
			{catalog.Filter{Sort: catalog.ByValue, PerPage: 2, Page: 3}, "ARCADE-1000JPY /5"},
			{catalog.Filter{Query: "google", PerPage: 1, Page: 2}, "GOOGLE-5USD-KOXx /2"},
			{catalog.Filter{Page: 1 << 30, PerPage: 100}, " /5"},
		} {
			if got := p.found(c.f); got != c.want {
				t.Errorf("%+v: %q, want %q", c.f, got, c.want)
			}
		}
		for _, code := range []catalog.ItemCode{"HIDDEN-1", "OLD-1"} {
			found, err := p.Find(t.Context(), code)
			if err != nil || found.Sellable() != (code == "HIDDEN-1") {
				t.Errorf("find %s: %+v, %v", code, found, err)
			}
		}
		_, err := p.Find(t.Context(), "google-5usd-koxx")
		check.Code(t, "another case", err, fault.NotFound)
	})
}

// What changed since a time is found from that instant on.
func TestUpdatedSince(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.put(item("A", "a", "x", 100), item("B", "b", "x", 100))
		p.clock.Advance(time.Hour)
		p.put(item("A", "a", "x", 100), item("B", "new name", "x", 100))
		for at, want := range map[time.Time]string{epoch: "A B /2", epoch.Add(1): "B /1", epoch.Add(time.Hour): "B /1", epoch.Add(2 * time.Hour): " /0"} {
			if got := p.found(catalog.Filter{UpdatedSince: at}); got != want {
				t.Errorf("since %s: %q, want %q", at, got, want)
			}
		}
	})
}

// A filter outside its bounds is refused and says which part of it is.
func TestFilterBounds(t *testing.T) {
	p := emptyCatalog()
	for field, f := range map[string]catalog.Filter{
		"per_page": {PerPage: 101}, "page": {Page: 1<<30 + 1}, "q": {Query: strings.Repeat("ä", 256)},
		"sort_by": {Sort: "price"}, "delivery_type": {Delivery: "digital"},
	} {
		_, err := p.Search(t.Context(), f)
		if got := fault.From(err); got.Code != fault.InvalidRequest || got.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	page, err := p.Search(t.Context(), catalog.Filter{Query: strings.Repeat("ä", 255)})
	if err != nil || page.Page != 1 || page.PerPage != 10 || page.LastPage() != 1 {
		t.Errorf("an empty catalog: %+v, %v", page, err)
	}
	for _, bad := range []string{"", "-1", "1e3", "0.123456789", "x", "99999999999999"} {
		if v, err := catalog.ParseValue(bad); err == nil {
			t.Errorf("value %q is %d", bad, v)
		}
	}
}

// emptyCatalog needs no database: it was never read.
func emptyCatalog() *catalog.Service { return catalog.New(catalog.Deps{}) }

// The pages of any search, put together, are what looking at every product finds, in order
// and each once, and the total is their number.
func TestPagesAreWhatIsThere(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		products := crowd(300)
		text := strings.Builder{}
		text.WriteString(strings.Join(catalog.Columns(), ",") + "\n")
		for i := range products {
			text.WriteString(strings.Join(products[i].ExportRow(), ",") + "\n")
		}
		_, err := p.Import(t.Context(), strings.NewReader(text.String()), catalog.ImportOptions{Format: catalog.CSV, Actor: ada})
		check.OK(t, err)
		rapid.Check(t, func(r *rapid.T) {
			f := catalog.Filter{
				Brand:   rapid.SampledFrom([]string{"", "", "brand 1", "BRAND 2", "brand 99"}).Draw(r, "brand"),
				Query:   rapid.SampledFrom([]string{"", "", "card", "gift 1", "it", "item-2", "z"}).Draw(r, "query"),
				Country: rapid.SampledFrom([]string{"", "US", "DE", "BR"}).Draw(r, "country"),
				Sort:    rapid.SampledFrom([]catalog.Sort{"", catalog.ByBrand, catalog.ByCategory, catalog.ByValue}).Draw(r, "sort"),
				PerPage: rapid.IntRange(1, 40).Draw(r, "per page"), Descending: rapid.Bool().Draw(r, "descending"),
			}
			if rapid.Bool().Draw(r, "bounded") {
				f.ValueMin, f.ValueMax = value(t, "5"), value(t, "40")
			}
			if diff := cmp.Diff(wanted(products, f), p.pages(f)); diff != "" {
				r.Errorf("%+v (-looked at +searched):\n%s", f, diff)
			}
		})
	})
}

// pages returns the codes of all pages of a search.
func (p *process) pages(f catalog.Filter) (codes []string) {
	p.t.Helper()
	for f.Page = 1; ; f.Page++ {
		page, err := p.Search(context.Background(), f)
		check.OK(p.t, err)
		for _, product := range page.Products {
			codes = append(codes, string(product.Code))
		}
		if f.Page >= page.LastPage() {
			if len(codes) != page.Total {
				p.t.Errorf("%+v: %d on pages, %d in total", f, len(codes), page.Total)
			}
			return codes
		}
	}
}

// wanted is what a filter of TestPagesAreWhatIsThere should find.
func wanted(products []catalog.Product, f catalog.Filter) (codes []string) {
	var left []catalog.Product
	for _, p := range products {
		ok := p.State == catalog.Active && (f.Brand == "" || strings.EqualFold(f.Brand, p.Brand)) &&
			(f.Country == "" || len(p.Countries) == 0 || slices.Contains(p.Countries, f.Country)) &&
			(f.ValueMin == nil || p.FaceMax.Minor >= 500 && p.Face.Minor <= 4000)
		for _, word := range strings.Fields(strings.ReplaceAll(f.Query, "-", " ")) {
			text := " " + strings.ToLower(strings.ReplaceAll(p.Name+" "+p.Brand+" "+string(p.Code), "-", " "))
			ok = ok && strings.Contains(text, " "+word)
		}
		if ok {
			left = append(left, p)
		}
	}
	slices.SortFunc(left, func(a, b catalog.Product) int {
		by := 0
		switch f.Sort {
		case catalog.ByBrand:
			by = strings.Compare(strings.ToLower(a.Brand), strings.ToLower(b.Brand))
		case catalog.ByCategory:
			by = strings.Compare(strings.ToLower(a.Category), strings.ToLower(b.Category))
		case catalog.ByValue:
			by = int(a.Face.Minor - b.Face.Minor)
		case catalog.ByCode:
		}
		if by == 0 {
			by = strings.Compare(string(a.Code), string(b.Code))
		}
		return by
	})
	if f.Descending {
		slices.Reverse(left)
	}
	for _, p := range left {
		codes = append(codes, string(p.Code))
	}
	return codes
}

// crowd is n products that are alike in many ways.
func crowd(n int) []catalog.Product {
	products := make([]catalog.Product, n)
	for i := range products {
		p := item(catalog.ItemCode(fmt.Sprintf("ITEM-%06d", i*7919%n)), fmt.Sprintf("Gift Card %d", i%50), fmt.Sprintf("Brand %d", i%40), int64(i%60+1)*100)
		p.FaceMax, p.Region, p.Delivery, p.State = p.Face, "global", catalog.Digital, catalog.Active
		p.Category = fmt.Sprintf("Category %d", i%9)
		switch i % 5 {
		case 0:
			p.Countries = []string{"DE", "US"}
		case 1:
			p.Countries = []string{"US"}
		case 2:
			p.FaceMax = usd(p.Face.Minor * 2)
		}
		if i%11 == 0 {
			p.State = catalog.Hidden
		}
		products[i] = p
	}
	return products
}

// The operator's list finds what Search finds, and hidden and retired products too, some at
// a time.
func TestListFindsWhatSearchFinds(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.put(shelf()...)
		p.clock.Advance(time.Hour)
		p.put(item("LATE", "Google late", "Corner Books", 700))
		listed := func(l catalog.Listed) string {
			var codes []string
			for l.Limit = 2; ; {
				found, err := p.List(t.Context(), l)
				check.OK(t, err)
				for _, product := range found {
					codes = append(codes, string(product.Code))
					l.After = product.Code
				}
				if len(found) < l.Limit {
					return fmt.Sprintf("%s /%d", strings.Join(codes, " "), len(codes))
				}
			}
		}
		for _, f := range []catalog.Filter{{}, {Query: "google"}, {Query: "PLAY goo"}, {Query: "koxx"}, {Query: "-"}, {Query: "card mu"}, {Brand: "CORNER BOOKS"}, {Category: "books"},
			{Region: "EU"}, {Currency: money.EUR}, {Country: "de"}, {Country: "US"}, {Delivery: catalog.Digital}, {Delivery: catalog.Both}, {Item: "MUG.1"},
			{ValueMin: value(t, "20")}, {ValueMax: value(t, "10")}, {ValueMin: value(t, "5"), ValueMax: value(t, "15")}, {ValueMin: value(t, "15"), ValueMax: value(t, "5")},
			{UpdatedSince: epoch.Add(time.Minute)}, {Query: "google", Brand: "google play", ValueMax: value(t, "5")}} {
			if got, want := listed(catalog.Listed{Filter: f, State: catalog.Active}), p.found(f); got != want {
				t.Errorf("%+v: %q, want %q", f, got, want)
			}
		}
		for state, want := range map[catalog.State]string{catalog.Hidden: "HIDDEN-1 /1", catalog.Retired: "OLD-1 /1", "": "GOOGLE-25EUR GOOGLE-5USD-KOXx HIDDEN-1 LATE OLD-1 /5"} {
			if got := listed(catalog.Listed{Filter: catalog.Filter{Query: "google"}, State: state}); got != want {
				t.Errorf("%q: %q, want %q", state, got, want)
			}
		}
		_, err := p.List(t.Context(), catalog.Listed{State: "gone", Limit: 1})
		check.Code(t, "a state that there is not", err, fault.InvalidRequest)
		_, err = p.List(t.Context(), catalog.Listed{Filter: catalog.Filter{Delivery: "post"}, Limit: 1})
		check.Code(t, "a filter outside its bounds", err, fault.InvalidRequest)
	})
}

// A product is hidden, sold again and retired, each time as a version of its own.
func TestSetState(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.put(item("A", "Alpha", "Acme", 500))
		for _, to := range []catalog.State{catalog.Hidden, catalog.Active, catalog.Retired} {
			changed, err := p.SetState(t.Context(), "A", to, ada)
			check.OK(t, err)
			if want := map[bool]string{true: "A /1", false: " /0"}[to == catalog.Active]; changed.State != to || p.found(catalog.Filter{}) != want {
				t.Errorf("%s: %s, found %q", to, changed.State, p.found(catalog.Filter{}))
			}
		}
		versions, err := p.History(t.Context(), "A")
		if err != nil || len(versions) != 4 {
			t.Errorf("%d versions, %v", len(versions), err)
		}
		check.List(t, "audit", p.audited(), ada+" catalog.put A", ada+" catalog.state A", ada+" catalog.state A", ada+" catalog.retire A")
		_, err = p.SetState(t.Context(), "A", "gone", ada)
		check.Code(t, "a state that there is not", err, fault.InvalidRequest)
		_, err = p.SetState(t.Context(), "B", catalog.Hidden, ada)
		check.Code(t, "a product that there is not", err, fault.NotFound)
	})
}
