// Package invoice reads the invoices of the Lightning network (BOLT 11): what they ask
// for, from whom, until when, and whether the signature is their payee's.
//
// It promises to accept only what the specification lets a payer accept, and that what it
// accepts was signed by Payee. It must never pay, ask anybody, or read a clock.
package invoice

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/btcsuite/btcd/address/v2/bech32"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"

	"github.com/scripcards/scrip/internal/core/fault"
)

// MaxText bounds an invoice, in characters: what a QR code holds.
const MaxText = 7089

// Invoice is what an invoice says.
type Invoice struct {
	// Prefix is the network's, as in addresses: "bc", "tb", "tbs", "bcrt".
	Prefix string
	// MilliSatoshi is what it asks for; 0: whatever the payer wants to pay.
	MilliSatoshi int64
	// Hash is the payment hash: who knows what it is the SHA-256 of has been paid.
	Hash [32]byte
	// Secret is the payment secret, without which nobody takes a payment.
	Secret [32]byte
	// Description is what it is for; empty when there is only the hash of that.
	Description string
	// DescriptionHash is the SHA-256 of what it is for, where HasDescriptionHash says so.
	DescriptionHash    [32]byte
	HasDescriptionHash bool
	// Payee is the public key of whoever signed it.
	Payee [33]byte
	// MadeAt and ExpiresAt are from when until when it wants to be paid.
	MadeAt, ExpiresAt time.Time
	// Delta is min_final_cltv_expiry, in blocks.
	Delta int64
	// Routes is how many hints there are of ways to the payee.
	Routes int
	// Features are the bits that are set, as bytes with the least significant bit last.
	Features []byte
}

// The parts of the text, in words of five bits.
const (
	signatureWords = 104
	timestampWords = 7
)

// The types of tagged fields, in the alphabet of bech32: p, s, d, n, h, x, c, r, 9.
const (
	tagHash            = 1
	tagRoute           = 3
	tagFeatures        = 5
	tagExpiry          = 6
	tagDescription     = 13
	tagSecret          = 16
	tagPayee           = 19
	tagDescriptionHash = 23
	tagDelta           = 24
)

// lengths are those of the fields that may be there once, in words.
var lengths = map[byte]int{tagHash: 52, tagSecret: 52, tagDescriptionHash: 52, tagPayee: 53}

const (
	maxNumberWords = 12 // 60 bits
	defaultExpiry  = time.Hour
	maxExpiry      = 10 * 365 * 24 * time.Hour // beyond it, nobody means it
	defaultDelta   = 18
)

// Decode reads an invoice, in small letters or in capitals alone. It returns
// invalid_request, with what is wrong, for everything else.
func Decode(text string) (Invoice, error) {
	if len(text) > MaxText {
		return Invoice{}, bad("is longer than %d characters", MaxText)
	}
	hrp, words, err := bech32.DecodeNoLimit(text)
	if err != nil {
		return Invoice{}, bad("has a typing error in it, or is incomplete")
	}
	var in Invoice
	if in.Prefix, in.MilliSatoshi, err = parsePrefix(hrp); err != nil {
		return Invoice{}, err
	}
	if len(words) < timestampWords+signatureWords {
		return Invoice{}, bad("is too short")
	}
	signed := words[:len(words)-signatureWords]
	in.MadeAt = time.Unix(int64(number(signed[:timestampWords])), 0).UTC()
	f := fields{in: &in, expiry: defaultExpiry}
	in.Delta = defaultDelta
	if err := f.read(signed[timestampWords:]); err != nil {
		return Invoice{}, err
	}
	in.ExpiresAt = in.MadeAt.Add(f.expiry)
	if err := in.check(f); err != nil {
		return Invoice{}, err
	}
	if err := in.verify(hrp, signed, words[len(words)-signatureWords:], f.payee); err != nil {
		return Invoice{}, err
	}
	return in, nil
}

func (in *Invoice) check(f fields) error {
	switch {
	case !f.has[tagHash]:
		return bad("has no payment hash")
	case !f.has[tagSecret]:
		return bad("has no payment secret")
	case !f.has[tagDescription] && !f.has[tagDescriptionHash]:
		return bad("does not say what it is for")
	case f.has[tagDescription] && f.has[tagDescriptionHash]:
		return bad("says twice what it is for")
	}
	if bit, unknown := in.unknownFeature(); unknown {
		return bad("needs feature %d, which is unknown here", bit)
	}
	return nil
}

