package authorization

import (
	"context"
	"errors"
	"math"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
)

// Post books a payment that was never authorized, or not as much. It is always booked:
// what the card lacks is lent to it from card.receivable, and its limits are passed.
func (s *Service) Post(ctx context.Context, a Advice) (Decision, error) {
	if err := a.begins(); err != nil {
		return Decision{}, err
	}
	return s.about(ctx, &a, kindPost, s.post)
}

func (s *Service) post(_ context.Context, m *matter) (plan, Reason, error) {
	return plan{kind: kindPost, line: TypeSettlement, amount: m.advice.Amount, take: m.advice.Amount.Minor, guards: m.counted(), pays: true,
		to: StateSettled, spent: m.advice.Amount.Minor, decides: true, fresh: true}, ReasonNone, nil
}

// The ends of the keys under which Complete does what goes beyond its first step.
const (
	keyHeld = "/held"
	keyRest = "/rest"
)

// Complete books what a merchant is owed, whatever became of its payment: it captures the
// payment as far as that goes, and posts what is beyond it; all of it where the payment is
// not known, or has ended. One that was reversed before it came is declined. The card must
// be named. Repeated, it goes on where it was broken off. Where a purchase of the same was
// asked for under its key, what that took counts.
func (s *Service) Complete(ctx context.Context, a Advice) (Decision, error) {
	if err := a.begins(); err != nil {
		return Decision{}, err
	}
	if a.Payment == "" && a.Original == "" {
		return s.bought(ctx, a)
	}
	d, err := s.Capture(ctx, a)
	switch code := fault.CodeOf(err); {
	case code == fault.NotFound, code == fault.IdempotencyConflict: // it was posted under this key, before its payment came
		return s.Post(ctx, a)
	case err != nil || d.Approved || d.Reason == ReasonReversed:
		return d, err
	}
	rest := a
	if d.Reason == ReasonOverCapture {
		if d, err = s.captureHeld(ctx, a); err != nil || d.Amount == a.Amount || d.Reason == ReasonReversed {
			return d, err
		}
		charged, err := sharedBy(a.Charged, d.Amount, a.Amount)
		if err != nil {
			return Decision{}, err
		}
		rest.Amount.Minor, rest.Charged.Minor = a.Amount.Minor-d.Amount.Minor, a.Charged.Minor-charged.Minor
	}
	rest.Key = a.Key + keyRest
	return s.postRest(ctx, rest, a.Amount)
}

// captureHeld captures what a payment holds, as much as is owed of it at most: more may have
// been added to it since that was too much.
func (s *Service) captureHeld(ctx context.Context, a Advice) (Decision, error) {
	owed := a
	a.Key, a.Final = a.Key+keyHeld, true
	return s.about(ctx, &a, kindCapture, func(ctx context.Context, m *matter) (plan, Reason, error) {
		if a.Amount = owed.Amount; m.open() {
			a.Amount.Minor = min(owed.Amount.Minor, m.hold.Remaining().Minor)
		}
		var err error
		if a.Charged, err = sharedBy(owed.Charged, a.Amount, owed.Amount); err != nil {
			return plan{}, ReasonNone, err
		}
		return s.capture(ctx, m)
	})
}

// sharedBy is how much of what the merchant charged, in another currency, a part of the amount is.
func sharedBy(charged, part, amount money.Amount) (money.Amount, error) {
	if !charged.Currency.IsValid() {
		return charged, nil
	}
	return charged.Share(part.Minor, amount.Minor, money.HalfEven)
}

// bought posts a purchase that was not authorized, or what one under the same key did not take.
func (s *Service) bought(ctx context.Context, a Advice) (Decision, error) {
	d, err := s.Post(ctx, a)
	if fault.CodeOf(err) != fault.IdempotencyConflict {
		return d, err
	}
	return s.besides(ctx, a, err, func(ctx context.Context, rest Advice) (Decision, error) { return s.postRest(ctx, rest, a.Amount) })
}

// postRest posts what is left of an advice to be booked, and answers for all of it.
func (s *Service) postRest(ctx context.Context, rest Advice, all money.Amount) (Decision, error) {
	d, err := s.Post(ctx, rest)
	if err == nil && d.Approved {
		d.Amount = all
	}
	return d, err
}

