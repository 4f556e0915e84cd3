package giftcard

import (
	"context"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
)

// Line is one transaction of a card's history.
type Line struct {
	Transaction ledger.TransactionID
	// Type is create, redeem, refund, hold, capture, void, reload, expire or cancel.
	Type      string
	Reference string
	Amount    money.Amount
	Balance   money.Amount // what could be spent after it
	At        time.Time
	Seq       int64 // the cursor of the next page
}

// History returns up to limit transactions of a card before the given cursor, newest
// first; 0 begins at the newest.
func (s *Service) History(ctx context.Context, card *Card, before int64, limit int) ([]Line, error) {
	account, err := s.Books.FindAccount(ctx, card.Book, card.Account())
	if err != nil {
		return nil, err
	}
	entries, err := s.Books.Statement(ctx, account, before, limit)
	if err != nil {
		return nil, err
	}
	lines := make([]Line, 0, len(entries))
	for _, e := range entries {
		amount := e.Posted
		if amount.IsZero() {
			amount.Minor = max(e.Held, -e.Held)
		}
		kind := strings.TrimPrefix(e.Kind, "giftcard.")
		if e.Kind == "hold.expire" {
			kind = "void"
		}
		lines = append(lines, Line{Transaction: e.Transaction, Type: kind, Reference: e.Reference, Amount: amount,
			Balance: e.Available, At: e.At, Seq: e.Seq})
	}
	return lines, nil
}
