package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Call is one request on its way through the phases. A handler may keep nothing
// of it after it returns.
type Call[P any] struct {
	// Principal is who calls; the zero P on a public route.
	Principal P
	// RequestID is echoed in X-Request-Id.
	RequestID string
	// From is the client's address behind trusted proxies; invalid when unknown.
	From netip.Addr
	// Request is the request itself. Its body is already read.
	Request *http.Request
	// Body holds the raw bytes received, for signatures.
	Body []byte
	// Route is the endpoint called; nil for an unknown path or method.
	Route *Route
	// Message is the envelope's message, at first the Spec's.
	Message string
	// Retry identifies the call where the route is idempotent.
	Retry Retry

	surface  *Surface[P]
	route    *route[P]
	header   http.Header
	status   int
	in       any
	stored   *Answer
	file     *File
	kept     bool
	replayed bool
	leave    func()
	entered  bool
	// faultType is the Content-Type of a refusal; nil for JSON.
	faultType []string
	decision  Decision
	idHeader  [1]string
	// connection is nil where the server's own deadlines do.
	connection *http.ResponseController
}

// Header returns the response's headers, to add to.
func (c *Call[P]) Header() http.Header { return c.header }

// SetStatus replaces the Spec's success status, such as 200 where an object
// already existed, or 400 for a result that the dialect shows as a refusal.
func (c *Call[P]) SetStatus(status int) { c.status = status }

// Encode renders out as this call would answer it, so that a product can store
// the answer in its own transaction, also from another goroutine while the handler
// waits for it. Equal values give equal bytes.
func (c *Call[P]) Encode(out any) (Answer, error) {
	buf := c.surface.kit.buffer()
	defer c.surface.kit.release(buf)
	if err := c.surface.encodeSuccess(buf, c, out); err != nil {
		return Answer{}, err
	}
	return Answer{Status: c.status, Body: append([]byte(nil), buf.Bytes()...)}, nil
}

// Kept says that the product stored answer with its own writes; exactly these
// bytes are then sent. A stored answer found late, inside the transaction, is
// sent the same way.
func (c *Call[P]) Kept(answer Answer) {
	c.kept = true
	c.stored = &answer
}

// Undone says that the writes with which an answer was kept last did not come about.
func (c *Call[P]) Undone() { c.kept, c.stored = false, nil }

// Charge counts the call n times more against the limits that it was counted
// against, for a call that does the work of several. It returns fault.RateLimited
// when that is too much, with when the same call could be allowed, which is counted once more
// then; a window allows n and that at once.
func (c *Call[P]) Charge(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	err := c.surface.take(ctx, c, ByAddress, n)
	if err == nil {
		err = c.surface.take(ctx, c, ByPrincipal, n)
	}
	if fault.CodeOf(err) != fault.RateLimited {
		return err
	}
	wait, failed := c.surface.until(ctx, c, n+1)
	if failed != nil {
		return failed
	}
	refused := fault.From(err)
	return refused.After(max(refused.RetryAfter, wait))
}

// Alone waits until no other call of the dialect in this process holds name, and
// holds it until leave is called. It returns the context's error when that comes first.
func (c *Call[P]) Alone(ctx context.Context, name string) (leave func(), err error) {
	return c.surface.kit.flights.enter(ctx, c.surface.Name+"\x00"+name)
}

// Refusal is how the dialect answers a part that failed. Fault is nil where it did not.
type Refusal struct {
	Verdict Verdict
	Fault   *fault.Error
}

// Parts does the n parts of a call that succeed or fail each by itself, in no promised order,
// and returns how each was refused. One is always under way, and others beside it as spare has
// room for them, which who shares it gets in turns: no call keeps another from going on. What
// has not begun when ctx ends is refused as what takes too long. Mistakes of ours, panics too,
// show no text and are logged in one line for the whole call.
func (c *Call[P]) Parts(ctx context.Context, n int, spare chan struct{}, do func(ctx context.Context, i int) error) []Refusal {
	errs := make([]error, n)
	var (
		begun atomic.Int64
		group sync.WaitGroup
	)
	next := func() int { return int(begun.Add(1)) - 1 }
	part := func(i int) { errs[i] = guarded(ctx, func() error { return do(ctx, i) }) }
	over := make(chan struct{})
	group.Go(func() {
		for {
			select {
			case spare <- struct{}{}:
			case <-over:
				return
			}
			i := next()
			if i >= n {
				<-spare
				return
			}
			group.Go(func() {
				defer func() { <-spare }()
				part(i)
			})
		}
	})
	for i := next(); i < n; i = next() {
		part(i)
	}
	close(over)
	group.Wait()
	return c.refusals(ctx, errs)
}

