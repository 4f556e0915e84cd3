// Package issuing is the room of the operator API for virtual cards: BINs, cards of any
// customer, cardholders and spending tiers, whom customers want asked about payments,
// statements, and disputes.
//
// It translates, and holds no rule about money or cards. It must never show a card's
// number: operators have no call for that.
package issuing

import (
	"context"
	"net/http"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization/decision"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/issuing/statement"
)

type call = desk.Call

// Deps is what the room stands on.
type Deps struct {
	Cards      *issuing.Service
	Deciders   *decision.Service
	Statements *statement.Service
	Disputes   *dispute.Service
}

type api struct {
	Deps
	desk *desk.Desk
}

// Routes adds the room's calls to the operator API.
func Routes(s *desk.Surface, d *desk.Desk, deps Deps) {
	a := &api{deps, d}
	const decider = "/books/{book_id}/decider"
	wire.Handle(s, put("deciders.put", decider), a.putDecider)
	wire.Handle(s, desk.Get("deciders.get", decider), a.getDecider)
	wire.Handle(s, desk.Remove("deciders.delete", decider), a.removeDecider)
	const card, person = "/books/{book_id}/cards/{card_id}", "/books/{book_id}/cardholders/{cardholder_id}"
	a.statementRoutes(s, card)
	a.disputeRoutes(s)
	wire.Handle(s, desk.Get("bins.list", "/bins"), a.listBINs)
	wire.Handle(s, put("bins.put", "/bins/{bin_id}"), a.putBIN)
	wire.Handle(s, desk.Get("spending_tiers.list", "/spending-tiers"), a.listTiers)
	wire.Handle(s, put("spending_tiers.put", "/spending-tiers/{tier}"), a.putTier)
	wire.Handle(s, desk.Post("cards.find", "/cards/find", desk.Read), a.findCard)
	wire.Handle(s, desk.Created(desk.Post("cards.issue", "/books/{book_id}/cards", desk.Assist)), a.issueCard)
	wire.Handle(s, desk.Get("cards.list", "/books/{book_id}/cards"), a.listCards)
	wire.Handle(s, desk.Get("cards.get", card), a.getCard)
	wire.Handle(s, desk.Once(desk.Patch("cards.change", card, desk.Assist)), a.changeCard)
	wire.Handle(s, desk.Once(desk.Post("cards.freeze", card+"/freeze", desk.Assist)), a.freezeCard)
	wire.Handle(s, desk.Once(desk.Post("cards.unfreeze", card+"/unfreeze", desk.Assist)), a.unfreezeCard)
	wire.Handle(s, desk.Once(desk.Post("cards.replace", card+"/replace", desk.Assist)), a.replaceCard)
	wire.Handle(s, desk.Once(desk.Post("cards.terminate", card+"/terminate", desk.Assist)), a.terminateCard)
	wire.Handle(s, desk.Created(desk.Post("cardholders.create", "/books/{book_id}/cardholders", desk.Assist)), a.createPerson)
	wire.Handle(s, desk.Get("cardholders.list", "/books/{book_id}/cardholders"), a.listPersons)
	wire.Handle(s, desk.Get("cardholders.get", person), a.getPerson)
	wire.Handle(s, desk.Once(desk.Post("cardholders.judge", person+"/judge", desk.Assist)), a.judgePerson)
}

// put is the spec of a call that adds or replaces what its path names.
func put(name, path string) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodPut, Path: desk.Base + path, Scope: desk.Administer, Idempotent: true}
}

// holder returns on whose book an operator acts, or not_found.
func (a *api) holder(ctx context.Context, c *call, book string) (issuing.Holder, error) {
	owner, err := a.desk.Owner(ctx, book)
	return issuing.Holder{Book: owner.Book, Realm: owner.Realm, Actor: desk.Actor(c), Operator: true}, err
}

// amountOf reads an amount of zero or more in major units.
func amountOf(field, text string, currency money.Currency) (money.Amount, error) {
	amount, err := money.ParseAmount(text, currency)
	if err != nil {
		return money.Amount{}, fault.New(fault.InvalidAmount, "want an amount such as 250.00, in %s", currency).At(field)
	}
	return amount, nil
}

func currencyOf(code string) (money.Currency, error) {
	currency, err := money.Parse(code)
	if err != nil {
		return currency, fault.New(fault.UnknownCurrency, "want the ISO 4217 code of a currency").At("currency")
	}
	return currency, nil
}

type bookPath struct {
	BookID string `path:"book_id" json:"-"`
}

// limitView is what may be spent, or how often, within a window.
type limitView struct {
	Window string `json:"window" wire:"required"`
	// Amount is absent where only payments are counted.
	Amount string `json:"amount,omitzero" wire:"max=64"`
	Count  int64  `json:"count,omitzero"`
}

func viewLimits(limits []spending.Limit) []limitView {
	views := make([]limitView, len(limits))
	for i, l := range limits {
		views[i] = limitView{Window: string(l.Window), Count: l.Count}
		if !l.Amount.IsZero() {
			views[i].Amount = l.Amount.String()
		}
	}
	return views
}

func limitsOf(views []limitView, currency money.Currency) ([]spending.Limit, error) {
	limits := make([]spending.Limit, len(views))
	for i, v := range views {
		limits[i] = spending.Limit{Window: spending.Window(v.Window), Amount: money.New(0, currency), Count: v.Count}
		if v.Amount == "" {
			continue
		}
		var err error
		if limits[i].Amount, err = amountOf("limits", v.Amount, currency); err != nil {
			return nil, err
		}
	}
	return limits, nil
}

// tierView is a spending tier.
type tierView struct {
	Tier     string      `json:"tier"`
	Currency string      `json:"currency"`
	Limits   []limitView `json:"limits"`
	MaxCards int64       `json:"max_cards"`
}

func viewTier(t cardholder.Tier) tierView {
	return tierView{Tier: t.Name, Currency: t.Currency.String(), Limits: viewLimits(t.Limits), MaxCards: t.MaxCards}
}

func (a *api) listTiers(ctx context.Context, _ *call, _ struct{}) (wire.Listing[tierView], error) {
	all, err := a.Cards.Cardholders.Tiers(ctx)
	return desk.Page(all, viewTier), err
}

type tierChange struct {
	Tier     string      `path:"tier" json:"-"`
	Currency string      `json:"currency" wire:"required"`
	Limits   []limitView `json:"limits"`
	MaxCards int64       `json:"max_cards"`
}

func (a *api) putTier(ctx context.Context, c *call, in tierChange) (tierView, error) {
	currency, err := currencyOf(in.Currency)
	if err != nil {
		return tierView{}, err
	}
	limits, err := limitsOf(in.Limits, currency)
	if err != nil {
		return tierView{}, err
	}
	put, err := a.Cards.Cardholders.PutTier(ctx, cardholder.TierChange{Actor: desk.Actor(c), Also: desk.Storing(a.desk, c, viewTier),
		Tier: cardholder.Tier{Name: in.Tier, Currency: currency, Limits: limits, MaxCards: in.MaxCards}})
	return viewTier(put), a.desk.Raced(ctx, c, err)
}
