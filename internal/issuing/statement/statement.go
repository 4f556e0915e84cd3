// Package statement is the monthly statements of virtual cards and of wallets: what an
// account had at a month's beginning, everything that moved on it, and what it had at the
// end, as values, as CSV and as PDF.
//
// It keeps nothing of its own: a statement is read from the entries of the books, page by
// page, whatever their number. What a month that is over was once told to be, it is told
// to be for ever: the same bytes.
//
// It must never show a card's number, and never tell another's card from none.
package statement

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
)

// settled is how long after a month it is final: what was posted at its end is on disk.
const settled = 15 * time.Minute

// Subject is whose statement it is: a card's, or with an empty Card that of the wallet in
// a currency.
type Subject struct {
	Card   issuing.CardID
	Wallet money.Currency
}

// name is the subject as files and headings have it.
func (s *Subject) name() string {
	if s.Card != "" {
		return string(s.Card)
	}
	return "wallet-" + s.Wallet.String()
}

// Money is what an account has: what is posted, and how much of it is held for payments.
type Money struct {
	Posted money.Amount
	Held   money.Amount
}

// Total is what all movements of a kind come to.
type Total struct {
	Kind   Kind
	Count  int64
	Amount money.Amount // above zero: it came in
	Held   money.Amount
}

// Statement is a month of an account without its movements.
type Statement struct {
	Book     ledger.BookID
	Realm    realm.Realm
	Of       Subject
	BIN      string // of a card
	Month    Month
	Currency money.Currency
	Opening  Money
	Closing  Money // of a month that is not over: now
	// Count is how many movements there are.
	Count int64
	// Totals has a row for each kind that there is, in the order of Kinds; of Get alone.
	Totals []Total
	// Fees is what was kept of what came in, before it came: it is in no balance. Of Get alone.
	Fees money.Amount
	// Final says that the month is over, and that the statement will not change.
	Final bool
	// At is until when it tells: the month's end, or now.
	At time.Time

	account *ledger.Account // nil: there is none yet
	before  int64           // entries of the account before the month
}

// Deps is what a Service stands on.
type Deps struct {
	DB       *storage.DB
	Books    *ledger.Ledger
	Cards    *issuing.Service
	Payments *authorization.Service
	Clocks   *clock.Realms
}

// Service makes statements. It is safe for concurrent use.
type Service struct{ Deps }

// New returns the service.
func New(d Deps) *Service { return &Service{d} }

// Get returns the statement of a month with its totals, for which it reads all of the
// month's entries. It returns not_found for a card that is not the holder's and for a month
// before the account was there or that has not begun, and unknown_currency.
func (s *Service) Get(ctx context.Context, h issuing.Holder, of Subject, m Month) (Statement, error) {
	st, err := s.Head(ctx, h, of, m)
	if err == nil {
		err = s.Sum(ctx, &st)
	}
	if err != nil {
		return Statement{}, err
	}
	return st, nil
}

// Sum adds what the movements come to, as Get has it, to what Head returned.
func (s *Service) Sum(ctx context.Context, st *Statement) error {
	st.Fees, st.Totals = st.zero(), nil
	totals := map[Kind]*Total{}
	err := s.each(ctx, st, plain, func(v *Movement) error {
		t := totals[v.Kind]
		if t == nil {
			t = &Total{Kind: v.Kind, Amount: st.zero(), Held: st.zero()}
			totals[v.Kind] = t
		}
		t.Count++
		t.Amount.Minor += v.Amount.Minor
		t.Held.Minor += v.Held.Minor
		st.Fees.Minor += v.Fee.Minor
		return nil
	})
	for _, kind := range Kinds() {
		if t := totals[kind]; t != nil {
			st.Totals = append(st.Totals, *t)
		}
	}
	return err
}

// Head is Get without what the movements come to, so that it takes no longer the more
// there are.
func (s *Service) Head(ctx context.Context, h issuing.Holder, of Subject, m Month) (Statement, error) {
	st, opened, err := s.find(ctx, h, of)
	if err != nil {
		return Statement{}, err
	}
	if m.before(monthOf(opened)) || monthOf(st.At).before(m) {
		return Statement{}, fault.New(fault.NotFound, "there is no statement of %s: they are from %s to %s", m, monthOf(opened), monthOf(st.At)).At("month")
	}
	return st, s.bound(ctx, &st, m)
}

