package authorization

import (
	"context"
	"errors"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// decline keeps a decline as the answer to its message, or returns the answer that
// somebody else kept first.
func (s *Service) decline(ctx context.Context, a *attempt, reason Reason) (Decision, error) {
	l := a.line(TypeDecline, a.request.Amount, a.at)
	l.Reason, l.payment.State, l.payment.EndedAt, l.payment.counted = reason, StateDeclined, a.at, ""
	return s.keep(ctx, a, &l)
}

// verified keeps that a card was found to be in order: an authorization of nothing.
func (s *Service) verified(ctx context.Context, a *attempt) (Decision, error) {
	l := a.line(TypeAuthorization, a.request.Amount, a.at)
	var err error
	if l.Code, err = s.draw(approvalDigits); err != nil {
		return Decision{}, err
	}
	l.payment.State, l.payment.EndedAt = StateReversed, a.at
	return s.keep(ctx, a, &l)
}

// keep writes down a line that moves nothing.
func (s *Service) keep(ctx context.Context, a *attempt, l *line) (Decision, error) {
	var err error
	if l.Balance, err = s.available(ctx, a.card); err != nil {
		return Decision{}, err
	}
	effects := s.rows(l)
	if !l.declined() {
		effects = append(effects, s.linked(l)...)
	}
	err = s.DB.Apply(ctx, effects)
	if storage.IsUnique(err) {
		return s.other(ctx, a)
	}
	return l.begins(), err
}

// see declines a payment that was reversed before it came.
func (s *Service) see(ctx context.Context, a *attempt, unseen *line) (Decision, error) {
	l := a.line(TypeDecline, a.request.Amount, a.at)
	l.ID, l.payment.ID, l.Reason = unseen.ID, unseen.payment.ID, ReasonReversed
	var err error
	if l.Balance, err = s.available(ctx, a.card); err != nil {
		return Decision{}, err
	}
	m, p := &l.payment.Merchant, &l.payment
	effects := []storage.Effect{
		seePayment.With(string(p.Book), string(p.ID), m.ID, m.Name, searchable(m.Name), m.MCC, m.City, m.Country, m.Terminal, m.Acquirer,
			string(p.Entry), string(p.Challenge)).Exactly(1),
		seeLine.With(string(p.Book), string(l.ID), l.print[:], l.amount.Minor, l.Balance.Minor, l.Original.Currency.String(), l.Original.Minor,
			string(l.Reason), storage.NullMicros(l.PresentedAt), storage.Micros(l.At)).Exactly(1),
	}
	effects = append(effects, s.events(&l)...)
	err = s.DB.Apply(ctx, effects)
	if errors.Is(err, storage.ErrStale) { // it came twice at once
		return s.other(ctx, a)
	}
	return l.decision(), err
}

// neverSeen keeps a reversal whose payment did not come, and under the payment's key that
// it is to be declined when it comes. It reports whether the payment came meanwhile.
func (s *Service) neverSeen(ctx context.Context, a *Advice, m message, c *issuing.Card) (Decision, bool, error) {
	at, none := s.Clocks.Now(c.Realm), money.New(0, c.BIN.Currency)
	p := payment{Book: c.Book, ID: ID(id.New(paymentPrefix)), Realm: c.Realm, Card: c.ID, State: stateUnseen, CreatedAt: at, EndedAt: at, revision: 1}
	own := line{message: m, payment: p, ID: TransactionID(id.New(transactionPrefix)), Type: StepReversal, amount: none, PresentedAt: a.At, At: at}
	theirs := line{message: message{key: a.Original}, payment: p, ID: TransactionID(id.New(transactionPrefix)), Type: stepUnseen, amount: none, Balance: none, At: at}
	var err error
	if own.Balance, err = s.available(ctx, c); err != nil {
		return Decision{}, false, err
	}
	effects := []storage.Effect{insertPayment.Row(p.row()...), insertLine.Row(own.row()...), insertLine.Row(theirs.row()...)}
	err = s.DB.Apply(ctx, effects)
	if storage.IsUnique(err) {
		return Decision{}, true, nil
	}
	return own.decision(), false, err
}

// refusal says in a payment's words why the books refused, or changes the shape of what
// is asked of them next.
func (s *Service) refusal(ctx context.Context, a *attempt, sh *shape, err error) (Reason, error) {
	var no *refused
	switch {
	case errors.As(err, &no):
		return no.reason, nil
	case errors.Is(err, errShape):
		sh.freeze = !sh.freeze
		return ReasonNone, nil
	case errors.Is(err, storage.ErrStale):
		return ReasonNone, err
	case errors.Is(err, ledger.ErrOverdrawn):
		return ReasonWallet, nil
	}
	if wants(err) {
		if ended, failed := s.endDue(ctx, a.card, &a.ended); ended || failed != nil {
			return ReasonNone, failed
		}
	}
	switch fault.CodeOf(err) {
	case fault.AccountFrozen:
		return ReasonCardFrozen, nil
	case fault.AccountClosed:
		return ReasonCardTerminated, nil
	case fault.NotFound:
		return ReasonCardInactive, nil
	case fault.InsufficientFunds:
		available, err := s.available(ctx, a.card)
		switch {
		case err != nil:
			return ReasonNone, err
		case available.Minor >= sh.amount: // funded meanwhile
			return ReasonNone, nil
		case !a.request.PartialAllowed || !available.IsPositive():
			return ReasonFunds, nil
		}
		sh.amount = available.Minor
		return ReasonNone, nil
	case fault.GuardExceeded:
		return s.bounded(ctx, a, sh, err)
	default:
		return ReasonNone, err
	}
}

// bounded says which limit a payment would pass, or asks for as much as that limit leaves
// where the merchant takes a part. Those but the month's are told only when the balance
// would do.
func (s *Service) bounded(ctx context.Context, a *attempt, sh *shape, err error) (Reason, error) {
	b := s.bounds(a, sh.amount)
	reason, place := b.passed(err, a.card)
	if left := b.left(err, place); a.request.PartialAllowed && reason != ReasonStandIn && left > 0 {
		sh.amount = left
		return ReasonNone, nil
	}
	if place == 0 {
		return reason, nil
	}
	available, err := s.available(ctx, a.card)
	if err == nil && available.Minor < sh.amount && (!a.request.PartialAllowed || !available.IsPositive()) {
		reason = ReasonFunds
	}
	return reason, err
}

// available returns what a card can spend now; zero for one that has no account any more, or yet.
func (s *Service) available(ctx context.Context, c *issuing.Card) (money.Amount, error) {
	account, err := s.Books.FindAccount(ctx, c.Book, c.Account().ID)
	if fault.CodeOf(err) == fault.NotFound {
		return money.New(0, c.BIN.Currency), nil
	}
	if err != nil {
		return money.Amount{}, err
	}
	return account.Available(), nil
}
