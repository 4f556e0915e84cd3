package operator

import (
	"bytes"
	"context"
	"encoding/csv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

func (a *api) bookRoutes(s *surface) {
	const book = "/books/{book_id}"
	wire.Handle(s, get("books.get", book), a.getBook)
	wire.Handle(s, get("accounts.list", book+"/accounts"), a.listAccounts)
	wire.Handle(s, get("accounts.get", book+"/account"), a.getAccount)
	wire.Handle(s, get("accounts.balance", book+"/balance"), a.balanceAt)
	wire.Handle(s, get("accounts.statement", book+"/statement"), a.statement)
	wire.Handle(s, get("accounts.statement_csv", book+"/statement.csv"), a.statementCSV)
	wire.Handle(s, once(post("accounts.freeze", book+"/accounts/freeze", assist)), a.freezeAccount)
	wire.Handle(s, once(post("accounts.unfreeze", book+"/accounts/unfreeze", assist)), a.unfreezeAccount)
	wire.Handle(s, get("transactions.list", book+"/transactions"), a.listTransactions)
	wire.Handle(s, get("transactions.get", book+"/transactions/{transaction_id}"), a.getTransaction)
	wire.Handle(s, created(post("transactions.reverse", book+"/transactions/{transaction_id}/reverse", assist)), a.reverseTransaction)
	wire.Handle(s, get("holds.get", book+"/holds/{hold_id}"), a.getHold)
}

func (a *api) getBook(ctx context.Context, _ *call, in bookPath) (bookView, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return bookView{}, err
	}
	return a.viewBook(ctx, owner)
}

type accountView struct {
	AccountID     string          `json:"account_id"`
	BookID        string          `json:"book_id"`
	Currency      string          `json:"currency"`
	Side          string          `json:"side"`
	State         string          `json:"state"`
	Unbounded     bool            `json:"unbounded"`
	Posted        string          `json:"posted"`
	Held          string          `json:"held"`
	Available     string          `json:"available"`
	PostedDebits  string          `json:"posted_debits"`
	PostedCredits string          `json:"posted_credits"`
	Entries       int64           `json:"entries"`
	OpenedAt      wire.TimeMillis `json:"opened_at"`
}

func viewAccount(l *ledger.Account) accountView {
	debits, credits := l.Posted(), l.Posted()
	debits.Minor, credits.Minor = l.PostedDebits, l.PostedCredits
	return accountView{AccountID: string(l.ID), BookID: string(l.Book), Currency: l.Currency.String(), Side: string(l.Side), State: string(l.State),
		Unbounded: l.Unbounded, Posted: l.Posted().String(), Held: l.Held().String(), Available: l.Available().String(),
		PostedDebits: debits.String(), PostedCredits: credits.String(), Entries: l.Entries, OpenedAt: at(l.OpenedAt)}
}

type accountList struct {
	bookPath
	wire.CursorQuery
	Prefix string `query:"prefix" json:"-" wire:"max=200"`
}

func (a *api) listAccounts(ctx context.Context, _ *call, in accountList) (wire.Listing[accountView], error) {
	none := wire.Listing[accountView]{}
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return none, err
	}
	s, err := a.span(in.CursorQuery, "accounts", in.BookID, in.Prefix)
	if err != nil {
		return none, err
	}
	accounts, err := a.Books.ListAccounts(ctx, owner.Book, in.Prefix, ledger.AccountID(s.after), s.limit+1)
	if err != nil {
		return none, err
	}
	accounts, next := cut(accounts, s, func(l *ledger.Account) string { return string(l.ID) })
	list := page(accounts, viewAccount)
	list.NextCursor = a.more(s, next)
	return list, nil
}

// accountQuery names an account in the query: its id holds slashes.
type accountQuery struct {
	bookPath
	AccountID string `query:"account_id" json:"-" wire:"required,max=200"`
}

// account returns an account with the owner of its book.
func (a *api) account(ctx context.Context, in accountQuery) (*ledger.Account, account.Owner, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return nil, owner, err
	}
	found, err := a.Books.FindAccount(ctx, owner.Book, ledger.AccountID(in.AccountID))
	if fault.CodeOf(err) == fault.NotFound {
		err = fault.New(fault.NotFound, "no such account in this book").At("account_id")
	}
	return found, owner, err
}

