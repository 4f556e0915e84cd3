package operator

import (
	"context"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Purposes of what the vault seals and hashes for this package.
const (
	purposeCursors = "operator.cursors"
	purposeRequest = "operator.request"
	purposeAnswer  = "operator.answer"
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

const (
	idempotencyHeader = "Idempotency-Key"
	// keepAnswers is how long a repeated call gets its first answer.
	keepAnswers = 24 * time.Hour
)

// replay is how calls under an Idempotency-Key are remembered: per operator, with
// the answers sealed, since some hold a secret that is shown this once.
func (a *api) replay() *wire.Replay[account.Operator] {
	return &wire.Replay[account.Operator]{
		Key: func(c *call, _ any) string {
			if values := c.Request.Header[idempotencyHeader]; len(values) > 0 {
				return values[0]
			}
			return ""
		},
		Scope:       func(c *call) string { return string(c.Principal.ID) },
		Fingerprint: func(material []byte) []byte { return a.Vault.Hash(purposeRequest, string(material)) },
		Find:        a.findAnswer,
		Keep:        a.keepAnswer,
	}
}

func answerScope(c *call) idempotency.Scope {
	return idempotency.Scope{Name: "operator/" + string(c.Principal.ID), Key: c.Retry.Key}
}

func answerRow(c *call) string { return string(c.Principal.ID) + "/" + c.Retry.Key }

func (a *api) findAnswer(ctx context.Context, c *call) (wire.Answer, bool, error) {
	answer, found, err := idempotency.Find(ctx, a.DB, answerScope(c), c.Retry.Fingerprint)
	if err != nil || !found {
		return wire.Answer{}, false, err
	}
	answer.Body, err = a.Vault.Unseal(purposeAnswer, answerRow(c), answer.Body)
	return answer, err == nil, err
}

// entry is an answer as it is kept.
func (a *api) entry(c *call, answer wire.Answer) (idempotency.Entry, error) {
	sealed, err := a.Vault.Seal(purposeAnswer, answerRow(c), answer.Body)
	return idempotency.Entry{
		Scope: answerScope(c), Fingerprint: c.Retry.Fingerprint, Answer: wire.Answer{Status: answer.Status, Body: sealed},
		At: a.Clocks.Now(realm.Live), TTL: keepAnswers,
	}, err
}

// keepAnswer stores the answer of a call that did nothing, or that does nothing when it
// is repeated without one. Others store it with what they do.
func (a *api) keepAnswer(ctx context.Context, c *call, answer wire.Answer) error {
	e, err := a.entry(c, answer)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return tx.Apply(ctx, []storage.Effect{e.Effect()})
	})
	return a.raced(ctx, c, err)
}

// kept returns what stores out as the call's answer within the product's own
// transaction; nothing for a call without a key.
func (a *api) kept(c *call, out any) ([]storage.Effect, error) {
	if c.Retry.Key == "" {
		return nil, nil
	}
	answer, err := c.Encode(out)
	if err != nil {
		return nil, err
	}
	e, err := a.entry(c, answer)
	if err != nil {
		return nil, err
	}
	c.Kept(answer)
	return []storage.Effect{e.Effect()}, nil
}

// storing returns what keeps the answer that view makes of a change, in the change's own
// transaction: whoever repeats the call after a crash gets this answer, or nothing was done.
func storing[T, W any](a *api, c *call, view func(T) W) func(T) ([]storage.Effect, error) {
	return func(changed T) ([]storage.Effect, error) { return a.kept(c, view(changed)) }
}

// raced says what the error of a call means that is repeatable: where another
// process has answered the same call meanwhile, its answer is sent instead.
func (a *api) raced(ctx context.Context, c *call, err error) error {
	if err == nil || c.Retry.Key == "" {
		return err
	}
	first, found, findErr := a.findAnswer(ctx, c)
	switch {
	case fault.CodeOf(findErr) == fault.IdempotencyConflict:
		return findErr
	case findErr != nil || !found:
		return err
	}
	c.Kept(first)
	return nil
}
