// Package wire is the HTTP kit of every dialect: routes on net/http, decoding,
// authentication, limits, idempotent replay, encoding, faults, paging and the
// server itself. It is the only importer of the JSON library.
//
// A dialect fills in a Dialect, whose hooks say what differs, and registers each
// endpoint with Handle: one Spec and one function from request struct to response
// struct. The kit runs the shared phases around it, so that no endpoint can
// forget its request id, limits, audit, deadline or error form.
//
// It promises that no input makes an endpoint panic or echo a value it was sent,
// that an internal error shows no text, and that equal values encode to equal
// bytes. It must never hold a rule about money, cards or orders, import a
// product, or know which credential a dialect uses.
package wire

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/idempotency"
)

// Phase is one shared step before the product call.
type Phase uint8

// The phases. Those of a request run in the dialect's Order; Body must precede
// Decode, and Decode must precede Replay.
const (
	PhaseAddress      Phase = iota // limits by client address
	PhaseMedia                     // Content-Type
	PhaseAuthenticate              // credentials; sees the raw body when PhaseBody came first
	PhaseLimit                     // limits by principal
	PhaseBody                      // read the body, bounded
	PhaseDecode                    // path, query and body into the request struct
	PhaseReplay                    // answer a repeated idempotent call from its record
	phaseCount
)

// KeyedOrder is the order for a credential that stands in a header: callers who
// are unknown or over their limit are refused before their body is read.
func KeyedOrder() []Phase {
	return []Phase{PhaseAddress, PhaseAuthenticate, PhaseLimit, PhaseMedia, PhaseBody, PhaseDecode, PhaseReplay}
}

// SignedOrder is the order for a signature over the raw body.
func SignedOrder() []Phase {
	return []Phase{PhaseAddress, PhaseMedia, PhaseBody, PhaseAuthenticate, PhaseLimit, PhaseDecode, PhaseReplay}
}

// Media is what a dialect thinks of a request's Content-Type.
type Media uint8

// The media policies.
const (
	// AnyMedia reads the body as JSON whatever its type says.
	AnyMedia Media = iota
	// JSONOnly refuses what is not application/json; a missing type is fine on
	// GET and HEAD, and on an endpoint without a body when none was sent.
	JSONOnly
)

// Defaults and ceilings for what a dialect or Spec leaves out.
const (
	DefaultMaxBody = 64 << 10         // bytes
	DefaultTimeout = 15 * time.Second // for one request
)

// Verdict is a row of a dialect's error table: how one fault.Code looks there.
type Verdict struct {
	// Status is the HTTP status.
	Status int
	// Code is the dialect's own word or number; empty where it has none.
	Code string
	// Message replaces the fault's own message unless empty.
	Message string
}

// RetryAfter returns in how many whole seconds to come again; tell is false where there is
// nothing to be said of that.
func (v Verdict) RetryAfter(f *fault.Error) (seconds int64, tell bool) {
	if f.RetryAfter <= 0 && v.Status != http.StatusTooManyRequests {
		return 0, false
	}
	return max(1, int64(math.Ceil(f.RetryAfter.Seconds()))), true
}

// Answer is a rendered response, as it is stored for replay and sent.
type Answer = idempotency.Answer

// Retry identifies an idempotent call. An empty Key means that the caller gave none.
type Retry struct {
	Key         string
	Fingerprint []byte
}

// Replay is how a dialect remembers idempotent calls.
type Replay[P any] struct {
	// Key finds the caller's key: in a header, or in the decoded request, which is
	// a pointer to the route's request struct. Empty means none.
	Key func(call *Call[P], in any) string
	// Scope names who the key belongs to, such as the book's id.
	Scope func(call *Call[P]) string
	// Fingerprint digests what makes two calls the same: method, path, query and
	// raw body. It must be keyed: bodies hold card numbers and PINs.
	Fingerprint func(material []byte) []byte
	// Find returns the stored answer, if any, and fault.IdempotencyConflict when
	// the key was used with another fingerprint.
	Find func(ctx context.Context, call *Call[P]) (Answer, bool, error)
	// Keep stores the answer of a call whose product did not store it in its own
	// transaction (Call.Kept).
	Keep func(ctx context.Context, call *Call[P], answer Answer) error
}

// KeyIn is the key in a header; empty without one. One that is empty or stands twice is
// noKey: a caller who means to be safe is not to act without being so.
func KeyIn(r *http.Request, header string) string {
	switch values := r.Header[header]; {
	case len(values) == 0:
		return ""
	case len(values) > 1 || values[0] == "":
		return noKey
	default:
		return values[0]
	}
}

