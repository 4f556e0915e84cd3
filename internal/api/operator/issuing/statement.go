package issuing

import (
	"context"
	"strconv"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/statement"
)

// statementRoutes are the statements of cards and of wallets: lists of months, a month,
// and a month as a file.
func (a *api) statementRoutes(s *desk.Surface, card string) {
	const months, month, purse = "/statements", "/statements/{month}", "/books/{book_id}/wallets/{currency}"
	wire.Handle(s, desk.Get("cards.statements", card+months), func(ctx context.Context, c *call, in cardMonths) (wire.Listing[monthView], error) {
		return a.months(ctx, c, in.subject(), in.CursorQuery)
	})
	wire.Handle(s, desk.Get("cards.statement", card+month), func(ctx context.Context, c *call, in cardMonthPage) (statementView, error) {
		return a.statement(ctx, c, in.asked(), in.CursorQuery)
	})
	wire.Handle(s, desk.Get("wallets.statements", purse+months), func(ctx context.Context, c *call, in walletMonths) (wire.Listing[monthView], error) {
		return a.months(ctx, c, in.subject(), in.CursorQuery)
	})
	wire.Handle(s, desk.Get("wallets.statement", purse+month), func(ctx context.Context, c *call, in walletMonthPage) (statementView, error) {
		return a.statement(ctx, c, in.asked(), in.CursorQuery)
	})
	for _, as := range statement.Formats() {
		name, file := "statement_"+string(as), month+"/"+string(as)
		wire.Handle(s, desk.Get("cards."+name, card+file), func(ctx context.Context, c *call, in cardMonth) (wire.File, error) {
			return a.statementFile(ctx, c, in.asked(), as)
		})
		wire.Handle(s, desk.Get("wallets."+name, purse+file), func(ctx context.Context, c *call, in walletMonth) (wire.File, error) {
			return a.statementFile(ctx, c, in.asked(), as)
		})
	}
}

// account is the account of a book that a path names.
type account struct{ book, card, currency string }

// asked is a month of one.
type asked struct {
	account
	month string
}

type cardMonths struct {
	cardPath
	wire.CursorQuery
}

func (in *cardPath) subject() account { return account{book: in.BookID, card: in.CardID} }

type cardMonth struct {
	cardPath
	Month string `path:"month" json:"-"`
}

func (in *cardMonth) asked() asked { return asked{in.subject(), in.Month} }

type cardMonthPage struct {
	cardMonth
	wire.CursorQuery
}

type walletPath struct {
	bookPath
	Currency string `path:"currency" json:"-"`
}

func (in *walletPath) subject() account { return account{book: in.BookID, currency: in.Currency} }

type walletMonths struct {
	walletPath
	wire.CursorQuery
}

type walletMonth struct {
	walletPath
	Month string `path:"month" json:"-"`
}

func (in *walletMonth) asked() asked { return asked{in.subject(), in.Month} }

type walletMonthPage struct {
	walletMonth
	wire.CursorQuery
}

// moneyView is what an account has: what is posted, and how much of it is held.
type moneyView struct {
	Posted string `json:"posted"`
	Held   string `json:"held"`
}

func viewMoney(m statement.Money) moneyView { return moneyView{m.Posted.String(), m.Held.String()} }

// monthView is a statement without its movements.
type monthView struct {
	Month     string    `json:"month"`
	Currency  string    `json:"currency"`
	Opening   moneyView `json:"opening"`
	Closing   moneyView `json:"closing"`
	Movements int64     `json:"movements"`
	// Final says that the statement will not change any more.
	Final bool            `json:"final"`
	Until wire.TimeMillis `json:"until"`
}

func viewMonth(s statement.Statement) monthView {
	return monthView{Month: s.Month.String(), Currency: s.Currency.String(), Opening: viewMoney(s.Opening), Closing: viewMoney(s.Closing), Movements: s.Count,
		Final: s.Final, Until: desk.At(s.At)}
}

type totalView struct {
	Kind   string `json:"kind"`
	Count  int64  `json:"count"`
	Amount string `json:"amount"`
	Held   string `json:"held"`
}

func viewTotal(t statement.Total) totalView {
	return totalView{string(t.Kind), t.Count, t.Amount.String(), t.Held.String()}
}

type movementView struct {
	Number           int64           `json:"number"`
	Kind             string          `json:"kind"`
	At               wire.TimeMillis `json:"at"`
	Amount           string          `json:"amount"`
	Held             string          `json:"held"`
	Fee              string          `json:"fee,omitzero"`
	After            moneyView       `json:"after"`
	TransactionID    string          `json:"transaction_id"`
	Reference        string          `json:"reference,omitzero"`
	CardID           string          `json:"card_id,omitzero"`
	AuthorizationID  string          `json:"authorization_id,omitzero"`
	MerchantName     string          `json:"merchant_name,omitzero"`
	MerchantCategory string          `json:"merchant_category,omitzero"`
	MCC              string          `json:"mcc,omitzero"`
	MerchantCountry  string          `json:"merchant_country,omitzero"`
}

