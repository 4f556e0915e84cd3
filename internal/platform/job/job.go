// Package job owns durable background work.
//
// A job is enqueued as an effect of the caller's transaction: it exists if and
// only if that transaction commits. It runs at least once: a handler whose
// process dies runs again elsewhere after its lease, or as soon as the process
// is known to be dead, so handlers must bear repetition; the job's id and
// attempt number are there to help. An attempt is counted when a process claims
// the job. What fails is tried again later, and after the kind's last attempt
// lies among the dead letters until somebody retries or deletes it. Two
// processes never hold one job while their clocks differ by less than half a
// minute.
//
// It must never run a handler inside a transaction, and knows no product.
package job

import (
	"errors"
	"time"

	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Limits of one request. The table refuses what is beyond them.
const (
	MaxKind    = 64      // bytes in a kind
	MaxUnique  = 255     // bytes in a unique key
	MaxPayload = 1 << 18 // bytes in a payload
)

// Request asks for one job.
type Request struct {
	// Kind selects the handler: "webhook.deliver".
	Kind string
	// Book is the customer's book that the job belongs to; empty for the installation's own work.
	Book string
	// Realm says whose clock RunAt follows; empty means live.
	Realm realm.Realm
	// Payload is what the handler gets, at most MaxPayload bytes. No secrets: it is stored as it is.
	Payload []byte
	// RunAt is when the job becomes due. Zero means at once, ahead of everything else that is due.
	RunAt time.Time
	// Unique, if not empty, names the work within Book and Kind, and must determine it: of two
	// jobs with one name only one exists. While that one waits, asking again changes nothing but
	// that the earlier RunAt counts if it was never tried. While it runs, asking again makes it
	// run once more afterwards, so that no request is lost. Dead letters do not count.
	Unique string
}

// Job is what a handler gets.
type Job struct {
	// ID is the same on every attempt.
	ID    string
	Kind  string
	Book  string
	Realm realm.Realm
	// Payload is the request's.
	Payload []byte
	Unique  string
	// Attempt counts from 1; MaxAttempts is the number of the last one.
	Attempt     int
	MaxAttempts int
}

// Enqueue returns the effect of adding a job. Call Queue.Wake after the commit.
// Applying it fails where the request exceeds a limit.
func Enqueue(r Request) storage.Effect {
	if r.Realm == "" {
		r.Realm = realm.Live
	}
	if r.Payload == nil {
		r.Payload = []byte{}
	}
	var at int64
	if !r.RunAt.IsZero() {
		at = storage.Micros(r.RunAt)
	}
	args := []any{r.Book, id.New("job"), r.Kind, string(r.Realm), storage.NullText(r.Unique), r.Payload, statePending, at, 0, 0, ""}
	if r.Unique == "" {
		return insertJob.Row(args...)
	}
	return insertUnique.With(args...)
}

// failure is an error that says what becomes of its job.
type failure struct {
	cause error
	after time.Duration
	fate  fate
}

type fate int

const (
	fateRetry fate = iota
	fateDiscard
	fatePostpone
)

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// Discard wraps a handler's error: there is no further attempt, the job becomes a
// dead letter. A handler that has nothing left to do returns nil instead.
func Discard(err error) error {
	return &failure{cause: orUnknown(err), fate: fateDiscard}
}

// Postpone is for a handler that finds it is too early: the job runs again after
// the given time, or when it was asked for again meanwhile if that is sooner, and this
// attempt does not count.
func Postpone(after time.Duration) error {
	return &failure{cause: errPostponed, after: after, fate: fatePostpone}
}

var (
	errPostponed = errors.New("postponed")
	errUnknown   = errors.New("unknown error")
)

func orUnknown(err error) error {
	if err == nil {
		return errUnknown
	}
	return err
}
