package gatepay_test

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/testkit/check"
)

// signature is the contract's formula, written out from RFC 2104 on the bare hash:
// H((K ⊕ opad) ∥ H((K ⊕ ipad) ∥ timestamp "\n" nonce "\n" body "\n")).
func signature(secret, timestamp, nonce string, body []byte) string {
	key := []byte(secret)
	if len(key) > sha512.BlockSize {
		sum := sha512.Sum512(key)
		key = sum[:]
	}
	inner, outer := make([]byte, sha512.BlockSize), make([]byte, sha512.BlockSize)
	copy(inner, key)
	copy(outer, key)
	for i := range inner {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	message := slices.Concat(inner, []byte(timestamp), []byte{'\n'}, []byte(nonce), []byte{'\n'}, body, []byte{'\n'})
	first := sha512.Sum512(message)
	second := sha512.Sum512(append(outer, first[:]...))
	return hex.EncodeToString(second[:])
}

// signing is how a request is signed; what is left out is as it should be.
type signing struct {
	client string
	secret string        // the name of another secret
	nonce  string        // one of its own
	skew   time.Duration // how far the signer's clock is ahead
}

// sign adds the four headers.
func (b *bundle) sign(r *http.Request, body []byte, s signing) {
	b.t.Helper()
	if s.secret == "" {
		s.secret = s.client
	}
	if s.nonce == "" {
		b.nonces++
		s.nonce = fmt.Sprintf("n%06d", b.nonces)
	}
	timestamp := strconv.FormatInt(b.clock.Now().Add(s.skew).UnixMilli(), 10)
	r.Header.Set("X-GatePay-Certificate-ClientId", s.client)
	r.Header.Set("X-GatePay-Timestamp", timestamp)
	r.Header.Set("X-GatePay-Nonce", s.nonce)
	r.Header.Set("X-GatePay-Signature", signature(b.secrets[s.secret], timestamp, s.nonce, body))
}

// prepare replaces a golden request's Sign header, "Sign: acme nonce=abc skew=-11s
// secret=rival body=other", by the four headers, and its Key header by an API key.
// Headers that the request sets itself stay; "-" removes one.
func (b *bundle) prepare(t testing.TB, r *http.Request, body []byte) {
	t.Helper()
	own := map[string][]string{}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Gatepay-") {
			own[name] = values
		}
	}
	if text := r.Header.Get("Sign"); text != "" {
		s, signed := signing{}, body
		for i, word := range strings.Fields(text) {
			name, value, _ := strings.Cut(word, "=")
			switch {
			case i == 0:
				s.client = word
			case name == "nonce":
				s.nonce = value
			case name == "secret":
				s.secret = value
			case name == "body":
				signed = []byte(value)
			case name == "skew":
				skew, err := time.ParseDuration(value)
				check.OK(b.t, err)
				s.skew = skew
			default:
				t.Fatalf("Sign: %s is not known", word)
			}
		}
		b.sign(r, signed, s)
	}
	for name, values := range own {
		r.Header[name] = values
	}
	for name, values := range r.Header {
		if slices.Equal(values, []string{"-"}) {
			delete(r.Header, name)
		}
	}
	if name := r.Header.Get("Key"); name != "" {
		r.Header.Set("X-API-Key", b.keys[name])
	}
	r.Header.Del("Sign")
	r.Header.Del("Key")
	if len(body) > 0 && r.Header["Content-Type"] == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if slices.Equal(r.Header["Content-Type"], []string{"none"}) {
		r.Header.Del("Content-Type")
	}
}
