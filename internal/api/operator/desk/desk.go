// Package desk is what the rooms of the operator API share: the form of their routes, who
// acts, whose book it is, lists that are read by cursor, and answers that are stored for
// repeated calls.
//
// It promises that a cursor works for its own list alone and that an answer is kept with
// what it answers, sealed. It must never hold a rule of a product.
package desk

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/webhook"
)

type (
	// Call is one request of an operator.
	Call = wire.Call[account.Operator]
	// Surface is the operator API.
	Surface = wire.Surface[account.Operator]
)

// Base begins every path.
const Base = "/operator/v1"

// The duties that routes ask for, as the kit's scopes.
const (
	Read       = string(account.DutyRead)
	Assist     = string(account.DutyAssist)
	Administer = string(account.DutyAdminister)
)

// Get returns the spec of a read.
func Get(name, path string) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodGet, Path: Base + path, Scope: Read}
}

// Post returns the spec of a call that does something.
func Post(name, path, duty string) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodPost, Path: Base + path, Scope: duty}
}

// Patch returns the spec of a call that changes something in part.
func Patch(name, path, duty string) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodPatch, Path: Base + path, Scope: duty}
}

// Remove returns the spec of a call that takes something away, with the answer 204.
func Remove(name, path string) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodDelete, Path: Base + path, Scope: Administer, Status: http.StatusNoContent}
}

// Once lets a caller repeat the call under an Idempotency-Key.
func Once(spec wire.Spec) wire.Spec {
	spec.Idempotent = true
	return spec
}

// Created is Once for calls that make something.
func Created(spec wire.Spec) wire.Spec {
	spec.Status = http.StatusCreated
	return Once(spec)
}

// Desk is what the rooms stand on.
type Desk struct {
	DB       *storage.DB
	Vault    *vault.Vault
	Audit    *audit.Log
	Clocks   *clock.Realms
	Accounts *account.Service
	cursors  *wire.Cursors
}

const purposeCursors = "operator.cursors"

// New returns the desk of an installation. The key of its cursors is the same in every process.
func New(d Desk) *Desk {
	d.cursors = wire.NewCursors(d.Vault.Hash(purposeCursors, "1"))
	return &d
}

// Actor is who does what a call asks for.
func Actor(c *Call) string { return string(c.Principal.ID) }

// Record appends to the audit log what a call is about to do where no product does.
func (d *Desk) Record(ctx context.Context, c *Call, r audit.Record) error {
	r.Actor, r.Subject = Actor(c), audit.Clean(r.Subject)
	for name, value := range r.Detail {
		r.Detail[name] = audit.Clean(value)
	}
	return d.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return d.Audit.Append(ctx, tx, r) })
}

// Known refuses a text that cannot be the id of anything, without repeating it.
func Known(kind, prefix, text string) error {
	if id.Valid(prefix, text) {
		return nil
	}
	return fault.New(fault.NotFound, "no such %s", kind)
}

// Owner returns whose a book is, or not_found.
func (d *Desk) Owner(ctx context.Context, book string) (account.Owner, error) {
	if err := Known("book", "bk", book); err != nil {
		return account.Owner{}, err
	}
	return d.Accounts.FindOwner(ctx, ledger.BookID(book))
}

// Receiver returns the owner of a book that events are for: a customer's, or the house's.
func (d *Desk) Receiver(ctx context.Context, book string) (account.Owner, error) {
	if r, ok := webhook.HouseRealm(book); ok {
		return account.Owner{Book: ledger.BookID(book), Realm: r}, nil
	}
	return d.Owner(ctx, book)
}

// Customer returns a customer, or not_found.
func (d *Desk) Customer(ctx context.Context, customer string) (account.Customer, error) {
	if err := Known("customer", "cus", customer); err != nil {
		return account.Customer{}, err
	}
	return d.Accounts.FindCustomer(ctx, account.CustomerID(customer))
}

// RealmOf reads a realm.
func RealmOf(text string) (realm.Realm, error) {
	r, err := realm.Parse(text)
	if err != nil {
		return "", Invalid("realm", "the realm must be live or test")
	}
	return r, nil
}

// RealmOrLive is RealmOf where the live realm is meant unless a caller says otherwise.
func RealmOrLive(text string) (realm.Realm, error) {
	if text == "" {
		return realm.Live, nil
	}
	return RealmOf(text)
}

// InRealm is the part of a path that names a realm.
type InRealm struct {
	Name string `path:"realm" json:"-"`
}

// Realm returns the path's realm, or not_found: a realm that there is not has nothing.
func (in *InRealm) Realm() (realm.Realm, error) {
	r, err := realm.Parse(in.Name)
	if err != nil {
		return "", fault.New(fault.NotFound, "no such realm").At("realm")
	}
	return r, nil
}

// Invalid returns invalid_request at a field.
func Invalid(field, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At(field)
}

// maxWritten bounds what an operator writes, in characters.
const maxWritten = 500

// Written checks a text that goes into the audit log, which refuses what looks like
// a card number or another secret, and keeps no more than it has room for.
func Written(field, text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case !plain.Line(text, 1, maxWritten):
		return "", Invalid(field, "%s must have 1 to %d characters of plain text", field, maxWritten)
	case audit.HoldsSecret(text):
		return "", Invalid(field, "%s looks like it holds a card number or another secret", field)
	}
	return text, nil
}

// At is a time as answers show it.
func At(t time.Time) wire.TimeMillis { return wire.TimeMillis(t) }

// Listed is an empty list where there is none.
func Listed[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
