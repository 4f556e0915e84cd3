// Package issuing is the operator API's routes about virtual cards, below /operator/v1:
// BINs, cards of any customer, cardholders and spending tiers.
//
// It is a part of the dialect operator, which registers it and lends it what all its
// routes have in common. It holds no rule about money or cards, and it never shows a
// card's number: operators have no call for that.
package issuing

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

type (
	call    = wire.Call[account.Operator]
	surface = wire.Surface[account.Operator]
)

// Dialect is what the routes share with the rest of the operator API.
type Dialect struct {
	Cards    *issuing.Service
	Accounts *account.Service
	Cursors  *wire.Cursors
	// Kept returns what stores a call's answer within the product's own transaction.
	Kept func(c *wire.Call[account.Operator], out any) ([]storage.Effect, error)
	// Raced says what the error of a repeatable call means, which another process may
	// have answered.
	Raced func(ctx context.Context, c *wire.Call[account.Operator], err error) error
}

type api struct{ Dialect }

const base = "/operator/v1"

// The duties that routes ask for, as the kit's scopes.
const (
	read       = string(account.DutyRead)
	assist     = string(account.DutyAssist)
	administer = string(account.DutyAdminister)
)

// Register adds the routes to the dialect.
func Register(s *wire.Surface[account.Operator], d Dialect) {
	a := &api{d}
	get := func(name, path string) wire.Spec {
		return wire.Spec{Name: name, Method: http.MethodGet, Path: base + path, Scope: read}
	}
	// What changes something can be repeated under an Idempotency-Key.
	once := func(name, target, duty string) wire.Spec {
		method, path := cut(target)
		return wire.Spec{Name: name, Method: method, Path: base + path, Scope: duty, Idempotent: true}
	}
	const card, person = "/books/{book_id}/cards/{card_id}", "/books/{book_id}/cardholders/{cardholder_id}"
	wire.Handle(s, get("bins.list", "/bins"), a.listBINs)
	wire.Handle(s, once("bins.put", "PUT /bins/{bin_id}", administer), a.putBIN)
	wire.Handle(s, get("tiers.list", "/tiers"), a.listTiers)
	wire.Handle(s, once("tiers.put", "PUT /tiers/{tier}", administer), a.putTier)
	find := once("cards.find", "POST /cards/find", read)
	find.Idempotent = false
	wire.Handle(s, find, a.findCard)
	wire.Handle(s, get("cards.list", "/books/{book_id}/cards"), a.listCards)
	wire.Handle(s, get("cards.get", card), a.getCard)
	wire.Handle(s, once("cards.change", "PATCH "+card, assist), a.changeCard)
	wire.Handle(s, once("cards.freeze", "POST "+card+"/freeze", assist), a.freezeCard)
	wire.Handle(s, once("cards.unfreeze", "POST "+card+"/unfreeze", assist), a.unfreezeCard)
	wire.Handle(s, once("cards.replace", "POST "+card+"/replace", assist), a.replaceCard)
	wire.Handle(s, once("cards.terminate", "POST "+card+"/terminate", assist), a.terminateCard)
	made := once("cardholders.create", "POST /books/{book_id}/cardholders", assist)
	made.Status = http.StatusCreated
	wire.Handle(s, made, a.createPerson)
	wire.Handle(s, get("cardholders.list", "/books/{book_id}/cardholders"), a.listPersons)
	wire.Handle(s, get("cardholders.get", person), a.getPerson)
	wire.Handle(s, once("cardholders.judge", "POST "+person+"/judge", assist), a.judgePerson)
}

// cut splits "PUT /bins" into its method and path.
func cut(target string) (method, path string) {
	for i := range len(target) {
		if target[i] == ' ' {
			return target[:i], target[i+1:]
		}
	}
	return target, ""
}

// storing keeps the answer that view makes of a change, in the change's own transaction.
func storing[T, W any](a *api, c *call, view func(T) W) func(T) ([]storage.Effect, error) {
	return func(changed T) ([]storage.Effect, error) { return a.Kept(c, view(changed)) }
}

func actor(c *call) string { return string(c.Principal.ID) }

func invalid(field, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At(field)
}

func unknown(kind string) error { return fault.New(fault.NotFound, "no such %s", kind) }

// holder returns on whose book an operator acts, or not_found.
func (a *api) holder(ctx context.Context, c *call, book string) (issuing.Holder, error) {
	if !id.Valid("bk", book) {
		return issuing.Holder{}, unknown("book")
	}
	owner, err := a.Accounts.FindOwner(ctx, ledger.BookID(book))
	return issuing.Holder{Book: owner.Book, Realm: owner.Realm, Actor: actor(c), Operator: true}, err
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

func at(t time.Time) wire.TimeMillis { return wire.TimeMillis(t) }

// listed is an empty list where there is none.
func listed[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// page turns rows into the wire's list.
func page[T, W any](rows []T, convert func(T) W) wire.Listing[W] {
	list := wire.Listing[W]{Data: make([]W, 0, len(rows))}
	for _, row := range rows {
		list.Data = append(list.Data, convert(row))
	}
	return list
}

// Page sizes of every list.
const (
	defaultLimit = 50
	maxLimit     = 100
)

// span is the part of a list that a request asks for. after is empty at the start.
type span struct {
	scope, after string
	limit        int
}

func (a *api) span(q wire.CursorQuery, scope string) (span, error) {
	limit, err := q.Size(defaultLimit, maxLimit)
	if err != nil {
		return span{}, err
	}
	s := span{scope: scope, limit: limit}
	values, err := a.Cursors.Open(scope, q.Cursor, 1)
	if len(values) > 0 {
		s.after = values[0]
	}
	return s, err
}

// number is after as a count of what came before; 0 at the start.
func (s span) number() (int, error) {
	if s.after == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s.after)
	if err != nil {
		return 0, fault.New(fault.InvalidCursor, "the cursor is not valid for this list").At("cursor")
	}
	return n, nil
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
	return page(all, viewTier), err
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
	put, err := a.Cards.Cardholders.PutTier(ctx, cardholder.TierChange{Actor: actor(c), Also: storing(a, c, viewTier),
		Tier: cardholder.Tier{Name: in.Tier, Currency: currency, Limits: limits, MaxCards: in.MaxCards}})
	return viewTier(put), a.Raced(ctx, c, err)
}
