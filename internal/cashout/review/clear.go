package review

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// match returns what blocks an order; nil where nothing does.
func (s *Service) match(ctx context.Context, o *cashout.Order) (*customer.Block, error) {
	cases := []Case{{Order: *o}}
	err := s.addMatches(ctx, cases)
	return cases[0].Match, err
}

// addMatches says of cases of one book what blocks them.
func (s *Service) addMatches(ctx context.Context, cases []Case) error {
	blocked := map[string]*Case{}
	for i := range cases {
		if c := &cases[i]; c.Status == cashout.Blocked {
			blocked[string(c.ID)] = c
		}
	}
	if len(blocked) == 0 {
		return nil
	}
	all, err := s.Orders.Blocks(ctx, cases[0].Book, slices.Collect(maps.Keys(blocked))...)
	for i := range all { // the newest is the last of its order
		c := blocked[all[i].Order]
		if c.Match = nil; all[i].IsOpen() {
			c.Match = &all[i]
		}
	}
	return err
}

// List returns orders as Orders.List does, of those that are blocked with who asked to clear
// the match.
func (s *Service) List(ctx context.Context, f cashout.Filter) ([]Case, error) {
	found, err := s.Orders.List(ctx, f)
	if err != nil {
		return nil, err
	}
	cases := make([]Case, len(found))
	for i := range found {
		cases[i].Order = found[i]
	}
	return cases, s.addMatches(ctx, cases)
}

// because checks why something is done.
func because(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > MaxNote || audit.Clean(reason) != reason {
		return "", fault.New(fault.InvalidRequest, "say why, in text of at most %d bytes without codes, keys or card numbers", MaxNote).At("reason")
	}
	return reason, nil
}

// blocked returns an order that a match blocks.
func (s *Service) blocked(ctx context.Context, r Ref) (Case, error) {
	c, err := s.Find(ctx, r.Book, r.Order)
	switch {
	case err != nil:
	case c.Status != cashout.Blocked:
		err = fault.New(fault.InvalidState, "the order is %s", c.Status)
	case c.Match == nil:
		err = fault.New(fault.InvalidState, "nothing is known of what blocked the order")
	}
	return c, err
}

// changed says of what was decided about a match that somebody else was first.
func changed(err error) error {
	if errors.Is(err, storage.ErrStale) {
		return fault.Wrap(err, fault.InvalidState, "the order changed meanwhile: look at it again")
	}
	return err
}

// said is what the audit log has of a match.
func said(m *customer.Block, reason string) map[string]string {
	return map[string]string{"list": m.List, "kind": m.Kind, "reason": reason, "asked_by": m.Asked.By}
}

// AskToClear asks somebody else to find that the match which blocks an order is false, and
// says why. It returns invalid_request without a reason, not_found, and invalid_state where
// somebody else has asked or no match blocks the order.
func (s *Service) AskToClear(ctx context.Context, r Ref, reason string) (Case, error) {
	reason, err := because(reason)
	if err != nil {
		return Case{}, err
	}
	c, err := s.blocked(ctx, r)
	switch {
	case err != nil:
		return Case{}, err
	case c.Match.Asked.By != "" && c.Match.Asked.By != r.Actor:
		return Case{}, fault.New(fault.InvalidState, "somebody else asks to clear this match: decide about that")
	}
	word := customer.Word{By: r.Actor, Why: reason, At: s.Clocks.Now(c.Realm)}
	ask := c.Match.Ask(word)
	c.Match.Asked = word
	return c, changed(s.about(ctx, r, c, written{ask, audit.Record{Actor: r.Actor, Action: "review.ask_to_clear", Detail: said(c.Match, reason)}}))
}

// Clearance is a second person's word on a match that somebody asked to clear.
type Clearance struct {
	Ref
	// Accept finds that the match is false: its order is paid. Otherwise the order stays
	// blocked, and nobody asks any more.
	Accept bool
	Reason string
}

// Clear decides about what somebody asked for: who accepts it is another person. An order
// that another match holds as well stays blocked by that one. It returns invalid_request
// without a reason, not_found, invalid_state where nobody or the same person has asked, and
// what cashout.Service.Clear returns.
func (s *Service) Clear(ctx context.Context, d Clearance) (Case, error) {
	reason, err := because(d.Reason)
	if err != nil {
		return Case{}, err
	}
	c, err := s.blocked(ctx, d.Ref)
	switch {
	case err != nil:
		return Case{}, err
	case c.Match.Asked.By == "":
		return Case{}, fault.New(fault.InvalidState, "nobody has asked to clear this match")
	case d.Accept && c.Match.Asked.By == d.Actor:
		return Case{}, fault.New(fault.InvalidState, "somebody else has to clear this match")
	}
	m := *c.Match
	if !d.Accept {
		record := audit.Record{Actor: d.Actor, Action: "review.keep_blocked", Detail: said(&m, reason)}
		c.Match.Asked = customer.Word{}
		return c, changed(s.about(ctx, d.Ref, c, written{m.Keep(), record}))
	}
	// The books and the audit log are not written together: who tried comes first.
	if err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return s.record(ctx, tx, &c, audit.Record{Actor: d.Actor, Action: "review.clear", Detail: said(&m, reason)})
	}); err != nil {
		return Case{}, err
	}
	cleared := m.Clear(customer.Word{By: d.Actor, Why: reason, At: s.Clocks.Now(c.Realm)})
	o, err := s.Orders.Clear(ctx, cashout.Decision{Book: d.Book, Order: d.Order, Actor: d.Actor, Also: func(o *cashout.Order) ([]storage.Effect, error) {
		effects, err := d.Also.With(nil, &Case{Order: *o})
		return append(effects, cleared), err
	}}, m)
	return Case{Order: o}, err
}

// written is what is written about an order, and what the audit log has of it.
type written struct {
	effect storage.Effect
	record audit.Record
}

// about writes what is said about an order that stays as it is.
func (s *Service) about(ctx context.Context, r Ref, c Case, w written) error {
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		effects, err := r.Also.With(nil, &c)
		if err != nil {
			return err
		}
		if err := tx.Apply(ctx, append(effects, w.effect)); err != nil {
			return err
		}
		return s.record(ctx, tx, &c, w.record)
	})
}
