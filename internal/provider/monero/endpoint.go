package monero

import (
	"context"
	"crypto/tls"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/provider/call"
)

// maxAnswer bounds an answer, in bytes: some 50,000 payments.
const maxAnswer = 32 << 20

// endpoint speaks JSON-RPC with the wallet or the node.
type endpoint struct{ *call.RPC }

func newEndpoint(who, url string, timeout time.Duration) *endpoint {
	client := call.NewClient(call.Limits{TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Timeout: timeout, Conns: 1, Loopback: strings.HasPrefix(url, "http:")})
	return &endpoint{&call.RPC{Client: client, URL: url + "/json_rpc", Who: who, Timeout: timeout, MaxAnswer: maxAnswer}}
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

// call makes one call and reads its result into out, unless that is nil. It returns a
// *call.Refusal for one that is refused.
func (e *endpoint) call(ctx context.Context, out any, method string, params any) error {
	if params == nil {
		params = struct{}{}
	}
	answer, err := e.Ask(ctx, call.Query{Method: method, Params: params})
	if err != nil {
		return err
	}
	return answer.Value(out)
}

// isCode reports whether a call was refused with a code.
func isCode(err error, code int) bool { return call.IsCode(err, code) }

// told returns what of an error may be shown: the other side's own words never are.
func (e *endpoint) told(err error, what string) error {
	switch {
	case isCode(err, codeNoWallet):
		return unavailable("no wallet is open")
	case isCode(err, codeNoNode):
		return unavailable("the wallet does not reach its node")
	case call.IsRefusal(err):
		return unavailable("the %s does not tell %s", e.Who, what)
	}
	return err
}
