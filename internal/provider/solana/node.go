package solana

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/scripcards/scrip/internal/provider/call"
)

const (
	// maxAnswer bounds an answer, in bytes: a thousand signatures take a third of one.
	maxAnswer = 4 << 20
	maxConns  = 2
)

// node calls the RPC of a node.
type node struct {
	client *http.Client
	config *Config
}

func newNode(c *Config) *node {
	return &node{config: c, client: call.NewClient(call.Limits{TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Timeout: c.timeout(), Conns: maxConns,
		Loopback: strings.HasPrefix(c.URL, "http:")})}
}

// The codes of errors that nodes answer with.
const (
	codeBehind    = -32005
	codeNoHistory = -32011 // it keeps no transactions
	codeTooEarly  = -32016 // it has not reached the slot that was asked for
)

// rpcError is an error that the node answered with.
type rpcError struct {
	Code int `json:"code"`
}

// Error implements error, without the node's words.
func (e *rpcError) Error() string { return "the node refused the call" }

// options are the last parameter of a call.
type options map[string]any

// The commitments that are asked for.
const (
	confirmed = "confirmed"
	finalized = "finalized"
)

// call makes one call and reads its result into out. What it returns for a call that the
// node refuses says of what it does not tell.
func (n *node) call(ctx context.Context, out any, what, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	text, err := n.post(ctx, body)
	if err != nil {
		return err
	}
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
	}
	switch {
	case json.Unmarshal(text, &answer) != nil:
		return unavailable("the node's answer is no JSON")
	case answer.Error != nil:
		return told(answer.Error, what)
	case answer.Result == nil, json.Unmarshal(answer.Result, out) != nil:
		return unavailable("the node's answer is not what was asked for: %s", what)
	}
	return nil
}

// told returns what of a refusal may be shown: the node's own words never are.
func told(refused *rpcError, what string) error {
	switch refused.Code {
	case codeBehind:
		return unavailable("the node is behind the others")
	case codeNoHistory:
		return unavailable("the node keeps no transactions: it needs --enable-rpc-transaction-history")
	case codeTooEarly:
		return unavailable("the node answered of an older moment than before")
	}
	return unavailable("the node does not tell %s", what)
}

func (n *node) post(ctx context.Context, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, n.config.timeout())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, unavailable("the request cannot be made")
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := n.client.Do(r)
	if err != nil {
		return nil, unavailable("the node: %s", call.Reason(err))
	}
	defer func() { _ = answer.Body.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	var refusal struct {
		Error *rpcError `json:"error"`
	}
	switch {
	case err != nil:
		return nil, unavailable("the node: %s", call.Reason(err))
	case len(text) > maxAnswer:
		return nil, unavailable("the node's answer is longer than %d bytes", maxAnswer)
	case answer.StatusCode == http.StatusTooManyRequests:
		return nil, unavailable("the node allows no more calls for now")
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return nil, unavailable("the node refuses the key in its address")
	case answer.StatusCode != http.StatusOK && (json.Unmarshal(text, &refusal) != nil || refusal.Error == nil):
		return nil, unavailable("the node answered with the status %d", answer.StatusCode)
	}
	return text, nil
}
