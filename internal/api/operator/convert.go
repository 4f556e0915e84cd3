package operator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// actor is who does what a call asks for.
func actor(c *call) string { return string(c.Principal.ID) }

// known refuses a text that cannot be the id of anything, without repeating it.
func known(kind, prefix, text string) error {
	if id.Valid(prefix, text) {
		return nil
	}
	return fault.New(fault.NotFound, "no such %s", kind)
}

// owner returns whose a book is, or not_found.
func (a *api) owner(ctx context.Context, book string) (account.Owner, error) {
	if err := known("book", "bk", book); err != nil {
		return account.Owner{}, err
	}
	return a.Accounts.FindOwner(ctx, ledger.BookID(book))
}

// customer returns a customer, or not_found.
func (a *api) customer(ctx context.Context, customer string) (account.Customer, error) {
	if err := known("customer", "cus", customer); err != nil {
		return account.Customer{}, err
	}
	return a.Accounts.FindCustomer(ctx, account.CustomerID(customer))
}

func realmOf(text string) (realm.Realm, error) {
	r, err := realm.Parse(text)
	if err != nil {
		return "", invalid("realm", "the realm must be live or test")
	}
	return r, nil
}

func invalid(field, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At(field)
}

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
	case err != nil || !amount.IsPositive():
		return money.Amount{}, fault.New(fault.InvalidAmount, "amount must be a decimal string above zero").At("amount")
	}
	return amount, nil
}

// written checks a text that goes into the audit log, which refuses what looks like
// a card number or another secret.
func written(field, text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "" || strings.ContainsFunc(text, unicode.IsControl):
		return "", invalid(field, "%s must be printable text", field)
	case audit.Clean(text) != text:
		return "", invalid(field, "%s looks like it holds a card number or another secret", field)
	}
	return text, nil
}

// networksOf reads the addresses from which a key works. The audit log keeps them in one detail.
func networksOf(texts []string) (account.Networks, error) {
	networks, err := account.ParseNetworks(texts)
	if err == nil && audit.Clean(networks.String()) != networks.String() {
		err = invalid("networks", "the networks are too long for the audit log")
	}
	return networks, err
}

// record appends to the audit log what is about to be done to a book where no product does.
func (a *api) record(ctx context.Context, c *call, r audit.Record) error {
	r.Actor = actor(c)
	r.Subject = audit.Clean(r.Subject)
	for name, value := range r.Detail {
		r.Detail[name] = audit.Clean(value)
	}
	return a.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return a.Audit.Append(ctx, tx, r) })
}

// Page sizes of every list.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// span is the part of a list that a request asks for. after is empty at the start.
type span struct {
	scope string
	after string
	limit int
}

// span opens the cursor of a list that scope names with its owner and filters.
func (a *api) span(q wire.CursorQuery, scope ...string) (span, error) {
	limit, err := q.Size(defaultLimit, maxLimit)
	if err != nil {
		return span{}, err
	}
	s := span{scope: strings.Join(scope, "\x00"), limit: limit}
	values, err := a.cursors.Open(s.scope, q.Cursor, 1)
	if len(values) > 0 {
		s.after = values[0]
	}
	return s, err
}

// number is after as a sequence number; 0 at the start.
func (s span) number() (int64, error) {
	if s.after == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s.after, 10, 64)
	if err != nil {
		return 0, fault.New(fault.InvalidCursor, "the cursor is not valid for this list").At("cursor")
	}
	return n, nil
}

// page turns rows into the wire's list.
func page[T, W any](rows []T, convert func(T) W) wire.Listing[W] {
	list := wire.Listing[W]{Data: make([]W, 0, len(rows))}
	for _, row := range rows {
		list.Data = append(list.Data, convert(row))
	}
	return list
}

// more seals the place after which a list goes on; empty at its end.
func (a *api) more(s span, next string) string {
	if next == "" {
		return ""
	}
	return a.cursors.Seal(s.scope, next)
}

// cut shortens rows, one of which may be more than was asked for, and returns the
// place of the last one that is shown when there are more.
func cut[T any](rows []T, s span, place func(T) string) ([]T, string) {
	if len(rows) <= s.limit {
		return rows, ""
	}
	rows = rows[:s.limit]
	return rows, place(rows[s.limit-1])
}

func sequence(n int64) string { return strconv.FormatInt(n, 10) }

func at(t time.Time) wire.TimeMillis { return wire.TimeMillis(t) }

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

// reasoned is a body that only says why; the audit log keeps it.
type reasoned struct {
	Reason string `json:"reason" wire:"required,max=100"`
}

// duration is a length of time as text, such as "48h" or "1h30m".
type duration time.Duration

const maxDuration = 32 // bytes of text

// WireType implements wire.Typed.
func (duration) WireType() string { return "string" }

// UnmarshalText reads hours, minutes, seconds and parts of one.
func (d *duration) UnmarshalText(text []byte) error {
	if len(text) > maxDuration {
		return fmt.Errorf("a duration has at most %d characters", maxDuration)
	}
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// MarshalText writes the text.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// or returns d, or another where there is none.
func (d *duration) or(otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return time.Duration(*d)
}
