package authorization

import (
	"context"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Paid is what became of a payment's money.
type Paid struct {
	Payment ID
	Card    issuing.CardID
	Realm   realm.Realm
	// Captured is all that was and stands in the books, Returned what was refunded, or is
	// given back for a dispute.
	Captured, Returned money.Amount
	SettledAt          time.Time // the last time; zero: never
	// Captures are what took it in the books: whoever gives something back follows them.
	Captures []ledger.TransactionID
	reversed []ledger.TransactionID // by an operator, who gave all that they took back
	struck   int64                  // what these took
	refunds  []ledger.TransactionID // whoever reversed them
	refunded int64
	// undone is of refunds that an operator reversed: they are in the counter, and in no other sum.
	undone   int64
	annulled []ledger.TransactionID // these refunds, and of void what was let go
}

// Bounds of what is looked for in the books.
const (
	maxCaptures = 100 // of a payment, all of which are followed
	linesAtOnce = 500 // lines of a payment that are read
)

// Left is what was captured and not given back.
func (p *Paid) Left() money.Amount {
	return money.New(p.Captured.Minor-p.Returned.Minor, p.Captured.Currency)
}

// regained is what of an amount that is given back came off the card's spending before, with
// what an operator reversed.
func (p *Paid) regained(amount money.Amount) int64 {
	return amount.Minor - min(amount.Minor, max(0, p.Left().Minor-p.undone))
}

// Returns is the guard that a payment never gives back more than it captured: of whoever
// gives an amount back.
func (p *Paid) Returns(amount money.Amount) ledger.Guard {
	return ledger.Guard{Counter: ReturnCounter(p.Payment), Add: amount.Minor, Limit: p.Captured.Minor + p.undone}
}

// ReturnCounter names the counter of the books of what a payment gave back. Whoever gives
// something back of one adds to it.
func ReturnCounter(payment ID) string { return kindRefund + "/" + string(payment) }

// Paid returns what became of a payment's money, or not_found. Of a refund by itself nothing
// was captured, and nothing is given back.
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
		if err = out.stand(ctx, q, p.Book); err != nil {
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
		out.Returned.Minor = counted[ReturnCounter(p.ID)] - out.undone
		return err
	})
	return out, err
}

// sum adds up the lines of a type that a payment has.
func sum(ctx context.Context, q storage.Queryer, p *payment, of Type) (int64, error) {
	n, _, err := storage.One(ctx, q, storage.Scalar[int64], sumLines, string(p.Book), string(p.ID), string(of))
	return n, err
}

// taken is what one line moved.
type taken struct {
	line  TransactionID
	books ledger.TransactionID
	minor int64
}

func scanTaken(r storage.Row) (t taken, err error) {
	err = r.Scan((*string)(&t.line), (*string)(&t.books), &t.minor)
	return t, err
}

// stand leaves of what was captured, and of what was refunded, what an operator did not
// reverse in the books.
func (p *Paid) stand(ctx context.Context, q storage.Queryer, book ledger.BookID) error {
	captured, err := p.split(ctx, q, book, TypeSettlement)
	if err != nil {
		return err
	}
	p.Captures, p.reversed = captured.stands, captured.reversed
	p.struck = captured.undone
	p.Captured.Minor -= captured.undone
	refunds, err := p.split(ctx, q, book, TypeRefund)
	p.undone, p.annulled, p.refunds = refunds.undone, refunds.reversed, slices.Concat(refunds.stands, refunds.reversed)
	p.refunded -= refunds.undone
	return err
}

// counted is what the lines that an operator reversed had added to counters: it stays there.
func (p *Paid) counted(ctx context.Context, q storage.Queryer, book ledger.BookID) (map[string]int64, error) {
	return added(ctx, q, book, slices.Concat(p.annulled, p.reversed))
}

// added sums up what transactions added to counters.
func added(ctx context.Context, q storage.Queryer, book ledger.BookID, lines []ledger.TransactionID) (map[string]int64, error) {
	sums := map[string]int64{}
	for some := range slices.Chunk(lines, linesAtOnce) {
		found, err := ledger.Transactions(ctx, q, book, some)
		if err != nil {
			return nil, err
		}
		for i := range found {
			for _, c := range found[i].Counts {
				sums[c.Counter] += c.Add
			}
		}
	}
	return sums, nil
}

// void is what an operator reversed of what a payment had added to counters, also of what was
// lent when it was held, and repaid when it was let go.
func (s *Service) void(ctx context.Context, p *payment, currency money.Currency) (map[string]int64, error) {
	paid, err := s.paid(ctx, p, currency)
	if err != nil {
		return nil, err
	}
	for _, of := range []Type{TypeAuthorization, StepReversal, StepExpiry} {
		steps, err := paid.split(ctx, s.DB, p.Book, of)
		if err != nil {
			return nil, err
		}
		paid.annulled = append(paid.annulled, steps.reversed...)
	}
	return paid.counted(ctx, s.DB, p.Book)
}

