package cardpluspay

import (
	"regexp"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
)

// read returns the item and how many of it; field is what the item is called where the
// request has neither name.
func (in *itemRequest) read(field string) (catalog.ItemCode, int, error) {
	var problems wire.Problems
	item, quantity := in.ItemCode, 1
	switch {
	case in.ItemID == "" && in.ItemCode == "":
		problems.Add(field, "is required")
	case in.ItemID != "" && in.ItemCode != "" && in.ItemID != in.ItemCode:
		problems.Add("item_id", "must be equal to item_code where both are sent")
	case item == "":
		item = in.ItemID
	}
	if in.Quantity != nil {
		quantity = *in.Quantity
	}
	if quantity < 1 || quantity > order.MaxQuantity {
		problems.Add("quantity", "must be 1 to 100")
	}
	return catalog.ItemCode(item), quantity, problems.Err()
}

// choice reads a word of a list; empty is the first.
func choice[T ~string](problems *wire.Problems, field, text string, from ...T) T {
	if text == "" {
		return from[0]
	}
	if slices.Contains(from, T(text)) {
		return T(text)
	}
	words := make([]string, 0, len(from))
	for _, word := range from {
		if word != "" {
			words = append(words, string(word))
		}
	}
	problems.Add(field, "must be one of "+strings.Join(words, ", "))
	return from[0]
}

const ascending, descending = "asc", "desc"

var countryForm = regexp.MustCompile(`^[A-Za-z]{2}$`)

func (in *catalogQuery) filter() (wire.Page, catalog.Filter, error) {
	problems, page := in.page(in.PageQuery)
	f := catalog.Filter{Item: catalog.ItemCode(in.ItemID), Brand: in.Brand, Query: in.Query, Region: in.Region,
		Country: strings.ToUpper(in.CountryCode), Page: page.Number, PerPage: page.Size}
	f.Sort = choice(&problems, "sort_by", in.SortBy, "", catalog.ByBrand, catalog.ByValue, catalog.ByCategory)
	f.Descending = choice(&problems, "order", in.Order, ascending, descending) == descending
	f.Delivery = choice(&problems, "delivery_type", in.DeliveryType, "", catalog.Physical, catalog.Digital, catalog.Both)
	if in.CountryCode != "" && !countryForm.MatchString(in.CountryCode) {
		problems.Add("country_code", "must be two letters of ISO 3166-1, such as US")
	}
	if in.Currency != "" {
		f.Currency = currencyOf(&problems, in.Currency)
	}
	f.ValueMin, f.ValueMax = bound(&problems, "value_min", in.ValueMin), bound(&problems, "value_max", in.ValueMax)
	return page, f, problems.Err()
}

// page resolves the page asked for, with what is wrong with it.
func (*catalogQuery) page(q wire.PageQuery) (wire.Problems, wire.Page) {
	return pageOf(q, catalog.DefaultPerPage, catalog.MaxPerPage)
}

func pageOf(q wire.PageQuery, size, most int) (wire.Problems, wire.Page) {
	page, err := q.Resolve(size, most)
	if err == nil {
		return nil, page
	}
	return problemsIn(err), wire.Page{Number: 1, Size: size}
}

func currencyOf(problems *wire.Problems, code string) money.Currency {
	currency, err := money.Parse(strings.ToUpper(code))
	if err != nil {
		problems.Add("currency", "must be a code of ISO 4217, such as USD")
	}
	return currency
}

func (in *balanceQuery) currency() (money.Currency, error) {
	if in.Currency == "" {
		return walletCurrency, nil
	}
	var problems wire.Problems
	return currencyOf(&problems, in.Currency), problems.Err()
}

// bound reads one end of a range of face values.
func bound(problems *wire.Problems, field string, text wire.Number) *catalog.Value {
	if text == "" {
		return nil
	}
	value, err := catalog.ParseValue(string(text))
	if err != nil {
		problems.Add(field, "must be a decimal number, such as 5 or 12.50")
		return nil
	}
	return &value
}

