package claim

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/minted"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Decision is an operator's word on codes of a claim.
type Decision struct {
	Book    ledger.BookID
	Claim   ID
	Verdict Verdict // Replace, Refund or Reject
	// Places are which codes of the claim; none: all that are open.
	Places []int
	// Reason is the operator's words, which the buyer is told; required to reject.
	Reason string
	Actor  string
	// AcceptUsed says to replace or refund even codes whose gift cards were used.
	AcceptUsed bool
	// Patience says to wait, for a while, for a supplier that is asked for a replacement. What
	// Also is asked for knows of no end of that.
	Patience bool
	// Also is not asked when nothing was left to decide.
	Also storage.Also[*Claim]
	// Undone is told that what Also was asked for last was not written, since somebody else
	// decided meanwhile: nothing may be left to decide then. It may be nil.
	Undone func()
}

func (d *Decision) check() error {
	switch {
	case d.Verdict != Replace && d.Verdict != Refund && d.Verdict != Reject:
		return fault.New(fault.InvalidRequest, "want to replace, refund or reject, not %q", d.Verdict)
	case len(d.Places) > order.MaxQuantity:
		return fault.New(fault.InvalidRequest, "name at most %d codes", order.MaxQuantity).At("codes")
	case len(d.Reason) > MaxNote || audit.Clean(d.Reason) != d.Reason:
		return fault.New(fault.InvalidRequest, "the reason must be text of at most %d bytes without codes, keys or card numbers", MaxNote).At("reason")
	case d.Verdict == Reject && strings.TrimSpace(d.Reason) == "":
		return fault.New(fault.InvalidRequest, "say why it is rejected").At("reason")
	}
	return nil
}

// Decide carries a decision out: the buyer gets other codes of the item, what was charged
// for the codes, or no more than the reason. Where a supplier has to deliver the other codes,
// the lines are Replacing when it returns, until that is known; those that nobody delivers are
// open again. Whoever decides the same again changes nothing and gets the claim as it is. It
// returns invalid_request, not_found, invalid_state for codes about which something else was
// decided and for gift cards that were used, unless that is accepted, and out_of_stock.
func (s *Service) Decide(ctx context.Context, d Decision) (Claim, error) {
	if err := d.check(); err != nil {
		return Claim{}, err
	}
	for try := 1; ; try++ {
		c, err := s.Find(ctx, d.Book, d.Claim)
		if err != nil {
			return Claim{}, err
		}
		chosen, err := c.choose(&d)
		if err != nil || len(chosen) == 0 {
			return c, err
		}
		if try == 1 && d.Verdict != Reject {
			// The books and the audit log are not written together: who tried comes first.
			if err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
				return s.Audit.Append(ctx, tx, s.record(&c, &d, chosen))
			}); err != nil {
				return Claim{}, err
			}
		}
		decided, err := s.carryOut(ctx, c, &d, chosen)
		if !errors.Is(err, storage.ErrStale) && !s.outpaced(ctx, &c, err) {
			return decided, err
		}
		if d.Undone != nil {
			d.Undone()
		}
		if try == maxTries {
			return Claim{}, fault.Wrap(err, fault.Unavailable, "too many decide about this order at once")
		}
	}
}

// choose returns the lines, by index, that a decision still has to change: none, where
// the same was decided about all of them.
func (c *Claim) choose(d *Decision) ([]int, error) {
	var chosen []int
	same := true
	for i := range c.Lines {
		l := &c.Lines[i]
		named := slices.Contains(d.Places, l.Place)
		switch {
		case !named && len(d.Places) > 0:
		case l.Verdict == Pending:
			chosen = append(chosen, i)
		case !d.is(l.Verdict) && named:
			return nil, fault.New(fault.InvalidState, "code %d of the claim is %s", l.Place, l.Verdict).At("codes")
		default:
			same = same && d.is(l.Verdict)
		}
	}
	for _, place := range d.Places {
		if !slices.ContainsFunc(c.Lines, func(l Line) bool { return l.Place == place }) {
			return nil, fault.New(fault.InvalidRequest, "the claim is not about code %d", place).At("codes")
		}
	}
	if len(chosen) == 0 && !same {
		return nil, fault.New(fault.InvalidState, "all codes of the claim are decided")
	}
	return chosen, nil
}

// is reports whether a verdict is what is decided, or on its way to it.
func (d *Decision) is(v Verdict) bool {
	return v == d.Verdict || v == Replacing && d.Verdict == Replace
}

// outpaced reports whether somebody else decided about a claim since it was read, which is
// why a decision was refused.
func (s *Service) outpaced(ctx context.Context, c *Claim, err error) bool {
	if fault.CodeOf(err) != fault.InvalidState {
		return false
	}
	now, err := s.Find(ctx, c.Book, c.ID)
	return err == nil && now.Revision != c.Revision
}

