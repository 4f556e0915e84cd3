package authorization

import (
	"context"
	"slices"
	"time"

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
	// Captures are what took it in the books, the newest maxCaptures: whoever gives something
	// back follows them.
	Captures []ledger.TransactionID
	reversed []ledger.TransactionID // by an operator, who gave all that they took back
	refunded int64
	// undone is of refunds that an operator reversed: they are in the counter, and in no other sum.
	undone   int64
	annulled []ledger.TransactionID // these refunds, and of void what was let go
}

// maxCaptures bounds the captures of a payment that are looked for in the books.
const maxCaptures = 100

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
	books ledger.TransactionID
	minor int64
}

func scanTaken(r storage.Row) (t taken, err error) {
	err = r.Scan((*string)(&t.books), &t.minor)
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
	p.Captured.Minor -= captured.undone
	refunds, err := p.split(ctx, q, book, TypeRefund)
	p.undone, p.annulled = refunds.undone, refunds.reversed
	p.refunded -= refunds.undone
	return err
}

// counted is what the lines that an operator reversed had added to counters: it stays there.
func (p *Paid) counted(ctx context.Context, books *ledger.Ledger, book ledger.BookID) (map[string]int64, error) {
	sums := map[string]int64{}
	for _, id := range slices.Concat(p.annulled, p.reversed) {
		line, err := books.FindTransaction(ctx, book, id)
		if err != nil {
			return nil, err
		}
		for _, c := range line.Counts {
			sums[c.Counter] += c.Add
		}
	}
	return sums, nil
}

// void is what an operator reversed of what a payment had added to counters, also of what
// repaid when it was let go.
func (s *Service) void(ctx context.Context, p *payment, currency money.Currency) (map[string]int64, error) {
	paid, err := s.paid(ctx, p, currency)
	if err != nil {
		return nil, err
	}
	for _, of := range []Type{StepReversal, StepExpiry} {
		steps, err := paid.split(ctx, s.DB, p.Book, of)
		if err != nil {
			return nil, err
		}
		paid.annulled = append(paid.annulled, steps.reversed...)
	}
	return paid.counted(ctx, s.Books, p.Book)
}

// parts are the newest lines of a type: those that stand in the books, and those that an
// operator reversed there, with what these moved.
type parts struct {
	stands, reversed []ledger.TransactionID
	undone           int64
}

func (p *Paid) split(ctx context.Context, q storage.Queryer, book ledger.BookID, of Type) (parts, error) {
	all, err := storage.All(ctx, q, scanTaken, listCaptures, string(book), string(p.Payment), string(of), maxCaptures)
	if err != nil || len(all) == 0 {
		return parts{}, err
	}
	var both parts
	for _, t := range all {
		both.stands = append(both.stands, t.books)
	}
	by, err := ledger.Reversals(ctx, q, book, both.stands)
	for _, o := range by {
		both.reversed = append(both.reversed, o.Reverses)
	}
	for _, t := range all {
		if slices.Contains(both.reversed, t.books) {
			both.undone += t.minor
		}
	}
	both.stands = slices.DeleteFunc(both.stands, func(t ledger.TransactionID) bool { return slices.Contains(both.reversed, t) })
	return both, err
}
