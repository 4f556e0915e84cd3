package cashout

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// sweepSize bounds the orders that are ended together, sweepMost how often a sweep of a realm
// ends so many.
const (
	sweepSize = 500
	sweepMost = 20
)

// Expire ends the orders whose time is over, has their pictures erased at once, and returns how
// many it ended. Those whose phone was never confirmed are removed: anybody makes as many as
// they like, and there is no customer, picture or money that would need one. A background job
// calls it; calling it twice at once is harmless.
func (s *Service) Expire(ctx context.Context) (int, error) {
	ended := 0
	for _, r := range realm.All() {
		book, err := s.Book(ctx, r)
		if err != nil {
			return ended, err
		}
		for range sweepMost {
			if book == "" {
				break
			}
			due, err := storage.All(ctx, s.DB, scanOrder, listDue, string(book), storage.Micros(s.Clocks.Now(r)), sweepSize)
			if err != nil {
				return ended, err
			}
			n, err := s.expire(ctx, book, due)
			if ended += n; err != nil {
				return ended, err
			}
			if len(due) < sweepSize {
				break
			}
		}
	}
	return ended, nil
}

// expire ends orders of a book that are due, and returns how many.
func (s *Service) expire(ctx context.Context, book ledger.BookID, due []Order) (ended int, err error) {
	var unconfirmed [][]any
	for i := range due {
		if due[i].Status == Created {
			unconfirmed = append(unconfirmed, []any{string(due[i].ID)})
			continue
		}
		err := s.finish(ctx, due[i], Expired, nil)
		switch {
		case err == nil:
			ended++
		case errors.Is(err, storage.ErrStale): // its customer was faster
		default:
			return ended, fmt.Errorf("expire order %s: %w", due[i].ID, err)
		}
	}
	if len(unconfirmed) == 0 {
		return ended, nil
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if err := tx.ExecRows(ctx, forgetCodes, unconfirmed, string(book)); err != nil {
			return err
		}
		return tx.ExecRows(ctx, forgetOrders, unconfirmed, string(book))
	})
	if err != nil {
		return ended, fmt.Errorf("remove orders: %w", err)
	}
	return ended + len(unconfirmed), nil
}

// finish ends an order that is not in the books.
func (s *Service) finish(ctx context.Context, o Order, as Status, also storage.Also[*Order]) error {
	unconfirmed := o.Status == Created
	if err := o.become(as); err != nil {
		return err
	}
	o.ChangedAt = s.Clocks.Now(o.Realm)
	o.DecidedAt = o.ChangedAt
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if unconfirmed { // a code may have been sent
			if err := tx.ExecRows(ctx, forgetCodes, [][]any{{string(o.ID)}}, string(o.Book)); err != nil {
				return err
			}
		}
		effects := []storage.Effect{o.revise()}
		if d := s.keeper(o.Realm); d != nil {
			effects = append(effects, d.Images.Close(o.owner())...)
			effects = append(effects, d.erase(&o, 0)...)
		}
		effects, err := also.With(effects, &o)
		if err != nil {
			return err
		}
		return tx.Apply(ctx, effects)
	})
}

// Cancel ends an order that is not approved yet, for good: its caller is told that there is
// none. Nothing is owed to its customer, as nothing was, or as an operator reversed the
// approval in the books. Of one that was cleared what blocked it stays there: what others
// built on is not reversed. It returns not_found and invalid_state.
func (s *Service) Cancel(ctx context.Context, d Decision) (Order, error) {
	o, err := s.Get(ctx, d.Book, d.Order)
	if err != nil {
		return Order{}, err
	}
	if o.Status == Approved {
		if undone, err := s.undone(ctx, &o); err != nil {
			return Order{}, err
		} else if !undone {
			return Order{}, fault.New(fault.InvalidState, "the order is approved, and so it stays unless its approval is reversed in the books")
		}
	}
	o.Reason = d.Reason
	if err := s.finish(ctx, o, Cancelled, d.also); err != nil {
		return Order{}, stale(err)
	}
	return s.Get(ctx, d.Book, d.Order)
}

// undone reports whether an operator reversed in the books what approved an order. That cannot
// be while a payout holds what is owed, and nothing can be paid afterwards.
func (s *Service) undone(ctx context.Context, o *Order) (bool, error) {
	approval, ok, err := s.Books.FindByKey(ctx, o.Book, kindApprove+"/"+string(o.ID))
	if err != nil || !ok {
		return false, err
	}
	by, err := ledger.Reversals(ctx, s.DB, o.Book, []ledger.TransactionID{approval.Transaction})
	return len(by) > 0, err
}

// Ended is what became of a payout.
type Ended struct {
	Book   ledger.BookID
	Realm  realm.Realm
	Order  ID
	Payout string
	Amount money.Amount
	// Proof is the transaction or the preimage; empty: it failed, and Reason says why.
	Proof, Reason string
	// Again says that it had been paid before, and that the chain gave that up.
	Again bool
	At    time.Time
}

// PayoutEnded returns what is written in the transaction that ends a payout: its order is
// completed, or waits for another destination. It is pure. A payout that its order does not
// wait for changes nothing, but for the proof of one that was paid again.
func (s *Service) PayoutEnded(e Ended) []storage.Effect {
	if e.Again {
		return []storage.Effect{proveOrder.With(string(e.Book), string(e.Order), e.Payout, e.Proof, storage.Micros(e.At))}
	}
	o := Order{Book: e.Book, Realm: e.Realm, ID: e.Order, Status: Completed, Bitcoin: e.Amount, Payout: e.Payout, Proof: e.Proof, Reason: e.Reason, ChangedAt: e.At}
	event := eventCompleted
	if e.Proof == "" {
		o.Status, event = Approved, eventFailed
		if o.Reason == "" {
			o.Reason = "the payout failed"
		}
	}
	return append(s.tell(&o, event), endOrder.With(string(e.Book), string(e.Order), e.Payout, string(o.Status), o.Proof, o.Reason, storage.Micros(e.At)))
}

