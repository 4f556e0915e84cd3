package cardpluspay

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/wallet"
)

// Check implements wire.Checker.
func (in *checkRequest) Check(problems *wire.Problems) { in.read("item_id", problems) }

// Check implements wire.Checker.
func (in *purchaseRequest) Check(problems *wire.Problems) {
	in.read("item_code", problems)
	if order.CheckEmail(in.Email) != nil {
		problems.Once("email", "must be one plain email address")
	}
}

// read works out what is asked for; field is what the item is called where the request
// has neither name.
func (in *itemRequest) read(field string, problems *wire.Problems) {
	in.asked = order.Wanted{Item: catalog.ItemCode(in.ItemCode), Quantity: 1}
	switch blamed := problems.Blames("item_id") || problems.Blames("item_code"); {
	case in.ItemID == "" && in.ItemCode == "" && !blamed:
		problems.Add(field, "is required")
	case in.ItemID != "" && in.ItemCode != "" && in.ItemID != in.ItemCode:
		problems.Add("item_id", "must be equal to item_code where both are sent")
	case in.ItemCode == "":
		in.asked.Item = catalog.ItemCode(in.ItemID)
	}
	if in.Quantity != nil {
		in.asked.Quantity = *in.Quantity
	}
	if in.asked.Quantity < 1 || in.asked.Quantity > order.MaxQuantity {
		problems.Once("quantity", "must be 1 to 100")
	}
	in.asked.Value = valueOf(problems, "value", string(in.Value))
	if in.PriceCurrency != "" {
		in.asked.Currency = currencyOf(problems, "price_currency", in.PriceCurrency)
	}
	in.asked.Most = valueOf(problems, "max_price", string(in.MaxPrice))
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

// Check implements wire.Checker.
func (in *catalogQuery) Check(problems *wire.Problems) {
	in.page = pageOf(problems, in.PageQuery, [2]int{catalog.DefaultPerPage, catalog.MaxPerPage})
	f := catalog.Filter{Item: catalog.ItemCode(in.ItemID), Brand: in.Brand, Query: in.Query, Region: in.Region, Country: strings.ToUpper(in.CountryCode),
		UpdatedSince: in.UpdatedSince.Time(), Page: in.page.Number, PerPage: in.page.Size}
	f.Sort = choice(problems, "sort_by", in.SortBy, "", catalog.ByBrand, catalog.ByValue, catalog.ByCategory)
	f.Descending = choice(problems, "order", in.Order, ascending, descending) == descending
	f.Delivery = choice(problems, "delivery_type", in.DeliveryType, "", catalog.Physical, catalog.Digital, catalog.Both)
	if in.CountryCode != "" && !countryForm.MatchString(in.CountryCode) {
		problems.Add("country_code", "must be two letters of ISO 3166-1, such as US")
	}
	if in.Currency != "" {
		f.Currency = currencyOf(problems, "currency", in.Currency)
	}
	f.ValueMin, f.ValueMax = valueOf(problems, "value_min", string(in.ValueMin)), valueOf(problems, "value_max", string(in.ValueMax))
	in.asked = f
}

// pageOf resolves the page asked for; sizes are that of a page where none is given, and the most.
func pageOf(problems *wire.Problems, q wire.PageQuery, sizes [2]int) wire.Page {
	page, err := q.Resolve(sizes[0], sizes[1])
	if err == nil {
		return page
	}
	*problems = append(*problems, problemsIn(err)...)
	return wire.Page{Number: 1, Size: sizes[0]}
}

func currencyOf(problems *wire.Problems, field, code string) money.Currency {
	currency, err := money.Parse(strings.ToUpper(code))
	if err != nil {
		problems.Add(field, "must be a code of ISO 4217, such as USD")
	}
	return currency
}

// Check implements wire.Checker.
func (in *balanceQuery) Check(problems *wire.Problems) {
	if in.asked = walletCurrency; in.Currency != "" {
		in.asked = currencyOf(problems, "currency", in.Currency)
	}
}

// Check implements wire.Checker.
func (in *thresholdRequest) Check(problems *wire.Problems) {
	currency := walletCurrency
	if in.Currency != "" {
		currency = currencyOf(problems, "currency", in.Currency)
	}
	if in.Threshold == "" {
		problems.Once("threshold", "is required")
		return
	}
	amount, err := money.ParseAmount(string(in.Threshold), currency)
	if err != nil && currency.IsValid() {
		problems.Once("threshold", "must be a decimal number in the currency's units, such as 25.00, and 0 for none")
	}
	in.asked = amount
}

func alertsOf(found []wallet.Alert) balanceAlerts {
	out := balanceAlerts{Alerts: make([]balanceAlert, 0, len(found)), State: stateSuccess}
	for _, alert := range found {
		out.Alerts = append(out.Alerts, balanceAlert{Currency: alert.Threshold.Currency.String(), Threshold: alert.Threshold.String()})
	}
	return out
}

// valueOf reads a face value; nil where there is none.
func valueOf(problems *wire.Problems, field, text string) *catalog.Value {
	if text == "" {
		return nil
	}
	value, err := catalog.ParseValue(text)
	switch {
	case err == nil:
		return &value
	case errors.Is(err, money.ErrRange):
		problems.Once(field, "is too large")
	case errors.Is(err, money.ErrPrecision):
		problems.Once(field, "must have at most 8 decimals")
	default:
		problems.Once(field, "must be a decimal number, such as 5 or 12.50")
	}
	return nil
}

// Check implements wire.Checker.
func (in *listQuery) Check(problems *wire.Problems) {
	in.page = pageOf(problems, in.PageQuery, [2]int{order.DefaultPerPage, order.MaxPerPage})
	in.asked = order.Filter{Offset: in.page.Offset, Limit: in.page.Size}
	in.asked.Status = choice(problems, "status", in.Status, append([]order.Status{""}, order.Statuses()...)...)
	in.asked.Sort = choice(problems, "sort_by", in.SortBy, order.ByCreated, order.ByAmount, order.ByStatus)
	in.asked.Ascending = choice(problems, "order", in.Order, descending, ascending) == ascending
}

// productsOf shows a page of the catalog; base begins the addresses of uploaded pictures.
func productsOf(found *order.Shelf, page wire.Page, base string) products {
	out := products{Products: make([]product, 0, len(found.Listings)), Pagination: page.Links(found.Total), State: stateSuccess}
	for i := range found.Listings {
		shown := productOf(&found.Listings[i])
		if hash, is := catalog.Uploaded(shown.Image); is {
			shown.Image = base + imagesPath + "/" + hash
		}
		out.Products = append(out.Products, shown)
	}
	return out
}

func productOf(l *order.Listing) product {
	out := product{ItemCode: string(l.Code), ProductName: l.Name, Brand: l.Brand, Category: l.Category, Value: l.Face.String(), Price: l.Price.String(),
		Currency: l.Face.Currency.String(), PriceCurrency: l.Price.Currency.String(), Region: l.Region, CountryCode: l.Countries,
		DeliveryType: string(l.Delivery), InStock: l.InStock, Image: l.Image, Description: l.Description}
	if l.IsRange() {
		out.ValueMax = l.FaceMax.String()
	}
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
	if c.State == stock.Refunded || c.State == stock.Replacing {
		return string(c.State)
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