// StandIn holds what another approved in the issuer's stead: the merchant relies on it, so
// that all of it is held, whatever the card's state and limits. What the card lacks is lent
// to it from card.receivable, as for a post; of what is let go, that goes back first. The
// card must be named; with an Original it adds to that payment, and begins one of its own
// where the other has ended or is not known. One that was reversed before it came is
// declined. Where the same was asked for under its key, and the answer did not arrive, what
// that holds counts. It returns the faults of Post.
func (s *Service) StandIn(ctx context.Context, a Advice) (Decision, error) {
	if err := a.begins(); err != nil {
		return Decision{}, err
	}
	d, err := s.stoodIn(ctx, a)
	if fault.CodeOf(err) != fault.IdempotencyConflict {
		return d, err
	}
	return s.besides(ctx, a, err, s.stoodIn)
}

// errBeside is how an advice says that what stands beside it has changed.
var errBeside = errors.New("what was asked for under the same key has changed")

// besides has done what of an advice is left to do beside the request under its key.
func (s *Service) besides(ctx context.Context, a Advice, conflict error, do func(context.Context, Advice) (Decision, error)) (Decision, error) {
	for range maxTries {
		rest, first, err := s.restOf(ctx, a, conflict)
		switch {
		case err != nil:
			return Decision{}, err
		case first.Reason == ReasonReversed, first.amount == a.Amount && !first.declined():
			return s.again(ctx, first)
		}
		if d, err := do(ctx, rest); !errors.Is(err, errBeside) {
			return d, err
		}
	}
	return Decision{}, fault.New(fault.Unavailable, "the payment is in use by too many at once")
}

// restOf returns what of an advice is left to do beside the request under its key, whose answer
// did not arrive, and that answer; an approval of which something was reversed since is a decline
// for it. It returns the conflict where something else was asked for.
func (s *Service) restOf(ctx context.Context, a Advice, conflict error) (Advice, *line, error) {
	first, same, err := s.askedBefore(ctx, &a)
	switch {
	case err != nil:
		return a, nil, err
	case !same:
		return a, nil, conflict
	}
	rest := a
	rest.Key += keyRest
	if first.declined() {
		return rest, first, nil
	}
	charged, err := sharedBy(a.Charged, first.amount, a.Amount)
	if err != nil {
		return rest, nil, err
	}
	rest.Amount.Minor, rest.Charged.Minor = a.Amount.Minor-first.amount.Minor, a.Charged.Minor-charged.Minor
	rest.beside = &first.payment
	if gone, err := s.gone(ctx, first, rest.Key); err != nil || !gone {
		return rest, first, err
	}
	card, err := s.Cards.Find(ctx, first.payment.Book, first.payment.Card)
	if err != nil {
		return rest, nil, err
	}
	first.Type, first.Reason, first.Code = TypeDecline, ReasonReversed, ""
	first.Balance, err = s.available(ctx, card)
	return rest, first, err
}

// gone reports whether something that a request held or took was reversed before the rest of it
// was told of under a key: what is left is what was to stand.
func (s *Service) gone(ctx context.Context, first *line, rest string) (bool, error) {
	book, counter := first.payment.Book, kindReverse+"/"+string(first.ID)
	_, told, err := s.underKey(ctx, book, rest)
	if err != nil || told || first.payment.State == StateReversed {
		return err == nil && !told, err
	}
	undone, err := ledger.Counters(ctx, s.DB, book, counter)
	if err != nil || undone[counter] == 0 || first.Type != TypeSettlement { // what a hold let go stays so
		return undone[counter] > 0, err
	}
	void, err := s.void(ctx, &first.payment, first.amount.Currency)
	return undone[counter] > void[counter], err
}

// askedBefore returns what stands under the key of an advice, and whether it is the answer
// to a request for the same: of the same card and merchant, and for as much.
func (s *Service) askedBefore(ctx context.Context, a *Advice) (*line, bool, error) {
	card, err := s.located(ctx, a)
	if err != nil {
		return nil, false, err
	}
	first, ok, err := s.underKey(ctx, a.Book, a.Key)
	if err != nil || !ok || card == nil || first.payment.Card != card.ID || first.payment.Merchant.ID != a.Merchant.ID || first.payment.Merchant.Terminal != a.Merchant.Terminal {
		return first, false, err
	}
	if first.declined() {
		return first, first.amount == a.Amount, nil
	}
	if first.Books == "" || first.amount.Minor > a.Amount.Minor {
		return first, false, nil
	}
	booked, err := s.Books.FindTransaction(ctx, a.Book, first.Books)
	return first, booked.Kind == kindAuthorize || booked.Kind == kindIncrement || booked.Kind == kindPurchase, err
}

