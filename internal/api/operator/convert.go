package operator

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
)

// What the rooms of this API share, under the names of this one.

func actor(c *call) string { return desk.Actor(c) }

func known(kind, prefix, text string) error { return desk.Known(kind, prefix, text) }

func (a *api) owner(ctx context.Context, book string) (account.Owner, error) {
	return a.desk.Owner(ctx, book)
}

func (a *api) customer(ctx context.Context, customer string) (account.Customer, error) {
	return a.desk.Customer(ctx, customer)
}

func realmOf(text string) (realm.Realm, error) { return desk.RealmOf(text) }

func invalid(field, format string, args ...any) error { return desk.Invalid(field, format, args...) }

func written(field, text string) (string, error) { return desk.Written(field, text) }

func at(t time.Time) wire.TimeMillis { return desk.At(t) }

// amountOf reads an amount in major units.
func amountOf(text, code string) (money.Amount, error) {
	currency, err := money.Parse(code)
	if err != nil {
		return money.Amount{}, fault.New(fault.UnknownCurrency, "currency must be an ISO 4217 code or BTC").At("currency")
	}
	amount, err := money.ParseAmount(text, currency)
	switch {
	case errors.Is(err, money.ErrPrecision):
		return money.Amount{}, fault.New(fault.InvalidAmount, "%s has %d decimals", currency, currency.Digits()).At("amount")
	case errors.Is(err, money.ErrRange):
		return money.Amount{}, fault.New(fault.InvalidAmount, "amount is too large").At("amount")
	case err != nil || !amount.IsPositive():
		return money.Amount{}, fault.New(fault.InvalidAmount, "amount must be a decimal string above zero").At("amount")
	}
	return amount, nil
}

type span struct {
	desk.Span
	after string
	limit int
}

// span opens the cursor of a list that scope names with its owner and filters.
func (a *api) span(q wire.CursorQuery, scope ...string) (span, error) {
	s, err := a.desk.Span(q, scope...)
	return span{s, s.After, s.Limit}, err
}

// number is after as a sequence number; 0 at the start.
func (s span) number() (int64, error) { return s.Number() }

func page[T, W any](rows []T, convert func(T) W) wire.Listing[W] { return desk.Page(rows, convert) }

func (a *api) more(s span, next string) string { return a.desk.More(s.Span, next) }

func cut[T any](rows []T, s span, place func(T) string) ([]T, string) {
	return desk.Cut(rows, s.Span, place)
}

func sequence(n int64) string { return strconv.FormatInt(n, 10) }

// What requests have in common. Path fields are embedded.

type customerPath struct {
	CustomerID string `path:"customer_id" json:"-"`
}

type bookPath struct {
	BookID string `path:"book_id" json:"-"`
}

type bookList struct {
	bookPath
	wire.CursorQuery
}

type (
	reasoned = desk.Reasoned
	duration = desk.Duration
)
