package code

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
)

func (a *api) itemRoutes(s *surface) {
	const items, item = "/catalog/items", "/catalog/items/{item_code}"
	wire.Handle(s, desk.Get("items.list", items), a.listItems)
	wire.Handle(s, desk.Get("items.get", item), a.getItem)
	wire.Handle(s, put("items.put", item, maxItem), a.putItem)
	wire.Handle(s, desk.Patch("items.set_state", item, desk.Administer), a.setState)
	wire.Handle(s, desk.Get("items.history", item+"/history"), a.itemHistory)
	wire.Handle(s, upload("items.import_csv", "/catalog/imports/csv", csvText), a.importCSV)
	wire.Handle(s, upload("items.import_json", "/catalog/imports/json", jsonText), a.importJSON)
}

type itemPath struct {
	ItemCode string `path:"item_code" json:"-"`
}

func (in *itemPath) code() catalog.ItemCode { return catalog.ItemCode(in.ItemCode) }

type itemView struct {
	ItemCode     string          `json:"item_code"`
	Name         string          `json:"name"`
	Brand        string          `json:"brand"`
	Category     string          `json:"category"`
	Description  string          `json:"description"`
	Terms        string          `json:"terms"`
	Image        string          `json:"image"`
	Currency     string          `json:"currency"`
	Value        string          `json:"value"`
	ValueMax     string          `json:"value_max,omitzero"`
	Cost         string          `json:"cost,omitzero"`
	CostCurrency string          `json:"cost_currency,omitzero"`
	Region       string          `json:"region"`
	Countries    []string        `json:"countries"`
	DeliveryType string          `json:"delivery_type"`
	State        string          `json:"state"`
	Template     string          `json:"template,omitzero"`
	LowStock     int             `json:"low_stock"`
	Version      int64           `json:"version"`
	CreatedAt    wire.TimeMillis `json:"created_at"`
	ChangedAt    wire.TimeMillis `json:"changed_at"`
}

func viewItem(p catalog.Product) itemView {
	v := itemView{ItemCode: string(p.Code), Name: p.Name, Brand: p.Brand, Category: p.Category, Description: p.Description, Terms: p.Terms, Image: p.Image,
		Currency: p.Face.Currency.String(), Value: p.Face.String(), Region: p.Region, Countries: desk.Listed(p.Countries), DeliveryType: string(p.Delivery),
		State: string(p.State), Template: p.Mint, LowStock: p.LowStock, Version: p.Version, CreatedAt: desk.At(p.CreatedAt), ChangedAt: desk.At(p.UpdatedAt)}
	if p.IsRange() {
		v.ValueMax = p.FaceMax.String()
	}
	if p.Cost != (catalog.Cost{}) {
		v.Cost, v.CostCurrency = p.Cost.String(), p.Cost.Currency.String()
	}
	return v
}

type itemList struct {
	wire.CursorQuery
	Query        string      `query:"q" json:"-" wire:"max=255"`
	Brand        string      `query:"brand" json:"-" wire:"max=100"`
	Category     string      `query:"category" json:"-" wire:"max=100"`
	Region       string      `query:"region" json:"-" wire:"max=32"`
	Currency     string      `query:"currency" json:"-" wire:"max=8"`
	Country      string      `query:"country" json:"-" wire:"max=2"`
	DeliveryType string      `query:"delivery_type" json:"-" wire:"max=16"`
	State        string      `query:"state" json:"-" wire:"max=16"`
	UpdatedSince wire.Since  `query:"updated_since" json:"-"`
	ValueMin     wire.Number `query:"value_min" json:"-"`
	ValueMax     wire.Number `query:"value_max" json:"-"`
}

func (in *itemList) filter() (l catalog.Listed, err error) {
	l = catalog.Listed{State: catalog.State(in.State), Filter: catalog.Filter{Query: in.Query, Brand: in.Brand, Category: in.Category, Region: in.Region,
		Country: in.Country, Delivery: catalog.Delivery(in.DeliveryType), UpdatedSince: in.UpdatedSince.Time()}}
	if in.Currency != "" {
		if l.Currency, err = money.Parse(in.Currency); err != nil {
			return l, desk.Invalid("currency", "currency must be an ISO 4217 code or BTC")
		}
	}
	for _, bound := range []struct {
		field string
		text  wire.Number
		to    **catalog.Value
	}{{"value_min", in.ValueMin, &l.ValueMin}, {"value_max", in.ValueMax, &l.ValueMax}} {
		if bound.text == "" {
			continue
		}
		value, err := catalog.ParseValue(string(bound.text))
		if err != nil {
			return l, desk.Invalid(bound.field, "%s must be a decimal number, such as 5 or 12.50", bound.field)
		}
		*bound.to = &value
	}
	return l, nil
}

