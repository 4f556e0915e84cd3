package book

import (
	"bytes"
	"context"
	"encoding/csv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/sheet"
	"github.com/scripcards/scrip/internal/platform/storage"
)

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
		Currency: l.Posted.Currency.String(), At: desk.At(l.At)}
}

func lineSeq(l ledger.Line) string { return desk.Sequence(l.Seq) }

func (a *api) statement(ctx context.Context, _ *desk.Call, in statementQuery) (wire.Listing[lineView], error) {
	s, lines, next, err := a.lines(ctx, in)
	if err != nil {
		return wire.Listing[lineView]{}, err
	}
	list := desk.Page(lines, viewLine)
	list.NextCursor = a.desk.More(s, next)
	return list, nil
}

// lines reads one page of a statement.
func (a *api) lines(ctx context.Context, in statementQuery) (s desk.Span, lines []ledger.Line, next string, err error) {
	found, _, err := a.account(ctx, in.accountQuery)
	if err != nil {
		return s, nil, "", err
	}
	if s, err = a.desk.Span(in.CursorQuery, "statement", in.BookID, in.AccountID); err != nil {
		return s, nil, "", err
	}
	before, err := s.Number()
	if err != nil {
		return s, nil, "", err
	}
	lines, err = a.books.Statement(ctx, found, before, s.Limit+1)
	lines, next = desk.Cut(lines, s, lineSeq)
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
func (a *api) statementCSV(ctx context.Context, c *desk.Call, in csvQuery) (wire.File, error) {
	found, _, err := a.account(ctx, in.accountQuery)
	if err != nil {
		return wire.File{}, err
	}
	s, err := a.desk.Span(wire.CursorQuery{Cursor: in.Cursor}, "statement.csv", in.BookID, in.AccountID,
		desk.Sequence(storage.Micros(in.From.Time())), desk.Sequence(storage.Micros(in.To.Time())))
	if err != nil {
		return wire.File{}, err
	}
	before, err := s.Number()
	if err != nil {
		return wire.File{}, err
	}
	lines, last, err := a.between(ctx, found, before, [2]time.Time{in.From.Time(), in.To.Time()})
	if err != nil {
		return wire.File{}, err
	}
	if last > 0 {
		c.Header().Set(nextHeader, a.desk.More(s, desk.Sequence(last)))
	}
	body, err := writeCSV(lines)
	name := strings.ReplaceAll(in.AccountID, "/", "_") + ".csv"
	return wire.File{ContentType: "text/csv; charset=utf-8", Name: name, Body: body}, err
}

// between reads the lines from the first to before the second instant, either of which may be zero. last is
// where to go on, 0 at the end.
func (a *api) between(ctx context.Context, l *ledger.Account, before int64, when [2]time.Time) (lines []ledger.Line, last int64, err error) {
	for scanned := 0; scanned < csvScanned && len(lines) < csvLines; scanned += ledger.MaxPage {
		part, err := a.books.Statement(ctx, l, before, ledger.MaxPage)
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
		rows = append(rows, []string{desk.Sequence(v.Seq), l.At.Format("2006-01-02T15:04:05.000Z"), v.TransactionID, v.Kind, sheet.Cell(v.Reference), v.Side,
			v.Posted, v.Held, v.Balance, v.Available, v.Currency})
	}
	err := w.WriteAll(rows) // flushes
	return out.Bytes(), err
}
