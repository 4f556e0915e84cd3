package cardpluspay

import (
	"context"
	"net/http"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// The headers of a request, in net/http's spelling.
const (
	headerKey       = "X-Api-Key"
	headerChallenge = "X-Api-Challenge"
	headerSignature = "X-Api-Signature"
)

// routeChallenge is the one call with a key that never needs a signature.
const routeChallenge = "auth.challenge"

// failures is how often one address may present a key that is not right, or a signature:
// often enough for a deployment gone wrong.
var failures = []wire.Window{{Limit: 60, Per: time.Minute}}

// authenticate accepts an API key that has the scope which the route asks for and, where
// the account signs its requests, a challenge with its signature.
func (a *api) authenticate(ctx context.Context, c *call) (account.Principal, error) {
	key, err := one(c.Request.Header, headerKey)
	if err != nil || key == "" {
		return account.Principal{}, fault.New(fault.CredentialsInvalid, wrongKey)
	}
	subject := "cardpluspay/failures/" + wire.AddressSubject(c.From)
	seen, err := a.Look(ctx, subject, failures, 1)
	if err != nil {
		return account.Principal{}, err
	}
	if !seen.Allowed {
		return account.Principal{}, fault.New(fault.RateLimited, "too many failed authentications from this address").After(seen.RetryAfter)
	}
	principal, err := a.identify(ctx, c, key)
	if code := fault.CodeOf(err); code == fault.CredentialsInvalid || code == fault.SignatureInvalid {
		if _, counting := a.Take(ctx, subject, failures, 1); counting != nil {
			return account.Principal{}, counting
		}
	}
	return principal, err
}

func (a *api) identify(ctx context.Context, c *call, key string) (account.Principal, error) {
	principal, err := a.Accounts.AuthenticateKey(ctx, key, c.From)
	if err != nil || c.Route.Name == routeChallenge {
		return principal, err
	}
	if err := principal.Require(account.ScopeOf(c.Route.Scope)); err != nil {
		return principal, err
	}
	signer, signs, err := a.Accounts.FindSigner(ctx, principal.Book)
	if err != nil || !signs {
		return principal, err
	}
	return principal, a.verify(ctx, c, signer)
}

func (a *api) verify(ctx context.Context, c *call, signer account.Signer) error {
	challenge, err := one(c.Request.Header, headerChallenge)
	if err != nil {
		return fault.Wrap(err, fault.NonceInvalid, "X-API-Challenge stands twice")
	}
	signature, err := one(c.Request.Header, headerSignature)
	if err != nil {
		return fault.Wrap(err, fault.SignatureInvalid, "X-API-Signature stands twice")
	}
	return a.Accounts.UseChallenge(ctx, signer, challenge, signature)
}

// one returns a header, empty where there is none.
func one(h http.Header, name string) (string, error) {
	switch values := h[name]; len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", fault.New(fault.InvalidRequest, "%s stands twice", name)
}
