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
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
)

// The headers of a signed request.
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

var scopes = func() map[string]account.Scope {
	byName := map[string]account.Scope{}
	for _, scope := range account.AllScopes() {
		byName[scope.String()] = scope
	}
	return byName
}()

// authenticate accepts a signed request or an API key; a request with any of the
// signature's headers is judged by its signature alone.
func (a *api) authenticate(ctx context.Context, c *call) (account.Principal, error) {
	principal, err := a.identify(ctx, c)
	if err != nil {
		return account.Principal{}, err
	}
	return principal, principal.Require(scopes[c.Route.Scope])
}

func (a *api) identify(ctx context.Context, c *call) (account.Principal, error) {
	h := c.Request.Header
	signed := signedHeaders{client: one(h, headerClient), timestamp: one(h, headerTimestamp), nonce: one(h, headerNonce), signature: one(h, headerSignature)}
	if signed == (signedHeaders{}) {
		if key := one(h, headerKey); key != "" {
			return a.Accounts.AuthenticateKey(ctx, key, c.From)
		}
		return account.Principal{}, fault.New(fault.CredentialsInvalid, "sign the request with the X-GatePay headers, or send X-API-Key")
	}
	return a.verify(ctx, c, signed)
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
	switch {
	case s.client == "":
		return account.Principal{}, badSignature("X-GatePay-Certificate-ClientId is missing")
	case !timestampForm.MatchString(s.timestamp):
		return account.Principal{}, fault.New(fault.TimestampSkewed, "X-GatePay-Timestamp must be the time in milliseconds")
	case !nonceForm.MatchString(s.nonce):
		return account.Principal{}, fault.New(fault.NonceInvalid, "X-GatePay-Nonce must have 1 to 32 letters and digits")
	case !signatureForm.MatchString(s.signature):
		return account.Principal{}, badSignature("X-GatePay-Signature must be 128 lower-case hex digits")
	}
	milli, err := strconv.ParseInt(s.timestamp, 10, 64)
	if err != nil {
		return account.Principal{}, fault.New(fault.TimestampSkewed, "X-GatePay-Timestamp must be the time in milliseconds")
	}
	at := time.UnixMilli(milli)
	if at.Sub(a.Clock.Now()).Abs() > account.MaxSkew {
		return account.Principal{}, fault.New(fault.TimestampSkewed, "X-GatePay-Timestamp is more than %s from the server's clock", account.MaxSkew)
	}
	signer, err := a.Accounts.MerchantSecret(ctx, s.client)
	if fault.CodeOf(err) == fault.CredentialsInvalid {
		// An unknown client is answered like a wrong signature, after the same work.
		signer.Secret = pan.NewSecret("unknown")
	} else if err != nil {
		return account.Principal{}, err
	}
	known := err == nil
	if matches := matchesAny(signer.Secrets(), s, c.Body); !matches || !known {
		return account.Principal{}, badSignature("the signature does not match")
	}
	return signer.Principal, a.Accounts.UseNonce(ctx, s.client, s.nonce, at)
}

func badSignature(text string) error { return fault.New(fault.SignatureInvalid, "%s", text) }

func matchesAny(secrets []pan.Secret, s signedHeaders, body []byte) bool {
	matches := false
	for _, secret := range secrets {
		want := Sign(secret, s.timestamp, s.nonce, body)
		matches = hmac.Equal([]byte(want), []byte(s.signature)) || matches
	}
	return matches
}

// Sign returns the signature of a request: lower-case hex of HMAC-SHA512 over
// timestamp, nonce and raw body, each followed by a line feed.
func Sign(secret pan.Secret, timestamp, nonce string, body []byte) string {
	mac := hmac.New(sha512.New, []byte(secret.Reveal()))
	mac.Write([]byte(timestamp + "\n" + nonce + "\n"))
	mac.Write(body)
	mac.Write([]byte("\n"))
	return hex.EncodeToString(mac.Sum(nil))
}