func (a *api) listItems(ctx context.Context, _ *call, in itemList) (wire.Listing[itemView], error) {
	none := wire.Listing[itemView]{}
	filter, err := in.filter()
	if err != nil {
		return none, err
	}
	s, err := a.Desk.Span(in.CursorQuery, "items", in.Query, in.Brand, in.Category, in.Region, in.Currency, in.Country, in.DeliveryType, in.State,
		micros(in.UpdatedSince.Time()), string(in.ValueMin), string(in.ValueMax))
	if err != nil {
		return none, err
	}
	filter.After, filter.Limit = catalog.ItemCode(s.After), s.Limit+1
	found, err := a.Catalog.List(ctx, filter)
	if err != nil {
		return none, err
	}
	found, next := desk.Cut(found, s, func(p catalog.Product) string { return string(p.Code) })
	list := desk.Page(found, viewItem)
	list.NextCursor = a.Desk.More(s, next)
	return list, nil
}

type itemQuery struct {
	itemPath
	CustomerID string `query:"customer_id" json:"-"`
}

// pricedItem is an item with what one code of it is charged at; neither is there where a
// price rule leads to no price.
type pricedItem struct {
	itemView
	Price         string `json:"price,omitzero"`
	PriceCurrency string `json:"price_currency,omitzero"`
}

func (a *api) getItem(ctx context.Context, _ *call, in itemQuery) (pricedItem, error) {
	found, err := a.Catalog.Find(ctx, in.code())
	if err == nil && in.CustomerID != "" {
		_, err = a.Desk.Customer(ctx, in.CustomerID)
	}
	if err != nil {
		return pricedItem{}, err
	}
	view := pricedItem{itemView: viewItem(found)}
	query := catalog.PriceQuery{Customer: account.CustomerID(in.CustomerID), Product: found, At: a.Desk.Clocks.Now(realm.Live)}
	price, err := a.Catalog.Price(ctx, query)
	switch {
	case err == nil:
		view.Price, view.PriceCurrency = price.String(), price.Currency.String()
	case fault.CodeOf(err) != fault.InvalidState:
		return pricedItem{}, err
	}
	return view, nil
}

type newItem struct {
	itemPath
	Name         string   `json:"name" wire:"required,max=200"`
	Brand        string   `json:"brand" wire:"required,max=100"`
	Category     string   `json:"category" wire:"max=100"`
	Description  string   `json:"description" wire:"max=4000"`
	Terms        string   `json:"terms" wire:"max=8000"`
	Image        string   `json:"image" wire:"max=500"`
	Currency     string   `json:"currency" wire:"required"`
	Value        string   `json:"value" wire:"required"`
	ValueMax     string   `json:"value_max"`
	Cost         string   `json:"cost"`
	CostCurrency string   `json:"cost_currency"`
	Region       string   `json:"region" wire:"max=32"`
	Countries    []string `json:"countries"`
	DeliveryType string   `json:"delivery_type"`
	State        string   `json:"state"`
	Template     string   `json:"template" wire:"max=64"`
	LowStock     int      `json:"low_stock"`
}

// product reads what the product's own rules then judge.
func (in *newItem) product() (catalog.Product, error) {
	p := catalog.Product{Code: in.code(), Name: in.Name, Brand: in.Brand, Category: in.Category, Description: in.Description, Terms: in.Terms, Image: in.Image,
		Region: in.Region, Countries: in.Countries, Delivery: catalog.Delivery(in.DeliveryType), State: catalog.State(in.State), Mint: in.Template, LowStock: in.LowStock}
	currency, err := money.Parse(in.Currency)
	if err != nil {
		return p, fault.New(fault.UnknownCurrency, "currency must be an ISO 4217 code or BTC").At("currency")
	}
	costs := currency
	if in.Cost == "" && in.CostCurrency != "" {
		return p, desk.Invalid("cost_currency", "%s", catalog.ErrNoCost)
	}
	if in.CostCurrency != "" {
		if costs, err = money.Parse(in.CostCurrency); err != nil {
			return p, fault.New(fault.UnknownCurrency, "cost_currency must be an ISO 4217 code or BTC").At("cost_currency")
		}
	}
	var amounts [3]money.Amount
	for i, part := range []struct {
		field, text string
		currency    money.Currency
	}{{"value", in.Value, currency}, {"value_max", in.ValueMax, currency}, {"cost", in.Cost, costs}} {
		if part.text == "" {
			continue
		}
		if amounts[i], err = amountAt(part.field, part.text, part.currency); err != nil {
			return p, err
		}
	}
	p.Face, p.FaceMax, p.Cost = catalog.Face{Amount: amounts[0]}, catalog.Face{Amount: amounts[1]}, catalog.Cost{Amount: amounts[2]}
	return p, nil
}

