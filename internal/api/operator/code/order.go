package code

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/platform/storage"
)

func (a *api) orderRoutes(s *surface) {
	const one = "/books/{book_id}/orders/{order_id}"
	wire.Handle(s, desk.Get("orders.list", "/orders"), a.listOrders)
	wire.Handle(s, desk.Get("orders.get", one), a.getOrder)
	wire.Handle(s, desk.Get("orders.codes", one+"/codes"), a.orderCodes)
	wire.Handle(s, desk.Get("orders.looks", one+"/looks"), a.orderLooks)
}

type orderView struct {
	OrderID       int64           `json:"order_id"`
	OrderNo       string          `json:"order_no"`
	BookID        string          `json:"book_id"`
	Realm         string          `json:"realm"`
	Status        string          `json:"status"`
	ItemCode      string          `json:"item_code"`
	ProductName   string          `json:"product_name"`
	Brand         string          `json:"brand"`
	Quantity      int             `json:"quantity"`
	Price         string          `json:"price"`
	Amount        string          `json:"amount"`
	Currency      string          `json:"currency"`
	Value         string          `json:"value"`
	ValueCurrency string          `json:"value_currency"`
	Email         string          `json:"email,omitzero"`
	TransactionID string          `json:"transaction_id"`
	KeyID         string          `json:"key_id"`
	CreatedAt     wire.TimeMillis `json:"created_at"`
	ChangedAt     wire.TimeMillis `json:"changed_at"`
}

func viewOrder(o order.Order) orderView {
	return orderView{OrderID: int64(o.Number), OrderNo: o.Name(), BookID: string(o.Book), Realm: string(o.Realm), Status: string(o.Status),
		ItemCode: string(o.Item), ProductName: o.Product, Brand: o.Brand, Quantity: o.Quantity, Price: o.Price.String(), Amount: o.Amount.String(),
		Currency: o.Amount.Currency.String(), Value: o.Face.String(), ValueCurrency: o.Face.Currency.String(), Email: o.Email,
		TransactionID: string(o.Transaction), KeyID: o.Credential, CreatedAt: desk.At(o.CreatedAt), ChangedAt: desk.At(o.ChangedAt)}
}

type orderList struct {
	wire.CursorQuery
	Realm      string     `query:"realm" json:"-" wire:"required"`
	CustomerID string     `query:"customer_id" json:"-"`
	Status     string     `query:"status" json:"-"`
	ItemCode   string     `query:"item_code" json:"-" wire:"max=64"`
	From       wire.Since `query:"from" json:"-"`
	To         wire.Since `query:"to" json:"-"`
}

// listOrders searches the orders of all customers, the newest first. A page may be short,
// and empty even, where many orders were looked at: it goes on from its cursor.
func (a *api) listOrders(ctx context.Context, _ *call, in orderList) (wire.Listing[orderView], error) {
	none := wire.Listing[orderView]{}
	q, err := a.query(ctx, &in)
	if err != nil {
		return none, err
	}
	s, err := a.Desk.Span(in.CursorQuery, "orders", in.Realm, in.CustomerID, in.Status, in.ItemCode, micros(in.From.Time()), micros(in.To.Time()))
	if err != nil {
		return none, err
	}
	q.Limit = s.Limit + 1
	if s.After != "" {
		if q.Before, err = placeOf(s.After); err != nil {
			return none, err
		}
	}
	found, next, err := a.Orders.Search(ctx, q)
	if err != nil {
		return none, err
	}
	found, after := desk.Cut(found, s, func(o order.Order) string {
		return placed(&order.Place{At: o.CreatedAt, Book: o.Book, Number: o.Number})
	})
	if after == "" && next != nil { // so many were looked at
		after = placed(next)
	}
	list := desk.Page(found, viewOrder)
	list.NextCursor = a.Desk.More(s, after)
	return list, nil
}

func (a *api) query(ctx context.Context, in *orderList) (q order.Query, err error) {
	q = order.Query{Item: catalog.ItemCode(in.ItemCode), Status: order.Status(in.Status), From: in.From.Time(), To: in.To.Time()}
	if q.Realm, err = desk.RealmOf(in.Realm); err != nil {
		return q, err
	}
	if in.Status != "" && !slices.Contains(order.Statuses(), q.Status) {
		return q, desk.Invalid("status", "status must be one that orders have")
	}
	if in.CustomerID != "" {
		customer, err := a.Desk.Customer(ctx, in.CustomerID)
		if err != nil {
			return q, err
		}
		q.Book = customer.Book(q.Realm)
	}
	return q, nil
}