func viewMovement(v statement.Movement) movementView {
	view := movementView{Number: v.Number, Kind: string(v.Kind), At: desk.At(v.At), Amount: v.Amount.String(), Held: v.Held.String(), After: viewMoney(v.After),
		TransactionID: string(v.Transaction), Reference: v.Reference, CardID: string(v.Card), AuthorizationID: string(v.Payment), MerchantName: v.Merchant.Name,
		MerchantCategory: v.Category, MCC: v.Merchant.MCC, MerchantCountry: v.Merchant.Country}
	if !v.Fee.IsZero() {
		view.Fee = v.Fee.String()
	}
	return view
}

// statementView is a month with some of its movements.
type statementView struct {
	monthView
	BookID string `json:"book_id"`
	CardID string `json:"card_id,omitzero"`
	BINID  string `json:"bin_id,omitzero"`
	// Totals and Fees are on the first page.
	Totals     []totalView    `json:"totals,omitzero"`
	Fees       string         `json:"fees,omitzero"`
	Data       []movementView `json:"data"`
	NextCursor string         `json:"next_cursor,omitzero"`
}

// subject returns on whose book an operator acts, and which account of it is meant.
func (a *api) subject(ctx context.Context, c *call, in account) (issuing.Holder, statement.Subject, error) {
	h, err := a.holder(ctx, c, in.book)
	if err != nil || in.card != "" {
		return h, statement.Subject{Card: issuing.CardID(in.card)}, err
	}
	currency, err := currencyOf(in.currency)
	return h, statement.Subject{Wallet: currency}, err
}

func (a *api) months(ctx context.Context, c *call, in account, q wire.CursorQuery) (wire.Listing[monthView], error) {
	none := wire.Listing[monthView]{}
	h, of, err := a.subject(ctx, c, in)
	if err != nil {
		return none, err
	}
	s, err := a.desk.Span(q, "statements", in.book, in.card, in.currency)
	if err != nil {
		return none, err
	}
	skip, err := s.Number()
	if err != nil {
		return none, err
	}
	found, total, err := a.Statements.Months(ctx, h, of, statement.Page{Skip: int(skip), Limit: min(s.Limit, statement.MaxMonths)})
	if err != nil {
		return none, err
	}
	list := desk.Page(found, viewMonth)
	if next := int(skip) + len(found); next < total {
		list.NextCursor = a.desk.More(s, strconv.Itoa(next))
	}
	return list, nil
}

func (a *api) statement(ctx context.Context, c *call, in asked, q wire.CursorQuery) (statementView, error) {
	s, err := a.desk.Span(q, "statement", in.book, in.card, in.currency, in.month)
	if err != nil {
		return statementView{}, err
	}
	after, err := s.Number()
	if err != nil {
		return statementView{}, err
	}
	read := a.Statements.Get
	if after > 0 { // the totals were told with the first page
		read = a.Statements.Head
	}
	st, err := a.made(ctx, c, in, read)
	if err != nil {
		return statementView{}, err
	}
	found, err := a.Statements.Movements(ctx, &st, after, s.Limit)
	if err != nil {
		return statementView{}, err
	}
	view := statementView{monthView: viewMonth(st), BookID: in.book, CardID: in.card, BINID: st.BIN, Data: desk.Page(found, viewMovement).Data}
	if after == 0 {
		view.Totals, view.Fees = desk.Page(st.Totals, viewTotal).Data, st.Fees.String()
	}
	if next := after + int64(len(found)); next < st.Count {
		view.NextCursor = a.desk.More(s, desk.Sequence(next))
	}
	return view, nil
}

type reader func(context.Context, issuing.Holder, statement.Subject, statement.Month) (statement.Statement, error)

// made has a statement read.
func (a *api) made(ctx context.Context, c *call, in asked, read reader) (statement.Statement, error) {
	h, of, err := a.subject(ctx, c, in.account)
	if err != nil {
		return statement.Statement{}, err
	}
	month, err := statement.ParseMonth(in.month)
	if err != nil {
		return statement.Statement{}, err
	}
	return read(ctx, h, of, month)
}

func (a *api) statementFile(ctx context.Context, c *call, in asked, as statement.Format) (wire.File, error) {
	st, err := a.made(ctx, c, in, a.Statements.Head)
	if err != nil {
		return wire.File{}, err
	}
	f, err := a.Statements.File(ctx, &st, as)
	return wire.File{ContentType: f.MediaType, Name: f.Name, Body: f.Content}, err
}
