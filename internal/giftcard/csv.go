package giftcard

import (
	"errors"
	"fmt"
	"io"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/sheet"
)

// Limits of a file of cards to make; its rows are at most MaxIssues.
const (
	// MaxImportBytes bounds the file.
	MaxImportBytes = 64 << 20
	maxLine        = 4 << 10
)

// The columns of a file, in any order; the last one may be missing.
const (
	columnTitle     = "title"
	columnTemplate  = "templateId"
	columnCurrency  = "currency"
	columnAmount    = "amount"
	columnReference = "reference"
)

// list is a file as it was read: the rows that are well written, and what is wrong with the others.
type list struct {
	issues []Issue
	lines  []int // of issues
	bad    []BadField
	// others are the templates of rows that are not, by their lines.
	others map[int]string

	placed map[string]int // references, with their lines
}

func (l *list) add(line int, field, reason string) {
	l.bad = append(l.bad, BadField{Line: line, Field: field, Reason: reason})
}

// blame says in a column's words what is wrong with a row.
func (l *list) blame(line int, err error) {
	f := fault.From(err)
	l.add(line, f.Field, f.Message)
}

// parseList reads a file. What is wrong with a row is in the list; an error is about the whole file.
func parseList(r io.Reader) (*list, error) {
	limited := &io.LimitedReader{R: r, N: MaxImportBytes + 1}
	required := []string{columnTitle, columnTemplate, columnCurrency, columnAmount}
	in, err := sheet.Open(limited, maxLine, append(required, columnReference), required)
	if errors.Is(err, sheet.ErrHeader) {
		return nil, fault.New(fault.InvalidRequest, "%s", err.Error()).At("file")
	}
	if err != nil {
		return nil, fmt.Errorf("read list of gift cards: %w", err)
	}
	l := &list{placed: map[string]int{}, others: map[int]string{}}
	for rows := 0; ; rows++ {
		row, err := in.Next()
		switch {
		case limited.N == 0:
			return nil, tooLarge("bytes", MaxImportBytes)
		case errors.Is(err, io.EOF) && rows == 0:
			return nil, fault.New(fault.InvalidRequest, "the file has no rows").At("file")
		case errors.Is(err, io.EOF):
			return l, nil
		case err != nil:
			return nil, fmt.Errorf("read list of gift cards: %w", err)
		case rows == MaxIssues:
			return nil, tooLarge("rows", MaxIssues)
		case row.Wrong != "":
			l.add(row.Line, "", row.Wrong)
		default:
			l.row(row.Line, in.Header(), row.Fields)
		}
	}
}

func tooLarge(what string, most int) error {
	return fault.New(fault.BodyTooLarge, "the file has more than %d %s", most, what).At("file")
}

// row checks how a row is written, every field of it.
func (l *list) row(number int, header, fields []string) {
	var issue Issue
	before, currency := len(l.bad), ""
	for i, column := range header {
		switch column {
		case columnTitle:
			issue.Title = fields[i]
		case columnTemplate:
			issue.TemplateID = fields[i]
		case columnCurrency:
			currency = fields[i]
		case columnAmount:
			issue.AmountText = fields[i]
		case columnReference:
			issue.Reference = fields[i]
		}
	}
	if err := issue.checkTitle(); err != nil {
		l.blame(number, err)
	}
	parsed, err := money.Parse(currency)
	if err != nil {
		l.add(number, columnCurrency, err.Error())
	} else if issue.Amount, err = money.ParseAmount(issue.AmountText, parsed); err != nil {
		l.add(number, columnAmount, err.Error())
	}
	l.reference(number, issue.Reference)
	if len(l.bad) > before {
		l.others[number] = issue.TemplateID
		return
	}
	l.issues, l.lines = append(l.issues, issue), append(l.lines, number)
}

func (l *list) reference(number int, reference string) {
	if reference == "" {
		return
	}
	if err := checkReference(reference); err != nil {
		l.blame(number, err)
		return
	}
	if first, twice := l.placed[reference]; twice {
		l.add(number, columnReference, fmt.Sprintf("line %d has it, too", first))
		return
	}
	l.placed[reference] = number
}
