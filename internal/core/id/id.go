// Package id makes identifiers: a prefix that names the kind of thing, an
// underscore, and 26 lower-case characters that hold a UUIDv7 (RFC 9562), so
// that ids made later sort later and carry 74 random bits.
//
// Packages declare their own string types for their ids. An id is public: it
// must never be a credential.
package id

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// alphabet is Crockford's base 32 in lower case: no i, l, o, u; it sorts like the bytes it encodes.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// bodyLen is 128 bits in base 32.
const bodyLen = 26

// New returns a fresh id with prefix, such as "txn_01k9…". Ids of one process rise strictly.
func New(prefix string) string {
	return encode(prefix, next(clock.System().Now()))
}

// Ago returns what sorts before the ids with prefix that were made less than age ago, and
// behind older ones; it names nothing.
func Ago(prefix string, age time.Duration) string {
	var first [16]byte
	// Ids go on where they were after the machine's clock was set back.
	latest := max(clock.System().Now().UnixMilli(), shared.latest())
	binary.BigEndian.PutUint64(first[:], uint64(latest-age.Milliseconds())<<16)
	return encode(prefix, first)
}

// MaxNumber is the largest number that an id can carry: 40 bits.
const MaxNumber = 1<<(5*numberLen) - 1

// numberLen is how many characters at the end of a numbered id hold its number.
const numberLen = 8

// Numbered returns a fresh id that carries n, up to MaxNumber, in place of some of its
// random bits, so that what it names can be found by its number alone.
func Numbered(prefix string, n uint64) string {
	text := []byte(New(prefix))
	for i := range numberLen {
		text[len(text)-1-i] = alphabet[n>>(5*i)&31]
	}
	return string(text)
}

// Number returns the number that an id made by Numbered carries, and whether text is such an id.
func Number(prefix, text string) (uint64, bool) {
	if !Valid(prefix, text) {
		return 0, false
	}
	n := uint64(0)
	for _, c := range []byte(text[len(text)-numberLen:]) {
		n = n<<5 | uint64(strings.IndexByte(alphabet, c))
	}
	return n, true
}

// Valid reports whether text is an id with prefix, as New makes them.
func Valid(prefix, text string) bool {
	body, ok := strings.CutPrefix(text, prefix+"_")
	if !ok || len(body) != bodyLen || body[0] > '7' {
		return false
	}
	for i := range len(body) {
		if strings.IndexByte(alphabet, body[i]) < 0 {
			return false
		}
	}
	return true
}

// encode writes 130 bits, the first two zero, five at a time from the left.
func encode(prefix string, u [16]byte) string {
	buf := make([]byte, 0, len(prefix)+1+bodyLen)
	buf = append(buf, prefix...)
	buf = append(buf, '_')
	acc, bits := uint32(0), uint(2)
	for _, b := range u {
		acc = acc<<8 | uint32(b)
		bits += 8
		for bits >= 5 {
			bits -= 5
			buf = append(buf, alphabet[acc>>bits&31])
		}
	}
	return string(buf)
}
