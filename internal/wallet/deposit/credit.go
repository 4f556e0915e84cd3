package deposit

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/wallet"
)

// The kinds of the ledger's transactions.
const (
	kindCredit  = "deposit.credit"
	kindReverse = "deposit.reverse"
)

// actor is who credits and reverses: nobody asked for it.
const actor = "deposit"

// estimate prices a deposit at the rate of the moment, if there is one.
func (s *Service) estimate(ctx context.Context, d *Deposit) {
	rates := s.Rates[d.Realm]
	if rates == nil {
		return
	}
	q, err := rates.Rate(ctx, d.Amount.Asset, currency)
	if err != nil {
		return // it is seen without one, and credited when there is one
	}
	d.Rate, d.Sources, d.RatedAt = q.Rate, q.Sources, q.At
	s.value(d)
}

// value works out the figures of a deposit at its rate. What is beyond the books is too large.
func (s *Service) value(d *Deposit) {
	d.price(zero(), zero())
	d.Reason = None
	value, err := worth(d)
	if err != nil {
		d.Reason = TooLarge
		return
	}
	fee, err := value.BasisPoints(s.Policy.FeeBasisPoints, money.HalfUp)
	if err != nil {
		d.Reason = TooLarge
		return
	}
	d.price(value, fee)
}

// credit gives the wallet what a confirmed payment is worth: at the rate of when it was
// seen, if it was confirmed within the window, otherwise at the rate of now. Without a
// rate it waits. What an operator decided in the books about an earlier credit stays so.
func (s *Service) credit(ctx context.Context, before, d Deposit) (Deposit, error) {
	if decided, err := s.reversedByHand(ctx, &before, before.Credit, before.Reversal); err != nil {
		return Deposit{}, err
	} else if decided {
		return s.confirm(ctx, before, d)
	}
	now := s.Clocks.Now(d.Realm)
	if d.Rate.IsZero() || now.Sub(d.SeenAt) > s.Policy.RateWindow {
		d.Rate = money.Rate{}
		s.estimate(ctx, &d)
	} else {
		s.value(&d)
	}
	switch {
	case d.Rate.IsZero():
		d.Rate, d.Reason = before.Rate, NoRate
		return s.wait(ctx, before, d)
	case d.Reason == TooLarge:
		return s.tooLarge(ctx, before, d)
	case !d.Credited.IsPositive():
		if err := d.Status.become(Expired); err != nil {
			return Deposit{}, err
		}
		d.Reason, d.watched = BelowMinimum, false
		d.price(zero(), zero())
		return s.save(ctx, d, s.event(eventExpired, &d))
	}
	waiting := d
	if err := d.Status.become(Confirmed); err != nil {
		return Deposit{}, err
	}
	d.Reason, d.credits = None, before.credits+1
	from, to, kept := wallet.Custody(d.Amount.Asset, currency), wallet.Account(currency), wallet.Fees(currency)
	op := s.operation(kindCredit, &d, []ledger.NewAccount{from, to, kept}, []ledger.Posting{
		{Debit: from.ID, Credit: to.ID, Amount: d.Credited}, {Debit: from.ID, Credit: kept.ID, Amount: d.Fee}})
	if before.Reversal != "" { // that stands, and is not reversed as well
		op.Follows = []ledger.TransactionID{before.Reversal}
	}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		d.Credit, d.ConfirmedAt, d.ChangedAt = o.Transaction, o.At, o.At
		return append([]storage.Effect{d.save()}, s.event(eventConfirmed, &d)...), nil
	}
	done, err := s.submit(ctx, op, &d)
	if fault.CodeOf(err) == fault.InvalidAmount { // an account of the wallet's has as much as can be counted
		return s.tooLarge(ctx, before, waiting)
	}
	return done, err
}

// tooLarge has a payment wait that is worth more than the books hold, and tells of it once.
func (s *Service) tooLarge(ctx context.Context, before, d Deposit) (Deposit, error) {
	d.Reason = TooLarge
	d.price(zero(), zero())
	if before.Reason != TooLarge || before.Confirmations < before.Required {
		s.Logger.ErrorContext(ctx, "a deposit is worth more than can be credited", "deposit", string(d.ID), "book", string(d.Book), "amount", d.Amount.String())
	}
	return s.wait(ctx, before, d)
}

// reversedByHand reports whether an operator reversed one of some transactions of a deposit
// in the books. Empty ones are none.
func (s *Service) reversedByHand(ctx context.Context, d *Deposit, transactions ...ledger.TransactionID) (bool, error) {
	var posted []ledger.TransactionID
	for _, t := range transactions {
		if t != "" {
			posted = append(posted, t)
		}
	}
	if posted == nil {
		return false, nil
	}
	by, err := ledger.Reversals(ctx, s.DB, d.Book, posted)
	return len(by) > 0, err
}

