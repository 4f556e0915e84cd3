// Package sheet reads CSV files of any length a line at a time, in bounded memory.
//
// It is RFC 4180 in UTF-8 with a header, either line end and an optional byte order mark,
// but a field holds no line break: a quote that is not closed spoils its line alone, and
// no line is longer than the caller says. Empty lines are skipped. What files are written
// of, Cell makes safe to open.
package sheet

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Reader reads one file. Its errors are the file's: what is wrong with a row is in the Row.
type Reader struct {
	in      *bufio.Reader
	header  []string
	text    []byte // where a line is put together, each after the one before
	line    int
	longest int
}

// Row is one line that is not empty.
type Row struct {
	// Line counts from 1, the header's.
	Line int
	// Fields are as many as the header's; none when Wrong is set.
	Fields []string
	// Wrong says why the line is no row; empty when it is one.
	Wrong string
}

// ErrHeader is returned for a file whose first line does not name its columns.
var ErrHeader = errors.New("the first line must name the columns")

// Open reads the header of a file: names from known, each at most once, with all of
// required. Lines may have longest bytes. It returns ErrHeader, or r's error.
func Open(r io.Reader, longest int, known, required []string) (*Reader, error) {
	s := &Reader{in: bufio.NewReaderSize(r, 64<<10), longest: longest}
	text, tooLong, err := s.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	text = strings.TrimPrefix(text, "\ufeff")
	switch {
	case tooLong:
		return nil, fmt.Errorf("%w: it is too long", ErrHeader)
	case text == "":
		return nil, fmt.Errorf("%w: it is empty", ErrHeader)
	}
	fields, wrong := split(text, len(known))
	if wrong != "" {
		return nil, fmt.Errorf("%w: %s", ErrHeader, wrong)
	}
	for i, name := range fields {
		if !slices.Contains(known, name) || slices.Contains(fields[:i], name) {
			return nil, fmt.Errorf("%w: column %d is unknown or named twice; known are %s", ErrHeader, i+1, strings.Join(known, ", "))
		}
	}
	for _, name := range required {
		if !slices.Contains(fields, name) {
			return nil, fmt.Errorf("%w: there is no column %s", ErrHeader, name)
		}
	}
	s.header = fields
	return s, nil
}

// Header returns the columns in the file's order.
func (s *Reader) Header() []string { return s.header }

// Next returns the next row, io.EOF after the last one, or the file's error.
func (s *Reader) Next() (Row, error) {
	for {
		text, tooLong, err := s.next()
		row := Row{Line: s.line}
		switch {
		case tooLong:
			row.Wrong = fmt.Sprintf("it has more than %d bytes", s.longest)
		case text == "" && err != nil:
			return Row{}, err
		case text == "":
			continue
		case !utf8.ValidString(text):
			row.Wrong = "it is not UTF-8"
		default:
			row.Fields, row.Wrong = split(text, len(s.header))
			if row.Wrong == "" && len(row.Fields) != len(s.header) {
				row.Fields, row.Wrong = nil, fmt.Sprintf("it has %d fields, the header has %d", len(row.Fields), len(s.header))
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return Row{}, err
		}
		return row, nil
	}
}

// next returns the next line without its end. One that is too long is read over.
func (s *Reader) next() (text string, tooLong bool, err error) {
	s.line++
	s.text = s.text[:0]
	for {
		part, err := s.in.ReadSlice('\n')
		if !tooLong {
			s.text = append(s.text, part...)
		}
		if len(s.text) > s.longest+len("\r\n") {
			s.text, tooLong = s.text[:0], true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			line := bytes.TrimSuffix(bytes.TrimSuffix(s.text, []byte("\n")), []byte("\r"))
			return string(line), tooLong || len(line) > s.longest, err
		}
	}
}

// split cuts a line into at most most+1 fields, or says why it cannot.
func split(line string, most int) (fields []string, wrong string) {
	for {
		var field string
		if strings.HasPrefix(line, `"`) {
			if field, line, wrong = quoted(line[1:]); wrong != "" {
				return nil, wrong
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
		case len(fields) > most:
			return nil, fmt.Sprintf("it has more than %d fields", most)
		}
		line = line[1:]
	}
}

// quoted reads a field after its opening quote and returns it with what follows: nothing or a comma.
func quoted(text string) (field, rest, wrong string) {
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

// Cell is a text that somebody else wrote, as a field that no spreadsheet takes for a
// formula: where it begins like one, an apostrophe stands before it. So it does within the
// text after a semicolon, at which spreadsheets of many countries part the line, whether or
// not it is quoted.
func Cell(text string) string {
	if !strings.ContainsAny(text, formula) {
		return text
	}
	cells := strings.Split(text, ";")
	for i, cell := range cells {
		if first, _ := utf8.DecodeRuneInString(strings.TrimLeft(cell, `"`)); strings.ContainsRune(formula, first) {
			cells[i] = "'" + cell
		}
	}
	return strings.Join(cells, ";")
}

// formula is what one begins with, in full width too.
const formula = "=+-@\t\r＝＋－＠"
