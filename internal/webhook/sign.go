package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
)

// Message is one request to be signed.
type Message struct {
	// Event and Delivery are ids; both stay the same when a delivery is repeated.
	Event, Delivery string
	// Type is the event's.
	Type string
	// Body is what is sent, byte for byte.
	Body []byte
	// At is the machine's time, in the test realm too, since receivers compare it with theirs.
	At time.Time
	// Secrets are those that are valid, the newest first: one, or two while rotating.
	Secrets []pan.Secret
}

// Scheme is how one dialect signs its webhooks and writes times in them.
type Scheme struct {
	// Name is kept with every endpoint that uses the scheme.
	Name string
	// TimeLayout is how the body's created_at is written.
	TimeLayout string
	// Secrets says that its endpoints are sent events whose data is a secret, too.
	Secrets bool
	// Sign returns the headers that prove where m comes from.
	Sign func(m Message) http.Header
}

// Names of the schemes that every installation has.
const (
	SchemeCardPing    = "cardping"
	SchemeCryptoCardy = "cryptocardy"
)

// Headers of the built-in schemes.
const (
	HeaderCardPing            = "CP-Signature"
	HeaderCryptoCardy         = "X-CryptoCardy-Signature"
	HeaderCryptoCardyPrevious = "X-CryptoCardy-Signature-Previous"
)

// BuiltInSchemes returns the schemes of the published dialects.
//
// cardping sends CP-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>." and
// the body>, with one v1 per valid secret. cryptocardy sends the hex HMAC-SHA256 of
// the body in X-CryptoCardy-Signature, beside -Event, -Delivery and -Timestamp; while
// a secret rotates, the signature with the older one is in -Signature-Previous.
func BuiltInSchemes() []Scheme {
	return []Scheme{
		{Name: SchemeCardPing, TimeLayout: time.RFC3339, Sign: signCardPing},
		{Name: SchemeCryptoCardy, TimeLayout: time.RFC3339, Secrets: true, Sign: signCryptoCardy},
	}
}

func signCardPing(m Message) http.Header {
	t := strconv.FormatInt(m.At.Unix(), 10)
	value := "t=" + t
	for _, secret := range m.Secrets {
		value += ",v1=" + hex.EncodeToString(mac(secret, []byte(t+"."), m.Body))
	}
	return header(HeaderCardPing, value)
}

func signCryptoCardy(m Message) http.Header {
	h := header("X-CryptoCardy-Event", m.Type)
	h.Set("X-CryptoCardy-Delivery", m.Delivery)
	h.Set("X-CryptoCardy-Timestamp", strconv.FormatInt(m.At.Unix(), 10))
	names := []string{HeaderCryptoCardy, HeaderCryptoCardyPrevious}
	for i, secret := range m.Secrets[:min(len(names), len(m.Secrets))] {
		h.Set(names[i], hex.EncodeToString(mac(secret, m.Body)))
	}
	return h
}

func header(name, value string) http.Header {
	h := http.Header{}
	h.Set(name, value)
	return h
}

func mac(secret pan.Secret, parts ...[]byte) []byte {
	sum := hmac.New(sha256.New, []byte(secret.Reveal()))
	for _, part := range parts {
		_, _ = sum.Write(part) // a hash never returns an error
	}
	return sum.Sum(nil)
}

// Tolerance is how far a signature's time may be from the receiver's, either way.
const Tolerance = 300 * time.Second

// Limits of a signature header.
const (
	maxSignature  = 1024 // bytes
	maxSignatures = 8
)

// VerifyCardPing checks what a receiver got: header is the value of CP-Signature,
// body the raw request body, now the receiver's time. It returns the fault
// signature_invalid for a header that is malformed or was not made with secret,
// and timestamp_skewed for one that was, more than Tolerance ago or ahead.
func VerifyCardPing(header string, body []byte, secret pan.Secret, now time.Time) error {
	t, signatures, ok := parseCardPing(header)
	if !ok || secret.IsZero() {
		return fault.New(fault.SignatureInvalid, "the signature header is malformed")
	}
	want := mac(secret, []byte(strconv.FormatInt(t, 10)+"."), body)
	matched := false
	for _, signature := range signatures {
		matched = hmac.Equal(signature, want) || matched
	}
	if !matched {
		return fault.New(fault.SignatureInvalid, "the signature does not match")
	}
	if age := now.Sub(time.Unix(t, 0)); age > Tolerance || age < -Tolerance {
		return fault.New(fault.TimestampSkewed, "the signature is more than %s old or ahead", Tolerance)
	}
	return nil
}

// parseCardPing reads t=<seconds>,v1=<hex>… in any order. Names it does not know
// are left to later versions; t must stand once, in the form in which it was signed.
func parseCardPing(header string) (t int64, signatures [][]byte, ok bool) {
	if len(header) > maxSignature {
		return 0, nil, false
	}
	seen := false
	for part := range strings.SplitSeq(header, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case !found:
			return 0, nil, false
		case name == "t":
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil || seen || seconds < 0 || strconv.FormatInt(seconds, 10) != value {
				return 0, nil, false
			}
			t, seen = seconds, true
		case name == "v1":
			signature, err := hex.DecodeString(value)
			if err != nil || len(signature) != sha256.Size || len(signatures) == maxSignatures {
				return 0, nil, false
			}
			signatures = append(signatures, signature)
		}
	}
	return t, signatures, seen && len(signatures) > 0
}

// schemeSet finds schemes by name.
type schemeSet []Scheme

func (s schemeSet) find(name string) (Scheme, bool) {
	i := slices.IndexFunc(s, func(scheme Scheme) bool { return scheme.Name == name })
	if i < 0 {
		return Scheme{}, false
	}
	return s[i], true
}

// secrets reports whether endpoints of a scheme are sent events whose data is a secret.
func (s schemeSet) secrets(name string) bool {
	scheme, _ := s.find(name)
	return scheme.Secrets
}
