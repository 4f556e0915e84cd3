// Package customer is who turns prepaid cards into bitcoin: a profile by confirmed phone, what
// is asked of whom by their volume, and whether a name or an address is on a list of those
// whom nobody may pay.
//
// It promises that names are asked for once, that names and numbers are sealed at rest, and
// that a list that cannot be read stops payment. It must never print a name, and it moves no
// money.
package customer

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// ID names a customer ("payee_…").
type ID string

const prefix = "payee"

// Name is what a person is called. It prints nothing of that.
type Name struct{ First, Last string }

// maxName bounds each part, in characters.
const maxName = 64

// ParseName reads both parts, or neither. It returns invalid_request.
func ParseName(first, last string) (Name, error) {
	n := Name{strings.TrimSpace(first), strings.TrimSpace(last)}
	if n == (Name{}) {
		return n, nil
	}
	for _, part := range []struct{ field, text string }{{"first_name", n.First}, {"last_name", n.Last}} {
		strange := func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsMark(r) && !strings.ContainsRune(" .'’-", r)
		}
		if !plain.Line(part.text, 1, maxName) || strings.ContainsFunc(part.text, strange) || !strings.ContainsFunc(part.text, unicode.IsLetter) {
			return Name{}, fault.New(fault.InvalidRequest, "give a first and a last name of at most %d letters each", maxName).At(part.field)
		}
	}
	return n, nil
}

// IsZero reports whether there is no name.
func (n Name) IsZero() bool { return n == Name{} }

// String hides the name.
func (n Name) String() string { return "[name]" }

// GoString hides the name.
func (n Name) GoString() string { return "[name]" }

// Customer is one profile.
type Customer struct {
	Book      ledger.BookID
	ID        ID
	HasName   bool
	Revision  int64
	CreatedAt time.Time

	name []byte // sealed
}

// Register keeps the profiles. It is safe for concurrent use.
type Register struct{ vault *vault.Vault }

// New returns the register.
func New(v *vault.Vault) *Register { return &Register{v} }

// Newcomer is who has just confirmed a phone.
type Newcomer struct {
	Book ledger.BookID
	// Hash is what the number is found by; Seal seals it for a row.
	Hash []byte
	Seal func(row string) ([]byte, error)
	At   time.Time
}

// Admit returns the profile of a phone within tx, and makes it where there is none.
func (g *Register) Admit(ctx context.Context, tx *storage.Tx, n Newcomer) (Customer, error) {
	found, ok, err := storage.One(ctx, tx, scanCustomer, findByPhone, string(n.Book), n.Hash)
	if err != nil || ok {
		return found, err
	}
	c := Customer{Book: n.Book, ID: ID(id.New(prefix)), Revision: 1, CreatedAt: n.At}
	sealed, err := n.Seal(string(c.ID))
	if err != nil {
		return Customer{}, err
	}
	at := storage.Micros(n.At)
	if _, err := tx.Exec(ctx, addCustomer, string(n.Book), string(c.ID), n.Hash, sealed, at); err != nil {
		return Customer{}, err
	}
	// Another process may have been first: then the row is that one's.
	found, ok, err = storage.One(ctx, tx, scanCustomer, findByPhone, string(n.Book), n.Hash)
	if err == nil && !ok {
		err = fmt.Errorf("customer %s: the profile is gone", c.ID)
	}
	return found, err
}

// Find returns a profile; not_found where there is none.
func (g *Register) Find(ctx context.Context, q storage.Queryer, book ledger.BookID, customer ID) (Customer, error) {
	found, ok, err := storage.One(ctx, q, scanCustomer, findCustomer, string(book), string(customer))
	return found, known(ok, err)
}

// Lock is Find, and keeps everybody else from changing the profile until tx ends.
func (g *Register) Lock(ctx context.Context, tx *storage.Tx, book ledger.BookID, customer ID) (Customer, error) {
	found, ok, err := storage.One(ctx, tx, scanCustomer, lockCustomer, string(book), string(customer))
	return found, known(ok, err)
}

func known(ok bool, err error) error {
	if err == nil && !ok {
		return fault.New(fault.NotFound, "no such customer")
	}
	return err
}

const purposeName = "cashout.name"

// Touch returns what is written when a profile was decided on: whoever decided on the same
// state of it has to decide anew. A name is kept where there was none.
func (g *Register) Touch(c Customer, name Name, at time.Time) ([]storage.Effect, error) {
	sealed := c.name
	if !c.HasName && !name.IsZero() {
		var err error
		if sealed, err = g.vault.Seal(purposeName, string(c.ID), []byte(name.First+"\n"+name.Last)); err != nil {
			return nil, err
		}
	}
	return []storage.Effect{touchCustomer.With(string(c.Book), string(c.ID), c.Revision, storage.NullBytes(sealed), storage.Micros(at)).Exactly(1)}, nil
}

// NameOf opens a profile's name; the empty one where it has none.
func (g *Register) NameOf(c Customer) (Name, error) {
	if !c.HasName {
		return Name{}, nil
	}
	text, err := g.vault.Unseal(purposeName, string(c.ID), c.name)
	first, last, _ := bytes.Cut(text, []byte("\n"))
	return Name{string(first), string(last)}, err
}
