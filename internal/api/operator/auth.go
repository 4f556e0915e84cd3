package operator

import (
	"context"
	"strings"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// authenticate accepts "Authorization: Bearer op_…" of an operator whose role may do what the route asks for.
func (a *api) authenticate(ctx context.Context, c *call) (account.Operator, error) {
	o, err := a.Accounts.AuthenticateOperator(ctx, bearer(c), c.From)
	if err != nil {
		return account.Operator{}, err
	}
	return o, o.Require(account.Duty(c.Route.Scope))
}

// bearer returns the key of a request, empty unless there is exactly one.
func bearer(c *call) string {
	values := c.Request.Header["Authorization"]
	if len(values) != 1 {
		return ""
	}
	scheme, key, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}

// storing returns what keeps the answer that view makes of a change, in the change's own
// transaction: whoever repeats the call after a crash gets this answer, or nothing was done.
func storing[T, W any](a *api, c *call, view func(T) W) func(T) ([]storage.Effect, error) {
	return desk.Storing(a.desk, c, view)
}

// raced says what the error of a call means that is repeatable: where another
// process has answered the same call meanwhile, its answer is sent instead.
func (a *api) raced(ctx context.Context, c *call, err error) error { return a.desk.Raced(ctx, c, err) }