// Unpaid reports whether an order was approved and its payout failed, so that it waits for
// another destination.
func (o *Order) Unpaid() bool { return o.Status == Approved && o.Reason != "" }

// PayAgain pays an order whose payout failed, where to says: another destination of the same
// customer, or empty for the one it has; or blocks it, where a list has that. It returns
// not_found, invalid_state where no payout failed, invalid_request, and unavailable.
func (s *Service) PayAgain(ctx context.Context, d Decision, to string) (Order, error) {
	o, err := s.Get(ctx, d.Book, d.Order)
	if err != nil {
		return Order{}, err
	}
	desk, err := s.desk(o.Realm)
	if err != nil {
		return Order{}, err
	}
	if !o.Unpaid() {
		return Order{}, fault.New(fault.InvalidState, "no payout of the order failed")
	}
	if to != "" && desk.Payouts != nil {
		if o.To, err = desk.Payouts.Parse(o.Realm, to); err != nil {
			return Order{}, fault.From(err).At("address")
		}
	}
	match, err := s.screen(ctx, desk, &o)
	if err != nil {
		return Order{}, err
	}
	o.ChangedAt = s.Clocks.Now(o.Realm)
	if match.Found() {
		return s.seize(ctx, o, &d, match)
	}
	op := ledger.Operation{Book: o.Book, Kind: kindAgain, Key: kindAgain + "/" + string(o.ID) + "/" + strconv.FormatInt(o.Revision, 10), Reference: string(o.ID),
		Actor: d.Actor, At: o.ChangedAt}
	op.Effects = func(ledger.Outcome) ([]storage.Effect, error) {
		effects, err := d.also(&o)
		return append(effects, o.revise()), err
	}
	if err := s.plan(ctx, &o, &op); err != nil {
		return Order{}, err
	}
	if o.Payout == "" {
		return Order{}, fault.New(fault.InvalidRequest, "%s", o.Reason).At("address")
	}
	done, err := s.Books.Submit(ctx, op)
	if err != nil {
		return Order{}, stale(err)
	}
	if done.Replayed {
		return Order{}, late()
	}
	s.Queue.Wake()
	o.Revision++
	return o, nil
}

// seize owes to nobody what an approved order is owed, and blocks it. Who asks for the order
// is not told, so that nobody can try out what is on the lists.
func (s *Service) seize(ctx context.Context, o Order, d *Decision, m customer.Match) (Order, error) {
	if err := o.become(Blocked); err != nil {
		return Order{}, err
	}
	o.Reason = listed(m)
	return s.withhold(ctx, o, d, withheld{ledger.Operation{Book: o.Book, Key: kindBlock + "/" + string(o.ID) + "/" + strconv.FormatInt(o.Revision, 10), At: o.ChangedAt,
		Reference: string(o.ID), Open: []ledger.NewAccount{blocked()}, Postings: []ledger.Posting{{Debit: Owed(o.ID).ID, Credit: blocked().ID, Amount: o.Bitcoin}}}, m})
}

// Clear pays an order that a match blocked which was found to be false, as if no list had it:
// at its price, and where it says. Another match leaves it blocked, and becomes its reason. It
// returns not_found, invalid_state, and unavailable where a list cannot be asked or nothing is
// paid.
func (s *Service) Clear(ctx context.Context, d Decision, m customer.Block) (Order, error) {
	o, err := s.Get(ctx, d.Book, d.Order)
	if err != nil {
		return Order{}, err
	}
	desk, err := s.desk(o.Realm)
	if err == nil && o.Status != Blocked {
		err = fault.New(fault.InvalidState, "the order is %s", o.Status)
	}
	if err != nil {
		return Order{}, err
	}
	now := s.Clocks.Now(o.Realm)
	m.Cleared.At = now
	match, err := s.screen(ctx, desk, &o, m)
	if err != nil {
		return Order{}, err
	}
	if match.Found() {
		another, err := s.found(ctx, &o, match)
		if err != nil {
			return Order{}, err
		}
		another.Transaction = m.Transaction
		return s.blockedStill(ctx, o, &d, another)
	}
	op := ledger.Operation{Book: o.Book, Kind: kindClear, Key: kindApprove + "/" + string(o.ID), At: now, Reference: string(o.ID), Open: []ledger.NewAccount{Owed(o.ID)},
		Postings: []ledger.Posting{{Debit: blocked().ID, Credit: Owed(o.ID).ID, Amount: o.Bitcoin}}, Follows: []ledger.TransactionID{m.Transaction}}
	// What was approved before is reversed by that approval, and this stands.
	if _, op.Final, err = s.Books.FindByKey(ctx, o.Book, op.Key); err != nil {
		return Order{}, err
	}
	if op.Final {
		op.Key = kindClear + "/" + string(o.ID) + "/" + strconv.FormatInt(o.Revision, 10)
	}
	o.ChangedAt, o.DecidedAt = now, now
	return s.approve(ctx, o, &d, op)
}

// blockedStill notes another match of an order that is blocked. Whoever has the order sees it
// as before, by when it was decided and changed.
func (s *Service) blockedStill(ctx context.Context, o Order, d *Decision, found customer.Block) (Order, error) {
	also := d.Also
	d.Also = func(o *Order) ([]storage.Effect, error) {
		effects, err := also.With(nil, o)
		return append(effects, found.Add()), err
	}
	o.Reason = listed(found.Match)
	return s.write(ctx, o, d, "")
}
