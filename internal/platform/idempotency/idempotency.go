// Package idempotency keeps the answers that repeated requests get again.
//
// A caller looks for an answer with Find before it acts, writes its own answer as
// an Effect of the transaction that acts, and asks Resolve about the error of that
// transaction: of two requests with one key that run at once, one commits and the
// other gets the first one's answer. A key stands for the fingerprint it was first
// used with; another fingerprint is refused. An answer is kept at least for its
// time to live and until Purge comes by.
//
// It must never hold the request, only a fingerprint of it. The answer is stored
// as it is given: a caller whose answers hold secrets seals them first.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Limits. The table refuses what is beyond them.
const (
	MaxKey  = 255     // bytes in a caller's key
	MaxName = 100     // bytes in a name
	MaxBody = 4 << 20 // bytes in an answer's body
)

// Scope is where a key means one request.
type Scope struct {
	Book string
	// Name separates what may use the same key for different things: a dialect or an operation.
	Name string
	// Key is the caller's: 1 to MaxKey bytes of printable UTF-8.
	Key string
}

// Answer is what the first request got.
type Answer struct {
	Status int // 100 to 599
	Body   []byte
	At     time.Time // set by Find
}

// Validate refuses a key that is empty, too long or not printable, with a fault:
// InvalidRequest at idempotency_key.
func (s Scope) Validate() error {
	if s.Name == "" || len(s.Name) > MaxName {
		return fmt.Errorf("idempotency: want a name of 1 to %d bytes, not %d", MaxName, len(s.Name))
	}
	if !plain.LineBytes(s.Key, 1, MaxKey) {
		return fault.New(fault.InvalidRequest, "the idempotency key must have 1 to %d bytes of plain text", MaxKey).At("idempotency_key")
	}
	return nil
}

// Fingerprint is the plain SHA-256 of what makes two requests the same, each part
// delimited, for callers without a keyed hash: method, path, canonical body.
func Fingerprint(parts ...[]byte) []byte {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	return h.Sum(nil)
}

// Find returns the answer that the scope's key got, byte for byte, and whether there
// is one. It returns a fault: IdempotencyConflict when the key was used with another
// fingerprint, InvalidRequest when the key cannot be one.
func Find(ctx context.Context, q storage.Queryer, scope Scope, fingerprint []byte) (Answer, bool, error) {
	if err := scope.Validate(); err != nil {
		return Answer{}, false, err
	}
	s, found, err := storage.One(ctx, q, scanStored, findAnswer, scope.Book, scope.Name, scope.Key)
	if err != nil || !found {
		return Answer{}, false, err
	}
	if !bytes.Equal(s.fingerprint, fingerprint) {
		return Answer{}, false, fault.New(fault.IdempotencyConflict, "the idempotency key was used before with another request").At("idempotency_key")
	}
	if err := storage.Settle(ctx, q); err != nil { // the answer may be of another process, a moment ago
		return Answer{}, false, err
	}
	return s.Answer, true, nil
}

// Entry is an answer to be kept.
type Entry struct {
	Scope
	// Fingerprint is 32 bytes, such as a keyed hash or Fingerprint makes.
	Fingerprint []byte
	Answer      Answer
	// At is now by the live clock, also for books of the test realm: how long answers
	// are kept is no part of what a test realm simulates.
	At time.Time
	// TTL is how long the answer is kept at least.
	TTL time.Duration
}

// Effect returns the effect of keeping an answer. A transaction with it fails, as
// storage.IsUnique tells, when the key has an answer already; Resolve handles that.
func (e Entry) Effect() storage.Effect {
	body := e.Answer.Body
	if body == nil {
		body = []byte{}
	}
	return insertAnswer.Row(e.Book, e.Name, e.Key, e.Fingerprint, e.Answer.Status, body, storage.Micros(e.At), storage.Micros(e.At.Add(e.TTL)))
}

// Replace returns the effect of keeping another answer than the one that is kept, for a
// request whose first answer nobody got yet. It fails with storage.ErrStale when there is none.
func (e Entry) Replace() storage.Effect {
	return replaceAnswer.With(e.Book, e.Name, e.Key, e.Fingerprint, e.Answer.Status, e.Answer.Body, storage.Micros(e.At)).Exactly(1)
}

// Forget returns the effect of keeping no answer any more, so that the request can be made
// again: for one that was refused after all, and whose first answer nobody got.
func (e Entry) Forget() storage.Effect {
	return forgetAnswer.With(e.Book, e.Name, e.Key, e.Fingerprint)
}

// Resolve says what the error of a transaction that held e's effect means. When
// another request with the same key was faster, it returns that one's answer and
// true, or the fault IdempotencyConflict. Any other error comes back as it is.
func Resolve(ctx context.Context, q storage.Queryer, e Entry, err error) (Answer, bool, error) {
	if !storage.IsUnique(err) {
		return Answer{}, false, err
	}
	answer, found, ferr := Find(ctx, q, e.Scope, e.Fingerprint)
	if ferr != nil {
		return Answer{}, false, ferr
	}
	if !found {
		return Answer{}, false, err // another table's key
	}
	return answer, true, nil
}

// Purge deletes answers whose time to live ended before now, and returns how many. It is
// meant to run now and then.
func Purge(ctx context.Context, db *storage.DB, now time.Time) (int64, error) {
	n, err := db.Purge(ctx, purgeAnswers, storage.Micros(now))
	if err != nil {
		return n, fmt.Errorf("purge idempotency answers: %w", err)
	}
	return n, nil
}
