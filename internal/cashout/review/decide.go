package review

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Judgement is what a reviewer says of one picture.
type Judgement struct {
	Kind   cashout.Kind
	Accept bool
	Reason cashout.Reason // where it is not accepted
	// Note is for the customer; required where the reason is Other.
	Note string
}

// MaxNote bounds a note, in bytes.
const MaxNote = 300

// Decision is a reviewer's word on an order: a judgement of each picture it takes.
type Decision struct {
	Ref
	Judgements []Judgement
}

func reasonNames() string {
	var names []string
	for _, r := range cashout.Reasons() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// check holds the judgements to what the order needs.
func (d *Decision) check(c *Case) error {
	wrong := func(format string, args ...any) error {
		return fault.New(fault.InvalidRequest, format, args...).At("images")
	}
	for i, j := range d.Judgements {
		switch {
		case !slices.Contains(c.Needs(), j.Kind) || slices.ContainsFunc(d.Judgements[:i], func(o Judgement) bool { return o.Kind == j.Kind }):
			return wrong("judge each image that the order takes once")
		case !j.Accept && !slices.Contains(cashout.Reasons(), j.Reason):
			return wrong("the reason must be one of %s", reasonNames())
		case j.Accept && (j.Reason != "" || j.Note != ""):
			return wrong("an image that is accepted needs no reason and no note")
		case len(j.Note) > MaxNote || audit.Clean(j.Note) != j.Note:
			return wrong("a note must be text of at most %d bytes without codes, keys or card numbers", MaxNote)
		case j.Reason == cashout.Other && strings.TrimSpace(j.Note) == "":
			return wrong("say in the note what is wrong")
		}
	}
	if len(d.Judgements) != len(c.Needs()) {
		return wrong("judge all %d images of the order", len(c.Needs()))
	}
	return nil
}

// accepted reports whether every picture was.
func (d *Decision) accepted() bool {
	return !slices.ContainsFunc(d.Judgements, func(j Judgement) bool { return !j.Accept })
}

// Decide carries out what the reviewer who has an order in hand says: approved when all
// pictures are accepted, by a second reviewer where two have to; sent back for the bad ones
// otherwise. It returns invalid_request, not_found, invalid_state, and unavailable.
func (s *Service) Decide(ctx context.Context, d Decision) (Case, error) {
	c, err := s.held(ctx, d.Ref)
	if err != nil {
		return Case{}, err
	}
	if err := d.check(&c); err != nil {
		return Case{}, err
	}
	verdicts, err := s.verdicts(ctx, &d, &c)
	if err != nil {
		return Case{}, err
	}
	if err := s.covered(ctx, d.Ref, verdicts); err != nil {
		return Case{}, err
	}
	if d.accepted() && s.Policy.NeedsTwo(&c.Order) && c.First == "" {
		return s.first(ctx, &d, c, details(verdicts))
	}
	word := "review.reject"
	if d.accepted() {
		word = "review.approve"
	}
	// The books and the audit log are not written together: who tried comes first.
	if err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return s.record(ctx, tx, &c, audit.Record{Actor: d.Actor, Action: word, Detail: details(verdicts)})
	}); err != nil {
		return Case{}, err
	}
	decision := cashout.Decision{Book: d.Book, Order: d.Order, Verdicts: verdicts, Actor: d.Actor}
	decision.Also = func(o *cashout.Order) ([]storage.Effect, error) {
		after := Case{Order: *o}
		effects, err := d.Also.With(nil, &after)
		return append(effects, endReview.With(string(d.Book), string(d.Order), d.Actor).Exactly(1)), err
	}
	carry := s.Orders.Reject
	if d.accepted() {
		carry = s.Orders.Approve
	}
	o, err := carry(ctx, decision)
	return Case{Order: o}, err
}

// verdicts are the judgements about the pictures as they are now.
func (s *Service) verdicts(ctx context.Context, d *Decision, c *Case) ([]cashout.Verdict, error) {
	pictures, err := s.Orders.Pictures(ctx, &c.Order)
	if err != nil {
		return nil, err
	}
	verdicts := make([]cashout.Verdict, len(d.Judgements))
	for i, j := range d.Judgements {
		v := cashout.Verdict{Kind: j.Kind, Accepted: j.Accept, Reason: j.Reason, Note: strings.TrimSpace(j.Note), Actor: d.Actor, At: s.Clocks.Now(c.Realm)}
		if at := slices.IndexFunc(pictures, func(m cashout.Image) bool { return m.Kind == j.Kind }); at >= 0 {
			v.Image = pictures[at].ID
		}
		verdicts[i] = v
	}
	return verdicts, nil
}

