package dispute

import (
	"context"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/wallet"
)

// purse returns the account that a dispute's money goes to and comes from: the card's or,
// where that is closed, the wallet's, which what closed it opened.
func (s *Service) purse(ctx context.Context, d *Dispute) (ledger.NewAccount, *ledger.Account, error) {
	card := (&issuing.Card{ID: d.Card, BIN: issuing.BIN{Currency: d.Amount.Currency}}).Account()
	found, err := s.Books.FindAccount(ctx, d.Book, card.ID)
	if err != nil || found.State != ledger.Closed {
		return card, found, err
	}
	purse := wallet.Account(d.Amount.Currency)
	found, err = s.Books.FindAccount(ctx, d.Book, purse.ID)
	return purse, found, err
}

// creditKey is the ledger's key of what a dispute credited.
func (d *Dispute) creditKey() string { return kindCredit + "/" + string(d.ID) }

// follow has an operation build on what a dispute credited, and reports whether that is in the
// books: nothing may have been credited, or an operator reversed it.
func (s *Service) follow(ctx context.Context, op *ledger.Operation, d *Dispute) (bool, error) {
	if !d.Credited {
		return false, nil
	}
	credit, keyed, err := s.Books.FindByKey(ctx, d.Book, d.creditKey())
	if err != nil || !keyed { // one of before credits had keys stands
		return err == nil, err
	}
	by, err := ledger.Reversals(ctx, s.DB, d.Book, []ledger.TransactionID{credit.Transaction})
	if err != nil || len(by) > 0 {
		return false, err
	}
	op.Follows = []ledger.TransactionID{credit.Transaction}
	return true, nil
}

// give has an account pay what is left of a dispute to the cardholder.
func (s *Service) give(ctx context.Context, op *ledger.Operation, d *Dispute, from ledger.NewAccount) error {
	to, _, err := s.purse(ctx, d)
	op.Open = append(op.Open, from, to)
	op.Postings = append(op.Postings, ledger.Posting{Debit: from.ID, Credit: to.ID, Amount: d.Left()})
	return err
}

// take takes back an amount that was credited. What the cardholder does not have is owed, and the
// next funding repays it, or what the merchant gives back. It returns what the outcome must keep to.
func (s *Service) take(ctx context.Context, op *ledger.Operation, d *Dispute, amount money.Amount) (func(*ledger.Outcome) error, error) {
	purse, found, err := s.purse(ctx, d)
	if err != nil {
		return nil, err
	}
	part := min(max(0, found.Available().Minor), amount.Minor)
	owed, disputed := issuing.Receivable(amount.Currency), issuing.Disputed(amount.Currency)
	op.Open = append(op.Open, purse, owed, disputed)
	if part > 0 { // forced, since a frozen card gives back as well
		op.Postings = append(op.Postings, ledger.Posting{Debit: purse.ID, Credit: disputed.ID, Amount: money.New(part, amount.Currency), Forced: true})
	}
	if rest := amount.Minor - part; rest > 0 {
		op.Postings = append(op.Postings, ledger.Posting{Debit: owed.ID, Credit: disputed.ID, Amount: money.New(rest, amount.Currency), Forced: true})
		op.Guards = append(op.Guards, ledger.Guard{Counter: authorization.LentCounter(d.Payment), Add: rest, Limit: unbounded})
	}
	return func(o *ledger.Outcome) error {
		after, _ := o.Balance(purse.ID)
		if part > 0 && after.Available.IsNegative() || part < amount.Minor && after.Available.IsPositive() {
			return errMoved // another part is there: it is taken, and no more
		}
		return nil
	}, nil
}
