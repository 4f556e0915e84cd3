package authorization

import (
	"context"
	"math"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// plan is what a message is to do, as far as the payment's own state says.
type plan struct {
	kind   string
	line   Type
	amount money.Amount
	holds  []ledger.HoldChange
	guards []ledger.Guard
	// bounds say what passing a guard means; without them the guards have no limits.
	bounds *bounds
	// take is posted from the card, beside what its hold gives, and give to it.
	take, give int64
	// pays says that the card's owner spends anew, so that a low balance freezes the card.
	pays bool
	to   State
	// spent is by how much the card's spending changes.
	spent int64
	// against is what speaks against it should the books have nothing against it.
	against Reason
	// decides says that it was decided by the card's controls, which must still hold.
	decides bool
	// fresh says that the payment begins with it.
	fresh bool
	shape
}

// Increment adds to what an open payment holds. It is declined for the reasons of an
// authorization, and the payment stays as it was. It returns the faults of Authorize, and not_found.
func (s *Service) Increment(ctx context.Context, a Advice) (Decision, error) {
	if !a.Amount.IsPositive() {
		return Decision{}, fault.New(fault.InvalidAmount, "the amount must be above zero").At("amount")
	}
	var more *attempt
	d, err := s.about(ctx, &a, kindIncrement, func(ctx context.Context, m *matter) (plan, Reason, error) {
		if more == nil {
			more = s.growing(m)
		}
		return s.increment(ctx, m, more)
	})
	if err == nil && more != nil && more.judged {
		s.learn(more, &d)
	}
	return d, err
}

// growing is an increment as the attempt that it is: scored, and asked about, like a
// payment of its own.
func (s *Service) growing(m *matter) *attempt {
	a := s.begin(m.card, &Request{Book: m.card.Book, Card: m.card.ID, Key: m.key, Amount: m.advice.Amount, Original: m.advice.Charged,
		Merchant: m.payment.Merchant, Presented: Presented{Entry: m.payment.Entry}, At: m.advice.At})
	a.payment.ID = m.payment.ID
	return a
}

func (s *Service) increment(ctx context.Context, m *matter, a *attempt) (plan, Reason, error) {
	if !m.open() {
		return plan{}, ReasonEnded, nil
	}
	if _, err := m.hold.Amount.Add(m.advice.Amount); err != nil {
		return plan{}, ReasonMaxTransaction, nil
	}
	if !a.judged {
		a.scored, a.judged = s.judge(ctx, a), true
	}
	a.card, a.held, a.at = m.card, m.hold.Amount, m.at
	if err := s.weigh(ctx, a); err != nil {
		return plan{}, ReasonNone, err
	}
	m.score, m.stoodIn = a.score, a.stoodIn
	if a.found.reason != ReasonNone && a.found.rank == outright {
		return plan{}, a.found.reason, nil
	}
	b := m.payment.again(m.card, m.advice.Amount.Minor)
	if a.stoodIn {
		b.add(s.blind(a, m.advice.Amount.Minor), ReasonStandIn)
	}
	p := plan{kind: kindIncrement, line: TypeAuthorization, amount: m.advice.Amount, guards: b.guards, bounds: &b, pays: true, to: StateOpen,
		spent: m.advice.Amount.Minor, decides: true, against: a.found.reason}
	if p.against != ReasonNone && a.found.rank == afterMonth {
		p.guards = b.guards[:1]
		return p, ReasonNone, nil
	}
	p.holds = []ledger.HoldChange{{Action: ledger.Increase, ID: m.hold.ID, Amount: m.advice.Amount}}
	return p, ReasonNone, nil
}

// Capture takes what a payment holds, in one or several parts; an Amount of zero takes
// all that is left. Within the merchant's tolerance it takes more, which ends the payment.
// A refusal is a result. It returns the faults of Authorize, and not_found.
func (s *Service) Capture(ctx context.Context, a Advice) (Decision, error) {
	return s.about(ctx, &a, kindCapture, s.capture)
}

func (s *Service) capture(_ context.Context, m *matter) (plan, Reason, error) {
	if !m.open() {
		return plan{}, ReasonEnded, nil
	}
	left := m.hold.Remaining()
	p := plan{kind: kindCapture, line: TypeSettlement, amount: m.advice.Amount, to: StateOpen}
	if p.amount.IsZero() {
		p.amount = left
	}
	change := ledger.HoldChange{Action: ledger.Capture, ID: m.hold.ID, Amount: p.amount, Final: m.advice.Final}
	switch more := p.amount.Minor - left.Minor; {
	case more > 0:
		authorized := money.New(m.hold.Amount.Minor-m.hold.Released.Minor, left.Currency)
		if m.hold.Captured.Minor+p.amount.Minor > s.Policy.trade(m.payment.Merchant.MCC).ceiling(authorized).Minor {
			return plan{}, ReasonOverCapture, nil
		}
		change.Amount, change.Final = left, true
		p.take, p.spent, p.pays, p.to, p.guards = more, more, true, StateSettled, m.payment.counters(more, false)
	case more < 0 && m.advice.Final:
		p.spent, p.to, p.guards = more, StateSettled, m.payment.counters(more, false)
	case more == 0:
		p.to = StateSettled
	}
	p.holds = []ledger.HoldChange{change}
	return p, ReasonNone, nil
}

// Reverse releases what a payment holds, all of it or a part. What was captured is not
// reversed (already_captured). A payment that has ended without a capture, or was
// declined, is reversed by doing nothing; one that was never seen is declined should it come.
func (s *Service) Reverse(ctx context.Context, a Advice) (Decision, error) {
	return s.about(ctx, &a, kindReverse, s.reverse)
}

func (s *Service) reverse(_ context.Context, m *matter) (plan, Reason, error) {
	p := plan{kind: kindReverse, line: StepReversal, amount: money.New(0, m.card.BIN.Currency), to: m.payment.State}
	switch m.payment.State {
	case StateReversed, StateExpired, StateDeclined, stateUnseen:
		return p, ReasonNone, nil
	case StateSettled:
		return plan{}, ReasonCaptured, nil
	case StateRefunded:
		return plan{}, ReasonEnded, nil
	case StateOpen:
	}
	if m.advice.Amount.Minor > m.hold.Remaining().Minor {
		return plan{}, ReasonOverReversal, nil
	}
	return m.release(p, m.advice.Amount), ReasonNone, nil
}

// release completes a plan that lets go of an amount; of all that is left when it is zero.
func (m *matter) release(p plan, amount money.Amount) plan {
	left := m.hold.Remaining()
	if amount.IsZero() {
		amount = left
	}
	whole := amount == left && m.hold.Captured.IsZero()
	p.amount, p.spent, p.guards = amount, -amount.Minor, m.payment.counters(-amount.Minor, whole)
	if amount.IsPositive() {
		p.holds = []ledger.HoldChange{{Action: ledger.Release, ID: m.hold.ID, Amount: amount}}
	}
	switch {
	case whole:
		p.to = StateReversed
	case amount == left:
		p.to = StateSettled
	}
	return p
}

// Refund gives back what a payment captured: several times, never more than that. Without
// a Payment or an Original it is a refund by itself, to the card that is named. What comes
// back for a card that was terminated goes to the wallet.
func (s *Service) Refund(ctx context.Context, a Advice) (Decision, error) {
	if a.Payment == "" && a.Original == "" {
		if err := a.begins(); err != nil {
			return Decision{}, err
		}
	}
	return s.about(ctx, &a, kindRefund, s.refund)
}

func (s *Service) refund(ctx context.Context, m *matter) (plan, Reason, error) {
	p := plan{kind: kindRefund, line: TypeRefund, amount: m.advice.Amount, to: m.payment.State}
	if m.alone() {
		p.fresh, p.to, p.give, p.spent = true, StateRefunded, p.amount.Minor, -p.amount.Minor
		return p, ReasonNone, nil
	}
	captured, err := s.sum(ctx, m, TypeSettlement)
	if err != nil {
		return plan{}, ReasonNone, err
	}
	refunded, err := s.sum(ctx, m, TypeRefund)
	if err != nil {
		return plan{}, ReasonNone, err
	}
	if m.payment.State == StateRefunded || captured <= refunded || p.amount.Minor > captured-refunded {
		return plan{}, ReasonOverRefund, nil
	}
	if p.amount.IsZero() {
		p.amount = money.New(captured-refunded, m.card.BIN.Currency)
	}
	p.give, p.spent = p.amount.Minor, -p.amount.Minor
	p.guards = []ledger.Guard{{Counter: kindRefund + "/" + string(m.payment.ID), Add: p.amount.Minor, Limit: captured}}
	return p, ReasonNone, nil
}

// sum adds up the lines of a type that the payment has.
func (s *Service) sum(ctx context.Context, m *matter, of Type) (int64, error) {
	n, _, err := storage.One(ctx, s.DB, storage.Scalar[int64], sumLines, string(m.payment.Book), string(m.payment.ID), string(of))
	return n, err
}

// Post books a payment that was never authorized, or not as much. It is always booked:
// what the card lacks is lent to it from card.receivable, and its limits are passed.
func (s *Service) Post(ctx context.Context, a Advice) (Decision, error) {
	if err := a.begins(); err != nil {
		return Decision{}, err
	}
	return s.about(ctx, &a, kindPost, s.post)
}

func (s *Service) post(_ context.Context, m *matter) (plan, Reason, error) {
	b := boundsOf(m.card, m.at, m.advice.Amount.Minor)
	for i := range b.guards {
		b.guards[i].Limit = math.MaxInt64
	}
	m.payment.counted = b.counted()
	return plan{kind: kindPost, line: TypeSettlement, amount: m.advice.Amount, take: m.advice.Amount.Minor, guards: b.guards, pays: true,
		to: StateSettled, spent: m.advice.Amount.Minor, decides: true, fresh: true}, ReasonNone, nil
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
