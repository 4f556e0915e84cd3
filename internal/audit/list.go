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

// Page sizes of List, and how many records it looks at for a page of a few among many.
const (
	DefaultLimit = 50
	MaxLimit     = 200
	MaxLooked    = 10_000
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
	// Look is how many records Search looks at, MaxLooked when 0.
	Look int
}

// Cursor returns the place of e.
func (e *Entry) Cursor() Cursor {
	return (&stored{at: storage.Micros(e.At), seq: e.Seq, book: e.Book}).cursor()
}

func (s *stored) cursor() Cursor {
	text := strconv.FormatInt(s.at, 10) + "." + strconv.FormatInt(s.seq, 10) + "." + s.book
	return Cursor(base64.RawURLEncoding.EncodeToString([]byte(text)))
}

// afterAllBooks sorts behind every book.
const afterAllBooks = "~"

// Search returns what List does of the f.Look records before a place, where it is one actor's, of
// one action or about one subject: it may be fewer than were asked for, none even, and then the
// place to go on before, behind which there may be nothing. After a place it is List.
func (l *Log) Search(ctx context.Context, f Filter) ([]Entry, Cursor, error) {
	place, err := f.place()
	if err != nil || f.After != "" || f.Actor == "" && f.Action == "" && f.Subject == "" {
		found, err := l.list(ctx, &f, stored{})
		return found, "", err
	}
	look := f.Look
	if look == 0 {
		look = MaxLooked
	}
	end, args := endOfChain, []any{f.Book, place.seq, look - 1}
	if f.Everywhere {
		end, args = endOfAll, []any{place.at, look - 1}
	}
	last, more, err := storage.One(ctx, l.db, scanPlace, end, args...)
	if err != nil {
		return nil, "", fmt.Errorf("search audit records: %w", err)
	}
	found, err := l.list(ctx, &f, last)
	if !more || len(found) == pageSize(f.Limit) {
		return found, "", err
	}
	if f.Everywhere {
		last = stored{at: last.at - 1, book: afterAllBooks, seq: math.MaxInt64} // all of an instant is looked at
	}
	return found, last.cursor(), err
}

// List returns a page of records, newest first. It returns the fault
// invalid_cursor when a cursor is none of Entry.Cursor's.
func (l *Log) List(ctx context.Context, f Filter) ([]Entry, error) {
	return l.list(ctx, &f, stored{})
}

// list leaves out what is older than last.
func (l *Log) list(ctx context.Context, f *Filter, last stored) ([]Entry, error) {
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
	switch {
	case f.After != "":
	case f.Everywhere:
		args = append(args, last.at)
	default:
		args = append(args, last.seq)
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