// amountAt reads an amount in major units.
func amountAt(field, text string, currency money.Currency) (money.Amount, error) {
	amount, err := money.ParseAmount(text, currency)
	switch {
	case errors.Is(err, money.ErrPrecision):
		return amount, fault.New(fault.InvalidAmount, "%s has %d decimals", currency, currency.Digits()).At(field)
	case err != nil:
		return amount, fault.New(fault.InvalidAmount, "%s must be a decimal string", field).At(field)
	}
	return amount, nil
}

// putOutcome is an item as it is now, with what the call changed.
type putOutcome struct {
	itemView
	Outcome string `json:"outcome"`
}

func (a *api) putItem(ctx context.Context, c *call, in newItem) (putOutcome, error) {
	p, err := in.product()
	if err != nil {
		return putOutcome{}, err
	}
	now, outcome, err := a.Catalog.Put(ctx, p, desk.Actor(c))
	return putOutcome{viewItem(now), string(outcome)}, err
}

type stateChange struct {
	itemPath
	State string `json:"state" wire:"required"`
}

func (a *api) setState(ctx context.Context, c *call, in stateChange) (itemView, error) {
	changed, err := a.Catalog.SetState(ctx, in.code(), catalog.State(in.State), desk.Actor(c))
	return viewItem(changed), err
}

type itemVersion struct {
	itemView
	Actor string `json:"actor"`
}

func (a *api) itemHistory(ctx context.Context, _ *call, in itemPath) (wire.Listing[itemVersion], error) {
	versions, err := a.Catalog.History(ctx, in.code())
	if err != nil {
		return wire.Listing[itemVersion]{}, err
	}
	return desk.Page(versions, func(v catalog.Version) itemVersion { return itemVersion{viewItem(v.Product), v.Actor} }), nil
}

type importQuery struct {
	DryRun bool `query:"dry_run" json:"-"`
}

type importedRow struct {
	Row      int    `json:"row"`
	ItemCode string `json:"item_code"`
	Outcome  string `json:"outcome"`
}

type wrongRow struct {
	Row    int    `json:"row"`
	Field  string `json:"field,omitzero"`
	Reason string `json:"reason"`
}

type importView struct {
	DryRun  bool          `json:"dry_run"`
	Added   int           `json:"added"`
	Changed int           `json:"changed"`
	Same    int           `json:"same"`
	Wrong   int           `json:"wrong"`
	Rows    []importedRow `json:"rows"`
	Errors  []wrongRow    `json:"errors"`
}

// maxRows bounds the rows and the mistakes that an answer lists.
const maxRows = 1000

func (a *api) importCSV(ctx context.Context, c *call, in importQuery) (importView, error) {
	return a.importItems(ctx, c, catalog.ImportOptions{Format: catalog.CSV, DryRun: in.DryRun})
}

func (a *api) importJSON(ctx context.Context, c *call, in importQuery) (importView, error) {
	return a.importItems(ctx, c, catalog.ImportOptions{Format: catalog.JSON, DryRun: in.DryRun})
}

// importItems imports the body. A file with wrong rows changes nothing: its mistakes are
// the answer, with status 400 unless it was a dry run.
func (a *api) importItems(ctx context.Context, c *call, o catalog.ImportOptions) (importView, error) {
	o.Actor = desk.Actor(c)
	report, err := a.Catalog.Import(ctx, strings.NewReader(string(c.Body)), o)
	if err != nil && len(report.Bad) == 0 {
		return importView{}, err
	}
	view := importView{DryRun: o.DryRun, Added: report.Count(catalog.Added), Changed: report.Count(catalog.Changed), Same: report.Count(catalog.Same),
		Rows: []importedRow{}, Errors: []wrongRow{}}
	for _, row := range report.Rows[:min(len(report.Rows), maxRows)] {
		view.Rows = append(view.Rows, importedRow{row.Row, string(row.Code), string(row.Outcome)})
	}
	last := 0
	for _, bad := range report.Bad {
		if bad.Row != last {
			view.Wrong, last = view.Wrong+1, bad.Row
		}
		if len(view.Errors) < maxRows {
			view.Errors = append(view.Errors, wrongRow{bad.Row, bad.Field, bad.Reason})
		}
	}
	if len(report.Bad) > 0 && !o.DryRun {
		return view, refused(report.Bad, err)
	}
	return view, nil
}

// refused names the wrong rows of a file that changed nothing, each field as "row 7: value".
func refused(bad []catalog.BadRow, err error) error {
	var problems wire.Problems
	for _, b := range bad[:min(len(bad), maxRows)] {
		field := "row " + strconv.Itoa(b.Row)
		if b.Field != "" {
			field += ": " + b.Field
		}
		problems.Add(field, b.Reason)
	}
	if len(problems) == 1 {
		return fault.Wrap(problems, fault.InvalidRequest, "%s: %s", problems[0].Field, problems[0].Message).At(problems[0].Field)
	}
	return fault.Wrap(problems, fault.InvalidRequest, "%s", fault.From(err).Message).At(problems[0].Field)
}