// noKey is no key, and is refused as every key is that is not printable.
const noKey = "\x00"

// Raced says what the error of a repeatable call means: where the same call was answered
// meanwhile, by another process or by what it did itself, find has that answer and it is
// sent instead.
func Raced[P any](ctx context.Context, c *Call[P], find func(context.Context, *Call[P]) (Answer, bool, error), err error) error {
	if err == nil || c.Retry.Key == "" {
		return err
	}
	first, found, findErr := find(ctx, c)
	switch {
	case fault.CodeOf(findErr) == fault.IdempotencyConflict:
		return findErr
	case findErr != nil || !found:
		return err
	}
	c.Kept(first)
	return nil
}

// Dialect is what differs between the wire forms. Zero hooks are allowed where
// the comment says so.
type Dialect[P any] struct {
	// Name stands in logs, metrics and limit subjects, such as "cardping".
	Name string
	// Prefixes are the subtrees, each ending in a slash, whose unknown paths the dialect answers.
	Prefixes []string
	// Order holds every phase once; nil means KeyedOrder.
	Order []Phase
	Media Media
	// Strict refuses unknown members and unknown query parameters.
	Strict bool
	// Thorough names every field of a request that is wrong, where others name the first
	// one that cannot be read.
	Thorough bool
	// FirstOfRepeats takes the first of a query parameter that stands twice, where others
	// refuse it. A slice field takes them all.
	FirstOfRepeats bool
	// MaxBody, in bytes, holds for routes that set none.
	MaxBody int64
	// Limits hold for every route, before the route's own.
	Limits []Limit
	// Penalty is how long an address is blocked after it went over a limit; zero means not at all.
	Penalty time.Duration
	// Authenticate returns who calls. It may be nil when every route is public.
	Authenticate func(ctx context.Context, call *Call[P]) (P, error)
	// Subject returns the stable id of a principal's credential, for limits and
	// logs. It is required with Authenticate.
	Subject func(principal P) string
	// Replay is required when a route is idempotent.
	Replay *Replay[P]
	// Audit records a call of a route with Spec.Audit before it is answered; its
	// error withholds the answer.
	Audit func(ctx context.Context, call *Call[P]) error
	// LimitHeaders shows the tightest decision to the caller. It may be nil.
	LimitHeaders func(header http.Header, decision Decision)
	// Success wraps what a handler returned in the dialect's envelope; nil means no envelope.
	Success func(call *Call[P], out any) any
	// Faults is the dialect's error table; a test holds it to the closed list.
	Faults map[fault.Code]Verdict
	// FaultType is the media type of a refused request's body, such as
	// application/problem+json; empty means application/json.
	FaultType string
	// FaultBody makes the body of a refused request. An internal fault arrives
	// without its text.
	FaultBody func(call *Call[P], verdict Verdict, f *fault.Error) any
}

func (d *Dialect[P]) complete() error {
	if d.Order == nil {
		d.Order = KeyedOrder()
	}
	if d.MaxBody == 0 {
		d.MaxBody = DefaultMaxBody
	}
	switch _, internal := d.Faults[fault.Internal]; {
	case d.Name == "":
		return fmt.Errorf("no name")
	case !internal:
		return fmt.Errorf("%s: error table has no row for %s", d.Name, fault.Internal)
	case d.FaultBody == nil:
		return fmt.Errorf("%s: no FaultBody", d.Name)
	case d.Authenticate != nil && d.Subject == nil:
		return fmt.Errorf("%s: Authenticate without Subject", d.Name)
	}
	return d.checkOrder()
}

func (d *Dialect[P]) checkOrder() error {
	var at [phaseCount]int
	for i, p := range d.Order {
		if p >= phaseCount || at[p] != 0 {
			return fmt.Errorf("%s: order names phase %d wrongly", d.Name, p)
		}
		at[p] = i + 1
	}
	for p, i := range at {
		if i == 0 {
			return fmt.Errorf("%s: order lacks phase %d", d.Name, p)
		}
	}
	if at[PhaseBody] > at[PhaseDecode] || at[PhaseDecode] > at[PhaseReplay] || at[PhaseAuthenticate] > at[PhaseLimit] || at[PhaseAuthenticate] > at[PhaseReplay] {
		return fmt.Errorf("%s: order must keep body, decode, replay, and authenticate before limit and replay", d.Name)
	}
	return nil
}
