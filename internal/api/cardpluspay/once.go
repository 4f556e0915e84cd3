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
		Key:         func(c *call, _ any) string { return wire.KeyIn(c.Request, headerIdempotency) },
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

func (a *api) answers() idempotency.Sealed {
	return idempotency.Sealed{DB: a.DB, Vault: a.Vault, Purpose: purposeAnswer}
}

// findAnswer returns the answer that a call got before. Codes that it shows again are looked
// at again, perhaps with another key of the account: that is recorded first.
func (a *api) findAnswer(ctx context.Context, c *call) (wire.Answer, bool, error) {
	answer, found, err := a.answers().Find(ctx, a.scope(c), c.Retry.Fingerprint)
	if err == nil && found && c.Route.Name == routePlace {
		err = a.shownAgain(ctx, c, answer.Body)
	}
	return answer, found && err == nil, err
}

// shownAgain records a look at the codes in the answer to an order, if there are some.
func (a *api) shownAgain(ctx context.Context, c *call, body []byte) error {
	var first struct {
		Data struct {
			OrderID int64      `json:"order_id"`
			Codes   []wire.Raw `json:"codes"`
		} `json:"data"`
	}
	if err := wire.Unmarshal(body, &first); err != nil || len(first.Data.Codes) == 0 {
		return err
	}
	return a.Orders.Shown(ctx, buyer(c), order.Number(first.Data.OrderID))
}

// place places an order. What it answers under an Idempotency-Key is sealed and written
// in the order's own transaction: whoever asks again after a crash gets these bytes, or
// nothing was bought. An order that a supplier delivers is answered as processing at first;
// what it becomes while its buyer waits takes that answer's place, or removes it.
func (a *api) place(ctx context.Context, c *call, in purchaseRequest) (purchase, error) {
	// By what the order is: an end that was rendered may not have come about.
	kept := map[order.Status]wire.Answer{}
	p := order.Purchase{Item: in.asked.Item, Quantity: in.asked.Quantity, Value: in.asked.Value, Currency: in.asked.Currency, Most: in.asked.Most, Email: in.Email}
	if c.Retry.Key != "" {
		p.Also = func(placed *order.Placed) (effects []storage.Effect, err error) {
			kept[placed.Status], effects, err = a.keepOrder(c, placed)
			return effects, err
		}
	}
	placed, err := a.Orders.Place(ctx, buyer(c), p)
	switch {
	case err != nil:
		return purchase{}, a.raced(ctx, c, err)
	case p.Also != nil:
		c.Kept(kept[placed.Status])
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

// keepOrder renders the answer to an order and returns what writes it down. One that was
// answered as processing, to nobody yet, gets its end in the place of that, or none: refusals
// are not kept.
func (a *api) keepOrder(c *call, placed *order.Placed) (wire.Answer, []storage.Effect, error) {
	e := a.entry(c)
	if placed.Status == order.Failed || placed.Status == order.Cancelled {
		return wire.Answer{}, []storage.Effect{e.Forget()}, nil
	}
	answer, err := a.seal(c, &e, a.purchased(c, placed))
	if err != nil {
		return wire.Answer{}, nil, err
	}
	if placed.Status == order.Completed && placed.Hold != "" {
		return answer, []storage.Effect{e.Replace()}, nil
	}
	return answer, []storage.Effect{e.Effect()}, nil
}

// keep renders the answer to a call and returns what writes it down.
func (a *api) keep(c *call, out any) (wire.Answer, []storage.Effect, error) {
	e := a.entry(c)
	answer, err := a.seal(c, &e, out)
	return answer, []storage.Effect{e.Effect()}, err
}

func (a *api) entry(c *call) idempotency.Entry {
	return idempotency.Entry{Scope: a.scope(c), Fingerprint: c.Retry.Fingerprint, At: a.Clocks.Now(realm.Live), TTL: keepAnswers}
}

// seal renders an answer, and puts it into an entry sealed.
func (a *api) seal(c *call, e *idempotency.Entry, out any) (wire.Answer, error) {
	answer, err := c.Encode(out)
	if err != nil {
		return wire.Answer{}, err
	}
	return answer, a.answers().Put(e, answer)
}

// raced says what the error of a call means that is repeatable: where another process
// answered the same call meanwhile, its answer is sent instead. That includes refusals: the
// order itself may have taken the last code, or the money.
func (a *api) raced(ctx context.Context, c *call, err error) error {
	if refused := fault.CodeOf(err) == fault.OutOfStock || fault.CodeOf(err) == fault.InsufficientFunds; !refused && !storage.IsUnique(err) {
		return err
	}
	return wire.Raced(ctx, c, a.findAnswer, err)
}