// parts are the lines of a type, the newest first: those that stand in the books, and those
// that an operator reversed there, with what these moved.
type parts struct {
	stands, reversed []ledger.TransactionID
	undone           int64
}

func (p *Paid) split(ctx context.Context, q storage.Queryer, book ledger.BookID, of Type) (both parts, err error) {
	for before := TransactionID(""); ; {
		some, err := storage.All(ctx, q, scanTaken, listTaken, string(book), string(p.Payment), string(of), string(before), linesAtOnce)
		if err != nil || len(some) == 0 {
			return both, err
		}
		if err := both.add(ctx, q, book, some); err != nil || len(some) < linesAtOnce {
			return both, err
		}
		before = some[len(some)-1].line
	}
}

// add adds lines that come before those that there are.
func (p *parts) add(ctx context.Context, q storage.Queryer, book ledger.BookID, lines []taken) error {
	all := make([]ledger.TransactionID, len(lines))
	for i := range lines {
		all[i] = lines[i].books
	}
	by, err := ledger.Reversals(ctx, q, book, all)
	undone := make(map[ledger.TransactionID]bool, len(by))
	for _, o := range by {
		undone[o.Reverses] = true
	}
	for _, t := range lines {
		if !undone[t.books] {
			p.stands = append(p.stands, t.books)
			continue
		}
		p.reversed = append(p.reversed, t.books)
		p.undone += t.minor
	}
	return err
}

// inLimits is how much of what a payment took counts in limits, of which reversals undid some: what
// an operator reversed of those had been given back to the limits.
func (s *Service) inLimits(ctx context.Context, m *matter, paid *Paid, undone int64) (int64, error) {
	took := paid.Captured.Minor + paid.struck
	if len(paid.annulled) == 0 {
		return took - undone, nil
	}
	month := m.payment.counters(0, false)[0].Counter
	gave, err := added(ctx, s.DB, m.payment.Book, paid.refunds)
	return took + gave[month], err
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
	var named *line
	if m.advice.Payment == "" {
		var rest *line
		var err error
		named, rest, err = s.named(ctx, m)
		switch {
		case err != nil:
			return plan{}, ReasonNone, err
		case named.Reason == ReasonOverCapture:
			return s.reverseBeyond(ctx, m, p, rest)
		case named.declined():
			return m.reverseDeclined(p, rest)
		case named.Type == TypeSettlement && rest != nil && rest.Type == TypeSettlement: // it took a part, and the rest was posted
			return plan{}, ReasonEnded, nil
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
		if named != nil && (named.increment() || m.advice.Stands.IsPositive()) {
			return s.undo(ctx, m, named, p)
		}
		return plan{}, ReasonCaptured, nil
	case StateRefunded:
		return plan{}, ReasonEnded, nil
	case StateOpen:
	}
	if named != nil && m.advice.Stands.IsPositive() {
		return s.undo(ctx, m, named, p)
	}
	if m.advice.Amount.Minor > m.hold.Remaining().Minor {
		return plan{}, ReasonOverReversal, nil
	}
	p, err := s.release(ctx, m, p, m.advice.Amount)
	return p, ReasonNone, err
}

// named returns the message that a reversal names, with what another approved of it, which was
// told under its name afterwards: all that was held of it or, where it was declined, that
// alone. What else was told so comes second, nil for nothing.
func (s *Service) named(ctx context.Context, m *matter) (named, rest *line, err error) {
	named, ok, err := s.underKey(ctx, m.payment.Book, m.advice.Original)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "no such message")
	}
	if err != nil {
		return nil, nil, err
	}
	rest, ok, err = s.underKey(ctx, m.payment.Book, m.advice.Original+keyRest)
	switch {
	case err != nil || !ok:
		return named, nil, err
	case rest.payment.ID != m.payment.ID:
	case named.declined() && (rest.Type == TypeAuthorization || rest.Type == TypeSettlement):
		return rest, nil, nil
	case named.Type == TypeAuthorization && rest.Type == TypeAuthorization:
		named.amount.Minor += rest.amount.Minor
		return named, nil, nil
	}
	return named, rest, nil
}

// asked is how much of what a message did is to be undone, zero for all of it, and whether
// there is any of it left to undo: undone is how much was before.
func (a *Advice) asked(named *line, undone int64) (money.Amount, bool) {
	if !a.Stands.IsPositive() {
		return a.Amount, true
	}
	amount := money.New(named.amount.Minor-undone-a.Stands.Minor, a.Stands.Currency)
	return amount, amount.IsPositive()
}

