package code

import (
	"context"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/wallet"
)

func (a *api) bookRoutes(s *surface) {
	const signer, alert = "/books/{book_id}/signer", "/books/{book_id}/alerts/{currency}"
	set, remove := put("alerts.set", alert, maxItem), desk.Remove("alerts.delete", alert)
	set.Scope, remove.Scope = desk.Assist, desk.Assist
	wire.Handle(s, desk.Get("signers.get", signer), a.getSigner)
	wire.Handle(s, put("signers.set", signer, maxItem), a.setSigner)
	wire.Handle(s, desk.Remove("signers.delete", signer), a.deleteSigner)
	wire.Handle(s, desk.Get("alerts.list", "/books/{book_id}/alerts"), a.listAlerts)
	wire.Handle(s, set, a.setAlert)
	wire.Handle(s, remove, a.deleteAlert)
}

type bookPath struct {
	BookID string `path:"book_id" json:"-"`
}

type signerView struct {
	BookID      string          `json:"book_id"`
	PublicKey   string          `json:"public_key"`
	Fingerprint string          `json:"fingerprint"`
	ChangedAt   wire.TimeMillis `json:"changed_at"`
}

func viewSigner(s account.Signer) signerView {
	return signerView{BookID: string(s.Book), PublicKey: s.PublicKey, Fingerprint: s.Fingerprint, ChangedAt: desk.At(s.ChangedAt)}
}

func (a *api) getSigner(ctx context.Context, _ *call, in bookPath) (signerView, error) {
	owner, err := a.Desk.Owner(ctx, in.BookID)
	if err != nil {
		return signerView{}, err
	}
	found, signs, err := a.Desk.Accounts.FindSigner(ctx, owner.Book)
	if err == nil && !signs {
		err = fault.New(fault.NotFound, "the requests of this book need no signature")
	}
	return viewSigner(found), err
}

type newSigner struct {
	bookPath
	PublicKey string `json:"public_key" wire:"required"`
}

func (a *api) setSigner(ctx context.Context, c *call, in newSigner) (signerView, error) {
	owner, err := a.Desk.Owner(ctx, in.BookID)
	if err != nil {
		return signerView{}, err
	}
	made, err := a.Desk.Accounts.SetSigner(ctx, desk.Actor(c), owner.Book, in.PublicKey)
	return viewSigner(made), err
}

func (a *api) deleteSigner(ctx context.Context, c *call, in bookPath) (wire.None, error) {
	owner, err := a.Desk.Owner(ctx, in.BookID)
	if err == nil {
		_, err = a.Desk.Accounts.SetSigner(ctx, desk.Actor(c), owner.Book, "")
	}
	return wire.None{}, err
}

type alertView struct {
	BookID    string          `json:"book_id"`
	Currency  string          `json:"currency"`
	Threshold string          `json:"threshold"`
	Actor     string          `json:"actor"`
	ChangedAt wire.TimeMillis `json:"changed_at"`
}

func viewAlert(w wallet.Alert) alertView {
	return alertView{BookID: string(w.Book), Currency: w.Threshold.Currency.String(), Threshold: w.Threshold.String(), Actor: w.Actor, ChangedAt: desk.At(w.ChangedAt)}
}

func (a *api) listAlerts(ctx context.Context, _ *call, in bookPath) (wire.Listing[alertView], error) {
	owner, err := a.Desk.Owner(ctx, in.BookID)
	if err != nil {
		return wire.Listing[alertView]{}, err
	}
	found, err := a.Alerts.List(ctx, owner.Book)
	if err != nil {
		return wire.Listing[alertView]{}, err
	}
	return desk.Page(found, viewAlert), nil
}

type alertPath struct {
	bookPath
	Currency string `path:"currency" json:"-"`
}

// wallet returns the alert of a path, at zero.
func (a *api) wallet(ctx context.Context, c *call, in alertPath) (wallet.Alert, error) {
	owner, err := a.Desk.Owner(ctx, in.BookID)
	if err != nil {
		return wallet.Alert{}, err
	}
	currency, err := money.Parse(in.Currency)
	if err != nil {
		return wallet.Alert{}, fault.New(fault.NotFound, "no such currency").At("currency")
	}
	return wallet.Alert{Book: owner.Book, Realm: owner.Realm, Threshold: money.New(0, currency), Actor: desk.Actor(c)}, nil
}

type newAlert struct {
	alertPath
	Threshold string `json:"threshold" wire:"required"`
}

func (a *api) setAlert(ctx context.Context, c *call, in newAlert) (alertView, error) {
	alert, err := a.wallet(ctx, c, in.alertPath)
	if err != nil {
		return alertView{}, err
	}
	alert.Threshold, err = amountAt("threshold", in.Threshold, alert.Threshold.Currency)
	switch {
	case err != nil:
		return alertView{}, err
	case !alert.Threshold.IsPositive():
		return alertView{}, fault.New(fault.InvalidAmount, "the threshold must be above zero").At("threshold")
	}
	set, err := a.Alerts.SetAlert(ctx, alert)
	return viewAlert(set), err
}

func (a *api) deleteAlert(ctx context.Context, c *call, in alertPath) (wire.None, error) {
	alert, err := a.wallet(ctx, c, in)
	if err == nil {
		_, err = a.Alerts.SetAlert(ctx, alert)
	}
	return wire.None{}, err
}
