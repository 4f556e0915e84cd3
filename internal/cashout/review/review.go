// Package review is what people decide about orders of cash-out: a queue, who has which order
// in hand, its pictures, and a decision with a reason for each.
//
// It promises that one reviewer has an order at a time; that pictures are opened by whoever
// has it, through links that are short-lived and recorded; that above an amount two people
// approve, and two clear a match that blocks an order; and that a picture with something on it
// that nobody may see stays with the reviewer who said so until it is covered. It must never
// move money but through package cashout, nor keep a picture.
package review

import (
	"context"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// Rect is a part of a picture, in pixels from its upper left corner.
type Rect struct{ X, Y, Width, Height int }

// Content is a picture's bytes.
type Content struct {
	Type string // image/jpeg or image/png
	Data []byte
}

// Album opens and covers pictures, and records who did.
type Album interface {
	Open(ctx context.Context, actor, image string) (Content, error)
	Redact(ctx context.Context, actor, image string, area Rect) error
}

// Policy is how reviews go.
type Policy struct {
	// Hold is how long a reviewer has an order in hand.
	Hold time.Duration
	// TwoAbove is the amount above which two people approve.
	TwoAbove money.Amount
	// Link is how long a link to a picture leads there.
	Link time.Duration
}

// DefaultPolicy returns the usual rules: a quarter of an hour, two people above $500, and a
// minute.
func DefaultPolicy() Policy {
	return Policy{Hold: 15 * time.Minute, TwoAbove: money.New(500_00, money.USD), Link: time.Minute}
}

// Deps is what a Service stands on.
type Deps struct {
	DB     *storage.DB
	Vault  *vault.Vault
	Orders *cashout.Service
	// Albums are those of the realms; a realm without one shows no pictures.
	Albums map[realm.Realm]Album
	Audit  *audit.Log
	Clocks *clock.Realms
	Policy Policy
}

// Service is the reviews of one installation. It is safe for concurrent use.
type Service struct{ Deps }

// New returns the service.
func New(d Deps) *Service { return &Service{d} }

// Case is an order as reviewers see it.
type Case struct {
	cashout.Order
	// Reviewer has it in hand until HeldUntil; empty: nobody.
	Reviewer  string
	HeldUntil time.Time
	// First approved it, where two have to; empty: nobody yet.
	First string
	// Match is what blocks it, and who asked to clear that; nil where nothing does.
	Match *customer.Block
}

// NeedsTwo reports whether two people have to approve an order.
func (p Policy) NeedsTwo(o *cashout.Order) bool { return o.Amount.Minor > p.TwoAbove.Minor }

// MaxQueue bounds a queue as it is shown.
const MaxQueue = 200

// Queue lists the orders of a realm that wait for a decision, those that waited longest
// first, as many as limit says.
func (s *Service) Queue(ctx context.Context, r realm.Realm, limit int) ([]Case, error) {
	book, err := s.Orders.Book(ctx, r)
	if err != nil || book == "" {
		return nil, err
	}
	waiting, err := storage.All(ctx, s.DB, scanWaiting, listWaiting, string(book), min(max(limit, 1), MaxQueue))
	if err != nil {
		return nil, err
	}
	cases := make([]Case, 0, len(waiting))
	for _, w := range waiting {
		o, err := s.Orders.Get(ctx, book, w.order)
		if err != nil {
			return nil, err
		}
		cases = append(cases, s.caseOf(o, w))
	}
	return cases, nil
}

// caseOf joins an order with what is known of its review. A hold that is over is none.
func (s *Service) caseOf(o cashout.Order, w waiting) Case {
	c := Case{Order: o, First: w.first}
	if w.reviewer != "" && s.Clocks.Now(o.Realm).Before(w.until) {
		c.Reviewer, c.HeldUntil = w.reviewer, w.until
	}
	return c
}

// Find returns an order as reviewers see it, whatever became of it; not_found for none.
func (s *Service) Find(ctx context.Context, book ledger.BookID, order cashout.ID) (Case, error) {
	o, err := s.Orders.Get(ctx, book, order)
	if err != nil {
		return Case{}, err
	}
	w, _, err := storage.One(ctx, s.DB, scanReview, findReview, string(book), string(order))
	if err != nil {
		return Case{}, err
	}
	c := s.caseOf(o, w)
	c.Match, err = s.match(ctx, &o)
	return c, err
}

// Ref names an order, and who does something about it.
type Ref struct {
	Book  ledger.BookID
	Order cashout.ID
	Actor string
	Also  storage.Also[*Case]
}

// Claim takes an order in hand, or goes on having it. It returns not_found, and invalid_state
// where somebody else has it, approved it first as the same person, or nothing is to be decided.
func (s *Service) Claim(ctx context.Context, r Ref) (Case, error) {
	c, err := s.Find(ctx, r.Book, r.Order)
	switch {
	case err != nil:
		return Case{}, err
	case c.Status != cashout.Processing:
		return Case{}, fault.New(fault.InvalidState, "the order is %s", c.Status)
	case c.First == r.Actor:
		return Case{}, fault.New(fault.InvalidState, "somebody else has to approve this order, too")
	}
	now := s.Clocks.Now(c.Realm)
	c.Reviewer, c.HeldUntil = r.Actor, now.Add(s.Policy.Hold)
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		n, err := tx.Exec(ctx, claimReview, string(r.Book), string(r.Order), r.Actor, storage.Micros(c.HeldUntil), storage.Micros(now))
		if err != nil {
			return err
		}
		if n != 1 {
			return fault.New(fault.InvalidState, "somebody else has this order in hand")
		}
		effects, err := r.Also.With(nil, &c)
		if err != nil {
			return err
		}
		if err := tx.Apply(ctx, effects); err != nil {
			return err
		}
		return s.record(ctx, tx, &c, audit.Record{Actor: r.Actor, Action: "review.claim"})
	})
	return c, err
}