// stoodIn holds what another approved, as a payment of its own where the one that it adds
// to has ended or is not known.
func (s *Service) stoodIn(ctx context.Context, a Advice) (Decision, error) {
	alone := a
	alone.Payment, alone.Original = "", ""
	if a.beside != nil { // the payment of which a part was approved
		a.Payment, a.Original = a.beside.ID, ""
	}
	d, err := s.about(ctx, &a, kindStandIn, s.standIn)
	code := fault.CodeOf(err)
	if a.Payment == "" && a.Original == "" || code != fault.NotFound && code != fault.IdempotencyConflict {
		return d, err
	}
	return s.about(ctx, &alone, kindStandIn, s.standIn) // it may have begun a payment under this key before
}

func (s *Service) standIn(_ context.Context, m *matter) (plan, Reason, error) {
	amount := m.advice.Amount
	p := plan{kind: kindStandIn, line: TypeAuthorization, amount: amount, force: amount.Minor, pays: true, to: StateOpen, spent: amount.Minor, decides: true}
	m.stoodIn = true
	if !m.alone() {
		if b := m.advice.beside; b != nil && b.revision != m.payment.revision {
			return plan{}, ReasonNone, errBeside
		}
		if !m.open() {
			return plan{}, ReasonNone, fault.New(fault.NotFound, "the payment has ended")
		}
		p.guards = m.payment.counters(amount.Minor, false)
		p.holds = []ledger.HoldChange{{Action: ledger.Increase, ID: m.hold.ID, Amount: amount}}
		return p, ReasonNone, nil
	}
	p.fresh, p.guards = true, m.counted()
	m.payment.ExpiresAt = m.at.Add(s.Policy.trade(m.payment.Merchant.MCC).HoldFor)
	p.holds = []ledger.HoldChange{{Action: ledger.Place, ID: m.payment.hold(), Amount: amount, Debit: m.card.Account().ID,
		Credit: issuing.Settlement(m.card.BIN.Currency).ID}}
	var err error
	p.code, err = s.draw(approvalDigits)
	return p, ReasonNone, err
}

// counted returns guards that count a payment which its limits do not stop.
func (m *matter) counted() []ledger.Guard {
	b := boundsOf(m.card, m.at, m.advice.Amount.Minor)
	for i := range b.guards {
		b.guards[i].Limit = math.MaxInt64
	}
	m.payment.counted = b.counted()
	return b.guards
}

// LentCounter names the counter of what was lent so that a payment could be held, or booked, or
// what a dispute gave for it taken back.
func LentCounter(payment ID) string { return "authorization.lent/" + string(payment) }

// repaidFor names the counter of what of that went back.
func repaidFor(payment ID) string { return "authorization.repaid/" + string(payment) }

// lends is the guard that counts what is lent for a payment.
func (m *matter) lends(minor int64) ledger.Guard {
	return ledger.Guard{Counter: LentCounter(m.payment.ID), Add: minor, Limit: math.MaxInt64}
}

// owed reports whether an open payment holds what its customer will owe: its card was gone.
func (m *matter) owed() bool {
	return m.hold != nil && m.hold.Debit == issuing.Receivable(m.hold.Amount.Currency).ID
}

// repaid completes a plan that lets go of what a payment holds, or gives back what it took: what
// was lent for it, and is still owed, goes back first.
func (s *Service) repaid(ctx context.Context, m *matter, p *plan) error {
	if p.fresh || p.spent >= 0 || len(p.holds) > 0 && m.owed() {
		return nil
	}
	lent, back := LentCounter(m.payment.ID), repaidFor(m.payment.ID)
	counted, err := ledger.Counters(ctx, s.DB, m.payment.Book, lent, back)
	if err != nil || counted[lent] == 0 {
		return err
	}
	void, err := s.void(ctx, &m.payment, m.card.BIN.Currency)
	if err != nil {
		return err
	}
	owed, err := s.Books.FindAccount(ctx, m.payment.Book, issuing.Receivable(m.card.BIN.Currency).ID)
	if err != nil {
		return err
	}
	most := counted[lent] - void[lent] + void[back]
	if p.repay = min(-p.spent, most-counted[back], owed.Available().Minor); p.repay > 0 {
		p.guards = append(p.guards, ledger.Guard{Counter: back, Add: p.repay, Limit: most})
	}
	return nil
}

// begins returns what is wrong with a message that begins a payment.
func (a *Advice) begins() error {
	if !a.Amount.IsPositive() {
		return fault.New(fault.InvalidAmount, "the amount must be above zero").At("amount")
	}
	if a.Card == "" && a.Number.IsZero() && a.Payment == "" && a.Original == "" {
		return fault.New(fault.InvalidRequest, "name the card or the payment").At("card")
	}
	return nil
}
