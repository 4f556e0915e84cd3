package cryptocardy

import (
	"context"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/issuing/statement"
)

func (a *api) statementRoutes(s *surface) {
	const purse, one, month = "/wallet/statements", "/cards/{card_id}/statements", "/{month}"
	wire.Handle(s, get("wallet.statements", purse), func(ctx context.Context, c *call, in wire.PageQuery) (pages[monthView], error) {
		return a.months(ctx, c, "", in)
	})
	wire.Handle(s, get("wallet.statement", purse+month), func(ctx context.Context, c *call, in walletMonthPage) (statementView, error) {
		return a.statement(ctx, c, monthOf{"", in.Month}, in.PageQuery)
	})
	wire.Handle(s, get("cards.statements", one), func(ctx context.Context, c *call, in cardMonths) (pages[monthView], error) {
		return a.months(ctx, c, in.ID, in.PageQuery)
	})
	wire.Handle(s, get("cards.statement", one+month), func(ctx context.Context, c *call, in cardMonthPage) (statementView, error) {
		return a.statement(ctx, c, monthOf{in.ID, in.Month}, in.PageQuery)
	})
	for _, as := range statement.Formats() {
		name, file := "statement_"+string(as), month+"/"+string(as)
		wire.Handle(s, get("wallet."+name, purse+file), func(ctx context.Context, c *call, in monthPath) (wire.File, error) {
			return a.statementFile(ctx, c, monthOf{"", in.Month}, as)
		})
		wire.Handle(s, get("cards."+name, one+file), func(ctx context.Context, c *call, in cardMonth) (wire.File, error) {
			return a.statementFile(ctx, c, monthOf{in.ID, in.Month}, as)
		})
	}
}

// monthOf is a month of a card, or of the wallet where there is none.
type monthOf struct{ card, month string }

// subject is whose statement a path names.
func subject(card string) (statement.Subject, error) {
	if card == "" {
		return statement.Subject{Wallet: dollars}, nil
	}
	which, err := cardID(card)
	return statement.Subject{Card: which}, err
}

func viewMonth(s *statement.Statement) monthView {
	return monthView{Month: s.Month.String(), Currency: s.Currency.String(), OpeningBalance: wire.Major(s.Opening.Posted), OpeningHeld: wire.Major(s.Opening.Held),
		ClosingBalance: wire.Major(s.Closing.Posted), ClosingHeld: wire.Major(s.Closing.Held), Movements: s.Count, Final: s.Final, Until: wire.TimeSecond(s.At)}
}

func viewMovement(v *statement.Movement) movementView {
	view := movementView{Number: v.Number, Kind: string(v.Kind), Amount: wire.Major(v.Amount), Held: wire.Major(v.Held), Fee: wire.Major(v.Fee),
		BalanceAfter: wire.Major(v.After.Posted), Reference: v.Reference, CardID: string(v.Card), AuthorizationID: string(v.Payment), CreatedAt: wire.TimeSecond(v.At)}
	if m := &v.Merchant; v.Payment != "" {
		view.Merchant = &merchant{Name: m.Name, Category: v.Category, MCC: m.MCC, Country: m.Country}
	}
	return view
}

// defaultMonths is a year, on a page of months; behind maxMonthsBack there are none.
const (
	defaultMonths = 12
	maxMonthsBack = 100_000
)

func (a *api) months(ctx context.Context, c *call, card string, q wire.PageQuery) (pages[monthView], error) {
	of, err := subject(card)
	if err != nil {
		return pages[monthView]{}, err
	}
	problems, page := pageOf(q, defaultMonths)
	if err := problems.Err(); err != nil {
		return pages[monthView]{}, err
	}
	found, total, err := a.Statements.Months(ctx, holder(c), of, statement.Page{Skip: min(page.Offset, maxMonthsBack), Limit: page.Size})
	out := pages[monthView]{Data: make([]monthView, 0, len(found)), Pagination: page.Totals(total)}
	for i := range found {
		out.Data = append(out.Data, viewMonth(&found[i]))
	}
	return out, err
}

func (a *api) statement(ctx context.Context, c *call, in monthOf, q wire.PageQuery) (statementView, error) {
	problems, page := pageOf(q, statement.MaxPage/2)
	if err := problems.Err(); err != nil {
		return statementView{}, err
	}
	st, err := a.made(ctx, c, in)
	if err == nil && page.Offset == 0 { // with the other pages nobody is told the totals
		if err = a.afford(ctx, c, &st); err == nil {
			err = a.Statements.Sum(ctx, &st)
		}
	}
	if err != nil {
		return statementView{}, err
	}
	found, err := a.Statements.Movements(ctx, &st, int64(page.Offset), page.Size)
	if err != nil {
		return statementView{}, err
	}
	out := statementView{monthView: viewMonth(&st), CardID: in.card, BINID: st.BIN, Data: make([]movementView, 0, len(found)), Pagination: page.Totals(int(st.Count))}
	for i := range found {
		out.Data = append(out.Data, viewMovement(&found[i]))
	}
	if page.Offset > 0 {
		return out, nil
	}
	fees := wire.Major(st.Fees)
	out.Fees, out.Totals = &fees, make([]totalView, 0, len(st.Totals))
	for _, t := range st.Totals {
		out.Totals = append(out.Totals, totalView{Kind: string(t.Kind), Count: t.Count, Amount: wire.Major(t.Amount), Held: wire.Major(t.Held)})
	}
	return out, nil
}

// made has a statement read without its totals.
func (a *api) made(ctx context.Context, c *call, in monthOf) (statement.Statement, error) {
	of, err := subject(in.card)
	if err != nil {
		return statement.Statement{}, err
	}
	month, err := statement.ParseMonth(in.month)
	if err != nil {
		return statement.Statement{}, err
	}
	return a.Statements.Head(ctx, holder(c), of, month)
}

// afford counts the movements that are to be read for the totals of a statement, or for a file
// that is held in memory: a few calls a minute for all of a busy month would keep the database
// from everybody else.
func (a *api) afford(ctx context.Context, c *call, st *statement.Statement) error {
	most := perMovements[0].Limit
	d, err := a.Take(ctx, "cryptocardy/statements/"+string(c.Principal.Book), perMovements, int(min(st.Count, int64(most))))
	if err == nil && !d.Allowed {
		err = fault.New(fault.RateLimited, "Statements with too many movements were asked for.").After(d.RetryAfter)
	}
	return err
}

func (a *api) statementFile(ctx context.Context, c *call, in monthOf, as statement.Format) (wire.File, error) {
	st, err := a.made(ctx, c, in)
	if err == nil {
		err = st.Fits(as.Most()) // a file that is refused is not read
	}
	if err == nil {
		err = a.afford(ctx, c, &st)
	}
	if err != nil {
		return wire.File{}, err
	}
	f, err := a.Statements.File(ctx, &st, as)
	return wire.File{ContentType: f.MediaType, Name: f.Name, Body: f.Content}, err
}
