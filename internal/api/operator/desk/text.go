package desk

import (
	"fmt"
	"time"
)

// Reasoned is a body that only says why; the audit log keeps it.
type Reasoned struct {
	Reason string `json:"reason" wire:"required,max=100"`
}

// Set replaces a value where there is another.
func Set[T any](value, to *T) {
	if to != nil {
		*value = *to
	}
}

// Duration is a length of time as text, such as "48h" or "1h30m".
type Duration time.Duration

const maxDuration = 32 // bytes of text

// WireType implements wire.Typed.
func (Duration) WireType() string { return "string" }

// WireHint implements wire.Hinter.
func (Duration) WireHint() string { return "must be a duration such as 48h or 1h30m" }

// UnmarshalText reads hours, minutes, seconds and parts of one.
func (d *Duration) UnmarshalText(text []byte) error {
	if len(text) > maxDuration {
		return fmt.Errorf("a duration has at most %d characters", maxDuration)
	}
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// MarshalText writes the text.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Or returns d, or another where there is none.
func (d *Duration) Or(otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return time.Duration(*d)
}
