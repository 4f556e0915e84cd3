package cardholder

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const columns = `book_id, cardholder_id, name, email, reference, line1, city, region, zip, country, tier, state, reason, created_at, changed_at`

var (
	insertPerson = storage.Insert("cardholder.insert_person", "cardholders", "book_id", "cardholder_id", "name", "email", "reference",
		"line1", "city", "region", "zip", "country", "tier", "state", "reason", "created_at", "changed_at")
	findPerson = storage.SQL("cardholder.find_person", `SELECT `+columns+` FROM cardholders WHERE book_id = $1 AND cardholder_id = $2`)
	lockPerson = storage.SQL("cardholder.lock_person", `SELECT `+columns+` FROM cardholders WHERE book_id = $1 AND cardholder_id = $2 {lock}`)
	listPerson = storage.SQL("cardholder.list_persons", `SELECT `+columns+` FROM cardholders
		WHERE book_id = $1 AND cardholder_id < $2 ORDER BY cardholder_id DESC LIMIT $3`)
	judgePerson = storage.SQL("cardholder.judge_person", `UPDATE cardholders SET state = $3, tier = $4, reason = $5, changed_at = $6
		WHERE book_id = $1 AND cardholder_id = $2`)
)

func scanPerson(r storage.Row) (c Cardholder, err error) {
	var created, changed int64
	err = r.Scan((*string)(&c.Book), (*string)(&c.ID), &c.Name, &c.Email, &c.Reference, &c.Address.Line1, &c.Address.City, &c.Address.State,
		&c.Address.Zip, &c.Address.Country, &c.Tier, (*string)(&c.State), &c.Reason, &created, &changed)
	c.CreatedAt, c.ChangedAt = storage.Time(created), storage.Time(changed)
	return c, err
}

// NewPerson describes a cardholder: a name of 1 to 100 characters and an address, which
// are on the card, and if wanted an email address and the customer's own reference.
type NewPerson struct {
	Name      string
	Email     string
	Reference string
	Address   Address
	Also      storage.Also[Cardholder]
}

func (n *NewPerson) check() error {
	if err := checkText("name", n.Name, 1, maxName); err != nil {
		return err
	}
	if err := checkText("reference", n.Reference, 0, maxReference); err != nil {
		return err
	}
	if n.Email != "" && !plain.Email(n.Email) {
		return fault.New(fault.InvalidRequest, "email must be one plain email address").At("email")
	}
	return n.Address.Check()
}

// Create makes a pending cardholder, or returns invalid_request.
func (s *Service) Create(ctx context.Context, o Owner, n NewPerson) (Cardholder, error) {
	if err := n.check(); err != nil {
		return Cardholder{}, err
	}
	now := s.Clocks.Now(o.Realm)
	c := Cardholder{Book: o.Book, ID: ID(id.New(idPrefix)), Name: n.Name, Email: n.Email, Reference: n.Reference, Address: n.Address,
		State: Pending, CreatedAt: now, ChangedAt: now}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		row := []any{string(c.Book), string(c.ID), c.Name, c.Email, c.Reference, c.Address.Line1, c.Address.City, c.Address.State, c.Address.Zip,
			c.Address.Country, c.Tier, string(c.State), c.Reason, storage.Micros(now), storage.Micros(now)}
		if err := tx.ExecRows(ctx, insertPerson, [][]any{row}); err != nil {
			return err
		}
		return s.finish(ctx, tx, step{owner: o, action: "cardholder.create", now: c, also: n.Also})
	})
	if err != nil {
		return Cardholder{}, fmt.Errorf("create cardholder: %w", err)
	}
	return c, nil
}

// step is a change of a cardholder that was just written.
type step struct {
	owner  Owner
	action string
	now    Cardholder
	also   storage.Also[Cardholder]
}

// finish records a change and writes what belongs with it.
func (s *Service) finish(ctx context.Context, tx *storage.Tx, d step) error {
	r := audit.Record{Actor: d.owner.Actor, Action: d.action, Subject: string(d.now.ID), Book: string(d.owner.Book), At: s.Clocks.Now(d.owner.Realm),
		Detail: map[string]string{"state": string(d.now.State), "tier": d.now.Tier, "reason": audit.Clean(d.now.Reason)}}
	if err := s.Audit.Append(ctx, tx, r); err != nil {
		return err
	}
	return d.also.Apply(ctx, tx, d.now)
}

// Judgement is what an operator found out about a cardholder.
type Judgement struct {
	ID    ID
	State State
	// Tier is for Verified alone.
	Tier   string
	Reason string // at most 200 characters; may be empty
	Also   storage.Also[Cardholder]
}

