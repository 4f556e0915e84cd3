package order

import (
	"context"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Listing is a product as a buyer sees it.
type Listing struct {
	catalog.Product
	Price   catalog.Charged // of one code
	InStock bool            // whether one can be had now
}

// Shelf is a page of the catalog as a buyer sees it.
type Shelf struct {
	catalog.Page
	Listings []Listing
}

// Browse returns a page of the catalog with the buyer's prices and what is in stock. It
// returns invalid_request for a filter outside its bounds.
func (s *Service) Browse(ctx context.Context, b Buyer, f catalog.Filter) (Shelf, error) {
	page, err := s.Catalog.Search(ctx, f)
	if err != nil {
		return Shelf{}, err
	}
	items := make([]catalog.ItemCode, len(page.Products))
	for i := range page.Products {
		items[i] = page.Products[i].Code
	}
	inStock, err := s.Stock.InStock(ctx, b.Realm, items)
	if err != nil {
		return Shelf{}, err
	}
	shelf := Shelf{Page: page, Listings: make([]Listing, len(items))}
	now := s.Clocks.Now(b.Realm)
	for i, product := range page.Products {
		query := catalog.PriceQuery{Customer: b.Customer, Product: product, At: now}
		if shelf.Listings[i], err = s.listing(ctx, query, inStock[product.Code]); err != nil {
			return Shelf{}, err
		}
	}
	return shelf, nil
}

// listing prices a product and finds its picture. One that nobody can order at present, for
// lack of a price or of a supply in any denomination, is shown at its face value and out of
// stock.
func (s *Service) listing(ctx context.Context, q catalog.PriceQuery, inStock bool) (Listing, error) {
	price, err := s.Catalog.Price(ctx, q)
	switch {
	case fault.CodeOf(err) == fault.InvalidState:
		price, inStock = catalog.NewCharged(q.Product.Face.Minor, q.Product.Face.Currency), false
	case err != nil:
		return Listing{}, err
	}
	q.Product.Image = s.Catalog.Picture(&q.Product)
	return Listing{Product: q.Product, Price: price, InStock: inStock && !q.Product.IsRange()}, nil
}
