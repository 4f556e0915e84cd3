package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Message is one request to be signed.
type Message struct {
	// Delivery is an id that stays the same when a delivery is repeated.
	Delivery string
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