// find returns a statement without its figures, at now, and since when there are statements: of
// a card since it was made, of a wallet since its book was opened, paid into or not.
func (s *Service) find(ctx context.Context, h issuing.Holder, of Subject) (Statement, time.Time, error) {
	st := Statement{Book: h.Book, Realm: h.Realm, Of: of, Currency: of.Wallet, At: s.Clocks.Now(h.Realm)}
	var opened time.Time
	if of.Card != "" {
		card, err := s.Cards.Get(ctx, h, of.Card)
		if err != nil {
			return st, opened, err
		}
		st.Currency, st.BIN = card.BIN.Currency, card.BIN.ID
	}
	if !st.Currency.IsValid() {
		return st, opened, fault.New(fault.UnknownCurrency, "want the ISO 4217 code of a currency").At("currency")
	}
	account, err := s.Books.FindAccount(ctx, h.Book, of.account())
	if err == nil {
		st.account, opened = account, account.OpenedAt
	}
	if of.Card == "" && (err == nil || fault.CodeOf(err) == fault.NotFound) {
		book, err := s.Books.FindBook(ctx, h.Book)
		return st, book.OpenedAt, err
	}
	return st, opened, err
}

func (s *Subject) account() ledger.AccountID {
	if s.Card != "" {
		return (&issuing.Card{ID: s.Card}).Account().ID
	}
	return wallet.Account(s.Wallet).ID
}

// bound finds where a month begins and ends among the entries.
func (s *Service) bound(ctx context.Context, st *Statement, m Month) error {
	begin, err := s.reached(ctx, st, m.From())
	if err != nil {
		return err
	}
	end, err := s.reached(ctx, st, m.Until())
	st.between(m, begin, end)
	return err
}

// reached returns how far a statement's account had come before an instant.
func (s *Service) reached(ctx context.Context, st *Statement, at time.Time) (ledger.Position, error) {
	if st.account == nil {
		return ledger.Position{Posted: st.zero(), Available: st.zero()}, nil
	}
	return s.Books.PositionAt(ctx, st.account, at.Add(-time.Microsecond))
}

// between has a statement be of a month that begins and ends at positions.
func (st *Statement) between(m Month, begin, end ledger.Position) {
	now := st.At
	if st.At = m.Until(); now.Before(st.At) {
		st.At = now
	}
	st.Month, st.Fees, st.Final = m, st.zero(), !now.Before(m.Until().Add(settled))
	st.before, st.Count = begin.Seq, end.Seq-begin.Seq
	st.Opening, st.Closing = moneyAt(begin), moneyAt(end)
}

func moneyAt(p ledger.Position) Money {
	return Money{p.Posted, money.New(p.Posted.Minor-p.Available.Minor, p.Posted.Currency)}
}

func (st *Statement) zero() money.Amount { return money.New(0, st.Currency) }

// MaxMonths bounds the months of a page.
const MaxMonths = 100

// Page is which months to list: Skip of the newest are left out.
type Page struct{ Skip, Limit int }

// Months returns the statements of an account without their totals, the newest first, and
// how many there are. It returns what Get returns, and invalid_request beyond 0 to a
// hundred thousand, and 1 to MaxMonths.
func (s *Service) Months(ctx context.Context, h issuing.Holder, of Subject, p Page) ([]Statement, int, error) {
	const most = 100_000
	if p.Skip < 0 || p.Skip > most || p.Limit < 1 || p.Limit > MaxMonths {
		return nil, 0, fault.New(fault.InvalidRequest, "want 1 to %d months", MaxMonths).At("per_page")
	}
	st, opened, err := s.find(ctx, h, of)
	if err != nil {
		return nil, 0, err
	}
	newest := monthOf(st.At)
	total := newest.since(monthOf(opened)) + 1
	last := min(total, p.Skip+p.Limit)
	if p.Skip >= last {
		return nil, total, nil
	}
	end, err := s.reached(ctx, &st, newest.back(p.Skip).Until())
	if err != nil {
		return nil, 0, err
	}
	var all []Statement
	for i := p.Skip; i < last; i++ {
		m, one := newest.back(i), st
		begin, err := s.reached(ctx, &one, m.From())
		if err != nil {
			return nil, 0, err
		}
		one.between(m, begin, end)
		all, end = append(all, one), begin // where the month before ends
	}
	return all, total, nil
}
