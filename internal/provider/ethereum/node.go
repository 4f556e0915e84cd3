package ethereum

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/scripcards/scrip/internal/provider/call"
)

const (
	// maxAnswer bounds an answer: a full block, or many without their transactions.
	maxAnswer = 64 << 20
	maxConns  = 4
	// batch is how many calls go into one request, and wide how many with long answers.
	batch = 100
	wide  = 16
)

// node calls the JSON-RPC of a node.
type node struct {
	client *http.Client
	config *Config
}

func newNode(c *Config) (*node, error) {
	at, err := url.Parse(c.URL)
	if err != nil {
		return nil, invalid("url", "want the node's address")
	}
	limits := call.Limits{TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Timeout: c.timeout(), Conns: maxConns, Loopback: at.Scheme == "http"}
	return &node{client: call.NewClient(limits), config: c}, nil
}

// errRefused is a call that the node answered with an error.
var errRefused = errors.New("the node refused the call")

// request is one call, reply its answer.
type request struct {
	Version string `json:"jsonrpc"`
	ID      int    `json:"id"`
	Method  string `json:"method"`
	Params  []any  `json:"params"`
}

type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// read reads a result into out. It reports whether there is one: null is none.
func (r *reply) read(out any) (bool, error) {
	switch {
	case len(r.Error) > 0 && !bytes.Equal(r.Error, null):
		return false, errRefused
	case len(r.Result) == 0 || bytes.Equal(r.Result, null):
		return false, nil
	case json.Unmarshal(r.Result, out) != nil:
		return false, unavailable("the node's answer is not what was asked for")
	}
	return true, nil
}

var null = []byte("null")

// query is one of several calls that are made at once.
type query struct {
	method string
	params []any
}

func ask(method string, params ...any) query { return query{method, params} }

// call makes one call and reads its result into out, if there is one.
func (n *node) call(ctx context.Context, out any, q query) (bool, error) {
	answers, err := n.all(ctx, []query{q}, 1)
	if err != nil {
		return false, err
	}
	found, err := answers[0].read(out)
	return found, told(err)
}

// all makes calls, so many with one request. It returns an answer for each, in order.
func (n *node) all(ctx context.Context, queries []query, atOnce int) ([]reply, error) {
	all := make([]reply, 0, len(queries))
	for len(queries) > 0 {
		some := queries[:min(len(queries), atOnce)]
		queries = queries[len(some):]
		requests, answers := make([]request, len(some)), []reply(nil)
		for i, q := range some {
			requests[i] = request{Version: "2.0", ID: i, Method: q.method, Params: append([]any{}, q.params...)}
		}
		if err := n.post(ctx, requests, &answers); err != nil {
			return nil, err
		}
		ordered, seen := make([]reply, len(some)), make([]bool, len(some))
		if len(answers) != len(some) {
			return nil, unavailable("the node did not answer every call")
		}
		for _, a := range answers {
			if a.ID < 0 || a.ID >= len(ordered) || seen[a.ID] {
				return nil, unavailable("the node answered a call that was not made")
			}
			ordered[a.ID], seen[a.ID] = a, true
		}
		all = append(all, ordered...)
	}
	return all, nil
}

func (n *node) post(ctx context.Context, what, out any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, n.config.timeout())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.config.URL, bytes.NewReader(body))
	if err != nil {
		return unavailable("the request cannot be made")
	}
	if n.config.BearerFile != "" {
		token, err := n.config.bearer()
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := n.client.Do(r)
	if err != nil {
		return unavailable("%s", call.Reason(err))
	}
	defer func() { _ = answer.Body.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return unavailable("%s", call.Reason(err))
	case len(text) > maxAnswer:
		return unavailable("the answer is longer than %d bytes", maxAnswer)
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return unavailable("the node refuses the credential")
	case answer.StatusCode != http.StatusOK:
		return unavailable("the node answered with the status %d", answer.StatusCode)
	case json.Unmarshal(text, out) != nil:
		return unavailable("the node's answer is not what was asked for")
	}
	return nil
}

// told returns what of an error may be shown.
func told(err error) error {
	if errors.Is(err, errRefused) {
		return unavailable("the node refuses a call that is needed")
	}
	return err
}
