package dispute

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Step moves a dispute on.
type Step struct {
	Book    ledger.BookID
	Dispute ID
	To      State
	// Words say why, which the cardholder is told; required to lose one.
	Words string
	Actor string
	Also  storage.Also[Dispute]
}

func (st *Step) check() error {
	switch {
	case !slices.Contains(States(), st.To):
		return fault.New(fault.InvalidRequest, "there is no such state").At("to")
	case len(st.Words) > MaxNote || audit.Clean(st.Words) != st.Words:
		return fault.New(fault.InvalidRequest, "the reason must be text of at most %d bytes without card numbers or other secrets", MaxNote).At("reason")
	case st.To == Lost && strings.TrimSpace(st.Words) == "":
		return fault.New(fault.InvalidRequest, "say why it is lost").At("reason")
	}
	return nil
}

// Move carries a step out, with what it does to the money. Whoever asks for the state that
// there is changes nothing and gets the dispute as it is. It returns invalid_request,
// not_found, and invalid_state where the one does not follow the other.
func (s *Service) Move(ctx context.Context, st Step) (Dispute, error) {
	if err := st.check(); err != nil {
		return Dispute{}, err
	}
	for try := 1; ; try++ {
		d, err := s.current(ctx, st.Book, st.Dispute)
		if err != nil || d.State == st.To {
			return d, err
		}
		if !d.State.CanBecome(st.To) {
			return Dispute{}, fault.New(fault.InvalidState, "the dispute is %s", d.State)
		}
		if try == 1 {
			told := d
			told.Decision = st.Words
			// The books and the audit log are not written together: who tried comes first.
			if err := s.audited(ctx, &told, actions[st.To], st.Actor); err != nil {
				return Dispute{}, err
			}
		}
		done, err := s.move(ctx, d, &st)
		if !stale(err) || try == maxTries {
			return done, err
		}
	}
}

// stale reports whether a change was refused because the dispute may not be any more what
// it was made for: of what it had credited, or was counted for it, nothing may be left.
func stale(err error) bool {
	code := fault.CodeOf(err)
	return moved(err) || code == fault.InsufficientFunds || code == fault.GuardExceeded
}

// actions are the steps as the audit log names them.
var actions = map[State]string{Opened: "dispute.open", UnderReview: "dispute.review", Represented: "dispute.represent", Won: kindWin, Lost: "dispute.lose", Withdrawn: "dispute.withdraw"}

// current returns a dispute as it is now: one whose time was over has moved on.
func (s *Service) current(ctx context.Context, book ledger.BookID, dispute ID) (Dispute, error) {
	d, err := s.Find(ctx, book, dispute)
	if err != nil || d.DueAt.IsZero() || s.Clocks.Now(d.Realm).Before(d.DueAt) {
		return d, err
	}
	if _, err := s.lapse(ctx, d.Realm, d); err != nil {
		return d, err
	}
	return s.Find(ctx, book, dispute)
}

// lapse moves a dispute on whose time is over. It reports whether this call did.
func (s *Service) lapse(ctx context.Context, _ realm.Realm, d Dispute) (bool, error) {
	_, to := s.Policy.due(d.State, d.DueAt)
	_, err := s.move(ctx, d, &Step{Book: d.Book, Dispute: d.ID, To: to, Words: "the time was over", Actor: "job/dispute.expire"})
	if stale(err) {
		return false, nil // somebody else was faster, or the next sweep does it
	}
	return err == nil, err
}

// move makes one try to change a dispute that is as d says.
func (s *Service) move(ctx context.Context, d Dispute, st *Step) (Dispute, error) {
	before := d
	d.State, d.Revision, d.Decision, d.DecidedBy = st.To, d.Revision+1, st.Words, st.Actor
	now := s.Clocks.Now(d.Realm)
	change := func(at time.Time, transaction ledger.TransactionID) ([]storage.Effect, error) {
		d.ChangedAt = at
		d.DueAt, _ = s.Policy.due(st.To, at)
		return st.Also.With(append([]storage.Effect{d.revise(before.Revision)}, s.event(events[st.To], &d, transaction)...), d)
	}
	if st.To.Open() {
		effects, err := change(now, "")
		if err == nil {
			err = s.DB.Apply(ctx, effects)
		}
		return d, err
	}
	op := ledger.Operation{Book: d.Book, Reference: string(d.Payment), Actor: st.Actor, At: now, Final: true}
	more, err := s.settle(ctx, &op, &d)
	if err != nil {
		return Dispute{}, err
	}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		effects, err := change(o.At, o.Transaction)
		if err != nil {
			return nil, err
		}
		also, err := more(&o)
		return append(effects, also...), err
	}
	if _, err = s.Books.Submit(ctx, op); err != nil {
		return Dispute{}, fmt.Errorf("%s %s: %w", op.Kind, d.ID, err)
	}
	return d, nil
}