func (a *api) getAccount(ctx context.Context, _ *call, in accountQuery) (accountView, error) {
	found, _, err := a.account(ctx, in)
	if err != nil {
		return accountView{}, err
	}
	return viewAccount(found), nil
}

type balanceQuery struct {
	accountQuery
	At wire.Since `query:"at" json:"-"`
}

type balanceAtView struct {
	AccountID string          `json:"account_id"`
	BookID    string          `json:"book_id"`
	Currency  string          `json:"currency"`
	Posted    string          `json:"posted"`
	Available string          `json:"available"`
	At        wire.TimeMillis `json:"at"`
}

func (a *api) balanceAt(ctx context.Context, _ *call, in balanceQuery) (balanceAtView, error) {
	found, owner, err := a.account(ctx, in.accountQuery)
	if err != nil {
		return balanceAtView{}, err
	}
	when := in.At.Time()
	if when.IsZero() {
		when = a.Clocks.Now(owner.Realm)
	}
	posted, available, err := a.Books.BalanceAt(ctx, found, when)
	return balanceAtView{AccountID: in.AccountID, BookID: in.BookID, Currency: found.Currency.String(), Posted: posted.String(),
		Available: available.String(), At: at(when)}, err
}

type statementQuery struct {
	accountQuery
	wire.CursorQuery
}

type lineView struct {
	Seq           int64           `json:"seq"`
	TransactionID string          `json:"transaction_id"`
	Kind          string          `json:"kind"`
	Reference     string          `json:"reference,omitzero"`
	Side          string          `json:"side"`
	Posted        string          `json:"posted"`
	Held          string          `json:"held"`
	Balance       string          `json:"balance"`
	Available     string          `json:"available"`
	Currency      string          `json:"currency"`
	At            wire.TimeMillis `json:"at"`
}

func viewLine(l ledger.Line) lineView {
	held := l.Posted
	held.Minor = l.Held
	return lineView{Seq: l.Seq, TransactionID: string(l.Transaction), Kind: l.Kind, Reference: l.Reference, Side: string(l.Side),
		Posted: l.Posted.String(), Held: held.String(), Balance: l.Balance.String(), Available: l.Available.String(),
		Currency: l.Posted.Currency.String(), At: at(l.At)}
}

func lineSeq(l ledger.Line) string { return sequence(l.Seq) }

func (a *api) statement(ctx context.Context, _ *call, in statementQuery) (wire.Listing[lineView], error) {
	s, lines, next, err := a.lines(ctx, in)
	if err != nil {
		return wire.Listing[lineView]{}, err
	}
	list := page(lines, viewLine)
	list.NextCursor = a.more(s, next)
	return list, nil
}

// lines reads one page of a statement.
func (a *api) lines(ctx context.Context, in statementQuery) (s span, lines []ledger.Line, next string, err error) {
	found, _, err := a.account(ctx, in.accountQuery)
	if err != nil {
		return s, nil, "", err
	}
	if s, err = a.span(in.CursorQuery, "statement", in.BookID, in.AccountID); err != nil {
		return s, nil, "", err
	}
	before, err := s.number()
	if err != nil {
		return s, nil, "", err
	}
	lines, err = a.Books.Statement(ctx, found, before, s.limit+1)
	lines, next = cut(lines, s, lineSeq)
	return s, lines, next, err
}

type csvQuery struct {
	accountQuery
	Cursor string     `query:"cursor" json:"-" wire:"max=1024"`
	From   wire.Since `query:"from" json:"-"`
	To     wire.Since `query:"to" json:"-"`
}

// Limits of one CSV file. What goes beyond is read on from the cursor in the header.
const (
	csvLines   = 20_000 // of the file
	csvScanned = 100_000
	nextHeader = "X-Next-Cursor"
)

// statementCSV writes a statement, newest first, as a file for a spreadsheet.
func (a *api) statementCSV(ctx context.Context, c *call, in csvQuery) (wire.File, error) {
	found, _, err := a.account(ctx, in.accountQuery)
	if err != nil {
		return wire.File{}, err
	}
	s, err := a.span(wire.CursorQuery{Cursor: in.Cursor}, "statement.csv", in.BookID, in.AccountID,
		sequence(storage.Micros(in.From.Time())), sequence(storage.Micros(in.To.Time())))
	if err != nil {
		return wire.File{}, err
	}
	before, err := s.number()
	if err != nil {
		return wire.File{}, err
	}
	lines, last, err := a.between(ctx, found, before, [2]time.Time{in.From.Time(), in.To.Time()})
	if err != nil {
		return wire.File{}, err
	}
	if last > 0 {
		c.Header().Set(nextHeader, a.more(s, sequence(last)))
	}
	body, err := writeCSV(lines)
	name := strings.ReplaceAll(in.AccountID, "/", "_") + ".csv"
	return wire.File{ContentType: "text/csv; charset=utf-8", Name: name, Body: body}, err
}

