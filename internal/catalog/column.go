package catalog

import (
	"slices"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/core/money"
)

// The columns of an import, and the names that faults of products blame.
const (
	columnCode         = "item_code"
	columnName         = "name"
	columnBrand        = "brand"
	columnCategory     = "category"
	columnDescription  = "description"
	columnImage        = "image"
	columnTerms        = "terms"
	columnCurrency     = "currency"
	columnValue        = "value"
	columnValueMax     = "value_max"
	columnCost         = "cost"
	columnCostCurrency = "cost_currency"
	columnRegion       = "region"
	columnCountries    = "countries"
	columnDelivery     = "delivery_type"
	columnState        = "state"
	columnTemplate     = "template"
	columnLowStock     = "low_stock"
)

// Columns returns the names that an import knows, in the order of ExportRow.
func Columns() []string {
	return []string{columnCode, columnName, columnBrand, columnCategory, columnDescription, columnImage, columnTerms, columnCurrency, columnValue,
		columnValueMax, columnCost, columnCostCurrency, columnRegion, columnCountries, columnDelivery, columnState, columnTemplate, columnLowStock}
}

// required are the columns that every import has.
func required() []string {
	return []string{columnCode, columnName, columnBrand, columnCurrency, columnValue}
}

// ExportRow returns a product as a row under Columns: what an import would read.
func (p *Product) ExportRow() []string {
	valueMax, cost, costCurrency := "", "", ""
	if p.IsRange() {
		valueMax = p.FaceMax.String()
	}
	if p.Cost != (Cost{}) {
		cost, costCurrency = p.Cost.String(), p.Cost.Currency.String()
	}
	return []string{string(p.Code), p.Name, p.Brand, p.Category, p.Description, p.Image, p.Terms, p.Face.Currency.String(), p.Face.String(),
		valueMax, cost, costCurrency, p.Region, strings.Join(p.Countries, " "), string(p.Delivery), string(p.State), p.Mint, strconv.Itoa(p.LowStock)}
}

// row is one product of an import, by column. A column that is missing leaves an existing
// product as it is.
type row map[string]string

// apply sets what the row says on p and returns everything that is wrong with it.
func (r row) apply(p *Product) (bad []BadRow) {
	wrong := func(column string, err error) { bad = append(bad, BadRow{Field: column, Reason: err.Error()}) }
	for column, target := range map[string]*string{columnName: &p.Name, columnBrand: &p.Brand, columnCategory: &p.Category,
		columnDescription: &p.Description, columnImage: &p.Image, columnTerms: &p.Terms, columnRegion: &p.Region, columnTemplate: &p.Mint,
		columnDelivery: (*string)(&p.Delivery), columnState: (*string)(&p.State)} {
		if text, has := r[column]; has {
			*target = text
		}
	}
	if text, has := r[columnCountries]; has {
		p.Countries = strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" ,;", c) })
	}
	if text, has := r[columnLowStock]; has {
		n, err := strconv.Atoi(orDefault(text, "0"))
		if err != nil {
			wrong(columnLowStock, errWhole)
		}
		p.LowStock = n
	}
	return append(bad, r.applyAmounts(p)...)
}

// errWhole is what is wrong with a number of codes.
const errWhole = money.Error("not a whole number")

func (r row) applyAmounts(p *Product) (bad []BadRow) {
	parse := func(column string, currency money.Currency) (a money.Amount) {
		a, err := money.ParseAmount(r[column], currency)
		if err != nil {
			bad = append(bad, BadRow{Field: column, Reason: err.Error()})
			a = money.Amount{Currency: currency} // the currency is right, and not to be blamed
		}
		return a
	}
	currency, err := money.Parse(r[columnCurrency])
	if err != nil {
		return []BadRow{{Field: columnCurrency, Reason: err.Error()}}
	}
	p.Face = Face{Amount: parse(columnValue, currency)}
	p.FaceMax = p.Face
	if r[columnValueMax] != "" {
		p.FaceMax = Face{Amount: parse(columnValueMax, currency)}
	}
	text, has := r[columnCost]
	if !has {
		return bad
	}
	if p.Cost = (Cost{}); text == "" {
		return bad
	}
	if other := r[columnCostCurrency]; other != "" {
		if currency, err = money.Parse(other); err != nil {
			return append(bad, BadRow{Field: columnCostCurrency, Reason: err.Error()})
		}
	}
	p.Cost = Cost{Amount: parse(columnCost, currency)}
	return bad
}

// checked returns everything that is wrong with the product that a row makes of old, which
// may be nil.
func (r row) checked(old *Product) (*Product, []BadRow) {
	p := &Product{}
	if old != nil {
		copied := old.clone()
		p = &copied
	}
	p.Code = ItemCode(r[columnCode])
	bad := r.apply(p)
	for _, err := range p.wrong() {
		if b := badRow(err); !slices.ContainsFunc(bad, func(other BadRow) bool { return other.Field == b.Field }) {
			bad = append(bad, b)
		}
	}
	return p, bad
}