// confirm has a payment be confirmed again that an operator decided about in the books: the
// credit was reversed there, or what had taken it back was. Neither is done over.
func (s *Service) confirm(ctx context.Context, before, d Deposit) (Deposit, error) {
	s.value(&d) // at the rate at which it was credited
	if err := d.Status.become(Confirmed); err != nil {
		return Deposit{}, err
	}
	d.Reason, d.ConfirmedAt, d.credits = None, d.ChangedAt, before.credits+1
	return s.save(ctx, d, nil)
}

// wait writes down that a confirmed payment is not credited yet, and why, once.
func (s *Service) wait(ctx context.Context, before, d Deposit) (Deposit, error) {
	if d.Reason == before.Reason && d.Confirmations == before.Confirmations {
		return before, nil
	}
	return s.save(ctx, d, nil)
}

// reverse takes a credit back, whether or not the wallet still has it. d is what the
// deposit becomes: expired, or pending when the payment waits for a block again. A credit
// that an operator reversed in the books was taken back by that.
func (s *Service) reverse(ctx context.Context, before, d Deposit) (Deposit, error) {
	d.ConfirmedAt = time.Time{}
	if d.Status == Expired {
		d.price(zero(), zero())
	}
	if gone, err := s.reversedByHand(ctx, &before, before.Credit); err != nil {
		return Deposit{}, err
	} else if gone {
		told := eventPending
		if d.Status == Expired {
			told = eventExpired
		}
		return s.save(ctx, d, s.event(told, &d))
	}
	from, to, kept := wallet.Account(currency), wallet.Custody(d.Amount.Asset, currency), wallet.Fees(currency)
	op := s.operation(kindReverse, &d, []ledger.NewAccount{from, to, kept}, []ledger.Posting{
		{Debit: from.ID, Credit: to.ID, Amount: before.Credited, Forced: true}, {Debit: kept.ID, Credit: to.ID, Amount: before.Fee, Forced: true}})
	op.Follows = []ledger.TransactionID{before.Credit}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		d.Reversal, d.ChangedAt = o.Transaction, o.At
		told := d // subscribers learn what was taken back
		told.price(before.Value, before.Fee)
		return append([]storage.Effect{d.save()}, s.event(eventReversed, &told)...), nil
	}
	done, err := s.submit(ctx, op, &d)
	if err == nil {
		s.Logger.WarnContext(ctx, "a credited deposit was undone by its chain", "deposit", string(d.ID), "book", string(d.Book), "reason", string(d.Reason))
	}
	return done, err
}

// operation is an operation about a deposit. Its key is the deposit's and counts how often
// it was credited: what a second process does at the same time is the same.
func (s *Service) operation(kind string, d *Deposit, open []ledger.NewAccount, postings []ledger.Posting) ledger.Operation {
	key := kind + "/" + string(d.ID) + "/" + strconv.FormatInt(d.credits, 10)
	op := ledger.Operation{Book: d.Book, Kind: kind, Key: key, Intent: key, Reference: d.TxID, Actor: actor, At: s.Clocks.Now(d.Realm), Open: open}
	for _, p := range postings {
		if p.Amount.IsPositive() { // there may be no fee
			op.Postings = append(op.Postings, p)
		}
	}
	return op
}

// submit does an operation about a deposit. One that was done before is stale: the row,
// which was written with it, says more than the caller knew.
func (s *Service) submit(ctx context.Context, op ledger.Operation, d *Deposit) (Deposit, error) {
	outcome, err := s.Books.Submit(ctx, op)
	switch {
	case fault.CodeOf(err) == fault.AlreadyReversed: // by an operator, meanwhile
		return Deposit{}, fmt.Errorf("%s %s: %w: %w", op.Kind, d.ID, storage.ErrStale, err)
	case err != nil:
		return Deposit{}, fmt.Errorf("%s %s: %w", op.Kind, d.ID, err)
	case outcome.Replayed:
		return Deposit{}, fmt.Errorf("%s %s: %w", op.Kind, d.ID, storage.ErrStale)
	}
	done := *d
	done.version++
	return done, nil
}

// worth is what a deposit is worth at its rate, rounded down: nobody pays for a part of a cent.
func worth(d *Deposit) (money.Amount, error) {
	value, err := quoteOf(d).Value(d.Amount, money.Floor)
	if err == nil && value.Minor > maxValue {
		err = money.ErrRange
	}
	return value, err
}

// quoteOf is the quote that a deposit keeps.
func quoteOf(d *Deposit) rate.Quote {
	return rate.Quote{Pair: rate.Pair{Base: d.Amount.Asset.Symbol(), Quote: currency}, Rate: d.Rate, Sources: d.Sources, At: d.RatedAt}
}
