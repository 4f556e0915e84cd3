package cryptocardy

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Purposes of what the vault seals and hashes for this package.
const (
	purposeKey     = "cryptocardy.key"
	purposeRequest = "cryptocardy.request"
	purposeAnswer  = "cryptocardy.answer"
)

const (
	headerIdempotency = "X-Idempotency-Key"
	// keepAnswers is how long a repeated call gets its first answer.
	keepAnswers = 24 * time.Hour
	// keptAs names the answers among those of other dialects.
	keptAs = "cryptocardy"
)

// replay is how calls under an X-Idempotency-Key are remembered: per seed, with the
// answers sealed, since one may hold a webhook's secret.
func (a *api) replay() *wire.Replay[account.Principal] {
	return &wire.Replay[account.Principal]{
		Key:         func(c *call, _ any) string { return wire.KeyIn(c.Request, headerIdempotency) },
		Scope:       func(c *call) string { return c.Principal.Credential },
		Fingerprint: func(material []byte) []byte { return a.Vault.Hash(purposeRequest, string(material)) },
		Find:        a.findAnswer,
		Keep:        a.keepAnswer,
	}
}

// keyOf is a caller's key as it is kept: hashed, since it may be anything, with its seed.
func (a *api) keyOf(c *call) string {
	return hex.EncodeToString(a.Vault.Hash(purposeKey, c.Principal.Credential+"\x00"+c.Retry.Key))
}

func (a *api) scope(c *call) idempotency.Scope {
	return idempotency.Scope{Book: string(c.Principal.Book), Name: keptAs, Key: a.keyOf(c)}
}

func (a *api) answers() idempotency.Sealed {
	return idempotency.Sealed{DB: a.DB, Vault: a.Vault, Purpose: purposeAnswer}
}

func (a *api) findAnswer(ctx context.Context, c *call) (wire.Answer, bool, error) {
	return a.answers().Find(ctx, a.scope(c), c.Retry.Fingerprint)
}

// entry returns what writes an answer down.
func (a *api) entry(c *call, answer wire.Answer) ([]storage.Effect, error) {
	e := idempotency.Entry{Scope: a.scope(c), Fingerprint: c.Retry.Fingerprint, At: a.Clocks.Now(realm.Live), TTL: keepAnswers}
	err := a.answers().Put(&e, answer)
	return []storage.Effect{e.Effect()}, err
}

// keepAnswer stores the answer of a call that does nothing when it is made again, because
// its own key, or what it names, says that it was made. Others store it with what they do.
func (a *api) keepAnswer(ctx context.Context, c *call, answer wire.Answer) error {
	effects, err := a.entry(c, answer)
	if err != nil {
		return err
	}
	err = a.DB.Apply(ctx, effects)
	return wire.Raced(ctx, c, a.findAnswer, err)
}

// also is what a product writes with a change.
type also[T any] = storage.Also[T]

// once makes a change and answers with what view makes of it. Under a key, that answer is
// written in the change's own transaction: whoever asks again after a crash gets it, or
// nothing was done.
func once[T, W any](ctx context.Context, m *made[T, W], do func(also[T]) (T, error)) (W, error) {
	var answer wire.Answer
	var keep also[T]
	if m.c.Retry.Key != "" {
		keep = func(done T) ([]storage.Effect, error) {
			encoded, err := m.c.Encode(m.view(done))
			if err != nil {
				return nil, err
			}
			answer = encoded
			return m.a.entry(m.c, encoded)
		}
	}
	done, err := do(keep)
	if err != nil {
		var none W
		return none, wire.Raced(ctx, m.c, m.a.findAnswer, err)
	}
	if answer.Status != 0 {
		m.c.Kept(answer)
	}
	return m.view(done), nil
}

// made is a change that a call asks for, and how it is shown.
type made[T, W any] struct {
	a    *api
	c    *call
	view func(T) W
}
