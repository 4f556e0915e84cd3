package gatepay

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
)

// The headers of a signed request, and that of a key, in net/http's spelling.
const (
	headerClient    = "X-Gatepay-Certificate-Clientid"
	headerTimestamp = "X-Gatepay-Timestamp"
	headerNonce     = "X-Gatepay-Nonce"
	headerSignature = "X-Gatepay-Signature"
	headerKey       = "X-Api-Key"
)

var (
	timestampForm = regexp.MustCompile(`^[0-9]{1,15}$`)
	nonceForm     = regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`)
	signatureForm = regexp.MustCompile(`^[0-9a-f]{128}$`)
)

// authenticate accepts a signed request or an API key; a request with any of the
// signature's headers is judged by its signature alone.
func (a *api) authenticate(ctx context.Context, c *call) (account.Principal, error) {
	principal, err := a.identify(ctx, c)
	if err != nil {
		return account.Principal{}, err
	}
	return principal, principal.Require(account.ScopeOf(c.Route.Scope))
}

func (a *api) identify(ctx context.Context, c *call) (account.Principal, error) {
	h := c.Request.Header
	switch {
	case isSigned(h):
		s := signedHeaders{client: one(h, headerClient), timestamp: one(h, headerTimestamp), nonce: one(h, headerNonce), signature: one(h, headerSignature)}
		return a.verify(ctx, c, s)
	case len(h[headerKey]) > 0:
		return a.prove(ctx, c, func() (account.Principal, error) {
			return a.Accounts.AuthenticateKey(ctx, one(h, headerKey), c.From)
		})
	}
	return account.Principal{}, fault.New(fault.CredentialsInvalid, "sign the request with the X-GatePay headers, or send X-API-Key")
}

func isSigned(h http.Header) bool {
	return len(h[headerClient])+len(h[headerTimestamp])+len(h[headerNonce])+len(h[headerSignature]) > 0
}

// one returns a header that stands exactly once.
func one(h http.Header, name string) string {
	if values := h[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

type signedHeaders struct{ client, timestamp, nonce, signature string }

// verify checks a signed request in the contract's order: headers, timestamp, signature, nonce.
func (a *api) verify(ctx context.Context, c *call, s signedHeaders) (account.Principal, error) {
	at, err := s.check()
	if err != nil {
		return account.Principal{}, err
	}
	if at.Sub(a.Clock.Now()).Abs() > account.MaxSkew {
		return account.Principal{}, fault.New(fault.TimestampSkewed, "X-GatePay-Timestamp is more than %s from the server's clock", account.MaxSkew)
	}
	signer, err := a.prove(ctx, c, func() (account.Principal, error) { return a.signer(ctx, s, c.Body) })
	if err != nil {
		return account.Principal{}, err
	}
	err = a.Accounts.UseNonce(ctx, s.client, s.nonce, at)
	if fault.CodeOf(err) == fault.CredentialsInvalid { // disabled since its secret was read
		err = wrongSignature()
	}
	return signer, err
}

// check returns the timestamp of headers that are written as they must be.
func (s *signedHeaders) check() (time.Time, error) {
	switch {
	case s.client == "":
		return time.Time{}, fault.New(fault.SignatureInvalid, "X-GatePay-Certificate-ClientId is required, once")
	case !timestampForm.MatchString(s.timestamp):
		return time.Time{}, badTimestamp()
	case !nonceForm.MatchString(s.nonce):
		return time.Time{}, fault.New(fault.NonceInvalid, "X-GatePay-Nonce must be 1 to 32 letters and digits")
	case !signatureForm.MatchString(s.signature):
		return time.Time{}, fault.New(fault.SignatureInvalid, "X-GatePay-Signature must be 128 lower-case hex digits")
	}
	milli, err := strconv.ParseInt(s.timestamp, 10, 64)
	if err != nil {
		return time.Time{}, badTimestamp()
	}
	return time.UnixMilli(milli), nil
}

func badTimestamp() error {
	return fault.New(fault.TimestampSkewed, "X-GatePay-Timestamp must be the time in milliseconds since 1970")
}

// wrongSignature is the one answer to a client id that is unknown or disabled, to
// that of a suspended customer, and to a signature that is not its own.
func wrongSignature() error { return fault.New(fault.SignatureInvalid, "the signature does not match") }

// signer returns who made the signature over the raw body.
func (a *api) signer(ctx context.Context, s signedHeaders, body []byte) (account.Principal, error) {
	merchant, err := a.Accounts.MerchantSecret(ctx, s.client)
	if err != nil && fault.CodeOf(err) != fault.CredentialsInvalid {
		return account.Principal{}, err
	}
	// Both secrets are tried whether there are two, one or none: the time it takes tells nothing.
	newest, previous := s.matches(merchant.Secret, body), s.matches(merchant.Previous, body)
	if err != nil || !newest && !previous {
		return account.Principal{}, wrongSignature()
	}
	return merchant.Principal, nil
}

// matches reports whether a secret made the signature. The empty one never did, and takes as long.
func (s *signedHeaders) matches(secret pan.Secret, body []byte) bool {
	equal := hmac.Equal([]byte(sign(secret, s, body)), []byte(s.signature))
	return equal && !secret.IsZero()
}

// sign returns the signature of a request: lower-case hex of HMAC-SHA512 over
// timestamp, nonce and raw body, each followed by a line feed.
func sign(secret pan.Secret, s *signedHeaders, body []byte) string {
	mac := hmac.New(sha512.New, []byte(secret.Reveal()))
	mac.Write([]byte(s.timestamp + "\n" + s.nonce + "\n"))
	mac.Write(body)
	mac.Write([]byte("\n"))
	return hex.EncodeToString(mac.Sum(nil))
}

// failures is how often one address may present a credential that is not right: often enough
// for a deployment gone wrong.
var failures = []wire.Window{{Limit: 60, Per: time.Minute}}

// prove runs an attempt to prove who calls, unless the client's address failed too
// often of late. Only wrong credentials count: not a missing one, nor a skewed clock.
func (a *api) prove(ctx context.Context, c *call, attempt func() (account.Principal, error)) (account.Principal, error) {
	if a.Take == nil {
		return attempt()
	}
	subject := "gatepay/failures/" + wire.AddressSubject(c.From)
	seen, err := a.Look(ctx, subject, failures, 1)
	if err != nil {
		return account.Principal{}, err
	}
	if !seen.Allowed {
		return account.Principal{}, fault.New(fault.RateLimited, "too many failed authentications from this address").After(seen.RetryAfter)
	}
	principal, err := attempt()
	if code := fault.CodeOf(err); code == fault.CredentialsInvalid || code == fault.SignatureInvalid {
		if _, counting := a.Take(ctx, subject, failures, 1); counting != nil {
			return account.Principal{}, counting
		}
	}
	return principal, err
}
