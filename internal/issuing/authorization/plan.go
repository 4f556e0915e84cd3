package authorization

import (
	"context"
	"slices"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
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
	// force is held whatever the card has; repay goes back of what was lent for that.
	force, repay int64
	code         string // of an approval
	// pays says that the card's owner spends anew, so that a low balance freezes the card.
	pays bool
	to   State
	// spent is by how much the card's spending changes; regained is what of that, below zero,
	// came off it before: an operator reversed what gave it back.
	spent, regained int64
	// solvent says that the customer's wallet must not be below zero.
	solvent bool
	// against is what speaks against it should the books have nothing against it.
	against Reason
	// follows are the captures of which it gives something back.
	follows []ledger.TransactionID
	// decides says that it was decided by the card's controls, which must still hold.
	decides bool
	// fresh says that the payment begins with it.
	fresh bool
	// kept says that it lets go of the rest of a payment of which something was captured.
	kept bool
	// ahead are the keys of messages that it reverses before they came.
	ahead []string
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
	a := s.begin(m.card, &Request{Key: m.key, Amount: m.advice.Amount, Original: m.advice.Charged, Merchant: m.payment.Merchant,
		Presented: Presented{Entry: m.payment.Entry}, At: m.advice.At})
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
		s.judge(a)
	}
	a.card, a.held, a.at = m.card, m.authorized(), m.at
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
	p.holds, p.solvent = []ledger.HoldChange{{Action: ledger.Increase, ID: m.hold.ID, Amount: m.advice.Amount}}, true
	return p, ReasonNone, nil
}

// Capture takes what a payment holds, in one or several parts; an Amount of zero takes
// all that is left. Within the merchant's tolerance it takes more, which ends the payment, as
// the hundredth capture does. A refusal is a result. It returns the faults of Authorize, and
// not_found.
func (s *Service) Capture(ctx context.Context, a Advice) (Decision, error) {
	return s.about(ctx, &a, kindCapture, s.capture)
}

func (s *Service) capture(ctx context.Context, m *matter) (plan, Reason, error) {
	if !m.open() {
		return plan{}, ReasonEnded, nil
	}
	final, err := s.final(ctx, m)
	if err != nil {
		return plan{}, ReasonNone, err
	}
	left := m.hold.Remaining()
	p := plan{kind: kindCapture, line: TypeSettlement, amount: m.advice.Amount, to: StateOpen}
	if p.amount.IsZero() {
		p.amount = left
	}
	change := ledger.HoldChange{Action: ledger.Capture, ID: m.hold.ID, Amount: p.amount, Final: final}
	switch more := p.amount.Minor - left.Minor; {
	case more > 0:
		if p.amount.Minor > s.Policy.trade(m.payment.Merchant.MCC).ceiling(m.authorized()).Minor-m.hold.Captured.Minor {
			return plan{}, ReasonOverCapture, nil
		}
		change.Amount, change.Final = left, true
		p.take, p.spent, p.pays, p.to, p.guards = more, more, true, StateSettled, m.payment.counters(more, false)
	case more < 0 && final:
		p.spent, p.to, p.guards = more, StateSettled, m.payment.counters(more, false)
	case more == 0:
		p.to = StateSettled
	}
	p.holds = []ledger.HoldChange{change}
	if m.owed() {
		p.guards = append(p.guards, m.lends(change.Amount.Minor))
	}
	return p, ReasonNone, nil
}

// final reports whether a capture is the last of its payment: it says so, or it is the last of
// as many as can be followed.
func (s *Service) final(ctx context.Context, m *matter) (bool, error) {
	if m.advice.Final || m.payment.revision < maxCaptures { // each of those before it changed the payment
		return m.advice.Final, nil
	}
	before, _, err := storage.One(ctx, s.DB, storage.Scalar[int], countOfType, string(m.payment.Book), string(m.payment.ID), string(TypeSettlement))
	return before+1 >= maxCaptures, err
}

// makeRoom returns how much of what a payment captured can be given back: what was given
// back for a dispute makes way for an amount that the merchant gives back.
func (s *Service) makeRoom(ctx context.Context, m *matter, paid *Paid, amount money.Amount) (money.Amount, error) {
	left := paid.Left()
	lacking := amount.Minor - left.Minor
	if lacking <= 0 || s.Disputes == nil || amount.Minor > paid.Captured.Minor-paid.refunded {
		return left, nil
	}
	err := s.Disputes.GiveWay(ctx, Room{Book: m.payment.Book, Payment: m.payment.ID, Amount: money.New(lacking, left.Currency), Whole: !m.advice.whole()})
	if err == nil { // it may have given way to the same message, or to another one
		*paid, err = s.paid(ctx, &m.payment, left.Currency)
	}
	return paid.Left(), err
}