// reverseDeclined completes a plan that undoes a message that was declined: it does nothing,
// and nor will what tells that another approved it, or that it is owed, should that come. Of a
// completion that went beyond its payment there is more than one message can undo.
func (m *matter) reverseDeclined(p plan, rest *line) (plan, Reason, error) {
	switch {
	case rest == nil:
		p.ahead = []string{m.advice.Original + keyRest}
	case rest.ahead():
	default:
		return plan{}, ReasonEnded, nil
	}
	return p, ReasonNone, nil
}

// reverseBeyond completes a plan that undoes a completion that was too much for its payment: what
// was captured of it since, where nothing was posted. What was not done of it yet never is.
func (s *Service) reverseBeyond(ctx context.Context, m *matter, p plan, rest *line) (plan, Reason, error) {
	held, told, err := s.underKey(ctx, m.payment.Book, m.advice.Original+keyHeld)
	if err != nil {
		return plan{}, ReasonNone, err
	}
	p, reason, err := m.reverseDeclined(p, rest)
	switch {
	case reason != ReasonNone || err != nil:
		return plan{}, reason, err
	case !told:
		p.ahead = append(p.ahead, m.advice.Original+keyHeld)
	case held.Type == TypeSettlement && held.payment.ID != m.payment.ID:
		return plan{}, ReasonEnded, nil
	case held.Type == TypeSettlement:
		return s.undo(ctx, m, held, p)
	}
	return p, ReasonNone, nil
}

// whole reports whether a reversal, or a refund, is of all that there is.
func (a *Advice) whole() bool { return a.Amount.IsZero() && a.Stands.IsZero() }

// undo completes a plan that undoes what one message of a payment did, as far as that was
// not undone before: under another key, or by refunds.
func (s *Service) undo(ctx context.Context, m *matter, named *line, p plan) (plan, Reason, error) {
	counter, ofAll := kindReverse+"/"+string(named.ID), undoneOf(m.payment.ID)
	undone, err := ledger.Counters(ctx, s.DB, m.payment.Book, counter, ofAll)
	if err != nil {
		return plan{}, ReasonNone, err
	}
	left, over := named.amount.Minor-undone[counter], ReasonOverReversal
	var paid Paid
	void := map[string]int64{} // of undone, what an operator reversed
	if named.Type == TypeSettlement {
		over = ReasonOverRefund
		if paid, err = s.paid(ctx, &m.payment, m.card.BIN.Currency); err == nil {
			void, err = paid.counted(ctx, s.DB, m.payment.Book)
		}
		if err != nil {
			return plan{}, ReasonNone, err
		}
		undone[counter], undone[ofAll], left = undone[counter]-void[counter], undone[ofAll]-void[ofAll], left+void[counter]
		if slices.Contains(paid.reversed, named.Books) { // an operator undid it
			return p, ReasonNone, nil
		}
		left = min(left, paid.Captured.Minor-paid.refunded)
	} else if m.hold != nil {
		left = min(left, m.hold.Remaining().Minor)
	}
	amount, some := m.advice.asked(named, undone[counter])
	all := amount.IsZero()
	switch {
	case !some:
		return p, ReasonNone, nil
	case left > 0 && named.Type != TypeSettlement && m.hold == nil: // what stood was captured
		return plan{}, ReasonCaptured, nil
	case amount.Minor > max(left, 0):
		return plan{}, over, nil
	case left <= 0:
		return p, ReasonNone, nil
	case all:
		amount = money.New(left, m.card.BIN.Currency)
	}
	if named.Type == TypeSettlement {
		room, err := s.makeRoom(ctx, m, &paid, amount)
		if err != nil {
			return plan{}, ReasonNone, err
		}
		if all {
			amount.Minor = min(amount.Minor, room.Minor)
		}
		switch {
		case amount.Minor > room.Minor:
			return plan{}, over, nil
		case !amount.IsPositive():
			return p, ReasonNone, nil
		}
		if m.advice.Charged, err = sharedBy(named.Original, amount, named.amount); err != nil {
			return plan{}, ReasonNone, err
		}
		p.line, p.amount, p.give, p.spent, p.follows, p.regained = TypeRefund, amount, amount.Minor, -amount.Minor, paid.Captures, paid.regained(amount)
		counts, err := s.inLimits(ctx, m, &paid, undone[ofAll])
		if err != nil {
			return plan{}, ReasonNone, err
		}
		stays := paid.Captured.Minor - undone[ofAll] - amount.Minor
		freed := max(0, min(amount.Minor, counts-stays))
		p.guards = append(m.payment.counters(-freed, stays == 0 && m.payment.State == StateSettled && freed > 0), paid.Returns(amount), ledger.Guard{Counter: ofAll, Add: amount.Minor, Limit: paid.Captured.Minor + void[ofAll]})
	} else if p, err = s.release(ctx, m, p, amount); err != nil {
		return plan{}, ReasonNone, err
	}
	p.guards = append(p.guards, ledger.Guard{Counter: counter, Add: amount.Minor, Limit: named.amount.Minor + void[counter]})
	return p, ReasonNone, nil
}
