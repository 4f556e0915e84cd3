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

// columns are some of Columns, by their places there.
type columns uint32

// allColumns are all that there are.
const allColumns = ^columns(0)

// columnsOf returns those that are named.
func columnsOf(named func(column string) bool) (set columns) {
	for i, column := range Columns() {
		if named(column) {
			set |= 1 << i
		}
	}
	return set
}

func (c columns) has(column string) bool { return c&(1<<slices.Index(Columns(), column)) != 0 }

// texts are the columns of a product that are texts.
func (p *Product) texts() map[string]*string {
	return map[string]*string{columnName: &p.Name, columnBrand: &p.Brand, columnCategory: &p.Category, columnDescription: &p.Description,
		columnImage: &p.Image, columnTerms: &p.Terms, columnRegion: &p.Region, columnTemplate: &p.Mint,
		columnDelivery: (*string)(&p.Delivery), columnState: (*string)(&p.State)}
}

// keep takes all but some columns from another product.
func (p *Product) keep(from *Product, but columns) {
	theirs := from.texts()
	for column, target := range p.texts() {
		if !but.has(column) {
			*target = *theirs[column]
		}
	}
	if !but.has(columnCountries) {
		p.Countries = from.Countries
	}
	if !but.has(columnLowStock) {
		p.LowStock = from.LowStock
	}
	if !but.has(columnCost) {
		p.Cost = from.Cost
	}
	switch {
	case !but.has(columnValue):
		p.Face, p.FaceMax = from.Face, from.FaceMax
	case !but.has(columnValueMax):
		if p.FaceMax = p.Face; from.IsRange() {
			p.FaceMax = from.FaceMax
		}
	}
}

// row is one product of an import, by column. A column that is missing leaves an existing
// product as it is.
type row map[string]string

func (r row) columns() columns {
	return columnsOf(func(column string) bool {
		_, has := r[column]
		return has
	})
}

// apply sets what the row says on p and returns everything that is wrong with it.
func (r row) apply(p *Product) (bad []BadRow) {
	wrong := func(column string, err error) { bad = append(bad, BadRow{Field: column, Reason: err.Error()}) }
	for column, target := range p.texts() {
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
	costs := currency
	if p.Cost != (Cost{}) && p.Cost.Currency != p.Face.Currency { // it has one of its own
		costs = p.Cost.Currency
	}
	ranged := p.IsRange()
	p.Face = Face{Amount: parse(columnValue, currency)}
	switch text, has := r[columnValueMax]; {
	case text != "":
		p.FaceMax = Face{Amount: parse(columnValueMax, currency)}
	case has || !ranged:
		p.FaceMax = p.Face
	case p.FaceMax.Currency != currency:
		bad = append(bad, BadRow{Field: columnValueMax, Reason: errOtherEnd.Error()})
		p.FaceMax = p.Face
	}
	text, has := r[columnCost]
	if text == "" && r[columnCostCurrency] != "" {
		return append(bad, BadRow{Field: columnCostCurrency, Reason: ErrNoCost.Error()})
	}
	if !has {
		return bad
	}
	if p.Cost = (Cost{}); text == "" {
		return bad
	}
	switch other, has := r[columnCostCurrency]; {
	case other != "":
		if costs, err = money.Parse(other); err != nil {
			return append(bad, BadRow{Field: columnCostCurrency, Reason: err.Error()})
		}
	case has:
		costs = currency
	}
	p.Cost = Cost{Amount: parse(columnCost, costs)}
	return bad
}

// ErrNoCost is what is wrong with a currency of a cost that is not said.
const ErrNoCost = money.Error("want a cost beside its currency")

// errOtherEnd is what is wrong with a range that begins in one currency and ends in another.
const errOtherEnd = money.Error("the range that there is ends in another currency: say where it ends")

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
