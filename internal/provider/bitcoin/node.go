package bitcoin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"

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
type node struct{ *call.RPC }

func newNode(c *Config) (*node, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CertificateFile != "" {
		text, err := os.ReadFile(c.CertificateFile)
		if err != nil {
			return nil, call.Refuse("certificate_file", "it cannot be read")
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(text) {
			return nil, call.Refuse("certificate_file", "it holds no certificate in PEM form")
		}
	}
	client := call.NewClient(call.Limits{TLS: trust, Timeout: c.timeout(), Conns: maxConns, Loopback: strings.HasPrefix(c.URL, "http:")})
	return &node{&call.RPC{Client: client, URL: c.URL, Who: "node", Timeout: c.timeout(), MaxAnswer: maxAnswer, Login: c.login}}, nil
}

// The codes of errors that the node's answers have.
const (
	codeNotFound      = -5  // an unknown block or transaction
	codeInvalid       = -8  // not with these parameters, or not now
	codeWarmingUp     = -28 // it has just been started
	codeUnknownMethod = -32601
)

// call makes one call and reads its result into out. It returns a *call.Refusal for one that
// the node refuses.
func (n *node) call(ctx context.Context, out any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	answer, err := n.Ask(ctx, call.Query{Method: method, Params: params})
	if err != nil {
		return err
	}
	return read(&answer, out)
}

func read(answer *call.Reply, out any) error {
	err := answer.Value(out)
	if call.IsCode(err, codeWarmingUp) {
		return unavailable("the node is starting")
	}
	return err
}

// each makes the same call with many parameters. It returns an answer for each, in order.
func (n *node) each(ctx context.Context, method string, params [][]any) ([]call.Reply, error) {
	queries := make([]call.Query, len(params))
	for i, p := range params {
		queries[i] = call.Query{Method: method, Params: p}
	}
	return n.All(ctx, queries, batch)
}

// told returns what of an error may be shown: the node's own words never are.
func told(err error, what string) error {
	if call.IsRefusal(err) {
		return unavailable("the node does not tell %s", what)
	}
	return err
}
