package code

import (
	"bytes"
	"context"
	"sort"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
)

func (a *api) stockRoutes(s *surface) {
	const item, batch = "/stock/{realm}/{item_code}", "/batches/{batch_id}"
	// A batch of a million codes takes its time to be moved.
	quarantine, release := desk.Post("batches.quarantine", batch+"/quarantine", desk.Assist), desk.Post("batches.release", batch+"/release", desk.Administer)
	quarantine.Timeout, release.Timeout = uploadTimeout, uploadTimeout
	wire.Handle(s, desk.Get("stock.low", "/stock/{realm}"), a.lowStock)
	wire.Handle(s, desk.Get("stock.get", item), a.getStock)
	wire.Handle(s, upload("stock.import", item+"/imports", csvText), a.importCodes)
	wire.Handle(s, desk.Get("batches.list", item+"/batches"), a.listBatches)
	wire.Handle(s, desk.Get("batches.get", batch), a.getBatch)
	wire.Handle(s, quarantine, a.quarantine)
	wire.Handle(s, release, a.release)
}

type lowList struct {
	desk.InRealm
	wire.CursorQuery
}

type levelView struct {
	ItemCode string          `json:"item_code"`
	Codes    int             `json:"codes"`
	LowStock int             `json:"low_stock"`
	Since    wire.TimeMillis `json:"since"`
}

// lowStock lists the items that run out, as the last look found them.
func (a *api) lowStock(ctx context.Context, _ *call, in lowList) (wire.Listing[levelView], error) {
	none := wire.Listing[levelView]{}
	r, err := in.Realm()
	if err != nil {
		return none, err
	}
	s, err := a.Desk.Span(in.CursorQuery, "stock", string(r))
	if err != nil {
		return none, err
	}
	all, err := a.Stock.Low(ctx, r)
	if err != nil {
		return none, err
	}
	// A database may order letters by a language's rules.
	sort.Slice(all, func(i, j int) bool { return all[i].Item < all[j].Item })
	first := sort.Search(len(all), func(i int) bool { return string(all[i].Item) > s.After })
	shown, next := desk.Cut(all[first:], s, func(l stock.Level) string { return string(l.Item) })
	list := desk.Page(shown, func(l stock.Level) levelView {
		p, _ := a.Catalog.Find(ctx, l.Item) // an item is never deleted
		return levelView{string(l.Item), l.Codes, p.LowStock, desk.At(l.Since)}
	})
	list.NextCursor = a.Desk.More(s, next)
	return list, nil
}

type shelfPath struct {
	desk.InRealm
	itemPath
}

// shelf returns the realm and the item of a path, or not_found.
func (a *api) shelf(ctx context.Context, in shelfPath) (realm.Realm, catalog.Product, error) {
	r, err := in.Realm()
	if err != nil {
		return "", catalog.Product{}, err
	}
	p, err := a.Catalog.Find(ctx, in.code())
	return r, p, err
}

type stockView struct {
	ItemCode  string `json:"item_code"`
	Realm     string `json:"realm"`
	Available int    `json:"available"`
	// More says that there are more than were counted.
	More     bool `json:"more"`
	LowStock int  `json:"low_stock"`
}

func (a *api) getStock(ctx context.Context, _ *call, in shelfPath) (stockView, error) {
	r, p, err := a.shelf(ctx, in)
	if err != nil {
		return stockView{}, err
	}
	count, err := a.Stock.Count(ctx, r, p.Code)
	return stockView{ItemCode: string(p.Code), Realm: string(r), Available: count, More: count == stock.MaxCount, LowStock: p.LowStock}, err
}

type codesQuery struct {
	shelfPath
	Batch        string `query:"batch" json:"-" wire:"required,max=100"`
	Supplier     string `query:"supplier" json:"-" wire:"max=100"`
	Cost         string `query:"cost" json:"-" wire:"max=32"`
	CostCurrency string `query:"cost_currency" json:"-" wire:"max=8"`
	DryRun       bool   `query:"dry_run" json:"-"`
}

type uploadView struct {
	BatchID string     `json:"batch_id,omitzero"`
	DryRun  bool       `json:"dry_run"`
	Rows    int        `json:"rows"`
	Added   int        `json:"added"`
	Known   int        `json:"known"`
	Wrong   int        `json:"wrong"`
	Errors  []wrongRow `json:"errors"`
}

