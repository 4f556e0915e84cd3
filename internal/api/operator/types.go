package operator

import (
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
)

// What requests have in common. Path fields are embedded.

type customerPath struct {
	CustomerID string `path:"customer_id" json:"-"`
}

type bookPath struct {
	BookID string `path:"book_id" json:"-"`
}

type bookList struct {
	bookPath
	wire.CursorQuery
}

// reasoned is a body that only says why; the audit log keeps it.
type reasoned struct {
	Reason string `json:"reason" wire:"required,max=100"`
}

// duration is a length of time as text, such as "48h" or "1h30m".
type duration time.Duration

const maxDuration = 32 // bytes of text

// WireType implements wire.Typed.
func (duration) WireType() string { return "string" }

// UnmarshalText reads hours, minutes, seconds and parts of one.
func (d *duration) UnmarshalText(text []byte) error {
	if len(text) > maxDuration {
		return fmt.Errorf("a duration has at most %d characters", maxDuration)
	}
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// MarshalText writes the text.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// or returns d, or another where there is none.
func (d *duration) or(otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return time.Duration(*d)
}
