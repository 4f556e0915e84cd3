package remedy

import (
	"context"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/report"
)

type orderPath struct {
	BookID  string `path:"book_id" json:"-"`
	OrderID int64  `path:"order_id" json:"-"`
}

type postingView struct {
	TransactionID string          `json:"transaction_id"`
	Seq           int64           `json:"seq"`
	Kind          string          `json:"kind"`
	Reference     string          `json:"reference,omitzero"`
	Actor         string          `json:"actor,omitzero"`
	At            wire.TimeMillis `json:"at"`
	Moves         []desk.Move     `json:"moves"`
}

func viewPosting(o ledger.Outcome) postingView {
	return postingView{TransactionID: string(o.Transaction), Seq: o.Seq, Kind: o.Kind, Reference: o.Reference, Actor: o.Actor, At: desk.At(o.At), Moves: desk.Moves(&o)}
}

// postings returns every transaction of an order; they fit one answer.
func (a *api) postings(ctx context.Context, _ *desk.Call, in orderPath) (wire.Listing[postingView], error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return wire.Listing[postingView]{}, err
	}
	found, err := a.Orders.Postings(ctx, owner.Book, order.Number(in.OrderID))
	return desk.Page(found, viewPosting), err
}

type rowView struct {
	Currency       string `json:"currency"`
	Orders         int64  `json:"orders"`
	Codes          int64  `json:"codes"`
	Charged        string `json:"charged"`
	CodesReplaced  int64  `json:"codes_replaced"`
	CodesRefunded  int64  `json:"codes_refunded"`
	Refunded       string `json:"refunded"`
	CodesSold      int64  `json:"codes_sold"`
	WalletPaid     string `json:"wallet_paid"`
	WalletRefunded string `json:"wallet_refunded"`
	Revenue        string `json:"revenue"`
	Other          string `json:"other"`
}

type differenceView struct {
	Kind    string `json:"kind"`
	BookID  string `json:"book_id,omitzero"`
	OrderID int64  `json:"order_id,omitzero"`
	Subject string `json:"subject,omitzero"`
	Want    string `json:"want,omitzero"`
	Got     string `json:"got,omitzero"`
}

type reportView struct {
	Realm  string          `json:"realm"`
	Day    string          `json:"day"`
	MadeAt wire.TimeMillis `json:"made_at"`
	Rows   []rowView       `json:"rows"`
	// Found is how many differences there are; Differences lists the first of them.
	Found       int64            `json:"found"`
	Differences []differenceView `json:"differences"`
}

func viewRow(r report.Row) rowView {
	return rowView{Currency: r.Currency.String(), Orders: r.Orders, Codes: r.Codes, Charged: r.Charged.String(), CodesReplaced: r.CodesReplaced,
		CodesRefunded: r.CodesRefunded, Refunded: r.Refunded.String(), CodesSold: r.CodesSold, WalletPaid: r.WalletPaid.String(),
		WalletRefunded: r.WalletRefunded.String(), Revenue: r.Revenue.String(), Other: r.Other.String()}
}

func viewDifference(d report.Difference) differenceView {
	return differenceView{Kind: string(d.Kind), BookID: string(d.Book), OrderID: int64(d.Order), Subject: d.Subject, Want: d.Want, Got: d.Got}
}

type reportQuery struct {
	Day   string `query:"day" json:"-" wire:"required"`
	Realm string `query:"realm" json:"-"`
}

func (a *api) report(ctx context.Context, _ *desk.Call, in reportQuery) (reportView, error) {
	r, err := desk.RealmOrLive(in.Realm)
	if err != nil {
		return reportView{}, err
	}
	day, err := report.ParseDay(in.Day)
	if err != nil {
		return reportView{}, err
	}
	found, err := a.Reports.Find(ctx, r, day)
	return reportView{Realm: string(found.Realm), Day: string(found.Day), MadeAt: desk.At(found.MadeAt), Rows: desk.Page(found.Rows, viewRow).Data,
		Found: found.Found, Differences: desk.Page(found.Differences, viewDifference).Data}, err
}