// covered refuses to accept a picture on which somebody has to cover something first: nobody
// else could see it, and of two who have to approve the first cannot come back to it.
func (s *Service) covered(ctx context.Context, r Ref, verdicts []cashout.Verdict) error {
	for i := range verdicts {
		if v := &verdicts[i]; v.Accepted {
			_, hidden, err := storage.One(ctx, s.DB, storage.Scalar[string], findHidden, string(r.Book), v.Image)
			if err == nil && hidden {
				err = fault.New(fault.InvalidState, "something has to be covered on %s first", v.Kind)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// details are verdicts as the audit log has them.
func details(verdicts []cashout.Verdict) map[string]string {
	detail := map[string]string{}
	for i := range verdicts {
		v := &verdicts[i]
		word := "accepted"
		if !v.Accepted {
			word = string(v.Reason)
		}
		detail["image_"+strconv.Itoa(i+1)] = string(v.Kind) + " " + v.Image + ": " + word
	}
	return detail
}

// first notes who approved an order that two have to, and which pictures, and gives it back to
// the queue.
func (s *Service) first(ctx context.Context, d *Decision, c Case, detail map[string]string) (Case, error) {
	c.First, c.Reviewer, c.HeldUntil = d.Actor, "", time.Time{}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		effects, err := d.Also.With(nil, &c)
		if err != nil {
			return err
		}
		effects = append(effects, firstReview.With(string(d.Book), string(d.Order), d.Actor).Exactly(1))
		if err := tx.Apply(ctx, effects); err != nil {
			return err
		}
		return s.record(ctx, tx, &c, audit.Record{Actor: d.Actor, Action: "review.approve_first", Detail: detail})
	})
	if errors.Is(err, storage.ErrStale) { // the hold ended meanwhile, or it was said twice at once
		err = fault.Wrap(err, fault.InvalidState, "the order changed meanwhile: look at it again")
	}
	return c, err
}

// Refuse ends an order for good, whoever has it in hand: its caller is told that there is
// none. It returns invalid_request without a reason, not_found and invalid_state.
func (s *Service) Refuse(ctx context.Context, r Ref, reason string) (Case, error) {
	reason, err := because(reason)
	if err != nil {
		return Case{}, err
	}
	c, err := s.Find(ctx, r.Book, r.Order)
	if err != nil {
		return Case{}, err
	}
	if !c.Status.CanBecome(cashout.Cancelled) {
		return Case{}, fault.New(fault.InvalidState, "the order is %s", c.Status)
	}
	if err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return s.record(ctx, tx, &c, audit.Record{Actor: r.Actor, Action: "review.refuse", Detail: map[string]string{"reason": reason}})
	}); err != nil {
		return Case{}, err
	}
	o, err := s.Orders.Cancel(ctx, cashout.Decision{Book: r.Book, Order: r.Order, Actor: r.Actor, Reason: reason, Also: func(o *cashout.Order) ([]storage.Effect, error) {
		return r.Also.With(nil, &Case{Order: *o})
	}})
	return Case{Order: o}, err
}

// PayAgain pays an order whose payout failed, elsewhere where to is not empty. It returns
// invalid_state for elsewhere where two have to approve: they did so for where the order
// said, and its customer alone says another place.
func (s *Service) PayAgain(ctx context.Context, r Ref, to string) (Case, error) {
	c, err := s.Find(ctx, r.Book, r.Order)
	if err != nil {
		return Case{}, err
	}
	if to != "" && to != c.To.Text && s.Policy.NeedsTwo(&c.Order) {
		return Case{}, fault.New(fault.InvalidState, "where else an order of more than %s %s is paid, its customer alone says", s.Policy.TwoAbove, s.Policy.TwoAbove.Currency)
	}
	if err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return s.record(ctx, tx, &c, audit.Record{Actor: r.Actor, Action: "review.pay_again"})
	}); err != nil {
		return Case{}, err
	}
	o, err := s.Orders.PayAgain(ctx, cashout.Decision{Book: r.Book, Order: r.Order, Actor: r.Actor, Also: func(o *cashout.Order) ([]storage.Effect, error) {
		return r.Also.With(nil, &Case{Order: *o})
	}}, to)
	return Case{Order: o}, err
}
