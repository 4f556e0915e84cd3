package reseller

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/provider/call"
)

const (
	userAgent   = "Scrip-Reseller/1"
	dialTimeout = 10 * time.Second
)

// errNotSent: no byte of the request has left.
var errNotSent = errors.New("not sent")

// request is one call of the dialect.
type request struct {
	method, path string
	key          string // the Idempotency-Key; empty: none
	body         any    // nil: none
}

// call makes a call, signed where the account signs. It returns errNotSent, wrapped, when
// the upstream cannot have heard of it.
func (u *upstream) call(ctx context.Context, client *http.Client, r request) (response, error) {
	header := http.Header{}
	if u.signing != nil {
		if err := u.sign(ctx, header); err != nil {
			return response{}, errors.Join(errNotSent, err)
		}
	}
	return u.send(ctx, client, r, header)
}

func (u *upstream) send(ctx context.Context, client *http.Client, r request, header http.Header) (response, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return response{}, errors.Join(errNotSent, unavailable("the request cannot be made"))
		}
	}
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	out, err := http.NewRequestWithContext(traced, r.method, u.base+r.path, bytes.NewReader(body))
	if err != nil {
		return response{}, errors.Join(errNotSent, unavailable("the request cannot be made"))
	}
	// Without it, nothing sends the body again behind our back.
	out.GetBody = nil
	out.Header = header
	out.Header.Set("User-Agent", userAgent)
	out.Header.Set("Accept", "application/json")
	out.Header.Set("X-Api-Key", u.key.Reveal())
	if r.body != nil {
		out.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		out.Header.Set("Idempotency-Key", r.key)
	}
	answer, err := client.Do(out)
	if err != nil {
		if failed := classify(err); connected.Load() {
			return response{}, failed
		} else {
			return response{}, errors.Join(errNotSent, failed)
		}
	}
	defer func() { _ = answer.Body.Close() }() // read, or given up
	text, err := io.ReadAll(io.LimitReader(answer.Body, u.maxAnswer+1))
	switch {
	case err != nil:
		return response{}, classify(err)
	case int64(len(text)) > u.maxAnswer:
		return response{}, unavailable("the upstream's answer is longer than %d bytes", u.maxAnswer)
	}
	in := response{status: answer.StatusCode}
	in.readable = json.Unmarshal(text, &in.envelope) == nil
	return in, nil
}

// sign asks for a challenge and signs it.
func (u *upstream) sign(ctx context.Context, header http.Header) error {
	r, err := u.send(ctx, u.asks, request{method: http.MethodPost, path: "/auth/challenge"}, http.Header{})
	if err != nil {
		return err
	}
	var in struct {
		Challenge string `json:"challenge"`
	}
	if err := r.read(&in); err != nil {
		return err
	}
	if in.Challenge == "" || len(in.Challenge) > 1024 {
		return unavailable("the upstream's challenge is none")
	}
	sum := sha256.Sum256([]byte(in.Challenge))
	signature, err := rsa.SignPKCS1v15(rand.Reader, u.signing, crypto.SHA256, sum[:])
	if err != nil {
		return unavailable("the challenge cannot be signed")
	}
	header.Set("X-Api-Challenge", in.Challenge)
	header.Set("X-Api-Signature", base64.StdEncoding.EncodeToString(signature))
	return nil
}

// classify says in words of our own why there was no answer.
func classify(err error) error {
	if errors.Is(err, context.Canceled) {
		return fault.New(fault.Timeout, "the call was given up")
	}
	return unavailable("%s", call.Reason(err))
}
