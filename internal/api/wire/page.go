package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"github.com/scripcards/scrip/internal/core/fault"
)

// maxOffset bounds how many rows numbered pages reach past, however small they are; deeper
// lists are read by cursor or filter.
const maxOffset = 1_000_000

// PageQuery is the page and per_page of a request; embed it.
type PageQuery struct {
	Page    *int `query:"page" json:"-"`
	PerPage *int `query:"per_page" json:"-"`
}

// Page is a part of a list: rows Offset to Offset+Size.
type Page struct {
	Number int // from 1
	Size   int
	Offset int
}

// Resolve returns the page asked for, size rows unless it says otherwise and at
// most most. It returns fault.InvalidRequest with every wrong field.
func (q PageQuery) Resolve(size, most int) (Page, error) {
	page := Page{Number: 1, Size: size}
	var problems Problems
	if q.PerPage != nil {
		page.Size = *q.PerPage
		if page.Size < 1 || page.Size > most {
			problems.Add("per_page", "must be 1 to "+strconv.Itoa(most))
		}
	}
	if q.Page != nil {
		page.Number = *q.Page
		last := maxOffset / min(max(page.Size, 1), most)
		if page.Number < 1 || page.Number > last {
			problems.Add("page", "must be 1 to "+strconv.Itoa(last))
		}
	}
	if err := problems.Err(); err != nil {
		return Page{}, err
	}
	page.Offset = (page.Number - 1) * page.Size
	return page, nil
}

func (p Page) pages(total int) int { return (total + p.Size - 1) / p.Size }

// PageTotals is the pagination object of one dialect family.
type PageTotals struct {
	Page       int `json:"page"`
	PerPage    int `json:"per_page"`
	Total      int `json:"total"`
	TotalPages int `json:"total_pages"`
}

// Totals returns the pagination object for total rows; an empty list has 0 pages.
func (p Page) Totals(total int) PageTotals {
	return PageTotals{Page: p.Number, PerPage: p.Size, Total: total, TotalPages: p.pages(total)}
}

// PageLinks is the pagination object of Laravel's paginator.
type PageLinks struct {
	Total       int `json:"total"`
	PerPage     int `json:"per_page"`
	CurrentPage int `json:"current_page"`
	LastPage    int `json:"last_page"`
}

// Links returns the pagination object for total rows; an empty list has 1 page.
func (p Page) Links(total int) PageLinks {
	return PageLinks{Total: total, PerPage: p.Size, CurrentPage: p.Number, LastPage: max(1, p.pages(total))}
}

// CursorQuery is the cursor and limit of a request; embed it.
type CursorQuery struct {
	Cursor string `query:"cursor" json:"-" wire:"max=1024"`
	Limit  *int   `query:"limit" json:"-"`
}

// Size returns the limit asked for, size unless given. It returns fault.InvalidRequest beyond 1 to most.
func (q CursorQuery) Size(size, most int) (int, error) {
	if q.Limit == nil {
		return size, nil
	}
	if *q.Limit < 1 || *q.Limit > most {
		return 0, Problems{{Field: "limit", Message: "must be 1 to " + strconv.Itoa(most)}}.Err()
	}
	return *q.Limit, nil
}

// Listing is a list read by cursor. NextCursor is absent on the last page.
type Listing[T any] struct {
	Data       []T    `json:"data"`
	NextCursor string `json:"next_cursor,omitzero"`
}

// Cursors makes and opens the opaque cursors of keyset paging: the sort key of
// the last row seen, signed so that callers cannot make their own.
type Cursors struct{ key []byte }

const (
	cursorVersion = 1
	cursorMAC     = 16
	maxCursor     = 1024 // bytes of text
	maxCursorKey  = 8    // values
)

// NewCursors returns cursors signed with key, 32 random bytes that all processes
// of an installation share.
func NewCursors(key []byte) *Cursors { return &Cursors{key: append([]byte(nil), key...)} }

// Seal returns a cursor to the row after values, for one list: scope names the
// list, its owner and its filters. It returns "" when the values are too long.
func (c *Cursors) Seal(scope string, values ...string) string {
	payload := make([]byte, 1+cursorMAC, 128)
	payload[0] = cursorVersion
	for _, value := range values {
		payload = binary.AppendUvarint(payload, uint64(len(value)))
		payload = append(payload, value...)
	}
	copy(payload[1:], c.mac(scope, payload[1+cursorMAC:]))
	if len(values) > maxCursorKey || base64.RawURLEncoding.EncodedLen(len(payload)) > maxCursor {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(payload)
}

// Open returns the count values of a cursor made for scope; an empty cursor is
// the start of the list and gives nil. Anything else is fault.InvalidCursor.
func (c *Cursors) Open(scope, cursor string, count int) ([]string, error) {
	if cursor == "" {
		return nil, nil
	}
	invalid := fault.New(fault.InvalidCursor, "the cursor is not valid for this list").At("cursor")
	if len(cursor) > maxCursor {
		return nil, invalid
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(payload) < 1+cursorMAC || payload[0] != cursorVersion {
		return nil, invalid
	}
	rest := payload[1+cursorMAC:]
	if !hmac.Equal(payload[1:1+cursorMAC], c.mac(scope, rest)) {
		return nil, invalid
	}
	var values []string
	for len(rest) > 0 && len(values) < maxCursorKey {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return nil, invalid
		}
		values = append(values, string(rest[n:n+int(size)]))
		rest = rest[n+int(size):]
	}
	if len(values) != count || len(rest) > 0 {
		return nil, invalid
	}
	return values, nil
}

func (c *Cursors) mac(scope string, payload []byte) []byte {
	m := hmac.New(sha256.New, c.key)
	m.Write([]byte{cursorVersion})
	m.Write(binary.AppendUvarint(nil, uint64(len(scope))))
	m.Write([]byte(scope))
	m.Write(payload)
	return m.Sum(nil)[:cursorMAC]
}