// parsePrefix reads the part before the last 1: "ln", the network, and the amount if any.
func parsePrefix(hrp string) (prefix string, msat int64, err error) {
	rest, ok := strings.CutPrefix(hrp, "ln")
	if !ok {
		return "", 0, bad("does not begin with ln")
	}
	for _, known := range []string{"bcrt", "bc", "tbs", "tb"} { // the longer ones first
		amount, ok := strings.CutPrefix(rest, known)
		if !ok || amount != "" && (amount[0] < '0' || amount[0] > '9') {
			continue
		}
		if amount != "" {
			msat, err = parseAmount(amount)
		}
		return known, msat, err
	}
	return "", 0, bad("is for a network that is unknown here")
}

// multipliers are how many thousandths of a millisatoshi one unit is.
var multipliers = map[byte]int64{'m': 1e11, 'u': 1e8, 'n': 1e5, 'p': 1e2}

// wholeBitcoin is that of an amount without a multiplier.
const wholeBitcoin = 1e14

// maxMilliSatoshi is all the bitcoin that there will be.
const maxMilliSatoshi = 21e6 * 1e11

func parseAmount(text string) (int64, error) {
	unit := big.NewInt(wholeBitcoin)
	if m, ok := multipliers[text[len(text)-1]]; ok {
		unit, text = big.NewInt(m), text[:len(text)-1]
	}
	if text == "" || len(text) > 20 || strings.Trim(text, "0123456789") != "" || text[0] == '0' {
		return 0, bad("has a malformed amount")
	}
	amount, _ := new(big.Int).SetString(text, 10)
	amount.Mul(amount, unit)
	whole, rest := new(big.Int).QuoRem(amount, big.NewInt(1000), new(big.Int))
	if rest.Sign() != 0 {
		return 0, bad("asks for a part of a millisatoshi")
	}
	if !whole.IsInt64() || whole.Int64() > maxMilliSatoshi {
		return 0, bad("asks for more bitcoin than there is")
	}
	return whole.Int64(), nil
}

// fields reads tagged fields. Of what must be there once, the first counts.
type fields struct {
	in     *Invoice
	has    [32]bool
	payee  []byte
	expiry time.Duration
}

func (f *fields) read(words []byte) error {
	for len(words) > 0 {
		if len(words) < 3 {
			return bad("breaks off")
		}
		tag, length := words[0], int(words[1])<<5|int(words[2])
		words = words[3:]
		if length > len(words) {
			return bad("breaks off")
		}
		if err := f.field(tag, words[:length]); err != nil {
			return err
		}
		words = words[length:]
	}
	return nil
}

// field takes one field. One of an unknown type is skipped, as the specification wants.
func (f *fields) field(tag byte, words []byte) error {
	length, fixed := lengths[tag]
	switch {
	case fixed && len(words) != length:
		return bad("has a field of the wrong length")
	case fixed && f.has[tag]:
		return bad("has a field twice that may be there once")
	case f.has[tag]:
		return nil
	}
	f.has[tag] = true
	switch tag {
	case tagHash:
		copy(f.in.Hash[:], regroup(words))
	case tagSecret:
		copy(f.in.Secret[:], regroup(words))
	case tagDescriptionHash:
		copy(f.in.DescriptionHash[:], regroup(words))
		f.in.HasDescriptionHash = true
	case tagPayee:
		f.payee = regroup(words)[:33]
	case tagRoute:
		f.in.Routes++
		f.has[tag] = false
	case tagDescription:
		text := regroup(words)[:len(words)*5/8]
		if !utf8.Valid(text) {
			return bad("has a description that is no text")
		}
		f.in.Description = string(text)
	case tagFeatures:
		f.in.Features = featureBytes(words)
	case tagExpiry, tagDelta:
		return f.time(tag, words)
	}
	return nil
}

// time takes one of the fields that are numbers.
func (f *fields) time(tag byte, words []byte) error {
	if len(words) > maxNumberWords {
		return bad("has a number beyond any time")
	}
	n := min(number(words), uint64(maxExpiry/time.Second))
	if tag == tagDelta {
		f.in.Delta = int64(n)
	} else {
		f.expiry = time.Duration(n) * time.Second
	}
	return nil
}

// known are the even bits that a payer here understands (BOLT 9): the onion of variable
// length, payment secrets, payments in parts, and metadata.
var known = map[int]bool{8: true, 14: true, 16: true, 48: true}

// unknownFeature returns the lowest bit that must be understood and is not.
func (in *Invoice) unknownFeature() (int, bool) {
	for bit := 0; bit < 8*len(in.Features); bit += 2 {
		if in.has(bit) && !known[bit] {
			return bit, true
		}
	}
	return 0, false
}

func (in *Invoice) has(bit int) bool {
	at := len(in.Features) - 1 - bit/8
	return at >= 0 && in.Features[at]>>(bit%8)&1 == 1
}

