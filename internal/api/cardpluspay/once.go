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

// replay is how orders under an Idempotency-Key are remembered: per book, with the
// answers sealed, since they hold codes.
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
			return errors.New("the answer to an order was not written with it")
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
// nothing was bought. An order that a supplier delivers is answered as processing at first;
// what it becomes while its buyer waits takes that answer's place, or removes it.
func (a *api) place(ctx context.Context, c *call, in purchaseRequest) (purchase, error) {
	var kept wire.Answer
	p := order.Purchase{Item: in.asked.Item, Quantity: in.asked.Quantity, Value: in.asked.Value, Email: in.Email}
	if c.Retry.Key != "" {
		p.Also = func(placed *order.Placed) (effects []storage.Effect, err error) {
			kept, effects, err = a.keep(c, placed)
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
	return a.purchased(c, &placed), nil
}

// messageProcessing is the message of an order that a supplier is still at.
const messageProcessing = "Gift card order is processing"

// purchased is the answer to an order, with its message.
func (a *api) purchased(c *call, placed *order.Placed) purchase {
	if c.Message = c.Route.Message; placed.Status == order.Processing {
		c.Message = messageProcessing
	}
	return purchaseOf(placed)
}

// keep renders the answer to an order and returns what writes it down.
func (a *api) keep(c *call, placed *order.Placed) (wire.Answer, []storage.Effect, error) {
	scope := a.scope(c)
	e := idempotency.Entry{Scope: scope, Fingerprint: c.Retry.Fingerprint, At: a.Clocks.Now(realm.Live), TTL: keepAnswers}
	if placed.Status == order.Failed { // refusals are not kept
		return wire.Answer{}, []storage.Effect{e.Forget()}, nil
	}
	answer, err := c.Encode(a.purchased(c, placed))
	if err != nil {
		return wire.Answer{}, nil, err
	}
	sealed, err := a.Vault.Seal(purposeAnswer, rowOf(scope), answer.Body)
	if err != nil {
		return wire.Answer{}, nil, err
	}
	e.Answer = wire.Answer{Status: answer.Status, Body: sealed}
	if placed.Status == order.Completed && placed.Hold != "" { // it was answered as processing, to nobody yet
		return answer, []storage.Effect{e.Replace()}, nil
	}
	return answer, []storage.Effect{e.Effect()}, nil
}

// raced says what the error of an order means that is repeatable: where another process
// answered the same order meanwhile, its answer is sent instead. That includes refusals: the
// order itself may have taken the last code, or the money.
func (a *api) raced(ctx context.Context, c *call, err error) error {
	refused := fault.CodeOf(err) == fault.OutOfStock || fault.CodeOf(err) == fault.InsufficientFunds
	if c.Retry.Key == "" || !refused && !storage.IsUnique(err) {
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
