package bench

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// Client is what sends the requests.
type Client string

// The clients. Standard is net/http's, which is what a Go program costs that calls
// Scrip; Lean does the least a client can, so that more of the machine is the server's.
// The ratio to the no-op is smaller with Lean: it has less of its own on both sides.
const (
	Standard Client = "net/http"
	Lean     Client = "lean"
)

// standard is net/http's client with one connection.
type standard struct {
	ctx    context.Context // the worker's: its end ends the request under way
	target *target
	client *http.Client
	body   bytes.Buffer
}

func newStandard(ctx context.Context, t *target) *standard {
	transport := &http.Transport{MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, DisableCompression: true}
	return &standard{ctx: ctx, target: t, client: &http.Client{Transport: transport, Timeout: t.timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (s *standard) do(r *Request) (answer, error) {
	request, err := http.NewRequestWithContext(s.ctx, r.Method, "http://"+s.target.addr+s.target.prefix+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return answer{}, err
	}
	request.Host = s.target.host
	for _, h := range r.Headers {
		request.Header.Set(h.Name, h.Value)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	s.body.Reset()
	_, err = io.Copy(&s.body, io.LimitReader(response.Body, maxBody))
	_ = response.Body.Close() // what was wanted of it is read
	return answer{Status: response.StatusCode, Body: s.body.Bytes()}, err
}

func (s *standard) close() error {
	s.client.CloseIdleConnections()
	return nil
}
