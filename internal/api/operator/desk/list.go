package desk

import (
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Page sizes of every list.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// Span is the part of a list that a request asks for. After is empty at the start.
type Span struct {
	scope string
	After string
	Limit int
}

// Span opens the cursor of a list that scope names with its owner and filters.
func (d *Desk) Span(q wire.CursorQuery, scope ...string) (Span, error) {
	limit, err := q.Size(defaultLimit, maxLimit)
	if err != nil {
		return Span{}, err
	}
	s := Span{scope: strings.Join(scope, "\x00"), Limit: limit}
	values, err := d.cursors.Open(s.scope, q.Cursor, 1)
	if len(values) > 0 {
		s.After = values[0]
	}
	return s, err
}

// Number is After as a sequence number; 0 at the start.
func (s Span) Number() (int64, error) {
	if s.After == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s.After, 10, 64)
	if err != nil {
		return 0, fault.New(fault.InvalidCursor, "the cursor is not valid for this list").At("cursor")
	}
	return n, nil
}

// Page turns rows into the wire's list.
func Page[T, W any](rows []T, convert func(T) W) wire.Listing[W] {
	list := wire.Listing[W]{Data: make([]W, 0, len(rows))}
	for _, row := range rows {
		list.Data = append(list.Data, convert(row))
	}
	return list
}

// More seals the place after which a list goes on; empty at its end.
func (d *Desk) More(s Span, next string) string {
	if next == "" {
		return ""
	}
	return d.cursors.Seal(s.scope, next)
}

// Cut shortens rows, one of which may be more than was asked for, and returns the
// place of the last one that is shown when there are more.
func Cut[T any](rows []T, s Span, place func(T) string) ([]T, string) {
	if len(rows) <= s.Limit {
		return rows, ""
	}
	rows = rows[:s.Limit]
	return rows, place(rows[s.Limit-1])
}

// Sequence is a number as a place in a list.
func Sequence(n int64) string { return strconv.FormatInt(n, 10) }