// between reads the lines from the first to before the second instant, either of which may be zero. last is
// where to go on, 0 at the end.
func (a *api) between(ctx context.Context, l *ledger.Account, before int64, when [2]time.Time) (lines []ledger.Line, last int64, err error) {
	for scanned := 0; scanned < csvScanned && len(lines) < csvLines; scanned += ledger.MaxPage {
		part, err := a.Books.Statement(ctx, l, before, ledger.MaxPage)
		if err != nil {
			return nil, 0, err
		}
		for _, line := range part {
			before = line.Seq
			if line.At.Before(when[0]) {
				return lines, 0, nil
			}
			if when[1].IsZero() || line.At.Before(when[1]) {
				lines = append(lines, line)
			}
		}
		if len(part) < ledger.MaxPage {
			return lines, 0, nil
		}
	}
	return lines, before, nil
}

func writeCSV(lines []ledger.Line) ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	rows := [][]string{{"seq", "at", "transaction_id", "kind", "reference", "side", "posted", "held", "balance", "available", "currency"}}
	for _, l := range lines {
		v := viewLine(l)
		rows = append(rows, []string{sequence(v.Seq), l.At.Format("2006-01-02T15:04:05.000Z"), v.TransactionID, v.Kind, cell(v.Reference), v.Side,
			v.Posted, v.Held, v.Balance, v.Available, v.Currency})
	}
	err := w.WriteAll(rows) // flushes
	return out.Bytes(), err
}

// cell keeps a spreadsheet from taking a customer's text for a formula.
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

type accountChange struct {
	bookPath
	AccountID string `json:"account_id" wire:"required,max=200"`
	reasoned
}

func (a *api) freezeAccount(ctx context.Context, c *call, in accountChange) (accountView, error) {
	return a.setAccount(ctx, c, in, ledger.Frozen)
}

func (a *api) unfreezeAccount(ctx context.Context, c *call, in accountChange) (accountView, error) {
	return a.setAccount(ctx, c, in, ledger.Open)
}

// setAccount moves an account to a state, as an operation of its own in the books.
// An account that is in it already stays as it is.
func (a *api) setAccount(ctx context.Context, c *call, in accountChange, to ledger.State) (accountView, error) {
	found, owner, err := a.account(ctx, accountQuery{bookPath: in.bookPath, AccountID: in.AccountID})
	if err != nil || found.State == to {
		return viewOf(found), err
	}
	op := ledger.Operation{Kind: "account.freeze", States: []ledger.StateChange{{Account: found.ID, To: to}}}
	if to == ledger.Open {
		op.Kind = "account.unfreeze"
	}
	after := *found
	after.State = to
	_, err = a.submit(ctx, c, change{op: op, owner: owner, subject: in.AccountID, reason: in.Reason}, func(ledger.Outcome) any { return viewAccount(&after) })
	return viewAccount(&after), err
}

func viewOf(l *ledger.Account) accountView {
	if l == nil {
		return accountView{}
	}
	return viewAccount(l)
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
func (a *api) submit(ctx context.Context, c *call, ch change, view func(ledger.Outcome) any) (ledger.Outcome, error) {
	reason, err := written("reason", ch.reason)
	if err != nil {
		return ledger.Outcome{}, err
	}
	op := ch.op
	op.Book, op.Reference, op.Actor, op.At = ch.owner.Book, reason, actor(c), a.Clocks.Now(ch.owner.Realm)
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) { return a.kept(c, view(o)) }
	err = a.record(ctx, c, audit.Record{Action: op.Kind, Subject: ch.subject, Book: string(op.Book), At: op.At,
		Detail: map[string]string{"reason": reason}})
	if err != nil {
		return ledger.Outcome{}, err
	}
	o, err := a.Books.Submit(ctx, op)
	return o, a.raced(ctx, c, err)
}

