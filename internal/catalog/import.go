package catalog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/platform/sheet"
)

// Limits of an import.
const (
	// MaxImportBytes bounds the file.
	MaxImportBytes = 256 << 20
	// MaxImportRows bounds its products.
	MaxImportRows = 200_000
	maxLine       = 64 << 10
	// maxObject bounds the bytes of an object in JSON, where a character may take twelve.
	maxObject = 256 << 10
	// chunk is how many products one transaction writes.
	chunk = 1000
)

// Format is how a file is written.
type Format string

// The formats. CSV has a header with some of Columns; JSON is an array of objects, or one
// object after another, whose members have the names of Columns.
const (
	CSV  Format = "csv"
	JSON Format = "json"
)

// ImportOptions are those of one import.
type ImportOptions struct {
	Format Format
	// DryRun says what would happen and changes nothing.
	DryRun bool
	Actor  string
	// Progress is told how many rows were written, or checked in a dry run; may be nil.
	Progress func(rows int)
}

// BadRow is why a row was refused: one of possibly several reasons.
type BadRow struct {
	// Row is the line of a CSV file, the header's being 1, or the number of the object.
	Row    int
	Field  string // empty: the whole row
	Reason string
}

// ImportedRow is what became of a row, or would.
type ImportedRow struct {
	Row     int
	Code    ItemCode
	Outcome Outcome
}

// ImportReport is what an import did, or would do.
type ImportReport struct {
	Rows []ImportedRow
	Bad  []BadRow
}

// Count returns how many rows had an outcome.
func (r *ImportReport) Count(o Outcome) int {
	n := 0
	for _, row := range r.Rows {
		if row.Outcome == o {
			n++
		}
	}
	return n
}

// Import adds and replaces products. Every row is checked first: when one is wrong it
// returns invalid_request with all that is wrong in the report, and nothing is changed. A
// column that a row does not have keeps what there is; products that the file does not have
// stay. It returns body_too_large beyond the limits.
//
// What is good is written in parts: an import that breaks off is repeated, and finds what
// it wrote the first time.
func (s *Service) Import(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	if o.Progress == nil {
		o.Progress = func(int) {}
	}
	if err := s.Refresh(ctx); err != nil { // rows may be about what another process just put
		return ImportReport{}, err
	}
	l := &list{view: s.view.Load(), first: map[ItemCode]int{}}
	err := l.readAll(&io.LimitedReader{R: r, N: MaxImportBytes + 1}, o.Format)
	if err != nil {
		return ImportReport{}, err
	}
	lost, err := lostImage(ctx, s.DB, l.edits)
	if err != nil {
		return ImportReport{}, err
	}
	if lost >= 0 {
		l.bad = append(l.bad, BadRow{l.rows[lost].Row, columnImage, noImage})
	}
	sold, err := s.revalued(ctx, s.DB, l.edits)
	if err != nil {
		return ImportReport{}, err
	}
	if sold >= 0 {
		l.bad = append(l.bad, BadRow{l.rows[sold].Row, columnValue, soldAsAnother})
	}
	if len(l.bad) > 0 {
		return l.refuse()
	}
	report := ImportReport{Rows: l.rows}
	if o.DryRun {
		for i, e := range l.edits {
			report.Rows[i].Outcome = l.outcome(e.Product)
		}
		o.Progress(len(l.rows))
		return report, nil
	}
	for done := 0; done < len(l.rows); done += chunk {
		end := min(done+chunk, len(l.rows))
		record := audit.Record{Actor: o.Actor, Action: "catalog.import", Detail: map[string]string{"rows": strconv.Itoa(end - done)}}
		outcomes, err := s.write(ctx, l.edits[done:end], record)
		if err != nil {
			return ImportReport{}, errors.Join(fmt.Errorf("after %d rows: %w", done, err), s.Refresh(ctx))
		}
		for i, outcome := range outcomes {
			report.Rows[done+i].Outcome = outcome
		}
		o.Progress(end)
	}
	return report, s.Refresh(ctx)
}

// list is a file as it was read: the products that are well written, and what is wrong with
// the other rows.
type list struct {
	view  *view
	edits []edit
	rows  []ImportedRow
	bad   []BadRow
	first map[ItemCode]int // codes, with their rows
	read  int              // rows, wrong ones among them
}

func (l *list) readAll(in *io.LimitedReader, format Format) error {
	var err error
	switch format {
	case CSV:
		err = l.readCSV(in)
	case JSON:
		err = l.readJSON(in)
	default:
		return invalidAt("format", "want csv or json")
	}
	if in.N <= 0 {
		return fault.New(fault.BodyTooLarge, "the file has more than %d bytes", int64(MaxImportBytes)).At("file")
	}
	return err
}

func (l *list) readCSV(in io.Reader) error {
	rows, err := sheet.Open(in, maxLine, Columns(), required())
	if errors.Is(err, sheet.ErrHeader) {
		return fault.New(fault.InvalidRequest, "%s", err).At("file")
	}
	if err != nil {
		return err
	}
	for {
		next, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = l.count()
		}
		if err != nil {
			return err
		}
		if next.Wrong != "" {
			l.bad = append(l.bad, BadRow{Row: next.Line, Reason: next.Wrong})
			continue
		}
		r := row{}
		for i, column := range rows.Header() {
			r[column] = next.Fields[i]
		}
		l.add(next.Line, r)
	}
}

