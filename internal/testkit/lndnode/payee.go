package lndnode

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/provider/lnd"
	"github.com/scripcards/scrip/internal/provider/lnurl"
	"github.com/scripcards/scrip/internal/webhook"
)

// day is for how long invoices are valid, in seconds, as the nodes' own clocks count.
const day = "86400"

// Invoice is a fresh invoice, of any amount.
func (n *Node) Invoice() string {
	n.t.Helper()
	text, err := n.invoice(map[string]string{"expiry": day})
	must(n.t, err)
	return text
}

func (n *Node) invoice(what map[string]string) (string, error) {
	var answer struct {
		Request string `json:"payment_request"`
	}
	err := n.Ask(http.MethodPost, "/v1/invoices", what, &answer)
	return answer.Request, err
}

// Held is an invoice of any amount whose payment is neither taken nor refused until Settle
// or Cancel.
func (n *Node) Held(preimage [32]byte) string {
	n.t.Helper()
	hash := sha256.Sum256(preimage[:])
	var answer struct {
		Request string `json:"payment_request"`
	}
	n.must(http.MethodPost, "/v2/invoices/hodl", map[string]string{"hash": base64.StdEncoding.EncodeToString(hash[:]), "expiry": day}, &answer)
	return answer.Request
}

// Settle takes the payment of an invoice that is held, Cancel refuses it.
func (n *Node) Settle(preimage [32]byte) {
	n.t.Helper()
	n.must(http.MethodPost, "/v2/invoices/settle", map[string]string{"preimage": base64.StdEncoding.EncodeToString(preimage[:])}, nil)
}

// Cancel refuses the payment of an invoice that is held.
func (n *Node) Cancel(preimage [32]byte) {
	n.t.Helper()
	hash := sha256.Sum256(preimage[:])
	n.must(http.MethodPost, "/v2/invoices/cancel", map[string]string{"payment_hash": base64.StdEncoding.EncodeToString(hash[:])}, nil)
}

// Received is how many invoices of the node were paid, and how much, in satoshis.
func (n *Node) Received() (times int, satoshi int64) {
	n.t.Helper()
	var answer struct {
		Invoices []struct {
			State string `json:"state"`
			Paid  string `json:"amt_paid_sat"`
		} `json:"invoices"`
	}
	n.must(http.MethodGet, "/v1/invoices?num_max_invoices=100000", nil, &answer)
	for _, i := range answer.Invoices {
		if i.State == "SETTLED" {
			paid, err := strconv.ParseInt(i.Paid, 10, 64)
			must(n.t, err)
			times, satoshi = times+1, satoshi+paid
		}
	}
	return times, satoshi
}

// Way is how a process that pays is told of the nodes, as JSON.
type Way struct {
	Node json.RawMessage
	// Host is where the service of the Lightning Addresses really is, Certificate its file.
	Host, Certificate string
}

// Nodes opens what a way leads to.
func (w Way) Nodes() (payout.Nodes, error) {
	node, err := lnd.Open(w.Node, "")
	if err != nil {
		return payout.Nodes{}, err
	}
	text, err := os.ReadFile(w.Certificate)
	if err != nil {
		return payout.Nodes{}, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return node.Nodes(here{lnurl.New(&webhook.Guard{AllowPrivate: true}, roots), w.Host}), nil
}

// here asks for every Lightning Address at one host of this machine.
type here struct {
	payout.Resolver
	host string
}

// Resolve implements payout.Resolver.
func (h here) Resolve(ctx context.Context, a payout.Ask) (payout.Offer, error) {
	a.Host = h.host
	return h.Resolver.Resolve(ctx, a)
}

// metadata is what the service says it sells.
const metadata = `[["text/plain","a payout"]]`

// Way serves the payee's Lightning Addresses until the test ends, and returns the way to them
// and to the payer.
func (n *Network) Way(t testing.TB) Way {
	t.Helper()
	service := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/lnurlp/") {
			_, _ = fmt.Fprintf(w, `{"tag":"payRequest","callback":"https://%s/pay","minSendable":1000,"maxSendable":100000000000,"metadata":%q}`, r.Host, metadata)
			return
		}
		sum := sha256.Sum256([]byte(metadata))
		text, err := n.Payee.invoice(map[string]string{"value_msat": r.URL.Query().Get("amount"), "description_hash": base64.StdEncoding.EncodeToString(sum[:]), "expiry": day})
		if err != nil {
			t.Error(err)
		}
		_, _ = fmt.Fprintf(w, `{"pr":%q,"routes":[]}`, text)
	}))
	t.Cleanup(service.Close)
	return Way{Node: n.Payer.Config(), Host: hostOf(service.URL), Certificate: certificateOf(t, service)}
}

func hostOf(address string) string {
	at, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return at.Host
}

// certificateOf writes a server's certificate to a file.
func certificateOf(t testing.TB, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "certificate.pem")
	must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	return path
}
