package cardpluspay

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Purposes of what the vault seals and hashes for this package.
const (
	purposeKey     = "cardpluspay.key"
	purposeRequest = "cardpluspay.request"
	purposeAnswer  = "cardpluspay.answer"
)

const (
	headerIdempotency = "Idempotency-Key"
	// keepAnswers is how long a repeated order gets its first answer.
	keepAnswers = 24 * time.Hour
	// keptAs names the answers among those of other dialects.
	keptAs = "cardpluspay.order"
)

// replay is how orders and claims under an Idempotency-Key are remembered: per book, with
// the answers sealed, since some hold codes.
func (a *api) replay() *wire.Replay[account.Principal] {
	return &wire.Replay[account.Principal]{
		Key: func(c *call, _ any) string {
			if values := c.Request.Header[headerIdempotency]; len(values) > 0 {
				return values[0]
			}
			return ""
		},
		Scope:       func(c *call) string { return string(c.Principal.Book) },
		Fingerprint: func(material []byte) []byte { return a.Vault.Hash(purposeRequest, string(material)) },
		Find:        a.findAnswer,
		Keep: func(context.Context, *call, wire.Answer) error {
			return errors.New("an answer was not written with what was done")
		},
	}
}

// scope is where the answer to a call is. The caller's key may be anything, and is not kept.
func (a *api) scope(c *call) idempotency.Scope {
	return idempotency.Scope{Book: string(c.Principal.Book), Name: keptAs, Key: hex.EncodeToString(a.Vault.Hash(purposeKey, c.Retry.Key))}
}

func rowOf(s idempotency.Scope) string { return s.Book + "/" + s.Key }

func (a *api) findAnswer(ctx context.Context, c *call) (wire.Answer, bool, error) {
	scope := a.scope(c)
	answer, found, err := idempotency.Find(ctx, a.DB, scope, c.Retry.Fingerprint)
	if err != nil || !found {
		return wire.Answer{}, false, err
	}
	answer.Body, err = a.Vault.Unseal(purposeAnswer, rowOf(scope), answer.Body)
	return answer, err == nil, err
}

// place places an order. What it answers under an Idempotency-Key is sealed and written
// in the order's own transaction: whoever asks again after a crash gets these bytes, or
// nothing was bought.
func (a *api) place(ctx context.Context, c *call, in purchaseRequest) (purchase, error) {
	var kept wire.Answer
	p := order.Purchase{Item: in.asked.Item, Quantity: in.asked.Quantity, Value: in.asked.Value, Email: in.Email}
	if c.Retry.Key != "" {
		p.Also = func(placed *order.Placed) (effects []storage.Effect, err error) {
			kept, effects, err = a.keep(c, purchaseOf(placed))
			return effects, err
		}
	}
	placed, err := a.Orders.Place(ctx, buyer(c), p)
	switch {
	case err != nil:
		return purchase{}, a.raced(ctx, c, err)
	case p.Also != nil:
		c.Kept(kept)
	}
	return purchaseOf(&placed), nil
}

// keep renders the answer to a call and returns what writes it down.
func (a *api) keep(c *call, out any) (wire.Answer, []storage.Effect, error) {
	answer, err := c.Encode(out)
	if err != nil {
		return wire.Answer{}, nil, err
	}
	scope := a.scope(c)
	sealed, err := a.Vault.Seal(purposeAnswer, rowOf(scope), answer.Body)
	if err != nil {
		return wire.Answer{}, nil, err
	}
	e := idempotency.Entry{Scope: scope, Fingerprint: c.Retry.Fingerprint, Answer: wire.Answer{Status: answer.Status, Body: sealed},
		At: a.Clocks.Now(realm.Live), TTL: keepAnswers}
	return answer, []storage.Effect{e.Effect()}, nil
}

// raced says what the error of a call means that is repeatable: where another process
// answered the same call meanwhile, its answer is sent instead.
func (a *api) raced(ctx context.Context, c *call, err error) error {
	if c.Retry.Key == "" || !storage.IsUnique(err) {
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
