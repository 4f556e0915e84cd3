package cryptocardy

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// headerSeed is X-Seed in net/http's spelling.
const headerSeed = "X-Seed"

// failures is how often one address may present a seed that is not right: a seed has 64
// bits, and guessing has to stay hopeless however many seeds there are.
var failures = []wire.Window{{Limit: 20, Per: time.Minute}, {Limit: 100, Per: time.Hour}}

// authenticate accepts a seed. An address that presented too many wrong ones of late has
// to wait, even with a right one.
func (a *api) authenticate(ctx context.Context, c *call) (account.Principal, error) {
	values := c.Request.Header[headerSeed]
	if len(values) != 1 || values[0] == "" {
		return account.Principal{}, fault.New(fault.CredentialsInvalid, wrongSeed)
	}
	subject := "cryptocardy/failures/" + wire.AddressSubject(c.From)
	seen, err := a.Take(ctx, subject, failures, 0)
	if err != nil {
		return account.Principal{}, err
	}
	if seen.Remaining < 1 {
		hour := failures[1]
		return account.Principal{}, fault.New(fault.RateLimited, "Too many wrong seeds came from this address.").After(hour.Per / time.Duration(hour.Limit))
	}
	principal, err := a.Accounts.AuthenticateSeed(ctx, values[0])
	if fault.CodeOf(err) == fault.CredentialsInvalid {
		if _, counting := a.Take(ctx, subject, failures, 1); counting != nil {
			return account.Principal{}, counting
		}
	}
	return principal, err
}