func (in *listQuery) filter(book ledger.BookID) (wire.Page, order.Filter, error) {
	problems, page := pageOf(in.PageQuery, order.DefaultPerPage, order.MaxPerPage)
	f := order.Filter{Book: book, Offset: page.Offset, Limit: page.Size}
	f.Status = choice(&problems, "status", in.Status, append([]order.Status{""}, order.Statuses()...)...)
	f.Sort = choice(&problems, "sort_by", in.SortBy, order.ByCreated, order.ByAmount, order.ByStatus)
	f.Ascending = choice(&problems, "order", in.Order, descending, ascending) == ascending
	return page, f, problems.Err()
}

func productsOf(found *order.Shelf, page wire.Page) products {
	out := products{Products: make([]product, 0, len(found.Listings)), Pagination: page.Links(found.Total), State: stateSuccess}
	for i := range found.Listings {
		out.Products = append(out.Products, productOf(&found.Listings[i]))
	}
	return out
}

func productOf(l *order.Listing) product {
	out := product{ItemCode: string(l.Code), ProductName: l.Name, Brand: l.Brand, Category: l.Category, Value: l.Face.String(), Price: l.Price.String(),
		Currency: l.Face.Currency.String(), PriceCurrency: l.Price.Currency.String(), Region: l.Region, CountryCode: l.Countries,
		DeliveryType: string(l.Delivery), InStock: l.InStock, Image: l.Image, Description: l.Description}
	if out.CountryCode == nil {
		out.CountryCode = []string{}
	}
	return out
}

func purchaseOf(p *order.Placed) purchase {
	out := purchase{Type: "bulk", Brand: p.Brand, Codes: make([]soldCode, 0, len(p.Codes)), State: string(p.Status), Amount: p.Amount.String(),
		Status: string(p.Status), OrderID: int64(p.Number), OrderNo: p.Name(), CreatedAt: wire.TimeOffset(p.CreatedAt.UTC()),
		DenominationUnit: p.Face.Currency.String(), TotalDenomination: wire.Number(p.TotalFace.Decimal())}
	for i := range p.Codes {
		c := &p.Codes[i]
		out.Codes = append(out.Codes, soldCode{Code: c.Text.Reveal(), Currency: p.Price.Currency.String(), ItemCode: string(p.Item),
			Denomination: p.Face.String(), ChargedAmount: p.Price.String(), DenominationUnit: p.Face.Currency.String(), Metadata: pinOf(c)})
	}
	return out
}

func pinOf(c *stock.Code) []secretText {
	if c.PIN.IsZero() {
		return nil
	}
	return []secretText{{Pin: c.PIN.Reveal()}}
}

// delivered is the status of a code that its buyer has.
const delivered = "delivered"

func statusOf(c *stock.Code) string {
	if c.State == stock.Refunded {
		return string(stock.Refunded)
	}
	return delivered
}

func detailsOf(p *order.Placed) details {
	out := details{OrderID: int64(p.Number), OrderNo: p.Name(), Status: string(p.Status), State: stateSuccess, Codes: make([]heldCode, 0, len(p.Codes)),
		Amount: wire.Major(p.Amount.Amount), CreatedAt: wire.TimeOffset(p.CreatedAt.UTC())}
	for i := range p.Codes {
		out.Codes = append(out.Codes, heldCode{Code: p.Codes[i].Text.Reveal(), Status: statusOf(&p.Codes[i]), Metadata: pinOf(&p.Codes[i])})
	}
	return out
}

func ordersOf(found *order.Page, page wire.Page) orders {
	out := orders{Orders: make([]orderLine, 0, len(found.Orders)), Pagination: page.Links(found.Total), State: stateSuccess}
	for i := range found.Orders {
		o := &found.Orders[i]
		out.Orders = append(out.Orders, orderLine{OrderID: int64(o.Number), OrderNo: o.Name(), Status: string(o.Status), ItemCode: string(o.Item),
			Brand: o.Brand, Quantity: o.Quantity, Amount: wire.Major(o.Amount.Amount), Currency: o.Amount.Currency.String(),
			CreatedAt: wire.TimeOffset(o.CreatedAt.UTC())})
	}
	return out
}
