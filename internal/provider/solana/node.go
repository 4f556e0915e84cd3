package solana

import (
	"context"
	"crypto/tls"
	"strings"

	"github.com/scripcards/scrip/internal/provider/call"
)

const (
	// maxAnswer bounds an answer, in bytes: a thousand signatures take a third of one.
	maxAnswer = 4 << 20
	maxConns  = 2
)

// node calls the RPC of a node.
type node struct{ *call.RPC }

func newNode(c *Config) *node {
	client := call.NewClient(call.Limits{TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Timeout: c.timeout(), Conns: maxConns, Loopback: strings.HasPrefix(c.URL, "http:")})
	return &node{&call.RPC{Client: client, URL: c.URL, Who: "node", Timeout: c.timeout(), MaxAnswer: maxAnswer}}
}

// The codes of errors that nodes answer with.
const (
	codeBehind    = -32005
	codeNoHistory = -32011 // it keeps no transactions
	codeTooEarly  = -32016 // it has not reached the slot that was asked for
)

// options are the last parameter of a call.
type options map[string]any

// The commitments that are asked for.
const (
	confirmed = "confirmed"
	finalized = "finalized"
)

// call makes one call and reads its result into out, where null is one. What it returns for
// a call that the node refuses says of what it does not tell.
func (n *node) call(ctx context.Context, out any, what, method string, params ...any) error {
	answer, err := n.Ask(ctx, call.Query{Method: method, Params: append([]any{}, params...)})
	if err != nil {
		return err
	}
	if _, err = answer.Read(out); err != nil {
		return told(err, what)
	}
	return nil
}

// told returns what of an error may be shown: the node's own words never are.
func told(err error, what string) error {
	switch {
	case call.IsCode(err, codeBehind):
		return unavailable("the node is behind the others")
	case call.IsCode(err, codeNoHistory):
		return unavailable("the node keeps no transactions: it needs --enable-rpc-transaction-history")
	case call.IsCode(err, codeTooEarly):
		return unavailable("the node answered of an older moment than before")
	case call.IsRefusal(err):
		return unavailable("the node does not tell %s", what)
	}
	return err
}
