package cardping

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// headerKey is X-API-Key in net/http's spelling.
const headerKey = "X-Api-Key"

// failures is how often one address may present a key that is not right: often enough for a
// deployment gone wrong.
var failures = []wire.Window{{Limit: 60, Per: time.Minute}}

// authenticate accepts an API key that has the scope which the route asks for. An
// address that presented too many wrong keys of late has to wait.
func (a *api) authenticate(ctx context.Context, c *call) (account.Principal, error) {
	values := c.Request.Header[headerKey]
	if len(values) != 1 || values[0] == "" {
		return account.Principal{}, fault.New(fault.CredentialsInvalid, wrongKey)
	}
	subject := "cardping/failures/" + wire.AddressSubject(c.From)
	seen, err := a.Look(ctx, subject, failures, 1)
	if err != nil {
		return account.Principal{}, err
	}
	if !seen.Allowed {
		return account.Principal{}, fault.New(fault.RateLimited, "too many wrong API keys from this address").After(seen.RetryAfter)
	}
	principal, err := a.Accounts.AuthenticateKey(ctx, values[0], c.From)
	if fault.CodeOf(err) == fault.CredentialsInvalid {
		if _, counting := a.Take(ctx, subject, failures, 1); counting != nil {
			return account.Principal{}, counting
		}
	}
	if err != nil {
		return account.Principal{}, err
	}
	return principal, principal.Require(account.ScopeOf(c.Route.Scope))
}