// refusals says how what became of parts is answered, and logs what is a mistake of ours.
func (c *Call[P]) refusals(ctx context.Context, errs []error) []Refusal {
	refusals, mistakes, worst := make([]Refusal, len(errs)), 0, error(nil)
	for i, err := range errs {
		if err == nil {
			continue
		}
		f := AsFault(ctx, err)
		if f.Code.Kind() == fault.KindInternal {
			if mistakes++; worst == nil || errors.Is(err, errPanic) && !errors.Is(worst, errPanic) {
				worst = err
			}
		}
		refusals[i].Verdict, refusals[i].Fault = c.surface.verdict(f)
	}
	if mistakes > 0 {
		c.surface.kit.options.Logger.LogAttrs(ctx, slog.LevelError, "parts of a request failed", slog.String("dialect", c.surface.Name), slog.String("route", c.route.Name),
			slog.String("request_id", c.RequestID), slog.Int("failed", mistakes), slog.Int("of", len(errs)), slog.String("error", worst.Error()))
	}
	return refusals
}

var errPanic = errors.New("panic")

// guarded does what is to be done before ctx ends, and turns a panic into an error.
func guarded(ctx context.Context, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	return do()
}

// MustPart returns what reads a part of a request as a request of type T is read whose members
// may be more than are known. It panics on a type that cannot be a request's body.
func MustPart[T any]() func(Raw) (T, error) {
	p, err := compile(reflect.TypeFor[T](), http.MethodPost, nil)
	if err != nil {
		panic("wire: part " + err.Error())
	}
	return func(part Raw) (in T, err error) {
		if err := explain(json.Unmarshal(part, &in)); err != nil {
			return in, err
		}
		var problems Problems
		p.check(reflect.ValueOf(&in).Elem(), &problems)
		if checker, ok := any(&in).(Checker); ok && len(problems) == 0 {
			checker.Check(&problems)
		}
		return in, problems.Err()
	}
}

// Handler is an endpoint: one product call between two conversions.
type Handler[P, In, Out any] func(ctx context.Context, call *Call[P], in In) (Out, error)

// None is the request or response of an endpoint that has none. With status 204
// nothing is sent; with an envelope it is an empty object.
type None struct{}

// File is a response that is not JSON, such as an image or a CSV export. It is
// held in memory: bound it.
type File struct {
	ContentType string
	// Name offers the caller a file name; empty shows the content in place.
	Name string
	// Version changes whenever the body does, such as its hash, and has no quotes; empty
	// for none. It is sent as the ETag, and who says If-None-Match gets 304 in its stead.
	Version string
	Body    []byte
}

// Problem is one offending field of a request.
type Problem struct {
	Field   string
	Message string
}

// Problems collects what is wrong with a request, for dialects that name every field at once.
type Problems []Problem

// Error lists the fields.
func (p Problems) Error() string {
	text := "invalid fields"
	for _, problem := range p {
		text += ": " + problem.Field + " " + problem.Message
	}
	return text
}

// Add notes that field is wrong; message is like "must be 1 to 100" and never holds the value.
func (p *Problems) Add(field, message string) {
	*p = append(*p, Problem{Field: field, Message: message})
}

// Once is Add for a field that is not blamed yet.
func (p *Problems) Once(field, message string) {
	if !p.Blames(field) {
		p.Add(field, message)
	}
}

// Blames reports whether a field, or a part of it, is wrong already.
func (p *Problems) Blames(field string) bool {
	return slices.ContainsFunc(*p, func(other Problem) bool {
		part, within := strings.CutPrefix(other.Field, field)
		return within && (part == "" || part[0] == '[' || part[0] == '.')
	})
}

// Checker is a request that knows more than its wire tags say about what may stand in it.
// Check runs after the request was read and adds what else is wrong; in a thorough dialect
// also where some fields could not be read, which are then blamed already.
type Checker interface {
	Check(problems *Problems)
}

// Err returns nil, or a fault.InvalidRequest that blames the first field and
// holds them all for ProblemsOf.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return fault.Wrap(p, fault.InvalidRequest, "%s %s", p[0].Field, p[0].Message).At(p[0].Field)
}

// ProblemsOf returns the fields that f blames, in order; nil when it blames none.
func ProblemsOf(f *fault.Error) Problems {
	var p Problems
	if errors.As(f, &p) {
		return p
	}
	if f.Field != "" {
		return Problems{{Field: f.Field, Message: f.Message}}
	}
	return nil
}