func (a *api) importCodes(ctx context.Context, c *call, in codesQuery) (uploadView, error) {
	r, p, err := a.shelf(ctx, in.shelfPath)
	if err != nil {
		return uploadView{}, err
	}
	o := stock.Options{Realm: r, Item: p.Code, Supplier: in.Supplier, Batch: in.Batch, DryRun: in.DryRun, Actor: desk.Actor(c)}
	o.Currency = p.Face.Currency
	if in.CostCurrency != "" {
		if o.Currency, err = money.Parse(in.CostCurrency); err != nil {
			return uploadView{}, fault.New(fault.UnknownCurrency, "cost_currency must be an ISO 4217 code or BTC").At("cost_currency")
		}
	}
	if in.Cost != "" {
		cost, err := amountAt("cost", in.Cost, o.Currency)
		if err != nil {
			return uploadView{}, err
		}
		o.Cost = catalog.Cost{Amount: cost}
	}
	report, err := a.Stock.Import(ctx, bytes.NewReader(c.Body), o)
	view := uploadView{BatchID: string(report.Batch), DryRun: in.DryRun, Rows: report.Rows, Added: report.Added, Known: report.Known, Wrong: report.Wrong,
		Errors: []wrongRow{}}
	for _, bad := range report.Bad {
		view.Errors = append(view.Errors, wrongRow{bad.Line, bad.Field, bad.Reason})
	}
	return view, err
}

type batchView struct {
	BatchID     string          `json:"batch_id"`
	Realm       string          `json:"realm"`
	ItemCode    string          `json:"item_code"`
	Name        string          `json:"name"`
	Supplier    string          `json:"supplier"`
	State       string          `json:"state"`
	Reason      string          `json:"reason,omitzero"`
	Available   int             `json:"available"`
	Quarantined int             `json:"quarantined"`
	Sold        int             `json:"sold"`
	Dead        int             `json:"dead"`
	Actor       string          `json:"actor"`
	CreatedAt   wire.TimeMillis `json:"created_at"`
	ChangedAt   wire.TimeMillis `json:"changed_at"`
}

func viewBatch(b stock.Batch) batchView {
	sold, dead := b.Sold()
	return batchView{BatchID: string(b.ID), Realm: string(b.Realm), ItemCode: string(b.Item), Name: b.Name, Supplier: b.Supplier, State: string(b.State),
		Reason: b.Reason, Available: b.Codes[stock.Available], Quarantined: b.Codes[stock.Quarantined], Sold: sold, Dead: dead, Actor: b.Actor,
		CreatedAt: desk.At(b.CreatedAt), ChangedAt: desk.At(b.ChangedAt)}
}

type batchList struct {
	shelfPath
	wire.CursorQuery
}

func (a *api) listBatches(ctx context.Context, _ *call, in batchList) (wire.Listing[batchView], error) {
	none := wire.Listing[batchView]{}
	r, p, err := a.shelf(ctx, in.shelfPath)
	if err != nil {
		return none, err
	}
	s, err := a.Desk.Span(in.CursorQuery, "batches", string(r), in.ItemCode)
	if err != nil {
		return none, err
	}
	found, err := a.Stock.Page(ctx, stock.Batches{Realm: r, Item: p.Code, After: stock.BatchID(s.After), Limit: s.Limit + 1})
	if err != nil {
		return none, err
	}
	found, next := desk.Cut(found, s, func(b stock.Batch) string { return string(b.ID) })
	list := desk.Page(found, viewBatch)
	list.NextCursor = a.Desk.More(s, next)
	return list, nil
}

type batchPath struct {
	BatchID string `path:"batch_id" json:"-"`
}

// batch returns the batch of a path, or not_found.
func (a *api) batch(ctx context.Context, in batchPath) (stock.Batch, error) {
	if err := desk.Known("batch", "batch", in.BatchID); err != nil {
		return stock.Batch{}, err
	}
	return a.Stock.FindBatch(ctx, stock.BatchID(in.BatchID))
}

func (a *api) getBatch(ctx context.Context, _ *call, in batchPath) (batchView, error) {
	found, err := a.batch(ctx, in)
	return viewBatch(found), err
}

type quarantineRequest struct {
	batchPath
	Reason string `json:"reason" wire:"required,max=200"`
}

func (a *api) quarantine(ctx context.Context, c *call, in quarantineRequest) (batchView, error) {
	reason, err := desk.Written("reason", in.Reason)
	if err != nil {
		return batchView{}, err
	}
	found, err := a.batch(ctx, in.batchPath)
	if err != nil {
		return batchView{}, err
	}
	if _, err := a.Stock.Quarantine(ctx, nameOf(found), reason, desk.Actor(c)); err != nil {
		return batchView{}, err
	}
	return a.getBatch(ctx, c, in.batchPath)
}

func (a *api) release(ctx context.Context, c *call, in batchPath) (batchView, error) {
	found, err := a.batch(ctx, in)
	if err != nil {
		return batchView{}, err
	}
	if _, err := a.Stock.Release(ctx, nameOf(found), desk.Actor(c)); err != nil {
		return batchView{}, err
	}
	return a.getBatch(ctx, c, in)
}

func nameOf(b stock.Batch) stock.BatchName {
	return stock.BatchName{Realm: b.Realm, Item: b.Item, Name: b.Name}
}
