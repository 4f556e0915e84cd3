package monero

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/provider/call"
)

// maxAnswer bounds an answer, in bytes: some 50,000 payments.
const maxAnswer = 32 << 20

// endpoint speaks JSON-RPC with the wallet or the node.
type endpoint struct {
	who     string // what errors call it
	url     string
	timeout time.Duration
	client  *http.Client
}

func newEndpoint(who, url string, timeout time.Duration) *endpoint {
	return &endpoint{who: who, url: url + "/json_rpc", timeout: timeout, client: call.NewClient(call.Limits{
		TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Timeout: timeout, Conns: 1, Loopback: strings.HasPrefix(url, "http:")})}
}

// The codes of errors that the wallet answers with.
const (
	codeRefused   = -1
	codeUnknownTx = -8
	codeNoWallet  = -13
	codeBeyond    = -15 // no address has such an index
	codeViewOnly  = -29
	codeNoNode    = -38
)

// rpcError is an error that the other side answered with.
type rpcError struct {
	Code int `json:"code"`
}

// Error implements error, without the other side's words.
func (e *rpcError) Error() string { return "the call was refused" }

// call makes one call and reads its result into out, unless that is nil. It returns an
// *rpcError for one that is refused.
func (e *endpoint) call(ctx context.Context, out any, method string, params any) error {
	if params == nil {
		params = struct{}{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": "0", "method": method, "params": params})
	if err != nil {
		return err
	}
	text, err := e.post(ctx, body)
	if err != nil {
		return err
	}
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
	}
	switch {
	case json.Unmarshal(text, &answer) != nil:
		return unavailable("the %s's answer is no JSON", e.who)
	case answer.Error != nil:
		return answer.Error
	case answer.Result == nil, out != nil && json.Unmarshal(answer.Result, out) != nil:
		return unavailable("the %s's answer is not what was asked for", e.who)
	}
	return nil
}

func (e *endpoint) post(ctx context.Context, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return nil, unavailable("the request to the %s cannot be made", e.who)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := e.client.Do(r)
	if err != nil {
		return nil, unavailable("the %s: %s", e.who, call.Reason(err))
	}
	defer func() { _ = answer.Body.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, unavailable("the %s: %s", e.who, call.Reason(err))
	case len(text) > maxAnswer:
		return nil, unavailable("the %s's answer is longer than %d bytes", e.who, maxAnswer)
	case answer.StatusCode == http.StatusUnauthorized:
		return nil, unavailable("the %s wants a login: run it without one, on this machine alone", e.who)
	case answer.StatusCode != http.StatusOK:
		return nil, unavailable("the %s answered with the status %d", e.who, answer.StatusCode)
	}
	return text, nil
}

func isRefusal(err error) bool {
	var refused *rpcError
	return errors.As(err, &refused)
}

// isCode reports whether a call was refused with a code.
func isCode(err error, code int) bool {
	var refused *rpcError
	return errors.As(err, &refused) && refused.Code == code
}

// told returns what of an error may be shown: the other side's own words never are.
func (e *endpoint) told(err error, what string) error {
	switch {
	case isCode(err, codeNoWallet):
		return unavailable("no wallet is open")
	case isCode(err, codeNoNode):
		return unavailable("the wallet does not reach its node")
	case isRefusal(err):
		return unavailable("the %s does not tell %s", e.who, what)
	}
	return err
}
