package cashout

import (
	"context"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/platform/storage"
)

type payoutPath struct {
	BookID   string `path:"book_id" json:"-"`
	PayoutID string `path:"payout_id" json:"-"`
}

type payoutView struct {
	PayoutID      string          `json:"payout_id"`
	BookID        string          `json:"book_id"`
	Realm         string          `json:"realm"`
	Reference     string          `json:"reference,omitzero"`
	Status        string          `json:"status"`
	Reason        string          `json:"reason,omitzero"`
	Kind          string          `json:"kind"`
	Destination   string          `json:"destination"`
	Amount        string          `json:"amount"`
	Fee           string          `json:"fee"`
	Currency      string          `json:"currency"`
	TxID          string          `json:"txid,omitzero"`
	PaymentHash   string          `json:"payment_hash,omitzero"`
	Preimage      string          `json:"preimage,omitzero"`
	TransactionID string          `json:"transaction_id,omitzero"`
	CreatedAt     wire.TimeMillis `json:"created_at"`
	ChangedAt     wire.TimeMillis `json:"changed_at"`
	EndedAt       wire.TimeMillis `json:"ended_at,omitzero"`
}

func viewPayout(p payout.Payout) payoutView {
	return payoutView{PayoutID: string(p.ID), BookID: string(p.Book), Realm: string(p.Realm), Reference: p.Reference, Status: string(p.State),
		Reason: string(p.Reason), Kind: string(p.To.Kind), Destination: p.To.Text, Amount: p.Amount.String(), Fee: p.Fee.String(),
		Currency: p.Amount.Currency.String(), TxID: p.TxID, PaymentHash: p.Hash, Preimage: p.Preimage, TransactionID: string(p.Transaction),
		CreatedAt: desk.At(p.CreatedAt), ChangedAt: desk.At(p.ChangedAt), EndedAt: desk.At(p.EndedAt)}
}

func (a *api) payout(ctx context.Context, _ *desk.Call, in payoutPath) (payoutView, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return payoutView{}, err
	}
	found, err := a.Payouts.Find(ctx, owner.Book, payout.ID(in.PayoutID))
	return viewPayout(found), err
}

func (a *api) cancelPayout(ctx context.Context, c *desk.Call, in payoutPath) (payoutView, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return payoutView{}, err
	}
	done, err := a.Payouts.Cancel(ctx, payout.Cancellation{Actor: desk.Actor(c), Book: owner.Book, Payout: payout.ID(in.PayoutID),
		Also: func(p payout.Payout) ([]storage.Effect, error) { return a.desk.Kept(c, viewPayout(p)) }})
	return viewPayout(done), a.desk.Raced(ctx, c, err)
}

type differenceView struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	Want    string `json:"want,omitzero"`
	Got     string `json:"got,omitzero"`
}

type dayView struct {
	Realm    string          `json:"realm"`
	Day      string          `json:"day"`
	MadeAt   wire.TimeMillis `json:"made_at"`
	Payments int64           `json:"payments"`
	// Found is how many differences there are; of one day Differences lists the first of them.
	Found       int64            `json:"found"`
	Differences []differenceView `json:"differences"`
}

func viewDay(r payout.Reconciliation) dayView {
	return dayView{Realm: string(r.Realm), Day: r.Day, MadeAt: desk.At(r.MadeAt), Payments: r.Payments, Found: r.Found,
		Differences: desk.Page(r.Differences, func(d payout.Difference) differenceView {
			return differenceView{Kind: string(d.Kind), Subject: d.Subject, Want: d.Want, Got: d.Got}
		}).Data}
}

// maxDays bounds the days that are listed.
const maxDays = 366

// days lists the newest days, without their differences.
func (a *api) days(ctx context.Context, _ *desk.Call, in realmQuery) (wire.Listing[dayView], error) {
	r, err := desk.RealmOrLive(in.Realm)
	if err != nil {
		return wire.Listing[dayView]{}, err
	}
	found, err := a.Payouts.Reconciliations(ctx, r, maxDays)
	return desk.Page(found, viewDay), err
}

type dayQuery struct {
	Day   string `path:"day" json:"-"`
	Realm string `query:"realm" json:"-"`
}

func (a *api) day(ctx context.Context, _ *desk.Call, in dayQuery) (dayView, error) {
	r, err := desk.RealmOrLive(in.Realm)
	if err != nil {
		return dayView{}, err
	}
	found, err := a.Payouts.FindReconciliation(ctx, r, in.Day)
	return viewDay(found), err
}

type dayBody struct {
	Realm string `json:"realm" wire:"required"`
	Day   string `json:"day" wire:"required"`
}

// reconcile asks the nodes again, in place of what was found before.
func (a *api) reconcile(ctx context.Context, c *desk.Call, in dayBody) (dayView, error) {
	r, err := desk.RealmOf(in.Realm)
	if err != nil {
		return dayView{}, err
	}
	if _, err := payout.ParseDay(in.Day); err != nil { // nothing else is recorded
		return dayView{}, err
	}
	err = a.desk.Record(ctx, c, audit.Record{Action: "payout.reconcile", Subject: string(r) + "/" + in.Day, At: a.desk.Clocks.Now(r)})
	if err != nil {
		return dayView{}, err
	}
	found, err := a.Payouts.Reconcile(ctx, r, in.Day)
	return viewDay(found), err
}