type moveView struct {
	Debit    string `json:"debit"`
	Credit   string `json:"credit"`
	Posted   string `json:"posted"`
	Held     string `json:"held"`
	Currency string `json:"currency"`
	HoldID   string `json:"hold_id,omitzero"`
}

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
	Moves         []moveView      `json:"moves"`
	Balances      []afterView     `json:"balances"`
	States        []stateView     `json:"states"`
}

func viewTransaction(o ledger.Outcome) transactionView {
	v := transactionView{TransactionID: string(o.Transaction), BookID: string(o.Book), Seq: o.Seq, Kind: o.Kind, Key: o.Key, Reference: o.Reference,
		Reverses: string(o.Reverses), Actor: o.Actor, At: at(o.At), Moves: []moveView{}, Balances: []afterView{}, States: []stateView{}}
	for _, m := range o.Moves {
		held := m.Posted
		held.Minor = m.Held
		v.Moves = append(v.Moves, moveView{Debit: string(m.Debit), Credit: string(m.Credit), Posted: m.Posted.String(), Held: held.String(),
			Currency: m.Posted.Currency.String(), HoldID: string(m.Hold)})
	}
	for _, b := range o.After {
		v.Balances = append(v.Balances, afterView{string(b.Account), b.Posted.String(), b.Available.String(), b.Posted.Currency.String()})
	}
	for _, s := range o.States {
		v.States = append(v.States, stateView{string(s.Account), string(s.To)})
	}
	return v
}

func (a *api) listTransactions(ctx context.Context, _ *call, in bookList) (wire.Listing[transactionView], error) {
	none := wire.Listing[transactionView]{}
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return none, err
	}
	s, err := a.span(in.CursorQuery, "transactions", in.BookID)
	if err != nil {
		return none, err
	}
	before, err := s.number()
	if err != nil {
		return none, err
	}
	found, err := a.Books.ListTransactions(ctx, owner.Book, before, s.limit+1)
	if err != nil {
		return none, err
	}
	found, next := cut(found, s, func(o ledger.Outcome) string { return sequence(o.Seq) })
	list := page(found, viewTransaction)
	list.NextCursor = a.more(s, next)
	return list, nil
}

type transactionPath struct {
	bookPath
	TransactionID string `path:"transaction_id" json:"-"`
}

// ownerOf returns the owner of the path's book; not_found for what cannot be a transaction.
func (a *api) ownerOf(ctx context.Context, in transactionPath) (account.Owner, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err == nil {
		err = known("transaction", "txn", in.TransactionID)
	}
	return owner, err
}

func (a *api) getTransaction(ctx context.Context, _ *call, in transactionPath) (transactionView, error) {
	owner, err := a.ownerOf(ctx, in)
	if err != nil {
		return transactionView{}, err
	}
	found, err := a.Books.FindTransaction(ctx, owner.Book, ledger.TransactionID(in.TransactionID))
	return viewTransaction(found), err
}

type reversal struct {
	transactionPath
	reasoned
}

// reverseTransaction undoes what a transaction posted. A second time it is already_reversed.
func (a *api) reverseTransaction(ctx context.Context, c *call, in reversal) (transactionView, error) {
	owner, err := a.ownerOf(ctx, in.transactionPath)
	if err != nil {
		return transactionView{}, err
	}
	// Looked for before the audit log is told.
	if _, err := a.Books.FindTransaction(ctx, owner.Book, ledger.TransactionID(in.TransactionID)); err != nil {
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

func (a *api) getHold(ctx context.Context, _ *call, in holdPath) (holdView, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err == nil {
		err = known("hold", "hold", in.HoldID)
	}
	if err != nil {
		return holdView{}, err
	}
	h, err := a.Books.FindHold(ctx, owner.Book, ledger.HoldID(in.HoldID))
	if err != nil {
		return holdView{}, err
	}
	return holdView{HoldID: string(h.ID), BookID: string(h.Book), Debit: string(h.Debit), Credit: string(h.Credit), Amount: h.Amount.String(),
		Captured: h.Captured.String(), Released: h.Released.String(), Remaining: h.Remaining().String(), Currency: h.Amount.Currency.String(),
		State: string(h.State), PlacedAt: at(h.PlacedAt), ExpiresAt: at(h.ExpiresAt), EndedAt: at(h.EndedAt)}, nil
}
