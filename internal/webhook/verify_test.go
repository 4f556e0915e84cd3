package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
)

// tolerance is how far a signature's time may be from the receiver's, either way.
const tolerance = 300 * time.Second

// Limits of a signature header.
const (
	maxSignature  = 1024 // bytes
	maxSignatures = 8
)

// verifyCardPing checks what a receiver got: header is the value of CP-Signature,
// body the raw request body, now the receiver's time. It returns the fault
// signature_invalid for a header that is malformed or was not made with secret,
// and timestamp_skewed for one that was, more than tolerance ago or ahead.
func verifyCardPing(header string, body []byte, secret pan.Secret, now time.Time) error {
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
	if age := now.Sub(time.Unix(t, 0)); age > tolerance || age < -tolerance {
		return fault.New(fault.TimestampSkewed, "the signature is more than %s old or ahead", tolerance)
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
