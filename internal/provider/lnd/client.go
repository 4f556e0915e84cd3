package lnd

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/call"
)

const (
	// maxAnswer bounds an answer: a page of transactions with all that is known of them.
	maxAnswer   = 64 << 20
	maxMacaroon = 4 << 10
	maxConns    = 16
)

// client calls the REST interface of a node.
type client struct {
	http   *http.Client
	config *Config
	folder keyfile.Folder
}

func newClient(c *Config, folder keyfile.Folder) (*client, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CertificateFile != "" {
		text, err := folder.Read(c.CertificateFile)
		if err != nil {
			return nil, fault.From(err).At("certificate_file")
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(text) {
			return nil, invalid("certificate_file", "it holds no certificate in PEM form")
		}
	}
	if _, err := folder.Read(c.MacaroonFile); err != nil {
		return nil, fault.From(err).At("macaroon_file")
	}
	n := &client{config: c, folder: folder, http: call.NewClient(call.Limits{TLS: trust, Timeout: c.timeout(), Conns: maxConns})}
	if _, err := n.macaroon(); err != nil {
		return nil, invalid("macaroon_file", "it is empty, or larger than %d bytes", maxMacaroon)
	}
	return n, nil
}

// macaroon reads what the node knows us by, as it wants it in a header.
func (n *client) macaroon() (string, error) {
	content, err := n.folder.Read(n.config.MacaroonFile)
	if err != nil || len(content) == 0 || len(content) > maxMacaroon {
		return "", unavailable("the file of the node's macaroon cannot be read")
	}
	return hex.EncodeToString(content), nil
}

// refusal is an error that the node answered with. Its text is never shown: it is compared
// with what is known.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// The codes of refusals, which are those of gRPC.
const (
	codeUnknown       = 2
	codeNotFound      = 5
	codeAlreadyExists = 6
)

// Error implements error, without the node's words.
func (*refusal) Error() string { return "the node refused the call" }

// refused returns the node's refusal if err is one.
func refused(err error) (*refusal, bool) {
	var r *refusal
	return r, errors.As(err, &r)
}

// plain turns a refusal that nobody expected into an error for whoever asked.
func plain(err error) error {
	if _, ok := refused(err); ok {
		return unavailable("the node refused the call: its own log says why")
	}
	return err
}

// question is a call, with what it says; nil: nothing.
type question struct {
	method, path string
	what         any
}

// get asks, and reads the answer into out; post does so with something to say. They return
// a *refusal for what the node refuses.
func (n *client) get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return n.once(ctx, question{http.MethodGet, path, nil}, out)
}

func (n *client) post(ctx context.Context, path string, what, out any) error {
	return n.once(ctx, question{http.MethodPost, path, what}, out)
}

// once makes a call that has one answer.
func (n *client) once(ctx context.Context, q question, out any) error {
	ctx, cancel := context.WithTimeout(ctx, n.config.timeout())
	defer cancel()
	answer, err := n.send(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return unavailable("%s", call.Reason(err))
	case len(text) > maxAnswer:
		return unavailable("the answer is longer than %d bytes", maxAnswer)
	case answer.StatusCode != http.StatusOK:
		return parseRefusal(answer.StatusCode, text)
	case json.Unmarshal(text, out) != nil:
		return unavailable("the node's answer is not what was asked for")
	}
	return nil
}

// message is one message of a stream.
type message struct {
	Result jsontext.Value `json:"result"`
	Error  *refusal       `json:"error"`
}

// first makes a call that has a stream of answers, and reads the first of them into out. It
// takes as long as ctx lets it.
func (n *client) first(ctx context.Context, q question, out any) error {
	answer, err := n.send(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // the rest of the stream is not wanted
	text, err := jsontext.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).ReadValue()
	if err != nil {
		if ctx.Err() != nil {
			return unavailable("the node did not answer in time")
		}
		return unavailable("the node's answer breaks off, or is no JSON, with the status %d", answer.StatusCode)
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		return unavailable("the node's answer is not what was asked for")
	}
	switch {
	case m.Error != nil:
		return m.Error
	case answer.StatusCode != http.StatusOK:
		return parseRefusal(answer.StatusCode, text)
	case len(m.Result) == 0 || json.Unmarshal(m.Result, out) != nil:
		return unavailable("the node's answer is not what was asked for")
	}
	return nil
}

func (n *client) send(ctx context.Context, q question) (*http.Response, error) {
	var body []byte
	if q.what != nil {
		var err error
		if body, err = json.Marshal(q.what); err != nil {
			return nil, err
		}
	}
	macaroon, err := n.macaroon()
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, q.method, n.config.URL+q.path, bytes.NewReader(body))
	if err != nil {
		return nil, unavailable("the request cannot be made")
	}
	r.Header.Set("Grpc-Metadata-Macaroon", macaroon)
	r.Header.Set("Content-Type", "application/json")
	answer, err := n.http.Do(r)
	if err != nil {
		return nil, unavailable("%s", call.Reason(err))
	}
	return answer, nil
}

// parseRefusal reads the answer to a call that did not succeed.
func parseRefusal(status int, text []byte) error {
	var r refusal
	if err := json.Unmarshal(text, &r); err != nil || r.Code == 0 {
		return unavailable("the node's answer has the status %d", status)
	}
	return &r
}
