package cardping

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Purposes of the vault's keyed hashes.
const (
	purposeKey   = "cardping.key"
	purposeCheck = "cardping.check"
)

const (
	// keepAnswers is how long a repeated check gets its first answer.
	keepAnswers = 24 * time.Hour
	// maxKey is the longest idempotency key, in characters.
	maxKey = 255
	// keptAs names the answers among those of other dialects.
	keptAs = "cardping.check"
)

// answered is an answer as it is sent, with how old the balance in it is.
type answered struct {
	answer wire.Answer
	age    time.Duration
}

// once makes a check; under an idempotency key that was answered before it repeats
// the answer, byte for byte. The answer is written in the transaction of the check.
// Of checks with one key at once, one is made: within this process the others wait
// for it, and among processes the record's unique key decides.
func (a *api) once(ctx context.Context, c *call, in *checkRequest) (answered, error) {
	check, err := in.check(c)
	if err != nil {
		return answered{}, err
	}
	if in.IdempotencyKey == "" {
		found, err := a.Pings.Ping(ctx, check)
		if err != nil {
			return answered{}, err
		}
		return answerOf(&found), nil
	}
	kept := a.entry(c, in)
	leave, err := c.Alone(ctx, kept.Book+"\x00"+kept.Key)
	if err != nil {
		return answered{}, err
	}
	defer leave()
	first, found, err := idempotency.Find(ctx, a.DB, kept.Scope, kept.Fingerprint)
	if err != nil || found {
		return a.repeated(first), err
	}
	var out answered
	check.Also = func(r *ping.Result) ([]storage.Effect, error) {
		out = answerOf(r)
		return []storage.Effect{a.keep(kept, out).Effect()}, nil
	}
	if _, err = a.Pings.Ping(ctx, check); err == nil {
		return out, nil
	}
	if first, found, err = idempotency.Resolve(ctx, a.DB, kept, err); found {
		return a.repeated(first), nil
	}
	return answered{}, err
}

// entry identifies a repeatable check. Neither the caller's key nor the check is
// kept, only keyed hashes of them: there are callers who make keys of card numbers.
// The key belongs to the account and its realm, whichever route it is used on.
func (a *api) entry(c *call, in *checkRequest) idempotency.Entry {
	parts := idempotency.Fingerprint([]byte(in.CardNumber.Reveal()), []byte(in.PIN.Reveal()), []byte(in.Network), []byte(in.Currency))
	return idempotency.Entry{
		Scope: idempotency.Scope{Book: string(c.Principal.Book), Name: keptAs,
			Key: hex.EncodeToString(a.Vault.Hash(purposeKey, in.IdempotencyKey))},
		Fingerprint: a.Vault.Hash(purposeCheck, string(parts)),
	}
}

// keep completes e. Its time is when the balance was known, so that a repetition can
// tell its age, and not when the answer was given.
func (a *api) keep(e idempotency.Entry, out answered) idempotency.Entry {
	age := max(0, out.age)
	e.Answer, e.At, e.TTL = out.answer, a.Clocks.Now(realm.Live).Add(-age), keepAnswers+age
	return e
}

func (a *api) repeated(first wire.Answer) answered {
	return answered{answer: first, age: a.Clocks.Now(realm.Live).Sub(first.At)}
}
