package bitcoin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/scripcards/scrip/internal/provider/call"
)

const (
	// maxAnswer bounds an answer: a block of four million units of weight, in hex.
	maxAnswer = 24 << 20
	maxConns  = 4
	// batch is how many calls go into one request.
	batch = 100
)

// node calls the RPC of a full node.
type node struct {
	client *http.Client
	config *Config
}

func newNode(c *Config) (*node, error) {
	at, err := url.Parse(c.URL)
	if err != nil {
		return nil, invalid("url", "want the node's address")
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CertificateFile != "" {
		text, err := os.ReadFile(c.CertificateFile)
		if err != nil {
			return nil, invalid("certificate_file", "it cannot be read")
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(text) {
			return nil, invalid("certificate_file", "it holds no certificate in PEM form")
		}
	}
	client := call.NewClient(call.Limits{TLS: trust, Timeout: c.timeout(), Conns: maxConns, Loopback: at.Scheme == "http"})
	return &node{client: client, config: c}, nil
}

// The codes of errors that the node's answers have.
const (
	codeNotFound      = -5  // an unknown block or transaction
	codeOutOfRange    = -8  // no block of this height
	codeWarmingUp     = -28 // it has just been started
	codeUnknownMethod = -32601
)

// rpcError is an error that the node answered with.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error implements error, without the node's words.
func (e *rpcError) Error() string { return "the node refused the call" }

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
	Error  *rpcError       `json:"error"`
}

// call makes one call and reads its result into out. It returns an *rpcError for one that
// the node refuses.
func (n *node) call(ctx context.Context, out any, method string, params ...any) error {
	var answer reply
	if params == nil {
		params = []any{}
	}
	if err := n.post(ctx, request{Version: "1.0", ID: 1, Method: method, Params: params}, &answer); err != nil {
		return err
	}
	return answer.read(out)
}

func (r *reply) read(out any) error {
	switch {
	case r.Error != nil && r.Error.Code == codeWarmingUp:
		return unavailable("the node is starting")
	case r.Error != nil:
		return r.Error
	case json.Unmarshal(r.Result, out) != nil:
		return unavailable("the node's answer is not what was asked for")
	}
	return nil
}

// each makes the same call with many parameters. It returns an answer for each, in order.
func (n *node) each(ctx context.Context, method string, params [][]any) ([]reply, error) {
	all := make([]reply, 0, len(params))
	for len(params) > 0 {
		some := params[:min(len(params), batch)]
		params = params[len(some):]
		requests, answers := make([]request, len(some)), []reply(nil)
		for i, p := range some {
			requests[i] = request{Version: "2.0", ID: i, Method: method, Params: p}
		}
		if err := n.post(ctx, requests, &answers); err != nil {
			return nil, err
		}
		ordered := make([]reply, len(some))
		if len(answers) != len(some) {
			return nil, unavailable("the node did not answer every call")
		}
		for _, a := range answers {
			if a.ID < 0 || a.ID >= len(ordered) || ordered[a.ID].Result != nil || ordered[a.ID].Error != nil {
				return nil, unavailable("the node answered a call that was not made")
			}
			ordered[a.ID] = a
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
	user, password, err := n.config.credentials()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, n.config.timeout())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.config.URL, bytes.NewReader(body))
	if err != nil {
		return unavailable("the request cannot be made")
	}
	r.SetBasicAuth(user, password)
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
		return unavailable("the node refuses the password")
	case json.Unmarshal(text, out) != nil: // refused calls have other statuses, and are JSON, too
		return unavailable("the node's answer is no JSON, with the status %d", answer.StatusCode)
	}
	return nil
}

// isCode reports whether the node refused a call with a code.
func isCode(err error, code int) bool {
	var refused *rpcError
	return errors.As(err, &refused) && refused.Code == code
}

// told returns what of an error may be shown: the node's own words never are.
func told(err error, what string) error {
	var refused *rpcError
	if errors.As(err, &refused) {
		return unavailable("the node does not tell %s", what)
	}
	return err
}
