package catalog

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// Sort is an order of products.
type Sort string

// The orders. Equal ones are by item code.
const (
	ByCode     Sort = "code"
	ByBrand    Sort = "brand"
	ByValue    Sort = "value" // by the number, whatever the currency
	ByCategory Sort = "category"
)

// Bounds of a page.
const (
	DefaultPerPage = 10
	MaxPerPage     = 100
	MaxQuery       = 255 // characters
)

// Filter says which products to list. What is empty does not restrict.
type Filter struct {
	Item ItemCode
	// Brand, Category and Region are equal but for case.
	Brand, Category, Region string
	// Query is words; each must begin a word of the name, the brand or the item code.
	Query    string
	Currency money.Currency
	// Delivery Physical and Digital find Both, too.
	Delivery Delivery
	// Country finds what is redeemed anywhere, too.
	Country string
	// ValueMin and ValueMax bound the face value, as ParseValue reads them; a range is
	// found when it meets them.
	ValueMin, ValueMax *Value
	UpdatedSince       time.Time
	Sort               Sort // ByCode when empty
	Descending         bool
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

// Value is a face value without its currency.
type Value struct{ whole, part int64 }

// ParseValue reads a decimal number such as "5" or "12.50", with at most eight decimals.
func ParseValue(text string) (Value, error) {
	return Value{}, fault.New(fault.InvalidRequest, "the value %q is not a decimal number", text)
}

// Find returns a product in any state, or not_found.
func (s *Service) Find(_ context.Context, code ItemCode) (Product, error) {
	return Product{}, fault.New(fault.NotFound, "no such item")
}

// Search returns a page of the active products. It returns invalid_request for a filter
// outside its bounds.
func (s *Service) Search(context.Context, Filter) (Page, error) { return Page{}, nil }
