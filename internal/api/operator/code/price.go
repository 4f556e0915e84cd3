package code

import (
	"context"
	"sort"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

func (a *api) priceRoutes(s *surface) {
	const prices, price = "/catalog/prices", "/catalog/prices/{rule_id}"
	wire.Handle(s, desk.Created(desk.Post("prices.create", prices, desk.Administer)), a.createPrice)
	wire.Handle(s, desk.Get("prices.list", prices), a.listPrices)
	wire.Handle(s, desk.Get("prices.get", price), a.getPrice)
	wire.Handle(s, desk.Remove("prices.end", price), a.endPrice)
	wire.Handle(s, desk.Get("tiers.list", "/catalog/tiers"), a.listTiers)
	wire.Handle(s, desk.Get("tiers.get", "/customers/{customer_id}/tier"), a.getTier)
	wire.Handle(s, put("tiers.set", "/customers/{customer_id}/tier", maxItem), a.setTier)
}

type ruleView struct {
	RuleID     string          `json:"rule_id"`
	CustomerID string          `json:"customer_id,omitzero"`
	Tier       string          `json:"tier,omitzero"`
	ItemCode   string          `json:"item_code,omitzero"`
	Brand      string          `json:"brand,omitzero"`
	Basis      string          `json:"basis"`
	Percent    string          `json:"percent,omitzero"`
	Amount     string          `json:"amount,omitzero"`
	Currency   string          `json:"currency,omitzero"`
	Priority   int             `json:"priority"`
	From       wire.TimeMillis `json:"from,omitzero"`
	Until      wire.TimeMillis `json:"until,omitzero"`
	Revision   int64           `json:"revision"`
	Actor      string          `json:"actor"`
	ChangedAt  wire.TimeMillis `json:"changed_at"`
}

// hundredths is a currency of two digits: how percentages are written, too.
const hundredths = money.USD

func viewRule(r catalog.Rule) ruleView {
	v := ruleView{RuleID: string(r.ID), CustomerID: string(r.Customer), Tier: r.Tier, ItemCode: string(r.Item), Brand: r.Brand, Basis: string(r.Basis),
		Priority: r.Priority, From: desk.At(r.From), Until: desk.At(r.Until), Revision: r.Revision, Actor: r.Actor, ChangedAt: desk.At(r.At)}
	if r.Basis == catalog.Fixed {
		v.Amount, v.Currency = r.Amount.String(), r.Amount.Currency.String()
	} else {
		v.Percent = money.New(r.Percent, hundredths).String()
	}
	return v
}

type newRule struct {
	CustomerID string     `json:"customer_id"`
	Tier       string     `json:"tier" wire:"max=32"`
	ItemCode   string     `json:"item_code" wire:"max=64"`
	Brand      string     `json:"brand" wire:"max=100"`
	Basis      string     `json:"basis" wire:"required"`
	Percent    string     `json:"percent"`
	Amount     string     `json:"amount"`
	Currency   string     `json:"currency"`
	Priority   int        `json:"priority"`
	From       wire.Since `json:"from"`
	Until      wire.Since `json:"until"`
}

// rule reads what the product's own rules then judge.
func (in *newRule) rule() (catalog.Rule, error) {
	r := catalog.Rule{Customer: account.CustomerID(in.CustomerID), Tier: in.Tier, Item: catalog.ItemCode(in.ItemCode), Brand: in.Brand, Basis: catalog.Basis(in.Basis),
		Priority: in.Priority, From: in.From.Time(), Until: in.Until.Time()}
	var err error
	if in.Percent != "" {
		if r.Percent, err = money.ParsePercent(in.Percent); err != nil {
			return r, desk.Invalid("percent", "percent must be a decimal string with at most two decimals, such as 98 or 97.5")
		}
	}
	if in.Amount == "" {
		return r, nil
	}
	currency, err := money.Parse(in.Currency)
	if err != nil {
		return r, fault.New(fault.UnknownCurrency, "currency must be an ISO 4217 code or BTC").At("currency")
	}
	amount, err := amountAt("amount", in.Amount, currency)
	r.Amount = catalog.Charged{Amount: amount}
	return r, err
}

func (a *api) createPrice(ctx context.Context, c *call, in newRule) (ruleView, error) {
	r, err := in.rule()
	if err == nil && in.CustomerID != "" {
		_, err = a.Desk.Customer(ctx, in.CustomerID)
	}
	if err != nil {
		return ruleView{}, err
	}
	r.Also = desk.Storing(a.Desk, c, viewRule)
	made, err := a.Catalog.PutPrice(ctx, r, desk.Actor(c))
	return viewRule(made), a.Desk.Raced(ctx, c, err)
}

func (a *api) listPrices(ctx context.Context, _ *call, in struct{ wire.CursorQuery }) (wire.Listing[ruleView], error) {
	s, err := a.Desk.Span(in.CursorQuery, "prices")
	if err != nil {
		return wire.Listing[ruleView]{}, err
	}
	all := a.Catalog.Prices(ctx)
	first := sort.Search(len(all), func(i int) bool { return string(all[i].ID) > s.After })
	shown, next := desk.Cut(all[first:], s, func(r catalog.Rule) string { return string(r.ID) })
	list := desk.Page(shown, viewRule)
	list.NextCursor = a.Desk.More(s, next)
	return list, nil
}

type rulePath struct {
	RuleID string `path:"rule_id" json:"-"`
}

func (a *api) getPrice(ctx context.Context, _ *call, in rulePath) (ruleView, error) {
	found, err := a.Catalog.FindPrice(ctx, catalog.RuleID(in.RuleID))
	return viewRule(found), err
}

func (a *api) endPrice(ctx context.Context, c *call, in rulePath) (wire.None, error) {
	return wire.None{}, a.Catalog.RemovePrice(ctx, catalog.RuleID(in.RuleID), desk.Actor(c))
}

type customerPath struct {
	CustomerID string `path:"customer_id" json:"-"`
}

type tierView struct {
	CustomerID string `json:"customer_id"`
	Tier       string `json:"tier"`
}

func (a *api) listTiers(ctx context.Context, _ *call, in struct{ wire.CursorQuery }) (wire.Listing[tierView], error) {
	s, err := a.Desk.Span(in.CursorQuery, "tiers")
	if err != nil {
		return wire.Listing[tierView]{}, err
	}
	all := a.Catalog.Members(ctx)
	first := sort.Search(len(all), func(i int) bool { return string(all[i].Customer) > s.After })
	shown, next := desk.Cut(all[first:], s, func(m catalog.Member) string { return string(m.Customer) })
	list := desk.Page(shown, func(m catalog.Member) tierView { return tierView{string(m.Customer), m.Tier} })
	list.NextCursor = a.Desk.More(s, next)
	return list, nil
}

func (a *api) getTier(ctx context.Context, _ *call, in customerPath) (tierView, error) {
	customer, err := a.Desk.Customer(ctx, in.CustomerID)
	return tierView{string(customer.ID), a.Catalog.Tier(customer.ID)}, err
}

type tierChange struct {
	customerPath
	Tier string `json:"tier" wire:"max=32"`
}

func (a *api) setTier(ctx context.Context, c *call, in tierChange) (tierView, error) {
	customer, err := a.Desk.Customer(ctx, in.CustomerID)
	if err == nil {
		err = a.Catalog.SetTier(ctx, customer.ID, in.Tier, desk.Actor(c))
	}
	return tierView{string(customer.ID), in.Tier}, err
}