func micros(t time.Time) string { return strconv.FormatInt(storage.Micros(t), 10) }

// placed writes a place for a cursor.
func placed(at *order.Place) string {
	return micros(at.At) + "/" + string(at.Book) + "/" + strconv.FormatInt(int64(at.Number), 10)
}

// placeOf reads what placed wrote.
func placeOf(text string) (*order.Place, error) {
	parts := strings.Split(text, "/")
	if len(parts) == 3 {
		at, atErr := strconv.ParseInt(parts[0], 10, 64)
		number, numberErr := strconv.ParseInt(parts[2], 10, 64)
		if atErr == nil && numberErr == nil {
			return &order.Place{At: storage.Time(at), Book: ledger.BookID(parts[1]), Number: order.Number(number)}, nil
		}
	}
	return nil, fault.New(fault.InvalidCursor, "the cursor is not valid for this list").At("cursor")
}

type orderPath struct {
	BookID  string `path:"book_id" json:"-"`
	OrderID int64  `path:"order_id" json:"-"`
}

// order returns the order of a path, or not_found.
func (a *api) order(ctx context.Context, in orderPath) (order.Order, error) {
	owner, err := a.Desk.Owner(ctx, in.BookID)
	if err != nil {
		return order.Order{}, err
	}
	return a.Orders.Find(ctx, owner.Book, order.Number(in.OrderID))
}

func (a *api) getOrder(ctx context.Context, _ *call, in orderPath) (orderView, error) {
	found, err := a.order(ctx, in)
	if err != nil {
		return orderView{}, err
	}
	return viewOrder(found), nil
}

// codeView is a code of an order, which is not in it.
type codeView struct {
	// Number is which of the order's codes it is, from 1, as in claims.
	Number       int             `json:"number"`
	CodeID       string          `json:"code_id"`
	Ending       string          `json:"ending,omitzero"`
	BatchID      string          `json:"batch_id"`
	Batch        string          `json:"batch"`
	Supplier     string          `json:"supplier"`
	State        string          `json:"state"`
	Cost         string          `json:"cost,omitzero"`
	CostCurrency string          `json:"cost_currency,omitzero"`
	ExpiresAt    wire.TimeMillis `json:"expires_at,omitzero"`
	SoldAt       wire.TimeMillis `json:"sold_at"`
}

func viewCode(m stock.Masked) codeView {
	v := codeView{Number: m.Place, CodeID: string(m.ID), Ending: m.Ending, BatchID: string(m.Batch), Batch: m.BatchName, Supplier: m.Supplier, State: string(m.State),
		ExpiresAt: desk.At(m.ExpiresAt), SoldAt: desk.At(m.SoldAt)}
	if m.Cost != (catalog.Cost{}) {
		v.Cost, v.CostCurrency = m.Cost.String(), m.Cost.Currency.String()
	}
	return v
}

func (a *api) orderCodes(ctx context.Context, _ *call, in orderPath) (wire.Listing[codeView], error) {
	found, err := a.order(ctx, in)
	if err != nil {
		return wire.Listing[codeView]{}, err
	}
	codes, err := a.Orders.Masked(ctx, found.Book, found.Number)
	if err != nil {
		return wire.Listing[codeView]{}, err
	}
	return desk.Page(codes, viewCode), nil
}

type lookView struct {
	KeyID string          `json:"key_id"`
	At    wire.TimeMillis `json:"at"`
}

func (a *api) orderLooks(ctx context.Context, _ *call, in orderPath) (wire.Listing[lookView], error) {
	found, err := a.order(ctx, in)
	if err != nil {
		return wire.Listing[lookView]{}, err
	}
	looks, err := a.Orders.Looks(ctx, found.Book, found.Number)
	if err != nil {
		return wire.Listing[lookView]{}, err
	}
	return desk.Page(looks, func(l stock.Look) lookView { return lookView{l.Actor, desk.At(l.At)} }), nil
}
