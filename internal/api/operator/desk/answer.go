package desk

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Purposes of what the vault seals and hashes for answers.
const (
	purposeRequest = "operator.request"
	purposeAnswer  = "operator.answer"
)

const (
	idempotencyHeader = "Idempotency-Key"
	// keepAnswers is how long a repeated call gets its first answer.
	keepAnswers = 24 * time.Hour
)

// Replay is how calls under an Idempotency-Key are remembered: per operator, with
// the answers sealed, since some hold a secret that is shown this once.
func (d *Desk) Replay() *wire.Replay[account.Operator] {
	return &wire.Replay[account.Operator]{
		Key:         func(c *Call, _ any) string { return wire.KeyIn(c.Request, idempotencyHeader) },
		Scope:       func(c *Call) string { return string(c.Principal.ID) },
		Fingerprint: func(material []byte) []byte { return d.Vault.Hash(purposeRequest, string(material)) },
		Find:        d.findAnswer,
		Keep:        d.keepAnswer,
	}
}

func answerScope(c *Call) idempotency.Scope {
	return idempotency.Scope{Name: "operator/" + string(c.Principal.ID), Key: c.Retry.Key}
}

func (d *Desk) answers() idempotency.Sealed {
	return idempotency.Sealed{DB: d.DB, Vault: d.Vault, Purpose: purposeAnswer}
}

func (d *Desk) findAnswer(ctx context.Context, c *Call) (wire.Answer, bool, error) {
	return d.answers().Find(ctx, answerScope(c), c.Retry.Fingerprint)
}

// entry is an answer as it is kept.
func (d *Desk) entry(c *Call, answer wire.Answer) (idempotency.Entry, error) {
	e := idempotency.Entry{Scope: answerScope(c), Fingerprint: c.Retry.Fingerprint, At: d.Clocks.Now(realm.Live), TTL: keepAnswers}
	return e, d.answers().Put(&e, answer)
}

// keepAnswer stores the answer of a call that did nothing, or that does nothing when it
// is repeated without one. Others store it with what they do.
func (d *Desk) keepAnswer(ctx context.Context, c *Call, answer wire.Answer) error {
	e, err := d.entry(c, answer)
	if err != nil {
		return err
	}
	err = d.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return tx.Apply(ctx, []storage.Effect{e.Effect()})
	})
	return d.Raced(ctx, c, err)
}

// Kept returns what stores out as the call's answer within the product's own
// transaction; nothing for a call without a key.
func (d *Desk) Kept(c *Call, out any) ([]storage.Effect, error) {
	if c.Retry.Key == "" {
		return nil, nil
	}
	answer, err := c.Encode(out)
	if err != nil {
		return nil, err
	}
	e, err := d.entry(c, answer)
	if err != nil {
		return nil, err
	}
	c.Kept(answer)
	return []storage.Effect{e.Effect()}, nil
}

// Storing returns what keeps the answer that view makes of a change, in the change's own
// transaction: whoever repeats the call after a crash gets this answer, or nothing was done.
func Storing[T, W any](d *Desk, c *Call, view func(T) W) func(T) ([]storage.Effect, error) {
	return func(changed T) ([]storage.Effect, error) { return d.Kept(c, view(changed)) }
}

// Raced says what the error of a call means that is repeatable: where another
// process has answered the same call meanwhile, its answer is sent instead.
func (d *Desk) Raced(ctx context.Context, c *Call, err error) error {
	return wire.Raced(ctx, c, d.findAnswer, err)
}