// release completes a plan that lets go of an amount; of all that is left when it is zero.
func (s *Service) release(ctx context.Context, m *matter, p plan, amount money.Amount) (plan, error) {
	left, captured := m.hold.Remaining(), m.hold.Captured
	if amount.IsZero() {
		amount = left
	}
	ends, undone := amount == left, int64(0)
	if ends && captured.IsPositive() {
		ofAll := undoneOf(m.payment.ID)
		counted, err := ledger.Counters(ctx, s.DB, m.payment.Book, ofAll)
		if err != nil {
			return plan{}, err
		}
		if undone = counted[ofAll]; undone > 0 {
			void, err := s.void(ctx, &m.payment, captured.Currency)
			if err != nil {
				return plan{}, err
			}
			undone -= void[ofAll]
		}
	}
	whole := ends && undone == captured.Minor
	p.amount, p.spent, p.guards, p.kept = amount, -amount.Minor, m.payment.counters(-amount.Minor, whole), ends && captured.IsPositive() && !whole
	if amount.IsPositive() {
		p.holds = []ledger.HoldChange{{Action: ledger.Release, ID: m.hold.ID, Amount: amount}}
	}
	switch {
	case ends && captured.IsZero():
		p.to = StateReversed
	case ends:
		p.to = StateSettled
	}
	return p, nil
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
	paid, err := s.paid(ctx, &m.payment, m.card.BIN.Currency)
	if err != nil {
		return plan{}, ReasonNone, err
	}
	if m.payment.State == StateRefunded || !paid.Captured.IsPositive() {
		return plan{}, ReasonOverRefund, nil
	}
	if p.amount.IsZero() {
		if p.amount = money.New(paid.Captured.Minor-paid.refunded, paid.Captured.Currency); !p.amount.IsPositive() {
			return plan{}, ReasonOverRefund, nil
		}
	}
	left, err := s.makeRoom(ctx, m, &paid, p.amount)
	if err != nil {
		return plan{}, ReasonNone, err
	}
	switch {
	case m.advice.Amount.IsZero() && left.IsPositive():
		p.amount.Minor = min(p.amount.Minor, left.Minor)
	case p.amount.Minor > left.Minor:
		return plan{}, ReasonOverRefund, nil
	}
	p.give, p.spent, p.follows = p.amount.Minor, -p.amount.Minor, paid.Captures
	p.regained, p.guards = paid.regained(p.amount), []ledger.Guard{paid.Returns(p.amount)}
	return p, ReasonNone, nil
}

// operation is a plan in the shape that the books need.
func (s *Service) operation(m *matter, p *plan, l *line) ledger.Operation {
	card, to := m.card.Account(), issuing.Settlement(m.card.BIN.Currency)
	op := ledger.Operation{Book: m.card.Book, Kind: p.kind, Key: keyPrefix + m.key, Intent: m.intent(), Reference: string(m.payment.ID), Actor: actor,
		At: m.at, Guards: p.guards, Holds: p.holds, Follows: p.follows}
	lent := issuing.Receivable(m.card.BIN.Currency)
	amount := func(minor int64) money.Amount { return money.New(minor, m.card.BIN.Currency) }
	switch {
	case p.take > 0 && p.wallet: // nothing is left of the card: the book owes all of it
		op.Open = []ledger.NewAccount{lent, to}
		op.Postings = []ledger.Posting{{Debit: lent.ID, Credit: to.ID, Amount: amount(p.take)}}
		op.Guards = append(slices.Clone(p.guards), m.lends(p.take))
	case p.force > 0 && p.wallet:
		op.Open, op.Holds = []ledger.NewAccount{lent, to}, slices.Clone(p.holds)
		op.Holds[0].Debit = lent.ID
	case p.take > 0, p.force > 0:
		op.Open = []ledger.NewAccount{card, to}
		if p.lend > 0 {
			op.Open = append(op.Open, lent)
			op.Postings = append(op.Postings, ledger.Posting{Debit: lent.ID, Credit: card.ID, Amount: amount(p.lend)})
			op.Guards = append(slices.Clone(p.guards), m.lends(p.lend))
		}
		if p.take > 0 {
			op.Postings = append(op.Postings, ledger.Posting{Debit: card.ID, Credit: to.ID, Amount: amount(p.take), Forced: true})
		}
	case p.give > 0:
		if p.wallet {
			card = wallet.Account(m.card.BIN.Currency)
		}
		op.Open = []ledger.NewAccount{to, card}
		op.Postings = []ledger.Posting{{Debit: to.ID, Credit: card.ID, Amount: amount(p.give)}}
	}
	if p.repay > 0 { // a frozen card gives back, too
		op.Postings = append(op.Postings, ledger.Posting{Debit: card.ID, Credit: lent.ID, Amount: amount(p.repay), Forced: true})
	}
	if p.solvent {
		op.Solvent = []ledger.AccountID{wallet.Account(m.card.BIN.Currency).ID}
	}
	op.States = s.states(m, p)
	op.Effects = s.effects(m, p, l)
	return op
}

