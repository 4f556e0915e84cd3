package catalog

import (
	"context"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// Sort is an order of products.
type Sort string

// The orders. Equal ones are by item code; descending is the reverse of the whole.
const (
	ByCode     Sort = "code"
	ByBrand    Sort = "brand"
	ByValue    Sort = "value" // by the number, whatever the currency; a range by its least
	ByCategory Sort = "category"
)

// Bounds of a page.
const (
	DefaultPerPage = 10
	MaxPerPage     = 100
	MaxQuery       = 255 // characters
	maxPage        = 1 << 30
)

// Filter says which products to list. What is empty does not restrict.
type Filter struct {
	Item ItemCode
	// Brand, Category, Region and Country are equal but for case.
	Brand, Category, Region string
	// Query is words; each must begin a word of the name, the brand or the item code.
	Query    string
	Currency money.Currency
	// Delivery Physical and Digital find Both, too.
	Delivery Delivery
	// Country finds what is redeemed anywhere, too.
	Country string
	// ValueMin and ValueMax bound the face value, both included; a range is found when it
	// meets them.
	ValueMin, ValueMax *Value
	// UpdatedSince finds what changed at that time or later.
	UpdatedSince time.Time
	Sort         Sort // ByCode when empty
	Descending   bool
	// Page counts from 1; 0 is the first.
	Page int
	// PerPage is DefaultPerPage when 0.
	PerPage int
}

// Page is some of the products that a filter finds.
type Page struct {
	Products []Product
	// Total is how many there are on all pages.
	Total   int
	Page    int
	PerPage int
	// Version is the catalog's; it rises with every change.
	Version int64
}

// LastPage returns the number of the last page, at least 1.
func (p *Page) LastPage() int { return max(1, (p.Total+p.PerPage-1)/p.PerPage) }

// Find returns a product in any state, or not_found.
func (s *Service) Find(_ context.Context, code ItemCode) (Product, error) {
	p := s.view.Load().find(code)
	if p == nil {
		return Product{}, unknownItem()
	}
	return p.clone(), nil
}

func unknownItem() error { return fault.New(fault.NotFound, "no such item") }

// Search returns a page of the active products. A page after the last one is empty. It
// returns invalid_request for a filter outside its bounds.
func (s *Service) Search(_ context.Context, f Filter) (Page, error) {
	if err := f.check(); err != nil {
		return Page{}, err
	}
	v := s.view.Load()
	found := v.index.search(&f)
	page := Page{Page: f.Page, PerPage: f.PerPage, Version: v.version, Total: len(v.index.products)}
	if found != nil {
		page.Total = found.count()
	}
	for _, p := range v.index.page(found, &f, page.Total) {
		page.Products = append(page.Products, p.clone())
	}
	return page, nil
}

// Listed says which products to list to the operator, who sees them in every state.
type Listed struct {
	// Filter restricts as in Search; its sort, its page and the sizes of pages do not count.
	Filter
	// State is one state; empty: every one.
	State State
	// After is the code after which the list begins; empty: the first.
	After ItemCode
	// Limit is how many, MaxListed at most.
	Limit int
}

// MaxListed bounds what List returns.
const MaxListed = 1000

// List returns products by code, whatever their state. It looks at each of them in turn,
// where Search has an index. It returns invalid_request for a filter outside its bounds.
func (s *Service) List(_ context.Context, l Listed) ([]Product, error) {
	if err := l.Filter.check(); err != nil {
		return nil, err
	}
	if l.State != "" && !l.State.valid() {
		return nil, fault.New(fault.InvalidRequest, "want active, hidden or retired").At("state")
	}
	products := s.view.Load().products
	at, found := slices.BinarySearchFunc(products, l.After, compareCode)
	if found {
		at++
	}
	match := l.matcher()
	var listed []Product
	for ; at < len(products) && len(listed) < min(l.Limit, MaxListed); at++ {
		if p := products[at]; (l.State == "" || p.State == l.State) && match(p) {
			listed = append(listed, p.clone())
		}
	}
	return listed, nil
}

// matcher returns whether a product is found by the filter: what search finds in an index.
func (f *Filter) matcher() func(*Product) bool {
	var query []string
	eachWord(f.Query, func(word string) { query = append(query, word) })
	wanted, wordless := f.terms(), strings.TrimSpace(f.Query) != "" && len(query) == 0
	return func(p *Product) bool {
		switch {
		case wordless, f.Item != "" && p.Code != f.Item, f.ValueMin != nil && valueOf(p.FaceMax) < *f.ValueMin,
			f.ValueMax != nil && valueOf(p.Face) > *f.ValueMax, f.ValueMin != nil && f.ValueMax != nil && *f.ValueMin > *f.ValueMax,
			p.UpdatedAt.Before(f.UpdatedSince):
			return false
		}
		has := p.terms(fold(p.Brand), fold(p.Category))
		for _, terms := range wanted {
			if !slices.ContainsFunc(terms, func(t term) bool { return slices.Contains(has, t) }) {
				return false
			}
		}
		return p.says(query)
	}
}

// says reports whether every word begins a word of the product's name, brand or code.
func (p *Product) says(words []string) bool {
	left := slices.Clone(words)
	for _, text := range []string{p.Name, p.Brand, string(p.Code)} {
		if len(left) == 0 {
			return true
		}
		eachWord(text, func(said string) {
			left = slices.DeleteFunc(left, func(word string) bool { return strings.HasPrefix(said, word) })
		})
	}
	return len(left) == 0
}

// Each calls fn for every product in every state, by code, until it returns an error.
func (s *Service) Each(_ context.Context, fn func(Product) error) error {
	for _, p := range s.view.Load().products {
		if err := fn(p.clone()); err != nil {
			return err
		}
	}
	return nil
}

func (p *Product) clone() Product {
	c := *p
	c.Countries = slices.Clone(p.Countries)
	return c
}

// check refuses what cannot be asked and fills in what was left out.
func (f *Filter) check() error {
	f.Page, f.PerPage = max(f.Page, 1), orDefault(f.PerPage, DefaultPerPage)
	f.Sort = orDefault(f.Sort, ByCode)
	switch {
	case f.Page > maxPage:
		return fault.New(fault.InvalidRequest, "the page must be at most %d", maxPage).At("page")
	case f.PerPage < 1 || f.PerPage > MaxPerPage:
		return fault.New(fault.InvalidRequest, "a page has 1 to %d items", MaxPerPage).At("per_page")
	case utf8.RuneCountInString(f.Query) > MaxQuery:
		return fault.New(fault.InvalidRequest, "the query must have at most %d characters", MaxQuery).At("q")
	case !slices.Contains([]Sort{ByCode, ByBrand, ByValue, ByCategory}, f.Sort):
		return fault.New(fault.InvalidRequest, "want brand, value or category").At("sort_by")
	case f.Delivery != "" && !f.Delivery.valid():
		return fault.New(fault.InvalidRequest, "want PHYSICAL, DIGITAL or BOTH").At("delivery_type")
	}
	return nil
}

func (d Delivery) valid() bool { return d == Physical || d == Digital || d == Both }

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// search returns what a filter finds; nil is everything.
func (x *index) search(f *Filter) set {
	var found set
	if f.Item != "" {
		one := newSet(len(x.products))
		if place, ok := slices.BinarySearchFunc(x.products, f.Item, compareCode); ok {
			one.put([]uint32{uint32(place)})
		}
		found = one
	}
	for _, terms := range f.terms() {
		found = found.and(x.having(terms))
	}
	if strings.TrimSpace(f.Query) != "" {
		found = found.and(x.saying(f.Query))
	}
	if f.ValueMin != nil || f.ValueMax != nil {
		found = found.and(x.between(f.ValueMin, f.ValueMax))
	}
	if !f.UpdatedSince.IsZero() {
		found = found.and(x.since(f.UpdatedSince))
	}
	return found
}

// terms returns the fields that must be equal, each as what they may be equal to.
func (f *Filter) terms() [][]term {
	var all [][]term
	add := func(name field, value string, also ...string) {
		if value == "" {
			return
		}
		terms := []term{{name, value}}
		for _, other := range also {
			terms = append(terms, term{name, other})
		}
		all = append(all, terms)
	}
	add(fieldBrand, fold(f.Brand))
	add(fieldCategory, fold(f.Category))
	add(fieldRegion, fold(f.Region))
	add(fieldCountry, strings.ToUpper(f.Country), anywhere)
	add(fieldDelivery, string(f.Delivery), string(Both))
	if f.Currency.IsValid() {
		add(fieldCurrency, f.Currency.String())
	}
	return all
}

// having returns the places that have one of some terms.
func (x *index) having(terms []term) set {
	found := newSet(len(x.products))
	for _, t := range terms {
		found.putAll(x.fields[t])
	}
	return found
}

// saying returns the places that have every word of a query; none where it has no word.
func (x *index) saying(query string) set {
	var found set
	eachWord(query, func(word string) { found = found.and(x.beginning(word)) })
	if found == nil {
		return newSet(len(x.products))
	}
	return found
}

// beginning returns the places with a word that begins with text.
func (x *index) beginning(text string) set {
	found := newSet(len(x.products))
	at, _ := slices.BinarySearch(x.words, text)
	for ; at < len(x.words) && strings.HasPrefix(x.words[at], text); at++ {
		found.putAll(x.said[at])
	}
	return found
}

// between returns the places whose values meet two bounds; nil is none.
func (x *index) between(from, to *Value) set {
	found, order := newSet(len(x.products)), x.orders[ByValue]
	low, high := 0, len(order)
	if from != nil && to != nil && *from > *to {
		return found
	}
	if from != nil {
		low = sort.Search(len(order), func(i int) bool { return x.values[order[i]] >= *from })
	}
	if to != nil {
		high = sort.Search(len(order), func(i int) bool { return x.values[order[i]] > *to })
	}
	if low < high {
		found.put(order[low:high])
	}
	for _, place := range x.ranges {
		p := x.products[place]
		if (from == nil || valueOf(p.FaceMax) >= *from) && (to == nil || x.values[place] <= *to) {
			found.put([]uint32{place})
		}
	}
	return found
}

// since returns the places that changed at a time or later.
func (x *index) since(at time.Time) set {
	found := newSet(len(x.products))
	first := sort.Search(len(x.updated), func(i int) bool { return !x.products[x.updated[i]].UpdatedAt.Before(at) })
	found.put(x.updated[first:])
	return found
}

// page returns the products of one page of what was found, in the order that was asked for.
func (x *index) page(found set, f *Filter, total int) []*Product {
	skip := (f.Page - 1) * f.PerPage
	if skip >= total {
		return nil
	}
	n, order, want := len(x.products), x.orders[f.Sort], min(f.PerPage, total-skip)
	picked := make([]*Product, 0, want)
	i := 0
	if found == nil {
		i, skip = skip, 0
	}
	for ; i < n && len(picked) < want; i++ {
		at := i
		if f.Descending {
			at = n - 1 - i
		}
		if order != nil {
			at = int(order[at])
		}
		switch {
		case !found.has(uint32(at)):
		case skip > 0:
			skip--
		default:
			picked = append(picked, x.products[at])
		}
	}
	return picked
}
