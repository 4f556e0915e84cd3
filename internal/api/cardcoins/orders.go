package cardcoins

import (
	"context"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/cashout"
)

func (a *api) tickers(ctx context.Context, _ *call, _ wire.None) (tickersAnswer, error) {
	q, err := a.Orders.Quote(ctx, a.Realm)
	bitcoin := currency{Name: cashout.Bitcoin, Symbol: symbol, PriceUSD: q.Price.Cents.Minor, Enabled: q.Open}
	return tickersAnswer{Currencies: []currency{bitcoin}, LastUpdatedAt: wire.TimeMillis(q.Price.At), UpdateFrequency: frequency}, err
}

func (a *api) limits(ctx context.Context, _ *call, _ wire.None) (limitsAnswer, error) {
	q, err := a.Orders.Quote(ctx, a.Realm)
	return viewTiers(&q.Tiers), err
}

func (a *api) create(ctx context.Context, _ *call, in newOrder) (createdAnswer, error) {
	_, token, err := a.Orders.Create(ctx, cashout.Opening{Realm: a.Realm, Amount: int64(*in.Amount), Currency: in.Currency,
		Contact: cashout.Contact{Phone: in.PhoneNumber, Address: in.Address, Invoice: in.LNInvoice}})
	return createdAnswer{token.Reveal()}, err
}

func (a *api) get(ctx context.Context, c *call, in orderPath) (orderAnswer, error) {
	v, err := a.Orders.View(ctx, a.Realm, in.OrderID)
	return viewOrder(&v), a.guessed(ctx, c, err)
}

func (a *api) update(ctx context.Context, c *call, in orderChange) (createdAnswer, error) {
	err := a.Orders.Change(ctx, a.Realm, in.OrderID, cashout.Contact{Phone: in.PhoneNumber, Address: in.Address, Invoice: in.LNInvoice})
	return createdAnswer{in.OrderID.Reveal()}, a.guessed(ctx, c, err)
}

func (a *api) sendCode(ctx context.Context, c *call, in codeRequest) (wire.None, error) {
	err := a.Orders.SendCode(ctx, cashout.Dispatch{Realm: a.Realm, Token: in.OrderID, Phone: in.PhoneNumber, Voice: bool(in.Call), Captcha: in.RecaptchaResponse, From: c.From})
	return wire.None{}, a.guessed(ctx, c, err)
}

func (a *api) enterCode(ctx context.Context, c *call, in codeEntry) (wire.None, error) {
	err := a.Orders.EnterCode(ctx, cashout.Entry{Realm: a.Realm, Token: in.OrderID, Phone: in.PhoneNumber, Code: in.VerificationCode.Secret, Captcha: in.RecaptchaResponse, From: c.From})
	return wire.None{}, a.guessed(ctx, c, err)
}

func (a *api) payment(ctx context.Context, c *call, in paymentDetails) (wire.None, error) {
	err := a.Orders.Authorize(ctx, cashout.Where{Realm: a.Realm, Token: in.OrderID, Contact: cashout.Contact{Address: in.Address, Invoice: in.LNInvoice},
		First: in.FirstName, Last: in.LastName})
	return wire.None{}, a.guessed(ctx, c, err)
}

func (a *api) presign(ctx context.Context, c *call, in newImage) (uploadForm, error) {
	f, err := a.Orders.Presign(ctx, cashout.Picture{Realm: a.Realm, Token: in.OrderID, Kind: in.ImageType, Name: in.FileName, Size: int64(in.FileSize)})
	return a.viewForm(c, &f), a.guessed(ctx, c, err)
}

func (a *api) verify(ctx context.Context, c *call, in orderPath) (wire.None, error) {
	return wire.None{}, a.guessed(ctx, c, a.Orders.Submit(ctx, a.Realm, in.OrderID))
}
