package wire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// run takes the call through the dialect's phases and the product call. It
// returns what the handler returned, or a stored answer in c.stored.
func (s *Surface[P]) run(ctx context.Context, c *Call[P]) (any, error) {
	r := c.route
	if r.refuse != nil {
		if err := s.checkAddress(ctx, c); err != nil {
			return nil, err
		}
		return nil, r.refuse
	}
	for _, phase := range s.Order {
		if err := s.step(ctx, c, phase); err != nil {
			return nil, err
		}
	}
	if c.stored != nil {
		return nil, nil
	}
	out, err := r.invoke(ctx, c, c.in)
	if err != nil {
		return nil, err
	}
	return out, s.finish(ctx, c, out)
}

func (s *Surface[P]) step(ctx context.Context, c *Call[P], phase Phase) error {
	switch phase {
	case PhaseAddress:
		return s.checkAddress(ctx, c)
	case PhaseMedia:
		return s.checkMedia(c)
	case PhaseAuthenticate:
		return s.authenticate(ctx, c)
	case PhaseLimit:
		return s.take(ctx, c, ByPrincipal, 1)
	case PhaseBody:
		return readBody(c)
	case PhaseDecode:
		in, err := c.route.decode(c)
		c.in = in
		return err
	default:
		return s.replay(ctx, c)
	}
}

func (s *Surface[P]) authenticate(ctx context.Context, c *Call[P]) (err error) {
	if !c.route.Public {
		c.Principal, err = s.Authenticate(ctx, c)
	}
	if err == nil && c.connection != nil {
		c.extend()
	}
	return err
}

// farewell is what a slow call has left for its answer.
const farewell = 10 * time.Second

// extend gives a slow call its own time on the connection; callers who are not known
// have the server's. Where a connection has no deadlines there is nothing to extend.
func (c *Call[P]) extend() {
	end := clock.System().Now().Add(c.route.Timeout)
	_ = errors.Join(c.connection.SetReadDeadline(end), c.connection.SetWriteDeadline(end.Add(farewell)))
}

// checkMedia holds the Content-Type to the dialect's policy, or to the route's own type.
func (s *Surface[P]) checkMedia(c *Call[P]) error {
	r := c.route
	if s.Media == AnyMedia && r.Accept == "" {
		return nil
	}
	want := r.Accept
	if want == "" {
		want = "application/json"
	}
	values := c.Request.Header["Content-Type"]
	if len(values) == 1 && values[0] == "" { // says as much as none
		values = nil
	}
	switch {
	case len(values) == 0 && (!takesBody(c.Request.Method) || !r.plan.body && c.Request.ContentLength == 0):
		return nil
	case len(values) == 1 && isMedia(values[0], want):
		return nil
	}
	if most := strings.LastIndex(want, ", "); most >= 0 {
		want = want[:most] + " or " + want[most+2:]
	}
	return fault.New(fault.UnsupportedMediaType, "content type must be %s", want)
}

// isMedia looks for a media type among those of a route, and refuses a charset other than UTF-8,
// which some clients write utf8.
func isMedia(value, want string) bool {
	media, parameters, _ := strings.Cut(value, ";")
	media, known := strings.TrimSpace(media), false
	for one := range strings.SplitSeq(want, ", ") {
		known = known || strings.EqualFold(media, one)
	}
	if !known {
		return false
	}
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, charset, found := strings.Cut(strings.TrimSpace(parameter), "=")
		charset = strings.ToLower(strings.Trim(charset, `"`))
		if found && strings.EqualFold(name, "charset") && charset != "utf-8" && charset != "utf8" {
			return false
		}
	}
	return true
}

