package order

import (
	"context"
	"errors"
	"fmt"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/minted"
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
	// AcceptUsed makes good even for codes whose gift cards were used.
	AcceptUsed bool
	// Patience says to wait for a supplier that is asked for other codes, for a while.
	Patience bool
	Also     storage.Also[*Remedied]
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
	// Voided are the gift cards that dead codes were, which nobody can spend any more.
	Voided []minted.Void
}

// GiftCards returns those of some codes that are gift cards of this installation, made when
// they were sold, as they stand.
func (s *Service) GiftCards(ctx context.Context, codes []minted.Code) (map[minted.Code]*minted.Card, error) {
	return s.own.Cards(ctx, codes)
}

// Refund pays back what was charged for codes of a completed order; when all of its codes
// are paid back, the order is refunded. Those that are gift cards made when they were sold
// are voided with it, for what is left on them. It returns not_found, invalid_state for an
// order that is not completed or whose payment was reversed, for a code that the order does not have and for a gift card
// that was used, unless that is accepted, or of which a part is held; or storage.ErrStale,
// wrapped, when somebody else changed the order or a card meanwhile: look again then.
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
	dead, err := s.doomed(ctx, &r, held.of(r.Codes))
	if err != nil {
		return Remedied{}, err
	}
	voids, err := s.own.Prepare(ctx, dead, minted.Order{Realm: found.Realm, Actor: r.Actor, Reason: "its code was paid back"})
	if err != nil {
		return Remedied{}, err
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
			if err := done.Order.Status.become(Refunded); err != nil {
				return nil, err
			}
		}
		return done.effects(&r, voids, r.stock().Refund(r.Codes))
	}
	return s.makeGood(ctx, op, &done, voids.Ops...)
}

// doomed returns dead codes of a remedy with their gift cards, if they can be made good for.
func (s *Service) doomed(ctx context.Context, r *Remedy, dead []stock.Held) ([]minted.Doomed, error) {
	all, err := s.withCards(ctx, r.Book, dead)
	for i := range all {
		if err == nil {
			err = all[i].Check(r.AcceptUsed)
		}
	}
	return all, err
}

// withCards adds their gift cards to codes of a book.
func (s *Service) withCards(ctx context.Context, book ledger.BookID, dead []stock.Held) ([]minted.Doomed, error) {
	codes, all := make([]minted.Code, len(dead)), make([]minted.Doomed, len(dead))
	for i, h := range dead {
		codes[i] = minted.Code{Book: book, ID: h.ID}
	}
	cards, err := s.own.Cards(ctx, codes)
	for i, h := range dead {
		all[i] = minted.Doomed{Code: codes[i], Place: h.Place, Card: cards[codes[i]]}
	}
	return all, err
}

// holding is what an order has.
type holding struct {
	codes    map[stock.CodeID]stock.Held // those that are neither replaced nor refunded
	refunded int
}

// of returns some of the codes.
func (h *holding) of(codes []stock.CodeID) []stock.Held {
	all := make([]stock.Held, len(codes))
	for i, code := range codes {
		all[i] = h.codes[code]
	}
	return all
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
	if err := s.stands(ctx, &found); err != nil {
		return Order{}, holding{}, err
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

// errReversed says that an operator reversed what paid for an order.
var errReversed = errors.New("nothing more is made good for")

// stands returns errReversed, as invalid_state, for an order whose buyer has the money back
// by a reversal in the books.
func (s *Service) stands(ctx context.Context, o *Order) error {
	by, err := ledger.Reversals(ctx, s.DB, o.Book, []ledger.TransactionID{o.Transaction})
	if err == nil && len(by) > 0 {
		err = fault.Wrap(errReversed, fault.InvalidState, "the payment of order %s was reversed in the books, by transaction %s", o.Name(), by[0].Transaction)
	}
	return err
}

// stock names the remedy to the stock.
func (r *Remedy) stock() stock.Remedy {
	return stock.Remedy{Book: r.Book, Order: r.Order.ref(), Key: r.Key}
}

// remedy is the operation of a remedy, without what it counts and moves.
func (s *Service) remedy(o *Order, r *Remedy, kind string) ledger.Operation {
	return ledger.Operation{Book: r.Book, Kind: kind, Key: kind + "/" + r.Key, Reference: o.Name(), Actor: r.Actor, At: s.Clocks.Now(o.Realm), Follows: []ledger.TransactionID{o.Transaction}}
}

// remedied is the order after a remedy, if it stays completed.
func (o Order) remedied(done *ledger.Outcome, codes int, refunded catalog.Charged) Remedied {
	o.ChangedAt = done.At
	return Remedied{Order: o, Change: Change{Book: o.Book, Seq: done.Seq, Order: o.Number, Transaction: done.Transaction, Kind: done.Kind, Codes: codes,
		Refunded: refunded, At: done.At}}
}

// effects are what is written with a remedy: the order first, so that of two at once one waits.
func (d *Remedied) effects(r *Remedy, voids *minted.Voids, codes []storage.Effect) ([]storage.Effect, error) {
	voided, marks, err := voids.Done()
	if err != nil {
		return nil, err
	}
	o := &d.Order
	d.Voided = voided
	effects := []storage.Effect{insertChange.Row(d.Change.row()...),
		changeOrder.With(string(o.Book), int64(o.Number), string(o.Status), storage.Micros(o.ChangedAt)).Exactly(1)}
	effects = append(append(effects, codes...), marks...)
	return r.Also.With(effects, d)
}

// makeGood makes a remedy, together with what is made in other books. One that was made
// before under the same key is stale: what it did is in the order.
func (s *Service) makeGood(ctx context.Context, op ledger.Operation, done *Remedied, more ...ledger.Operation) (Remedied, error) {
	if len(more) > 0 {
		op.Key = "" // who finds it done must not do the others all the same: the codes tell
	}
	o, err := s.submit(ctx, op, more)
	if code := fault.CodeOf(err); len(more) > 0 && (code == fault.AccountClosed || code == fault.AccountNotEmpty) {
		err = fmt.Errorf("a gift card ended or was used meanwhile: %w: %w", storage.ErrStale, err)
	} else if code == fault.AlreadyReversed {
		err = fmt.Errorf("the payment was reversed meanwhile: %w: %w: %w", errReversed, storage.ErrStale, err)
	}
	if err == nil && o.Replayed {
		err = fmt.Errorf("it was done before, in transaction %s: %w", o.Transaction, storage.ErrStale)
	}
	if err != nil {
		return Remedied{}, fmt.Errorf("%s %s: %w", op.Kind, op.Reference, err)
	}
	return *done, nil
}
