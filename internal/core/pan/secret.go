package pan

import (
	"fmt"
	"log/slog"
)

// MaxSecret is the longest secret that UnmarshalText reads, in bytes.
const MaxSecret = 4096

const redacted = "[redacted]"

// Secret is a PIN, CVV, redemption code, key or seed. It prints, marshals and
// logs as "[redacted]", whatever it holds; Reveal is the only way to the text.
// Compare secrets with Equal: == does not compile. The zero value is the empty
// secret.
type Secret struct {
	_ [0]func()
	// A pointer for the same reason as in Number.
	text *string
}

// NewSecret returns the secret with the given text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text itself. It is the only method that does: use it to
// seal, to hash with a key, or to show the secret to its owner once.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether s is the empty secret.
func (s Secret) IsZero() bool { return s.text == nil }

// Equal reports whether s and other hold the same text, in a time that depends
// on their lengths alone. Two empty secrets are equal: check IsZero first where
// an absent secret must not open anything.
func (s Secret) Equal(other Secret) bool { return sameText(s.Reveal(), other.Reveal()) }

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (s Secret) GoString() string { return redacted }

// Format writes "[redacted]" for every verb and flag.
func (s Secret) Format(state fmt.State, _ rune) { write(state, redacted) }

// MarshalText returns "[redacted]".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]" as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalText sets s to the text, so that requests and settings decode
// straight into a Secret. It returns ErrSecretLength beyond MaxSecret bytes.
func (s *Secret) UnmarshalText(text []byte) error {
	if len(text) > MaxSecret {
		return ErrSecretLength
	}
	*s = NewSecret(string(text))
	return nil
}

// LogValue returns "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
