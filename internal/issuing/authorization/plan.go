package authorization

import (
	"context"
	"math"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
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
	// force is held whatever the card has; repay goes back of what was lent for that.
	force, repay int64
	code         string // of an approval
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
//
// Named by Original, it undoes what that message did, and that alone: an increment is
// released, and what a capture, a purchase or a post took is given back.
func (s *Service) Reverse(ctx context.Context, a Advice) (Decision, error) {
	return s.about(ctx, &a, kindReverse, s.reverse)
}

func (s *Service) reverse(ctx context.Context, m *matter) (plan, Reason, error) {
	p := plan{kind: kindReverse, line: StepReversal, amount: money.New(0, m.card.BIN.Currency), to: m.payment.State}
	if m.advice.Payment == "" {
		named, ok, err := storage.One(ctx, s.DB, scanLine, findByKey, string(m.payment.Book), m.advice.Original)
		switch {
		case err != nil || !ok:
			return plan{}, ReasonNone, err
		case named.declined():
			posted, err := s.beyond(ctx, m)
			if posted {
				return plan{}, ReasonEnded, err
			}
			return p, ReasonNone, err
		case named.Type == TypeSettlement, named.increment() && m.payment.State == StateOpen:
			return s.undo(ctx, m, named, p)
		case named.Type == TypeRefund, named.Type == StepReversal:
			return plan{}, ReasonEnded, nil
		}
	}
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

// beyond reports whether the named message is a completion that went beyond its payment,
// of which there is more than one message can undo.
func (s *Service) beyond(ctx context.Context, m *matter) (bool, error) {
	_, posted, err := storage.One(ctx, s.DB, scanLine, findByKey, string(m.payment.Book), m.advice.Original+keyRest)
	return posted, err
}

// undo completes a plan that undoes what one message of a payment did, as far as that was
// not undone before: under another key, or by refunds.
func (s *Service) undo(ctx context.Context, m *matter, named *line, p plan) (plan, Reason, error) {
	counter := kindReverse + "/" + string(named.ID)
	undone, err := ledger.Counters(ctx, s.DB, m.payment.Book, counter)
	if err != nil {
		return plan{}, ReasonNone, err
	}
	left, over := named.amount.Minor-undone[counter], ReasonOverReversal
	var paid Paid
	if named.Type == TypeSettlement {
		over = ReasonOverRefund
		if paid, err = s.paid(ctx, &m.payment, m.card.BIN.Currency); err != nil {
			return plan{}, ReasonNone, err
		}
		left = min(left, paid.Captured.Minor-paid.refunded)
	} else {
		left = min(left, m.hold.Remaining().Minor)
	}
	amount := m.advice.Amount
	switch {
	case amount.Minor > max(left, 0):
		return plan{}, over, nil
	case left <= 0:
		return p, ReasonNone, nil
	case amount.IsZero():
		amount = money.New(left, m.card.BIN.Currency)
	}
	if named.Type == TypeSettlement {
		room, err := s.makeRoom(ctx, m, &paid, amount)
		if err != nil {
			return plan{}, ReasonNone, err
		}
		if m.advice.Amount.IsZero() {
			amount.Minor = min(amount.Minor, room.Minor)
		}
		switch {
		case amount.Minor > room.Minor:
			return plan{}, over, nil
		case !amount.IsPositive():
			return p, ReasonNone, nil
		}
		p.line, p.amount, p.give, p.spent = TypeRefund, amount, amount.Minor, -amount.Minor
		p.guards = append(m.payment.counters(-amount.Minor, amount.Minor == paid.Captured.Minor && m.payment.State == StateSettled), paid.returns(amount))
	} else {
		p = m.release(p, amount)
	}
	p.guards = append(p.guards, ledger.Guard{Counter: counter, Add: amount.Minor, Limit: named.amount.Minor})
	return p, ReasonNone, nil
}

// makeRoom returns how much of what a payment captured can be given back: what was given
// back for a dispute makes way for an amount that the merchant gives back.
func (s *Service) makeRoom(ctx context.Context, m *matter, paid *Paid, amount money.Amount) (money.Amount, error) {
	left := paid.Left()
	lacking := amount.Minor - left.Minor
	if lacking <= 0 || s.Disputes == nil || amount.Minor > paid.Captured.Minor-paid.refunded {
		return left, nil
	}
	gave, err := s.Disputes.GiveWay(ctx, m.payment.Book, m.payment.ID, money.New(lacking, left.Currency))
	left.Minor += gave.Minor
	return left, err
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
	p.give, p.spent = p.amount.Minor, -p.amount.Minor
	p.guards = []ledger.Guard{paid.returns(p.amount)}
	return p, ReasonNone, nil
}

// Paid is what became of a payment's money.
type Paid struct {
	Payment ID
	Card    issuing.CardID
	Realm   realm.Realm
	// Captured is all that was, Returned what was refunded, or is given back for a dispute.
	Captured, Returned money.Amount
	SettledAt          time.Time // the last time; zero: never
	refunded           int64
}

// Left is what was captured and not given back.
func (p *Paid) Left() money.Amount {
	return money.New(p.Captured.Minor-p.Returned.Minor, p.Captured.Currency)
}

// returns is the guard that a payment never gives back more than it captured.
func (p *Paid) returns(amount money.Amount) ledger.Guard {
	return ledger.Guard{Counter: ReturnCounter(p.Payment), Add: amount.Minor, Limit: p.Captured.Minor}
}

// ReturnCounter names the counter of the books of what a payment gave back. Whoever gives
// something back of one adds to it, with what was captured as the limit.
func ReturnCounter(payment ID) string { return kindRefund + "/" + string(payment) }

// Paid returns what became of a payment's money, or not_found. A refund by itself is none.
func (s *Service) Paid(ctx context.Context, book ledger.BookID, payment ID) (Paid, error) {
	found, err := s.toPayment(ctx, &Advice{Book: book, Payment: payment})
	if err != nil {
		return Paid{}, err
	}
	card, err := s.Cards.Find(ctx, book, found.Card)
	if err != nil {
		return Paid{}, err
	}
	return s.paid(ctx, found, card.BIN.Currency)
}

func (s *Service) paid(ctx context.Context, p *payment, currency money.Currency) (Paid, error) {
	out := Paid{Payment: p.ID, Card: p.Card, Realm: p.Realm, Captured: money.New(0, currency), Returned: money.New(0, currency)}
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) (err error) {
		if out.Captured.Minor, err = sum(ctx, q, p, TypeSettlement); err != nil {
			return err
		}
		if out.refunded, err = sum(ctx, q, p, TypeRefund); err != nil {
			return err
		}
		last, _, err := storage.One(ctx, q, storage.Scalar[int64], lastLine, string(p.Book), string(p.ID), string(TypeSettlement))
		if err != nil {
			return err
		}
		if last > 0 {
			out.SettledAt = storage.Time(last)
		}
		counted, err := ledger.Counters(ctx, q, p.Book, ReturnCounter(p.ID))
		out.Returned.Minor = counted[ReturnCounter(p.ID)]
		return err
	})
	return out, err
}

