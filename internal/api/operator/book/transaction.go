package book

import (
	"context"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/ledger"
)

type afterView struct {
	AccountID string `json:"account_id"`
	Posted    string `json:"posted"`
	Available string `json:"available"`
	Currency  string `json:"currency"`
}

type stateView struct {
	AccountID string `json:"account_id"`
	To        string `json:"to"`
}

type transactionView struct {
	TransactionID string          `json:"transaction_id"`
	BookID        string          `json:"book_id"`
	Seq           int64           `json:"seq"`
	Kind          string          `json:"kind"`
	Key           string          `json:"key,omitzero"`
	Reference     string          `json:"reference,omitzero"`
	Reverses      string          `json:"reverses,omitzero"`
	Actor         string          `json:"actor,omitzero"`
	At            wire.TimeMillis `json:"at"`
	Moves         []desk.Move     `json:"moves"`
	Balances      []afterView     `json:"balances"`
	States        []stateView     `json:"states"`
}

func viewTransaction(o ledger.Outcome) transactionView {
	v := transactionView{TransactionID: string(o.Transaction), BookID: string(o.Book), Seq: o.Seq, Kind: o.Kind, Key: o.Key, Reference: o.Reference,
		Reverses: string(o.Reverses), Actor: o.Actor, At: desk.At(o.At), Moves: desk.Moves(&o), Balances: []afterView{}, States: []stateView{}}
	for _, b := range o.After {
		v.Balances = append(v.Balances, afterView{string(b.Account), b.Posted.String(), b.Available.String(), b.Posted.Currency.String()})
	}
	for _, s := range o.States {
		v.States = append(v.States, stateView{string(s.Account), string(s.To)})
	}
	return v
}

type transactionList struct {
	bookPath
	wire.CursorQuery
}

func (a *api) listTransactions(ctx context.Context, _ *desk.Call, in transactionList) (wire.Listing[transactionView], error) {
	none := wire.Listing[transactionView]{}
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return none, err
	}
	s, err := a.desk.Span(in.CursorQuery, "transactions", in.BookID)
	if err != nil {
		return none, err
	}
	before, err := s.Number()
	if err != nil {
		return none, err
	}
	found, err := a.books.ListTransactions(ctx, owner.Book, before, s.Limit+1)
	if err != nil {
		return none, err
	}
	found, next := desk.Cut(found, s, func(o ledger.Outcome) string { return desk.Sequence(o.Seq) })
	list := desk.Page(found, viewTransaction)
	list.NextCursor = a.desk.More(s, next)
	return list, nil
}

type transactionPath struct {
	bookPath
	TransactionID string `path:"transaction_id" json:"-"`
}

// ownerOf returns the owner of the path's book; not_found for what cannot be a transaction.
func (a *api) ownerOf(ctx context.Context, in transactionPath) (account.Owner, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err == nil {
		err = desk.Known("transaction", "txn", in.TransactionID)
	}
	return owner, err
}

func (a *api) getTransaction(ctx context.Context, _ *desk.Call, in transactionPath) (transactionView, error) {
	owner, err := a.ownerOf(ctx, in)
	if err != nil {
		return transactionView{}, err
	}
	found, err := a.books.FindTransaction(ctx, owner.Book, ledger.TransactionID(in.TransactionID))
	return viewTransaction(found), err
}

type reversal struct {
	transactionPath
	desk.Reasoned
}

// reverseTransaction undoes what a transaction posted. A second time it is already_reversed.
func (a *api) reverseTransaction(ctx context.Context, c *desk.Call, in reversal) (transactionView, error) {
	owner, err := a.ownerOf(ctx, in.transactionPath)
	if err != nil {
		return transactionView{}, err
	}
	// Looked for before the audit log is told.
	if _, err := a.books.FindTransaction(ctx, owner.Book, ledger.TransactionID(in.TransactionID)); err != nil {
		return transactionView{}, err
	}
	op := ledger.Operation{Kind: "transaction.reverse", Reverses: ledger.TransactionID(in.TransactionID)}
	o, err := a.submit(ctx, c, change{op: op, owner: owner, subject: in.TransactionID, reason: in.Reason},
		func(o ledger.Outcome) any { return viewTransaction(o) })
	return viewTransaction(o), err
}

type holdPath struct {
	bookPath
	HoldID string `path:"hold_id" json:"-"`
}

type holdView struct {
	HoldID    string          `json:"hold_id"`
	BookID    string          `json:"book_id"`
	Debit     string          `json:"debit"`
	Credit    string          `json:"credit"`
	Amount    string          `json:"amount"`
	Captured  string          `json:"captured"`
	Released  string          `json:"released"`
	Remaining string          `json:"remaining"`
	Currency  string          `json:"currency"`
	State     string          `json:"state"`
	PlacedAt  wire.TimeMillis `json:"placed_at"`
	ExpiresAt wire.TimeMillis `json:"expires_at,omitzero"`
	EndedAt   wire.TimeMillis `json:"ended_at,omitzero"`
}

func (a *api) getHold(ctx context.Context, _ *desk.Call, in holdPath) (holdView, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err == nil && desk.Known("payment", "auth", in.HoldID) != nil { // what a payment with a virtual card holds has its name
		err = desk.Known("hold", "hold", in.HoldID)
	}
	if err != nil {
		return holdView{}, err
	}
	h, err := a.books.FindHold(ctx, owner.Book, ledger.HoldID(in.HoldID))
	if err != nil {
		return holdView{}, err
	}
	return holdView{HoldID: string(h.ID), BookID: string(h.Book), Debit: string(h.Debit), Credit: string(h.Credit), Amount: h.Amount.String(),
		Captured: h.Captured.String(), Released: h.Released.String(), Remaining: h.Remaining().String(), Currency: h.Amount.Currency.String(),
		State: string(h.State), PlacedAt: desk.At(h.PlacedAt), ExpiresAt: desk.At(h.ExpiresAt), EndedAt: desk.At(h.EndedAt)}, nil
}