// Judge puts a cardholder into a state, and on Verified into a tier. Other processes
// follow within seconds. It returns not_found, invalid_request, or invalid_state where
// that cannot follow on what the cardholder is.
func (s *Service) Judge(ctx context.Context, o Owner, j Judgement) (Cardholder, error) {
	if err := s.checkJudgement(ctx, &j); err != nil {
		return Cardholder{}, err
	}
	var c Cardholder
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		var found bool
		var err error
		if c, found, err = storage.One(ctx, tx, scanPerson, lockPerson, string(o.Book), string(j.ID)); err != nil {
			return err
		}
		switch {
		case !found:
			return unknown()
		case !c.State.CanBecome(j.State):
			return fault.New(fault.InvalidState, "the cardholder is %s and cannot become %s", c.State, j.State)
		}
		c.State, c.Reason, c.ChangedAt = j.State, j.Reason, s.Clocks.Now(o.Realm)
		if j.State == Verified {
			c.Tier = j.Tier
		}
		if _, err := tx.Exec(ctx, judgePerson, string(o.Book), string(j.ID), string(c.State), c.Tier, c.Reason, storage.Micros(c.ChangedAt)); err != nil {
			return err
		}
		return s.finish(ctx, tx, step{owner: o, action: "cardholder.judge", now: c, also: j.Also})
	})
	if err != nil {
		return Cardholder{}, fmt.Errorf("judge cardholder: %w", err)
	}
	s.persons.Drop(personKey(o.Book, j.ID))
	return c, nil
}

func (s *Service) checkJudgement(ctx context.Context, j *Judgement) error {
	if !id.Valid(idPrefix, string(j.ID)) {
		return unknown()
	}
	if !slices.Contains(States(), j.State) || j.State == Pending {
		return fault.New(fault.InvalidRequest, "a cardholder is verified, rejected or suspended").At("state")
	}
	if err := checkText("reason", j.Reason, 0, maxReason); err != nil {
		return err
	}
	j.Reason = audit.Clean(j.Reason)
	if j.State != Verified {
		if j.Tier != "" {
			return fault.New(fault.InvalidRequest, "a tier is for who is verified").At("tier")
		}
		return nil
	}
	_, err := s.Tier(ctx, j.Tier)
	if fault.CodeOf(err) == fault.NotFound {
		return fault.New(fault.InvalidRequest, "no such tier").At("tier")
	}
	return err
}

func unknown() error { return fault.New(fault.NotFound, "no such cardholder").At("cardholder") }

// Get returns a cardholder of a book, or not_found.
func (s *Service) Get(ctx context.Context, book ledger.BookID, person ID) (Cardholder, error) {
	if !id.Valid(idPrefix, string(person)) {
		return Cardholder{}, unknown()
	}
	c, ok, err := storage.One(ctx, s.DB, scanPerson, findPerson, string(book), string(person))
	if err == nil && !ok {
		err = unknown()
	}
	return c, err
}

// Recall is Get, as it was within the last seconds.
func (s *Service) Recall(ctx context.Context, book ledger.BookID, person ID) (Cardholder, error) {
	c, _, err := s.persons.Find(ctx, memo.Query{Key: personKey(book, person), Now: s.Clocks.Now(realm.Live)},
		func(ctx context.Context) (Cardholder, bool, error) {
			c, err := s.Get(ctx, book, person)
			return c, err == nil, err // an absence is an error here, which is not remembered
		})
	return c, err
}

func personKey(book ledger.BookID, person ID) memo.Key {
	return sha256.Sum256([]byte(string(book) + "/" + string(person)))
}

// TierOf returns the tier whose limits hold for a card of a book, as it was within the
// last seconds; person is empty for a card for nobody in particular.
func (s *Service) TierOf(ctx context.Context, book ledger.BookID, person ID) (Tier, error) {
	name := Anonymous
	if person != "" {
		c, err := s.Recall(ctx, book, person)
		if err != nil {
			return Tier{}, err
		}
		name = c.TierName()
	}
	return s.Tier(ctx, name)
}

// MaxPage bounds a page of cardholders; afterAll sorts after every id.
const (
	MaxPage  = 1000
	afterAll = "che"
)

// List returns up to limit cardholders of a book made before the given one, newest first;
// "" begins at the newest. It returns invalid_cursor when before is no cardholder's id.
func (s *Service) List(ctx context.Context, book ledger.BookID, before ID, limit int) ([]Cardholder, error) {
	switch {
	case before == "":
		before = afterAll
	case !id.Valid(idPrefix, string(before)):
		return nil, fault.New(fault.InvalidCursor, "the cursor is no cardholder's id")
	}
	return storage.All(ctx, s.DB, scanPerson, listPerson, string(book), string(before), min(max(limit, 1), MaxPage))
}