// sum adds up the lines of a type that a payment has.
func sum(ctx context.Context, q storage.Queryer, p *payment, of Type) (int64, error) {
	n, _, err := storage.One(ctx, q, storage.Scalar[int64], sumLines, string(p.Book), string(p.ID), string(of))
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
// not known, or has ended. The card must be named. Repeated, it goes on where it was broken off.
func (s *Service) Complete(ctx context.Context, a Advice) (Decision, error) {
	if err := a.begins(); err != nil {
		return Decision{}, err
	}
	if a.Payment == "" && a.Original == "" {
		return s.Post(ctx, a)
	}
	d, err := s.Capture(ctx, a)
	switch code := fault.CodeOf(err); {
	case code == fault.NotFound, code == fault.IdempotencyConflict: // it was posted under this key, before its payment came
		return s.Post(ctx, a)
	case err != nil || d.Approved:
		return d, err
	}
	rest := a
	if d.Reason == ReasonOverCapture {
		held := a
		held.Key, held.Amount, held.Final = a.Key+keyHeld, money.New(0, a.Amount.Currency), true
		if d, err = s.Capture(ctx, held); err != nil {
			return Decision{}, err
		}
		rest.Amount.Minor -= d.Amount.Minor
	}
	rest.Key = a.Key + keyRest
	if d, err = s.Post(ctx, rest); err == nil {
		d.Amount = a.Amount
	}
	return d, err
}

// StandIn holds what another approved in the issuer's stead: the merchant relies on it, so
// that all of it is held, whatever the card's state and limits. What the card lacks is lent
// to it from card.receivable, as for a post; of what is let go, that goes back first. The
// card must be named; with an Original it adds to that payment, and begins one of its own
// where the other has ended or is not known. One that was reversed before it came is
// declined. It returns the faults of Post.
func (s *Service) StandIn(ctx context.Context, a Advice) (Decision, error) {
	if err := a.begins(); err != nil {
		return Decision{}, err
	}
	d, err := s.about(ctx, &a, kindStandIn, s.standIn)
	if a.Payment == "" && a.Original == "" {
		return d, err
	}
	alone := a
	alone.Payment, alone.Original = "", ""
	switch code := fault.CodeOf(err); {
	case code == fault.NotFound, code == fault.IdempotencyConflict: // it began a payment under this key, before the other came
	case err != nil || d.Approved:
		return d, err
	default:
		alone.Key = a.Key + keyRest
	}
	return s.about(ctx, &alone, kindStandIn, s.standIn)
}

func (s *Service) standIn(_ context.Context, m *matter) (plan, Reason, error) {
	amount := m.advice.Amount
	p := plan{kind: kindStandIn, line: TypeAuthorization, amount: amount, force: amount.Minor, pays: true, to: StateOpen, spent: amount.Minor, decides: true}
	m.stoodIn = true
	if !m.alone() {
		if !m.open() {
			return plan{}, ReasonEnded, nil
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

// lentFor names the counter of what was lent so that a payment could be held.
func lentFor(payment ID) string { return "authorization.lent/" + string(payment) }

// repaid completes a plan that lets go of what a payment holds: what was lent for it, and
// is still owed, goes back.
func (s *Service) repaid(ctx context.Context, m *matter, p *plan) error {
	if p.spent >= 0 || len(p.holds) == 0 {
		return nil
	}
	counter := lentFor(m.payment.ID)
	lent, err := ledger.Counters(ctx, s.DB, m.payment.Book, counter)
	if err != nil || lent[counter] == 0 {
		return err
	}
	owed, err := s.Books.FindAccount(ctx, m.payment.Book, issuing.Receivable(m.card.BIN.Currency).ID)
	if err != nil {
		return err
	}
	if p.repay = min(-p.spent, lent[counter], owed.Available().Minor); p.repay > 0 {
		p.guards = append(p.guards, ledger.Guard{Counter: counter, Add: -p.repay})
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
