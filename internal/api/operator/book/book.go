// Package book is the room of the operator API for the books: ledger accounts with their
// balances and statements, transactions and their reversals, and holds.
//
// It translates, and holds no rule about money: the ledger does.
package book

import (
	"context"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

type api struct {
	books *ledger.Ledger
	cards *issuing.Service
	desk  *desk.Desk
}

// Routes adds the room's calls to the operator API.
func Routes(s *desk.Surface, d *desk.Desk, books *ledger.Ledger, cards *issuing.Service) {
	a := &api{books, cards, d}
	const book = "/books/{book_id}"
	wire.Handle(s, desk.Get("accounts.list", book+"/accounts"), a.listAccounts)
	wire.Handle(s, desk.Get("accounts.get", book+"/account"), a.getAccount)
	wire.Handle(s, desk.Get("accounts.balance", book+"/balance"), a.balanceAt)
	wire.Handle(s, desk.Get("accounts.statement", book+"/statement"), a.statement)
	wire.Handle(s, desk.Get("accounts.statement_csv", book+"/statement.csv"), a.statementCSV)
	wire.Handle(s, desk.Once(desk.Post("accounts.freeze", book+"/accounts/freeze", desk.Assist)), a.freezeAccount)
	wire.Handle(s, desk.Once(desk.Post("accounts.unfreeze", book+"/accounts/unfreeze", desk.Assist)), a.unfreezeAccount)
	wire.Handle(s, desk.Get("transactions.list", book+"/transactions"), a.listTransactions)
	wire.Handle(s, desk.Get("transactions.get", book+"/transactions/{transaction_id}"), a.getTransaction)
	wire.Handle(s, desk.Created(desk.Post("transactions.reverse", book+"/transactions/{transaction_id}/reverse", desk.Assist)), a.reverseTransaction)
	wire.Handle(s, desk.Get("holds.get", book+"/holds/{hold_id}"), a.getHold)
}

type bookPath struct {
	BookID string `path:"book_id" json:"-"`
}

// change is an operation that an operator asks for, and why.
type change struct {
	op      ledger.Operation
	owner   account.Owner
	subject string
	reason  string
}

// submit runs an operator's own operation on a book. The audit log is told first;
// the answer is stored with the operation.
func (a *api) submit(ctx context.Context, c *desk.Call, ch change, view func(ledger.Outcome) any) (ledger.Outcome, error) {
	op, err := a.tell(ctx, c, ch)
	if err != nil {
		return ledger.Outcome{}, err
	}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) { return a.desk.Kept(c, view(o)) }
	o, err := a.books.Submit(ctx, op)
	return o, a.desk.Raced(ctx, c, err)
}

// tell completes an operation and has the audit log know of it.
func (a *api) tell(ctx context.Context, c *desk.Call, ch change) (ledger.Operation, error) {
	reason, err := desk.Written("reason", ch.reason)
	if err != nil {
		return ledger.Operation{}, err
	}
	op := ch.op
	op.Book, op.Reference, op.Actor, op.At = ch.owner.Book, reason, desk.Actor(c), a.desk.Clocks.Now(ch.owner.Realm)
	return op, a.desk.Record(ctx, c, audit.Record{Action: op.Kind, Subject: ch.subject, Book: string(op.Book), At: op.At, Detail: map[string]string{"reason": reason}})
}
