package giftcard

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// Limits of a file of cards to make; its rows are at most MaxIssues.
const (
	// MaxImportBytes bounds the file.
	MaxImportBytes = 64 << 20
	maxLine        = 4 << 10
	// maxLines counts empty ones, too.
	maxLines = 2 * MaxIssues
)

// The columns of a file, in any order; the last one may be missing.
const (
	columnTitle     = "title"
	columnTemplate  = "templateId"
	columnCurrency  = "currency"
	columnAmount    = "amount"
	columnReference = "reference"
	columns         = 5
)

// list is a file as it was read: the rows that are well written, and what is wrong with the others.
type list struct {
	issues []Issue
	lines  []int // of issues
	bad    []BadField

	rows   int            // besides the header
	order  []string       // the columns, as the header has them
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
	in := bufio.NewReaderSize(limited, maxLine+2) // with CR and LF
	l := &list{placed: map[string]int{}}
	for number := 1; ; number++ {
		line, whole, err := readLine(in)
		if limited.N == 0 {
			return nil, tooLarge("bytes", MaxImportBytes)
		}
		if number > maxLines {
			return nil, tooLarge("lines", maxLines)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read list of gift cards: %w", err)
		}
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(line) > 0 || !whole {
			if refusal := l.take(number, line, whole); refusal != nil {
				return nil, refusal
			}
		}
		if err != nil {
			break
		}
	}
	switch {
	case l.order == nil:
		return nil, badHeader("the file is empty")
	case l.rows == 0:
		return nil, fault.New(fault.InvalidRequest, "the file has no rows").At("file")
	}
	return l, nil
}

// readLine returns the next line without its end, and whether it fits. It ends with io.EOF.
func readLine(in *bufio.Reader) (line []byte, whole bool, err error) {
	line, err = in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		return line, len(line) <= maxLine, err
	}
	for errors.Is(err, bufio.ErrBufferFull) { // the rest of it
		_, err = in.ReadSlice('\n')
	}
	return nil, false, err
}

// take reads the header or a row; only an error about the whole file is returned.
func (l *list) take(number int, line []byte, whole bool) error {
	if l.order != nil {
		l.rows++
	}
	if l.rows > MaxIssues {
		return tooLarge("rows", MaxIssues)
	}
	reason := ""
	var fields []string
	switch {
	case !whole:
		reason = fmt.Sprintf("the line has more than %d bytes", maxLine)
	case !utf8.Valid(line):
		reason = "the line is not UTF-8"
	default:
		fields, reason = splitLine(string(line))
	}
	switch {
	case l.order == nil && reason != "":
		return badHeader(reason)
	case l.order == nil:
		l.order = fields
		return checkHeader(fields)
	case reason != "":
		l.add(number, "", reason)
	case len(fields) != len(l.order):
		l.add(number, "", fmt.Sprintf("it has %d fields, the header has %d", len(fields), len(l.order)))
	default:
		l.row(number, fields)
	}
	return nil
}

// row checks how a row is written, every field of it.
func (l *list) row(number int, fields []string) {
	var issue Issue
	before, currency := len(l.bad), ""
	for i, column := range l.order {
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
	if len(l.bad) == before {
		l.issues, l.lines = append(l.issues, issue), append(l.lines, number)
	}
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

func checkHeader(fields []string) error {
	known := []string{columnTitle, columnTemplate, columnCurrency, columnAmount, columnReference}
	for i, name := range fields {
		if !slices.Contains(known, name) || slices.Contains(fields[:i], name) {
			return badHeader(fmt.Sprintf("column %d is unknown or named twice", i+1))
		}
	}
	for _, name := range known[:columns-1] {
		if !slices.Contains(fields, name) {
			return badHeader("there is no column " + name)
		}
	}
	return nil
}

func badHeader(reason string) error {
	return fault.New(fault.InvalidRequest, "the first line must be title,templateId,currency,amount and perhaps reference: %s", reason).At("file")
}

func tooLarge(what string, most int) error {
	return fault.New(fault.BodyTooLarge, "the file has more than %d %s", most, what).At("file")
}

// splitLine cuts a line of CSV into at most columns+1 fields, or says why it cannot.
func splitLine(line string) (fields []string, reason string) {
	for {
		var field string
		if strings.HasPrefix(line, `"`) {
			if field, line, reason = quoted(line[1:]); reason != "" {
				return nil, reason
			}
		} else {
			end := strings.IndexByte(line, ',')
			if end < 0 {
				end = len(line)
			}
			if field, line = line[:end], line[end:]; strings.Contains(field, `"`) {
				return nil, "a quote stands in a field that is not quoted"
			}
		}
		fields = append(fields, field)
		switch {
		case line == "":
			return fields, ""
		case len(fields) > columns:
			return nil, fmt.Sprintf("it has more than %d fields", columns)
		}
		line = line[1:]
	}
}

// quoted reads a field after its opening quote and returns it with what follows: nothing or a comma.
func quoted(text string) (field, rest, reason string) {
	var b strings.Builder
	for {
		before, after, closed := strings.Cut(text, `"`)
		b.WriteString(before)
		switch {
		case !closed:
			return "", "", "a quoted field does not end on its line"
		case after == "" || after[0] == ',':
			return b.String(), after, ""
		case after[0] != '"':
			return "", "", "something stands between a closing quote and the comma"
		}
		b.WriteByte('"')
		text = after[1:]
	}
}
