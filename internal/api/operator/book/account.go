package book

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

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
		PostedDebits: debits.String(), PostedCredits: credits.String(), Entries: l.Entries, OpenedAt: desk.At(l.OpenedAt)}
}

type accountList struct {
	bookPath
	wire.CursorQuery
	Prefix string `query:"prefix" json:"-" wire:"max=200"`
}

func (a *api) listAccounts(ctx context.Context, _ *desk.Call, in accountList) (wire.Listing[accountView], error) {
	none := wire.Listing[accountView]{}
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return none, err
	}
	s, err := a.desk.Span(in.CursorQuery, "accounts", in.BookID, in.Prefix)
	if err != nil {
		return none, err
	}
	accounts, err := a.books.ListAccounts(ctx, owner.Book, in.Prefix, ledger.AccountID(s.After), s.Limit+1)
	if err != nil {
		return none, err
	}
	accounts, next := desk.Cut(accounts, s, func(l *ledger.Account) string { return string(l.ID) })
	list := desk.Page(accounts, viewAccount)
	list.NextCursor = a.desk.More(s, next)
	return list, nil
}

// accountQuery names an account in the query: its id holds slashes.
type accountQuery struct {
	bookPath
	AccountID string `query:"account_id" json:"-" wire:"required,max=200"`
}

// account returns an account with the owner of its book.
func (a *api) account(ctx context.Context, in accountQuery) (*ledger.Account, account.Owner, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return nil, owner, err
	}
	found, err := a.books.FindAccount(ctx, owner.Book, ledger.AccountID(in.AccountID))
	if fault.CodeOf(err) == fault.NotFound {
		err = fault.New(fault.NotFound, "no such account in this book").At("account_id")
	}
	return found, owner, err
}

func (a *api) getAccount(ctx context.Context, _ *desk.Call, in accountQuery) (accountView, error) {
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

func (a *api) balanceAt(ctx context.Context, _ *desk.Call, in balanceQuery) (balanceAtView, error) {
	found, owner, err := a.account(ctx, in.accountQuery)
	if err != nil {
		return balanceAtView{}, err
	}
	when := in.At.Time()
	if when.IsZero() {
		when = a.desk.Clocks.Now(owner.Realm)
	}
	then, err := a.books.PositionAt(ctx, found, shown(when))
	return balanceAtView{AccountID: in.AccountID, BookID: in.BookID, Currency: found.Currency.String(), Posted: then.Posted.String(),
		Available: then.Available.String(), At: desk.At(when)}, err
}

// shown returns the last instant that answers show as t, where they can: they have
// milliseconds, and a time that was read off a statement has that line's entry in it.
func shown(t time.Time) time.Time {
	if t.Equal(t.Truncate(time.Millisecond)) {
		return t.Add(time.Millisecond - time.Microsecond)
	}
	return t
}

type accountChange struct {
	bookPath
	AccountID string `json:"account_id" wire:"required,max=200"`
	desk.Reasoned
}

func (a *api) freezeAccount(ctx context.Context, c *desk.Call, in accountChange) (accountView, error) {
	return a.setAccount(ctx, c, in, ledger.Frozen)
}

func (a *api) unfreezeAccount(ctx context.Context, c *desk.Call, in accountChange) (accountView, error) {
	return a.setAccount(ctx, c, in, ledger.Open)
}

// setAccount moves an account to a state, as an operation of its own in the books.
// An account that is in it already stays as it is.
func (a *api) setAccount(ctx context.Context, c *desk.Call, in accountChange, to ledger.State) (accountView, error) {
	found, owner, err := a.account(ctx, accountQuery{bookPath: in.bookPath, AccountID: in.AccountID})
	if err != nil {
		return viewOf(found), err
	}
	after := *found
	after.State = to
	op := ledger.Operation{Kind: "account.freeze", States: []ledger.StateChange{{Account: found.ID, To: to}}}
	if to == ledger.Open {
		op.Kind = "account.unfreeze"
	}
	ch := change{op: op, owner: owner, subject: in.AccountID, reason: in.Reason}
	if done, err := a.setCard(ctx, c, ch, &after); done || err != nil || found.State == to {
		return viewAccount(&after), err
	}
	_, err = a.submit(ctx, c, ch, func(ledger.Outcome) any { return viewAccount(&after) })
	return viewAccount(&after), err
}

// setCard freezes a virtual card that is in use, or lets it go, where a change is of such a
// card's account, and reports whether it is: what the account alone is, nobody who looks for
// the card finds, and its holder may undo.
func (a *api) setCard(ctx context.Context, c *desk.Call, ch change, after *ledger.Account) (bool, error) {
	card, ok := issuing.CardOf(after.ID)
	if !ok {
		return false, nil
	}
	h := issuing.Holder{Book: ch.owner.Book, Realm: ch.owner.Realm, Actor: desk.Actor(c), Operator: true}
	now, err := a.cards.Get(ctx, h, card)
	if err != nil || now.Status != issuing.Active && now.Status != issuing.Frozen {
		return false, err
	}
	op, err := a.tell(ctx, c, ch)
	if err != nil {
		return false, err
	}
	set := a.cards.Freeze
	if after.State == ledger.Open {
		set = a.cards.Unfreeze
	}
	_, err = set(ctx, h, issuing.Step{Card: card, Note: op.Reference, Also: func(issuing.Card) ([]storage.Effect, error) { return a.desk.Kept(c, viewAccount(after)) }})
	return true, a.desk.Raced(ctx, c, err)
}

func viewOf(l *ledger.Account) accountView {
	if l == nil {
		return accountView{}
	}
	return viewAccount(l)
}
