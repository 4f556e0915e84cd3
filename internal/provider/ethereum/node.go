package ethereum

import (
	"context"
	"crypto/tls"
	"strings"

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
type node struct{ *call.RPC }

func newNode(c *Config) *node {
	limits := call.Limits{TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Timeout: c.timeout(), Conns: maxConns, Loopback: strings.HasPrefix(c.URL, "http:")}
	return &node{&call.RPC{Client: call.NewClient(limits), URL: c.URL, Who: "node", Timeout: c.timeout(), MaxAnswer: maxAnswer, Login: c.login}}
}

func ask(method string, params ...any) call.Query {
	return call.Query{Method: method, Params: append([]any{}, params...)}
}

// call makes one call and reads its result into out, if there is one.
func (n *node) call(ctx context.Context, out any, q call.Query) (bool, error) {
	answer, err := n.Ask(ctx, q)
	if err != nil {
		return false, err
	}
	found, err := answer.Read(out)
	return found, told(err)
}

// told returns what of an error may be shown.
func told(err error) error {
	if call.IsRefusal(err) {
		return unavailable("the node refuses a call that is needed")
	}
	return err
}