// states are what a plan does to the state of the card's account. One that is frozen is
// opened for an instant, and frozen again within the operation.
func (s *Service) states(m *matter, p *plan) []ledger.StateChange {
	freeze, _ := s.Cards.AutoFreeze(m.card)
	switch {
	case p.freeze:
		return []ledger.StateChange{freeze}
	case p.thaw && !p.wallet:
		return []ledger.StateChange{{Account: freeze.Account, To: ledger.Open}, freeze}
	}
	return nil
}

// effects are the rows of a plan that was carried out. They refuse an outcome that is not
// the one its shape was made for.
func (s *Service) effects(m *matter, p *plan, l *line) func(ledger.Outcome) ([]storage.Effect, error) {
	return func(o ledger.Outcome) ([]storage.Effect, error) {
		if p.against != ReasonNone {
			return nil, &refused{p.against}
		}
		after, touched := o.Balance(m.card.Account().ID)
		if !p.wallet && m.freezes(p, after.Available) != p.freeze {
			return nil, errShape
		}
		if p.take+p.force > 0 && !p.wallet && (after.Available.IsNegative() || p.lend > 0 && after.Available.IsPositive()) {
			return nil, errShape // another amount is lacking: it is lent, and nothing more
		}
		*l = m.line(p.line, p.amount, o.At)
		l.Books, l.Code, l.payment.State = o.Transaction, p.code, p.to
		if touched {
			l.Balance = after.Available
		}
		if p.to != StateOpen && l.payment.EndedAt.IsZero() {
			l.payment.EndedAt = o.At
		}
		effects := []storage.Effect{insertLine.Row(l.row()...)}
		if p.fresh {
			effects = append(effects, insertPayment.Row(l.payment.row()...))
		} else {
			effects = append(effects, changePayment.With(string(m.payment.Book), string(m.payment.ID), m.payment.revision, string(p.to),
				storage.NullMicros(l.payment.EndedAt)).Exactly(1))
		}
		if b := m.advice.beside; b != nil && p.fresh {
			effects = append(effects, changePayment.With(string(b.Book), string(b.ID), b.revision, string(b.State), storage.NullMicros(b.EndedAt)).Exactly(1))
		}
		effects = append(append(effects, s.events(l)...), s.ahead(m, p)...)
		marks, err := s.marks(m, p, o)
		return append(effects, marks...), err
	}
}

// ahead are the rows by which messages that a plan reverses are declined when they come.
func (s *Service) ahead(m *matter, p *plan) []storage.Effect {
	var effects []storage.Effect
	for _, key := range p.ahead {
		effects = append(effects, s.rows(unseen(m.card, key, m.at))...)
	}
	return effects
}

// marks are what a plan leaves on the card's row.
func (s *Service) marks(m *matter, p *plan, o ledger.Outcome) ([]storage.Effect, error) {
	var effects []storage.Effect
	spent := money.New(p.spent, m.card.BIN.Currency)
	switch {
	case p.decides:
		effects = append(effects, issuing.Used(m.card, o.At, spent))
	case p.spent+p.regained != 0:
		spent.Minor = -p.spent - p.regained
		effects = append(effects, issuing.GivenBack(m.card, spent))
	}
	if p.freeze {
		_, froze := s.Cards.AutoFreeze(m.card)
		frozen, err := froze(o)
		if err != nil {
			return nil, err
		}
		effects = append(effects, frozen...)
	}
	if m.card.Controls.SingleUse && p.to == StateSettled && (p.line == TypeSettlement || p.kept) {
		effects = append(effects, issuing.UsedUp(m.card, o.At))
	}
	return effects, nil
}
