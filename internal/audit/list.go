package audit

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Page sizes of List.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// Cursor is a place in a listing, as Entry.Cursor gives it. Empty is no place.
type Cursor string

// Filter says which records to list. The zero value lists the installation's own book.
type Filter struct {
	// Book is whose records; Everywhere lists those of all books instead, by time.
	Book       string
	Everywhere bool
	// Actor, Action and Subject, when set, must be equal to the record's.
	Actor, Action, Subject string
	// Before lists what is older than a place, After the nearest of what is newer. At most one is set.
	Before, After Cursor
	// Limit is the page size, DefaultLimit when 0, MaxLimit and one more at most.
	Limit int
}

// Cursor returns the place of e.
func (e *Entry) Cursor() Cursor {
	text := strconv.FormatInt(storage.Micros(e.At), 10) + "." + strconv.FormatInt(e.Seq, 10) + "." + e.Book
	return Cursor(base64.RawURLEncoding.EncodeToString([]byte(text)))
}

// List returns a page of records, newest first. It returns the fault
// invalid_cursor when a cursor is none of Entry.Cursor's.
func (l *Log) List(ctx context.Context, f Filter) ([]Entry, error) {
	place, err := f.place()
	if err != nil {
		return nil, err
	}
	args := []any{f.Actor, f.Action, f.Subject}
	if f.Everywhere {
		args = append(args, place.at, place.book, place.seq)
	} else {
		args = append(args, f.Book, place.seq)
	}
	rows, err := storage.All(ctx, l.db, scanStored, f.statement(), append(args, pageSize(f.Limit))...)
	if err != nil {
		return nil, fmt.Errorf("list audit records: %w", err)
	}
	if f.After != "" {
		slices.Reverse(rows)
	}
	entries := make([]Entry, len(rows))
	for i := range rows {
		if entries[i], err = rows[i].entry(); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

func (f *Filter) statement() *storage.Statement {
	switch {
	case f.Everywhere && f.After != "":
		return listAllAfter
	case f.Everywhere:
		return listAllBefore
	case f.After != "":
		return listAfter
	}
	return listBefore
}

// place returns where the page begins: after all records unless a cursor says otherwise.
func (f *Filter) place() (stored, error) {
	text := f.Before
	switch {
	case f.Before != "" && f.After != "":
		return stored{}, fault.New(fault.InvalidCursor, "give a cursor before or after, not both")
	case f.After != "":
		text = f.After
	case f.Before == "":
		return stored{at: math.MaxInt64, seq: math.MaxInt64}, nil
	}
	s, ok := parseCursor(text)
	if !ok || (!f.Everywhere && s.book != f.Book) {
		return stored{}, fault.New(fault.InvalidCursor, "the cursor does not belong to this list")
	}
	return s, nil
}

func parseCursor(c Cursor) (s stored, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(text) > 2*maxBook {
		return s, false
	}
	parts := strings.SplitN(string(text), ".", 3)
	if len(parts) != 3 {
		return s, false
	}
	at, errAt := strconv.ParseInt(parts[0], 10, 64)
	seq, errSeq := strconv.ParseInt(parts[1], 10, 64)
	return stored{at: at, seq: seq, book: parts[2]}, errAt == nil && errSeq == nil && seq > 0
}

// pageSize lets a list have one more than the largest page, which tells whether there is another.
func pageSize(limit int) int {
	if limit <= 0 {
		return DefaultLimit
	}
	return min(limit, MaxLimit+1)
}