func readBody[P any](c *Call[P]) error {
	size, limit := c.Request.ContentLength, c.route.MaxBody
	if size == 0 || c.Request.Body == nil || c.Request.Body == http.NoBody {
		return nil
	}
	if size > limit {
		return tooLarge(c)
	}
	delete(c.Request.Header, expect) // reading answers that: the client sends all there is
	var err error
	if size > 0 {
		c.Body = make([]byte, size)
		_, err = io.ReadFull(c.Request.Body, c.Body)
	} else {
		c.Body, err = io.ReadAll(io.LimitReader(c.Request.Body, limit+1))
		if int64(len(c.Body)) > limit {
			c.Body = nil
			return tooLarge(c)
		}
	}
	if err != nil {
		c.Body = nil
		c.header.Set("Connection", "close")
		return fault.Wrap(err, fault.MalformedBody, "the body ended early")
	}
	return nil
}

// tooLarge also ends the connection, because the rest of the body is not worth reading.
func tooLarge[P any](c *Call[P]) error {
	c.header.Set("Connection", "close")
	return fault.New(fault.BodyTooLarge, "the body is larger than %d bytes", c.route.MaxBody)
}

// replay identifies an idempotent call and looks for its stored answer. It holds
// the key until the answer is sent, so that a concurrent duplicate waits.
func (s *Surface[P]) replay(ctx context.Context, c *Call[P]) error {
	if !c.route.Idempotent {
		return nil
	}
	key := s.Replay.Key(c, c.in)
	if key == "" {
		return nil
	}
	if !plain.LineBytes(key, 1, idempotency.MaxKey) {
		return fault.New(fault.InvalidRequest, "idempotency key must be 1 to %d printable characters", idempotency.MaxKey).At("idempotency_key")
	}
	c.Retry = Retry{Key: key, Fingerprint: s.Replay.Fingerprint(material(c))}
	leave, err := c.Alone(ctx, s.Replay.Scope(c)+"\x00"+key)
	if err != nil {
		return err
	}
	c.leave = leave
	answer, found, err := s.Replay.Find(ctx, c)
	if found && err == nil {
		c.stored = &answer
		c.replayed = true
	}
	return err
}

// material is what two equal calls have in common.
func material[P any](c *Call[P]) []byte {
	r := c.Request
	m := make([]byte, 0, len(r.Method)+len(r.URL.Path)+len(r.URL.RawQuery)+len(c.Body)+3)
	m = append(append(m, r.Method...), '\n')
	m = append(append(m, r.URL.Path...), '?')
	m = append(append(m, r.URL.RawQuery...), '\n')
	return append(m, c.Body...)
}

// finish does what must happen between a success and its answer.
func (s *Surface[P]) finish(ctx context.Context, c *Call[P], out any) error {
	if c.route.Audit != "" {
		if err := s.Audit(ctx, c); err != nil {
			return fault.Wrap(err, fault.Internal, "audit %s", c.route.Audit)
		}
	}
	if c.Retry.Key == "" || c.kept || c.status >= http.StatusBadRequest {
		return nil
	}
	answer, err := c.Encode(out)
	if err != nil {
		return err
	}
	c.stored = &answer
	return s.Replay.Keep(ctx, c, answer)
}

// AsFault turns what a handler returned into the fault to show.
func AsFault(ctx context.Context, err error) *fault.Error {
	f := fault.From(err)
	if f.Code == fault.Internal && ctx.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return fault.Wrap(err, fault.Timeout, "the request took too long")
	}
	if f.Code == fault.Internal && storage.IsAway(err) {
		return fault.Wrap(err, fault.Unavailable, "the database does nothing at present: repeat the request later").After(time.Second)
	}
	return f
}

// flights lets concurrent duplicates of one idempotent call wait for the first
// within this process; across processes the record's unique key decides.
type flights struct {
	mu   sync.Mutex
	busy map[string]chan struct{}
}

// enter returns when no other call holds key, and a function that gives it back.
func (f *flights) enter(ctx context.Context, key string) (func(), error) {
	mine := make(chan struct{})
	for {
		f.mu.Lock()
		other := f.busy[key]
		if other == nil {
			f.busy[key] = mine
			f.mu.Unlock()
			return func() { f.exit(key, mine) }, nil
		}
		f.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *flights) exit(key string, mine chan struct{}) {
	f.mu.Lock()
	delete(f.busy, key)
	f.mu.Unlock()
	close(mine)
}
