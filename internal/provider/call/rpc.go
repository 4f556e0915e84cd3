package call

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
)

// RPC calls a node's JSON-RPC over HTTP. It is safe for concurrent use.
type RPC struct {
	Client *http.Client
	URL    string
	// Who is what errors call the other side, such as "node".
	Who string
	// Timeout bounds a request, MaxAnswer its answer in bytes.
	Timeout   time.Duration
	MaxAnswer int64
	// Login says in a request's header who calls; nil: nobody asks.
	Login func(http.Header) error
}

// Query is one call. Params are a list or an object; nil: none.
type Query struct {
	Method string
	Params any
}

// Refusal is an error that the other side answered with. Its words must not be shown.
type Refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error implements error, without the other side's words.
func (*Refusal) Error() string { return "the call was refused" }

// IsRefusal reports whether a call was refused.
func IsRefusal(err error) bool {
	var refused *Refusal
	return errors.As(err, &refused)
}

// IsCode reports whether a call was refused with a code.
func IsCode(err error, code int) bool {
	var refused *Refusal
	return errors.As(err, &refused) && refused.Code == code
}

// noID is what an answer has that names no call of ours. Alone, it is an answer all the same.
const noID = -1

// Reply is the answer to one call.
type Reply struct {
	who    string
	id     int
	result json.RawMessage
	err    *Refusal
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Reply) UnmarshalJSON(text []byte) error {
	var in struct {
		ID     json.RawMessage `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  *Refusal        `json:"error"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	id, err := strconv.Atoi(string(in.ID))
	if err != nil {
		id = noID
	}
	r.id, r.result, r.err = id, in.Result, in.Error
	return nil
}

// Read reads the result into out, unless that is nil, and reports whether there is one:
// null is none. It returns a *Refusal for a call that was refused.
func (r *Reply) Read(out any) (bool, error) {
	switch {
	case r.err != nil:
		return false, r.err
	case string(r.result) == "null":
		return false, nil
	case len(r.result) == 0, out != nil && json.Unmarshal(r.result, out) != nil: // neither is no null
		return false, fault.New(fault.Unavailable, "the %s's answer is not what was asked for", r.who)
	}
	return true, nil
}

// Value reads the result into out; none is not what was asked for.
func (r *Reply) Value(out any) error {
	found, err := r.Read(out)
	if err == nil && !found {
		return fault.New(fault.Unavailable, "the %s's answer is not what was asked for", r.who)
	}
	return err
}

// Refused returns how the call was refused; nil: it was not.
func (r *Reply) Refused() *Refusal { return r.err }

type rpcCall struct {
	Version string `json:"jsonrpc"`
	ID      int    `json:"id"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

func (q Query) numbered(id int) rpcCall {
	if q.Params == nil {
		q.Params = []any{}
	}
	return rpcCall{Version: "2.0", ID: id, Method: q.Method, Params: q.Params}
}

// Ask makes one call. It returns an error where there is no answer; a refusal is one.
func (r *RPC) Ask(ctx context.Context, q Query) (Reply, error) {
	answer := Reply{}
	err := r.post(ctx, q.numbered(0), &answer)
	answer.who = r.Who
	return answer, err
}

// All makes calls, so many with one request, and fewer where the answer would be too long. It
// returns an answer for each, in order.
func (r *RPC) All(ctx context.Context, queries []Query, atOnce int) ([]Reply, error) {
	all := make([]Reply, 0, len(queries))
	for len(queries) > 0 {
		count := min(len(queries), atOnce)
		some, err := r.batch(ctx, queries[:count])
		if IsTooLong(err) && count > 1 {
			atOnce = count / 2
			continue
		}
		if err != nil {
			return nil, err
		}
		all, queries = append(all, some...), queries[count:]
	}
	return all, nil
}

// batch makes calls with one request.
func (r *RPC) batch(ctx context.Context, queries []Query) ([]Reply, error) {
	calls, answers := make([]rpcCall, len(queries)), []Reply(nil)
	for i, q := range queries {
		calls[i] = q.numbered(i)
	}
	if err := r.post(ctx, calls, &answers); err != nil {
		return nil, err
	}
	ordered, seen := make([]Reply, len(queries)), make([]bool, len(queries))
	if len(answers) != len(queries) {
		return nil, r.unavailable("did not answer every call")
	}
	for _, a := range answers {
		if a.id < 0 || a.id >= len(ordered) || seen[a.id] {
			return nil, r.unavailable("answered a call that was not made")
		}
		a.who = r.Who
		ordered[a.id], seen[a.id] = a, true
	}
	return ordered, nil
}

// errTooLong says that an answer has more bytes than it may.
var errTooLong = errors.New("the answer is too long")

// IsTooLong reports whether an answer has more bytes than it may: whoever asks for less may get one.
func IsTooLong(err error) bool { return errors.Is(err, errTooLong) }

// post sends a request and reads the answer, which for a refused call may have any status.
func (r *RPC) post(ctx context.Context, what, out any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return r.unavailable("has an address that no request can be made to")
	}
	request.Header.Set("Content-Type", "application/json")
	if r.Login != nil {
		if err := r.Login(request.Header); err != nil {
			return err
		}
	}
	answer, err := r.Client.Do(request)
	if err != nil {
		return fault.New(fault.Unavailable, "the %s: %s", r.Who, Reason(err))
	}
	defer func() { _ = answer.Body.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(answer.Body, r.MaxAnswer+1))
	switch {
	case err != nil:
		return fault.New(fault.Unavailable, "the %s: %s", r.Who, Reason(err))
	case int64(len(text)) > r.MaxAnswer:
		return fault.Wrap(errTooLong, fault.Unavailable, "the %s answered with more than %d bytes", r.Who, r.MaxAnswer)
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return r.unavailable("wants a login, or another one")
	case answer.StatusCode == http.StatusTooManyRequests:
		return r.unavailable("allows no more calls for now")
	case answer.StatusCode != http.StatusOK && !refuses(text):
		return r.unavailable("answered with the status %d", answer.StatusCode)
	case json.Unmarshal(text, out) != nil:
		return r.unavailable("answered with no JSON-RPC")
	}
	return nil
}

// refuses reports whether an answer is a refusal, which may have another status than success.
func refuses(text []byte) bool {
	var one Reply
	return json.Unmarshal(text, &one) == nil && one.err != nil
}

func (r *RPC) unavailable(format string, args ...any) error {
	return fault.New(fault.Unavailable, "the "+r.Who+" "+format, args...)
}