func (s *Service) record(c *Claim, d *Decision, chosen []int) audit.Record {
	lines := make([]Line, len(chosen))
	for i, at := range chosen {
		lines[i] = c.Lines[at]
	}
	detail := map[string]string{"order": strconv.FormatInt(int64(c.Order), 10), "codes": places(lines), "reason": d.Reason}
	if d.AcceptUsed {
		detail["accept_used"] = "true"
	}
	return audit.Record{Actor: d.Actor, Action: actions[d.Verdict], Subject: string(c.ID), Book: string(c.Book), At: s.Clocks.Now(c.Realm),
		Detail: detail}
}

// actions are the verdicts as the audit log names them, events the types of their events.
var (
	actions = map[Verdict]string{Pending: "claim.reopen", Replace: "claim.replace", Refund: "claim.refund", Reject: "claim.reject"}
	events  = map[Verdict]string{Pending: eventReopened, Replacing: eventReplacing, Replace: eventReplaced, Refund: eventRefunded, Reject: eventRejected}
)

// carryOut makes one try. It returns storage.ErrStale, wrapped, when the claim or its order
// changed since it was read.
func (s *Service) carryOut(ctx context.Context, c Claim, d *Decision, chosen []int) (Claim, error) {
	if d.Verdict == Reject {
		return s.reject(ctx, c, d, chosen)
	}
	var decided Claim
	r := order.Remedy{Book: c.Book, Order: c.Order, Key: c.key(), Actor: d.Actor, AcceptUsed: d.AcceptUsed, Patience: d.Patience}
	for _, at := range chosen {
		r.Codes = append(r.Codes, c.Lines[at].Code)
	}
	r.Also = func(done *order.Remedied) (effects []storage.Effect, err error) {
		decided, effects, err = s.decided(c, d, chosen, done)
		return effects, err
	}
	remedy := s.Orders.Refund
	if d.Verdict == Replace {
		remedy = s.Orders.Replace
	}
	done, err := remedy(ctx, r)
	if err == nil && done.UnderWay && d.Patience {
		return s.Find(ctx, c.Book, c.ID)
	}
	return decided, err
}

func (s *Service) reject(ctx context.Context, c Claim, d *Decision, chosen []int) (Claim, error) {
	var decided Claim
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		done := order.Remedied{Change: order.Change{At: s.Clocks.Now(c.Realm)}}
		var effects []storage.Effect
		var err error
		if decided, effects, err = s.decided(c, d, chosen, &done); err != nil {
			return err
		}
		if err := tx.Apply(ctx, effects); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, s.record(&c, d, chosen))
	})
	return decided, err
}

// decided returns a claim after a decision about some of its lines, and what writes it.
func (s *Service) decided(c Claim, d *Decision, chosen []int, done *order.Remedied) (Claim, []storage.Effect, error) {
	v := d.Verdict
	if done.UnderWay {
		v = Replacing
	}
	c, effects, err := s.turn(c, turn{before: Pending, verdict: v, reason: d.Reason, actor: d.Actor, chosen: chosen}, done)
	if err != nil {
		return Claim{}, nil, err
	}
	effects, err = d.Also.With(effects, &c)
	return c, effects, err
}

// turn is what becomes of some lines of a claim, by index.
type turn struct {
	before, verdict Verdict
	reason, actor   string
	chosen          []int
}

// turn returns a claim after a turn, and what writes and tells of that.
func (s *Service) turn(c Claim, t turn, done *order.Remedied) (Claim, []storage.Effect, error) {
	swapped := map[stock.CodeID]stock.CodeID{}
	for _, swap := range done.Swaps {
		swapped[swap.Dead.ID] = swap.Fresh
	}
	voids := map[stock.CodeID]*minted.Void{}
	for i := range done.Voided {
		voids[done.Voided[i].Code] = &done.Voided[i]
	}
	c.Lines = slices.Clone(c.Lines)
	var changed []Line
	for _, at := range t.chosen {
		l := &c.Lines[at]
		if err := l.Verdict.become(t.verdict); err != nil {
			return Claim{}, nil, err
		}
		l.Decision, l.Actor, l.DecidedAt = t.reason, t.actor, done.Change.At
		if t.verdict == Pending {
			l.DecidedAt = time.Time{}
		}
		l.Transaction, l.Replacement = done.Change.Transaction, swapped[l.Code]
		if v := voids[l.Code]; v != nil {
			l.Card = l.Card.Voided(v)
		}
		changed = append(changed, *l)
	}
	before := c.Revision
	c.State, c.Revision, c.ChangedAt = state(c.Lines), before+1, done.Change.At
	e := webhook.Event{Book: c.Book, Realm: c.Realm, Type: events[t.verdict], Data: c.event(changed), At: c.ChangedAt}
	effects := append(c.revised(before, t.before, changed), s.Outbox.Effects(e)...)
	if t.verdict == Pending { // somebody has to decide anew
		e.Data = c.told((&webhook.Data{}).Text("book_id", string(c.Book)), changed)
		effects = append(effects, s.Outbox.Operators(e)...)
	}
	return c, effects, nil
}
