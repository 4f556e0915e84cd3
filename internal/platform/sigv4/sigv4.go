// Package sigv4 signs what is sent to stores that speak Amazon S3's interface: policies of
// browser uploads, and requests for single objects (AWS Signature Version 4).
//
// It promises signatures that every such store computes alike, which vectors of another
// implementation prove. It must never print a key, and it knows no clock: times are the
// caller's.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Algorithm is what X-Amz-Algorithm says.
const Algorithm = "AWS4-HMAC-SHA256"

const (
	service   = "s3"
	ending    = "aws4_request"
	dayForm   = "20060102"
	stampForm = "20060102T150405Z"
)

// Credential is who signs, and for which region.
type Credential struct {
	AccessKey string
	Secret    pan.Secret
	Region    string
}

// Stamp writes a time as X-Amz-Date does, in UTC and whole seconds.
func Stamp(at time.Time) string { return at.UTC().Format(stampForm) }

// ParseStamp reads what Stamp writes.
func ParseStamp(text string) (time.Time, error) {
	at, err := time.Parse(stampForm, text)
	if err != nil || Stamp(at) != text {
		return time.Time{}, fmt.Errorf("parse time %q: want the form %s", text, stampForm)
	}
	return at, nil
}

// Scope is for what a signature of that day is good.
func (c Credential) Scope(at time.Time) string {
	return strings.Join([]string{at.UTC().Format(dayForm), c.Region, service, ending}, "/")
}

// Name is what X-Amz-Credential says: the access key and the scope.
func (c Credential) Name(at time.Time) string { return c.AccessKey + "/" + c.Scope(at) }

// Sign returns the signature of text in hex. A policy is signed in its base64 form.
func (c Credential) Sign(text string, at time.Time) string {
	key := []byte("AWS4" + c.Secret.Reveal())
	for _, part := range []string{at.UTC().Format(dayForm), c.Region, service, ending} {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, text))
}

// Verify reports whether signature is that of text, in a time that does not depend on
// where it differs.
func (c Credential) Verify(signature, text string, at time.Time) bool {
	return subtle.ConstantTimeCompare([]byte(signature), []byte(c.Sign(text, at))) == 1
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text)) // never fails
	return h.Sum(nil)
}

// emptyHash is the SHA-256 of no body, in hex.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// SignRequest adds the headers that sign a request without a body and without a query. Its
// path must need no escaping.
func (c Credential) SignRequest(r *http.Request, at time.Time) {
	r.Header.Set("X-Amz-Date", Stamp(at))
	r.Header.Set("X-Amz-Content-Sha256", emptyHash)
	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := strings.Join([]string{
		r.Method, r.URL.EscapedPath(), "",
		"host:" + r.URL.Host, "x-amz-content-sha256:" + emptyHash, "x-amz-date:" + Stamp(at), "",
		signed, emptyHash,
	}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{Algorithm, Stamp(at), c.Scope(at), hex.EncodeToString(sum[:])}, "\n")
	r.Header.Set("Authorization", Algorithm+" Credential="+c.Name(at)+", SignedHeaders="+signed+", Signature="+c.Sign(text, at))
}