func (l *list) readJSON(in io.Reader) error {
	buffered := bufio.NewReader(in)
	// Some programs put a mark before a text. An error comes again.
	const mark = "\ufeff"
	if begin, _ := buffered.Peek(len(mark)); string(begin) == mark {
		_, _ = buffered.Discard(len(mark))
	}
	decoder := json.NewDecoder(buffered)
	first, err := firstByte(buffered)
	if err != nil {
		return err
	}
	if first == '[' {
		if _, err := decoder.Token(); err != nil {
			return err
		}
	}
	for number := 1; decoder.More(); number++ {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return fault.New(fault.InvalidRequest, "object %d is no JSON: %s", number, err).At("file")
		}
		if err := l.count(); err != nil {
			return err
		}
		object, bad, ok := objectOf(raw)
		if !ok {
			return fault.New(fault.InvalidRequest, "object %d is no JSON object", number).At("file")
		}
		if object == nil {
			l.blame(number, bad)
			continue
		}
		r, more := rowOf(object)
		l.add(number, r, append(bad, more...)...)
	}
	if first == '[' {
		if _, err := decoder.Token(); err != nil {
			return fault.New(fault.InvalidRequest, "the array does not end").At("file")
		}
	}
	// A second list would be lost without a word.
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.InvalidRequest, "something follows the last object").At("file")
	}
	return nil
}

// objectOf reads an object, unless raw, which is valid JSON, is something else. It blames
// what the decoder lets pass: names that stand twice, and text that is not UTF-8.
func objectOf(raw json.RawMessage) (object map[string]any, bad []BadRow, ok bool) {
	switch {
	case len(raw) > maxObject:
		return nil, []BadRow{{Reason: fmt.Sprintf("it has more than %d bytes", maxObject)}}, true
	case !utf8.Valid(raw):
		return nil, []BadRow{{Reason: "it is not UTF-8"}}, true
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return nil, nil, false
	}
	object = map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, nil, false
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, nil, false
		}
		name, _ := token.(string) // every other token of an object is one
		if _, twice := object[name]; twice {
			bad = append(bad, BadRow{Field: name, Reason: "it stands twice"})
		}
		object[name] = value
	}
	return object, bad, true
}

// firstByte looks at what a file begins with, after spaces.
func firstByte(r *bufio.Reader) (byte, error) {
	for {
		b, err := r.Peek(1)
		if err != nil {
			return 0, fault.New(fault.InvalidRequest, "the file is empty").At("file")
		}
		if !strings.ContainsRune(" \t\r\n", rune(b[0])) {
			return b[0], nil
		}
		if _, err := r.Discard(1); err != nil {
			return 0, err
		}
	}
}

// rowOf turns an object into a row: texts and numbers as they are, lists with spaces.
func rowOf(object map[string]any) (r row, bad []BadRow) {
	r = row{}
	known := Columns()
	for name, value := range object {
		text, ok := textOf(value)
		switch {
		case !slices.Contains(known, name):
			bad = append(bad, BadRow{Field: name, Reason: "it is unknown"})
		case !ok:
			bad = append(bad, BadRow{Field: name, Reason: "want a text, a number or a list of texts"})
		default:
			r[name] = text
		}
	}
	slices.SortFunc(bad, func(a, b BadRow) int { return strings.Compare(a.Field, b.Field) })
	return r, bad
}

func textOf(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case []any:
		var texts []string
		for _, part := range v {
			text, ok := part.(string)
			if !ok {
				return "", false
			}
			texts = append(texts, text)
		}
		return strings.Join(texts, " "), true
	}
	return "", false
}

// count counts one row, right or wrong, and refuses one too many.
func (l *list) count() error {
	if l.read++; l.read > MaxImportRows {
		return fault.New(fault.BodyTooLarge, "the file has more than %d rows", MaxImportRows).At("file")
	}
	return nil
}

// blame keeps what is wrong with a row.
func (l *list) blame(number int, bad []BadRow) {
	for _, b := range bad {
		b.Row = number
		l.bad = append(l.bad, b)
	}
}

// add checks one row; bad is what is wrong with how it is written.
func (l *list) add(number int, r row, bad ...BadRow) {
	old := l.view.find(ItemCode(r[columnCode]))
	p, more := r.checked(old)
	written := len(bad)
	for _, b := range more {
		if !slices.ContainsFunc(bad[:written], func(other BadRow) bool { return other.Field == b.Field }) {
			bad = append(bad, b)
		}
	}
	if first, twice := l.first[p.Code]; twice && p.Code != "" {
		bad = append(bad, BadRow{Field: columnCode, Reason: fmt.Sprintf("row %d has it, too", first)})
	}
	l.blame(number, bad)
	l.first[p.Code] = number
	if len(bad) == 0 {
		e := edit{Product: p, sets: r.columns()}
		if old != nil {
			e.was = old.Face
		}
		l.edits, l.rows = append(l.edits, e), append(l.rows, ImportedRow{Row: number, Code: p.Code})
	}
}

func (l *list) outcome(p *Product) Outcome {
	switch old := l.view.find(p.Code); {
	case old == nil:
		return Added
	case p.same(old):
		return Same
	}
	return Changed
}

func badRow(err error) BadRow {
	f := fault.From(err)
	return BadRow{Field: f.Field, Reason: f.Message}
}

// refuse returns the report of a file with wrong rows.
func (l *list) refuse() (ImportReport, error) {
	wrong, last := 0, 0
	for _, b := range l.bad {
		if b.Row != last {
			wrong, last = wrong+1, b.Row
		}
	}
	return ImportReport{Bad: l.bad}, fault.New(fault.InvalidRequest, "%s wrong: nothing was changed", plain.Count(wrong, "row is", "rows are")).At("file")
}