// verify checks the signature against the payee that is named, or finds the payee by it.
func (in *Invoice) verify(hrp string, signed, signature, payee []byte) error {
	digest := sha256.Sum256(append([]byte(hrp), regroup(signed)...))
	raw := regroup(signature) // 64 bytes and the recovery id
	recovery := raw[64]
	if recovery > 3 {
		return bad("has a malformed signature")
	}
	if payee == nil {
		key, _, err := ecdsa.RecoverCompact(append([]byte{27 + 4 + recovery}, raw[:64]...), digest[:])
		if err != nil {
			return bad("has a signature that nobody can have made")
		}
		copy(in.Payee[:], key.SerializeCompressed())
		return nil
	}
	key, err := btcec.ParsePubKey(payee)
	if err != nil {
		return bad("names a payee that cannot be")
	}
	var r, s btcec.ModNScalar
	if r.SetByteSlice(raw[:32]) || s.SetByteSlice(raw[32:64]) || s.IsOverHalfOrder() || r.IsZero() || s.IsZero() || !ecdsa.NewSignature(&r, &s).Verify(digest[:], key) {
		return bad("is not signed by the payee that it names")
	}
	copy(in.Payee[:], payee)
	return nil
}

// number reads words as one number; those of more than 64 bits have lost their first ones.
func number(words []byte) uint64 {
	var n uint64
	for _, w := range words {
		n = n<<5 | uint64(w)
	}
	return n
}

// regroup makes bytes of words, the last one filled with zero bits.
func regroup(words []byte) []byte {
	out := make([]byte, 0, len(words)*5/8+1)
	var buffer uint32
	bits := 0
	for _, w := range words {
		buffer, bits = buffer<<5|uint32(w), bits+5
		if bits >= 8 {
			bits -= 8
			out = append(out, byte(buffer>>bits))
		}
	}
	if bits > 0 {
		out = append(out, byte(buffer<<(8-bits)))
	}
	return out
}

// featureBytes makes bytes of words whose last bit is bit 0.
func featureBytes(words []byte) []byte {
	n := new(big.Int)
	for _, w := range words {
		n.Lsh(n, 5).Or(n, big.NewInt(int64(w)))
	}
	return n.Bytes()
}

// Encode writes an invoice with the given key's signature, for whoever wants to be paid:
// the simulated counterparties. Payee, Routes and Features are not written.
func Encode(in Invoice, key *btcec.PrivateKey) (string, error) {
	hrp := "ln" + in.Prefix
	if in.MilliSatoshi > 0 {
		hrp += fmt.Sprintf("%dp", in.MilliSatoshi*10)
	}
	words := wordsOf(uint64(in.MadeAt.Unix()), timestampWords)
	words = appendField(words, tagHash, split(in.Hash[:]))
	words = appendField(words, tagSecret, split(in.Secret[:]))
	if in.HasDescriptionHash {
		words = appendField(words, tagDescriptionHash, split(in.DescriptionHash[:]))
	} else {
		words = appendField(words, tagDescription, split([]byte(in.Description)))
	}
	words = appendField(words, tagExpiry, wordsOf(uint64(in.ExpiresAt.Sub(in.MadeAt)/time.Second), 7))
	digest := sha256.Sum256(append([]byte(hrp), regroup(words)...))
	compact := ecdsa.SignCompact(key, digest[:], true)
	signature := append(bytes.Clone(compact[1:]), compact[0]-27-4)
	return bech32.Encode(hrp, append(words, split(signature)...))
}

func appendField(words []byte, tag byte, field []byte) []byte {
	return append(append(words, tag, byte(len(field)>>5), byte(len(field)&31)), field...)
}

// split makes words of bytes, the last one filled with zero bits.
func split(data []byte) []byte {
	out := make([]byte, 0, len(data)*8/5+1)
	var buffer uint32
	bits := 0
	for _, b := range data {
		buffer, bits = buffer<<8|uint32(b), bits+8
		for bits >= 5 {
			bits -= 5
			out = append(out, byte(buffer>>bits)&31)
		}
	}
	if bits > 0 {
		out = append(out, byte(buffer<<(5-bits))&31)
	}
	return out
}

// wordsOf writes a number as so many words.
func wordsOf(n uint64, count int) []byte {
	out := make([]byte, count)
	for i := count - 1; i >= 0; i-- {
		out[i] = byte(n & 31)
		n >>= 5
	}
	return out
}

func bad(format string, args ...any) error {
	return fault.New(fault.InvalidRequest, "the invoice "+format, args...).At("ln_invoice")
}
