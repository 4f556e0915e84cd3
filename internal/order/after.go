package order

import (
	"context"
	"fmt"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
)

// What happens to an order once it is completed: the kinds of the ledger's transactions
// and the counters of its guards, per order. They end with the order's number.
const (
	kindRefund      = "order.refund"
	kindReplace     = "order.replace"
	counterRefunded = "order.refunded/"
	counterReplaced = "order.replaced/"
)

// Remedy makes good for dead codes of an order.
type Remedy struct {
	Book  ledger.BookID
	Order Number
	// Codes are the dead ones: those that the order has now.
	Codes []stock.CodeID
	// Key names the remedy within the book: a second one under it changes nothing.
	Key   string
	Actor string
	// Patience says to wait for a supplier that is asked for other codes, for a while.
	Patience bool
	// Also is what to write with it; its error undoes the whole. It may be nil, may run
	// more than once and must have no effects of its own.
	Also func(*Remedied) ([]storage.Effect, error)
}

// Remedied is what was done for dead codes.
type Remedied struct {
	// UnderWay says that a supplier is at it: nothing was done yet, and of the change there
	// is no more than the time.
	UnderWay bool
	// Order is the order afterwards.
	Order  Order
	Change Change
	// Swaps are the codes that took the places of the dead ones; none for a refund.
	Swaps []stock.Swap
}

// Refund pays back what was charged for codes of a completed order; when all of its codes
// are paid back, the order is refunded. It returns not_found, invalid_state for an order
// that is not completed and for a code that the order does not have, or storage.ErrStale,
// wrapped, when somebody else changed the order meanwhile: look again then.
func (s *Service) Refund(ctx context.Context, r Remedy) (Remedied, error) {
	found, held, err := s.remedial(ctx, &r)
	if err != nil {
		return Remedied{}, err
	}
	n := len(r.Codes)
	amount, err := found.Price.Times(n)
	if err != nil {
		return Remedied{}, fmt.Errorf("refund order %d: %w", r.Order, err)
	}
	all := held.refunded+n == found.Quantity
	op := s.remedy(&found, &r, kindRefund)
	op.Guards = []ledger.Guard{{Counter: counterRefunded + r.Order.ref(), Add: int64(n), Limit: int64(found.Quantity)}}
	if all {
		op.Guards = append(op.Guards, Moved(Completed, Refunded)...)
	}
	if amount.IsPositive() { // what cost nothing gives nothing back
		from, to := revenue(amount.Currency), wallet.Account(amount.Currency)
		op.Open, op.Postings = []ledger.NewAccount{from, to}, []ledger.Posting{{Debit: from.ID, Credit: to.ID, Amount: amount.Amount}}
	}
	var done Remedied
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		if (o.Sum(counterRefunded+r.Order.ref()) == int64(found.Quantity)) != all {
			return nil, fmt.Errorf("other codes were refunded meanwhile: %w", storage.ErrStale)
		}
		done = found.remedied(&o, n, amount)
		if all {
			done.Order.Status = Refunded
		}
		return done.effects(&r, r.stock().Refund(r.Codes))
	}
	return s.makeGood(ctx, op, &done)
}

// holding is what an order has.
type holding struct {
	codes    map[stock.CodeID]stock.Held // those that are neither replaced nor refunded
	refunded int
}

// remedial returns the order of a remedy and what it has, if the remedy is one for it.
func (s *Service) remedial(ctx context.Context, r *Remedy) (Order, holding, error) {
	found, err := s.Find(ctx, r.Book, r.Order)
	if err != nil {
		return Order{}, holding{}, err
	}
	if found.Status != Completed {
		return Order{}, holding{}, fault.New(fault.InvalidState, "order %s is %s", found.Name(), found.Status)
	}
	codes, err := s.Stock.Holdings(ctx, r.Book, r.Order.ref())
	if err != nil {
		return Order{}, holding{}, err
	}
	has := holding{codes: map[stock.CodeID]stock.Held{}}
	for _, c := range codes {
		switch c.State {
		case stock.Refunded:
			has.refunded++
		case stock.Sold:
			has.codes[c.ID] = c
		case stock.Replacing, stock.Replaced, stock.Available, stock.Quarantined, stock.Reserved:
		}
	}
	wanted := map[stock.CodeID]bool{}
	for _, code := range r.Codes {
		if _, ok := has.codes[code]; !ok || wanted[code] {
			return Order{}, holding{}, fault.New(fault.InvalidState, "code %s of order %s is being replaced, or was replaced or refunded before", code, found.Name())
		}
		wanted[code] = true
	}
	if len(wanted) == 0 {
		return Order{}, holding{}, fault.New(fault.InvalidRequest, "want at least one code").At("codes")
	}
	return found, has, nil
}

// stock names the remedy to the stock.
func (r *Remedy) stock() stock.Remedy {
	return stock.Remedy{Book: r.Book, Order: r.Order.ref(), Key: r.Key}
}

// remedy is the operation of a remedy, without what it counts and moves.
func (s *Service) remedy(o *Order, r *Remedy, kind string) ledger.Operation {
	return ledger.Operation{Book: r.Book, Kind: kind, Key: kind + "/" + r.Key, Reference: o.Name(), Actor: r.Actor, At: s.Clocks.Now(o.Realm)}
}

// remedied is the order after a remedy, if it stays completed.
func (o Order) remedied(done *ledger.Outcome, codes int, refunded catalog.Charged) Remedied {
	o.ChangedAt = done.At
	return Remedied{Order: o, Change: Change{Book: o.Book, Seq: done.Seq, Order: o.Number, Transaction: done.Transaction, Kind: done.Kind, Codes: codes,
		Refunded: refunded, At: done.At}}
}

// effects are what is written with a remedy: the order first, so that of two at once one waits.
func (d *Remedied) effects(r *Remedy, codes []storage.Effect) ([]storage.Effect, error) {
	o := &d.Order
	effects := []storage.Effect{insertChange.Row(d.Change.row()...),
		changeOrder.With(string(o.Book), int64(o.Number), string(o.Status), storage.Micros(o.ChangedAt)).Exactly(1)}
	effects = append(effects, codes...)
	if r.Also == nil {
		return effects, nil
	}
	more, err := r.Also(d)
	return append(effects, more...), err
}

// makeGood makes a remedy, together with what is made in other books. One that was made before under the same key is stale: what it did
// is in the order.
func (s *Service) makeGood(ctx context.Context, op ledger.Operation, done *Remedied, more ...ledger.Operation) (Remedied, error) {
	o, err := s.submit(ctx, op, more)
	if err == nil && o.Replayed {
		err = fmt.Errorf("it was done before, in transaction %s: %w", o.Transaction, storage.ErrStale)
	}
	if err != nil {
		return Remedied{}, fmt.Errorf("%s %s: %w", op.Kind, op.Reference, err)
	}
	return *done, nil
}