// Release gives an order back; whoever does not have it changes nothing.
func (s *Service) Release(ctx context.Context, r Ref) (Case, error) {
	c, err := s.Find(ctx, r.Book, r.Order)
	if err != nil {
		return Case{}, err
	}
	mine := c.Reviewer == r.Actor
	if mine {
		c.Reviewer, c.HeldUntil = "", time.Time{}
	}
	return c, s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		effects, err := r.Also.With(nil, &c)
		if err != nil {
			return err
		}
		if !mine {
			return tx.Apply(ctx, effects)
		}
		if err := tx.Apply(ctx, append(effects, releaseReview.With(string(r.Book), string(r.Order), r.Actor))); err != nil {
			return err
		}
		return s.record(ctx, tx, &c, audit.Record{Actor: r.Actor, Action: "review.release"})
	})
}

// record writes down what is done about an order.
func (s *Service) record(ctx context.Context, tx *storage.Tx, c *Case, r audit.Record) error {
	r.Subject, r.Book, r.At = string(c.ID), string(c.Book), s.Clocks.Now(c.Realm)
	return s.Audit.Append(ctx, tx, r)
}

// held returns an order that the actor has in hand.
func (s *Service) held(ctx context.Context, r Ref) (Case, error) {
	c, err := s.Find(ctx, r.Book, r.Order)
	switch {
	case err != nil:
	case c.Status != cashout.Processing:
		err = fault.New(fault.InvalidState, "the order is %s", c.Status)
	case c.Reviewer != r.Actor:
		err = fault.New(fault.InvalidState, "take the order in hand first")
	}
	return c, err
}

// pictureOf returns a picture of an order; not_found for another order's.
func (s *Service) pictureOf(ctx context.Context, o *cashout.Order, image string) (cashout.Image, error) {
	all, err := s.Orders.Pictures(ctx, o)
	if err != nil {
		return cashout.Image{}, err
	}
	i := slices.IndexFunc(all, func(m cashout.Image) bool { return m.ID == image && image != "" })
	if i < 0 {
		return cashout.Image{}, fault.New(fault.NotFound, "no such image")
	}
	return all[i], nil
}