// settle completes an operation that decides a dispute, and returns what else is written
// with it. What is won stays counted among what the payment gave back. A credit that an
// operator reversed in the books is not taken back as well, and is given anew when it is won.
func (s *Service) settle(ctx context.Context, op *ledger.Operation, d *Dispute) (func(*ledger.Outcome) ([]storage.Effect, error), error) {
	left, card := d.Left(), &issuing.Card{Book: d.Book, ID: d.Card}
	none := func(*ledger.Outcome) ([]storage.Effect, error) { return nil, nil }
	owes, disputed := issuing.Settlement(left.Currency), issuing.Disputed(left.Currency)
	credited, err := s.follow(ctx, op, d)
	switch {
	case err != nil:
		return nil, err
	case d.State == Won && credited:
		op.Kind, op.Open = kindWin, []ledger.NewAccount{owes, disputed}
		op.Postings = []ledger.Posting{{Debit: owes.ID, Credit: disputed.ID, Amount: left}}
		return none, nil
	case d.State == Won && d.Credited: // the card's spending has it already
		op.Kind = kindWin
		return none, s.give(ctx, op, d, owes)
	case d.State == Won:
		op.Kind = kindWin
		return func(*ledger.Outcome) ([]storage.Effect, error) {
			return []storage.Effect{issuing.GivenBack(card, left)}, nil
		}, s.give(ctx, op, d, owes)
	}
	op.Kind = kindReverse
	op.Guards = []ledger.Guard{{Counter: authorization.ReturnCounter(d.Payment), Add: -left.Minor, Limit: unbounded}}
	if !d.Credited {
		return none, nil
	}
	keeps := func(*ledger.Outcome) error { return nil }
	if credited {
		keeps, err = s.take(ctx, op, d, left)
	}
	return func(o *ledger.Outcome) ([]storage.Effect, error) {
		return []storage.Effect{issuing.GivenBack(card, money.New(-left.Minor, left.Currency))}, keeps(o)
	}, err
}

// unbounded is more than any counter comes to.
const unbounded = 1 << 60

// GiveWay makes room for a refund of a payment: as much of what is contested, and credited,
// as is needed is taken back, since the merchant gives it. A dispute of which nothing is left
// is won.
func (s *Service) GiveWay(ctx context.Context, r authorization.Room) error {
	for try := 1; ; try++ {
		d, ok, err := storage.One(ctx, s.DB, scanDispute, findOpen, string(r.Book), string(r.Payment))
		if err != nil || !ok || r.Whole && r.Amount.Minor > d.Left().Minor {
			return err
		}
		err = s.giveWay(ctx, d, r.Amount)
		if !stale(err) || try == maxTries {
			return err
		}
	}
}

func (s *Service) giveWay(ctx context.Context, d Dispute, needed money.Amount) error {
	before, gave := d.Revision, money.New(min(needed.Minor, d.Left().Minor), needed.Currency)
	d.Refunded.Minor += gave.Minor
	d.Revision++
	op := ledger.Operation{Book: d.Book, Kind: kindRefund, Reference: string(d.Payment), Actor: "card-network", At: s.Clocks.Now(d.Realm), Final: true, Guards: []ledger.Guard{
		{Counter: authorization.ReturnCounter(d.Payment), Add: -gave.Minor, Limit: unbounded}}}
	keeps := func(*ledger.Outcome) error { return nil }
	credited, err := s.follow(ctx, &op, &d)
	if err == nil && credited {
		keeps, err = s.take(ctx, &op, &d, gave)
	}
	if err != nil {
		return err
	}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		d.ChangedAt = o.At
		effects := []storage.Effect{}
		if d.Credited {
			effects = append(effects, issuing.GivenBack(&issuing.Card{Book: d.Book, ID: d.Card}, money.New(-gave.Minor, gave.Currency)))
		}
		kind := eventRefunded
		if d.Left().IsZero() {
			d.State, d.Decision, d.DecidedBy, d.DueAt, kind = Won, "the merchant refunded it", op.Actor, time.Time{}, eventWon
		}
		return append(append(effects, d.revise(before)), s.event(kind, &d, o.Transaction)...), keeps(&o)
	}
	_, err = s.Books.Submit(ctx, op)
	return err
}

// sweepPage bounds the disputes that a sweep reads at a time.
const sweepPage = 200

// Expire moves the disputes on whose time is over, by the clock of each realm. It returns
// how many; one that cannot be moved does not keep the others from it.
func (s *Service) Expire(ctx context.Context) (int, error) { return s.expiry.Run(ctx) }

// due lists disputes whose time is over, in that order.
func (s *Service) due(ctx context.Context, r realm.Realm, after Dispute, most int) ([]Dispute, error) {
	due, err := storage.All(ctx, s.DB, scanDispute, listDue, string(r), storage.Micros(s.Clocks.Now(r)),
		storage.Micros(after.DueAt), string(after.Book), string(after.ID), most)
	if err != nil {
		return nil, fmt.Errorf("find disputes that are due: %w", err)
	}
	return due, nil
}
